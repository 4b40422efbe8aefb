"""Inside the sandbox: the process that forks one locked-down child for each program.

`launch` runs in a fresh interpreter (started with exec, empty environment). It leaves for namespaces of its
own, then becomes two processes. The *launcher* waits for the end of either the parent or the zygote, and its
own death takes the zygote along; after a killed parent it tidies up. The *zygote*, process 1 of a pid
namespace, imports the standard library once, enters a read-only tree, and answers requests on a control
socket (one JSON message each):

    {"op": "spawn", "limits": {...}}  ->  {"id": n}
        with descriptors: standard input, perhaps the doors of a control group (cgroup.py); its answer has
        three: channel, standard output, standard error
    {"op": "reap", "id": n}           ->  {"status": wait status, "cpu_s": seconds, "peak_memory": bytes}
    {"op": "end"}                     ->  the process ends

It never reads anything from a program. When it dies, the kernel kills everything in its pid namespace.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import site
import socket
import sys
import time
from typing import Any

from .. import cgroupfs
from . import child, harness, kernel, seccomp, tree
from .scratch import Scratch, Scratches, remove

PRELOADED = [
    "abc", "array", "bisect", "calendar", "cmath", "codecs", "collections", "contextlib", "copy",
    "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "heapq", "inspect", "io",
    "itertools", "json", "math", "numbers", "operator", "queue", "random", "re", "statistics", "string",
    "struct", "textwrap", "threading", "time", "traceback", "types", "typing", "unicodedata",
]  # fmt: skip
_ISOLATED = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWPID
)
USER = 1000
_MANY = 4096
_ORPHANED = 3


def launch(control_descriptor: int, parent: int, prefix: str, *folders: str) -> None:
    """Never returns.

    prefix: how the names of what is made for the parent on the machine begin, control groups and folders.
    folders: descriptors of where its control groups are.
    """
    places = list(map(int, folders))
    guardian = -1
    with contextlib.suppress(ProcessLookupError):
        guardian = os.pidfd_open(parent)
    if os.getppid() != parent:
        cgroupfs.tidy(places, prefix)
        os._exit(1)
    missing: dict[str, str] = {}
    _leave_namespaces(missing)
    folder = _make_shared_folder(prefix) if missing else ""
    zygote = os.fork()
    if zygote == 0:
        os.close(guardian)
        for descriptor in places:
            os.close(descriptor)  # nothing that serves programs holds them
        kernel.die_with_parent()
        with socket.socket(fileno=control_descriptor) as control:
            _serve(control, missing, folder)
        os._exit(_ORPHANED)
    os.close(control_descriptor)
    poller = select.poll()
    poller.register(guardian, select.POLLIN)
    poller.register(os.pidfd_open(zygote), select.POLLIN)
    ended = [descriptor for descriptor, _ in poller.poll()]
    os.kill(zygote, signal.SIGKILL)
    _, status = os.waitpid(zygote, 0)
    if folder:
        _remove(folder)
    # A dying parent's end of the control socket closes first.
    if guardian in ended or os.waitstatus_to_exitcode(status) == _ORPHANED:
        cgroupfs.tidy(places, prefix)
    os._exit(0)


def _make_shared_folder(prefix: str) -> str:
    """A folder on the machine's file system for the scratches, where they can have none of their own."""
    import tempfile  # brings compression libraries, which would lengthen every fork: only where it is needed

    folder = tempfile.mkdtemp(prefix=prefix, dir=tree.SCRATCH)
    os.chmod(folder, 0o711)
    return folder


def _remove(folder: str) -> None:
    """The processes that write there die with the zygote, but not in the same moment."""
    for _ in range(100):
        remove(folder)
        if not os.path.exists(folder):
            return
        time.sleep(0.02)


