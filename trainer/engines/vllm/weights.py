"""The policy's weights as files that a server reads, and which of the server's are others.

The files are in the form of `from_pretrained`, with adapters merged. A tied head is written out by itself: on
a CPU vLLM keeps a packed copy of the head, which a reload of tied weights leaves as it was (0.32.0; a
difference of 0.86 nats on a small model).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...model import lora
from ...model.model_files import save_weights
from ...model.policy import Policy
from .wire import Wire

PACKED = hashlib.sha256(b"").hexdigest()  # of a weight that the server keeps in another form
FUSED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
VOCABULARY = ("embed_tokens.weight", "lm_head.weight")  # padded with zeros to a multiple of PADDED_TO
PADDED_TO = 64
HEAD, HEAD_FILE, INDEX = "lm_head.weight", "head.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class Difference:
    """names: of the server's parameters that are not the policy's.  compared: how many could be compared.
    unknown: how many could not, since the server keeps them in another form."""

    names: tuple[str, ...]
    compared: int
    unknown: int


def write_model(policy: Policy, folder: Path) -> None:
    """What a server starts from: weights, settings and tokenizer."""
    write_weights(policy, folder)
    policy.tokenizer.save_pretrained(folder)


def write_weights(policy: Policy, folder: Path) -> None:
    """The weights in the type that the policy computes in, adapters merged, the head by itself."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dtype = str(policy.dtype).removeprefix("torch.")
    model = policy.model
    merged = lora.merge_adapters(model) if lora.has_adapters(model) else None
    save_weights(model, folder, dtype, merged)
    head = model.get_output_embeddings()
    if head is not None and head.weight is model.get_input_embeddings().weight:
        _write_head(head.weight.detach().to(policy.dtype).cpu().contiguous(), folder)


def list_names(folder: Path) -> list[str]:
    """Of the weights in the files of a folder."""
    names = list[str]()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as opened:
            names += opened.keys()
    return names


def _write_head(weight: Tensor, folder: Path) -> None:
    """A head that is tied to the embeddings, as one that is not."""
    save_file({HEAD: weight}, folder / HEAD_FILE, {"format": "pt"})
    index, config = folder / INDEX, folder / "config.json"
    if index.is_file():
        listed = json.loads(index.read_text(encoding="utf-8"))
        listed["weight_map"][HEAD] = HEAD_FILE
        index.write_text(json.dumps(listed), encoding="utf-8")
    settings = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**settings, "tie_word_embeddings": False}), encoding="utf-8")


def read_label(wire: Wire) -> str:
    """By what the server's weights go; "default" on one that was never given any."""
    found = wire.get("/weight_info")
    return str(found.get("weight_version")) if isinstance(found, Mapping) else ""


def compare(wire: Wire, policy: Policy) -> Difference | None:
    """Which of the server's parameters are not the policy's, by their checksums; None where it has none, or
    keeps each in parts on several devices."""
    found = wire.post("/weight_checker", {"action": "checksum"})
    sums = found.get("checksums") if isinstance(found, Mapping) else None
    if not isinstance(sums, Mapping):
        return None
    plain = {str(name).rpartition(":")[2]: str(value) for name, value in sums.items()}
    if len(plain) != len(sums):
        return None
    unknown = sum(value == PACKED for value in plain.values())
    known = {name: value for name, value in plain.items() if value != PACKED}
    state = _collect(policy)
    expected = {name: hash_weight(name, state, policy.dtype) for name in known}
    names = [name for name, value in known.items() if expected[name] not in ("", value)]
    compared = sum(value != "" for value in expected.values())
    return Difference(tuple(names), compared, unknown + len(known) - compared)


def _collect(policy: Policy) -> Mapping[str, Any]:
    model = policy.model
    return lora.merge_adapters(model) if lora.has_adapters(model) else model.state_dict()


def hash_weight(name: str, state: Mapping[str, Tensor], dtype: torch.dtype) -> str:
    """The SHA-256 of a parameter's bytes as a server holds it, by the name that it has there; "" for one
    that the policy has no part of."""
    parts = [state.get(part) for part in _name_parts(name)]
    if any(part is None for part in parts):
        return ""
    whole = torch.cat([part.detach().to(dtype).cpu() for part in parts if part is not None])
    if name.endswith(VOCABULARY) and (missing := -len(whole) % PADDED_TO):
        whole = torch.cat([whole, whole.new_zeros(missing, *whole.shape[1:])])
    return hashlib.sha256(whole.contiguous().view(-1).view(torch.uint8).numpy().data).hexdigest()


def _name_parts(name: str) -> Iterator[str]:
    """The policy's names of what a server holds as one."""
    for fused, parts in FUSED.items():
        if f".{fused}." in name:
            yield from (name.replace(f".{fused}.", f".{part}.") for part in parts)
            return
    yield name
