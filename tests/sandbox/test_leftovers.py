"""What runs leave to each other and to the machine: nothing, also when the parent is killed or namespaces are missing."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from palaestra.sandbox import Call, SandboxPool

WHO = "import os\ndef f():\n    return os.getuid()"
LEAVES = "def f():\n    open('left', 'w').write('x' * 1000)\n    while True: pass"
PARENT = (
    "import sys; from palaestra.sandbox import *; p = SandboxPool(2)\n"
    f"p.run_tests({WHO!r}, 'f', [Call()]); print('up', flush=True); p.run_tests({LEAVES!r}, 'f', [Call()])"
)


def mounts() -> list[str]:
    return sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())


def mount_namespaces() -> dict[str, int]:
    """Every mount namespace that a process is in, by its name, with one such process."""
    found = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            found[os.readlink(f"/proc/{process}/ns/mnt")] = int(process)
        except OSError:
            continue
    return found


def temporary() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("palaestra-")}


def killed_while_running(code: str) -> set[str]:
    """Start a parent, kill it in the middle of a run, and return the mount namespaces its processes were in."""
    before = set(mount_namespaces())
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        time.sleep(0.3)
        during = set(mount_namespaces()) - before
        parent.send_signal(signal.SIGKILL)
    return during


def test_a_killed_parent_leaves_no_mount_and_no_file():
    before, files = mounts(), temporary()
    own = killed_while_running(PARENT)
    assert len(own) >= 2, "the sandboxes had no mount namespaces of their own; this test saw nothing"
    deadline = time.monotonic() + 10
    while left := own & set(mount_namespaces()):
        assert time.monotonic() < deadline, f"left: {left}"
        time.sleep(0.02)
    # No process is in those namespaces any more, so the kernel has taken their mounts down; ours are as they were.
    assert mounts() == before
    assert temporary() == files


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
    """Run a script in an environment in which no namespace can be made."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + script, *arguments], capture_output=True, text=True, timeout=300, cwd="/"
    )
    if "AssertionError" in done.stderr and "Operation not permitted" in done.stderr:
        pytest.skip("this user can make no user namespace, in which the test would forbid further ones")
    return done


def test_without_namespaces_layers_says_so_and_the_required_ones_hold():
    script = (
        "import json\nfrom palaestra.sandbox import *\n"
        "print(json.dumps([[l.name, l.active, l.reason, l.mend] for l in layers()]))\n"
        "with SandboxPool(1) as pool:\n"
        "    o = pool.run_tests('def f(x): return 2 * x', 'f', [Call((2,), expected=4)])\n"
        "    print(json.dumps([o.passed, o.layers, o.reason]))\n"
    )
    done = degraded(script)
    assert done.returncode == 0, done.stderr
    found, run = map(json.loads, done.stdout.splitlines())
    missing = {name: (reason, mend) for name, active, reason, mend in found if not active}
    grouped = [] if missing.pop("cgroup", None) else ["cgroup"]
    assert set(missing) == {"namespaces", "root"}
    assert "No space left on device" in missing["namespaces"][0]
    assert "user.max_user_namespaces" in missing["namespaces"][1]
    assert run == [True, ["rlimits", "privileges", "landlock", "seccomp", *grouped], ""]


def test_without_namespaces_hostile_programs_are_held():
    files = temporary()
    root, here = Path(__file__).parents[2], Path(__file__).parent
    script = f"sys.argv = ['canaries.py', {str(root)!r}, '6', 'degraded']\nsys.path.insert(0, {str(here)!r})\n"
    done = degraded(script + "import canaries\ncanaries.main()\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert temporary() == files


def test_without_namespaces_folders_nested_beyond_any_recursion_are_the_programs_fault_and_are_removed():
    files = temporary()
    source = (
        "import os\ndef f(n):\n    for _ in range(n):\n        os.mkdir('d'); open('x', 'w').close(); os.chdir('d')\n"
        "    return 'escaped'"
    )
    script = (
        "from palaestra.sandbox import *\nwith SandboxPool(1, Limits(wall_s=20)) as pool:\n"
        f"    print(pool.run_tests({source!r}, 'f', [Call((1100,), expected=1)]).status.value)\n"
    )
    done = degraded(script)
    assert done.stdout == "completed\n", done.stderr
    assert temporary() == files


# Root with all its users, as in a container that refuses namespaces. The numbers are written by the parent, who may.
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
def test_without_namespaces_an_interpreter_in_a_closed_home_is_refused_with_the_mend():
    script = (
        "from palaestra.sandbox import *\nwith SandboxPool(1) as pool:\n"
        "    try: print(pool.run_tests('import colorsys, csv\\ndef f(): return 1', 'f', [Call(expected=1)]).passed)\n"
        "    except SandboxUnavailable as refused: print(refused)\n"
    )
    done = subprocess.run([sys.executable, "-c", ROOT_WITHOUT, script], capture_output=True, text=True, timeout=60, cwd="/")
    if "Operation not permitted" in done.stderr:
        pytest.skip("this root can make no user namespace")
    closed = [folder for folder in Path(os.__file__).parents if folder.stat().st_mode & 0o1 == 0]
    assert done.returncode == 0, done.stderr
    assert f"chmod o+x {closed[-1]}" in done.stdout if closed else done.stdout == "True\n"


def test_without_namespaces_a_killed_parent_leaves_no_file_and_no_process():
    files = temporary()
    script = f"""
parent = subprocess.Popen([sys.executable, "-c", {PARENT!r}], stdout=subprocess.PIPE, text=True)
assert parent.stdout.readline() == "up\\n"
import time
time.sleep(0.3)
made = [f"{{d}}/{{n}}" for d, _, names in os.walk({tempfile.gettempdir()!r}) for n in names if n == "left"]
assert made, "no program wrote to its scratch"
parent.kill()
parent.wait()
"""
    done = degraded(script)
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 10
    while left := temporary() - files:
        assert time.monotonic() < deadline, f"left: {left}"
        time.sleep(0.02)
