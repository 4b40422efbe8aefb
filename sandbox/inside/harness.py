"""Inside the sandbox: read requests from the channel, run the program, answer each request with its nonce.

Requests are JSON objects {"n": nonce, "op": ...}; the answer to each repeats the nonce:

    load    compile and execute a source as a module     -> {} or {"raised": [type, text]}
    call    one function call with plain arguments       -> {"value": tree}, {"odd": why}, or
            {"raised": ..., "exception": {...}}, for a reader and for the tests; with "watch", also
            {"changed": [[place, tree], ...]}: arguments that the function has changed in place
    script  run a source as __main__; its standard input is there -> {"exit": code}
    suite   run tests whose entry points are stubs: each use of one sends {"call": [name, args, kwargs]} and
            waits for {"value": tree}, {"exception": ...} (see crossing.py) or {"odd": why}, with "changed";
            {"unfit": why} says that an argument is no plain data, before the program has answered any call:
            later it may have had a part in it, and the test has failed. "seed" is of the tests' generators of
            random numbers.
            -> {"test": i, "failed": null or text} ..., then
               {"done": true, "sound": whether memory and stack sufficed}
    weak    run tests in the program's own namespace     -> as suite, without calls
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import linecache
import os
import random
import socket
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from .. import plain, wire
from . import changes, crossing
from .annotations import compile_program


class ReachedParent(BaseException):
    """The channel is closed: the parent has enough."""


def describe(failure: BaseException) -> list[str]:
    """Type and text of an exception for a person to read."""
    claim = crossing.describe(failure)
    line = None
    with contextlib.suppress(BaseException):  # an exception's own attributes are not to be trusted
        traceback = None if isinstance(failure, SyntaxError) else failure.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename in ("<program>", "<tests>"):
                line = traceback.tb_lineno
            traceback = traceback.tb_next
    return [claim["name"], f"{claim['text']} (line {line})" if line else claim["text"]]


def seed_generators(seed: int) -> None:
    """Those that the modules at hand share with whoever imports them.

    seed: at least 0, of any size.
    """
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed % 2**32)


def _find_exit_status(leaving: SystemExit) -> int:
    """What the interpreter makes of the argument of `exit`."""
    try:
        if leaving.code is None:
            return 0
        if isinstance(leaving.code, int):
            return int(leaving.code) if -(2**31) <= leaving.code < 2**31 else -1
        sys.stderr.write(f"{leaving.code}\n")
    except BaseException:  # noqa: BLE001 - whatever a hostile __str__ does, or a closed stream
        pass
    return 1


class Harness:
    def __init__(self, channel: int) -> None:
        self.channel = channel
        self.module = types.ModuleType("program")
        self.tests = ""  # source of the setup and of the test that runs
        self.spoiled = ""  # why the test has failed already; "" when it has not
        self.answered = False  # whether the program has answered a call of the tests
        self.suite = ""  # nonce of the tests that run

    def serve(self) -> None:
        """Until the channel closes."""
        operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "load": self._load,
            "call": self._call,
            "script": self._script,
            "suite": self._suite,
            "weak": self._weak,
        }
        while True:
            try:
                request = self._receive()
            except ReachedParent:
                return
            try:
                answer = operations[request["op"]](request)
            except ReachedParent:
                return
            except BaseException as failure:  # noqa: BLE001 - the program's SystemExit and KeyboardInterrupt as well
                answer = _claim(failure)
            self._flush()
            self._send({"n": request["n"], **answer})

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.__stdout__, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()  # pyrefly: ignore - a program may have put anything there

    def _receive(self) -> dict[str, Any]:
        length = int.from_bytes(self._read(4), "big")
        return json.loads(self._read(length))

    def _read(self, count: int) -> bytearray:
        """One copy of it only: it may be most of what the limit of memory leaves."""
        data = bytearray(count)
        left = memoryview(data)
        while left:
            got = os.readv(self.channel, [left])
            if not got:
                raise ReachedParent
            left = left[got:]
        return data

    def _send(self, message: dict[str, Any]) -> None:
        frame = memoryview(wire.dumps(message))
        while frame:
            frame = frame[os.write(self.channel, frame) :]

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        source = request["source"]
        if request["mode"] == "restricted":
            from . import restricted  # the zygote has it already when the package is installed

            code, space = restricted.prepare(source)
            self.module.__dict__.update(space)
        else:
            # Compiled as the text of a file would be, with any line ends.
            code = compile_program(source, "<program>")
        linecache.cache["<program>"] = (len(source), None, source.splitlines(keepends=True), "<program>")
        self.module.__name__ = request["name"]
        sys.modules[request["name"]] = self.module
        exec(code, self.module.__dict__)
        return {}

    def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        inside = plain.Inside(sys.modules.get("numpy"), self._find_entry)
        args, kwargs = request.pop("args"), request.pop("kwargs")
        arguments = [wire.decode(tree, inside) for tree in args]
        keywords = {name: wire.decode(tree, inside) for name, tree in kwargs.items()}
        before = {**dict(enumerate(args)), **kwargs} if request.get("watch") else {}
        del args, kwargs  # the trees may be large
        answer: dict[str, Any] = {}
        try:
            value = self._find_entry(request["entry"])(*arguments, **keywords)
            try:
                answer["value"] = wire.encode(value)
            except wire.Unencodable as failure:
                answer["odd"] = str(failure)
        except Exception as failure:  # noqa: BLE001 - whatever the program raises is the answer
            answer |= _claim(failure)
        if before and (changed := changes.find({**dict(enumerate(arguments)), **keywords}, before)):
            answer["changed"] = changed
        return answer

    def _find_entry(self, name: str) -> Callable[..., Any]:
        """`f`, or `Class.method`: a method of an instance made without arguments."""
        target: Any = self.module
        for part in name.split("."):
            target = getattr(target() if isinstance(target, type) else target, part)
        return target

    def _script(self, request: dict[str, Any]) -> dict[str, Any]:
        sys.argv = ["program.py"]
        self.module.__file__ = "program.py"
        code = 0
        try:
            self._load({**request, "name": "__main__"})
        except SystemExit as leaving:
            code = _find_exit_status(leaving)
        except BaseException as failure:  # noqa: BLE001 - reported as an interpreter would: a text and exit status 1
            code = 1
            kind, text = describe(failure)
            sys.stderr.write(f"{kind}: {text}\n")
        # What the interpreter does at its end: wait for threads, run the exit handlers,
        # let go of what the program has.
        at_exit = (threading._shutdown, atexit._run_exitfuncs, self._flush)  # pyrefly: ignore
        for step in (*at_exit, self.module.__dict__.clear, gc.collect):
            with contextlib.suppress(Exception):
                step()
        return {"exit": code & 0xFF}

    def _suite(self, request: dict[str, Any]) -> dict[str, Any]:
        """Trusted tests, run unedited; the functions they test are elsewhere."""
        self.module, self.answered, self.suite = types.ModuleType("tests"), False, request["n"]
        space = self.module.__dict__
        sys.modules["tests"] = self.module
        seed_generators(request["seed"])
        exec(compile(request["setup"], "<tests>", "exec", dont_inherit=True), space)
        for name in request["entries"]:
            space[name] = self._make_stub(name, request["n"])
        for name in request["classes"]:
            space[name] = type(name, (plain.Made,), {})
        ended = self._run_tests(request)
        space.clear()
        gc.collect()  # now, and not while other tests run: a destructor may call a stub or want memory
        return ended

    def _weak(self, request: dict[str, Any]) -> dict[str, Any]:
        seed_generators(request["seed"])
        exec(compile(request["setup"], "<tests>", "exec", dont_inherit=True), self.module.__dict__)
        return self._run_tests(request)

    def _run_tests(self, request: dict[str, Any]) -> dict[str, Any]:
        self._send({"n": request["n"], "ready": True})
        sound = True
        for index, test in enumerate(request["tests"]):
            failed, self.spoiled, self.tests = None, "", f"{request['setup']}\n{test}"
            try:
                exec(compile(test, "<tests>", "exec", dont_inherit=True), self.module.__dict__)
            except ReachedParent:
                raise
            except BaseException as failure:  # noqa: BLE001 - a test that exits has not passed
                failed = ": ".join(describe(failure))
                sound &= isinstance(failure, Exception) and not isinstance(
                    failure, MemoryError | RecursionError
                )
            self._send({"n": request["n"], "test": index, "failed": failed or self.spoiled or None})
        return {"done": True, "sound": sound}

    def _make_stub(self, name: str, nonce: str) -> Callable[..., Any]:
        def stub(*arguments: Any, **keywords: Any) -> Any:
            if nonce != self.suite:
                raise RuntimeError(f"{name} belongs to tests that have ended.")
            try:
                call = [
                    name,
                    [wire.encode(a) for a in arguments],
                    {k: wire.encode(v) for k, v in keywords.items()},
                ]
            except wire.Unencodable as failure:
                if self.answered:
                    raise self._spoil(f"{name} can't be given this: {failure}") from failure
                self._send({"n": nonce, "unfit": f"{name}: {failure}"})
                raise
            self._send({"n": nonce, "call": call})
            answer = self._receive()
            self.answered = True
            inside = plain.Inside(sys.modules.get("numpy"), refuse=self._spoil)
            inputs = {**dict(enumerate(arguments)), **keywords}
            try:
                for place, tree in answer.get("changed", ()):
                    changes.apply(inputs.get(place), wire.decode(tree, inside))
                if "value" in answer:
                    return wire.decode(answer["value"], inside)
            except Exception as failure:  # whatever a hostile value brings about
                raise self._spoil(f"The result can't be taken: {failure}") from failure
            if "odd" in answer:
                raise self._spoil(answer["odd"])
            raise crossing.rebuild(answer["exception"], self.tests)

        stub.__name__ = name
        return stub

    def _spoil(self, reason: str) -> crossing.RemoteError:
        """The test has failed, also when it takes the exception for the one that it expects."""
        self.spoiled = reason
        return crossing.RemoteError(reason)


def _claim(failure: BaseException) -> dict[str, Any]:
    """An exception, for a reader and for the tests."""
    return {"raised": describe(failure), "exception": crossing.describe(failure)}


def rehearse() -> None:
    """Serve a program of our own here, so that the code is specialised and every library call resolved.

    Done once in the zygote; otherwise each child would do it again on its own copies of the pages.
    """
    source = "def f(x, *rest, **named):\n    return [x, 1.5, 'a', (x,), {x: None}]\n"
    requests = [{"n": "", "op": "load", "source": source, "mode": "isolated", "name": "solution"}]
    requests += [
        {"n": "", "op": "call", "entry": "f", "args": [1, ["l", 2]], "kwargs": {"y": ["t", "b"]}}
    ] * 20
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for request in requests:
            ours.sendall(wire.dumps(request))
        ours.shutdown(socket.SHUT_WR)
        Harness(theirs.fileno()).serve()
    del sys.modules["solution"], linecache.cache["<program>"]
