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


def test_a_worker_persists_between_calls(pool):
    pids = {pool.call(["pid"], 5).value for _ in range(6)}
    assert len(pids) <= 2
    assert os.getpid() not in pids


def test_a_hung_call_costs_its_deadline_and_its_worker_is_replaced(pool):
    victim = pool.call(["pid"], 5).value
    pool.call(["pid"], 5)
    start = time.perf_counter()
    replies = [pool.call(["hang"], 0.2) for _ in range(2)]
    assert 0.4 <= time.perf_counter() - start < 2
    assert [reply.status for reply in replies] == ["timeout", "timeout"]
    assert pool.call(["echo", 7], 5).value == 7
    deadline = time.monotonic() + 5
    while alive(victim) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(victim)


def test_a_hung_call_does_not_delay_another(pool):
    hung = threading.Thread(target=pool.call, args=(["hang"], 1.5))
    hung.start()
    start = time.perf_counter()
    assert pool.call(["echo", 1], 5).value == 1
    assert time.perf_counter() - start < 1.0
    hung.join()


def test_more_threads_than_workers_wait_their_turn(pool):
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(pool.call(["sleep", 0.05, n], 5).value))
        for n in range(12)
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == list(range(12))
    assert time.perf_counter() - start >= 0.3  # 12 of 50 ms on 2 workers


def test_asyncio_goes_on_while_a_call_runs(pool):
    async def main():
        ticks = 0
        calls = asyncio.gather(*(pool.acall(["sleep", 0.2, n], 5) for n in range(2)))
        while not calls.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks, [reply.value for reply in await calls]

    ticks, values = asyncio.run(main())
    assert values == [0, 1]
    assert ticks > 5


def test_what_the_target_raises_is_a_reply_and_keeps_its_worker(pool):
    before = {pool.call(["pid"], 5).value for _ in range(4)}
    reply = pool.call(["raise"], 5)
    assert (reply.status, "no such luck" in reply.reason) == ("error", True)
    assert {pool.call(["pid"], 5).value for _ in range(4)} <= before


@pytest.mark.parametrize("request_", [["memory"], ["exit"], ["unserialisable"]])
def test_a_worker_that_dies_or_eats_memory_is_an_error_and_not_the_end(pool, request_):
    assert pool.call(request_, 10).status == "error"
    assert pool.call(["echo", 3], 5).value == 3


def test_large_requests_and_replies_pass(pool):
    text = "x" * 3_000_000
    assert pool.call(["echo", text], 10).value == text


def test_after_close_there_is_no_process_left_and_a_call_says_so():
    pool = Pool(TARGET, workers=1)
    pid = pool.call(["pid"], 5).value
    pool.close()
    pool.close()
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)
    with pytest.raises(PoolError, match="closed"):
        pool.call(["pid"], 1)


def test_workers_end_when_their_parent_is_killed():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1] / 'support')!r});"
        "from palaestra.verifiers.workers.pool import Pool; pool = Pool('pool_target:work');"
        "print(pool.call(['pid'], 30).value, flush=True); import os; os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)


def test_a_process_that_was_forked_while_a_call_ran_starts_a_pool_of_its_own_and_ends(pool):
    with pool._lock:  # as another thread may hold it at that moment
        child = os.fork()
        if child == 0:
            os._exit(0 if pool.call(["echo", 5], 5).value == 5 and pool.close() is None else 1)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    if ended[0] == 0:
        os.kill(child, 9)
    assert ended == (child, 0)
    assert pool.call(["echo", 6], 5).value == 6


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
