"""Multiple choice: by letter, by text, and what names no option."""

import pytest
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Rubric, Status
from palaestra.verifiers.criteria.choice import choice, find_options, read_choice

CITIES = ["Rome", "Paris", "Berlin", "New York"]


def judge(answer, reference="B", metadata=None, lenient=False, **settings):
    criterion = choice(**settings)
    rubric = Rubric(criterion).lenient() if lenient else Rubric(criterion)
    text = answer if lenient else f"<think>or A</think><answer>{answer}</answer>"
    problem = Problem("p", reference, {"choices": CITIES} if metadata is None else metadata)
    return rubric.score(Completion(text), problem).parts["choice"]


RIGHT = [
    "B", "b", "(B)", "B.", "B)", "[B]", "**B**", "$B$", "\\text{B}", "\\textbf{(B)}", " B \n", "B. Paris",
    "(B) Paris", "B: Paris", "B) Paris.", "B - Paris", "Paris", "paris", "**Paris**", "Answer: B", "Option B",
    "The answer is B", "The correct answer is (B) Paris.", "the answer is Paris", "final answer: B",
    "Option (B)", "Choice B.", '"B"', "`B`",
]  # fmt: skip
OTHERS = [
    "A", "C. Berlin", "Rome", "B. Rome", "(B) Rome", "B or A", "A, B", "A B", "B, C", "either B or C", "",
    "Par", "Paris or Rome", "Bee", "E", "BB", "(B)(A)", "not B", "B. Paris or Rome", "not Paris",
    "The answer is not B", "A or B. Paris", "B" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("answer", RIGHT)
def test_the_right_option_in_its_usual_forms(answer):
    verdict = judge(answer)
    assert (verdict.status, verdict.answer) == (Status.CORRECT, "B")


@pytest.mark.parametrize("answer", [each for each in RIGHT if "aris" not in each])
def test_letters_need_no_texts(answer):
    assert judge(answer, metadata={}).correct
    assert judge(answer, metadata={}, options=4).correct


@pytest.mark.parametrize("answer", OTHERS)
def test_what_is_not_the_right_option_alone_earns_nothing(answer):
    verdict = judge(answer)
    assert verdict.value == 0
    assert verdict.status is not Status.ERROR


@pytest.mark.parametrize("answer", ["B. Paris or C", "B, A", "B or A", "(B) (C)", "E"])
def test_without_texts_a_second_letter_is_a_hedge(answer):
    assert not judge(answer, metadata={}, options=4).correct


@pytest.mark.parametrize(
    ("reference", "metadata"),
    [
        (1, {"choices": CITIES}),
        ("B", {"options": CITIES}),
        ("Paris", {"endings": CITIES}),
        ("(B)", {"choices": ["A) Rome", "B) Paris", "C) Berlin"]}),
        ("B", {"choices": {"text": CITIES, "label": list("ABCD")}}),
        ("B", {"choices": dict(zip("ABCD", CITIES, strict=True))}),
        (
            "B",
            {"choices": [{"label": label, "text": text} for label, text in zip("ABCD", CITIES, strict=True)]},
        ),
    ],
)
def test_references_and_options_as_data_sets_have_them(reference, metadata):
    assert judge("(B) Paris", reference, metadata).correct
    assert judge("Paris", reference, metadata).correct
    assert not judge("C", reference, metadata).correct


def test_labels_may_be_digits():
    arc = {"choices": {"text": ["2", "3", "4", "5"], "label": ["1", "2", "3", "4"]}}
    assert judge("2", "2", arc).correct
    assert judge("5", "4", arc).correct  # by its text, which is no label
    assert not judge("3", "2", arc).correct  # the label of another


def test_a_text_of_two_options_names_none():
    assert judge("same", "A", {"choices": ["same", "same", "other"]}).status is Status.NO_ANSWER
    assert judge("A", "A", {"choices": ["same", "same", "other"]}).correct


@pytest.mark.parametrize("reference", ["Z", 7, -1, True, None, 1.0, "London", "1"])
def test_a_reference_that_names_no_option_is_an_error(reference):
    verdict = judge("B", reference)
    assert verdict.status is Status.ERROR
    assert "names none of the options A, B, C, D; give a letter" in verdict.reason


def test_the_form_is_strict_and_an_evaluation_may_be_lenient():
    bare = Rubric(choice()).score(Completion("The answer is B."), Problem("p", "B", {"choices": CITIES}))
    assert bare.parts["choice"].status is Status.NO_ANSWER
    for text in (
        "The answer is B.", "B", "(B)", "I think so.\n\nB) Paris", "So the correct option is **B**.",
        "Paris.", "Option B is correct, since A is in Italy.", "I choose (B).",
        "<think>A</think>The answer is (B) Paris.",
        "It is in France.\n**Answer: B**", "Therefore, B is the right one.", "\\boxed{B}",
    ):  # fmt: skip
        assert judge(text, lenient=True).correct, text
    for text in ("Rome or Paris", "I do not know.", "<think>B", "The answer is A."):
        assert not judge(text, lenient=True).correct, text


def test_options_that_can_not_be_are_refused():
    with pytest.raises(ValueError, match="2 to 26"):
        choice(options=1)
    with pytest.raises(ValueError, match="no column 'picks'"):
        find_options({}, "picks")
    with pytest.raises(ValueError, match="list of texts"):
        find_options({"choices": "abc"})
    with pytest.raises(ValueError, match="1 options with 1 labels"):
        find_options({"choices": ["abc"]})
    assert read_choice("a", find_options({}, 2)) == 0


def test_the_reference_solution_has_the_form():
    criterion = choice()
    assert criterion.render is not None
    for reference in ("B", 1, "Paris"):
        found = Rubric(criterion).score(
            Completion(criterion.render(reference)), Problem("p", reference, {"choices": CITIES})
        )
        assert found.passed
