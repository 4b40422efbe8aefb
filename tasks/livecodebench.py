"""Contest problems by the date they were set (LiveCodeBench, Jain et al. 2024, arXiv:2403.07974)."""

import base64
import json
import pickletools
import zlib
from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, code, one_block
from .core.contests import LIMITS, make_problem, read_json, solve_known
from .core.dataset import dataset_task
from .core.problem import Problem

MOST_BYTES = 1 << 28  # of a problem's private tests, unpacked
# What a pickle of one text is made of. It is read, never executed.
_TEXTS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_AROUND = {"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "STOP"}


@dataset_task(
    "livecodebench",
    rubric=Rubric(code(limits=LIMITS), one_block()),
    kind="code",
    splits={"test": "test"},
    columns=("question_id", "question_content", "starter_code", "difficulty", "contest_date",
             "public_test_cases", "private_test_cases", "metadata"),
    licence="unknown",
    citation="Jain et al. 2024, LiveCodeBench: Holistic and Contamination Free Evaluation of Large Language "
    "Models for Code, arXiv:2403.07974",
    solve=solve_known,
)  # fmt: skip
def livecodebench(row: Mapping[str, Any]) -> Problem | None:
    """LiveCodeBench, from files `test*.jsonl` of livecodebench/code_generation_lite on the hub, which needs a
    script of its own to be loaded. No solutions are published: rows with a column `solutions` of one's own, a
    list of programs, are proven by `task check`."""
    tests = [*_read(row["public_test_cases"]), *_read(row["private_test_cases"])]
    if not tests:
        return None
    table: dict[str, Any]
    if any(test["testtype"] == "functional" for test in tests):
        inputs = [[json.loads(line) for line in test["input"].splitlines() if line.strip()] for test in tests]
        # in a list of one each, as the other sets keep results
        outputs = [[json.loads(test["output"])] for test in tests]
        name = json.loads(row["metadata"])["func_name"]
        table = {"fn_name": name, "inputs": inputs, "outputs": outputs}
    else:
        table = {name: [test[name[:-1]] for test in tests] for name in ("inputs", "outputs")}
    about = {name: str(row[name]) for name in ("question_id", "difficulty", "contest_date")}
    right = read_json(row.get("solutions")) or ()
    return make_problem(row["question_content"], table, row["starter_code"] or "", right, **about)


def _read(cell: Any) -> list[dict[str, Any]]:
    """Tests as JSON text, or that text pickled, compressed and in base64."""
    text = cell.strip()
    return json.loads(text if text[:1] in ("[", "") else unpack_text(text)) if text else []


def unpack_text(packed: str) -> str:
    """The text that was pickled, compressed by zlib and written in base64.

    Raises ValueError for a pickle of anything else, and for more than `MOST_BYTES`.
    """
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(base64.b64decode(packed, validate=True), MOST_BYTES)
    except zlib.error as failure:
        raise ValueError(f"the private tests can't be decompressed: {failure}") from failure
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise ValueError(f"the private tests are cut short, or have more than {MOST_BYTES:,} bytes")
    steps = [(step.name, argument) for step, argument, _ in _limit(pickletools.genops(content))]
    texts = [argument for name, argument in steps if name in _TEXTS]
    if len(texts) != 1 or any(name not in _TEXTS | _AROUND for name, _ in steps):
        raise ValueError("the private tests are a pickle of something else than one text")
    return texts[0]


def _limit(steps: Any) -> Any:
    """The first ten steps: a pickle of one text has fewer."""
    for number, step in enumerate(steps):
        if number == 10:
            raise ValueError("the private tests are a pickle of more than one text")
        yield step
