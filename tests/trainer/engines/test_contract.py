"""Every engine keeps the contract; and the contract notices engines that do not."""

import contextlib
import copy
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from palaestra.trainer.engines.base import Engine, Request, Row, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.captures import Tape
from palaestra.trainer.model.kept import pack_kept_ids
from palaestra.trainer.model.policy import Policy

from . import engine_contract as contract
from .engine_contract import CHECKS, Candidate

CANDIDATES = [
    Candidate("local, fast", lambda policy, rows: LocalEngine(policy, rows)),
    Candidate("local, general", lambda policy, rows: LocalEngine(policy, rows, fast=False)),
    Candidate("local, fast, recorded", lambda policy, rows: LocalEngine(policy, rows, record=Tape)),
    Candidate(
        "local, general, recorded", lambda policy, rows: LocalEngine(policy, rows, fast=False, record=Tape)
    ),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_the_engine_keeps_the_contract(candidate: Candidate, check: Callable[[Candidate], None]):
    check(candidate)


def test_the_candidates_are_what_they_say():
    paths = [candidate.make(contract.make_small_policy(), 8).path for candidate in CANDIDATES]
    assert paths == ["fast", "general", "fast", "general"]


@pytest.mark.parametrize(
    "bad", [{"ids": []}, {"samples": 0}, {"stream": -1}, {"stream": 2**64}, {"first": -1}], ids=str
)
def test_requests_that_no_engine_can_serve_are_refused(bad: dict):
    with pytest.raises(ValueError, match="A request needs"):
        Request(**{"ids": [1], "samples": 1, "stream": 0} | bad)
    with pytest.raises(ValueError, match="A row needs"):
        Row([], [1])


class KeepsOldWeights(LocalEngine):
    def __init__(self, policy, rows):
        super().__init__(replace(policy, model=copy.deepcopy(policy.model)), rows)

    def load(self, policy, version):
        self.version = version


class NeverLeavesTheFirstPolicy(LocalEngine):
    def load(self, policy, version):
        self.version = version


class KeepsItsVersion(LocalEngine):
    def load(self, policy, version):
        super().load(policy, 1)


class TellsTwice(LocalEngine):
    def sample(self, requests, sampling, finished=None):
        completions = super().sample(requests, sampling, finished)
        if finished is not None:
            finished(0, 0, completions[0][0])
        return completions


class TellsNothing(LocalEngine):
    def sample(self, requests, sampling, finished=None):
        return super().sample(requests, sampling)


class TellsAnother(LocalEngine):
    def sample(self, requests, sampling, finished=None):
        def tell(request, sample, completion):
            finished(request, sample, replace(completion, text=""))

        return super().sample(requests, sampling, tell if finished else None)


class Changes(LocalEngine):
    """Changes the requests, the sampling and each completion on their way."""

    def change_request(self, place: int, request: Request) -> Request:
        return request

    def change_sampling(self, sampling: Sampling) -> Sampling:
        return sampling

    def change_completion(self, completion):
        return completion

    def sample(self, requests, sampling, finished=None):
        def tell(request, sample, completion):
            handed[request, sample] = self.change_completion(completion)
            if finished:
                finished(request, sample, handed[request, sample])

        handed: dict = {}
        changed = [self.change_request(place, request) for place, request in enumerate(requests)]
        super().sample(changed, self.change_sampling(sampling), tell)
        return [[handed[place, sample] for sample in range(r.samples)] for place, r in enumerate(requests)]


class SeedsByPlace(Changes):
    def change_request(self, place, request):
        return replace(request, stream=request.stream + 1000 * place)


class SeedsAllAlike(Changes):
    def change_request(self, place, request):
        return replace(request, stream=0)


class ForgetsWhatItFrees(Changes):
    freed = 0

    def free(self):
        super().free()
        self.freed += 1

    def change_request(self, place, request):
        return replace(request, stream=request.stream + self.freed)


class DoesNotStop(Changes):
    def change_sampling(self, sampling):
        return replace(sampling, stop=())


class GoesOverTheBudget(Changes):
    def change_sampling(self, sampling):
        return replace(sampling, max_new_tokens=sampling.max_new_tokens + 1)


class ForgetsTheBudgetOfARequest(Changes):
    def change_request(self, place, request):
        return replace(request, budget=None)


class IgnoresTheTemperature(Changes):
    def change_sampling(self, sampling):
        return replace(sampling, temperature=1.0)


class AlwaysSaysStop(Changes):
    def change_completion(self, completion):
        return replace(completion, finish_reason="stop")


class DropsTheEndToken(Changes):
    def change_completion(self, completion):
        if completion.finish_reason == "length":
            return completion
        return replace(completion, ids=completion.ids[:-1], logprobs=completion.logprobs[:-1])


class ShowsTheEndToken(Changes):
    def change_completion(self, completion):
        return replace(completion, text=contract.TOKENIZER.decode(list(completion.ids)))


class CountsInBits(Changes):
    def change_completion(self, completion):
        return replace(completion, logprobs=[logprob / math.log(2) for logprob in completion.logprobs])


class KeepsNothing(Changes):
    def change_completion(self, completion):
        return replace(completion, kept=None)


class KeepsTheEndOfAnother(Changes):
    """As if rows that go on were not told apart when one has ended."""

    def change_completion(self, completion):
        if completion.kept is None or len(completion.ids) < 2:
            return completion
        return replace(completion, kept=pack_kept_ids(completion.kept.list_sets()[::-1]))


class KeepsOnlyTheToken(Changes):
    def change_completion(self, completion):
        if completion.kept is None:
            return completion
        return replace(completion, kept=pack_kept_ids([np.array([id], np.int32) for id in completion.ids]))


class IgnoresMinP(Changes):
    def change_sampling(self, sampling):
        return replace(sampling, min_p=0.0)


class KnowsOneEnd(LocalEngine):
    def __init__(self, policy, rows):
        super().__init__(policy, rows)
        self.end_ids = self.end_ids[:1]


class MixesUpRequests(LocalEngine):
    def sample(self, requests, sampling, finished=None):
        return super().sample(requests, sampling, finished)[::-1]


class UntemperedRows(LocalEngine):
    def compute_logprobs(self, rows, temperature=1.0):
        return super().compute_logprobs(rows)


class RowsByLength(LocalEngine):
    def compute_logprobs(self, rows, temperature=1.0):
        return super().compute_logprobs(sorted(rows, key=lambda row: len(row.ids)), temperature)


class LeavesTheModelInEvaluation(LocalEngine):
    def sample(self, requests, sampling, finished=None):
        self.policy.model.eval()
        return super().sample(requests, sampling, finished)


class TakesTheCallersArithmetic(LocalEngine):
    def __init__(self, policy, rows):
        super().__init__(policy, rows)
        self.load(policy, 0)

    def load(self, policy, version):
        super().load(policy, version)
        self.policy = WithoutArithmetic(**vars(policy))


class WithoutArithmetic(Policy):
    def autocast(self):
        return contextlib.nullcontext()


WRONG: list[tuple[Callable[..., Engine], Callable[[Candidate], None]]] = [
    (KeepsOldWeights, contract.check_load_and_version),
    (NeverLeavesTheFirstPolicy, contract.check_load_and_version),
    (KeepsItsVersion, contract.check_load_and_version),
    (TellsTwice, contract.check_finished),
    (TellsNothing, contract.check_finished),
    (TellsAnother, contract.check_finished),
    (SeedsByPlace, contract.check_seeds),
    (SeedsAllAlike, contract.check_seeds),
    (ForgetsWhatItFrees, contract.check_seeds),
    (DoesNotStop, contract.check_stop_strings),
    (GoesOverTheBudget, contract.check_end_tokens_and_the_budget),
    (ForgetsTheBudgetOfARequest, contract.check_the_budget_of_a_request),
    (IgnoresTheTemperature, contract.check_logprobs_of_samples),
    (IgnoresTheTemperature, contract.check_greedy),
    (AlwaysSaysStop, contract.check_end_tokens_and_the_budget),
    (DropsTheEndToken, contract.check_end_tokens_and_the_budget),
    (ShowsTheEndToken, contract.check_end_tokens_and_the_budget),
    (CountsInBits, contract.check_logprobs_of_samples),
    (KeepsNothing, contract.check_kept),
    (KeepsTheEndOfAnother, contract.check_kept),
    (KeepsOnlyTheToken, contract.check_kept),
    (IgnoresMinP, contract.check_kept),
    (KnowsOneEnd, contract.check_end_tokens_and_the_budget),
    (MixesUpRequests, contract.check_results_follow_the_requests),
    (UntemperedRows, contract.check_logprobs_of_rows),
    (RowsByLength, contract.check_logprobs_of_rows),
    (LeavesTheModelInEvaluation, contract.check_policy_is_left_as_it_was),
    (TakesTheCallersArithmetic, contract.check_arithmetic_is_the_policys),
]


@pytest.mark.parametrize(("make", "check"), WRONG, ids=lambda part: part.__name__)
def test_the_contract_notices(make: Callable[..., Engine], check: Callable[[Candidate], None]):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(Candidate("wrong", make))
