"""Evaluations through a real server, vLLM on this machine's CPU, beside those of the local engine."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

NAME, KEY = "smollm2", "sk-no-file-may-hold-this"
START_S, STOP_S, PATIENCE_S = 300, 30, 600  # seconds for the server's start, its end, and for a command
PROBLEMS = 20
# Two implementations sum in different orders, so that logits agree up to float32's rounding; where the two
# most likely tokens are nearer to each other than that, greedy takes either, and the texts differ from there.
ALIKE = 0.9  # share of the completions that must be the same
MAIN = "import sys; from palaestra.trainer.cli.main import main; sys.exit(main())"


@dataclass(frozen=True)
class Server:
    """One that has started. url: without a path."""

    url: str

    @property
    def flags(self) -> list[str]:
        return ["--endpoint", f"{self.url}/v1"]

    def count_requests(self) -> int:
        """Those that it has answered or given up since its start."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=PATIENCE_S) as reply:
            lines = reply.read().decode().splitlines()
        counts = [line.rpartition(" ")[2] for line in lines if line.startswith("vllm:request_success_total{")]
        assert counts, "the server has no such metric"
        return sum(int(float(count)) for count in counts)


@pytest.fixture(scope="module")
def server(vllm_python: str, source: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("vllm")  # as working directory: no module of the checkout stands there
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        # Not the command `vllm`, which looks for the metadata of a distribution of that name.
        *(vllm_python, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", source, "--served-model-name", NAME, "--dtype", "float32", "--enforce-eager"),
        *("--host", "127.0.0.1", "--port", str(port), "--max-model-len", "512", "--max-num-seqs", "4"),
        *("--generation-config", "vllm", "--kv-cache-memory-bytes", str(2**28)),
    ]
    own = {
        "VLLM_API_KEY": KEY, "VLLM_CACHE_ROOT": str(folder / "cache"), "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    log = folder / "log.txt"
    with log.open("wb") as file:
        started = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **own}, stdout=file, stderr=file, start_new_session=True
        )
    try:
        wait_until_healthy(started, f"http://127.0.0.1:{port}", log)
        yield Server(f"http://127.0.0.1:{port}")
    finally:
        stop(started)


def wait_until_healthy(started: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=START_S):
            return
        assert started.poll() is None, f"the server has ended:\n{log.read_text()[-4000:]}"
        assert time.monotonic() < end, f"no server after {START_S} s:\n{log.read_text()[-4000:]}"
        time.sleep(0.2)


def stop(started: subprocess.Popen[bytes]) -> None:
    """The server and all processes that it has started: they are one group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(STOP_S)
    assert started.returncode is not None


def write_command(model: str, out: Path, *flags: str) -> list[str]:
    return [
        *(sys.executable, "-c", MAIN, "eval", "--task", "small_numbers", "--level", "1"),
        *("--problems", str(PROBLEMS), "--temperature", "0", "--max-new-tokens", "12"),
        *("--device", "cpu", "--dtype", "float32", "--model", model, "--out", str(out), *flags),
    ]


def evaluate(model: str, out: Path, *flags: str) -> dict[str, dict]:
    """The rows of an evaluation by the command, by their problems. No file of it holds the key."""
    done = subprocess.run(
        write_command(model, out, *flags), env=make_environment(), capture_output=True, text=True,
        timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr
    files = [path for path in out.rglob("*") if path.is_file()]
    assert {"completions.jsonl", "summary.json", "config.json", "facts.json"} <= {path.name for path in files}
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    return read_rows(out)


def make_environment() -> dict[str, str]:
    return {**os.environ, "OPENAI_API_KEY": KEY, "HF_HUB_OFFLINE": "1"}


def read_rows(out: Path) -> dict[str, dict]:
    rows = [json.loads(line) for line in (out / "completions.jsonl").read_text().splitlines()]
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row for row in rows}


def read_summary(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text())


def check_alike(found: dict[str, dict], expected: dict[str, dict]) -> None:
    """The same prompts, and the same completions but for ties."""
    assert found.keys() == expected.keys()
    assert len(found) == PROBLEMS
    names = ("prompt", "prompt_tokens")
    assert read(found, *names) == read(expected, *names)
    same = [name for name in found if found[name]["completion"] == expected[name]["completion"]]
    texts = {name: (row["completion"], expected[name]["completion"]) for name, row in found.items()}
    assert len(same) >= ALIKE * PROBLEMS, texts
    names = ("completion", "tokens", "finish_reason", "reward", "passed")
    assert read({n: found[n] for n in same}, *names) == read({n: expected[n] for n in same}, *names)


def read(rows: dict[str, dict], *names: str) -> dict[str, list]:
    return {key: [row[name] for name in names] for key, row in rows.items()}


@pytest.fixture(scope="module")
def through_chat(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an evaluation of which each problem was asked once."""
    out, before = tmp_path_factory.mktemp("evaluations") / "chat", server.count_requests()
    evaluate(NAME, out, *server.flags, "--concurrency", "4")
    assert server.count_requests() - before == PROBLEMS
    return out


