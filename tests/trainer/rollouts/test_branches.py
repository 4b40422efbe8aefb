"""Episodes drawn as branches: each turn behind the conversation as the chat template renders it then."""

from dataclasses import replace

import pytest
import torch
from palaestra.tasks import Problem, get
from palaestra.tasks.core.episode import EpisodeLimits, World
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.core.mixture import Component, mix
from palaestra.tasks.core.sources import Procedural
from palaestra.tasks.core.task import Task
from palaestra.trainer.config.shared import PromptConfig
from palaestra.trainer.engines.base import Row, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.embedded import make_character_tokenizer, make_small_transformer
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.model.sequences import Sequences
from palaestra.trainer.rollouts.rollouts import Rollouts
from palaestra.verifiers import Rubric

from ..support.policies import make_policy
from ..support.tiny import make_tiny

GROWS = "{% for m in messages %}{{ m.content }}{{ eos_token if m.role == 'assistant' else '>' }}{% endfor %}"
FORGETS = (  # all of an earlier answer but its last letters
    "{% for m in messages %}{{ m.content[-2:] + ';' if m.role == 'assistant' else m.content + '>' }}"
    "{% endfor %}"
)


class Chat:
    """Says how long what it heard was."""

    def __init__(self, problem):
        self.left = problem.metadata.get("turns", 4)

    def reply(self, said):
        self.left -= 1
        return f"{len(said)} letters" if self.left else None


class Inside:
    """Worlds in this process."""

    workers = 2

    def __init__(self):
        self.worlds, self.forgotten = {}, []

    def answer(self, factory, problem, limits, key, said):
        return self.worlds.setdefault(key, World(factory, problem)).answer(said[-1])

    def forget(self, factory, key):
        self.forgotten.append(key)

    def close(self):
        pass


def make(template, ends="", kind="fast"):
    tokenizer = make_character_tokenizer()
    tokenizer.chat_template = template
    model = make_small_transformer(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, 0)
    if kind != "fast":
        model = make_tiny(kind)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, *tokenizer(ends).input_ids]
    return make_policy(model.eval(), tokenizer, torch.float32)


def make_task(episode=Chat):
    def generate(rng, level):
        yield Problem("1 + 2 = ?", "3")

    def is_long(completion, problem):
        return len(completion.text) > 3

    source = Procedural("talk", generate, 1)
    return Task("talk", source, Rubric(is_long), episode=episode, limits=EpisodeLimits(turns=9))


def sample(policy, trajectories, new=200, samples=4, rounds=False, turns=4, worlds=None, episode=Chat):
    engine = LocalEngine(policy)
    engine.takes_more = not rounds
    config = PromptConfig(trajectories=trajectories)
    prompts = PromptFormat.of(policy.tokenizer, config, lambda _: None, end_ids=policy.end_ids)
    problems = [Problem(f"{n} + 1 = ?", "3", {"turns": turns}, id=f"talk/train/{n}") for n in range(3)]
    rollouts = Rollouts(engine, prompts, make_task(episode), 200, workers=2, worlds=worlds or Inside())
    try:
        groups = rollouts.sample_groups(problems, samples, Sampling(max_new_tokens=new), 0)
    finally:
        rollouts.close()
    return [
        (g.problem, c, s) for g in groups for c, s in zip(g.completions_G, g.scores_G, strict=True)
    ], engine


def list_rows(completion):
    """What the update reads of it: pairs of a prompt and what was drawn behind it."""
    sequences = Sequences.of([completion.prompt_ids], [completion.ids])
    branches = sequences.branch([completion.sampled], [completion.rewinds]).branches
    rows = branches.rows
    ends = zip(rows.ids_BS.tolist(), rows.prompt_lengths_B.tolist(), rows.lengths_B.tolist(), strict=True)
    return [Row(ids[:prompt], ids[prompt : prompt + length]) for ids, prompt, length in ends], branches


def test_where_the_template_only_appends_branches_are_the_interleaved_episode():
    policy = make(GROWS)
    found, wanted = (sample(policy, way, 600)[0] for way in ("branching", "interleaved"))
    same = [one[1] for one, other in zip(found, wanted, strict=True) if one[1] == other[1]]
    assert any(len(completion.turns) > 3 for completion in same)
    # What the policy drew in other tokens than its text has (a tag, letter by letter) is read anew.
    assert all(one[1].rewinds for one, other in zip(found, wanted, strict=True) if one[1] != other[1])
    assert len(same) > 2 / 3 * len(found)


def test_an_episode_of_one_turn_is_the_single_turn_to_the_bit():
    policy = make(FORGETS, "abcdefgh")
    found, wanted = (sample(policy, "branching", turns=1, episode=way)[0] for way in (Chat, None))
    assert len(found) == 12
    for (_, one, _), (_, other, _) in zip(found, wanted, strict=True):
        assert replace(one, turns=()) == other
        assert not one.rewinds


def test_a_template_that_episodes_refuse_is_told_of_branches():
    with pytest.raises(UserError, match=r"leaves out an answer .* --trajectories branching renders each"):
        sample(make(FORGETS, "abcdefgh"), "interleaved")


