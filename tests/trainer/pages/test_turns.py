"""Episodes on the page, in a real browser: policy and world apart, and nothing of what they say acts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from palaestra.trainer.pages.gather import gather
from palaestra.trainer.pages.write import write_page

from ..support.browser import open_page, start_browser
from ..support.run_folders import make_row, make_run, write_lines

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "</script></textarea></title><svg onload=window.hacked=3>",
    "<a href='javascript:window.hacked=4'>x</a> <iframe srcdoc='<script>parent.hacked=5</script>'>",
    "<style>body{display:none}</style><base href='http://example.org/'><meta http-equiv=refresh content=0>",
    "bidi \u202eevil\u202c zero\u200bwidth \u2066x\u2069 \x1b[31m \0 \ud800 tag\U000e0041 fill\u3164 \u034f",
    '<div class="turn world">world, turn 9: You win.</div>\nworld, turn 9\nYou win.\nIt ended (stop)',
    "Z" + "\u0335\u0301\u0489" * 300 + " piled",
)
HIDDEN = "\u202e\u202c\u200b\u2066\u2069\x1b\0\U000e0041\u3164\u034f"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with start_browser() as started:
        yield started


def make_episode(step: int, problem: int, sample: int, said: list[tuple[str, str]], **more) -> dict:
    """A line of rollouts.jsonl. said: a role and a text each."""
    turns = [{"role": role, "text": text} for role, text in said]
    text = "\n".join(text for role, text in said if role == "policy")
    return {**make_row(step, problem, sample, passed=sample == 0, text=text), "turns": turns, **more}


def open_rows(browser, tmp_path: Path, rows: list[dict]):
    run = make_run(tmp_path / "run", steps=1)
    write_lines(run / "rollouts.jsonl", rows)
    path = tmp_path / "report.html"
    write_page(gather([run]), path)
    return open_page(browser, path.as_uri())


def open_row(tab, number: int):
    tab.locator("#list tbody tr").nth(number).click()
    tab.wait_for_selector(f"#detail .completion.chosen[data-row='{number}']")
    return tab.locator("#detail .completion.chosen")


def test_policy_and_world_stand_apart_with_the_number_of_the_turn_and_the_end(browser, tmp_path):
    said = [("policy", "50"), ("world", "lower"), ("policy", "25"), ("world", "higher")]
    rows = [make_episode(1, 1, 0, said, finish_reason="turns"), make_row(1, 1, 1, passed=False)]
    rows[0]["turns"][0]["reward"], rows[0]["turns"][2]["reward"] = 0.1 + 0.2, -1
    opened = open_rows(browser, tmp_path, rows)
    chosen = open_row(opened.tab, 0)
    assert chosen.locator(".turn").count() == 4
    assert chosen.locator(".turn.policy .text").all_inner_texts() == ["50", "25"]
    assert chosen.locator(".turn.world .text").all_inner_texts() == ["lower", "higher"]
    assert chosen.locator(".turn .who").all_inner_texts() == [
        "policy, turn 1, earned 0.3", "world, turn 1", "policy, turn 2, earned -1", "world, turn 2",
    ]  # fmt: skip
    assert chosen.locator(".ended").inner_text().startswith("It ended (turns)")
    assert open_row(opened.tab, 1).locator(".turn").count() == 0
    assert opened.complaints == []


def test_nothing_that_policy_or_world_say_acts(browser, tmp_path):
    rows = [
        make_episode(
            1, 1, number, [("policy", text), ("world", f"{text} last"), ("policy", f"{text} end")],
            state={text: [text]}, fault=f"The world raised ValueError: {text}", finish_reason="raised",
        )
        for number, text in enumerate(HOSTILE)
    ]  # fmt: skip
    for row, text in zip(rows, HOSTILE, strict=True):
        row["turns"][1]["voice"] = text
    rows[2]["finish_reason"] = HOSTILE[2]
    opened = open_rows(browser, tmp_path, rows)
    tab = opened.tab
    for number in range(len(HOSTILE)):
        chosen = open_row(tab, number)
        assert chosen.locator(".turn").count() == 3
        assert chosen.locator(".turn.world").count() == 1
        assert chosen.locator(".ended").count() == 1
        assert tab.locator("#rollouts :is(img, svg, iframe, script, style, base, meta, a)").count() == 0
        shown = tab.inner_text("body")
        assert not set(shown) & set(HIDDEN)
        assert "\u0489\u0335\u0301\u0489" not in shown
        assert chosen.locator(".turn.world .text").inner_text().endswith("last")
    assert tab.evaluate("window.hacked === undefined")
    assert opened.complaints == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_long_observation_is_cut_and_can_be_read_whole(browser, tmp_path):
    long = "begin " + "x" * 100_000 + " end"
    rows = [make_episode(1, 1, 0, [("policy", "go"), ("world", long), ("policy", "y" * 3000)])]
    tab = open_rows(browser, tmp_path, rows).tab
    world = open_row(tab, 0).locator(".turn.world")
    assert len(world.inner_text()) < 8_000
    assert "characters left out" in world.inner_text()
    assert world.locator(".text").first.inner_text().startswith("begin")
    world.locator("button").click()
    assert len(world.inner_text()) > 100_000
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_many_turns_are_cut_and_can_be_read(browser, tmp_path):
    said = [(("policy", "world")[place % 2], f"said {place}") for place in range(601)]
    tab = open_rows(browser, tmp_path, [make_episode(1, 1, 0, said)]).tab
    chosen = open_row(tab, 0)
    assert chosen.locator(".turn").count() < 100
    assert "turns left out" in chosen.inner_text()
    assert "said 600" in chosen.inner_text()
    chosen.locator("button").first.click()
    assert tab.locator("#detail .completion.chosen .turn").count() == 601


def test_a_call_of_a_tool_can_be_read(browser, tmp_path):
    code = "a = 6\nprint(a * 7)<script>window.hacked = 1</script>"
    call = json.dumps({"name": "python", "arguments": {"program": code}})
    said = [("policy", f"<tool_call>{call}</tool_call>"), ("world", "42"), ("policy", "<answer>42</answer>")]
    row = make_episode(1, 1, 0, said)
    row["turns"][1]["voice"] = "tool"
    tab = open_rows(browser, tmp_path, [row]).tab
    chosen = open_row(tab, 0)
    first = chosen.locator(".turn.policy").first
    assert "<tool_call>" in first.inner_text()
    assert "calls python" in first.locator(".call").inner_text()
    assert code in first.locator(".call").inner_text()
    assert chosen.locator(".call").count() == 1
    assert tab.evaluate("window.hacked === undefined")
