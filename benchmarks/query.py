"""What `palaestra query` costs over many completions: taking them in, and asking.

    python benchmarks/query.py [ROLLOUTS]     # default 1,000,000

The rows are made: about 100 characters of text, two verdicts, 16 problems of 8 completions a step.
"""

import json
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from palaestra.trainer.storage.index import open_index
from palaestra.trainer.storage.names import INDEX, ROLLOUTS
from palaestra.trainer.storage.query import open_query

PROBLEMS, GROUP = 16, 8
QUERIES = {
    "one problem at one step": "select * from rollouts where step = 80 and id = 'made/train/270'",
    "pass-rate of every step": "select step, avg(passed) from rollouts group by step",
    "a page of the best of a text": "select step, id, reward from rollouts where completion like '%wait%' "
    "order by reward desc limit 50 offset 500",
    "verdicts by status": "select criterion, status, count(*) from verdicts group by 1, 2",
    "count of all": "select count(*) from rollouts",
}


def make_line(number: int) -> str:
    """A line of rollouts.jsonl."""
    step, place = divmod(number, PROBLEMS * GROUP)
    problem = (step * PROBLEMS + place // GROUP) % 1000
    passed = number * 7919 % 100 < 60
    said = f"So {number} is asked; {'wait, ' if number % 9 == 0 else ''}it is <answer>{problem}</answer>"
    verdict = {"status": "correct" if passed else "wrong", "value": float(passed), "answer": str(problem),
               "reason": "", "seconds": 1e-5, "number": None}  # fmt: skip
    row = {
        "step": step + 1, "sample": place % GROUP, "advantage": 0.25, "id": f"made/train/{problem}",
        "prompt": f"What is {problem}?", "reference": str(problem), "completion": f"{said:<100}",
        "tokens": 24, "prompt_tokens": 12, "finish_reason": "stop", "reward": float(passed), "passed": passed,
        "abstained": False, "verdicts": {"number": verdict, "answer_tag": verdict},
        "token_ids": [17] * 24, "logprobs_x100": [-12] * 24,
    }  # fmt: skip
    return json.dumps(row, separators=(",", ":")) + "\n"


def measure(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / ROLLOUTS).open("w") as file:
            file.writelines(map(make_line, range(count)))
        size = (folder / ROLLOUTS).stat().st_size
        began = time.perf_counter()
        open_index(folder).close()
        print(f"taking in {count:,} rows ({size / 1e6:,.0f} MB)   {time.perf_counter() - began:8.2f} s")
        print(f"the index has {(folder / INDEX).stat().st_size / 1e6:,.0f} MB")
        with (folder / ROLLOUTS).open("a") as file:
            file.writelines(map(make_line, range(count, count + PROBLEMS * GROUP)))
        began = time.perf_counter()
        open_index(folder).close()
        print(f"taking in one step more   {time.perf_counter() - began:8.3f} s")
        for what, sql in QUERIES.items():
            began = time.perf_counter()
            with open_query(folder, sql) as found:
                rows = sum(1 for _ in found.rows)
            print(f"{what:<30} {time.perf_counter() - began:8.3f} s   {rows:,} rows")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