def _leave_namespaces(missing: dict[str, str]) -> None:
    user, group = os.getuid(), os.getgid()
    try:
        kernel.unshare(_ISOLATED)
    except OSError:
        try:
            kernel.unshare(kernel.CLONE_NEWUSER | _ISOLATED)
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", f"{USER} {user} 1"),
                ("gid_map", f"{USER} {group} 1"),
            ):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
        except OSError as failure:
            missing["namespaces"] = str(failure)
            return
    with contextlib.suppress(OSError):
        socket.sethostname("sandbox")


def _serve(control: socket.socket, missing: dict[str, str], folder: str) -> None:
    config = json.loads(control.recv(65536))
    namespaces = (
        os.open("/proc/self/ns", os.O_RDONLY | os.O_DIRECTORY) if "namespaces" not in missing else None
    )
    _preload(config)
    own_users = os.getuid() == 0 and all(_is_mapped(kind, config["first_user"]) for kind in ("uid", "gid"))
    with open("/proc/self/statm") as file:
        base_memory, resident = (int(pages) * resource.getpagesize() for pages in file.read().split()[:2])
    if namespaces is None:
        missing["root"] = "It needs the namespaces."
    else:
        try:
            tree.enter(config["paths"])
            _look_inside()
        except OSError as failure:
            missing["root"] = str(failure)
    try:
        program = seccomp.build(rooted="root" not in missing)
    except OSError as failure:
        program, missing["seccomp"] = b"", str(failure)
    kernel.drop_bounding_set()
    child.open_text_streams()
    harness.rehearse()
    _set_environment()
    gc.collect()
    gc.disable()
    gc.freeze()
    control.send(json.dumps({"missing": missing, "memory": resident}).encode())
    Zygote(control, namespaces, missing, base_memory, program, config, own_users, folder).serve()


def _set_environment() -> None:
    """What every child is to find, made once here."""
    os.umask(0o077)
    os.environ.clear()
    os.environ.update(HOME=tree.SCRATCH, TMPDIR=tree.SCRATCH, LANG="C.UTF-8")
    harness.seed_generators(0)  # the same program gives the same result each time
    for add in (
        site.setquit,
        site.setcopyright,
        site.sethelper,
    ):  # exit, quit, copyright, credits, license, help
        add()
    while os.open("/dev/null", os.O_RDONLY) <= child.RULES:  # see child._arrange_descriptors
        pass


def _is_mapped(kind: str, number: int) -> bool:
    """Whether a user's or group's number exists in this process's user namespace; in a container few may."""
    with open(f"/proc/self/{kind}_map") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    return any(first <= number < first + count for first, _, count in ranges)


def _preload(config: dict[str, Any]) -> None:
    before = list(sys.path)
    sys.path += config["search"]
    for name in [*PRELOADED, *config["modules"]]:
        importlib.import_module(name)
    with contextlib.suppress(ImportError):
        importlib.import_module("sandbox.inside.restricted")
    sys.path[:] = before + (config["search"] if config["modules"] else [])


def _look_inside() -> None:
    """Let later imports look where the tree has the libraries."""
    for places in [sys.path, *(getattr(module, "__path__", None) for module in list(sys.modules.values()))]:
        if isinstance(places, list):
            places[:] = map(tree.map_path, places)
    sys.path_importer_cache.clear()


