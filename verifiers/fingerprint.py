"""What a check is made of, as a hash: what it was given, and for code that is not this package's the code
that runs, with whatever of one's own that reaches.

The code is that in memory (a file may have changed since it was imported), as Python has compiled it, so a
comment counts for nothing, and another version of Python makes another hash. What is reached are functions
and classes of one's own, their constants, defaults and enclosed values, and the plain data among the globals
that they name. Installed packages and the standard library count by the names of what is taken from them; of
other objects (a client, a model) no more is known than their type.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, cached_property, partial, partialmethod
from pathlib import Path
from types import CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

HOUSE = __name__.partition(".")[0]
_ELSEWHERE = (f"{HOUSE}.verifiers.", f"{HOUSE}.sandbox.")  # of which `hash_code` has all
# that change no verdict: where a judge is served, and how long it is waited for
UNTOLD = (f"{__package__}.endpoint.Endpoint",)
PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))
# The first hash of a function counts as long as it lives: what it keeps between calls is not what it is.
_seen: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def hash_check(check: Any) -> str:
    """Of a check, as 64 hexadecimal digits: equal for the same code with the same parameters, wherever its
    file is."""
    return _digest(_Walk(within_own=False).list_parts(check))


def _hash_own(value: Any) -> str:
    """Of a function, a class or an object of one's own."""
    try:
        if value not in _seen:
            _seen[value] = _digest(_Walk(within_own=True).list_code(value))
        return _seen[value]
    except TypeError:  # it can't be a key
        return _digest(_Walk(within_own=True).list_code(value))


