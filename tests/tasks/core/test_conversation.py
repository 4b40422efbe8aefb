"""A conversation on a terminal: whatever the two say, nothing acts, nothing is forged, and nothing floods."""

import json
import random
import unicodedata

import palaestra as pal
import pytest
import regex
from palaestra.tasks.core.conversation import LINES, MARK, write_conversation

from ...support.cpu_time import cpu_seconds

# What acts on a terminal, reorders what a person reads, or can't be seen.
ACTS = {
    "colour": "\x1b[31mred",
    "clear the screen": "\x1b[2J\x1b[H",
    "title": "\x1b]0;title\x07",
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "link": "\x1b]8;;http://example.org\x1b\\here\x1b]8;;\x1b\\",
    "device control": "\x1bP+q544e\x1b\\",
    "8-bit control": "\x9b31m \x90 \x9d0;x\x9c",
    "overwrites": "wrong\rright",
    "backspaces": "wrong\b\b\b\b\bright",
    "bell and null": "\x07\0",
    "shift out": "\x0e\x0f",
    "other line ends": "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i",
    "reordered": "\u202eevil\u202c \u2066x\u2069 \u061c\u200f",
    "zero width": "p\u200bay\u2060pal \ufeff\u00ad\u200c\u200d",
    "invisible letters": "\u3164 \u115f \u1160 \uffa0 \u034f \u2800 \u180e",
    "tags": "".join(chr(0xE0000 + ord(letter)) for letter in "ignore"),
    "hidden bytes": "x\ufe00\U000e0100\U000e01ef",
    "musical and shorthand": "\U0001d173\U0001bca0",
    "interlinear": "\ufff9a\ufffab\ufffb",
    "half characters": "\ud800 \udfff",
    "not assigned, private": "\U0010ffff\ufdd0\U000f0000\ue000",
    "piled": "Z" + "\u0335\u0301\u0489" * 200,
}
UNSEEN = regex.compile(
    r"[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Co}\u2800]"
)
FORGED = "\nworld, turn 1\n  | You win.\nIt ended (stop): the world ended it.\n"


def show(*said: str, finish_reason: str = "stop", fault: str = "", voice="user", **more) -> str:
    """The policy and the world in turn, on a terminal of 100 columns."""
    turns = [pal.Turn(("policy", "world")[place % 2], text, voice) for place, text in enumerate(said)]
    spoken = "\n".join(turn.text for turn in turns if turn.role == "policy")
    completion = pal.Completion(spoken, turns=tuple(turns), finish_reason=finish_reason, fault=fault)
    return write_conversation(completion, **{"columns": 100, **more})


def list_heads(shown: str) -> list[str]:
    """The lines that are not of a text."""
    return [line for line in shown.split("\n") if not line.startswith(MARK)]


def measure_cells(line: str) -> int:
    marks = sum(bool(unicodedata.combining(each)) for each in line)
    return len(line) + sum(unicodedata.east_asian_width(each) in "WF" for each in line) - marks


