"""The puzzles of logic against brute force: what is accepted is all that is right, and nothing else."""

import re
from itertools import combinations, permutations, product

import pytest
from generated import draw, passes
from palaestra.tasks.logic import (
    cryptarithm,
    graph_colouring,
    knapsack,
    max_flow,
    maze_plan,
    satisfiability,
    scheduling,
    shortest_path,
    sudoku,
    zebra,
)

SEVERAL = range(6)


@pytest.mark.parametrize("index", SEVERAL)
def test_satisfiability_accepts_every_solution_and_no_other_assignment(index):
    problem = draw("satisfiability", index)
    lines = [line for line in problem.text.split("\n") if line.startswith("(")]
    names = "abcdefg"
    found = set()
    for values in product((0, 1), repeat=len(names)):
        answer = " ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        right = all(eval(line, {}, dict(zip(names, values, strict=True))) for line in lines)
        assert (satisfiability.find_fault(problem.reference, answer) == "") == right
        found |= {answer} if right else set()
    assert problem.reference["solution"] in found
    assert len(found) <= 2 ** len(names) / 16


def test_satisfiability_reads_values_in_several_forms_and_needs_all():
    problem = draw("satisfiability", 0)
    solution = problem.reference["solution"]
    words = solution.replace("1", "true").replace("0", "false")
    commas, colons, lines = (solution.replace(*pair) for pair in ((" ", ", "), ("=", ": "), (" ", "\n")))
    for same in (commas, colons, lines, solution.upper(), f"[{solution}]", words):
        assert passes("satisfiability", problem, same), same
    for other in (solution[:-4], solution + " a=0", solution + " z=1", solution.replace("=", ""), ""):
        assert not passes("satisfiability", problem, other), other


class Bit:
    """A value whose operators are those of the formulas, for Python's own parser."""

    def __init__(self, value):
        self.value = value

    def __invert__(self):
        return Bit(not self.value)

    def __and__(self, other):
        return Bit(self.value and other.value)

    def __or__(self, other):
        return Bit(self.value or other.value)

    def __xor__(self, other):
        return Bit(self.value != other.value)

    def __rshift__(self, other):
        return Bit(not self.value or other.value)

    def __lshift__(self, other):
        return Bit(self.value == other.value)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_truth_tables_are_those_of_the_formula(level):
    signs = {" and ": "&", " or ": "|", " xor ": "^", " implies ": ">>", " iff ": "<<", "not ": "~"}
    for index in range(25):
        problem = draw("truth_table", index, level)
        formula = problem.text.split("\n")[0].removeprefix("Formula: ")
        for word, sign in signs.items():
            formula = formula.replace(word, sign)
        names = "abcde"[: len(problem.reference["solution"]).bit_length() - 1]
        rows = product((False, True), repeat=len(names))
        bits = (eval(formula, {n: Bit(v) for n, v in zip(names, row, strict=True)}).value for row in rows)
        assert "".join(str(int(bit)) for bit in bits) == problem.reference["solution"]


def is_true(said, knights):
    """A sentence of a knight or a knave, read by its words."""
    names = re.findall(r"\b[A-Z][a-z]+\b", said)
    kinds = [name in knights for name in names]
    if "same kind" in said:
        return kinds[0] == kinds[1]
    if "different kinds" in said:
        return kinds[0] != kinds[1]
    if "exactly" in said:
        return sum(kinds) == (1 if "exactly one" in said else 2)
    if "both knaves" in said:
        return not any(kinds)
    if " or " in said:
        return not kinds[0] or kinds[1]
    return kinds[0] == said.endswith("a knight")


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_knights_and_knaves_have_one_solution(level):
    for index in SEVERAL:
        problem = draw("knights_knaves", index, level)
        said = re.findall(r'^(\w+): "(.+)\."$', problem.text, re.M)
        names = [name for name, _ in said]
        fitting = [
            knights
            for size in range(len(names) + 1)
            for knights in map(set, combinations(names, size))
            if all(is_true(text, knights) == (name in knights) for name, text in said)
        ]
        assert len(fitting) == 1
        right = " ".join(f"{name}={'knight' if name in fitting[0] else 'knave'}" for name in names)
        assert passes("knights_knaves", problem, right)
        assert passes("knights_knaves", problem, ", ".join(sorted(right.lower().split())))
        flipped = right.replace("=knight", "=x", 1).replace("=knave", "=knight", 1).replace("=x", "=knave", 1)
        assert not passes("knights_knaves", problem, flipped)


