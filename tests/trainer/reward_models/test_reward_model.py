"""Reward models: what they read, how they are fitted and saved,
and what they do to rollouts and evaluations."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from palaestra.tasks import Problem, get
from palaestra.tasks.core.errors import DataError, UserError
from palaestra.tasks.core.rowfiles import Row
from palaestra.trainer.cli.reward_model import main
from palaestra.trainer.config.reward_model import ComparisonConfig, RewardModelConfig
from palaestra.trainer.engines.base import Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.evaluation.evaluate import evaluate
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.reward_models.data import (
    Comparison,
    parse_comparison,
    read_comparisons,
    split_comparisons,
    split_turns,
)
from palaestra.trainer.reward_models.fit import encode, fit_reward_model, measure, pad_rows
from palaestra.trainer.reward_models.model import load_reward_model, make_reward_model
from palaestra.trainer.reward_models.run import ComparisonSplit, encode_all
from palaestra.trainer.reward_models.scoring import judge
from palaestra.trainer.rollouts.rollouts import Rollouts
from palaestra.trainer.runs.setup import train
from palaestra.verifiers import Rubric, learned
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from ..support.policies import make_policy
from ..support.runs import SMALL, say_nothing
from ..support.tiny import make_tiny

HH = Path(__file__).parents[3] / ".." / "shared" / "data" / "hh-rlhf"
USER, GOOD, BAD = (
    {"role": role, "content": text}
    for role, text in (("user", "Hi"), ("assistant", "Hello"), ("assistant", "No"))
)


def read(**values) -> Comparison | str:
    return parse_comparison(Row(values, "here, line 3"))


def test_pairs_rankings_and_chats_are_read():
    assert read(prompt="p", chosen="a", rejected="b") == Comparison("p", ("a", "b"), (1.0, 0.0))
    assert read(prompt="p", chosen="a", rejected="b", margin=2) == Comparison(
        "p", ("a", "b"), (1.0, 0.0), 2.0
    )
    pair = Comparison([USER], ("Hello", "No"), (1.0, 0.0))
    assert read(chosen=[USER, GOOD], rejected=[USER, BAD]) == pair
    assert read(prompt=[USER], chosen=[GOOD], rejected=[BAD]) == pair
    assert read(prompt="Hi", chosen=[USER, GOOD], rejected=[USER, BAD]) == replace(pair, prompt="Hi")
    ranking = read(prompt="p", answers=["a", "b", "c"])
    assert isinstance(ranking, Comparison)
    assert ranking.ranks_K == [0, 1, 2]
    scored = read(prompt="p", answers=["a", "b", "c"], scores=[1, 5, 5])
    assert isinstance(scored, Comparison)
    assert scored.ranks_K == [1, 0, 0], "a tie is no pair"


def test_a_transcript_becomes_a_chat_and_an_answer():
    start = "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Tell me.\n\nHuman: Now!"
    made = read(chosen=f"{start}\n\nAssistant: A", rejected=f"{start}\n\nAssistant: B")
    assert isinstance(made, Comparison)
    assert made.answers_K == ("A", "B")
    assert [message["role"] for message in made.prompt] == ["user", "assistant", "user"]  # type: ignore[index]
    assert made.prompt[-1]["content"] == "Tell me.\n\nNow!"  # type: ignore[index]
    assert split_turns("\n\nHuman: a\n\nAssistant: b") == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    assert (
        read(chosen=f"{start}\n\nAssistant: A", rejected="\n\nHuman: Else\n\nAssistant: B")
        == "without a shared prompt"
    )


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"text": "a"},
            "here, line 3: give the columns chosen and rejected, or prompt and answers; the row has text",
        ),
        ({"chosen": "a", "rejected": "b"}, "are transcripts"),
        ({"prompt": "p", "chosen": "a", "rejected": ["b"]}, "both texts or both lists"),
        ({"prompt": "p", "answers": "a"}, "a list of texts"),
        ({"prompt": "p", "answers": ["a", "b"], "scores": [1]}, "one number for each of the 2"),
        ({"prompt": "p", "answers": ["a", "b"], "scores": [1, "x"]}, "no number"),
        ({"prompt": "p", "chosen": "a", "rejected": "b", "margin": "x"}, "not a number"),
    ],
)
def test_rows_of_another_form_are_sentences_with_their_place(row: dict, says: str):
    with pytest.raises(DataError, match=says):
        read(**row)


def test_empty_and_identical_answers_are_left_out_and_counted(tmp_path: Path):
    rows = [("a", "b"), ("a", "a"), ("", "b")]
    text = "".join(json.dumps({"prompt": "p", "chosen": c, "rejected": r}) + "\n" for c, r in rows)
    (tmp_path / "x.jsonl").write_text(text)
    found = read_comparisons([tmp_path / "x.jsonl"])
    assert len(found.kept) == 1
    assert found.left_out == Counter({"with an empty answer": 1, "with identical answers": 1})


@pytest.mark.parametrize(
    ("name", "rows", "shared", "identical"), [("helpful", 2354, 2345, 2), ("harmless", 2312, 2307, 0)]
)
def test_published_transcripts_are_read_whole(name: str, rows: int, shared: int, identical: int):
    path = HH / f"{name}-base" / "test.jsonl.gz"
    if not path.exists():
        pytest.skip(f"the preference data are absent: {path}")
    found = read_comparisons([path])
    assert len(found.kept) + sum(found.left_out.values()) == rows
    assert found.left_out["without a shared prompt"] == rows - shared
    assert found.left_out["with identical answers"] == identical
    assert found.left_out["with an empty answer"] == 4
    assert all(item.prompt[-1]["role"] == "user" for item in found.kept)  # type: ignore[index]


def test_no_prompt_is_on_both_sides():
    items = [Comparison(f"p{n % 40}", ("a", str(n)), (1.0, 0.0)) for n in range(200)]
    train_items, test_items = split_comparisons(items, 0.3)
    assert train_items
    assert test_items
    assert not {item.prompt for item in train_items} & {item.prompt for item in test_items}


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.set_num_threads(1)
    return load_policy("embedded", "cpu", "float32", seed=1)


@pytest.fixture(scope="module")
def folder(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model that prefers answers with an even last digit."""
    items = [
        Comparison(f"{n}?", (f"{n}{2 * (n % 5)}", f"{n}{2 * (n % 5) + 1}"), (1.0, 0.0)) for n in range(60)
    ]
    fresh = make_reward_model(policy)
    config = RewardModelConfig.of(steps=60, batch_size=16, warmup_steps=5, tokens_per_microbatch=200)
    fitted = fit_reward_model(fresh, encode(fresh, items, "", 100), config)
    made = tmp_path_factory.mktemp("reward") / "model"
    made.mkdir()
    fitted.save(made)
    return made


