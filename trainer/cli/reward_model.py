"""`palaestra reward-model`"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..reward_models.run import comparisons, describe

if TYPE_CHECKING:
    pass


def main(argv: list[str]) -> int:
    """Fit a reward model, and say how well it predicts comparisons that it was not fitted on."""
    from ..config.parse import parse
    from ..config.reward_model import RewardModelConfig

    config = parse(RewardModelConfig, argv, "palaestra reward-model")
    train, held_out = comparisons(config)
    from ...tasks.core import registry
    from ...tasks.core.errors import UserError
    from ..model.policy import choose_threads, load_policy
    from ..reward_models.fit import encode, fit_reward_model, measure
    from ..reward_models.model import new_reward_model
    from ..storage import checkpoint
    from ..storage.folders import new_folder
    from ..storage.interrupts import Interrupts

    folder = new_folder(config.out or f"runs/reward-model-{config.seed}", named=bool(config.out))
    policy = load_policy(config.model, config.device, config.dtype, config.seed)
    threads = choose_threads(policy, config.threads)
    print(f"{config.model}: {policy.parameters:,} parameters, {policy.device}, {threads} CPU thread(s)")
    instruction = registry.get(config.task).instruction if config.task else ""
    reward_model = new_reward_model(policy)
    data = encode(reward_model, train, instruction, config.max_tokens)
    test = encode(reward_model, held_out, instruction, config.max_tokens)
    for name, kept, found in (("training", data, train), ("held-out", test, held_out)):
        if len(kept) < len(found):
            print(f"{len(found) - len(kept)} of {len(found)} {name} comparisons are over {config.max_tokens} tokens: left out.")
        if not kept:
            raise UserError(f"No {name} comparison fits into {config.max_tokens} tokens; raise --max-tokens.")
    print(f"{len(data)} prompts to learn from, {len(test)} held out.")
    log = (folder / "metrics.jsonl").open("a", encoding="utf-8")

    def after_step(step: int, loss: float) -> None:
        line: dict[str, object] = {"kind": "step", "step": step, "loss": loss}
        if config.eval_every > 0 and step % config.eval_every == 0 and step < config.steps:
            line["held_out"] = measure(reward_model, test, config).summary()
        log.write(json.dumps(line) + "\n")

    with log, Interrupts() as stop:
        fit = fit_reward_model(reward_model, data, config, stop, after_step)
    after = measure(fit.reward_model, test, config)
    checkpoint.write_folder(folder / "model", fit.reward_model.save)
    summary = {
        "config": asdict(config),
        "held_out": after.summary(),
        "statistics": asdict(fit.reward_model.statistics),
        "steps": len(fit.losses),
        "seconds": fit.seconds,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    print(describe(after))
    made = folder / "model"
    print(f"The reward model: {made}    next: palaestra train --reward-model {made} --task TASK --model SFT_MODEL")
    return 130 if fit.interrupted else 0
