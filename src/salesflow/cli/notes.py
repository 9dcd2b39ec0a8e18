"""What an answer cannot say of itself: that nothing happened lately, that a rep is unknown.

An answer of zeros looks like a true one. Whoever asks about a period that has not begun or
ended by the moment asked of, about a time after the last event, or of a rep by whom no deal was
ever owned, of a channel, a currency, a customer or a survey that was never met, is told so in a
line of its own, as known at the answer's moment.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from salesflow.domain.moments import Period, from_instant, to_instant
from salesflow.projections.questions import Question, View
from salesflow.projections.words import Language, in_language
from salesflow.projections.writing import span_text

if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

__all__ = ["notes_of"]

LOOKS_AHEAD: Final = ("forecast",)
"""Questions about a period that need not have begun."""
TICK: Final = timedelta(microseconds=1)


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
        span = _Span(period, view)
        if asked.name in LOOKS_AHEAD:
            yield from _silence(flow, asked, span, language)
        elif span.begins_later:
            yield _not_begun(span, language)
        else:
            if span.ends_later and _is_named(asked):
                yield _not_ended(span, language)
            yield from _silence(flow, asked, span, language)


class _Span:
    """The period of an answer, in days of the business time zone, beside its moment."""

    def __init__(self, period: Period, view: View) -> None:
        moment, zone = view.moment, ZoneInfo(view.timezone)
        self.view, self.zone = view, zone
        self.begins_later = moment.as_of < period.start
        self.ends_later = moment.as_of < period.end - TICK
        length = period.end - period.start
        self.since = moment.as_of - length if self.begins_later else period.start
        """From when on something ought to have happened."""
        last = (period.end - TICK).astimezone(zone).date()
        self.named = span_text(period.start.astimezone(zone).date(), last)
        self.as_of, self.known_at = (
            at.astimezone(zone).date() for at in (moment.as_of, moment.known_at)
        )


def _is_named(asked: Question[View]) -> bool:
    """Say whether somebody named the period; the one of the moment is meant to go on."""
    return any(getattr(asked, name, None) is not None for name in ("from_", "to"))


def _not_begun(span: _Span, language: Language) -> str:
    earlier = span.as_of < span.known_at
    if language == "zh":
        way_out = "请用更晚的 --as-of" if earlier else "请查询此前的期间"
        return (
            f"期间 {span.named} 截至 {span.as_of} 尚未开始；"
            f"已知事件截至 {span.known_at}，{way_out}"
        )
    way_out = "ask --as-of a later day" if earlier else "ask about a period up to then"
    return (
        f"the period {span.named} has not begun as of {span.as_of}; facts are known until"
        f" {span.known_at}, {way_out}"
    )


def _not_ended(span: _Span, language: Language) -> str:
    if language == "zh":
        return f"期间 {span.named} 截至 {span.as_of} 尚未结束；已知事件截至 {span.known_at}"
    return (
        f"the period {span.named} has not ended as of {span.as_of}; facts are known until"
        f" {span.known_at}"
    )


def _silence(
    flow: "SalesFlow", asked: Question[View], span: _Span, language: Language
) -> Iterator[str]:
    from salesflow.adapters.log_search import last_happened

    known = to_instant(span.view.moment.known_at)
    last = last_happened(flow.log, to_instant(span.since), known)
    if last is None:
        return
    day = from_instant(last).astimezone(span.zone).date()
    named = _is_named(asked) and asked.name not in LOOKS_AHEAD
    if language == "zh":
        way_out = "请查询此前的期间" if named else f"可用 --as-of {day} 查询"
        yield f"{day} 之后没有发生任何事；{way_out}"
    else:
        way_out = "ask about a period up to then" if named else f"ask --as-of {day}"
        yield f"nothing has happened since {day}; {way_out}"
