"""Whether the Hugging Face hub can be asked, found out in seconds: its own libraries retry for minutes.

Imports nothing of theirs. What is in the hub's cache can be loaded without the hub.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError, UserError, shorten

if TYPE_CHECKING:
    import ssl

WAIT_S = 2.5  # for an answer of the hub; HF_HUB_ETAG_TIMEOUT, where it is set, is taken in its place
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
_TRUE = {"1", "on", "yes", "true"}


@dataclass(frozen=True)
class Reachability:
    """reason: why the hub can't be asked, "" where it can."""

    endpoint: str
    reason: str = ""

    @property
    def online(self) -> bool:
        return not self.reason


def probe_hub() -> Reachability:
    """Ask the hub for a sign of life, once in a process; takes `WAIT_S` seconds at most."""
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    switch = next((name for name in OFFLINE if os.environ.get(name, "").lower() in _TRUE), "")
    if switch:
        return Reachability(endpoint, f"{switch} is set")
    return _probe(endpoint, _read_wait())


def _read_wait() -> float:
    try:
        return float(os.environ["HF_HUB_ETAG_TIMEOUT"])
    except (KeyError, ValueError):
        return WAIT_S


@cache
def _probe(endpoint: str, wait: float) -> Reachability:
    reasons = [f"no answer within {wait:g} s"]

    def ask() -> None:
        reasons[0] = _ask(endpoint, wait)

    # In a thread: a name server that does not answer can't be given a time limit. It ends with the process.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(wait)
    return Reachability(endpoint, reasons[0])


def _ask(endpoint: str, wait: float) -> str:
    """Why no answer came; "" for an answer of any kind."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(endpoint, method="HEAD"), timeout=wait, context=_gather_certificates()):
            return ""
    except HTTPError:
        return ""  # it is there
    except URLError as failure:
        return shorten(str(failure.reason) or "no connection", 80)
    except (OSError, ValueError) as failure:
        return shorten(str(failure) or type(failure).__name__, 80)


def _gather_certificates() -> ssl.SSLContext:
    """Whom Python trusts, and whom the libraries of the hub may trust beside."""
    import ssl

    context = ssl.create_default_context()
    bundles = [os.environ.get(name, "") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")]
    with suppress(ImportError):
        import certifi

        bundles.append(certifi.where())
    for bundle in bundles:
        with suppress(OSError):
            if bundle:
                context.load_verify_locations(bundle)
    return context


def find_cache() -> Path:
    """The folder of the hub's cache."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{base}/huggingface").expanduser() / "hub"


def is_cached(name: str, kind: str) -> bool:
    """Whether the cache holds something of a repository. kind: models or datasets."""
    folder = f"{kind}--{name.replace('/', '--')}"
    if any(find_cache().glob(f"{folder}/snapshots/*/*")):
        return True
    if kind != "datasets":
        return False
    return any(True for folder in find_prepared(name) for _ in folder.iterdir())


def find_prepared(name: str) -> list[Path]:
    """The folders in which the library `datasets` keeps what it has prepared of a data set on the hub."""
    named = os.environ.get("HF_DATASETS_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = Path(named or Path(os.environ.get("HF_HOME") or f"{base}/huggingface") / "datasets").expanduser()
    if not home.is_dir():
        return []
    return [path for path in home.iterdir() if path.is_dir() and _fold(path.name) == _fold(name)]


def _fold(name: str) -> str:
    """`owner/TheName` and `owner___the_name`, as the cache has it, alike."""
    return name.replace("/", "").replace("_", "").lower()


def load_hub_data(path: str, config: str | None, split: str | None, revision: str | None, advice: str) -> Any:
    """A split of a data set on the hub, or of its copy in the cache, as `datasets` gives it; with None all of
    them.

    advice: the fix where it can't be had, a sentence. Raises DataError.
    """
    try:
        online = check_hub(path, "datasets", advice).online
    except UserError as failure:
        raise DataError(str(failure)) from failure
    import datasets  # slow to import, and only this path needs it

    if not online:
        go_offline()
        datasets.config.HF_HUB_OFFLINE = True
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(path, config, split=split, revision=revision)
    except (OSError, ValueError, RuntimeError) as failure:  # unknown name, missing split, broken cache
        first = (str(failure).strip() or type(failure).__name__).splitlines()[0]
        name = f"{path} ({config})" if config else path
        raise DataError(
            f"The data set {name} could not be loaded from the hub: {shorten(first)}. {advice}"
        ) from failure


def go_offline() -> None:
    """Tell the hub's library, in this process, that the cache is all there is: it would try each of a dozen
    requests again and again."""
    import huggingface_hub

    huggingface_hub.constants.HF_HUB_OFFLINE = True


def check_hub(name: str, kind: str, advice: str) -> Reachability:
    """Whether the hub can be asked about a repository.

    Raises UserError where it can't, and the cache holds nothing of it. kind: models or datasets.  advice: the
    fix beside a connection, a sentence.
    """
    hub = probe_hub()
    if not hub.online and not is_cached(name, kind):
        raise UserError(
            f"{name} is not in the hub's cache, and {hub.endpoint} can't be asked: {hub.reason}. {advice}"
        )
    return hub
