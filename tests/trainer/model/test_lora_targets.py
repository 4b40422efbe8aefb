"""Which weights carry adapters: all that can, the ones that are named, and what is said of the others."""

from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.model import lora
from palaestra.trainer.model.lora_targets import PeftTargets, count_adapter_parameters, find_targets
from transformers import MambaConfig, MambaForCausalLM

from ..support.architectures import make_model
from ..support.tiny_models import MODELS, make_tiny

pytest.importorskip("peft")


def find_kinds(kind: str, **settings) -> set[str]:
    model = make_tiny(kind, 64)
    lora.add_adapters(model, LoraConfig(lora_rank=2, **settings), 0)
    return {name.removesuffix(".weight").rpartition(".")[2] for name in lora.find_adapted(model)}


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        ("llama", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
        ("gpt2", {"c_attn", "c_proj", "c_fc"}),
        ("qwen3_moe", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj"}),
        ("granite_moe", {"q_proj", "k_proj", "v_proj", "o_proj", "input_linear", "output_linear"}),
    ],
)
def test_all_that_can_carry_one_does(kind: str, kinds: set[str]):
    found = find_kinds(kind)
    assert found >= kinds - {"input_linear", "output_linear"}
    assert not found & {"lm_head", "embed_tokens", "gate", "router", "norm"}
    if kind == "granite_moe":
        assert len(found) > 4, "its experts were to carry adapters"


@pytest.mark.parametrize("kind", ["deepseek_v3", "glm4_moe"])
def test_linear_layers_beside_fused_experts_keep_theirs(kind: str):
    """PEFT reads their names as parts of the experts, and passes over them."""
    model = make_tiny(kind, 64)
    lora.add_adapters(model, LoraConfig(lora_rank=2), 0)
    adapted = lora.find_adapted(model)
    for name in ("0.mlp.gate_proj", "0.mlp.down_proj", "1.mlp.shared_experts.up_proj"):
        assert f"model.layers.{name}.weight" in adapted
    assert {
        "model.layers.1.mlp.experts.gate_up_proj",
        "model.layers.1.mlp.experts.down_proj",
    } <= adapted.keys()
    assert all(layer.r["default"] == 2 and layer.scaling["default"] == 2 for layer in adapted.values())


@pytest.mark.parametrize("kind", MODELS)
def test_their_size_is_known_before_they_are_made(kind: str):
    with torch.device("meta"):
        expected = count_adapter_parameters(model := make_tiny(kind, 64), find_targets(model), 3)
    made = make_tiny(kind, 64)
    lora.add_adapters(made, LoraConfig(lora_rank=3), 0)
    assert sum(tensor.numel() for tensor in lora.collect_trained(made).values()) == expected > 0


def test_only_the_named_ones_carry_them():
    assert find_kinds("llama", lora_targets=("q_proj", "v_proj")) == {"q_proj", "v_proj"}
    assert find_kinds("deepseek_v3", lora_targets=("experts",)) == {"gate_up_proj", "down_proj"}
    assert find_kinds("deepseek_v3", lora_targets=("shared_experts.up_proj",)) == {"up_proj"}
    model = make_tiny("llama", 64)
    lora.add_adapters(model, LoraConfig(lora_rank=2, lora_targets=("layers.1.self_attn.q_proj",)), 0)
    assert set(lora.find_adapted(model)) == {"model.layers.1.self_attn.q_proj.weight"}


def test_a_name_that_nothing_has_is_a_sentence_with_the_nearest():
    with pytest.raises(UserError, match=r"--lora-targets q_porj: .* Did you mean q_proj\? There are: q_proj"):
        find_kinds("llama", lora_targets=("q_porj",))
    with pytest.raises(UserError, match="--lora-targets lm_head"):
        find_kinds("llama", lora_targets=("lm_head",))


def test_alpha_over_rank_is_the_scale():
    model = make_tiny("llama", 64)
    lora.add_adapters(model, LoraConfig(lora_rank=4, lora_alpha=6), 0)
    assert {layer.scaling["default"] for layer in lora.find_adapted(model).values()} == {1.5}


