"""Where an evaluation is kept: never over another one, and gone on with where it stopped."""

import errno
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import palaestra as pal
import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.core.task import REGISTERED
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.engines import choice
from palaestra.trainer.engines.base import Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.evaluation.journal import Journal
from palaestra.trainer.evaluation.run import evaluate_model
from palaestra.trainer.evaluation.summary import EvaluationRun
from palaestra.verifiers.types import Unavailable, Verdict, correct

from ..support.runs import make_listening_engine, say_nothing

TWO = EvalConfig.of(
    task="addition", option=("operands=2", "digits=1"), problems=2, max_new_tokens=4, device="cpu", threads=1
)
MAIN = "import sys; from palaestra.trainer.cli.main import main; sys.exit(main())"
SAMPLED = TWO.but(problems=5, samples=4, temperature=1.0, max_new_tokens=16)


def measure(config: EvalConfig, **settings) -> EvaluationRun:
    return evaluate_model(config.but(**settings), say=say_nothing)


def read_summary(folder: Path) -> dict:
    """Without what another time of day changes."""
    summary = json.loads((folder / "summary.json").read_text())
    del summary["seconds"], summary["settings"]["output"]
    return summary


def read_rows(folder: Path) -> list[dict]:
    """Without seconds, in the order of the problems."""
    rows = [json.loads(line) for line in (folder / "completions.jsonl").read_text().splitlines()]
    for row in rows:
        del row["seconds"]
        for verdict in row["verdicts"].values():
            del verdict["seconds"]
    return sorted(rows, key=lambda row: (row["id"], row["sample"]))


