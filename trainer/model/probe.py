"""The probe of every path that decodes: short texts token by token, beside the model's own forward pass.

Prompts of different lengths are prefilled together, rows are forked, dropped and kept, and each step's
log-probabilities are held to those of a full forward pass over that text alone. A model is decoded in the
first mode that is right, and refused where none is.

Shapes: U rows of the decoder, S positions, V vocabulary.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor
from transformers.utils import logging as transformers_logging

from ...tasks.core.errors import UserError, shorten
from . import lora
from .caches import KeptRow
from .captures import Recorder
from .context import count_positions
from .decoding import Decoding, Extent, find_keeping, find_open
from .dense.family import find_misfit
from .folding import Folded
from .machine import is_out_of_memory
from .modes import MODES, STATIC, DecodingMode, start_decoding
from .policy import Policy
from .static_decoding import StaticBuffers
from .tokens import list_plain_tokens

BOUNDS = {torch.float32: 1e-4, torch.bfloat16: 0.1}
"""Nats, as `measure_decoding` gives them. Rounding stays some ten times below: in float32 up to 1e-5, in
bfloat16 near 1e-2; a cache that is not heeded is off by 0.1 and more."""
_STEPS: tuple[tuple[int, ...] | None, ...] = (
    None,
    (0, 0, 0, 1, 1, 2),  # forked
    None,
    (0, 1, 2, 3, 5),  # one is dropped: few enough that its place in a cache may stay
    None,
    (0, 2, 4, 4),  # two are dropped and one is forked
    None,
    None,
    (0, 1, 1, 3),
    None,
    None,
)  # of each step the texts that go on, by number (beyond the last from the first again); None: all
_RAGGED, _EVEN = ((19, 6, 2),), ((13, 13), (2, 2))  # tokens of the prompts that are decoded together
LEAST_POSITIONS = len(_STEPS) + 5  # with fewer there is no room for prompts of several lengths
_JOINS = {1: (9, 4), 7: (23,)}  # of a step, tokens of the prompts that join after it
_WAIT = (3, 5)  # the steps before which what is dropped is kept
_GO_ON, _NEWS = 8, (3, 1)  # the step after which it goes on, and tokens of each until then, in turn
_MOST_ROWS = 16  # texts at once, with those that join
_PAD_STEP = 1  # the step at which one text goes on with the padding token, as a sampler may
_DECODES = "_palaestra_decodes"
"""On a model: with adapters or not, recorded or not -> arithmetic -> the mode that serves it."""
# What a model that meets an input or a cache it was not written for has been seen to raise.
_FAILURES = (
    RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError, ArithmeticError,
    ImportError,
)  # fmt: skip

Start = Callable[[Sequence[Sequence[int]], Sequence[int], Extent], Decoding]  # (prompts, samples, extent)
Text = tuple[int, ...]


def _find_padding(model: Any) -> int | None:
    """The padding token, where the model has one; some models (RoBERTa) count positions by it."""
    padding = getattr(model.config.get_text_config(decoder=True), "pad_token_id", None)
    known = isinstance(padding, int) and 0 <= padding < len(model.get_input_embeddings().weight)
    return padding if known else None


@torch.no_grad()
def measure_decoding(model: Any, start: Start, *, ragged: bool = True, folded: Folded | None = None) -> float:
    """How far what is decoded is from the model's own forward pass, in nats.

    The mean difference of log-probabilities over what the model would draw, of the worst step of the worst
    text. The model runs in evaluation mode and in the arithmetic of the caller.

    folded: the weights that are decoded with, where they are not the model's own.
    """
    training = model.training
    model.eval()
    try:
        worst = 0.0
        for lengths in _RAGGED if ragged else _EVEN:
            with contextlib.nullcontext() if folded is None else folded.use():
                found = _follow(model, start, shorten_lengths(model, lengths, len(_STEPS)))
            worst = max(worst, _compare(model, found))
        return worst
    finally:
        model.train(training)


def shorten_lengths(model: Any, lengths: Sequence[int], beside: int = 0) -> list[int]:
    """The lengths of texts within the model's positions, of which `beside` are kept free."""
    positions = count_positions(model)
    return [size if positions is None else max(1, min(size, positions - beside)) for size in lengths]


