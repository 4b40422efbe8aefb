"""Episodes: the world answers back.

An episode is an object with one method, `reply`; a task makes one of each problem. Where it stands, what may
be said and how much is kept by a `Conversation`, the same for a scripted player and for a model that is
sampled.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from ...verifiers import Completion, Turn
from ...verifiers.criteria.turn_rewards import MOST_REWARD
from ...verifiers.types import Unavailable
from .errors import TaskError, tell_failure
from .problem import Problem

HARMLESS = ("0", "Yes.", "<answer>0</answer>")  # what no world should fail at
ROLES = ("user", "tool")  # in which a world may speak
TRIES = 3  # of a reply that the infrastructure failed to give
MOST_NESTED = 100  # lists and objects in each other, in a state: far from where JSON's readers give up
CUT = "\n[The rest is left out: {} more characters.]"
Fault = Literal["", "timeout", "raised", "unavailable"]  # see verifiers.types.FAULTS


class Episode(Protocol):
    """The world of one rollout: what it answers hangs on the problem and on what was said, and on nothing
    else, so that it can be played again. Random numbers come from the problem (its id or key).

    Three attributes may stand beside `reply`, each read after it. `state`: plain data, where it stands; the
    rubric reads the last one. `role`: in which role it speaks, "user" where there is none, or "tool".
    `reward`: what the turn that it answered earned, a number; a rubric pays it by `criteria.turn_rewards`.

    >>> import palaestra as pal
    >>> class Guess:
    ...     def __init__(self, problem):
    ...         self.secret, self.state = problem.reference, "open"
    ...     def reply(self, said):
    ...         if said == self.secret:
    ...             self.state = "found"
    ...             return None
    ...         return "higher" if int(said) < int(self.secret) else "lower"
    >>> Guess(pal.Problem("Which number?", "7")).reply("3")
    'higher'
    """

    def reply(self, said: str) -> str | None:
        """What the world answers; None ends the episode."""
        ...


Factory = Callable[[Problem], Episode]
# A scripted player: it yields what it says and is sent what the world replies.
Player = Callable[[Problem], Generator[str, str, None]]


@dataclass(frozen=True)
class EpisodeLimits:
    """Where an episode ends that its world does not end. Raises ValueError for a limit that is no whole
    number from 1 on, and for seconds that are no number above 0.

    turns: of the policy (finish_reason "turns").  tokens_per_turn: drawn for one, None: as many as the run
    allows a completion; a turn that is cut ends the episode ("length").  tokens: of policy and world
    together, None: `turns` times those of a turn ("tokens").  reply_seconds: for one reply ("timeout").
    observation_chars: of a reply that the policy reads; a longer one is cut, and says so.

    >>> import palaestra as pal
    >>> pal.EpisodeLimits(turns=4).reply_seconds
    10.0
    """

    turns: int = 10
    tokens_per_turn: int | None = None
    tokens: int | None = None
    reply_seconds: float = 10.0
    observation_chars: int = 4000

    def __post_init__(self) -> None:
        counts = [self.turns, self.observation_chars]
        counts += [count for count in (self.tokens_per_turn, self.tokens) if count is not None]
        seconds = self.reply_seconds
        timed = type(seconds) in (int, float) and 0 < seconds < math.inf
        if not timed or any(type(count) is not int or count < 1 for count in counts):
            raise ValueError(
                "The limits of an episode are whole numbers, 1 or more, and its seconds a number above 0, "
                f"not {self}."
            )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a world did at something that was said.

    answers: of each call of a tool, where the text answers several.
    text: its answer, None where the episode ended.  state: where it stands now, as JSON has it.  role: in
    which it speaks.  fault: why there is no answer, with a sentence in `reason`; "" where there is one.
    reward: what the turn earned that it answers, None where it says nothing of that.
    """

    text: str | None = None
    state: Any = None
    role: str = "user"
    fault: Fault = ""
    reason: str = ""
    reward: float | None = None
    answers: Sequence[str] = ()


