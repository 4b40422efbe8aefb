"""Arms: runs on the same problems and seeds that differ in a few settings, in turn in one process, each
compared with the first problem by problem.

One model is in memory at a time. A fresh embedded model has its SFT warm-up once, and all arms start from it.
The folder of all holds arms.json, the folder of each arm's run, and the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ..config.arms import Arm, name_arms, read_arms
from ..config.paths import make_paths_absolute
from ..config.settings import merge
from ..config.tasks import load_task
from ..config.train import TrainConfig
from ..evaluation.compare import compare_two, correct_pairs, summarise
from ..evaluation.comparison import Comparison, show_p, write_comparison
from ..evaluation.likeness import KINDS
from ..evaluation.measured import Measured, list_steps, locate_held_out, read_folder
from ..model.policy import load_policy_of
from ..model.prompts import PromptFormat
from ..model.threads import choose_threads
from ..storage import checkpoint
from ..storage.atomic import write_folder
from ..storage.interrupts import Interrupts
from ..storage.names import ARMS, FACTS, START
from ..storage.records import read_json, write_json
from ..storage.starts import begin_folder, hold_folder, holds_work
from .checks import check_arms
from .resume import resume
from .setup import check, hold_to_model, train
from .state import RunResult
from .warm_up import warm_up

COMPARISON = "comparison"
Say = Callable[[str], None]


@dataclass(frozen=True)
class ArmsResult:
    """folder: of all arms.  runs: what each that was run in this part came to, by its name.
    failures: sentences of those that were stopped by one.  comparison: of each arm with the first, None where
    there is none yet.  interrupted: stopped by a signal; `palaestra resume FOLDER` goes on."""

    folder: Path
    runs: dict[str, RunResult] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    comparison: Comparison | None = None
    interrupted: bool = False

    def __str__(self) -> str:
        lines = [f"Arms {self.folder}"]
        lines += [f"{name} was stopped: {sentence}" for name, sentence in self.failures.items()]
        if self.comparison is not None:
            lines.append(str(self.comparison))
        return "\n".join(lines)


def train_arms(config: TrainConfig, say: Say = print) -> ArmsResult:
    """Run the arms that the settings name, in turn. Everything is checked before the first one begins.

    An arm that a guard stops, or that is refused once another has begun, leaves the others be. Raises
    UserError for settings that make no sense, and where the first arm is refused: then nothing is left.
    """
    check_arms(config)
    config = make_paths_absolute(config)
    arms = read_arms(config)
    for arm in arms:
        check(arm.config)
    with begin_folder(config.output.out, name_arms(config, load_task(config.task).name), say) as folder:
        record = {"command": "arms", "arms": {arm.name: asdict(arm.config) for arm in arms}}
        write_json(folder / ARMS, record)
        return run_arms(folder, arms, say)


def resume_arms(folder: Path, say: Say = print, *, accept_changes: bool = False) -> ArmsResult:
    """Go on with the arms that have not ended. accept_changes: as of `resume`.  Raises UserError where all
    have ended."""
    configs = read_json(folder / ARMS, ("arms",))["arms"]
    arms = [
        Arm(name, merge(TrainConfig(), {**values, "stop_after": 0}, str(folder / ARMS)))
        for name, values in configs.items()
    ]
    if all(has_ended(folder / arm.name, arm.config) for arm in arms):
        raise UserError(f"All arms of {folder} have ended; `palaestra compare {folder}` compares them.")
    with hold_folder(folder):
        return run_arms(folder, arms, say, accept_changes=accept_changes)


def has_ended(run: Path, config: TrainConfig) -> bool:
    """Whether a run has done all of its steps."""
    steps = [checkpoint.parse_step(path) for path in checkpoint.list_checkpoints(run / "checkpoints")]
    return bool(steps) and steps[-1] >= config.steps and (run / "model").is_dir()


def run_arms(folder: Path, arms: Sequence[Arm], say: Say, *, accept_changes: bool = False) -> ArmsResult:
    """Those that have not ended, one after the other."""
    result = ArmsResult(folder)
    start = prepare_start(folder, arms[0].config, say)
    if start is None:
        return _stop(result, say)
    for arm in arms:
        if has_ended(folder / arm.name, arm.config):
            continue
        try:
            run = run_arm(folder, arm, arms[0], start, say, accept_changes=accept_changes)
        except UserError as failure:
            if not holds_work(folder):  # none has begun: the settings are at fault
                raise UserError(f"Arm {arm.name}: {failure}") from failure
            say(f"[{arm.name}] stopped: {failure}")
            result.failures[arm.name] = str(failure)
            continue
        result.runs[arm.name] = run
        if run.interrupted:
            return _stop(result, say)
    comparison = compare_arms(folder, [arm.name for arm in arms])
    if comparison is not None:
        write_comparison(comparison, str(folder / COMPARISON))
    return ArmsResult(folder, result.runs, result.failures, comparison)


def _stop(result: ArmsResult, say: Say) -> ArmsResult:
    say(f"The arms go on with: palaestra resume {result.folder}")
    return ArmsResult(result.folder, result.runs, result.failures, interrupted=True)


def prepare_start(folder: Path, config: TrainConfig, say: Say) -> str | None:
    """The model that the arms start from; None where the warm-up of a fresh one was stopped."""
    if config.model.source != "embedded":
        return config.model.source
    start = folder / START
    if not start.is_dir():
        task = load_task(config.task)
        policy = load_policy_of(config.model, config.seed)
        limited = hold_to_model(policy, config, say, task.has_episodes)
        choose_threads(policy, config.model.threads)
        say(f"{policy.source}: {policy.parameters:,} parameters, made and warmed up once for all arms")
        prompts = PromptFormat.of(policy.tokenizer, config.prompt, say, end_ids=policy.end_ids)
        with Interrupts() as stop:
            warm_up(policy, prompts, task, limited, stop)
        if stop.requested:
            return None
        write_folder(start, policy.save)
    return str(start.resolve())


def run_arm(folder: Path, arm: Arm, base: Arm, start: str, say: Say, *, accept_changes: bool) -> RunResult:
    """One arm from its start, or from where it stopped. Each of its evaluations is compared with that of the
    first arm at the same step."""
    path = folder / arm.name

    def tell(line: str) -> None:
        say(f"[{arm.name}] {line}")

    def compare(step: int) -> None:
        if arm.name != base.name and step in list_steps(folder / base.name):
            tell(_describe(folder, base.name, arm.name, step))

    if checkpoint.list_checkpoints(path / "checkpoints"):
        done = resume(path, {}, tell, accept_changes=accept_changes, evaluated=compare)
        assert isinstance(done, RunResult)
        return done
    settings: dict[str, Any] = {"out": str(path), "model": start}
    if base.name != arm.name and arm.config.model.threads == "auto":  # other threads round otherwise
        settings["threads"] = read_json(folder / base.name / FACTS, ("threads",))["threads"]
    return train(arm.config.but(**settings), say=tell, evaluated=compare)


def _describe(folder: Path, base: str, arm: str, step: int) -> str:
    first, second = _read(folder, base, step), _read(folder, arm, step)
    if not (first.verifiable and second.verifiable):
        return f"step {step}: nothing is verified, so there are no pass-rates to compare with {base}'s"
    found = compare_two(first, second, KINDS).at(1)
    return f"step {step}: {found.difference} against {base} (p {show_p(found.p_value)})"


def _read(folder: Path, arm: str, step: int) -> Measured:
    return read_folder(locate_held_out(folder / arm, step), arm)


def compare_arms(folder: Path, names: Sequence[str] = ()) -> Comparison | None:
    """Each arm with the first one at the last step that both were evaluated at; None where there is none."""
    base, *others = names or list(read_json(folder / ARMS, ("arms",))["arms"])
    sides, pairs = [], []
    for arm in others:
        common = sorted({*list_steps(folder / base)} & {*list_steps(folder / arm)})
        if not common:
            continue
        first, second = _read(folder, base, common[-1]), _read(folder, arm, common[-1])
        if first.verifiable and second.verifiable:
            sides = sides or [summarise(first)]
            sides.append(summarise(second))
            pairs.append(compare_two(first, second, KINDS))
    return Comparison(sides, correct_pairs(pairs)) if pairs else None
