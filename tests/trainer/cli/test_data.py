"""`palaestra data check`, `palaestra task new`, and `--data` of other commands: from a file to a model, and
mistakes as one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from palaestra.trainer.cli.main import main

ROWS = [{"question": f"{n} + 1 = ", "answer": str(n + 1)} for n in range(200)]
QUICK = [
    "--steps", "1", "--sft-steps", "2", "--prompts-per-step", "2", "--group-size", "2",
    "--eval-problems", "2",
    "--eval-samples", "1", "--max-new-tokens", "4", "--threads", "1", "--force",
]  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, forget_tasks):
    """A folder with a file of one's own, and the tasks as they were."""
    monkeypatch.chdir(tmp_path)
    write("mine.jsonl", ROWS)
    return tmp_path


def write(name: str, rows: list) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run(capsys, *argv: str):
    code = main(list(argv))
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


def test_check_says_how_the_data_are_read_and_shows_one(capsys):
    code, out, err = run(capsys, "data", "check", "mine.jsonl")
    assert (code, err) == (0, "")
    assert out.startswith("mine.jsonl: train 1")
    assert "Columns: prompt 'question' (guessed), answer 'answer' (guessed)." in out
    assert "Verifier: number (guessed" in out
    assert "a right completion: <answer>" in out


def test_check_ends_with_one_for_rows_that_are_wrong_and_two_for_what_cant_be_read(capsys):
    write("bad.jsonl", [*ROWS, {"question": "Say five", "answer": "about five"}])
    code, out, err = run(capsys, "data", "check", "bad.jsonl")
    assert code == 1
    assert (
        "Error: 1 row can't be used. 1 reference can't be read by the verifier number (bad.jsonl, line 201): "
        in err
    )
    assert "Columns:" in out
    assert run(capsys, "data", "check", "bad.jsonl", "--bad-rows", "skip")[0] == 0
    for argv, says in (
        (("min.jsonl",), "no file or folder min.jsonl. Did you mean mine.jsonl"),
        (("mine.jsonl", "--prompt", "quesion"), "Did you mean question?"),
        (("mine.jsonl", "--verify", "mth"), "Did you mean math?"),
        (("mine.jsonl", "--test-share", "0"), "--test-share '0': give a number, above 0"),
        (("mine.jsonl", "--bad-rows", "drop"), "refuse or skip"),
        (("mine.jsonl", "--anser", "x"), "--anser"),
        ((), "FILE"),
    ):
        code, _, err = run(capsys, "data", "check", *argv)
        assert (code, says in err) == (2, True), err
        assert err.startswith("palaestra: ")


def test_check_counts_tokens_by_a_models_tokenizer(capsys):
    check = ("data", "check", "mine.jsonl", "--model", "embedded")
    code, out, _ = run(capsys, *check)
    assert code == 0
    assert "Tokens of a train prompt: " in out
    assert "over" not in out
    longest = int(out.partition("train prompt: ")[2].partition("middle, ")[2].partition(" ")[0])
    code, out, _ = run(capsys, *check, "--max-prompt-tokens", str(longest - 1))
    assert code == 0
    assert f"prompts are over {longest - 1} tokens and will be left out: mine.jsonl, line" in out
    code, _, err = run(capsys, *check, "--max-prompt-tokens", "3")
    assert code == 2
    assert "Every train prompt is over the budget of 3 tokens" in err


@pytest.mark.parametrize("said", [[], ["--prompt", "question", "--answer", "answer", "--verify", "math"]])
def test_one_file_is_enough_to_train_and_to_evaluate(capsys, said):
    code, out, _ = run(capsys, "train", "--data", "mine.jsonl", *said, *QUICK)
    assert code == 0
    assert out.startswith("mine.jsonl: train 1")
    assert (" (guessed" in out) is not said
    config = json.loads(Path("runs/mine-0/config.json").read_text())
    assert config["task"]["data"] == str(Path("mine.jsonl").absolute())
    code, out, _ = run(
        capsys, "eval", "--data", "mine.jsonl", *said, "--model", "runs/mine-0/model", "--problems", "3",
        "--max-new-tokens", "4", "--threads", "1",
    )  # fmt: skip
    assert code == 0
    assert "mine, test split, 3 problems" in out
    assert run(capsys, "resume", "runs/mine-0", "--steps", "2")[0] == 0


def test_sft_imitates_the_answers_of_a_file_and_names_the_next_command(capsys):
    code, out, _ = run(
        capsys, "sft", "--data", "mine.jsonl", "--verify", "number", "--steps", "2", "--eval-problems", "2",
        "--threads", "1",
    )  # fmt: skip
    assert code == 0
    assert "palaestra train --data mine.jsonl --verify number --model runs/mine-sft-0/model" in out


