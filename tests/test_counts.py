"""What a decode step and an update are made of: bounds that an improvement lowers, and nothing may exceed."""

from pathlib import Path

import pytest
from scripts import load_script

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "counts.py"
SAMPLING = {
    # arithmetic, rank of adapters, fast path -> most operations and casts of weights a step, casts a call
    ("float32", 0, True): (51, 0, 0),
    ("bfloat16", 0, True): (174, 0, 16),
    ("bfloat16", 8, True): (174, 0, 44),
    ("bfloat16", 0, False): (249, 0, 15),
    ("bfloat16", 8, False): (422, 15, 28),
}
UPDATE = {
    # arithmetic, rank of adapters -> most tokens computed of 664 distinct ones, casts of weights
    ("float32", 0): (698, 0),
    ("bfloat16", 0): (698, 15),
    ("bfloat16", 8): (698, 43),
}
HEAD = (6, 1)  # products with the head, and casts of it, for 280 distinct tokens at a vocabulary of 151,936
BYTES_A_WEIGHT = {  # held beside activations: weights, gradients, moments
    "float32": ({}, 16.0),
    "compact": ({"weights": "bfloat16", "moments": "8bit"}, 8.1),
}


@pytest.fixture(scope="module")
def counts():
    return load_script("benchmarks/counts.py")


def skip_without_peft(rank: int) -> None:
    if rank:
        pytest.importorskip("peft")


@pytest.mark.parametrize(("dtype", "rank", "fast"), SAMPLING)
def test_a_decode_step_calls_and_casts_no_more(counts, dtype: str, rank: int, fast: bool):
    skip_without_peft(rank)
    found, most = counts.count_sampling(counts.make_policy(dtype, rank), fast), SAMPLING[dtype, rank, fast]
    assert found.operations <= most[0]
    assert found.casts <= most[1]
    assert found.loaded <= most[2]
    assert found.operations > 30, "the steps are seen"
    assert found.captures == (1 if fast else None), "kept from call to call"


@pytest.mark.parametrize(("dtype", "rank"), UPDATE)
def test_an_update_computes_and_casts_no_more(counts, dtype: str, rank: int):
    skip_without_peft(rank)
    found = counts.count_update(counts.make_policy(dtype, rank), counts.make_batch(4, 8, 30, 20), 512)
    assert found.distinct == 664
    assert found.tokens <= UPDATE[dtype, rank][0]
    assert found.casts <= UPDATE[dtype, rank][1]
    assert found.flops > 1e9


def test_the_head_runs_in_no_more_parts(counts):
    policy = counts.make_policy("bfloat16", vocabulary=151_936)
    found = counts.count_update(policy, counts.make_batch(2, 4, 4, 36), 2048)
    assert 2 <= found.head_products <= HEAD[0]
    assert found.head_casts <= HEAD[1]


@pytest.mark.parametrize("name", BYTES_A_WEIGHT)
def test_a_weight_takes_no_more_bytes(counts, name: str):
    settings, most = BYTES_A_WEIGHT[name]
    bill = counts.count_bytes(**settings)
    held = (sum(bill.fixed.values()) + bill.gradients) / counts.make_policy().parameters
    assert held <= most
    assert held > most - 1


def test_the_counters_see_a_cast_and_a_product(counts):
    """Of a model that does more than it must."""
    policy = counts.make_policy("float32")
    weight = policy.model.model.layers[0].mlp.down_proj.weight
    with counts.WeightUses(policy.model) as uses:
        cast = weight.bfloat16()
        (cast[:, :1].T.contiguous() @ cast[:, :1]).sum()
    name = "model.layers.0.mlp.down_proj.weight"
    assert uses.casts == {name: 1}
    with counts.WeightUses(policy.model) as uses:
        policy.model.model.layers[0].mlp.down_proj(weight[:5])
    assert uses.rows == {name: [5]}
