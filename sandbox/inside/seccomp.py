"""The seccomp allow-list: which system calls a program may make, as a BPF program.

What is not listed fails with EPERM (or the errno below), so that a right program which tries something
needless goes on. A call made for another architecture kills the process. No sockets to anything outside
(`socketpair` alone, which asyncio's event loop is built on), no exec, no new process (threads only), no kill,
ptrace, keyrings, System V or POSIX queues, memfd, io_uring, namespaces, mounts, BPF, perf.

Nor anything by which a program could leave a trace in a file that outlives it, or hold up others who use that
file: locks, leases and notifications, advice about cached pages, nameless files (they move the scratch's
counter of inodes alone). A record lock is granted without asking the kernel: a process does not conflict with
itself, and nobody else uses its files. Where programs have no file tree of their own, to change rights or
times does nothing: Landlock would let an owner do it to any file.

Source: seccomp(2), Documentation/userspace-api/seccomp_filter.rst; numbers from asm/unistd_64.h (x86_64) and
asm-generic/unistd.h (aarch64).
"""

from __future__ import annotations

import platform
import struct

_LOAD, _JUMP, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_AT_LEAST, _JUMP_SET, _RETURN = (
    0x20,
    0x05,
    0x15,
    0x25,
    0x35,
    0x45,
    0x06,
)
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS, _ENOTTY, _ENOTSUP = 1, 38, 25, 95
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: (x86_64, aarch64); None where the architecture has no such call
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "stat": (4, None), "fstat": (5, 80),
    "lstat": (6, None), "poll": (7, None), "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226),
    "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "pread64": (17, 67), "pwrite64": (18, 68), "readv": (19, 65),
    "writev": (20, 66), "access": (21, None), "pipe": (22, None), "select": (23, None),
    "sched_yield": (24, 124), "mremap": (25, 216), "madvise": (28, 233), "dup": (32, 23), "dup2": (33, None),
    "pause": (34, None), "nanosleep": (35, 101), "getitimer": (36, 102), "alarm": (37, None),
    "setitimer": (38, 103), "getpid": (39, 172), "sendfile": (40, 71), "exit": (60, 93), "uname": (63, 160),
    "fsync": (74, 82), "fdatasync": (75, 83), "truncate": (76, 45), "ftruncate": (77, 46),
    "getdents64": (217, 61), "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "rename": (82, None),
    "mkdir": (83, None), "rmdir": (84, None), "creat": (85, None), "link": (86, None), "unlink": (87, None),
    "symlink": (88, None), "readlink": (89, None), "chmod": (90, None), "fchmod": (91, 52),
    "umask": (95, 166), "gettimeofday": (96, 169), "getrlimit": (97, 163), "getrusage": (98, 165),
    "sysinfo": (99, 179), "times": (100, 153), "getuid": (102, 174), "getgid": (104, 176),
    "geteuid": (107, 175), "getegid": (108, 177), "getppid": (110, 173), "getpgrp": (111, None),
    "getgroups": (115, 158), "getresuid": (118, 148), "getresgid": (120, 150), "getpgid": (121, 155),
    "getsid": (124, 156), "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137),
    "rt_sigsuspend": (130, 133), "sigaltstack": (131, 132), "utime": (132, None), "statfs": (137, 43),
    "fstatfs": (138, 44), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126), "arch_prctl": (158, None),
    "gettid": (186, 178), "time": (201, None), "futex": (202, 98), "sched_getaffinity": (204, 123),
    "epoll_create": (213, None), "set_tid_address": (218, 96), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "exit_group": (231, 94), "epoll_wait": (232, None), "epoll_ctl": (233, 21), "utimes": (235, None),
    "mkdirat": (258, 34), "newfstatat": (262, 79), "unlinkat": (263, 35), "renameat": (264, 38),
    "linkat": (265, 37), "symlinkat": (266, 36), "readlinkat": (267, 78), "fchmodat": (268, 53),
    "faccessat": (269, 48), "pselect6": (270, 72), "ppoll": (271, 73), "set_robust_list": (273, 99),
    "get_robust_list": (274, 100), "utimensat": (280, 88), "epoll_pwait": (281, 22), "fallocate": (285, 47),
    "eventfd2": (290, 19), "epoll_create1": (291, 20), "dup3": (292, 24), "pipe2": (293, 59),
    "preadv": (295, 69), "pwritev": (296, 70), "getcpu": (309, 168), "renameat2": (316, 276),
    "getrandom": (318, 278), "membarrier": (324, 283), "copy_file_range": (326, 285), "rseq": (334, 293),
    "close_range": (436, 436), "faccessat2": (439, 439),
}  # fmt: skip
# name: (numbers, index of the argument, its allowed values, errno otherwise)
CHECKED: dict[str, tuple[tuple[int, int], int, tuple[int, ...], int]] = {
    # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what opening and closing files needs
    "ioctl": ((16, 29), 1, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451), _ENOTTY),
    "prctl": ((157, 167), 0, (15, 16), _EPERM),  # a thread's name
    "prlimit64": ((302, 261), 0, (0,), _EPERM),  # its own limits, which it can only lower
    "socketpair": ((53, 199), 0, (1,), _EPERM),  # AF_UNIX
    "sendto": ((44, 206), 4, (0,), _EPERM),  # no address
    "recvfrom": ((45, 207), 4, (0,), _EPERM),
}
# F_DUPFD .. F_SETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ, F_GET_SEALS; no owner, lease, notification,
# question about locks
CONTROL: dict[str, tuple[int, int]] = {"fcntl": (72, 25)}
_CONTROLS = (0, 1, 2, 3, 4, 1030, 1032, 1034)
_RECORD_LOCKS = (6, 7)  # F_SETLK, F_SETLKW
# name: (numbers, index of the argument with the flags); all but nameless files
OPEN: dict[str, tuple[tuple[int | None, int | None], int]] = {
    "open": ((2, None), 1),
    "openat": ((257, 56), 2),
}
_TMPFILE = 0o20000000
THREAD = {"clone": (56, 220)}  # only with CLONE_THREAD
REFUSED_WITH: dict[str, tuple[tuple[int, int], int]] = {
    "clone3": ((435, 435), _ENOSYS),  # the C library then falls back on clone, whose flags can be checked
    "openat2": ((437, 437), _ENOSYS),
    # it tells when a scratch was made; the C library then falls back on fstatat
    "statx": ((332, 291), _ENOSYS),
    "fadvise64": ((221, 223), 0), "readahead": ((187, 213), 0),  # advice may be ignored
    "setxattr": ((188, 5), _ENOTSUP), "lsetxattr": ((189, 6), _ENOTSUP), "fsetxattr": ((190, 7), _ENOTSUP),
    "getxattr": ((191, 8), _ENOTSUP), "lgetxattr": ((192, 9), _ENOTSUP), "fgetxattr": ((193, 10), _ENOTSUP),
    "listxattr": ((194, 11), _ENOTSUP), "llistxattr": ((195, 12), _ENOTSUP),
    "flistxattr": ((196, 13), _ENOTSUP),
}  # fmt: skip
_RIGHTS_AND_TIMES = ("chmod", "fchmod", "fchmodat", "utime", "utimes", "utimensat")
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000


