"""The pages tell the truth: their commands run, their Python runs, their links lead somewhere.

One mechanism for the README and every page of docs/: tests/pages.py says what is run and what is parsed.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import palaestra
import pytest
import torch
import transformers
from palaestra.tasks.core import registry
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.core.task import REGISTERED
from palaestra.tasks.data.judges import NAMES
from palaestra.trainer import api
from palaestra.trainer.cli.data_flags import NAMES as FLAGS
from palaestra.trainer.cli.main import COMMANDS, main
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.config.parse import name_flag, parse
from palaestra.trainer.config.plan import PlanConfig
from palaestra.trainer.config.reward_model import RewardModelConfig
from palaestra.trainer.config.settings import list_settings
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.config.train import TrainConfig

from .pages import (
    DOCS,
    PAGES,
    ROOT,
    SMALL,
    Block,
    Command,
    list_anchors,
    list_blocks,
    list_commands,
    list_inline_commands,
    list_links,
    write_files,
)
from .trainer.support.tokenizers import make_byte_tokenizer
from .verifiers.support.fake_judge import serve

CONFIGS = {"train": TrainConfig, "sft": SFTConfig, "reward-model": RewardModelConfig, "eval": EvalConfig}
OF_TASKS = {"answer", "literal"}  # of tasks with a verifier of their own, and of CRUXEval: docs/tasks.md
PYTHON = ("python", "pycon")
JUDGE = "http://localhost:8000/v1"  # where pages have an endpoint that judges
CHAT = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<assistant>"


@pytest.fixture(autouse=True)
def leave_no_trace():
    """Threads and tasks are as they were for the tests that follow."""
    registry.names()  # what is in the package is imported once, and must stay
    threads, before = torch.get_num_threads(), dict(REGISTERED)
    yield
    torch.set_num_threads(threads)
    REGISTERED.clear()
    REGISTERED.update(before)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a small instruct model where the pages have one: in ./my-model."""
    tokenizer = make_byte_tokenizer(CHAT)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        max_position_embeddings=2048, **sizes,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "my-model")
    tokenizer.save_pretrained(tmp_path / "my-model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def has_something_to_run(page: Path) -> bool:
    blocks = list_blocks(page.read_text())
    commands = [command for block in blocks for command in list_commands(block)]
    return any(block.language in PYTHON for block in blocks) or any(command.runs for command in commands)


def run_python(block: Block, page: Path, names: dict[str, Any]) -> None:
    """Run a block; one with prompts as an interpreter would: what it prints must be what the page says."""
    if block.language == "pycon":
        test = doctest.DocTestParser().get_doctest(block.text, names, page.name, str(page), block.line)
        assert test.examples, f"{page.name}, line {block.line}"
        assert doctest.DocTestRunner().run(test, clear_globs=False).failed == 0
        names.update(test.globs)
    else:
        exec(compile("\n" * block.line + block.text, str(page), "exec"), names)


def run(command: Command) -> int:
    """The exit code of a command, whose standard output goes where it says."""
    if not command.output:
        return main(command.shrink())
    with open(command.output, "w") as file, contextlib.redirect_stdout(file):
        return main(command.shrink())


def parse_only(command: Command, place: str) -> None:
    """Let the command's own parser read it; a name in capitals is a text like any other."""
    kind = CONFIGS.get(command.words[0])
    assert command.words[0] in COMMANDS, f"{place}, {command}"
    if kind is not None:
        try:
            parse(kind, command.words[1:], f"palaestra {command.words[0]}")
        except UserError as failure:
            pytest.fail(f"{place}, {command}: {failure}")


@pytest.fixture
def judge() -> Iterator[str]:
    """The address of an endpoint that judges."""
    with serve() as fake:
        yield fake.url


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions that train and measure take the sizes that the commands take."""
    settle = api.settle

    def settle_small(kind, config, settings):
        command = next(name for name, each in CONFIGS.items() if each is kind)
        return settle(kind, config, settings).but(**SMALL[command])

    monkeypatch.setattr(api, "settle", settle_small)


@pytest.mark.parametrize("page", [*filter(has_something_to_run, PAGES)], ids=lambda page: page.name)
def test_the_commands_and_the_python_of_a_page_run_in_their_order(
    page: Path, desk: Path, small: None, request: pytest.FixtureRequest
):
    names: dict[str, Any] = {"__name__": "__main__"}
    text = page.read_text()
    write_files(text, desk)
    if JUDGE in text:
        text = text.replace(JUDGE, request.getfixturevalue("judge"))
    for block in list_blocks(text):
        if block.language in PYTHON and not block.title:
            run_python(block, page, names)
        for command in list_commands(block):
            if command.runs:
                assert run(command) == 0, f"{page.name}, {command}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_that_need_more_are_parsed(page: Path):
    for block in list_blocks(page.read_text()):
        for command in list_commands(block):
            if not command.runs:
                parse_only(command, page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_running_text_have_the_options_that_they_name(page: Path):
    for text in list_inline_commands(page.read_text()):
        name, *words = text.split()
        assert name in COMMANDS or name.startswith("-"), f"{page.name}: palaestra {text}"
        flags = {word.partition("=")[0] for word in words if word.startswith("--")}
        kind = CONFIGS.get(name)
        if kind is not None:
            known = {name_flag(setting) for setting in list_settings(kind)} | {
                "--config",
                "--help",
                "--help-all",
            }
            assert flags <= known, f"{page.name}: palaestra {text}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_shows_are_sound(page: Path):
    for block in list_blocks(page.read_text()):
        if block.language == "python":
            ast.parse(block.text, f"{page.name}, line {block.line}")
        elif block.title.endswith(".jsonl"):
            assert all(json.loads(line) for line in block.text.splitlines()), f"{page.name}, {block.title}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path):
    text = page.read_text()
    for link in list_links(text):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if page.parent == DOCS:  # the site holds nothing else
            assert target.is_relative_to(DOCS), f"{page.name}: {link}"
        if anchor:
            assert anchor in list_anchors(target.read_text()), f"{page.name}: {link}"


def test_every_setting_in_a_page_written_as_a_flag_is_one():
    """`--flag` between backticks, anywhere: some command has it."""
    source = "".join(path.read_text() for path in (ROOT / "trainer" / "cli").glob("*.py"))
    source += "".join(path.read_text() for path in (ROOT / "trainer" / "demos").rglob("*.py"))
    known = {
        name_flag(setting) for kind in (*CONFIGS.values(), PlanConfig) for setting in list_settings(kind)
    }
    for page in PAGES:
        for flag in re.findall(r"`(--[a-z][a-z0-9.-]*[a-z0-9])", page.read_text()):
            name = flag.removeprefix("--").removeprefix("no-")
            assert (
                flag in known | {"--help-all", "--user", "--signal"}  # the last of systemd-run and sbatch
                or f"--{name}" in known
                or f'"{flag}"' in source
                or f"{name.replace('-', '_')}:" in source
                or any(setting.startswith(f"{flag}.") for setting in known)
            ), f"{page.name}: {flag}"


def list_texts() -> list[str]:
    """Every text in the package's source; what is put into one is an ellipsis there."""
    texts = []
    for room in ("sandbox", "verifiers", "tasks", "trainer"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                    texts.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return texts


def test_the_sentences_that_are_quoted_are_those_of_the_tool():
    """A quotation (> ...) in the page on troubles: its parts between ellipses stand in one text of the
    source."""
    texts = list_texts()
    quoted = re.findall(r"(?m)^> (.+)$", (DOCS / "troubleshooting.md").read_text())
    assert len(quoted) >= 12
    for sentence in quoted:
        parts = [part.strip() for part in sentence.split("…") if part.strip()]
        assert any(all(part in text for part in parts) for text in texts), sentence


def test_every_criterion_is_shown():
    page = (DOCS / "rewards.md").read_text()
    for name in {*palaestra.criteria.__all__} - OF_TASKS:
        assert f"criteria.{name}(" in page or f"criteria.{name}`" in page, name


def test_the_verifiers_and_flags_of_data_are_those_there_are():
    page = (DOCS / "data.md").read_text()
    table = re.findall(r"(?m)^\| `([^`]+)`", page.partition("How answers are judged")[2])
    assert {*NAMES} == {name for name in table if name.isidentifier()}
    assert all(f"--{flag.replace('_', '-')}" in page for flag in FLAGS)
