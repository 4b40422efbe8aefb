"""IFEval and IFBench on rows of our own: each instruction is followed by one text and not by another."""

from pathlib import Path

import palaestra as pal
import pytest
from palaestra import tasks
from palaestra.tasks import DataError, TaskError
from palaestra.tasks.common import instructions, instructions_ifbench
from palaestra.tasks.common.instructions import read_instructions, split_sentences
from palaestra.verifiers.languages import WORDS, find_language, is_in

from ..support.cpu_time import cpu_seconds

ROWS = Path(__file__).parent / "rows"  # each of several instructions
# instruction, its arguments, a text that follows it, one that does not
IFEVAL = [
    ("keywords:existence", {"keywords": ["tide", "quay"]},
     "At the Quay the tide is low.", "The tide is low."),
    ("keywords:frequency", {"keyword": "eel", "frequency": 2, "relation": "at least"},
     "Eel, eel.", "An eel."),
    ("keywords:frequency", {"keyword": "eel", "frequency": 2, "relation": "less than"},
     "An eel.", "Eel, eel."),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "We concatenate.", "A Cat."),
    ("keywords:letter_frequency", {"letter": "z", "let_frequency": 2, "let_relation": "at least"}, "Zz", "z"),
    ("language:response_language", {"language": "fr"},
     "Le pain est dans la cuisine.", "Bread is in the oven."),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"},
     "Dr. Who came. He left!", "Dr. Who came and left."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One.\n***\nTwo.", "One.\n\nTwo."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2},
     "One.\n***\nTwo.\n***\n", "a\n***\n***\nb"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"},
     "Two words.", "Now three words."),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"},
     "One.\n\n\"Then\" two.", "Then.\n\nOne."),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name], [street]", "[name], []"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."},
     "Bye.\n\nP. S. Write!", "The p s of it."),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "P.P.S. More.", "P.S. More."),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n**b**"),
    ("detectable_format:constrained_response", {}, "My answer is maybe.", "My answer is unknown."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2},
     "*one* and **two**", "*one* and **"),
    ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2},
     "SECTION 1\na\nSECTION 2\nb", "SECTION 1\na"),
    ("detectable_format:json_format", {}, "```json\n{\"a\": [1]}\n```", "{a: 1}"),
    ("detectable_format:title", {}, "<<Tides>>\nThey turn.", "<< >>"),
    ("combination:two_responses", {}, "One.\n******\nTwo.", "One.\n******\nOne."),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "Say it. It.", "It. Say it."),
    ("startend:end_checker", {"end_phrase": "The end."}, "So it goes. The End.", "The end. Is it?"),
    ("startend:quotation", {}, '"Yes."', '"Yes.'),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"},
     "NASA and ESA flew.", "NASA flew."),
    ("change_case:english_capital", {}, "THE TIDE IS LOW.", "THE TIDE is LOW."),
    ("change_case:english_lowercase", {}, "the tide is low.", "das ist nicht die flut."),
    ("punctuation:no_comma", {}, "None at all.", "One, at least."),
]  # fmt: skip
IFBENCH = [
    ("count:conjunctions", {"small_n": 2}, "Bread and butter, but no jam.", "Bread and butter and jam."),
    ("count:keywords_multiple", {f"keyword{n}": word for n, word in enumerate("abcde", 1)},
     "a bb ccc ddddd eeeeeee", "a b c d e"),
    ("count:numbers", {"N": 2.0}, "From 1.5 to 20.", "From 1.5 to many."),
    ("count:punctuation", {}, "So. Yes, no! Why? One; two: what?!", "So. Yes, no! Why? One; two: what?"),
    ("count:unique_word_count", {"N": 3.0}, "One two three.", "One two two."),
    ("count:word_count_range", {"min_words": 2.0, "max_words": 3.0}, "Two words.", "Now these are four."),
    ("format:line_indent", {}, "a\n b\n  c", "a\n b\n b"),
    ("format:list", {"sep": "!?"}, "!? a\n!? b", "- a\n- b"),
    ("format:newline", {}, "each\nword", "two words"),
    ("format:no_bullets_bullets", {}, "One. Two.\n* a\n* b", "* a\n* b\nOne. Two."),
    ("format:no_whitespace", {}, "Nothing.", "Some thing."),
    ("format:options", {"options": "yes/no/maybe"}, "Maybe.", "Yes, of course."),
    ("format:parentheses", {}, "([{([x])}])", "([{(x)}]"),
    ("format:sub-bullets", {}, "* a\n - b\n* c\n - d", "* a\n - b\n* c"),
    ("format:title_case", {}, "The Tides of May", "The tides of May"),
    ("ratio:sentence_balance", {}, "So. So? So!", "So. So. So!"),
    ("ratio:sentence_type", {}, "One. Two. Three?", "One. Two?"),
    ("ratio:sentence_words", {}, "Cats nap. Dogs run. Mice hid.", "Cats nap. Dogs nap. Mice hid."),
    ("sentence:alliteration_increment", {}, "One two. Big bad dogs. Six sly seals.", "Big bad. Six sat."),
    ("sentence:increment", {"small_n": 1.0}, "One. One two. One two three.", "One. One two three."),
    ("sentence:keyword", {"N": 2.0, "word": "eel"}, "No. An eel. No.", "An eel. No."),
    ("words:alphabet", {}, "Yes, zebras are big", "Yes, zebras be"),
    ("words:consonants", {}, "First things last", "First a last"),
    ("words:keywords_specific_position", {"keyword": "eel", "n": 2, "m": 3},
     "No. It's an eel.", "No. An eel."),
    ("words:last_first", {}, "We saw rain. Rain fell.", "We saw rain. It fell."),
    ("words:no_consecutive", {}, "Hi there, friend", "Hello, happy friend"),
    ("words:palindrome", {}, "level " * 10, "level " * 9 + "noon"),
    ("words:paragraph_last_first", {}, "Rain is rain.\nSun is sun.", "Rain is wet."),
    ("words:prime_lengths", {}, "We see bears", "We seek bears"),
    ("words:repeats", {"small_n": 2.0}, "No no yes", "No no no"),
    ("words:vowel", {}, "A red pit.", "A red pit of mud."),
    ("words:words_position", {"keyword": "red"}, "A red and a red one", "A red and one red"),
]  # fmt: skip
SETS = {"ifeval": (instructions.CHECKS, IFEVAL), "ifbench": (instructions_ifbench.CHECKS, IFBENCH)}
CASES = [(name, *case) for name, (_, cases) in SETS.items() for case in cases]


