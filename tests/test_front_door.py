"""`import palaestra`: what is handed on, that it costs nothing until used, that its examples run."""

import ast
import doctest
import json
import subprocess
import sys
from pathlib import Path

import palaestra
import pytest
import torch

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "palaestra" / "__init__.py"
NAMES = {
    "Algorithm", "Batch", "Completion", "Component", "Criterion", "Engine", "Episode",
    "EpisodeLimits", "EvalConfig", "Inputs",
    "LocalEngine", "LossConfig", "LossKind", "Mixture", "Part", "Policy", "Problem", "PromptConfig",
    "PromptFormat", "Request", "RewardModelConfig", "Rubric", "SFTConfig", "Sampling", "SandboxPool",
    "Score", "Seams", "SettingError", "Task", "Terms", "TrainConfig", "Turn", "UserError", "Verdict",
    "__version__",
    "adapters", "as_dataset", "attack", "compare", "criteria", "dataset_task", "evaluate",
    "evaluate_all", "export_rows", "fit_reward_model", "load_policy", "mix", "play",
    "prove", "prove_seams", "push", "query",
    "rescore", "resume", "sandbox", "score", "score_file", "sft", "task", "tasks", "tools", "train",
    "train_arms", "trainer", "trl_reward", "verifiers", "verify", "write_formula",
}  # fmt: skip
ROOMS = {"sandbox", "tasks", "trainer", "verifiers"}
CPU_S = 0.05  # beyond the start of Python


pytestmark = pytest.mark.usefixtures("forget_tasks")


def run_fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_what_is_handed_on():
    assert set(palaestra.__all__) == NAMES
    assert dir(palaestra) == sorted(NAMES)
    assert dir(palaestra.criteria) == sorted(palaestra.criteria.__all__)
    assert all(getattr(palaestra, name) is not None for name in NAMES)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        palaestra.trian  # noqa: B018 - the access is what is tested


def test_types_see_the_names_that_are_found_at_run_time():
    imports = [
        node
        for node in ast.walk(ast.parse(SOURCE.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
    ]
    typed = {
        alias.asname or alias.name: f"{node.module}.{alias.name}".removeprefix("palaestra.")
        for node in imports
        if node.module.startswith("palaestra")
        for alias in node.names
    }
    places = {name: place.replace(":", ".") for name, place in palaestra._PLACES.items()}
    assert typed == places
    assert {*typed, "__version__"} == NAMES


def test_a_name_is_itself_whatever_was_imported_before():
    code = (
        "import palaestra, palaestra.trainer.sft.run, palaestra.trainer.runs.setup, "
        "palaestra.verifiers.criteria.code\n"
        "print(callable(palaestra.sft), callable(palaestra.train), callable(palaestra.criteria.code))"
    )
    assert run_fresh(code).split() == ["True"] * 3


@pytest.mark.parametrize(
    "name",
    [
        "task",
        "criteria",
        "tools",
        "verify",
        "score",
        "score_file",
        "export_rows",
        "push",
        "train",
        "TrainConfig",
        "SFTConfig",
        "LossConfig",
        "LossKind",
        "Inputs",
        "Terms",
        "SettingError",
        "write_formula",
    ],
)
def test_what_needs_no_torch_loads_none(name: str):
    heavy = "{'torch', 'transformers', 'datasets', 'sympy'}"
    assert (
        run_fresh(f"import sys, palaestra; palaestra.{name}; print({heavy} & set(sys.modules))").strip()
        == "set()"
    )


def test_the_import_costs_less_than_fifty_milliseconds():
    code = "import time; start = time.process_time(); import palaestra; print(time.process_time() - start)"
    assert min(float(run_fresh(code)) for _ in range(5)) < CPU_S


def test_the_import_brings_only_what_the_front_door_reads():
    code = (
        "import json, sys, importlib, typing; before = set(sys.modules); import palaestra\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    assert json.loads(run_fresh(code)) == ["palaestra"]


@pytest.mark.parametrize("name", sorted(NAMES - ROOMS - {"__version__"}))
def test_every_name_is_documented_with_an_example_that_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    finder = doctest.DocTestFinder(recurse=False)
    examples = finder.find(getattr(palaestra, name), name, module=False, globs={})  # pyrefly: ignore
    assert [test.name for test in examples if test.examples] == [name], "the docstring has no example"
    assert "import palaestra as pal" in examples[0].docstring
    threads = torch.get_num_threads()
    try:
        report = doctest.DocTestRunner(optionflags=doctest.FAIL_FAST).run(examples[0])
    finally:
        torch.set_num_threads(threads)
    assert report.failed == 0


def test_the_example_of_the_front_door_itself_runs():
    assert doctest.testmod(palaestra).failed == 0


def test_no_example_is_skipped():
    assert "+SKIP" not in "".join(str(getattr(palaestra, name).__doc__) for name in NAMES - {"__version__"})
