"""What is known of each problem: rates over time, suspect references, levels."""

from dataclasses import asdict, replace

from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.rollouts.ledger import Ledger
from palaestra.trainer.runs.metrics import measure_rewards
from palaestra.trainer.runs.preflight import summarise
from palaestra.verifiers import Rubric, answer_tag, number

from ..support.groups import DEAD, LIVE, TASK, make_group


class Rows:
    """The problems of gcd as those of a data set, which come back."""

    splits, option_defaults = TASK.splits, {}

    def size(self, _split):
        return 100

    def at(self, split, index, seed=0, level=None):
        return TASK.problem(split, index % 100, seed, level)


FINITE = replace(TASK, source=Rows())


def test_the_ledger_keeps_rates_over_time_and_suspects_agreed_answers_to_failed_problems():
    ledger = Ledger()
    wrong = "<answer>1234567</answer>"
    failed, half_solved = make_group([wrong] * 7 + ["no"]), make_group(["RIGHT"] * 4 + [wrong] * 4, 1)
    for step in (1, 2):
        ledger.add(step, [failed, half_solved], FINITE)
    suspect, fine = (TASK.problem("train", index).id for index in (0, 1))
    assert ledger.list_suspects() == [suspect]
    assert ledger.items[fine].visits == [[1, 4, 8], [2, 4, 8]]
    assert ledger.items[fine].compute_recent_rate() == 0.5
    assert Ledger.of(asdict(ledger)) == ledger


def test_what_counts_answers_finds_them_in_whatever_order_the_verdicts_stand():
    texts = ["<answer>1234567</answer>"] * 3 + ["no"]
    straight = make_group(texts, task=replace(TASK, rubric=Rubric(number(), answer_tag(weight=0.1))))
    turned = replace(
        straight, scores_G=[replace(s, parts=dict(reversed(s.parts.items()))) for s in straight.scores_G]
    )
    assert [*turned.scores_G[0].parts] == [*straight.scores_G[0].parts][::-1]
    for each in (straight, turned):
        ledger = Ledger()
        ledger.add(1, [each], FINITE)
        assert [item.answers for item in ledger.items.values()] == [{"1234567": 3}]
        assert measure_rewards([each], TASK, TrainConfig())["extracted"] == 0.75
        assert summarise([each], 0, 4, 1.0, TrainConfig()).extracted == 0.75


def test_problems_that_never_come_back_are_kept_by_level():
    ledger = Ledger()
    ledger.add(1, [make_group(LIVE, 0), make_group(LIVE, 3), make_group(DEAD, 1)], TASK)
    assert {name: item.visits for name, item in ledger.items.items()} == {
        "level 1": [[1, 2, 4]],
        "level 2": [[1, 0, 2]],
    }