def check_positions(policy: Policy) -> None:
    """Raise UserError for a model with too few positions to be probed, or to say anything."""
    positions = count_positions(policy.model)
    if positions is not None and positions < LEAST_POSITIONS:
        raise UserError(
            f"{policy.source} has {positions} positions for a prompt and its completion; it takes "
            f"{LEAST_POSITIONS} or more. Take a model with a longer context."
        )


def _follow(model: Any, start: Start, lengths: Sequence[int]) -> dict[Text, Tensor]:
    """logits_V after every text of the probe, as decoded."""
    tokens, padding = list_plain_tokens(model), _find_padding(model)

    def pick(number: int) -> int:
        return tokens[number % len(tokens)]

    def make_prompts(lengths: Sequence[int], first: int = 0) -> list[list[int]]:
        return [
            [pick(7 * place + 5 * row + 3) for place in range(size)]
            for row, size in enumerate(lengths, first)
        ]

    joins = {step: shorten_lengths(model, more, len(_STEPS)) for step, more in _JOINS.items()}
    longest = max(*lengths, *(size for more in joins.values() for size in more))
    prompts = make_prompts(lengths)
    decoding = start(prompts, [1] * len(prompts), Extent(_MOST_ROWS, longest, len(_STEPS)))
    texts: list[Text] = [tuple(prompt) for prompt in prompts]
    rows = decoding.start_R.tolist()  # of the decoder, of each text
    found = dict(zip(texts, decoding.logits_UV.float().clone(), strict=True))
    waiting: dict[Text, KeptRow | None] = {}
    device = decoding.logits_UV.device
    for step, kept in enumerate(_STEPS):
        chosen = range(len(texts)) if kept is None else [number % len(texts) for number in kept]
        if step in _WAIT and (keeping := find_keeping(decoding)):
            left = (text for text in range(len(texts)) if text not in chosen)
            waiting |= {texts[text]: keeping.keep(rows[text], len(texts[text])) for text in left}
        parents = sorted(chosen, key=lambda text: rows[text])
        drawn = [pick(11 * step + 5 * number + 1) for number in range(len(parents))]
        if step == _PAD_STEP and padding is not None:
            drawn[-1] = padding
        parents_U = None if kept is None else torch.tensor([rows[text] for text in parents], device=device)
        place_U = decoding.advance(parents_U, torch.tensor(drawn, device=device))
        texts = [(*texts[text], token) for text, token in zip(parents, drawn, strict=True)]
        rows = list(range(len(texts))) if place_U is None else place_U.tolist()
        logits_UV = decoding.logits_UV.float().clone()  # a decoder may write the next step there
        found |= {text: logits_UV[row] for text, row in zip(texts, rows, strict=True)}
        if step in joins and (opened := find_open(decoding)):
            prompts = make_prompts(joins[step], 10 + step)
            rows += opened.admit(prompts, [1] * len(prompts)).tolist()
            texts += map(tuple, prompts)
            logits_UV = decoding.logits_UV.float().clone()
            found |= {text: logits_UV[row] for text, row in zip(texts, rows, strict=True)}
        if step == _GO_ON and waiting and (keeping := find_keeping(decoding)):
            pasts = [kept for kept in waiting.values() if kept is not None]
            sizes = [_NEWS[number % len(_NEWS)] for number in range(len(pasts))]
            news = [[pick(3 * place + size) for place in range(size)] for size in sizes]
            rows += keeping.go_on(pasts, news).tolist()
            texts += [(*text, *new) for text, new in zip(waiting, news, strict=True)]
            logits_UV = decoding.logits_UV.float().clone()
            found |= {text: logits_UV[row] for text, row in zip(texts, rows, strict=True)}
    return found


def _compare(model: Any, found: dict[Text, Tensor]) -> float:
    """The worst difference between what was decoded and one forward pass over each of the longest texts."""
    worst = 0.0
    for leaf in (text for text in found if not any(other[: len(text)] == text != other for other in found)):
        logits_SV = run_alone(model, leaf)
        for text in (leaf[:end] for end in range(1, len(leaf) + 1)):
            if text in found:
                gap = _measure_gap(found[text].log_softmax(-1), logits_SV[len(text) - 1].log_softmax(-1))
                worst = max(worst, gap) if gap == gap else float("inf")
    return worst


