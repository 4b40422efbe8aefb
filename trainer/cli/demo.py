"""`palaestra demo [pretrained|addition|ice_cream|frozen_lake|calculator]`"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib import import_module

DEMOS = {
    "pretrained": "GRPO makes a real pretrained model answer small sums (8 minutes on two cores)",
    "addition": "SFT on mixed habits, then GRPO: the model learns to think every time (minutes)",
    "ice_cream": "ranked answers, a reward model, then PPO and GRPO (under a minute)",
    "frozen_lake": "walks step by step: SFT on mixed habits, then PPO and GRPO (minutes)",
    "calculator": "SFT on mixed habits, then GRPO: the pretrained model learns to call a tool (minutes)",
}


def main(argv: list[str]) -> int:
    """Run one demo, `pretrained` when none is named. The modules import torch,
    so only the chosen one is loaded, once its settings are right."""
    from ...tasks.core.errors import UserError
    from ..config.parse import parse
    from ..demos import settings

    name, rest = (argv[0], argv[1:]) if argv and not argv[0].startswith("-") else ("pretrained", argv)
    kinds = {
        "pretrained": settings.PretrainedConfig,
        "addition": settings.DemoConfig,
        "ice_cream": settings.IceCreamConfig,
        "frozen_lake": settings.FrozenLakeConfig,
        "calculator": settings.CalculatorConfig,
    }
    if name not in kinds:
        near = difflib.get_close_matches(name, DEMOS, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}?" if near else f"Demos: {', '.join(DEMOS)}."
        raise UserError(f"There is no demo {name!r}. {hint}")
    if argv in (["--help"], ["-h"]):
        lines = "\n".join(f"  {known:<12} {summary}" for known, summary in DEMOS.items())
        print(f"Demos (palaestra demo NAME --help lists the options of each):\n{lines}\n")
    config = parse(kinds[name], rest, f"palaestra demo {name}")
    settings.check_folder(config.out)
    run: Callable[[object], int] = getattr(
        import_module(f"..demos.{'pretrained.run' if name == 'pretrained' else name}", __package__),
        f"run_{name}",
    )
    return run(config)
