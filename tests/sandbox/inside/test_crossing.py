# ruff: noqa: E501
"""Exceptions of the program in the tests: what Python would take there is taken, what it would not take is not."""

import pytest

RAISES = "def f(*a):\n    {}"
EXPECTS = "try:\n    f(1)\n    ok = False\nexcept {}:\n    ok = True\nassert ok"
ASSERTS = "import unittest\nunittest.TestCase().assertRaises({}, f, 1)"


def passed(pool, body: str, test: str) -> bool:
    outcome = pool.run_suite(RAISES.format(body), ["f"], [test])
    assert outcome.status != "error", outcome
    return outcome.passed


LOOPS = [
    "cases = [1, 2, 3]\nassert all(map(lambda c: f(c) == c, cases))",
    "assert [*map(f, [1, 2])] == []",
    "assert list(iter(f, 0)) == []",
    "assert list(filter(f, [1, 2])) == []",
    "import itertools\nassert list(itertools.takewhile(f, [1])) == []",
    "it = iter([1, 2])\nwhile True:\n    try:\n        x = next(it)\n        assert f(x) == x\n    except StopIteration:\n        break",
    "it = iter([1, 2])\ntry:\n    while True:\n        assert f(it.__next__()) == 1\nexcept StopIteration:\n    pass",
    "import asyncio\nclass A:\n    def __aiter__(self): return self\n    async def __anext__(self): return f(1)\n"
    "async def main():\n    async for x in A(): assert x == 1\nasyncio.run(main())",
]


@pytest.mark.parametrize("test", LOOPS)
@pytest.mark.parametrize(
    "body",
    ["raise StopIteration", "raise StopIteration(1)", "class S(StopIteration): pass\n    raise S", "next(iter([]))",
     "raise StopAsyncIteration", "class S(StopAsyncIteration): pass\n    raise S", "raise GeneratorExit"],
)  # fmt: skip
def test_no_program_ends_a_loop_of_the_tests(pool, test, body):
    assert not passed(pool, body, test)


@pytest.mark.parametrize(
    "body",
    ["raise KeyboardInterrupt", "raise SystemExit(0)", "exit()", "raise GeneratorExit", "class B(BaseException): pass\n    raise B",
     "raise BaseExceptionGroup('x', [KeyboardInterrupt()])", "return object()", "return lambda: 0", "return print",
     "x = []\n    x.append(x)\n    return x", "return {k * (2**61 - 1): 0 for k in range(1, 10**4)}"],
)  # fmt: skip
def test_what_no_except_exception_takes_is_not_taken(pool, body):
    assert not passed(pool, body, EXPECTS.format("Exception"))
    assert not passed(
        pool, body, "import contextlib\nwith contextlib.suppress(Exception):\n    assert f(1) == 1 and False"
    )
    assert not passed(pool, body, "try:\n    assert f(1) == 1 and False\nexcept* Exception:\n    pass")


def test_a_value_that_can_not_be_taken_is_no_exception_that_a_bare_except_may_take(pool):
    for body in ("return object()", "return {k * (2**61 - 1): 0 for k in range(1, 10**4)}"):
        assert not passed(pool, body, EXPECTS.format("BaseException"))
    deep = "x = []\n    for _ in range(98): x = [x]\n    return x"
    assert not passed(
        pool, deep, "try:\n    f([f(1)])\n    ok = False\nexcept ValueError:\n    ok = True\nassert ok"
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [("raise StopIteration", "StopIteration"), ("raise SystemExit(3)", "SystemExit"), ("exit('bad')", "SystemExit"),
     ("raise KeyboardInterrupt", "KeyboardInterrupt"), ("assert a == 1", "AssertionError"), ("1 / 0", "ZeroDivisionError"),
     ("class M(ValueError): pass\n    raise M('x')", "ValueError"), ("class M(Exception): pass\n    raise M('x')", "Exception"),
     ("b'\\xff'.decode()", "UnicodeDecodeError"), ("b'\\xff'.decode()", "ValueError"), ("open('/nope')", "FileNotFoundError"),
     ("open('/nope')", "OSError"), ("import json\n    json.loads('')", "ValueError"), ("{}[1]", "KeyError"), ("[][1]", "LookupError"),
     ("import decimal\n    decimal.Decimal('x')", "ArithmeticError"), ("return f(*a)", "RecursionError"), ("int('x')", "(TypeError, ValueError)"),
     ("raise ExceptionGroup('a', [ValueError()])", "ExceptionGroup"), ("raise ExceptionGroup('a', [ValueError()])", "Exception"),
     ("class E(KeyError, ValueError): pass\n    raise E('q')", "ValueError"), ("class E(KeyError, ValueError): pass\n    raise E('q')", "KeyError"),
     ("class E(OSError, ValueError): pass\n    raise E(2, 'no')", "OSError"), ("class E(UnicodeError, RuntimeError): pass\n    raise E", "RuntimeError"),
     ("raise DeprecationWarning", "Warning"), ("raise MemoryError", "MemoryError"), ("class B(BaseException): pass\n    raise B", "BaseException"),
     ("import asyncio\n    raise asyncio.CancelledError", "BaseException"), ("raise NotImplementedError", "RuntimeError")],
)  # fmt: skip
def test_a_test_that_expects_an_exception_gets_it(pool, body, kind):
    assert passed(pool, body, EXPECTS.format(kind))
    assert passed(pool, body, ASSERTS.format(kind))
    assert not passed(pool, "return 1", EXPECTS.format(kind))
    assert not passed(pool, body, EXPECTS.format("ChildProcessError"))


@pytest.mark.parametrize(
    ("body", "condition"),
    [("raise ValueError('bad thing')", "type(e) is ValueError and str(e) == 'bad thing' and e.args == ('bad thing',)"),
     ("raise KeyError('k')", "type(e) is KeyError and e.args[0] == 'k'"), ("raise SystemExit(3)", "e.code == 3"),
     ("raise ValueError('a', 1, None, 2.5, True)", "e.args == ('a', 1, None, 2.5, True)"),
     ("class Odd(KeyError):\n        def __str__(self): return 'odd!'\n    raise Odd(1)",
      "type(e).__name__ == 'Odd' and isinstance(e, KeyError) and str(e) == 'odd!' and e.args == (1,)"),
     ("raise ValueError('\\ud800 é😀\\x1b')", "str(e) == '\\ud800 é😀\\x1b'"), ("raise ValueError", "str(e) == ''"),
     ("class E(OSError): pass\n    raise E(2, 'no')", "e.args == (2, 'no') and e.errno == 2"),
     ("open('/nope')", "e.errno == 2 and 'No such file' in str(e)"), ("b'\\xff'.decode()", "'invalid start byte' in str(e)"),
     ("raise ValueError(object())", "'object' in str(e)"), ("raise ValueError('x' * 10**7)", "len(str(e)) == 500")],
)  # fmt: skip
def test_its_text_and_arguments_are_those_of_the_program(pool, body, condition):
    assert passed(
        pool, body, f"try:\n    f(1)\nexcept BaseException as failure:\n    e = failure\nassert {condition}"
    )
