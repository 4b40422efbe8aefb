"""What judges a run beside its task, and the memory of the models that it holds beside its policy."""

from __future__ import annotations

from ...tasks import Task
from ..algorithms.named import find_algorithm
from ..config.train import TrainConfig
from ..model.measure import measure_forward
from ..model.memory import HeldModel, most_rows, weight_bytes
from ..model.policy import Policy
from ..reward_models.model import TOKENS_PER_PASS
from ..reward_models.scoring import Judged, judge
from .reference import keeps_reference


def judge_task(task: Task, config: TrainConfig) -> Judged:
    """The task with the reward models that its learned criteria need."""
    reward, model = config.reward, config.model
    return judge(
        task,
        reward.reward_model,
        reward.reward_model_share,
        model.device,
        model.dtype,
        trust_remote_code=model.trust_remote_code,
    )


def list_models_beside(policy: Policy, config: TrainConfig, judged: Judged) -> list[HeldModel]:
    """The models that the run will hold beside the policy."""
    held = list(find_algorithm(config.algorithm).held_models(policy, config))
    if keeps_reference(config) and not config.model.lora_rank:  # with adapters it is the policy without them
        held.append(HeldModel("reference", weight_bytes(policy.model)))
    longest = config.rollouts.max_prompt_tokens + config.rollouts.max_new_tokens
    for name, model in judged.models.items():
        tokens = min(TOKENS_PER_PASS, most_rows(config) * longest)
        scoring = measure_forward(model.model, model.device, model.forward).peak(max(longest, tokens))
        held.append(
            HeldModel(
                f"reward model {name}",
                weight_bytes(model.model),
                loaded=True,
                scoring=scoring,
                positions=model.positions,
            )
        )
    return held
