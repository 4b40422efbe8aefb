"""Several evaluations in one command, and evaluations of what a server samples."""

import json
import shutil
from pathlib import Path

import pytest
from palaestra import tasks
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.evaluation import run
from palaestra.trainer.evaluation.run import evaluate_all, evaluate_model
from palaestra.trainer.evaluation.subjects import Local

from ..support.runs import say_nothing
from ..support.server import answer, drop, fail, serve

GCD = tasks.get("gcd")
SOLUTIONS = {problem.text: GCD.solution(problem) for problem in GCD.problems("test", 8)}


def test_a_table_of_models_by_tasks_with_each_model_loaded_once(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("r7", "r8"):
        shutil.copytree(warm_model, tmp_path / name / "model")
    loaded: list[str] = []
    load = Local.load
    monkeypatch.setattr(Local, "load", lambda config: loaded.append(config.model.source) or load(config))
    said: list[str] = []
    models = [str(tmp_path / name / "model") for name in ("r7", "r8")]
    asked = EvalConfig.of(
        task="addition:1,gcd", model=",".join(models), problems=2, max_new_tokens=4, threads=1,
        device="cpu", out=tmp_path / "out",
    )  # fmt: skip
    suite = evaluate_all(asked, said.append)
    assert loaded == models
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"eval-{task}-2problems-4tokens"
        for task in ("addition-r7-level1", "addition-r8-level1", "gcd-r7", "gcd-r8")
    ]
    header, *lines = str(suite).splitlines()
    assert header.split()[:2] == ["model", "task"]
    assert [line.split()[:3] for line in lines] == [
        ["r7", "addition:1", "2"], ["r7", "gcd", "2"], ["r8", "addition:1", "2"], ["r8", "gcd", "2"],
    ]  # fmt: skip
    assert [text for text in said if "pass@1" in text] == [str(each) for each in suite.runs]


def test_two_models_of_one_name_have_an_evaluation_each(warm_model: Path, tmp_path: Path):
    models = [str(shutil.copytree(warm_model, tmp_path / name / "tiny")) for name in "ab"]
    with (tmp_path / "b/tiny/model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    asked = EvalConfig.of(
        task="gcd", model=",".join(models), problems=2, max_new_tokens=4, threads=1, device="cpu",
        out=tmp_path / "out",
    )  # fmt: skip
    suite = evaluate_all(asked, say_nothing)
    first, second = (json.loads((each.folder / "facts.json").read_text())["identity"] for each in suite.runs)
    assert first["facts"]["model"] != second["facts"]["model"]
    assert [len(each.completions()) for each in suite.runs] == [2, 2]
    assert [line.split()[0] for line in str(suite).splitlines()[1:]] == ["a/tiny", "b/tiny"]


def test_an_evaluation_that_another_process_began_in_between_is_not_mixed_with(
    warm_model: Path, tmp_path: Path
):
    asked = EvalConfig.of(
        task="gcd", model=str(warm_model), problems=2, max_new_tokens=4, threads=1, device="cpu",
        out=tmp_path / "out",
    )  # fmt: skip
    task = tasks.get("gcd")
    first, second = (
        run.prepare(each, task, tmp_path / "out", say_nothing)
        for each in (asked, asked.but(max_new_tokens=5))
    )
    subject = Local.load(asked)
    run.measure(first, subject, say_nothing)
    with pytest.raises(UserError, match="holds another evaluation: max_new_tokens was 4, now 5"):
        run.measure(second, subject, say_nothing)
    assert (tmp_path / "out/completions.jsonl").read_text().count("\n") == 2


def test_every_mistake_is_found_before_a_model_is_loaded(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "load_subject", lambda config: pytest.fail("a model was loaded"))
    asked = EvalConfig.of(task="gcd,addition:9", model=str(warm_model), out=tmp_path / "out")
    with pytest.raises(UserError, match="no level 9"):
        evaluate_all(asked, say_nothing)
    with pytest.raises(UserError, match="This asks for 2 evaluations"):
        evaluate_model(asked, say=say_nothing)
    assert not (tmp_path / "out").exists()


def solve_some(body: dict) -> dict:
    """A right answer for every other problem."""
    text = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    [solution] = [solution for prompt, solution in SOLUTIONS.items() if prompt in text]
    return answer(body, solution if list(SOLUTIONS.values()).index(solution) % 2 else "no idea")


def ask_server(url: str, folder: Path, **settings):
    asked = EvalConfig.of(
        task="gcd", model="tiny", endpoint=url, problems=8, temperature=1.0, samples=2, retries=40,
        out=folder, **settings,
    )  # fmt: skip
    return evaluate_model(asked, say=say_nothing)


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_server_is_evaluated_and_says_what_it_is(tmp_path: Path, api: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET", "sk-very-secret")
    monkeypatch.setattr("palaestra.trainer.engines.endpoint.FIRST_DELAY_S", 0.001)
    with serve(reply=solve_some, faults=[drop, None, fail]) as there:
        found = ask_server(there.url, tmp_path / "eval", api=api, key_variable="SECRET")
        expected = sum(solve_some({"prompt": p})["choices"][0]["text"] != "no idea" for p in SOLUTIONS) / 8
        assert found.result.pass_at[1].value == pytest.approx(expected)
        sent = len(there.bodies)
        assert ask_server(there.url, tmp_path / "eval", api=api).result.pass_at == found.result.pass_at
        assert len(there.bodies) == sent, "nothing was to be asked again"
    summary = json.loads((tmp_path / "eval/summary.json").read_text())
    assert summary["endpoint"]["model"] == ["tiny-of-today"]
    assert summary["endpoint"]["owned_by"] == "tests"
    assert summary["breakdown"]["completion_tokens"] == 16 * 7
    assert summary["settings"]["endpoint"]["url"] == there.url
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 3
    assert not any("sk-very" in text for text in written)


def test_an_evaluation_of_a_server_that_went_away_goes_on(tmp_path: Path):
    left = [9]

    def tire(body: dict):
        left[0] -= 1
        return solve_some(body) if left[0] >= 0 else (403, {"error": {"message": "no more"}})

    with serve(reply=tire) as there:
        with pytest.raises(UserError, match="no more"):
            ask_server(there.url, tmp_path / "eval", concurrency=1)
        assert (tmp_path / "eval/completions.jsonl").read_text().count("\n") == 9
        left[0] = 7
        found = ask_server(there.url, tmp_path / "eval")
        assert left[0] == 0, "the other seven were to be asked, no more"
    assert found.result.problems == 8


def test_what_an_endpoint_has_no_part_in_is_refused(tmp_path: Path):
    asked = EvalConfig.of(task="gcd", model="tiny", endpoint="http://a/v1", out=tmp_path / "e")
    for settings, says in (
        ({"reward_model": "a/b"}, "--reward-model needs the model's own tokenizer"),
        ({"model": ""}, "Say which model"),
    ):
        with pytest.raises(UserError, match=says):
            evaluate_model(asked.but(**settings), say=say_nothing)
    assert not (tmp_path / "e").exists()
