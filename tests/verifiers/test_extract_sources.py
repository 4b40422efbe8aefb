"""Extraction by sources: several boxes, hedges, withdrawn and quoted answers,
invisible characters, prompt echo."""

import pytest
from cpu_time import cpu_seconds
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Rubric, Status, answer_tag, extract, math_answer
from palaestra.verifiers.extract import add_lenient


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"First \boxed{3} apples are left. Then 3 + 4 gives \boxed{7}.", "7"),
        (r"\boxed{5}. No wait, scratch that. It is \boxed{6}.", "6"),
        ("<answer>5</answer> Wait, that is wrong. <answer>6</answer>", "6"),
        ("#### 5\nOops, I made a mistake.\n#### 6", "6"),
        (r"\boxed{6} or, what is the same, \boxed{6}", "6"),
        ("The form is <answer>...</answer>. So <answer>4</answer>", "4"),
        (r"Put it in \boxed{}: \boxed{4}", "4"),
        ("```\n<answer>1</answer>\n```\nFinally <answer>2</answer>", "2"),
        ("> <answer>1</answer>\nI disagree: <answer>2</answer>", "2"),
        ("```\n<answer>1</answer>\n```", "1"),
        ("```\nopen fence\n<answer>1</answer>", "1"),
        ("<ans\u200bwer>3</answer>", "3"),
        ("<answer>1\u200b2</answer>", "12"),
        ("＜answer＞3＜/answer＞", "3"),
        ("<ANSWER>3</ANSWER>", "3"),
        (r"\boxed{\text{a}\{1,2\}}", r"\text{a}\{1,2\}"),
        (r"\fbox{8}", "8"),
        (r"\boxed{42}. My previous answer was incorrect.", "42"),
        (r"\boxed{42}. I was wrong earlier, this is the final answer.", "42"),
        (r"\boxed{42}. Don't forget that x is positive.", "42"),
        (r"\boxed{42}. The other root is negative, so we discard it.", "42"),
        (r"\boxed{42}. The triangle is not right-angled. It is incorrect only if x < 0.", "42"),
        (r"\boxed{42}. This is just an error bound.", "42"),
        ("#### Solution\n6 * 7 is 42\n#### 42", "42"),
        ("##### Note\n6 * 7 is 42\n#### 42", "42"),
        ("I will put it in the `<answer>` tag. <answer>42</answer>", "42"),
        ("I will put it in the `<answer>` tag. `<answer>42</answer>`", "42"),
        ('The "<answer>" tag holds it: <answer>42</answer>', "42"),
        ("I use <answer> tags. <answer>42</answer>", "42"),
        ("Between <answer> and </answer> tags: <answer>42</answer>", "42"),
        ("`<answer></answer>` or `<answer>...</answer>`: <answer>42</answer>", "42"),
        ('{"answer": "<answer>42</answer>"}', "42"),
        ('"<answer>5</answer>" was the old one. <answer>6</answer>', "6"),
        (r"\boxed{5} and then \boxed{6", "5"),
        (r"\boxed{5} and then \boxed{", "5"),
        (r"\boxed{5 and then \boxed{6}", "6"),
        ("<answer>5</answer> and <answer>", "5"),
        ("<answer>5</answer> and <answer>6", "5"),
        (r"\boxed{\boxed{5}}", r"\boxed{5}"),
        (r"{\boxed{{a}}}}", "{a}"),
        (r"\\boxed{5}", "5"),
        (r"\boxed 5", "5"),
        ("<think>I was wrong</think><answer>9</answer> I checked it.", "9"),
    ],
)
def test_finds_the_answer_that_stands(text, answer):
    assert extract(text).answer == answer


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (r"\boxed{5} no wait, scratch that.", Status.NO_ANSWER),
        ("<answer>5</answer> Actually, no.", Status.NO_ANSWER),
        (r"Either \boxed{5} or maybe \boxed{6}", Status.WRONG),
        (r"$\boxed{5}$, $\boxed{6}$", Status.WRONG),
        (r"\boxed{5}\quad\text{or}\quad\boxed{6}", Status.WRONG),
        ("<answer>5</answer> and <answer>6</answer>", Status.WRONG),
        ("<answer>5</answer>\n\nLonger work here.\n\n<answer>6</answer>", Status.WRONG),
        ("#### 5\n#### 6", Status.WRONG),
        ("Answer in the form <answer>...</answer>.", Status.NO_ANSWER),
        ("Answer in the form <answer>your answer</answer>.", Status.NO_ANSWER),
        ("<answer>5<answer>6</answer>", Status.MALFORMED),
        (r"First \boxed{5 and then \boxed{6", Status.MALFORMED),
        ("<answer>5</answer></answer>", Status.MALFORMED),
        ("<answer>5", Status.MALFORMED),
        ('"<answer>5</answer>" or "<answer>6</answer>"', Status.WRONG),
        ("`<answer>5</answer>` and `<answer>6</answer>`", Status.WRONG),
        ("I will put it in the `<answer>` tag.", Status.NO_ANSWER),
        ("\\boxed{5} " * 401, Status.MALFORMED),
        ("</think><think><answer>5</answer>", Status.NO_ANSWER),
    ],
)
def test_what_does_not_stand_has_a_typed_verdict(text, status):
    found = extract(text)
    assert found.failure is not None
    assert found.failure.status is status


