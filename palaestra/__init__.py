"""palaestra: verifiable tasks, rubrics that judge answers, a trainer whose rewards can be trusted.

This is the front door. Each name is found where it lives at its first use, so that `import palaestra` costs
nothing and brings no torch; the names stand a second time below for those who read types.

>>> import palaestra as pal
>>> pal.verify("1/2", "0.5").correct
True
>>> gcd = pal.tasks.get("gcd")
>>> problem = gcd.problem("test", 0)
>>> pal.score(gcd, gcd.solution(problem), problem).reward
1.0
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palaestra import sandbox, tasks, trainer, verifiers
    from palaestra.sandbox import SandboxPool
    from palaestra.tasks import Problem, Task, UserError, score, task, trl_reward, trl_rows
    from palaestra.trainer.algorithms.base import Algorithm
    from palaestra.trainer.api import evaluate, fit_reward_model, resume, sft, train
    from palaestra.trainer.config.evaluation import EvalConfig
    from palaestra.trainer.config.reward_model import RewardModelConfig
    from palaestra.trainer.config.sft import SFTConfig
    from palaestra.trainer.config.train import TrainConfig
    from palaestra.trainer.engines.base import Engine
    from palaestra.trainer.model.policy import load_policy
    from palaestra.trainer.objective.kinds import LossKind
    from palaestra.verifiers import Completion, Criterion, Rubric, Score, Verdict
    from palaestra.verifiers import math_equal as verify
    from palaestra.verifiers import named as criteria

__version__ = "0.1.0"

__all__ = [
    "Algorithm",
    "Completion",
    "Criterion",
    "Engine",
    "EvalConfig",
    "LossKind",
    "Problem",
    "RewardModelConfig",
    "Rubric",
    "SFTConfig",
    "SandboxPool",
    "Score",
    "Task",
    "TrainConfig",
    "UserError",
    "Verdict",
    "__version__",
    "criteria",
    "evaluate",
    "fit_reward_model",
    "load_policy",
    "resume",
    "sandbox",
    "score",
    "sft",
    "task",
    "tasks",
    "train",
    "trainer",
    "trl_reward",
    "trl_rows",
    "verifiers",
    "verify",
]

# Where each name lives: a module, and in most cases an attribute of it.
_PLACES = {
    "Algorithm": "trainer.algorithms.base:Algorithm",
    "Completion": "verifiers:Completion",
    "Criterion": "verifiers:Criterion",
    "Engine": "trainer.engines.base:Engine",
    "EvalConfig": "trainer.config.evaluation:EvalConfig",
    "LossKind": "trainer.objective.kinds:LossKind",
    "Problem": "tasks:Problem",
    "RewardModelConfig": "trainer.config.reward_model:RewardModelConfig",
    "Rubric": "verifiers:Rubric",
    "SFTConfig": "trainer.config.sft:SFTConfig",
    "SandboxPool": "sandbox:SandboxPool",
    "Score": "verifiers:Score",
    "Task": "tasks:Task",
    "TrainConfig": "trainer.config.train:TrainConfig",
    "UserError": "tasks:UserError",
    "Verdict": "verifiers:Verdict",
    "criteria": "verifiers.named",
    "evaluate": "trainer.api:evaluate",
    "fit_reward_model": "trainer.api:fit_reward_model",
    "load_policy": "trainer.model.policy:load_policy",
    "resume": "trainer.api:resume",
    "sandbox": "sandbox",
    "score": "tasks:score",
    "sft": "trainer.api:sft",
    "task": "tasks:task",
    "tasks": "tasks",
    "train": "trainer.api:train",
    "trainer": "trainer",
    "trl_reward": "tasks:trl_reward",
    "trl_rows": "tasks:trl_rows",
    "verifiers": "verifiers",
    "verify": "verifiers:math_equal",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name):
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, _, attribute = _PLACES[name].partition(":")
        found = import_module(f"{__name__}.{module}")
        globals()[name] = getattr(found, attribute) if attribute else found
        return globals()[name]

    def __dir__():
        return sorted({*globals(), *__all__})
