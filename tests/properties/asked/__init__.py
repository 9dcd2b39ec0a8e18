"""Every question beside its oracle: what is asked, and both answers in the same words.

A module here is named after a question and holds its `CASE`. A question of the registry
without one fails the test in `test_every_question`.
"""

import importlib

from properties.asked.case import Case
from salesflow.projections.registry import QUESTIONS

__all__ = ["CASES", "Case"]


def _case(name: str) -> Case:
    found = importlib.import_module(f"properties.asked.{name.replace('-', '_')}").CASE
    assert isinstance(found, Case)
    return found


CASES = {name: _case(name) for name in QUESTIONS}
