"""What the summary of an evaluation and the record of a comparison say, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..evaluation.comparison import decide, show_p
from ..intervals import Estimate, Interval
from .answers import MISREAD, Answer, show


def answer_evaluation(summary: Mapping[str, Any]) -> list[Answer]:
    """What was found, and whether the number can be trusted."""
    if not summary:
        text = (
            "The evaluation has not ended: no summary was written. The same `palaestra eval` goes on with it."
        )
        return [Answer("What was found?", "unsure", text)]
    rates = {f"pass@{k}": Estimate(**each) for k, each in summary.get("pass_at", {}).items()}
    majority = summary.get("breakdown", {}).get("majority", {})
    rates_of_votes = {f"maj@{k}": Interval(**each) for k, each in majority.items()}
    reward = Interval(**summary["reward_interval"])
    headline = f"pass@1 is {show(rates['pass@1'])}" if "pass@1" in rates else f"The mean reward is {reward}"
    details = [
        f"{name}: {show(each)}" for name, each in {**rates, **rates_of_votes}.items() if name != "pass@1"
    ]
    details.append(f"Mean reward {reward}, mean length {summary['tokens']:.0f} tokens.")
    return [
        Answer(
            "What was found?",
            "note",
            f"{headline} on {summary['problems']} problems, {summary['samples']} completion(s) each.",
            details,
        ),
        _answer_trust(summary),
    ]


def _answer_trust(summary: Mapping[str, Any]) -> Answer:
    signs = []
    if summary["extracted"] < 1 - MISREAD:
        signs.append(f"No answer could be read in {1 - summary['extracted']:.1%} of the completions.")
    if summary["truncated"] > MISREAD:
        signs.append(f"{summary['truncated']:.1%} were cut at the limit of tokens.")
    if summary["abstained"] > 0:
        signs.append(
            f"{summary['abstained']:.1%} could not be scored; they count neither as right nor as wrong."
        )
    if summary["too_long"]:
        signs.append(f"{summary['too_long']} prompts were too long and count as not passed.")
    if summary.get("extraction") == "lenient":
        signs.append("Answers were read leniently: not to be set beside a strict rate.")
    calm = (
        f"Answers read in {summary['extracted']:.1%}, cut {summary['truncated']:.1%}, unscorable "
        f"{summary['abstained']:.1%}."
    )
    if signs:
        return Answer("Can it be trusted?", "unsure", f"With care: {signs[0]}", signs[1:])
    return Answer("Can it be trusted?", "yes", "Nothing speaks against it.", [calm])


def describe_comparison(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An answer for each pair of a comparison's record, by its pass@1, as `palaestra compare` decides it: by
    p as it counts when all pairs are looked at."""
    return [asdict(_describe_pair(pair, len(record["pairs"]))) for pair in record.get("pairs", [])]


def _describe_pair(pair: Mapping[str, Any], pairs: int) -> Answer:
    estimate = pair["estimates"][0]
    difference = estimate["difference"]
    corrected = estimate.get("corrected", estimate["p_value"])
    question = f"Is {pair['second']} better than {pair['first']}?"
    if not difference["problems"]:
        return Answer(question, "unsure", "Can't tell: no problem was scored by both.")
    verdict, words = {
        "better": ("yes", "Yes"), "worse": ("no", "No, worse"), "not shown": ("unsure", "Can't tell"),
    }[decide(difference["value"], corrected)]  # fmt: skip
    value, low, high = (100 * difference[end] for end in ("value", "low", "high"))
    gained = sum(flip["gained"] for flip in pair["flips"])
    lost = len(pair["flips"]) - gained
    test = "exact McNemar" if estimate["mcnemar"] else "exact, by flipped signs"
    several = f"; {show_p(corrected)} as it counts beside the other pairs (Holm)" if pairs > 1 else ""
    return Answer(
        question,
        verdict,
        f"{words}: pass@{estimate['k']} {value:+.1f} points [{low:+.1f}, {high:+.1f}], paired.",
        [
            f"p = {show_p(estimate['p_value'])} ({test}){several}.",
            f"{gained} problems were gained, {lost} lost, of {difference['problems']}.",
            *pair.get("notes", []),
        ],
    )