def test_policy_and_world_stand_apart_with_the_number_of_the_turn_and_the_end():
    shown = show("50", "lower", "25", "higher", "37", finish_reason="stop")
    assert list_heads(shown)[:-1] == [
        "policy, turn 1", "world, turn 1", "policy, turn 2", "world, turn 2", "policy, turn 3",
    ]  # fmt: skip
    assert f"world, turn 1\n{MARK}lower\npolicy, turn 2\n{MARK}25\n" in shown
    assert list_heads(shown)[-1].startswith("It ended (stop)")


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("stop", "end"), ("length", "tokens"), ("tokens", "tokens"), ("turns", "turns"),
        ("timeout", "too long"), ("raised", "raise"), ("unavailable", "unavailable"),
    ],
)  # fmt: skip
def test_each_way_to_end_is_a_sentence(reason: str, says: str):
    shown = show("hi", "ho", finish_reason=reason, fault="The world raised ValueError: no.")
    end = list_heads(shown)[-1]
    assert end.startswith(f"It ended ({reason})")
    assert says in end
    assert shown.endswith(f"\n{end}\n{MARK}The world raised ValueError: no.")


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("place", ["policy", "world", "voice", "finish_reason", "fault", "state", "single"])
def test_nothing_acts_hides_or_reorders(name: str, place: str):
    text = ACTS[name]
    turns = (
        pal.Turn("policy", text if place == "policy" else "hi"),
        pal.Turn("world", text if place == "world" else "ho", text if place == "voice" else "tool"),
    )
    completion = pal.Completion(
        text,
        turns=() if place == "single" else turns,
        finish_reason=text if place == "finish_reason" else "turns",
        fault=text if place == "fault" else "",
        state={text: [text]} if place == "state" else None,
    )
    shown = write_conversation(completion)
    for line in shown.split("\n"):
        assert not UNSEEN.findall(line)
        assert not regex.search(r"\p{M}{6}", line)
    shown.encode("utf-8")
    assert shown.splitlines() == shown.split("\n")


def test_writing_of_people_stands_as_it_is():
    said = "Ünï ß Ελλ, кириллица, 日本語, 한국어, हिन्दी, ไทย, עברית, العربية, tiếng Việt, 🙂 x² ≤ ½ → ∑"
    assert f"{MARK}{said}" in show(said, columns=400)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1e", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("place", ["policy", "world", "voice", "finish_reason", "fault", "state"])
def test_nobody_forges_a_turn_or_the_end(ending: str, place: str):
    forged = FORGED.replace("\n", ending)
    completion = pal.Completion(
        forged,
        turns=(
            pal.Turn("policy", forged if place == "policy" else "hi"),
            pal.Turn("world", forged if place == "world" else "ho", forged if place == "voice" else "user"),
        ),
        finish_reason=forged if place == "finish_reason" else "turns",
        fault=forged if place == "fault" else "",
        state=forged if place == "state" else None,
    )
    heads = list_heads(write_conversation(completion))
    assert len(heads) == 3 + (place == "state")
    assert heads[0] == "policy, turn 1"
    assert heads[1].startswith("world")
    assert not any(head == "world, turn 1" for head in heads[2:])


@pytest.mark.parametrize("letter", [" ", "x", "日", "\t", "é", "e\u0301"])
def test_a_long_line_is_broken_so_that_no_terminal_breaks_it(letter: str):
    text = letter * 300 + "world, turn 1"
    shown = show(text, text, fault=text, columns=80)
    assert max(map(measure_cells, shown.split("\n"))) <= 80
    assert "\t" not in shown


def test_a_long_observation_is_cut_and_says_so():
    observation = "begin " + "x" * 100_000 + " end"
    shown = show("go", observation, "done")
    assert len(shown) < 8_000
    assert f"{MARK}begin" in shown
    assert " end\n" in shown  # an exception's message stands last
    assert any("characters left out" in head for head in list_heads(shown))


@pytest.mark.parametrize("text", ["\n" * 100_000, "a\n" * 50_000, "\x00" * 100_000, "\u0301" * 100_000])
def test_lines_and_escapes_do_not_flood(text: str):
    shown = show(text, text, fault=text)
    assert shown.count("\n") < 3 * (LINES + 3)  # each with its head and a note
    assert len(shown) < 40_000
    assert "left out" in shown


@pytest.mark.parametrize("lines", [1, 2, 3, 4, 40])
@pytest.mark.parametrize("count", [1, 2, 3, 39, 40, 41, 5_000])
def test_so_many_lines_of_a_text_are_shown_and_the_others_are_counted(lines: int, count: int):
    text = "\n".join(map(str, range(count)))
    shown = write_conversation(pal.Completion(text), lines=lines).split("\n")
    kept = [line for line in shown if line.startswith(MARK)]
    assert len(kept) == min(count, lines)
    assert kept[0] == f"{MARK}0"
    assert lines < 3 or kept[-1] == f"{MARK}{count - 1}"
    if len(text) <= 3_000:  # else lines are within the characters that are counted
        hidden = count - len(kept)
        said = f"({hidden:,} line{'' if hidden == 1 else 's'} left out)"
        assert [line for line in shown if "left out" in line] == [said] * (hidden > 0)


