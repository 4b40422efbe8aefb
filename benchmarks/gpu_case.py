"""What the parts of `gpu.py` share: the device and how it is timed, models by their shapes, what the card
gives at best."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from gpu import Line
from palaestra.trainer.model.policy import Policy, hold_in
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

PEAKS = {
    # words in a card's name -> (bytes a second of its memory, dense bfloat16 operations a second), as sold
    "H200": (4.8e12, 989e12),
    "H100 PCIe": (2.0e12, 756e12),
    "H100": (3.35e12, 989e12),
    "A100": (1.94e12, 312e12),
    "L40S": (0.864e12, 362e12),
    "RTX 4090": (1.008e12, 165e12),
}
Figures = Iterator[Line]


@dataclass(frozen=True)
class Case:
    """device: that is measured.  tiny: reduced, to see that it runs.  model: folder of SmolLM2, or ""."""

    device: torch.device
    tiny: bool
    model: str

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def time(self, run: Callable[[], object]) -> float:
        """Seconds of one run."""
        self.wait()
        began = time.perf_counter()
        run()
        self.wait()
        return time.perf_counter() - began


SHAPES = {"0.5B": (896, 4864, 24, 14, 2), "1.5B": (1536, 8960, 28, 12, 2)}  # of Qwen2.5
TINY = {"0.5B": (64, 176, 2, 4, 2), "1.5B": (64, 192, 3, 4, 2)}


def make_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """Every character of prompts, and words up to `size`: what is said does not matter here."""
    characters = ["<pad>", "<eos>", "<unk>", "\n", *map(chr, range(32, 127))]
    words = {
        word: place
        for place, word in enumerate([*characters, *(f"w{n}" for n in range(size - len(characters)))])
    }
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )


def make_policy(case: Case, name: str, weights: torch.dtype = torch.bfloat16) -> Policy:
    """A model of a shape of Qwen2.5 with random weights, in bfloat16."""
    hidden, inner, layers, heads, kv_heads = (TINY if case.tiny else SHAPES)[name]
    config = Qwen2Config(
        vocab_size=512 if case.tiny else 151_936, hidden_size=hidden, intermediate_size=inner,
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
        tie_word_embeddings=True, max_position_embeddings=32768, eos_token_id=1, pad_token_id=0,
        bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device(case.device):
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    hold_in(model, weights)
    return Policy(model.eval(), make_tokenizer(config.vocab_size), case.device, torch.bfloat16, name)


def find_peaks(case: Case) -> tuple[float, float]:
    """Bytes and bfloat16 operations a second, as sold; measured here where the card is not known."""
    name = torch.cuda.get_device_name(case.device) if case.device.type == "cuda" else ""
    for words, peaks in PEAKS.items():
        if all(word in name for word in words.split()):
            return peaks
    return measure_bandwidth(case), measure_products(case)


def measure_bandwidth(case: Case) -> float:
    """Bytes a second of a copy, read and written."""
    source = torch.empty((1 << 22) if case.tiny else 1 << 30, dtype=torch.uint8, device=case.device)
    target = torch.empty_like(source)
    case.time(lambda: target.copy_(source))
    times = [case.time(lambda: target.copy_(source)) for _ in range(10)]
    return 2 * source.numel() / min(times)


def measure_products(case: Case) -> float:
    """Operations a second of a product of two square matrices in bfloat16."""
    size = 256 if case.tiny else 8192
    left, right = torch.randn(2, size, size, device=case.device, dtype=torch.bfloat16)
    case.time(lambda: left @ right)
    return 2 * size**3 / min(case.time(lambda: left @ right) for _ in range(10))


def list_limits(case: Case) -> Figures:
    """What the card gives to the operations that everything else is made of."""
    yield Line("copy of 1 GiB", f"{measure_bandwidth(case) / 1e12:.3f} TB/s")
    yield Line("product of 8192 x 8192 in bfloat16", f"{measure_products(case) / 1e12:.1f} TFLOP/s")
    bandwidth, operations = find_peaks(case)
    yield Line("taken as limits", f"{bandwidth / 1e12:.2f} TB/s, {operations / 1e12:.0f} TFLOP/s")
