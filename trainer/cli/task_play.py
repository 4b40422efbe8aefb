"""`palaestra task play NAME`: a person in the model's place, at the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ...tasks.core.conversation import write_turn
from ...tasks.core.episode import Conversation, World
from ...tasks.core.errors import UserError
from ...tasks.core.problem import Problem
from ...tasks.core.task import Task
from ...verifiers import Completion, Score
from ..config.settings import Count, Natural
from ..terminal import say
from .task_flags import add_sandbox, add_task, load_isolated, read_number

SUMMARY = "Play a problem yourself: you say what a model would, the world answers, the rubric judges the end."
HELP = "Ctrl-D ends it. What begins with ``` goes on up to the closing ```."
FENCE = "```"
MOST_LINES = 10_000  # of one turn


def add(parser: argparse.ArgumentParser) -> None:
    add_task(parser, "name")
    add_sandbox(parser)
    parser.add_argument("--split", default="test", help="split that the problem is of")
    parser.add_argument(
        "--seed", type=read_number(Natural), default=0, help="seed of the stream of problems, 0 or more"
    )
    parser.add_argument(
        "--index", type=read_number(Natural), default=0, help="place of the problem in its stream, 0 or more"
    )
    parser.add_argument(
        "--level", type=read_number(Count), default=None, help="level, 1 or more; none goes round them"
    )
    parser.set_defaults(run=play)


def play(arguments: argparse.Namespace) -> int:
    """Exit status: 0 played, won or not, or left by Ctrl-D; 130 by Ctrl-C; 2 for what the user can mend."""
    task = load_isolated(arguments.name, arguments)
    size = task.source.size(arguments.split)
    if size is not None and arguments.index >= size:
        raise UserError(
            f"The {arguments.split} split of {task.name} has {size} problems: --index 0 to {size - 1}."
        )
    problem = task.problem(arguments.split, arguments.index, arguments.seed, arguments.level)
    member = task.find_member(problem.id)
    say(f"{problem.id}\n\n{problem.text}")
    if member.instruction:
        say(member.instruction)
    say(f"({HELP})")
    talk = Conversation(member.limits)
    left = _converse(member, problem, talk)
    completion = talk.complete() if member.episode is not None else Completion(talk.text)
    say(f"\n{_tell(member.score(completion, problem), completion, left)}")
    return 130 if left == "Ctrl-C" else 0


def _converse(task: Task, problem: Problem, talk: Conversation) -> str:
    """The turns, up to the end of the episode or of the single turn. Returns the key that ended them, ""
    for none."""
    world = World(task.episode, problem) if task.episode is not None else None
    try:
        while not talk.finish_reason:
            said = read_turn(input)
            talk.say(said)
            if world is None:
                return ""
            reply = world.answer(said)
            heard = talk.hear(reply)
            if reply.reward is not None:
                say(f"(Earned {reply.reward:g}.)")
            if heard is not None:
                say(write_turn(talk.turns[-1], len(talk.said)))
    except EOFError:
        return "Ctrl-D"
    except KeyboardInterrupt:
        return "Ctrl-C"
    return ""


def read_turn(ask: Callable[[str], str]) -> str:
    """One line; or, where it opens a fenced block, all lines up to its end. Raises EOFError at the end of the
    input, but for that within a block, which ends it."""
    lines = [ask("> ")]
    open_block = lines[0].count(FENCE) % 2 == 1
    while open_block and len(lines) < MOST_LINES:
        try:
            lines.append(ask("  "))
        except EOFError:
            break
        open_block = FENCE not in lines[-1]
    return "\n".join(lines)


def _tell(score: Score, completion: Completion, left: str) -> str:
    """How it ended, and what that is worth."""
    turns = sum(turn.role == "policy" for turn in completion.turns)
    ended = f"Left by {left}" if left else f"Ended ({completion.finish_reason})"
    counted = f" after {turns} turn{'' if turns == 1 else 's'}" if completion.turns else ""
    lines = [f"{ended}{counted}. Reward {score.reward:.3g}, {score.outcome}."]
    lines += [f"{name}: {part.status}. {part.reason}".rstrip() for name, part in score.parts.items()]
    if completion.fault:
        lines.append(completion.fault)
    return "\n".join(lines)
