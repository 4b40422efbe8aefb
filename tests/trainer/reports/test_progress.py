"""Progress in a log file: whole lines, a few of them."""

import pytest
from palaestra.trainer.reports import progress
from palaestra.trainer.reports.progress import make_progress_bar


def test_a_log_gets_whole_lines_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with make_progress_bar(total=100, initial=10, desc="GRPO", unit="step") as bar:
        for step in range(11, 101):
            now[0] += 1.0
            bar.set_postfix({"reward": f"{step / 100:.2f}"}, refresh=False)
            bar.update()
    out, err = capsys.readouterr()
    assert out == ""
    assert "\r" not in err
    assert err.splitlines() == [
        "GRPO: step 11 of 100, 1 s each, 89 s left; reward 0.11",
        "GRPO: step 41 of 100, 1 s each, 59 s left; reward 0.41",
        "GRPO: step 71 of 100, 1 s each, 29 s left; reward 0.71",
        "GRPO: step 100 of 100, 1 s each; reward 1.00",
    ]


def test_what_is_iterated_is_counted_and_what_is_disabled_says_nothing(capsys: pytest.CaptureFixture[str]):
    assert list(make_progress_bar([1, 2, 3], desc="sampling", unit="step")) == [1, 2, 3]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("sampling: step 1 of 3")
    assert lines[-1].startswith("sampling: step 3 of 3")
    assert list(make_progress_bar([1, 2], disable=True)) == [1, 2]
    assert list(make_progress_bar([])) == []
    assert capsys.readouterr().err == ""
