"""What steers a run: preflight, dynamic sampling, curriculum, ledger, tripwires, control arms, shadow rubric."""

import random
from dataclasses import replace

import pytest
from palaestra import tasks
from palaestra.tasks import Problem
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.presets import ObjectiveConfig
from palaestra.trainer.config.train import TrainConfig, WatchConfig
from palaestra.trainer.reports.loggers import flatten, open_loggers
from palaestra.trainer.rollouts.collect import Position, collect, level_of, next_problems
from palaestra.trainer.rollouts.control_arms import control_rewards
from palaestra.trainer.rollouts.group import Group, has_signal
from palaestra.trainer.rollouts.ledger import Item, Ledger
from palaestra.trainer.runs.metrics import measure_rewards, measure_shadow
from palaestra.trainer.runs.preflight import say_duration, summarise
from palaestra.trainer.runs.tripwires import Watch
from palaestra.verifiers import Completion, Rubric, answer_tag, exact, number

TASK = tasks.get("gcd")


def group(texts: list[str], index: int = 0, finish: str = "stop", task=TASK) -> Group:
    problem = task.problem("train", index)
    texts = [text.replace("RIGHT", task.solution(problem)) for text in texts]
    completions = tuple(Completion(text, ids=(1, 2), logprobs=(0.0, 0.0), finish_reason=finish) for text in texts)
    return Group(problem, completions, tuple(task.score(completion, problem) for completion in completions))


LIVE, DEAD, SOLVED = ["RIGHT", "no"], ["no", "no"], ["RIGHT", "RIGHT"]


def test_groups_without_a_signal_are_replaced_within_the_bound():
    source = iter([DEAD, LIVE, SOLVED, DEAD, LIVE, LIVE, LIVE])
    counter = iter(range(100))
    asked = []

    def problems(count: int) -> list[int]:
        asked.append(count)
        return [next(counter) for _ in range(count)]

    config = TrainConfig.of(prompts_per_step=3, resample=2)
    result = collect(lambda numbers: [group(next(source), n) for n in numbers], problems, config)
    assert asked == [3, 2, 1]
    assert (result.tried, len(result.groups)) == (6, 3)
    assert all(has_signal(group, config.objective, 256) for group in result.groups)


def test_a_signal_is_what_the_advantages_see_of_a_group():
    """Equal rewards of unlike length differ under the length penalty; what is cut teaches nothing where it is left out."""
    plain, penalty, cut = ObjectiveConfig(), ObjectiveConfig(overlong_cache=4), ObjectiveConfig(mask_truncated=True)
    longer = group(SOLVED)
    ids = [(1,) * 3, (1,) * 9]
    completions = [replace(c, ids=ids[i]) for i, c in enumerate(longer.completions_G)]
    longer = replace(longer, completions_G=completions)
    assert [has_signal(longer, objective, 10) for objective in (plain, penalty)] == [False, True]
    assert has_signal(longer, penalty, 100) is False, "neither is near the limit"
    live = group(LIVE, finish="length")
    assert [has_signal(live, objective, 10) for objective in (plain, cut)] == [True, False]
    abstained = replace(live, scores_G=[replace(live.scores_G[0], abstained=True), live.scores_G[1]])
    assert has_signal(abstained, plain, 10) is False


def test_what_is_still_missing_after_the_bound_is_filled_up_and_the_bound_is_kept():
    config = TrainConfig.of(prompts_per_step=3, resample=1)
    counter = iter(range(100))
    result = collect(lambda ns: [group(DEAD, n) for n in ns], lambda count: [next(counter) for _ in range(count)], config)
    assert (result.tried, len(result.groups)) == (6, 3)


def test_prompts_over_the_budget_are_counted_and_never_cut():
    position, config = Position(), TrainConfig.of(task="gcd", max_prompt_tokens=3)
    found = next_problems(5, TASK, config, position, Ledger(), lambda problem: int(problem.reference) % 2 == 1)
    assert len(found) == 5
    assert position.refused == position.next - 5 > 0
    with pytest.raises(UserError, match="--max-prompt-tokens"):
        next_problems(5, TASK, config, Position(), Ledger(), lambda problem: False)