def run_alone(model: Any, text: Text) -> Tensor:
    """logits_SV of one text, without padding, mask or cache."""
    ids_BS = torch.tensor([text], device=next(model.parameters()).device)
    return model(input_ids=ids_BS, use_cache=False).logits[0].float()


def _measure_gap(logprobs_V: Tensor, true_V: Tensor) -> float:
    """Mean difference over what the model would draw; nan where a log-probability is."""
    share_V = true_V.exp()
    return float((share_V * (logprobs_V - true_V).abs()).masked_fill(share_V == 0, 0.0).sum())


def choose_mode(policy: Policy, record: Recorder | None = None) -> DecodingMode:
    """The fastest mode in which a policy's model decodes what its own forward pass says; tried once a model.

    The mode is found in float32, where a difference can only be a mistake, and then held to the arithmetic of
    the run. record: how steps are captured, where they are: then the static mode comes first, tried
    captured and uncaptured.
    Raises UserError for a model that can't be sampled from, with the difference and what to do.
    """
    key = (lora.has_adapters(policy.model), record is not None)
    known: dict[torch.dtype, DecodingMode] = getattr(policy.model, _DECODES, {}).get(key, {})
    if policy.dtype not in known:
        try:
            mode = _find_mode(policy, MODES if record is None else (STATIC,), record, known)
        except UserError:
            if record is None:
                raise
            mode = choose_mode(policy)
        found = getattr(policy.model, _DECODES, {})
        setattr(policy.model, _DECODES, {**found, key: {**known, policy.dtype: mode}})
        return mode
    return known[policy.dtype]


def _find_mode(
    policy: Policy,
    modes: Sequence[DecodingMode],
    record: Recorder | None,
    known: Mapping[torch.dtype, DecodingMode],
) -> DecodingMode:
    """The first of the modes that is right. known: what was found in other arithmetics."""
    with lora.move_adapters(policy.model):
        with torch.autocast(policy.device.type, enabled=False):
            mode = next(iter(known.values()), None) or _search_mode(policy, modes, record)
        if policy.dtype is not torch.float32 or lora.has_adapters(policy.model):
            mode = _hold_to_arithmetic(policy, replace(mode, folds="nothing"), record)
    return mode


def _search_mode(policy: Policy, modes: Sequence[DecodingMode], record: Recorder | None) -> DecodingMode:
    """The first mode that is right in the arithmetic of the weights."""
    check_positions(policy)
    bound = BOUNDS.get(next(policy.model.parameters()).dtype, BOUNDS[torch.bfloat16])
    text = tuple(list_plain_tokens(policy.model)[:8])
    reason = find_failure(lambda: run_alone(policy.model, text))
    if reason:
        raise UserError(
            f"{policy.source}: a model of type {name_type(policy)} can't be run on token ids alone "
            f"({reason}). Take a causal language model that reads text and nothing else."
        )
    tried: list[str] = []
    for mode in modes:
        found: list[float] = []
        reason = find_failure(lambda: found.append(_measure_mode(policy, mode, record)))  # noqa: B023
        if not reason and found[0] <= bound:
            return replace(mode, keeps=mode.keeps and _can_keep(policy, mode))
        tried.append(reason or f"{found[0]:.2g} nats off")
    raise UserError(
        f"{policy.source}: a model of type {name_type(policy)} can't be sampled from: token by token it says "
        f"something else than its own forward pass over the whole text ({tried[-1]} without a cache, "
        f"{tried[0]} with one; the bound is {bound:g} nats). So what it says of a token depends on what "
        "stands after it, or beside its text in a batch. Take another causal language model, such as one of "
        "Llama, Qwen, Gemma or Mamba."
    )


def _can_keep(policy: Policy, mode: DecodingMode) -> bool:
    """Whether the model's cache is of layers that rows can be taken out of."""
    if mode.cache == "static":
        return True
    with torch.no_grad():
        prompt = list_plain_tokens(policy.model)[:1]
        return find_keeping(start_decoding(policy.model, mode, [prompt], [1], Extent(1, 1, 1))) is not None


