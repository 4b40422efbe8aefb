"""What a page holds, from folders; what is no run, and what is broken, is a sentence."""

import json
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.evaluation.compare import compare_measured
from palaestra.trainer.evaluation.comparison import judge, write_comparison
from palaestra.trainer.evaluation.measured import Measured, Question, Row
from palaestra.trainer.pages.gather import find_difference, gather, name_runs, refresh
from palaestra.trainer.pages.measures import describe_comparison
from palaestra.verifiers import Turn

from ..support.run_folders import make_comparison, make_evaluated, make_row, make_run


def test_a_run(tmp_path):
    head = gather([make_run(tmp_path / "run")]).to_head()
    [run] = head["runs"]
    assert (head["kind"], head["title"], run["kind"]) == ("run", "run", "train")
    assert [answer["verdict"] for answer in run["answers"]] == ["yes", "yes", "yes"]
    assert len(run["axes"]["step"]) == 20
    assert run["evaluations"][1]["values"]["sampled pass@1"] == [0.8, 0.72, 0.88]
    assert run["evaluations"][1]["at"]["step"] == 20
    assert [item["name"] for item in run["heat"]][:3] == ["made/train/0", "made/train/1", "made/train/2"]
    assert run["heat"][0]["visits"] == [[5, 1, 4], [10, 2, 4], [15, 3, 4], [20, 4, 4]]
    assert "palaestra train --config" in run["repeat"]
    json.dumps(head, allow_nan=False)


def test_two_runs_are_compared_where_they_can_be(tmp_path):
    one, two = make_run(tmp_path / "one"), make_run(tmp_path / "two", learns=False)
    head = gather([one, two]).to_head()
    assert [answer["verdict"] for answer in head["answers"]] == ["no"]
    config = json.loads((two / "config.json").read_text())
    (two / "config.json").write_text(json.dumps({**config, "task": {"name": "other"}}))
    assert "name is 'made'" in gather([one, two]).to_head()["answers"][0]["headline"]
    runs = gather([one, two]).runs
    assert find_difference(runs[0], runs[0]) == ""
    for group, change in (("task", {"verify": "./lenient.py:r"}), ("prompt", {"system": "Be brief."})):
        changed = {**config, group: {**config.get(group, {}), **change}}
        (two / "config.json").write_text(json.dumps(changed))
        [answer] = gather([one, two]).to_head()["answers"]
        assert (answer["verdict"], *change) == ("unsure", answer["headline"].split(": ")[1].split()[0])


def test_an_evaluation_and_a_comparison(tmp_path):
    first, second = make_evaluated(tmp_path / "first"), make_evaluated(tmp_path / "second")
    head = gather([first]).to_head()
    assert head["kind"] == "evaluation"
    assert "pass@1 is 50.0 %" in head["runs"][0]["answers"][0]["headline"]
    record = make_comparison(tmp_path / "both", first, second)
    for path in (record, record / "comparison.json"):
        compared = gather([path])
        said = compared.to_head()
        assert (said["kind"], len(compared.table)) == ("comparison", 24)
        assert "Yes: pass@1 +25.0 points" in said["answers"][0]["headline"]
        assert said["comparison"]["flips"][0]["second"]["text"] == "it is 3"


@pytest.mark.parametrize("wins", [5, 6, 7])
@pytest.mark.parametrize("others", [1, 8])
def test_a_page_decides_as_the_terminal_does(wins, others):
    """Five of twenty won has an interval above 0, and p 0.06; beside seven other pairs six have p 0.25."""

    def make(name, passes):
        rows = {f"p{i}": [Row(0, "x", float(i < passes), i < passes, False)] for i in range(20)}
        return Measured(name, rows, {key: Question("q", "1") for key in rows})

    found = compare_measured([make("A", 0), *(make(f"B{n}", wins) for n in range(others))])
    said = judge(found.pairs[0])
    headline = describe_comparison(found.to_dict())[0]["headline"]
    assert headline.startswith("Yes") == said.startswith("better")
    assert headline.startswith("Can't tell") == said.startswith("no difference was shown")


def test_a_comparison_made_elsewhere_finds_its_evaluations(tmp_path):
    make_evaluated(tmp_path / "first")
    record = make_comparison(tmp_path / "both", Path("first"), Path("gone"))
    page = gather([record])
    assert [run.folder for run in page.runs] == [tmp_path / "first"]
    assert page.to_head()["title"] == "first and gone"


