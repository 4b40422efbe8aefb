"""Instructions that a text follows or not, as IFEval defines them (Zhou et al. 2023, arXiv:2311.07911, table
4): 25 checks, each linear in the length of the text.

A check gets the text and the instruction's own arguments (`kwargs` of a row, without its nulls). Written from
the paper's descriptions. Keywords are texts here, no patterns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ...verifiers import Completion, Criterion, ProblemLike, Rubric, Status, Verdict
from ...verifiers.criteria.checklist import checklist
from ...verifiers.extract import after_thinking
from ...verifiers.languages import find_language, is_in
from ...verifiers.types import correct, no_answer, wrong
from ..core.problem import Problem

Follows = Callable[[str, Mapping[str, Any]], bool]
WORD = re.compile(r"\w+")
SAYING = re.compile(r"[^\W_]")  # a letter or a digit
# A sentence ends at a full stop, a question mark or an exclamation mark before white space; a full stop after
# a single letter or one of the abbreviations ends none.
SENTENCE_END = re.compile(r"(?<![.!?])[.!?]++[\"')\]]*+(?=\s|$)")  # begun once a run, so that it is linear
INSIDE = r"[^\S\n]*+[^\s*][^\n*]*+"  # no way to match it but one, so that it is linear
HIGHLIGHT = re.compile(rf"\*\*{INSIDE}\*\*|\*{INSIDE}\*")
ABBREVIATIONS = {"mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "inc", "jr", "sr"}
ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def compare(count: int, relation: str, bound: int) -> bool:
    """Whether a count is `less than` or `at least` a bound. Raises ValueError for another relation."""
    if relation not in ("less than", "at least"):
        raise ValueError(f"relation {relation!r} is not known; it is 'less than' or 'at least'")
    return count < bound if relation == "less than" else count >= bound


def count_words(text: str) -> int:
    """Runs of letters, digits and underscores."""
    return sum(1 for _ in WORD.finditer(text))


def split_sentences(text: str) -> list[str]:
    """The sentences of a text. What has no end mark at its end is one, too."""
    found, start = [], 0
    for end in SENTENCE_END.finditer(text):
        before = text[max(start, end.start() - 8) : end.start()].rsplit(None, 1)
        last = before[-1].lower() if before else ""
        if end.group()[0] == "." and (last in ABBREVIATIONS or re.fullmatch(r"[a-z]", last)):
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    return [sentence for sentence in [*found, text[start:].strip()] if sentence]


def count_occurrences(text: str, keyword: str) -> int:
    """Of a text in another, capitals or not; those that overlap count once."""
    return text.lower().count(keyword.lower()) if keyword else 0


def _split_whole(text: str, mark: str) -> list[str] | None:
    """What stands between the marks. None where one is empty; the first and the last may be."""
    parts = [part.strip() for part in text.split(mark)]
    inner = parts[1:-1]
    return None if "" in inner else [part for part in parts if part]


def _has_paragraphs(text: str, given: Mapping[str, Any]) -> bool:
    parts = _split_whole(text, "***")
    return parts is not None and len(parts) == given["num_paragraphs"]


def _begins_paragraph(text: str, given: Mapping[str, Any]) -> bool:
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
    place = given["nth_paragraph"]
    if len(paragraphs) != given["num_paragraphs"] or not 1 <= place <= len(paragraphs):
        return False
    first = WORD.search(paragraphs[place - 1])
    return first is not None and first.group().lower() == given["first_word"].lower()


def _has_postscript(text: str, given: Mapping[str, Any]) -> bool:
    letters = given["postscript_marker"].strip().strip(".").split(".")
    if not all(len(letter.strip()) == 1 for letter in letters):
        return given["postscript_marker"].lower() in text.lower()
    marker = r"\.\s?".join(re.escape(letter.strip().lower()) for letter in letters)
    return any(re.match(marker, line.strip()) for line in text.lower().split("\n"))


def count_bullets(text: str) -> int:
    """Lines that begin with `* ` or `-`; `**bold**` begins none."""
    lines = (line.strip() for line in text.split("\n"))
    return sum(line[:1] == "-" or (line[:1] == "*" and line[1:2] not in ("", "*")) for line in lines)


def count_highlights(text: str) -> int:
    """Texts between one or two stars on a line, not empty."""
    return sum(1 for _ in HIGHLIGHT.finditer(text))


def _has_sections(text: str, given: Mapping[str, Any]) -> bool:
    mark = re.escape(given["section_spliter"].strip())
    return sum(1 for _ in re.finditer(rf"{mark}\s?\d+", text)) >= given["num_sections"]


def is_json(text: str) -> bool:
    """Whether the whole text is JSON, in a fence or not."""
    inner = re.sub(r"^```(?:json)?|```$", "", text.strip(), flags=re.IGNORECASE)
    try:
        json.loads(inner)
    except (ValueError, RecursionError):
        return False
    return True


def _has_title(text: str, _given: Mapping[str, Any]) -> bool:
    for line in text.split("\n"):
        begin, end = line.find("<<"), line.rfind(">>")
        if begin >= 0 and line[begin + 2 : max(end, begin)].strip(" <>"):
            return True
    return False


def _gives_two(text: str, _given: Mapping[str, Any]) -> bool:
    parts = _split_whole(text, "******")
    return parts is not None and len(parts) == 2 and parts[0] != parts[1]


def _count_capitals(text: str) -> int:
    return sum(word.isupper() for word in re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text))


def _ends(text: str, given: Mapping[str, Any]) -> bool:
    return text.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())


def _is_quoted(text: str, _given: Mapping[str, Any]) -> bool:
    whole = text.strip()
    return len(whole) > 1 and whole[0] == whole[-1] == '"'


CHECKS: Mapping[str, Follows] = {
    "keywords:existence": lambda text, given: all(
        count_occurrences(text, word) for word in given["keywords"]
    ),
    "keywords:frequency": lambda text, given: compare(
        count_occurrences(text, given["keyword"].strip()), given["relation"], given["frequency"]
    ),
    "keywords:forbidden_words": lambda text, given: (
        not any(
            re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in given["forbidden_words"]
        )
    ),
    "keywords:letter_frequency": lambda text, given: compare(
        text.lower().count(given["letter"].lower()), given["let_relation"], given["let_frequency"]
    ),
    "language:response_language": lambda text, given: is_in(text, given["language"]),
    "length_constraints:number_sentences": lambda text, given: compare(
        len(split_sentences(text)), given["relation"], given["num_sentences"]
    ),
    "length_constraints:number_paragraphs": _has_paragraphs,
    "length_constraints:number_words": lambda text, given: compare(
        count_words(text), given["relation"], given["num_words"]
    ),
    "length_constraints:nth_paragraph_first_word": _begins_paragraph,
    "detectable_content:number_placeholders": lambda text, given: (
        sum(1 for _ in re.finditer(r"\[[^\[\]\n]+\]", text)) >= given["num_placeholders"]
    ),
    "detectable_content:postscript": _has_postscript,
    "detectable_format:number_bullet_lists": lambda text, given: count_bullets(text) == given["num_bullets"],
    "detectable_format:constrained_response": lambda text, _given: any(answer in text for answer in ANSWERS),
    "detectable_format:number_highlighted_sections": lambda text, given: (
        count_highlights(text) >= given["num_highlights"]
    ),
    "detectable_format:multiple_sections": _has_sections,
    "detectable_format:json_format": lambda text, _given: is_json(text),
    "detectable_format:title": _has_title,
    "combination:two_responses": _gives_two,
    "combination:repeat_prompt": lambda text, given: (
        text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())
    ),
    "startend:end_checker": _ends,
    "startend:quotation": _is_quoted,
    "change_case:capital_word_frequency": lambda text, given: compare(
        _count_capitals(text), given["capital_relation"], given["capital_frequency"]
    ),
    # a short text may have no word that tells its language
    "change_case:english_capital": lambda text, _given: text.isupper() and find_language(text) in ("", "en"),
    "change_case:english_lowercase": lambda text, _given: (
        text.islower() and find_language(text) in ("", "en")
    ),
    "punctuation:no_comma": lambda text, _given: "," not in text,
}


def make_rubric(checks: Mapping[str, Follows]) -> Rubric:
    """`passed` where every instruction of a problem is followed (prompt-level, strict); the reward is the
    share of them that are (instruction-level), each with its own pass-rate.

    A problem's reference maps the instructions to their arguments. What follows a think block counts. A text
    without a letter or digit follows nothing: each of no words has what is asked of each word.
    """
    criteria = {name: _make_check(name, follows) for name, follows in checks.items()}
    whole, *parts = checklist(criteria, "instructions")
    return Rubric(replace(whole, free=True), *parts)


def _make_check(name: str, follows: Follows) -> Criterion:
    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        if name not in problem.reference:
            return Verdict(Status.NOT_APPLICABLE, 0.0, None, "The prompt does not ask for it.")
        text = after_thinking(completion.text)
        if text is None or not SAYING.search(text):
            return no_answer("There is no text to judge.")
        followed = follows(text, problem.reference[name])
        return correct() if followed else wrong(reason=f"{name} is not followed.")

    return Criterion(name, check, several=True)


def read_instructions(row: Mapping[str, Any], checks: Mapping[str, Follows]) -> Problem | None:
    """A row with `prompt`, `instruction_id_list` and `kwargs`; None where an instruction has no check.

    Raises ValueError for arguments that no check can read, and for an instruction given twice.
    """
    names, given = row["instruction_id_list"], row["kwargs"]
    if len(set(names)) != len(names) or len(given) != len(names) or not names:
        raise ValueError(f"instructions {names} need a name each, and as many kwargs; there are {len(given)}")
    if not all(name in checks for name in names):
        return None
    reference = {}
    for name, arguments in zip(names, given, strict=True):
        reference[name] = {key: value for key, value in arguments.items() if value is not None}
        try:
            checks[name]("A text.", reference[name])
        except (KeyError, TypeError, AttributeError) as failure:
            raise ValueError(f"the arguments of {name} are not what it needs: {failure!r}") from failure
    return Problem(
        row["prompt"], reference, {"instructions": list(names)}, key=f"{row['key']} {row['prompt']}"
    )
