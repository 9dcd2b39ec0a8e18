"""What stands in the cells of the pipeline at an instant, laid out by stage and outcome.

The funnel and its trend read the same cells: from balances, where the cells are enough, or
from the deals' own rows, where a part of the pipeline is asked for or grouped by what no cell
holds (an owner, a team, a customer, a channel). Leaves out how cells came to be: that is Flow.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Final, NamedTuple

from salesflow.domain.moments import Instant
from salesflow.domain.processes import ProcessVersion
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.projections.balances import balances
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.one_currency import Exchange
from salesflow.projections.questions import Reader
from salesflow.projections.records import Role
from salesflow.projections.tables import Processes
from salesflow.projections.totals import Total, totals

__all__ = [
    "CLOSED",
    "ClosedDeals",
    "FunnelStage",
    "Stood",
    "booked",
    "closed_deals",
    "funnel_stages",
]

CLOSED: Final = ("won", "lost", "disqualified", "merged")


class FunnelStage(Value):
    """One stage of one process: the open deals in it, what they are worth and likely worth."""

    group: Annotated[Reference | None, Role.KEY] = None
    """Of which owner, team, customer, channel, currency or process, where asked by one."""
    process: Annotated[Reference, Role.KEY]
    stage: Annotated[Reference, Role.KEY]
    name_en: SafeText
    name_zh: SafeText
    deals: int
    deals_without_amount: int
    amounts: tuple[Total, ...]
    weighted: tuple[Total, ...]


class ClosedDeals(Value):
    """Deals that stand won, lost, disqualified or merged at the moment."""

    group: Annotated[Reference | None, Role.KEY] = None
    outcome: Annotated[Reference, Role.KEY]
    deals: int
    amounts: tuple[Total, ...]


class Stood(NamedTuple):
    """The deals that stood in a cell, what they were worth and likely worth."""

    process: str
    version: int
    stage: str
    outcome: str
    currency: str | None
    deals: int
    amount: Decimal
    weighted: Decimal

    def into(self, exchange: Exchange, at: Instant) -> "Stood":
        """Give it in the currency asked for; without a rate it has no amount."""
        day = exchange.day(at, event=None, closing=None)
        into = exchange.into(self.currency, day, times=self.deals)
        amount, weighted = into.amount(self.amount), into.amount(self.weighted)
        return self._replace(currency=into.currency, amount=amount, weighted=weighted)

    def worth(self) -> tuple[str | None, Decimal, Decimal]:
        """Give its currency, its amount, and that all of it counts."""
        return self.currency, self.amount, Decimal(1)

    def likely(self) -> tuple[str | None, Decimal, Decimal]:
        """Give the same of what is likely of it."""
        return self.currency, self.weighted, Decimal(1)


def booked(
    reader: Reader, instants: Sequence[Instant], *, process: str | None
) -> list[list[Stood]]:
    """Read what stood in the cells at some instants: as fast for any number of deals."""
    return [
        [
            Stood._make((*cell, *sums))
            for cell, sums in found.items()
            if process in (None, cell[0])
        ]
        for found in balances(reader.rows, PIPELINE, reader.cut, instants)
    ]


def closed_deals(cells: Sequence[Stood], group: str | None = None) -> Iterator[ClosedDeals]:
    """Give every outcome, also those nothing stands at."""
    for outcome in CLOSED:
        found = [cell for cell in cells if cell.outcome == outcome]
        yield ClosedDeals(
            group=group,
            outcome=outcome,
            deals=sum(cell.deals for cell in found),
            amounts=totals(cell.worth() for cell in found),
        )


def funnel_stages(
    cells: Sequence[Stood], processes: Processes, group: str | None = None
) -> Iterable[FunnelStage]:
    """Give every open stage of every process in use, in order, empty ones included."""
    newest: dict[str, int] = {}
    by_stage: dict[tuple[str, str], list[Stood]] = defaultdict(list)
    for cell in cells:
        newest[cell.process] = max(cell.version, newest.get(cell.process, 0))
        if cell.outcome == "open":
            by_stage[cell.process, cell.stage].append(cell)
    for key in sorted(newest):
        process = processes[key, newest[key]]
        own = [stage.key for stage in process.stages if stage.category == "open"]
        gone = sorted({stage for p, stage in by_stage if p == key} - set(own))
        for stage in [*own, *gone]:
            found = by_stage.get((key, stage), [])
            name_en, name_zh = _named(stage, found, process, processes)
            yield FunnelStage(
                group=group,
                process=key,
                stage=stage,
                name_en=name_en,
                name_zh=name_zh,
                deals=sum(cell.deals for cell in found),
                deals_without_amount=sum(c.deals for c in found if c.currency is None),
                amounts=totals(cell.worth() for cell in found),
                weighted=totals(cell.likely() for cell in found),
            )


def _named(
    stage: str, cells: Sequence[Stood], newest: ProcessVersion, processes: Processes
) -> tuple[str, str]:
    """Name a stage as the newest version that has it does."""
    versions = sorted({cell.version for cell in cells} | {newest.version}, reverse=True)
    for version in versions:
        for candidate in processes[newest.key, version].stages:
            if candidate.key == stage:
                return candidate.name_en, candidate.name_zh
    return stage, stage
