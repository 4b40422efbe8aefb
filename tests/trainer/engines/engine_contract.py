"""What every engine must do, as checks that take a way to make one. `test_contract` runs them on each.

A new engine passes by `Candidate(name, make)` in `test_contract.CANDIDATES`. The checks run in float32 on a
small Qwen3 model, whose next tokens are far from uniform and which has three end tokens.
"""

import copy
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from palaestra.trainer.engines.base import Engine, Request, Row, Sampling
from palaestra.trainer.engines.drawing import filter_logits
from palaestra.trainer.model.embedded import make_character_tokenizer, make_small_transformer
from palaestra.trainer.model.policy import Policy
from palaestra.verifiers import Completion

from ..support.policies import make_policy

torch.set_num_threads(1)  # small matrices
TOKENIZER = make_character_tokenizer()
ENDS = [TOKENIZER.eos_token_id, *(TOKENIZER(letter).input_ids[0] for letter in "qZ")]
LONG = "A longer prompt, of many more characters than the others have. Then?"
PROMPTS = ["What is 17 + 25?", "3 + 4 =", "a", LONG]


@dataclass(frozen=True)
class Candidate:
    """An engine to check. make: one for a policy, `rows` completions at once.

    worst, mean: bounds of the error of its log-probabilities, in nats.
    """

    name: str
    make: Callable[[Policy, int], Engine]
    worst: float = 5e-5
    mean: float = 1e-6

    def load_engine(self, policy: Policy, rows: int = 256) -> Engine:
        """An engine with the weights of `policy`, as version 1."""
        engine = self.make(policy, rows)
        engine.load(policy, 1)
        return engine


def make_small_policy(seed: int = 0, dtype: torch.dtype = torch.float32) -> Policy:
    model = make_small_transformer(len(TOKENIZER), TOKENIZER.eos_token_id, TOKENIZER.pad_token_id, seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5) if parameter.ndim > 1 else parameter.add_(0.1 * torch.randn_like(parameter))
    model.generation_config.eos_token_id = ENDS[1:]  # with the tokenizer's own, three
    return make_policy(model.eval(), TOKENIZER, dtype)


def make_requests(samples: int, prompts: Sequence[str] = PROMPTS) -> list[Request]:
    return [Request(TOKENIZER(prompt).input_ids, samples, stream) for stream, prompt in enumerate(prompts)]


@torch.no_grad()
def compute_plain_logprobs(model, row: Row | Completion, sampling: Sampling) -> torch.Tensor:
    """Log-probabilities of a row's tokens by one forward pass without cache; untempered for temperature 0."""
    ids = torch.tensor([[*row.prompt_ids, *row.ids]])
    logits_TV = model(input_ids=ids, use_cache=False).logits[0, len(row.prompt_ids) - 1 : -1].float()
    if sampling.temperature:
        logits_TV = filter_logits(
            logits_TV / sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p
        )
    return logits_TV.log_softmax(-1).gather(-1, torch.tensor(row.ids)[:, None])[:, 0]


def assert_logprobs(
    model,
    rows: Sequence[Row | Completion],
    logprobs: Sequence[Sequence[float]],
    sampling: Sampling,
    bounds: Candidate,
) -> None:
    """The log-probabilities are those of a full forward pass, one for each token.

    A temperature below 1 multiplies the rounding of the logits, and so the bounds.
    """
    scale = 1 / min(1.0, sampling.temperature or 1.0)
    assert [len(found) for found in logprobs] == [len(row.ids) for row in rows]
    gaps = [
        (compute_plain_logprobs(model, row, sampling) - torch.tensor(found)).abs()
        for row, found in zip(rows, logprobs, strict=True)
        if len(row.ids)
    ]
    assert torch.cat(gaps).max() <= scale * bounds.worst
    assert torch.cat(gaps).mean() <= scale * bounds.mean


def list_ids(completions: list[list[Completion]]) -> list[list[Sequence[int]]]:
    return [[completion.ids for completion in group] for group in completions]


def check_logprobs_of_samples(candidate: Candidate) -> None:
    """Ragged prompts, rows that end at different steps, several batches; temperature, top-k, top-p, min-p."""
    policy = make_small_policy()
    engine = candidate.load_engine(policy, rows=28)
    for sampling in (Sampling(max_new_tokens=60), Sampling(0.7, 9, 0.9, 0.02, max_new_tokens=30)):
        completions = list(itertools.chain(*engine.sample(make_requests(13), sampling)))
        lengths = [len(completion.ids) for completion in completions]
        assert min(lengths) < 20, "some were to end early"
        assert max(lengths) == sampling.max_new_tokens, "some were to be long"
        assert_logprobs(policy.model, completions, [c.logprobs for c in completions], sampling, candidate)


