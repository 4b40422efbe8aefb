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
REFUSED: dict[str, dict[str, str]] = {"sampler": {}, "greedy": {}, "update": {}, "lora": {}}
"""Check -> family -> a part of the sentence that it is refused with."""
WRONG: dict[str, str] = {
    "sampler": """
        axk2; bailing_hybrid; bamba; bart; bert, reads both ways; bigbird_pegasus; blenderbot;
        blenderbot-small; blt; camembert; cpmant; data2vec-text; deepseek_v32; deepseek_v4;
        doge, experts; dots3_note; dots3_note_text; falcon_h1; falcon_mamba; git; glm_moe_dsa;
        granitemoehybrid; hy_v4; inkling2_text; inkling_text; jamba; kimi_linear; lfm2; lfm2_moe; lfm3;
        mamba; mamba2; marian; mbart; minimax; moshi; mvp; nemotron_h; olmo_hybrid; openai-gpt;
        pegasus; plbart; prophetnet; qwen3_5; qwen3_5_moe; qwen3_5_moe_text; qwen3_5_text; qwen3_next;
        qwen4_exp; qwen4_exp_text; recurrent_gemma; reformer; roberta; roberta, reads both ways;
        roberta-prelayernorm; rwkv; trocr; xlm; xlm, reads both ways; xlm-roberta; xlm-roberta-xl;
        xlnet; xlstm; xmod; zamba; zamba2; zaya
    """,
    "greedy": """
        bailing_hybrid; bart; bigbird_pegasus; blenderbot; blenderbot-small; blt; cpmant; deepseek_v32;
        deepseek_v4; doge, experts; dots3_note; dots3_note_text; git; glm_moe_dsa; granitemoehybrid;
        inkling_text; jamba; kimi_linear; lfm2; lfm2_moe; lfm3; mamba2; marian; mbart; minimax; mvp;
        nemotron_h; openai-gpt; pegasus; plbart; prophetnet; qwen3_5_moe; qwen3_5_moe_text; qwen3_next;
        qwen4_exp; qwen4_exp_text; recurrent_gemma; reformer; rwkv; trocr; xlm; xlm, reads both ways;
        xlnet; xlstm; zamba
    """,
    "update": """
        afmoe; apertus; arcee; aria_text; axk1; axk2; bailing_hybrid; bamba; bart; beam; bert;
        bert, reads both ways; bert-generation; big_bird; big_bird, block sparse; bigbird_pegasus;
        biogpt; bitnet; blenderbot; blenderbot-small; bloom; blt; camembert; codegen; cohere; cohere2;
        cohere2_moe; cohere_compass_text; cpmant; ctrl; cwm; data2vec-text; dbrx; deepseek_v2;
        deepseek_v3; deepseek_v32; deepseek_v4; doge; doge, experts; dots1; dots3_note;
        dots3_note_text; electra; emu3; ernie; exaone4; exaone_moe; falcon; falcon, alibi;
        falcon, new decoder; falcon_h1; flex_olmo; flint; fuyu; gemma; gemma2; gemma2, full attention;
        gemma3; gemma3_text; gemma3n_text; gemma4; gemma4_text; gemma4_unified; gemma4_unified_text;
        git; glm; glm4; glm4_moe; glm4_moe_lite; glm_moe_dsa; got_ocr2; gpt-sw3; gpt2;
        gpt2, scaled by layer; gpt_bigcode; gpt_neo; gpt_neox; gpt_neox_japanese; gpt_oss; gptj;
        granite; granite_swa; granitemoe; granitemoe_swa; granitemoehybrid; granitemoeshared; helium;
        hrm_text; hunyuan_v1_dense; hunyuan_v1_moe; hy_v3; hy_v4; hyperclovax; inkling2_text;
        inkling_text; internlm3; iquestcoder; jais2; jamba; jetmoe; kimi_linear; kolibri1; laguna;
        lfm3; llama; llama, biases; llama4; llama4_text; longcat_flash; marian;
        mbart; megatron-bert; mellum; mimo_v2_flash; minicpm3; minimax; minimax_m2; minimax_m3_vl_text;
        ministral; ministral3; mistral; mixtral; mllama; modernbert-decoder; moshi;
        moss_transcribe_diarize; mvp; nanochat; nemotron; nemotron_h; olmo; olmo2; olmo3; olmo_hybrid;
        olmoe; openai-gpt; opt; opt, norm after; pegasus; persimmon; phi; phi3; phi3, no window;
        phi4_multimodal; phimoe; plbart; prophetnet; qwen2; qwen2_moe; qwen3;
        qwen3, window; qwen3_5; qwen3_5_moe; qwen3_5_moe_text; qwen3_5_text; qwen3_moe; qwen3_next;
        qwen4_exp; qwen4_exp_text; recurrent_gemma; reformer; rembert; roberta;
        roberta, reads both ways; roberta-prelayernorm; roc_bert; roformer; seed_oss; smollm3;
        solar_open; stablelm; starcoder2; trocr; vaultgemma; whisper; xglm; xlm; xlm, reads both ways;
        xlm-roberta; xlm-roberta-xl; xlnet; xmod; youtu; zamba; zamba2; zaya
    """,
    "lora": """
        afmoe; beam; cohere2_moe; deepseek_v2; deepseek_v3; deepseek_v32; deepseek_v4; dots1; emu3;
        ernie4_5_moe; exaone_moe; falcon_h1; falcon_mamba; glm4_moe; glm4_moe_lite; glm_moe_dsa;
        hunyuan_v1_moe; jamba; llama4; llama4_text; longcat_flash; mamba; mamba2; mellum; mllama;
        nemotron_h; phimoe; qwen3_next; solar_open
    """,
}
"""Check -> the families that were wrong in the first run, before anything was mended."""
OFFERED = [name for name in ARCHITECTURES if name.partition(",")[0] in CONFIG_MAPPING]

run = functools.lru_cache(sweep)


def test_every_family_has_a_config_or_a_reason():
    named = {name.partition(",")[0] for name in ARCHITECTURES} | set(UNBUILT)
    assert set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) <= named
    assert all(set(families) <= set(ARCHITECTURES) for families in REFUSED.values())
    assert tuple(REFUSED) == CHECKS
    assert not set(UNBUILT) & set(ARCHITECTURES)
    assert len(OFFERED) > 100


def make_cases() -> list:
    """Every check of every family; a known fault must fail, so that what is mended leaves the list."""
    known = {(check, name.strip()) for check, names in WRONG.items() for name in names.split(";")}
    assert all(name in ARCHITECTURES for _, name in known)
    fault = pytest.mark.xfail(reason="wrong in the first run", strict=True, raises=AssertionError)
    return [
        pytest.param(name, check, marks=[fault] if (check, name) in known else [])
        for name in OFFERED
        for check in CHECKS
    ]


@pytest.mark.parametrize(("name", "check"), make_cases())
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
