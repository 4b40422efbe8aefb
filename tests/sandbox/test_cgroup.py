"""Control groups: where they can be made, what they hold and leave.

The first on made-up trees, the second where this machine has them.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import canaries
import pytest
from palaestra.sandbox import MIB, Call, Limits, SandboxPool, cgroup, cgroupfs, layers

ROOT = Path(__file__).parents[2]
FILES = {
    1: (
        "tasks",
        "memory.oom_control",
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
        "memory.swappiness",
        "pids.max",
    ),
    2: ("cgroup.procs", "memory.events", "memory.max", "memory.swap.max", "pids.max"),
}
PATIENCE_S = 60.0  # on a machine that has other things to do
V2 = "0::/user.slice/palaestra.scope\n"


def mounted(*lines: tuple[str, Path, str, str, str]) -> str:
    """Each: the mount's root in its hierarchy, its place, its options, its kind, the hierarchy's options."""
    return "".join(
        f"{30 + i} 20 0:{i} {root} {str(point).replace(' ', chr(92) + '040')} {options} shared:{i} - {kind} "
        f"{kind} {states}\n"
        for i, (root, point, options, kind, states) in enumerate(
            [("/", Path("/"), "rw", "ext4", "rw"), *lines]
        )
    )


def unified(tmp_path: Path, controllers: str) -> Path:
    scope = tmp_path / "unified" / "user.slice" / "palaestra.scope"
    scope.mkdir(parents=True)
    (scope / "cgroup.controllers").write_text(controllers)
    (scope / "cgroup.subtree_control").write_text("")
    (scope / "cgroup.procs").write_text(f"{os.getpid()}\n")
    return scope


def test_version_1_is_found_in_its_two_hierarchies(tmp_path):
    point = tmp_path / "with space"
    mounts = mounted(
        ("/", point / "unified", "rw", "cgroup2", "rw"),
        ("/", point / "memory", "rw,relatime", "cgroup", "rw,memory"),
        ("/", point / "pids", "rw", "cgroup", "rw,pids"),
    )
    own = "5:pids:/\n4:memory:/a/b\n1:name=systemd:/x\n0::/\n"
    assert cgroupfs.locate(own, mounts) == (f"{point}/memory/a/b", f"{point}/pids", False)


def test_version_1_in_a_container_is_found_under_the_containers_own_group(tmp_path):
    mounts = mounted(("/docker/c1", tmp_path / "both", "rw", "cgroup", "rw,memory,pids"))
    own = "4:memory,pids:/docker/c1/job\n"
    assert cgroupfs.locate(own, mounts) == (f"{tmp_path}/both/job", f"{tmp_path}/both/job", False)
    with pytest.raises(cgroupfs.Unavailable, match="outside of what is mounted"):
        cgroupfs.locate("4:memory,pids:/docker/c10\n", mounts)


def test_version_2_is_found_with_both_controllers_also_from_the_subgroup(tmp_path):
    scope = unified(tmp_path, "cpu memory pids\n")
    mounts = mounted(("/", tmp_path / "unified", "rw,nosuid", "cgroup2", "rw,nsdelegate"))
    assert cgroupfs.locate(V2, mounts) == (str(scope), str(scope), True)
    assert cgroupfs.locate(V2.strip() + f"/{cgroupfs.MAIN}\n", mounts) == (str(scope), str(scope), True)


def test_what_is_missing_is_said(tmp_path):
    unified(tmp_path, "cpu pids\n")
    with pytest.raises(cgroupfs.Unavailable, match="not given the controllers"):
        cgroupfs.locate(V2, mounted(("/", tmp_path / "unified", "rw", "cgroup2", "rw")))
    with pytest.raises(cgroupfs.Unavailable, match="read-only"):
        cgroupfs.locate(V2, mounted(("/", tmp_path / "unified", "ro", "cgroup2", "rw")))
    with pytest.raises(cgroupfs.Unavailable, match="read-only"):
        cgroupfs.locate("4:memory:/\n5:pids:/\n", mounted(("/", tmp_path, "ro", "cgroup", "rw,memory")))
    with pytest.raises(cgroupfs.Unavailable, match="No control groups are mounted"):
        cgroupfs.locate(V2, mounted())
    with pytest.raises(cgroupfs.Unavailable, match="in no control group"):
        cgroupfs.locate("", mounted())


@pytest.fixture
def born_with_files(monkeypatch):
    """New folders hold a group's files, as the kernel's do, and can be removed with them.

    Returns the names removed.
    """
    make, take, removed = os.mkdir, os.rmdir, set()

    def mkdir(path, mode=0o777, *, dir_fd=None):
        make(path, mode, dir_fd=dir_fd)
        for name in {*FILES[1], *FILES[2]}:
            os.close(os.open(f"{path}/{name}", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=dir_fd))

    def rmdir(path, *, dir_fd=None):
        for name in {*FILES[1], *FILES[2]}:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{path}/{name}", dir_fd=dir_fd)
        take(path, dir_fd=dir_fd)
        removed.add(path)

    monkeypatch.setattr(os, "mkdir", mkdir)
    monkeypatch.setattr(os, "rmdir", rmdir)
    return removed


@pytest.mark.parametrize("version", [1, 2])
def test_a_group_is_limited_by_its_files_and_says_once_that_the_kernel_killed(
    tmp_path, born_with_files, version
):
    folder = os.open(tmp_path, os.O_RDONLY)
    group = cgroup.Group(cgroupfs.Place(folder, folder, version == 2))
    group.limit(123456, 7)
    made = {name: (tmp_path / group.name / name).read_text() for name in FILES[version]}
    if version == 1:
        limits = {
            "memory.limit_in_bytes": "123456",
            "memory.memsw.limit_in_bytes": "123456",
            "memory.swappiness": "0",
        }
        events, killed = "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"
    else:
        limits = {"memory.max": "123456", "memory.swap.max": "0"}
        events, killed = "memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n"
    assert limits.items() <= made.items()
    assert made["pids.max"] == "7"
    assert not group.was_killed()
    (tmp_path / group.name / events).write_text(killed)
    assert group.was_killed()
    assert not group.was_killed()
    group.remove()
    group.remove()
    assert born_with_files == {group.name}
    os.close(folder)


def test_a_delegated_group_is_vacated_and_given_back(tmp_path, born_with_files):
    scope = unified(tmp_path, "memory pids")
    folder = os.open(scope, os.O_RDONLY)
    cgroupfs._vacate(folder)
    assert (scope / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert (scope / cgroupfs.MAIN / "cgroup.procs").read_text() == str(os.getpid())
    (scope / "palaestra-1-2-3-4").touch()  # as long as anybody has groups here
    cgroupfs._restore(folder)
    assert (scope / cgroupfs.MAIN).exists()
    (scope / "palaestra-1-2-3-4").unlink()
    cgroupfs._restore(folder)
    assert (scope / "cgroup.subtree_control").read_text() == "-memory -pids"
    assert not (scope / cgroupfs.MAIN).exists()
    os.close(folder)


def test_a_group_with_processes_of_others_is_left_as_it_is(tmp_path, born_with_files):
    scope = unified(tmp_path, "memory pids")
    (scope / "cgroup.procs").write_text(f"{os.getpid()}\n{os.getppid()}\n")
    folder = os.open(scope, os.O_RDONLY)
    with pytest.raises(cgroupfs.Unavailable, match="holds 1 other processes"):
        cgroupfs._vacate(folder)
    os.close(folder)
    assert (scope / "cgroup.subtree_control").read_text() == ""
    assert not (scope / cgroupfs.MAIN).exists()


def test_only_the_groups_of_the_dead_are_removed(tmp_path, born_with_files):
    pid, start, namespace = os.getpid(), cgroupfs._read_start(os.getpid()), cgroupfs._read_namespace()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = {f"palaestra-{ended.pid}-{start}-{namespace}-0", f"palaestra-{pid}-{int(start) - 1}-{namespace}-1"}
    kept = {
        f"palaestra-{pid}-{start}-{namespace}-0",
        f"palaestra-{ended.pid}-{start}-{namespace + 1}-0",  # of another pid namespace: who knows
        f"palaestra-{ended.pid}",
        "user.slice",
        cgroupfs.MAIN,
    }
    for name in dead | kept:
        (tmp_path / name).mkdir()
    folder = os.open(tmp_path, os.O_RDONLY)
    cgroupfs.remove_dead(folder)
    os.close(folder)
    assert set(os.listdir(tmp_path)) == kept


def test_without_a_group_everything_works_and_the_advice_is_given(monkeypatch):
    monkeypatch.setattr(cgroupfs, "locate", unavailable)
    with SandboxPool(1) as pool:
        outcome = pool.run_tests("def f(x): return 2 * x", "f", [Call((2,), expected=4)])
    assert outcome.passed
    assert outcome.layers[-1] == "seccomp"
    found = {layer.name: layer for layer in layers()}["cgroup"]
    assert (found.active, found.required, found.reason) == (False, False, "There are none here.")
    assert "systemd-run --user --scope -p Delegate=yes" in found.advice


def unavailable(*_: str):
    raise cgroupfs.Unavailable("There are none here.")


# From here on with the kernel's.


@pytest.fixture(scope="module")
def groups():
    """The folders in which this process's groups are.

    In version 2 they stay vacated for processes started meanwhile.
    """
    layer = {layer.name: layer for layer in layers()}["cgroup"]
    if not layer.active:
        pytest.skip(f"no control group can be made here: {layer.reason}")
    paths = cgroupfs.locate(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())[
        :2
    ]
    folders = [Path(path) for path in dict.fromkeys(paths)]
    before = made(folders)
    held = cgroup.Groups()
    held.open()
    yield folders
    held.close()
    assert made(folders) == before


def made(folders: list[Path], process: int | None = None) -> set[str]:
    """The groups that a process has made, this one where none is named; others on the machine have theirs."""
    prefix = cgroupfs.make_prefix() if process is None else f"{cgroupfs.PREFIX}-{process}-"
    return {name for folder in folders for name in os.listdir(folder) if name.startswith(prefix)}


def gone(folders: list[Path], process: int) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while left := made(folders, process):
        if time.monotonic() > deadline:
            pytest.fail(f"left: {left}")
        time.sleep(0.02)
    return True


# MiB in files, in standard input and on the heap of two threads; each kind stays within its own limit.
SPREAD = """
import os, threading
threading.stack_size(1 << 20)
def f(files, heap):
    kept = []
    with open("file", "wb") as file:
        for _ in range(files[0]): file.write(bytes(1 << 20))
    for _ in range(files[1]): os.write(0, bytes(1 << 20))
    def hold():
        for _ in range(heap // 2): kept.append(b"x" * (1 << 20))
    threads = [threading.Thread(target=hold) for _ in range(2)]
    [t.start() for t in threads]; [t.join() for t in threads]
    return len(kept)
"""
EACH = Limits(memory=192 * MIB, scratch=128 * MIB)


def spread(file: int, stdin: int, heap: int) -> tuple[str, str, list[Call]]:
    return SPREAD, "f", [Call(((file, stdin), heap), expected=heap)]


def test_memory_of_threads_files_and_standard_input_counts_together(groups, monkeypatch):
    before = made(groups)
    with SandboxPool(1) as pool:
        outcome = pool.run_tests(*spread(127, 127, 120), EACH)
        assert outcome.status == "crashed", outcome
        assert "out of memory" in outcome.reason
        assert not outcome.passed
        assert outcome.layers[-1] == "cgroup"
        after = pool.run_tests(*spread(60, 60, 120), EACH)
        assert after.passed, after
    assert made(groups) == before
    monkeypatch.setattr(cgroupfs, "locate", unavailable)
    with SandboxPool(1) as pool:
        without = pool.run_tests(*spread(127, 127, 120), EACH)
    assert without.passed, f"another layer held it as well: {without}"


def test_a_program_that_uses_all_of_its_limits_is_not_killed(groups):
    with SandboxPool(1) as pool:
        outcomes = [
            pool.run_tests(*spread(127, 0, heap), EACH) for heap in (170, 172, 176, 180, 184, 188, 192)
        ]
    full = [outcome for outcome in outcomes if outcome.passed]
    assert full
    assert max(outcome.peak_memory for outcome in full) > 170 * MIB
    assert all(outcome.layers[-1] == "cgroup" for outcome in outcomes)
    assert not [outcome for outcome in outcomes if outcome.status == "crashed"], (
        "where memory ends, Python says so first"
    )


ENTER = "import os, sys\nfor door in sys.argv[1:]: os.write(int(door), b'0')\n"


def test_a_bomb_of_threads_and_one_of_processes_meet_the_limit(groups):
    place = cgroupfs.enter()
    group = cgroup.Group(place)
    group.limit(256 * MIB, 9)
    bomb = (
        "import os, threading, time\nn, m = 0, 0\n"
        "try:\n    while True: threading.Thread(target=time.sleep, args=(30,), daemon=True).start(); n += 1\n"
        "except RuntimeError: pass\n"
        "try:\n    os.fork() or os._exit(0); m += 1\nexcept BlockingIOError: pass\n"
        "print(n, m, flush=True); os._exit(0)"
    )
    try:
        command = [sys.executable, "-c", ENTER + bomb, *map(str, group.doors)]
        done = subprocess.run(command, pass_fds=group.doors, text=True, stdout=subprocess.PIPE)
        assert done.stdout == "8 0\n"
    finally:
        group.remove()
        cgroupfs.leave(place)
    assert group.name not in made(groups)


def test_a_running_program_is_in_a_limited_group_and_nobody_else(groups):
    sleep = (
        "import threading, time\ndef f(): threading.Thread(target=time.sleep, args=(300,)).start(); "
        "time.sleep(300)"
    )
    before = made(groups)
    with SandboxPool(1, Limits(wall_s=2 * PATIENCE_S, threads=5)) as pool:
        assert pool.run_tests("def f(): return 1", "f", [Call(expected=1)]).passed
        thread = threading.Thread(target=pool.run_tests, args=(sleep, "f", [Call()]))
        thread.start()
        tasks: list[int] = []
        deadline = time.monotonic() + PATIENCE_S
        while tasks[-2:] != [1, 2] and time.monotonic() < deadline:
            time.sleep(0.02)
            names = made(groups) - before
            tasks = sorted(int((groups[-1] / name / "pids.current").read_text()) for name in names)
        limits = {(groups[-1] / name / "pids.max").read_text().strip() for name in names}
        inside = [(groups[0] / name / "cgroup.procs").read_text().split() for name in names]
        for process in {int(process) for processes in inside for process in processes}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)  # so that its time need not be waited for
        thread.join()
    assert tasks[-2:] == [1, 2], "the child that waits for the next, and the program with its thread"
    assert "5" in limits
    assert all(len(processes) <= 1 for processes in inside)
    assert all(str(os.getpid()) not in processes for processes in inside)


def test_groups_are_gone_after_close_and_as_few_as_sandboxes(groups):
    before = made(groups)
    with SandboxPool(2) as pool:
        for n in range(12):
            suite = pool.run_suite(
                "def f(x): return x", ["f"], [f"assert f({n}) == {n}"], Limits(memory=(200 + n) * MIB)
            )
            assert suite.passed
            assert "cgroup" in suite.layers
        assert 1 <= len(made(groups) - before) <= 8
    assert made(groups) == before


RUNNING = (
    "from palaestra.sandbox import *; p = SandboxPool(2)\n"
    "p.run_tests('def f(): pass', 'f', [Call()]); print('up', flush=True)\n"
    "p.run_tests('def f():\\n    while True: pass', 'f', [Call()])"
)


def test_a_killed_parent_leaves_no_group(groups):
    with subprocess.Popen([sys.executable, "-c", RUNNING], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        assert made(groups, parent.pid)
        parent.send_signal(signal.SIGKILL)
    assert gone(groups, parent.pid)


def test_what_a_killed_process_left_is_removed_by_the_next_and_a_living_ones_is_not(groups):
    # Whoever opens a pool on this machine removes what the dead have left,
    # so that only the living are looked at in between.
    leave = (
        "import os, sys, time\nfrom palaestra.sandbox import cgroup, cgroupfs\n"
        "p = cgroupfs.enter(); g = cgroup.Group(p); print(g.name in os.listdir(p.memory) and g.name, "
        "flush=True)\n"
        "sys.argv[1:] and sys.stdin.read(); os._exit(9)"
    )
    left = subprocess.run([sys.executable, "-c", leave], capture_output=True, text=True).stdout.strip()
    command = [sys.executable, "-c", leave, "stay"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as alive:
        assert alive.stdout is not None
        living = alive.stdout.readline().strip()
        assert left.startswith(cgroupfs.PREFIX)
        with SandboxPool(1) as pool:
            assert pool.run_tests("def f(): return 1", "f", [Call(expected=1)]).passed
        names = {name for folder in groups for name in os.listdir(folder)}
        assert left not in names
        assert living in names
        alive.communicate()
    with SandboxPool(1) as pool:
        assert pool.run_tests("def f(): return 1", "f", [Call(expected=1)]).passed
        assert not made(groups, alive.pid)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give an ordinary user a group")
def test_an_ordinary_user_with_a_group_of_its_own_is_as_safe(groups):
    """On every ninth program of the battery, as under systemd-run --user -p Delegate=yes."""
    python = canaries.python_of_everyone() if shutil.which("setpriv") else None
    if python is None:
        pytest.skip("an ordinary user can't be become here, or can start no Python 3.11 or newer")
    given = [folder / f"delegated-{os.getpid()}" for folder in groups]
    enter = (
        "import os, sys\nfor folder in sys.argv[2:2 + int(sys.argv[1])]: open(folder + '/cgroup.procs', "
        "'w').write('0')\n"
    )
    leave = "os.execvp(sys.argv[2 + int(sys.argv[1])], sys.argv[2 + int(sys.argv[1]):])"
    battery = [
        *canaries.as_nobody(),
        python,
        str(ROOT / "tests/sandbox/support/canaries.py"),
        str(ROOT),
        "9",
        "grouped",
    ]
    try:
        for folder in given:
            folder.mkdir()
            for name in ("", "cgroup.procs", "cgroup.subtree_control", "tasks"):
                with contextlib.suppress(FileNotFoundError):
                    os.chown(folder / name, 65534, 65534)
        command = [sys.executable, "-c", enter + leave, str(len(given)), *map(str, given), *battery]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=600)
        left = [name for folder in given for name in os.listdir(folder) if name.startswith(cgroupfs.PREFIX)]
    finally:
        for folder in given:
            folder.rmdir()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not left