def test_the_curriculum_prefers_levels_that_are_neither_always_nor_never_solved():
    ledger = Ledger({f"level {n}": Item([[1, p, 10], [2, p, 10]]) for n, p in ((1, 10), (2, 5), (3, 0))})
    config = TrainConfig.of(curriculum=True)
    drawn = [level_of(TASK, config, ledger, index) for index in range(600)]
    assert drawn.count(2) > 400
    assert min(drawn.count(1), drawn.count(3)) > 10, "no level is given up for ever"
    assert level_of(TASK, TrainConfig(), ledger, 0) is None
    assert level_of(TASK, TrainConfig.of(level=3, curriculum=True), ledger, 0) == 3


def test_the_ledger_keeps_rates_over_time_and_suspects_agreed_answers_to_failed_problems():
    ledger = Ledger()
    wrong = "<answer>1234567</answer>"
    for step in (1, 2):
        ledger.add(step, [group([wrong] * 7 + ["RIGHT" if step == 3 else "no"]), group(["RIGHT"] * 4 + [wrong] * 4, 1)], True)
    suspect, fine = (TASK.problem("train", index).id for index in (0, 1))
    assert ledger.suspects() == [suspect]
    assert ledger.items[fine].visits == [[1, 4, 8], [2, 4, 8]]
    assert ledger.items[fine].recent_rate() == 0.5
    assert Ledger.of(ledger.plain()) == ledger


def test_what_counts_answers_finds_them_in_whatever_order_the_verdicts_stand():
    texts = ["<answer>1234567</answer>"] * 3 + ["no"]
    straight = group(texts, task=replace(TASK, rubric=Rubric(number(), answer_tag(weight=0.1))))
    turned = replace(straight, scores_G=[replace(s, parts=dict(reversed(s.parts.items()))) for s in straight.scores_G])
    assert [*turned.scores_G[0].parts] == [*straight.scores_G[0].parts][::-1]
    for each in (straight, turned):
        ledger = Ledger()
        ledger.add(1, [each], True)
        assert [item.answers for item in ledger.items.values()] == [{"1234567": 3}]
        assert measure_rewards([each], TASK.rubric, TrainConfig())["extracted"] == 0.75
        assert summarise([each], 0, 4, 1.0, TrainConfig()).extracted == 0.75


def test_problems_that_never_come_back_are_kept_by_level():
    ledger = Ledger()
    ledger.add(1, [group(LIVE, 0), group(LIVE, 3), group(DEAD, 1)], False)
    assert {name: item.visits for name, item in ledger.items.items()} == {"level 1": [[1, 2, 4]], "level 2": [[1, 0, 2]]}


HEALTHY = {"step": 1, "tokens": 10.0, "entropy": 0.5, "approx_kl": 0.0, "truncated": 0.0, "extracted": 1.0}


def test_a_tripwire_warns_once_and_stops_after_its_patience():
    watch, config = Watch(), WatchConfig(patience=3)
    assert watch.look(HEALTHY, config) == []
    warnings = [watch.look({**HEALTHY, "step": step, "entropy": 1e-6}, config) for step in (2, 3, 4)]
    assert [len(lines) for lines in warnings] == [1, 0, 0]
    assert "entropy is 1e-06, below 0.0001" in warnings[0][0]
    assert watch.tripped(config) == ["entropy"]
    watch.look(HEALTHY, config)
    assert watch.tripped(config) == []


def test_every_bound_can_be_crossed_and_zero_switches_it_off():
    config = WatchConfig(patience=1, reference_kl_max=0.1, length_growth_max=2.0, logprob_difference_max=0.1)
    bad = {"step": 2, "tokens": 30.0, "entropy": 0.0, "approx_kl": 9.0, "kl_k3": 1.0, "truncated": 1.0, "extracted": 0.0,
           "logprob_difference_max": 1.0}  # fmt: skip
    watch = Watch()
    watch.look(HEALTHY, config)
    assert len(watch.look(bad, config)) == 7
    off = WatchConfig(0, 0, 0, 0, 0, 0, 0)
    watch = Watch()
    watch.look(HEALTHY, off)
    assert watch.look(bad, off) == []


