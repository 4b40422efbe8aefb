"""The command line without a model: tasks, task show and check, score;
errors are sentences with exit code 2."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from palaestra.sandbox import ALLOW_WEAK, SandboxPool, pool
from palaestra.trainer.cli.main import main
from palaestra.trainer.terminal import escape_controls


def run(capsys, *argv):
    code = main(list(argv))
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


def test_help_version_and_unknown_commands(capsys):
    assert run(capsys, "--help")[1].startswith("usage: palaestra")
    assert run(capsys, "--version")[1].startswith("palaestra ")
    code, _, err = run(capsys, "taks")
    assert code == 2
    assert "Did you mean tasks" in err


def test_each_action_of_task_is_said_in_its_help(capsys):
    with pytest.raises(SystemExit):
        main(["task", "--help"])
    text = capsys.readouterr().out
    for action in ("show", "play", "check", "card", "attack", "export", "new", "build"):
        assert f"\n    {action:<6} " in text, action


def test_tasks_as_table_and_as_json(capsys):
    code, out, _ = run(capsys, "tasks")
    assert code == 0
    assert "train 7,473, test 1,319" in out
    listed = json.loads(run(capsys, "tasks", "--json")[1])
    assert {"name", "kind", "splits", "source", "licence"} <= set(listed[0])


def test_the_table_fits_and_says_what_needs_the_network(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    _, out, _ = run(capsys, "tasks")
    assert max(map(len, out.splitlines())) <= 100
    rows = {line.split()[0]: line.split() for line in out.splitlines()}
    assert [rows[name][2] for name in ("gcd", "ice_cream", "gsm8k")] == ["procedural", "packaged", "network"]
    assert "network: fetched from the hub at first use" in out.replace("\n", " ")
    _, wide, _ = run(capsys, "tasks", "--wide")
    assert "google-research-datasets/mbpp (sanitized)" in wide
    assert "Greatest common divisor of two numbers" in wide


def test_tasks_by_kind_and_by_a_word(capsys):
    listed = {row["name"]: row for row in json.loads(run(capsys, "tasks", "--json")[1])}
    for argv in (["--kind", "code,logic"], ["--kind", "code", "--kind", "logic"]):
        _, out, _ = run(capsys, "tasks", *argv, "--json")
        found = [row["name"] for row in json.loads(out)]
        assert found == [name for name, row in listed.items() if row["kind"] in ("code", "logic")]
        assert "humaneval" in found
        assert "frozen_lake" in found
    _, out, _ = run(capsys, "tasks", "COMMON divisor", "--json")
    names = [row["name"] for row in json.loads(out)]
    assert names == [name for name, row in listed.items() if "common divisor" in row["summary"]]
    assert "gcd" in names


EXPORT = ("task", "export", "gcd", "--count", "2", "--level", "1")


def test_exported_problems_come_back_with_completions(capsys, tmp_path):
    out = tmp_path / "problems.jsonl"
    assert run(capsys, *EXPORT, "--out", str(out))[0] == 0
    assert run(capsys, *EXPORT)[1] == out.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["problems.jsonl"]
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    for row in rows:
        row["completion"] = f"<answer>{row['reference']}</answer>"
    said = tmp_path / "said.jsonl"
    said.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, verdicts, err = run(capsys, "score", "gcd", str(said), "--out", str(tmp_path / "verdicts.jsonl"))
    assert (code, verdicts) == (0, "")
    assert "pass@1   100.0 %" in err
    assert "answer extracted 100.0%" in err
    assert (tmp_path / "verdicts.jsonl").read_text().count('"passed": true') == 2


def test_an_export_of_a_task_with_options_says_how_to_come_back(capsys, tmp_path):
    out = tmp_path / "problems.jsonl"
    argv = ("task", "export", "addition", "-o", "digits=3", "--count", "1", "--out", str(out))
    _, _, err = run(capsys, *argv)
    assert "palaestra score addition -o digits=3 FILE" in err


def test_nothing_is_written_over(capsys, tmp_path):
    path = tmp_path / "said.jsonl"
    path.write_text('{"id": "gcd/test/0/1/0", "completion": "x"}\n')
    before = path.read_text()
    code, _, err = run(capsys, *EXPORT, "--out", str(path))
    assert (code, "is there already" in err) == (2, True)
    code, _, err = run(capsys, "score", "gcd", str(path), "--out", str(path))
    assert (code, "is there already" in err) == (2, True)
    assert path.read_text() == before
    code, _, _ = run(capsys, "score", "gcd", str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "v.jsonl"))
    assert code == 2
    assert not (tmp_path / "v.jsonl").exists()


def test_show_with_a_model_renders_the_prompt(capsys):
    argv = ("task", "show", "gcd", "--count", "1", "--model", "embedded", "--instruction", "Be <brief>.")
    code, out, _ = run(capsys, *argv)
    assert code == 0
    assert "gcd/train/0/1/0: 64 tokens, special or added: none" in out
    assert "669?\nBe <brief>.\n" in out
    assert "solution:" not in out


def test_show(capsys):
    code, out, _ = run(capsys, "task", "show", "addition", "--option", "digits=3", "--count", "2")
    assert code == 0
    assert out.count("reward 1, passed") == 2
    assert "option digits: 3" in out


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["task", "show", "countdwn"], "Did you mean countdown"),
        (["task", "show", "addition", "-o", "digit=3"], "Did you mean digits"),
        (["task", "show", "addition", "-o", "digits"], "write name=value"),
        (["task", "show", "gsm8k", "--data", "/nowhere"], "no file or folder /nowhere"),
        (["score", "gcd", "/nowhere.jsonl"], "no file /nowhere.jsonl"),
        (["tasks", "--kind", "cod"], "Did you mean code?"),
        (["tasks", "gdc"], "Did you mean gcd?"),
        (["task", "export", "gcd", "--split", "tset"], "no split 'tset'; it has train, test"),
        (["task", "export", "gcd", "--count", "0"], "'0' is not a whole number, 1 or more"),
        (["task", "export", "gcd", "--seed", "-1"], "'-1' is not a whole number, 0 or more"),
        (["task", "show", "gcd", "--system", "x"], "--system is about a model's prompt: give --model"),
        (["task", "show", "gcd", "--model", "./nowhere"], "no model folder ./nowhere"),
        (["task", "shwo", "gcd"], "shwo"),
        (["score", "gcd"], "required: completions"),
        (["score", "gcd", "x.jsonl", "--out", "/nowhere/v.jsonl"], "no folder /nowhere for --out"),
        (["score", "gcd", "x.jsonl", "--out", "/"], "is a folder. Give a file"),
        (["task", "export", "gcd", "--out", "/nowhere/p.jsonl"], "no folder /nowhere for --out"),
    ],
)
def test_the_users_errors_are_sentences(capsys, argv, says):
    code, _, err = run(capsys, *argv)
    assert code == 2
    assert says in err
    assert err.startswith("palaestra: ")


def test_check_own_file_ok_and_failing(capsys, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from palaestra.tasks import Problem, task\nfrom palaestra.verifiers import Rubric, number\n"
        "@task('mine', rubric=Rubric(number()))\n"
        "def mine(rng, level):\n    n = rng.randrange(10**9)\n    return Problem(f'Say {n}', n)\n"
    )
    code, out, _ = run(capsys, "task", "check", str(path))
    assert code == 1  # a bare number() gives the full reward to the solution twice
    assert "FAILED the solution twice has less than reward 1" in out
    path.write_text(
        path.read_text()
        .replace("import Rubric, number", "import Rubric, answer_tag, number")
        .replace("Rubric(number())", "Rubric(number(), answer_tag())")
    )
    code, out, _ = run(capsys, "task", "check", str(path))
    assert code == 0, out
    assert "FAILED" not in out


def test_score_by_id_and_by_reference(capsys, tmp_path):
    rows = [
        {"id": "addition/test/0/1/0", "completion": "no"},
        {"reference": "4", "completion": "<answer>4</answer>"},
    ]
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, err = run(capsys, "score", "addition", str(path))
    assert code == 0
    assert [json.loads(line)["passed"] for line in out.splitlines()] == [False, True]
    assert "2 completions of 2 problems, 1 passed\n  pass@1   50.0 % [9.5, 90.5]" in err
    path.write_text('{"id": "addition/test/0/1/0", "completion": "x"}\n{"id":\n')
    code, _, err = run(capsys, "score", "addition", str(path), "--out", str(tmp_path / "out.jsonl"))
    assert code == 2
    assert "c.jsonl, line 2" in err
    assert f"The 1 completions before it are scored and kept in {tmp_path / 'out.jsonl'}" in err
    assert json.loads((tmp_path / "out.jsonl").read_text())["passed"] is False


HOSTILE_TASK = """
from palaestra.tasks import Problem, task
from palaestra.verifiers import Completion, Criterion, Rubric
from palaestra.verifiers.types import correct, wrong

