"""Episodes drawn from the local engine: their tokens, limits, random numbers, and what sampling costs."""

import dataclasses
from dataclasses import replace

import pytest
import torch
from palaestra.tasks import Problem
from palaestra.tasks.core.episode import EpisodeLimits, World
from palaestra.tasks.core.sources import Procedural
from palaestra.tasks.core.task import Task
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.engines.base import Row, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.captures import Tape
from palaestra.trainer.model.embedded import make_character_tokenizer, make_small_transformer
from palaestra.trainer.model.live_bytes import LiveBytes
from palaestra.trainer.model.measure import measure_passes
from palaestra.trainer.model.memory import sampling_bytes
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.rollouts.episodes import Episodes
from palaestra.trainer.rollouts.rollouts import Rollouts
from palaestra.verifiers import Rubric

from ..support.architectures import make_model
from ..support.policies import make_policy
from ..support.tiny import make_tiny

SAMPLING = Sampling(max_new_tokens=120)


class Chat:
    """Says how long what it heard was; two turns long, but for the problem of one turn."""

    def __init__(self, problem):
        self.left, self.state = problem.metadata.get("turns", 3), []

    def reply(self, said):
        self.state.append(len(said))
        self.left -= 1
        return f"{len(said)} letters. Go on" if self.left else None


class Inside:
    """Worlds in this process, where a test needs no other one."""

    workers = 2

    def __init__(self):
        self.worlds = {}

    def answer(self, factory, problem, limits, key, said):
        world = self.worlds.setdefault(key, World(factory, problem))
        return world.answer(said[-1])

    def forget(self, factory, key):
        pass

    def close(self):
        pass


@pytest.fixture(scope="module")
def policy():
    """Of random weights, with so many end tokens that a turn has some ten tokens."""
    tokenizer = make_character_tokenizer()
    model = make_small_transformer(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, 0)
    model.generation_config.eos_token_id = tokenizer("abcdefgh").input_ids
    return make_policy(model.eval(), tokenizer, torch.float32)


def make_problems(count, **metadata):
    return [
        Problem(f"{n} + {n + 1} = ?" + " and" * n, "3", metadata, id=f"talk/train/{n}") for n in range(count)
    ]


def make_task(episode=Chat, **limits):
    def generate(rng, level):
        yield Problem("1 + 2 = ?", "3")

    def is_long(completion, problem):
        return len(completion.text) > 3

    source = Procedural("talk", generate, 1)
    return Task("talk", source, Rubric(is_long), episode=episode, limits=EpisodeLimits(**limits))


def sample(
    policy, task, problems, samples=4, rounds=False, sampling=SAMPLING, seed=0, rows=None, record=None
):
    engine = LocalEngine(policy, rows, record=record)
    engine.takes_more = not rounds
    prompts = PromptFormat.of(policy.tokenizer, end_ids=policy.end_ids)
    rollouts = Rollouts(engine, prompts, task, 200, workers=2, worlds=Inside())
    try:
        return rollouts.sample_groups(problems, samples, sampling, seed), engine
    finally:
        rollouts.close()


def list_completions(groups):
    return [completion for group in groups for completion in group.completions_G]


@pytest.mark.parametrize("rounds", [False, True])
def test_the_tokens_of_an_episode_are_those_of_its_turns(policy, rounds):
    groups, engine = sample(policy, make_task(tokens_per_turn=30), make_problems(3), rounds=rounds)
    completions = list_completions(groups)
    assert max(len(completion.turns) for completion in completions) > 2
    seams = PromptFormat.of(policy.tokenizer)
    for completion in completions:
        assert len(completion.ids) == len(completion.logprobs) == len(completion.sampled or completion.ids)
        said = [turn.text for turn in completion.turns if turn.role == "policy"]
        assert completion.text == "\n".join(said)
        state = completion.state or []
        assert state == [len(text) for text in said][: len(state)]
        shown = seams.decode(completion.ids)
        assert all(turn.text in shown for turn in completion.turns)
    # What was recorded while sampling is what the model gives to these tokens in their context.
    rows = [Row(completion.prompt_ids, completion.ids) for completion in completions]
    for completion, found in zip(completions, engine.compute_logprobs(rows), strict=True):
        drawn = torch.tensor(completion.sampled or [True] * len(completion.ids))
        gap = (torch.tensor(found) - torch.tensor(completion.logprobs)).abs()
        assert gap[drawn].max() < 1e-5
        assert not torch.tensor(completion.logprobs)[~drawn].any()


