"""Sizes of a run that fit: rows in the sampler and tokens in a micro-batch, by the bill (`memory.py`).

All amounts are bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...tasks.core.errors import UserError
from ..config.settings import resolve
from ..config.train import TrainConfig
from ..distributed.world import find_world
from .measure import Passes, measure_passes
from .memory import (
    Bill,
    HeldModel,
    available_memory,
    bill,
    count_server_bytes,
    sleeps_between_steps,
    weight_bytes,
)
from .policy import Policy
from .sequences import UPDATE_TOKENS
from .sharded import bill_shard

MOST_TOKENS = {
    "cpu": UPDATE_TOKENS,
    "cuda": 32768,
}  # in a micro-batch; on a CPU larger ones are no faster, only larger
LEAST_TOKENS = 256  # in a micro-batch of a size that is chosen
MOST_ROWS = {"cpu": 256, "cuda": 1024}
MORE_ROWS = 4  # times the rows, for which what the sampler keeps is freed before each update
SHARE = 0.8  # of the free memory that a plan may use


def plan(
    policy: Policy,
    config: TrainConfig,
    held: Sequence[HeldModel] = (),
    available: int | None = None,
    measure: Callable[[Policy, TrainConfig], Passes] = measure_passes,
    shards: int = 1,
    waits: bool = False,
    server: int | None = None,
) -> Bill:
    """Rows and tokens that fit, where the settings leave them open (auto); the settings' own where they
    don't. The fast path, and its copy of the weights, is left out where nothing fits beside it; what the
    sampler keeps during an update is freed where that allows `MORE_ROWS` times the rows, and a server sleeps
    where nothing fits beside it.

    Weights are there already, so only the rest must fit into what is free. measure: finds what the model's
    passes hold.  shards: processes that will hold a share each of the policy, which is whole as yet.
    waits: whether rows wait while worlds answer.  server: bytes of what is available that a server will take;
    None counts them.

    Raises UserError when not even one row of one full-length sequence fits.
    """
    if available is None:
        available = available_memory(policy.device)
    if server is None:
        server = count_server_bytes(policy.device, config.engine)
    free = max(0, available)
    if policy.device.type == "cpu":  # which the processes of this machine share
        free //= find_world().local_size

    def measure_all(policy: Policy, config: TrainConfig) -> Passes:
        return replace(measure(policy, config), waits=waits)

    if policy.device.type != "cuda" or config.rollouts.keep_sampler != "auto":
        return _plan(policy, config, held, free, measure_all, shards, server)
    known: list[Passes] = []

    def measure_once(policy: Policy, config: TrainConfig) -> Passes:
        known[:] = known or [measure_all(policy, config)]
        return known[0]

    freed = _plan(policy, config.but(keep_sampler="no"), held, free, measure_once, shards, server)
    try:
        kept = _plan(policy, config, held, free, measure_once, shards, server)
    except UserError:  # it fits without what is kept
        return freed
    return freed if freed.rows >= MORE_ROWS * kept.rows else kept


def _plan(
    policy: Policy,
    config: TrainConfig,
    held: Sequence[HeldModel],
    free: int,
    measure: Callable[[Policy, TrainConfig], Passes],
    shards: int,
    server: int,
) -> Bill:
    sleeps, passes = bool(server) and sleeps_between_steps(policy.device, config), Passes()
    if not sleeps:
        free, server = max(0, free - server), 0
    longest = config.rollouts.max_prompt_tokens + config.rollouts.max_new_tokens
    kind = policy.device.type
    loaded = weight_bytes(policy.model) + sum(model.weights for model in held if model.loaded)

    def fits(found: Bill) -> bool:
        return found.find_slack(loaded, SHARE) >= 0

    def of(rows: int, tokens: int) -> Bill:
        found = bill(policy, config, held, rows, tokens, free, passes, server)
        return bill_shard(found, policy, shards) if shards > 1 else found

    if config.rollouts.fast_path == "auto" and not fits(of(1, 1)):
        config = config.but(fast_path="no")

    asked, rows_asked = config.optimizer.tokens_per_microbatch, config.rollouts.rows
    tokens, rows = (
        resolve(asked, MOST_TOKENS.get(kind, UPDATE_TOKENS)),
        resolve(rows_asked, MOST_ROWS.get(kind, 256)),
    )
    if not fits(of(1, 1)):  # then there is no room to measure in
        raise _too_large(of(rows, tokens), config)
    passes = measure(policy, config)
    while asked == "auto" and tokens > LEAST_TOKENS and not fits(of(1, tokens)):
        tokens //= 2
    while rows_asked == "auto" and rows > 1 and not fits(of(rows, tokens)):
        rows //= 2
    chosen = {"fast_path": config.rollouts.fast_path, "keep_sampler": config.rollouts.keep_sampler}
    found = replace(of(rows, tokens), **chosen)
    if not fits(of(1, min(tokens, longest))):
        raise _too_large(found, config)
    return found


def _too_large(found: Bill, config: TrainConfig) -> UserError:
    return UserError(
        f"This model does not fit: {found} Take a smaller model, or lower --max-prompt-tokens "
        f"({config.rollouts.max_prompt_tokens}) and --max-new-tokens ({config.rollouts.max_new_tokens})."
    )


def fit_sizes(
    policy: Policy,
    config: TrainConfig,
    held: Sequence[HeldModel] = (),
    say: Callable[[str], None] = print,
    waits: bool = False,
) -> dict[str, Any]:
    """`rows` and `tokens_per_microbatch` by the plan, whose bill is said, and `fast_path` where there is no
    room for it. They are facts of the run, and take the place of `auto` in its settings while it goes on.
    waits: whether rows wait while worlds answer."""
    shards = find_world().size if config.ranks.shard == "fsdp" else 1
    found = plan(policy, config, held, shards=shards, waits=waits)
    say(str(found))
    sizes: dict[str, Any] = {"rows": found.rows, "tokens_per_microbatch": found.tokens}
    if found.fast_path != config.rollouts.fast_path:
        say("There is no room for a fused copy of the weights: decoding takes the model's own forward pass.")
        sizes["fast_path"] = found.fast_path
    if found.keep_sampler != config.rollouts.keep_sampler:
        say(
            "The server sleeps during updates, and is given its weights anew: they need the room."
            if found.served
            else "The sampler's copy, cache and captured steps are freed before each update: they need the "
            "room."
        )
        sizes["keep_sampler"] = found.keep_sampler
    return sizes
