"""Sentences for your own tests: given these facts, when somebody does this, then that.

    decides(
        given=[DealOpened(process="standard", process_version=1, stage="prospecting")],
        when=lambda deal: deal.win(),
        then=[DealWon()],
    )

Facts happen an hour apart from `START` on and are recorded as they happen, unless `on` says
when; the aggregate is read at `NOW`. Event number n of a history has the id `event(n)`, from
1. Every part has to be named: a forgotten one is a TypeError and no green test.

There is no database here and no clock. What a session adds (all or nothing, one append, command
ids) is tested on a real one: `SalesFlow("sqlite://")` is gone when it is closed.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar, overload
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.aggregate import Aggregate
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event, Fact, Precision
from salesflow.domain.process import ProcessVersion
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import to_instant
from salesflow.errors import SalesflowError

__all__ = [
    "ENTITY",
    "HOUR",
    "NOW",
    "START",
    "Given",
    "GivenFact",
    "decides",
    "event",
    "events_of",
    "on",
    "read",
    "refuses",
]

AggregateT = TypeVar("AggregateT", bound=Aggregate)

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
ENTITY = UUID("00000000-0000-4000-8000-00000000dea1")
"""The id of what a sentence is about, unless another is named."""
UTC_ZONE = ZoneInfo("UTC")


class GivenFact(NamedTuple):
    """A fact, and when it happened or became known where that is not plain."""

    fact: Fact
    occurred_at: datetime
    recorded_at: datetime | None = None
    precision: Precision = "microsecond"


Given = Fact | GivenFact


def on(fact: Fact, occurred_at: datetime, *, recorded_at: datetime | None = None) -> GivenFact:
    """Return when a fact happened, and when it became known if that was later."""
    return GivenFact(fact, occurred_at, recorded_at)


def event(number: int) -> UUID:
    """Return the id of the n-th event of a history."""
    return UUID(int=number)


def events_of(given: Sequence[Given], stream_id: UUID = ENTITY) -> list[Event]:
    """Return facts the envelopes they would have been recorded in."""
    events = []
    for number, each in enumerate(given, 1):
        told = (
            each
            if isinstance(each, GivenFact)
            else GivenFact(each, START + (number - 1) * HOUR)
        )
        known = told.recorded_at or told.occurred_at
        events.append(
            Event(
                fact=told.fact,
                stream_id=stream_id,
                version=number,
                position=number,
                occurred=to_instant(told.occurred_at),
                recorded=to_instant(known),
                event_id=event(number),
                precision=told.precision,
            )
        )
    return events


def read(
    kind: type[AggregateT],
    given: Sequence[Given],
    *,
    now: datetime = NOW,
    id: UUID = ENTITY,
    published: Sequence[ProcessVersion] = (STANDARD,),
    timezone: ZoneInfo = UTC_ZONE,
) -> AggregateT:
    """Return an aggregate of a history as it is believed at a time."""
    processes = {(process.key, process.version): process for process in published}
    context = ReplayContext(processes, timezone, to_instant(now))
    return kind.replay(id, events_of(given, id), context=context, as_of=to_instant(now))


@overload
def decides(
    *,
    given: Sequence[Given],
    when: Callable[[Deal], object],
    then: Sequence[Fact],
    now: datetime = NOW,
    id: UUID = ENTITY,
    published: Sequence[ProcessVersion] = (STANDARD,),
    timezone: ZoneInfo = UTC_ZONE,
) -> Deal: ...
@overload
def decides(
    *,
    given: Sequence[Given],
    when: Callable[[AggregateT], object],
    then: Sequence[Fact],
    kind: type[AggregateT],
    now: datetime = NOW,
    id: UUID = ENTITY,
    published: Sequence[ProcessVersion] = (STANDARD,),
    timezone: ZoneInfo = UTC_ZONE,
) -> AggregateT: ...
def decides(  # noqa: PLR0913 - all by keyword
    *,
    given: Sequence[Given],
    when: Callable[..., object],
    then: Sequence[Fact],
    kind: type[Aggregate] = Deal,
    now: datetime = NOW,
    id: UUID = ENTITY,
    published: Sequence[ProcessVersion] = (STANDARD,),
    timezone: ZoneInfo = UTC_ZONE,
) -> Aggregate:
    """Raise unless a command records exactly these facts; give the aggregate after it.

    `kind` is the aggregate, a deal when left out, and `id` its stream (`rep_id("ann")` for a
    rep). `published` are all process versions there
    are, `timezone` the business time zone in which bare days are cut.
    """
    subject = read(kind, given, now=now, id=id, published=published, timezone=timezone)
    when(subject)
    recorded = _recorded(subject)
    if recorded != list(then):
        raise AssertionError(f"recorded {_shown(recorded)}, expected {_shown(then)}")
    return subject


def refuses(  # noqa: PLR0913 - all by keyword
    *,
    given: Sequence[Given],
    when: Callable[..., object],
    error: type[SalesflowError],
    match: str,
    kind: type[Aggregate] = Deal,
    now: datetime = NOW,
    id: UUID = ENTITY,
    published: Sequence[ProcessVersion] = (STANDARD,),
    timezone: ZoneInfo = UTC_ZONE,
) -> None:
    """Raise unless a command is refused with this very error and that nothing is recorded.

    `match` is a regular expression that is found in the message.
    """
    subject = read(kind, given, now=now, id=id, published=published, timezone=timezone)
    try:
        when(subject)
    except SalesflowError as refusal:
        if type(refusal) is not error or not re.search(match, str(refusal)):
            raise AssertionError(
                f"refused with {type(refusal).__name__}: {refusal}; expected"
                f" {error.__name__}: {match}"
            ) from refusal
    else:
        raise AssertionError(f"not refused; recorded {_shown(_recorded(subject))}")
    if subject.pending:
        raise AssertionError(f"refused, but recorded {_shown(_recorded(subject))}")


def _recorded(subject: Aggregate) -> list[Fact]:
    return [recorded.fact for recorded in subject.pending]


def _shown(facts: Sequence[Fact]) -> str:
    return ", ".join(map(repr, facts)) or "nothing"
