"""The engine: log-probabilities of a plain forward pass, the exact distribution, ends,
and rows that ignore each other."""

import copy
import itertools

import pytest
import torch
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.decoding import GeneralDecoding
from palaestra.trainer.model.dense.decoder import FastDecoding
from palaestra.trainer.model.embedded import make_character_tokenizer, make_small_transformer
from palaestra.verifiers import Completion
from transformers import Gemma2Config, Gemma2ForCausalLM, GPT2Config, GPT2LMHeadModel

from ..support.policies import make_policy

torch.set_num_threads(1)  # small matrices
MAX_DIFFERENCE, MEAN_DIFFERENCE = 5e-5, 1e-6  # nats, float32
TOKENIZER = make_character_tokenizer()
EOS = TOKENIZER.eos_token_id
PROMPTS = [
    "What is 17 + 25?",
    "3 + 4 =",
    "a",
    "A longer prompt, of many more characters than the others have. Then?",
]


def make_model(kind: str, seed: int = 0):
    """A small random model whose next-token distributions are far from uniform."""
    size = len(TOKENIZER)
    torch.manual_seed(seed)
    if kind == "qwen3":
        model = make_small_transformer(size, EOS, TOKENIZER.pad_token_id, seed)
    elif kind == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=size, n_positions=512, n_embd=48, n_layer=2, n_head=4))
    else:
        model = Gemma2ForCausalLM(
            Gemma2Config(
                vocab_size=size,
                hidden_size=48,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=16,
                sliding_window=16,
                max_position_embeddings=512,
            )
        )
    model.generation_config.eos_token_id = EOS
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5) if parameter.ndim > 1 else parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def make_requests(prompts: list[str], samples: int, first_stream: int = 0) -> list[Request]:
    return [Request(TOKENIZER(p).input_ids, samples, first_stream + i) for i, p in enumerate(prompts)]


@torch.no_grad()
def compute_plain_logprobs(model, completion: Completion, temperature: float = 1.0) -> torch.Tensor:
    """Log-probabilities of a completion by one unbatched forward pass without cache."""
    ids = torch.tensor([[*completion.prompt_ids, *completion.ids]])
    logits = (
        model(input_ids=ids, use_cache=False).logits[0, len(completion.prompt_ids) - 1 : -1] / temperature
    )
    return logits.log_softmax(-1).gather(-1, torch.tensor(completion.ids)[:, None])[:, 0]


