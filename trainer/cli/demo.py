"""`palaestra demo [pretrained|addition|ice_cream|frozen_lake]`"""

from __future__ import annotations

import difflib

DEMOS = {
    "pretrained": "GRPO makes a real pretrained model answer small sums (8 minutes on two cores)",
    "addition": "SFT on mixed habits, then GRPO: the model learns to think every time (minutes)",
    "ice_cream": "ranked answers, a reward model, then PPO and GRPO (under a minute)",
    "frozen_lake": "SFT, then PPO and GRPO on lakes never seen (minutes)",
}


def main(argv: list[str]) -> int:
    """Run one demo, `pretrained` when none is named. The modules import torch,
    so only the chosen one is loaded."""
    from ...tasks.core.errors import UserError
    from ..config.parse import parse

    name, rest = (argv[0], argv[1:]) if argv and not argv[0].startswith("-") else ("pretrained", argv)
    if name == "pretrained":
        from ..demos.pretrained.arms import PretrainedConfig
        from ..demos.pretrained.run import run_pretrained

        if argv in (["--help"], ["-h"]):
            lines = "\n".join(f"  {known:<12} {summary}" for known, summary in DEMOS.items())
            print(f"Demos (palaestra demo NAME --help lists the options of each):\n{lines}\n")
        return run_pretrained(parse(PretrainedConfig, rest, "palaestra demo pretrained"))
    if name == "addition":
        from ..demos.addition import DemoConfig, run_addition

        return run_addition(parse(DemoConfig, rest, "palaestra demo addition"))
    if name == "ice_cream":
        from ..demos.ice_cream import IceCreamConfig, run_ice_cream

        return run_ice_cream(parse(IceCreamConfig, rest, "palaestra demo ice_cream"))
    if name == "frozen_lake":
        from ..demos.frozen_lake import FrozenLakeConfig, run_frozen_lake

        return run_frozen_lake(parse(FrozenLakeConfig, rest, "palaestra demo frozen_lake"))
    near = difflib.get_close_matches(name, DEMOS, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]}?" if near else f"Demos: {', '.join(DEMOS)}."
    raise UserError(f"There is no demo {name!r}. {hint}")
