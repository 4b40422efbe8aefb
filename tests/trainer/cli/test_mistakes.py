"""Mistakes in a command line: one sentence with the fix, exit code 2, before anything heavy is imported.

All of them are made in one process, which is asked at its end what it has imported.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

MAKE_ALL = """
import contextlib, io, json, resource, sys, warnings
from palaestra.trainer.cli.main import main

warnings.simplefilter("error")
answers = []
for argv in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(argv)
        except SystemExit as stopped:
            code = f"SystemExit({stopped.code})"
    heavy = sorted({"torch", "transformers", "datasets", "sympy", "tokenizers"} & set(sys.modules))
    answers.append({"code": code, "out": out.getvalue(), "err": err.getvalue(), "heavy": heavy})
usage = resource.getrusage(resource.RUSAGE_SELF)
json.dump({"answers": answers, "seconds": usage.ru_utime + usage.ru_stime}, sys.stdout)
"""
OWN_TASK = """
import palaestra as pal

def mine(completion, problem):
    raise KeyError("no such key")

@pal.task("own_sums", rubric=pal.Rubric({}))
def own_sums(rng, level):
    number = rng.randrange(1000)
    {}
    return pal.Problem(f"{{number}} + 1?", str(number + 1))
"""
OWN_REWARDS = """
def raises(completion, problem): return problem.metadata["nowhere"]
def text(completion, problem): return "good"
def nan(completion, problem): return float("nan")
def nothing(completion, problem): return None
def column(completions, worked): return [1.0 for _ in completions]
def lone(completions, **columns): return [1.0]
def skips(completions, **columns): return [None for _ in completions]
"""
FILES = {
    "twice.toml": "steps = 3\nsteps = 4\n",
    "twice.json": '{"steps": 3, "steps": 4}',
    "twice.yaml": "steps: 3\nsteps: 4\n",
    "both_names.toml": "learning_rate = 1e-4\n[optimizer]\nlearning_rate = 1e-5\n",
    "unknown.toml": "stpes = 3\n",
    "typed.toml": 'steps = "three"\n',
    "nan.json": '{"learning_rate": NaN}',
    "syntax.toml": "steps = = 3\n",
    "syntax.yaml": "steps: [3\n",
    "syntax.json": "{",
    "list.json": "[1]",
    "latin.toml": "# \udce9\n",
    "text.txt": "steps = 3\n",
    "pairs.jsonl": '{"prompt": "1?", "completion": "1"}\n',
    "full/notes.txt": "mine",
    "sums.jsonl": "".join(f'{{"question": "{n} + 1?", "answer": "{n + 1}"}}\n' for n in range(40)),
    "same.jsonl": '{"prompt": "a", "completion": "b"}\n' * 3,
    "columns.jsonl": '{"frage": "a", "antwort": "b"}\n' * 3,
    "empty.jsonl": "",
    "line2.jsonl": '{"prompt": "a", "completion": "b"}\n{"prompt": \n',
    "equal.jsonl": '{"prompt": "a", "chosen": "b", "rejected": "b"}\n' * 3,
    "syntax.jinja": "{% for %}",
    "syntax_task.py": "x = (\n",
    "no_task.py": "x = 1\n",
    "import_task.py": "import nothing_like_this\n",
    "raising_task.py": OWN_TASK.format("mine", ""),
    "stuck_task.py": OWN_TASK.format("pal.criteria.number()", "raise ZeroDivisionError('no sum')"),
    "rewards.py": OWN_REWARDS,
}
LONG = "9" * 400
MISTAKES = [
    # numbers out of their range, and what is no number
    (["train", "--steps", "-5"], "--steps '-5': give a whole number, 1 or more."),
    (["train", "--steps", "1.5"], "--steps '1.5': give a whole number"),
    (["train", "--steps=abc"], "--steps 'abc': give a whole number"),
    (["train", "--steps", ""], "--steps '': give a whole number"),
    (["train", "--prompts-per-step", "0"], "--prompts-per-step '0': give a whole number, 1 or more"),
    (["train", "--eval-samples", "0"], "--eval-samples '0'"),
    (["train", "--learning-rate", "nan"], "--learning-rate 'nan': give a number, above 0 or auto."),
    (["train", "--learning-rate", "-1e-3"], "--learning-rate '-1e-3': give a number, above 0"),
    (["train", "--learning-rate", "1e400"], "--learning-rate '1e400'"),
    (["train", "--temperature", "nan"], "--temperature 'nan'"),
    (["train", "--temperature", "-inf"], "--temperature '-inf'"),
    (["train", "--shadow-share", "3"], "--shadow-share '3': give a number, 0 to 1."),
    (["train", "--seed", LONG], "--seed '9999"),
    (["train", "--level", "99", "--task", "gcd"], "no level 99"),
    (["train", "--level", "1", "--task", "gsm8k"], "leave the level out"),
    (["eval", "--problems", "-4", "--model", "embedded"], "--problems '-4': give a whole number, 1 or more"),
    (["eval", "--temperature", "inf", "--model", "embedded"], "--temperature 'inf'"),
    (["sft", "--eval-share", "1"], "--eval-share '1': give a number, 0 or more and below 1"),
    (["reward-model", "--batch-size", "0"], "--batch-size '0'"),
    (["demo", "--steps", "0"], "--steps '0'"),
    (["demo", "addition", "--threads", "0"], "--threads '0'"),
    (["replay", "full", "--step", "0"], "--step '0': give a whole number, 1 or more."),
    (["replay", "full", "--step", "x"], "--step 'x'"),
    (["verify", "1", "1", "--tolerance", "-1"], "--tolerance '-1': give a number, 0 or more"),
    # names
    (["train", "--task", "adition"], "Did you mean addition"),
    (["train", "--task", ""], "--task '': give a text, not empty."),
    (["train", "--task", "./nowhere.py"], "There is no task file nowhere.py"),
    (["train", "--task", "gcd", "--option", "digit=3"], "has no option 'digit'"),
    (["train", "--task", "gcd", "--option", "digits"], "write name=value"),
    (["train", "--preset", "dapoo"], "Did you mean dapo?"),
    (["train", "--algorithm", "ppoo"], "Did you mean ppo?"),
    (["train", "--task", "./syntax_task.py"], "syntax_task.py could not be loaded: SyntaxError"),
    (["train", "--task", "./no_task.py"], "no_task.py defines 0 tasks; a task file defines exactly one"),
    (["train", "--task", "./import_task.py"], "No module named 'nothing_like_this'"),
    (["train", "--task", "./stuck_task.py"], "ZeroDivisionError at stuck_task.py, line 10: no sum. Mend it."),
    (["train", "--task", "./raising_task.py"], "(raising_task.py, line 4) raised"),
    (["train", "--prompt-template", "no.jinja"], "--prompt-template no.jinja can't be read (No such file"),
    (["train", "--prompt-template", "syntax.jinja"], "template (syntax.jinja) can't be read: line 1"),
    (["task", "show", "gcd", "--model", "./nowhere"], "no model folder ./nowhere"),
    *(
        (["train", "--data", "sums.jsonl", "--verify", f"rewards.py:{name}"], said)
        for name, said in {
            "raises": "raises (rewards.py, line 2) raised KeyError at line 2: 'nowhere'. Mend the function",
            "text": "text (rewards.py, line 3) returned str, which is no Verdict",
            "nan": "nan (rewards.py, line 4) returned nan",
            "nothing": "nothing (rewards.py, line 5) returned None",
            "column": "column (rewards.py, line 6) asks for 'worked', which is no column",
            "lone": "lone (rewards.py, line 7) returned 1 reward for 2 completions. Return a list",
            "skips": "skips (rewards.py, line 8) says None to all of 20 problems",
        }.items()
    ),
    (["train", "--algorithm", "./nowhere.py"], "There is no algorithm file ./nowhere.py"),
    (["train", "--loss.kind", "gsop"], "Did you mean gspo?"),
    (["train", "--loss.kind", "gpro"], "Did you mean gmpo or grpo or gspo?"),
    (["train", "--loss.kind", "nowhere.py:mine"], "There is no loss file nowhere.py"),
    (["train", "--model", ""], "Say which model: --model"),
    (["train", "--model", "./nowhere"], "no model folder ./nowhere"),
    (["train", "--model", "text.txt"], "text.txt is a file"),
    (["train", "--model", "full"], "full is not a model folder"),
    (["train", "--reward-model", "./nowhere"], "no reward model in ./nowhere"),
    (["train", "--log", "tensorbord"], "no logger 'tensorbord'"),
    (["eval"], "Say which model: --model"),
    (["eval", "--model", "embedded", "--split", "tset"], "no split 'tset'"),
    (["sft", "--pairs", "nowhere.jsonl"], "--pairs 'nowhere.jsonl': there is no such file."),
    (["sft", "--pairs", "columns.jsonl"], "columns.jsonl, line 1: the row has frage, antwort; "),
    (["sft", "--pairs", "same.jsonl"], "same.jsonl: 3 pairs with 1 different prompt can't be split"),
    (["sft", "--pairs", "empty.jsonl"], "empty.jsonl: there is nothing to imitate"),
    (["sft", "--pairs", "line2.jsonl"], "line2.jsonl, line 2: not valid JSON"),
    (["reward-model", "--data", "columns.jsonl"], "columns.jsonl, line 1: give the columns chosen"),
    (["reward-model", "--data", "empty.jsonl"], "empty.jsonl: there is no comparison to learn from"),
    (["reward-model", "--data", "equal.jsonl"], "3 with identical answers"),
    (["sft", "--task", "gdc"], "Did you mean gcd"),
    (["reward-model"], "Say what to learn from: --data"),
    (["reward-model", "--data", "nowhere.jsonl"], "there is no such file"),
    (["demo", "adition"], "Did you mean addition?"),
    (["demo", "--out", "full"], "full is not empty, and no demo made it"),
    (["trian"], "Did you mean train"),
    # settings that contradict each other
    (["train", "--group-size", "1"], "Sample 2 or more per prompt"),
    (["train", "--minibatches", "999"], "--minibatches 999 is more than a step's"),
    (["train", "--ppo.gamma", "0.9"], "would have no effect: GRPO does not read it"),
    (["train", "--algorithm", "ppo", "--resample", "2"], "do without --resample"),
    (["train", "--algorithm", "ppo", "--ppo.critic-warmup", "100"], "leaves no step of 100"),
    (["train", "--lora-alpha", "4"], "give --lora-rank, too"),
    (["train", "--control", "shuffled", "--prompts-per-step", "1"], "it needs 2 or more --prompts-per-step"),
    (["train", "--top-k", "1"], "leaves only the most likely token"),
    (["eval", "--model", "embedded", "--samples", "4"], "a --temperature above 0"),
    (["sft", "--pairs", "pairs.jsonl", "--level", "1"], "--pairs takes the place of a task"),
    # the command line itself
    (["train", "--stpes", "3"], "There is no option --stpes. Did you mean --steps?"),
    (["train", "--lr", "3"], "Did you mean --learning-rate?"),
    (["train", "--num_generations", "8"], "no option --num_generations. Did you mean --group-size?"),
    (["train", "actor_rollout_ref.rollout.n=5"], "Did you mean --group-size?"),
    (["train", "--max-completion-length=9"], "Did you mean --max-new-tokens?"),
    (["train", "--batch_size", "8"], "Did you mean --prompts-per-step?"),
    (["train", "--beta", "0.1"], "Did you mean --loss.kl-coef?"),
    (["train", "--clip_ratio", "0.2"], "Did you mean --loss.clip-low or --loss.clip-high?"),
    (["train", "--output_dir", "x"], "Did you mean --out?"),
    (["sft", "--per_device_train_batch_size", "8"], "Did you mean --batch-size?"),
    (["sft", "--num_generations", "8"], "There is no option --num_generations."),
    (["eval", "--limit", "8"], "Did you mean --problems?"),
    (["eval", "--num_return_sequences", "8"], "Did you mean --samples?"),
    (["push", "run", "--too", "user/name"], "There is no option --too. Did you mean --to?"),
    (["train", "--task", "gcd", "--option", "n=2", "--option", "n=3"], "--option n is given twice."),
    (["train", "-steps", "3"], "Did you mean --steps?"),
    (["train", "--learning_rate", "3"], "Did you mean --learning-rate?"),
    (["train", "steps", "3"], "'steps' belongs to no option. Did you mean --steps?"),
    (["train", "gcd"], "'gcd' belongs to no option"),
    (["train", "--steps"], "--steps needs a value after it: a whole number, 1 or more."),
    (["train", "--steps", "--seed", "1"], "--steps needs a value after it"),
    (["train", "--steps", "1", "--steps", "2"], "--steps is given twice"),
    (["train", "--force", "--no-force"], "--force is given twice"),
    (["train", "--force=yes"], "--force takes no value"),
    (["train", "--force", "yes"], "'yes' belongs to no option"),
    (["resume"], "Still required: run."),
    (["resume", "full"], "full is not the folder of a run"),
    (["replay", "full"], "Still required: --step."),
    (["verify", "1"], "Still required: answer."),
    (["verify", "1", "2", "3"], "'3' belongs to no option"),
    (["verify", "1", "2", "--tolerence", "3"], "Did you mean --tolerance?"),
    (["doctor", "--nosuch"], "There is no option --nosuch"),
    # files and folders
    (["train", "--config", "nowhere.toml"], "There is no config file nowhere.toml"),
    (["train", "--config", "full"], "full is a folder"),
    (["train", "--config"], "--config needs a value after it"),
    (["train", "--config", "unknown.toml", "--config", "typed.toml"], "--config is given twice"),
    (["train", "--config", "text.txt"], "a config file ends in"),
    (["train", "--config", "twice.toml"], "twice.toml is not valid TOML: Cannot overwrite a value"),
    (["train", "--config", "twice.json"], "the key 'steps' is given twice"),
    (["train", "--config", "twice.yaml"], "line 2 gives the key 'steps' again"),
    (["train", "--config", "both_names.toml"], "optimizer.learning_rate is given twice"),
    (["train", "--config", "unknown.toml"], "no setting 'stpes'. Did you mean 'steps'?"),
    (["train", "--config", "typed.toml"], "typed.toml: steps 'three': give a whole number"),
    (["train", "--config", "nan.json"], "learning_rate nan: give a number"),
    (["train", "--config", "syntax.toml"], "syntax.toml is not valid TOML"),
    (["train", "--config", "syntax.yaml"], "syntax.yaml is not valid YAML: line 2"),
    (["train", "--config", "syntax.json"], "syntax.json is not valid JSON"),
    (["train", "--config", "list.json"], "does not hold keys with values"),
    (["train", "--config", "latin.toml"], "latin.toml is not UTF-8"),
    (["train", "--out", ""], "--out '': give a text, not empty."),
    (["train", "--out", "text.txt"], "text.txt is a file"),
    (["train", "--out", "text.txt/run"], "text.txt is a file. Give another --out."),
    (["train", "--out", "full"], "full is not empty: it holds notes.txt. Give another --out."),
    (["train", "--out", "/proc/run"], "/proc/run can't be written to"),
    (["sft", "--out", "full"], "full is not empty"),
    (["eval", "--model", "embedded", "--out", "text.txt"], "text.txt is a file"),
    (["eval", "--model", "embedded", "--out", "."], "holds no evaluation to go on with"),
    (["eval", "--model", "embedded", "--baseline", "nowhere"], "There is no file nowhere"),
    (["train", "--data", "nowhere.jsonl", "--task", "gsm8k"], "There is no file or folder nowhere.jsonl"),
]  # fmt: skip


@dataclass(frozen=True)
class Answered:
    """answers: by the command lines.  seconds: of processor time that the process took for all of them.
    place: where they were given.  before, after: what was in it."""

    answers: dict[tuple[str, ...], dict]
    seconds: float
    before: set[Path]
    after: set[Path]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Answered:
    place = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text, errors="surrogateescape")
    before = {*place.rglob("*")}
    lines = [argv for argv, _ in MISTAKES]
    done = subprocess.run(
        [sys.executable, "-c", MAKE_ALL],
        input=json.dumps(lines),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    answers = {tuple(argv): answer for argv, answer in zip(lines, said["answers"], strict=True)}
    return Answered(answers, said["seconds"], before, {*place.rglob("*")})


@pytest.mark.parametrize(("argv", "says"), MISTAKES, ids=lambda value: " ".join(value)[:60])
def test_a_mistake_is_a_sentence_before_anything_heavy_is_imported(
    answered: Answered, argv: list[str], says: str
):
    answer = answered.answers[tuple(argv)]
    assert says in answer["err"]
    assert answer["code"] == 2
    assert answer["err"].startswith("palaestra: ")
    assert answer["err"].count("\n") == 1, "one sentence, no usage and no trace"
    assert len(answer["err"]) < 600
    assert answer["out"] == ""
    assert answer["heavy"] == []


def test_mistakes_cost_no_time_and_write_nothing(answered: Answered):
    assert answered.after == answered.before
    assert answered.seconds < 10, f"for {len(MISTAKES)} mistakes"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="nothing stands for a full disk here")
@pytest.mark.parametrize("argv", [["tasks"], ["train", "--help"], ["--version"]], ids=" ".join)
def test_a_full_disk_under_standard_output_is_told_once(argv):
    with open("/dev/full", "w") as full:
        run = "import sys; from palaestra.trainer.cli.main import main; sys.exit(main(sys.argv[1:]))"
        done = subprocess.run(
            [sys.executable, "-c", run, *argv], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "palaestra: The disk is full. Free some space or write elsewhere.\n"
