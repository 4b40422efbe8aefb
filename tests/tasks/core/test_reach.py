"""Whether a task's problems are at hand, found out without reading any."""

from dataclasses import replace
from pathlib import Path

import pytest
from palaestra.tasks import get
from palaestra.tasks.core.dataset import Dataset
from palaestra.tasks.core.reach import MEANINGS, find_reach


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    return tmp_path


def prepare(cache: Path, folder: str) -> None:
    place = cache / folder / "0.0.0" / "abc"
    place.mkdir(parents=True)
    (place / "dataset_info.json").touch()


def test_procedural_and_packaged_tasks_need_nothing(cache: Path):
    assert [find_reach(get(name)) for name in ("gcd", "ice_cream")] == ["procedural", "packaged"]


def test_a_data_set_of_the_hub_needs_the_network_until_it_is_prepared(cache: Path):
    assert find_reach(get("gsm8k")) == "network"
    prepare(cache, "openai___gsm8k/socratic")
    assert find_reach(get("gsm8k")) == "network"  # another configuration
    prepare(cache, "openai___gsm8k/main")
    assert find_reach(get("gsm8k")) == "cached"
    assert find_reach(get("gsm8k", {"data": "here.jsonl"})) == "local"


def test_the_cache_spells_names_with_capitals_in_its_own_way(cache: Path):
    prepare(cache, "TIGER-Lab___theorem_qa/default")
    assert find_reach(get("theoremqa")) == "cached"


def test_every_configuration_has_to_be_there(cache: Path):
    source = get("math").source
    assert isinstance(source, Dataset)
    assert source.hub is not None
    first, *others = source.hub.config or ()
    prepare(cache, f"EleutherAI___hendrycks_math/{first}")
    assert find_reach(get("math")) == "network"
    for config in others:
        prepare(cache, f"EleutherAI___hendrycks_math/{config}")
    assert find_reach(get("math")) == "cached"


def test_a_data_set_that_is_on_no_hub_is_local(cache: Path):
    task = get("gsm8k")
    assert isinstance(task.source, Dataset)
    reach = find_reach(replace(task, source=replace(task.source, hub=None)))
    assert reach == "local"
    assert reach in MEANINGS
