"""An engine on a vLLM server: one that is started for it, or one that runs already."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ....tasks.core.errors import UserError
from ...config.engine import EngineConfig
from ...model.cache_folder import find_cache_folder
from ...model.machine import give_back_cached_memory
from ...model.policy import Policy
from . import ipc, sleep
from .engine import VLLMEngine
from .install import find_python
from .server import LOG, Launch, Server
from .sleep import SleepMode
from .transfer import FileTransfer, Transfer
from .weights import list_names, write_model
from .wire import EngineError, Wire

BLOCK = {"cpu": 32, "cuda": 16}  # tokens in a block of the server's cache, the least that its kernels take
ROOM = 3  # times the weights that the main memory's file system must have room for
MEMORY_FOLDER = Path("/dev/shm")
LEAST_CACHE, MOST_CACHE = 2**28, 2**32  # bytes of keys and values on a CPU
Say = Callable[[str], None]


@dataclass(frozen=True)
class Needs:
    """What a server must be able to do. rows: completions at once.  longest: tokens of a prompt with its
    completion.  sleeps: give its memory of a GPU back whenever the engine is freed."""

    rows: int
    longest: int
    sleeps: bool = False


def join_server(policy: Policy, config: EngineConfig, needs: Needs) -> VLLMEngine:
    """An engine on a server that runs already. Raises EngineError where it is none that can serve."""
    wire = Wire(config.url.rstrip("/"), config.timeout)
    listed = wire.get("/v1/models")
    entries = listed.get("data") if isinstance(listed, Mapping) else None
    entry = entries[0] if isinstance(entries, list) and entries else None
    if not isinstance(entry, Mapping) or "id" not in entry:
        raise EngineError(f"The server at {config.url} lists no model. Does vLLM listen there?")
    most = entry.get("max_model_len")
    if isinstance(most, int) and most <= needs.longest:
        raise EngineError(
            f"The server at {config.url} takes {most} tokens of a prompt with its completion, and the run "
            f"may have {needs.longest}, with one to spare: start it with --max-model-len {needs.longest + 1},"
            " or lower --max-prompt-tokens and --max-new-tokens."
        )
    name = str(entry["id"])
    if config.folder:
        return VLLMEngine(policy, wire, FileTransfer(wire, Path(config.folder) / "weights"), needs.rows, name)
    folder = make_folder(policy)
    remove = partial(shutil.rmtree, folder, ignore_errors=True)
    return VLLMEngine(policy, wire, FileTransfer(wire, folder / "weights"), needs.rows, name, remove)


def start_server(policy: Policy, config: EngineConfig, needs: Needs, log: Path, say: Say) -> VLLMEngine:
    """An engine on a server of its own, which ends with it. log: folder for what it says.

    Raises UserError where it can't be started, or not be handed weights in the way that was asked for.
    """
    python = find_python(config.python, find_cache_folder())
    with ExitStack() as failed:
        folder = make_folder(policy)
        failed.callback(shutil.rmtree, folder, ignore_errors=True)
        weights = (Path(config.folder) if config.folder else folder) / "weights"
        write_model(policy, weights)
        names = list_names(weights)
        by_handles = choose_handles(policy, config, names, say)
        flags = write_flags(policy, config, needs)
        flags += [*(ipc.FLAGS if by_handles else ()), *((sleep.FLAG,) if needs.sleeps else ()), *config.flags]
        environment = ipc.ENVIRONMENT if by_handles else {}
        launch = Launch(python, weights, folder, log / LOG, flags, environment=environment)
        give_back_cached_memory()  # the server's share must be free as it starts
        server = Server.start(launch, config.timeout, say)
        failed.callback(server.stop)
        transfer: Transfer = FileTransfer(server.wire, weights)
        if by_handles:
            handles = ipc.IpcTransfer(server.wire, names, ipc.CardMemory(policy.device))
            transfer = handles if agree(handles, config, say) else transfer
        failed.pop_all()
    mode = SleepMode(server.wire) if needs.sleeps else None
    return VLLMEngine(policy, server.wire, transfer, needs.rows, end=server.stop, sleep_mode=mode)


def choose_handles(policy: Policy, config: EngineConfig, names: list[str], say: Say) -> bool:
    """Whether a server that is started for a policy is to be handed weights by handles.

    names: of the weights in its files. Raises UserError where that was asked for and can't be.
    """
    if config.weights == "files":
        return False
    hindrance = ipc.find_hindrance(policy, config.flags, names)
    if hindrance and config.weights == "ipc":
        raise UserError(f"--engine-weights ipc can't be: {hindrance}. Leave it out: files go everywhere.")
    if hindrance and policy.device.type == "cuda":
        say(f"Weights go to vLLM by files, and not by handles of the card's memory: {hindrance}.")
    return not hindrance


def agree(handles: ipc.IpcTransfer, config: EngineConfig, say: Say) -> bool:
    """Whether the server takes handles. Raises EngineError where they were asked for and it does not."""
    try:
        handles.agree()
    except EngineError as refusal:
        if config.weights == "ipc":
            raise
        say(f"Weights go to vLLM by files, since it takes no handles of the card's memory: {refusal}")
        return False
    return True


def write_flags(policy: Policy, config: EngineConfig, needs: Needs) -> list[str]:
    """The options of a server of ours: the policy's arithmetic, and log-probabilities as drawn."""
    flags = [
        *("--dtype", str(policy.dtype).removeprefix("torch.")),
        # A row's log-probabilities are asked for with one more token.
        *("--max-model-len", str(needs.longest + 1)),
        *("--max-num-seqs", str(needs.rows)),
        *("--logprobs-mode", "processed_logprobs", "--generation-config", "vllm", "--seed", "0"),
        *("--block-size", str(BLOCK.get(policy.device.type, BLOCK["cuda"]))),
        "--disable-uvicorn-access-log",
    ]
    if policy.device.type == "cpu":
        needed = needs.rows * (needs.longest + 1) * count_cache_bytes(policy)
        cache = min(MOST_CACHE, max(LEAST_CACHE, needed))
        return [*flags, "--enforce-eager", "--kv-cache-memory-bytes", str(cache)]
    return [*flags, "--gpu-memory-utilization", f"{config.memory:g}"]


def count_cache_bytes(policy: Policy) -> int:
    """Bytes of keys and values of one token, as far as the model's settings tell."""
    settings: Any = policy.model.config.get_text_config()
    heads = getattr(settings, "num_key_value_heads", None) or settings.num_attention_heads
    width = getattr(settings, "head_dim", None) or settings.hidden_size // settings.num_attention_heads
    return 2 * settings.num_hidden_layers * heads * width * policy.dtype.itemsize


def make_folder(policy: Policy) -> Path:
    """A folder that only this user can enter, in the main memory where that has room for the weights."""
    size = sum(weight.numel() for weight in policy.model.parameters()) * policy.dtype.itemsize
    roomy = MEMORY_FOLDER.is_dir() and shutil.disk_usage(MEMORY_FOLDER).free > ROOM * size
    return Path(tempfile.mkdtemp(prefix="palaestra-engine-", dir=MEMORY_FOLDER if roomy else None))
