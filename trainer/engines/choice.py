"""The engine that the settings ask for, ready to sample from a policy."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ..config.engine import EngineConfig
from ..model.cache_folder import find_cache_folder
from ..model.policy import Policy
from .base import Engine
from .local import LocalEngine
from .vllm.engine import VLLMEngine
from .vllm.install import find_python
from .vllm.server import LOG, Launch, Server
from .vllm.weights import write_model
from .vllm.wire import EngineError, Wire

ROWS = 256  # asked for at once where nothing else is
BLOCK = {"cpu": 32, "cuda": 16}  # tokens in a block of the server's cache, the least that its kernels take
ROOM = 3  # times the weights that the main memory's file system must have room for
MEMORY_FOLDER = Path("/dev/shm")
LEAST_CACHE, MOST_CACHE = 2**28, 2**32  # bytes of keys and values on a CPU
Say = Callable[[str], None]


@dataclass(frozen=True)
class Extent:
    """rows: completions at once; None: as many as the engine is good for.  longest: tokens of a prompt with
    its completion.  fast: whether the local engine takes its fast path."""

    rows: int | None
    longest: int
    fast: bool = True


def describe_engine(engine: Engine) -> dict[str, Any]:
    """What of an engine goes on a run's record."""
    return {"engine": engine.facts} if isinstance(engine, VLLMEngine) else {}


def make_engine(policy: Policy, config: EngineConfig, extent: Extent, log: Path, say: Say) -> Engine:
    """An engine for a policy, whose weights it has from its first `load` on. log: folder for what a server
    says.

    Raises UserError where it can't be started.
    """
    if config.kind == "local":
        return LocalEngine(policy, extent.rows, fast=extent.fast)
    rows = ROWS if extent.rows is None else extent.rows
    if config.url:
        return _join_server(policy, config, rows, extent.longest)
    return _start_server(policy, config, rows, extent.longest, log, say)


def make_beside(engine: Engine, policy: Policy, rows: int, *, fast: bool) -> Engine:
    """One more engine of the same kind, for another policy, in another thread. fast: see `Extent`.

    Raises UserError for a kind of which there can't be two.
    """
    if isinstance(engine, VLLMEngine):
        return engine.join(policy, rows)
    if not isinstance(engine, LocalEngine):
        raise UserError(
            f"There can't be a second {type(engine).__name__}, with weights of its own to sample from: leave "
            "out --staleness."
        )
    return LocalEngine(policy, rows, fast=fast)


def _join_server(policy: Policy, config: EngineConfig, rows: int, longest: int) -> VLLMEngine:
    """An engine on a server that runs already. Raises EngineError where it is none that can serve."""
    wire = Wire(config.url.rstrip("/"), config.timeout)
    listed = wire.get("/v1/models")
    entries = listed.get("data") if isinstance(listed, Mapping) else None
    entry = entries[0] if isinstance(entries, list) and entries else None
    if not isinstance(entry, Mapping) or "id" not in entry:
        raise EngineError(f"The server at {config.url} lists no model. Does vLLM listen there?")
    most = entry.get("max_model_len")
    if isinstance(most, int) and most <= longest:
        raise EngineError(
            f"The server at {config.url} takes {most} tokens of a prompt with its completion, and the run "
            f"may have {longest}, with one to spare: start it with --max-model-len {longest + 1}, or lower "
            "--max-prompt-tokens and --max-new-tokens."
        )
    name = str(entry["id"])
    if config.folder:
        return VLLMEngine(policy, wire, Path(config.folder) / "weights", rows, name)
    folder = make_folder(policy)
    remove = partial(shutil.rmtree, folder, ignore_errors=True)
    return VLLMEngine(policy, wire, folder / "weights", rows, name, remove)


def _start_server(
    policy: Policy, config: EngineConfig, rows: int, longest: int, log: Path, say: Say
) -> VLLMEngine:
    python = find_python(config.python, find_cache_folder())
    with ExitStack() as failed:
        folder = make_folder(policy)
        failed.callback(shutil.rmtree, folder, ignore_errors=True)
        weights = (Path(config.folder) if config.folder else folder) / "weights"
        write_model(policy, weights)
        flags = [*write_flags(policy, config, rows, longest), *config.flags]
        launch = Launch(python, weights, folder, log / LOG, flags)
        server = Server.start(launch, config.timeout, say)
        failed.pop_all()
    return VLLMEngine(policy, server.wire, weights, rows, end=server.stop)


def write_flags(policy: Policy, config: EngineConfig, rows: int, longest: int) -> list[str]:
    """The options of a server of ours: the policy's arithmetic, and log-probabilities as drawn."""
    flags = [
        *("--dtype", str(policy.dtype).removeprefix("torch.")),
        *("--max-model-len", str(longest + 1)),  # a row's log-probabilities are asked for with one more token
        *("--max-num-seqs", str(rows)),
        *("--logprobs-mode", "processed_logprobs", "--generation-config", "vllm", "--seed", "0"),
        *("--block-size", str(BLOCK.get(policy.device.type, BLOCK["cuda"]))),
        "--disable-uvicorn-access-log",
    ]
    if policy.device.type == "cpu":
        needed = rows * (longest + 1) * count_cache_bytes(policy)
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
