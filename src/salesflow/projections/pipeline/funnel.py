"""The sales funnel: open deals and their amount per stage at a moment, closed ones beside.

Answers "where do our open deals stand, and what are they worth?" for any past moment on both
time axes. Without an owner, a team, a customer or a channel it reads balances and is as fast
for any number of deals. Leaves out how deals got there: that is Flow (movements) and
Conversion (shares); and how the funnel went from month to month: that is FunnelTrend.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache, partial
from operator import attrgetter
from typing import Annotated, ClassVar, Final, Literal, NamedTuple
from uuid import UUID

import numpy as np
from pydantic import BaseModel

from salesflow.domain.arguments import internal
from salesflow.domain.time import Instant, Moment
from salesflow.domain.unchecked import Fields, unchecked, unchecked_all
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, RowOfValues, Total, written_rows
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.amounts import Amounts
from salesflow.projections.core.column_figures import exact_product_sums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, HeldRows
from salesflow.projections.core.currency import (
    AMOUNT_PLACES,
    CurrencyConverter,
    MoneyQuestion,
    MoneyView,
    RateRule,
    totals_of_each,
)
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.scope import (
    Attribution,
    Group,
    GroupedBy,
    Grouping,
    head_of_groups,
    newest_names,
    numbered_groups,
)
from salesflow.projections.table import AMOUNT_SCALE, Processes

__all__ = [
    "CLOSED",
    "ClosedDeals",
    "Funnel",
    "FunnelStage",
    "FunnelView",
    "PipelineCell",
    "PipelineSums",
    "SumsOfCells",
    "booked",
    "closed_deals",
    "converted",
    "fields_of",
    "funnel_stages",
]


# What stands in the cells of the pipeline at an instant, laid out by stage and outcome.
#
# The funnel and its trend read the same cells: from balances, where the cells are enough, or
# from the deals' own rows, where a part of the pipeline is asked for or grouped by what no cell
# holds (an owner, a team, a customer, a channel). Leaves out how cells came to be: that is
# Flow.

CLOSED: Final = ("won", "lost", "disqualified", "merged")


class FunnelStage(Value):
    """One stage of one process: the open deals in it, what they are worth and likely worth."""

    group: Annotated[Reference | None, FieldRole.KEY] = None
    """Of which owner, team, customer, channel, currency or process, where asked by one."""
    process: Annotated[Reference, FieldRole.KEY]
    stage: Annotated[Reference, FieldRole.KEY]
    name_en: SafeText
    name_zh: SafeText
    deals: int
    deals_without_amount: int
    amounts: tuple[Total, ...]
    weighted: tuple[Total, ...]


class ClosedDeals(Value):
    """Deals that stand won, lost, disqualified or merged at the moment."""

    group: Annotated[Reference | None, FieldRole.KEY] = None
    outcome: Annotated[Reference, FieldRole.KEY]
    deals: int
    amounts: tuple[Total, ...]


_stages: Final = unchecked_all(FunnelStage)
_closed: Final = unchecked_all(ClosedDeals)


class PipelineCell(NamedTuple):
    """The deals that stood in a cell, what they were worth and likely worth."""

    process: str
    version: int
    stage: str
    outcome: str
    currency: str | None
    deals: int
    amount: int
    """In millionths."""
    weighted: int
    """Amount x probability, in millionths of millionths."""

    def into(self, exchange: CurrencyConverter, at: Instant) -> "PipelineCell":
        """Return it in the currency asked for; without a rate it has no amount."""
        day = exchange.day(at, event=None, closing=None)
        into = exchange.into(self.currency, day, times=self.deals)
        if into.rate is None:
            return self
        weighted = round(Fraction(self.weighted, AMOUNT_SCALE) * into.rate) * AMOUNT_SCALE
        amount = into.millionths(self.amount)
        return self._replace(currency=into.currency, amount=amount, weighted=weighted)


def converted(
    cells: Sequence[PipelineCell], exchange: CurrencyConverter, at: Instant
) -> Sequence[PipelineCell]:
    """Return cells in the currency asked for; as they are where none is."""
    if exchange.currency is None:
        return cells
    return [cell.into(exchange, at) for cell in cells]


def booked(
    reader: Reader, instants: Sequence[Instant], *, process: str | None
) -> list[list[PipelineCell]]:
    """Read what stood in the cells at some instants: as fast for any number of deals."""
    return [
        [
            PipelineCell._make((*cell, *sums))
            for cell, sums in found.items()
            if process in (None, cell[0])
        ]
        for found in reader.balances(PIPELINE, instants)
    ]


class SumsOfCells:
    """What some cells come to, each currency by itself; those without one have no amount."""

    __slots__ = ("amounts", "deals", "versions", "weighted", "without_amount")

    def __init__(self, cells: Iterable[PipelineCell] = ()) -> None:
        self.deals = self.without_amount = 0
        self.amounts: dict[str, int] = {}
        self.weighted: dict[str, int] = {}
        self.versions: list[int] = []
        """Of which versions of their process the cells are."""
        for cell in cells:
            self.add(cell)

    def add(self, cell: PipelineCell) -> None:
        """Add another cell."""
        _, version, _, _, currency, deals, amount, weighted = cell
        self.deals += deals
        self.versions.append(version)
        if currency is None:
            self.without_amount += deals
        else:
            self.amounts[currency] = self.amounts.get(currency, 0) + amount
            self.weighted[currency] = self.weighted.get(currency, 0) + weighted


ClosedSums = tuple[int, int, int, tuple[Total, ...]]
"""A group, the place of an outcome, how many deals of it stand so, and their amounts."""


class PipelineSums(NamedTuple):
    """What stands in the pipeline: open deals by stage, closed ones by outcome, of groups."""

    groups: Sequence[Group]
    """What they are called, in order; the place of one among them is its number."""
    versions: Mapping[tuple[int, str], int]
    """The newest version in use of each process that a group has deals of."""
    opened: Mapping[tuple[int, str], Mapping[str, SumsOfCells]]
    """By group and process, then by stage."""
    closed: Sequence[ClosedSums]
    """A row for each group and each outcome that some of its deals have."""

    @classmethod
    def of(
        cls, groups: Sequence[Group], cells: Iterable[tuple[int, PipelineCell]]
    ) -> "PipelineSums":
        """Return what cells come to, each with the number of its group."""
        versions: dict[tuple[int, str], int] = {}
        opened: list[tuple[int, PipelineCell]] = []
        closed: dict[tuple[int, str], SumsOfCells] = defaultdict(SumsOfCells)
        for group, cell in cells:
            use = group, cell.process
            versions[use] = max(cell.version, versions.get(use, cell.version))
            if cell.outcome == "open":
                opened.append((group, cell))
            else:
                closed[group, cell.outcome].add(cell)
        totals = totals_of_each([sums.amounts for sums in closed.values()]) if closed else []
        ended = [
            (group, CLOSED.index(outcome), sums.deals, amounts)
            for ((group, outcome), sums), amounts in zip(closed.items(), totals, strict=True)
        ]
        return cls(groups, versions, _by_stage(opened), ended)

    @property
    def open_deals(self) -> int:
        """How many deals are open."""
        return sum(sums.deals for opened in self.opened.values() for sums in opened.values())


def _by_stage(
    cells: Iterable[tuple[int, PipelineCell]],
) -> dict[tuple[int, str], dict[str, SumsOfCells]]:
    """Return what open cells of groups come to; see `PipelineSums.opened`."""
    opened: dict[tuple[int, str], dict[str, SumsOfCells]]
    opened = defaultdict(lambda: defaultdict(SumsOfCells))
    for group, cell in cells:
        opened[group, cell.process][cell.stage].add(cell)
    return opened


def fields_of(several: Sequence[SumsOfCells]) -> Iterator[Fields]:
    """Yield what sums of open cells come to, as the fields of a stage."""
    amounts = totals_of_each([sums.amounts for sums in several])
    likely = totals_of_each([sums.weighted for sums in several], places=2 * AMOUNT_PLACES)
    for sums, amount, weighted in zip(several, amounts, likely, strict=True):
        yield {
            "deals": sums.deals,
            "deals_without_amount": sums.without_amount,
            "amounts": amount,
            "weighted": weighted,
        }


def closed_deals(sums: PipelineSums) -> list[ClosedDeals]:
    """Return every outcome of each group, also those nothing stands at."""
    rows: list[Fields] = [
        {"group": group, "outcome": outcome, "deals": 0, "amounts": ()}
        for group in sums.groups
        for outcome in CLOSED
    ]
    for number, outcome, deals, amounts in sums.closed:
        row = rows[len(CLOSED) * number + outcome]
        row["deals"], row["amounts"] = deals, amounts
    return _closed(rows)


def _first_of_groups(closed: Sequence[ClosedDeals]) -> Sequence[ClosedDeals]:
    """Return the first row of each group among all `closed_deals`."""
    return closed[:: len(CLOSED)]


def funnel_stages(sums: PipelineSums, processes: Processes) -> list[FunnelStage]:
    """Return every open stage of every process in use by each group, in order.

    Empty ones included.
    """
    own = cache(partial(_own_stages, processes))
    rows, filled = list[Fields](), list[tuple[Fields, SumsOfCells]]()
    for use, version in sorted(sums.versions.items()):
        stages, opened = own(use[1], version), sums.opened.get(use)
        if opened is not None and (gone := opened.keys() - stages.keys()):
            versions = {stage: {version, *opened[stage].versions} for stage in gone}
            stages = stages | _gone_stages(processes, use[1], versions)
        group, first = sums.groups[use[0]], len(rows)
        for stage in stages.values():
            row = {**stage}
            row["group"] = group
            rows.append(row)
        if opened is not None:
            here = dict(zip(stages, rows[first:], strict=True))
            filled += [(here[stage], standing) for stage, standing in opened.items()]
    figures = fields_of([standing for _, standing in filled])
    for (row, _), each in zip(filled, figures, strict=True):
        row.update(each)
    return _stages(rows)


def _own_stages(processes: Processes, process: str, version: int) -> dict[str, Fields]:
    """Return the open stages of a process version, in order, as nothing stands in them."""
    return {
        stage.key: _empty_stage(process, stage.key, stage.name_en, stage.name_zh)
        for stage in processes[process, version].open_stages
    }


def _gone_stages(
    processes: Processes, process: str, versions: Mapping[str, set[int]]
) -> dict[str, Fields]:
    """Return the stages that deals of some versions stand in and the newest one has no more."""
    return {
        stage: _empty_stage(process, stage, *newest_names(stage, process, of, processes))
        for stage, of in sorted(versions.items())
    }


def _empty_stage(process: str, stage: str, name_en: str, name_zh: str) -> Fields:
    return {
        "group": None,
        "process": process,
        "stage": stage,
        "name_en": name_en,
        "name_zh": name_zh,
        "deals": 0,
        "deals_without_amount": 0,
        "amounts": (),
        "weighted": (),
    }


CELL: Final = ("process", "process_version", "stage", "outcome", "currency")
"""The columns of a deal that say in which cell it stands."""


class CellsOfDeals:
    """Deals put together by the number of their group, by cell and by columns kept apart.

    What is closed, which is most of it, is added up as columns, since that is faster; what is
    open becomes cells.
    """

    def __init__(self, deals: HeldRows, group: Column, apart: Iterable[str]) -> None:
        alike = grouped(group, *deals.cut(*CELL, *apart))
        amounts, shares = deals.amounts(), deals["probability"]
        self._deals = deals
        self._first = alike.first
        self._group = group[alike.first]
        self._outcome = deals.numbers("outcome", CLOSED)[alike.first]
        self._counts = alike.counts()
        self._amounts = alike.sums(amounts)
        self._weighted = exact_product_sums(amounts, shares, alike.of, len(alike.first))

    def versions(self) -> dict[tuple[int, str], int]:
        """Return the newest version of each process that a group has deals of."""
        process, version = (self._deals[name][self._first] for name in CELL[:2])
        alike = grouped(self._group, process)
        names = self._deals.cells("process", self._first[alike.first])
        uses = zip(self._group[alike.first].tolist(), names, strict=True)
        return dict(zip(uses, alike.greatest(version).tolist(), strict=True))

    def opened(self) -> tuple[list[int], Sequence[PipelineCell]]:
        """Return the open cells, and the number of the group of each."""
        some = np.flatnonzero(self._outcome < 0)
        sums = (self._counts, self._amounts, self._weighted)
        cells = zip(
            *(self._deals.cells(name, self._first[some]) for name in CELL),
            *(column[some].tolist() for column in sums),
            strict=True,
        )
        return self._group[some].tolist(), [*map(PipelineCell._make, cells)]

    def closed(self, exchange: CurrencyConverter, at: Instant) -> list[ClosedSums]:
        """Return what closed ones come to in the currency asked for."""
        some = np.flatnonzero(self._outcome >= 0)
        counts, (currency, currencies) = self._counts[some], self._deals.distinct("currency")
        amounts = Amounts(self._amounts[some], currency[self._first[some]], currencies)
        if exchange.currency is not None:
            day = exchange.day(at, event=None, closing=None).toordinal()
            amounts = amounts.in_one(exchange, np.full(len(some), day), times=counts)
        alike = grouped(self._group[some], self._outcome[some])
        totals = amounts.totals(alike.of, len(alike.first))
        first, deals = some[alike.first], alike.sums(counts).tolist()
        of = (column[first].tolist() for column in (self._group, self._outcome))
        return [*zip(*of, deals, totals, strict=True)]


By = Literal["process", "owner", "team", "customer", "channel", "currency"]
OF_DEALS: Final[Mapping[str, str]] = {
    "owner": "owner",
    "team": "owner",
    "customer": "customer_id",
    "channel": "lead_source",
}
"""What no cell of the pipeline holds, and the column of a deal that says it."""
GROUPED: Final[Mapping[str, GroupedBy]] = {
    "owner": "rep",
    **{name: name for name in ("process", "team", "customer", "channel", "currency")},
}
"""All that a part of the pipeline may be asked for by, or grouped by."""
OWNED: Final = Attribution("valid_from", "owner", "customer_id", "process")


class FunnelView(MoneyView):
    """Open deals per stage in the order of the process, closed deals beside them."""

    population: ClassVar[str] = "every deal on record at the as-of time"
    formula: ClassVar[str] = (
        "per stage: count and sum of amount of open deals; weighted amount = sum of amount"
        " x probability of the deal's process version (or its own forecast); per currency"
    )
    by: By | None
    stages: tuple[FunnelStage, ...]
    closed: tuple[ClosedDeals, ...]
    open_deals: int

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the funnel out: a row per stage, then a row per outcome; group by group."""
        zh, several = language == "zh", len({stage.process for stage in self.stages}) > 1
        first = () if self.by is None else (head_of_groups(self.by),)
        rows: list[RowOfValues] = [
            (
                *self._named(s),
                (f"{s.process}: " if several else "") + (s.name_zh if zh else s.name_en),
                s.deals,
                s.amounts,
                s.weighted,
                s.deals_without_amount or "",
            )
            for s in self.stages
        ]
        closed: list[RowOfValues] = [
            (*self._named(c), c.outcome, c.deals, c.amounts) for c in self.closed
        ]
        columns = (
            *first,
            "Stage",
            "Deals",
            "Amount",
            "Weighted amount",
            "Deals without amount",
        )
        outcomes = (*first, "Outcome", "Deals", "Amount")
        return [
            TableOfView("Funnel", columns, written_rows(rows)),
            TableOfView("Closed", outcomes, written_rows(closed), words=("Outcome",)),
        ]

    @internal
    def parts_with_ids(self) -> Sequence[BaseModel]:
        """Return a row of each group and of each process; others hold no other ids."""
        processes = map(attrgetter("process"), self.stages)
        of_processes = dict(zip(processes, self.stages, strict=True))
        return *_first_of_groups(self.closed), *of_processes.values()

    def _named(self, row: FunnelStage | ClosedDeals) -> tuple[str, ...]:
        return () if self.by is None else (row.group or NO_VALUE,)