def test_many_turns_are_cut_in_the_middle_and_said():
    shown = show(*(f"said {number}" for number in range(2001)))
    assert shown.count("\n") < 200
    assert f"{MARK}said 0\n" in shown
    assert f"{MARK}said 2000\n" in shown
    assert any("turns left out" in head for head in list_heads(shown))


def test_the_work_is_linear_with_small_constants():
    rng = random.Random(0)
    letters = ["\u0301", " ", "\n", "日", "\x1b", "<tool_call>", "{", "a", "\u202e", "</think>"]
    text = "".join(rng.choices(letters, k=1_000_000))
    assert cpu_seconds(lambda: show(text, text, text, fault=text), enough=1.0) < 1.0
    assert cpu_seconds(lambda: show(*["x"] * 100_000), enough=1.0) < 1.0


CODE = "def f(n):\n    return n * 2\nprint(f(21))"
CALL = json.dumps({"name": "python", "arguments": {"program": CODE}})
CALLS = {
    "hermes": f"I compute.\n<tool_call>{CALL}</tool_call>",
    "mistral": f"[TOOL_CALLS] [{CALL}]",
    "llama": json.dumps({"name": "python", "parameters": {"program": CODE}}),
    "gpt-oss": f"to=functions.python <|message|>{json.dumps({'program': CODE})}<|call|>",
}


@pytest.mark.parametrize("form", CALLS)
def test_a_call_of_a_tool_can_be_read(form: str):
    shown = show(CALLS[form], "42", "<answer>42</answer>", voice="tool", columns=200)
    assert CALLS[form].split("\n")[-1] in shown  # as it was written, too
    assert "calls python" in shown
    for line in CODE.split("\n"):
        assert any(each.startswith(MARK) and each.endswith(line) for each in shown.split("\n")), line


@pytest.mark.parametrize(
    "call",
    [
        {"name": "\x1b[2J\nworld, turn 1", "arguments": {"x\u202e\n": "\x1b[31m\nworld, turn 2\u200b"}},
        {"name": "f", "arguments": {"x" * 10_000: "y\n" * 9_000}},
        {"name": "f", "arguments": [1, 2]},
        {"name": "f", "arguments": "text"},
        {"name": {"a": 1}, "arguments": None},
        {"name": "f", "arguments": {"x": [[[[1]]]], "y": None, "z": 1e999}},
        {"name": "f", "arguments": {"\ud800": "\udfff"}},
    ],
)
def test_a_hostile_call_is_only_text(call: object):
    shown = show(f"<tool_call>{json.dumps(call)}</tool_call>", "no", "bye", voice="tool")
    heads = [head for head in list_heads(shown) if "left out" not in head]
    assert (heads[0], heads[1][:6], heads[2]) == ("policy (tool), turn 1", "calls ", "world (tool), turn 1")
    assert len(heads) == 5
    assert not UNSEEN.findall(shown.replace("\n", ""))
    assert shown.count("\n") < 4 * LINES


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 50_000, "<tool_call>" * 10_000, "<tool_call>{" * 9_000]
)
def test_calls_that_are_none_raise_nothing(text: str):
    assert "turn 1" in show(f"<tool_call>{text}</tool_call>", "no", voice="tool")
    assert "turn 1" in show(text, "no", voice="tool")


def test_a_single_turn_is_shown_by_the_same_function():
    shown = write_conversation(pal.Completion("It is\n<answer>4</answer>", finish_reason="length"))
    assert shown.startswith(f"policy\n{MARK}It is\n{MARK}<answer>4</answer>\nIt ended (length)")
