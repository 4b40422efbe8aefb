"""Sizes of a run follow from what is free; one that holds shards has a bill of its own."""

from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model import fit, lora, measure, memory
from palaestra.trainer.model.measure import Passes
from palaestra.trainer.model.memory import HeldModel
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.model.sequences import UPDATE_TOKENS
from palaestra.trainer.model.sharded import bill_shard

MIB = 2**20


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy("embedded", "cpu", "float32")


def test_sizes_follow_from_what_is_free(policy: Policy):
    config = TrainConfig.of(max_prompt_tokens=200, max_new_tokens=56)
    roomy = fit.plan(policy, config, available=16384 * MIB)
    assert (roomy.rows, roomy.tokens) == (256, UPDATE_TOKENS)
    tight = fit.plan(policy, config, available=30 * MIB)
    assert tight.rows < 256
    assert tight.tokens < UPDATE_TOKENS
    assert tight.total - tight.fixed["weights"] <= fit.SHARE * 30 * MIB
    asked = fit.plan(policy, config.but(rows=99, tokens_per_microbatch=12345), available=16384 * MIB)
    assert (asked.rows, asked.tokens) == (99, 12345), "what the user set stays"
    for free in (2, 9):  # before anything is measured, and after
        with pytest.raises(UserError, match=r"does not fit: Memory \(MiB\).*--max-prompt-tokens"):
            fit.plan(policy, config, available=free * MIB)


def test_without_room_for_a_fused_copy_the_fast_path_is_left_out(monkeypatch: pytest.MonkeyPatch):
    policy = load_policy("embedded", "cpu", "float32")
    policy.model.requires_grad_(False)
    policy.model.model.norm.weight.requires_grad_(True)  # so that sampling needs the most
    config = TrainConfig.of(max_prompt_tokens=4, max_new_tokens=4, eval_problems=1, preflight_problems=0)
    config = config.but(eval_samples=1, prompts_per_step=1, group_size=1, moments="8bit")
    rest = [memory.bill(policy, config.but(fast_path=way), (), 1, 1, 0, Passes()) for way in ("auto", "no")]
    needs = [bill.total - bill.fixed["weights"] for bill in rest]
    assert needs[0] > needs[1], "the copy is in the bill"

    def find_sizes(free: float, **settings: str) -> dict:
        monkeypatch.setattr(fit, "available_memory", lambda _device: int(free / fit.SHARE))
        monkeypatch.setattr(fit, "plan", partial(plan, measure=lambda *_: Passes()))
        return fit.fit_sizes(policy, config.but(**settings), (), said.append)

    plan, said = fit.plan, list[str]()
    assert "fast_path" not in find_sizes(needs[0] + 9)
    assert find_sizes((needs[0] + needs[1]) / 2)["fast_path"] == "no"
    assert said[-1].startswith("There is no room for a fused copy")
    assert "fast_path" not in find_sizes((needs[0] + needs[1]) / 2, fast_path="no"), "it was asked for"
    with pytest.raises(UserError, match="does not fit"):
        find_sizes((needs[0] + needs[1]) / 2, fast_path="yes")


def test_the_sizes_are_chosen_and_the_bill_is_said(policy: Policy):
    said: list[str] = []
    sizes = fit.fit_sizes(policy, TrainConfig(), (), said.append)
    assert sizes.keys() == {"rows", "tokens_per_microbatch"}
    assert min(sizes.values()) > 0
    assert said[0].startswith("Memory (MiB): weights")
    assert memory.available_memory(torch.device("cpu")) > 0


def test_what_the_sampler_keeps_is_freed_where_that_allows_many_more_rows(monkeypatch: pytest.MonkeyPatch):
    policy = replace(load_policy("embedded", "cpu", "float32"), device=torch.device("cuda"))
    config = TrainConfig.of(max_prompt_tokens=512, max_new_tokens=512, tokens_per_microbatch=512)
    passes = Passes(cache=measure.measure_cache(replace(policy, device=torch.device("cpu"))))

    def choose(free: float, **settings: str) -> memory.Bill:
        return fit.plan(policy, config.but(**settings), (), int(free / fit.SHARE), lambda *_: passes)

    assert choose(1e12).keep_sampler == "auto"
    assert choose(1e12, keep_sampler="no").keep_sampler == "no"

    def keep_a_gibibyte_a_row(_policy: Policy, config: TrainConfig, rows: int, _passes: Passes) -> int:
        return 0 if config.rollouts.keep_sampler == "no" else rows * 2**30

    monkeypatch.setattr(memory, "kept_sampling_bytes", keep_a_gibibyte_a_row)
    judge = [HeldModel("reward model", 0, scoring=MIB)]
    for keeps, scoring in (("yes", MIB), ("no", MIB + 2**31)):  # freed after the reward model has scored
        asked = config.but(keep_sampler=keeps)
        assert memory.bill(policy, asked, judge, 2, 1, 0, passes).phases["scoring by reward model"] == scoring
    assert choose(2**34, keep_sampler="yes").rows == 8
    found = choose(2**34)
    assert (found.keep_sampler, found.rows > 4) == ("no", True)
    monkeypatch.setattr(fit, "plan", partial(fit.plan, available=2**34, measure=lambda *_: passes))
    said: list[str] = []
    assert fit.fit_sizes(policy, config, (), said.append)["keep_sampler"] == "no"
    assert "freed before each update" in said[-1]


