"""What runs leave to each other and to the machine: nothing.

That holds also when the parent is killed or namespaces are missing.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from palaestra.sandbox import Call, SandboxPool

PATIENCE_S = 60.0  # on a machine that has other things to do
WHO = "import os\ndef f():\n    return os.getuid()"
LEAVES = "def f():\n    open('left', 'w').write('x' * 1000)\n    while True: pass"
PARENT = (
    "import sys; from palaestra.sandbox import *; p = SandboxPool(2)\n"
    f"p.run_tests({WHO!r}, 'f', [Call()]); print('up', flush=True); p.run_tests({LEAVES!r}, 'f', [Call()])"
)


def mounts_for(parent: int) -> list[str]:
    """What is mounted here for a parent's sandboxes; what others on the machine mount is theirs."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if f"palaestra-{parent}-" in line]


def processes_for(parent: int) -> dict[int, str]:
    """The processes that serve a parent's sandboxes, each with its mount namespace.

    They are known by the command line that they share.
    """
    found = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if f"\0palaestra-{parent}-".encode() in Path(f"/proc/{process}/cmdline").read_bytes():
                found[int(process)] = os.readlink(f"/proc/{process}/ns/mnt")
    return found


def folders_for(parent: int) -> list[str]:
    """The folders of scratches that were made for a parent."""
    return [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(f"palaestra-{parent}-")]