def count_samples(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by the number of completions that each call of an engine is asked for."""
    counts: list[int] = []

    class Counting(LocalEngine):
        def sample(self, requests, sampling, finished=None):
            counts.append(sum(request.samples for request in requests))
            return super().sample(requests, sampling, finished)

    monkeypatch.setattr(choice, "LocalEngine", Counting)
    return counts


def stop_after(monkeypatch: pytest.MonkeyPatch, rows: int, failure: BaseException) -> None:
    """Let the writing of the next row but `rows` fail, half of it written."""
    write, written = Journal.write, list[int]()

    def failing(journal, problem, sample, answer, *rest):
        if len(written) == rows:
            os.write(journal.descriptor, b'{"sample": 0, "id": "addi')
            raise failure
        written.append(sample)
        write(journal, problem, sample, answer, *rest)

    monkeypatch.setattr(Journal, "write", failing)


def test_the_evaluations_of_two_runs_lie_side_by_side(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("r7", "r8"):
        shutil.copytree(warm_model, tmp_path / name / "model")
    shutil.copytree(warm_model, tmp_path / "r8/checkpoints/step-000004")
    asked = ["r7/model", "r8/model", "r8/checkpoints/step-000004"]
    folders = [measure(TWO, model=model).folder for model in asked]
    assert [folder.name.partition("-operands2-digits1-2problems-4tokens-20")[0] for folder in folders] == [
        "eval-addition-r7", "eval-addition-r8", "eval-addition-r8-step-000004",
    ]  # fmt: skip
    assert [read_summary(folder)["model"] for folder in folders] == asked
    assert all((folder / "completions.jsonl").read_text().count("\n") == 2 for folder in folders)


def test_the_same_evaluation_is_not_done_twice(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    counts = count_samples(monkeypatch)
    first = measure(TWO, model=warm_model)
    written = read_summary(first.folder)
    second = measure(TWO, model=warm_model)
    assert (second.folder, counts) == (first.folder, [2])
    assert read_summary(first.folder) == written
    assert second.result.pass_at == first.result.pass_at


def test_a_folder_that_holds_something_is_refused_and_left_as_it_is(warm_model: Path, tmp_path: Path):
    (tmp_path / "r9").mkdir()
    (tmp_path / "r9/config.json").write_text("a run's")
    with pytest.raises(UserError, match=r"r9 is not empty and holds no evaluation .* Give another --out\."):
        measure(TWO, model=warm_model, out=tmp_path / "r9")
    assert (tmp_path / "r9/config.json").read_text() == "a run's"
    assert [path.name for path in (tmp_path / "r9").iterdir()] == ["config.json"]
    with pytest.raises(UserError, match="is a file, not a folder"):
        measure(TWO, model=warm_model, out=tmp_path / "r9/config.json")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "./nowhere"}, "no model folder"),
        ({"level": 99}, "no level 99"),
        ({"model": ""}, "which model"),
    ],
)
def test_a_mistake_is_found_before_a_folder_is_made(
    warm_model: Path, tmp_path: Path, change: dict, says: str
):
    with pytest.raises(UserError, match=says):
        measure(TWO, **{"model": str(warm_model), "out": str(tmp_path / "new"), **change})
    assert not (tmp_path / "new").exists()


def test_an_evaluation_is_drawn_as_its_settings_say(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Sampling] = []
    monkeypatch.setattr(choice, "LocalEngine", make_listening_engine(asked))
    settings = {"temperature": 0.7, "top_k": 9, "top_p": 0.9, "min_p": 0.05, "stop": ("x",)}
    measure(TWO, model=warm_model, out=tmp_path / "new", **settings)
    assert asked == [Sampling(**settings, max_new_tokens=4)]


@pytest.mark.parametrize("mode", [{}, {"samples": 1, "temperature": 0.0}], ids=["sampled", "greedy"])
@pytest.mark.parametrize(
    ("failure", "rows"),
    [(KeyboardInterrupt(), 3), (OSError(errno.ENOSPC, "full"), 0)],
    ids=["ctrl-c", "disk"],
)
def test_an_evaluation_that_stopped_goes_on_row_by_row_to_the_same_result(
    warm_model: Path, tmp_path: Path, mode: dict, failure: BaseException, rows: int
):
    asked = SAMPLED.but(model=warm_model, rows=8, **mode)
    whole = measure(asked, out=tmp_path / "whole")
    total = 5 * asked.sampling.samples
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, rows, failure)
        with pytest.raises(type(failure)):
            measure(asked, out=tmp_path / "parts")
    kept = (tmp_path / "parts/completions.jsonl").read_bytes()
    assert kept.count(b"\n") == rows
    assert not kept.endswith(b"\n"), "the last line was to be torn"
    with pytest.MonkeyPatch.context() as patch:
        counts = count_samples(patch)
        parts = measure(asked, out=tmp_path / "parts")
    assert sum(counts) == total - rows, "nothing was to be sampled twice"
    assert (tmp_path / "parts/completions.jsonl").read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert read_rows(parts.folder) == read_rows(whole.folder)
    assert read_summary(parts.folder) == read_summary(whole.folder)
    assert parts.breakdown == whole.breakdown


@pytest.mark.slow
def test_an_evaluation_that_was_killed_goes_on(warm_model: Path, tmp_path: Path):
    flags = [
        *("--task", "addition", "--option", "operands=2", "--model", str(warm_model), "--problems", "200"),
        *("--samples", "2", "--temperature", "1", "--max-new-tokens", "32", "--rows", "4", "--threads", "1"),
    ]
    command = [sys.executable, "-c", MAIN, "eval", *flags]
    started = subprocess.Popen([*command, "--out", str(tmp_path / "parts")])
    rows = tmp_path / "parts/completions.jsonl"
    while not rows.is_file() or rows.read_bytes().count(b"\n") < 20:
        assert started.poll() is None, "it was to be killed before its end"
        time.sleep(0.01)
    started.kill()
    started.wait()
    there = rows.read_bytes().count(b"\n")
    assert 20 <= there < 400
    for name in ("parts", "whole"):
        subprocess.run([*command, "--out", str(tmp_path / name)], check=True)
    assert read_rows(tmp_path / "parts") == read_rows(tmp_path / "whole")
    assert read_summary(tmp_path / "parts") == read_summary(tmp_path / "whole")


def test_samples_and_problems_may_grow_and_what_is_there_is_kept(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = SAMPLED.but(model=warm_model)
    whole = measure(asked, out=tmp_path / "whole")
    counts = count_samples(monkeypatch)
    for step in ({"samples": 2, "problems": 3}, {"problems": 4, "samples": 2}, {}):
        grown = measure(asked, out=tmp_path / "grown", **step)
    assert counts == [6, 2, 12]
    assert read_rows(grown.folder) == read_rows(whole.folder)
    assert read_summary(grown.folder) == read_summary(whole.folder)
    assert json.loads((grown.folder / "config.json").read_text())["sampling"]["samples"] == 4
    with pytest.raises(UserError, match="it has 4 samples, now 1 are asked"):
        measure(asked, out=grown.folder, samples=1)


def write_task(folder: Path, instruction: str) -> Path:
    """A file with a task of one's own."""
    path = folder / "plus_one.py"
    path.write_text(
        "import palaestra as pal\n"
        f"@pal.task('plus_one', rubric=pal.Rubric(pal.criteria.number()), instruction='{instruction}')\n"
        "def plus_one(rng, level):\n"
        "    n = rng.randrange(1000)\n"
        "    yield pal.Problem(f'{n}+1=', str(n + 1))\n"
    )
    return path


def write_judged(folder: Path, value: float) -> Path:
    """A file with a task, and beside it the module that its reward calls."""
    (folder / "own_helpers.py").write_text(f"def rate(text):\n    return {value}\n")
    sys.modules.pop("own_helpers", None)
    importlib.invalidate_caches()
    path = folder / "judged.py"
    path.write_text(
        "import palaestra as pal\n"
        "from own_helpers import rate\n"
        "def reward(completion, problem):\n"
        "    return rate(completion.text)\n"
        "@pal.task('judged', rubric=pal.Rubric(reward))\n"
        "def judged(rng, level):\n"
        "    n = rng.randrange(1000)\n"
        "    yield pal.Problem(f'{n}+1=', str(n + 1))\n"
    )
    return path


def test_a_reward_that_changed_in_a_module_that_it_imports_is_another_evaluation(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "own_helpers", None)  # as it was, afterwards: not there
    monkeypatch.delitem(sys.modules, "own_helpers")
    asked = TWO.but(
        task=write_judged(tmp_path, 0.25), option=(), model=warm_model, problems=2, out=tmp_path / "eval"
    )
    assert measure(asked).result.reward == 0.25
    write_judged(tmp_path, 0.25)
    assert measure(asked).result.reward == 0.25
    write_judged(tmp_path, 0.75)
    with pytest.raises(UserError, match="holds another evaluation: the rubric, its parameters, or the code"):
        measure(asked)


@pytest.mark.usefixtures("forget_tasks")
def test_a_reward_in_memory_that_changed_is_another_evaluation(warm_model: Path, tmp_path: Path):
    asked = TWO.but(task="cells", option=(), model=warm_model, problems=2, out=tmp_path / "eval")
    rows = [{"question": f"{n}+1?", "answer": n + 1} for n in range(40)]
    for value in (0.25, 0.25, 0.75):
        REGISTERED.pop("cells", None)
        pal.dataset_task("cells", data=rows, verify=lambda completion, problem, value=value: value)
        if value == 0.25:
            assert measure(asked).result.reward == 0.25
            continue
        with pytest.raises(UserError, match="holds another evaluation: the rubric"):
            measure(asked)


def touch_weights(model: Path) -> None:
    with (model / "model.safetensors").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        last = file.read(4)
        file.seek(-4, os.SEEK_END)
        file.write(bytes([last[0] ^ 1, *last[1:]]))


@pytest.mark.parametrize(
    ("change", "settings", "says"),
    [
        (lambda model, task: None, {"temperature": 0.5}, r"temperature was 1\.0, now 0\.5"),
        (lambda model, task: None, {"seed": 1}, "seed was 0, now 1; the problems, their references"),
        (lambda model, task: None, {"problems": 1}, "it has 3 problems, now 1 are asked"),
        (lambda model, task: None, {"extraction": "lenient"}, 'extraction was "strict", now "lenient"'),
        (lambda model, task: touch_weights(model), {}, "the model .* changed"),
        (lambda model, task: write_task(task.parent, "Be brief."), {}, "the task's code changed"),
    ],
    ids=["setting", "seed", "fewer", "extraction", "weights", "code"],
)
def test_another_evaluation_in_the_folder_is_refused_with_what_differs(
    warm_model: Path, tmp_path: Path, change: Callable[[Path, Path], None], settings: dict, says: str
):
    model = shutil.copytree(warm_model, tmp_path / "model")
    task = write_task(tmp_path, "")
    asked = SAMPLED.but(task=task, option=(), model=model, problems=3, out=tmp_path / "eval")
    measure(asked)
    before = {path: path.read_bytes() for path in (tmp_path / "eval").rglob("*") if path.is_file()}
    change(model, task)
    with pytest.raises(UserError, match=f"holds another evaluation: .*{says}"):
        measure(asked, **settings)
    assert before == {path: path.read_bytes() for path in (tmp_path / "eval").rglob("*") if path.is_file()}


def test_a_model_in_memory_is_told_by_its_weights(warm_model: Path, tmp_path: Path):
    from palaestra.trainer.model.policy import load_policy

    policy = load_policy(str(warm_model), "cpu")
    asked = TWO.but(out=tmp_path / "eval")
    evaluate_model(asked, policy, say_nothing)
    assert evaluate_model(asked, policy, say_nothing).result.problems == 2
    next(policy.model.parameters()).data[0, 0] += 1
    with pytest.raises(UserError, match=r"the model .* changed"):
        evaluate_model(asked, policy, say_nothing)


def test_two_processes_do_not_write_one_evaluation(warm_model: Path, tmp_path: Path):
    asked = TWO.but(model=warm_model, out=tmp_path / "eval")
    measure(asked)
    with (
        Journal.open(tmp_path / "eval/completions.jsonl"),
        pytest.raises(UserError, match="Another process is writing this evaluation"),
    ):
        measure(asked)
    assert measure(asked).result.problems == 2


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda row: row.pop("verdicts"), "it has no 'verdicts'"),
        (lambda row: row.update(id="addition/test/none"), "of no problem and sample"),
        (lambda row: row.update(sample=1), "of no problem and sample"),
        (lambda row: row.update(tokens=-4), "its 'tokens' is no whole number from 0"),
        (lambda row: row.update(reward=0.125), "its verdicts do not make up its reward"),
        (lambda row: row.update(sample=0, id="ID"), "its completion is there already"),
    ],
    ids=["no verdicts", "another problem", "another sample", "tokens", "reward", "twice"],
)
def test_a_row_that_was_broken_by_hand_is_named(
    warm_model: Path, tmp_path: Path, damage: Callable[[dict], object], says: str
):
    asked = TWO.but(model=warm_model, out=tmp_path / "eval")
    whole = read_rows(measure(asked).folder)
    path = tmp_path / "eval/completions.jsonl"
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    damage(second)
    if second["id"] == "ID":
        second["id"] = first["id"]
    path.write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n")
    with pytest.raises(UserError, match=f"line 2 is damaged.*{says}.*Remove that line"):
        measure(asked)
    path.write_text(f"{json.dumps(first)}\n")
    assert read_rows(measure(asked).folder) == whole


