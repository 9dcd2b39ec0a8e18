"""Rows of all read tables, and what Sail needs to be tried."""

from collections import Counter
from importlib.util import find_spec
from typing import Any

import pyarrow as pa
import pytest

from properties.raw_log import rows_of
from salesflow import STANDARD, ExternalEvent, Money, SalesFlow
from salesflow.adapters.lake.log_columns import arrow_of_log, raw_rows
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.event import Fact, FactRetracted
from salesflow.domain.ids import new_id
from salesflow.domain.time import DAY
from salesflow.projections.registry import FOLDS

__all__ = ["Content", "balances", "content", "log_of", "needs_sail", "only", "tell"]

needs_sail = pytest.mark.skipif(
    find_spec("pysail") is None or find_spec("pyspark") is None,
    reason="pysail and pyspark-client are not installed",
)

Content = dict[str, Counter[tuple[tuple[str, Any], ...]]]


def content(flow: SalesFlow) -> Content:
    """Give every row of every read table, known axis and all."""
    return {label: only(rows_of(flow, fold.table.name)) for label, fold in FOLDS.items()}


def log_of(flow: SalesFlow) -> pa.Table:
    """Give every event of the log, as it stands in a folder."""
    pages = raw_rows(flow.log, 0, flow.log.head().position)
    return pa.concat_tables([arrow_of_log(page) for page in pages])


def balances(flow: SalesFlow) -> Content:
    """Give every balance of the ledgers."""
    named = [name for fold in FOLDS.values() for name in fold.table.parts.tables]
    return {name: only(rows_of(flow, name)) for name in named if name.endswith("_balance")}


def only(rows: list[dict[str, Any]]) -> Counter[tuple[tuple[str, Any], ...]]:
    """Count rows, in whatever order they lie."""
    return Counter(tuple(sorted(row.items())) for row in rows)


START = 1_735_689_600_000_000


def tell(flow: SalesFlow, deals: int) -> None:
    """Record deals that are moved, told of late, lost, and in part taken back."""
    stages = [stage.key for stage in STANDARD.open_stages]
    for number in range(deals):
        deal = new_id()
        opened = DealOpened(
            process=STANDARD.key,
            process_version=STANDARD.version,
            stage=stages[0],
            title="ERP",
            owner=("ann", "bob")[number % 2],
            amount=Money(98_000 + number, "CNY"),
        )
        facts: list[tuple[Fact, int]] = [
            (opened, 0),
            (StageMoved(target=stages[2]), 9),
            (StageMoved(target=stages[1]), 4),  # told late
            (DealLost(because="price"), 12),
        ]
        for fact, day in facts:
            flow.record([ExternalEvent(deal, fact, START + day * DAY)])
        if number % 2:
            lost = flow.history(deal)[-1].event_id
            taken = FactRetracted(event_id=lost, because="a mistake")
            flow.record([ExternalEvent(deal, taken, None)])
