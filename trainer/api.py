"""Every command that trains or measures, as a function of a config or of settings by their flags' names.

The heavy imports stand in the functions, so that a mistake in the settings is answered at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .config.evaluation import EvalConfig
from .config.reward_model import RewardModelConfig
from .config.settings import SettingError, Settings
from .config.sft import SFTConfig
from .config.train import TrainConfig

if TYPE_CHECKING:
    from .evaluation.comparison import Comparison
    from .evaluation.evaluate import Evaluation
    from .evaluation.summary import EvaluationRun, Suite
    from .model.policy import Policy
    from .rescoring.rescore import Rescored
    from .runs.arms import ArmsResult
    from .runs.push import Pushed
    from .runs.state import RunResult
    from .supervised.run import FitOutcome

Say = Callable[[str], None]
Config = TypeVar("Config", bound=Settings)


def train(
    config: TrainConfig | None = None, /, *, policy: Policy | None = None, say: Say = print, **settings: Any
) -> RunResult:
    """Train a model on a task by reinforcement learning, as `palaestra train` does.

    config: its settings; `settings` change some of them, or the defaults, by the names that their flags have
        (`steps=20`, `**{"loss.kl_coef": 0.1}`).
    policy: a model in memory to start from, trained in place, instead of the one that is named; it gets no
        SFT warm-up.
    say: gets each line that the command would print.
    Raises UserError for settings that make no sense, a run that can't learn, and a run that went wrong.

    >>> import palaestra as pal
    >>> said = []
    >>> run = pal.train(
    ...     task="gcd", out="runs/first", steps=1, sft_steps=1, prompts_per_step=2, group_size=2,
    ...     max_new_tokens=8, threads=1, eval_problems=2, eval_samples=1, preflight_problems=0,
    ...     say=said.append,
    ... )
    >>> print(run)  # doctest: +ELLIPSIS
    Run runs/first: GRPO of a fresh small model on gcd
      1 of 1 steps in ... s
      held-out of 2 problems: pass@1 sampled ... before, ... after; pass@1 greedy ... before, ... after
      the trained model runs/first/model, the curves runs/first/curves.png
      ended: all of its steps are done
    >>> len(run.metrics()), len(run.rollouts(step=1))
    (1, 4)
    """
    from .runs.checks import check_train

    chosen = settle(TrainConfig, config, settings)
    check_train(chosen if policy is None else chosen.but(sft_steps=0))  # which has no warm-up
    from .runs.setup import train as run

    return run(chosen, policy, say)


def train_arms(config: TrainConfig | None = None, /, *, say: Say = print, **settings: Any) -> ArmsResult:
    """Train several runs that differ in a few settings, on the same problems and seeds, in turn, as
    `palaestra train --arms` does. Each is compared with the first, problem by problem, at every held-out
    evaluation.

    config, say, settings: see `train`; `arms` says which, as `control=random,short:max_new_tokens=64`.
    Raises UserError for arms that make no sense, before the first one begins.

    >>> import palaestra as pal
    >>> said = []
    >>> found = pal.train_arms(
    ...     arms="control=random", task="gcd", out="runs/arms", steps=1, sft_steps=1, prompts_per_step=2,
    ...     group_size=2, max_new_tokens=8, threads=1, eval_problems=2, eval_samples=1, preflight_problems=0,
    ...     say=said.append,
    ... )
    >>> list(found.runs), found.comparison.pairs[0].second
    (['base', 'control-random'], 'control-random')
    """
    chosen = settle(TrainConfig, config, settings)
    if not chosen.arms:
        raise SettingError("Say which arms: arms='control=random'.")
    from .runs.checks import check_arms

    check_arms(chosen)
    from .runs.arms import train_arms as run

    return run(chosen, say)


def resume(
    run: str | PathLike[str], /, *, say: Say = print, accept_changes: bool = False, **settings: Any
) -> RunResult | FitOutcome | ArmsResult:
    """Go on with a run of `train`, `sft` or `fit_reward_model` from its newest checkpoint, as if it had never
    stopped; or with those arms of `train_arms` that have not ended.

    run: its folder.  settings: those of the run's command that may change (`steps` in all, `stop_after`,
    `learning_rate`, ...).  accept_changes: go on though the code or the data of the run are others than at
    its start.  Raises UserError when the folder is no run, for a setting that can't change, and for changes
    that are not accepted, which it shows.

    >>> import palaestra as pal
    >>> said = []
    >>> stopped = pal.sft(
    ...     task="gcd", out="runs/halves", steps=2, stop_after=1, demonstrations=8, eval_problems=2,
    ...     threads=1, say=said.append,
    ... )
    >>> stopped.interrupted
    True
    >>> pal.resume("runs/halves", say=said.append).interrupted
    False
    """
    from .storage.names import ARMS

    if (Path(run) / ARMS).is_file():
        if settings:
            raise SettingError(f"{run} holds several arms, which share their settings: go on without any.")
        from .runs.arms import resume_arms

        return resume_arms(Path(run), say, accept_changes=accept_changes)
    from .runs.resume import resume as go_on

    return go_on(Path(run), settings, say, accept_changes=accept_changes)


def sft(
    config: SFTConfig | None = None, /, *, policy: Policy | None = None, say: Say = print, **settings: Any
) -> FitOutcome:
    """Fine-tune a model on a task's demonstrations, or pairs and chats from files, as `palaestra sft` does.

    config, policy, say, settings: see `train`.

    >>> import palaestra as pal
    >>> said = []
    >>> fit = pal.sft(
    ...     task="gcd", out="runs/sft", steps=2, demonstrations=8, eval_problems=2, threads=1, say=said.append
    ... )
    >>> print(fit)  # doctest: +ELLIPSIS
    Run runs/sft, 2 steps, the model runs/sft/model
    held-out loss: ... before, ... after
    >>> sorted(fit.after)
    ['loss']
    """
    from .runs.checks import check_sft

    chosen = settle(SFTConfig, config, settings)
    check_sft(chosen)
    from .sft.run import sft as run

    return run(chosen, policy, say)


def evaluate(
    config: EvalConfig | None = None, /, *, policy: Policy | None = None, say: Say = print, **settings: Any
) -> EvaluationRun:
    """Measure a model's pass-rates on a task's held-out problems, with intervals, as `palaestra eval` does.

    Where its folder holds the same evaluation (model, problems, prompts, settings), that is gone on with, not
    repeated. Raises UserError where it holds another one.

    config, say, settings: see `train`.  policy: a model in memory, in place of the one that is named.

    >>> import palaestra as pal
    >>> run = pal.evaluate(
    ...     task="gcd", model="embedded", problems=3, max_new_tokens=4, threads=1, out="runs/eval"
    ... )
    >>> run.result.pass_at[1].problems, run.result.pass_at[1].value
    (3, 0.0)
    >>> print(run)  # doctest: +ELLIPSIS
    gcd, test split, 3 problems, greedy
      pass@1   0.0 % [0.0, ...]   (95 % interval)
      criteria: number 0.000 [0.000, ...], answer_tag 0.000 [0.000, ...]
      answer extracted 0.0%, truncated ...%, unscorable 0.0%
      mean reward 0.000, mean length ... tokens, ... s
    """
    from .runs.checks import check_eval

    chosen = settle(EvalConfig, config, settings)
    if policy is None:
        check_eval(chosen)
    from .evaluation.run import evaluate_model

    return evaluate_model(chosen, policy, say)


def evaluate_all(config: EvalConfig | None = None, /, *, say: Say = print, **settings: Any) -> Suite:
    """Measure several models on several tasks, as `palaestra eval` does: names with commas, a level behind a
    task's name, a suite file, every checkpoint of a run.

    config, settings: see `train`.  say: gets each result once it is there.

    >>> import palaestra as pal
    >>> said = []
    >>> suite = pal.evaluate_all(
    ...     task="gcd,addition:1", model="embedded", problems=2, max_new_tokens=4, threads=1,
    ...     out="runs/suite", say=said.append,
    ... )
    >>> print(suite)  # doctest: +ELLIPSIS
    model     task        problems  samples  result ...
    embedded  gcd         2         1        pass@1 0.0 % [0.0, ...
    embedded  addition:1  2         1        pass@1 0.0 % [0.0, ...
    """
    from .evaluation.plan import list_evaluations
    from .runs.checks import check_eval

    chosen = settle(EvalConfig, config, settings)
    asked = list_evaluations(chosen)
    for each in asked:
        check_eval(each, alone=len(asked) == 1)
    from .evaluation.run import evaluate_all as run

    return run(chosen, say)


def compare(
    *evaluations: EvaluationRun | Evaluation | RunResult | str | PathLike[str],
    across: Sequence[str] = (),
    every: bool = False,
    ks: Sequence[int] = (),
) -> Comparison:
    """Evaluations of the same problems side by side, problem by problem, as `palaestra compare` does.

    evaluations: what `evaluate` returned, a run, or the folders of either (a run's last held-out evaluation;
    RUN@50, RUN@first, RUN@best). A run alone is its first evaluation against its last.
    across: what they may differ in, of tasks, prompts, verifiers.  every: each against each, not against the
    first.  ks: of pass@k; none: 1, 2, 4, ... as far as all have samples.
    Raises UserError where they are not of one kind, or have no problem in common.

    >>> import palaestra as pal
    >>> small = {"task": "gcd", "model": "embedded", "problems": 20, "threads": 1}
    >>> said = []
    >>> before = pal.evaluate(**small, max_new_tokens=4, out="runs/before", say=said.append)
    >>> after = pal.evaluate(**small, max_new_tokens=8, out="runs/after", say=said.append)
    >>> found = pal.compare(before, after)
    >>> print(found.difference)  # doctest: +ELLIPSIS
    +0.0 points [...]
    >>> found.pairs[0].notes
    ['max_new_tokens is 4 in before, 8 in after']
    """
    from .evaluation.compare import compare_measured, read_all
    from .evaluation.evaluate import Evaluation
    from .evaluation.measured import read_measured
    from .evaluation.records import measure_groups

    if len(evaluations) == 1 and not isinstance(evaluations[0], Evaluation):
        return compare_measured(read_all([_find_folder(evaluations[0])]), across, every=every, ks=ks)
    measured = []
    for number, each in enumerate(evaluations, 1):
        if isinstance(each, Evaluation):
            name = f"evaluation {number}"
            measured.append(measure_groups(name, each.groups, verifiable=bool(each.pass_at)))
        else:
            measured += read_measured(_find_folder(each))
    return compare_measured(measured, across, every=every, ks=ks)


def _find_folder(each: Any) -> str:
    return str(getattr(each, "folder", each))


def rescore(
    source: RunResult | EvaluationRun | str | PathLike[str],
    /,
    rubric: str = "",
    *,
    task: str = "",
    out: str = "auto",
    workers: int = 0,
    deadline_s: float = 60.0,
    say: Say = print,
) -> Rescored:
    """Judge what a run or an evaluation has sampled again, offline, as `palaestra rescore` does. Nothing is
    written into the run or the evaluation.

    source: what `train` or `evaluate` returned, or its folder.  rubric: what judges: math, number, FILE.py,
    FILE.py:name, module:name (a Rubric, a Criterion or a function).  task: one whose rubric judges. With
    neither it is the present rubric of the task that was scored.  out: folder of what is written; auto takes
    one in runs/.  workers: processes; 0 takes as many as cores.  deadline_s: seconds for one completion.
    Raises UserError where there is nothing to judge, or nothing that judges.

    >>> import palaestra as pal
    >>> said = []
    >>> run = pal.evaluate(
    ...     task="gcd", model="embedded", problems=3, max_new_tokens=4, threads=1, out="runs/judged",
    ...     say=said.append,
    ... )
    >>> found = pal.rescore(run, out="runs/again", workers=1, say=said.append)
    >>> found.changes.completions, found.changes.equal
    (3, 3)
    """
    from .rescoring.rescore import rescore as judge_again

    return judge_again(
        Path(_find_folder(source)), rubric, task, out=out, workers=workers, deadline_s=deadline_s, say=say
    )


def query(
    folder: str | PathLike[str], /, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> list[dict[str, Any]]:
    """Rows of a run or an evaluation by SQL, as `palaestra query` gives them: `rollouts`, `held_out`,
    `completions` (of an evaluation), `verdicts`, `metrics`, `problems`.

    sql: one SELECT, in SQLite's words.  parameters: for `?` and `:name` in it. `limit` and `offset` page
    through what is too long to hold.
    Raises UserError for a folder without completions, and for what is no SELECT or does not fit the tables.

    >>> import palaestra as pal
    >>> run = pal.train(
    ...     task="gcd", out="runs/asked", steps=1, sft_steps=1, prompts_per_step=2, group_size=2, threads=1,
    ...     max_new_tokens=4, eval_problems=2, preflight_problems=0, force=True, say=lambda _: None,
    ... )
    >>> pal.query(run.folder, "select step, count(*) as rows from rollouts group by step")
    [{'step': 1, 'rows': 4}]
    """
    from .storage.query import open_query

    with open_query(Path(folder), sql, parameters) as found:
        return list(found.to_dicts())


def fit_reward_model(
    config: RewardModelConfig | None = None,
    /,
    *,
    policy: Policy | None = None,
    say: Say = print,
    **settings: Any,
) -> FitOutcome:
    """Fit a reward model to comparisons of answers, as `palaestra reward-model` does.

    config, policy, say, settings: see `train`.

    >>> import json, pathlib
    >>> import palaestra as pal
    >>> rows = [{"prompt": f"{n}+1=", "chosen": str(n + 1), "rejected": "?"} for n in range(8)]
    >>> written = pathlib.Path("pairs.jsonl").write_text("".join(json.dumps(row) + chr(10) for row in rows))
    >>> said = []
    >>> fit = pal.fit_reward_model(
    ...     data=["pairs.jsonl"], eval_share=0.5, steps=2, threads=1, out="runs/judge", say=said.append
    ... )
    >>> print(fit)  # doctest: +ELLIPSIS
    Run runs/judge, 2 steps, the model runs/judge/model
    held-out ...
    """
    from .runs.checks import check_reward_model

    chosen = settle(RewardModelConfig, config, settings)
    check_reward_model(chosen)
    from .reward_models.run import fit_to_comparisons

    return fit_to_comparisons(chosen, policy, say)


def push(
    run: RunResult | FitOutcome | str | PathLike[str],
    /,
    to: str | PathLike[str],
    *,
    public: bool = False,
    say: Say = print,
) -> Pushed:
    """Write a run's model, tokenizer, adapters and a card to the hub or a folder, as `palaestra push` does.

    run: what `train`, `sft`, `fit_reward_model` or `resume` gave back, or the folder of a run that has ended.
    to: `user/name` on the hub; a folder begins with ./, ../, ~ or /, and is new or empty.
    public: whether a repository that is made for it may be read by everybody; else it is private.
    Raises UserError for a run without an end, a folder that holds something, no token, no network, and
    whatever the hub refuses.

    >>> import palaestra as pal
    >>> said = []
    >>> fit = pal.sft(
    ...     task="gcd", out="runs/given", steps=1, demonstrations=8, eval_problems=2, threads=1,
    ...     say=said.append,
    ... )
    >>> pal.push(fit, "./given").files[:3]
    ['README.md', 'config.json', 'generation_config.json']
    """
    from .runs.push import push as write

    folder = Path(run) if isinstance(run, str | PathLike) else run.folder
    return write(folder, str(to), public=public, say=say)


def settle(kind: type[Config], config: Config | None, settings: dict[str, Any]) -> Config:
    """The config, or the defaults, with some settings changed.

    Raises SettingError for what is no config, or no setting of it.
    """
    if config is not None and not isinstance(config, kind):
        raise SettingError(
            f"Give a {kind.__name__}, or settings by their names (steps=20), in place of "
            f"{type(config).__name__}."
        )
    return (config or kind()).but(**settings)
