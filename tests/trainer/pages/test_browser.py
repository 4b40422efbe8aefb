"""The page in a real browser: it opens without a complaint, filters, shows the right row, and runs nothing
that a completion says."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from palaestra.trainer.pages.gather import gather
from palaestra.trainer.pages.serve import PageServer
from palaestra.trainer.pages.write import write_page

from ..support.browser import open_page, start_browser
from ..support.run_folders import make_comparison, make_evaluated, make_row, make_run, make_step, write_lines

HOSTILE = (
    "<script>window.hacked = 1</script> one",
    "<img src=x onerror='window.hacked = 2'> two",
    "</script><script>window.hacked = 3</script> three",
    "--><svg onload=window.hacked=4> ]]> four",
    "@@DATA@@ {{constructor.constructor('window.hacked=5')()}} ${window.hacked=5} <%= 1 %> five",
    "lone \ud800 and \udc00 surrogates six",
    "bidi \u202eevil\u202c zero\u200bwidth \u2066x\u2069 seven",
    "bell \x07 escape \x1b[31m null \x00 eight",
    "javascript:window.hacked=9 <a href='javascript:window.hacked=9'>x</a> nine",
    "__proto__ constructor <iframe srcdoc='<script>parent.hacked=10</script>'> ten",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with start_browser() as started:
        yield started


def write_report(tmp_path: Path, *folders: Path) -> str:
    path = tmp_path / "report.html"
    write_page(gather(folders), path)
    return path.as_uri()


def read_list(tab) -> list[str]:
    return tab.locator("#list tbody tr").all_inner_texts()


def count_shown(tab) -> str:
    return tab.inner_text("#count").split(" of ")[0]


def wait_for_text(tab, selector: str, text: str) -> None:
    """Until an element says it; the page's policy lets no test poll by a script of its own."""
    tab.locator(selector).filter(has_text=text).wait_for()


