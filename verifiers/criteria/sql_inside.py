"""One query against one database in SQLite. This text runs inside the sandbox for queries that a model wrote;
outside, a task runs its own queries with it."""

import sqlite3

MAX_ROWS = 10_000
MAX_BYTES = 1_000_000  # of one value
_ALLOWED = {  # the actions of a query that only reads, by SQLite's numbers
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}


def open_database(script):
    """A database in memory that `script` makes, from then on to be read alone."""
    database = sqlite3.connect(":memory:")
    database.executescript(script)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES)
    database.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
    )
    return database


def read_rows(database, query, ordered):
    """The rows of one SELECT, as lists; in the order of their texts unless the order counts. 2.0 is 2.

    Raises what SQLite raises, and ValueError for what is no query, or gives too much."""
    cursor = database.execute(query)
    if cursor.description is None:
        raise ValueError("This is no query.")
    rows = [[_simplify(value) for value in row] for row in cursor.fetchmany(MAX_ROWS + 1)]
    if len(rows) > MAX_ROWS:
        raise ValueError(f"The query gives more than {MAX_ROWS} rows.")
    return rows if ordered else sorted(rows, key=repr)


def run_query(script, query, ordered):
    """`read_rows` in a database that `script` makes."""
    database = open_database(script)
    try:
        return read_rows(database, query, ordered)
    finally:
        database.close()


def _simplify(value):
    return int(value) if isinstance(value, float) and value.is_integer() else value