def _pack(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, k)


def _fail(errno: int) -> bytes:
    return _pack(_RETURN, _ERRNO | errno)


def build(machine: str | None = None, rooted: bool = True) -> bytes:
    """The filter for a processor (`platform.machine()` by default). Raises OSError for one without a table.

    rooted: whether programs have a read-only file tree of their own.
    """
    machine = machine or platform.machine()
    if machine not in _ARCH:
        raise OSError(
            _ENOSYS, f"There is no system-call table for the processor {machine}; use x86_64 or aarch64."
        )
    column = list(_ARCH).index(machine)
    leaves = {n: _pack(_RETURN, _ALLOW) for pair in ALLOWED.values() if (n := pair[column]) is not None}
    for numbers, argument, values, errno in CHECKED.values():
        leaves[numbers[column]] = _check_argument(argument, values, errno)
    for numbers in CONTROL.values():
        granted = [_pack(_LOAD, 24), *[_act_if_equal(value, _fail(0)) for value in _RECORD_LOCKS]]
        leaves[numbers[column]] = b"".join(granted) + _check_argument(1, _CONTROLS, _EPERM)
    for pair, argument in OPEN.values():
        if (n := pair[column]) is not None:
            rest = [
                _pack(_LOAD, 16 + 8 * argument),
                _pack(_JUMP_SET, _TMPFILE, 0, 1),
                _fail(_ENOTSUP),
                _pack(_RETURN, _ALLOW),
            ]
            leaves[n] = b"".join(rest)
    for numbers in THREAD.values():
        rest = [
            _pack(_LOAD, 16),
            _pack(_JUMP_SET, _CLONE_THREAD, 0, 1),
            _pack(_RETURN, _ALLOW),
            _fail(_EPERM),
        ]
        leaves[numbers[column]] = b"".join(rest)
    if not rooted:
        leaves |= {n: _fail(0) for name in _RIGHTS_AND_TIMES if (n := ALLOWED[name][column]) is not None}
        leaves |= {
            n: _fail(_EPERM) for n in (ALLOWED["truncate"][column],) if n is not None
        }  # Landlock: since 6.2
    for numbers, errno in REFUSED_WITH.values():
        leaves[numbers[column]] = _fail(errno)
    head = [_pack(_LOAD, 4), _pack(_JUMP_EQUAL, _ARCH[machine], 1, 0), _pack(_RETURN, _KILL), _pack(_LOAD, 0)]
    if machine == "x86_64":
        head += [_pack(_JUMP_GREATER, _X32 - 1, 0, 1), _pack(_RETURN, _KILL)]
    return b"".join(head) + _search(_make_segments(leaves))


