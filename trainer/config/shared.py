"""The groups of settings that several commands share. They mean the same wherever they stand."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from .settings import (
    Amount,
    Auto,
    Count,
    Flag,
    JsonObject,
    Name,
    Natural,
    Positive,
    Range,
    Seed,
    SettingError,
    Settings,
    Share,
    Threads,
)

NOT_FOR_TEMPLATES = frozenset(
    {"messages", "conversation", "chat_template", "add_generation_prompt", "continue_final_message"}
    | {"tokenize", "padding", "truncation", "max_length", "return_tensors", "return_dict"}
    | {"return_assistant_tokens_mask", "tokenizer_kwargs", "sanitize_control_tokens", "strftime_now"}
)  # what `apply_chat_template` takes beside the variables of a template: how a prompt is made is ours to say


@dataclass(frozen=True)
class CommandConfig(Settings):
    """What every command has."""

    seed: Seed = 0
    """Seed of everything random."""


@dataclass(frozen=True)
class RunConfig(CommandConfig):
    """What every command that trains has."""

    steps: Count = 100
    """Optimization steps; of `train`, batches of rollouts."""
    stop_after: Natural = 0
    """Stop after this many steps with the state saved, as Ctrl-C would; `palaestra resume` goes on.
    0 runs to the end."""


@dataclass(frozen=True)
class TaskConfig(Settings):
    """Which problems."""

    name: Annotated[Name, Flag("task")] = "auto"
    """Name of a task (`palaestra tasks` lists them), or the path of a file that defines one; auto takes the
    data of your own that --data names, and addition without any. Several with commas, in `train` and `sft` a
    mixture by weight: gsm8k:2,countdown@3:1 is two problems of gsm8k to one of countdown's level 3."""
    option: tuple[str, ...] = ()
    """Options of the task, each as name=value; of a mixture's, NAME.option=value."""
    data: str = ""
    """Data of your own: a file (JSONL, JSON, CSV, TSV, Parquet, gzipped too), a folder with a file a split,
    or a hub id (org/name, org/name:config). With --task, what that dataset task reads in place of the hub."""
    prompt: str = ""
    """Column of --data with the question, a text or a chat, or a text with columns in braces
    ("{body} {question}"); none: guessed by its name."""
    answer: str = ""
    """Column of --data with the reference (dots lead into tables: reward_model.ground_truth); of programs,
    the tests. None: guessed by its name."""
    verify: str = ""
    """How answers to --data are judged: math, number, exact, choice, code, regex:PATTERN,
    ./reward.py:my_reward or package.module:name. None: guessed where answers are numbers, letters of options
    or tests."""
    choices: str = ""
    """Column of --data with the options of a question of multiple choice, or several with commas between
    them; none: guessed."""
    solution: str = ""
    """Column of --data with a worked solution to imitate, or a program that passes the tests; none:
    guessed."""
    test_share: Annotated[float, Range(0, 1, open_low=True)] = 0.1
    """Share of the problems of --data that is held out as the test split, where the data have no split of
    their own for it; 1 tests on all."""
    bad_rows: Literal["refuse", "skip"] = "refuse"
    """What becomes of rows of --data that can't be used (an empty prompt, an answer that the verifier can't
    read): refuse stops with their lines, skip leaves them out and counts them."""
    level: Count | Literal["all"] = "all"
    """Level of a procedural task; all goes round its levels."""

    @property
    def single_level(self) -> int | None:
        """The level, None for all of them."""
        return None if self.level == "all" else self.level


@dataclass(frozen=True)
class TrainedTaskConfig(TaskConfig):
    """Which problems, and which of them are trained on."""

    split: str = ""
    """Split of --data to train on; none: the one that is called train, or the only one."""


@dataclass(frozen=True)
class ScoredTaskConfig(TaskConfig):
    """Which problems, and on what terms their programs run."""

    allow_weak_sandbox: bool = False
    """For a task that runs programs: run them even where Landlock, seccomp or resource limits are missing."""


@dataclass(frozen=True)
class ModelConfig(Settings):
    """Which model, and where it runs."""

    source: Annotated[str, Flag("model")] = "embedded"
    """Hub id or folder of a causal language model; "embedded" makes a fresh one of 0.39 M parameters."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to run; auto takes a GPU when there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of matrix products; auto is bfloat16 on a GPU that has it, float32 elsewhere."""
    weights: Literal["float32", "bfloat16"] = "float32"
    """Type that the weights are held in. bfloat16 takes half the memory, and needs products in bfloat16;
    weights that learn are rounded at random, without bias, and their gradients summed in float32."""
    threads: Threads | Auto = "auto"
    """CPU threads; auto takes all. Below 10 M parameters `train` and `sft` time a step with 1 and with all,
    and take the faster."""
    trust_remote_code: bool = False
    """Run the Python code that a model's repository or folder brings along, where transformers has no
    architecture of its own for it. Only for sources that you trust: it is run with your rights."""


