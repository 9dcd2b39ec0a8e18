"""A small shop to ask questions of: an engine whose clock is turned by hand.

    shop.tell(1, ("2026-03-02 09:00", opened()), ("2026-03-05", StageMoved(target="b")))

What is told together is recorded together, at the shop's clock. A time is one of the business
time zone; where only a day is told, no more is known of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

from given import CLOSED_STAGES, PLAIN, cny, opened
from salesflow import ExternalEvent, SalesFlow, SalesProcess
from salesflow.domain.deal.outcomes import DealLost, DealReopened, DealWon
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.exchange_rates import RATES_ID, Rate, RatesPublished
from salesflow.domain.process import ProcessVersion, process_id
from salesflow.domain.time import start_of_day, to_instant

__all__ = ["WORKED_EXAMPLE", "Shop", "deal_id", "publish", "shop", "told"]

OPENED = datetime(2020, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)

WORKED_EXAMPLE: tuple[tuple[str, Fact], ...] = (
    ("2026-02-01", opened(amount=cny("100"))),
    ("2026-02-10", DealWon()),
    ("2026-02-20", DealReopened()),
    ("2026-03-05", DealLost(because="price")),
    ("2026-04-10", DealWon(amount=cny("120"))),
)
"""The deal by which metrics are defined: won, reopened, lost and won again."""


def deal_id(number: int) -> UUID:
    """Name a deal of the shop."""
    return UUID(int=0xDEA1_0000 + number)


def told(*figures: object) -> tuple[object, ...]:
    """Take figures as they are: 4 is Decimal(4)."""
    return figures


def publish(
    sales: "Shop", day: str, base: str = "USD", source: str = "bank", **rates: str
) -> None:
    """Publish rates of a day at the shop's clock: units of each currency for one base."""
    named = tuple(Rate(currency=c, rate=Decimal(rate)) for c, rate in rates.items())
    fact = RatesPublished(day=date.fromisoformat(day), base=base, rates=named, source=source)
    sales.flow.record([ExternalEvent(RATES_ID, fact)])


class Shop:
    """An engine with the plain processes, and somebody who tells it what happened."""

    def __init__(self, flow: SalesFlow, timezone: str, clock: "Clock") -> None:
        self.flow = flow
        self.zone = ZoneInfo(timezone)
        self._clock = clock

    def turn(self, when: str) -> Self:
        """Let it be this time of the business time zone."""
        self._clock.now = datetime.fromisoformat(when).replace(tzinfo=self.zone)
        return self

    def tell(self, deal: int, *told: tuple[str, Fact]) -> Self:
        """Record facts of a deal together, as an importer does."""
        self.flow.record([self._foreign(deal, when, fact) for when, fact in told])
        return self

    def tell_all(self, *told: tuple[int, str, Fact]) -> Self:
        """Record facts of several deals together, as both halves of a merge are."""
        self.flow.record([self._foreign(deal, when, fact) for deal, when, fact in told])
        return self

    def retract(self, event: Event) -> None:
        """Take a fact back."""
        with self.flow.session() as session:
            session.retract(event.event_id, because="it was wrong")

    def events(self, deal: int) -> list[Event]:
        """Give what was told of a deal and not about what was told."""
        events = self.flow.history(deal_id(deal))
        return [event for event in events if not isinstance(event.fact, FactRetracted)]

    def publish(self, version: ProcessVersion) -> None:
        """Publish a process, or its next version."""
        with self.flow.session() as session:
            if version.version == 1:
                session.add(SalesProcess.publish(version))
            else:
                session.get(SalesProcess, process_id(version.key)).publish_version(version)

    def _foreign(self, deal: int, when: str, fact: Fact) -> ExternalEvent:
        stream = deal_id(deal)
        if len(when) == len("2026-03-02"):
            at = start_of_day(date.fromisoformat(when), self.zone)
            return ExternalEvent(stream, fact, at, precision="day")
        at = to_instant(datetime.fromisoformat(when).replace(tzinfo=self.zone))
        return ExternalEvent(stream, fact, at)


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = OPENED

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


@contextmanager
def shop(
    *processes: ProcessVersion, timezone: str = "UTC", url: str = "sqlite://"
) -> Iterator[Shop]:
    """Open a shop on 1 June 2026 with these processes beside the plain ones."""
    clock = Clock()
    with SalesFlow(url, timezone=timezone, clock=clock) as flow:
        opened = Shop(flow, timezone, clock)
        for process in (PLAIN, CLOSED_STAGES, *processes):
            opened.publish(process)
        clock.now = NOW
        yield opened