class Zygote:
    """Forks children on request; holds their process ids until they are reaped."""

    def __init__(
        self,
        control: socket.socket,
        namespaces: int | None,
        missing: dict[str, str],
        base_memory: int,
        program: bytes,
        config: dict[str, Any],
        own_users: bool,
        folder: str,
    ) -> None:
        self.control = control
        self.missing = missing
        self.folder = folder
        self.own_users = own_users  # whether each child gets a user of its own
        self.lockdowns: dict[bytes, child.Lockdown] = {}  # by the request that asks for them
        self.own_namespace = None if namespaces is None else os.open("pid", os.O_RDONLY, dir_fd=namespaces)
        self.scratches = (
            None
            if namespaces is None or "root" in missing
            else Scratches(tree.SCRATCH, namespaces, self._make_rules)
        )
        self.base_memory = base_memory
        self.program = program
        self.paths: list[str] = config["paths"]
        self.next_user: int = config["first_user"]
        self.used: dict[int, Scratch | str] = {}  # by process: what it may write to

    def serve(self) -> None:
        """Until the parent's end of the control socket closes.

        The process ends when the parent says so before.
        """
        while True:
            message, descriptors, _, _ = socket.recv_fds(self.control, 65536, 3)
            if not message:
                return
            request = json.loads(message)
            if request["op"] == "spawn":
                self._spawn(message, request["limits"], *descriptors)
            elif request["op"] == "end":
                os._exit(0)
            else:
                self.control.send(json.dumps(self._reap(request["id"])).encode())
                self._clean(self.used.pop(request["id"]))  # nobody has to wait for it

    def _spawn(self, message: bytes, limits: dict[str, Any], stdin: int, *doors: int) -> None:
        ours, theirs = socket.socketpair()
        output, output_end = os.pipe()
        errors, errors_end = os.pipe()
        user = self.next_user if self.own_users else None
        self.next_user += 1
        scratch = self._take_scratch(limits, os.getuid() if user is None else user)
        if isinstance(scratch, str):
            path, namespace, rules = scratch, None, self._make_rules(scratch)
            os.environ.update(HOME=scratch, TMPDIR=scratch)
        else:
            path, namespace, rules = tree.SCRATCH, scratch.namespace, scratch.rules
        if (lockdown := self.lockdowns.get(message)) is None:
            # Children that share one user share its limit of processes. In a user namespace of the zygote's
            # own the other processes are few; otherwise there may be any number.
            others = 0 if self.own_users else _MANY if "namespaces" in self.missing else 8
            lockdown = child.prepare(limits, self.base_memory, self.program, dict(self.missing), others)
            self.lockdowns = (
                {**self.lockdowns, message: lockdown} if len(self.lockdowns) < 100 else {message: lockdown}
            )
        if self.own_namespace is not None:
            # Each child is process 1 of a pid namespace of its own. A process that has left its pid namespace
            # can't leave it a second time, so it first returns to its own.
            kernel.setns(self.own_namespace, kernel.CLONE_NEWPID)
            kernel.unshare(kernel.CLONE_NEWPID)
        process = kernel.fork()
        if process == 0:
            child.run(
                lockdown,
                path,
                namespace,
                user,
                rules,
                doors,
                (stdin, output_end, errors_end, theirs.fileno()),
            )
        self.used[process] = scratch
        socket.send_fds(self.control, [b'{"id": %d}' % process], [ours.fileno(), output, errors])
        ours.close()
        theirs.close()
        for descriptor in (stdin, output, output_end, errors, errors_end, *doors):
            os.close(descriptor)
        if isinstance(scratch, str) and rules is not None:
            os.close(rules)

    def _make_rules(self, scratch: str) -> int | None:
        """The Landlock ruleset of a process with this scratch; the reason is kept where there is none."""
        if "landlock" in self.missing:
            return None
        readable = ["/"] if "root" not in self.missing else tree.list_paths(self.paths)
        try:
            return kernel.make_file_rules(readable, [scratch], tree.DEVICES)
        except OSError as failure:
            self.missing["landlock"] = str(failure)
            self.lockdowns = {}
            return None

    def _take_scratch(self, limits: dict[str, Any], user: int) -> Scratch | str:
        """A file system of its own, or without namespaces a folder on the machine's."""
        if self.scratches is not None:
            return self.scratches.take(limits["scratch"], limits["files"], user)
        import tempfile

        path = tempfile.mkdtemp(
            dir=self.folder or tree.SCRATCH
        )  # a default folder would be remembered, and children would inherit it
        os.chown(path, user, user)
        return path

    def _reap(self, process: int) -> dict[str, Any]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        _, status, usage = os.wait4(process, 0)
        return {
            "status": status,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_memory": usage.ru_maxrss * 1024,
        }

    def _clean(self, scratch: Scratch | str) -> None:
        if isinstance(scratch, str):
            remove(scratch)
        elif self.scratches is not None:
            self.scratches.give_back(scratch)
