"""What can be said of a command's settings before anything heavy is imported. Imports no torch.

What these checks leave open (a loss or an algorithm in a file of the user's, what a template makes of a chat,
a model) is checked by the command itself, before it computes anything.
"""

from __future__ import annotations

import difflib
import shlex
from pathlib import Path

from ...tasks.core.errors import UserError
from ...tasks.core.hub import check_hub
from ...tasks.core.mixture import names_mixture
from ...tasks.core.reach import find_reach
from ...tasks.core.task import Task
from ...tasks.core.trial import refuse_broken
from ...tasks.data.table import Table
from ..algorithms.names import refuse_unknown
from ..config.arms import name_arms, read_arms
from ..config.evaluation import EvalConfig
from ..config.paths import find_place
from ..config.reward_model import RewardModelConfig
from ..config.sft import SFTConfig
from ..config.shared import LoraConfig, TaskConfig
from ..config.suites import check_settings
from ..config.tasks import TRAINED, check_data, load_task
from ..config.together import check_ranks
from ..config.train import TrainConfig
from ..config.trajectories import check_branches, check_branches_of_run, refuse_branches
from ..distributed.ranks import speaks
from ..engines.checks import check_engine
from ..evaluation.baseline import read_baseline
from ..evaluation.folder import find_begun
from ..evaluation.plan import check_subject
from ..model.source import check_reward_model_source, check_source
from ..model.template_file import check_template
from ..objective.agreement import check_agreement, check_ppo, check_truncation, settle_correction
from ..objective.kinds import find_kind
from ..reports.loggers import check_loggers
from ..reward_models.data import read_split
from ..sft.pairs import read_split as read_pair_split
from ..storage.names import ARMS
from ..storage.starts import check_place, find_folder, holds_work
from .weights import check_ramps, read_ramps


def check_train(config: TrainConfig) -> None:
    """Raise UserError for settings of `train` that make no sense, or name what is not there."""
    check_objective(settle_correction(config))
    check_engine(config.engine)
    check_loggers(config.output.log)
    check_lora(config.model)
    check_ranks(config)
    check_template(config.prompt)
    name = check_task(config.task)
    check_mixture(config)
    check_turns(config)
    if config.prompt.trajectories != "interleaved":
        check_branches_of_run(config, load_task(config.task))
    if not config.reward.reward_model:  # with one, its criteria are known when it is found
        check_ramps(read_ramps(config.reward.criterion_weight), load_task(config.task))
    for text in config.reward.reward_model:
        check_reward_model_source(text.partition("=")[2] or text)
    for source in filter(None, (config.model.source, config.ppo.critic_model)):
        check_source(source)
    if not config.model.source:
        check_source("")
    if speaks():  # another may have begun to write the folder
        find_folder(config.output.out, f"{name}-{config.seed}")


def check_mixture(config: TrainConfig) -> None:
    """Raise UserError for what belongs to a mixture of tasks and there is none, or needs one rubric and there
    are several."""
    mixed = names_mixture(config.task.name)
    if not mixed and config.rollouts.mixture != "fixed":
        raise UserError(
            f"--mixture {config.rollouts.mixture} is of several tasks: give --task NAME:WEIGHT,NAME:WEIGHT."
        )
    if not mixed and config.objective.advantages.over == "task":
        raise UserError(
            "--advantages.over task is of several tasks: give --task NAME:WEIGHT,NAME:WEIGHT, or leave it."
        )
    if mixed and config.reward.reward_model:
        raise UserError(
            "--reward-model judges the problems of one task, and this is a mixture: leave out one of them."
        )
    if mixed and config.objective.advantages.aggregation == "normalise_then_sum":
        raise UserError(
            "--advantages.aggregation normalise_then_sum needs one rubric, and each task of a mixture has "
            "its own: take sum_then_normalise."
        )