def set_filter(tab, name: str, value: str) -> None:
    """As a person does, then wait until the list has been drawn anew."""
    field = tab.locator(f"#f-{name}")
    if field.evaluate("field => field.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(value)
    tab.evaluate("filterRows()")  # resolves once the list is drawn; what was typed is in force already


def test_a_run_opens_filters_and_shows_the_right_row(browser, tmp_path):
    opened = open_page(browser, write_report(tmp_path, make_run(tmp_path / "run", steps=100)))
    tab = opened.tab
    assert tab.inner_text("#title") == "run"
    assert "Yes: held-out pass@1 +60.0 points" in tab.inner_text("#answers")
    assert "It came to its end: 100 of 100 steps." in tab.inner_text("#answers")
    assert tab.locator("#charts canvas").count() >= 8
    assert count_shown(tab) == "800"
    set_filter(tab, "step", "80")
    assert count_shown(tab) == "8"
    set_filter(tab, "problem", "1")
    assert count_shown(tab) == "4"
    set_filter(tab, "passed", "0")
    assert count_shown(tab) == "0"
    set_filter(tab, "passed", "1")
    set_filter(tab, "lengthMin", "23")
    assert count_shown(tab) == "1"
    tab.locator("#list tbody tr").first.click()
    tab.wait_for_selector("#detail .completion.chosen")
    assert tab.locator("#detail .completion").count() == 4
    chosen = tab.inner_text("#detail .completion.chosen")
    assert "so it is <answer>1</answer>" in chosen
    assert "advantage\n0.5" in chosen
    assert tab.inner_text("#detail .completion.chosen mark") == "1"
    assert "What is 1?" in tab.inner_text("#detail")
    tab.keyboard.press("Escape")
    assert tab.locator("#detail").is_hidden()
    assert opened.complaints == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_what_did_it_say_on_a_problem_at_a_step(browser, tmp_path):
    tab = open_page(browser, write_report(tmp_path, make_run(tmp_path / "run", steps=100))).tab
    tab.fill("#look-problem", "5")
    tab.fill("#look-step", "77")
    tab.click("#lookup button")
    tab.wait_for_selector("#detail:not([hidden])")
    assert "made/train/5, step 77" in tab.inner_text("#detail")
    assert tab.locator("#detail .completion .status.good").count() >= 4
    tab.fill("#look-step", "78")
    tab.click("#lookup button")
    wait_for_text(tab, "#count", "0 of")
    assert "that problem was drawn at step 2, 7, 12" in tab.inner_text("#count")


def test_what_it_said_on_a_held_out_problem_at_a_step(browser, tmp_path):
    run = make_run(tmp_path / "run", steps=4)
    for step in (0, 4):
        folder = run / "held_out" / f"step-{step:06d}"
        folder.mkdir(parents=True)
        rows = [{**make_row(step, 17, 0, passed=step > 0, text=f"said at {step}"), "id": "made/test/17"}]
        write_lines(folder / "completions.jsonl", rows)
    opened = open_page(browser, write_report(tmp_path, run))
    tab = opened.tab
    tab.fill("#look-problem", "17")
    tab.fill("#look-step", "4")
    tab.click("#lookup button")
    tab.locator("#detail").filter(has_text="said at 4").wait_for()
    assert "held out, step 4" in tab.inner_text("#detail h3")
    set_filter(tab, "problem", "")
    set_filter(tab, "step", "")
    set_filter(tab, "set", "held-out")
    assert count_shown(tab) == "2"
    set_filter(tab, "set", "training")
    assert count_shown(tab) == "32"
    assert "said at 0" in tab.inner_text("#pairs")  # the same problem before and after
    assert opened.complaints == []


def test_hostile_completions_are_text(browser, tmp_path):
    run = make_run(tmp_path / "run", texts=HOSTILE)
    facts = json.loads((run / "facts.json").read_text())
    (run / "facts.json").write_text(json.dumps({**facts, "note": HOSTILE[2]}))
    opened = open_page(browser, write_report(tmp_path, run))
    tab = opened.tab
    shown = read_list(tab)
    for number, text in enumerate(HOSTILE):
        tab.locator("#list tbody tr").nth(number).click()
        tab.wait_for_selector(f"#detail .completion.chosen[data-row='{number}']")
        assert text.split()[-1] in shown[number]
        assert text.split()[-1] in tab.inner_text("#detail .completion.chosen .text")
    assert HOSTILE[0] in tab.inner_text("#detail") or HOSTILE[0] in shown[0]
    assert "U+202E" in shown[6]
    assert "\u202e" not in tab.inner_text("body")
    assert "U+001B" in shown[7]
    assert "U+D800" in shown[5]
    assert tab.evaluate("window.hacked === undefined")
    assert tab.locator("#rollouts :is(img, svg, iframe, script, a)").count() == 0
    assert opened.complaints == []


def test_the_policy_stops_what_would_run(browser, tmp_path):
    tab = open_page(browser, write_report(tmp_path, make_run(tmp_path / "run"))).tab
    tab.evaluate(
        """() => {
            const tries = [
                (script) => { script.append("window.hacked = 1"); document.body.append(script); },
                (script) => { script.setAttribute("onclick", "window.hacked = 2"); script.click(); },
                (script) => { script.src = "data:text/javascript,window.hacked=3"; },
            ];
            for (const attempt of tries) try { attempt(document.createElement("script")); } catch { }
        }"""
    )
    assert tab.evaluate("window.hacked === undefined")
    refused = """() => {
        try { document.body.innerHTML = "<b>x</b>"; } catch (failure) { return failure.name; }
        return "taken";
    }"""
    assert tab.evaluate(refused) == "TypeError"


def test_text_search_keys_and_pages(browser, tmp_path):
    run = make_run(tmp_path / "run", steps=40, texts=("a needle <b>", "A NEEDLE too"))
    tab = open_page(browser, write_report(tmp_path, run)).tab
    tab.keyboard.press("/")
    tab.keyboard.type("needle")
    wait_for_text(tab, "#count", "2 of")
    assert "a needle <b>" in read_list(tab)[0]
    set_filter(tab, "text", "")
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("n")
    wait_for_text(tab, "#pager", "page 2 of 13")
    tab.keyboard.press("j")
    tab.wait_for_selector("#detail .completion.chosen[data-row='25']")
    tab.keyboard.press("j")
    tab.wait_for_selector("#detail .completion.chosen[data-row='26']")
    tab.keyboard.press("k")
    tab.wait_for_selector("#detail .completion.chosen[data-row='25']")


def test_tokens_are_coloured_by_surprise(browser, tmp_path):
    run = make_run(tmp_path / "run", steps=2)
    write_lines(run / "rollouts.jsonl", [make_row(step, 1, 0, passed=True, text="abc") for step in (1, 2)])
    from palaestra.trainer.model.embedded import make_character_tokenizer

    tokenizer = make_character_tokenizer()
    (run / "model").mkdir()
    tokenizer.save_pretrained(run / "model")
    rows = [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]
    write_lines(run / "rollouts.jsonl", [{**row, "token_ids": tokenizer("abc").input_ids} for row in rows])
    tab = open_page(browser, write_report(tmp_path, run)).tab
    tab.locator("#list tbody tr").first.click()
    tab.wait_for_selector("#detail .token")
    amounts = tab.locator("#detail .token").evaluate_all(
        "all => all.map(x => x.style.getPropertyValue('--amount'))"
    )
    assert list(map(float, amounts)) == [0.025, 0.5, 0.0]
    assert tab.locator("#detail .token").nth(1).get_attribute("title") == "13.5 %, -2 nats"


def test_the_prompt_as_the_model_read_it_is_shown_for_the_whole_group(browser, tmp_path):
    run = make_run(tmp_path / "run", steps=2)
    rows = [make_row(1, 1, sample, passed=True) for sample in range(3)]
    rows[0]["rendered_prompt"] = "<|user|>What is 1?<script>window.hacked = 1</script>\nOne line.<|end|>"
    write_lines(run / "rollouts.jsonl", rows)
    opened = open_page(browser, write_report(tmp_path, run))
    opened.tab.locator("#list tbody tr").nth(2).click()
    opened.tab.locator("#detail .rendered summary").click()
    assert opened.tab.inner_text("#detail .rendered .text") == rows[0]["rendered_prompt"]
    assert opened.tab.evaluate("window.hacked") is None
    assert opened.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_and_both_themes(browser, tmp_path, scheme):
    run = make_run(tmp_path / "run")
    opened = open_page(
        browser, write_report(tmp_path, run), viewport={"width": 375, "height": 700}, color_scheme=scheme
    )
    tab = opened.tab
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.evaluate("document.documentElement.dataset.theme") == scheme
    tab.locator("#list tbody tr").first.click()
    tab.wait_for_selector("#detail .completion")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.click("#theme")
    assert tab.evaluate("document.documentElement.dataset.theme") != scheme
    assert opened.complaints == []


def test_runs_beside_each_other_evaluations_and_comparisons(browser, tmp_path):
    one, two = make_run(tmp_path / "one"), make_run(tmp_path / "two", learns=False)
    opened = open_page(browser, write_report(tmp_path, one, two))
    assert "Is two better than one?" in opened.tab.inner_text("#answers")
    set_filter(opened.tab, "run", "1")
    assert count_shown(opened.tab) == "160"
    assert opened.complaints == []
    first, second = make_evaluated(tmp_path / "first"), make_evaluated(tmp_path / "second")
    opened = open_page(browser, write_report(tmp_path, first))
    assert "pass@1 is 50.0 %" in opened.tab.inner_text("#answers")
    assert opened.tab.locator("#charts canvas").count() == 3
    assert count_shown(opened.tab) == "12"
    assert opened.complaints == []
    opened = open_page(browser, write_report(tmp_path, make_comparison(tmp_path / "both", first, second)))
    tab = opened.tab
    assert "Yes: pass@1 +25.0 points [+10.0, +40.0], paired." in tab.inner_text("#answers")
    tab.locator("#compared summary").first.click()
    assert "it is 4" in tab.inner_text("#compared")
    tab.locator("#list tbody tr").first.click()
    tab.wait_for_selector("#detail .completion")
    assert tab.locator("#detail .completion").count() == 4  # two samples of each evaluation
    assert opened.complaints == []


def test_a_run_without_steps_opens(browser, tmp_path):
    run = make_run(tmp_path / "run", steps=1)
    for name in ("metrics.jsonl", "rollouts.jsonl"):
        (run / name).unlink()
    opened = open_page(browser, write_report(tmp_path, run))
    assert "Too few steps" in opened.tab.inner_text("#answers")
    assert opened.complaints == []


def test_the_problems_of_a_very_long_run_are_drawn(browser, tmp_path):
    """A canvas that is too wide stays blank."""
    run = make_run(tmp_path / "run")
    visits = [[step, 4, 4] for step in range(1, 20_001)]
    ledger = {"suspects": [], "problems": {"made/train/0": {"visits": visits}}}
    (run / "ledger.json").write_text(json.dumps(ledger))
    tab = open_page(browser, write_report(tmp_path, run)).tab
    wait_for_text(tab, "#heat", "each column 10 steps")
    pixel, width = tab.evaluate(
        "() => { const c = document.querySelector('canvas.heat');"
        " return [[...c.getContext('2d').getImageData(c.width - 3, 2, 1, 1).data], c.width]; }"
    )
    assert pixel[3] == 255
    assert width <= 16_000
    tab.locator("canvas.heat").hover(position={"x": 2, "y": 2})
    wait_for_text(tab, "#heat", "made/train/0, step 1-10: 40 of 40 passed")


def test_a_live_page_follows_the_run(browser, tmp_path):
    run = make_run(tmp_path / "run", steps=12, end="")
    with PageServer(gather([run]), live=True) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            opened = open_page(browser, server.url)
            tab = opened.tab
            tab.evaluate("setFilters({ passed: '1' })")
            rows = [make_row(13, 3, sample, passed=True, text="fresh") for sample in range(4)]
            with (run / "rollouts.jsonl").open("a") as file:
                file.write("".join(json.dumps(row) + "\n" for row in rows))
            with (run / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(make_step(13, rows)) + "\n")
            wait_for_text(tab, "#count", "of 100 ")
            assert tab.evaluate("FILTERS.passed") == "1"
            assert "13 of 12" in tab.inner_text("#answers")
            assert opened.complaints == []
            tab.close()
        finally:
            server.shutdown()
            thread.join()
