"""What `import palaestra.verifiers` brings along, in modules and compiled expressions: counts,
which no clock disturbs."""

import json
import subprocess
import sys

import pytest
from palaestra import verifiers

# What the front of every check needs. A module that joins this list costs every process about half a
# millisecond.
FRONT = {
    "palaestra",
    "palaestra.verifiers",
    "palaestra.verifiers.combined",
    "palaestra.verifiers.criteria",
    "palaestra.verifiers.criteria.answer",
    "palaestra.verifiers.criteria.format",
    "palaestra.verifiers.criteria.number",
    "palaestra.verifiers.criterion",
    "palaestra.verifiers.extract",
    "palaestra.verifiers.forks",
    "palaestra.verifiers.marks",
    "palaestra.verifiers.math",
    "palaestra.verifiers.math.criterion",
    "palaestra.verifiers.math.equal",
    "palaestra.verifiers.math.types",
    "palaestra.verifiers.quotations",
    "palaestra.verifiers.rationals",
    "palaestra.verifiers.regexes",
    "palaestra.verifiers.retraction",
    "palaestra.verifiers.rewrites",
    "palaestra.verifiers.rubric",
    "palaestra.verifiers.types",
}
STANDARD = "import array, dataclasses, enum, fractions, functools, importlib, re, typing\n"
COMPILED = "import re._compiler; compiled = []; real = re._compiler.compile\n"
COMPILED += "re._compiler.compile = lambda text, *rest: (compiled.append(str(text)), real(text, *rest))[1]\n"


def in_a_fresh_interpreter(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_only_the_front_and_the_standard_modules_it_names_are_imported():
    found = in_a_fresh_interpreter(
        "import json, sys\n" + STANDARD + "before = set(sys.modules)\n"
        "import palaestra.verifiers\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    assert set(found) == FRONT


def test_no_regular_expression_is_compiled_at_import():
    found = in_a_fresh_interpreter(
        "import json, sys\n" + STANDARD + COMPILED + "import palaestra.verifiers\nprint(json.dumps(compiled))"
    )
    assert found == []


def test_the_counter_of_expressions_counts():
    found = in_a_fresh_interpreter(
        "import json, sys\n" + STANDARD + COMPILED + "from palaestra.verifiers import extract\n"
        "extract('<answer>1</answer>')\nprint(json.dumps(compiled))"
    )
    assert any("answer" in text for text in found)


@pytest.mark.parametrize("first", ["criteria.code", "criteria.learned", "criteria.number", "extract"])
def test_a_name_is_itself_whatever_module_was_imported_before(first):
    found = in_a_fresh_interpreter(
        f"import json, palaestra.verifiers.{first}\nfrom palaestra import verifiers\n"
        "print(json.dumps([name for name in verifiers.__all__ if type(getattr(verifiers, name)).__name__ == "
        "'module']))"
    )
    assert found == []


def test_every_public_name_is_there_and_no_other():
    assert all(getattr(verifiers, name) is not None for name in verifiers.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'cod'"):
        verifiers.cod  # noqa: B018 - the access is the test
