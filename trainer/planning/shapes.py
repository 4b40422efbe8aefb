"""Shapes of dense decoders: a table of public models, and config.json files. Imports no torch.

Shapes: D hidden, F inner width of the feed-forward, H query heads, K key/value heads, E head size, L layers,
V vocabulary.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError

KINDS = {"llama": False, "mistral": False, "qwen2": True, "qwen3": False, "seed_oss": True}
"""model_type -> whether queries, keys and values have biases by default: the dense family that is decoded
from a fused copy of its weights."""


@dataclass(frozen=True)
class Shape:
    """A dense decoder. kind: its `model_type`.  tied: the head is the table of embeddings.  biases: of
    queries, keys and values."""

    name: str
    kind: str
    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool
    head_size: int
    biases: bool = False

    @property
    def layer_weights(self) -> int:
        """Weights of one layer's matrices: D H E + 2 D K E + H E D + 3 D F. Each costs a multiplication and
        an addition for each token."""
        attention = 2 * self.heads * self.head_size + 2 * self.kv_heads * self.head_size
        return self.hidden * (attention + 3 * self.inner)

    @property
    def head_weights(self) -> int:
        """V D."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All of them, the table of embeddings and the gains of norms included."""
        biases = (self.heads + 2 * self.kv_heads) * self.head_size if self.biases else 0
        norms = 2 * self.hidden + (2 * self.head_size if self.kind == "qwen3" else 0)
        tables = self.head_weights * (1 if self.tied else 2)
        return self.layers * (self.layer_weights + biases + norms) + tables + self.hidden

    @property
    def kv_numbers(self) -> int:
        """Numbers that a cache keeps of one position: keys and values of all layers, 2 L K E."""
        return 2 * self.layers * self.kv_heads * self.head_size

    def count_adapters(self, rank: int) -> int:
        """Parameters of LoRA's two factors on the seven matrices of each layer."""
        wide, narrow = self.heads * self.head_size, self.kv_heads * self.head_size
        sides = [(self.hidden, wide), *[(self.hidden, narrow)] * 2, (wide, self.hidden)]
        sides += [(self.hidden, self.inner)] * 3
        return self.layers * rank * sum(inputs + outputs for inputs, outputs in sides)


def _list_known() -> dict[str, Shape]:
    """By hub id. (kind, vocabulary, rows of the table): from the config.json of each model on the hub."""
    families: dict[tuple[str, int, bool], dict[str, tuple[int, ...]]] = {
        # hidden, inner, layers, heads, key/value heads, head size (0: hidden / heads)
        ("qwen2", 151936, True): {
            "Qwen/Qwen2.5-0.5B": (896, 4864, 24, 14, 2, 0),
            "Qwen/Qwen2.5-1.5B": (1536, 8960, 28, 12, 2, 0),
            "Qwen/Qwen2.5-3B": (2048, 11008, 36, 16, 2, 0),
        },
        ("qwen2", 152064, False): {
            "Qwen/Qwen2.5-7B": (3584, 18944, 28, 28, 4, 0),
            "Qwen/Qwen2.5-14B": (5120, 13824, 48, 40, 8, 0),
            "Qwen/Qwen2.5-32B": (5120, 27648, 64, 40, 8, 0),
            "Qwen/Qwen2.5-72B": (8192, 29568, 80, 64, 8, 0),
        },
        ("qwen3", 151936, True): {
            "Qwen/Qwen3-0.6B": (1024, 3072, 28, 16, 8, 128),
            "Qwen/Qwen3-1.7B": (2048, 6144, 28, 16, 8, 128),
            "Qwen/Qwen3-4B": (2560, 9728, 36, 32, 8, 128),
        },
        ("qwen3", 151936, False): {
            "Qwen/Qwen3-8B": (4096, 12288, 36, 32, 8, 128),
            "Qwen/Qwen3-14B": (5120, 17408, 40, 40, 8, 128),
            "Qwen/Qwen3-32B": (5120, 25600, 64, 64, 8, 128),
        },
        ("llama", 128256, True): {
            "meta-llama/Llama-3.2-1B": (2048, 8192, 16, 32, 8, 64),
            "meta-llama/Llama-3.2-3B": (3072, 8192, 28, 24, 8, 128),
        },
        ("llama", 128256, False): {
            "meta-llama/Llama-3.1-8B": (4096, 14336, 32, 32, 8, 0),
            "meta-llama/Llama-3.1-70B": (8192, 28672, 80, 64, 8, 0),
        },
        ("llama", 49152, True): {
            "HuggingFaceTB/SmolLM2-135M": (576, 1536, 30, 9, 3, 0),
            "HuggingFaceTB/SmolLM2-360M": (960, 2560, 32, 15, 5, 0),
            "HuggingFaceTB/SmolLM2-1.7B": (2048, 8192, 24, 32, 32, 0),
        },
        ("mistral", 32768, False): {"mistralai/Mistral-7B-v0.3": (4096, 14336, 32, 32, 8, 0)},
        ("qwen3", 103, True): {"embedded": (128, 384, 2, 4, 1, 32)},
    }
    return {
        name: Shape(
            name, kind, hidden, inner, layers, heads, kv_heads, vocabulary, tied,
            head_size or hidden // heads, KINDS[kind],
        )
        for (kind, vocabulary, tied), models in families.items()
        for name, (hidden, inner, layers, heads, kv_heads, head_size) in models.items()
    }  # fmt: skip