def test_the_chat_of_the_server_is_that_of_the_local_engine(through_chat: Path, source: str, tmp_path: Path):
    check_alike(read_rows(through_chat), evaluate(source, tmp_path / "local"))
    summary, local = read_summary(through_chat), read_summary(tmp_path / "local")
    assert summary["breakdown"]["prompt_tokens"] == local["breakdown"]["prompt_tokens"] > 0
    assert summary["model"] == NAME
    assert summary["endpoint"]["model"] == [NAME]
    assert (summary["endpoint"]["id"], summary["endpoint"]["max_model_len"]) == (NAME, 512)
    assert "endpoint" not in local


def test_a_text_that_is_gone_on_with_is_that_of_a_model_without_a_template(
    server: Server, source: str, tmp_path: Path
):
    plain = make_plain(Path(source), tmp_path / "plain")
    found = evaluate(NAME, tmp_path / "texts", *server.flags, "--api", "completions", "--concurrency", "4")
    check_alike(found, evaluate(str(plain), tmp_path / "local"))
    assert read_summary(tmp_path / "texts")["endpoint"]["model"] == [NAME]


def make_plain(source: Path, folder: Path) -> Path:
    """The same model without its chat template."""
    folder.mkdir()
    for path in source.iterdir():
        if path.suffix != ".jinja" and path.name != "tokenizer_config.json":
            (folder / path.name).symlink_to(path.resolve())
    settings = json.loads((source / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_an_evaluation_that_was_killed_asks_only_for_what_it_lacks(
    server: Server, through_chat: Path, tmp_path: Path
):
    out = tmp_path / "parts"
    slowly = [*server.flags, "--concurrency", "1", "--requests-per-minute", "60"]
    started = subprocess.Popen(write_command(NAME, out, *slowly), env=make_environment())
    try:
        rows = out / "completions.jsonl"
        while not rows.is_file() or rows.read_bytes().count(b"\n") < 5:
            assert started.poll() is None, "it was to be killed before its end"
            time.sleep(0.01)
    finally:
        started.kill()
        started.wait()
    kept = rows.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    there, before = kept.count(b"\n"), server.count_requests()
    assert 5 <= there < PROBLEMS
    found = evaluate(NAME, out, *server.flags, "--concurrency", "4")
    # One more may have been on its way when the evaluation was killed, and is counted only now.
    assert PROBLEMS - there <= server.count_requests() - before <= PROBLEMS - there + 1
    assert rows.read_bytes().startswith(kept)
    check_alike(found, read_rows(through_chat))
    assert read_summary(out)["endpoint"]["model"] == [NAME]
    before = server.count_requests()
    assert evaluate(NAME, out, *server.flags) == found
    assert server.count_requests() == before, "nothing was left to ask for"
