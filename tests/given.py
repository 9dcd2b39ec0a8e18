"""Sentences about the domain: given these facts, when somebody does this, then that.

    decides(
        given=[opened()],
        when=lambda deal: deal.win(),
        then=[DealWon()],
    )

Facts happen an hour apart from `START` on and are recorded as they happen, unless `on` says
when. The deal is read at `NOW`. Event number n of a history has the id `event(n)`, from 1.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from salesflow.domain.aggregate import Aggregate, World
from salesflow.domain.deal import Deal, QuoteLine
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.facts import Event, Fact, Precision
from salesflow.domain.moments import to_instant
from salesflow.domain.processes import Label, ProcessVersion, Stage
from salesflow.domain.standard import STANDARD
from salesflow.domain.values import Money
from salesflow.errors import SalesflowError

__all__ = [
    "CLOSED_STAGES",
    "DEAL",
    "HOUR",
    "NOW",
    "OTHER",
    "PLAIN",
    "PROCESSES",
    "SHANGHAI",
    "START",
    "Given",
    "Told",
    "cny",
    "day",
    "deal_of",
    "decides",
    "event",
    "events_of",
    "line",
    "on",
    "opened",
    "read",
    "refuses",
]

AggregateT = TypeVar("AggregateT", bound=Aggregate)

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
DEAL = UUID("00000000-0000-4000-8000-00000000dea1")
OTHER = UUID("00000000-0000-4000-8000-0000000007e4")
SHANGHAI = ZoneInfo("Asia/Shanghai")


def _stage(key: str, probability: str, **changes: object) -> Stage:
    shape = {"key": key, "name_en": key, "name_zh": key, "probability": Decimal(probability)}
    return Stage.model_validate(shape | changes)


PLAIN = ProcessVersion(
    key="plain",
    name_en="Plain",
    name_zh="简单流程",
    stages=(
        _stage("a", "0.1"),
        _stage("b", "0.2"),
        _stage("c", "0.3"),
        _stage("served", "1", category="after_sales"),
        _stage("renewed", "1", category="after_sales"),
    ),
)
"""Three open stages without gates, two of service, any loss reason."""

CLOSED_STAGES = ProcessVersion(
    key="imported",
    name_en="Imported",
    name_zh="导入流程",
    stages=(
        _stage("new", "0.1"),
        _stage("talks", "0.5"),
        _stage("closed_won", "1", category="won"),
        _stage("closed_lost", "0", category="lost"),
        _stage("junk", "0", category="disqualified"),
    ),
    loss_reasons=(Label(key="price", name_en="Price", name_zh="价格"),),
    skipping_allowed=False,
    returning_allowed=False,
)
"""A process as other systems have them: won, lost and disqualified are stages."""

PROCESSES: dict[tuple[str, int], ProcessVersion] = {
    (process.key, process.version): process for process in (STANDARD, PLAIN, CLOSED_STAGES)
}


class Told(NamedTuple):
    """A fact, and when it happened or became known where that is not plain."""

    fact: Fact
    occurred_at: datetime
    recorded_at: datetime | None = None
    precision: Precision = "microsecond"


Given = Fact | Told


def on(fact: Fact, occurred_at: datetime, *, recorded_at: datetime | None = None) -> Told:
    """Say when a fact happened, and when it became known if that was later."""
    return Told(fact, occurred_at, recorded_at)


def day(text: str) -> date:
    return date.fromisoformat(text)


def event(number: int) -> UUID:
    """Give the id of the n-th event of a history."""
    return UUID(int=number)


def cny(amount: str) -> Money:
    return Money(amount, "CNY")


def line(price: str = "100", currency: str = "CNY") -> QuoteLine:
    return QuoteLine(product="licence", unit_price=Money(price, currency))


def opened(under: ProcessVersion = PLAIN, **changes: object) -> DealOpened:
    """A deal called ERP of rep ann in the first stage, unless told otherwise."""
    shape = {
        "process": under.key,
        "process_version": under.version,
        "stage": under.open_stages[0].key,
        "title": "ERP",
        "owner": "ann",
    }
    return DealOpened.model_validate(shape | changes)


def events_of(given: Sequence[Given], stream_id: UUID = DEAL) -> list[Event]:
    """Give facts the envelopes they would have been recorded in."""
    events = []
    for number, each in enumerate(given, 1):
        told = each if isinstance(each, Told) else Told(each, START + (number - 1) * HOUR)
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
    id: UUID = DEAL,
    published: Sequence[ProcessVersion] = (),
) -> AggregateT:
    """Give an aggregate of a history as it is believed at a time."""
    processes = PROCESSES | {(process.key, process.version): process for process in published}
    world = World(processes, SHANGHAI, to_instant(now))
    return kind.replay(id, events_of(given, id), world=world, as_of=to_instant(now))


def deal_of(
    *given: Given,
    now: datetime = NOW,
    id: UUID = DEAL,
    published: Sequence[ProcessVersion] = (),
) -> Deal:
    """Give a deal; processes beside those of this module are named in `published`."""
    return read(Deal, given, now=now, id=id, published=published)


def decides(
    *,
    given: Sequence[Given],
    when: Callable[[Deal], object],
    then: Sequence[Fact],
    now: datetime = NOW,
    published: Sequence[ProcessVersion] = (),
) -> Deal:
    """Insist that a command records exactly these facts; give the deal after it."""
    deal = deal_of(*given, now=now, published=published)
    when(deal)
    assert [recorded.fact for recorded in deal.pending] == list(then)
    return deal


def refuses(
    *,
    given: Sequence[Given],
    when: Callable[[Deal], object],
    error: type[SalesflowError],
    match: str,
    now: datetime = NOW,
    published: Sequence[ProcessVersion] = (),
) -> None:
    """Insist that a command is refused with this very error and that nothing is recorded."""
    deal = deal_of(*given, now=now, published=published)
    with pytest.raises(error, match=match) as caught:
        when(deal)
    assert type(caught.value) is error
    assert deal.pending == []