def test_what_could_not_be_scored_is_scored_again_and_not_sampled_again(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    down = [True]

    def judge(completion: pal.Completion, problem: pal.Problem) -> Verdict:
        if down[0] and problem.reference % 2:
            raise Unavailable("The judge is down.")
        return correct("x")

    rows = [{"question": f"{n}+1?", "answer": n + 1} for n in range(200)]
    pal.dataset_task("judged", data=rows, verify=pal.Criterion("judge", judge))
    asked = TWO.but(task="judged", option=(), model=warm_model, problems=8, out=tmp_path / "eval")
    counts = count_samples(monkeypatch)
    try:
        first = measure(asked)
        assert 0 < first.result.abstained < 1
        before = [(row["completion"], row["rendered_prompt"]) for row in first.completions()]
        assert measure(asked).result.abstained == first.result.abstained
        down[0] = False
        said: list[str] = []
        again = evaluate_model(asked, say=said.append)
        assert (again.result.abstained, again.result.pass_at[1].value) == (0.0, 1.0)
        assert f"{round(8 * first.result.abstained)} are scored now" in " ".join(said)
        assert counts == [8]
        assert [(row["completion"], row["rendered_prompt"]) for row in again.completions()] == before
        assert not any(row["abstained"] for row in read_rows(again.folder))
        assert measure(asked).result.pass_at[1].value == 1.0
    finally:
        REGISTERED.pop("judged")


def test_scores_are_replaced_under_one_lock(tmp_path: Path):
    path = tmp_path / "completions.jsonl"
    with Journal.open(path) as journal:
        journal.replace_scores([], {})
        with pytest.raises(UserError, match="Another process is writing"):
            Journal.open(path)
    with Journal.open(path):
        pass


def test_the_summary_holds_all_that_the_number_depends_on(warm_model: Path, tmp_path: Path):
    found = measure(SAMPLED, model=warm_model, out=tmp_path / "eval")
    summary = json.loads((tmp_path / "eval/summary.json").read_text())
    assert summary["settings"]["sampling"]["temperature"] == 1.0
    assert {"palaestra", "torch"} <= summary["packages"].keys()
    hashes = summary["hashes"]
    assert all(
        len(hashes[name]) == 64 for name in ("problems", "prompts", "verifiers", "model", "task_source")
    )
    assert (hashes["device"], hashes["dtype"]) == ("cpu", "float32")
    parts = summary["breakdown"]
    assert parts["criteria"].keys() == {"number", "answer_tag"}
    assert parts["completion_tokens"] == sum(row["tokens"] for row in read_rows(found.folder))
    assert parts["extracted"]["value"] == pytest.approx(summary["extracted"])
    assert parts["criteria"]["number"]["value"] == pytest.approx(summary["pass_at"]["1"]["value"])
    assert parts["extracted"]["low"] <= parts["extracted"]["value"] <= parts["extracted"]["high"]
