"""Every family that transformers offers is served rightly or refused with a sentence; nothing else passes.

What is expected is written down in `REFUSED`: a family that is not named there is right in every check.
"""

import functools
from pathlib import Path

import pytest
import torch
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from ..support.architectures import ARCHITECTURES, UNBUILT
from ..support.sweep import CHECKS, Outcome, sweep

torch.set_num_threads(1)  # small matrices
PAGE = Path(__file__).parents[3] / "docs" / "models.md"
UNSAMPLED = """
    axk2; bert, reads both ways; cpmant; deepseek_v32; deepseek_v4; doge, experts; dots3_note;
    dots3_note_text; glm_moe_dsa; hy_v4; prophetnet; reformer; roberta, reads both ways; xlm; xlm,
    reads both ways; xlnet
"""
"""transformers' own pass over a text differs from what it says token by token: it reads both ways, chooses
what it attends to over the whole text, or depends on the batch."""
UNTRAINED = """
    phimoe
"""
"""Its router draws at random, or is another, while it trains."""
UNMERGED = """
    emu3; mllama
"""
"""Its weights with adapters can't be merged, saved and loaded; a choice of --lora-targets may be."""


def name_families(text: str, sentence: str) -> dict[str, str]:
    """Each family of a list, and a part of the sentence that it is refused with."""
    return dict.fromkeys((" ".join(name.split()) for name in text.split(";")), sentence)


REFUSED = {
    "sampler": name_families(UNSAMPLED, "can't be sampled from"),
    "greedy": name_families(UNSAMPLED, "can't be sampled from"),
    "update": name_families(UNSAMPLED, "can't be sampled from")
    | name_families(UNTRAINED, "can't be trained here"),
    "lora": name_families(UNSAMPLED, "can't be sampled from")
    | name_families(UNTRAINED, "can't be trained here")
    | name_families(UNMERGED, "can't be merged"),
}
"""Check -> family -> a part of the sentence that it is refused with."""
OFFERED = [name for name in ARCHITECTURES if name.partition(",")[0] in CONFIG_MAPPING]
ALWAYS = set(
    name_families(
        """
        afmoe; bamba; bert; cohere2; deepseek_v3; falcon_h1; falcon_mamba; gemma2; gemma3_text;
        glm4_moe; gpt2; gpt_neox; gpt_oss; granitemoehybrid; jamba; lfm2; llama; llama4_text; mamba;
        mamba2; minimax; mistral; mixtral; mllama; nemotron_h; olmo2; opt; phi; phi3; phimoe; qwen2;
        qwen2_moe; qwen3; qwen3_5_text; qwen3_moe; qwen3_next; recurrent_gemma; rwkv; seed_oss; smollm3;
        xlnet; xlstm; zamba2
        """,
        "",
    )
)
"""Families of every way of decoding, and what people train; the others are slow tests."""
EACH = [
    pytest.param(name, marks=() if name.partition(",")[0] in ALWAYS else pytest.mark.slow) for name in OFFERED
]

run = functools.cache(sweep)


def test_every_family_has_a_config_or_a_reason():
    named = {name.partition(",")[0] for name in ARCHITECTURES} | set(UNBUILT)
    assert set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) <= named
    assert all(set(families) <= set(ARCHITECTURES) for families in REFUSED.values())
    assert tuple(REFUSED) == CHECKS
    assert not set(UNBUILT) & set(ARCHITECTURES)
    assert len(OFFERED) > 100
    assert {name.partition(",")[0] for name in OFFERED} >= ALWAYS


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", EACH)
def test_a_family_is_right_or_refused(name: str, check: str):
    outcome: Outcome = run(name)
    found = outcome.checks[check]
    if name in REFUSED[check]:
        assert found.verdict == "refused", f"{check} of {name}: {found}"
        assert REFUSED[check][name] in found.remark
    else:
        assert found.verdict == "right", f"{check} of {name}: {found}"


def read_table() -> dict[str, list[str]]:
    """Name -> cells of the page's table."""
    _, _, rest = PAGE.read_text().partition("<!-- families: begin -->")
    table, _, _ = rest.partition("<!-- families: end -->")
    rows = [[cell.strip() for cell in line.split(" | ")] for line in table.strip().splitlines()[2:]]
    return {cells[0].removeprefix("| "): cells for cells in rows}


def test_the_page_names_exactly_the_families():
    assert sorted(read_table()) == sorted([*ARCHITECTURES, *UNBUILT])
    for check, place in (("sampler", 2), ("update", 3), ("lora", 4)):
        shown = {name for name, cells in read_table().items() if cells[place] == "refused"}
        assert shown == set(REFUSED[check]), "run benchmarks/models.py"