@torch.no_grad()
def check_kept(candidate: Candidate) -> None:
    """What each token was drawn among is told where it is asked for and something is left out.

    The token is in it, the log-probability is normalised over it, and it is what the model's own forward pass
    keeps. It makes no difference to what is drawn.
    """
    policy = make_small_policy()
    engine = candidate.load_engine(policy, rows=28)
    for truncation in (
        Sampling(0.7, 9, 0.9, 0.02),
        Sampling(top_k=4),
        Sampling(top_p=0.8),
        Sampling(min_p=0.1),
    ):
        sampling = replace(truncation, max_new_tokens=30, record_kept=True)
        completions = list(itertools.chain(*engine.sample(make_requests(13), sampling)))
        assert len({len(completion.ids) for completion in completions}) > 5, "they were to end at many steps"
        sizes: list[int] = []
        for completion in completions:
            ids = torch.tensor([[*completion.prompt_ids, *completion.ids]])
            logits_TV = policy.model(input_ids=ids).logits[0, len(completion.prompt_ids) - 1 : -1]
            logits_TV = logits_TV / sampling.temperature
            again_TV = filter_logits(logits_TV, sampling.top_k, sampling.top_p, sampling.min_p).isfinite()
            assert completion.kept is not None
            sets = completion.kept.list_sets()
            sizes += map(len, sets)
            told = zip(completion.ids, completion.logprobs, sets, logits_TV, again_TV, strict=True)
            for token, logprob, kept, logits_V, again_V in told:
                assert token in kept
                assert list(kept) == again_V.nonzero()[:, 0].tolist()
                assert (
                    abs(logits_V[list(kept)].log_softmax(0)[kept.index(token)] - logprob) <= candidate.worst
                )
        assert len(set(sizes)) > 1 or truncation == Sampling(top_k=4)
        silent = list(
            itertools.chain(*engine.sample(make_requests(13), replace(sampling, record_kept=False)))
        )
        assert silent == [replace(completion, kept=None) for completion in completions]
    for whole in (Sampling(), Sampling(top_k=len(TOKENIZER)), Sampling(0.0, 9, 0.9, 0.02)):
        sampling = replace(whole, max_new_tokens=5, record_kept=True)
        assert all(c.kept is None for group in engine.sample(make_requests(1), sampling) for c in group)


def check_logprobs_of_rows(candidate: Candidate) -> None:
    """Rows that nobody drew, of all lengths, more than are decoded at once; and rows that were drawn."""
    policy = make_small_policy()
    engine = candidate.load_engine(policy, rows=5)
    generator = torch.Generator().manual_seed(0)
    prompts = [TOKENIZER(prompt).input_ids for prompt in PROMPTS]
    lengths = [3, 0, 40, 1, 17, 17, 2, 0, 9]
    rows = [
        Row(prompts[place % 4], torch.randint(len(TOKENIZER), (length,), generator=generator).tolist())
        for place, length in enumerate(lengths)
    ]
    for temperature in (1.0, 0.7):
        assert_logprobs(
            policy.model, rows, engine.compute_logprobs(rows, temperature), Sampling(temperature), candidate
        )
    drawn = list(itertools.chain(*engine.sample(make_requests(4), Sampling(0.7, max_new_tokens=40))))
    again = engine.compute_logprobs([Row(c.prompt_ids, c.ids) for c in drawn], 0.7)
    assert_logprobs(policy.model, drawn, again, Sampling(0.7), candidate)
    assert engine.compute_logprobs([]) == []
    with pytest.raises(ValueError, match="temperature"):
        engine.compute_logprobs(rows, 0.0)


