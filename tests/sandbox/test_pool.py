"""The pool: threads, asyncio, deadlines, and that nothing is left behind."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from palaestra.sandbox import Call, Limits, SandboxPool, SandboxUnavailable, channel, default_workers, layers
from palaestra.sandbox.inside import seccomp

DOUBLE = "def f(x):\n    return 2 * x"
LOOP = "def f(x):\n    while True: pass"


def descendants(process: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{process}/task"):
            for child in Path(f"/proc/{process}/task/{task}/children").read_text().split():
                found |= {int(child), *descendants(int(child))}
    return found


def test_many_threads_share_few_sandboxes():
    with SandboxPool(2) as pool, ThreadPoolExecutor(8) as threads:
        done = list(
            threads.map(lambda x: pool.run_tests(DOUBLE, "f", [Call((x,), expected=2 * x)]).passed, range(40))
        )
    assert done == [True] * 40


def test_asyncio():
    async def main() -> list[bool]:
        with SandboxPool(2) as pool:
            runs = [pool.run_tests_async(DOUBLE, "f", [Call((x,), expected=2 * x)]) for x in range(10)]
            suite = pool.run_suite_async(DOUBLE, ["f"], ["assert f(1) == 2"])
            script = pool.run_script_async("print(1)", "", "1")
            return [outcome.passed for outcome in await asyncio.gather(*runs, suite, script)]

    assert asyncio.run(main()) == [True] * 12


def test_a_loop_is_back_soon_after_its_deadline():
    """At least once of many times: what else the machine does can only delay it."""
    with SandboxPool(1) as pool:
        pool.run_tests(DOUBLE, "f", [Call((1,))])
        for _ in range(40):
            start = time.monotonic()
            assert pool.run_tests(LOOP, "f", [Call((1,))], Limits(wall_s=0.5)).status == "timeout"
            taken = time.monotonic() - start
            if taken < 0.6:
                break
    assert taken < 0.6


def test_limits_hold_for_each_run():
    source = "def f(n):\n    return len(bytearray(n))"
    with SandboxPool(1) as pool:
        call = [Call((100_000_000,), expected=100_000_000)]
        assert pool.run_tests(source, "f", call).passed
        assert not pool.run_tests(source, "f", call, Limits(memory=50_000_000)).passed
        assert pool.run_tests(source, "f", call).passed
    with pytest.raises(ValueError, match="wall_s"):
        Limits(wall_s=0)


def test_closing_leaves_no_process_and_no_descriptor():
    before, mine = set(os.listdir("/proc/self/fd")), descendants(os.getpid())
    pool = SandboxPool(2)
    pool.run_suite(DOUBLE, ["f"], ["assert f(1) == 2"])
    assert descendants(os.getpid()) - mine
    pool.close()
    pool.close()
    assert not descendants(os.getpid()) - mine
    assert set(os.listdir("/proc/self/fd")) <= before
    with pytest.raises(RuntimeError, match="closed"):
        pool.run_tests(DOUBLE, "f", [])


def test_a_killed_parent_leaves_no_process():
    code = (
        "import sys; from palaestra.sandbox import *; p = SandboxPool(2)\n"
        f"p.run_tests({DOUBLE!r}, 'f', [Call((1,))]); print('up', flush=True); p.run_tests({LOOP!r}, 'f', "
        "[Call((1,))])"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        children = descendants(parent.pid)
        assert len(children) >= 3
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while alive := [pid for pid in children if os.path.exists(f"/proc/{pid}")]:
        assert time.monotonic() < deadline, f"left: {alive}"
        time.sleep(0.02)


@pytest.mark.parametrize("limits", [None, Limits(memory=256 * 2**20)], ids=["the same limits", "others"])
def test_a_zygote_that_is_killed_is_replaced_and_leaves_no_descriptor(limits):
    before, mine = set(os.listdir("/proc/self/fd")), descendants(os.getpid())
    with SandboxPool(1) as pool:
        assert pool.run_tests(DOUBLE, "f", [Call((1,), expected=2)]).passed
        for pid in descendants(os.getpid()) - mine:
            with contextlib.suppress(OSError):
                if b"zygote" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
        assert pool.run_tests(DOUBLE, "f", [Call((1,), expected=2)], limits).passed
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_sandbox_that_nobody_needed_for_a_while_is_used_as_it_is(monkeypatch):
    """For longer than a process may take to be locked down, by the clock that tells so."""
    with SandboxPool(1) as pool:
        assert pool.run_tests(DOUBLE, "f", [Call((1,), expected=2)]).passed
        before = descendants(os.getpid())
        now = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: now() + 2 * channel.SPAWN_S)
        assert pool.run_tests(DOUBLE, "f", [Call((1,), expected=2)]).passed
        assert len(before & descendants(os.getpid())) >= 2, "its zygote was started anew"


def test_a_sandbox_outlives_the_thread_that_made_it():
    with SandboxPool(1) as pool:
        thread = threading.Thread(target=lambda: pool.run_tests(DOUBLE, "f", [Call((1,))]))
        thread.start()
        thread.join()
        time.sleep(0.1)
        before = descendants(os.getpid())
        assert pool.run_tests(DOUBLE, "f", [Call((1,), expected=2)]).passed
        assert len(before & descendants(os.getpid())) >= 2


def test_a_forked_process_is_told_to_make_its_own():
    with SandboxPool(1) as pool:
        pool._process -= 1
        with pytest.raises(RuntimeError, match="forked"):
            pool.run_tests(DOUBLE, "f", [])
        pool._process += 1


def test_without_a_required_layer_nothing_is_run(monkeypatch):
    monkeypatch.setattr(
        SandboxPool, "missing_layers", lambda self: {"landlock": "the kernel has no Landlock"}
    )
    with SandboxPool(1) as pool, pytest.raises(SandboxUnavailable, match=r"no Landlock.*5\.13"):
        pool.run_tests(DOUBLE, "f", [Call((1,))])
    with SandboxPool(1, allow_weak=True) as pool:
        assert pool.run_tests(DOUBLE, "f", [Call((1,), expected=2)]).passed


@pytest.mark.skipif(os.getuid() != 0, reason="only root's programs run as users of their own")
def test_modules_that_the_programs_users_may_not_read_are_refused_at_the_start_with_the_fix(
    tmp_path, monkeypatch
):
    package = tmp_path / "closed_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    package.chmod(0o700)
    monkeypatch.syspath_prepend(str(tmp_path))
    with SandboxPool(1, modules=("closed_package",)) as pool, pytest.raises(SandboxUnavailable) as refused:
        pool.run_tests(DOUBLE, "f", [Call((1,))])
    assert f"chmod o+x {package}" in str(refused.value)
    package.chmod(0o755)
    with SandboxPool(1, modules=("closed_package",)) as pool:
        assert pool.run_tests(DOUBLE, "f", [Call((1,), expected=2)]).passed


def test_limits_too_small_for_an_import_are_no_reason_to_refuse():
    with SandboxPool(1, Limits(memory=2**20, threads=1, open_files=16)) as pool:
        assert pool.run_tests(DOUBLE, "f", [Call((1,), expected=2)]).passed


def test_layers_are_plain_data_with_advice_for_each_missing_one():
    found = layers()
    assert [layer.name for layer in found] == [
        "namespaces",
        "root",
        "rlimits",
        "privileges",
        "landlock",
        "seccomp",
        "cgroup",
    ]
    assert all(layer.active != bool(layer.advice) for layer in found)


HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


@pytest.mark.parametrize("machine", HEADERS)
def test_system_call_numbers_are_those_of_the_kernel_headers(machine):
    if not os.path.exists(HEADERS[machine]):
        pytest.skip("the kernel's headers are not installed")
    known = {}
    for line in Path(HEADERS[machine]).read_text().splitlines():
        words = line.split()
        if len(words) >= 3 and words[0] == "#define" and words[2].isdigit():
            known[words[1].removeprefix("__NR_").removeprefix("__NR3264_").removeprefix("3264_")] = int(
                words[2]
            )
    column = ["x86_64", "aarch64"].index(machine)
    checked = {n: v[0] for n, v in (seccomp.CHECKED | seccomp.OPEN | seccomp.REFUSED_WITH).items()}
    tables = {**seccomp.ALLOWED, **seccomp.THREAD, **seccomp.CONTROL, **checked}
    wrong = {
        name: (numbers[column], known[name])
        for name, numbers in tables.items()
        if numbers[column] is not None and name in known and numbers[column] != known[name]
    }
    assert not wrong
    assert sum(name in known for name in tables) > 80
    assert len(seccomp.build(machine)) % 8 == 0


def test_an_unknown_processor_is_refused_with_a_sentence():
    with pytest.raises(OSError, match="riscv64"):
        seccomp.build("riscv64")


def test_modules_installed_under_the_scratch_are_set_aside_and_the_tree_stays_whole(tmp_path):
    """An environment under /tmp: the scratch is mounted there too."""
    folder = Path(tempfile.mkdtemp(prefix="palaestra-modules-", dir="/tmp"))
    try:
        (folder / "aside_package").mkdir()
        (folder / "aside_package" / "__init__.py").write_text("")
        (folder / "aside_package" / "late.py").write_text("value = 42")
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]); from palaestra.sandbox import Call, SandboxPool\n"
            "pool = SandboxPool(workers=1, modules=('aside_package',))\n"
            "source = 'def f():\\n    import aside_package.late\\n    return aside_package.late.value'\n"
            "outcome = pool.run_tests(source, 'f', [Call((), {}, 42)])\n"
            "print(outcome.passed, pool.missing_layers()); pool.close()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
        )
    finally:
        shutil.rmtree(folder)
    assert done.stdout.strip() == "True {}"


def test_a_pool_that_is_given_no_number_has_two_workers_for_each_processor(monkeypatch):
    for processors, workers in ((1, 2), (6, 12)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, count=processors: set(range(count)))
        assert default_workers() == workers
        with SandboxPool() as pool:
            assert pool.workers == workers
