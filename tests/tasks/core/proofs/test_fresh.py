"""Verdicts of other threads and processes are compared, and a problem that is another one there is told."""

from dataclasses import replace

from palaestra import tasks
from palaestra.tasks.core.proofs.fresh import Recipe, ask_process, judge_anew, pick_probes, write_verdict
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
    found = judge_anew(task, chosen, verdicts, Recipe("gcd", {}))
    assert (found.probes, found.differing, found.left_out) == (20, 0, "")
    assert found.ways == ("threads", "processes", "hash seeds")
    alone = judge_anew(task, chosen, verdicts, None)
    assert alone.ways == ("threads",)
    assert alone.left_out != ""


def test_verdicts_that_differ_are_counted_with_an_example():
    task, probes = probe_gcd()
    chosen = pick_probes(probes, 6)
    verdicts = [write_verdict(task.score(probe.text, probe.problem)) for probe in chosen]
    found = judge_anew(task, chosen, ["passed, reward 0.123", *verdicts[1:]], None)
    assert found.differing == 1
    assert chosen[0].problem.id in found.example


def test_another_problem_under_the_same_id_is_told():
    _, probes = probe_gcd()
    other = replace(probes[0], problem=replace(probes[0].problem, prompt="something else"))
    assert ask_process(Recipe("gcd", {}), [other], "1") == ["another problem"]
    answer = ask_process(Recipe("nothing", {}), [other], "1")
    assert isinstance(answer, str)
    assert "There is no task named 'nothing'" in answer