def check_greedy(candidate: Candidate) -> None:
    """Temperature 0 takes the most likely token; its log-probability is that of the untempered model."""
    policy, sampling = make_small_policy(3), Sampling(0.0, max_new_tokens=30)
    completions = list(itertools.chain(*candidate.load_engine(policy).sample(make_requests(1), sampling)))
    for completion in completions:
        ids = list(completion.prompt_ids)
        for token in completion.ids:
            with torch.no_grad():
                assert token == int(policy.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            ids.append(token)
    assert_logprobs(policy.model, completions, [c.logprobs for c in completions], sampling, candidate)


def check_results_follow_the_requests(candidate: Candidate) -> None:
    counts = [3, 1, 5, 2]
    requests = [Request(r.ids, count, r.stream) for r, count in zip(make_requests(1), counts, strict=True)]
    completions = candidate.load_engine(make_small_policy(), rows=4).sample(
        requests, Sampling(max_new_tokens=5)
    )
    assert [len(group) for group in completions] == counts
    for request, group in zip(requests, completions, strict=True):
        assert all(list(completion.prompt_ids) == list(request.ids) for completion in group)
    assert candidate.load_engine(make_small_policy()).sample([], Sampling()) == []


def check_seeds(candidate: Candidate) -> None:
    """A stream draws the same, whatever else is in the batch, however it is cut, and whatever was freed
    before; another draws others."""
    policy, sampling, requests = make_small_policy(), Sampling(max_new_tokens=60), make_requests(6)
    engine = candidate.load_engine(policy)
    together = list_ids(engine.sample(requests, sampling))
    assert together == list_ids(engine.sample(requests, sampling))
    engine.free()
    assert together == [list_ids(engine.sample([request], sampling))[0] for request in requests]
    for rows in (7, 4):
        assert together == list_ids(candidate.load_engine(policy, rows).sample(requests, sampling))
    fewer = list_ids(engine.sample([Request(r.ids, 2, r.stream) for r in requests[::-1]], sampling))[::-1]
    assert [group[:2] for group in together] == fewer
    later = list_ids(engine.sample([Request(r.ids, 2, r.stream, first=3) for r in requests], sampling))
    assert [group[3:5] for group in together] == later
    assert len(set(together[0])) == 6, "samples of one request were to differ"
    others = list_ids(engine.sample([Request(r.ids, 6, r.stream + 100) for r in requests], sampling))
    assert not set(together[0]) & set(others[0]), "another stream was to draw others"


def check_end_tokens_and_the_budget(candidate: Candidate) -> None:
    """Any of several end tokens ends a completion, as its last id, not in its text; else the budget."""
    seen: set[int] = set()
    reasons: set[str] = set()
    for group in candidate.load_engine(make_small_policy()).sample(
        make_requests(40), Sampling(max_new_tokens=100)
    ):
        for completion in group:
            assert not set(completion.ids[:-1]) & set(ENDS)
            shown = list(completion.ids)
            if completion.finish_reason == "stop":
                seen.add(shown.pop())
            else:
                assert completion.finish_reason == "length"
                assert len(completion.ids) == 100
                assert completion.ids[-1] not in ENDS
            assert completion.text == TOKENIZER.decode(shown)
            reasons.add(completion.finish_reason)
    assert seen == set(ENDS), "every end token was to be drawn"
    assert reasons == {"stop", "length"}


def check_the_budget_of_a_request(candidate: Candidate) -> None:
    """It cuts the completions of its request alone, and draws what would have been drawn; it is no way over
    the budget of all."""
    engine, sampling = candidate.load_engine(make_small_policy()), Sampling(max_new_tokens=30)
    plain, asked = engine.sample(make_requests(8), sampling), make_requests(8)
    asked[1], asked[2] = replace(asked[1], budget=5), replace(asked[2], budget=90)
    limits = [30, 5, 30, 30]
    for limit, before, after in zip(limits, plain, engine.sample(asked, sampling), strict=True):
        for one, other in zip(before, after, strict=True):
            assert other.ids == one.ids[:limit]
            cut = len(one.ids) > limit
            assert other.finish_reason == ("length" if cut else one.finish_reason)
    assert any(len(completion.ids) > 5 for completion in plain[1]), "some were to be cut"


def check_stop_strings(candidate: Candidate) -> None:
    """A stop string ends a completion at the token that completes it, and stays in its text."""
    engine = candidate.load_engine(make_small_policy())
    plain = list(itertools.chain(*engine.sample(make_requests(40), Sampling(max_new_tokens=100))))
    text = next(c.text for c in plain if len(c.text) > 30 and "<unk>" not in TOKENIZER.decode(list(c.ids)))
    sampling = Sampling(max_new_tokens=100, stop=(text[20:22], "never this text"))
    cut = 0
    for one, other in zip(plain, itertools.chain(*engine.sample(make_requests(40), sampling)), strict=True):
        raw, shorter = TOKENIZER.decode(list(one.ids)), TOKENIZER.decode(list(other.ids))
        assert one.ids[: len(other.ids)] == other.ids
        if sampling.stop[0] not in raw:
            assert one.ids == other.ids
            assert one.finish_reason == other.finish_reason
            continue
        cut += 1
        end = raw.index(sampling.stop[0]) + len(sampling.stop[0])
        before = TOKENIZER.decode(list(other.ids[:-1]))
        assert len(before) < end <= len(shorter), "what completes it is the last token"
        assert other.finish_reason == "stop"
        assert sampling.stop[0] in other.text
    assert cut >= 1


def check_finished(candidate: Candidate) -> None:
    """Called once for each completion, with what is returned, by the calling thread; it may raise."""
    engine = candidate.load_engine(make_small_policy(), rows=50)
    sampling, requests = Sampling(max_new_tokens=40), make_requests(20)
    heard: list[tuple[int, int]] = []
    handed: dict[tuple[int, int], Completion] = {}
    threads: set[int] = set()

    def record(request: int, sample: int, completion: Completion) -> None:
        heard.append((request, sample))
        handed[request, sample] = completion
        threads.add(threading.get_ident())

    completions = engine.sample(requests, sampling, record)
    assert sorted(heard) == [(request, sample) for request in range(4) for sample in range(20)]
    assert all(completions[request][sample] is completion for (request, sample), completion in handed.items())
    assert threads == {threading.get_ident()}

    def fail(request: int, sample: int, completion: Completion) -> None:
        raise RuntimeError("nobody listens")

    with pytest.raises(RuntimeError, match="nobody listens"):
        engine.sample(requests, sampling, fail)
    assert list_ids(engine.sample(requests, sampling)) == list_ids(completions)


def check_load_and_version(candidate: Candidate) -> None:
    """Samples follow the weights that were loaded: changed ones, those of another policy, and back."""
    policy, other, sampling = make_small_policy(1), make_small_policy(4), Sampling(max_new_tokens=20)
    assert candidate.make(policy, 256).version == 0
    engine = candidate.load_engine(policy)
    assert engine.version == 1
    before = engine.sample(make_requests(4), sampling)
    policy.model.load_state_dict(copy.deepcopy(make_small_policy(2).model.state_dict()))
    engine.load(policy, 7)
    assert engine.version == 7
    after = engine.sample(make_requests(4), sampling)
    assert list_ids(before) != list_ids(after)
    for version, loaded in ((8, other), (9, policy)):
        engine.load(loaded, version)
        assert engine.version == version
        drawn = list(itertools.chain(*engine.sample(make_requests(4), sampling)))
        assert_logprobs(loaded.model, drawn, [c.logprobs for c in drawn], sampling, candidate)
        rows = [Row(c.prompt_ids, c.ids) for c in drawn]
        assert_logprobs(loaded.model, rows, engine.compute_logprobs(rows), sampling, candidate)
    assert list_ids(engine.sample(make_requests(4), sampling)) == list_ids(after)


def check_policy_is_left_as_it_was(candidate: Candidate) -> None:
    policy = make_small_policy()
    policy.model.train()
    weights = copy.deepcopy(policy.model.state_dict())
    engine = candidate.load_engine(policy)
    (completion,), *_ = engine.sample(make_requests(1), Sampling(max_new_tokens=5))
    engine.compute_logprobs([Row(completion.prompt_ids, completion.ids)])
    assert policy.model.training
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")
    assert all(p.requires_grad and p.grad is None for p in policy.model.parameters())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in policy.model.state_dict().items())
    ids = torch.tensor([[1, 2, 3]])
    policy.model(input_ids=ids, labels=ids).loss.backward()