def test_it_learns_the_preference_on_prompts_it_has_not_seen(folder: Path):
    judge = load_reward_model(str(folder), "cpu", "float32")
    items = [Comparison(f"{n}?", (f"{n}4", f"{n}7"), (1.0, 0.0)) for n in range(60, 90)]
    found = measure(judge, encode(judge, items, "", 100), 16384)
    assert found.accuracy.value > 0.9
    assert found.margin > 0
    assert found.loss < math.log(2)
    assert math.isnan(found.longer_preferred)
    assert found.summarise()["longer_preferred"] is None


def test_every_reward_starts_at_0_and_the_loss_at_log_2(policy: Policy):
    fresh = make_reward_model(policy)
    data = encode(fresh, [Comparison("p", ("a", "bb", "c"), (3.0, 2.0, 1.0))], "", 100)
    found = measure(fresh, data, 16384)
    assert found.loss == pytest.approx(math.log(2), abs=1e-6)
    assert found.accuracy.value == 0.5


def test_the_folder_is_what_transformers_loads_and_pools_the_same_token(folder: Path):
    """Through the library's own padding and pooling, one batch of unlike lengths."""
    judge = load_reward_model(str(folder), "cpu", "float32")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.num_labels == 1
    rows = [judge.encode(Problem(prompt="12?"), text) for text in ("4", "a longer answer 7", "")]
    ours = torch.tensor(judge.predict_rewards(rows, tokens_per_microbatch=30))
    padded_rows = tokenizer.pad({"input_ids": rows}, return_tensors="pt", padding_side="right")
    theirs = model(**padded_rows).logits[:, 0]
    assert torch.allclose(ours, theirs, atol=1e-5)
    alone = torch.stack([judge.forward([row])[0] for row in rows])
    assert torch.allclose(ours, alone, atol=1e-5)