def keeps(clue, where):
    """Whether a clue holds, read by its words. where: thing -> house, from 1."""
    words = clue.rstrip(".").split()
    first, last = where[words[0]], where.get(words[-1])
    if "same house" in clue:
        return first == where[words[2]]
    if "directly left" in clue:
        return first + 1 == last
    if "next door" in clue:
        return abs(first - last) == 1
    if "somewhere left" in clue:
        return first < last
    return (first == int(words[-1])) != ("is not in" in clue)


@pytest.mark.parametrize("level", [1, 2])
def test_zebra_puzzles_have_one_solution(level):
    for index in SEVERAL:
        problem = draw("zebra", index, level)
        groups = [group.split(", ") for group in re.search(r"of each: (.+)\.\n", problem.text)[1].split("; ")]
        clues = problem.text.split("\n")[1:-1]
        fitting = []
        for orders in product(*(list(permutations(group)) for group in groups)):
            where = {thing: house for order in orders for house, thing in enumerate(order, start=1)}
            if all(keeps(clue, where) for clue in clues):
                fitting.append([list(house) for house in zip(*orders, strict=True)])
        assert fitting == [problem.reference["houses"]]
        for clue in clues:  # none can be spared
            others = [other for other in clues if other != clue]
            count = sum(
                all(
                    keeps(other, {t: h for o in orders for h, t in enumerate(o, start=1)}) for other in others
                )
                for orders in product(*(list(permutations(group)) for group in groups))
            )
            assert count > 1


def test_zebra_reads_houses_in_lines_and_things_in_any_order():
    problem = draw("zebra", 0, 3)
    houses = problem.reference["houses"]
    assert passes("zebra", problem, "\n".join(", ".join(house[::-1]) for house in houses).upper())
    assert not passes("zebra", problem, " / ".join(" ".join(house) for house in houses[::-1]))
    assert not passes("zebra", problem, " / ".join(" ".join(house) for house in houses[:-1]))
    with pytest.raises(zebra.Unreadable):
        zebra.find_fault(problem.reference, " ".join(map(" ".join, houses)))


def test_sudoku_accepts_any_completion_of_a_grid():
    empty = {"grid": [[0] * 4 for _ in range(4)]}
    right = [
        fields
        for fields in product(permutations("1234"), repeat=4)
        if all(len({*unit}) == 4 for unit in zip(*fields, strict=True))
        and all(len({fields[r][c] for r in (top, top + 1) for c in (left, left + 1)}) == 4
                for top in (0, 2) for left in (0, 2))
    ]  # fmt: skip
    assert len(right) == 288
    for fields in right:
        assert sudoku.find_fault(empty, "\n".join(map("".join, fields))) == ""
    latin = "1234\n2341\n3412\n4123"  # rows and columns, but no boxes
    assert sudoku.find_fault(empty, latin) == "A row, column or box holds a digit twice."
    assert "was given" in sudoku.find_fault(
        {"grid": [[2, 0, 0, 0], *[[0] * 4] * 3]}, "1234\n3412\n2143\n4321"
    )


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_sudoku_reads_grids_with_blanks_and_refuses_changed_ones(level):
    problem = draw("sudoku", 1, level)
    solution = problem.reference["solution"]
    assert passes("sudoku", problem, "\n".join(" ".join(line) for line in solution.split("\n")))
    assert passes("sudoku", problem, "\n".join(" | ".join(line) for line in solution.split("\n")))
    assert not passes("sudoku", problem, "\n".join(solution.split("\n")[::-1]))
    assert not passes("sudoku", problem, solution.replace("1", "2"))
    assert not passes("sudoku", problem, solution + "\n1234")
    assert not passes("sudoku", problem, sudoku.write(problem.reference["grid"]))


