"""vLLM's server on a CPU with a card's memory played by files: its routes, its backend "ipc" and its reload
of layers are its own. Run as a script, and read again by the processes that it starts."""

import runpy
from typing import Any

import torch
from torch.multiprocessing import reductions

UUID, HANDLE, SIZE = "a card", 7, 8  # as tests/trainer/support/fake_card.py has them


class Card:
    uuid = UUID


def rebuild(*handle: Any) -> torch.Tensor:
    return torch.from_file(handle[HANDLE], shared=True, size=handle[SIZE], dtype=torch.uint8)


reductions.rebuild_cuda_tensor = rebuild
torch.cuda.get_device_properties = lambda _device=None: Card()
torch.accelerator.synchronize = lambda _device=None: None

if __name__ == "__main__":
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=False)