def test_padding_is_never_the_end_token(policy: Policy):
    """Where a tokenizer pads with its end token, the library would read the token before the end."""
    model = replace(policy, model=load_policy("embedded", "cpu").model)
    model.model.config.pad_token_id = model.tokenizer.eos_token_id
    assert make_reward_model(model).model.config.pad_token_id != model.tokenizer.eos_token_id


def test_the_statistics_travel_with_the_folder_and_normalise(folder: Path):
    judge = load_reward_model(str(folder), "cpu", "float32")
    assert judge.statistics.answers == 120
    items = [
        Comparison(f"{n}?", (f"{n}{2 * (n % 5)}", f"{n}{2 * (n % 5) + 1}"), (1.0, 0.0)) for n in range(60)
    ]
    rows = [row for item in encode(judge, items, "", 100) for row in item.rows_K]
    z = torch.tensor([judge.normalise(value) for value in judge.predict_rewards(rows)], dtype=torch.float64)
    assert float(z.mean()) == pytest.approx(0, abs=1e-4)
    assert float(z.std(correction=0)) == pytest.approx(1, abs=1e-4)


def test_the_gradient_does_not_depend_on_the_micro_batch(policy: Policy):
    items = [
        Comparison(f"{n}", ("1" * (n + 1), "2", "3")[: 2 + n % 2], (3.0, 2.0, 1.0)[: 2 + n % 2])
        for n in range(6)
    ]

    def weights(tokens: int) -> torch.Tensor:
        fresh = make_reward_model(policy)
        torch.nn.init.constant_(fresh.model.score.weight, 0.01)
        config = RewardModelConfig.of(
            steps=2, batch_size=6, warmup_steps=0, tokens_per_microbatch=tokens, learning_rate=1e-3
        )
        return fit_reward_model(fresh, encode(fresh, items, "", 100), config).model.score.weight.detach()

    assert torch.allclose(weights(16384), weights(1), atol=1e-6)


def test_padded():
    assert pad_rows([[1.0], [2.0, 3.0]], -1).tolist() == [[1.0, -1.0], [2.0, 3.0]]


def test_what_is_no_reward_model_is_refused_with_the_fix(policy: Policy, tmp_path: Path):
    with pytest.raises(UserError, match="There is no reward model"):
        load_reward_model(str(tmp_path / "none"))
    policy.save(tmp_path)
    with pytest.raises(UserError, match="palaestra reward-model --model"):
        load_reward_model(str(tmp_path))


def test_a_task_without_its_reward_model_and_a_reward_model_without_its_criterion_are_sentences(folder: Path):
    task = replace(get("addition"), rubric=Rubric(learned("style")))
    with pytest.raises(UserError, match="needs a reward model for its criterion 'style'"):
        judge(task, (), 1.0)
    with pytest.raises(UserError, match="has the learned criteria style"):
        judge(task, (f"other={folder}",), 1.0)
    with pytest.raises(ValueError, match=r"The share of a learned criterion is 2\.0; give 0 to 1"):
        judge(get("addition"), (str(folder),), 2.0)
    assert list(judge(task, (f"style={folder}",), 1.0, "cpu").models) == ["style"]


def make_rollouts(policy: Policy, folder: Path, share: float) -> Rollouts:
    found = judge(get("addition"), (str(folder),), share, "cpu", "float32")
    prompts = PromptFormat.of(policy.tokenizer)
    return Rollouts(LocalEngine(policy), prompts, found.task, 100, scorers=found.make_scorers(prompts))


def test_rollouts_and_evaluations_carry_the_learned_reward(policy: Policy, folder: Path):
    made = make_rollouts(policy, folder, 0.5)
    problems = get("addition").problems("test", 3)
    result = evaluate(made, problems, 2, Sampling(max_new_tokens=4))
    made.close()
    judge = load_reward_model(str(folder), "cpu", "float32")
    scores = [
        (g.problem, c, s) for g in result.groups for c, s in zip(g.completions_G, g.scores_G, strict=True)
    ]
    for problem, completion, score in scores:
        (raw,) = judge.predict_rewards([judge.encode(problem, completion.text, get("addition").instruction)])
        assert score.learned["reward_model"] == pytest.approx(judge.normalise(raw), abs=1e-3)
        assert not score.abstained
    assert result.pass_at, "a verifiable task keeps its pass-rate"
    mean = sum(score.learned["reward_model"] for _, _, score in scores) / len(scores)
    assert result.learned["reward_model"].value == pytest.approx(mean)