KNOWN = _list_known()
ENDINGS = ("-instruct", "-base", "-it")  # of the same shape under another name


def find_shape(source: str) -> Shape:
    """The shape of a known model, by its hub id or the part after the slash (case does not matter, nor does
    -Instruct at the end), or of a config.json or the folder that holds one.

    Raises UserError for a name that is none, and for an architecture that is not of the dense family.
    """
    path = Path(source)
    if path.is_dir() and (path / "config.json").is_file():
        path = path / "config.json"
    if path.is_file():
        return read_shape(path)
    names = {name.lower(): shape for name, shape in KNOWN.items()}
    names |= {name.rpartition("/")[2]: shape for name, shape in list(names.items())}
    asked = source.lower()
    for ending in ENDINGS:
        asked = asked.removesuffix(ending)
    if asked in names:
        return names[asked]
    near = difflib.get_close_matches(asked, names, n=2, cutoff=0.7)
    hint = f"Did you mean {' or '.join(names[name].name for name in near)}? " if near else ""
    raise UserError(
        f"--model {source}: no model of the table, and no config.json. {hint}Give the path of its "
        f"config.json, "
        f"or one of {', '.join(KNOWN)}."
    )


def read_shape(path: Path) -> Shape:
    """The shape in a config.json. Raises UserError for what is none, or is not of the dense family."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError) as failure:
        raise UserError(f"--model {path} can't be read: {failure}. Give a model's config.json.") from failure
    kind = found.get("model_type")
    if kind not in KINDS:
        raise UserError(
            f"--model {path}: its model_type is {kind!r}, and a plan is made of dense decoders ("
            f"{', '.join(KINDS)}). Experts and windows cost otherwise: `palaestra train` measures such a "
            f"model "
            "when it starts."
        )

    def read(key: str, default: int = 0) -> int:
        value = found.get(key) or default
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"--model {path}: {key} is {value!r}, where a whole number from 1 on belongs.")
        return value

    hidden, heads = read("hidden_size"), read("num_attention_heads")
    return Shape(
        _name(found, path), kind, hidden, read("intermediate_size"), read("num_hidden_layers"), heads,
        read("num_key_value_heads", heads), read("vocab_size"), bool(found.get("tie_word_embeddings", False)),
        read("head_dim", max(1, hidden // heads)), bool(found.get("attention_bias", KINDS[kind])),
    )  # fmt: skip


def _name(found: dict[str, Any], path: Path) -> str:
    return str(found.get("_name_or_path") or path.parent.name or path)
