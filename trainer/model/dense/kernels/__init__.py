"""The compiled kernels of this folder, built for this machine on first use; without a C compiler,
torch does their work.

`load_kernels()` compiles the source with the system's C compiler (a second or two) into the user's cache,
under a name that depends on source, compiler flags and processor, and loads it. Nothing here is needed for a
right result: every caller has a way through torch, which the tests hold to the same numbers.
PALAESTRA_KERNELS=0 turns them off.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from ctypes import c_float, c_int, c_int64, c_void_p
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...cache_folder import find_cache_folder

SOURCES = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".c", ".h"))
LIMIT_S = 60  # for the compiler
_COMMON = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
FLAGS = (  # the first that the compiler takes: all cores and this processor's instructions, then less
    (*_COMMON, "-march=native", "-mprefer-vector-width=512", "-fopenmp"),
    (*_COMMON, "-march=native", "-fopenmp"),
    (*_COMMON, "-mcpu=native", "-fopenmp-simd"),
    (*_COMMON, "-fopenmp-simd"),
)
_P, _I, _F = c_void_p, c_int64, c_float
SIGNATURES = {
    "norm_forward": (_P, _P, _P, _I, _I, _F, c_int),
    "norm_backward": (_P, _P, _P, _P, _I, _I, c_int),
    "gate_forward": (_P, _P, _I, _I, c_int),
    "gate_backward": (_P, _P, _P, _I, _I, c_int),
    "decode_attention": (_P, _P, _P, _I, *(_P,) * 5, _I, _P, _P, _P, _I, _I, _P, *(_I,) * 4, _F, c_int),
    "attention_forward": (*(_P,) * 8, *(_I,) * 6, _F, *(_P,) * 3, c_int),
    "attention_backward": (*(_P,) * 9, *(_I,) * 6, _F, *(_P,) * 7, c_int),
}


@dataclass(frozen=True)
class Library:
    """The loaded functions, or why there are none (`missing`, a clause)."""

    functions: ctypes.CDLL | None
    missing: str = ""


@functools.cache
def load_kernels() -> Library:
    """Compile and load the kernels, once in a process."""
    if os.environ.get("PALAESTRA_KERNELS") == "0":
        return Library(None, "PALAESTRA_KERNELS=0 turns them off")
    names = (os.environ.get("CC"), "cc", "gcc", "clang")
    compiler = next((path for name in names if name and (path := shutil.which(name))), None)
    if compiler is None:
        return Library(None, "no C compiler was found; install gcc or clang")
    try:
        functions = ctypes.CDLL(str(_compile(compiler)))
        for name, types in SIGNATURES.items():
            getattr(functions, name).argtypes, getattr(functions, name).restype = types, None
    except (OSError, AttributeError, subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        detail = str(getattr(error, "stderr", None) or error).strip().splitlines() or [repr(error)]
        return Library(None, f"{compiler} could not build them: {detail[0]}")
    return Library(functions)


def _compile(compiler: str) -> Path:
    """The shared library; built unless the cache has it. Raises what the compiler's last try raised."""
    key = hashlib.sha256(
        b"\0".join(
            [
                *(path.read_bytes() for path in SOURCES),
                compiler.encode(),
                repr(FLAGS).encode(),
                _describe_processor(),
            ]
        )
    ).hexdigest()
    folder = find_cache_folder()
    path = folder / f"kernels-{key[:20]}.so"
    if path.exists():
        return path
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        for number, flags in enumerate(FLAGS):
            try:
                sources = [str(source) for source in SOURCES if source.suffix == ".c"]
                command = [compiler, *flags, "-o", f"{temporary}/kernels.so", *sources, "-lm"]
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S)
                break
            except subprocess.CalledProcessError:
                if number + 1 == len(FLAGS):
                    raise
        os.replace(f"{temporary}/kernels.so", path)  # another process may do the same: either result serves
    return path


def _describe_processor() -> bytes:
    """What tells this processor from another that may share the cache."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = sorted(
        {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    )
    return "\n".join([platform.machine(), platform.processor(), *told]).encode()


def call(name: str, *arguments: Tensor | float | None) -> None:
    """Run a kernel: tensors (contiguous, float32 or int64, on the CPU) as pointers, numbers as they are,
    then the threads."""
    functions = load_kernels().functions
    assert functions is not None
    values = (a.data_ptr() if isinstance(a, Tensor) else a for a in arguments)
    getattr(functions, name)(*values, torch.get_num_threads())


def supports(device: torch.device, dtype: torch.dtype, head_size: int) -> bool:
    """Whether the kernels do this arithmetic: float32 on a CPU, heads of a multiple of 16."""
    return (
        device.type == "cpu"
        and dtype is torch.float32
        and head_size % 16 == 0
        and load_kernels().functions is not None
    )