def check(completion, problem):
    if "raise" in completion.text:
        raise ValueError("\\ud800 \\x1b[31m " + completion.text)
    same = completion.text == problem.reference
    return correct(completion.text) if same else wrong(completion.text, "not " + problem.reference)

@task("hostile", rubric=Rubric(Criterion("echo", check, render=str)))
def hostile(rng, level):
    return Problem(f"Say \\x1b[2J\\u202e {rng.random()}", "\\x1b]0;title\\x07 ok\\r")
"""


def test_no_row_is_lost_to_an_odd_character(tmp_path):
    """In a process of its own, whose output is UTF-8 alone, as a terminal's."""
    (tmp_path / "hostile.py").write_text(HOSTILE_TASK)
    texts = ["a", "raise \ud800", "\udfff\u2028", "raise \x1b[2J", "\x1b]0;title\x07 ok\r", "é"]
    rows = "".join(
        json.dumps({"id": n, "reference": texts[4], "completion": text}) + "\n"
        for n, text in enumerate(texts)
    )
    (tmp_path / "rows.jsonl").write_text(rows + '{"id":\n')
    start = "import sys; from palaestra.trainer.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [
        sys.executable,
        "-c",
        start,
        "score",
        str(tmp_path / "hostile.py"),
        str(tmp_path / "rows.jsonl"),
    ]
    for out in ([], ["--out", str(tmp_path / "out.jsonl")]):
        done = subprocess.run([*command, *out], capture_output=True, check=False)
        assert done.returncode == 2  # for the last line, which is no JSON
        assert b"Traceback" not in done.stderr
        written = (tmp_path / "out.jsonl").read_bytes() if out else done.stdout
        found = [json.loads(line) for line in written.splitlines()]
        assert [(row["id"], row["passed"], row["abstained"]) for row in found] == [
            (n, n == 4, False) for n in range(6)
        ]
        assert not {byte for byte in written + done.stderr if byte < 32} - {10}
        assert "\ud800" in found[1]["parts"]["echo"]["reason"]


