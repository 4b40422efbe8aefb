"""Which evaluations a command asks for: its tasks, its models, the checkpoints of a run.

Imports no torch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from ...tasks.core.errors import UserError
from ..config.evaluation import EvalConfig
from ..config.suites import list_tasks, split_names
from ..engines.checks import check_engine
from ..model.source import check_source
from ..storage import checkpoint
from ..storage.folders import FACTS, RunFolder
from ..storage.records import read_json, read_json_if_there


def list_evaluations(config: EvalConfig, in_memory: str = "") -> list[EvalConfig]:
    """One for each model and task, model by model. in_memory: the source of a model that is there already.

    Raises UserError for an empty name, a suite file that is none, a run without the checkpoint asked for, and
    an evaluation that is asked for twice.
    """
    tasks = list_tasks(config)
    sources = (
        [in_memory]
        if in_memory
        else [
            source
            for name in split_names(config.model.source, "--model")
            for source in ([name] if config.endpoint.url else find_models(name, config.subject.checkpoint))
        ]
    )
    found = [each.but(model=source) for source in sources for each in tasks]
    for place, each in enumerate(found):
        if each in found[:place]:
            raise UserError(f"{each.task.name} of {each.model.source} is asked for twice. Name it once.")
    return found


def find_models(source: str, which: str) -> list[str]:
    """The model folders that a run's folder stands for; anything else stands for itself.

    which: last (the model at its end, or the newest checkpoint), best (the checkpoint of the best held-out
    pass-rate) or all (every checkpoint, in the order of their steps).
    """
    recorded = read_json_if_there(Path(source) / FACTS)
    if recorded.get("command", "eval") == "eval":
        return [source]
    run = RunFolder(Path(source))
    kept = checkpoint.list_checkpoints(run.checkpoints)
    if which == "all" and kept:
        return [str(path) for path in kept]
    if which == "best" and (rates := _read_pass_rates(kept)):
        return [str(max(rates, key=lambda path: rates[path]))]
    if which == "last":
        if (run.model / "config.json").is_file():
            return [str(run.model)]
        if kept:
            return [str(kept[-1])]
    missing = "checkpoint with a held-out pass-rate" if which == "best" else "model"
    raise UserError(
        f"{source} holds no {missing} yet. Give another --checkpoint (last, best, all), or wait until the "
        "run has written one."
    )


def _read_pass_rates(checkpoints: Sequence[Path]) -> dict[Path, float]:
    """Of the trained checkpoints; of the one before the first step where there is no other."""
    infos = {path: read_json(path / checkpoint.INFO) for path in checkpoints}
    rates = {path: info["pass_rate"] for path, info in infos.items() if info.get("pass_rate") is not None}
    trained = {path: rate for path, rate in rates.items() if checkpoint.parse_step(path) > 0}
    return trained or rates


def check_subject(config: EvalConfig) -> None:
    """Raise UserError where no model is named, a folder holds none, or an endpoint can't be asked."""
    check_engine(config.engine)
    if not config.endpoint.url:
        check_source(config.model.source)
        return
    if config.engine.kind != "local":
        raise UserError(
            "--endpoint is asked as it is, and --engine runs a model here: leave out one of them."
        )
    if not config.model.source:
        raise UserError("Say which model: --model and its name at the --endpoint.")
    if importlib.util.find_spec("openai") is None:
        raise UserError(
            "--endpoint needs the openai client, which is not here: pip install 'palaestra[endpoint]'."
        )
    for flag, given in (
        ("--reward-model", config.compare.reward_model),
        ("--prompt-template", config.prompt.template),
    ):
        if given:
            raise UserError(f"{flag} needs the model's own tokenizer, which an endpoint keeps: leave it out.")
