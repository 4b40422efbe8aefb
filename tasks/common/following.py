"""Texts that follow instructions, put together instruction by instruction: what stands for a reference where
any text that follows is right.

Each text is held to the checks before it is given away. Where instructions can't be followed together by
these means nothing is: a text that a person would find may be there all the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...verifiers.languages import WORDS
from ..core.errors import NoSolution
from ..core.problem import Problem
from .instructions import CHECKS, Follows

Given = Mapping[str, Any]
# Of languages that have a script to themselves: a word of it.
ALONE = {
    "ko": "한국", "ja": "これは", "zh": "这是", "th": "ไทย", "el": "και", "he": "של", "bn": "এই", "gu": "આ",
    "pa": "ਇਹ", "kn": "ಇದು", "ta": "இது", "te": "ఇది",
}  # fmt: skip


def make_solver(
    checks: Mapping[str, Follows], propose: Callable[[Mapping[str, Given]], Iterator[str]]
) -> Callable[[Problem], str]:
    """A task's `solve`. propose: of the instructions and their arguments the texts to try. Its function
    raises NoSolution where none of them follows all."""

    def solve(problem: Problem) -> str:
        asked = problem.reference
        for text in propose(asked):
            if all(checks[name](text, given) for name, given in asked.items()):
                return text
        raise NoSolution(f"{problem.name}: no text was found that follows {', '.join(asked)} together.")

    return solve


def propose_texts(asked: Mapping[str, Given]) -> Iterator[str]:
    """Texts of as many words of filling as the instructions may leave room for."""
    for filling in (4, 1, 8, 0):
        yield _Draft(asked, filling).write()


class _Draft:
    """A text under construction. asked: the arguments of each instruction, by name."""

    def __init__(self, asked: Mapping[str, Given], filling: int) -> None:
        self.asked, self.filling = asked, filling
        self.words = itertools.cycle(self._choose_words())

    def get(self, name: str, argument: str, default: Any = 0) -> Any:
        """An argument of an instruction; the default where it is not asked for."""
        return self.asked.get(name, {}).get(argument, default)

    def least(self, name: str, argument: str, relation: str = "relation") -> int:
        """A count that has to be reached; 0 where there is none."""
        return self.get(name, argument) if self.get(name, relation) == "at least" else 0

    def _choose_words(self) -> list[str]:
        """Frequent words of the language, without those that the instructions forbid."""
        language = self.get("language:response_language", "language", "en")
        known = WORDS[language].split() if language in WORDS else [ALONE.get(language, "x")]
        avoided = {each.lower() for each in self.get("keywords:forbidden_words", "forbidden_words", [])}
        rare = [
            self.get(name, argument, "")
            for name, argument, relation in (
                ("keywords:frequency", "keyword", "relation"),
                ("keywords:letter_frequency", "letter", "let_relation"),
            )
            if self.get(name, relation) == "less than"
        ]
        kept = [
            word
            for word in known
            if word not in avoided and not any(each.strip().lower() in word for each in rare)
        ]
        return kept or known

    def fill(self, count: int) -> str:
        return " ".join(itertools.islice(self.words, count))

    def write(self) -> str:
        asked, parts = self.asked, self._split()
        mark = "\n***\n" if "length_constraints:number_paragraphs" in asked else "\n\n"
        text = mark.join(parts)
        if "combination:two_responses" in asked:
            text = f"{text}\n******\n{self.fill(3)} {text}"
        if "combination:repeat_prompt" in asked:
            text = f"{asked['combination:repeat_prompt']['prompt_to_repeat'].strip()}\n{text}"
        if marker := self.get("detectable_content:postscript", "postscript_marker", ""):
            text = f"{text}\n{marker} {self.fill(2)}"
        if phrase := self.get("startend:end_checker", "end_phrase", ""):
            text = f"{text}\n{phrase.strip()}"
        if "change_case:english_capital" in asked:
            text = text.upper()
        if "change_case:english_lowercase" in asked:
            text = text.lower()
        if "detectable_format:json_format" in asked:
            quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            text = f'{{"text": "{quoted}"}}'
        return f'"{text}"' if "startend:quotation" in asked else text

    def _split(self) -> list[str]:
        """The paragraphs, the first with all that has no place of its own."""
        nth = "length_constraints:nth_paragraph_first_word"
        count = self.get("length_constraints:number_paragraphs", "num_paragraphs") or self.get(
            nth, "num_paragraphs", 1
        )
        parts = [self._write_core(), *(self.fill(3) for _ in range(count - 1))]
        place = self.get(nth, "nth_paragraph")
        if 1 <= place <= len(parts):
            parts[place - 1] = f"{self.get(nth, 'first_word')} {parts[place - 1]}"
        return parts

    def _write_core(self) -> str:
        words = [self.fill(self.filling), *self.get("keywords:existence", "keywords", [])]
        words += [self.get("keywords:frequency", "keyword", "")] * self.least(
            "keywords:frequency", "frequency"
        )
        letters = self.least("keywords:letter_frequency", "let_frequency", "let_relation")
        words.append(self.get("keywords:letter_frequency", "letter", "") * letters)
        capital = "change_case:capital_word_frequency"
        words += ["OK"] * self.least(capital, "capital_frequency", "capital_relation")
        words += ["[name]"] * self.get("detectable_content:number_placeholders", "num_placeholders")
        highlights = self.get("detectable_format:number_highlighted_sections", "num_highlights")
        words += [f"*{self.fill(1)}*" for _ in range(highlights)]
        words.append(self.fill(self.least("length_constraints:number_words", "num_words")))
        lines = [" ".join(filter(None, words))]
        if "detectable_format:title" in self.asked:
            lines.insert(0, f"<<{self.fill(1)}>>")
        if "detectable_format:constrained_response" in self.asked:
            lines.append("My answer is yes.")
        sentences = self.least("length_constraints:number_sentences", "num_sentences")
        lines += [f"{self.fill(1)}." for _ in range(sentences)]
        bullets = self.get("detectable_format:number_bullet_lists", "num_bullets")
        lines += [f"- {self.fill(1)}" for _ in range(bullets)]
        sections = "detectable_format:multiple_sections"
        splitter = self.get(sections, "section_spliter", "").strip()
        lines += [f"{splitter} {n}\n{self.fill(1)}" for n in range(1, self.get(sections, "num_sections") + 1)]
        return "\n".join(filter(None, lines))


solve_ifeval = make_solver(CHECKS, propose_texts)
