"""The README tells the truth: commands run, settings parse, files exist, its task passes the checks."""

import re
import shlex
from pathlib import Path

import pytest
from palaestra.trainer.cli.main import COMMANDS, main
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.config.parse import parse
from palaestra.trainer.config.train import TrainConfig

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of the README that name this language."""
    found: list[str] = []
    inside: str | None = None
    for line in README.splitlines(keepends=True):
        if line.startswith("```"):
            inside = line[3:].strip() if inside is None else None
            if inside == language:
                found.append("")
        elif inside == language:
            found[-1] += line
    return found


(FROM_PYTHON, TASK), (SETTINGS,) = blocks("python"), blocks("toml")
COMMAND_LINES = [
    shlex.split(line, comments=True)[1:]
    for block in blocks("")
    for line in block.splitlines()
    if line.startswith("palaestra ")
]
TABLE = [shlex.split(command)[1:] for command in re.findall(r"^\| `(palaestra [^`]+)`", README, re.MULTILINE)]
QUICK = {
    "train": [
        "--sft-steps", "20", "--steps", "1", "--prompts-per-step", "2", "--group-size", "2",
        "--eval-problems", "2", "--eval-samples", "1", "--max-new-tokens", "8", "--threads", "1", "--force",
    ],
    "sft": ["--steps", "3", "--demonstrations", "20", "--eval-problems", "5", "--threads", "1"],
}  # fmt: skip


def test_the_table_names_every_command_and_no_other():
    assert {command[0] for command in TABLE} == COMMANDS.keys()


@pytest.mark.parametrize(
    "command", [c for c in TABLE if c[0] in ("tasks", "task", "data", "doctor", "verify")], ids=" ".join
)
def test_the_quick_commands_of_the_table_run(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("my_task.py").write_text(TASK)
    Path("mine.jsonl").write_text(
        "".join(f'{{"question": "{n} + 1?", "answer": "{n + 1}"}}\n' for n in range(40))
    )
    assert main(command) == 0


def test_the_task_of_the_readme_is_checked_and_trained_on_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert len(TASK.splitlines()) <= 20
    monkeypatch.chdir(tmp_path)
    Path("my_task.py").write_text(TASK)
    own = [command for command in COMMAND_LINES if "./my_task.py" in command]
    assert [command[0] for command in own] == ["task", "train"]
    for command in own:
        assert main([*command, *QUICK.get(command[0], [])]) == 0
    assert (tmp_path / "runs" / "my_gcd-0" / "model" / "config.json").exists()


def test_the_lines_of_python_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    small = (
        "steps=1, sft_steps=5, prompts_per_step=2, group_size=2, eval_problems=2, max_new_tokens=8, "
        "threads=1, force=True"
    )
    lines = FROM_PYTHON.replace("steps=20", small).replace("samples=4", "samples=4, problems=3, threads=1")
    assert lines.count("threads=1") == 2
    exec(compile(lines, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "Run runs/first: GRPO of a fresh small model on gcd" in said
    assert "the trained model runs/first/model, the curves runs/first/curves.png" in said
    assert "gcd, test split, 3 problems, temperature 1, 4 sample(s) each" in said


def test_every_example_is_named():
    named = set(re.findall(r"\(examples/(\w+\.py)\)", README))
    assert named == {path.name for path in (ROOT / "examples").glob("*.py")}


@pytest.mark.parametrize("command", [c for c in TABLE if c[0] == "sft"], ids=" ".join)
def test_sft_runs_as_written(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert main([*command, *QUICK["sft"]]) == 0


@pytest.mark.parametrize("command", [c for c in COMMAND_LINES if c[0] in ("train", "eval")], ids=" ".join)
def test_the_commands_for_real_models_parse(command: list[str]):
    config = parse(TrainConfig if command[0] == "train" else EvalConfig, command[1:], "palaestra")
    assert config.task.name in ("gsm8k", "./my_task.py") or config.task.data == "mine.jsonl"


def test_the_settings_of_the_readme_parse(tmp_path: Path):
    (tmp_path / "run.toml").write_text(SETTINGS)
    config = parse(TrainConfig, ["--config", str(tmp_path / "run.toml")], "palaestra train")
    assert (config.task.name, config.steps) == ("countdown", 200)
    assert (config.objective.advantages.scale, config.objective.loss.clip_high) == ("group", 0.25)


def test_the_files_and_pages_that_the_readme_names_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 5
    tree = re.findall(r"^(\w+)/ ", README, re.MULTILINE)
    assert {
        "palaestra",
        "sandbox",
        "verifiers",
        "tasks",
        "trainer",
        "examples",
        "tests",
        "docs",
        "benchmarks",
    } == set(tree)
    for name in [*links, *tree]:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_the_links_of_the_docs_exist(page: Path):
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link
