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
    from palaestra.tasks import (
        Problem,
        Task,
        UserError,
        adapters,
        dataset_task,
        export_rows,
        mix,
        score,
        task,
    )
    from palaestra.tasks.adapters.datasets import as_dataset
    from palaestra.tasks.adapters.trl import trl_reward
    from palaestra.tasks.core.episode import Episode, EpisodeLimits, play
    from palaestra.tasks.core.mixture import Component, Mixture
    from palaestra.tasks.core.proofs.attack import attack
    from palaestra.tasks.core.proofs.prove import prove
    from palaestra.tasks.core.tools import builtin as tools
    from palaestra.trainer.algorithms.base import Algorithm, Part
    from palaestra.trainer.algorithms.batch import Batch
    from palaestra.trainer.api import (
        compare,
        evaluate,
        evaluate_all,
        fit_reward_model,
        push,
        query,
        rescore,
        resume,
        sft,
        train,
        train_arms,
    )
    from palaestra.trainer.config.evaluation import EvalConfig
    from palaestra.trainer.config.objective import LossConfig
    from palaestra.trainer.config.reward_model import RewardModelConfig
    from palaestra.trainer.config.settings import SettingError
    from palaestra.trainer.config.sft import SFTConfig
    from palaestra.trainer.config.shared import PromptConfig
    from palaestra.trainer.config.train import TrainConfig
    from palaestra.trainer.engines.base import Engine, Request, Sampling
    from palaestra.trainer.engines.local import LocalEngine
    from palaestra.trainer.evaluation.offline import score_file
    from palaestra.trainer.model.policy import Policy, load_policy
    from palaestra.trainer.model.prompts import PromptFormat
    from palaestra.trainer.model.seams import Seams
    from palaestra.trainer.model.turns import prove_seams
    from palaestra.trainer.objective.formula import write_formula
    from palaestra.trainer.objective.kind import Inputs, LossKind, Terms
    from palaestra.verifiers import Completion, Criterion, Rubric, Score, Turn, Verdict
    from palaestra.verifiers import math_equal as verify
    from palaestra.verifiers import named as criteria

__version__ = "0.1.0"

__all__ = [
    "Algorithm",
    "Batch",
    "Completion",
    "Component",
    "Criterion",
    "Engine",
    "Episode",
    "EpisodeLimits",
    "EvalConfig",
    "Inputs",
    "LocalEngine",
    "LossConfig",
    "LossKind",
    "Mixture",
    "Part",
    "Policy",
    "Problem",
    "PromptConfig",
    "PromptFormat",
    "Request",
    "RewardModelConfig",
    "Rubric",
    "SFTConfig",
    "Sampling",
    "SandboxPool",
    "Score",
    "Seams",
    "SettingError",
    "Task",
    "Terms",
    "TrainConfig",
    "Turn",
    "UserError",
    "Verdict",
    "__version__",
    "adapters",
    "as_dataset",
    "attack",
    "compare",
    "criteria",
    "dataset_task",
    "evaluate",
    "evaluate_all",
    "export_rows",
    "fit_reward_model",
    "load_policy",
    "mix",
    "play",
    "prove",
    "prove_seams",
    "push",
    "query",
    "rescore",
    "resume",
    "sandbox",
    "score",
    "score_file",
    "sft",
    "task",
    "tasks",
    "tools",
    "train",
    "train_arms",
    "trainer",
    "trl_reward",
    "verifiers",
    "verify",
    "write_formula",
]

# Where each name lives: a module, and in most cases an attribute of it.
_PLACES = {
    "Algorithm": "trainer.algorithms.base:Algorithm",
    "Batch": "trainer.algorithms.batch:Batch",
    "Completion": "verifiers:Completion",
    "Component": "tasks.core.mixture:Component",
    "Criterion": "verifiers:Criterion",
    "Engine": "trainer.engines.base:Engine",
    "Episode": "tasks.core.episode:Episode",
    "EpisodeLimits": "tasks.core.episode:EpisodeLimits",
    "EvalConfig": "trainer.config.evaluation:EvalConfig",
    "Inputs": "trainer.objective.kind:Inputs",
    "LocalEngine": "trainer.engines.local:LocalEngine",
    "LossConfig": "trainer.config.objective:LossConfig",
    "LossKind": "trainer.objective.kind:LossKind",
    "Mixture": "tasks.core.mixture:Mixture",
    "Part": "trainer.algorithms.base:Part",
    "Policy": "trainer.model.policy:Policy",
    "Problem": "tasks:Problem",
    "PromptConfig": "trainer.config.shared:PromptConfig",
    "PromptFormat": "trainer.model.prompts:PromptFormat",
    "Request": "trainer.engines.base:Request",
    "RewardModelConfig": "trainer.config.reward_model:RewardModelConfig",
    "Rubric": "verifiers:Rubric",
    "SFTConfig": "trainer.config.sft:SFTConfig",
    "Sampling": "trainer.engines.base:Sampling",
    "SandboxPool": "sandbox:SandboxPool",
    "Score": "verifiers:Score",
    "Seams": "trainer.model.seams:Seams",
    "SettingError": "trainer.config.settings:SettingError",
    "Task": "tasks:Task",
    "Terms": "trainer.objective.kind:Terms",
    "TrainConfig": "trainer.config.train:TrainConfig",
    "Turn": "verifiers:Turn",
    "UserError": "tasks:UserError",
    "Verdict": "verifiers:Verdict",
    "adapters": "tasks.adapters",
    "as_dataset": "tasks.adapters.datasets:as_dataset",
    "compare": "trainer.api:compare",
    "criteria": "verifiers.named",
    "tools": "tasks.core.tools.builtin",
    "dataset_task": "tasks:dataset_task",
    "evaluate": "trainer.api:evaluate",
    "evaluate_all": "trainer.api:evaluate_all",
    "export_rows": "tasks:export_rows",
    "attack": "tasks.core.proofs.attack:attack",
    "play": "tasks.core.episode:play",
    "prove": "tasks.core.proofs.prove:prove",
    "prove_seams": "trainer.model.turns:prove_seams",
    "fit_reward_model": "trainer.api:fit_reward_model",
    "load_policy": "trainer.model.policy:load_policy",
    "mix": "tasks:mix",
    "push": "trainer.api:push",
    "query": "trainer.api:query",
    "rescore": "trainer.api:rescore",
    "resume": "trainer.api:resume",
    "sandbox": "sandbox",
    "score": "tasks:score",
    "score_file": "trainer.evaluation.offline:score_file",
    "sft": "trainer.api:sft",
    "task": "tasks:task",
    "tasks": "tasks",
    "train": "trainer.api:train",
    "train_arms": "trainer.api:train_arms",
    "trainer": "trainer",
    "trl_reward": "tasks.adapters.trl:trl_reward",
    "verifiers": "verifiers",
    "verify": "verifiers:math_equal",
    "write_formula": "trainer.objective.formula:write_formula",
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
        return sorted(__all__)
