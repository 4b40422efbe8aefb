"""A reward of one's own: a plain function in a rubric.

Here it is the share of a list that was written in its order.

    python examples/own_reward.py
    palaestra train --task ./examples/own_reward.py

The function gets a completion and a problem and returns a number from 0 to 1, a bool, or a Verdict that says
why. What it raises on a completion counts against the completion; what it raises on any is an error, and
the run stops. It runs in the trainer's process, on text that nobody vouches for: no `eval`, no search that
can take long.
"""

import random

import palaestra as pal


def share_in_order(completion: pal.Completion, problem: pal.Problem) -> float:
    """How much of the wanted list stands at the beginning of the completion, in [0, 1]."""
    wanted, written = problem.reference.split(), completion.text.split()
    right = 0
    while right < min(len(wanted), len(written)) and wanted[right] == written[right]:
        right += 1
    return right / len(wanted)


@pal.task(
    "count_up",
    rubric=pal.Rubric(share_in_order),
    solve=lambda problem: problem.reference,
    instruction="",  # the prompt says it all
)
def count_up(rng: random.Random, level: int) -> pal.Problem:  # noqa: ARG001 - one level only
    """Four numbers from a given one on."""
    first = rng.randrange(1, 997)
    return pal.Problem(f"{first}:", reference=" ".join(map(str, range(first, first + 4))))


def main(out: str = "auto", steps: int = 30) -> None:
    """SFT makes the model guess; the reward then says which guesses are better, half right ones too."""
    run = pal.train(
        task=__file__, out=out, steps=steps, sft_steps=100, max_new_tokens=16, eval_problems=50,
        eval_samples=2, learning_rate=1e-3, threads=1,
    )  # fmt: skip
    print(run)


if __name__ == "__main__":
    main()
