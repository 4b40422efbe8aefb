"""The examples run as they stand: small where they train, and an algorithm of one's own to the bit."""

import ast
from pathlib import Path
from types import ModuleType
from typing import Any

import palaestra as pal
import pytest
import torch
from palaestra.tasks.core.task import REGISTERED
from palaestra.trainer.cli.main import main
from palaestra.trainer.reports.curves import read_metrics
from palaestra.trainer.runs.replay import replay
from scripts import load_script
from transformers import AutoModelForCausalLM

EXAMPLES = Path(__file__).parent.parent / "examples"
ALGORITHM = EXAMPLES / "own_algorithm.py"
SMALL: dict[str, Any] = {
    "task": str(EXAMPLES / "own_reward.py"), "prompts_per_step": 8, "max_new_tokens": 16, "eval_problems": 4,
    "eval_samples": 1, "eval_every": 0, "preflight_problems": 4, "threads": 1, "device": "cpu",
    "dtype": "float32",
}  # fmt: skip
OWN = pal.TrainConfig.of(
    algorithm=str(ALGORITHM),
    steps=4,
    group_size=1,
    save_every=2,
    learning_rate=1e-3,
    **{"loss.kind": "reinforce"},
    **SMALL,
)


def load(name: str) -> ModuleType:
    return load_script(f"examples/{name}.py")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(folder).state_dict()


def same(a: Path, b: Path) -> bool:
    left, right = weights(a), weights(b)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def baselines(run: Path) -> list[float]:
    return [line["baseline"] for line in read_metrics(run) if line["kind"] == "step"]


def quiet(_line: str) -> None:
    pass


