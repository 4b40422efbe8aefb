"""How the pages (README.md and docs/) are read by their tests: blocks of code, commands, links, headings.

In a page a block of `python` is run, one of `pycon` must print what it shows, and one with a title is a file
that is written: ```python title="a.py".
In blocks without a language a line that begins with `palaestra` is a command, and is run. A command whose
comment has the word network, GPU or minutes is only parsed, and so is one with a word in capitals, which
stands for something of the reader's. What trains runs small.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
NOT_HERE = re.compile(r"\b(network|GPU|minutes)\b")  # in the comment of a command that is only parsed
STANDS_FOR = re.compile(r"[A-Z][A-Z_]+(?:/[a-z-]+)?(?:\.[a-z]+)?")  # RUN, RUN/model, FILE.jsonl

# Values in the place of a command's own; None takes the flag away.
SMALL: dict[str, dict[str, int | None]] = {
    "train": {
        "sft_steps": 5, "steps": 2, "prompts_per_step": 4, "group_size": 4, "eval_problems": 2,
        "eval_samples": 1, "eval_every": 0, "max_new_tokens": 8, "preflight_problems": 4, "threads": 1,
        "force": True,
    },
    "sft": {"steps": 2, "demonstrations": 20, "eval_problems": 5, "threads": 1},
    "reward-model": {"steps": 2, "threads": 1},
    "eval": {"problems": 4, "max_new_tokens": 8, "threads": 1},
    "resume": {"steps": None},
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A fenced block.  language: the first word behind the fence, title: of a file, line: of the fence."""

    language: str
    title: str
    text: str
    line: int


@dataclass(frozen=True)
class Command:
    """A `palaestra` command.  words: its arguments, comment: what is said behind it, line: of the page.

    output: the file that its standard output goes to (> FILE); "" for none.
    """

    words: Sequence[str]
    comment: str
    line: int
    output: str = ""

    @property
    def runs(self) -> bool:
        """Whether it can be run as it stands, here and in seconds."""
        stands_for = any(STANDS_FOR.fullmatch(word) for word in self.words)
        return not stands_for and not NOT_HERE.search(self.comment)

    def shrink(self) -> list[str]:
        """Its arguments, of a size that takes seconds."""
        words = list(self.words)
        for name, value in SMALL.get(words[0], {}).items():
            flag = f"--{name.replace('_', '-')}"
            if flag in words:
                at = words.index(flag)
                del words[at : at + (1 if value is True else 2)]
            if value is not None:
                words += [flag] if value is True else [flag, str(value)]
        return words

    def __str__(self) -> str:
        return f"line {self.line}: palaestra {shlex.join(self.words)}"


def list_blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in their order, each without its indentation."""
    found: list[Block] = []
    fence, opened, kept = "", Block("", "", "", 0), list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        mark = re.match(r"( *)(`{3,}|~{3,})(.*)", line)
        if not fence and mark:
            title = re.search(r'title="([^"]+)"', mark[3])
            language = mark[3].split()[0] if mark[3].split() else ""
            fence, opened, kept = mark[2], Block(language, title[1] if title else "", "", number), []
            indent = len(mark[1])
        elif fence and line.strip() == fence:
            lines = (each[indent:] if each[:indent].isspace() or not indent else each for each in kept)
            found.append(Block(opened.language, opened.title, "".join(f"{e}\n" for e in lines), opened.line))
            fence = ""
        elif fence:
            kept.append(line)
    return found


def write_files(text: str, folder: Path) -> None:
    """The files that a page shows, and the data that pages speak of as a reader's own: mine.jsonl."""
    rows = [f'{{"question": "What is {n} + 1?", "answer": "{n + 1}"}}\n' for n in range(40)]
    (folder / "mine.jsonl").write_text("".join(rows))
    for block in list_blocks(text):
        if block.title:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text)


def list_commands(block: Block) -> list[Command]:
    """The commands of a block without a language; a backslash at the end of a line goes on with the next."""
    if block.language not in ("", "sh", "console"):
        return []
    found, lines = [], iter(enumerate(block.text.splitlines(), start=block.line + 1))
    for number, line in lines:
        line = line.removeprefix("$ ")
        if not line.startswith("palaestra "):
            continue
        while line.endswith("\\"):
            line = line[:-1] + next(lines)[1].strip()
        words = shlex.split(line, comments=True)
        comment = line.rpartition("#")[2].strip() if len(shlex.split(line)) > len(words) else ""
        if "->" in words:  # a picture of the rooms
            continue
        at = words.index(">") if ">" in words else len(words)
        found.append(Command(words[1:at], comment, number, "".join(words[at + 1 :])))
    return found


def list_inline_commands(text: str) -> list[str]:
    """Commands in the running text and in tables: `palaestra ...` between backticks, outside of blocks."""
    outside = re.sub(r"(?ms)^ *(`{3,}|~{3,}).*?^ *\1 *$", "", text)
    return re.findall(r"`palaestra ([^`]+)`", outside)


def list_links(text: str) -> list[str]:
    """The targets of links and pictures that lead to files here."""
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", link)]


def list_anchors(text: str) -> set[str]:
    """The names by which the headings of a page are linked to."""
    outside = re.sub(r"(?ms)^ *(`{3,}|~{3,}).*?^ *\1 *$", "", text)
    headings = re.findall(r"(?m)^#+ (.+)$", outside)
    return {
        re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "").lower()).strip())
        for heading in headings
    }
