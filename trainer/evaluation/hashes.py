"""Hashes of what an evaluation depends on: problems, prompts, the files of a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..model.policy import Policy

MODEL_FILES = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.txt", "*.model", "*.py")
NO_MODEL_FILES = {"trainer_info.json", "facts.json"}


def chain_hashes(items: Iterable[Any]) -> list[str]:
    """Of the first of these plain data, of the first two, and so on to all of them."""
    hashed, found = hashlib.sha256(), list[str]()
    for item in items:
        hashed.update(json.dumps(item, default=str, sort_keys=True).encode() + b"\n")
        found.append(hashed.copy().hexdigest())
    return found


def hash_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def hash_source(source: str) -> str:
    """Of the files of a model's folder, or of a hub id's copy on this disk; "" where there is none."""
    folder = Path(source) if Path(source).is_dir() else _find_snapshot(source)
    return hash_model_files(folder) if folder is not None else ""


def hash_model_files(folder: Path) -> str:
    """Of a model's weights, configuration and tokenizer: the same files elsewhere have the same hash."""
    found = {path for pattern in MODEL_FILES for path in folder.glob(pattern) if path.is_file()}
    hashed = hashlib.sha256()
    for path in sorted(found, key=lambda path: path.name):
        if path.name not in NO_MODEL_FILES:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            hashed.update(f"{path.name} {digest}\n".encode())
    return hashed.hexdigest()


def hash_weights(policy: Policy) -> str:
    """Of a model in memory: names, shapes and bytes of its weights."""
    import torch  # here, so that what an evaluation was can be read without it

    hashed = hashlib.sha256()
    for name, tensor in sorted(policy.model.state_dict().items()):
        flat = tensor.detach().cpu().contiguous().flatten()
        hashed.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        hashed.update(memoryview(flat.view(torch.uint8).numpy() if flat.numel() else b""))
    return hashed.hexdigest()


def _find_snapshot(source: str) -> Path | None:
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(source, "config.json", local_files_only=True)
    except (OSError, ValueError):
        return None
    return Path(found).parent if found else None
