"""The folder of a run whose processes share it: rank 0 writes, the others know where."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ..config.train import TrainConfig
from ..distributed.ranks import find_place
from ..distributed.world import World
from ..storage.folders import RunFolder, forget_after, open_new, reopen
from ..storage.interrupts import write_command
from ..storage.names import END, FACTS
from ..storage.records import write_json
from ..storage.starts import begin_folder

Say = Callable[[str], None]


def check_processes(config: TrainConfig) -> None:
    """Raise UserError where a run of several processes was asked for, and this is none of them."""
    if config.ranks.processes > 1 and find_place() is None:
        count = config.ranks.processes
        raise UserError(
            f"processes={count} is started by the command line (palaestra train --processes {count}), or "
            f"from a file of one's own by torchrun: torchrun --nproc-per-node {count} FILE.py"
        )


def choose_say(world: World, say: Say) -> Say:
    """What a run says, from one of its processes."""
    return say if world.writes else lambda _line: None


@contextmanager
def begin_shared_folder(world: World, out: str, name: str, say: Say) -> Iterator[Path]:
    """As `begin_folder`, in the process that writes; the others have its path."""
    if not world.writes:
        path = world.agree(Path())
        watch_over(world, path)
        yield path
        return
    with begin_folder(out, name, say) as path:
        world.agree(path)
        watch_over(world, path)
        yield path


def watch_over(world: World, path: Path) -> None:
    """Let a hang leave the stacks of the processes in the run's folder, and how it ended."""
    if world.watch is None:
        return

    def record(sentence: str) -> None:
        if (path / FACTS).is_file():
            write_json(path / END, {"state": "halted", "reason": sentence, "step": None, "time": time.time()})

    world.watch.keep_stacks_in(path, record, lambda: write_command(RunFolder(path)))


def open_shared(
    world: World, path: Path, config: TrainConfig, facts: Mapping[str, Any], log: Sequence[str]
) -> RunFolder:
    """As `open_new`."""
    return open_new(path, config, facts, log) if world.writes else RunFolder(path, writes=False)


def reopen_shared(world: World, path: Path, config: TrainConfig, step: int) -> RunFolder:
    """As `reopen`, what came after `step` forgotten."""
    world.gather(None)  # all have read what is there
    if not world.writes:
        return RunFolder(path, writes=False)
    forget_after(path, step)
    return reopen(path, config, config.output.log, step)


def take_least(world: World, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes that every process has memory for."""
    found = world.gather(dict(sizes))
    least = {}
    for name, size in sizes.items():
        all_of = [each[name] for each in found]
        least[name] = min(all_of) if isinstance(size, int) else "no" if "no" in all_of else size
    return least