@pytest.fixture(autouse=True, scope="module")
def leave_no_trace():
    """Threads and tasks are as they were for the tests that follow."""
    threads, registered = torch.get_num_threads(), dict(REGISTERED)
    yield
    torch.set_num_threads(threads)
    REGISTERED.clear()
    REGISTERED.update(registered)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a model that counts up now and then."""
    out = tmp_path_factory.mktemp("warm") / "sft"
    fit = pal.sft(
        task=SMALL["task"], steps=60, eval_problems=4, threads=1, device="cpu", out=str(out), say=quiet
    )
    return str(fit.model)


@pytest.fixture(scope="module")
def whole(warm: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pal.train(OWN, model=warm, out=tmp_path_factory.mktemp("runs") / "whole", say=quiet).folder


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_each_example_says_how_to_run_it(path: Path):
    lines = (load(path.stem).__doc__ or "").splitlines()
    commands = [line.split() for line in lines if line.startswith(("    palaestra ", "    python "))]
    assert commands
    assert all(any(f"examples/{path.name}" in word for word in command) for command in commands)


@pytest.mark.parametrize(
    "name", ["own_algorithm", "own_checks", "own_episode", "own_loss", "own_task", "own_reward"]
)
def test_what_is_copied_imports_the_front_door_alone(name: str):
    tree = ast.parse((EXAMPLES / f"{name}.py").read_text())
    sources = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [source for source in sources if source.startswith("palaestra.")]


def test_the_task_passes_the_checks_and_is_trained_on():
    path = str(EXAMPLES / "own_task.py")
    assert main(["task", "check", path]) == 0
    assert main(["task", "show", path]) == 0
    run = pal.train(steps=1, sft_steps=1, group_size=2, force=True, say=quiet, **{**SMALL, "task": path})
    assert len(run.metrics()) == 1


def test_the_episode_is_played_imitated_trained_on_and_judged_again(tmp_path: Path):
    path = str(EXAMPLES / "own_episode.py")
    task = pal.tasks.get(path)
    problem = task.problem("test", 0)
    assert task.score(pal.play(task, problem), problem).passed
    start = pal.sft(task=path, steps=4, demonstrations=32, eval_problems=2, threads=1, out="sft", say=quiet)
    settings = {**SMALL, "task": path, "model": str(start.model), "max_new_tokens": 80}
    run = pal.train(steps=1, group_size=2, force=True, out="run", say=quiet, **settings)
    assert sum(run.metrics()[0]["episodes"]["ended"].values()) == 16
    again = pal.rescore("run", out="again", say=quiet)
    assert again.changes.completions == again.changes.equal == 16


def test_each_check_of_a_list_is_told(capsys: pytest.CaptureFixture[str]):
    load("own_checks").main()
    said = capsys.readouterr().out.partition("good: reward 1.00, passed")[2]
    assert "loud: reward 0.86, not passed" in said
    assert said.count("  no  ") == 4  # one of the loud email, three of the lazy one
    assert main(["task", "show", str(EXAMPLES / "own_checks.py")]) == 0
    assert "needs greets and names the date" in capsys.readouterr().out


def test_the_reward_teaches(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    load("own_reward").main(out=str(tmp_path / "run"), steps=10)
    assert "step 10: held-out pass@1" in capsys.readouterr().out
    rewards = [line["reward"] for line in read_metrics(tmp_path / "run") if line["kind"] == "step"]
    assert sum(rewards[-3:]) > sum(rewards[:3])


def test_training_from_python_gives_numbers_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rate = load("train_from_python").main(str(tmp_path / "runs"), sft_steps=20, steps=2, problems=20)
    assert 0 <= rate <= 1
    said = capsys.readouterr().out
    assert "pass@4: " in said
    assert "step 1: reward" in said


def test_the_algorithm_is_trained_with_from_the_command_line(
    warm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    flags = [
        "--algorithm",
        str(ALGORITHM),
        "--loss.kind",
        "reinforce",
        "--group-size",
        "1",
        "--steps",
        "1",
        "--model",
        warm,
    ]
    small = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    assert main(["train", *flags, *small, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert (
        "advantage    A = r - b; r: the reward; after each step b <- 0.9 b + 0.1 mean(r of the step)\n"
        in said
    )
    assert "Memory (MiB): weights" in said


def test_the_algorithm_stops_and_goes_on_to_the_same_bits(warm: str, whole: Path, tmp_path: Path):
    run = tmp_path / "run"
    assert pal.train(OWN, model=warm, out=run, stop_after=3, say=quiet).interrupted
    pal.resume(run, say=quiet)
    assert baselines(run) == baselines(whole)
    assert same(run / "model", whole / "model")
    assert not same(run / "model", Path(warm))
    assert replay(run, 4).matches


def test_the_baseline_moves_and_is_needed_for_those_bits(warm: str, whole: Path, tmp_path: Path):
    rewards = [line["reward"] for line in read_metrics(whole) if line["kind"] == "step"]
    expected = rewards[0]
    for reward, baseline in zip(rewards, baselines(whole), strict=True):
        expected = 0.9 * expected + 0.1 * reward
        assert baseline == pytest.approx(expected)
    forgetful = tmp_path / "forgetful.py"
    forgetful.write_text(ALGORITHM.read_text().replace('self.baseline = state["baseline"]', "pass"))
    run = tmp_path / "run"
    pal.train(OWN, model=warm, out=run, stop_after=3, algorithm=forgetful, say=quiet)
    pal.resume(run, say=quiet)
    assert not same(run / "model", whole / "model")


def test_what_the_algorithm_holds_is_billed(warm: str, tmp_path: Path):
    own = tmp_path / "holds.py"
    own.write_text(
        ALGORITHM.read_text().replace(
            "    @classmethod\n    def formula",
            "    @classmethod\n    def held_models(cls, policy, config):\n"
            "        from palaestra.trainer.model.memory import HeldModel\n"
            '        return [HeldModel("a judge", 7 << 20)]\n\n    @classmethod\n    def formula',
            1,
        )
    )
    said: list[str] = []
    pal.train(OWN, model=warm, out=tmp_path / "run", steps=1, algorithm=own, say=said.append)
    assert ", a judge 7, " in "\n".join(said)


def test_the_algorithm_takes_a_kl_penalty_from_the_reward(warm: str, whole: Path, tmp_path: Path):
    penalty = {"loss.kl_coef": 0.5, "loss.kl_in": "reward", "loss.kl_estimator": "k1"}
    said: list[str] = []
    run = pal.train(OWN, model=warm, out=tmp_path / "run", say=said.append, **penalty)
    assert "reference 1" in "\n".join(said)
    assert baselines(run.folder) != baselines(whole)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"advantages.scale": "group"},
            "MovingBaseline does not compare the completions of a prompt: do without --advantages.scale, or",
        ),
        (
            {"resample": 2},
            "MovingBaseline does not compare the completions of a prompt: do without --resample, or",
        ),
        ({"loss.clip_high": 0.1}, r"clip_high=0\.1 would have no effect"),
        ({"minibatches": 2}, "has no ratio to correct"),
        ({"ppo.gamma": 0.5}, r"--ppo\.gamma 0\.5 would have no effect: MovingBaseline does not read it"),
    ],
)
def test_the_algorithm_refuses_what_it_does_not_read(warm: str, settings: dict[str, Any], says: str):
    with pytest.raises(pal.UserError, match=says):
        pal.train(OWN, model=warm, **settings)


def test_an_algorithm_that_says_nothing_claims_no_advantage_of_a_group():
    class Bare(pal.Algorithm):
        pass

    assert Bare.formula(pal.TrainConfig()).startswith("advantage    A = what Bare.credit says\n")
    with pytest.raises(pal.UserError, match="has no ratio to correct"):
        Bare.check(OWN.but(minibatches=2))


def test_the_loss_is_trained_with(warm: str, tmp_path: Path):
    said: list[str] = []
    kind = {"loss.kind": f"{EXAMPLES / 'own_loss.py'}:kimi"}
    pal.train(
        model=warm,
        steps=1,
        group_size=4,
        minibatches=2,
        out=tmp_path / "run",
        say=said.append,
        **kind,
        **SMALL,
    )
    assert "x = sum over the completion of log p_now / p_sampled" in "\n".join(said)
