"""The settings of `palaestra eval`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from .engine import EngineConfig
from .settings import Amount, Auto, Count, Flag, Name, Natural, Positive, SettingError, Settings, Share, TopP
from .shared import CommandConfig, FolderConfig, ModelConfig, PromptConfig, ScoredTaskConfig


@dataclass(frozen=True)
class ProblemConfig(Settings):
    """Which of the task's problems, and how their answers are read."""

    split: Name = "test"
    """Split to evaluate on."""
    problems: Count | Auto = "auto"
    """Problems; auto takes the whole split of a dataset, 500 of a procedural task."""
    extraction: Literal["strict", "lenient"] = "strict"
    """Which answers are read: strict as in training, in the task's own form; lenient, for models that were
    told no form, any mark and then plain prose too ("The answer is 42"). The report names it; compare only
    like with like."""


@dataclass(frozen=True)
class SamplingConfig(Settings):
    """How completions are sampled."""

    samples: Count = 1
    """Completions of each problem; pass@k is given for k up to it."""
    temperature: Amount = 0.0
    """Sampling temperature; 0 is greedy (then one sample is enough)."""
    top_p: TopP = 1.0
    """Nucleus sampling: the fewest tokens whose probability reaches this."""
    top_k: Natural = 0
    """Sample among the k most likely tokens; 0 for all."""
    min_p: Share = 0.0
    """Sample among the tokens at least this times as likely as the most likely; 0 for all."""
    max_new_tokens: Count = 512
    """Tokens after which a completion is cut."""
    max_prompt_tokens: Count = 3072
    """Tokens that a prompt may have; a longer one counts as not passed and is reported."""
    stop: tuple[str, ...] = ()
    """Texts that end a completion."""
    rows: Count | Auto = "auto"
    """Completions decoded at once; auto takes 256."""


@dataclass(frozen=True)
class SubjectConfig(Settings):
    """What of a run is evaluated."""

    checkpoint: Literal["last", "best", "all"] = "last"
    """Where --model names the folder of a run: last, its model at the end or the newest checkpoint; best,
    the checkpoint of the best held-out pass-rate; all, every checkpoint that is kept: the curve."""


@dataclass(frozen=True)
class EndpointConfig(Settings):
    """A server in place of a model on this machine; --model is the name that it knows the model by."""

    url: Annotated[str, Flag("endpoint")] = ""
    """Base URL of a server with OpenAI's interface, as http://localhost:8000/v1; none: the model is run
    here."""
    api: Literal["chat", "completions"] = "chat"
    """What is asked: chat sends messages, and the server's own template renders them; completions sends the
    prompt as plain text."""
    tool_calls: Literal["field", "text"] = "field"
    """How a chat model is told of a task's tools and calls them: field sends their schemas beside the
    messages and reads the server's tool_calls; text tells of them in the system message and reads calls in
    the text, for a server or a model that has no tools."""
    concurrency: Count = 16
    """Requests in flight at once."""
    requests_per_minute: Natural = 0
    """Requests that are begun in a minute at most; 0 for no limit."""
    retries: Natural = 16
    """Times that a request is sent again after a lost connection, a time-out, an answer that is none, or the
    statuses 408, 409, 429 and 5xx; each time later, at random, up to 30 seconds."""
    timeout: Positive = 600.0
    """Seconds that one request may take."""
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; the key itself is written nowhere."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            parts = urlsplit(self.url)
            named = parts.hostname
        except ValueError:
            parts, named = urlsplit(""), None
        if self.url and (parts.scheme not in ("http", "https") or not named):
            raise SettingError(
                f"endpoint {self.url!r}: give the base URL of a server, as http://localhost:8000/v1."
            )
        if parts.username or parts.password or parts.query:
            raise SettingError(
                "endpoint: leave user, password and query out of the URL, which is written into records. A "
                "key goes into the environment variable that --key-variable names."
            )


@dataclass(frozen=True)
class EstimateConfig(Settings):
    """What is estimated from the completions; changing it samples nothing anew."""

    k: tuple[str, ...] = ()
    """The k of pass@k and maj@k, each from 1 to the number of samples, as 1,5,10; none: 1, 2, 4, ..."""

    def list_ks(self, samples: int) -> list[int]:
        """The k as numbers, 1 always among them, ascending; [] for none.

        Raises SettingError for one that is none, or more than there are samples.
        """
        texts = [text.strip() for texts in self.k for text in texts.split(",")]
        wrong = [text for text in texts if not (text.isdecimal() and 1 <= int(text) <= samples)]
        if wrong:
            raise SettingError(
                f"--k {wrong[0]}: give whole numbers from 1 to the number of samples ({samples}), as 1,5,10."
            )
        return sorted({1, *map(int, texts)}) if texts else []


@dataclass(frozen=True)
class CompareConfig(Settings):
    """What the completions are compared with."""

    reward_model: tuple[str, ...] = ()
    """Folder or hub id of a reward model: for the task's learned criterion (name=FOLDER where it has
    several), or, for a task without one, to be reported beside the pass-rate."""
    baseline: str = ""
    """Folder of an earlier evaluation of the same problems: how often its completions are
    beaten is reported."""


@dataclass(frozen=True)
class EvalConfig(CommandConfig):
    """Measure a model's pass-rate, or what a reward model thinks of it, on a task's held-out problems.
    Several tasks or models are names with commas (--task gsm8k,countdown:2 with a level), or a suite file
    (--task suite.toml).

    >>> import palaestra as pal
    >>> config = pal.EvalConfig.of(task="gsm8k", model="runs/gsm8k-0/model", samples=8, temperature=0.7)
    >>> config.sampling.samples, config.held_out.split
    (8, 'test')
    """

    essential: ClassVar[tuple[str, ...]] = (
        "task", "option", "data", "prompt", "answer", "verify",
        "level", "model", "split", "problems", "extraction", "samples", "k",
        "temperature", "max_new_tokens", "stop", "checkpoint", "endpoint",
        "reward_model", "baseline", "out", "seed",
    )  # fmt: skip

    task: ScoredTaskConfig = field(default_factory=ScoredTaskConfig)
    model: ModelConfig = field(default_factory=lambda: ModelConfig(source=""))
    prompt: PromptConfig = field(default_factory=PromptConfig)
    held_out: ProblemConfig = field(default_factory=ProblemConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    subject: SubjectConfig = field(default_factory=SubjectConfig)
    endpoint: EndpointConfig = field(default_factory=EndpointConfig)
    estimate: EstimateConfig = field(default_factory=EstimateConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    output: FolderConfig = field(default_factory=FolderConfig)
