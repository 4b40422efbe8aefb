"""A family of models, held against transformers' own forward pass of one row at a time.

Four checks: what the engine samples, what it takes greedily, the gradient of an update, adapters merged and
saved. Each is `right`, or `refused` with the sentence of a `UserError`; whatever else happens is `wrong`.
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from palaestra.tasks import Problem, UserError
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.update import update_policy
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model import lora
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.fit import fit_sizes
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.rollouts.group import Group
from palaestra.trainer.runs.setup import adapt, hold_to_model
from palaestra.verifiers import Completion, Score
from transformers import AutoModelForCausalLM

from .architectures import END, PAD, UNCACHED, make_config, make_model

TOKENIZER = make_character_tokenizer()
ENDS = [END, 20, 40, 60, 80]
NEW_TOKENS, GREEDY_TOKENS = 16, 10
NATS = 1e-4
"""The most that a log-probability may be off."""
RELATIVE = 1e-4
"""The most that a gradient may be off, as a share of its norm."""

CHECKS = ("sampler", "greedy", "update", "lora")


@dataclass(frozen=True)
class Check:
    """What one check found. error: in nats (sampler, logits of lora) or relative to the norm (update).

    remark: the sentence of a refusal, or what went wrong, or what else there is to say.
    """

    verdict: Literal["right", "refused", "wrong"]
    error: float = 0.0
    remark: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a family. path: of the engine, "fast" or "general"; "" where there is none."""

    family: str
    path: str
    sampler: Check
    greedy: Check
    update: Check
    lora: Check

    @property
    def checks(self) -> dict[str, Check]:
        return {name: getattr(self, name) for name in CHECKS}


@contextlib.contextmanager
def keep_quiet() -> Iterator[None]:
    """Without the warnings and progress bars of loading: of missing kernels, odd token ids and the like."""
    verbosity, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()


def draw_ids(length: int, seed: int) -> list[int]:
    """Token ids of the tokenizer, none of them special or an end."""
    generator = torch.Generator().manual_seed(seed)
    plain = [token for token in range(3, len(TOKENIZER)) if token not in ENDS]
    return [plain[place] for place in torch.randint(len(plain), (length,), generator=generator).tolist()]


PROMPTS = [draw_ids(3, 1), draw_ids(17, 2), draw_ids(9, 3), [*draw_ids(9, 3)[:6], 70]]


def run_forward(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Logits S x V in float32 of the model's own pass over one row, without a cache."""
    return model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0].float()


def compute_row(model: Any, prompt: Sequence[int], ids: Sequence[int]) -> torch.Tensor:
    """Log-probabilities of `ids` after the prompt, shape T."""
    logits_TV = run_forward(model, [*prompt, *ids])[len(prompt) - 1 : -1]
    return logits_TV.log_softmax(-1).gather(-1, torch.tensor(list(ids))[:, None])[:, 0]


@torch.no_grad()
def find_weakness(model: Any) -> str:
    """Why a model would prove nothing; "" where it depends on what came before and is far from uniform."""
    ids = draw_ids(24, 5)
    logits_SV = run_forward(model, ids)
    changed_SV = run_forward(model, [*ids[:-7], *draw_ids(6, 7), ids[-1]])
    if not bool(logits_SV.isfinite().all()):
        return "its logits are not finite"
    if float(logits_SV.std(-1).mean()) < 0.2:
        return "its logits are nearly the same"
    moved = (logits_SV[-1].log_softmax(-1) - changed_SV[-1].log_softmax(-1)).abs().max()
    return "" if float(moved) > 1e-3 else "its logits do not depend on the tokens before"


def check_sampler(policy: Policy, reference: Any) -> Check:
    """Ragged prompts, four samples each, of which some end early, in waves of ten rows."""
    requests = [Request(prompt, 4, stream) for stream, prompt in enumerate(PROMPTS)]
    completions = LocalEngine(policy, rows=10).sample(requests, Sampling(max_new_tokens=NEW_TOKENS))
    drawn = [completion for group in completions for completion in group]
    lengths = {len(completion.ids) for completion in drawn}
    if lengths == {NEW_TOKENS} or NEW_TOKENS not in lengths:
        return Check("wrong", remark=f"some were to end early and some not, not all of {sorted(lengths)}")
    with torch.no_grad():
        gaps = [
            float((compute_row(reference, c.prompt_ids, c.ids) - torch.tensor(c.logprobs)).abs().max())
            for c in drawn
        ]
    error = max(gaps) if max(gaps) == max(gaps) else float("nan")
    return Check(
        "right" if error <= NATS else "wrong", error, "" if error <= NATS else f"{error:.2g} nats off"
    )


