"""What an answer cannot say of itself: that nothing happened lately, that a rep is unknown.

An answer of zeros looks like a true one. Whoever asks about a time after the last event, or of
a rep by whom no deal was ever owned, is told so in a line of its own, as known at the answer's
moment.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from salesflow.domain.moments import Period, from_instant, to_instant
from salesflow.projections.questions import Question, View
from salesflow.projections.words import Language, in_language

if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

__all__ = ["notes_of"]


def notes_of(
    flow: "SalesFlow", asked: Question[View], view: View, language: Language
) -> Iterator[str]:
    """Say what a reader of the answer should know besides."""
    owner = getattr(asked, "owner", None)
    if isinstance(owner, str) and not _is_met(flow, owner, view):
        yield f"{in_language('no deal was ever owned by', language)} {owner!r}"
    period = getattr(view, "period", None)
    if isinstance(period, Period):
        yield from _silence(flow, period, view, language)


def _is_met(flow: "SalesFlow", owner: str, view: View) -> bool:
    from salesflow.projections.owners import OwnerMet

    return flow.ask(OwnerMet(owner=owner), at=view.moment).met


def _silence(
    flow: "SalesFlow", period: Period, view: View, language: Language
) -> Iterator[str]:
    from salesflow.adapters.log_search import last_happened

    known = to_instant(view.moment.known_at)
    last = last_happened(flow.log, to_instant(period.start), known)
    if last is None:
        return
    day = from_instant(last).astimezone(ZoneInfo(view.timezone)).date()
    if language == "zh":
        yield f"{day} 之后没有发生任何事；可用 --as-of {day} 查询"
    else:
        yield f"nothing has happened since {day}; ask --as-of {day}"
