"""What is asked of whatever samples completions, and how tokens are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...verifiers import Completion


@dataclass(frozen=True)
class Request:
    """One prompt to complete `samples` times. stream: seed of its random numbers; the same stream gives the same draws."""

    ids: Sequence[int]
    samples: int
    stream: int


Finished = Callable[[int, int, Completion], None]  # (index of the request, sample, completion)


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    temperature: 0 takes the most likely token (greedy).  top_k: keep the k most likely tokens (and ties), 0 for all.
    top_p: then keep the fewest tokens whose probability reaches p, in (0, 1].
    max_new_tokens: tokens after which a completion is cut (finish_reason "length").
    stop: texts that end a completion; they stay in its text.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0 or self.max_new_tokens < 1:
            raise ValueError(f"Give temperature >= 0, top_k >= 0, 0 < top_p <= 1 and max_new_tokens >= 1, not {self}.")
