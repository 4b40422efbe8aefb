"""A plan as a whole: parts of memory, what sharding splits, what the command prints."""

import json
from dataclasses import replace
from functools import cache

import pytest
from palaestra.trainer.cli.main import main
from palaestra.trainer.config.plan import PlanConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model import fit
from palaestra.trainer.model.measure import measure_passes
from palaestra.trainer.model.memory import weight_bytes
from palaestra.trainer.planning import passes
from palaestra.trainer.planning.bills import CONTEXT, bill_server
from palaestra.trainer.planning.cards import CARDS, GIB
from palaestra.trainer.planning.passes import Learns
from palaestra.trainer.planning.plan import Plan, plan_run, write_plan
from palaestra.trainer.planning.shapes import Shape, find_shape

WIDE = Shape("wide", "qwen2", 256, 512, 3, 4, 2, 512, True, 64, True)


@cache
def make_plan(**settings: object) -> Plan:
    small = {"model": "smollm2-135m", "max_new_tokens": 64, "max_prompt_tokens": 64}
    return plan_run(PlanConfig.of(**small | settings))


@pytest.mark.parametrize(("weights", "recomputes"), [("float32", False), ("bfloat16", True)])
def test_narrow_models_foretell_the_passes_of_a_wide_one(monkeypatch, weights: str, recomputes: bool):
    monkeypatch.setattr(passes, "NARROW", 128)
    monkeypatch.setattr(passes, "LEAST", 64)
    learns = passes.Learns(weights, 0, recomputes)
    foretold = passes.foretell(WIDE, learns)
    config = TrainConfig.of(weights=weights, gradient_checkpointing=recomputes, dtype="bfloat16")
    measured = measure_passes(passes.make_policy(WIDE, config, "cpu", empty=False), config)
    for tokens in passes.TOKENS:
        for name in ("update", "plain", "prefill"):
            one, other = getattr(foretold, name), getattr(measured, name)
            assert one.peak(tokens) == pytest.approx(other.peak(tokens), rel=0.05)
            assert one.at_mark(tokens) == pytest.approx(other.at_mark(tokens), rel=0.03)
    assert foretold.cache.count(3, 100) == measured.cache.count(3, 100)


def test_one_card_holds_what_the_trainers_bill_says():
    plan = make_plan()
    parameters = find_shape("smollm2-135m").parameters
    assert plan.fits
    assert (plan.trainer.held["weights"], plan.trainer.held["optimizer"]) == (4 * parameters, 8 * parameters)
    assert plan.tokens_per_day == pytest.approx(86400 * 32 * 8 * 64 / plan.seconds.total)
    assert plan.seconds.total == pytest.approx(plan.seconds.sampling + plan.seconds.training)
    assert plan.moved == plan.decoding.steps * plan.decoding.bytes


def test_one_card_has_the_sizes_that_the_trainer_would_choose(monkeypatch):
    """Few rows beside what the sampler keeps, or many where that is freed; both open sizes made smaller."""
    shape = find_shape("smollm2-135m")
    for memory in (4.0, 4.5, 12):
        card = replace(CARDS["l4"], memory=memory * GIB)
        monkeypatch.setitem(CARDS, "l4", card)
        planned = PlanConfig.of(model=shape.name, gpu="l4", prompts_per_step=64, group_size=16)
        found, config = plan_run(planned), planned.as_training()
        config = config.but(eval_problems=64, eval_samples=1)
        policy = passes.make_policy(shape, config, "cuda")
        free = int(card.memory - CONTEXT) - weight_bytes(policy.model)
        bill = fit.plan(policy, config, (), free, lambda *_, c=config: passes.foretell(shape, Learns.of(c)))
        assert (found.trainer.rows, found.trainer.tokens) == (bill.rows, bill.tokens)
        assert (found.trainer.held, found.trainer.phases) == (bill.fixed, bill.phases)
        assert found.fits


def test_what_the_trainer_refuses_is_planned_and_said():
    for settings, words in (
        ({"gpus": 2, "engine": "vllm"}, "--processes 2 and --engine vllm don't go together"),
        (
            {"gpus": 2, "shard": "fsdp", "moments": "8bit"},
            "--shard fsdp and --moments 8bit don't go together",
        ),
    ):
        plan = make_plan(**settings)
        assert words in plan.to_dict()["refused"]
        assert f"`palaestra train` does not run this yet: {words}"[:60] in write_plan(plan)
    assert make_plan().to_dict()["refused"] == ""


def test_a_server_on_the_same_card_takes_the_share_that_it_is_given():
    plan = make_plan(engine="vllm", engine_memory=0.25)
    assert plan.trainer.held["vLLM's server"] == int(0.25 * CARDS["h100"].memory)
    assert plan.trainer.rows == 256
    assert plan.trainer.phases == make_plan(engine="vllm", sampler_gpus=1).trainer.phases
    assert not any(name.startswith("sampling") for name in plan.trainer.phases)
    assert plan.fits


