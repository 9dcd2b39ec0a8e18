"""A question, and the two who answer it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from oracle.beliefs import Raw

__all__ = ["Case", "by_currency"]


class Case(NamedTuple):
    """How to ask a question, and how to write its view in the words of the oracle."""

    questions: st.SearchStrategy[Any]
    said: Callable[[Any], Any]
    """The view in the oracle's words."""
    wanted: Callable[[list[Raw], Any, int, int], Any]
    """What the oracle says of (events, question, as_of, known_at); None where it is refused."""


def by_currency(totals: tuple[Any, ...]) -> dict[str, Any]:
    """Write totals as a dict."""
    return {total.currency: total.amount for total in totals}