@pytest.mark.parametrize(
    ("name", "instruction", "given", "follows", "breaks"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES]
)
def test_each_instruction_is_followed_by_one_text_and_not_by_another(
    name, instruction, given, follows, breaks
):
    check = SETS[name][0][instruction]
    assert check(follows, given)
    assert not check(breaks, given)


def test_every_instruction_is_tried():
    for checks, cases in SETS.values():
        assert {case[0] for case in cases} == set(checks)
    assert len(instructions.CHECKS) == 25


def load(name, path=None):
    task = tasks.get(name, {"data": str(path or ROWS / f"{name}.jsonl")})
    return task, task.problems("test")


RIGHT = [
    "<think>No, commas, here.</think><<Harbour>>\nBoats rock softly while gulls wait.",
    "Brot ist gut und macht satt, denn das Korn ist voll von Kraft.\nGuten Appetit",
    "- The wren\n- The robin, unlike the wren",
]


def test_rows_are_judged_by_all_of_their_instructions():
    task, problems = load("ifeval")
    for problem, text in zip(problems, RIGHT, strict=True):
        assert task.score(text, problem).passed
    score = task.score("Boats, gulls.", problems[0])
    assert (score.passed, score.reward) == (False, pytest.approx(1 / 3))
    assert score.parts["instructions"].reason == "Failed: detectable_format:title, punctuation:no_comma."
    asked = {name for name, part in score.parts.items() if part.status != "not_applicable"}
    assert asked == {"instructions", *problems[0].reference}
    for empty in ("", "<think>open", "<think>a</think> "):
        assert not task.score(empty, problems[2]).passed
    for problem in problems:
        assert task.score(task.solution(problem), problem).passed


@pytest.mark.parametrize(("name", "instruction", "given"), [case[:3] for case in CASES])
def test_a_text_is_found_that_follows_each_instruction(name, instruction, given):
    task = tasks.get(name)
    problem = pal.Problem("Write.", {instruction: given}, id="own/1")
    assert task.score(task.solution(problem), problem).passed


