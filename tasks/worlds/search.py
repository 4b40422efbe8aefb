"""Answer a question by searching a small corpus: the answer stands in one of its documents, found by names.

Each level takes a longer chain of documents, each of which names the next one, in a larger corpus. People,
firms and towns are invented, so that nothing helps but to search. The corpus is an SQLite table with a
full-text index (FTS5), ranked by BM25.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ...verifiers.types import Unavailable
from ..common.games import Game, read_action
from ..core.episode import EpisodeLimits
from ..core.problem import Problem
from ..core.task import task

HOPS = (1, 2, 3, 4)  # documents to read; by level
PEOPLE = (12, 20, 30, 40)
TURNS = 12
SHOWN = 3  # documents that a search shows
MOST_WORDS = 8  # of a query
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstv" for vowel in "aeio"]


@dataclass(frozen=True, slots=True)
class Link:
    """What a document says of its subject. kind: of what is named.  says, asks: with {} for the subject, and
    {named} in the first."""

    kind: str
    says: str
    asks: str


LINKS: Mapping[str, Sequence[Link]] = {
    "person": (
        Link("firm", "{} works for {named}.", "the firm that employs {}"),
        Link("town", "{} grew up in {named}.", "the town where {} grew up"),
        Link("person", "{} learnt the trade from {named}.", "the teacher of {}"),
    ),
    "firm": (
        Link("town", "{} has its seat in {named}.", "the town where {} has its seat"),
        Link("person", "{} was founded by {named}.", "the founder of {}"),
    ),
    "town": (
        Link("person", "The mayor of {} is {named}.", "the mayor of {}"),
        Link("firm", "Most people in {} depend on {named}.", "the firm that most people in {} depend on"),
    ),
}


def draw_names(rng: random.Random, count: int) -> list[str]:
    """Different invented names."""
    names: dict[str, None] = {}
    while len(names) < count:
        names.setdefault("".join(rng.choices(SYLLABLES, k=rng.choice((3, 4)))).capitalize())
    return list(names)


@dataclass(frozen=True, slots=True)
class Corpus:
    """kinds: by name.  named: by name, what each of the links of its kind names.  texts: one a name."""

    kinds: Mapping[str, str]
    named: Mapping[str, Sequence[str]]
    texts: Sequence[str]


def draw_corpus(seed: int, people: int) -> Corpus:
    """The documents, one of each person, firm and town, in an order drawn; the same for the same seed."""
    rng = random.Random(seed)
    counts = {"person": people, "firm": people // 2, "town": people // 2}
    names = draw_names(rng, sum(counts.values()))
    by_kind: dict[str, list[str]] = {}
    for kind, count in counts.items():
        by_kind[kind], names = names[:count], names[count:]
    kinds = {name: kind for kind, own in by_kind.items() for name in own}
    named = {
        name: [rng.choice([each for each in by_kind[link.kind] if each != name]) for link in LINKS[kind]]
        for name, kind in kinds.items()
    }
    texts = [
        " ".join(
            link.says.format(name, named=other)
            for link, other in zip(LINKS[kinds[name]], others, strict=True)
        )
        for name, others in named.items()
    ]
    rng.shuffle(texts)
    return Corpus(kinds, named, texts)


class Search(Game):
    """A corpus that is searched by words, and a question that one answer ends."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(TURNS)
        self.right: str = problem.reference["answer"]
        self.texts = draw_corpus(problem.reference["seed"], problem.reference["people"]).texts

    def answer(self, said: str) -> str:
        verb, _, rest = read_action(said).partition(" ")
        words = re.findall(r"[a-z]+", rest.lower())[:MOST_WORDS]
        match verb.lower().rstrip(":"):
            case "search" if words:
                found = find_documents(self.texts, words)
                return "\n".join(found) if found else f"Nothing was found. {self.left}"
            case "answer" if words:
                right = words == [self.right.lower()]
                return self.end("The answer is right.", 1.0) if right else self.end("The answer is wrong.")
        return f"Say `search` and some words, or `answer` and one name. {self.left}"


def find_documents(texts: Sequence[str], words: Sequence[str]) -> list[str]:
    """The documents that hold any of the words, best first by BM25.

    The index is made anew, which takes a millisecond or two: an SQLite connection belongs to one thread.
    Raises Unavailable where SQLite was built without FTS5.
    """
    query = " OR ".join(f'"{word}"' for word in words)
    with closing(sqlite3.connect(":memory:")) as index:
        try:
            index.execute("CREATE VIRTUAL TABLE documents USING fts5(text)")
        except sqlite3.OperationalError as failure:
            raise Unavailable(f"This Python's SQLite has no full-text index (FTS5): {failure}") from failure
        index.executemany("INSERT INTO documents VALUES (?)", [(text,) for text in texts])
        rows = index.execute(
            "SELECT text FROM documents WHERE documents MATCH ? ORDER BY rank, rowid LIMIT ?", (query, SHOWN)
        )
        return [text for (text,) in rows]


def look_up(problem: Problem) -> Generator[str, str, None]:
    """Search each name of the chain, then answer with the last one."""
    *subjects, last = problem.reference["chain"]
    for subject in subjects:
        yield f"search {subject}"
    yield f"answer {last}"


@task(
    "search",
    rubric=Rubric(reached()),
    levels=len(HOPS),
    kind="knowledge",
    episode=Search,
    player=look_up,
    limits=EpisodeLimits(turns=TURNS, tokens_per_turn=64),
    licence="Apache-2.0",
)
def search(rng: random.Random, level: int) -> Iterator[Problem]:
    """Answer a question by searching a small corpus; chains of one to four documents."""
    people, seed = PEOPLE[level - 1], rng.getrandbits(32)
    corpus = draw_corpus(seed, people)
    while True:
        chain = [rng.choice(list(corpus.kinds))]
        asked = chain[0]
        for _ in range(HOPS[level - 1]):
            links = LINKS[corpus.kinds[chain[-1]]]
            place = rng.randrange(len(links))
            asked = links[place].asks.format(asked)
            chain.append(corpus.named[chain[-1]][place])
        if len(set(chain)) == len(chain):
            break
    yield Problem(
        prompt=f"Which name is that of {asked}? Search the documents: say `search` and some words, one "
        f"search a turn; I show {SHOWN} documents at most. When you know, say `answer` and the name. "
        f"You have {TURNS} turns.",
        reference={"seed": seed, "people": people, "chain": chain, "answer": chain[-1]},
    )
