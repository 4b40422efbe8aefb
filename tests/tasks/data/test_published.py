"""Data sets as their authors publish them, read as anybody's own: columns guessed, verifiers named or not."""

from pathlib import Path
from typing import Any

import pytest
from palaestra.tasks.core.proofs.prove import prove
from palaestra.tasks.data.own import make_task
from palaestra.tasks.data.report import report, try_solutions
from palaestra.tasks.data.spec import DataSpec

SHARED = Path(__file__).parents[4] / "shared" / "data"
SETS: dict[str, tuple[dict[str, Any], str, int]] = {
    "gsm8k": ({}, "number", 8_792),
    "gsm8k/train.jsonl": ({"verify": "math"}, "math", 7_473),
    "gsm_hard/gsmhardv2.jsonl": ({}, "number", 1_319),
    "svamp/SVAMP.json": ({"prompt": "{Body} {Question}"}, "number", 1_000),
    "aqua": ({}, "choice", 508),
    "mbpp/mbpp.jsonl": ({}, "code", 974),
    "mbpp/sanitized-mbpp.json": ({}, "code", 427),
    "humaneval/HumanEval.jsonl.gz": ({}, "code", 164),
    "theoremqa/theoremqa_test.json": ({"verify": "math"}, "math", 800),
    "olympiadbench/test.jsonl": ({"verify": "math"}, "math", 675),
    "cruxeval/cruxeval.jsonl": ({"prompt": "{code}\nf({input})", "verify": "exact"}, "exact", 800),
}


@pytest.mark.parametrize("name", SETS)
def test_a_published_set_is_read_whole_and_its_task_passes_the_checks(name):
    said, judged, count = SETS[name]
    if not (SHARED / name).exists():
        pytest.skip(f"the data of {name} are absent: {SHARED / name}")
    task = make_task(DataSpec(str(SHARED / name), **said))
    found = report(task)
    assert found.errors == ()
    assert task.source.judge.name == judged
    assert sum(len(task.source.part(split).problems) for split in task.splits) == count
    assert try_solutions(task, 5) == []
    failed = [finding for finding in prove(task, 3).findings if not finding.ok]
    assert failed == []
