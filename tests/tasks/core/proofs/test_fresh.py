"""Verdicts of other threads and processes are compared, and a problem that is another one there is told."""

import json
from dataclasses import replace

from palaestra import tasks
from palaestra.tasks.core.proofs.fresh import Elsewhere, Judge, Recipe, judge_anew, pick_probes, write_verdict
from palaestra.tasks.core.proofs.probes import draw, make_cases, make_probes


def probe_gcd():
    task = tasks.get("gcd")
    return task, [probe for case in make_cases(task, draw(task, "train", 4)) for probe in make_probes(case)]


def test_a_sound_task_gives_the_same_everywhere():
    task, probes = probe_gcd()
    chosen = pick_probes(probes, 20)
    assert len(chosen) == 20
    assert max(len(probe.text) for probe in chosen) <= 20_000
    verdicts = [write_verdict(task.score(probe.text, probe.problem)) for probe in chosen]
    with Elsewhere() as elsewhere:
        found = judge_anew(task, chosen, verdicts, Recipe("gcd", {}), elsewhere)
    assert (found.probes, found.differing, found.left_out) == (20, 0, "")
    assert found.ways == ("threads", "processes", "hash seeds")
    alone = judge_anew(task, chosen, verdicts, None, Elsewhere())
    assert alone.ways == ("threads",)
    assert alone.left_out != ""


def test_verdicts_that_differ_are_counted_with_an_example():
    task, probes = probe_gcd()
    chosen = pick_probes(probes, 6)
    verdicts = [write_verdict(task.score(probe.text, probe.problem)) for probe in chosen]
    found = judge_anew(task, chosen, ["passed, reward 0.123", *verdicts[1:]], None, Elsewhere())
    assert found.differing == 1
    assert chosen[0].problem.id in found.example


def test_another_problem_under_the_same_id_is_told():
    _, probes = probe_gcd()
    other = replace(probes[0], problem=replace(probes[0].problem, prompt="something else"))
    with Elsewhere() as elsewhere:
        assert {str(found) for _, found in elsewhere.ask(Recipe("gcd", {}), [other])} == {
            "['another problem']"
        }
        judge = elsewhere.judges[0]
        first = judge.process
        answer = elsewhere.ask(Recipe("nothing", {}), [other])[0][1]
        assert isinstance(answer, str)
        assert "There is no task named 'nothing'" in answer
        assert elsewhere.ask(Recipe("gcd", {}), [probes[0]])[0][1] != ["another problem"]  # by a new process
        assert judge.process is not first


def test_a_process_that_says_nothing_is_given_up(tmp_path):
    judge = Judge("1")
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(1000)\n")
    answer = judge.ask(json.dumps({"name": str(slow), "options": {}, "items": []}), timeout_s=3.0)
    assert answer == "Another process took too long."
    assert judge.process is None
