"""How long a report takes in a browser: opening, filtering, finding a text.

    python benchmarks/report.py [--rows 200000] [--out FOLDER]

Makes the folder of a run with that many completions of about 120 characters, then the report as a file of
5 MB and by `--serve`, and times both in headless Chromium, the figures taken by the page's own clock.
"""

import argparse
import json
import random
import shutil
import tempfile
import threading
import time
from pathlib import Path

from palaestra.trainer.pages.gather import gather
from palaestra.trainer.pages.serve import PageServer
from palaestra.trainer.pages.write import write_page
from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

GROUP, PROBLEMS = 8, 2000
FILTERS = [
    ("a step", {"step": "80"}),
    ("a problem", {"problem": "17"}),
    ("a verdict", {"criterion": "number", "status": "wrong"}),
    ("reward and length", {"rewardMin": "0.5", "lengthMin": "40"}),
    ("a text", {"text": "times 7"}),
    ("a text that nobody wrote", {"text": "zebra"}),
]


def make_run(folder: Path, rows: int) -> None:
    """A run of a task with 2000 problems, 32 of them a step, 8 completions of each."""
    rng = random.Random(0)
    per_step = 32 * GROUP
    steps = max(1, rows // per_step)
    folder.mkdir(parents=True)
    config = {"steps": steps, "task": {"name": "made"}, "rollouts": {"group_size": GROUP}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "facts.json").write_text(json.dumps({"command": "train", "sources": []}))
    words = [*"abcdefgh", "so", "we", "take", "the", "sum", "times", "7", "minus", "left", "over"]
    with (folder / "metrics.jsonl").open("w") as metrics, (folder / "rollouts.jsonl").open("w") as rollouts:
        for step in range(1, steps + 1):
            passes = 0
            for _ in range(per_step // GROUP):
                problem = rng.randrange(PROBLEMS)
                for sample in range(GROUP):
                    passed = rng.random() < 0.2 + 0.6 * step / steps
                    passes += passed
                    text = " ".join(rng.choices(words, k=22)) + f" <answer>{problem + (not passed)}</answer>"
                    verdict = {"status": "correct" if passed else "wrong", "value": float(passed)}
                    said = {"answer": str(problem), "reason": "" if passed else "not equal", "seconds": 0.0}
                    tokens = rng.randrange(25, 60)
                    record = {
                        "step": step, "sample": sample, "advantage": 0.5 if passed else -0.5,
                        "id": f"made/train/{problem}", "prompt": f"What is {problem}?",
                        "reference": str(problem), "completion": text, "tokens": tokens, "prompt_tokens": 8,
                        "finish_reason": "stop", "reward": float(passed), "passed": passed,
                        "abstained": False, "verdicts": {"number": {**verdict, **said}},
                        "token_ids": [5] * tokens,
                        "logprobs_x100": [round(-100 * rng.expovariate(4)) for _ in range(tokens)],
                    }  # fmt: skip
                    rollouts.write(json.dumps(record) + "\n")
            rate = passes / per_step
            line = {"kind": "step", "step": step, "reward": rate, "pass_rate": rate, "tokens": 42.0}
            metrics.write(json.dumps({**line, "seconds": {"sample": 1.0, "update": 1.0}}) + "\n")


def time_page(tab: Tab, url: str) -> None:
    """Print what the page needs, from the click on."""
    tab.goto("about:blank")
    start = time.perf_counter()
    tab.goto(url)
    tab.wait_for_selector("html[data-ready]", timeout=60_000)
    print(f"  open, all drawn: {time.perf_counter() - start:.2f} s")
    tab.wait_for_timeout(4000)  # as a reader waits: a file's texts are unpacked meanwhile
    for name, values in FILTERS:
        tab.evaluate("values => setFilters(values)", values)
        taken, count = tab.evaluate("[byId('count').dataset.milliseconds, byId('count').textContent]")
        print(f"  filter by {name}: {int(taken) / 1000:.3f} s   ({count})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = options.out or Path(tempfile.mkdtemp()) / "run"
    if not folder.exists():
        make_run(folder, options.rows)
    start = time.perf_counter()
    page = gather([folder])
    print(f"{len(page.table):,} completions read in {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    packed = write_page(page, folder / "report.html")
    size = (folder / "report.html").stat().st_size / 1e6
    print(f"a file of {size:.1f} MB with {len(packed.rows):,} of them: {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    server = PageServer(page, live=False)
    print(f"the server stands after {time.perf_counter() - start:.1f} s")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        print("from the file")
        time_page(tab, (folder / "report.html").as_uri())
        print("from the server")
        time_page(tab, server.url)
        browser.close()
    server.shutdown()


if __name__ == "__main__":
    main()