TOGETHER = [
    {"punctuation:no_comma": {},
     "length_constraints:number_words": {"num_words": 300, "relation": "at least"},
     "detectable_format:number_highlighted_sections": {"num_highlights": 3}},
    {"change_case:english_lowercase": {}, "keywords:forbidden_words": {"forbidden_words": ["the", "of"]},
     "detectable_format:title": {}, "startend:quotation": {}},
    {"length_constraints:nth_paragraph_first_word":
        {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "weekend"},
     "detectable_content:postscript": {"postscript_marker": "P.S."},
     "keywords:letter_frequency": {"letter": "q", "let_frequency": 4, "let_relation": "at least"}},
    {"detectable_format:json_format": {}, "keywords:existence": {"keywords": ["tide", "moon"]},
     "detectable_content:number_placeholders": {"num_placeholders": 5}},
    {"language:response_language": {"language": "hi"},
     "length_constraints:number_sentences": {"num_sentences": 4, "relation": "less than"}},
    {"combination:two_responses": {}, "keywords:frequency":
        {"keyword": "the", "frequency": 1, "relation": "less than"}},
    {"change_case:english_capital": {}, "length_constraints:number_paragraphs": {"num_paragraphs": 4},
     "detectable_format:multiple_sections": {"section_spliter": "PART", "num_sections": 3}},
]  # fmt: skip


@pytest.mark.parametrize("asked", TOGETHER, ids=lambda asked: next(iter(asked)))
def test_a_text_is_found_that_follows_several_instructions(asked):
    task = tasks.get("ifeval")
    problem = pal.Problem("Write.", asked, id="own/1")
    assert task.score(task.solution(problem), problem).passed


def test_what_can_not_be_followed_together_has_no_solution():
    asked = {"startend:quotation": {}, "detectable_format:json_format": {}, "keywords:existence":
             {"keywords": ["a"]}, "keywords:forbidden_words": {"forbidden_words": ["a"]}}  # fmt: skip
    with pytest.raises(TaskError, match=r"own/1: no text was found that follows startend:quotation"):
        tasks.get("ifeval").solution(pal.Problem("Write.", asked, id="own/1"))


def test_a_prompt_of_ifbench_with_an_instruction_that_is_not_checked_is_left_out():
    task, problems = load("ifbench")
    assert [problem.metadata["instructions"] for problem in problems] == [
        ["format:newline"], ["words:no_consecutive"],
    ]  # fmt: skip
    assert task.score("spring\nsummer", problems[0]).passed
    assert not task.score("spring summer", problems[0]).passed


def test_arguments_that_can_not_be_read_name_the_row(tmp_path):
    path = tmp_path / "ifeval.jsonl"
    path.write_text(
        '{"key": 1, "prompt": "p", "instruction_id_list": ["length_constraints:number_words"], '
        '"kwargs": [{"num_words": null}]}\n'
    )
    with pytest.raises(DataError, match=r"line 1.*number_words"):
        load("ifeval", path)
    row = {"key": 1, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"] * 2, "kwargs": [{}, {}]}
    with pytest.raises(ValueError, match="a name each"):
        read_instructions(row, instructions.CHECKS)
    with pytest.raises(ValueError, match="relation 'around'"):
        instructions.compare(1, "around", 2)


def test_sentences_end_where_a_person_would_end_them():
    text = 'Mr. Grey paid 3.50 to J. Doe, etc. in May. "Really?" Yes! no end'
    assert split_sentences(text) == [
        "Mr. Grey paid 3.50 to J. Doe, etc. in May.",
        '"Really?"',
        "Yes!",
        "no end",
    ]


def test_highlights_are_on_one_line_and_not_empty():
    texts = ("**a** *b*", "* *b*", "**a*", "** **", "*a\nb*", "*  b *")
    assert [instructions.count_highlights(text) for text in texts] == [2, 1, 1, 0, 0, 1]


@pytest.mark.parametrize("text", ["!", "...", "_ _"])
def test_a_text_without_words_follows_nothing(text):
    for checks, cases in SETS.values():
        for instruction, given, *_ in cases:
            problem = pal.Problem("Write.", {instruction: given})
            score = instructions.make_rubric(checks).score(pal.Completion(text), problem)
            assert not score.reward, instruction


def test_languages_are_told_apart():
    for language, words in WORDS.items():
        assert find_language(" ".join(words.split()[3:12])) == language
    assert [find_language(text) for text in ("これは本です。", "这是一本书", "", "12 + 3")] == [
        "ja",
        "zh",
        "",
        "",
    ]
    with pytest.raises(ValueError, match="language 'xx'"):
        is_in("text", "xx")


@pytest.mark.parametrize(
    "unit",
    ["[", "*", "**", "<<", "a.", "\n", "- ", "((", '"', '{"a":', "p. s", "word ", "1,", ".", '?"', "a"],
)
def test_no_text_makes_a_check_slow(unit):
    text = f"**{unit * (100_000 // len(unit))}x"
    for checks, cases in SETS.values():
        for instruction, given, *_ in cases:
            assert cpu_seconds(lambda: checks[instruction](text, given), enough=1) < 1, instruction  # noqa: B023