CHECKS = [  # that confirm, or say nothing
    "Wait, let me double check that. 6*7=42, good.",
    "Hmm, let me verify: 6*7 = 42. Yes, that is correct.",
    "No wait, let me double-check that. 40+2=42. OK.",
    "Is that wrong? No, 6*7=42.",
    "Let me make sure I haven't made a mistake. 6*7=42.",
    "Let me see if I made a mistake. 42/7 = 6.",
    "One might think it is 36, but that is wrong because 6*6 is no multiple of 7.",
    "Hmm, that's wrong. No, actually 42 is right.",
    "I made a mistake. Hmm, no: 6*7 is 42, so my first answer was right.",
    "No other solutions exist.",
    "Let me recompute. 6*7=42.",
    "A common mistake is to forget the carry.",
    "It is not true that 43 works.",
    "If we had used 41 that would be wrong.",
    "42 is the answer, and 41 is wrong.",
]
RETRACTIONS = [
    "Scratch that.",
    "Strike that!",
    "I take it back.",
    "I take that back, sorry",
    "Hmm, that's wrong.",
    "That’s not right.",
    "Actually, this is incorrect.",
    "My previous answer is wrong.",
    "I made a mistake.",
    "Oh, I see an error in my calculation.",
    "I was wrong.",
    "Oops.",
    "Wait, no.",
    "No wait, scratch that.",
    "Actually, it's 41.",
    "Please disregard my answer.",
    "I miscounted the apples.",
    "That is wrong. 41 is correct.",
    "Let me correct that: it is 41",
    "There is an error in my reasoning.",
    "I don't think this is right.",
    "I changed my mind.",
    "42 is incorrect, it should be 41.",
]


@pytest.mark.parametrize("mark", [r"\boxed{42}", "<answer>42</answer>", r"$\boxed{42}$", r"**\boxed{42}**"])
@pytest.mark.parametrize("between", [" ", ". ", "\n\n"])
def test_checking_an_answer_keeps_it_and_taking_it_back_does_not(mark, between):
    assert [check for check in CHECKS if extract(mark + between + check).answer != "42"] == []
    assert [said for said in RETRACTIONS if extract(mark + between + said).answer is not None] == []
    for said in RETRACTIONS:  # the mark that comes after is another matter
        assert extract(f"{mark}{between}{said} <answer>7</answer>", ("tag",)).answer == "7"
        assert extract(f"{mark}{between}{said} \\boxed{{7}}", ("boxed",)).answer == "7"


