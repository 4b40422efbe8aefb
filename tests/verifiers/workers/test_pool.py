"""The worker pool: deadlines by killing, back-pressure, threads, asyncio, memory, shutdown."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Criterion, Rubric
from palaestra.verifiers.types import correct
from palaestra.verifiers.workers.pool import Pool, PoolError

TARGET = "pool_target:work"
PATIENCE_S = 60.0  # on a machine that has other things to do


@pytest.fixture
def pool():
    with Pool(TARGET, workers=2, memory_mb=64) as made:
        made.warm()
        yield made


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_death(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.01)


def test_a_worker_persists_between_calls(pool):
    pids = {pool.call(["pid"], PATIENCE_S).value for _ in range(6)}
    assert len(pids) <= 2
    assert os.getpid() not in pids


def test_a_hung_call_costs_its_deadline_and_its_worker_is_replaced(pool):
    """It would hang for ever, so that a reply shows the deadline."""
    victim = pool.call(["pid"], PATIENCE_S).value
    start = time.perf_counter()
    replies = [pool.call(["hang"], 0.2) for _ in range(2)]
    assert time.perf_counter() - start >= 0.4
    assert [reply.status for reply in replies] == ["timeout", "timeout"]
    assert pool.call(["echo", 7], PATIENCE_S).value == 7
    wait_for_death(victim)


def test_a_call_that_goes_on_does_not_delay_another(pool, tmp_path):
    end = tmp_path / "end"
    long = threading.Thread(target=pool.call, args=(["until", str(end)], PATIENCE_S))
    long.start()
    assert pool.call(["echo", 1], PATIENCE_S).value == 1
    assert long.is_alive()
    end.touch()
    long.join()


def test_more_threads_than_workers_wait_their_turn(pool):
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(pool.call(["sleep", 0.05, n], PATIENCE_S).value))
        for n in range(12)
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(12))
    assert time.perf_counter() - start >= 0.3  # 12 of 50 ms on 2 workers


def test_asyncio_goes_on_while_a_call_runs(pool, tmp_path):
    """The calls end when the loop, which goes round meanwhile, makes their file."""
    end = tmp_path / "end"

    async def main():
        calls = asyncio.gather(*(pool.acall(["until", str(end)], PATIENCE_S) for _ in range(2)))
        for _ in range(20):
            await asyncio.sleep(0.001)
        ahead = not calls.done()
        end.touch()
        return ahead, [reply.value for reply in await calls]

    assert asyncio.run(main()) == (True, ["there", "there"])


def test_what_the_target_raises_is_a_reply_and_keeps_its_worker(pool):
    before = {pool.call(["pid"], PATIENCE_S).value for _ in range(4)}
    reply = pool.call(["raise"], PATIENCE_S)
    assert (reply.status, "no such luck" in reply.reason) == ("error", True)
    assert {pool.call(["pid"], PATIENCE_S).value for _ in range(4)} <= before


@pytest.mark.parametrize("request_", [["memory"], ["exit"], ["unserialisable"]])
def test_a_worker_that_dies_or_eats_memory_is_an_error_and_not_the_end(pool, request_):
    assert pool.call(request_, PATIENCE_S).status == "error"
    assert pool.call(["echo", 3], PATIENCE_S).value == 3


def test_large_requests_and_replies_pass(pool):
    text = "x" * 3_000_000
    assert pool.call(["echo", text], PATIENCE_S).value == text


def test_after_close_there_is_no_process_left_and_a_call_says_so():
    pool = Pool(TARGET, workers=1)
    pid = pool.call(["pid"], PATIENCE_S).value
    pool.close()
    pool.close()
    wait_for_death(pid)
    with pytest.raises(PoolError, match="closed"):
        pool.call(["pid"], 1)


def test_workers_end_when_their_parent_is_killed():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1] / 'support')!r});"
        "from palaestra.verifiers.workers.pool import Pool; pool = Pool('pool_target:work');"
        "print(pool.call(['pid'], 60).value, flush=True); import os; os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    wait_for_death(int(done.stdout))


def test_a_process_that_was_forked_while_a_call_ran_starts_a_pool_of_its_own_and_ends(pool):
    with pool._lock:  # as another thread may hold it at that moment
        child = os.fork()
        if child == 0:
            os._exit(0 if pool.call(["echo", 5], 30).value == 5 and pool.close() is None else 1)
    deadline = time.monotonic() + PATIENCE_S
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    if ended[0] == 0:
        os.kill(child, 9)
    assert ended == (child, 0)
    assert pool.call(["echo", 6], PATIENCE_S).value == 6


def test_a_server_that_cannot_be_started_abstains(monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(24, "Too many open files")

    with Pool(TARGET) as pool:
        monkeypatch.setattr(subprocess, "Popen", refuse)
        criterion = Criterion(
            "pooled", lambda completion, problem: pool.call([], 1) and correct(), render=str
        )
        score = Rubric(criterion).score(Completion("x"), Problem("p", "1"))
    assert score.abstained
    assert "Too many open files" in score.parts["pooled"].reason


def test_a_target_that_does_not_import_is_a_sentence(capfd):
    with Pool("no_such_module:work") as pool, pytest.raises(PoolError, match="does it import"):
        pool.call([], 1)


def test_nonsense_settings_are_refused():
    with pytest.raises(ValueError, match="at least one worker"):
        Pool(TARGET, workers=0)
