"""Inside the sandbox: the one-shot process that is locked down first and given a program afterwards.

Nothing here has to be kept from the program, which shares its address space: this code holds no expected
value, and all that it sends are claims, which the program could write to the channel itself.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import resource
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from . import harness, kernel

_CHANNEL, RULES = 3, 4
_STACK = 64 * 2**20
_THREAD_STACK = 8 * 2**20
_LEAST_STACK = 2**18
_PAGE = 2**16  # at most, on any processor


@dataclass(frozen=True)
class Lockdown:
    """What is applied to children with the same limits.

    Made ahead, since what a child computes itself costs it copies of the pages that it shares
    with the zygote.

    resources: (RLIMIT_..., soft, hard).
    stack: bytes for each further thread, unless the program says otherwise.
    program: the seccomp filter, empty where there can't be one.
    missing: layers that can't be had, each with the reason.  ready: the frame that says so.
    """

    resources: list[tuple[int, int, int]]
    stack: int
    program: bytes
    missing: dict[str, str]
    ready: bytes

    def apply(self, user: int | None, rules: int | None, failed: dict[str, str]) -> bytes:
        """Returns the frame that names what is missing now.

        user: numeric user and group to become; None where only one is mapped.
        rules: descriptor of the Landlock ruleset.
        failed: what has failed before, and is missing too.
        """
        steps: list[tuple[str, Callable[[], None]]] = [
            ("rlimits", self._limit_resources),
            ("privileges", lambda: _give_up_privileges(user)),
        ]
        if rules is not None:
            steps.append(("landlock", lambda: _restrict_files(rules)))
        if self.program:
            steps.append(("seccomp", lambda: kernel.set_seccomp(self.program)))
        for name, step in steps:
            try:
                step()
            except (OSError, ValueError) as failure:
                failed[name] = str(failure)
        return encode_ready(self.missing | failed) if failed else self.ready

    def _limit_resources(self) -> None:
        for number, soft, hard in self.resources:
            resource.setrlimit(number, (soft, hard))
        threading.stack_size(self.stack)


def prepare(
    limits: dict[str, Any], base_memory: int, program: bytes, missing: dict[str, str], others: int
) -> Lockdown:
    """base_memory: bytes of address space of the interpreter with its preloaded modules.

    others: processes and threads of the same user that count as well.
    """
    memory = base_memory + limits["memory"]
    seconds = math.ceil(limits["cpu_s"])
    tasks = limits["threads"] + others
    resources = [
        ("AS", memory, memory),
        ("CPU", seconds, seconds + 1),
        ("FSIZE", limits["scratch"], limits["scratch"]),
        ("NOFILE", limits["open_files"], limits["open_files"]),
        ("NPROC", tasks, tasks),
        ("STACK", _STACK, _STACK),
        ("CORE", 0, 0),
        ("MEMLOCK", 0, 0),
        ("MSGQUEUE", 0, 0),
        ("SIGPENDING", 64, 64),
        ("NICE", 0, 0),
        ("RTPRIO", 0, 0),
    ]
    numbered = [(getattr(resource, f"RLIMIT_{name}"), soft, hard) for name, soft, hard in resources]
    # The stacks of all threads together take at most half of the address space.
    stack = min(
        _THREAD_STACK, max(_LEAST_STACK, limits["memory"] // (2 * limits["threads"]) // _PAGE * _PAGE)
    )
    return Lockdown(numbered, stack, program, missing, encode_ready(missing))


def encode_ready(missing: dict[str, str]) -> bytes:
    body = json.dumps({"missing": missing}).encode()
    return len(body).to_bytes(4, "big") + body


def _give_up_privileges(user: int | None) -> None:
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    kernel.drop_capabilities()
    kernel.forbid_dumps()
    kernel.forbid_new_privileges()
    kernel.die_with_parent()  # again: changing the user takes it off


def _restrict_files(rules: int) -> None:
    try:
        kernel.restrict(rules)
    finally:
        os.close(rules)


def run(
    lockdown: Lockdown,
    scratch: str,
    namespace: int | None,
    user: int | None,
    rules: int | None,
    doors: Sequence[int],
    descriptors: Sequence[int],
) -> NoReturn:
    """Lock this process down, say so, and serve one program until the parent has enough.

    namespace: descriptor of the mount namespace in which `scratch` is.  doors: of the control group.
    descriptors: standard input, output, errors, channel; no other stays open.
    """
    try:
        failed = _join(doors)
        kernel.die_with_parent()
        os.setsid()
        if namespace is not None:
            kernel.setns(namespace, kernel.CLONE_NEWNS)
        os.chdir(scratch)
        kept = _arrange_descriptors(descriptors, rules)
        frame = lockdown.apply(user, kept, failed)
        gc.enable()
        os.write(_CHANNEL, frame)
        harness.Harness(_CHANNEL).serve()
    except BaseException as failure:  # noqa: BLE001 - a forked copy of the zygote must not go on as one, whatever happens
        with contextlib.suppress(OSError):
            os.write(2, f"{type(failure).__name__}: {failure}\n".encode())
    os._exit(70)


def _join(doors: Sequence[int]) -> dict[str, str]:
    """Enter the control group, first of all, so that it counts every page this process makes its own."""
    try:
        for door in doors:
            os.write(door, b"0")
    except OSError as failure:
        return {"cgroup": f"The program's process can't enter its control group: {failure.strerror}."}
    return {}


def _arrange_descriptors(descriptors: Sequence[int], rules: int | None) -> int | None:
    """0: a memory file to be read, 1, 2: pipes, 3: the channel.

    Nothing else stays open but `rules`, whose new number is returned. The zygote keeps 0 to 4 occupied, so
    that no move overwrites one still to be moved.
    """
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    if rules is not None:
        os.dup2(rules, RULES, inheritable=False)
    os.closerange(_CHANNEL + (1 if rules is None else 2), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return None if rules is None else RULES


def open_text_streams() -> None:
    """New standard streams for descriptors 0 to 2, made once in the zygote and used by its children.

    They remember whether one can seek in them, so they are made on descriptors of the kind that
    the children have.
    """
    reading, writing = os.pipe()
    for number in (1, 2):
        kept = os.dup(number)
        os.dup2(writing, number)
        stream = _open_text(number, "w", "backslashreplace", *([1] if number == 2 else []))
        os.dup2(kept, number)
        os.close(kept)
        name = ("stdout", "stderr")[number - 1]
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.close(reading)
    os.close(writing)
    sys.stdin = sys.__stdin__ = _open_text(0, "r", "surrogateescape")


def _open_text(descriptor: int, mode: str, errors: str, buffering: int = -1) -> Any:
    return open(descriptor, mode, buffering, encoding="utf-8", errors=errors, closefd=False)
