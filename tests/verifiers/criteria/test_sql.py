"""Queries in SQLite inside the sandbox: what is the same result, and what hostile queries come to."""

import pytest
from palaestra.sandbox import Limits, SandboxPool, SandboxUnavailable
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Rubric, Status
from palaestra.verifiers.criteria.sql import MAX_CHARS, sql
from palaestra.verifiers.criteria.sql_inside import run_query

SCRIPT = "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (2, NULL);"
OTHER = "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (5, 'x'), (7, 'z');"


def make(right, ordered=False):
    databases = [{"script": script, "rows": run_query(script, right, ordered)} for script in (SCRIPT, OTHER)]
    return Problem("p", {"databases": databases, "ordered": ordered, "solution": right})


@pytest.fixture(scope="module")
def pool():
    with SandboxPool(1, Limits(wall_s=60)) as pool:
        yield pool


@pytest.fixture
def status(pool):
    """What becomes of an answer, on a busy machine, too."""
    return make_judge(pool, Limits(wall_s=60, cpu_s=30))


@pytest.fixture
def status_soon(pool):
    """The same where a query that never ends is ended soon."""
    return make_judge(pool, Limits(wall_s=1.5, cpu_s=1))


def make_judge(pool, limits):
    rubric = Rubric(sql(pool=lambda: pool, limits=limits))

    def judge(problem, answer):
        score = rubric.score(Completion(f"<answer>{answer}</answer>"), problem)
        assert not score.abstained, score.parts
        return score.parts["sql"].status

    return judge


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a, b FROM t WHERE a > 1",
        "select a, b from t where a >= 2 order by b desc;",
        "SELECT a AS n, b FROM (SELECT * FROM t) WHERE NOT a <= 1 -- as asked",
        "WITH q AS (SELECT * FROM t) SELECT 1.0 * a, b FROM q WHERE a > 1",
        "```sql\nSELECT a, b FROM t WHERE a > 1\n```",
        "SELECT a, b FROM t WHERE a > 1 UNION ALL SELECT a, b FROM t WHERE a > 99",
    ],
)
def test_any_query_with_the_rows_is_right(status, query):
    assert status(make("SELECT a, b FROM t WHERE a > 1"), query) is Status.CORRECT


@pytest.mark.parametrize(
    "query",
    [
        "SELECT b, a FROM t WHERE a > 1",
        "SELECT a FROM t WHERE a > 1",
        "SELECT a, b FROM t",
        "SELECT DISTINCT a, 'y' FROM t WHERE a > 1",
        "SELECT a, b FROM t WHERE a = 2",  # right in the first database alone
        "SELECT 2, 'y' UNION ALL SELECT 2, NULL",
        "SELECT a, b FROM t WHERE a > 1; SELECT 1",
        "SELECT",
        "not SQL",
        "SELECT a, b FROM nowhere",
    ],
)
def test_other_rows_are_wrong(status, query):
    assert status(make("SELECT a, b FROM t WHERE a > 1"), query) is Status.WRONG


def test_the_order_counts_where_it_is_asked_for(status):
    down = make("SELECT a FROM t ORDER BY a DESC", ordered=True)
    assert status(down, "SELECT a FROM t ORDER BY -a") is Status.CORRECT
    assert status(down, "SELECT a FROM t ORDER BY a") is Status.WRONG
    assert status(make("SELECT a FROM t"), "SELECT a FROM t ORDER BY a DESC") is Status.CORRECT


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "SELECT zeroblob(2000000000)",
        "SELECT hex(zeroblob(900000)) FROM t, t, t, t, t, t, t, t",
        "SELECT group_concat(b) FROM t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t",
        "ATTACH DATABASE '/tmp/x.db' AS x",
        "PRAGMA writable_schema = 1",
        "DELETE FROM t",
        "INSERT INTO t VALUES (1, 'x') RETURNING a, b",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT " + "(" * 900 + "1" + ")" * 900,
        "SELECT '\ud800'",
        "SELECT \x00",
        "VACUUM INTO '/tmp/x'",
        "BEGIN",
        "EXPLAIN SELECT 1",
    ],
)
def test_hostile_queries_are_wrong_and_never_abstain(status_soon, query):
    assert status_soon(make("SELECT a, b FROM t WHERE a > 1"), query) is Status.WRONG


def test_a_long_query_is_refused_before_anything_is_run():
    def unavailable():
        raise SandboxUnavailable("There is no sandbox here.")

    rubric = Rubric(sql(pool=unavailable))
    problem = make("SELECT a FROM t")
    assert (
        rubric.score(Completion(f"<answer>{' ' * 5}SELECT {'1,' * MAX_CHARS}1</answer>"), problem)
        .parts["sql"]
        .status
        is Status.MALFORMED
    )
    assert rubric.score(Completion("no tag"), problem).parts["sql"].status is Status.NO_ANSWER
    assert rubric.score(Completion("<answer>SELECT 1</answer>"), problem).abstained


def test_a_reference_of_another_form_is_a_sentence():
    with pytest.raises(ValueError, match="is a mapping with databases"):
        sql().check(Completion("<answer>SELECT 1</answer>"), Problem("p", "SELECT 1"))