@torch.no_grad()
def take_greedily(model: Any, prompt: Sequence[int], tokens: int) -> list[int]:
    """The most likely tokens after a prompt by the model's own pass, without a cache."""
    ids = list(prompt)
    for _ in range(tokens):
        ids.append(int(run_forward(model, ids)[-1].argmax()))
    return ids[len(prompt) :]


@torch.no_grad()
def is_causal(model: Any) -> bool:
    """Whether what comes later leaves earlier logits as they are: without it a row has no log-probability."""
    for seed in (9, 10):
        ids = draw_ids(24, seed)
        whole_SV, part_SV = run_forward(model, ids), run_forward(model, ids[:13])
        if float((whole_SV[:13] - part_SV).abs().max()) > 1e-3:
            return False
    return True


@torch.no_grad()
def is_tie(model: Any, prompt: Sequence[int], one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two continuations part at tokens that are equally likely."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            logits_V = run_forward(model, [*prompt, *one[:place]])[-1]
            return float((logits_V[left] - logits_V[right]).abs()) <= NATS
    return False


def check_greedy(policy: Policy, reference: Any) -> Check:
    """Temperature 0 takes the tokens of `generate(do_sample=False)` of each prompt alone.

    Where `generate` departs from the model's own pass, or fails, the pass is what is right.
    """
    sampling = Sampling(0.0, max_new_tokens=GREEDY_TOKENS)
    requests = [Request(prompt, 1, 0) for prompt in PROMPTS[:3]]
    remark = ""
    for request, (completion,) in zip(requests, LocalEngine(policy).sample(requests, sampling), strict=True):
        taken, found = list(completion.ids), generate(reference, request.ids)
        if taken == found or is_tie(reference, request.ids, taken, found):
            continue
        whole = len(taken) == GREEDY_TOKENS or taken[-1:] in [[end] for end in ENDS]
        if not whole or taken != take_greedily(reference, request.ids, len(taken)):
            return Check("wrong", remark=f"takes {taken}, generate takes {found}")
        remark = "generate departs from the model's own pass"
    return Check("right", remark=remark)


def generate(model: Any, prompt: Sequence[int]) -> list[int]:
    """What transformers takes greedily after one prompt; nothing where it can't be run."""
    if model.config.model_type in UNCACHED:
        return []
    ids_BS = torch.tensor([list(prompt)])
    mask_BS = torch.ones_like(ids_BS)
    out_BS = model.generate(
        ids_BS, attention_mask=mask_BS, do_sample=False, max_new_tokens=GREEDY_TOKENS, pad_token_id=PAD
    )
    return out_BS[0, len(prompt) :].tolist()


class Recorder(torch.optim.SGD):
    """An optimizer that keeps the gradient in place of a step."""

    gradients: list[torch.Tensor]

    @torch.no_grad()
    def step(self, closure=None):
        self.gradients = [
            torch.zeros_like(p) if p.grad is None else p.grad.clone()
            for group in self.param_groups
            for p in group["params"]
        ]


REWARDS = [[1.0, 0.0, 0.3], [0.0, 0.9, 1.0]]
LENGTHS = [[12, 5, 1], [7, 16, 4]]


def make_groups(reference: Any) -> list[Group]:
    """Two groups of three completions of ragged lengths, drawn by nobody, with the model's own
    log-probabilities."""
    groups = []
    for index, (rewards, lengths) in enumerate(zip(REWARDS, LENGTHS, strict=True)):
        prompt = PROMPTS[2 * index]
        rows = [draw_ids(length, 10 * index + place) for place, length in enumerate(lengths)]
        with torch.no_grad():
            logprobs = [compute_row(reference, prompt, row).tolist() for row in rows]
        completions = tuple(
            Completion("", prompt, tuple(row), tuple(found))
            for row, found in zip(rows, logprobs, strict=True)
        )
        scores = tuple(Score(reward, reward > 0.5) for reward in rewards)
        groups.append(Group(Problem("", id=str(index)), completions, scores))
    return groups


def compute_reference_gradient(reference: Any, groups: Sequence[Group]) -> list[torch.Tensor]:
    """Of the clipped objective where the policy is still what it was sampled from: the gradient of
    -sum of A log p over all tokens, A the reward less its group's mean, divided by the number of tokens."""
    tokens = sum(len(completion.ids) for group in groups for completion in group.completions_G)
    reference.zero_grad(set_to_none=True)
    for group in groups:
        rewards = [score.reward for score in group.scores_G]
        for completion, reward in zip(group.completions_G, rewards, strict=True):
            advantage = reward - sum(rewards) / len(rewards)
            loss = -advantage * compute_row(reference, completion.prompt_ids, completion.ids).sum() / tokens
            loss.backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in reference.parameters()]


