"""`palaestra report` and `palaestra plot` from the command line."""

import pytest
from palaestra.trainer.cli.main import main

from ..support.run_folders import make_evaluated, make_noise, make_run


def test_a_report_lies_in_the_run_or_where_it_is_asked(tmp_path, capsys):
    run = make_run(tmp_path / "run")
    assert main(["report", str(run)]) == 0
    assert "report.html" in capsys.readouterr().out
    assert (run / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert main(["report", str(run), "--out", str(tmp_path / "new" / "page.html")]) == 0
    assert (tmp_path / "new" / "page.html").is_file()


def test_what_does_not_fit_is_said(tmp_path, capsys):
    run = make_run(tmp_path / "run", steps=400, texts=make_noise(3200))
    assert main(["report", str(run), "--max-mb", "0.5"]) == 0
    assert "of 3,200 completions did not fit into 0.5 MB" in capsys.readouterr().out
    assert (run / "report.html").stat().st_size < 500_000


def test_lines_that_are_left_out_are_said(tmp_path, capsys):
    folder = make_evaluated(tmp_path / "eval")
    path = folder / "completions.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, "[]", lines[0]]) + "\n")
    assert main(["report", str(folder)]) == 0
    assert f"2 line(s) of {path} hold no completion, or one that is there already" in capsys.readouterr().out


def test_figures(tmp_path, capsys):
    run = make_run(tmp_path / "run")
    assert main(["plot", str(run), "--measure", "reward"]) == 0
    assert (run / "plot.svg").is_file()
    assert main(["plot", str(run), "--list"]) == 0
    assert "held-out\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["report"], "required"),
        (["report", "nowhere"], "There is no folder nowhere"),
        (["report", "RUN", "--max-mb", "0"], "give 0.5 to 500"),
        (["report", "RUN", "--port", "70000"], "give 0 to 65535"),
        (["report", "RUN", "--out", "RUN"], "is a folder"),
        (["report", "RUN", "--out", "RUN/rollouts.jsonl"], "a page ends with .html"),
        (["plot", "RUN", "--measure", "rewad"], "Did you mean reward"),
        (["plot", "RUN", "--over", "weeks"], "give step, tokens, hours"),
        (["plot", "RUN", "--dpi", "1"], "give 30 to 1200"),
    ],
)
def test_mistakes_are_sentences(tmp_path, capsys, arguments, sentence):
    run = make_run(tmp_path / "run")
    rows = (run / "rollouts.jsonl").read_bytes()
    assert main([argument.replace("RUN", str(run)) for argument in arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert (run / "rollouts.jsonl").read_bytes() == rows