def test_a_retraction_is_about_the_mark_before_it():
    assert extract(r"\boxed{42}" + " and so on" * 60 + ". Scratch that.").answer == "42"
    assert extract(r"$\boxed{42}$ is wrong, 41 is right.").answer is None
    assert extract("<answer>42</answer> was a mistake").answer is None
    assert extract(r"\boxed{42} is correct.").answer == "42"
    assert extract(r"\boxed{41}. That's wrong. \boxed{42}. Yes, 42 is right.").answer == "42"
    assert (
        extract(r"\boxed{42}... no wait, that's wrong. Hmm, actually 42 is right. \boxed{42}").answer == "42"
    )
    assert extract(r"\boxed{5} no wait \boxed{6} no wait \boxed{7}").answer == "7"


PROSE = [
    ("The answer is 42", "42"),
    ("The answer is 42.", "42"),
    ("Answer: B", "B"),
    ("The correct answer is (B).", "(B)"),
    ("so **42**", "42"),
    ("Final Answer: The final answer is $42$. I hope it is correct.", "42"),
    (r"So the final answer is \(42\)", "42"),
    ("## Final Answer\n\n42", "42"),
    ("**Answer:** 42", "42"),
    ("**The answer is 42.**", "42"),
    ("The answer is \\[\n42\n\\]", "42"),
    ("答案是 42", "42"),
    ("答案为42。", "42"),
    ("#### 42", "42"),
    ("Therefore, x = 42.", "42"),
    ("Thus, Anna has 42 apples.", "42"),
    ("The answer is 3.14.", "3.14"),
    ("The answer is 42, which is 6*7.", "42"),
    ("The answer is B because A is odd.", "B"),
    (r"The answer is $\frac{1}{2}$.", r"\frac{1}{2}"),
    ("The answer is 41. No, the answer is 42.", "42"),
    (r"The answer is 41, or rather \boxed{42}", "42"),
]


@pytest.mark.parametrize(("text", "answer"), PROSE)
def test_prose_is_read_only_where_it_is_asked_for(text, answer):
    assert extract(text, add_lenient(("tag",))).answer == answer
    strict = extract(text, ("tag",))
    assert strict.answer is None


@pytest.mark.parametrize(
    "text", ["", "hello there", "The answer is not 5.", "So there are 12 and 13.", "What is the answer?"]
)
def test_prose_that_names_no_answer_has_none(text):
    assert extract(text, add_lenient(("tag",))).answer is None


def test_a_rubric_is_lenient_only_on_request():
    rubric = Rubric(math_answer(), answer_tag(weight=0.1))
    problem = Problem(prompt="?", reference="42")
    assert not rubric.score(Completion("The answer is 42."), problem).passed
    assert rubric.lenient().score(Completion("The answer is 42."), problem).passed
    assert not rubric.lenient().score(Completion("The answer is 42 or 43."), problem).passed
    assert rubric.lenient().score(Completion("<answer>42</answer>"), problem).reward == 1


def test_two_candidates_inside_one_mark_are_wrong():
    rubric = Rubric(math_answer())
    problem = Problem(prompt="?", reference="5")
    for text in (r"\boxed{5 \text{ or } 6}", "<answer>5 or 6</answer>", r"\boxed{5, 6}", r"\boxed{\{5,6\}}"):
        assert not rubric.score(Completion(text), problem).passed
    assert rubric.score(Completion(r"so \boxed{5}"), problem).passed


def test_the_criterion_renders_what_it_accepts():
    for reference, options in (
        ("x=3", {}),
        (["1", "2"], {}),
        (["1", "2"], {"accept": "any"}),
        ({"answer": "3.14159", "tolerance": 0.04}, {}),
        (r"\frac{1}{2}", {"sources": ("boxed",)}),
    ):
        criterion = math_answer(**options)
        assert criterion.render is not None
        score = Rubric(criterion).score(
            Completion(criterion.render(reference)), Problem(prompt="?", reference=reference)
        )
        assert score.passed, reference


@pytest.mark.parametrize("mark", ["\\boxed{{{}}}", "<answer>{}</answer>"])
def test_words_after_a_long_answer_cost_what_the_words_cost(mark):
    text = mark.format("1 " * 490_000) + " it's wrong" + ";q" * 150
    assert cpu_seconds(lambda: extract(text), 0.25) < 0.25
