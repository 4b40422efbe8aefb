"""Win a game of tic-tac-toe that can be won, against an opponent who wins and blocks where that can be done.

The squares have letters for names, drawn anew for each problem. Each level starts a move further from the
win: one that is there, a double threat, a double threat that has to be prepared.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from functools import cache

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ..common.games import Game, read_action
from ..core.episode import EpisodeLimits
from ..core.problem import Problem
from ..core.task import task

MOVES = (1, 2, 3)  # of one's own, up to a win that nothing prevents; by level
NAMES = "ABCDEFGHIJKLMNPQRSTUVWYZ"  # without X and O
LINES = (
    *((row, row + 1, row + 2) for row in (0, 3, 6)),
    *((column, column + 3, column + 6) for column in (0, 1, 2)),
    *((0, 4, 8), (2, 4, 6)),
)


def has_won(board: str, sign: str) -> bool:
    return any(all(board[square] == sign for square in line) for line in LINES)


def list_free(board: str) -> list[int]:
    return [square for square, sign in enumerate(board) if sign == "."]


def put(board: str, square: int, sign: str) -> str:
    return board[:square] + sign + board[square + 1 :]


@cache
def count_moves(board: str) -> int | None:
    """X is to move: its moves up to a win, whatever O does, or None where it can't force one."""
    best: int | None = None
    for square in list_free(board):
        after = put(board, square, "X")
        if has_won(after, "X"):
            return 1
        answers = [put(after, each, "O") for each in list_free(after)]
        if not answers or any(has_won(answer, "O") for answer in answers):
            continue
        counts = [count_moves(answer) for answer in answers]
        if all(count is not None for count in counts):
            needed = 1 + max(count for count in counts if count is not None)
            best = needed if best is None else min(best, needed)
    return best


@cache
def list_starts(moves: int) -> tuple[str, ...]:
    """The boards with as many X as O, three at most, from which X wins by so many moves and no fewer."""
    found: set[str] = set()
    boards = {"." * 9}
    for _ in range(3):  # three squares are free, or more
        boards = {
            put(put(board, mine, "X"), its, "O")
            for board in boards
            for mine in list_free(board)
            for its in list_free(board)
            if mine != its
        }
        boards = {board for board in boards if not has_won(board, "X") and not has_won(board, "O")}
        found |= {board for board in boards if count_moves(board) == moves}
    return tuple(sorted(found))


def draw_board(board: str, names: str) -> str:
    """Three lines; a free square shows its name."""
    signs = [names[square] if sign == "." else sign for square, sign in enumerate(board)]
    return "\n".join(" ".join(signs[row : row + 3]) for row in (0, 3, 6))


class TicTacToe(Game):
    """The opponent plays O: it wins where it can, else it blocks, else it takes the first free square of an
    order that nobody is told."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reference["turns"])
        self.board: str = problem.reference["board"]
        self.names: str = problem.reference["names"]
        self.order: list[int] = problem.reference["order"]

    def answer(self, said: str) -> str:
        square = self.names.find(read_action(said).upper()) if len(read_action(said)) == 1 else -1
        if square < 0 or self.board[square] != ".":
            return f"Name one free square.\n{draw_board(self.board, self.names)}\n{self.left}"
        self.board = put(self.board, square, "X")
        if has_won(self.board, "X"):
            return self.end("X has three in a line.", 1.0)
        if not list_free(self.board):
            return self.end("The board is full.")
        self.board = put(self.board, self.pick(), "O")
        if has_won(self.board, "O"):
            return self.end("O has three in a line.")
        if not list_free(self.board):
            return self.end("The board is full.")
        return draw_board(self.board, self.names)

    def pick(self) -> int:
        """The opponent's square."""
        free = [square for square in self.order if self.board[square] == "."]
        for sign in "OX":
            for square in free:
                if has_won(put(self.board, square, sign), sign):
                    return square
        return free[0]


def win(problem: Problem) -> Generator[str, str, None]:
    """The move that needs fewest others."""
    board, names = problem.reference["board"], problem.reference["names"]
    while True:
        square = min(list_free(board), key=lambda each: _count_after(put(board, each, "X")))
        said = yield names[square]
        signs = said.split()
        board = "".join(sign if sign in "XO" else "." for sign in signs)


def _count_after(board: str) -> int:
    """X's moves still to come, at worst, after one of its own; 9 where O may prevent the win."""
    if has_won(board, "X"):
        return 0
    answers = [put(board, square, "O") for square in list_free(board)]
    if not answers or any(has_won(answer, "O") for answer in answers):
        return 9
    return max(count_moves(answer) or 9 for answer in answers)


@task(
    "tic_tac_toe",
    rubric=Rubric(reached()),
    levels=len(MOVES),
    kind="logic",
    episode=TicTacToe,
    player=win,
    limits=EpisodeLimits(turns=8, tokens_per_turn=32),
    licence="Apache-2.0",
)
def tic_tac_toe(rng: random.Random, level: int) -> Iterator[Problem]:
    """Win tic-tac-toe against an opponent who blocks; one, two and three moves from a forced win."""
    board = rng.choice(list_starts(MOVES[level - 1]))
    names = "".join(rng.sample(NAMES, 9))
    turns = len(list_free(board)) // 2 + 1
    yield Problem(
        prompt=f"{draw_board(board, names)}\nYou play X, I play O, and it is your move. Each turn name a "
        f"free square by its letter. Three in a line win. Turns: {turns}.",
        reference={"board": board, "names": names, "order": rng.sample(range(9), 9), "turns": turns},
    )
