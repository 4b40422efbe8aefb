"""`make test-pythons`: which Pythons are found, what is said of those that are not, what fails."""

import os
import sys
from pathlib import Path

import pytest
from scripts import load_script

pythons = load_script(".ci/pythons.py")


def make_python(place: Path, version: str, code: int = 0) -> Path:
    """A file that answers as an interpreter of this version does."""
    place.parent.mkdir(parents=True, exist_ok=True)
    minor = ".".join(version.split(".")[:2])
    place.write_text(f"#!/bin/sh\necho {minor} {version}\nexit {code}\n")
    place.chmod(0o755)
    return place


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Python."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_what_is_promised_begins_with_what_is_required():
    project = pythons.read_project()
    promised = pythons.list_promised(project["classifiers"])
    assert promised[:3] == ["3.11", "3.12", "3.13"]
    assert project["requires-python"] == f">={promised[0]}"


def test_the_environments_hold_no_torch():
    names = {pythons.name_of(need) for need in pythons.list_packages(pythons.read_project())}
    assert {"sympy", "regex", "datasets", "pytest", "hypothesis"} <= names
    assert not names & {"torch", "transformers", "tokenizers", "safetensors", "peft"}


def test_an_interpreter_is_found_on_the_path_and_a_shim_of_none_is_passed_over(elsewhere: Path):
    assert pythons.find("3.12") is None
    make_python(elsewhere / "bin" / "python3.12", "3.12.9", code=127)
    assert pythons.find("3.12") is None
    of_pyenv = make_python(elsewhere / ".pyenv" / "versions" / "3.12.1" / "bin" / "python", "3.12.1")
    assert pythons.find("3.12") == pythons.Python("3.12", "3.12.1", of_pyenv)
    on_path = make_python(elsewhere / "bin" / "python3.12", "3.12.9")
    assert pythons.find("3.12") == pythons.Python("3.12", "3.12.9", on_path)
    uv = elsewhere / ".local" / "share" / "uv" / "python"
    of_uv = make_python(uv / "cpython-3.13.2-linux-x86_64-gnu" / "bin" / "python", "3.13.2")
    assert pythons.find("3.13") == pythons.Python("3.13", "3.13.2", of_uv)


@pytest.fixture
def quick(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environments are this one, the tests are a file."""
    monkeypatch.setattr(pythons, "prepare", lambda python, packages: Path(sys.executable))
    monkeypatch.setattr(pythons, "TESTS", (str(elsewhere / "test_one.py"),))
    (elsewhere / "test_one.py").write_text("def test_it(): assert True\n")
    return elsewhere


def test_the_ones_that_are_missing_are_said_and_are_no_failure(quick: Path, capfd: pytest.CaptureFixture):
    make_python(quick / "bin" / "python3.12", "3.12.9")
    assert pythons.main([]) == 0
    said = capfd.readouterr().out
    assert "Python 3.12: passes (3.12.9)" in said
    assert "Python 3.11: not found here" in said


def test_a_failing_one_fails_and_so_does_one_that_was_named_and_is_not_there(
    quick: Path, capfd: pytest.CaptureFixture
):
    path = make_python(quick / "bin" / "python3.13", "3.13.1")
    assert pythons.main([str(path)]) == 0
    assert pythons.main([str(path), str(quick / "nowhere")]) == 1
    (quick / "test_one.py").write_text("def test_it(): assert False\n")
    assert pythons.main([]) == 1
    assert "Python 3.13: the tests fail (exit code 1) (3.13.1)" in capfd.readouterr().out


def test_without_any_the_remedy_is_said(quick: Path, capsys: pytest.CaptureFixture):
    assert pythons.main([]) == 2
    assert "make test-pythons PYTHONS=/path/to/python3.12" in capsys.readouterr().out


def test_an_environment_is_made_once_for_what_it_is_made_of(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    ran: list[list[str]] = []

    def run(command, check):
        ran.append(command[1:3])
        if "venv" in command:
            os.makedirs(command[-1])

    monkeypatch.setattr(pythons, "ENVIRONMENTS", elsewhere / "environments")
    monkeypatch.setattr(pythons.subprocess, "run", run)
    python = pythons.Python("3.12", "3.12.9", Path("/usr/bin/python3.12"))
    inside = pythons.prepare(python, ["sympy"])
    assert inside == elsewhere / "environments" / "3.12.9" / "bin" / "python"
    assert ran == [["-m", "venv"], ["-m", "pip"], ["-m", "pip"]]
    pythons.prepare(python, ["sympy"])
    assert len(ran) == 3
    pythons.prepare(python, ["sympy>=2"])
    assert len(ran) == 6
