"""The bill of memory, and the retreat when it runs out."""

from dataclasses import replace

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.update import add_gradient
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model import head, measure, memory
from palaestra.trainer.model.captures import Tape
from palaestra.trainer.model.casts import hold_casts
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.folding import count_folded_bytes
from palaestra.trainer.model.live_bytes import LiveBytes
from palaestra.trainer.model.logprobs import compute_logprobs
from palaestra.trainer.model.measure import Passes
from palaestra.trainer.model.memory import HeldModel
from palaestra.trainer.model.microbatches import choose_microbatch_tokens
from palaestra.trainer.model.modes import STATIC, DecodingMode
from palaestra.trainer.model.optim import adamw
from palaestra.trainer.model.policy import Policy, load_policy, load_tokenizer
from palaestra.trainer.model.sequences import Sequences
from palaestra.trainer.objective.losses import count_denominators
from transformers import Qwen3Config, Qwen3ForCausalLM

from ..support.policies import make_policy
from ..support.tiny import make_tiny

MIB = 2**20


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy("embedded", "cpu", "float32")


def test_the_bill_knows_every_bonus_of_the_entropy(policy: Policy):
    """An adaptive one has the gradient of the entropy in some steps, whatever its weight at the start."""

    def bill(**loss: float) -> int:
        config = TrainConfig.of(**{f"loss.{name}": value for name, value in loss.items()})
        return memory.update_bytes(policy, config, [], 1000, Passes())

    assert bill(entropy_target=0.2) == bill(entropy_coef=0.01) > bill()


def test_what_recorded_steps_read_is_held_all_the_time(policy: Policy):
    """On a GPU the sampler's weights and cache stay while the update runs; sampling as a whole needs no
    more."""
    config = TrainConfig.of(max_prompt_tokens=100, max_new_tokens=28)
    passes = Passes(cache=measure.measure_cache(policy))
    here = memory.bill(policy, config, [], 10, 1000, 0, passes)
    there = memory.bill(replace(policy, device=torch.device("cuda")), config, [], 10, 1000, 0, passes)
    fused = memory.fused_bytes(policy.model, 4)
    assert there.fixed["sampler"] == fused + passes.cache.count(10, 10 * 128)
    assert "sampler" not in here.fixed
    assert there.total - here.total >= there.fixed["sampler"] - here.phases["sampling 10 rows"]
    assert 0 <= there.phases["sampling 10 rows"] < here.phases["sampling 10 rows"]


def test_the_copies_that_the_general_path_samples_with_are_billed():
    model = make_tiny("gpt2")
    config = TrainConfig.of(max_prompt_tokens=20, max_new_tokens=8)
    narrow = make_policy(model, make_character_tokenizer(), torch.bfloat16)
    folded = count_folded_bytes(model, torch.bfloat16, adapters=False)
    assert folded > 0
    plain = memory.sampling_bytes(replace(narrow, dtype=torch.float32), config, 4, Passes())
    assert memory.sampling_bytes(narrow, config, 4, Passes()) == plain + folded


def test_what_the_general_path_keeps_is_billed_by_its_mode(monkeypatch: pytest.MonkeyPatch):
    """On a GPU: copies where it folds, and a cache where it records its steps over one that stays."""
    model = make_tiny("gpt2")
    config = TrainConfig.of(max_prompt_tokens=20, max_new_tokens=8)
    narrow = make_policy(model, make_character_tokenizer(), torch.bfloat16)
    passes, there = Passes(cache=measure.measure_cache(narrow)), replace(narrow, device=torch.device("cuda"))
    folded = count_folded_bytes(model, torch.bfloat16, adapters=False)
    cache = passes.cache.count(4, 4 * 128)
    monkeypatch.setattr(memory, "CudaRecorder", lambda: Tape)
    for mode, wanted in (
        (replace(STATIC, folds="casts"), folded + cache),
        (STATIC, cache),
        (DecodingMode("configured", folds="casts"), folded),
        (DecodingMode("none"), 0),
    ):
        monkeypatch.setattr(memory, "choose_mode", lambda _policy, record, mode=mode: record and mode)
        assert memory.kept_sampling_bytes(there, config, 4, passes) == wanted


