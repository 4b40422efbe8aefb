"""What a worker process does: verify one completion by a rubric that it loads once.

Requests come from this machine's own process alone, which is why a pickled problem may be read. Imports no
torch.
"""

from __future__ import annotations

import base64
import json
import pickle
from dataclasses import asdict
from functools import cache
from typing import Any

from ...tasks import Problem
from ...verifiers import Completion, Rubric
from .judges import RubricName


def make_request(name: RubricName, problem: Problem, completion: Completion) -> dict[str, str]:
    """What `verify` reads. A problem keeps its types (a tuple is no list), so it travels pickled."""
    asked = base64.b64encode(pickle.dumps((problem, completion))).decode()
    return {"rubric": json.dumps(name.to_dict(), sort_keys=True), "asked": asked}


def verify(request: dict[str, str]) -> dict[str, Any]:
    """The verdict of each criterion that is no learned one, as plain data, by its name."""
    problem, completion = pickle.loads(base64.b64decode(request["asked"]))
    rubric = _load(request["rubric"]).of(problem.id)
    learned = {criterion.name for criterion in rubric.learned}
    verdicts = rubric.verify(completion, problem)
    return {name: asdict(verdict) for name, verdict in verdicts.items() if name not in learned}


@cache
def _load(name: str) -> Rubric:
    return RubricName(**json.loads(name)).load()