def _measure_mode(policy: Policy, mode: DecodingMode, record: Recorder | None = None) -> float:
    """Nats, as `measure_decoding` gives them; of steps that are recorded the worst of a call that records
    them, of one that replays them, and of one that does neither."""
    model, folded = policy.model, None
    if mode.folds != "nothing":
        folded = Folded(model, policy.dtype, adapters=mode.folds == "adapters")
        folded.load()

    def measure(buffers: StaticBuffers | None) -> float:
        def start(prompts: Sequence[Sequence[int]], samples: Sequence[int], extent: Extent) -> Decoding:
            return start_decoding(model, mode, prompts, samples, extent, buffers)

        return measure_decoding(model, start, ragged=mode.padded, folded=folded)

    if mode.cache != "static":
        return measure(None)
    kept = StaticBuffers(record)
    return max(measure(kept), measure(kept), measure(StaticBuffers(None)))


def _hold_to_arithmetic(policy: Policy, mode: DecodingMode, record: Recorder | None) -> DecodingMode:
    """The mode in the run's arithmetic, with as much in its weights as is right.

    Where rounding decides what is computed (which experts a token goes to), a model with adapters in its
    weights is another than that with adapters beside them.

    Raises UserError where a mode that is right in float32 is not in the run's arithmetic.
    """
    bound, found, reason = BOUNDS.get(policy.dtype, BOUNDS[torch.bfloat16]), list[float](), ""

    def measure(mode: DecodingMode) -> None:
        found.clear()
        with policy.autocast():
            found.append(_measure_mode(policy, mode, record))

    for folds in _list_foldings(policy):
        changed = replace(mode, folds=folds)
        reason = find_failure(lambda: measure(changed))  # noqa: B023
        if not reason and found[0] <= bound:
            return changed
    raise UserError(
        f"{policy.source}: in {str(policy.dtype).removeprefix('torch.')} a model of type "
        f"{name_type(policy)} is not sampled rightly ({reason or f'{found[0]:.2g} nats off'}; the bound "
        f"is {bound:g} nats). Take --dtype float32."
    )


def _list_foldings(policy: Policy) -> list[Literal["adapters", "casts", "nothing"]]:
    """What may be tried in turn, most first; in float32 without adapters there is nothing to try."""
    narrow = policy.dtype is not torch.float32
    if not lora.has_adapters(policy.model):
        return ["casts", "nothing"] if narrow else ["nothing"]
    return ["adapters", "casts", "nothing"] if narrow else ["adapters", "nothing"]


def find_failure(run: Callable[[], object]) -> str:
    """What a model raised, as one line; "" where it did not. Memory that ran out is no fault of the model.

    What transformers warns of meanwhile (a padding token in a text without a mask) is meant here.
    """
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        run()
    except _FAILURES as failure:
        if is_out_of_memory(failure):
            raise
        return f"{type(failure).__name__}: {shorten(str(failure), 160)}"
    finally:
        transformers_logging.set_verbosity(verbosity)
    return ""


def name_type(policy: Policy) -> str:
    """The model's type as its config names it, and its class."""
    return f"{policy.model.config.model_type} ({type(policy.model).__name__})"


def describe_decoding(policy: Policy, turns: bool = False) -> str:
    """What is worth saying of how a policy's model is sampled from; "" where it is as usual. turns: whether
    for episodes of several turns.

    Raises UserError for a model that can't be.
    """
    check_positions(policy)
    if not find_misfit(policy.model):
        return ""  # the fast path has a probe of its own
    mode = choose_mode(policy)
    if mode.cache == "none":
        return (
            f"{name_type(policy)} has no cache that completions could share or fork: every step runs the "
            "whole text through the model. That is exact, and slow for long completions."
        )
    if not mode.padded:
        return (
            f"{name_type(policy)} does not heed padding: only prompts of one length are sampled together, "
            "which is exact and may be slow."
        )
    if turns and not mode.keeps:
        return (
            f"What {name_type(policy)} has read can't be kept while an episode's world answers: at each turn "
            "the whole text is read again, which is exact and slow."
        )
    return ""
