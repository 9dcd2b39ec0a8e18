"""What an answer cannot say of itself: that nothing happened lately, that a rep is unknown.

An answer of zeros looks like a true one. Whoever asks about a time after the last event, or of
a rep by whom no deal was ever owned, of a channel, a currency, a customer or a survey that was
never met, is told so in a line of its own, as known at the answer's moment.
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
    from salesflow.projections.met import MET

    for name, met in MET.items():
        value = getattr(asked, name, None)
        if value is None or flow.ask(met(value=str(value)), at=view.moment).met:
            continue
        yield f"{in_language(met.unmet, language)} {str(value)!r}"
    period = getattr(view, "period", None)
    if isinstance(period, Period):
        yield from _silence(flow, period, view, language)


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
