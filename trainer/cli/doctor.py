"""`palaestra doctor`: what this machine has, what is missing, and the fix."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...sandbox import layers
from ..config.arguments import SentenceParser
from ..engines.vllm.install import COMMAND, READY, VERSION, find_environment
from ..model.cache_folder import find_cache_folder


@dataclass(frozen=True)
class Finding:
    """One line of the report. advice: what to do about it; "" when all is well."""

    name: str
    value: str
    advice: str = ""


def main(argv: list[str]) -> int:
    SentenceParser(
        prog="palaestra doctor",
        description="Print what this machine has (torch, device, memory, sandbox) and what is missing.",
    ).parse_args(argv)
    missing = 0
    for finding in [*list_software(), *list_hardware(), *list_layers()]:
        missing += bool(finding.advice)
        print(f"{'!' if finding.advice else ' '} {finding.name:22} {finding.value}")
        if finding.advice:
            print(f"  {'':22} fix: {finding.advice}")
    print(
        "Nothing is missing." if not missing else f"{missing} thing(s) to fix; what needs none of them works."
    )
    return 0


def list_software() -> list[Finding]:
    findings = [Finding("python", f"{platform.python_version()} at {sys.executable}")]
    for package in (
        "palaestra",
        "torch",
        "transformers",
        "datasets",
        "sympy",
        "python-flint",
        "RestrictedPython",
    ):
        try:
            findings.append(Finding(package, version(package)))
        except PackageNotFoundError:
            findings.append(Finding(package, "not installed", f"pip install {package}"))
    for package, extra in (
        ("tensorboard", "tensorboard"),
        ("wandb", "wandb"),
        ("peft", "peft"),
        ("openai", "endpoint"),
    ):
        if importlib.util.find_spec(package) is None:
            findings.append(Finding(package, f"not installed (optional: pip install 'palaestra[{extra}]')"))
    return [*findings, find_engine()]


def find_engine() -> Finding:
    """Whether there is an environment for `--engine vllm`."""
    folder = find_environment(find_cache_folder())
    if (folder / READY).is_file():
        return Finding("vllm", f"{VERSION} in {folder}")
    return Finding("vllm", f"not installed (optional: {COMMAND})")


def list_hardware() -> list[Finding]:
    import torch

    from ..model.dense.kernels import load_kernels

    kernels = load_kernels()
    state = (
        "compiled for this processor"
        if kernels.functions
        else f"not used: {kernels.missing}; steps on a CPU take up to twice as long"
    )
    findings = [Finding("cpu kernels", state)]
    findings += [Finding("cpu", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")]
    if Path("/proc/meminfo").exists():
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        findings.append(Finding("memory", f"{pages:.1f} GiB, {free:.1f} GiB free"))
    disk = shutil.disk_usage(Path.cwd())
    advice = "free some: a checkpoint that can't be written stops a run" if disk.free < 2**30 else ""
    findings.append(Finding("disk here", f"{disk.free / 2**30:.1f} GiB free", advice))
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
            findings.append(
                Finding(
                    f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, {bf16}"
                )
            )
    elif shutil.which("nvidia-smi"):
        advice = "install the CUDA build: pip install --force-reinstall torch"
        findings.append(
            Finding(
                "cuda", f"an NVIDIA driver is here, but torch {torch.__version__} does not use it", advice
            )
        )
    else:
        findings.append(Finding("cuda", "none; runs use the CPU"))
    return findings


def list_layers() -> list[Finding]:
    """The sandbox's layers, as it finds them on this machine; those that it can't do without are called
    required."""
    findings = []
    for layer in layers():
        need = ", required" if layer.required else ""
        state = "active" if layer.active else f"not active{need}: {layer.reason}"
        findings.append(Finding(f"sandbox: {layer.name}", f"{state} ({layer.what})", layer.advice))
    return findings
