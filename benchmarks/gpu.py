"""The hour on a card: everything that only a GPU can say, in one go, in under nine minutes.

    make gpu                                            # writes benchmarks/gpu.md
    make gpu GPU_ARGS="--model FOLDER --wheels FOLDER"  # what is carried in to a machine without a network
    python benchmarks/gpu.py --device cpu --tiny        # every part, reduced, to see that it runs

It needs torch, transformers and palaestra's other dependencies; wheels of what is missing are taken from a
folder. Each part (`gpu_parts.py`) is a process of its own with a limit of its own: one that fails or takes
too long costs no other, and the page is written anew after each.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "benchmarks" / "gpu.md"
BUDGET_S = 520  # of all parts together
LIMITS_S = {
    # part -> seconds that it may take; in this order
    "limits": 25,
    "capture": 40,
    "decode": 100,
    "update": 70,
    "step": 80,
    "tests": 60,
    "smollm2": 40,
    "demo": 90,
    "trl": 100,
}
PACKAGES = ("palaestra", "torch", "transformers", "peft", "trl", "vllm", "triton")
TAIL = 600  # characters of what a part that failed said last


@dataclass(frozen=True)
class Line:
    """A figure. what: it is of.  value: with its unit.  target: what it is to reach, "" for none.  reached:
    None where there is no target, or where it can't be said here."""

    what: str
    value: str
    target: str = ""
    reached: bool | None = None


@dataclass(frozen=True)
class Outcome:
    """Of a part. state: done, failed, too slow, or left out; note: why, or what it said last."""

    part: str
    state: str
    seconds: float = 0.0
    note: str = ""
    lines: Sequence[Line] = field(default_factory=tuple)


def run_part(part: str, options: argparse.Namespace, limit_s: float) -> Outcome:
    """One part in a process of its own, ended after `limit_s` seconds."""
    with tempfile.TemporaryDirectory(prefix="palaestra-gpu-") as folder:
        found = Path(folder) / "found.json"
        command = [sys.executable, str(Path(__file__).with_name("gpu_parts.py")), part, str(found)]
        command += ["--device", options.device, *(["--tiny"] if options.tiny else [])]
        command += ["--model", options.model] if options.model else []
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        began = time.perf_counter()
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=limit_s,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired as failure:
            said = failure.stderr or b""
            said = said.decode(errors="replace") if isinstance(said, bytes) else said
            return Outcome(part, "too slow", limit_s, said[-TAIL:], read_lines(found))
        seconds = time.perf_counter() - began
        if done.returncode != 0:
            said = (done.stderr or done.stdout)[-TAIL:]
            return Outcome(part, "failed", seconds, said, read_lines(found))
        lines = read_lines(found)
        left_out = next((line.value for line in lines if line.what == "left out"), "")
        return Outcome(part, "left out" if left_out else "done", seconds, left_out, lines)


def read_lines(path: Path) -> list[Line]:
    """The figures that a part has written so far."""
    if not path.is_file():
        return []
    return [Line(**json.loads(text)) for text in path.read_text(encoding="utf-8").splitlines()]


def describe_machine(options: argparse.Namespace) -> list[str]:
    """Hardware, versions and the command, as lines of the page."""
    import torch

    if options.device == "cuda":
        card = torch.cuda.get_device_properties(0)
        hardware = f"{card.name}, {card.total_memory / 2**30:.1f} GiB, CUDA {torch.version.cuda}"
    else:
        hardware = f"{platform.machine()} CPU, {os.cpu_count()} cores; no figure here is of a GPU"
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return [
        f"- Hardware: {hardware}.",
        f"- Versions: Python {platform.python_version()}, {', '.join(versions)}.",
        f"- Command: `{shlex.join(['python', 'benchmarks/gpu.py', *sys.argv[1:]])}`"
        f"{', reduced (--tiny)' if options.tiny else ''}, on {time.strftime('%Y-%m-%d')}.",
    ]


def write_page(machine: Sequence[str], outcomes: Sequence[Outcome]) -> str:
    """The page: a table of all figures, then what failed and why."""
    rows = []
    for outcome in outcomes:
        for line in outcome.lines:
            if line.what != "left out":
                verdict = {None: "", True: "reached", False: "missed"}[line.reached]
                rows.append(f"| {outcome.part} | {line.what} | {line.value} | {line.target} | {verdict} |")
    parts = [f"| {each.part} | {each.state} | {each.seconds:.0f} s |" for each in outcomes]
    notes = [f"### {each.part}: {each.state}\n\n```\n{each.note}\n```" for each in outcomes if each.note]
    return "\n".join([
        "# On a GPU", "", "Written by `benchmarks/gpu.py`.", "", *machine, "",
        "| part | what | figure | target | |", "| --- | --- | --- | --- | --- |", *rows, "",
        "| part | state | took |", "| --- | --- | --- |", *parts, "", *notes, "",
    ])  # fmt: skip


def install_wheels(folder: str) -> None:
    """What is missing of palaestra and its dependencies, from a folder of wheels alone."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", folder]
    subprocess.run([*command, "--editable", str(ROOT), "pytest", "peft"], check=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small shapes and few steps, to see that it runs")
    parser.add_argument("--parts", default=",".join(LIMITS_S), help="which, with commas between them")
    parser.add_argument("--model", default="", help="folder of SmolLM2-135M-Instruct, which two parts need")
    parser.add_argument("--wheels", default="", help="folder of wheels to install from first")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page")
    parser.add_argument(
        "--slack", type=float, default=1.0, help="times the limits, for a machine that is busy"
    )
    options = parser.parse_args(argv)
    parts = options.parts.split(",")
    if unknown := [part for part in parts if part not in LIMITS_S]:
        parser.error(f"{unknown[0]} is no part: {', '.join(LIMITS_S)}.")
    if options.wheels:
        install_wheels(options.wheels)
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "There is no CUDA device here. To see that the parts run: --device cpu --tiny.", file=sys.stderr
        )
        return 2
    machine, outcomes = describe_machine(options), list[Outcome]()
    ends = time.perf_counter() + BUDGET_S * options.slack
    for part in parts:
        left = ends - time.perf_counter()
        if left < 10:
            outcomes.append(Outcome(part, "left out", note=f"No time was left of {BUDGET_S} s."))
        else:
            outcomes.append(run_part(part, options, min(LIMITS_S[part] * options.slack, left)))
        print(f"{part}: {outcomes[-1].state}, {outcomes[-1].seconds:.0f} s", flush=True)
        options.out.write_text(write_page(machine, outcomes), encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))
    return 0 if all(outcome.state in ("done", "left out") for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
