"""`make test-pythons`: the tests of sandbox, verifiers and tasks, which need no torch, on each Python here.

usage: python .ci/pythons.py [PYTHON ...]

Without names: the versions that pyproject.toml promises, and the next one, as `python3.12` on the PATH or
among the versions of pyenv and uv. Each gets an environment of its own in .pythons/, made once for what it is
made of.
Exit code: 0 all that were found pass, 1 one fails, 2 none was found.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = ROOT / ".pythons"
TESTS = ("tests/sandbox", "tests/verifiers", "tests/tasks")
OF_THE_TRAINER = {"torch", "transformers", "tokenizers", "safetensors", "matplotlib"}
OF_THE_TESTS = {"pytest", "hypothesis"}
ASK = "import sys; print('%d.%d' % sys.version_info[:2], sys.version.split()[0])"


@dataclass(frozen=True)
class Python:
    """An interpreter.  minor: its version as 3.12.  version: in full.  path: where it is."""

    minor: str
    version: str
    path: Path


def read_project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def list_promised(classifiers: list[str]) -> list[str]:
    """The versions that the package's classifiers name, as 3.11, oldest first."""
    found = (
        re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", classifier) for classifier in classifiers
    )
    return sorted((match[1] for match in found if match), key=lambda minor: int(minor.split(".")[1]))


def list_packages(project: dict) -> list[str]:
    """What the tests need: the package's requirements less the trainer's, and the tests' own."""
    own = [need for need in project["dependencies"] if name_of(need) not in OF_THE_TRAINER]
    return own + [need for need in project["optional-dependencies"]["dev"] if name_of(need) in OF_THE_TESTS]


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]


def ask(path: str | Path) -> Python | None:
    """What an interpreter says that it is; None where it does not start (a shim of pyenv, say)."""
    try:
        done = subprocess.run([str(path), "-c", ASK], capture_output=True, text=True)
    except OSError:
        return None
    words = done.stdout.split()
    return Python(words[0], words[1], Path(path)) if done.returncode == 0 and len(words) == 2 else None


def find(minor: str) -> Python | None:
    """An interpreter of this version: on the PATH, else the newest of pyenv's and uv's."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local" / "share" / "uv" / "python"))
    managed = [*pyenv.glob(f"{minor}.*/bin/python"), *uv.glob(f"cpython-{minor}.*/bin/python")]
    places = [shutil.which(f"python{minor}"), *sorted(managed, reverse=True)]
    answers = (ask(place) for place in places if place)
    return next((python for python in answers if python and python.minor == minor), None)


def prepare(python: Python, packages: list[str]) -> Path:
    """The interpreter of an environment that holds the package, as it is here, and what its tests need."""
    folder = ENVIRONMENTS / python.version
    inside, ready = folder / "bin" / "python", folder / ".ready"
    made_of = "\n".join([str(python.path), *packages, (ROOT / "constraints.txt").read_text()])
    digest = hashlib.sha256(made_of.encode()).hexdigest()
    if ready.exists() and ready.read_text() == digest:
        return inside
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([str(python.path), "-m", "venv", str(folder)], check=True)
    install = [str(inside), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*install, "--constraint", str(ROOT / "constraints.txt"), *packages], check=True)
    subprocess.run([*install, "--no-deps", "--editable", str(ROOT)], check=True)
    ready.write_text(digest)
    return inside


def test(python: Python, packages: list[str]) -> str:
    """Run the tests; "" where they pass, else a word on what went wrong."""
    print(f"\nPython {python.version}, {python.path}", flush=True)
    try:
        inside = prepare(python, packages)
    except subprocess.CalledProcessError as failure:
        return f"no environment: {' '.join(map(str, failure.cmd[1:5]))} ... failed"
    done = subprocess.run([str(inside), "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS], cwd=ROOT)
    return "" if done.returncode == 0 else f"the tests fail (exit code {done.returncode})"


def main(named: list[str]) -> int:
    project = read_project()
    promised = list_promised(project["classifiers"])
    if named:
        found = {name: ask(shutil.which(name) or name) for name in named}
    else:
        following = f"3.{int(promised[-1].split('.')[1]) + 1}"
        found = {f"Python {minor}": find(minor) for minor in [*promised, following]}
    packages = list_packages(project)
    results = {name: test(python, packages) for name, python in found.items() if python}
    print()
    for name, python in found.items():
        said = "not found here" if python is None else results[name] or "passes"
        print(f"{name}: {said}" + (f" ({python.version})" if python else ""))
    if not results:
        print("No Python was found. Name one: make test-pythons PYTHONS=/path/to/python3.12")
        return 2
    missing = named and None in found.values()
    return 1 if any(results.values()) or missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
