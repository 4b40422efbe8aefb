"""A training set of a model's own right answers: rejection sampling, by what a run or an evaluation has
written.

Kept are completions that passed (Yuan et al. 2023, arXiv:2308.01825: the different ones of each problem),
of problems that are neither too easy nor too hard, each text once, and none that shares 13 words in a row
with a problem that models are measured on; of problems that a generator makes from a pattern, none that is
the same. Imports no torch."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...tasks.core.chats import add_instruction
from ...tasks.core.errors import UserError
from ...tasks.core.proofs.overlap import HELD_OUT, Index, squeeze
from ...tasks.core.seeds import digest
from ...tasks.core.task import Task
from ..config.evaluation import EvalConfig
from ..config.shared import PromptConfig
from ..model.conversations import converse, write_plain
from ..rescoring.judges import RubricName
from ..rescoring.judging import Problems
from ..rescoring.recorded import Recorded, Source, open_source, read_recorded
from ..storage.records import write_json

GENERATED = 1_000  # problems of a stream without an end that a set is kept apart from
COLUMNS = (
    "prompt",
    "completion",
    "reference",
    "id",
    "task",
    "model",
    "source",
    "pass_rate",
    "samples",
    "reward",
    "tokens",
)


@dataclass(frozen=True)
class Choice:
    """What is kept. low, high: bounds of a problem's pass-rate, both included.  per_problem: completions of
    one problem at most.  finished: only completions that ended by themselves.  seed: of which ones."""

    low: float = 0.0
    high: float = 1.0
    per_problem: int = 4
    finished: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise UserError(
                f"--pass-rate {self.low:g}:{self.high:g}: give LOW:HIGH with 0 <= LOW <= HIGH <= 1."
            )
        if self.per_problem < 1:
            raise UserError(f"--per-problem {self.per_problem}: give a whole number from 1 on.")


@dataclass
class Counts:
    """What became of the problems and completions, in the order of the filters."""

    problems: int = 0
    completions: int = 0
    abstained: int = 0
    without_a_pass: int = 0
    outside_the_pass_rate: int = 0
    contaminated: int = 0
    same_prompt: int = 0
    chats: int = 0
    kept_problems: int = 0
    same_text: int = 0
    kept: int = 0


@dataclass(frozen=True)
class Asked:
    """What the model was asked: a problem's prompt with the instruction of its task, as the settings had it.

    templated: whether a chat template rendered it.
    """

    problems: Problems
    config: PromptConfig
    templated: bool

    @classmethod
    def of(cls, source: Source) -> Asked:
        task = RubricName.of_task(source.config.task).load_task()
        return cls(Problems(task), source.config.prompt, bool(source.facts.get("chat_template")))

    def write(self, row: Recorded) -> str | None:
        """As one text; None where it was a chat of several messages."""
        problem = self.problems.find(row)
        task = self.problems.task
        instruction = task.find_member(row.problem).instruction
        if not self.templated:
            return write_plain(problem, self.config, instruction)
        said = self.config.choose_instruction(instruction)
        asked = add_instruction(converse(problem, self.config), said, "\n\n", problem.name)
        return asked[0]["content"] if len(asked) == 1 else None


@dataclass(frozen=True)
class Measured:
    """A split that models are measured on. patterned: whether its texts are made from a pattern, so that
    problems which are others share most of their words."""

    index: Index
    patterned: bool

    @classmethod
    def of(cls, task: Task, split: str) -> Measured:
        size = task.source.size(split)
        problems = task.problems(split, size or GENERATED)
        return cls(Index.of(f"{task.name}'s {split} split", problems), size is None)

    def shares(self, text: str) -> bool:
        return self.index.shares(text, patterned=self.patterned)


@dataclass(frozen=True)
class Built:
    """path: of the set.  counts: of the filters.  against: what it was decontaminated against."""

    path: Path
    counts: Counts
    against: Sequence[str]
    sources: Sequence[dict[str, Any]] = field(repr=False, default=())

    def __str__(self) -> str:
        c, measured = self.counts, ", ".join(self.against) or "nothing"
        lines = [
            f"{c.kept} completions of {c.kept_problems} problems in {self.path}, of {c.completions} of "
            f"{c.problems}.",
            f"Left out problems: {c.without_a_pass} without one that passed, {c.outside_the_pass_rate} "
            f"outside of the pass-rate, {c.contaminated} that are known from {measured}, "
            f"{c.same_prompt} whose prompt was there already, {c.chats} that are chats of several messages.",
            f"Left out completions: {c.same_text} with a text that was there already.",
        ]
        return "\n".join(lines)


def check_out(out: Path) -> None:
    """Raise UserError for a file that no set can be written to."""
    if out.suffix != ".parquet":
        raise UserError(f"--out {out}: a set is written as Parquet; call it {out.with_suffix('.parquet')}.")
    if out.exists():
        raise UserError(f"{out} is there already. Give another --out, or remove it first.")


def check_split(config: EvalConfig, holds: str) -> None:
    """Raise UserError for an evaluation of a split that models are measured on. holds: its subject and
    verb."""
    if config.held_out.split != "train":
        raise UserError(
            f"{holds} the {config.held_out.split} split: a model that is trained on them can't be measured "
            "on it. Sample the train split: --split train."
        )


def build(sources: Sequence[Path], out: Path, choice: Choice, against: Sequence[Task] = ()) -> Built:
    """Write the set as Parquet, and beside it as FILE.json what it was made of.

    sources: folders of runs or evaluations.  against: tasks whose test split is kept out of it. Raises
    UserError where there is nothing to keep, the file is there already, or a source was sampled on a test
    split that the set is meant to be measured on."""
    check_out(out)
    opened = [open_source(source) for source in sources]
    for source in opened:
        if isinstance(source.config, EvalConfig):
            check_split(source.config, f"{source.folder} holds completions of")
    held_out = [Measured.of(task, split) for task in against for split in HELD_OUT if split in task.splits]
    counts, rows = Counts(), list[dict[str, Any]]()
    prompts, texts = set[int](), set[int]()
    for source in opened:
        rows += _keep(source, choice, held_out, counts, prompts, texts)
    if not rows:
        raise UserError(f"Nothing is left to keep: {_explain(counts)} Sample more, or widen --pass-rate.")
    made = [_describe(source) for source in opened]
    built = Built(out, counts, [split.index.name for split in held_out], made)
    _write(built, rows, choice)
    return built


def _explain(counts: Counts) -> str:
    said = {name.replace("_", " "): number for name, number in asdict(counts).items() if number}
    return ", ".join(f"{number} {name}" for name, number in said.items()) + "."


def _keep(
    source: Source,
    choice: Choice,
    held_out: Sequence[Measured],
    counts: Counts,
    prompts: set[int],
    texts: set[int],
) -> Iterator[dict[str, Any]]:
    """The rows of one source. prompts, texts: hashes of those that are kept."""
    facts, asked = _describe(source), Asked.of(source)
    for problem, rows in _group(read_recorded(source)).items():
        counts.problems += 1
        counts.completions += len(rows)
        scored = [row for row in rows if not row.abstained]
        counts.abstained += len(rows) - len(scored)
        passed = [row for row in scored if row.passed and _ended(row, choice)]
        if not passed:
            counts.without_a_pass += 1
            continue
        rate = sum(row.passed for row in scored) / len(scored)
        asked_for = rows[0].prompt
        same = hash(squeeze(asked_for))
        if not choice.low <= rate <= choice.high:
            counts.outside_the_pass_rate += 1
        elif any(split.shares(asked_for) for split in held_out):
            counts.contaminated += 1
        elif same in prompts:
            counts.same_prompt += 1
        elif (prompt := asked.write(rows[0])) is None:
            counts.chats += 1
        else:
            prompts.add(same)
            kept = list(_choose(problem, passed, choice, counts, texts))
            counts.kept_problems += bool(kept)
            counts.kept += len(kept)
            yield from (_make_row(row, prompt, facts, rate, len(scored)) for row in kept)


def _group(rows: Iterable[Recorded]) -> dict[str, list[Recorded]]:
    found: dict[str, list[Recorded]] = {}
    for row in rows:
        found.setdefault(row.problem, []).append(row)
    return found


def _ended(row: Recorded, choice: Choice) -> bool:
    return not choice.finished or row.completion.finish_reason == "stop"


def _choose(
    problem: str, passed: Sequence[Recorded], choice: Choice, counts: Counts, texts: set[int]
) -> Iterator[Recorded]:
    """Different ones of a problem, in a seeded order."""
    order = random.Random(digest("build", choice.seed, problem)).sample(range(len(passed)), len(passed))
    kept = 0
    for place in order:
        text = hash((problem, " ".join(passed[place].completion.text.split())))
        if text in texts:
            counts.same_text += 1
        elif kept < choice.per_problem:
            texts.add(text)
            kept += 1
            yield passed[place]


def _make_row(row: Recorded, prompt: str, facts: dict[str, Any], rate: float, samples: int) -> dict[str, Any]:
    reference = row.reference if isinstance(row.reference, str) else json.dumps(row.reference, default=str)
    of = (facts["task"], facts["model"], facts["source"])
    values = (prompt, row.completion.text, reference, row.problem, *of, rate,
              samples, row.reward, row.completion.tokens)  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _describe(source: Source) -> dict[str, Any]:
    """Where completions come from, for each row and for the record."""
    identity = source.facts.get("identity", {})
    return {
        "source": source.folder.name,
        "task": identity.get("facts", {}).get("task") or source.config.task.name,
        "model": source.config.model.source,
        "identity": identity,
        "packages": source.facts.get("packages", {}),
    }


def _write(built: Built, rows: Sequence[dict[str, Any]], choice: Choice) -> None:
    import pyarrow as pa  # slow to import, and only writing needs it
    import pyarrow.parquet as pq

    record = {
        "made_by": f"palaestra {version('palaestra')}",
        "choice": asdict(choice),
        "counts": asdict(built.counts),
        "against": list(built.against),
        "per_task": dict(Counter(row["task"] for row in rows)),
        "sources": list(built.sources),
    }
    table = pa.Table.from_pylist(list(rows)).replace_schema_metadata(
        {"palaestra": json.dumps(record, default=str)}
    )
    built.path.parent.mkdir(parents=True, exist_ok=True)
    partial = built.path.with_name(f".{built.path.name}.partial")
    pq.write_table(table, partial)
    partial.replace(built.path)
    write_json(built.path.with_suffix(".json"), record)
