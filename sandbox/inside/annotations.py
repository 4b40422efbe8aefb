"""Inside the sandbox: compile a program whose annotations name what it never imported.

Models leave out `from typing import List`, or annotate with a class that only a judge defines
(`Optional[TreeNode]`). An annotation says nothing about what a function does, so such a program is compiled
as with `from __future__ import annotations`: they are kept as text. A program whose annotations can all be
evaluated is compiled as it is, since it may read them.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import re
import types

_MAYBE = re.compile(r"(?::|->)\s*[\"']?[A-Za-z_]")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def compile_program(source: str, filename: str) -> types.CodeType:
    """Raises SyntaxError, and ValueError for null characters, as `compile` does."""
    code = compile(source, filename, "exec", dont_inherit=True)
    if _MAYBE.search(source) and names_undefined(ast.parse(source)):
        return compile(source, filename, "exec", __future__.annotations.compiler_flag, dont_inherit=True)
    return code


def names_undefined(program: ast.Module) -> bool:
    """Whether an annotation evaluated where it stands uses a name that nothing in the program defines."""
    used: set[str] = set()
    defined: set[str] = set()
    for node in ast.walk(program):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            used |= _names(node.annotation)
        elif isinstance(node, _FUNCTIONS) and node.returns is not None:
            used |= _names(node.returns)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            defined.add(node.id)
        elif isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.alias):
            if node.name == "*":
                return False  # what it brings can't be told from the text
            defined.add((node.asname or node.name).partition(".")[0])
    return any(name not in defined and not hasattr(builtins, name) for name in used)


def _names(annotation: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
