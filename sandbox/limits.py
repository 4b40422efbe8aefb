"""What one run may use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one run. Whatever goes over one of them ends the run or raises inside the program.

    wall_s: seconds from sending the program to the end of its last test; the parent kills it then.
    cpu_s: seconds of processor time over all its threads; the kernel kills it then (whole
        seconds, rounded up).
    memory: bytes of address space beyond the interpreter's own. In a control group, all that the program
        takes, files and the kernel's share included, is limited to memory + scratch and a margin.
    scratch: bytes of files in /tmp, the one writable place.  files: number of files there.
    output: bytes of standard output and of standard error, each; a run that writes more is ended.
    input: bytes of standard input; a problem that has more is refused with ValueError. So is one
        with a call whose arguments take more than memory / 32 in the encoding of `plain`: a program
        could not take them in.
    result: bytes of all claimed outputs of a run together, in the encoding of `plain`.
    threads: threads at a time, the first included. One that was waited for counts until the kernel has let go
        of it, so 64 are enough for programs that use 32 at a time. No program may start another process.
    open_files: file descriptors at a time.
    """

    wall_s: float = 10.0
    cpu_s: float = 10.0
    memory: int = 512 * MIB
    scratch: int = 16 * MIB
    files: int = 256
    output: int = MIB
    input: int = 256 * MIB
    result: int = 4 * MIB
    threads: int = 64
    open_files: int = 64

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise ValueError(f"The limit {name} is {value}; give a number above 0.")

    @property
    def prepared(self) -> dict[str, Any]:
        """The part that is set in a process before it is given a program."""
        names = ("cpu_s", "memory", "scratch", "files", "threads", "open_files")
        return {name: getattr(self, name) for name in names}
