"""Checkpoints written by another thread: of the weights at the moment, complete or not at all, and no failure
is lost."""

import errno
import threading
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import RunError, UserError
from palaestra.trainer.storage import checkpoint
from palaestra.trainer.storage.atomic import DiskError
from palaestra.trainer.storage.background import Saver, Twin, copy_to_host, saves_in_background
from torch import nn

PATIENCE_S = 600
SETTINGS = ("auto", "yes", "no")


def test_what_is_written_is_what_was_there_when_it_was_asked_for(tmp_path: Path):
    saver, module, go_on = Saver(background=True), nn.Linear(3, 3), threading.Event()
    state = {"moments": torch.zeros(4), "steps": [torch.ones(2), 5]}
    taken, kept = saver.take_model(module), saver.take_state(state)
    before = module.weight.detach().clone()

    def write() -> None:
        assert go_on.wait(PATIENCE_S)
        torch.save([taken.state_dict(), kept], tmp_path / "written")

    saver.run("It", write)
    with torch.no_grad():  # the steps go on while it is written
        module.weight.add_(1)
        state["moments"].add_(1)
    go_on.set()
    saver.wait()
    weights, states = torch.load(tmp_path / "written", weights_only=True)
    assert torch.equal(weights["weight"], before)
    assert torch.equal(states["moments"], torch.zeros(4))
    assert torch.equal(saver.take_model(module).weight, module.weight), "the next one has the weights of then"


def test_the_twin_shares_nothing_and_keeps_what_is_tied():
    module = nn.ModuleDict({"a": nn.Linear(3, 3, bias=False), "b": nn.Linear(3, 3, bias=False)})
    module["b"].weight = module["a"].weight
    module.register_buffer("seen", torch.zeros(1))
    twin = Twin(module)
    assert twin.module["a"].weight is twin.module["b"].weight
    assert twin.module["a"].weight.data_ptr() != module["a"].weight.data_ptr()
    module.seen.add_(2)
    assert float(twin.module.seen) == 0
    twin.refresh()
    assert float(twin.module.seen) == 2
    assert not any(weight.requires_grad for weight in twin.module.parameters())


def test_by_itself_it_copies_nothing_and_writes_at_once():
    saver, module, state, done = Saver(background=False), nn.Linear(2, 2), {"t": torch.ones(1)}, []
    assert saver.take_model(module) is module
    assert saver.take_state(state) is state
    saver.run("It", lambda: done.append(threading.current_thread()))
    assert done == [threading.main_thread()]


@pytest.mark.parametrize(
    ("failure", "kind", "says"),
    [
        (DiskError("The disk is full."), DiskError, "The disk is full."),
        (OSError(errno.EIO, "Input/output error"), RunError, "Step 3 could not be written: OSError"),
        (KeyError("bug"), RunError, "Step 3 could not be written: KeyError: 'bug'."),
    ],
)
def test_a_failure_of_the_thread_ends_the_run_with_a_sentence(
    failure: Exception, kind: type[UserError], says: str
):
    def fail() -> None:
        raise failure

    for ask in ("check", "wait", "run"):
        saver = Saver(background=True)
        saver.run("Step 3", fail)
        saver._join()
        with pytest.raises(kind, match=says):
            saver.run("Step 4", lambda: None) if ask == "run" else getattr(saver, ask)()
        saver.check()  # told once
    with pytest.raises(kind), Saver(background=True) as saver:
        saver.run("Step 3", fail)


def test_what_ended_the_run_is_told_and_what_was_being_written_is_there():
    done: list[int] = []

    def take_steps() -> None:
        with Saver(background=True) as saver:
            saver.run("It", lambda: done.append(1))
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        take_steps()
    assert done == [1]


def test_after_a_second_interrupt_nothing_waits_and_nothing_unfinished_appears(tmp_path: Path):
    go_on, written = threading.Event(), threading.Event()

    def write_model(folder: Path) -> None:
        (folder / "model").write_text("weights")
        written.set()
        assert go_on.wait(PATIENCE_S)

    saver = Saver(background=True)

    def take_steps() -> None:
        with saver:
            saver.run("It", lambda: checkpoint.save(tmp_path, 1, write_model, {}, {}, saver.wanted) and None)
            assert written.wait(PATIENCE_S)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_steps()
    assert checkpoint.list_checkpoints(tmp_path) == [], "it did not wait"
    go_on.set()
    saver._join()
    assert list(tmp_path.iterdir()) == []


def test_on_a_gpu_it_is_another_thread_s_work_and_elsewhere_where_asked():
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    found = {setting: [saves_in_background(setting, each) for each in (gpu, cpu)] for setting in SETTINGS}
    assert found == {"auto": [True, False], "yes": [True, True], "no": [False, False]}


def test_a_copy_keeps_types_and_shares_no_memory():
    tensor = torch.arange(3)
    copied = copy_to_host({"a": (tensor, None), "b": [1.5, "x"]})
    assert copied["a"][0].data_ptr() != tensor.data_ptr()
    assert (copied["a"][1], copied["b"]) == (None, [1.5, "x"])
