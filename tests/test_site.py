"""The site: its pages are those of docs/, the API is whole, and it builds without a warning."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import palaestra
import pytest
import yaml
from scripts import load_script

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose tags name functions of the site's builder."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)
SETTINGS = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)


def list_pages(nav: Any) -> list[str]:
    """The files of a navigation, in their order."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in list_pages(part)]


def test_the_navigation_names_every_page_once_and_nothing_else():
    assert sorted(list_pages(SETTINGS["nav"])) == sorted(path.name for path in DOCS.glob("*.md"))


def test_the_first_pages_lead_a_newcomer():
    titles = [next(iter(entry)) for entry in SETTINGS["nav"]]
    assert titles[:2] == ["Home", "Start"]
    assert titles[-2:] == ["Specifications", "API"]


def test_every_page_begins_with_one_title():
    for page in DOCS.glob("*.md"):
        text = re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text())
        assert text.startswith("# "), page.name
        assert len(re.findall(r"(?m)^# ", text)) == 1, page.name


def test_every_picture_is_shown_and_none_is_large():
    shown = {
        link
        for page in [ROOT / "README.md", *DOCS.glob("*.md")]
        for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text())
    }
    for picture in DOCS.glob("*.png"):
        assert {picture.name, f"docs/{picture.name}"} & shown, picture.name
        assert picture.stat().st_size < 100_000, picture.name


def test_the_api_has_every_public_name():
    named = set(re.findall(r"(?m)^::: palaestra\.(\w+)$", (DOCS / "api.md").read_text()))
    rooms = {"sandbox", "tasks", "trainer", "verifiers", "criteria", "tools", "__version__"}
    assert named == set(palaestra.__all__) - rooms
    members = re.search(r"members: \[(.+)\]", (DOCS / "api.md").read_text())
    assert members
    assert set(members[1].split(", ")) == set(palaestra.criteria.__all__)


def test_docstrings_become_markdown():
    pytest.importorskip("griffe")
    module = load_script("docs/docstrings.py")
    docstring = (
        "Add.\n\na: one.\nb, c: others,\n    on two lines.\n\n>>> add(1)  # doctest: +ELLIPSIS\n1\n\nEnd."
    )
    assert module.write_markdown(docstring) == (
        "Add.\n\na: one.  \nb, c: others,\n    on two lines.\n\n\n```pycon\n>>> add(1)\n1\n```\n\n\nEnd."
    )


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path):
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    build = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(
        build, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    for page in list_pages(SETTINGS["nav"]):
        assert (tmp_path / "site" / page.replace(".md", ".html")).exists(), page
    api = (tmp_path / "site" / "api.html").read_text()
    assert all(f'id="palaestra.{name}"' in api for name in ("train", "evaluate", "Rubric", "compare"))
    assert "fonts.googleapis" not in api
    shutil.rmtree(tmp_path / "site")