def check_turns(config: TrainConfig) -> None:
    """Raise UserError for settings of turns where the task has single ones, or where nothing is paid by
    turn."""
    advantages, ppo, plain = config.objective.advantages, config.ppo, TrainConfig()
    chosen = {
        f"--advantages.turns {advantages.turns}": advantages.turns != plain.objective.advantages.turns,
        "--ppo.turn-rewards": ppo.turn_rewards,
        f"--ppo.turn-gamma {ppo.turn_gamma}": ppo.turn_gamma != "auto",
        f"--ppo.turn-lam {ppo.turn_lam}": ppo.turn_lam != "auto",
    }
    flag = next((flag for flag, is_chosen in chosen.items() if is_chosen), "")
    if not flag:
        return
    task = load_task(config.task)
    if not task.has_episodes:
        raise UserError(f"{flag} would have no effect: the problems of {task.name} have single turns.")
    pays = any(
        criterion.by_turn
        for member in task.members
        if member.episode is not None
        for criterion in member.rubric.criteria
    )
    if not pays and (ppo.turn_rewards or (advantages.turns == "mt_grpo" and advantages.turn_gamma == 1)):
        raise UserError(
            f"{flag} would have no effect: no criterion of {task.name} judges turn by turn. Have its rubric "
            "pay what turns earn (criteria.turn_rewards), or leave it out."
        )


def check_arms(config: TrainConfig) -> None:
    """Raise UserError where any of the arms, or the folder of all, can't be used."""
    out = config.output.out
    if out != "auto" and (Path(out) / ARMS).is_file() and holds_work(Path(out)):
        raise UserError(
            f"{out} holds arms already: `{shlex.join(['palaestra', 'resume', out])}` goes on with them. Give "
            "another --out for new ones."
        )
    find_folder(out, name_arms(config, check_task(config.task)))
    for arm in read_arms(config):
        try:
            check_train(arm.config.but(out="auto"))
        except UserError as failure:
            raise UserError(f"Arm {arm.name}: {failure}") from failure


def check_sft(config: SFTConfig) -> None:
    """Raise UserError for settings of `sft` that make no sense, or name what is not there."""
    check_loggers(config.output.log)
    check_template(config.prompt)
    refuse_branches(config.prompt, "SFT imitates conversations that only grow, as one row.")
    task = config.task
    name = "pairs"
    if not config.imitation.pairs:
        name = check_task(task)
    elif task != type(task)(name=task.name):
        raise UserError("--pairs takes the place of a task: leave out --option, --data and --level.")
    _check_files("--pairs", config.imitation.pairs)
    if config.imitation.pairs and all(Path(name).is_file() for name in config.imitation.pairs):
        read_pair_split(config.imitation)
    check_source(config.model.source)
    find_folder(config.output.out, f"{name}-sft-{config.seed}")


def check_reward_model(config: RewardModelConfig) -> None:
    """Raise UserError for settings of `reward-model` that make no sense, or name what is not there."""
    check_loggers(config.output.log)
    if not config.comparisons.files:
        raise UserError(
            "Say what to learn from: --data COMPARISONS.jsonl (columns prompt, chosen, rejected)."
        )
    _check_files("--data", config.comparisons.files)
    _check_files("--eval-data", config.comparisons.eval_data)
    check_template(config.prompt)
    refuse_branches(config.prompt, "it would have no effect, since a reward model reads finished texts.")
    read_split(config.comparisons)
    if config.comparisons.task:
        check_task(TaskConfig(name=config.comparisons.task))
    check_source(config.model.source)
    find_folder(config.output.out, f"reward-model-{config.seed}")


def check_eval(config: EvalConfig, *, alone: bool = True) -> None:
    """Raise UserError for settings of one evaluation that make no sense, or name what is not there.

    alone: whether --out is its folder, not that of several.
    """
    check_settings(config)
    check_template(config.prompt)
    check_task(config.task, config.held_out.split)
    if config.prompt.trajectories != "interleaved":
        check_branches(config.prompt, load_task(config.task), config.endpoint.url)
    for text in config.compare.reward_model:
        check_reward_model_source(text.partition("=")[2] or text)
    check_subject(config)
    if config.compare.baseline:
        read_baseline(config.compare.baseline)
    if config.output.out != "auto":
        check_place(Path(config.output.out))
        if alone:
            find_begun(Path(config.output.out))