def _digest(parts: Iterator[str]) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(f"{part}\n".encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


class _Walk:
    """One pass over what a value is made of; what can be seen twice is described once.

    within_own: whether the value is one that code of one's own reaches.
    """

    def __init__(self, *, within_own: bool) -> None:
        self.within_own = within_own
        self.seen: dict[int, tuple[int, Any]] = {}  # by identity: the order, and the value, which so stays

    def list_parts(self, value: Any) -> Iterator[str]:
        """Texts that differ where values do."""
        if isinstance(value, PLAIN):
            yield repr(value)
        elif isinstance(value, tuple):
            yield f"tuple of {len(value)}"
            for each in value:
                yield from self.list_parts(each)
        elif isinstance(value, (set, frozenset)):
            yield from sorted(_digest(_Walk(within_own=self.within_own).list_parts(each)) for each in value)
        elif id(value) in self.seen:
            yield f"again {self.seen[id(value)][0]}"
        else:
            self.seen[id(value)] = len(self.seen), value
            yield from self._list_of_object(value)

    def _list_of_object(self, value: Any) -> Iterator[str]:
        if isinstance(value, list):
            yield f"list of {len(value)}"
            for each in value:
                yield from self.list_parts(each)
        elif isinstance(value, Mapping):
            yield f"mapping of {len(value)}"
            for pair in value.items():
                yield from self.list_parts(pair)
        elif isinstance(value, partial):
            yield from self.list_parts((value.func, value.args, value.keywords))
        elif isinstance(value, MethodType):
            yield from self.list_parts((value.__func__, value.__self__))
        elif hasattr(value, "__wrapped__") and not isinstance(value, FunctionType):
            yield from self.list_parts(value.__wrapped__)
        else:
            yield from self._list_by_owner(value)

    def _list_by_owner(self, value: Any) -> Iterator[str]:
        kind = value if isinstance(value, (type, FunctionType)) else type(value)
        whose = _find_owner(kind.__module__)
        yield f"{whose} {kind.__qualname__}"
        if whose == "own" and self.within_own:
            yield from self.list_code(value)
        elif whose == "own":
            yield _hash_own(value)
        elif whose == "house":
            yield _hash_house(kind.__module__)
            yield from self._list_of_house(value)
        elif isinstance(getattr(value, "pattern", None), (str, bytes)):
            yield from self.list_parts((value.pattern, int(getattr(value, "flags", 0))))
        elif not isinstance(value, type) and hasattr(value, "tobytes") and hasattr(value, "dtype"):
            yield hashlib.sha256(value.tobytes()).hexdigest()

    def _list_of_house(self, value: Any) -> Iterator[str]:
        """What this package's own functions were given; lists of plain values are what they keep between
        calls."""
        if isinstance(value, FunctionType):
            for each in (*(value.__defaults__ or ()), *_read_cells(value)):
                if not (isinstance(each, list) and all(isinstance(kept, PLAIN) for kept in each)):
                    yield from self.list_parts(each)
        elif is_dataclass(value) and not isinstance(value, type) and _is_told(type(value)):
            for field in fields(value):
                yield from self.list_parts((field.name, getattr(value, field.name)))

    def list_code(self, value: Any) -> Iterator[str]:
        """Of a function, a class or an object of one's own, what it is made of."""
        self.seen.setdefault(id(value), (len(self.seen), value))
        if isinstance(value, FunctionType):
            yield from self._list_of_function(value)
        elif isinstance(value, type):
            for base in value.__mro__:
                whose = _find_owner(base.__module__)
                if whose == "own":
                    for name, each in sorted(vars(base).items()):
                        for part in _unwrap(each):
                            if not name.startswith("__") or isinstance(part, FunctionType):
                                yield name
                                yield from self.list_parts(part)
                elif whose == "house":
                    yield _hash_house(base.__module__)
        else:
            yield from self.list_parts(type(value))
            yield from self.list_parts(_read_values(value))

    def _list_of_function(self, function: FunctionType) -> Iterator[str]:
        codes = list(_list_codes(function.__code__))
        for code in codes:
            yield f"{code.co_name} {code.co_argcount} {code.co_flags} {code.co_code.hex()}"
            yield f"{code.co_names} {code.co_varnames} {code.co_freevars}"
            for constant in code.co_consts:
                if not isinstance(constant, CodeType):
                    yield from self.list_parts(constant)
        yield from self.list_parts((function.__defaults__, function.__kwdefaults__))
        for cell in _read_cells(function):
            yield from self.list_parts(cell)
        names = sorted({name for code in codes for name in code.co_names})
        for name in names:
            if name in function.__globals__:
                yield from self._list_of_global(function.__globals__[name], names)
        for code in codes:
            for module in _list_imports(code, str(function.__globals__.get("__package__") or "")):
                yield from self._list_of_global(module, names)

    def _list_of_global(self, value: Any, names: list[str]) -> Iterator[str]:
        """A global that a function names. names: all that it names, some of them of a module's."""
        if not isinstance(value, ModuleType):
            yield from self.list_parts(value)
            return
        if _find_owner(value.__name__) != "own" or id(value) in self.seen:
            return
        self.seen[id(value)] = len(self.seen), value
        for name in names:
            if name in vars(value):
                yield from self._list_of_global(vars(value)[name], names)


def _unwrap(member: Any) -> Iterator[Any]:
    """What a member of a class is made of: the functions of a property, of a method that is wrapped."""
    if isinstance(member, property):
        yield from (each for each in (member.fget, member.fset, member.fdel) if each is not None)
    elif isinstance(member, (cached_property, partialmethod)):
        yield member.func
        yield from ([member.args, member.keywords] if isinstance(member, partialmethod) else [])
    elif not isinstance(member, MemberDescriptorType):  # a slot, whose values an object has
        yield getattr(member, "__func__", member)


def _read_values(value: Any) -> dict[str, Any]:
    """What an object holds, in its slots, too."""
    slots = [
        name
        for kind in type(value).__mro__
        for name, member in vars(kind).items()
        if isinstance(member, MemberDescriptorType) and hasattr(value, name)
    ]
    return {**{name: getattr(value, name) for name in slots}, **getattr(value, "__dict__", {})}


def _list_codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _list_codes(constant)


def _list_imports(code: CodeType, package: str) -> Iterator[ModuleType]:
    """Modules of one's own that a function imports when it is called."""
    before: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            level = next((each for each in reversed(before) if isinstance(each, int)), 0)
            name = "." * level + str(step.argval)
            try:
                full = importlib.util.resolve_name(name, package or None)
                if _find_owner(full) == "own":
                    yield importlib.import_module(full)
            except Exception:  # noqa: BLE001 - the call will say what is wrong with it
                continue
        before.append(step.argval)


def _read_cells(function: FunctionType) -> Iterator[Any]:
    """The enclosed values; one that is not there yet has none."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue


def _is_told(kind: type) -> bool:
    frozen: Any = getattr(kind, "__dataclass_params__", None)
    return frozen.frozen and f"{kind.__module__}.{kind.__qualname__}" not in UNTOLD


@cache
def _find_roots() -> tuple[str, ...]:
    """Folders of the standard library and of installed packages."""
    paths = sysconfig.get_paths()
    return tuple({str(Path(paths[name]).resolve()) for name in ("stdlib", "purelib", "platlib")})


def _find_owner(module: str | None) -> str:
    """Whose a module is: `house`, `library` (installed, or Python's) or `own`."""
    name = module or ""
    first = name.partition(".")[0]
    if first == HOUSE:
        return "house"
    if name == "__main__":
        return "own"
    if first in sys.stdlib_module_names:
        return "library"
    file = _find_file(name)
    if file is None:
        return "own" if name not in sys.builtin_module_names else "library"
    return "library" if file.startswith(_find_roots()) or "site-packages" in file else "own"


def _find_file(name: str) -> str | None:
    loaded = sys.modules.get(name)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
        return str(Path(file).resolve()) if file else None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return str(Path(spec.origin).resolve()) if spec is not None and spec.origin else None


@cache
def _hash_house(module: str) -> str:
    """Of the file of a part of this package that is no verifier (of those `hash_code` has all), and of those
    that it imports: tasks, and what tasks have in common, but for what all of them are made with."""
    hashed = hashlib.sha256()
    for name in sorted(_list_reached(module)):
        file = _find_file(name)
        assert file is not None
        hashed.update(f"{name}\n".encode() + Path(file).read_bytes())
    return hashed.hexdigest()


def _list_reached(module: str) -> set[str]:
    """The modules of this package's tasks that a module imports, itself among them."""
    reached, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        file = _find_file(name)
        if name in reached or file is None or name.startswith(_ELSEWHERE):
            continue
        reached.add(name)
        folder = name if file.endswith("__init__.py") else name.rpartition(".")[0]
        for step in ast.walk(ast.parse(Path(file).read_bytes())):
            if isinstance(step, ast.ImportFrom):
                base = importlib.util.resolve_name("." * step.level + (step.module or ""), folder or None)
                found = [base, *(f"{base}.{each.name}" for each in step.names)]
                waiting += [each for each in found if _is_of_tasks(each, folder)]
    return reached


def _is_of_tasks(module: str, folder: str) -> bool:
    """Whether it counts in what imports it: a module of tasks, but of their machinery only what lies in one
    folder below (tools)."""
    machinery = f"{HOUSE}.tasks.core"
    own = module.rpartition(".")[0] == folder != machinery
    return module.startswith(f"{HOUSE}.tasks.") and (own or not module.startswith(machinery))