def test_control_arms_change_rewards_and_never_pass_rates():
    task = replace(tasks.get("addition"), rubric=Rubric(number(), answer_tag(weight=0.1)))
    groups = [group(["RIGHT", "<answer>7654321</answer>", "no"] * 20, index, task=task) for index in range(6)]
    truth = [[score.passed for score in g.scores_G] for g in groups]
    for control in ("random", "format", "shuffled", "none"):
        changed = control_rewards(groups, task, control, 0, 0)
        assert [[score.passed for score in g.scores_G] for g in changed] == truth
    coin = [score.reward for g in control_rewards(groups, task, "random", 0, 0) for score in g.scores_G]
    assert set(coin) == {0.0, 1.0}
    assert 0.4 < sum(coin) / len(coin) < 0.6
    assert [score.reward for score in control_rewards(groups, task, "format", 0, 0)[0].scores_G[:3]] == [1.0, 1.0, 0.0]
    shuffled = [score.reward for g in control_rewards(groups, task, "shuffled", 0, 0) for score in g.scores_G[:1]]
    assert max(shuffled) < 1, "a right answer must not be right for another problem's reference"
    with pytest.raises(UserError, match="no criterion on form"):
        control_rewards(groups, replace(task, rubric=Rubric(number())), "format", 0, 0)


def test_the_shadow_rubric_sees_what_the_reward_is_fooled_by():
    lenient = Rubric(exact(), answer_tag(weight=0.0))
    task = replace(TASK, rubric=lenient)
    fooled = group(["RIGHT and more", "RIGHT and more"], task=task)
    seen = measure_shadow([fooled], task, 1.0, 0)["shadow"]
    assert seen == {"reward": 1.0, "shadow_reward": 0.0, "gap": 1.0, "completions": 2}
    own = replace(task, shadow=Rubric(number()))
    assert measure_shadow([fooled], own, 1.0, 0)["shadow"]["gap"] == 0.0
    assert measure_shadow([fooled], task, 0.0, 0) == {}
    many = [group(["RIGHT"] * 10, index, task=task) for index in range(40)]
    share = measure_shadow(many, task, 0.25, 0)["shadow"]["completions"]
    assert 60 < share < 140


@pytest.mark.parametrize(
    ("groups", "finish", "says"),
    [
        ([DEAD, DEAD], "stop", "No answer was extracted"),
        ([DEAD, DEAD], "length", "cut at the length limit"),
        ([SOLVED, SOLVED], "stop", "passed already"),
        ([["<answer>7654321</answer>"] * 2], "stop", "no gradient"),
    ],
)
def test_the_preflight_refuses_what_cannot_learn(groups: list, finish: str, says: str):
    made = [group(texts, index, finish) for index, texts in enumerate(groups)]
    assert any(says in fault for fault in summarise(made, 0, 2, 1.0, TrainConfig()).faults())


def test_the_preflight_lets_pass_what_can_learn_and_counts_it():
    made = [group(LIVE, 0), group(SOLVED, 1), group(DEAD, 2), group(LIVE, 3)]
    report = summarise(made, 1, 2, 2.0, TrainConfig.of(steps=3600, prompts_per_step=2))
    assert report.faults() == []
    assert (report.histogram, report.signal, report.pass_rate, report.any_passed) == ([1, 2, 1], 0.5, 0.5, 0.75)
    assert report.hours == pytest.approx(1.0)
    assert summarise([], 5, 2, 0.0, TrainConfig()).faults() == ["All 5 prompts are over the budget: raise --max-prompt-tokens."]


def test_step_metrics_count_verdicts_dead_groups_and_lengths():
    metrics = measure_rewards([group(LIVE, 0), group(DEAD, 1)], TASK.rubric, TrainConfig())
    assert (metrics["pass_rate"], metrics["dead_groups"], metrics["truncated"], metrics["extracted"]) == (0.25, 0.5, 0.0, 0.25)
    assert metrics["criteria"]["number"] == {"mean": 0.25, "std": pytest.approx(0.433, abs=1e-3),
                                             "statuses": {"correct": 1, "no_answer": 3}}  # fmt: skip
    assert metrics["tokens"] == 2.0


def test_loggers_are_named_and_metrics_are_flattened(tmp_path):
    assert flatten({"a": 1, "b": {"c": 2.5, "d": None}, "e": "text"}) == {"a": 1.0, "b/c": 2.5}
    with pytest.raises(UserError, match="tensorboard, wandb"):
        open_loggers(["tensorbord"], tmp_path, {})


def test_levels_draw_the_same_for_the_same_seed():
    config = TrainConfig.of(curriculum=True, seed=3)
    first = [level_of(TASK, config, Ledger(), index) for index in range(20)]
    random.seed(1)
    assert first == [level_of(TASK, config, Ledger(), index) for index in range(20)]
    assert isinstance(TASK.problem("train", 0, level=1), Problem)


def test_a_duration_is_said_in_its_own_unit():
    assert [say_duration(hours) for hours in (0.004, 0.5, 1.99, 37.25)] == ["14 s", "30 min", "119 min", "37.2 h"]