def test_where_a_server_samples_its_share_of_the_card_is_left_and_no_sampler_is_billed(
    monkeypatch: pytest.MonkeyPatch,
):
    policy = replace(load_policy("embedded", "cpu", "float32"), device=torch.device("cuda"))
    config = TrainConfig.of(tokens_per_microbatch=512, engine="vllm", engine_memory=0.25)
    judge = [HeldModel("reward model", 0, scoring=MIB)]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (12 * 2**30, 16 * 2**30))

    def choose(**settings: object) -> memory.Bill:
        return fit.plan(policy, config.but(**settings), judge, measure=lambda *_: Passes())

    found = choose()
    assert found.available == 8 * 2**30
    assert found.phases.keys() == {"scoring by reward model", "update of 512 tokens"}
    assert found.phases["scoring by reward model"] == MIB, "nothing of a sampler is beside it"
    assert found.fixed.keys() == {"weights", "optimizer", "reward model"}
    assert choose(engine_url="http://localhost:8000").available == 12 * 2**30, "it has its share already"
    ahead = choose(staleness=1).fixed
    assert ahead.keys() - found.fixed.keys() == {"weights to sample from"}
    local = choose(engine="local")
    assert local.available == 12 * 2**30
    assert "sampler" in local.fixed


def test_a_server_that_sleeps_takes_its_share_beside_all_but_the_update(monkeypatch: pytest.MonkeyPatch):
    policy = replace(load_policy("embedded", "cpu", "float32"), device=torch.device("cuda"))
    judge = [HeldModel("reward model", 0, scoring=MIB)]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (12 * 2**30, 16 * 2**30))
    config = TrainConfig.of(engine="vllm", engine_memory=0.5, rows=1, tokens_per_microbatch=512)
    served, update = 8 * 2**30, "update of 512 tokens"

    def choose(least: int = 0, **settings: object) -> memory.Bill:
        monkeypatch.setattr(memory, "update_bytes", lambda *_: least)
        return fit.plan(policy, config.but(**settings), judge, measure=lambda *_: Passes())

    kept, slept = choose(keep_sampler="yes"), choose(keep_sampler="no")
    assert (kept.available, slept.available) == (4 * 2**30, 12 * 2**30)
    assert slept.phases["the server that samples"] == served
    assert slept.phases["scoring by reward model"] == served + MIB, "it is awake then"
    assert slept.phases[update] == kept.phases[update] + memory.ASLEEP
    adapted = replace(policy, model=deepcopy(policy.model))
    lora.add_adapters(adapted.model, LoraConfig(lora_rank=4), 0)
    phases = memory.bill(adapted, config, (), 1, 512, 0, Passes(), served).phases
    merging = phases["saving merged weights"] - memory.ASLEEP
    assert merging > 0
    assert phases["the server that samples"] == merging + served, "merged weights are handed to it"
    assert choose(2**30).keep_sampler == "auto", "both fit beside each other"
    assert choose(5 * 2**30).keep_sampler == "no", "they fit one after the other"
    for refused in ({"keep_sampler": "yes"}, {"staleness": 1}, {"engine_memory": 0.74}):
        judge[0] = HeldModel("reward model", 0, scoring=MIB if "keep_sampler" in refused else 2**30)
        with pytest.raises(UserError, match="does not fit"):
            choose(5 * 2**30, **refused)
    said = list[str]()
    judge[0] = HeldModel("reward model", 0, scoring=MIB)
    monkeypatch.setattr(fit, "plan", partial(fit.plan, measure=lambda *_: Passes()))
    assert fit.fit_sizes(policy, config, (), said.append)["keep_sampler"] == "no"
    assert said[-1].startswith("The server sleeps during updates")


def test_a_process_with_a_share_of_the_policy_holds_whole_what_is_not_divided(policy: Policy):
    weights, config = 4 * policy.parameters, TrainConfig.of(moments="8bit")
    held = [HeldModel("reference", weights), HeldModel("critic", weights, trained=weights)]
    whole = memory.bill(policy, config, held, 10, 1000, 0, Passes())
    part = bill_shard(whole, policy, 4)
    moments = whole.fixed["optimizer"]
    assert part.fixed == {
        "weights": weights // 4, "reference": weights, "critic": weights,
        "optimizer": pytest.approx(moments * (1 / 2 + 1 / 8), abs=1), "whole copy to sample from": weights,
    }  # fmt: skip
    assert part.gradients == weights + weights // 4, "the critic's, and a share of the policy's"
    spared = {name: size - part.phases[name] for name, size in whole.phases.items()}
    assert spared["optimizer step"] == weights - weights // 4
    assert spared["sampling 10 rows"] == 0
    layers = policy.model.model.layers
    layer, rest = (4 * sum(w.numel() for w in part.parameters()) for part in (layers[0], layers))
    rest = weights - rest
    assert spared["update of 1000 tokens"] == weights - weights // 4 - (3 * layer + 2 * rest), (
        "two blocks and what is outside of them, and the gradients of one"
    )
    assert fit.plan(policy, config, (), 2**34, lambda *_: Passes(), shards=2).fixed["weights"] == weights // 2