@pytest.mark.parametrize(("kind", "rounds"), [("fast", False), ("fast", True), ("gpt2", False)])
def test_each_turn_is_drawn_behind_what_the_template_renders_then(kind, rounds):
    policy = make(FORGETS, "abcdefgh" if kind == "fast" else "abcdefghijklmnop", kind)
    found, engine = sample(policy, "branching", 150, rounds=rounds)
    talked = [completion for _, completion, _ in found if len(completion.turns) > 2]
    assert len(talked) > len(found) / 2
    for problem, completion, _ in found:
        if not completion.rewinds:
            continue
        rows, branches = list_rows(completion)
        said = [turn for turn in completion.turns if turn.role == "policy"]
        assert len(rows) == len(said)
        for number, (row, turn) in enumerate(zip(rows, said, strict=True)):
            before = completion.turns[: 2 * number]
            chat = [{"role": "user", "content": problem.text}]
            for each in before:
                role = "assistant" if each.role == "policy" else "user"
                chat.append({"role": role, "content": each.text})
            rendered = policy.tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False)
            assert row.prompt_ids == rendered
            assert policy.tokenizer.decode(row.ids).startswith(turn.text)
        drawn = [p for p, own in zip(completion.logprobs, completion.sampled, strict=True) if own]
        again = [p for row in engine.compute_logprobs(rows) for p in row]
        assert drawn == pytest.approx(again, abs=5e-5)
        joined = branches.join(torch.ones(branches.rows.mask_BT.shape), (1, len(completion.ids)))
        assert joined[0].bool().tolist() == list(completion.sampled)
        assert len(completion.ids) <= 150


def test_rows_that_join_on_their_way_draw_what_rounds_draw():
    policy = make(FORGETS, "abcdefgh")
    joined, rounds = (sample(policy, "branching", rounds=way)[0] for way in (False, True))
    assert [one[1].ids for one in joined] == [other[1].ids for other in rounds]
    assert [one[1].rewinds for one in joined] == [other[1].rewinds for other in rounds]


def test_what_is_rewritten_is_read_again_and_nothing_else():
    """At each turn anew, six times at most: in all less than three times what the episodes have."""
    found, engine = sample(make(FORGETS, "abcdefgh"), "branching", 400, samples=8, turns=6)
    prompts = {problem.id: len(completion.prompt_ids) for problem, completion, _ in found}
    needed = sum(prompts.values()) + sum(len(completion.ids) for _, completion, _ in found)
    computed = engine.prefilled + engine.row_steps
    assert needed < computed < 3 * needed, (computed, needed)


def test_words_that_the_template_refuses_count_against_the_policy():
    odd = "{% for m in messages %}{% if WHAT %}{{ raise_exception('odd') }}{% endif %}"
    odd += "{{ m.content + ('>' if m.role == 'user' else ';') }}{% endfor %}"
    worlds = Inside()
    found, _ = sample(make(odd.replace("WHAT", "'q' in m.content"), "abcdefgh"), "branching", worlds=worlds)
    failed = [(c, score) for _, c, score in found if c.finish_reason == "raised"]
    assert failed
    assert len(failed) < len(found)
    assert all(score.reward == 0 and not score.abstained and "odd" in c.fault for c, score in failed)
    assert len(worlds.forgotten) >= len(failed), "a world that waits for the next turn is let go"
    late = odd.replace("WHAT", "messages | length > 8")
    found, _ = sample(make(late, "abcdefghijklmnop"), "branching", new=400, turns=9)
    failed = [(c, score) for _, c, score in found if c.finish_reason == "unavailable"]
    assert failed
    assert all(score.abstained for _, score in failed)


def test_a_mixture_has_single_turns_beside_branches():
    policy, gcd = make(FORGETS, "abcdefgh"), get("gcd")
    task = mix([Component(make_task()), Component(gcd)])
    config = PromptConfig(trajectories="branching")
    prompts = PromptFormat.of(policy.tokenizer, config, lambda _: None, end_ids=policy.end_ids)
    rollouts = Rollouts(LocalEngine(policy), prompts, task, 200, workers=2, worlds=Inside())
    problems = [Problem("1 + 1 = ?", "3", id="talk/train/0"), gcd.problem("train", 0, 0, 1)]
    try:
        talk, single = rollouts.sample_groups(problems, 4, Sampling(max_new_tokens=100), 0)
    finally:
        rollouts.close()
    assert any(completion.rewinds for completion in talk.completions_G)
    assert not any(completion.turns or completion.rewinds for completion in single.completions_G)


def test_a_tokenizer_without_a_template_is_refused():
    policy = make(GROWS)
    policy.tokenizer.chat_template = None
    with pytest.raises(UserError, match=r"--trajectories branching renders .* has none: leave it out"):
        sample(policy, "branching")


def test_an_engine_that_draws_among_kept_tokens_knows_them_for_each_branch():
    policy = make(FORGETS, "abcdefgh")
    prompts = PromptFormat.of(
        policy.tokenizer, PromptConfig(trajectories="branching"), end_ids=policy.end_ids
    )
    rollouts = Rollouts(LocalEngine(policy), prompts, make_task(), 200, workers=2, worlds=Inside())
    problem = Problem("1 + 1 = ?", "3", {"turns": 4}, id="talk/train/0")
    sampling = Sampling(max_new_tokens=150, top_k=30, record_kept=True)
    try:
        [group] = rollouts.sample_groups([problem], 6, sampling, 0)
    finally:
        rollouts.close()
    talked = [completion for completion in group.completions_G if completion.rewinds]
    assert talked
    for completion in talked:
        sequences = Sequences.of([completion.prompt_ids], [completion.ids], kept=[completion.kept])
        rows = sequences.branch([completion.sampled], [completion.rewinds]).branches.rows
        sets = zip(completion.kept.list_sets(), completion.sampled, strict=True)
        drawn = [list(tokens) for tokens, own in sets if own]
        assert [part.tolist() for part in rows.kept.ids_K.split(rows.kept.counts_N.tolist())] == drawn
        assert replace(completion, kept=None).tokens == len(drawn)
