"""The house rules that a machine can check.

Import direction, torch only in the trainer, no circle of files, lazy start.

grimp reads the imports: relative ones, those for types alone and those inside functions count as any other.
"""

import ast
import shutil
import subprocess
import sys
import tomllib
from copy import deepcopy
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
FRONT = "palaestra"  # on top: it may import every room, and no room imports it
ROOMS = ["trainer", "tasks", "verifiers", "sandbox"]  # each may import those after it
HEAVY = {"torch", "transformers", "tokenizers", "safetensors", "peft"}
# The folders and files of trainer/: each line may import those after it;
# what shares a line is independent of each other.
STAGES = [
    grimp.Layer("api", "cli"),
    grimp.Layer("demos"),
    grimp.Layer("curation"),
    grimp.Layer("runs", "rescoring", "pages", "planning"),
    grimp.Layer("algorithms", "evaluation"),
    grimp.Layer("rollouts"),
    grimp.Layer("reward_models", "sft"),
    grimp.Layer("engines", "supervised"),
    grimp.Layer("storage"),
    grimp.Layer("reports"),
    grimp.Layer("model"),
    grimp.Layer("distributed"),
    grimp.Layer("objective", "config", independent=False),  # an objective's settings are read by both
    grimp.Layer("intervals", "terminal"),
]
FILES = [path for room in [FRONT, *ROOMS] for path in sorted((ROOT / room).rglob("*.py"))]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> grimp.ImportGraph:
    """The imports of the package as a wheel would install it.

    An editable one keeps its parts where grimp does not look.
    """
    place = tmp_path_factory.mktemp("installed")
    shutil.copytree(ROOT / FRONT, place / FRONT)
    for room in ROOMS:
        shutil.copytree(ROOT / room, place / FRONT / room, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        patch.delitem(sys.modules, FRONT, raising=False)
        return grimp.build_graph(FRONT, include_external_packages=True, cache_dir=None)


@pytest.fixture
def graph(installed) -> grimp.ImportGraph:
    return deepcopy(installed)  # to add bad imports to


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join((FRONT, *parts[parts[0] == FRONT :])).removesuffix(".__init__")


def wrong_ways(graph: grimp.ImportGraph) -> set[str]:
    """Imports, direct or through others, that go up among the rooms or among the trainer's stages."""
    rooms = graph.find_illegal_dependencies_for_layers([f"palaestra.{room}" for room in ROOMS])
    stages = graph.find_illegal_dependencies_for_layers(STAGES, {"palaestra.trainer"})
    routes = [route for wrong in rooms | stages for route in wrong.routes]
    through_the_door = {f"{name} -> {FRONT}" for name in graph.find_modules_that_directly_import(FRONT)}
    return {
        " -> ".join((min(route.heads), *route.middle, min(route.tails))) for route in routes
    } | through_the_door


def bare_names(graph: grimp.ImportGraph) -> set[str]:
    """Rooms imported as `tasks` instead of `palaestra.tasks`, which would load the same files twice."""
    return graph.modules & {*ROOMS}


def heavy_imports(graph: grimp.ImportGraph) -> set[str]:
    """Files outside the trainer that import torch or its like."""
    importers = {
        name for heavy in HEAVY & graph.modules for name in graph.find_modules_that_directly_import(heavy)
    }
    return {name for name in importers if not name.startswith("palaestra.trainer.")}


def find_circle(graph: grimp.ImportGraph) -> list[str]:
    """The files of one circle of imports, the first at the end again; [] where there is none."""
    sorter = TopologicalSorter(
        {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    )
    try:
        sorter.prepare()
    except CycleError as failure:
        return failure.args[1]
    return []


def unlisted_packages(root: Path, listed: list[str]) -> set[str]:
    """Where the list in pyproject.toml and the folders of code differ.

    What is missing in one of them, or has no __init__.
    """
    folders = {
        path.parent.relative_to(root) for room in [FRONT, *ROOMS] for path in (root / room).rglob("*.py")
    }
    without = {str(folder) for folder in folders if not (root / folder / "__init__.py").exists()}
    return {name_of(ROOT / folder / "__init__.py") for folder in folders} ^ {*listed} | without


def bodies(source: str) -> set[str]:
    """Functions and classes of the front door, but for the two by which it hands names on."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    found = {
        getattr(node, "name", "lambda") for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)
    }
    return found - {"__getattr__", "__dir__"}


def test_the_graph_is_of_the_files_here(installed):
    assert {name for name in installed.modules if not installed.is_module_squashed(name)} == {
        *map(name_of, FILES)
    }
    assert "torch" in installed.modules


def test_imports_go_one_way(installed):
    assert wrong_ways(installed) == set()
    assert bare_names(installed) == set()


def test_every_folder_of_the_trainer_has_its_place():
    assert {stage for layer in STAGES for stage in layer.module_tails} == {
        path.stem
        for path in (ROOT / "trainer").iterdir()
        if (path / "__init__.py").exists() or path.suffix == ".py"
    } - {"__init__"}


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("palaestra.sandbox.pool", "palaestra.tasks.gcd"),
        ("palaestra.verifiers.rubric", "palaestra.trainer.runs.loop"),
        ("palaestra.tasks.core.task", "palaestra.trainer.intervals"),
        ("palaestra.trainer.model.policy", "palaestra.trainer.runs.loop"),
        ("palaestra.trainer.runs.loop", "palaestra.trainer.cli.main"),
        ("palaestra.trainer.evaluation.run", "palaestra.trainer.algorithms.grpo"),
        ("palaestra.trainer.intervals", "palaestra.trainer.config.train"),
        ("palaestra.trainer.runs.loop", "palaestra.trainer.api"),
        ("palaestra.tasks.gcd", "palaestra"),
    ],
)
def test_an_import_that_goes_up_is_found(graph, importer, imported):
    assert {importer, imported} <= graph.modules
    graph.add_import(importer=importer, imported=imported)
    assert f"{importer} -> {imported}" in wrong_ways(graph)


def test_the_front_door_only_hands_names_on():
    assert {path.name for path in (ROOT / FRONT).glob("*.*")} == {
        "__init__.py",
        "__main__.py",
        "py.typed",
    }
    assert bodies((ROOT / FRONT / "__init__.py").read_text()) == set()
    assert bodies("def train(): ...\nsay = lambda line: None\nclass Config: ...") == {
        "train",
        "lambda",
        "Config",
    }


def test_a_bare_name_is_found(graph):
    graph.add_import(importer="palaestra.tasks.gcd", imported="verifiers")
    assert bare_names(graph) == {"verifiers"}


def test_torch_stays_in_the_trainer(installed):
    assert heavy_imports(installed) == set()


@pytest.mark.parametrize("heavy", sorted(HEAVY))
def test_torch_elsewhere_is_found(graph, heavy):
    graph.add_import(importer="palaestra.tasks.gcd", imported=heavy)
    assert heavy_imports(graph) == {"palaestra.tasks.gcd"}


def test_no_files_import_each_other(installed):
    assert find_circle(installed) == []


def test_a_circle_of_files_is_found(graph):
    graph.add_import(importer="palaestra.sandbox.wire", imported="palaestra.sandbox.pool")
    assert {"palaestra.sandbox.wire", "palaestra.sandbox.pool"} <= {*find_circle(graph)}


def test_imports_for_types_and_inside_functions_are_seen(tmp_path, monkeypatch):
    (tmp_path / "circular").mkdir()
    files = {
        "__init__": "",
        "a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .b import B\n",
        "b": "def f():\n    from . import c\n",
        "c": "from .a import x\n",
    }
    for name, text in files.items():
        (tmp_path / "circular" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    circle = find_circle(grimp.build_graph("circular", include_external_packages=True, cache_dir=None))
    assert {*circle} == {"circular.a", "circular.b", "circular.c"}


def test_tasks_and_verifiers_start_without_torch_or_sympy():
    code = (
        "import sys; from palaestra import tasks; tasks.names();"
        "print(sorted({'torch', 'transformers', 'sympy', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_folder_of_code_is_installed():
    assert (
        unlisted_packages(
            ROOT, tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
        )
        == set()
    )


def test_a_folder_that_is_not_installed_is_found(tmp_path):
    for folder in ("tasks", "tasks/core", "sandbox"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "tasks" / "bare").mkdir()
    (tmp_path / "tasks" / "bare" / "module.py").touch()
    (tmp_path / FRONT).mkdir()
    (tmp_path / FRONT / "__init__.py").touch()
    listed = ["palaestra.sandbox", "palaestra.tasks", "palaestra.tasks.bare", "palaestra.verifiers"]
    assert unlisted_packages(tmp_path, listed) == {
        "palaestra",
        "palaestra.tasks.core",
        "palaestra.verifiers",
        "tasks/bare",
    }
