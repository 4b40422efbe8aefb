"""What may dress a whole marked answer: quotation marks, inline code, a fenced block. Linear in the answer's length."""

from __future__ import annotations

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}
_FENCES = ("```", "~~~")
MAX_LAYERS = 3
MAX_INFO = 20  # characters beside the opening fence


def undressed(answer: str) -> str:
    """An answer without what encloses the whole of it; criteria of exact text never ask for it."""
    answer = answer.strip()
    for _ in range(MAX_LAYERS):
        inner = _inside_fence(answer) if answer.startswith(_FENCES) else _inside_quotes(answer)
        if inner is None:
            break
        answer = inner
    return answer


def _inside_fence(answer: str) -> str | None:
    fence = answer[: len(answer) - len(answer.lstrip(answer[0]))]
    first, _, rest = answer.partition("\n")
    content, _, last = rest.rpartition("\n")
    info = first[len(fence) :].strip()
    closes = last.strip() == fence and content.strip() and fence not in content
    return content.strip() if closes and len(info) <= MAX_INFO and "`" not in info else None


def _inside_quotes(answer: str) -> str | None:
    inner = answer[1:-1]
    if len(answer) < 3 or _QUOTES.get(answer[0]) != answer[-1] or answer[0] in inner or answer[-1] in inner:
        return None
    return inner.strip() or None


__all__ = ["undressed"]