def test_a_task_that_only_a_reward_model_judges_has_no_pass_rate(policy: Policy, folder: Path):
    task = replace(get("addition"), rubric=Rubric(learned()))
    found = judge(task, (str(folder),), 1.0, "cpu", "float32")
    prompts = PromptFormat.of(policy.tokenizer)
    made = Rollouts(LocalEngine(policy), prompts, found.task, 100, scorers=found.make_scorers(prompts))
    result = evaluate(made, get("addition").problems("test", 3), 1, Sampling(max_new_tokens=4))
    made.close()
    assert result.pass_at == {}
    assert result.headline == result.reward_interval
    assert 0 <= result.reward_interval.low <= result.headline.value <= result.reward_interval.high <= 1


@pytest.mark.parametrize("algorithm", ["grpo", "ppo"])
def test_both_algorithms_learn_from_a_reward_model_alone(
    warm_model: Path, folder: Path, tmp_path: Path, algorithm: str
):
    config = SMALL.but(
        steps=2, eval_problems=4, eval_samples=1, eval_every=0, save_every=0, preflight_problems=0
    )
    config = config.but(
        algorithm=algorithm, model=str(warm_model), reward_model=(str(folder),), out=str(tmp_path / "run")
    )
    train(config, say=say_nothing)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    assert len(steps) == 2
    assert all("learned/reward_model" in line and "pass_rate" in line for line in steps)
    rollout = json.loads((tmp_path / "run" / "rollouts.jsonl").read_text().splitlines()[0])
    z = rollout["learned"]["reward_model"]
    assert rollout["reward"] == pytest.approx(1 / (1 + math.exp(-z)), abs=1e-6)
    found = json.loads((tmp_path / "run" / "overoptimisation.json").read_text())
    assert [point["step"] for point in found["points"]] == [1, 2]
    assert found["points"][0]["kl"] == pytest.approx(0, abs=1e-4), (
        "the first step samples from the reference itself"
    )
    assert found["points"][1]["learned"] == steps[1]["learned/reward_model"]
    assert [line["step"] for line in found["evaluations"]] == [0, 2]
    assert (tmp_path / "run" / "overoptimisation.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_writes_a_model_and_says_how_good_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = [{"prompt": f"{n}?", "chosen": f"{n}4", "rejected": f"{n}7"} for n in range(60)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = [
        "--steps",
        "20",
        "--batch-size",
        "8",
        "--eval-share",
        "0.2",
        "--eval-every",
        "10",
        "--threads",
        "1",
    ]
    assert (
        main(
            [
                "--data",
                str(tmp_path / "data.jsonl"),
                "--out",
                str(tmp_path / "run"),
                "--device",
                "cpu",
                *flags,
            ]
        )
        == 0
    )
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (
        0
        <= summary["held_out"]["after"]["accuracy"]["low"]
        <= summary["held_out"]["after"]["accuracy"]["value"]
        <= 1
    )
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "held_out" in line] == [10]
    assert load_reward_model(str(tmp_path / "run" / "model"), "cpu").statistics.answers > 0
    assert "accuracy" in capsys.readouterr().out


def test_the_command_without_data_is_a_sentence():
    with pytest.raises(UserError, match="--data"):
        main([])


def test_texts_beyond_its_positions_are_refused_and_never_read():
    policy = make_policy(make_tiny("gpt2", n_positions=16), make_character_tokenizer())
    reward_model = make_reward_model(policy)
    assert reward_model.positions == 15, "an end token may follow what was cut"
    assert reward_model.predict_rewards([[5] * 15 + [1]]) == [0.0]
    with pytest.raises(UserError, match="has 16 positions, and a prompt with its answer has 17"):
        reward_model.predict_rewards([[5] * 16 + [1], [5, 1]])
    pair = Comparison("a" * 20, ("b", "c"), (1.0, 0.0))
    with pytest.raises(UserError, match="fits into 16 tokens; the model has no more positions"):
        encode_all(reward_model, ComparisonSplit([pair], [pair]), ComparisonConfig(), lambda _line: None)