@pytest.mark.parametrize("index", SEVERAL)
def test_shortest_path_accepts_every_shortest_path_alone(index):
    problem = draw("shortest_path", index)
    edges = {
        frozenset(pair.split("-")): int(length) for pair, length in re.findall(r"(\w-\w) (\d+)", problem.text)
    }
    start, goal = re.search(r"from (\w) to (\w)", problem.text).groups()
    nodes = sorted({node for edge in edges for node in edge})
    paths = {}
    for size in range(len(nodes)):
        for middle in permutations([node for node in nodes if node not in (start, goal)], size):
            steps = [frozenset(pair) for pair in zip((start, *middle), (*middle, goal), strict=True)]
            if all(step in edges for step in steps):
                paths[" ".join((start, *middle, goal))] = sum(edges[step] for step in steps)
    least = min(paths.values())
    for path, length in paths.items():
        assert (shortest_path.find_fault(problem.reference, path) == "") == (length == least)
    assert passes("shortest_path", problem, problem.reference["solution"].replace(" ", " -> ").lower())


def test_two_paths_of_the_least_length_are_both_right():
    edges = [["A", "B", 1], ["B", "D", 2], ["A", "C", 2], ["C", "D", 1], ["A", "D", 4]]
    reference = {"edges": edges, "start": "A", "goal": "D", "length": 3}
    assert [shortest_path.find_fault(reference, path) for path in ("A B D", "A C D")] == ["", ""]
    assert all(
        shortest_path.find_fault(reference, path) for path in ("A D", "D B A", "A B", "A B A B D", "A C B D")
    )


def test_graph_colouring_accepts_every_colouring_alone():
    problem = draw("graph_colouring", 0)
    edges, nodes = problem.reference["edges"], problem.reference["nodes"]
    accepted = 0
    for colours in product("123", repeat=len(nodes)):
        chosen = dict(zip(nodes, colours, strict=True))
        answer = " ".join(f"{node}={colour}" for node, colour in chosen.items())
        right = all(chosen[one] != chosen[two] for one, two in edges)
        assert (graph_colouring.find_fault(problem.reference, answer) == "") == right
        accepted += right
    assert 6 <= accepted <= 3 ** len(nodes) / 20


@pytest.mark.parametrize("level", [1, 2, 3])
def test_flows_are_the_least_cut(level):
    for index in SEVERAL:
        problem = draw("max_flow", index, level)
        pipes = re.findall(r"(\w)>(\w) (\d+)", problem.text)
        start, goal = re.search(r"from (\w) to (\w)\?", problem.text).groups()
        others = sorted({node for one, two, _ in pipes for node in (one, two)} - {start, goal})
        cuts = (
            sum(int(room) for one, two, room in pipes if one in side and two not in side)
            for size in range(len(others) + 1)
            for side in ({start, *chosen} for chosen in combinations(others, size))
        )
        assert str(min(cuts)) == problem.reference
    assert max_flow.push([["A", "B", 3], ["B", "C", 2]], "A", "C") == [("ABC", 2)]


@pytest.mark.parametrize("level", [1, 4])
def test_mazes_accept_detours_and_no_walk_through_walls(level):
    problem = draw("maze_plan", 2, level)
    moves = problem.reference["solution"]
    back = {"U": "D", "D": "U", "L": "R", "R": "L"}
    assert passes("maze_plan", problem, moves[0] + back[moves[0]] + moves)
    assert passes("maze_plan", problem, " ".join(moves).lower())
    assert not passes("maze_plan", problem, moves[:-1])
    assert not passes("maze_plan", problem, moves + moves[-1])
    assert not passes("maze_plan", problem, "U" * 40)
    assert "wall" in maze_plan.find_fault(problem.reference, "UUUUUUUUUUUUUUUUUUUUUUUUU")
    with pytest.raises(maze_plan.Unreadable):
        maze_plan.find_fault(problem.reference, "up, left")