@dataclass
class Conversation:
    """The turns of an episode so far. finish_reason: "" while it goes on."""

    limits: EpisodeLimits = field(default_factory=EpisodeLimits)
    turns: list[Turn] = field(default_factory=list)
    state: Any = None
    finish_reason: str = ""
    fault: str = ""

    @property
    def said(self) -> list[str]:
        """The policy's turns."""
        return [turn.text for turn in self.turns if turn.role == "policy"]

    @property
    def text(self) -> str:
        """All that the policy said, a turn to a line: never a word of the world's."""
        return "\n".join(self.said)

    def say(self, text: str) -> None:
        """The policy's next turn."""
        self.turns.append(Turn("policy", text))

    def hear(self, reply: Reply) -> str | None:
        """The world's reply to it: what the policy reads of it; None where the episode has ended."""
        if reply.fault:
            self.finish_reason, self.fault = reply.fault, reply.reason
            return None
        self.state = reply.state
        if reply.reward is not None:
            self.turns[-1] = replace(self.turns[-1], reward=reply.reward)
        if reply.text is None:
            self.finish_reason = "stop"
            return None
        shown, limit = reply.text, self.limits.observation_chars
        if len(shown) > limit:
            shown = shown[:limit] + CUT.format(len(shown) - limit)
        self.turns.append(Turn("world", shown, reply.role))
        if len(self.said) >= self.limits.turns:
            self.finish_reason = "turns"
            return None
        return shown

    def complete(self) -> Completion:
        """What was said, as the rubric reads it."""
        return Completion(
            self.text,
            finish_reason=self.finish_reason or "stop",
            turns=tuple(self.turns),
            state=self.state,
            fault=self.fault,
        )


class World:
    """The episode of one rollout, in this process, with all that it has heard: what fails is made anew."""

    def __init__(self, factory: Factory, problem: Problem) -> None:
        self.factory, self.problem, self.said = factory, problem, list[str]()
        self._episode: Episode | None = None

    def answer(self, said: str) -> Reply:
        """The reply to what is said next. Raises nothing but what ends a process, MemoryError with it: there
        a new process helps, since a worker's worlds share its memory.

        A world that fails is made anew and hears all of it again. One that fails twice at the same words,
        and not at harmless ones in their place or in all of the episode, was made to fail by what was said
        ("raised"); one that fails in any case is at fault itself ("unavailable"), and so is one that is not
        there, after some tries.
        """
        self.said.append(said)
        failure: Exception | None = None
        for _ in range(TRIES):
            found = self._try(said)
            if isinstance(found, Reply):
                return found
            repeated = failure is not None and not isinstance(found, Unavailable)
            failure = found
            if repeated:
                break
        broken = isinstance(failure, Unavailable) or self._fails_on_harmless()
        assert failure is not None
        told = f"The world raised {tell_failure(failure, 500)}"
        return Reply(fault="unavailable" if broken else "raised", reason=told)

    def _try(self, said: str) -> Reply | Exception:
        episode: Episode | Reply | None
        episode, self._episode = self._episode, None
        try:
            if episode is None:
                episode = replay(self.factory, self.problem, self.said[:-1])
            if isinstance(episode, Reply):
                return episode
            reply = read_reply(episode, said)
        except MemoryError:
            raise
        except Exception as failure:  # noqa: BLE001 - `answer` finds out what it means
            return failure
        self._episode = episode
        return reply

    def _fails_on_harmless(self) -> bool:
        """Whether the world fails whatever is said in this place, and in all of the episode."""
        said = self.said
        works = False
        for self.said in list_harmless(said):
            works = works or isinstance(self._try(self.said[-1]), Reply)
            self._episode = None
        self.said = said
        return not works


def list_harmless(said: Sequence[str]) -> list[list[str]]:
    """What else may be said up to this turn, to find out whether a world fails whatever it hears: harmless
    words in the last turn, and in all of them, for what was said before may have made it fail from now on.

    >>> list_harmless(["a", "b"])[:3]
    [['a', '0'], ['0', '0'], ['Yes.', 'Yes.']]
    """
    last = [*said[:-1], HARMLESS[0]]
    everywhere = [[text] * len(said) for text in HARMLESS]
    return [last, *everywhere] if last not in everywhere else everywhere


def replay(factory: Factory, problem: Problem, said: Sequence[str]) -> Episode | Reply:
    """An episode that has heard what was said so far; where that ended it, its last reply."""
    episode = factory(problem)
    for text in said:
        reply = read_reply(episode, text)
        if reply.text is None:
            return reply
    return episode


