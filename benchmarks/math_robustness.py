"""Rewrites that keep the meaning of real references, and fuzzed answers, put to the math verifier.

    python benchmarks/math_robustness.py [--data ../shared/data] [--fuzz 100000] [--seed 0] [--show 20]

Every reference of five published sets is written anew in each way that applies to it (other spacing, unicode,
delimiters, separators, order of answers, ...): all of them have to be accepted. Then answers are made by
cutting, splicing and mutating references: none may raise, abstain, be judged differently when the sides are
exchanged, or take over 0.25 s of CPU time.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from palaestra.verifiers import Status, Verdict, math_equal

ROOT = Path(__file__).parent.parent
CPU_LIMIT_S = 0.25
PIECES = re.compile(r"\\[A-Za-z]+|\\.|\d+|[A-Za-z]+|\s+|.", re.DOTALL)
SOUP = str.split(
    r"\frac \sqrt \binom \left( \right) \pm \le \ne \approx \cup \infty \begin{cases} \end{cases} \\ & { } "
    r"( ) [ ] | ^ _ ! = < , ; : \gcd \sin \log \lfloor \rfloor \text{or} \pmod \int \sum e i \pi "
    r"0 1 9 99 10^{99} x n k % $ ... \% - + * / ' \circ "
    r"\overline{3}"
)


def rows(data: Path, name: str) -> list[dict]:
    text = (data / name).read_text(encoding="utf-8")
    return json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]


@dataclass(frozen=True)
class Reference:
    """A published answer. several: the text lists answers whose order does not count."""

    source: str
    text: str
    several: bool = False


def references(data: Path) -> list[Reference]:
    """The distinct references of each set."""
    found = [
        Reference("gsm8k", row["answer"].rpartition("####")[2].strip())
        for row in rows(data, "gsm8k/test.jsonl")
    ]
    found += [Reference("svamp", f"{row['Answer']:g}") for row in rows(data, "svamp/SVAMP.json")]
    found += [Reference("gsm_hard", str(row["target"])) for row in rows(data, "gsm_hard/gsmhardv2.jsonl")]
    for row in rows(data, "theoremqa/theoremqa_test.json"):
        found.append(Reference("theoremqa", str(row["Answer"])))
    for row in rows(data, "olympiadbench/test.jsonl"):
        found.append(Reference("olympiadbench", row["final_answer"][0].strip(), row["is_multiple_answer"]))
    return list(dict.fromkeys(found))


Rewrite = Callable[[Reference, random.Random], str | None]
_UNICODE = {
    r"\pi": "π", r"\infty": "∞", r"\leq": "≤", r"\geq": "≥", r"\le": "≤", r"\ge": "≥", r"\neq": "≠",
    r"\ne": "≠", r"\cdot": "·", r"\times": "×", r"\cup": "∪", r"\in": "∈", r"\pm": "±", r"\alpha": "α",
    r"\theta": "θ", r"\lambda": "λ",
}  # fmt: skip
_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]


def _bare(text: str) -> str | None:
    """The text without one pair of dollars around it; None where dollars stand elsewhere, too."""
    inner = text[1:-1] if text.startswith("$") and text.endswith("$") and len(text) > 2 else text
    return None if "$" in inner else inner


def _if_other(new: str | None, old: str) -> str | None:
    return new if new is not None and new != old else None


def _map_pieces(text: str, change: Callable[[str], str]) -> str:
    return "".join(change(piece) for piece in PIECES.findall(text))


def respace(ref: Reference, rng: random.Random) -> str | None:
    """Spaces around signs, where LaTeX ignores them."""
    text = _bare(ref.text)
    if (
        text is None
        or "\\text" in text
        or re.search(r"\d[eE][-+]", text)
        or not re.search(r"[-+=<>]", text)
        or not re.search(r"[a-z\\]", text)
    ):
        return None
    return (
        "$"
        + re.sub(
            r"\s*(?<![,(\[{^_=<>])([+=<>]|-)\s*",
            lambda m: rng.choice((" {} ", "{}", "{} ")).format(m[1]),
            text,
        )
        + "$"
    )


def use_dfrac(ref: Reference, rng: random.Random) -> str | None:
    return _if_other(
        re.sub(r"\\d?frac(?![a-z])", lambda _: rng.choice((r"\dfrac", r"\tfrac")), ref.text), ref.text
    )


def use_slash(ref: Reference, _rng: random.Random) -> str | None:
    return _if_other(
        re.sub(r"\\d?frac\{(-?\d+)\}\{(\d+)\}$", r"\1/\2", _bare(ref.text) or ""), _bare(ref.text) or ""
    )


def use_left_right(ref: Reference, _rng: random.Random) -> str | None:
    text = ref.text
    if "\\left" in text:
        return re.sub(r"\\(?:left|right)\s*(?=[()\[\]|])", "", text)
    if text.count("(") != text.count(")") or "(" not in text or "[" in text or "]" in text:
        return None
    return text.replace("(", r"\left(").replace(")", r"\right)")


def use_unicode(ref: Reference, _rng: random.Random) -> str | None:
    text = _bare(ref.text)
    if text is None or "\\begin" in text:
        return None
    return _if_other(_map_pieces(text, lambda piece: _UNICODE.get(piece, piece)).replace("-", "−"), text)


def unicode_roots(ref: Reference, _rng: random.Random) -> str | None:
    return _if_other(re.sub(r"\\sqrt\s*\{(\d+)\}", r"√\1", ref.text), ref.text)


def brace_scripts(ref: Reference, _rng: random.Random) -> str | None:
    return _if_other(re.sub(r"([\^_])\s*(\d|[a-z])(?![\w{])", r"\1{\2}", ref.text), ref.text)


def unbrace_scripts(ref: Reference, _rng: random.Random) -> str | None:
    return _if_other(re.sub(r"(?<=[A-Za-z)])([\^_])\{(\d)\}", r"\1\2", ref.text), ref.text)


def group_thousands(ref: Reference, rng: random.Random) -> str | None:
    separator = rng.choice((",", "{,}", r"\,", r",\!", r"\ ", "~", "\u2009", r"{,}"))
    if not re.fullmatch(r"-?\d{4,}", ref.text):
        return None
    return re.sub(r"(?<=\d)(?=(?:\d{3})+$)", lambda _: separator, ref.text)


def ungroup_thousands(ref: Reference, _rng: random.Random) -> str | None:
    return _if_other(
        ref.text.replace(",", "") if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+", ref.text) else None, ref.text
    )


def add_zeros(ref: Reference, _rng: random.Random) -> str | None:
    if re.fullmatch(r"-?\d+\.\d+", ref.text):
        return ref.text + "0"
    return ref.text + ".0" if re.fullmatch(r"-?\d+", ref.text) else None


def expand_fraction(ref: Reference, rng: random.Random) -> str | None:
    k = rng.randrange(2, 9)
    match = re.fullmatch(r"\$?\\d?frac\{(\d+)\}\{(\d+)\}\$?", ref.text)
    return f"\\frac{{{int(match[1]) * k}}}{{{int(match[2]) * k}}}" if match else None


def as_fraction(ref: Reference, rng: random.Random) -> str | None:
    k = rng.randrange(2, 9)
    return f"{int(ref.text) * k}/{k}" if re.fullmatch(r"-?\d{1,12}", ref.text) else None


def spell_out(ref: Reference, _rng: random.Random) -> str | None:
    return _WORDS[int(ref.text)] if re.fullmatch(r"\d\d?", ref.text) and int(ref.text) < len(_WORDS) else None


def scientific(ref: Reference, _rng: random.Random) -> str | None:
    match = re.fullmatch(r"(-?)([1-9])(\d*?)(0*)", ref.text)
    if match is None or len(ref.text) < 4:
        return None
    digits = match[3] + match[4]
    return rf"{match[1]}{match[2]}.{match[3] or '0'} \times 10^{{{len(digits)}}}"


def delimit(ref: Reference, rng: random.Random) -> str | None:
    text = _bare(ref.text)
    return (
        None
        if text is None
        else rng.choice(("${}$", r"\({}\)", r"\[{}\]", "$${}$$", r"\boxed{{{}}}")).format(text)
    )


def style(ref: Reference, rng: random.Random) -> str | None:
    if re.search(r"[^\d.,/-]", ref.text):
        return None
    return rng.choice(
        (r"\mathbf{{{}}}", r"\text{{{}}}", r"\mathrm{{{}}}", "**{}**", r"\bf {}", r"\textbf{{{}}}")
    ).format(ref.text)


def end_sentence(ref: Reference, rng: random.Random) -> str | None:
    return rng.choice(
        (
            "{}.",
            "The answer is {}.",
            "Answer: {}",
            "the final answer is {}",
            "= {}",
            "Therefore, the answer is {}.",
        )
    ).format(ref.text)


def reorder(ref: Reference, rng: random.Random) -> str | None:
    """Several answers in another order, joined otherwise."""
    text = _bare(ref.text)
    if not ref.several or text is None or re.search(r"[()\[\]{}]", text) or "=" in text:
        return None
    items = [item.strip() for item in text.split(",")]
    if len(items) < 2 or not all(items):
        return None
    rng.shuffle(items)
    return rng.choice(
        (", ".join(items), " and ".join(items), r" \text{ and } ".join(items), rf"\{{{', '.join(items)}\}}")
    )


def commute(ref: Reference, _rng: random.Random) -> str | None:
    """a+b as b+a, for two plain terms."""
    match = re.fullmatch(r"\$?([\w\\{}^ ]+)\+([\w\\{}^ ]+)\$?", ref.text)
    balanced = match and all(part.count("{") == part.count("}") for part in match.groups())
    return f"${match[2].strip()} + {match[1].strip()}$" if match and balanced else None


def name_value(ref: Reference, _rng: random.Random) -> str | None:
    return f"x = {ref.text}" if re.fullmatch(r"-?\d[\d.]*", ref.text) else None


REWRITES: dict[str, Rewrite] = {
    change.__name__: change
    for change in (
        respace, use_dfrac, use_slash, use_left_right, use_unicode, unicode_roots, brace_scripts,
        unbrace_scripts, group_thousands, ungroup_thousands, add_zeros, expand_fraction, as_fraction,
        spell_out, scientific, delimit, style, end_sentence, reorder, commute, name_value,
    )
}  # fmt: skip


@dataclass
class Faults:
    """What fuzzing found: how often, and the first of each kind."""

    counts: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)

    def add(self, kind: str, reference: str, answer: str, note: str = "") -> None:
        self.counts[kind] += 1
        self.shown.append(f"{kind}: {reference!r} <> {answer!r} {note}")


def mutate(text: str, other: str, rng: random.Random) -> str:
    """One to four cuts, doublings, exchanges and insertions."""
    pieces = PIECES.findall(text)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(pieces) + 1)
        match rng.randrange(6):
            case 0:
                del pieces[at : at + rng.randrange(1, 4)]
            case 1:
                pieces[at:at] = pieces[at : at + 3]
            case 2:
                pieces.insert(at, rng.choice(SOUP))
            case 3:
                pieces[at:] = PIECES.findall(other)[at:]
            case 4:
                pieces[at : at + 1] = [rng.choice(SOUP)]
            case _:
                pieces.insert(
                    at, chr(rng.choice((0, 9, 0x200B, 0xB2, 0x661, 0x2212, 0x3C0, 0xD800, 0x1D7D8, 0x202E)))
                )
    return "".join(pieces)


def judge(reference: str, answer: str, faults: Faults) -> Verdict | None:
    start = time.process_time()
    try:
        verdict = math_equal(reference, answer)
    except Exception as failure:  # noqa: BLE001 - counting whatever is raised is what this is for
        faults.add("exception", reference, answer, repr(failure))
        return None
    if time.process_time() - start > CPU_LIMIT_S:
        faults.add("slow", reference, answer, f"{time.process_time() - start:.2f} s")
    if verdict.status in (Status.ERROR, Status.TIMEOUT):
        faults.add("abstention", reference, answer, verdict.reason)
    return verdict


def fuzz(refs: list[Reference], count: int, seed: int) -> Faults:
    faults, rng = Faults(), random.Random(seed)
    for _ in range(count):
        reference = rng.choice(refs).text
        answer = mutate(rng.choice((reference, rng.choice(refs).text)), rng.choice(refs).text, rng)
        forth, back = judge(reference, answer, faults), judge(answer, reference, faults)
        if forth is not None and back is not None and forth.correct != back.correct:
            faults.add("asymmetry", reference, answer, f"{forth.status} and {back.status}")
    return faults


def rewrite(refs: list[Reference], seed: int) -> Iterator[tuple[str, Reference, str, bool]]:
    """Kind, reference, rewritten answer, whether it was accepted."""
    for kind, change in REWRITES.items():
        rng = random.Random(f"{seed}/{kind}")
        for ref in refs:
            new = change(ref, rng)
            if new is not None:
                yield kind, ref, new, math_equal(ref.text, new).correct


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT / ".." / "shared" / "data", help="folder of the published sets"
    )
    parser.add_argument("--fuzz", type=int, default=100_000, help="fuzzed answers (default 100000)")
    parser.add_argument("--seed", type=int, default=0, help="of rewrites and mutations (default 0)")
    parser.add_argument("--show", type=int, default=20, help="failures to print of each part (default 20)")
    args = parser.parse_args()
    refs = references(args.data)
    found = list(rewrite(refs, args.seed))
    print(
        f"{len(refs)} references, {len(found)} rewrites\n\n| rewrite | pairs | accepted |\n| --- | --- | "
        "--- |"
    )
    for kind in REWRITES:
        mine = [accepted for name, _, _, accepted in found if name == kind]
        print(f"| {kind} | {len(mine)} | {sum(mine)} ({sum(mine) / max(len(mine), 1):.1%}) |")
    accepted = sum(fine for *_, fine in found)
    print(f"| all | {len(found)} | {accepted} ({accepted / len(found):.2%}) |\n")
    for kind, ref, new, _ in [row for row in found if not row[3]][: args.show]:
        print(f"  refused, {kind}: {ref.text!r} <> {new!r}")
    faults = fuzz(refs, args.fuzz, args.seed)
    print(f"\n{args.fuzz} fuzzed answers, both ways:", dict(faults.counts) or "no fault")
    for line in faults.shown[: args.show]:
        print(" ", line[:300])


if __name__ == "__main__":
    main()