def test_rows_that_wait_leave_a_cache_that_stays_whichever_path_has_it(policy: Policy):
    """With the fast path and without it: on a GPU both record their steps over tables."""
    passes = Passes(cache=measure.measure_cache(policy))
    there = replace(policy, device=torch.device("cuda"))
    for path in ("auto", "no"):
        config = TrainConfig.of(max_prompt_tokens=100, max_new_tokens=28, fast_path=path)
        billed = [
            memory.sampling_bytes(there, config, 10, replace(passes, waits=waits)) for waits in (True, False)
        ]
        assert billed[0] - billed[1] == passes.cache.count(10, 10 * 128)


def test_rows_whose_pasts_are_rewritten_are_prefilled_whole_and_together(policy: Policy):
    """An episode of a single turn has none, whatever was asked for."""
    passes = measure.measure_passes(policy, TrainConfig())
    config = TrainConfig.of(max_prompt_tokens=100, max_new_tokens=400, trajectories="branching")

    def bill(waits: bool = True, **settings: str) -> int:
        return memory.sampling_bytes(policy, config.but(**settings), 64, replace(passes, waits=waits))

    assert bill() >= passes.prefill.peak(64 * 500) + 5 * 64 * 500**2
    assert bill() > bill(trajectories="interleaved")
    assert bill(waits=False) == bill(waits=False, trajectories="interleaved")


def test_the_bill_adds_up(policy: Policy):
    config = TrainConfig.of(max_prompt_tokens=100, max_new_tokens=28, eval_problems=1, eval_samples=1)
    bill = memory.bill(policy, config, [], rows=10, tokens=1000, available=4096 * MIB, passes=Passes())
    weights = 4 * policy.parameters
    assert bill.fixed == {"weights": weights, "optimizer": 2 * weights}
    assert bill.gradients == weights
    assert bill.total == 3 * weights + max(bill.phases.values()), "one phase at a time"
    assert measure.measure_cache(policy).count(3, 128) == 2 * 2 * 1 * 32 * 128 * 4, (
        "2 layers, keys and values, 1 head of 32"
    )
    held = [
        HeldModel("reference", weights),
        HeldModel("critic", weights, trained=weights),
        HeldModel("reward model helpful", weights, loaded=True, scoring=7 * MIB),
    ]
    whole = memory.bill(policy, config, held, 10, 1000, 0, Passes())
    assert whole.fixed["reference"] == whole.fixed["critic"] == whole.fixed["reward model helpful"] == weights
    assert (whole.gradients, whole.fixed["optimizer"]) == (2 * weights, 4 * weights)
    assert whole.phases["update of 1000 tokens"] - bill.phases["update of 1000 tokens"] == weights, (
        "one gradient more"
    )
    for named in (
        "reference 1",
        "critic 1",
        "reward model helpful 1",
        "sampling 10 rows",
        "update of 1000 tokens",
    ):
        assert named in str(whole)
    assert "scoring by reward model helpful 7," in str(whole)


def test_moments_in_eight_bits_and_a_copy_for_checkpoints_are_in_the_bill(policy: Policy):
    weights, critic = 4 * policy.parameters, HeldModel("critic", 7 * MIB, trained=3 * MIB)

    def find(**settings: str) -> memory.Bill:
        return memory.bill(policy, TrainConfig.of(**settings), [critic], 1, 1, 0, Passes())

    learned = weights + 3 * MIB
    assert find().fixed["optimizer"] == 2 * learned
    eight = find(moments="8bit", background_saving="yes")
    assert eight.fixed["optimizer"] == pytest.approx(2 * learned * (1 + 4 / 256) / 4, rel=1e-6)
    copied = eight.fixed["copy for checkpoints"]
    assert copied == weights + eight.fixed["optimizer"] + 7 * MIB, "of weights, moments, and the critic's"
    assert eight.phases["optimizer step"] > eight.gradients == learned
    assert "copy for checkpoints" not in find().fixed


