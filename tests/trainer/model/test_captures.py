"""Recorded steps: what a tape replays is what a CUDA graph would, and each shape is recorded once."""

import contextlib
import itertools
import weakref

import pytest
import torch
from palaestra.trainer.model.captures import CapturedSteps, CudaRecorder, Tape

X, Y = torch.zeros(3), torch.zeros(3)


@pytest.fixture(autouse=True)
def buffers():
    X.copy_(torch.tensor([1.0, 2.0, 3.0]))
    Y.zero_()


def run_step() -> None:
    """Views, results of their own, and changes in place."""
    doubled = 2 * X.view(3, 1).expand(3, 2).reshape(6)[::2]
    Y.add_(doubled)
    Y[1:].mul_(doubled.softmax(0)[1:])


def test_a_replay_computes_from_what_the_buffers_hold_now():
    tape = Tape(run_step)
    assert not Y.any(), "recording leaves what the step writes as it was"
    run_step()
    wanted = Y.clone()
    Y.zero_()
    tape.replay()
    assert torch.equal(Y, wanted)
    X.mul_(3.0)
    tape.replay()
    run_step_result = wanted.clone()
    Y_now, doubled = Y.clone(), 2 * X
    run_step_result.add_(doubled)[1:].mul_(doubled.softmax(0)[1:])
    assert torch.equal(Y_now, run_step_result)


def test_python_around_the_operations_is_not_run_again():
    ran = []

    def step() -> None:
        ran.append(len(ran))
        Y.fill_(float(len(ran)))

    tape = Tape(step)
    for _ in range(3):
        tape.replay()
    assert ran == [0]
    assert Y.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "look", [lambda: X.nonzero(), lambda: X.sum().item(), lambda: X[X > 1], lambda: bool(X.any())]
)
def test_a_step_that_looks_at_a_value_can_t_be_captured(look):
    with pytest.raises(RuntimeError, match="can't look at values"):
        Tape(look)
    Tape(lambda: X[torch.tensor([0, 2])])  # places are no marks


def test_each_shape_is_recorded_once_until_its_buffers_are_gone():
    steps, ran = CapturedSteps(Tape), []

    def step() -> None:
        ran.append("")
        Y.add_(1.0)

    for shape in ("a", "a", "b", "a", "b"):
        steps.run(shape, step)
    assert steps.captures == 2
    assert len(ran) == 4, "for each shape once to compute it, and once to record it"
    assert Y.tolist() == [5.0] * 3, "whichever way, a step is done once"
    steps.forget()
    steps.run("a", step)
    assert steps.captures == 3
    assert Y.tolist() == [6.0] * 3


def test_cuda_graphs_share_a_pool_for_as_long_as_one_of_them_lives(monkeypatch: pytest.MonkeyPatch):
    """As torch has it: a pool ends with the last graph in it, and nothing is captured into it again."""
    members: dict[int, weakref.WeakSet] = {}

    class Graph:
        def pool(self) -> int:
            return next(handle for handle, graphs in members.items() if self in graphs)

        def replay(self) -> None:
            run_step()

    @contextlib.contextmanager
    def capture(graph: Graph, pool: int, capture_error_mode):
        assert capture_error_mode == "thread_local"  # other threads may be at work beside it
        assert pool not in members or len(members[pool]), "the pool has ended"
        yield
        members.setdefault(pool, weakref.WeakSet()).add(graph)

    numbers = itertools.count()
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: next(numbers))
    steps = CapturedSteps(CudaRecorder())
    for shape in ("a", "b", "c"):
        steps.run(shape, run_step)
    assert list(members) == [0]
    steps.forget()
    for shape in ("a", "b"):
        steps.run(shape, run_step)
    assert list(members) == [0, 1]
    assert steps.captures == 5