def test_what_a_task_says_reaches_the_terminal_without_its_control_characters(capsys, tmp_path):
    (tmp_path / "hostile.py").write_text(HOSTILE_TASK)
    code, out, _ = run(capsys, "task", "show", str(tmp_path / "hostile.py"), "--count", "1")
    assert code == 0
    assert "Say \\x1b[2J\\u202e" in out
    assert "solution: \\x1b]0;title\\x07 ok\\r" in out
    _, _, err = run(capsys, "\x1b[31mtasks")
    assert "\x1b" not in err
    _, out, _ = run(capsys, "verify", "1", "\x1b[31m2")
    assert "\x1b" not in out
    assert escape_controls("a\tb\nc é \ud800\x9b\u2066") == "a\tb\nc é \\ud800\\x9b\\u2066"


def test_a_full_disk_and_an_interrupt(capsys, monkeypatch, tmp_path):
    from palaestra.trainer.cli import tasks as cli_tasks

    def raising(failure):
        def fail(argv):
            raise failure

        monkeypatch.setattr(cli_tasks, "main", fail)

    raising(OSError(28, "No space left on device"))
    code, _, err = run(capsys, "tasks")
    assert (code, "disk is full" in err) == (2, True)
    raising(KeyboardInterrupt())
    assert run(capsys, "tasks")[0] == 130
    raising(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        main(["tasks"])


def test_listing_imports_nothing_heavy():
    code = (
        "import sys; from palaestra.trainer.cli.main import main; main(['tasks']);"
        "print(sorted({'torch','transformers','datasets','numpy','sympy','tyro','pyarrow'} & "
        "set(sys.modules)),"
        " sum(not name.startswith('palaestra') for name in sys.modules) < 240, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] True"


FIXTURES = Path(__file__).parents[2] / "fixtures"
NO_LANDLOCK = {"landlock": "the kernel has no Landlock", "cgroup": "none can be made"}
PLUS = ("humaneval_plus", "--data", str(FIXTURES / "humaneval_plus.jsonl"))


@pytest.fixture
def no_landlock(monkeypatch):
    """As on a kernel without Landlock: pools find it missing, and no earlier pool is at hand."""
    monkeypatch.setattr(SandboxPool, "missing_layers", lambda self: NO_LANDLOCK)
    monkeypatch.setattr(pool, "_shared", {})
    monkeypatch.setenv(ALLOW_WEAK, "0")
    yield
    for made in pool._shared.values():
        made.close()


def test_programs_are_not_run_below_the_required_layers_unless_that_is_allowed(capsys, no_landlock, tmp_path):
    rows = tmp_path / "completions.jsonl"
    row = {"id": "humaneval_plus/test/0", "completion": "```python\ndef tenth(x):\n    return x * 0.1\n```"}
    rows.write_text(json.dumps(row) + "\n")
    commands = [
        ("task", "show", *PLUS, "--split", "test"),
        ("task", "check", *PLUS),
        ("score", *PLUS, str(rows)),
    ]
    for command in commands:
        code, out, err = run(capsys, *command)
        assert (code, out) == (2, "")
        assert "no Landlock" in err
        assert err.rstrip().endswith("--allow-weak-sandbox.")
    for command in (commands[0], commands[2]):
        code, out, err = run(capsys, *command, "--allow-weak-sandbox")
        assert code == 0
        assert "Sandbox layers: namespaces, root, rlimits, privileges, seccomp\n" in err
        assert "reward 1, passed" in out or '"passed": true' in out


def test_a_task_that_runs_no_programs_names_no_layers(capsys, no_landlock):
    code, _, err = run(capsys, "task", "show", "addition")
    assert code == 0
    assert "andbox" not in err
