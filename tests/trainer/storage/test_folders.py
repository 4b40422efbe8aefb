"""What the folder of a run records: settings in one file, facts in the other, the code that was named."""

import json
import tracemalloc
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.parse import parse
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.runs import setup
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from palaestra.trainer.storage.folders import (
    forget_after,
    gather_facts,
    open_existing,
    open_new,
    reopen,
)
from palaestra.trainer.storage.sources import list_changes

TASK = '''"""Say the letter."""
from palaestra.tasks import Problem, task
from palaestra.verifiers import Rubric, exact


@task("letter", rubric=Rubric(exact()))
def letter(rng, level):
    """Say the letter."""
    n = rng.randrange(10**6)
    yield Problem(prompt=f"{n}a", reference="a", key=str(n))
'''


def test_a_run_records_its_settings_and_its_facts_apart(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "letter.py").write_text(TASK)
    config = TrainConfig.of(
        task=tmp_path / "letter.py", model=warm_model, out=tmp_path / "run", steps=2, prompts_per_step=2,
        group_size=2, max_new_tokens=4, force=True, preflight_problems=0, eval_problems=2, eval_samples=1,
        threads=1, device="cpu", stop_after=1,
    )  # fmt: skip
    train(config, say=lambda _line: None)
    folder = open_existing(tmp_path / "run")
    read = parse(TrainConfig, ["--config", str(tmp_path / "run" / "config.json")], "palaestra train")
    assert read == config, "settings as given: what was chosen for auto is a fact"
    facts = folder.read_facts()
    assert facts["sizes"].keys() == {"rows", "tokens_per_microbatch"}
    assert min(facts["sizes"].values()) > 0
    assert (facts["command"], facts["device"], facts["threads"]) == ("train", "cpu", 1)
    assert {"palaestra", "torch", "transformers"} <= facts["packages"].keys()
    assert facts["sources"].keys() == {str(tmp_path / "letter.py")}
    (recorded,) = facts["sources"].values()
    assert recorded["path"] == str(tmp_path / "letter.py")
    assert (tmp_path / "run" / recorded["copy"]).read_text() == TASK
    assert list_changes(folder.path, facts) == []
    (tmp_path / "letter.py").write_text(TASK + "\n# another\n")
    changed = {**facts, "sizes": {"rows": 3, "tokens_per_microbatch": 77}}
    (tmp_path / "run" / "facts.json").write_text(json.dumps(changed))
    prepared: list[TrainConfig] = []
    prepare = setup.prepare
    monkeypatch.setattr(
        setup, "prepare", lambda config, *rest: prepared.append(config) or prepare(config, *rest)
    )
    says = r"(?s)letter\.py changed since the run began:.*\+# another.*resume .*/run --task-changed ok"
    with pytest.raises(UserError, match=says):
        resume(tmp_path / "run", {}, say=lambda _line: None)
    said: list[str] = []
    resume(tmp_path / "run", {}, say=said.append, accept_changes=True)
    assert prepared[0].rollouts.rows == 3, "a resumed run takes the sizes of its start"
    assert prepared[0].optimizer.tokens_per_microbatch == 77
    assert any("Changed since the run began, and accepted" in line and "+# another" in line for line in said)
    facts = folder.read_facts()
    assert list_changes(folder.path, facts) == [], "what was accepted is not asked about again"
    assert facts["changes"] == [{"name": recorded["path"], **recorded}]


def test_metrics_are_appended_and_a_run_of_another_command_is_named(tmp_path: Path):
    folder = open_new(tmp_path, TrainConfig(), gather_facts("eval", tmp_path, []), ())
    folder.log({"kind": "step", "step": 1, "loss": 0.5})
    folder.log({"kind": "step", "step": 2, "loss": 0.25})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == [0.5, 0.25]
    with pytest.raises(UserError, match=r"a run of `palaestra eval`, which can't be resumed"):
        resume(tmp_path, {})


def test_held_out_evaluations_after_the_checkpoint_are_forgotten(tmp_path):
    for step in (0, 5, 10):
        (tmp_path / "held_out" / f"step-{step:06d}").mkdir(parents=True)
    forget_after(tmp_path, 5)
    assert sorted(path.name for path in (tmp_path / "held_out").iterdir()) == ["step-000000", "step-000005"]


def test_a_log_is_cut_where_it_stands_whatever_its_size(tmp_path: Path):
    line = json.dumps({"step": 0, "completion": "é" * 2_000}, ensure_ascii=False)
    lines = [line.replace('"step": 0', f'"step": {n // 100}') + "\n" for n in range(2_000)]
    path = tmp_path / "rollouts.jsonl"
    path.write_text("".join(lines) + '{"step": 20, "compl')
    tracemalloc.start()
    forget_after(tmp_path, 19)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 10
    assert path.read_text() == "".join(lines)
    forget_after(tmp_path, 7)
    assert path.read_text() == "".join(lines[:800])
    forget_after(tmp_path, 7)
    assert path.read_text() == "".join(lines[:800])


def test_the_settings_of_each_step_are_known_though_a_run_went_on_with_others(tmp_path: Path):
    configs = [TrainConfig.of(group_size=size, out=str(tmp_path / "run")) for size in (4, 2, 8)]
    (tmp_path / "run").mkdir()
    open_new(tmp_path / "run", configs[0], {"command": "train", "sources": {}}, ())
    for config, step in ((configs[0], 1), (configs[1], 3), (configs[1], 4), (configs[2], 6)):
        folder = reopen(tmp_path / "run", config, (), step)

    def list_sizes(steps):
        return [folder.read_config(TrainConfig, step).rollouts.group_size for step in steps]

    assert list_sizes((1, 3, 4, 6, 7)) == [4, 4, 2, 2, 8]
    folder = reopen(tmp_path / "run", configs[2], (), 5)
    assert list_sizes((1, 3, 4, 5, 6, 7)) == [4, 4, 2, 2, 8, 8]
    folder = reopen(tmp_path / "run", configs[0], (), 2)  # from an older checkpoint: what came later is gone
    assert list_sizes((1, 2, 3, 7)) == [4, 4, 4, 4]
    assert folder.read_config(TrainConfig).rollouts.group_size == 4