@pytest.mark.parametrize("index", SEVERAL)
def test_scheduling_accepts_every_order_that_works_alone(index):
    problem = draw("scheduling", index)
    told = re.findall(r"(\w) takes (\d+), from (\d+), by (\d+)", problem.text)
    jobs = {name: tuple(map(int, numbers)) for name, *numbers in told}
    accepted = 0
    for order in permutations(jobs):
        time, right = 0, True
        for name in order:
            takes, begin, until = jobs[name]
            time = max(time, begin) + takes
            right &= time <= until
        assert (scheduling.find_fault(problem.reference, " ".join(order)) == "") == right
        accepted += right
    assert 1 <= accepted <= 36
    assert (
        scheduling.find_fault(problem.reference, " ".join([*jobs][:-1]))
        == "The order does not have each job once."
    )


@pytest.mark.parametrize("index", SEVERAL)
def test_knapsacks_accept_every_best_choice_alone(index):
    problem = draw("knapsack", index)
    told = re.findall(r"(\w): (\d+) kg, worth (\d+)", problem.text)
    most = int(re.search(r"at most (\d+) kg", problem.text)[1])
    worth = {}
    for size in range(1, len(told) + 1):
        for chosen in combinations(told, size):
            if sum(int(weight) for _, weight, _ in chosen) <= most:
                worth[" ".join(name for name, _, _ in chosen)] = sum(int(value) for _, _, value in chosen)
    best = max(worth.values())
    for answer, value in worth.items():
        assert (knapsack.find_fault(problem.reference, answer) == "") == (value == best)
    everything = " ".join(name for name, _, _ in told)
    assert knapsack.find_fault(problem.reference, everything)
    first = problem.reference["solution"].split()[0]
    assert "twice" in knapsack.find_fault(problem.reference, f"{first} {first}")


@pytest.mark.parametrize("index", SEVERAL)
def test_cryptarithms_accept_all_digits_that_make_the_sum_right(index):
    problem = draw("cryptarithm", index)
    *added, total = re.findall(r"[A-Z0-9]+", problem.text.split("\n")[0])
    letters = sorted(set(re.findall("[A-Z]", "".join([*added, total]))))
    shown = set(re.findall("[0-9]", "".join([*added, total])))
    solutions = 0
    for digits in permutations("0123456789", len(letters)):
        table = str.maketrans(dict(zip(letters, digits, strict=True)))
        numbers = [word.translate(table) for word in (*added, total)]
        right = (
            not any(number.startswith("0") for number in numbers)
            and not shown & {*digits}
            and sum(map(int, numbers[:-1])) == int(numbers[-1])
        )
        answer = " ".join(f"{letter}={digit}" for letter, digit in zip(letters, digits, strict=True))
        assert (cryptarithm.find_fault(problem.reference, answer) == "") == right
        solutions += right
    assert solutions >= 1
    assert cryptarithm.Search(problem.reference["words"]).solve()


@pytest.mark.parametrize("level", [1, 4])
def test_automata_follow_their_rule(level):
    for index in SEVERAL:
        problem = draw("cellular_automaton", index, level)
        rule = sum(
            int(value) << int(pattern, 2) for pattern, value in re.findall(r"([01]{3})>([01])", problem.text)
        )
        cells = [int(cell) for cell in re.search(r"row is ([01]+)", problem.text)[1]]
        for _ in range(int(re.search(r"after (\d)", problem.text)[1])):
            size = len(cells)
            cells = [
                rule >> (4 * cells[i - 1] + 2 * cells[i] + cells[(i + 1) % size]) & 1 for i in range(size)
            ]
        assert "".join(map(str, cells)) == problem.reference["solution"]
