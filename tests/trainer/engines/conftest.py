"""What the tests of a real vLLM server share.

vLLM has an environment of its own in pytest's cache, made once. PALAESTRA_VLLM_PYTHON names the interpreter
of one that is there already.
"""

import os
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.demos.pretrained.weights import find_weights
from palaestra.trainer.engines.vllm.install import install


@pytest.fixture(scope="session")
def source() -> str:
    """Folder of a model with a chat template."""
    weights = find_weights("auto", print)
    if weights is None:
        pytest.skip("no place has the weights of SmolLM2-135M-Instruct")
    return weights.source


@pytest.fixture(scope="session")
def vllm_python(pytestconfig: pytest.Config) -> str:
    """The interpreter of an environment that has vLLM."""
    if named := os.environ.get("PALAESTRA_VLLM_PYTHON"):
        return named
    assert pytestconfig.cache is not None
    try:
        return str(install(Path(pytestconfig.cache.mkdir("vllm")), "cpu", print))
    except UserError as failure:
        pytest.skip(str(failure))
