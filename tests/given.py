"""Sentences about the domain in this project's own tests: `salesflow.testing` in a small world.

    decides(
        given=[opened()],
        when=lambda deal: deal.win(),
        then=[DealWon()],
    )

Beside the standard process there are two plain ones, and days are those of Shanghai.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow import testing
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.deal import Deal, QuoteLine
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact
from salesflow.domain.process import Label, ProcessVersion, Stage
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.state import values_of
from salesflow.domain.values import Money
from salesflow.errors import SalesflowError
from salesflow.testing import ENTITY as DEAL
from salesflow.testing import HOUR, NOW, START, Given, GivenFact, event, events_of, on

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
    "GivenFact",
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
    "read_of",
    "refuses",
]

AggregateT = TypeVar("AggregateT", bound=Aggregate)

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


def day(text: str) -> date:
    return date.fromisoformat(text)


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


def read(
    kind: type[AggregateT],
    given: Sequence[Given],
    *,
    now: datetime = NOW,
    id: UUID = DEAL,
    published: Sequence[ProcessVersion] = (),
) -> AggregateT:
    """Give an aggregate of a history as it is believed at a time."""
    known = (*PROCESSES.values(), *published)
    return testing.read(kind, given, now=now, id=id, published=known, timezone=SHANGHAI)


def read_of(thing: Aggregate) -> dict[str, Any]:
    """Give all that can be read of what a thing is by now."""
    declared = [name for cls in thing.state_class.__mro__ for name in values_of(cls)]
    return {name: getattr(thing, name) for name in declared if not name.startswith("_")}


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
    known = (*PROCESSES.values(), *published)
    return testing.decides(
        given=given, when=when, then=then, now=now, published=known, timezone=SHANGHAI
    )


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
    testing.refuses(
        given=given,
        when=when,
        error=error,
        match=match,
        now=now,
        published=(*PROCESSES.values(), *published),
        timezone=SHANGHAI,
    )
