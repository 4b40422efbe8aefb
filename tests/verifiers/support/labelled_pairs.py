"""The labelled pairs under `math/pairs/`, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "math" / "pairs"
OUTSIDE = (
    Path(__file__).parent.parent / "math" / "outside"
)  # sets whose authors had not seen the code, not all decided as labelled


@dataclass(frozen=True)
class Pair:
    kind: str
    reference: str
    answer: str
    equal: bool
    why: str

    @property
    def id(self) -> str:
        return f"{self.kind}: {self.reference} {'=' if self.equal else '!='} {self.answer}"


def load(*names: str) -> list[Pair]:
    """Pairs of the named files; of all but the blind ones without a name."""
    paths = [FOLDER / f"{name}.pairs" for name in names] or sorted(FOLDER.glob("*.pairs"))
    return [pair for path in paths for pair in _read(path)]


def load_outside(name: str) -> list[Pair]:
    """A set from outside; `why` is "disputable" where its author was not sure of the label."""
    return _read(OUTSIDE / f"{name}.pairs")


def _read(path: Path) -> list[Pair]:
    pairs, kind, why = [], "", ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("@ "):
            kind, _, why = (part.strip() for part in line[2:].partition("|"))
            continue
        if line[:2] not in ("= ", "! ") or " <> " not in line:
            raise ValueError(f"{path.name}, line {number}: no labelled pair: {line!r}")
        body, _, special = line[2:].partition(" ;; ")
        reference, _, answer = body.partition(" <> ")
        pairs.append(Pair(kind, reference, answer, line[0] == "=", special or why))
    return pairs