@dataclass(frozen=True)
class PromptConfig(Settings):
    """What a model reads before it answers: the task's prompts, and what is said around them.

    >>> import palaestra as pal
    >>> prompt = pal.PromptConfig(system="Be brief.", chat_template_kwargs={"enable_thinking": False})
    >>> pal.TrainConfig.of(prompt=prompt).prompt.chat_template_kwargs
    '{"enable_thinking": false}'
    """

    system: str = ""
    """Text of a system message before every prompt, in place of the chat's own; none: as the task has it."""
    instruction: str | Auto = "auto"
    """What is said at the end of every prompt (of a chat: of the user's last message); auto takes the task's
    own words about the form of an answer, "" says nothing."""
    template: Annotated[str, Flag("prompt_template")] = ""
    """File of a Jinja chat template (as Hugging Face's chat_template.jinja) that takes the place of the
    tokenizer's own, or is the first one that it has; saved with the trained model."""
    chat_template_kwargs: JsonObject = ""
    """Variables for the chat template, as a JSON object: {"enable_thinking": false}."""
    trajectories: Literal["interleaved", "branching"] = "interleaved"
    """What the turns of an episode are drawn behind. interleaved: all that was drawn and answered, token by
    token; branching: the conversation as the chat template renders it at each turn, which may rewrite the
    past (take the thinking out of earlier answers)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        wrong = sorted(NOT_FOR_TEMPLATES & json.loads(self.chat_template_kwargs or "{}").keys())
        if wrong:
            raise SettingError(
                f"chat_template_kwargs: {wrong[0]} is no variable of a template that can be set here. Give "
                'those that the template reads, such as {"enable_thinking": false}.'
            )

    def choose_instruction(self, instruction: str) -> str:
        """What is said at the end of a prompt. instruction: the task's own words."""
        return instruction if self.instruction == "auto" else self.instruction

    def without_template(self) -> Self:
        """For a tokenizer that has its template: one saved by a run, or that of another model."""
        return replace(self, template="")


@dataclass(frozen=True)
class LoraConfig(Settings):
    """Low-rank adapters in place of all weights."""

    lora_rank: Natural = 0
    """Train low-rank adapters of this rank on linear layers and fused experts in place of the weights (needs
    PEFT); 0 trains all weights. Models are saved with the adapters merged, the adapters alone beside them,
    and a KL penalty needs no second model."""
    lora_alpha: Positive | Auto = "auto"
    """LoRA's alpha: the adapters' product is scaled by alpha / rank. auto is twice the rank."""
    lora_targets: tuple[str, ...] = ()
    """Names of the only weights that carry adapters (q_proj, experts.down_proj); none: all that can."""


@dataclass(frozen=True)
class OptimizerConfig(Settings):
    """AdamW, its schedule, and how a step is cut into micro-batches."""

    learning_rate: Positive | Auto = "auto"
    """Peak learning rate. auto, below and above 10 M parameters: 3e-4 and 1e-6 in `train`, 3e-3 and 1e-5 in
    `sft`, 1e-3 and 1e-5 in `reward-model`; with LoRA ten times as much."""
    warmup_steps: Natural = 5
    """Steps of linear warm-up of the learning rate."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """Shape of the learning rate after the warm-up."""
    final_learning_rate: Share = 0.1
    """Last learning rate as a share of the peak, 0 to 1."""
    beta2: Annotated[float, Range(0, 1, open_high=True)] | Auto = "auto"
    """Decay of AdamW's second moment per step (the first moment's is 0.9);
    auto is 0.98 below 10 M parameters, 0.999 above."""
    weight_decay: Amount = 0.0
    """Decoupled weight decay of AdamW on matrices."""
    moments: Literal["float32", "8bit"] = "float32"
    """How AdamW's two moments are kept: 8 bytes a weight in float32, 2 in 8bit (blocks of 256 with a scale,
    rounded at random without bias)."""
    max_grad_norm: Positive = 1.0
    """Norm to which the gradient is clipped."""
    tokens_per_microbatch: Count | Auto = "auto"
    """Tokens in one forward and backward pass: the memory knob, it does not change the gradient. auto takes
    what fits, up to 2048 in `train` on a CPU (more is no faster there) and 32768 on a GPU;
    16384 in `sft` and `reward-model`."""


@dataclass(frozen=True)
class MeasurementConfig(Settings):
    """Measurements on held-out examples during the run."""

    eval_every: Natural = 50
    """Steps between measurements on held-out examples; 0 only before and after."""


@dataclass(frozen=True)
class HeldOutConfig(MeasurementConfig):
    """Measurements on a task's held-out problems during the run."""

    eval_problems: Count = 200
    """Held-out problems of a measurement; of `sft --pairs`, rows at most."""


@dataclass(frozen=True)
class FolderConfig(Settings):
    """Where things are written."""

    out: Name = "auto"
    """Folder of all that is written; auto is one in runs/, named after what is trained or evaluated."""


@dataclass(frozen=True)
class OutputConfig(FolderConfig):
    """Where the run is kept."""

    save_every: Natural = 50
    """Steps between checkpoints; 0 only when the run stops."""
    keep: Count = 3
    """Newest checkpoints to keep; the best by held-out pass-rate stays beside them."""
    save_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the weights in the model that is written at the end; auto: as they were trained. Checkpoints
    always keep them as they are."""
    background_saving: Literal["auto", "yes", "no"] = "auto"
    """Whether another thread writes the checkpoints while the steps go on, from a copy in the main memory;
    auto: where the model is on a GPU (on a CPU the copy takes as much again as weights and moments do)."""
    log: tuple[str, ...] = ()
    """Further loggers: tensorboard, wandb (each an extra to install)."""
