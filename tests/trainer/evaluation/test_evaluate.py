"""What an evaluation makes of scores."""

from palaestra.tasks import Problem
from palaestra.trainer.evaluation.evaluate import summarise
from palaestra.trainer.rollouts.group import Group
from palaestra.verifiers import Completion, Rubric


def test_numbers_beyond_zero_and_one_are_not_cut_out_of_the_mean():
    def doubled(completions, answer, **kwargs):
        return [
            2.0 if text == reference else -1.0 for text, reference in zip(completions, answer, strict=True)
        ]

    rubric, problem = Rubric(doubled), Problem("p", "42")
    said = [Completion("42"), Completion("41")]
    groups = [Group(problem, said[:1] * 2, [rubric.score(said[0], problem)] * 2)]
    groups += [Group(problem, said[1:] * 2, [rubric.score(said[1], problem)] * 2)]
    found = summarise(groups, samples=2, too_long=0, rubric=rubric, seconds=1.0)
    assert (found.reward, found.reward_interval.value) == (0.5, 0.5)
    assert -1 <= found.reward_interval.low <= 0.5 <= found.reward_interval.high <= 2
    assert found.pass_at[1].value == 0.5
