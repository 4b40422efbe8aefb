"""Proofs as lines of text and as a Markdown table, which a page keeps between two marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import UserError
from .proof import Proof

BEGIN, END = "<!-- proofs -->", "<!-- end of proofs -->"
COLUMNS = (
    "task", "problems", "must not pass", "passed", "must pass", "turned down", "verdict p50, p99", "overlap",
    "levels or mutants",
)  # fmt: skip


def write_findings(proof: Proof) -> Iterator[str]:
    """A line for each finding, then the figures."""
    for finding in proof.findings:
        tail = "" if finding.ok else f": {finding.advice}"
        yield f"{'ok    ' if finding.ok else 'FAILED'} {finding.name}{tail}"
    if proof.tallies:
        yield ""
        yield from write_figures(proof)


def write_figures(proof: Proof) -> Iterator[str]:
    """Rates with their 95 % intervals, times, overlaps: a line each."""
    wrong, right = proof.false_positives, proof.false_negatives
    yield f"false positives  {wrong}: {wrong.count} of {wrong.total} completions that must not pass do"
    yield f"false negatives  {right}: {right.count} of {right.total} completions that must pass don't"
    if proof.undecided:
        yield f"undecided        {proof.undecided} that pass may be right: there are several right answers"
    if proof.latency is not None:
        times = proof.latency
        yield f"a verdict takes  {times.p50_ms:.2g} ms (p50), {times.p99_ms:.2g} ms (p99)"
    if proof.stability is not None:
        found = proof.stability
        left_out = f"; not in other processes: {found.left_out}" if found.left_out else ""
        ways = ", ".join(found.ways)
        yield f"judged again     {found.probes} across {ways}, {found.differing} differ{left_out}"
    looked = proof.references
    unknown = f"; of {looked.unknown} no solution is known" if looked.unknown else ""
    yield f"references       {len(looked.unusable)} of {looked.looked_at} unusable{unknown}"
    if proof.mutants is not None:
        yield f"tests            turn down {proof.mutants} of {proof.mutants.total} programs with one slip"
    if proof.levels:
        listed = ", ".join(f"{each.level}: {each.solved}" for each in proof.levels)
        yield f"scripted solver  passes by level {listed}"
    yield from _write_overlap(proof)


def _write_overlap(proof: Proof) -> Iterator[str]:
    within = proof.overlap.held_out
    if within is not None:
        said = _say_shared(within.exact, within.grams)
        yield f"held out         {said} of {within.of} are in the train split"
    for shared in proof.overlap.known:
        if shared.exact or shared.grams:
            said = _say_shared(shared.exact, shared.grams)
            yield f"known sets       {said} of {shared.of} are in {shared.name}"
    looked = [shared.name for shared in proof.overlap.known]
    if looked:
        yield f"known sets       looked at {', '.join(looked)}"
    if proof.overlap.not_here:
        yield f"not looked at    {', '.join(proof.overlap.not_here)}: their data are not here"


def _say_shared(exact: int, grams: int | None) -> str:
    return f"{exact}" if grams is None else f"{exact} by their words, {grams} by 13 words in a row"


def write_table(proofs: Sequence[Proof]) -> list[str]:
    """The lines of a Markdown table with a row for each proof."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(write_row(proof))} |" for proof in proofs]
    return lines


def write_row(proof: Proof) -> list[str]:
    """The cells of a proof's row."""
    if not proof.tallies:
        played = f"{proof.problems}, played" if proof.problems else "not probed"
        why = "data not here" if proof.left_out else played
        return [f"`{proof.task}`", why, *["-"] * (len(COLUMNS) - 2)]
    wrong, right, times = proof.false_positives, proof.false_negatives, proof.latency
    within = proof.overlap.held_out
    overlap = "-" if within is None else str(within.exact)
    if within is not None and within.grams is not None:
        overlap += f", {100 * within.grams / max(1, within.of):.3g} %"
    overlap += "".join(f"; {shared.exact} in {shared.name}" for shared in proof.overlap.known if shared.exact)
    return [
        f"`{proof.task}`",
        str(proof.problems),
        f"{wrong.total:,}",
        str(wrong),
        f"{right.total:,}",
        str(right),
        "-" if times is None else f"{times.p50_ms:.3g}, {times.p99_ms:.3g} ms",
        overlap,
        _write_difficulty(proof),
    ]


def _write_difficulty(proof: Proof) -> str:
    if proof.mutants is not None:
        return f"mutants killed: {100 * proof.mutants.count / max(1, proof.mutants.total):.0f} %"
    if proof.levels:
        return ", ".join(f"{100 * each.solved.count / each.solved.total:.0f}" for each in proof.levels) + " %"
    return "-"


def replace_table(page: Path, lines: Sequence[str]) -> None:
    """Write the table into a page, between the two marks. Raises UserError where they are not there."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    head, begun, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not begun or not ended:
        raise UserError(f"{page} has no lines {BEGIN} and {END}, between which the table goes. Add them.")
    page.write_text(f"{head}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{tail}", encoding="utf-8")