def test_the_probe_s_copy_in_the_type_of_the_weights_is_in_the_bill(policy: Policy):
    """In bfloat16 it is the largest that a small batch of short texts needs."""
    narrow = replace(policy, dtype=torch.bfloat16)
    config = TrainConfig.of(max_prompt_tokens=64, max_new_tokens=8)
    fused = memory.fused_bytes(policy.model, 4)
    assert memory.sampling_bytes(narrow, config, 1, Passes()) == fused
    assert memory.sampling_bytes(narrow, config.but(fast_path="no"), 1, Passes()) < fused


def test_a_critic_is_billed_beside_what_the_policy_keeps(policy: Policy):
    config = TrainConfig()
    passes = measure.measure_passes(policy, config)
    alone = memory.update_bytes(policy, config, [], 2048, passes)
    beside = memory.update_bytes(policy, config, [HeldModel("critic", 1, 1, passes=1.0)], 2048, passes)
    assert beside == pytest.approx(passes.update.at_mark(2048) + passes.plain.peak(2048), rel=0.05)
    assert beside > 1.7 * alone
    assert all(parameter.grad is None for parameter in policy.model.parameters())


def test_checkpointing_is_in_the_bill_and_not_left_on_the_model(policy: Policy):
    config = TrainConfig.of(gradient_checkpointing=True)
    state = torch.get_rng_state()
    passes = measure.measure_passes(policy, config)
    assert passes.update.at_mark(1000) < passes.plain.at_mark(1000) / 4
    assert not any(getattr(layer, "gradient_checkpointing", False) for layer in policy.model.model.layers)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_pass_measured_on_few_tokens_foretells_a_larger_one(policy: Policy):
    """192 tokens against 2560: what is kept for the backward pass, and the most that is alive at once."""
    expected = measure.measure_passes(policy, TrainConfig()).update
    sequences = Sequences.of([[row + place for place in range(39)] for row in range(64)], [[5]] * 64)
    compute_logprobs(policy.model, sequences).logprobs_BT.sum().backward()
    held = [tensor for parameter in policy.model.parameters() for tensor in (parameter, parameter.grad)]
    meter = LiveBytes(policy.device, held)
    before = meter.live
    with meter:
        out = compute_logprobs(policy.model, sequences)
        kept = meter.live - before
        out.logprobs_BT.sum().backward()
    policy.model.zero_grad(set_to_none=True)
    assert kept == pytest.approx(expected.at_mark(2560), rel=0.05)
    assert meter.peak - before == pytest.approx(expected.peak(2560), rel=0.05)


def test_live_bytes_count_a_storage_once_and_as_long_as_anything_holds_it():
    weight = torch.ones(1000, requires_grad=True)
    with LiveBytes(torch.device("cpu"), [weight]) as meter:
        assert meter.live == 4000
        out = (weight.view(10, 100) * 2).exp()
        assert (meter.live, meter.peak) == (8000, 12000), "the product is freed, views cost nothing"
        total = out.sum()
        del out
        assert meter.live == 8004, "autograd keeps it"
        total.backward()
        assert meter.live == 8004, "a gradient in its place"
        del total
        with torch.inference_mode():
            torch.empty(10)
        assert (meter.live, meter.peak) == (8000, 12008), (
            "the weight, exp, its gradient, the sum and its gradient"
        )


def example(policy: Policy) -> Batch:
    prompts = [[5, 6, 7]] * 4 + [[8, 9]] * 4
    completions = [[10 + (row * place) % 60 for place in range(3 + row)] for row in range(8)]
    sequences = Sequences.of(prompts, completions)
    mask_BT = sequences.mask_BT
    advantages_BT = torch.randn(8, 1, generator=torch.Generator().manual_seed(0)) * mask_BT
    zeros_B = torch.zeros(8)
    return Batch(
        sequences,
        4,
        -4 * mask_BT.float(),
        zeros_B,
        zeros_B.bool(),
        zeros_B.bool(),
        advantages_BT=advantages_BT,
        mask_BT=mask_BT,
    )


