"""Whether a model is where the settings say, found out before anything heavy is imported."""

from __future__ import annotations

from pathlib import Path

from ...tasks.core.errors import UserError
from ...tasks.core.hub import check_hub


def refuse_run_folder(folder: Path) -> None:
    """Raise UserError for the folder of a run, which names the folder of its model."""
    if not (folder / "facts.json").is_file():
        return
    made = [folder / "model", *sorted(folder.glob("checkpoints/step-*"), reverse=True), folder / "sft"]
    models = [str(path) for path in made if (path / "config.json").is_file()]
    hint = f"Did you mean {models[0]}?" if models else "It holds no model yet."
    raise UserError(f"{folder} is the folder of a run, not of a model. {hint}")


def check_source(source: str) -> None:
    """Raise UserError for a folder that holds no model, a path where nothing is, and a hub id that neither
    the cache nor the hub can serve. Reads no weights."""
    folder = Path(source)
    if source == "embedded":
        return
    if not source.strip():
        raise UserError("Say which model: --model HUB_ID_OR_FOLDER.")
    refuse_run_folder(folder)
    if folder.is_dir() and not (folder / "config.json").is_file():
        inside = [
            str(path.parent)
            for path in sorted(folder.glob("**/config.json"))
            if "model_type" in path.read_text(encoding="utf-8", errors="replace")
        ]
        hint = (
            f"Did you mean {inside[-1]}?"
            if inside
            else "Give a folder written by save_pretrained or `palaestra train`."
        )
        raise UserError(f"{source} is not a model folder: it holds no config.json. {hint}")
    if folder.is_file():
        raise UserError(f"{source} is a file. Give the folder of a model, a hub id, or 'embedded'.")
    if not folder.is_dir() and (source.startswith((".", "/", "~")) or source.count("/") != 1):
        raise UserError(
            f"There is no model folder {source}. Give an existing folder, a hub id, or 'embedded'."
        )
    if not folder.is_dir():
        must_use_cache(source)


def check_reward_model_source(source: str) -> None:
    """Raise UserError for a folder that holds no model, or a path where nothing is. Reads no weights."""
    folder = Path(source)
    refuse_run_folder(folder)
    looks_like_path = source.startswith((".", "/", "~")) or source.count("/") > 1
    if not (folder / "config.json").is_file() and (folder.exists() or looks_like_path or not source.strip()):
        raise UserError(
            f"There is no reward model in {source}. Give a folder written by `palaestra reward-model`, or a "
            "hub id."
        )
    if not folder.is_dir():
        must_use_cache(source)


def must_use_cache(source: str) -> bool:
    """Whether a model is to be loaded from the cache alone, since the hub can't be asked.

    Raises UserError where the cache does not hold it. False for a folder.
    """
    if Path(source).is_dir():
        return False
    advice = "Connect, set HTTPS_PROXY, or give the folder of a model on this machine."
    return not check_hub(source, "models", advice).online
