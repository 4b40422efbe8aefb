"""`Task`: problems with a rubric; and `@task`, which makes one from a generator function."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal

from ...verifiers import Completion, Rubric, Score
from ...verifiers.display import quote, write_html_fields
from .callables import check_episode
from .episode import EpisodeLimits, Factory, Player
from .errors import TaskError
from .options import check_options
from .problem import Problem
from .sources import Generate, Procedural, Source
from .tools.episode import ToolEpisode
from .tools.schema import Tool, make_tools

Kind = Literal["math", "code", "logic", "language", "knowledge", "preference", "unknown"]


@dataclass(frozen=True)
class Task:
    """Problems, the rubric that scores them, and what a person should know about them.

    instruction: said after each prompt, so that a model knows the form of the answer; "" for none.
    shadow: a second, stricter rubric that only watches: training reports its gap to the reward.
    solve: a completion that deserves the full reward (default: the rubric's rendering of the reference).
    demonstrate: a completion to imitate in SFT, from a problem and a random generator; it may be imperfect on
        purpose (default: `solve`).
    attempt: the completion of a scripted solver, right or wrong, with a fixed budget of steps or a chance
        to err in each (common/puzzles.py, `err_by_step`): `palaestra task check`
        holds its pass-rate to fall from each level to the next.
    episode: of a problem the world that answers what the policy says (core/episode.py); None: a single turn.
    player: of a problem a scripted player that wins its episode; what stands for `solve` there.
    limits: of an episode.
    tools: typed functions that the policy may call (core/tools/), in place of an `episode`, which ends with
        the first message that calls none.

    >>> import palaestra as pal
    >>> gcd = pal.tasks.get("gcd")
    >>> problem = gcd.problem("test", index=0, level=1)
    >>> problem.id, gcd.score(gcd.solution(problem), problem).passed
    ('gcd/test/0/1/0', True)
    >>> len(gcd.problems("train", 5)), gcd.splits
    (5, ('train', 'test'))
    """

    name: str
    source: Source
    rubric: Rubric
    kind: Kind = "unknown"
    summary: str = ""
    origin: str = "procedural"
    licence: str = "unknown"
    citation: str = ""
    instruction: str = ""
    shadow: Rubric | None = None
    solve: Callable[[Problem], str] | None = None
    demonstrate: Callable[[Problem, random.Random], str] | None = None
    attempt: Callable[[Problem, random.Random], str] | None = None
    episode: Factory | None = None
    player: Player | None = None
    limits: EpisodeLimits = field(default_factory=EpisodeLimits)
    tools: Sequence[Callable[..., Any] | Tool] = ()

    def __post_init__(self) -> None:
        """Raises TaskError for an episode or a player that can be none, for a function that is no tool, and
        for tools beside an episode."""
        check_episode(self)
        if not self.tools:
            return
        answers = isinstance(self.episode, partial) and self.episode.func is ToolEpisode
        if self.episode is not None and not answers:
            raise TaskError(f"Task {self.name} has an episode and tools: let the episode answer the calls.")
        tools = make_tools(self.tools)
        object.__setattr__(self, "tools", tools)
        object.__setattr__(self, "episode", partial(ToolEpisode, tools=tools))

    @property
    def judges_texts(self) -> bool:
        """Whether a text alone can be right: a task of a single turn, and one whose tools only help."""
        return self.episode is None or bool(self.tools)

    @property
    def facts(self) -> dict[str, Any]:
        """What it is and whose its data are, for the record of a run."""
        return {
            **{"name": self.name, "kind": self.kind, "summary": self.summary, "source": self.origin},
            **{"licence": self.licence, "citation": self.citation, "instruction": self.instruction},
        }

    @property
    def members(self) -> tuple[Task, ...]:
        """The tasks that its problems are of: itself, but for a mixture."""
        return (self,)

    def find_member(self, problem_id: str) -> Task:  # noqa: ARG002
        """The task that a problem is of, by its id. Raises TaskError where a mixture has none."""
        return self

    def find_label(self, problem: Problem) -> str:  # noqa: ARG002
        """What the task of a problem is called beside the others of a mixture."""
        return self.name

    @property
    def has_episodes(self) -> bool:
        """Whether any of its problems has a world that answers."""
        return any(member.episode is not None for member in self.members)

    @property
    def splits(self) -> tuple[str, ...]:
        return self.source.splits

    def problem(self, split: str, index: int, seed: int = 0, level: int | None = None) -> Problem:
        problem = self.source.at(split, index, seed, level)
        return (
            replace(problem, tools=[tool.schema for tool in make_tools(self.tools)])
            if self.tools
            else problem
        )

    def problems(
        self, split: str, count: int | None = None, seed: int = 0, level: int | None = None
    ) -> list[Problem]:
        """The first `count` different problems of a split's stream.

        None gives all of them, where the split has an end.
        A stream of few different problems may give fewer than `count`.
        """
        size = self.source.size(split)
        if count is None and size is None:
            raise TaskError(
                f"The {split} split of task {self.name} has no end; say how many problems you want."
            )
        wanted = min(count if count is not None else size or 0, size if size is not None else count or 0)
        by_key: dict[str, Problem] = {}
        for index in range(size if size is not None else 20 * wanted):
            if len(by_key) >= wanted:
                break
            problem = self.problem(split, index, seed, level)
            by_key.setdefault(problem.key or problem.id, problem)
        return list(by_key.values())

    def check_level(self, level: int | None) -> None:
        """Raise TaskError for a level that the task does not have. Reads no data."""
        if level is not None:
            self.problem(self.splits[0], 0, level=level)

    def solution(self, problem: Problem) -> str:
        """A completion that deserves the full reward."""
        if self.solve is not None:
            return self.solve(problem)
        render = self.rubric.correctness.render
        if render is None:
            raise TaskError(f"Task {self.name} has no reference solution; give it one with `solve=`.")
        return render(problem.reference)

    def demonstration(self, problem: Problem, rng: random.Random) -> str:
        """A completion to imitate in SFT."""
        return self.demonstrate(problem, rng) if self.demonstrate is not None else self.solution(problem)

    def score(self, completion: Completion | str, problem: Problem) -> Score:
        """The rubric's judgement of one completion."""
        return self.rubric.score(
            Completion(completion) if isinstance(completion, str) else completion, problem
        )

    def with_options(self, options: Mapping[str, Any]) -> Task:
        """This task with other values for the keyword arguments of its generator.

        Raises TaskError on unknown ones.
        """
        if not options:
            return self
        chosen = check_options(self.name, self.source.option_defaults, options)
        return replace(self, source=self.source.with_options(chosen))

    def __repr__(self) -> str:
        return f"Task({self.name!r}, {self.kind}, {', '.join(self.splits)}, {self.rubric!r})"

    def _repr_html_(self) -> str:
        options = ", ".join(f"{name}={quote(value)}" for name, value in self.source.option_defaults.items())
        fields = [
            *(("what", self.summary), ("kind", self.kind), ("splits", ", ".join(self.splits))),
            *(("source", f"{self.origin}, licence {self.licence}"), ("options", options or "none")),
            *(("instruction", self.instruction or "none"), ("rubric", self.rubric.describe())),
        ]
        return write_html_fields(self.name, fields)

    def declared_size(self, split: str) -> int | None:
        """Problems of a split as far as known without reading data; None when unknown or without end."""
        return self.source.declared_size(split)


REGISTERED: dict[str, Task] = {}


def register(new: Task) -> Task:
    """Make a task known by its name. The newest definition of a name counts."""
    REGISTERED[new.name] = new
    return new


def first_paragraph(doc: str) -> str:
    """Of a docstring, on one line: what `palaestra tasks` shows of a task."""
    return " ".join(doc.strip().split("\n\n")[0].split())


def task(
    name: str, *, rubric: Rubric, levels: int = 1, instruction: str | None = None, **about: Any
) -> Callable[[Generate], Task]:
    """Make a task from `generate(rng, level, *, option=default, ...)`, which returns or yields one `Problem`.

    The function's docstring becomes the task's summary (the module's, when it has none). `about` are
    further fields of `Task` (kind, solve, demonstrate, episode, tools, ...). instruction: None asks for the
    form that the rubric reads.

    >>> import palaestra as pal
    >>> @pal.task("halves", rubric=pal.Rubric(pal.criteria.number(), pal.criteria.answer_tag(weight=0.1)))
    ... def halves(rng, level):
    ...     number = rng.randrange(10, 1000)
    ...     yield pal.Problem(f"What is half of {number}?", str(number / 2))
    >>> halves.score("It is <answer>4.5</answer>", pal.Problem("What is half of 9?", "4.5")).reward
    1.0
    """

    def decorate(generate: Generate) -> Task:
        doc = inspect.getdoc(generate) or inspect.getdoc(inspect.getmodule(generate)) or ""
        about.setdefault("summary", first_paragraph(doc))
        for unknown in about.keys() - Task.__dataclass_fields__.keys():
            near = get_close_matches(unknown, Task.__dataclass_fields__, 1)
            raise TaskError(
                f"A task has no field {unknown!r}." + (f" Did you mean {near[0]!r}?" if near else "")
            )
        says = rubric.instruction if instruction is None else instruction
        return register(Task(name, Procedural(name, generate, levels), rubric, instruction=says, **about))

    return decorate
