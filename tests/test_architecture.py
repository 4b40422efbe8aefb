"""The house rules that a machine can check: import direction, torch only in the trainer, lazy start."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["sandbox", "verifiers", "tasks", "trainer"]  # each may import those before it
HEAVY = {"torch", "transformers", "tokenizers", "safetensors", "peft"}
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Absolute dotted names that a file imports; relative ones are resolved inside `palaestra`."""
    package = ("palaestra", *path.relative_to(ROOT).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [node.module] if node.module else []
            found |= {".".join((*base, *module, *([] if module else [alias.name]))) for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way_and_torch_stays_in_the_trainer(path: Path):
    room = path.relative_to(ROOT).parts[0]
    above = ROOMS[ROOMS.index(room) + 1 :]
    names = imported(path)
    assert not {name for name in names if name.split(".")[0] in ROOMS}, "import palaestra.X, or relatively"
    assert not {name for name in names if name.startswith("palaestra.") and name.split(".")[1] in above}
    if room != "trainer":
        assert not {name for name in names if name.split(".")[0] in HEAVY}


def test_the_check_itself_sees_relative_imports():
    assert "palaestra.verifiers" in imported(ROOT / "tasks" / "gcd.py")
    assert "palaestra.verifiers" in imported(ROOT / "tasks" / "core" / "task.py")


def test_tasks_and_verifiers_start_without_torch_or_sympy():
    code = (
        "import sys; from palaestra import tasks; tasks.names();"
        "print(sorted({'torch', 'transformers', 'sympy', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_folder_of_code_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {".".join(("palaestra", *path.parent.relative_to(ROOT).parts)) for path in FILES if path.name == "__init__.py"}
    assert sorted(listed) == sorted(there)
    assert {path.parent for path in FILES} == {path.parent for path in FILES if path.name == "__init__.py"}


def name_of(path: Path) -> str:
    return ".".join(("palaestra", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def dependencies() -> dict[Path, set[Path]]:
    """The files that each file imports from, imports for types and imports in functions included."""
    modules = {
        ".".join(("palaestra", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path for path in FILES
    }

    def of(path: Path) -> set[Path]:
        package = ("palaestra", *path.relative_to(ROOT).parent.parts)
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = ".".join((*package[: len(package) - node.level + 1], *([node.module] if node.module else [])))
                found |= {modules.get(f"{base}.{alias.name}", modules.get(base)) for alias in node.names}
        return found - {None, path}

    return {path: of(path) for path in FILES}


def circles(graph: dict[Path, set[Path]]) -> list[Path]:
    """The files that can reach themselves: what is left when files without dependencies are taken away one after another."""
    left = {path: set(others) for path, others in graph.items()}
    while free := [path for path, others in left.items() if not others & left.keys()]:
        for path in free:
            del left[path]
    return sorted(left)


def test_no_two_files_import_each_other():
    assert circles(dependencies()) == []


def test_the_search_for_circles_finds_one():
    a, b, c = Path("a"), Path("b"), Path("c")
    assert circles({a: {b}, b: {a}, c: set()}) == [a, b]
    assert circles({a: {b}, b: {c}, c: set()}) == []
