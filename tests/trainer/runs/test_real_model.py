"""A real pretrained model, SmolLM2-135M-Instruct, through it all: loading, chats, LoRA, resume, eval."""

from pathlib import Path

import pytest
import torch
from palaestra.tasks import get
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.demos.pretrained.weights import find_weights
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.evaluation.run import evaluate_model
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from safetensors.torch import load_file

pytestmark = pytest.mark.slow
GSM8K = Path(__file__).parents[4] / "shared" / "data" / "gsm8k"


@pytest.fixture(scope="module")
def source() -> str:
    weights = find_weights("auto", print)
    if weights is None:
        pytest.skip("no place has the weights of SmolLM2-135M-Instruct")
    return weights.source


@pytest.fixture(scope="module")
def policy(source: str):
    return load_policy(source, "cpu", "float32")


def make_config(source: str, out: Path, **changes) -> TrainConfig:
    """Two steps whose rewards are a coin's, so that there is a gradient in each."""
    return TrainConfig.of(
        task="small_numbers", level=1, model=source, steps=2, prompts_per_step=2, group_size=4,
        max_new_tokens=8, eval_problems=2, eval_samples=1, eval_every=0, save_every=0, preflight_problems=0,
        learning_rate=1e-5, control="random", out=str(out), **changes,
    )  # fmt: skip


def test_greedy_is_that_of_generate_and_its_log_probabilities_are_the_models(policy):
    prompts = PromptFormat.of(policy.tokenizer)
    problems = get("small_numbers").problems("test", 4, level=1)
    requests = [Request(prompts.encode(problem), 1, 0) for problem in problems]
    engine = LocalEngine(policy)
    assert engine.path == "fast"
    completions = engine.sample(requests, Sampling(temperature=0.0, max_new_tokens=16))
    for request, (completion,) in zip(requests, completions, strict=True):
        ids = torch.tensor([request.ids])
        drawn = policy.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False
        )
        assert list(completion.ids) == drawn[0, ids.shape[1] :].tolist()
        with torch.no_grad():
            logits_TV = policy.model(drawn).logits[0, ids.shape[1] - 1 : -1]
        true_T = logits_TV.log_softmax(-1).gather(-1, torch.tensor(completion.ids)[:, None])[:, 0]
        assert float((true_T - torch.tensor(completion.logprobs)).abs().max()) < 1e-4


def test_the_prompt_is_the_chat_of_its_template(policy):
    (problem,) = get("small_numbers").problems("test", 1, level=1)
    text = policy.tokenizer.decode(PromptFormat.of(policy.tokenizer).encode(problem, "Say only the number."))
    assert text.startswith("<|im_start|>system\n")
    assert text.endswith(
        f"<|im_start|>user\n{problem.text}\n\nSay only the number.<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("rank", [0, 8])
def test_a_run_that_was_stopped_ends_with_the_bits_of_one_that_was_not(
    source: str, tmp_path: Path, rank: int
):
    whole = train(make_config(source, tmp_path / "whole", lora_rank=rank), say=lambda _: None)
    stopped = train(make_config(source, tmp_path / "parts", lora_rank=rank, stop_after=1), say=lambda _: None)
    assert stopped.interrupted
    resumed = resume(stopped.folder, {}, say=lambda _: None)
    mine, theirs = (load_file(result.model / "model.safetensors") for result in (whole, resumed))
    start = load_file(Path(source) / "model.safetensors")
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert any(not torch.equal(mine[name], start[name]) for name in mine)


@pytest.mark.skipif(not GSM8K.is_dir(), reason="no GSM8K file beside the checkout")
def test_an_evaluation_on_gsm8k_has_an_interval(source: str, tmp_path: Path):
    config = EvalConfig.of(
        task="gsm8k", data=str(GSM8K), model=source, problems=8, max_new_tokens=96, out=str(tmp_path / "eval")
    )
    result = evaluate_model(config, say=lambda _: None).result
    estimate = result.pass_at[1]
    assert result.problems == estimate.problems == 8
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low < estimate.high
