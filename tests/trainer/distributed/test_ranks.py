"""Which of several processes this is, and the launcher of them."""

import signal
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.cli.main import main
from palaestra.trainer.distributed import ranks
from palaestra.trainer.distributed.ranks import LOST, Place, find_place, launch, speaks

WHOLE = {"RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "node0", "MASTER_PORT": "29500"}


def test_the_place_is_what_torchrun_says():
    assert find_place(WHOLE) == Place(3, 4, 3, 4, "node0", 29500)
    local = {**WHOLE, "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert find_place(local) == Place(3, 4, 1, 2, "node0", 29500)
    with pytest.raises(UserError, match="not set: MASTER_PORT"):
        find_place({name: value for name, value in WHOLE.items() if name != "MASTER_PORT"})
    for wrong in ({"WORLD_SIZE": "four"}, {"RANK": "-1"}, {"LOCAL_RANK": "1.5"}, {"MASTER_PORT": "tcp"}):
        with pytest.raises(UserError, match=f"{next(iter(wrong))}=.*no whole number"):
            find_place({**WHOLE, **wrong})
    for wrong in (
        {"RANK": "4"},
        {"RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": "99999"},
        {"MASTER_PORT": "0"},
    ):
        with pytest.raises(UserError, match="ranks are numbered from 0 to"):
            find_place({**WHOLE, **wrong})


def test_commands_of_one_process_refuse_several(monkeypatch, capsys):
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    assert not speaks()
    assert main(["eval", "--task", "gcd"]) == 2
    assert "`palaestra eval` runs in one process" in capsys.readouterr().err


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the launcher starts in place of palaestra: a script."""

    def use(script: str) -> Path:
        place = tmp_path / "palaestra.py"
        place.write_text(f"import os, signal, sys, time\nrank = int(os.environ['RANK'])\n{script}\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return tmp_path

    return use


def test_the_launcher_starts_every_rank_and_gives_their_code(stand_in):
    said = "' '.join(os.environ[name] for name in ('WORLD_SIZE', 'LOCAL_RANK'))"
    folder = stand_in(f"open(f'{{sys.argv[1]}}{{rank}}', 'w').write({said})")
    assert launch(["seen"], 3) == 0
    assert [(folder / f"seen{rank}").read_text() for rank in range(3)] == ["3 0", "3 1", "3 2"]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("sys.exit(2)", 2),
        ("sys.exit(3) if rank else time.sleep(1000)", LOST),
        ("os.kill(os.getpid(), signal.SIGKILL if rank else signal.SIGSTOP)", LOST),
    ],
)
def test_the_launcher_ends_all_when_one_has_failed(stand_in, monkeypatch, script: str, code: int):
    for name in ("SECONDS_TO_FOLLOW", "SECONDS_AFTER_LOSS", "SECONDS_TO_END"):
        monkeypatch.setattr(ranks, name, 0.2)
    before = signal.getsignal(signal.SIGTERM)
    stand_in(script)
    assert launch(["x"], 2) == code
    assert signal.getsignal(signal.SIGTERM) == before