def test_a_server_that_sleeps_leaves_its_share_of_the_card_to_the_update():
    plan = make_plan(engine="vllm", engine_memory=0.25, keep_sampler="no")
    assert plan.trainer.phases["the server that samples"] == int(0.25 * CARDS["h100"].memory)
    assert "vLLM's server" not in plan.trainer.held
    assert plan.fits
    large = {"model": "Qwen/Qwen2.5-1.5B", "engine": "vllm", "engine_memory": 0.7}
    assert not make_plan(**large, keep_sampler="yes").fits
    assert make_plan(**large).fits, "auto lets it sleep"


def test_sharding_splits_weights_gradients_and_moments():
    whole, split = make_plan(gpus=2), make_plan(gpus=2, shard="fsdp")
    parameters = find_shape("smollm2-135m").parameters
    assert split.trainer.held["weights"] == whole.trainer.held["weights"] / 2
    assert split.trainer.held["optimizer"] == whole.trainer.held["optimizer"] / 2
    assert split.trainer.held["whole copy to sample from"] == whole.trainer.held["weights"]
    assert split.trainer.phases.keys() - whole.trainer.phases.keys() == {"cutting the policy"}
    assert whole.seconds.exchange * 450e9 * 0.6 == pytest.approx(4 * parameters)  # 2 x 1/2 x 4 bytes
    assert split.seconds.exchange > whole.seconds.exchange


def test_a_server_of_its_own_samples_beside_the_update_where_it_may_run_ahead():
    plan = make_plan(engine="vllm", sampler_gpus=1, staleness=1)
    assert plan.sampler is not None
    assert plan.seconds.ahead
    assert plan.seconds.total == max(plan.seconds.sampling, plan.seconds.training) + plan.seconds.sync
    assert not any(name.startswith("sampling") for name in (*plan.trainer.phases, *plan.trainer.held))
    assert plan.trainer.held["weights to sample from"] == plan.trainer.held["weights"]


def test_a_servers_weights_are_spread_until_they_leave_room():
    shape, config = find_shape("llama-3.1-70b"), TrainConfig.of(max_new_tokens=1024)
    found = bill_server(shape, config, CARDS["h100"], 8)
    assert found.replica == 4  # 131 GiB in bfloat16: 33 a card
    assert found.held["weights"] == 2 * shape.parameters // 4
    assert found.total <= 0.9 * CARDS["h100"].memory
    with pytest.raises(Exception, match=r"131 GiB in bfloat16, and 90% of 1 card\(s\)"):
        bill_server(shape, config, CARDS["h100"], 1)


def test_the_command_says_what_was_taken_and_what_it_was_checked_on(capsys):
    small = ["--model", "embedded", "--gpu", "here", "--max-new-tokens", "16", "--max-prompt-tokens", "16"]
    assert main(["plan", *small]) == 0
    said = capsys.readouterr().out
    assert "50% of the bandwidth" in said
    assert "Nothing of it was checked on a GPU" in said
    assert main(["plan", *small, "--json", "--bandwidth-share", "0.25"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["assumed"]["bandwidth_share"] == 0.25
    assert found["model"]["parameters"] == 390_784
    assert found["seconds"]["step"] > 0


def test_what_does_not_fit_is_said_with_what_makes_it_smaller(monkeypatch, capsys):
    monkeypatch.setitem(CARDS, "l4", CARDS["l4"].__class__("small", 2 * GIB, 1e9, 1e12, 1e9, "none"))
    flags = ["--model", "smollm2-135m", "--gpu", "l4", "--max-new-tokens", "64", "--max-prompt-tokens", "64"]
    assert main(["plan", *flags]) == 1
    said = capsys.readouterr().out
    assert "IT DOES NOT FIT. What makes it smaller: --gradient-checkpointing, --weights bfloat16" in said
    assert "Seconds" not in said
    monkeypatch.setitem(CARDS, "l4", CARDS["l4"].__class__("small", GIB / 2, 1e9, 1e12, 1e9, "none"))
    assert main(["plan", *flags, "--shard", "fsdp", "--gpus", "8"]) == 1  # each card holds a copy of it all
    assert "IT DOES NOT FIT, on any number of these cards: each holds a whole" in capsys.readouterr().out
    assert main(["plan", *flags]) == 1
    assert "--shard" not in capsys.readouterr().out
    assert main(["plan", "--model", "Qwen/Qwen2.5-7"]) == 2
    assert "no model of the table" in capsys.readouterr().err


def test_the_plan_is_written_part_by_part():
    said = write_plan(make_plan(engine="vllm", sampler_gpus=1, staleness=1))
    assert "1 more for vLLM" in said
    assert "sampling beside the update" in said
    assert "A card that samples (GiB): weights 0.25" in said