def test_shared_weights_and_convolutions_carry_none():
    model = make_tiny("llama", 64)
    model.model.layers[1].mlp.up_proj.weight = model.model.layers[0].mlp.up_proj.weight
    model.model.layers[1].self_attn = model.model.layers[0].self_attn
    names = find_targets(model).weights
    assert not {name for name in names if "up_proj" in name or "self_attn" in name}
    assert "model.layers.1.mlp.down_proj.weight" in names
    mamba = MambaForCausalLM(MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, state_size=4))
    assert not {name for name in find_targets(mamba).weights if "conv1d" in name}


def test_what_carries_none_is_said_with_its_share():
    model = make_tiny("qwen3_moe", 64)
    lora.add_adapters(model, LoraConfig(lora_rank=2, lora_targets=("q_proj",)), 0)
    total = sum(weight.numel() for weight in lora.list_plain(model).values())
    experts = sum(w.numel() for name, w in lora.list_plain(model).items() if name.endswith("gate_up_proj"))
    carrying, bare = lora.describe_adapters(model).splitlines()
    assert carrying.startswith("Adapters on 2 weights, ")
    assert "q_proj (2). Trained are 256 numbers" in carrying
    assert f"experts.gate_up_proj {experts / total:.1%}" in bare
    assert "gate 1.2%" in bare or "gate 1." in bare


def test_weights_that_peft_passes_over_are_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(
        lora, "divide_for_peft", lambda _model, _settings, targets: PeftTargets(targets.layers[1:], [])
    )
    with pytest.raises(UserError, match=r"put adapters on other weights .*q_proj.*--lora-targets"):
        find_kinds("llama")


@pytest.mark.parametrize(
    ("family", "bare", "adapted"),
    [
        ("rwkv", ("time_mix",), "attention.key.weight"),
        ("gemma3", ("vision", "probe"), "q_proj.weight"),
        ("mamba", ("out_proj", "conv1d"), "in_proj.weight"),
        ("qwen2_moe", ("shared_expert_gate", "mlp.gate."), "shared_expert.gate_proj.weight"),
        ("jetmoe", ("router",), "mlp.input_linear.weight"),
        ("dbrx", ("router",), "Wqkv.weight"),
        ("hunyuan_v1_moe", ("gate.wg",), "experts.gate_up_proj"),
        ("gemma4_text", ("router",), "experts.down_proj"),
        ("doge, experts", ("router_gate",), "q_proj.weight"),
        ("llama4_text", ("router",), "shared_expert.gate_proj.weight"),
        ("longcat_flash", ("router",), "q_a_proj.weight"),
        ("blt", ("patcher",), "local_decoder.layers.0.self_attn.q_proj.weight"),
        ("gemma3n_text", ("correction_coefs",), "prediction_coefs.weight"),
        ("mllama", ("vision", "cross_attn"), "q_proj.weight"),
    ],
)
def test_no_router_nor_what_a_text_passes_by_nor_what_only_looks_like_experts(
    family: str, bare: tuple[str, ...], adapted: str
):
    names = find_targets(make_model(family)).weights
    assert not [name for name in names if any(part in name for part in bare)]
    assert any(name.endswith(adapted) for name in names), sorted(names)


def test_an_expert_that_no_token_chooses_carries_one():
    model = make_tiny("llama", 64)
    layer = model.model.layers[0]
    layer.mlp.experts = torch.nn.ModuleList([torch.nn.Linear(4, 4, bias=False) for _ in range(3)])
    assert not {name for name in find_targets(model).weights if "experts" in name}
    model.config.num_experts = 3
    forward = layer.mlp.forward
    layer.mlp.forward = lambda x: forward(x) + layer.mlp.experts[1](x[..., :4]).sum()
    assert len({name for name in find_targets(model).weights if "experts" in name}) == 3


def test_finding_them_leaves_the_model_as_it_was():
    model = make_tiny("llama", 64).train()
    model.model.norm.weight.requires_grad_(False)
    find_targets(model)
    assert model.training
    bare = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert bare == ["model.norm.weight"]
    assert not any(module._forward_hooks for module in model.modules())