def test_settings_from_a_file_name_the_columns_beside_the_group_prompt(capsys):
    Path("run.toml").write_text(
        '[task]\ndata = "mine.jsonl"\nprompt = "quesion"\nverify = "math"\n\n[prompt]\nsystem = "Be brief."\n'
    )
    code, _, err = run(capsys, "train", "--config", "run.toml")
    assert (
        code,
        "no column 'quesion' (--prompt); it has question, answer. Did you mean question?" in err,
    ) == (2, True)
    Path("flat.toml").write_text('data = "mine.jsonl"\nprompt = "quesion"\nverify = "math"\n')
    assert "no column 'quesion'" in run(capsys, "train", "--config", "flat.toml")[2]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (
            ["--task", "gsm8k", "--data", "mine.jsonl", "--verify", "math"],
            "--verify belongs to --data of your own",
        ),
        (
            ["--task", "gcd", "--prompt", "question"],
            "--prompt belongs to --data of your own; task gcd says itself",
        ),
        (["--verify", "math"], "--verify says how --data are read: give --data FILE, too."),
        (["--data", "mine.jsonl", "--option", "digits=3"], "--option belongs to a task"),
        (["--data", "mine.jsonl", "--level", "2"], "has no levels"),
        (["--data", "mine.jsonl", "--test-share", "1"], "holds all of it out"),
        (["--data", "mine.jsonl", "--answer", "anwser"], "Did you mean answer?"),
        (["--data", "mine.jsonl", "--split", "val"], "leave --split out"),
        (["--data", "nothing.jsonl"], "There is no file or folder nothing.jsonl."),
        (["--data", "text.jsonl"], "say how answers are judged, such as 'Ada'"),
        (
            ["--data", "text.jsonl", "--verify", "number"],
            "2 references can't be read by the verifier number (text.jsonl, lines 1, 2): ",
        ),
        (
            ["--data", "empty.jsonl", "--verify", "number"],
            "empty.jsonl is empty: it has no row. Give one problem to a row",
        ),
        (["--data", "broken.jsonl", "--verify", "number"], "broken.jsonl, line 2: not valid JSON"),
    ],
)
def test_mistakes_are_sentences_and_nothing_is_begun(capsys, argv, says):
    write("text.jsonl", [{"question": "Who?", "answer": "Ada"}, {"question": "And?", "answer": "Bob"}])
    write("empty.jsonl", [])
    Path("broken.jsonl").write_text('{"question": "1", "answer": "1"}\n{"question":\n')
    code, _, err = run(capsys, "train", *argv)
    assert code == 2
    assert says in err
    assert not Path("runs").exists()


def test_a_mistake_in_a_column_is_answered_before_anything_heavy_is_imported(place):
    code = (
        "import sys, time; from palaestra.trainer.cli.main import main\n"
        "main(['train', '--data', 'mine.jsonl', '--prompt', 'quesion', '--verify', 'number'])\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'sympy', 'pyarrow', 'pandas'}\n"
        "print(sorted(heavy & {*sys.modules})); print(time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Did you mean question?" in done.stderr
    heavy, seconds = done.stdout.split("\n")[:2]
    assert heavy == "[]"
    assert float(seconds) < 1


def test_new_writes_a_task_over_data_whose_check_passes_at_once(capsys, place):
    code, out, _ = run(capsys, "task", "new", "sums", "--from", "mine.jsonl")
    assert code == 0
    assert "sums.py is written. Edit it, then: palaestra task check ./sums.py" in out
    text = Path("sums.py").read_text()
    assert 'data="mine.jsonl"' in text
    assert 'prompt="question"' in text
    assert 'verify="number"' in text
    assert 'licence="unknown"' in text
    code, out, _ = run(capsys, "task", "check", "./sums.py")
    assert (code, "FAILED" in out) == (0, False)
    code, _, err = run(capsys, "task", "new", "sums", "--from", "mine.jsonl")
    assert (code, "sums.py is there already" in err) == (2, True)
    assert Path("sums.py").read_text() == text


def test_new_without_data_writes_a_generator_whose_check_passes_at_once(capsys):
    assert run(capsys, "task", "new", "my_sums")[0] == 0
    code, out, _ = run(capsys, "task", "check", "./my_sums.py")
    assert (code, "FAILED" in out) == (0, False)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["my task"], "'my task' can't name a task"),
        (["gcd"], "There is a task gcd already"),
        (["here/sums"], "There is no folder here"),
        (["sums", "--from", "nothing.jsonl"], "no file or folder nothing.jsonl"),
        (["sums", "--prompt", "question"], "give --from FILE"),
        (["sums", "--from", "mine.jsonl", "--prompt", "quesion"], "Did you mean question?"),
        ([], "NAME"),
    ],
)
def test_a_task_that_cant_be_written_is_a_sentence_and_leaves_no_file(capsys, argv, says):
    code, _, err = run(capsys, "task", "new", *argv)
    assert code == 2
    assert says in err
    assert not list(Path().glob("*.py"))


def test_a_reward_of_ones_own_is_recorded_with_the_run_and_goes_on(capsys, place):
    Path("reward.py").write_text(
        "def my_reward(completion, problem):\n    return problem.metadata['answer'] in completion.text\n"
    )
    said = ["--data", "mine.jsonl", "--verify", "./reward.py:my_reward"]
    code, out, _ = run(capsys, "train", *said, *QUICK)
    assert code == 0
    assert "Verifier: ./reward.py:my_reward." in out or f"Verifier: {place}/reward.py:my_reward." in out
    recorded = json.loads(Path("runs/mine-0/facts.json").read_text())["sources"]
    assert [Path(source["path"]).name for source in recorded.values()] == ["reward.py"]
    assert run(capsys, "resume", "runs/mine-0", "--steps", "2")[0] == 0


def test_a_data_file_stands_for_a_task_wherever_one_is_named(capsys, place):
    code, out, _ = run(capsys, "task", "show", "mine.jsonl", "--verify", "math", "--count", "2")
    assert code == 0
    assert out.count("reward 1, passed") == 2
    assert run(capsys, "task", "check", "mine.jsonl")[0] == 0
    shown = run(capsys, "task", "show", "mine.jsonl", "--split", "test", "--count", "1")[1]
    problem = shown.partition("--- ")[2].split()[0]
    write("said.jsonl", [{"id": problem, "completion": "<answer>-1</answer>"}])
    code, out, err = run(capsys, "score", "mine.jsonl", "said.jsonl")
    assert code == 0
    assert json.loads(out)["passed"] is False
    assert "mine: 1 completions of 1 problems, 0 passed" in err
    code, _, err = run(capsys, "task", "show", "mine.jsonl", "--answer", "anwser")
    assert (code, "Did you mean answer?" in err) == (2, True)
