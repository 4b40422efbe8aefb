"""The chat templates of real models, which lie beside the checkout, each with a tokenizer of its marks."""

import re
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from .tokenizers import make_byte_tokenizer

TEMPLATES = Path(__file__).parents[3] / ".." / "shared" / "data" / "chat_templates"
MARKS = r"<[|｜][^'\"{}<>\s]+[|｜]>|<(?:start|end)_of_\w+>|</?think>|\[gMASK\]|<sop>|<turn\|>|<\|turn>"
ENDS = {  # what ends a turn, as the models' generation configs have it
    **{
        "cohere": ["<|END_OF_TURN_TOKEN|>"],
        "deepseek": ["<｜end▁of▁sentence｜>"],
        "gemma": ["<end_of_turn>"],
    },
    **{"gemma4": ["<turn|>"], "glm": ["<|user|>", "<|observation|>"], "gptoss": ["<|return|>", "<|call|>"]},
    **{"lfm": ["<|im_end|>"], "llama": ["<|eot_id|>"], "nemotron": ["<|im_end|>"], "phi": ["<|end|>"]},
    **{"qwen": ["<|im_end|>"], "smollm": ["<|im_end|>"], "smolvlm": ["<end_of_utterance>"]},
}


def list_templates() -> list[Path]:
    return sorted(TEMPLATES.glob("*.jinja"))


def make_real_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """A tokenizer with the template of a real model, whose marks are special tokens."""
    text = path.read_text()
    return make_byte_tokenizer(text, special=re.findall(MARKS, text), adds_bos=True, adds_eos=True)


def list_ends(tokenizer: PreTrainedTokenizerFast, path: Path) -> list[int]:
    """The end tokens of the model that a template is of."""
    family = max((name for name in ENDS if path.stem.startswith(name)), key=len)
    return [tokenizer.convert_tokens_to_ids(end) for end in ENDS[family]]