_view: Final = unchecked(FunnelView)


class Funnel(MoneyQuestion[FunnelView]):
    """How many open deals stand in each stage, and what are they worth?"""

    name: ClassVar[str] = "funnel"
    folds: ClassVar[tuple[str, ...]] = (
        CUSTOMER.name,
        DEAL_STATE.name,
        MEMBERSHIP.name,
        PIPELINE.name,
    )
    rates_usual: ClassVar[RateRule] = "period_end"
    rates: Literal["period_end", "fixed"] | None = None
    """Of which day the rate is: period_end (here the day of the moment) or fixed."""
    by: By | None = None
    """A funnel for each process, owner, team, customer, channel (lead source) or currency."""
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only deals owned by this rep at the moment; all when left out."""
    team: Reference | None = None
    """Only deals whose owner is in this team at the moment; all when left out."""
    customer: UUID | None = None
    """Only deals of this customer, and of those merged into it; all when left out."""
    channel: Reference | None = None
    """Only deals that came from this lead source; all when left out."""
    currency: Currency | None = None
    """Only deals in this currency; all when left out."""

    def answer(self, reader: Reader, moment: Moment) -> FunnelView:
        """Sum up the cells of the pipeline, or the deals' rows that hold at the moment."""
        exchange = self.exchange(reader)
        of_deals = any(self._asks_for(name) for name in OF_DEALS)
        sums = (self._of_deals if of_deals else self._of_cells)(reader, exchange)
        return _view(
            moment=moment,
            by=self.by,
            stages=tuple(funnel_stages(sums, reader.processes)),
            closed=tuple(closed_deals(sums)),
            open_deals=sums.open_deals,
            rates=exchange.used,
        )

    def _of_cells(self, reader: Reader, exchange: CurrencyConverter) -> PipelineSums:
        """Sum up the cells of each group."""
        (booked_cells,) = booked(reader, [reader.read_point.as_of], process=self.process)
        wanted = [cell for cell in booked_cells if self.currency in (None, cell.currency)]
        cells = converted(wanted, exchange, reader.read_point.as_of)
        if self.by is None:
            return PipelineSums.of([None], ((0, cell) for cell in cells))
        groups = [*map(attrgetter(self.by), wanted)]
        ordered, number = numbered_groups({*groups})
        numbers = map(number.__getitem__, groups)
        return PipelineSums.of(ordered, zip(numbers, cells, strict=True))

    def _asks_for(self, name: str) -> bool:
        """Return whether deals of one such are asked for, or a funnel for each."""
        return self.by == name or getattr(self, name) is not None

    def _of_deals(self, reader: Reader, exchange: CurrencyConverter) -> PipelineSums:
        """Sum up the rows of deals of each group.

        Where amounts are rounded, cells of who and what is asked for are kept apart.
        """
        deals, as_of = self._wanted(reader), reader.read_point.as_of
        grouping = Grouping(reader, GROUPED.get(self.by or ""), deals.words)
        names, group = grouping.in_order(grouping.standing(deals, OWNED))
        asked = {column for name, column in OF_DEALS.items() if self._asks_for(name)}
        apart = [*asked, "probability"] if exchange.currency is not None else []
        cells = CellsOfDeals(deals, group, apart)
        numbers, opened = cells.opened()
        opened = converted(opened, exchange, as_of)
        return PipelineSums(
            groups=names,
            versions=cells.versions(),
            opened=_by_stage(zip(numbers, opened, strict=True)),
            closed=cells.closed(exchange, as_of),
        )

    def _wanted(self, reader: Reader) -> HeldRows:
        """Return the deals of the one owner (team, customer …) asked for."""
        deals = reader.columns(DEAL_STATE)
        for name, by in GROUPED.items():
            wanted = getattr(self, name)
            if wanted is not None:
                grouping = Grouping(reader, by, deals.words)
                group = grouping.standing(deals, OWNED)
                deals = deals.where(group == grouping.number(str(wanted)))
        return deals
