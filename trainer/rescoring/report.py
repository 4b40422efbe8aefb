"""What a judgement changed, as lines for a person. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...tasks.core.conversation import write_conversation
from ...verifiers import Completion
from ..storage.rows import read_turns

if TYPE_CHECKING:
    from .credit import Credits

SHOWN_EXAMPLES, SHOWN_STEPS, SHOWN_TEXT = 2, 5, 160
SHOWN_LINES, SHOWN_TURNS = 4, 8  # of an episode


def describe(record: Mapping[str, Any], credits: Credits | None) -> str:
    """record: as `Rescored.to_dict` gives it."""
    changes = record["changes"]
    what = f"{record['rubric']}, in its present version" if record["same_rubric"] else record["rubric"]
    lines = [
        f"{record['source']} judged again by {what}: {changes['completions']:,} completions of "
        f"{changes['problems']:,} problems, {changes['equal']:,} judged as before",
        f"  mean reward {_show(changes['reward_before'])} -> {_show(changes['reward_after'])}, "
        f"unscored {changes['open_before']} -> {changes['open_after']}",
    ]
    if changes["pass_rate"]["problems"]:
        lines += [
            f"  pass-rate {_show_points(changes['pass_rate'])}   (95 % interval over problems)",
            "  the earlier judgement against this one: false positives "
            f"{_show_share(changes['false_positive'], 'nothing is wrong by this one')}, false negatives "
            f"{_show_share(changes['false_negative'], 'nothing is right by this one')}",
        ]
    lines += _write_changes(changes["changes"])
    if credits is not None:
        lines += _write_credits(record["groups"], credits)
    lines += [f"  note: {note}" for note in record["notes"]]
    return "\n".join(lines)


def _show(mean: float | None) -> str:
    return "none" if mean is None else f"{mean:.4f}"


def _show_points(difference: Mapping[str, Any]) -> str:
    value, low, high = (100 * difference[name] for name in ("value", "low", "high"))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def _show_share(interval: Mapping[str, Any], none: str) -> str:
    if not interval["problems"]:
        return f"not known ({none})"
    return f"{interval['value']:.2%} [{interval['low']:.2%}, {interval['high']:.2%}]"


def _write_changes(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for change in changes:
        if not change["examples"]:
            continue
        stayed = change["before"] == change["after"]
        what = f"{change['before']} -> {change['after']}" + (" (another reward)" if stayed else "")
        lines.append(f"  {change['count']:,} completion(s) {what}")
        for example in change["examples"][:SHOWN_EXAMPLES]:
            rewards = f"reward {example['reward_before']:g} -> {example['reward_after']:g}"
            lines.append(
                f"    {example['problem']}: {_show_said(example)}   (reference {example['reference']}; "
                f"{rewards}; {example['reason_after']})"
            )
    return lines or ["  no verdict changed"]


def _show_said(example: Mapping[str, Any]) -> str:
    """What was said, on one line; of an episode as a conversation on lines of its own."""
    if example.get("turns"):
        said = Completion(
            example["completion"],
            finish_reason=example["finish_reason"],
            turns=read_turns(example),
            fault=example.get("fault", ""),
        )
        return f"\n{write_conversation(said, lines=SHOWN_LINES, turns=SHOWN_TURNS)}\n  "
    line = " ".join(example["completion"].split())
    return line if len(line) <= SHOWN_TEXT else f"... {line[-SHOWN_TEXT:]}"


def _write_credits(counts: Mapping[str, int], credits: Credits) -> list[str]:
    lines = [
        f"  groups: {counts['all']:,}; {counts['flipped']:,} would have pulled the other way (cosine of "
        f"their advantages below 0), {counts['silenced']:,} lost their signal, {counts['woken']:,} gained "
        f"one, {counts['kept'] + counts['none']:,} go the same way"
    ]
    moved = [step for step in credits.rank_steps() if step.cosine < 1 - 1e-6 or step.silenced or step.woken]
    if moved:
        lines.append("  steps most affected:")
    for step in moved[:SHOWN_STEPS]:
        lines.append(
            f"    step {step.step}: cosine {step.cosine:.3f}, {step.flipped} of {step.groups} groups "
            f"flipped, "
            f"{step.silenced} silenced, {step.woken} woken, {step.sign_flips} completions changed sign"
        )
    return lines