def gradients(policy: Policy, batch: Batch, config: TrainConfig) -> list[torch.Tensor]:
    policy.model.zero_grad(set_to_none=True)
    learner = Learner(policy, adamw(policy.model, config.optimizer, policy.parameters), GRPO(policy, config))
    add_gradient(
        learner,
        batch,
        count_denominators(batch.mask_BT, 16),
        choose_microbatch_tokens(config.optimizer),
    )
    return [p.grad.clone() for p in policy.model.parameters()]


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
    ],
    ids=lambda f: type(f).__name__,
)
def test_out_of_memory_halves_the_microbatch_once_and_changes_no_gradient(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    policy = load_policy("embedded", "cpu", "float32")
    batch, config = example(policy), TrainConfig.of(tokens_per_microbatch=60)
    wanted = gradients(policy, batch, config)
    loss, sizes = GRPO.loss, []

    def short_of_memory(self, part, *rest):
        sizes.append(int((part.sequences.lengths_B + part.sequences.prompt_lengths_B).sum()))
        result = loss(self, part, *rest)
        if sizes[-1] > 40:
            result.loss.backward()
            raise failure  # after its gradient was added: the retreat must begin afresh
        return result

    monkeypatch.setattr(GRPO, "loss", short_of_memory)
    found = gradients(policy, batch, config)
    assert "going on with micro-batches of 30 tokens" in capsys.readouterr().err
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    sizes.clear()
    gradients(policy, batch, config)
    assert max(sizes) <= 40, "the smaller size was to be kept for later steps"
    assert capsys.readouterr().err == ""

    monkeypatch.setattr(GRPO, "loss", lambda *_: (_ for _ in ()).throw(failure))
    with pytest.raises(UserError, match="Memory ran out in the update, with micro-batches of 30 tokens"):
        gradients(policy, batch, config)


def test_other_errors_are_not_taken_for_it(monkeypatch: pytest.MonkeyPatch):
    policy = load_policy("embedded", "cpu", "float32")
    monkeypatch.setattr(GRPO, "loss", lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        gradients(policy, example(policy), TrainConfig.of(tokens_per_microbatch=60))


@pytest.mark.parametrize("chunk", [2**24, 3000 * 100], ids=["whole", "chunks"])
@pytest.mark.parametrize(
    ("dtype", "entropy", "frozen"),
    [
        (torch.float32, 0.0, False),
        (torch.float32, 0.01, False),
        (torch.bfloat16, 0.01, False),
        (torch.bfloat16, 0.0, True),
    ],
)
def test_the_logits_of_a_large_vocabulary_are_billed(
    chunk: int, entropy: float, dtype: torch.dtype, frozen: bool, monkeypatch: pytest.MonkeyPatch
):
    """Where they are most of an update: 504 tokens of 3000 logits each."""
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    model = Qwen3ForCausalLM(Qwen3Config(vocab_size=3000, **size, **heads))
    for table in (model.lm_head, model.model.embed_tokens):
        table.weight.requires_grad_(not frozen)
    large = Policy(model, load_tokenizer("embedded"), torch.device("cpu"), dtype, "large")
    monkeypatch.setattr(head, "CHUNK_ELEMENTS", chunk)
    config = TrainConfig.of(loss=LossConfig(entropy_coef=entropy))
    billed = memory.update_bytes(large, config, [], 512, measure.measure_passes(large, config))
    sequences = Sequences.of(
        [[row] for row in range(8)], [[row + place for place in range(63)] for row in range(8)]
    )

    def update(meter: LiveBytes) -> int:
        with meter, hold_casts(large.device):
            with large.autocast():
                out = compute_logprobs(model, sequences, entropy_gradient=entropy != 0)
            (out.logprobs_BT.sum() + entropy * out.entropy_BT.sum()).backward()
        return meter.peak

    update(LiveBytes(large.device))
    held = [tensor for weight in model.parameters() for tensor in (weight, weight.grad) if tensor is not None]
    meter = LiveBytes(large.device, held)
    before = meter.live
    assert billed == pytest.approx(update(meter) - before, rel=0.12)