def check_objective(config: TrainConfig) -> None:
    """Raise UserError for what a run's algorithm, loss and sampling can't take together.

    Of an algorithm or a loss in a file of the user's, only whether there is that file.
    """
    kind, algorithm = config.objective.loss.kind, config.algorithm
    check_truncation(config.rollouts)
    if config.reward.control == "shuffled" and config.rollouts.prompts_per_step < 2:
        raise UserError(
            "--control shuffled gives each problem another one's reference: it needs 2 or more "
            "--prompts-per-step."
        )
    own = _is_own(kind, "loss")
    if not own:
        find_kind(kind)
    if _is_own(algorithm, "algorithm"):
        return
    refuse_unknown(algorithm)
    if not own and algorithm == "ppo":
        check_ppo(config, "PPO")
    elif not own:
        check_agreement(config, "GRPO", True, frozenset())


def _is_own(name: str, what: str) -> bool:
    """Whether a name is a place (FILE.py, FILE.py:name, module:name). Raises UserError for a file that is not
    there."""
    place = find_place(name)
    if place.endswith(".py") and not Path(place).is_file():
        near = difflib.get_close_matches(
            Path(place).name, [p.name for p in Path(place).parent.glob("*.py")], n=1
        )
        hint = f"Did you mean {near[0]}?" if near else "Give the path of an existing Python file."
        raise UserError(f"There is no {what} file {place}. {hint}")
    return place.endswith(".py") or place != name


def check_lora(model: LoraConfig) -> None:
    """Raise UserError for settings of adapters without adapters."""
    unused = LoraConfig()
    if not model.lora_rank and (model.lora_alpha, model.lora_targets) != (
        unused.lora_alpha,
        unused.lora_targets,
    ):
        raise UserError("--lora-alpha and --lora-targets say how adapters are made: give --lora-rank, too.")


def check_task(config: TaskConfig, split: str = "") -> str:
    """The name of the task for a folder. Raises UserError for a task, an option, a level or a split that does
    not exist, for a task's file that can't be run, and for a reward of the user's own that judges nothing."""
    task = load_task(config)
    if not isinstance(task.source, Table):
        task.check_level(config.single_level)
    for member in task.members:
        _check_member(member, config, split)
    return task.name


def _check_member(task: Task, config: TaskConfig, split: str) -> None:
    if isinstance(task.source, Table):
        check_data(task, [split] if split else TRAINED)
        return
    # As the task has it: of a mixture, each by an option of its own.
    data = str(task.source.option_defaults.get("data") or "")
    if data and not Path(data).exists():
        raise UserError(f"There is no file or folder {data}. Give task {task.name} data that are there.")
    hub = getattr(task.source, "hub", None)
    if hub is not None and not data and find_reach(task) != "packaged":
        flag = f"--option {task.name}.data=FOLDER" if names_mixture(config.name) else "--data"
        check_hub(
            hub.path, "datasets", f"Connect, set HTTPS_PROXY, or give a local file or folder with {flag}."
        )
    if split and split not in task.splits:
        raise UserError(f"Task {task.name} has no split {split!r}; it has {', '.join(task.splits)}.")
    refuse_broken(task)


def _check_files(flag: str, names: tuple[str, ...]) -> None:
    for name in names:
        looks_like_path = name.startswith((".", "/", "~")) or Path(name).suffix or name.count("/") != 1
        if Path(name).exists():
            continue
        if looks_like_path or flag != "--pairs":
            here = [entry.name for entry in Path(name).parent.glob("*") if entry.is_file()]
            near = difflib.get_close_matches(Path(name).name, here, n=1)
            hint = f"Did you mean {Path(name).with_name(near[0])}?" if near else "Give a file that is there."
            raise UserError(f"{flag} {name!r}: there is no such file. {hint}")
        check_hub(name, "datasets", "Connect, set HTTPS_PROXY, or give a file of pairs.")