def measure_differences(
    model, completions: list[list[Completion]], temperature: float = 1.0
) -> tuple[float, float]:
    flat = list(itertools.chain(*completions))
    differences = torch.cat(
        [(compute_plain_logprobs(model, c, temperature) - torch.tensor(c.logprobs)).abs() for c in flat]
    )
    return float(differences.max()), float(differences.mean())


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "general"])
@pytest.mark.parametrize(
    ("kind", "temperature"), [("qwen3", 1.0), ("qwen3", 0.7), ("gpt2", 1.0), ("gemma2", 1.0)]
)
def test_logprobs_are_those_of_a_plain_forward_pass(kind: str, temperature: float, fast: bool):
    """Ragged prompts, several end tokens, rows that leave the batch, several waves."""
    model = make_model(kind)
    model.generation_config.eos_token_id = [EOS, TOKENIZER("e").input_ids[0], TOKENIZER("7").input_ids[0]]
    engine = LocalEngine(make_policy(model, TOKENIZER), rows=28, fast=fast)
    assert engine.path == ("fast" if fast and kind == "qwen3" else "general")
    completions = engine.sample(make_requests(PROMPTS, 13), Sampling(temperature, max_new_tokens=60))
    lengths = [len(c.ids) for group in completions for c in group]
    assert min(lengths) < 20 < max(lengths), "the rows were to end at different steps"
    worst, mean = measure_differences(model, completions, temperature)
    assert worst <= MAX_DIFFERENCE
    assert mean <= MEAN_DIFFERENCE


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "general"])
def test_greedy_takes_the_most_likely_token(fast: bool):
    model = make_model("qwen3", seed=3)
    completions = LocalEngine(make_policy(model, TOKENIZER), fast=fast).sample(
        make_requests(PROMPTS, 1), Sampling(0.0, max_new_tokens=30)
    )
    for prompt, (completion,) in zip(PROMPTS, completions, strict=True):
        ids = list(TOKENIZER(prompt).input_ids)
        for token in completion.ids:
            with torch.no_grad():
                assert token == int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            ids.append(token)
        assert torch.allclose(
            compute_plain_logprobs(model, completion), torch.tensor(completion.logprobs), atol=MAX_DIFFERENCE
        )


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "general"])
def test_a_row_does_not_depend_on_the_rest_of_the_batch(fast: bool):
    model = make_model("qwen3")
    sampling = Sampling(max_new_tokens=60)
    requests = make_requests(PROMPTS, 6)
    together = LocalEngine(make_policy(model, TOKENIZER), rows=256, fast=fast).sample(requests, sampling)
    in_waves = LocalEngine(make_policy(model, TOKENIZER), rows=7, fast=fast).sample(requests, sampling)
    split_groups = LocalEngine(make_policy(model, TOKENIZER), rows=4, fast=fast).sample(requests, sampling)
    alone = [
        LocalEngine(make_policy(model, TOKENIZER), fast=fast).sample([request], sampling)[0]
        for request in requests
    ]
    fewer = LocalEngine(make_policy(model, TOKENIZER), fast=fast).sample(
        [Request(r.ids, 2, r.stream) for r in requests[::-1]], sampling
    )[::-1]
    ids = [[c.ids for c in group] for group in together]
    assert (
        ids == [[c.ids for c in group] for group in in_waves] == [[c.ids for c in group] for group in alone]
    )
    assert ids == [[c.ids for c in group] for group in split_groups]
    assert [group[:2] for group in ids] == [[c.ids for c in group] for group in fewer]
    assert len({c.ids for c in together[0]}) == 6, "samples of one request were to differ"


def test_both_paths_draw_the_same_tokens():
    model = make_model("qwen3", seed=5)
    for sampling in (Sampling(max_new_tokens=50), Sampling(0.8, top_k=9, top_p=0.9, max_new_tokens=50)):
        paths = [
            LocalEngine(make_policy(model, TOKENIZER), fast=fast).sample(make_requests(PROMPTS, 8), sampling)
            for fast in (True, False)
        ]
        fast, general = ([c for group in path for c in group] for path in paths)
        assert [c.ids for c in fast] == [c.ids for c in general]
        for one, other in zip(fast, general, strict=True):
            assert torch.allclose(
                torch.tensor(one.logprobs), torch.tensor(other.logprobs), atol=MAX_DIFFERENCE
            )


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "general"])
@pytest.mark.parametrize("rows", [256, 11])
def test_what_completions_share_is_computed_once(fast: bool, rows: int, monkeypatch: pytest.MonkeyPatch):
    """As many tokens go through the model as there are distinct beginnings of the completions that were
    decoded together."""
    model, advanced = make_model("qwen3"), []
    for kind in (FastDecoding, GeneralDecoding):
        advance = kind.advance

        def counted(self, parents_U, tokens_U, advance=advance):
            advanced.append(len(tokens_U))
            return advance(self, parents_U, tokens_U)

        monkeypatch.setattr(kind, "advance", counted)
    engine = LocalEngine(make_policy(model, TOKENIZER), rows=rows, fast=fast)
    advanced.clear()
    completions = engine.sample(make_requests(PROMPTS, 11), Sampling(temperature=0.05, max_new_tokens=40))
    beginnings = [{c.ids[:end] for c in group for end in range(1, len(c.ids))} for group in completions]
    total = sum(len(c.ids) - 1 for group in completions for c in group)
    assert sum(advanced) == sum(map(len, beginnings)) < 0.8 * total
    assert max(len({c.ids for c in group}) for group in completions) > 3, "some were to part"
    worst, mean = measure_differences(model, completions, 0.05)
    assert worst <= 20 * MAX_DIFFERENCE  # the temperature multiplies the rounding of the logits by 20
    assert mean <= 20 * MEAN_DIFFERENCE