def check_arithmetic_is_the_policys(candidate: Candidate) -> None:
    """Nothing depends on the context of the call: not on the policy's own, nor on another."""
    sampling = Sampling(max_new_tokens=20)
    for dtype, other in ((torch.float32, torch.bfloat16), (torch.bfloat16, torch.float16)):
        policy = make_small_policy(dtype=dtype)
        engine = candidate.load_engine(policy)
        outside = engine.sample(make_requests(3), sampling)
        rows = [Row(c.prompt_ids, c.ids) for group in outside for c in group]
        logprobs = engine.compute_logprobs(rows)
        for context in (policy.autocast(), torch.autocast("cpu", other), torch.inference_mode()):
            with context:
                assert engine.sample(make_requests(3), sampling) == outside
                assert engine.compute_logprobs(rows) == logprobs
        with policy.autocast():
            plain = torch.cat([compute_plain_logprobs(policy.model, row, sampling) for row in rows])
        for found in (logprobs, [c.logprobs for group in outside for c in group]):
            gap = (plain - torch.tensor(list(itertools.chain(*found)))).abs().mean()
            assert gap <= (candidate.mean if dtype is torch.float32 else 0.05)


CHECKS = [
    check_logprobs_of_samples,
    check_kept,
    check_logprobs_of_rows,
    check_greedy,
    check_results_follow_the_requests,
    check_seeds,
    check_end_tokens_and_the_budget,
    check_the_budget_of_a_request,
    check_stop_strings,
    check_finished,
    check_load_and_version,
    check_policy_is_left_as_it_was,
    check_arithmetic_is_the_policys,
]
