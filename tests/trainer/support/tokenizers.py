"""Tokenizers as the field has them: byte-level, with special tokens, BOS and EOS put around a text."""

from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

EOS, BOS, PAD = "<eos>", "<bos>", "<pad>"


def make_byte_tokenizer(
    template=None,
    special: Sequence[str] = (),
    bos: bool = False,
    adds_bos: bool = False,
    adds_eos: bool = False,
) -> PreTrainedTokenizerFast:
    """A token a byte. special: further tokens that are special.  bos: whether it has a BOS.

    adds_bos, adds_eos: whether it puts them around every text by itself.
    """
    vocabulary = {
        character: place for place, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
    }
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = dict.fromkeys([PAD, EOS, BOS, *special])
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    around = [*([BOS] if adds_bos else []), "$A", *([EOS] if adds_eos else [])]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join(around), special_tokens=[(name, tokenizer.token_to_id(name)) for name in (BOS, EOS)]
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS, bos_token=BOS if bos or adds_bos else None
    )
    made.chat_template = template
    return made
