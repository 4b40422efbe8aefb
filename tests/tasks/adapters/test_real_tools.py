"""The adapters against the packages themselves, each in an environment of its own beside this one."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
pytestmark = pytest.mark.slow


def run_with(packages: list[str], script: str, folder: Path) -> dict:
    """What a script prints as its last line, in an environment with those packages and all that is here."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    found = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    here = sysconfig.get_path("purelib")
    Path(found.stdout.strip(), "beside.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    (folder / "script.py").write_text(script)
    quiet = {
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }
    done = subprocess.run(
        [python, "script.py"], cwd=folder, capture_output=True, text=True, env={**os.environ, **quiet}
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


TRL = """
import importlib.util, json, sys
import palaestra as pal
from trl import GRPOConfig, GRPOTrainer

policy = pal.load_policy("embedded", "cpu", "float32")
policy.tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
policy.save("model")
spec = importlib.util.spec_from_file_location("example", EXAMPLE)
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)
small = dict(max_steps=1, per_device_train_batch_size=4, num_generations=2, max_completion_length=4,
             report_to="none", use_cpu=True, bf16=False)
example.main("model", "out", rows=4, **small)

def digits(completions, reference, **kwargs):
    return [sum(c.isdigit() for c in text[0]["content"]) / 4 for text in completions]

rewards = [pal.trl_reward("gcd", asynchronous=True), pal.trl_reward(pal.Rubric(digits))]
trainer = GRPOTrainer(model="model", reward_funcs=rewards, args=GRPOConfig(output_dir="two", **small),
                      train_dataset=pal.as_dataset("gcd", count=4))
trainer.train()
logged = trainer.state.log_history[0]
print(json.dumps({"names": sorted(k for k in logged if k.startswith("rewards/")), "reward": logged["reward"],
                  "sum": logged["rewards/gcd/mean"] + logged["rewards/rubric/mean"]}))
"""


def test_trl_trains_with_both_kinds_of_functions(tmp_path: Path):
    script = TRL.replace("EXAMPLE)", f"{str(EXAMPLES / 'trl_reward.py')!r})")
    found = run_with(["trl"], script, tmp_path)
    assert {"rewards/gcd/mean", "rewards/rubric/mean"} <= {*found["names"]}
    assert found["reward"] == pytest.approx(found["sum"])


BACK = """
import json
import palaestra as pal
from trl.rewards import get_repetition_penalty_reward, get_soft_overlong_punishment, think_format_reward

thinks = pal.Rubric(think_format_reward)
asked = pal.Problem([{"role": "user", "content": "?"}], "6")
overlong = pal.Rubric(get_soft_overlong_punishment(10, 5))
again = pal.Rubric(pal.criteria.function(get_repetition_penalty_reward(2), low=-1))
print(json.dumps([
    thinks.score(pal.Completion("<think>a</think>6"), asked).reward,
    thinks.score(pal.Completion("6"), pal.Problem("?", "6")).reward,
    overlong.score(pal.Completion("x", ids=(1,) * 8), asked).reward,
    again.score(pal.Completion("x", ids=(1,) * 5), asked).reward,
]))
"""


def test_the_rewards_that_trl_brings_run_here(tmp_path: Path):
    assert run_with(["trl"], BACK, tmp_path) == [1.0, 0.0, pytest.approx(-0.6), -0.75]


VERIFIERS = """
import asyncio, json
import palaestra as pal
import verifiers as vf

rows = pal.as_dataset("gcd", count=2)
rubric = pal.adapters.verifiers_rubric("gcd")
env = vf.SingleTurnEnv(dataset=rows, rubric=rubric)
row = env.get_dataset()[0]
answer = rows[0]["reference"]

async def score(text):
    state = vf.State(input=dict(row))
    state["prompt"], state["task"] = row["prompt"], dict(row)
    state["completion"] = [{"role": "assistant", "content": text}]
    await rubric.score_rollout(state)
    return [state["reward"], state["metrics"]]

async def theirs(completion, answer, parser, **kwargs):
    return float(parser.parse_answer(completion) == answer)

theirs_here = pal.Rubric(pal.criteria.function(theirs, parser=vf.Parser()))
print(json.dumps({
    "right": asyncio.run(score(f"<answer>{answer}</answer>")),
    "wrong": asyncio.run(score("<answer>x</answer>")),
    "theirs": theirs_here.score(pal.Completion("6"), pal.Problem("?", "6")).reward,
    "xml": pal.Rubric(pal.criteria.function(theirs, parser=vf.XMLParser(["answer"]))).score(
        pal.Completion("<answer>6</answer>"), pal.Problem("?", "6")).reward,
}))
"""


def test_verifiers_scores_rollouts_by_the_rubric(tmp_path: Path):
    found = run_with(["verifiers<0.2"], VERIFIERS, tmp_path)
    assert found["right"] == [1.0, {"gcd": 1.0, "passed": 1.0, "abstained": 0.0}]
    assert found["wrong"][0] == pytest.approx(1 / 11)
    assert found["wrong"][1]["passed"] == 0.0
    assert (found["theirs"], found["xml"]) == (1.0, 1.0)


INSPECT = """
import json
import palaestra as pal
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model

gcd = pal.tasks.get("gcd")
problems = gcd.problems("test", 4)
said = [gcd.solution(p) for p in problems[:3]] + ["<answer>0</answer>"]
answers = dict(zip((p.text for p in problems), said))

def answer(input, tools, tool_choice, config):
    text = next(answers[q] for q in answers if q in input[-1].text)
    output = ModelOutput.from_content("mockllm", text)
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # or it loads a tokenizer
    return output

def down(completion, problem):
    raise pal.verifiers.types.Unavailable("down")

model = get_model("mockllm/model", custom_outputs=answer)
log = eval(pal.adapters.inspect_task("gcd", count=4), model=model, display="none")[0]
assert log.status == "success", log.error.message
values = {s.name: s.metrics["mean"].value for s in log.results.scores}
own = Task(dataset=MemoryDataset([Sample(input=problems[0].text, target=problems[0].reference)]),
           scorer=pal.adapters.inspect_scorer(gcd.rubric))
mine = eval(own, model=model, display="none")[0]
off = Task(dataset=MemoryDataset([Sample(input=problems[0].text, target="6")]),
           scorer=pal.adapters.inspect_scorer(pal.Rubric(down)))
lost = eval(off, model=model, display="none")[0]
print(json.dumps({"values": values, "mine": mine.samples[0].scores, "lost": lost.status,
                  "why": list(lost.samples[0].scores.values())[0].explanation}, default=lambda v: v.value))
"""


def test_inspect_evaluates_by_the_rubric(tmp_path: Path):
    found = run_with(["inspect_ai"], INSPECT, tmp_path)
    assert found["values"] == {"passed": 0.75, "reward": pytest.approx((3 + 1 / 11) / 4)}
    assert found["mine"] == {"rubric": {"passed": 1.0, "reward": 1.0}}
    assert (found["lost"], "down" in found["why"]) == ("success", True)


LM_EVAL = """
import json
import palaestra as pal
import lm_eval
from lm_eval.api.model import LM

gcd = pal.tasks.get("gcd")
problems = gcd.problems("test", 4)
answers = {p.text: gcd.solution(p) for p in problems[:3]}

class Answers(LM):
    def generate_until(self, requests, disable_tqdm=False):
        return [next((a for q, a in answers.items() if q in r.arguments[0]), "none") for r in requests]

    def loglikelihood(self, requests, disable_tqdm=False):
        raise AssertionError("A task whose answers are generated asks for no likelihood.")

    loglikelihood_rolling = loglikelihood

results = lm_eval.simple_evaluate(model=Answers(), tasks=[pal.adapters.lm_eval_task("gcd", count=4)])
print(json.dumps(results["results"]["gcd"], default=str))
"""


def test_the_harness_evaluates_by_the_rubric(tmp_path: Path):
    found = run_with(["lm_eval"], LM_EVAL, tmp_path)
    assert (found["passed,none"], found["reward,none"]) == (0.75, 0.75)
