"""Fill a sudoku, 4 x 4 or 9 x 9: any right completion counts, where a grid has several.

Each level has more empty fields.
"""

import random
from collections.abc import Iterator

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import Unreadable, err_by_step, puzzle, work_out
from ..core.problem import Problem
from ..core.task import task

SIZES = (2, 2, 3, 3)  # fields on a side of a box; by level
EMPTY = (6, 9, 36, 51)  # fields
Grid = list[list[int]]  # 0 for an empty field


def make_full(rng: random.Random, box: int) -> Grid:
    """A full grid: a pattern whose rows, columns, bands of them and digits are shuffled."""
    size = box * box

    def shuffle_lines() -> list[int]:
        bands = rng.sample(range(box), box)
        return [band * box + line for band in bands for line in rng.sample(range(box), box)]

    digits = rng.sample(range(1, size + 1), size)
    rows, columns = shuffle_lines(), shuffle_lines()
    return [[digits[(box * (row % box) + row // box + column) % size] for column in columns] for row in rows]


def list_units(box: int) -> list[list[int]]:
    """Rows, columns and boxes, each as the numbers of its fields."""
    size = box * box
    lines = range(size)
    rows = [[row * size + column for column in lines] for row in lines]
    columns = [[row * size + column for row in lines] for column in lines]
    boxes = [
        [(top + down) * size + left + right for down in range(box) for right in range(box)]
        for top in range(0, size, box)
        for left in range(0, size, box)
    ]
    return rows + columns + boxes


class Search:
    """Backtracking by the field with the fewest digits that still fit. tried: digits set."""

    def __init__(self, grid: Grid) -> None:
        self.size = len(grid)
        self.box = round(self.size**0.5)
        self.fields = [digit for row in grid for digit in row]
        self.tried = 0
        full = (1 << self.size + 1) - 2
        self.rows, self.columns, self.boxes = ([full] * self.size for _ in range(3))
        for place, digit in enumerate(self.fields):
            if digit:
                self.flip(place, digit)

    def flip(self, place: int, digit: int) -> None:
        row, column, box = self._find(place)
        self.rows[row] ^= 1 << digit
        self.columns[column] ^= 1 << digit
        self.boxes[box] ^= 1 << digit

    def _find(self, place: int) -> tuple[int, int, int]:
        row, column = divmod(place, self.size)
        return row, column, row // self.box * self.box + column // self.box

    def list_free(self, place: int) -> int:
        row, column, box = self._find(place)
        return self.rows[row] & self.columns[column] & self.boxes[box]

    def solve(self) -> bool:
        empty = [place for place, digit in enumerate(self.fields) if not digit]
        if not empty:
            return True
        place = min(empty, key=lambda place: self.list_free(place).bit_count())
        free = self.list_free(place)
        for digit in range(1, self.size + 1):
            if free >> digit & 1:
                self.tried += 1
                self.fields[place] = digit
                self.flip(place, digit)
                if self.solve():
                    return True
                self.flip(place, digit)
                self.fields[place] = 0
        return False


def write(grid: Grid) -> str:
    return "\n".join("".join(str(digit or ".") for digit in row) for row in grid)


def find_fault(reference: dict, answer: str) -> str:
    """Whether the grid keeps the given digits, and no row, column or box holds a digit twice."""
    grid: Grid = reference["grid"]
    size = len(grid)
    lines = ["".join(line.replace(",", " ").replace("|", " ").split()) for line in answer.strip().split("\n")]
    if len(lines) != size or any(len(line) != size for line in lines):
        raise Unreadable(f"The answer is no {size} lines of {size} digits.")
    fields = "".join(lines)
    if not set(fields) <= set("123456789"[:size]):
        raise Unreadable(f"The digits are 1 to {size}.")
    for row, line in enumerate(grid):
        for column, digit in enumerate(line):
            if digit and str(digit) != lines[row][column]:
                return f"The digit in row {row + 1}, column {column + 1} was given."
    for unit in list_units(round(size**0.5)):
        if len({fields[place] for place in unit}) < size:
            return "A row, column or box holds a digit twice."
    return ""


def solve(problem: Problem) -> str:
    """The digits in the order in which they can be set, then the grid."""
    solution = problem.reference["solution"].split("\n")
    grid = problem.reference["grid"]
    size = len(grid)
    search = Search(grid)
    empty = {place for place, digit in enumerate(search.fields) if not digit}
    steps = []
    while empty:
        place = min(empty, key=lambda place: (search.list_free(place).bit_count(), place))
        empty.remove(place)
        row, column = divmod(place, size)
        search.flip(place, int(solution[row][column]))
        steps.append(f"{row + 1},{column + 1}:{solution[row][column]}")
    return work_out([" ".join(steps)], problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Digits that backtracking sets until the grid is full."""
    search = Search(problem.reference["grid"])
    search.solve()
    return search.tried


@task(
    "sudoku",
    rubric=Rubric(puzzle("grid", find_fault, max_chars=400, several=True), answer_tag(weight=0.1)),
    levels=len(SIZES),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=15),
    licence="Apache-2.0",
)
def sudoku(rng: random.Random, level: int) -> Iterator[Problem]:
    """Fill a sudoku; 4 x 4 with 6 and 9 empty fields, 9 x 9 with 36 and 51, any right completion."""
    box = SIZES[level - 1]
    size = box * box
    full = make_full(rng, box)
    emptied = set(rng.sample(range(size * size), EMPTY[level - 1]))
    grid = [
        [0 if row * size + column in emptied else full[row][column] for column in range(size)]
        for row in range(size)
    ]
    yield Problem(
        prompt=f"Fill in the dots so that each row, each column and each {box} x {box} box holds each digit "
        f"from 1 to {size} once:\n{write(grid)}\nAnswer with the {size} lines of {size} digits, without "
        "blanks.",
        reference={"grid": grid, "solution": write(full)},
        key=write(grid),
    )
