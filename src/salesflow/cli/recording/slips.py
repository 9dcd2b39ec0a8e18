"""What was recorded and may be a slip: said twice on one day, or makes others irregular.

Both are allowed, since both may be so; neither is seen in what a command prints. A module of
its own, since it reads what was recorded anew, whichever command recorded it.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from salesflow.cli.history import counting_in, marks_of
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.event import Event, Fact, FactRetracted, retracted_ids
from salesflow.presentation.format import local_day
from salesflow.presentation.messages import Language, fact_name, say

__all__ = ["slips_in"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.adapters.event_store.append import Receipt
    from salesflow.engine import SalesFlow

LONGEST: Final = 10_000
"""A stream of more events is not read anew."""


def slips_in(
    flow: "SalesFlow", kind: type[Aggregate], receipt: "Receipt", language: Language
) -> Iterator[str]:
    """Yield what whoever recorded something of things of a kind should look at again."""
    if receipt.again:
        return
    kinds = dict(zip(receipt.stream_ids, receipt.kinds, strict=False))
    for id in receipt.stream_ids:
        if kinds.get(id, kind.noun) == kind.noun:
            events = flow.history(id)
            if len(events) <= LONGEST:
                yield from _said_twice(flow, events, receipt, language)
                yield from _no_longer_counting(flow, kind, events, receipt, language)


def _said_twice(
    flow: "SalesFlow", events: Sequence[Event], receipt: "Receipt", language: Language
) -> Iterator[str]:
    """Say of what was recorded word for word before, as of the same time or day."""
    gone, zone = retracted_ids(events), flow.settings().timezone
    believed = [
        event
        for event in events
        if event.event_id not in gone and not isinstance(event.fact, FactRetracted)
    ]
    for event in believed:
        if not receipt.first <= event.position <= receipt.last or _may_come_again(event.fact):
            continue
        day = local_day(event.occurred_at, zone)
        for other in believed:
            if (
                other.position < event.position
                and other.fact == event.fact
                and local_day(other.occurred_at, zone) == day
                and (other.occurred == event.occurred or not _is_timed(other, event))
            ):
                yield say(
                    "{event}: the very same is recorded of {day} already, as event no."
                    " {number}; retract one of them where that is a slip",
                    language,
                    event=fact_name(type(event.fact), language),
                    day=day,
                    number=f"{other.position:,}",
                )
                break


def _is_timed(*events: Event) -> bool:
    """Return whether events are all said to be of a time; two calls of a day may be alike."""
    return all(e.precision != "day" and e.occurred != e.recorded for e in events)


def _may_come_again(fact: Fact) -> bool:
    """Return whether a fact may be so twice a day: what moves on, such as a stage, and back."""
    return fact.is_opening or fact.changes_summary


def _no_longer_counting(
    flow: "SalesFlow",
    kind: type[Aggregate],
    events: list[Event],
    receipt: "Receipt",
    language: Language,
) -> Iterator[str]:
    """Say which facts that counted before do so no longer, by what was recorded now."""
    before = [event for event in events if event.position < receipt.first]
    lost = counting_in(flow, before) - counting_in(flow, events)
    marks = marks_of(kind, flow, events, None) if lost else {}
    for event in before:
        mark, why = marks.get(event.event_id, ("", ""))
        if event.event_id in lost and mark == "irregular":
            yield say(
                "{event} of {day}, event no. {number}, no longer counts: {why}",
                language,
                event=fact_name(type(event.fact), language),
                day=local_day(event.occurred_at, flow.settings().timezone),
                number=f"{event.position:,}",
                why=say(why, language),
            )
