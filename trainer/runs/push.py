"""Give a run's model to others: to a repository on the hub, or to a folder with the same files.

What is written is listed by name: model, tokenizer, adapters, card. Completions, logs, checkpoints and the
code of tasks stay. Imports no torch.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError, shorten
from ..storage.atomic import write_folder
from ..storage.summary import UNKNOWN, RunSummary
from .card import HUB_ID, KINDS, Terms, find_terms, write_card

Say = Callable[[str], None]
MODEL, ADAPTER, CARD = "model", "adapter", "README.md"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "pytorch_model.bin.index.json")
FILES = (
    *WEIGHTS,
    *("config.json", "generation_config.json", "adapter_config.json", "reward_model.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "*.model", "*.tiktoken", "chat_template.jin*"),
    *("configuration_*.py", "modeling_*.py", "tokenization_*.py"),
)  # what `save_pretrained` writes
PATHS = ("_name_or_path", "name_or_path", "base_model_name_or_path")  # keys that may tell of this machine


@dataclass(frozen=True)
class File:
    """name: in the repository.  content: the file it is copied from, or what it says."""

    name: str
    content: Path | bytes


@dataclass(frozen=True)
class Pushed:
    """place: address of the repository, or the folder.  files: their names.  commit: of the hub, "" for a
    folder."""

    place: str
    files: Sequence[str]
    commit: str = ""

    def __str__(self) -> str:
        return f"{len(self.files)} files in {self.place}"


def push(run: Path, to: str, *, public: bool = False, say: Say = print) -> Pushed:
    """Write a run's model, tokenizer, adapters and card.

    run: its folder.  to: `user/name` on the hub, or a folder that is new or empty, which begins with ./, ../,
    ~ or /.  public: whether a new repository may be read by everybody.
    Raises UserError for a folder that is no run or has no end, a folder that holds something, no token, no
    network, and whatever the hub refuses.
    """
    is_folder = to.startswith((".", "/", "~"))
    if not is_folder and not HUB_ID.fullmatch(to):
        raise UserError(
            f"--to {to!r}: give user/name for a repository on the hub, or ./{to or 'name'} for a folder."
        )
    if is_folder and public:
        raise UserError(f"--public is about a repository on the hub; {to} is a folder. Leave it out.")
    summary = read_run(run)
    terms = find_terms(summary)
    if is_folder:
        return _write_locally(summary, Path(to).expanduser(), terms)
    return _Hub.open(to).write(summary, terms, public, say)


def read_run(run: Path) -> RunSummary:
    """The run of a folder. Raises UserError where it is none, or has not ended."""
    if not run.is_dir():
        raise UserError(f"There is no folder {run}. Give the folder of a run, such as runs/gcd-0.")
    if not (run / "facts.json").is_file() or not (run / "config.json").is_file():
        above = run.parent if (run.parent / "facts.json").is_file() else None
        hint = f"Did you mean {above}?" if above else "Give the folder that --out named, or one in runs/."
        raise UserError(f"{run} is not the folder of a run: it holds no facts.json. {hint}")
    summary = RunSummary.of(run)
    if summary.command not in KINDS:
        raise UserError(f"{run} is a folder of `palaestra {summary.command}`, which makes no model to push.")
    folder = run / MODEL
    if not folder.is_dir() or summary.steps < summary.asked:
        raise UserError(
            f"{run} has not ended: it has done {summary.steps} of {summary.asked} steps. Go on with: "
            f"palaestra resume {run}"
        )
    if not any(_matches(path.name, WEIGHTS) for path in folder.iterdir()):
        raise UserError(f"{folder} holds no weights: it is damaged. Put it back from a copy.")
    return summary


def list_files(summary: RunSummary, name: str, terms: Terms) -> list[File]:
    """All that is written. name: by which the model will be loaded."""
    adapter = summary.folder / ADAPTER
    has_adapter = (adapter / "adapter_config.json").is_file()
    card = write_card(summary, name, terms, adapter=has_adapter)
    found = [File(CARD, card.encode("utf-8")), *_list_folder(summary.folder / MODEL, "")]
    return found + (_list_folder(adapter, f"{ADAPTER}/") if has_adapter else [])


def _list_folder(folder: Path, prefix: str) -> list[File]:
    return [
        File(prefix + path.name, _hide_paths(path) if path.suffix == ".json" else path)
        for path in sorted(folder.iterdir())
        if path.is_file() and _matches(path.name, FILES)
    ]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _hide_paths(path: Path) -> Path | bytes:
    """A file of settings; without the folders of this machine, where it names some."""
    if not path.name.endswith("config.json"):
        return path
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    named = [key for key in PATHS if str(values.get(key, "")).startswith(("/", "."))]
    if not named:
        return path
    names = {key: Path(str(values[key])).name for key in named}
    return json.dumps({**values, **names}, indent=2).encode("utf-8")


def _write_locally(summary: RunSummary, target: Path, terms: Terms) -> Pushed:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is there already. Give another --to, or remove it first.")
    files = list_files(summary, f"./{target.name}", terms)

    def write(folder: Path) -> None:
        for file in files:
            place = folder / file.name
            place.parent.mkdir(exist_ok=True)
            if isinstance(file.content, Path):
                shutil.copyfile(file.content, place)
            else:
                place.write_bytes(file.content)

    write_folder(target, write)
    return Pushed(str(target), [file.name for file in files])


@dataclass(frozen=True)
class _Hub:
    """A repository on the hub. api: an `HfApi` with a token."""

    repository: str
    api: Any

    @classmethod
    def open(cls, repository: str) -> _Hub:
        """Raises UserError where this machine may not write to the hub."""
        from huggingface_hub import HfApi, constants, get_token

        instead = "Without the hub: --to ./name writes a folder."
        if constants.HF_HUB_OFFLINE:
            raise UserError(f"HF_HUB_OFFLINE is set, so nothing is sent to the hub. Unset it. {instead}")
        token = get_token()
        if not token:
            raise UserError(
                "There is no token for the hub. Log in with `hf auth login`, or set HF_TOKEN to one that may "
                f"write (https://huggingface.co/settings/tokens). {instead}"
            )
        endpoint = os.environ.get("HF_ENDPOINT") or None
        return cls(repository, HfApi(endpoint=endpoint, token=token, library_name="palaestra"))

    def write(self, summary: RunSummary, terms: Terms, public: bool, say: Say) -> Pushed:
        """The files as one commit. Weights that were there under other names go."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        with self._explain():
            if terms.hub_base and terms.base_licence == UNKNOWN:
                terms = replace(terms, base_licence=self._ask_licence(terms.hub_base))
        files = list_files(summary, self.repository, terms)
        names = {file.name for file in files}
        contents = {f.name: f.content if isinstance(f.content, bytes) else str(f.content) for f in files}
        operations = [CommitOperationAdd(name, content) for name, content in contents.items()]
        with self._explain():
            there = self._make(public)
            stale = [name for name in there or () if name not in names and _matches(name, WEIGHTS)]
            commit = self.api.create_commit(
                self.repository,
                [*operations, *map(CommitOperationDelete, stale)],
                commit_message=f"palaestra: {summary.headline}, {summary.progress}",
            )
        made = f"a new {'public' if public else 'private'} repository"
        say(f"{self.repository}: {made if there is None else 'a commit to the repository that was there'}.")
        return Pushed(f"{self.api.endpoint}/{self.repository}", sorted(names), commit.oid)

    def _make(self, public: bool) -> list[str] | None:
        """Make the repository: None for a new one, the files of one that is there already.

        Raises UserError where that is public and it was not asked for.
        """
        from huggingface_hub.errors import HfHubHTTPError

        try:
            self.api.create_repo(self.repository, private=not public)
        except HfHubHTTPError as refusal:
            try:  # it may be there, whether or not the token may make one
                found = self.api.repo_info(self.repository)
            except HfHubHTTPError:
                raise refusal from None
        else:
            return None
        if not found.private and not public:
            raise UserError(
                f"{self.repository} is there already, and public: everybody would read the model. Give "
                "--public if that is meant, or another name."
            )
        return [file.rfilename for file in found.siblings or ()]

    def _ask_licence(self, base: str) -> str:
        """The licence that the hub knows of a model, "unknown" where it knows none."""
        from huggingface_hub.errors import HfHubHTTPError

        try:
            card = self.api.model_info(base).card_data
        except (HfHubHTTPError, KeyError, TypeError):  # gated, gone, private, or an answer that says nothing
            return UNKNOWN
        named = getattr(card, "license", None)
        return named if isinstance(named, str) and named else UNKNOWN

    @contextmanager
    def _explain(self) -> Iterator[None]:
        """Around calls of the hub: raises UserError in place of what they raise."""
        from huggingface_hub.errors import HfHubHTTPError

        # Its bases are the errors of the library that speaks HTTP, and OSError.
        failures: tuple[type[Exception], ...] = (*HfHubHTTPError.__bases__, OSError, ValueError)
        try:
            yield
        except UserError:
            raise
        except HfHubHTTPError as failure:
            raise UserError(_explain_refusal(self.repository, failure)) from failure
        except failures as failure:
            reason = shorten(str(failure) or type(failure).__name__)
            raise UserError(
                f"{self.repository} could not be written: {reason}. Check the network ({self.api.endpoint}) "
                "and try again, or write a folder: --to ./name"
            ) from failure


def _explain_refusal(repository: str, failure: Any) -> str:
    """What the hub said, with what to do about it."""
    status = getattr(getattr(failure, "response", None), "status_code", 0)
    user = repository.partition("/")[0]
    advice = {
        401: "The token is not valid: log in again with `hf auth login`.",
        403: f"The token may not write for {user}: take one with the right to write, or another name.",
        404: f"Is {user} a user or an organisation that you may write for?",
    }.get(status, "Try again later, or write a folder: --to ./name")
    said = getattr(failure, "server_message", None) or str(failure)
    return f"The hub refused {repository} ({status}: {shorten(said, 120)}). {advice}"
