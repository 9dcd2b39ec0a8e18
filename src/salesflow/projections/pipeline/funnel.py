"""The sales funnel: open deals and their amount per stage at a moment, closed ones beside.

Answers "where do our open deals stand, and what are they worth?" for any past moment on both
time axes. Without an owner, a team, a customer or a channel it reads balances and is as fast
for any number of deals. Leaves out how deals got there: that is Flow (movements) and
Conversion (shares); and how the funnel went from month to month: that is FunnelTrend.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from itertools import chain
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple
from uuid import UUID

import numpy as np
from pydantic import BaseModel

from salesflow.domain.arguments import internal
from salesflow.domain.time import Instant, Moment
from salesflow.domain.unchecked import Fields, unchecked, unchecked_all
from salesflow.domain.values import GivenCurrency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, RowOfValues, Total, written_rows
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.amounts import Amounts
from salesflow.projections.core.column_figures import exact_product_sums, exact_sums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, Flags, HeldRows
from salesflow.projections.core.currency import (
    AMOUNT_PLACES,
    CurrencyConverter,
    MoneyQuestion,
    MoneyView,
    RateRule,
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
    names_in_order,
    newest_names,
)
from salesflow.projections.table import AMOUNT_SCALE, Processes

__all__ = [
    "CLOSED",
    "ClosedDeals",
    "Funnel",
    "FunnelStage",
    "FunnelView",
    "PipelineCells",
    "PipelineSums",
    "closed_deals",
    "funnel_stages",
    "stages_by_group",
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


class KeyColumn(NamedTuple):
    """A column of keys: of each row the number of its key, and what they are called."""

    number: Column
    names: Sequence[Any]
    """Texts; None for rows without a key, where some may have none."""

    @classmethod
    def of(cls, keys: Sequence[str | None]) -> "KeyColumn":
        """Return keys, one of each row."""
        places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        return cls(np.array([places[key] for key in keys], np.int64), [*places])

    def where(self, rows: Column) -> "KeyColumn":
        """Return those of some rows."""
        return KeyColumn(self.number[rows], self.names)

    def has(self, key: str | None) -> Flags:
        """Return which rows have a key."""
        found: Flags = np.array([name == key for name in self.names], np.bool_)[self.number]
        return found

    def in_order(self) -> tuple[list[Group], Column]:
        """Return the keys that rows have, in order, and where that of each row stands."""
        there = grouped(self.number)
        ordered, place = names_in_order(self.where(there.first).cells())
        return ordered, place[there.of]

    def cells(self) -> list[Any]:
        """Return the key of each row."""
        return [self.names[number] for number in self.number.tolist()]


class PipelineCells(NamedTuple):
    """Deals that stand alike, put together by group and by cell: a row for each of both."""

    group: Column
    """The number of the group."""
    at: Column
    """The instant at which they stand so."""
    process: KeyColumn
    version: Column
    stage: KeyColumn
    outcome: KeyColumn
    currency: KeyColumn
    """None where they have no amount."""
    deals: Column
    amount: Column
    """In millionths."""
    weighted: Column
    """Amount x probability, in millionths of millionths."""

    @classmethod
    def booked(
        cls, reader: Reader, instants: Sequence[Instant], process: str | None
    ) -> "PipelineCells":
        """Read what stood in the cells, perhaps of one process, at each of some instants.

        Each instant is a group. It is as fast for any number of deals.
        """
        found = reader.balances(PIPELINE, instants)
        processes, versions, stages, outcomes, currencies = (
            [cell[place] for cell in found.cells] for place in range(len(PIPELINE.cells))
        )
        read = cls(
            group=found.instant,
            at=np.array(instants, np.int64)[found.instant],
            process=KeyColumn.of(processes).where(found.cell),
            version=np.array(versions, np.int64)[found.cell],
            stage=KeyColumn.of(stages).where(found.cell),
            outcome=KeyColumn.of(outcomes).where(found.cell),
            currency=KeyColumn.of(currencies).where(found.cell),
            deals=found.deals,
            amount=found.amount,
            weighted=found.weighted,
        )
        return read if process is None else read.where(read.process.has(process))

    @classmethod
    def of(
        cls, deals: HeldRows, group: Column, apart: Iterable[str], at: Instant
    ) -> "PipelineCells":
        """Put rows of deals together, those apart that differ in some more columns."""
        alike = grouped(group, *deals.cut(*PIPELINE.cells, *apart))
        worth, count = deals.amounts(), len(alike.first)
        first = deals.ordered(alike.first)
        return cls(
            group=group[alike.first],
            at=np.full(count, at),
            process=KeyColumn(*first.distinct("process")),
            version=first["process_version"],
            stage=KeyColumn(*first.distinct("stage")),
            outcome=KeyColumn(*first.distinct("outcome")),
            currency=KeyColumn(*first.distinct("currency")),
            deals=alike.counts(),
            amount=alike.sums(worth),
            weighted=exact_product_sums(worth, deals["probability"], alike.of, count),
        )

    @property
    def amounts(self) -> Amounts:
        """What they are worth."""
        return Amounts(self.amount, *self.currency)

    @property
    def likely(self) -> Amounts:
        """What they are likely worth, in millionths of millionths."""
        return Amounts(self.weighted, *self.currency)

    def where(self, rows: Flags) -> "PipelineCells":
        """Return some of them."""
        return PipelineCells._make(
            each.where(rows) if isinstance(each, KeyColumn) else each[rows] for each in self
        )

    def converted(self, exchange: CurrencyConverter) -> "PipelineCells":
        """Return them in the currency asked for; those without a rate have no amount."""
        if exchange.currency is None:
            return self
        instants, place = np.unique(self.at, return_inverse=True)
        days = [
            exchange.day(at, event=None, closing=None).toordinal() for at in instants.tolist()
        ]
        day, uncounted = np.array(days, np.int64)[place], np.zeros(len(self.at), np.int64)
        amounts = self.amounts.in_one(exchange, day, times=self.deals)
        likely = self.likely.in_one(exchange, day, times=uncounted, unit=AMOUNT_SCALE)
        return self._replace(
            currency=KeyColumn(amounts.currency, amounts.currencies),
            amount=amounts.amount,
            weighted=likely.amount,
        )

    def figures(self, groups: Column, count: int) -> list[Fields]:
        """Return what they come to in so many groups, as the fields of a stage."""
        without = np.where(self.currency.has(None), self.deals, 0)
        columns = zip(
            exact_sums(self.deals, groups, count).tolist(),
            exact_sums(without, groups, count).tolist(),
            self.amounts.totals(groups, count),
            self.likely.totals(groups, count, places=2 * AMOUNT_PLACES),
            strict=True,
        )
        return [
            {
                "deals": deals,
                "deals_without_amount": without_amount,
                "amounts": amounts,
                "weighted": weighted,
            }
            for deals, without_amount, amounts, weighted in columns
        ]


ProcessOfGroup = tuple[int, str]
"""The number of a group, and a process that it has deals of."""


ClosedSums = tuple[int, str, int, tuple[Total, ...]]
"""A group and an outcome, how many deals of it stand so, and their amounts."""


class StageSums(NamedTuple):
    """What stands open in a stage."""

    figures: Fields
    versions: list[int]
    """Of which versions of the process it is."""


class PipelineSums(NamedTuple):
    """What stands in the pipeline: open deals by stage, closed ones by outcome, of groups."""

    groups: Sequence[Group]
    """What they are called, in order; the place of one among them is its number."""
    versions: Mapping[ProcessOfGroup, int]
    """The newest version in use of each process that a group has deals of."""
    opened: Mapping[ProcessOfGroup, Mapping[str, StageSums]]
    """By group and process, then by stage."""
    closed: Sequence[ClosedSums]
    """A row for each group and each outcome that some of its deals have."""

    @classmethod
    def of(cls, groups: Sequence[Group], cells: PipelineCells) -> "PipelineSums":
        """Return what cells come to."""
        alike = grouped(cells.group, cells.process.number)
        uses = _uses(cells, alike.first)
        is_open = cells.outcome.has("open")
        return cls(
            groups,
            versions=dict(zip(uses, alike.greatest(cells.version).tolist(), strict=True)),
            opened=_by_stage(cells.where(is_open)),
            closed=_by_outcome(cells.where(~is_open)),
        )


def _uses(cells: PipelineCells, rows: Column) -> list[ProcessOfGroup]:
    """Return of which groups and processes some rows are."""
    return [*zip(cells.group[rows].tolist(), cells.process.where(rows).cells(), strict=True)]


def _by_stage(cells: PipelineCells) -> dict[ProcessOfGroup, dict[str, StageSums]]:
    """Return what open cells come to; see `PipelineSums.opened`."""
    alike = grouped(cells.group, cells.process.number, cells.stage.number)
    stages = [StageSums(figures, []) for figures in cells.figures(alike.of, len(alike.first))]
    for place, version in zip(alike.of.tolist(), cells.version.tolist(), strict=True):
        stages[place].versions.append(version)
    opened = defaultdict[ProcessOfGroup, dict[str, StageSums]](dict)
    keys = cells.stage.where(alike.first).cells()
    for use, key, stage in zip(_uses(cells, alike.first), keys, stages, strict=True):
        opened[use][key] = stage
    return opened


def _by_outcome(cells: PipelineCells) -> list[ClosedSums]:
    """Return what closed cells come to."""
    alike = grouped(cells.group, cells.outcome.number)
    count = len(alike.first)
    columns = (
        cells.group[alike.first].tolist(),
        cells.outcome.where(alike.first).cells(),
        exact_sums(cells.deals, alike.of, count).tolist(),
        cells.amounts.totals(alike.of, count),
    )
    return [*zip(*columns, strict=True)]


def closed_deals(sums: PipelineSums) -> list[ClosedDeals]:
    """Return every outcome of each group, also those nothing stands at."""
    rows: list[Fields] = [
        {"group": group, "outcome": outcome, "deals": 0, "amounts": ()}
        for group in sums.groups
        for outcome in CLOSED
    ]
    for number, outcome, deals, amounts in sums.closed:
        row = rows[len(CLOSED) * number + CLOSED.index(outcome)]
        row["deals"], row["amounts"] = deals, amounts
    return _closed(rows)


def _first_of_groups(closed: Sequence[ClosedDeals]) -> Sequence[ClosedDeals]:
    """Return the first row of each group among all `closed_deals`."""
    return closed[:: len(CLOSED)]


def funnel_stages(sums: PipelineSums, processes: Processes) -> list[FunnelStage]:
    """Return every open stage of every process in use by each group, in order.

    Empty ones included.
    """
    return _stages([*chain.from_iterable(_stage_rows(sums, processes))])


def stages_by_group(sums: PipelineSums, processes: Processes) -> list[tuple[FunnelStage, ...]]:
    """Return the open stages of each group; see `funnel_stages`."""
    return [tuple(_stages(rows)) for rows in _stage_rows(sums, processes)]


def _stage_rows(sums: PipelineSums, processes: Processes) -> list[list[Fields]]:
    """Return the stages of each group as their fields; see `funnel_stages`."""
    own = cache(partial(_own_stages, processes))
    rows: list[list[Fields]] = [[] for _ in sums.groups]
    for use, version in sorted(sums.versions.items()):
        number, process = use
        stages, opened = own(process, version), sums.opened.get(use, {})
        if gone := opened.keys() - stages.keys():
            versions = {stage: {version, *opened[stage].versions} for stage in gone}
            stages = stages | _gone_stages(processes, process, versions)
        group, here = sums.groups[number], dict[str, Fields]()
        for key, stage in stages.items():
            row = here[key] = {**stage}
            row["group"] = group
        for key, standing in opened.items():
            here[key].update(standing.figures)
        rows[number] += here.values()
    return rows


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
        of_processes = {stage.process: stage for stage in self.stages}
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
    currency: GivenCurrency | None = None
    """Only deals in this currency; all when left out."""

    def answer(self, reader: Reader, moment: Moment) -> FunnelView:
        """Sum up the cells of the pipeline, or the deals' rows that hold at the moment."""
        exchange = self.exchange(reader)
        of_deals = any(self._asks_for(name) for name in OF_DEALS)
        sums = (self._of_deals if of_deals else self._of_cells)(reader, exchange)
        stages = funnel_stages(sums, reader.processes)
        return _view(
            moment=moment,
            by=self.by,
            stages=tuple(stages),
            closed=tuple(closed_deals(sums)),
            open_deals=sum([stage.deals for stage in stages]),
            rates=exchange.used,
        )

    def _of_cells(self, reader: Reader, exchange: CurrencyConverter) -> PipelineSums:
        """Sum up the cells of each group."""
        cells = PipelineCells.booked(reader, [reader.read_point.as_of], self.process)
        if self.currency is not None:
            cells = cells.where(cells.currency.has(self.currency))
        groups: list[Group] = [None]
        if self.by is not None:
            by = cells.process if self.by == "process" else cells.currency
            groups, group = by.in_order()
            cells = cells._replace(group=group)
        return PipelineSums.of(groups, cells.converted(exchange))

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
        cells = PipelineCells.of(deals, group, apart, as_of)
        return PipelineSums.of(names, cells.converted(exchange))

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
