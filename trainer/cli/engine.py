"""`palaestra engine`: the environment that a vLLM server runs in."""

from __future__ import annotations

import shutil

from ..config.arguments import SentenceParser
from ..engines.vllm.install import install
from ..model.cache_folder import find_cache_folder


def main(argv: list[str]) -> int:
    """Exit code 0 once the environment is there."""
    parser = SentenceParser(
        prog="palaestra engine",
        description="Make the environment that `--engine vllm` runs its server in: vLLM pins torch and "
        "transformers, so it has one of its own, of several gigabytes, in this user's cache folder.",
    )
    parser.add_argument("action", choices=["install"], help="install: make it, where it is not there yet")
    parser.add_argument("name", choices=["vllm"], help="vllm: the only engine that needs one")
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="what it is built for (default: auto, cuda where nvidia-smi is there)",
    )
    options = parser.parse_args(argv)
    found = "cuda" if shutil.which("nvidia-smi") else "cpu"
    install(find_cache_folder(), found if options.device == "auto" else options.device, print)
    return 0