def check_update(policy: Policy, reference: Any) -> Check:
    """The gradient of one GRPO update, in micro-batches, against that of each row alone without dropout.

    Its memory is measured and billed first, as at the start of a run.
    """
    config = TrainConfig.of(
        loss=LossConfig("dapo"), max_new_tokens=NEW_TOKENS, max_grad_norm=1e9, tokens_per_microbatch=48
    )
    fit_sizes(policy, config, say=lambda _line: None)
    groups = make_groups(reference)
    recorder = Recorder(policy.model.parameters(), lr=1.0)
    update_policy(Learner(policy, recorder, GRPO(policy, config)), groups, config, 0, 1.0)
    expected = torch.cat([g.flatten() for g in compute_reference_gradient(reference, groups)])
    found = torch.cat([g.flatten() for g in recorder.gradients])
    error = float((found - expected).norm() / expected.norm())
    if not is_causal(reference):
        return Check("wrong", error, "trained as if a token did not depend on later ones")
    good = error <= RELATIVE
    return Check("right" if good else "wrong", error, "" if good else f"gradient {error:.2g} of its norm off")


def check_lora(policy: Policy, reference: Any, folder: Path) -> Check:
    """Adapters that matter, merged and saved: the loaded model gives the logits of the adapted one.

    What a run does before its first step is done here too, by the run's own function, and may refuse. The
    remark: what carries adapters.
    """
    folder.mkdir()
    policy.model.zero_grad(set_to_none=True)
    config = TrainConfig.of(
        lora_rank=2, max_prompt_tokens=20, max_new_tokens=NEW_TOKENS, prompts_per_step=2, group_size=2
    )
    config = hold_to_model(policy, config, lambda _: None)
    adapt(policy, config, folder, lambda _: None)
    fit_sizes(policy, config, (), lambda _: None)
    torch.manual_seed(0)
    for tensor in lora.collect_trained(policy.model).values():
        tensor.copy_(0.2 * torch.randn_like(tensor))
    ids = draw_ids(24, 6)
    with torch.no_grad():
        adapted_SV = run_forward(policy.model.eval(), ids)
        if float((adapted_SV - run_forward(reference, ids)).abs().max()) < 1e-3:
            return Check("wrong", remark="the adapters change nothing")
        policy.save(folder / "merged")
        loaded = AutoModelForCausalLM.from_pretrained(folder / "merged").eval()
        error = float((run_forward(loaded, ids) - adapted_SV).abs().max())
    if loaded.state_dict().keys() != reference.state_dict().keys():
        return Check("wrong", error, "what was saved has other tensors than the model")
    if not error <= NATS:
        return Check("wrong", error, f"logits {error:.2g} off")
    kinds = {name.removesuffix(".weight").rpartition(".")[2] for name in lora.find_adapted(policy.model)}
    return Check("right", error, " ".join(sorted(kinds)))


def refuse(refusal: UserError, source: Path) -> Check:
    """A refusal; its sentence without the folder that the model happened to lie in."""
    return Check("refused", remark=str(refusal).replace(str(source), "MODEL").removeprefix("MODEL: "))


def run_check(source: Path, check: Callable[[], Check]) -> Check:
    """The check; where it raises, a refusal for a `UserError`, else what was raised."""
    try:
        return check()
    except UserError as refusal:
        return refuse(refusal, source)
    except Exception as failure:  # noqa: BLE001 what a family of models may raise is what is measured
        text = " ".join(str(failure).split())
        return Check("wrong", float("nan"), f"{type(failure).__name__}: {text[:300]}")


def find_path(policy: Policy) -> str:
    """Of the engine that samples from the model; "" where it is refused."""
    try:
        return LocalEngine(policy).path
    except UserError:
        return ""


def save_model(family: str, source: Path) -> None:
    """Write a family's model as a hub has it: the config of a text model may be a part of the whole one."""
    model = make_model(family)
    model.generation_config.eos_token_id = ENDS
    model.save_pretrained(source)
    config = make_config(family)
    if type(config) is not type(model.config):
        config.save_pretrained(source)
    TOKENIZER.save_pretrained(source)


def sweep(family: str) -> Outcome:
    """All checks of a family, one after the other on one model that was loaded as a run loads it."""
    with keep_quiet(), tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model"
        save_model(family, source)
        reference = AutoModelForCausalLM.from_pretrained(source).eval()
        weakness = find_weakness(reference)
        if weakness:
            raise ValueError(f"The config of {family} proves nothing: {weakness}.")
        try:
            policy = load_policy(str(source), "cpu", "float32")
        except UserError as refusal:
            refused = refuse(refusal, source)
            return Outcome(family, "", refused, refused, refused, refused)
        return Outcome(
            family,
            find_path(policy),
            run_check(source, lambda: check_sampler(policy, reference)),
            run_check(source, lambda: check_greedy(policy, reference)),
            run_check(source, lambda: check_update(policy, reference)),
            run_check(source, lambda: check_lora(policy, reference, Path(folder) / "adapted")),
        )
