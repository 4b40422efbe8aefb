"""A model in the terminal: a problem is typed, completions and verdicts are shown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ...tasks import Problem, Task
from ...tasks.core.conversation import write_conversation
from ...tasks.core.errors import UserError
from ...tasks.core.isolation import isolate
from ...tasks.core.seeds import digest
from ...tasks.core.sources import Rows
from ...verifiers import Completion, Rubric, Score
from ...verifiers.math import math_answer
from ..config.chat import ChatConfig
from ..config.tasks import load_task as load_named_task
from ..config.trajectories import check_branches
from ..engines.base import Request
from ..reward_models.scoring import Judged
from ..rollouts.episodes import Episodes
from ..rollouts.rollouts import make_sampling, open_episodes
from .plan import list_evaluations
from .run import check
from .subjects import Opened, load_subject

Say = Callable[[str], None]
ARROW = "=>"
MOST_SAMPLES = 64
HELP = f"""PROBLEM                  completions of it
PROBLEM {ARROW} REFERENCE     and their verdicts
/problem [N]             the next test problem of the task, or number N, counted from 0
/again                   the same problem, other completions
/samples N               completions of each problem, 1 to {MOST_SAMPLES}
/temperature X           0 is greedy (then one completion is drawn)
/quit                    or Ctrl-D"""


@dataclass
class Chat:
    """opened: the model.  task: what scores.  named: whether the settings name it.
    episodes: what plays its problems with their worlds; None where they have a single turn.

    place: of the next test problem.  turn: draws so far, each with random numbers of its own.
    """

    opened: Opened
    task: Task
    named: bool
    config: ChatConfig
    episodes: Episodes | None
    samples: int
    temperature: float
    place: int = 0
    turn: int = 0
    last: Problem | None = None

    def answer(self, line: str, say: Say) -> bool:
        """Carry out a line that was typed; False for the one that ends the chat.

        Raises UserError for a line that makes no sense.
        """
        text = line.strip()
        if not text:
            return True
        if text.startswith("/"):
            return self._carry_out(text, say)
        prompt, arrow, reference = text.rpartition(ARROW)
        problem = Problem(prompt.strip(), reference.strip() or None) if arrow else Problem(text)
        self._show(problem, say)
        return True

    def draw(self, problem: Problem) -> list[Completion]:
        """Completions of a problem. Raises UserError for a prompt that does not fit."""
        opened, asked = self.opened, self.opened.config.sampling
        ids = opened.prompts.encode(problem, self.task.instruction)
        if len(ids) > asked.max_prompt_tokens:
            raise UserError(f"The prompt has {len(ids)} tokens; the model reads {asked.max_prompt_tokens}.")
        messages = [] if ids else opened.prompts.converse(problem, self.task.instruction)
        samples = 1 if self.temperature == 0 else self.samples
        stream = digest("chat", self.config.seed, self.turn)
        self.turn += 1
        sampling = replace(make_sampling(asked, stop=asked.stop), temperature=self.temperature)
        requests = [Request(ids, samples, stream, 0, messages)]
        if self.episodes is None or not problem.id:  # a line that was typed has no world
            [completions] = opened.engine.sample(requests, sampling)
        else:
            [completions] = self.episodes.sample(opened.engine, requests, [problem], sampling, _tell_nobody)
        return completions

    def _carry_out(self, text: str, say: Say) -> bool:
        name, _, value = text.partition(" ")
        if name in ("/quit", "/exit"):
            return False
        if name == "/again":
            if self.last is None:
                raise UserError("There is no problem yet: type one.")
            self._show(self.last, say)
        elif name == "/problem":
            self._show(self._find_problem(value.strip()), say)
        elif name == "/samples":
            if not (value.strip().isdecimal() and 1 <= int(value) <= MOST_SAMPLES):
                raise UserError(f"/samples takes a number from 1 to {MOST_SAMPLES}.")
            self.samples = int(value)
        elif name == "/temperature":
            self.temperature = _read_temperature(value)
        elif name == "/help":
            say(HELP)
        else:
            raise UserError(f"There is no {name}. /help lists what can be typed.")
        return True

    def _find_problem(self, number: str) -> Problem:
        if not self.named:
            raise UserError("/problem draws problems of a task: start the chat with --task NAME.")
        if number and not number.isdecimal():
            raise UserError("/problem takes the number of a test problem, from 0.")
        place = int(number) if number else self.place
        split = "test" if "test" in self.task.splits else self.task.splits[-1]
        size = self.task.source.size(split)
        if size is not None and place >= size:
            raise UserError(
                f"The {split} split of {self.task.name} has {size} problems, from 0 to {size - 1}."
            )
        self.place = place + 1
        return self.task.problem(split, place, self.config.seed, self.config.task.single_level)

    def _show(self, problem: Problem, say: Say) -> None:
        self.last = problem
        if problem.id:
            say(f"{problem.id}\n{problem.text}\nreference: {problem.reference}")
        completions = self.draw(problem)
        for number, completion in enumerate(completions, 1):
            say(
                f"\n--- {number} of {len(completions)}, {completion.tokens} tokens{_describe_end(completion)}"
            )
            if completion.reasoning:
                say(f"(reasoning) {completion.reasoning}")
            say(write_conversation(completion) if completion.turns else completion.text)
            if problem.reference is not None:
                say(describe_score(self.task.score(completion, problem)))


def describe_score(score: Score) -> str:
    """A score as lines: the reward, and what each criterion found."""
    passed = "unscorable" if score.abstained else "passed" if score.passed else "not passed"
    lines = [f"=> {passed}, reward {score.reward:.3g}"]
    for name, verdict in score.parts.items():
        read = "" if verdict.answer is None else f", read {verdict.answer!r}"
        lines.append(f"   {name}: {verdict.status}{read}{f'. {verdict.reason}' if verdict.reason else ''}")
    return "\n".join(lines)


def chat(config: ChatConfig, lines: Iterable[str], say: Say = print) -> None:
    """Open the model, then answer line by line until there are no more.

    Raises UserError for settings that make no sense, before anything is loaded; a line that makes none is
    answered with a sentence.
    """
    task, named = load_task(config)
    if config.sampling.temperature == 0:
        config = config.but(samples=1)
    asked = list_evaluations(config.as_evaluation())
    if len(asked) > 1:
        raise UserError("A chat is with one model on one task. Name one of each.")
    check(asked[0])
    check_branches(config.prompt, task, config.endpoint.url)
    isolate(task, config.task.allow_weak_sandbox, say)
    opened = load_subject(asked[0]).open(asked[0], Judged(task), "", say)
    episodes = open_episodes(opened.prompts, task)
    with contextlib.ExitStack() as started:
        if episodes is not None:
            started.callback(episodes.close)
        samples, temperature = config.sampling.samples, config.sampling.temperature
        talk = Chat(opened, task, named, config, episodes, samples, temperature)
        say(f"{asked[0].model.source}. Type a problem, or /help.")
        for line in lines:
            try:
                if not talk.answer(line, say):
                    return
            except UserError as failure:
                say(f"palaestra chat: {failure}")


def load_task(config: ChatConfig) -> tuple[Task, bool]:
    """The task, and whether the settings name it; else one without problems that judges as `verify` does."""
    if config.task.name == "auto" and not config.task.data:
        rubric = Rubric(math_answer()).lenient()
        return Task("chat", Rows("chat", lambda _split: (), ("test",)), rubric), False
    task = load_named_task(config.task)
    task.check_level(config.task.single_level)
    return task, True


def _read_temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UserError("/temperature takes a number from 0.")
    return value


def _describe_end(completion: Completion) -> str:
    return ", cut at the limit" if completion.truncated and not completion.turns else ""


def _tell_nobody(request: int, place: int, completion: Completion) -> None:
    """What is told of completions as they end."""
