"""What this machine computes on, and what it does with freed memory."""

from __future__ import annotations

import ctypes
import gc

import torch

from ...tasks.core.errors import UserError


def pick_device(device: str, dtype: str, weights: str = "float32") -> tuple[torch.device, torch.dtype]:
    """The device and arithmetic that the settings ask for; "auto" takes the best that there is, and that of
    the weights where these are bfloat16."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "There is no CUDA device here (`palaestra doctor` shows what there is). Use --device cpu."
        )
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if weights == "bfloat16" and dtype == "float32":
        raise UserError(
            "Weights in bfloat16 have their products in bfloat16: leave out --dtype float32, or --weights."
        )
    if dtype == "auto" and weights == "bfloat16":
        dtype = weights
    if dtype == "auto":
        dtype = "bfloat16" if name == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    return torch.device(name), getattr(torch, dtype)


_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory")  # of torch on a CPU, by operating system


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether an exception says that memory ran out. torch raises a plain RuntimeError for it on a CPU."""
    return isinstance(failure, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(failure, RuntimeError) and any(words in str(failure) for words in _OUT_OF_MEMORY)
    )


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def give_back_cached_memory() -> None:
    """Have torch give back what it keeps of a GPU's memory without using it: for another process."""
    if torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


def keep_freed_memory() -> bool:
    """Have glibc keep what is freed for the next use; whether it does (False: another C library).

    It gives large blocks back at once, and every page of the next one is cleared by the kernel on its first
    touch: up to a third of an update's time. The process stays as large as it has once been.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 32 << 20)) and bool(
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    )  # the most it takes
