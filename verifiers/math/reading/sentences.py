"""Sentences that say the same, in one wording: `There is no such function`, `It cannot be determined`."""

from __future__ import annotations

import re

_NO_SUCH = re.compile(
    r"(?:there (?:is|are) )?no such (?P<thing>[a-z]{3,20}?)s?(?: exists?)?"
    r"|there (?:does|do) not exist (?:any )?such (?:an? )?(?P<other>[a-z]{3,20}?)s?"
    r"|(?:such (?:an? )?)(?P<third>[a-z]{3,20}?)s? (?:does|do) not exist"
)
_UNDETERMINED = re.compile(
    r"(?:(?:it|this|that|answer|value) )?(?:cannot|can ?not|cant|could not) be determined(?: uniquely)?"
    r"(?: (?:from|with|by|using|based on|given) (?:the )?(?:given |provided |available "
    r"|above )?(?:information|data)"
    r"(?: (?:given|provided|alone|above|available))?)?"
    r"|(?:there is )?(?:not enough|insufficient) (?:information|data)(?: (?:is )?(?:given"
    r"|provided))?(?: to determine)?"
)


def canonical(folded: str) -> str | None:
    """A folded sentence that says that there is no such thing, or that it can't be
    told, in one wording; None for any other."""
    if "no" not in folded and "in" not in folded:
        return None
    if (match := _NO_SUCH.fullmatch(folded)) is not None:
        return f"no such {match['thing'] or match['other'] or match['third']}"
    return "cannot be determined" if _UNDETERMINED.fullmatch(folded) else None


__all__ = ["canonical"]