def read_reply(episode: Episode, said: str) -> Reply:
    """What the episode answers, and where it stands then. Raises TaskError where that is no plain data, and
    whatever the episode raises."""
    text = episode.reply(said)
    name = type(episode).__name__
    if text is not None and not isinstance(text, str):
        raise TaskError(f"{name}.reply returned {type(text).__name__}; give a text, or None at the end.")
    state, role = getattr(episode, "state", None), getattr(episode, "role", "user")
    if role not in ROLES:
        raise TaskError(f"The role of {name} is {role!r}; it speaks as {' or '.join(ROLES)}.")
    try:
        state = json.loads(json.dumps(state, allow_nan=False))
    except (TypeError, ValueError) as failure:
        raise TaskError(f"The state of {name} is no plain data: {failure}.") from failure
    if is_nested_deeper(state, MOST_NESTED):
        raise TaskError(f"The state of {name} is nested more than {MOST_NESTED} deep.")
    answers = getattr(episode, "answers", ()) if role == "tool" else ()
    told = isinstance(answers, list) and all(isinstance(answer, str) for answer in answers)
    return Reply(text, state, role, reward=read_reward(episode), answers=tuple(answers) if told else ())


def read_reward(episode: Episode) -> float | None:
    """What the last turn earned. Raises TaskError where that is no number, or none that can be added up."""
    reward = getattr(episode, "reward", None)
    if reward is None:
        return None
    if not isinstance(reward, int | float) or not abs(reward) <= MOST_REWARD:  # nan, too
        raise TaskError(
            f"The reward of {type(episode).__name__} is {reward!r:.40}; give None or what the turn earned, a "
            f"number of at most {MOST_REWARD:g} in size."
        )
    return float(reward)


def is_nested_deeper(data: Any, most: int) -> bool:
    """Whether more than `most` lists and objects of plain data are in each other.

    >>> is_nested_deeper([[1], {"a": 2}], 2), is_nested_deeper([[1], {"a": [2]}], 2)
    (False, True)
    """
    level = [data]
    for _ in range(most + 1):
        within = [each.values() if isinstance(each, dict) else each for each in level if _holds(each)]
        if not within:
            return False
        level = [part for parts in within for part in parts]
    return True


def _holds(data: Any) -> bool:
    return isinstance(data, (dict, list))


def play(task: HasEpisodes, problem: Problem, player: Player | None = None) -> Completion:
    """What becomes of a problem's episode with a scripted player, in this process and without an engine: the
    limits are the task's, but for those of tokens and of time. A player who stops ends the episode.

    player: None takes the task's own. Raises TaskError where the task has no episode, or no player, or one
    that yields no texts.

    >>> import palaestra as pal
    >>> class Echo:
    ...     def __init__(self, problem): pass
    ...     def reply(self, said): return None if said == "bye" else said.upper()
    >>> @pal.task("echoes", rubric=pal.Rubric(pal.criteria.number()), episode=Echo)
    ... def echoes(rng, level):
    ...     yield pal.Problem(f"Say bye {rng.randrange(9999)}.", "1")
    >>> def player(problem):
    ...     heard = yield "hello"
    ...     yield "bye" if heard == "HELLO" else "?"
    >>> completion = pal.play(echoes, echoes.problem("test", 0), player)
    >>> [turn.text for turn in completion.turns], completion.text, completion.finish_reason
    (['hello', 'HELLO', 'bye'], 'hello\\nbye', 'stop')
    """
    member = task.find_member(problem.id)
    player = player or member.player
    if member.episode is None:
        raise TaskError(f"Task {member.name} has no episode: its problems have a single turn.")
    if player is None:
        raise TaskError(f"Task {member.name} has no player of its own; give it one with `player=`.")
    talk, world = Conversation(member.limits), World(member.episode, problem)
    script, heard = player(problem), None
    if not isinstance(script, Generator):
        raise TaskError(
            f"The player of task {member.name} returned {type(script).__name__}: let it `yield` what it "
            "says, a turn at a time."
        )
    while not talk.finish_reason:
        try:
            said = next(script) if heard is None else script.send(heard)
        except StopIteration:
            break
        if not isinstance(said, str):
            raise TaskError(f"The player of task {member.name} said {said!r:.60}, which is no text.")
        talk.say(said)
        heard = talk.hear(world.answer(talk.said[-1]))
    script.close()
    return talk.complete()


class HasEpisodes(Protocol):
    """What `play` reads of a task."""

    @property
    def name(self) -> str: ...
    @property
    def episode(self) -> Factory | None: ...
    @property
    def player(self) -> Player | None: ...
    @property
    def limits(self) -> EpisodeLimits: ...
    def find_member(self, problem_id: str, /) -> HasEpisodes: ...