def test_a_silent_world_is_the_single_turn_to_the_bit(policy):
    problems = make_problems(3, turns=1)
    episodes, _ = sample(policy, make_task(), problems)
    single, _ = sample(policy, make_task(episode=None), problems)
    for one, other in zip(list_completions(episodes), list_completions(single), strict=True):
        assert dataclasses.replace(one, turns=(), state=None) == other


def test_random_numbers_hang_on_seed_problem_sample_and_turn_alone(policy):
    task, problems = make_task(tokens_per_turn=30), make_problems(3)
    groups, _ = sample(policy, task, problems)
    again, _ = sample(policy, task, problems[1:2], rows=2, rounds=True)
    other, _ = sample(policy, task, problems[1:2], seed=1)
    assert [c.ids for c in list_completions(again)] == [c.ids for c in groups[1].completions_G]
    assert [c.ids for c in list_completions(other)] != [c.ids for c in groups[1].completions_G]


@pytest.mark.parametrize("step", [3, 20, 40])
def test_when_memory_runs_out_on_the_way_the_episodes_are_the_same(policy, step, monkeypatch):
    """What was kept is gone then, and what had joined is read again, half as many rows at a time."""
    task, problems, advance = make_task(tokens_per_turn=30), make_problems(3), LocalEngine._advance
    wanted, _ = sample(policy, task, problems)
    steps = 0

    def run_out_once(self, *given):
        nonlocal steps
        steps += 1
        if steps == step:
            raise MemoryError
        return advance(self, *given)

    monkeypatch.setattr(LocalEngine, "_advance", run_out_once)
    found, engine = sample(policy, task, problems)
    assert engine.rows < 256
    ids = [[completion.ids for completion in list_completions(groups)] for groups in (wanted, found)]
    assert ids[0] == ids[1]


def test_sampling_computes_little_more_than_it_draws(policy):
    """The cache goes on: what a turn adds is read once."""
    task = make_task(turns=6)
    groups, engine = sample(policy, task, make_problems(4, turns=6), 8, sampling=Sampling(max_new_tokens=400))
    completions = list_completions(groups)
    prompts = sum(len(group.completions_G[0].prompt_ids) for group in groups)
    needed = prompts + sum(len(completion.ids) for completion in completions)
    computed = engine.prefilled + engine.row_steps
    assert sum(len(completion.turns) for completion in completions) > 3 * len(completions)
    assert computed <= 1.2 * needed, (computed, needed)


GENERAL = {  # keys and values of all positions; of a window of 8, too; with the states of a recurrence
    "gpt2": lambda: make_tiny("gpt2"),
    "gemma2": lambda: make_model("gemma2"),
    "qwen3_next": lambda: make_model("qwen3_next"),
}


def make_general(kind):
    model, tokenizer = GENERAL[kind](), make_character_tokenizer()
    model.generation_config.eos_token_id = tokenizer("abcdefghijklmnop").input_ids
    return make_policy(model.eval(), tokenizer, torch.float32)


@pytest.mark.parametrize(
    ("kind", "record"), [(kind, None) for kind in GENERAL] + [("gpt2", Tape), ("gemma2", Tape)]
)
def test_the_general_path_keeps_what_it_has_read_between_turns(kind, record):
    """Each token goes through the model once, and what is drawn is what it draws when it reads all anew."""
    policy, task, problems = make_general(kind), make_task(turns=4), make_problems(3, turns=4)
    sampling = Sampling(max_new_tokens=150)
    found, engine = sample(policy, task, problems, 4, sampling=sampling, record=record)
    anew, reading = sample(policy, task, problems, 4, sampling=sampling, rounds=True)
    assert engine.path == reading.path == "general"
    completions = list_completions(found)
    assert sum(len(completion.turns) for completion in completions) > 3 * len(completions)
    for one, other in zip(completions, list_completions(anew), strict=True):
        assert one.ids == other.ids
        assert torch.allclose(torch.tensor(one.logprobs), torch.tensor(other.logprobs), atol=5e-5)
    needed = sum(len(group.completions_G[0].prompt_ids) for group in found)
    needed += sum(len(completion.ids) for completion in completions)
    assert engine.prefilled + engine.row_steps <= needed
    assert reading.prefilled + reading.row_steps > 1.5 * needed


