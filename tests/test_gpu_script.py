"""The script for a card, on a CPU in a reduced form: every part runs, and none costs another."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from scripts import load_script

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def gpu() -> Any:
    return load_script("benchmarks/gpu.py")


@pytest.fixture(scope="module")
def parts(gpu) -> Iterator[Any]:
    before = list(sys.path)
    yield load_script("benchmarks/gpu_parts.py")
    sys.path[:] = before


@pytest.mark.parametrize("part", ["limits", "capture", "decode", "update", "step", "smollm2", "trl"])
def test_a_part_runs_reduced_on_a_cpu(parts, part: str):
    found = list(parts.PARTS[part](parts.Case(torch.device("cpu"), True, "")))
    assert found
    assert all(line.what and line.value for line in found)
    assert not any("nan" in line.value for line in found)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["demo", "tests"])
def test_a_part_that_is_a_command_runs_reduced_on_a_cpu(parts, part: str):
    found = list(parts.PARTS[part](parts.Case(torch.device("cpu"), True, "")))
    assert all(line.reached is not False for line in found)


def test_every_part_has_a_limit_and_all_fit_into_nine_minutes(gpu, parts):
    assert parts.PARTS.keys() == gpu.LIMITS_S.keys()
    assert gpu.BUDGET_S < 9 * 60


def make_options(**changes: object) -> argparse.Namespace:
    return argparse.Namespace(**{"device": "cpu", "tiny": True, "model": "", **changes})


def test_a_part_that_fails_or_takes_too_long_is_told_and_keeps_its_figures(
    gpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = tmp_path / "gpu_parts.py"
    line = {"what": "one", "value": "1 s", "target": "", "reached": None}
    begin = f"import sys, time\nopen(sys.argv[2], 'w').write({json.dumps(json.dumps(line))})\n"
    monkeypatch.setattr(gpu, "__file__", str(tmp_path / "gpu.py"))
    endings = {"done": "", "failed": "raise SystemExit('it broke')", "too slow": "time.sleep(999)"}
    outcomes = []
    for state, ending in endings.items():
        script.write_text(begin + ending)
        outcomes.append(gpu.run_part("decode", make_options(), 600 if state != "too slow" else 5))
    assert [outcome.state for outcome in outcomes[:2]] == ["done", "failed"]
    assert outcomes[2].state == "too slow"
    assert [one.what for one in outcomes[1].lines] == ["one"]
    assert "it broke" in outcomes[1].note
    page = gpu.write_page(["- Hardware: none."], outcomes)
    assert page.count("| decode | one | 1 s |") >= 2
    assert "### decode: failed" in page


def test_without_a_card_it_says_so(gpu, tmp_path: Path, capsys: pytest.CaptureFixture):
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    assert gpu.main(["--out", str(tmp_path / "page.md")]) == 2
    assert "no CUDA device" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


@pytest.mark.slow
def test_the_whole_of_it_writes_a_page(gpu, tmp_path: Path):
    page = tmp_path / "gpu.md"
    code = gpu.main(["--device", "cpu", "--tiny", "--slack", "20", "--out", str(page)])
    text = page.read_text()
    assert code == 0, text
    assert all(f"| {part} | " in text for part in gpu.LIMITS_S)
    assert "no figure here is of a GPU" in text
