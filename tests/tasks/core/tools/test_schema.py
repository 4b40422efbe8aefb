"""Tools from plain typed functions: the schema, and arguments held to it."""

from dataclasses import dataclass
from typing import Literal, Optional

import pytest
from palaestra.tasks.core.errors import TaskError
from palaestra.tasks.core.tools.schema import BadArguments, Tool, make_tools


def look_up(
    word: str,
    count: int = 3,
    near: float = 0.5,
    exact: bool = False,
    tags: list[str] | None = None,
    options: dict[str, int] | None = None,
    order: Literal["asc", "desc"] = "asc",
    page: Optional[int] = None,  # noqa: UP045 - as people write it
) -> str:
    """Look a word up.

    It takes a while.

    word: what to look for.
    :param count: how many to show.
    order (str): of what is found.
    """
    return f"{word} {count} {near} {exact} {tags} {options} {order} {page}"


TOOL = Tool.of(look_up)


def test_a_schema_is_read_off_the_signature_and_the_docstring():
    assert TOOL.schema["function"]["name"] == "look_up"
    assert TOOL.description == "Look a word up."
    assert TOOL.parameters["required"] == ["word"]
    properties = TOOL.parameters["properties"]
    assert properties["word"] == {"type": "string", "description": "what to look for."}
    assert properties["count"] == {"type": "integer", "description": "how many to show."}
    assert properties["near"] == {"type": "number"}
    assert properties["exact"] == {"type": "boolean"}
    assert properties["tags"] == {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}
    assert properties["options"]["anyOf"][0] == {
        "type": "object", "additionalProperties": {"type": "integer"},
    }  # fmt: skip
    assert properties["order"] == {
        "type": "string",
        "enum": ["asc", "desc"],
        "description": "of what is found.",
    }
    assert properties["page"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}


@pytest.mark.parametrize(
    "arguments",
    [
        {"word": "a"},
        {"word": "", "count": 0, "near": 1, "exact": True, "tags": [], "options": {"x": 1}, "order": "desc"},
        {"word": "a", "page": None, "tags": None},
    ],
)
def test_what_fits_is_taken(arguments):
    assert TOOL.check(arguments) == arguments


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "an object of names and values"),
        ({}, "needs the argument 'word'"),
        ({"wrod": "a"}, "no argument 'wrod'; did you mean 'word'?"),
        ({"word": "a", "zzz": 1}, "no argument 'zzz': it takes word, count"),
        ({"word": 1}, "'word' of look_up must be a text"),
        ({"word": "a", "count": True}, "must be a whole number"),
        ({"word": "a", "count": 1.0}, "must be a whole number"),
        ({"word": "a", "near": "1"}, "must be a number"),
        ({"word": "a", "exact": 1}, "must be true or false"),
        ({"word": "a", "tags": ["x", 1]}, "a list, each of which is a text or null"),
        ({"word": "a", "options": {"x": "1"}}, "an object, each of which is a whole number or null"),
        ({"word": "a", "order": "up"}, "must be one of 'asc', 'desc'"),
    ],
)
def test_what_does_not_fit_is_said(arguments, fault):
    with pytest.raises(BadArguments) as failure:
        TOOL.check(arguments)
    assert fault in str(failure.value)


def test_arguments_that_came_as_texts_are_read_by_their_types():
    read = TOOL.read({"word": "12", "count": "12", "near": "x", "nope": "1"})
    assert read == {"word": "12", "count": 12, "near": "x", "nope": "1"}


def test_functions_that_are_no_tools_are_refused():
    @dataclass
    class Point:
        x: int

    def takes_class(point: Point):
        """Doc."""

    def untyped(x):
        """Doc."""

    def many(*x: int):
        """Doc."""

    def silent(x: int):
        return x

    async def wait(x: int):
        """Doc."""

    for function, reason in (
        (takes_class, "point is a Point, of which no schema is made"),
        (untyped, "parameter x has no type"),
        (many, "give each of its parameters a name"),
        (silent, "has no docstring"),
        (lambda x: x, "a name of its own"),
        (wait, "wait waits or yields"),
    ):
        with pytest.raises(TaskError, match=reason):
            Tool.of(function)
    with pytest.raises(TaskError, match="Two tools have one name: look_up, look_up"):
        make_tools([look_up, TOOL])


def give_google(city: str, days: int = 3):
    """The weather of a city,
    in words.
    Args:
        city: Name of the city.
        days (int): How many days.

    Returns:
        The weather.
    """


def give_numpy(city: str, days: int = 3):
    """The weather of a city, in words.

    Parameters
    ----------
    city : str
        Name of the city.
    days : int, optional
        How many days.

    Returns
    -------
    str
    """


def give_sphinx(city: str, days: int = 3):
    """The weather of a city, in words.
    :param city: Name of the city.
    :param int days: How many days.
    :returns: the weather.
    """


@pytest.mark.parametrize("function", [give_google, give_numpy, give_sphinx])
def test_docstrings_are_read_in_the_forms_that_people_write(function):
    tool = Tool.of(function)
    assert tool.description == "The weather of a city, in words."
    told = {name: schema["description"] for name, schema in tool.parameters["properties"].items()}
    assert told == {"city": "Name of the city.", "days": "How many days."}