def wait_for_nothing(left_of: Callable[[int], Collection[Any]], parent: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while left := left_of(parent):
        assert time.monotonic() < deadline, f"left: {left}"
        time.sleep(0.02)


def test_a_killed_parent_leaves_no_mount_and_no_file():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        deadline, own = time.monotonic() + PATIENCE_S, set[str]()
        while len(own) < 2:
            assert time.monotonic() < deadline, "the sandboxes have no mount namespaces of their own"
            own = set(processes_for(parent.pid).values()) - {os.readlink("/proc/self/ns/mnt")}
        parent.send_signal(signal.SIGKILL)
    wait_for_nothing(processes_for, parent.pid)
    # No process is in those namespaces any more, so the kernel has taken their mounts down.
    assert not mounts_for(parent.pid)
    assert not folders_for(parent.pid)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give every program a user of its own")
def test_no_two_runs_have_the_same_user():
    with SandboxPool(2) as pool:
        users = [pool.run_tests(WHO, "f", [Call()]).results[0].value for _ in range(12)]
        suite = pool.run_suite(WHO, ["f"], ["import os\nassert os.getuid() not in (0, f())"])
        later = SandboxPool(1)
        with later:
            users.append(later.run_tests(WHO, "f", [Call()]).results[0].value)
    assert len(set(users)) == len(users)
    assert all(user >= 1 << 28 for user in users), "a user that a person or service of the machine may have"
    assert suite.passed, suite


# With the namespaces refused, through a limit that only a user namespace's own root can set on it.
WITHOUT = """
import os, sys, ctypes, subprocess, types
libc = ctypes.CDLL(None, use_errno=True)
user, group = os.getuid(), os.getgid()
assert libc.unshare(0x10000000) == 0, os.strerror(ctypes.get_errno())
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
    open(f"/proc/self/{name}", "w").write(text)
for kind in ("user", "mnt", "net", "pid", "ipc", "uts"):
    open(f"/proc/sys/user/max_{kind}_namespaces", "w").write("0")
"""


def degraded(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in an environment in which no namespace can be made; its sandboxes leave no folder."""
    command = [sys.executable, "-c", WITHOUT + script, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    ) as process:
        out, errors = process.communicate(timeout=300)
    if "AssertionError" in errors and "Operation not permitted" in errors:
        pytest.skip("this user can make no user namespace, in which the test would forbid further ones")
    assert not folders_for(process.pid)
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def test_without_namespaces_layers_says_so_and_the_required_ones_hold():
    script = (
        "import json\nfrom palaestra.sandbox import *\n"
        "print(json.dumps([[l.name, l.active, l.reason, l.advice] for l in layers()]))\n"
        "with SandboxPool(1) as pool:\n"
        "    o = pool.run_tests('def f(x): return 2 * x', 'f', [Call((2,), expected=4)])\n"
        "    print(json.dumps([o.passed, o.layers, o.reason]))\n"
    )
    done = degraded(script)
    assert done.returncode == 0, done.stderr
    found, run = map(json.loads, done.stdout.splitlines())
    missing = {name: (reason, advice) for name, active, reason, advice in found if not active}
    grouped = [] if missing.pop("cgroup", None) else ["cgroup"]
    assert set(missing) == {"namespaces", "root"}
    assert "No space left on device" in missing["namespaces"][0]
    assert "user.max_user_namespaces" in missing["namespaces"][1]
    assert run == [True, ["rlimits", "privileges", "landlock", "seccomp", *grouped], ""]


def test_without_namespaces_hostile_programs_are_held():
    root, here = Path(__file__).parents[2], Path(__file__).parent / "support"
    script = (
        f"sys.argv = ['canaries.py', {str(root)!r}, '6', 'degraded']\nsys.path.insert(0, {str(here)!r})\n"
    )
    done = degraded(script + "import canaries\ncanaries.main()\n")
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_namespaces_folders_nested_beyond_any_recursion_are_the_programs_fault_and_are_removed():
    source = (
        "import os\ndef f(n):\n    for _ in range(n):\n        os.mkdir('d'); open('x', 'w').close(); "
        "os.chdir('d')\n"
        "    return 'escaped'"
    )
    script = (
        "from palaestra.sandbox import *\nwith SandboxPool(1, Limits(wall_s=20)) as pool:\n"
        f"    print(pool.run_tests({source!r}, 'f', [Call((1100,), expected=1)]).status.value)\n"
    )
    done = degraded(script)
    assert done.stdout == "completed\n", done.stderr


# Root with all its users, as in a container that refuses namespaces. The numbers are written by the parent,
# who may.
ROOT_WITHOUT = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
ready, go = os.pipe(), os.pipe()
process = os.fork()
if process == 0:
    assert libc.unshare(0x10000000) == 0, os.strerror(ctypes.get_errno())
    os.write(ready[1], b"x"); os.read(go[0], 1)
    for kind in ("user", "mnt", "net", "pid", "ipc", "uts"):
        open(f"/proc/sys/user/max_{kind}_namespaces", "w").write("0")
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
if os.read(ready[0], 1):
    for kind in ("uid", "gid"):
        open(f"/proc/{process}/{kind}_map", "w").write("0 0 4294967295")
    os.write(go[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root's programs run as users of their own")
def test_without_namespaces_an_interpreter_in_a_closed_home_is_refused_with_the_fix():
    script = (
        "from palaestra.sandbox import *\nwith SandboxPool(1) as pool:\n"
        "    try: print(pool.run_tests('import colorsys, csv\\ndef f(): return 1', 'f', "
        "[Call(expected=1)]).passed)\n"
        "    except SandboxUnavailable as refused: print(refused)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ROOT_WITHOUT, script], capture_output=True, text=True, timeout=300, cwd="/"
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("this root can make no user namespace")
    closed = [folder for folder in Path(os.__file__).parents if folder.stat().st_mode & 0o1 == 0]
    assert done.returncode == 0, done.stderr
    assert f"chmod o+x {closed[-1]}" in done.stdout if closed else done.stdout == "True\n"


def test_without_namespaces_a_killed_parent_leaves_no_file_and_no_process():
    script = f"""
parent = subprocess.Popen([sys.executable, "-c", {PARENT!r}], stdout=subprocess.PIPE, text=True)
assert parent.stdout.readline() == "up\\n"
import glob, time
deadline = time.monotonic() + {PATIENCE_S}
while not glob.glob(f"{tempfile.gettempdir()}/palaestra-{{parent.pid}}-*/*/left"):
    assert time.monotonic() < deadline, "no program wrote to its scratch"
    time.sleep(0.01)
parent.kill()
parent.wait()
print(parent.pid)
"""
    done = degraded(script)
    assert done.returncode == 0, done.stderr
    wait_for_nothing(folders_for, int(done.stdout))
    wait_for_nothing(processes_for, int(done.stdout))
