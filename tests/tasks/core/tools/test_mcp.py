"""Tools of MCP servers, with the package itself: a server of its own making, and one by hand that breaks."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from palaestra import Problem, tools
from palaestra.tasks.core.episode import EpisodeLimits, World
from palaestra.tasks.core.errors import TaskError
from palaestra.tasks.core.tools import telling
from palaestra.tasks.core.tools.episode import ToolEpisode
from palaestra.tasks.core.tools.mcp import GUARD
from palaestra.tasks.core.tools.mcp_guard import MOST_SAID
from palaestra.tasks.core.worlds import Worlds

pytest.importorskip("mcp", reason="the package mcp is not installed")

BY_HAND = str(Path(__file__).parents[3] / "support" / "mcp_server.py")
PROBLEM = Problem("?")


def connect(how: str, file: str = os.devnull, **settings):
    return tools.connect_mcp([sys.executable, "-S", BY_HAND, how, file], **settings)


def write_call(name: str, **arguments) -> str:
    return telling.write_call(name, arguments)


class Made:
    """A maker of worlds with these tools."""

    def __init__(self, made):
        self.tools = made

    def __call__(self, problem):
        return ToolEpisode(problem, self.tools)


@pytest.fixture(scope="module")
def made():
    return connect("well", seconds=20, only=["keep", "refuse", "die", "flood", "garbage", "shape"])


def test_a_server_of_the_package_is_listed_and_called(tmp_path):
    (tmp_path / "server.py").write_text(
        textwrap.dedent('''
        import mcp.server
        if hasattr(mcp.server, "MCPServer"):
            app = mcp.server.MCPServer("adder")
        else:  # below 2
            from mcp.server.fastmcp import FastMCP
            app = FastMCP("adder")

        @app.tool()
        def add(first: int, second: int) -> int:
            """The sum of two numbers."""
            return first + second

        app.run()
        ''')
    )
    (add,) = tools.connect_mcp([sys.executable, "server.py"], cwd=tmp_path, seconds=20)
    assert (add.name, add.description) == ("add", "The sum of two numbers.")
    assert add.parameters["required"] == ["first", "second"]
    world = World(Made([add]), PROBLEM)
    assert world.answer(write_call("add", first=2, second=40)).text == "42"
    assert "must be a whole number" in world.answer(write_call("add", first="2", second=40)).text


def test_each_episode_has_a_server_of_its_own_that_ends_with_it(made):
    first, second = World(Made(made), PROBLEM), World(Made(made), PROBLEM)
    assert first.answer(write_call("keep", word="a")).text == "a"
    assert first.answer(write_call("keep", word="b")).text == "a b"
    assert second.answer(write_call("keep", word="c")).text == "c"
    refused = first.answer(write_call("refuse", word="d"))
    assert (refused.text, refused.state["calls"][-1]["ok"]) == ("Error: ValueError: a b d", False)
    misshapen = first.answer(write_call("shape", word="e"))
    assert (misshapen.fault, misshapen.state["calls"][-1]["ok"]) == ("", False)
    assert "Invalid structured content" in misshapen.text
    assert first.answer(write_call("keep", word="f")).text == "a b d e f"


@pytest.mark.parametrize(
    ("name", "fault", "says"),
    [
        ("die", "raised", "ended at a call of die"),
        ("flood", "raised", "ended at a call of flood"),
        ("garbage", "unavailable", "no result of the protocol"),
    ],
)
def test_a_server_that_breaks_at_a_call_is_a_verdict(made, name, fault, says):
    reply = World(Made(made), PROBLEM).answer(write_call(name, word="a"))
    assert reply.fault == fault
    assert says in reply.reason


def test_a_hanging_server_counts_against_the_call_and_nothing_of_it_is_left(tmp_path):
    file = tmp_path / "started"
    made = connect("well", str(file), seconds=0.5, only=["hang"])
    reply = World(Made(made), PROBLEM).answer(write_call("hang", word="a"))
    assert (reply.fault, "took over 0.5 s" in reply.reason) == ("raised", True)
    for started in map(int, file.read_text().split()):
        wait_for_end(started)


def test_a_server_ends_with_the_process_that_asks_it_however_that_ends(tmp_path):
    server = tmp_path / "server.py"
    server.write_text(
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '4242'], start_new_session=True)\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "time.sleep(4242)\n"
    )
    python = [sys.executable, "-S"]
    asks = (
        "import os, subprocess, time\n"
        f"subprocess.Popen([*{python}, {str(GUARD)!r}, str(os.getpid()), '9999', *{python}, {str(server)!r}],"
        " stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(4242)\n"
    )
    asking = subprocess.Popen([*python, "-c", asks], stdout=subprocess.PIPE, text=True)
    started = asking.stdout.readline().split()
    asking.kill()
    asking.wait()
    asking.stdout.close()
    assert len(started) == 2
    for each in started:
        wait_for_end(int(each))


def test_what_a_server_says_on_stderr_has_an_end():
    says = "import sys\nfor _ in range(99): sys.stderr.write('x' * (1 << 16))\nprint('done')"
    words = [sys.executable, str(GUARD), str(os.getpid()), "9999", sys.executable, "-S", "-c", says]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe) as ran:  # the client goes on
        assert ran.stdout.read() == b"done\n"
        assert len(ran.stderr.read()) == MOST_SAID


@pytest.mark.slow
def test_servers_are_asked_in_the_processes_of_worlds(tmp_path):
    file = tmp_path / "started"
    made = connect("well", str(file), seconds=600, only=["hang", "keep"])
    limits = EpisodeLimits(reply_seconds=4)
    with Worlds(workers=1) as worlds:
        said = [write_call("keep", word="a")]
        assert worlds.answer(Made(made), PROBLEM, limits, "key", said).text == "a"
        said += [write_call("hang", word="b")]
        assert worlds.answer(Made(made), PROBLEM, limits, "key", said).fault == "timeout"
    for started in map(int, file.read_text().split()):
        wait_for_end(started)


@pytest.mark.slow
def test_a_server_that_starts_too_slowly_abstains_and_is_not_the_calls_fault(tmp_path):
    slow = tmp_path / "server.py"
    slow.write_text(Path(BY_HAND).read_text())
    (keep,) = tools.connect_mcp([sys.executable, "-S", str(slow), "well"], only=["keep"])
    slow.write_text("import time\ntime.sleep(4242)")
    with Worlds(workers=1) as worlds:
        said = [write_call("keep", word="a")]
        reply = worlds.answer(Made([keep]), PROBLEM, EpisodeLimits(reply_seconds=1), "key", said)
    assert reply.fault == "unavailable"


def wait_for_end(process: int) -> None:
    """Returns when the process is gone, or a zombie that waits for its parent."""
    while True:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return


def test_a_shared_server_serves_the_episodes_of_a_process():
    (keep,) = connect("well", seconds=20, only=["keep"], shared=True)
    said = [World(Made([keep]), PROBLEM).answer(write_call("keep", word=word)).text for word in "ab"]
    assert said == ["a", "a b"]


def test_a_server_that_no_longer_starts_abstains(tmp_path):
    copy = tmp_path / "server.py"
    copy.write_text(Path(BY_HAND).read_text())
    (keep,) = tools.connect_mcp([sys.executable, str(copy), "well"], only=["keep"])
    assert keep.start() == {f"mcp_server {sys.executable} {copy} well": {"name": "by hand", "version": "1"}}
    copy.unlink()
    reply = World(Made([keep]), PROBLEM).answer(write_call("keep", word="a"))
    assert reply.fault == "unavailable"
    assert "does not start" in reply.reason


@pytest.mark.parametrize(
    ("how", "settings", "says"),
    [
        ("dies", {}, "does not start: no key was given. Run it by hand: .* dies"),
        ("garbage", {}, "does not list its tools"),
        ("strange", {}, "'keep' a schema that can't be read"),
        ("well", {"only": ["nope"]}, "no tool 'nope'. It has keep, refuse"),
        ("well", {}, "'bad.name' .* can't be called by models"),
        ("well", {"seconds": 0}, "seconds above 0"),
    ],
)
def test_what_can_not_be_taken_is_refused_in_a_sentence(how, settings, says):
    with pytest.raises(TaskError, match=says):
        connect(how, **settings)


def test_a_command_that_is_not_there_is_told():
    with pytest.raises(TaskError, match="nope-server can't be started: No such file"):
        tools.connect_mcp(["nope-server"])
