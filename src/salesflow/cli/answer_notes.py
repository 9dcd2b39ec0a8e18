"""What an answer cannot say of itself: that nothing happened, or not all of it yet.

An answer of zeros looks like a true one. Whoever asks about a period that has not begun or
ended by the moment asked of, or about a time after the last event, is told so in a line of its
own, as known at the answer's moment.

It is a module of its own, beside `ask`, which shows the answer.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from salesflow.domain.time import (
    Period,
    from_instant,
    to_instant,
)
from salesflow.presentation.format import span_text
from salesflow.presentation.messages import Language, say
from salesflow.projections.core.question import Question, View

__all__ = ["notes_of"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


LOOKS_AHEAD: Final = ("forecast", "forecast-range", "goal-check")
"""Questions about a period that need not have begun."""
TICK: Final = timedelta(microseconds=1)


def notes_of(
    flow: "SalesFlow", asked: Question[View], view: View, language: Language
) -> Iterator[str]:
    """Return what a reader of the answer should know besides."""
    period = getattr(view, "period", None)
    if isinstance(period, Period):
        span = _PeriodDays(period, view, looks_ahead=asked.name in LOOKS_AHEAD)
        if asked.name in LOOKS_AHEAD:
            yield from _silence(flow, asked, span, language)
        elif span.begins_later:
            yield _not_begun(span, language)
        else:
            if span.ends_later and _is_named(asked):
                yield _not_ended(span, language)
            yield from _silence(flow, asked, span, language)


class _PeriodDays:
    """The period of an answer, in days of the business time zone, beside its moment."""

    def __init__(self, period: Period, view: View, *, looks_ahead: bool) -> None:
        moment, zone = view.moment, ZoneInfo(view.timezone)
        self.view, self.zone = view, zone
        self.begins_later = moment.as_of < period.start
        self.ends_later = moment.as_of < period.end - TICK
        length = period.end - period.start
        ahead = self.begins_later or looks_ahead
        self.since = min(moment.as_of - length, period.start) if ahead else period.start
        """From when on something ought to have happened; what looks ahead rests on the past."""
        last = (period.end - TICK).astimezone(zone).date()
        self.named = span_text(period.start.astimezone(zone).date(), last)
        self.as_of, self.known_at = (
            at.astimezone(zone).date() for at in (moment.as_of, moment.known_at)
        )


def _is_named(asked: Question[View]) -> bool:
    """Return whether somebody named the period; the one of the moment is meant to go on."""
    return any(getattr(asked, name, None) is not None for name in ("from_", "to"))


def _not_begun(span: _PeriodDays, language: Language) -> str:
    earlier = span.as_of < span.known_at
    way_out = "ask --as-of a later day" if earlier else "ask about a period up to then"
    return say(
        "the period {period} has not begun as of {as_of}; facts are known until {known_at},"
        " {way_out}",
        language,
        period=span.named,
        as_of=span.as_of,
        known_at=span.known_at,
        way_out=say(way_out, language),
    )


def _not_ended(span: _PeriodDays, language: Language) -> str:
    return say(
        "the period {period} has not ended as of {as_of}; facts are known until {known_at}",
        language,
        period=span.named,
        as_of=span.as_of,
        known_at=span.known_at,
    )


def _silence(
    flow: "SalesFlow", asked: Question[View], span: _PeriodDays, language: Language
) -> Iterator[str]:
    from salesflow.adapters.event_store.search import last_happened

    moment = span.view.moment
    since, as_of, known = map(to_instant, (span.since, moment.as_of, moment.known_at))
    last = last_happened(flow.log, since, as_of, known)
    if last is None:
        return
    day = from_instant(last).astimezone(span.zone).date()
    named = _is_named(asked) and asked.name not in LOOKS_AHEAD
    way_out = (
        say("ask about a period up to then", language)
        if named
        else say("ask --as-of {day}", language, day=day)
    )
    yield say("nothing has happened since {day}; {way_out}", language, day=day, way_out=way_out)
