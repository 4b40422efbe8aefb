"""The preflight: what cannot learn is refused, what can is counted."""

from dataclasses import replace

import pytest
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.reports.loggers import flatten
from palaestra.trainer.runs.preflight import differs_by_form_alone, say_duration, summarise
from palaestra.verifiers import Rubric, Score, answer_tag, number
from palaestra.verifiers.types import error, wrong

from ..support.groups import DEAD, LIVE, SOLVED, make_group


@pytest.mark.parametrize(
    ("groups", "finish", "says"),
    [
        ([DEAD, DEAD], "stop", "No answer was extracted"),
        ([DEAD, DEAD], "length", "cut at the length limit"),
        ([SOLVED, SOLVED], "stop", "passed already"),
        ([["<answer>7654321</answer>"] * 2], "stop", "All rewards are equal, so nothing to learn"),
        (
            [["<answer>7654321</answer>"] * 2, SOLVED],
            "stop",
            "All rewards within every group are equal, so no gradient",
        ),
    ],
)
def test_the_preflight_refuses_what_cannot_learn(groups: list, finish: str, says: str):
    made = [make_group(texts, index, finish) for index, texts in enumerate(groups)]
    assert any(says in fault for fault in summarise(made, 0, 2, 1.0, TrainConfig()).list_faults())


def test_episodes_that_end_by_their_turns_were_not_cut():
    ended, cut = (
        summarise([make_group(LIVE, index, finish) for index in range(2)], 0, 2, 1.0, TrainConfig())
        for finish in ("turns", "tokens")
    )
    assert (ended.ended, ended.list_faults()) == (1.0, [])
    assert "cut at the length limit" in cut.list_faults()[0]


def test_what_an_example_holds_becomes_no_metric():
    group = make_group(LIVE)
    played = [replace(each, state={"points": 10**400}, version=3) for each in group.completions_G]
    line = summarise([replace(group, completions_G=played)], 0, 2, 1.0, TrainConfig()).to_dict()
    assert line["example"] == played[0].text
    assert not any(name.startswith("example") for name in flatten(line))


def test_why_nothing_could_be_scored_is_said():
    broken = Score(
        0.0, False, {"mine": error("mine returned 7."), "other": wrong(reason="no")}, abstained=True
    )
    group = replace(make_group(LIVE), scores_G=[broken] * 2)
    faults = summarise([group], 0, 2, 1.0, TrainConfig()).list_faults()
    assert "No completion could be scored: mine returned 7. Try `palaestra task check`." in faults


def test_equal_rewards_in_a_group_are_no_fault_for_an_algorithm_that_does_not_compare_them():
    groups = [
        make_group(texts, index) for index, texts in enumerate([["<answer>7654321</answer>"] * 2, SOLVED])
    ]
    assert summarise(groups, 0, 2, 1.0, TrainConfig.of(algorithm="ppo")).list_faults() == []
    alike = summarise(groups[:1], 0, 2, 1.0, TrainConfig.of(algorithm="ppo"))
    assert alike.list_faults() == [
        "All rewards are equal, so nothing to learn: warm up with SFT, or choose an easier level."
    ]


def test_the_preflight_lets_pass_what_can_learn_and_counts_it():
    made = [make_group(LIVE, 0), make_group(SOLVED, 1), make_group(DEAD, 2), make_group(LIVE, 3)]
    report = summarise(made, 1, 2, 2.0, TrainConfig.of(steps=3600, prompts_per_step=2))
    assert report.list_faults() == []
    assert (report.histogram, report.signal, report.pass_rate, report.any_passed) == (
        [1, 2, 1],
        0.5,
        0.5,
        0.75,
    )
    assert report.hours == pytest.approx(1.0)
    assert summarise([], 5, 2, 0.0, TrainConfig()).list_faults() == [
        "All 5 prompts are over the budget: raise --max-prompt-tokens. Where the model has "
        "no more positions, lower --max-new-tokens."
    ]


def test_a_duration_is_said_in_its_own_unit():
    assert [say_duration(hours) for hours in (0.004, 0.5, 1.99, 37.25)] == [
        "14 s",
        "30 min",
        "119 min",
        "37.2 h",
    ]


@pytest.mark.parametrize("change", [{"top_p": 1e-6}, {"min_p": 0.99999}, {"top_k": 2}])
def test_a_truncation_that_leaves_one_token_nearly_everywhere_is_no_way_to_learn(change: dict):
    """Whatever the algorithm: PPO learns from equal groups, but from no token that is certain."""

    def look(logprobs: list[float], **settings):
        groups = [make_group(LIVE, 0), make_group(SOLVED, 1)]
        made = [
            replace(group, completions_G=[replace(c, logprobs=logprobs) for c in group.completions_G])
            for group in groups
        ]
        return summarise(made, 0, 2, 1.0, TrainConfig.of(algorithm="ppo", **settings))

    [fault] = look([0.0, 0.0], **change).list_faults()
    assert "raise --top-p or --top-k, or lower --min-p" in fault
    assert look([0.0, -1e-3], **change).certain == 0.5
    assert look([0.0, 0.0]).certain == 0, "a sure model is no matter of the sampling"
    report = replace(look([0.0, -1e-3], **change), certain=0.96)
    assert report.list_faults() == []
    [warning] = report.list_warnings()
    assert warning.startswith("96.0% of the tokens were left with a probability of 1")
    assert replace(report, certain=0.5).list_warnings() == []


def test_a_signal_of_form_alone_is_refused_where_nothing_passed():
    rubric = Rubric(number(), answer_tag(weight=0.1))
    looks, bare = "<answer>7654321</answer>", "The answer is 7654321 <answer></answer>"

    def look(*groups: list[str], finish: str = "stop"):
        made = [make_group(texts, index, finish) for index, texts in enumerate(groups)]
        scored = [
            replace(g, scores_G=[rubric.score(completion, g.problem) for completion in g.completions_G])
            for g in made
        ]
        report = summarise(scored, 0, 2, 1.0, TrainConfig())
        return replace(report, form_alone=differs_by_form_alone(scored, rubric))

    report = look([looks, f"{looks} and more"], [looks, bare])
    assert report.varied
    assert report.pass_rate == 0
    [fault] = report.list_faults()
    assert fault.startswith("No completion passed, and the rewards differ by their form alone")
    assert look([looks, f"{looks} and more"], SOLVED).list_faults() == [], "something passed"
    partial = replace(report, form_alone=False)
    assert partial.list_faults() == [], "of partial credit one can learn"


def test_why_nothing_passed_is_named_with_one_completion():
    hostile = "\x1b[31m I think\n" + "so " * 200 + "the end"
    report = replace(
        summarise([make_group([hostile] * 2)], 0, 2, 1.0, TrainConfig()), ended=0.25, extracted=0.0
    )
    causes = report.list_causes()
    assert causes[0].startswith("75% of the completions were cut at the length limit")
    assert causes[1].startswith("In 100% of the completions there is no answer")
    assert "has no chat template" in causes[2]
    assert "which a base model has never learned" in replace(report, template=True).list_causes()[2]
    shown = causes[-1]
    assert shown.startswith('One completion: "\\x1b[31m I think\\nso so')
    assert shown.endswith('the end".')
    assert " ... " in shown
    assert len(shown) < 400
    assert "all are wrong" in replace(report, ended=1.0, extracted=1.0).list_causes()[0]
    assert replace(report, pass_rate=0.1).list_causes() == []