def _make_segments(leaves: dict[int, bytes]) -> list[tuple[int, bytes]]:
    """What to do from a number on up to the next entry, over all numbers."""
    refused = _fail(_EPERM)
    segments = [(0, refused)]
    for number in range(max(leaves) + 2):
        if (action := leaves.get(number, refused)) != segments[-1][1]:
            segments.append((number, action))
    return segments[1:] if segments[1][0] == 0 else segments


def _search(segments: list[tuple[int, bytes]]) -> bytes:
    """Binary search for a number.

    The kernel tries a filter on every number when it is installed, so a short way for each counts: a list of
    comparisons one after another costs 0.2 ms more per process.
    """
    if len(segments) == 1:
        return segments[0][1]
    middle = len(segments) // 2
    below, above = _search(segments[:middle]), _search(segments[middle:])
    skip = len(below) // 8
    start = segments[middle][0]
    if skip < 256:
        return _pack(_JUMP_AT_LEAST, start, skip, 0) + below + above
    return _pack(_JUMP_AT_LEAST, start, 0, 1) + _pack(_JUMP, skip) + below + above


def _check_argument(argument: int, values: tuple[int, ...], errno: int) -> bytes:
    """Allow a call when the argument, all 64 bits of it, is one of `values`."""
    low, high = 16 + 8 * argument, 20 + 8 * argument
    rest = [_pack(_LOAD, high), _pack(_JUMP_EQUAL, 0, 1, 0), _fail(errno), _pack(_LOAD, low)]
    rest += [_act_if_equal(value, _pack(_RETURN, _ALLOW)) for value in values]
    return b"".join([*rest, _fail(errno)])


def _act_if_equal(value: int, action: bytes) -> bytes:
    """Take an action, one instruction long, when what was loaded is `value`."""
    return _pack(_JUMP_EQUAL, value, 0, 1) + action