@pytest.mark.parametrize("kind", ["fast", "gpt2", "gemma2"])
def test_rows_that_wait_are_in_the_bill(policy, kind):
    """What is alive at most while episodes are sampled, of rows of which many wait at once."""
    policy = policy if kind == "fast" else make_general(kind)
    config = TrainConfig.of(
        prompts_per_step=4, group_size=8, max_prompt_tokens=40, max_new_tokens=160, preflight_problems=0,
        eval_problems=1, eval_samples=1,
    )  # fmt: skip
    passes = replace(measure_passes(policy, config), waits=True)
    billed = [sampling_bytes(policy, config, 32, each) for each in (passes, replace(passes, waits=False))]
    copies = passes.cache.count(32, 32 * 200) if kind == "fast" else 0
    assert billed[0] - billed[1] >= copies
    task, problems = make_task(turns=6, tokens_per_turn=60), make_problems(4, turns=6)
    meter = LiveBytes(policy.device, [*policy.model.parameters(), *policy.model.buffers()])
    before = meter.live
    with meter:
        sample(policy, task, problems, 8, sampling=Sampling(max_new_tokens=160), rows=32)
    assert 0.2 * billed[0] < meter.peak - before <= billed[0]


def test_what_can_t_be_kept_is_read_again():
    """A model without a cache that can be forked: the same episodes, whatever they cost."""
    tokenizer, task, problems = make_character_tokenizer(), make_task(turns=3), make_problems(2)
    model = make_tiny("recurrent_gemma")
    model.generation_config.eos_token_id = tokenizer("abcdefghijklmnop").input_ids
    policy = make_policy(model, tokenizer, torch.float32)
    groups, engine = sample(policy, task, problems, 2, sampling=Sampling(max_new_tokens=60))
    completions = list_completions(groups)
    assert max(len(completion.turns) for completion in completions) > 2
    rows = [Row(completion.prompt_ids, completion.ids) for completion in completions]
    for completion, found in zip(completions, engine.compute_logprobs(rows), strict=True):
        drawn = torch.tensor(completion.sampled or [True] * len(completion.ids))
        assert (torch.tensor(found) - torch.tensor(completion.logprobs))[drawn].abs().max() < 5e-5


@pytest.mark.parametrize(
    ("limits", "sampling", "reason"),
    [
        ({"turns": 2, "tokens_per_turn": 4}, SAMPLING, "length"),
        ({"turns": 2}, Sampling(max_new_tokens=900), "turns"),
        ({"tokens": 12}, SAMPLING, "tokens"),
    ],
)
def test_each_limit_has_its_own_reason_and_its_worlds_are_let_go(
    policy, limits, sampling, reason, monkeypatch
):
    forgotten = []
    monkeypatch.setattr(
        Episodes, "forget", lambda _, rollout: forgotten.append(rollout.complete().finish_reason)
    )
    groups, _ = sample(policy, make_task(**limits), make_problems(2, turns=9), 8, sampling=sampling)
    completions = list_completions(groups)
    ends = [completion.finish_reason for completion in completions]
    assert reason in ends
    assert sorted(forgotten) == sorted(end for end in ends if end != "stop")
    tokens = min(limits.get("tokens", 1 << 30), sampling.max_new_tokens)
    assert all(len(completion.ids) <= tokens for completion in completions)
    said = [sum(turn.role == "policy" for turn in completion.turns) for completion in completions]
    assert max(said) <= limits.get("turns", 10)


class Stumbling(Chat):
    def reply(self, said):
        if len(said) % 2:
            raise ValueError("odd")
        return super().reply(said)


def test_words_that_make_the_world_fail_are_verdicts_and_sampling_goes_on(policy):
    groups, _ = sample(
        policy, make_task(Stumbling), make_problems(3), 8, sampling=Sampling(max_new_tokens=200)
    )
    pairs = [pair for g in groups for pair in zip(g.completions_G, g.scores_G, strict=True)]
    failed = [score for completion, score in pairs if completion.finish_reason == "raised"]
    assert failed
    assert all(score.reward == 0 and not score.abstained for score in failed)
    assert len(failed) < len(pairs)
