"""Every example of docs/rewards.md runs and gives what the page says."""

import doctest
from pathlib import Path

import pytest
from fake_judge import serve

PAGE = Path(__file__).parents[2] / "docs" / "rewards.md"
CRITERIA = (
    "number", "exact", "math", "choice", "pattern", "length", "code", "learned", "judge", "function",
    "first_of",
)  # fmt: skip


def test_the_examples_run():
    with serve() as fake:
        text = PAGE.read_text().replace("http://localhost:8000/v1", fake.url)
        lines = ["" if line.startswith("```") else line for line in text.splitlines()]
        page = doctest.DocTestParser().get_doctest("\n".join(lines), {}, PAGE.name, str(PAGE), 0)
        report = doctest.DocTestRunner(optionflags=doctest.FAIL_FAST).run(page)
    assert report.failed == 0
    assert report.attempted == text.count("\n>>> ")


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_is_shown(name: str):
    assert f"criteria.{name}(" in PAGE.read_text() or f"criteria.{name}`" in PAGE.read_text()
