"""Adapters on disk: alone, as PEFT reads them, and a trial that a model with adapters can be saved merged."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from ...tasks.core.errors import UserError, shorten
from .lora import NAME, disable_adapters, move_adapters
from .rounding import bound_rounding

ADAPTER = "adapter"  # the folder of the adapters alone, beside a model or in a checkpoint


def save_adapters(model: Any, folder: Path, base: str) -> None:
    """Write what `peft.PeftModel.from_pretrained(base_model, folder)` loads.

    base: the hub id or folder of the model that the adapters were added to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prefix, infix = "base_model.model.", f".{NAME}."
    tensors = {
        prefix + name.replace(infix, "."): tensor.detach().contiguous()
        for name, tensor in model.named_parameters()
        if ".lora_" in name
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = copy.copy(model.peft_config[NAME])
    settings.base_model_name_or_path, settings.inference_mode = base, True
    settings.save_pretrained(folder)


def check_merge(
    model: Any, save: Callable[[Path], None], place: Path, *, trust_remote_code: bool = False
) -> None:
    """Save the model with adapters that matter, load what was saved, into the main memory, and hold the two
    together.

    save: writes the model with its adapters merged.  place: a folder that the trial is written to, and
    removed from.  trust_remote_code: load it by the Python code that it brings along.

    Raises UserError where the merged model can't be saved or loaded, lacks weights, or gives other
    log-probabilities: what a run would find out at its first checkpoint.
    """
    training, reason = model.training, ""
    model.eval()
    try:
        with move_adapters(model), tempfile.TemporaryDirectory(dir=place, prefix=".trial-") as folder:
            try:
                before_SV = _probe(model)
                with disable_adapters(model):
                    plain_SV = _probe(model)
                save(Path(folder))
                loaded, info = AutoModelForCausalLM.from_pretrained(
                    folder, dtype=model.dtype, output_loading_info=True, trust_remote_code=trust_remote_code
                )
                reason = _find_difference(before_SV, plain_SV, loaded, info)
            except (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as no:
                reason = f"{type(no).__name__}: {shorten(str(no))}"
    finally:
        model.train(training)
    if reason:
        raise UserError(
            f"{type(model).__name__} can't be trained by LoRA on these weights, since its adapters can't be "
            f"merged into what is saved ({reason}). Choose others with --lora-targets, such as q_proj v_proj."
        )


def _find_difference(before_SV: Tensor, plain_SV: Tensor, loaded: Any, info: Mapping[str, Any]) -> str:
    """How the model that was loaded differs from the one that was saved; "" for not at all.

    plain_SV: log-probabilities without the adapters.  info: what transformers says of the loading.
    """
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info.get(what):
            return (
                f"the saved model has {what.replace('_', ' ')}: {', '.join(sorted(map(str, info[what]))[:3])}"
            )
    # The median over positions: rounding may send a single token to another expert, a wrong merge is in all.
    gap = float((_probe(loaded.eval()) - before_SV).abs().amax(-1).median())
    bound = bound_rounding(before_SV)
    if loaded.dtype is not torch.float32:  # rounding is coarse: what counts is how far the adapters reach
        bound = float((plain_SV - before_SV).abs().amax(-1).median()) / 3
    return "" if gap <= bound else f"the saved model differs by {gap:.2g} nats on a probe"


@torch.no_grad()
def _probe(model: Any) -> Tensor:
    """Log-probabilities after a few tokens."""
    size = model.get_input_embeddings().weight.shape[0]
    ids_BS = torch.tensor([[(7 * place + 3) % size for place in range(12)]], device=model.device)
    return model(input_ids=ids_BS, use_cache=False).logits[0].float().log_softmax(-1).cpu()