def test_rows_are_a_number_or_none_for_the_engines_own():
    policy = make_policy(make_model("qwen3"), TOKENIZER)
    assert (LocalEngine(policy).rows, LocalEngine(policy, 3).rows) == (256, 3)
    with pytest.raises(ValueError, match="rows=0: give 1 or more, or None for 256"):
        LocalEngine(policy, 0)


def test_several_end_tokens_stop_strings_and_the_token_budget():
    model = make_model("qwen3")
    first, second = TOKENIZER("q").input_ids[0], TOKENIZER("Z").input_ids[0]
    model.generation_config.eos_token_id = [first, second]
    engine = LocalEngine(make_policy(model, TOKENIZER))
    assert engine.end_ids == sorted({EOS, first, second})
    seen: set[int] = set()
    for group in engine.sample(make_requests(PROMPTS, 40), Sampling(max_new_tokens=100)):
        for completion in group:
            assert not set(completion.ids[:-1]) & set(engine.end_ids)
            if completion.finish_reason == "stop":
                seen.add(completion.ids[-1])
                assert completion.text == TOKENIZER.decode(
                    list(completion.ids[:-1]), skip_special_tokens=True
                )
            else:
                assert len(completion.ids) == 100
    assert seen == {EOS, first, second}

    plain = engine.sample(make_requests(PROMPTS, 40), Sampling(max_new_tokens=100))
    text = next(
        c.text
        for group in plain
        for c in group
        if len(c.text) > 30 and "<unk>" not in TOKENIZER.decode(list(c.ids))
    )
    stop = (text[20:22], "never this text")
    stopped = engine.sample(make_requests(PROMPTS, 40), Sampling(max_new_tokens=100, stop=stop))
    cut = 0
    for one, other in zip(itertools.chain(*plain), itertools.chain(*stopped), strict=True):
        raw, shorter = TOKENIZER.decode(list(one.ids)), TOKENIZER.decode(list(other.ids))
        assert one.ids[: len(other.ids)] == other.ids
        if stop[0] in raw:
            cut += 1
            assert other.finish_reason == "stop"
            end = raw.index(stop[0]) + len(stop[0])
            assert len(TOKENIZER.decode(list(other.ids[:-1]))) < end <= len(shorter), (
                "the token that completes it is the last"
            )
        else:
            assert one == other
    assert cut >= 1


def test_completions_are_handed_over_as_they_end_and_the_training_mode_stays():
    model = make_model("qwen3").train()
    heard: list[tuple[int, int, int]] = []
    results = LocalEngine(make_policy(model, TOKENIZER)).sample(
        make_requests(PROMPTS, 20),
        Sampling(max_new_tokens=120),
        lambda r, s, c: heard.append((r, s, len(c.ids))),
    )
    assert model.training
    assert [length for _, _, length in heard] == sorted(length for _, _, length in heard), (
        "the shorter ones end first"
    )
    assert len(heard) == 80
    assert all(len(results[r][s].ids) == length for r, s, length in heard)


def test_the_weights_of_now_are_sampled_from():
    """The trainer changes the weights between calls; nothing derived from the old ones may stay."""
    model = make_model("qwen3", seed=1)
    engine = LocalEngine(make_policy(model, TOKENIZER))
    before = engine.sample(make_requests(PROMPTS, 4), Sampling(max_new_tokens=20))
    other = copy.deepcopy(make_model("qwen3", seed=2))
    model.load_state_dict(other.state_dict())
    after = engine.sample(make_requests(PROMPTS, 4), Sampling(max_new_tokens=20))
    assert [[c.ids for c in g] for g in before] != [[c.ids for c in g] for g in after]
    worst, mean = measure_differences(other, after)
    assert worst <= MAX_DIFFERENCE
    assert mean <= MEAN_DIFFERENCE