def test_a_comparison_of_a_runs_held_out_evaluations(tmp_path):
    """They have facts and completions, and no settings of their own."""
    sides = [make_evaluated(tmp_path / "run/held_out" / f"step-{step:06d}") for step in (0, 10)]
    for side in sides:
        (side / "config.json").unlink()
        (side / "facts.json").write_text(json.dumps({"command": "held-out", "step": 0}))
    page = gather([make_comparison(tmp_path / "both", *sides)])
    assert len(page.table) == 24
    head = page.to_head()
    assert [run["repeat"] for run in head["runs"]] == ["", ""]
    assert "pass@1 is 50.0 %" in head["runs"][0]["answers"][0]["headline"]
    (sides[1] / "facts.json").write_text(json.dumps({"command": "rescore"}))
    (sides[1] / "summary.json").unlink()
    assert gather(sides[1:]).to_head()["runs"][0]["answers"] == []


def test_a_comparison_whose_evaluations_are_gone(tmp_path):
    record = make_comparison(tmp_path / "both", tmp_path / "gone", tmp_path / "lost")
    page = gather([record])
    assert (len(page.table), page.runs) == (0, [])
    assert page.to_head()["answers"][0]["verdict"] == "yes"


def test_an_evaluation_that_has_not_ended(tmp_path):
    folder = make_evaluated(tmp_path / "eval")
    (folder / "summary.json").unlink()
    [answer] = gather([folder]).to_head()["runs"][0]["answers"]
    assert "has not ended" in answer["headline"]


def test_a_live_run_takes_in_what_was_written(tmp_path):
    run = make_run(tmp_path / "run", steps=12, end="")
    page = gather([run])
    with (run / "rollouts.jsonl").open("a") as file:
        file.write(json.dumps(make_row(13, 3, 0, passed=True)) + "\n")
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"kind": "step", "step": 13, "reward": 1.0, "tokens": 2.0}) + "\n")
    later = refresh(page)
    assert len(later.table) == 12 * 8 + 1
    assert later.runs[0].series.axes["step"][-1] == 13


def test_damage_is_shown_and_harms_nothing_else(tmp_path):
    run = make_run(tmp_path / "run")
    for name in ("metrics.jsonl", "rollouts.jsonl"):
        lines = (run / name).read_text().splitlines()
        lines[3] = lines[3][:20]
        (run / name).write_text("\n".join([*lines, "null", ""]))
    [shown] = gather([run]).to_head()["runs"]
    assert shown["damaged"] == [
        "rollouts.jsonl, line 4", "rollouts.jsonl, line 161",
        "metrics.jsonl, line 4", "metrics.jsonl, line 23",
    ]  # fmt: skip
    assert len(shown["axes"]["step"]) == 19


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(
            (name, '{"suspects": [], "problems": {"a": {"vis')
            for name in ("ledger.json", "end.json", "report.json")
        ),
        ("ledger.json", '{"problems": {"a": 3}}'),
        ("ledger.json", '{"problems": {"a": {"visits": [[1, "x", 2]]}}}'),
    ],
)
def test_a_file_that_a_page_can_do_without_may_be_damaged(tmp_path, name, content):
    run = make_run(tmp_path / "run")
    (run / name).write_text(content)
    [shown] = gather([run]).to_head()["runs"]
    assert shown["heat"]
    assert shown["damaged"] == [name]


def test_what_is_no_run_is_a_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no run"):
        gather([tmp_path / "empty"])
    with pytest.raises(UserError, match="There is no folder"):
        gather([tmp_path / "nowhere"])
    run = make_run(tmp_path / "run")
    with pytest.raises(UserError, match="named twice"):
        gather([run, run])
    with pytest.raises(UserError, match="not both"):
        gather([run, make_evaluated(tmp_path / "eval")])


def test_names_tell_folders_apart(tmp_path):
    folders = [tmp_path / "one" / "run", tmp_path / "two" / "run"]
    for folder in folders:
        folder.mkdir(parents=True)
    assert name_runs(folders) == ["one/run", "two/run"]
    assert name_runs(folders[:1]) == ["run"]


def test_an_episode_that_flipped_is_a_conversation_on_the_page(tmp_path):
    said = (Turn("policy", "50", reward=0.5), Turn("world", "lower"), Turn("policy", "25"))

    def make(name, passes):
        rows = {"p": [Row(0, "50\n25", passes, passes == 1, False, turns=said)]}
        return Measured(name, rows, {"p": Question("q", "1")})

    record = write_comparison(compare_measured([make("A", 0.0), make("B", 1.0)]), str(tmp_path / "both"))
    [flip] = gather([record]).to_head()["comparison"]["flips"]
    for side in ("first", "second"):
        assert [turn["text"] for turn in flip[side]["turns"]] == ["50", "lower", "25"]
        assert flip[side]["turns"][0]["reward"] == 0.5
