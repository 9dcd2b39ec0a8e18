"""Every question beside its oracle: what is asked, and both answers in the same words.

A module here is named after a question and holds its `CASE`. A question of the registry
without one fails the test in `test_every_question`. A question that names a process, a stage
or a team nobody knows of is refused.
"""

import importlib
from typing import Any

from oracle.beliefs import Raw
from oracle.known import is_unknown
from properties.asked.case import Case
from salesflow.projections.registry import QUESTIONS

__all__ = ["CASES", "Case"]


def _case(name: str) -> Case:
    found = importlib.import_module(f"properties.asked.{name.replace('-', '_')}").CASE
    assert isinstance(found, Case)

    def wanted(events: list[Raw], question: Any, as_of: int, known_at: int) -> Any:  # noqa: ANN401
        if is_unknown(events, dict(question), as_of, known_at):
            return None
        return found.wanted(events, question, as_of, known_at)

    return found._replace(wanted=wanted)


CASES = {name: _case(name) for name in QUESTIONS}
