"""The kernel's isolation primitives by ctypes: namespaces, mounts, capabilities, Landlock, seccomp.

Only system calls that the standard library lacks are here. Every function raises OSError with the
call's name.
Sources: man pages unshare(2), setns(2), pivot_root(2), mount_setattr(2), landlock(7), seccomp(2),
capabilities(7).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 1024, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAP_VERSION_3 = 0x20080522

# The same on every architecture since they were added.
_SYS_MOUNT_SETATTR = 442
_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_ADD, _SYS_LANDLOCK_RESTRICT = 444, 445, 446
_NUMBERS = {"x86_64": {"pivot_root": 155, "capset": 126}, "aarch64": {"pivot_root": 41, "capset": 91}}

_libc = ctypes.CDLL(None, use_errno=True)
_libc_with_interpreter = ctypes.PyDLL(None, use_errno=True)  # its calls keep the interpreter's lock


def _check_result(name: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def _syscall(name: str, number: int, *arguments: object) -> int:
    return _check_result(name, _libc.syscall(ctypes.c_long(number), *arguments))


def _find_number(name: str) -> int:
    try:
        return _NUMBERS[platform.machine()][name]
    except KeyError:
        raise OSError(38, f"{name}: not known for the processor {platform.machine()}") from None


def unshare(flags: int) -> None:
    _check_result("unshare", _libc.unshare(ctypes.c_int(flags)))


def setns(descriptor: int, flags: int) -> None:
    _check_result("setns", _libc.setns(ctypes.c_int(descriptor), ctypes.c_int(flags)))


def fork() -> int:
    """As os.fork, for a process with one thread, without the interpreter's preparations for others.

    Those (locks made anew, `random` seeded, the table of threads rebuilt) write to some 100 pages that
    the processes could go on sharing. With the interpreter's lock held over the call, its state is the
    same on both sides.
    """
    return _check_result("fork", _libc_with_interpreter.fork())


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()
    )
    _check_result(f"mount {target}", result)


def make_read_only(target: str, devices: bool = False) -> None:
    """Everything mounted at and under `target` becomes read-only and without setuid.

    Device files work on demand.
    """
    attributes = struct.pack("QQQQ", _ATTR_RDONLY | _ATTR_NOSUID | (0 if devices else _ATTR_NODEV), 0, 0, 0)
    _syscall(
        f"mount_setattr {target}",
        _SYS_MOUNT_SETATTR,
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(target.encode()),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.c_char_p(attributes),
        ctypes.c_size_t(len(attributes)),
    )


def pivot_root(new_root: str) -> None:
    """Make the mount `new_root` the root directory and let go of the old one."""
    os.chdir(new_root)
    _syscall("pivot_root", _find_number("pivot_root"), ctypes.c_char_p(b"."), ctypes.c_char_p(b"."))
    _check_result("umount2", _libc.umount2(b".", _MNT_DETACH))
    os.chdir("/")


def _prctl(name: str, *arguments: int) -> int:
    return _check_result(
        f"prctl {name}", _libc.prctl(*map(ctypes.c_ulong, (*arguments, *[0] * (5 - len(arguments)))))
    )


def die_with_parent() -> None:
    _prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, 9)


def forbid_new_privileges() -> None:
    _prctl("PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, 1)


def forbid_dumps() -> None:
    _prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, 0)


def drop_bounding_set() -> None:
    """No program started from here can gain a capability, whatever its file says."""
    for capability in range(64):
        try:
            _prctl("PR_CAPBSET_DROP", _PR_CAPBSET_DROP, capability)
        except OSError:
            return  # past the last capability this kernel knows, or not allowed to drop any


def drop_capabilities() -> None:
    _prctl("PR_CAP_AMBIENT", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header, data = struct.pack("Ii", _CAP_VERSION_3, 0), bytes(24)
    _syscall("capset", _find_number("capset"), ctypes.c_char_p(header), ctypes.c_char_p(data))


def set_seccomp(program: bytes) -> None:
    """Install a BPF program (array of sock_filter) for this process; it can't be taken off again."""
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    _prctl("PR_SET_SECCOMP", 22, 2, ctypes.cast(ctypes.c_char_p(filter_program), ctypes.c_void_p).value or 0)


def read_landlock_abi() -> int:
    """Version of Landlock that the kernel offers; 0 when it has none."""
    result = _libc.syscall(ctypes.c_long(_SYS_LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(1))
    return max(0, result)


_FS_READ = 1 << 2 | 1 << 3
_FS_ALL = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
# read and write files, list and make directories, remove, rename, link, truncate:
# all but device files and sockets
_FS_WRITE = _FS_READ | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 14
_FS_FILE = 1 << 1 | 1 << 2 | 1 << 14


def make_file_rules(readable: list[str], writable: list[str], devices: list[str]) -> int:
    """A Landlock ruleset: what may be read and written.

    Reading under `readable`, everything ordinary under `writable`, reading and writing `devices`.

    Also no TCP (version 4), no signals and abstract sockets to processes outside (version 6). Returns a
    descriptor for `restrict`, which can be used for many processes.
    """
    abi = read_landlock_abi()
    if abi == 0:
        raise OSError(95, "the kernel has no Landlock")
    handled = _FS_ALL[min(abi, 5)]
    attributes = struct.pack("QQQ", handled, 3, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = _syscall(
        "landlock_create_ruleset",
        _SYS_LANDLOCK_CREATE,
        ctypes.c_char_p(attributes),
        ctypes.c_size_t(len(attributes)),
        ctypes.c_uint(0),
    )
    try:
        for paths, rights in ((readable, _FS_READ), (writable, _FS_WRITE), (devices, _FS_FILE)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
    except BaseException:  # raised again: only the descriptor must not leak
        os.close(ruleset)
        raise
    return ruleset


def restrict(ruleset: int) -> None:
    """Put a Landlock ruleset on this process for good."""
    _syscall("landlock_restrict_self", _SYS_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0))


def _allow(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            rights &= _FS_FILE
        rule = struct.pack("=Qi", rights, descriptor)
        _syscall(
            f"landlock_add_rule {path}",
            _SYS_LANDLOCK_ADD,
            ctypes.c_int(ruleset),
            ctypes.c_int(1),
            ctypes.c_char_p(rule),
            ctypes.c_uint(0),
        )
    finally:
        os.close(descriptor)
