"""The sales funnel: open deals and their amount per stage at a moment, closed ones beside.

Answers "where do our open deals stand, and what are they worth?" for any past moment on both
time axes. Without an owner, a team, a customer or a channel it reads balances and is as fast
for any number of deals. Leaves out how deals got there: that is Flow (movements) and
Conversion (shares); and how the funnel went from month to month: that is FunnelTrend.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple
from uuid import UUID

from salesflow.domain.time import Instant, Moment
from salesflow.domain.unchecked import unchecked
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, RowOfValues, Total, totals_by, written_rows
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_figures import exact_product_sums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, HeldRows
from salesflow.projections.core.currency import (
    AMOUNT_PLACES,
    CurrencyConverter,
    MoneyQuestion,
    MoneyView,
    RateRule,
    unscaled,
)
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.scope import (
    Customers,
    Teams,
    head_of_groups,
    newest_names,
    unnamed_last,
)
from salesflow.projections.table import Processes

__all__ = [
    "CLOSED",
    "ClosedDeals",
    "Funnel",
    "FunnelStage",
    "FunnelView",
    "PipelineCell",
    "booked",
    "closed_deals",
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


_stage: Final = unchecked(FunnelStage)
_closed: Final = unchecked(ClosedDeals)


class PipelineCell(NamedTuple):
    """The deals that stood in a cell, what they were worth and likely worth."""

    process: str
    version: int
    stage: str
    outcome: str
    currency: str | None
    deals: int
    amount: Decimal
    weighted: Decimal

    def into(self, exchange: CurrencyConverter, at: Instant) -> "PipelineCell":
        """Return it in the currency asked for; without a rate it has no amount."""
        day = exchange.day(at, event=None, closing=None)
        into = exchange.into(self.currency, day, times=self.deals)
        amount, weighted = into.amount(self.amount), into.amount(self.weighted)
        return self._replace(currency=into.currency, amount=amount, weighted=weighted)

    def worth(self) -> tuple[str | None, Decimal, Decimal]:
        """Return its currency, its amount, and that all of it counts."""
        return self.currency, self.amount, Decimal(1)

    def likely(self) -> tuple[str | None, Decimal, Decimal]:
        """Return the same of what is likely of it."""
        return self.currency, self.weighted, Decimal(1)


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


def closed_deals(
    cells: Sequence[PipelineCell], group: str | None = None
) -> Iterator[ClosedDeals]:
    """Yield every outcome, also those nothing stands at."""
    found = {o: [cell for cell in cells if cell.outcome == o] for o in CLOSED}
    amounts = totals_by({o: [cell.worth() for cell in found[o]] for o in CLOSED})
    for outcome in CLOSED:
        yield _closed(
            group=group,
            outcome=outcome,
            deals=sum(cell.deals for cell in found[outcome]),
            amounts=amounts[outcome],
        )


def funnel_stages(
    cells: Sequence[PipelineCell], processes: Processes, group: str | None = None
) -> Iterable[FunnelStage]:
    """Yield every open stage of every process in use, in order, empty ones included."""
    newest: dict[str, int] = {}
    by_stage: dict[tuple[str, str], list[PipelineCell]] = defaultdict(list)
    for cell in cells:
        newest[cell.process] = max(cell.version, newest.get(cell.process, 0))
        if cell.outcome == "open":
            by_stage[cell.process, cell.stage].append(cell)
    amounts = totals_by({at: [c.worth() for c in found] for at, found in by_stage.items()})
    weighted = totals_by({at: [c.likely() for c in found] for at, found in by_stage.items()})
    for key in sorted(newest):
        process = processes[key, newest[key]]
        own = [stage.key for stage in process.stages if stage.category == "open"]
        gone = sorted({stage for p, stage in by_stage if p == key} - set(own))
        for stage in [*own, *gone]:
            found = by_stage.get((key, stage), [])
            versions = {newest[key], *(cell.version for cell in found)}
            name_en, name_zh = newest_names(stage, key, versions, processes)
            without_amount = [cell for cell in found if cell.currency is None]
            yield _stage(
                group=group,
                process=key,
                stage=stage,
                name_en=name_en,
                name_zh=name_zh,
                deals=sum(cell.deals for cell in found),
                deals_without_amount=sum(cell.deals for cell in without_amount),
                amounts=amounts.get((key, stage), ()),
                weighted=weighted.get((key, stage), ()),
            )


By = Literal["process", "owner", "team", "customer", "channel", "currency"]
Groups = dict[str | None, list[PipelineCell]]
OF_DEALS: Final[Mapping[str, str]] = {
    "owner": "owner",
    "team": "owner",
    "customer": "customer_id",
    "channel": "lead_source",
}
"""What no cell of the pipeline holds, and the column of a deal that says it."""
GROUPED: Final = ("process", "currency", *OF_DEALS)
"""All that a part of the pipeline may be asked for by, or grouped by."""
CELL: Final = ("process", "process_version", "stage", "outcome", "currency")
"""The columns of a deal that say in which cell it stands."""


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

    def _named(self, row: FunnelStage | ClosedDeals) -> tuple[str, ...]:
        return () if self.by is None else (row.group or NO_VALUE,)


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
        groups = self._groups(reader)
        cells_of = {
            group: converted(groups[group], exchange, reader.read_point.as_of)
            for group in sorted(groups, key=unnamed_last)
        }
        return FunnelView(
            moment=moment,
            by=self.by,
            stages=tuple(
                stage
                for group, cells in cells_of.items()
                for stage in funnel_stages(cells, reader.processes, group)
            ),
            closed=tuple(
                outcome
                for group, cells in cells_of.items()
                for outcome in closed_deals(cells, group)
            ),
            open_deals=sum(
                cell.deals
                for cells in cells_of.values()
                for cell in cells
                if cell.outcome == "open"
            ),
            rates=exchange.used,
        )

    def _groups(self, reader: Reader) -> Groups:
        """Read what stands, group by group."""
        groups: Groups = {} if self.by else {None: []}
        if columns := sorted({OF_DEALS[name] for name in OF_DEALS if self.asks_for(name)}):
            for group, cell in _Deals(self, columns, reader).all():
                groups.setdefault(group, []).append(cell)
            return groups
        (cells,) = booked(reader, [reader.read_point.as_of], process=self.process)
        for cell in cells:
            if self.currency in (None, cell.currency):
                group = None if self.by is None else getattr(cell, self.by)
                groups.setdefault(group, []).append(cell)
        return groups

    def asks_for(self, name: str) -> bool:
        """Return whether deals of one such are asked for, or a funnel for each."""
        return self.by == name or getattr(self, name) is not None


class _Deals:
    """The deals' own rows, summed up by cell and by what no cell holds."""

    def __init__(self, asked: Funnel, columns: list[str], reader: Reader) -> None:
        self._asked = asked
        self._columns = columns
        self._reader = reader
        by = {name for name in ("team", "customer") if asked.asks_for(name)}
        self._teams = Teams.read(reader) if "team" in by else Teams({})
        self._customers = Customers.read(reader) if "customer" in by else Customers({}, {})

    def all(self) -> Iterator[tuple[str | None, PipelineCell]]:
        """Yield the cells of the part asked for, each with its group."""
        deals = self._wanted()
        names = [*self._columns, *CELL, "probability"]
        groups = grouped(*(deals[name] for name in names))
        amounts, shares = deals.amounts("amount"), deals["probability"]
        products = exact_product_sums(amounts, shares, groups.of, len(groups.first))
        cells = zip(
            *(deals.cells(name, groups.first) for name in CELL),
            groups.counts().tolist(),
            map(unscaled, groups.sums(amounts)),
            map(_weighted, products),
            strict=True,
        )
        labels = self._labels(deals, groups.first)
        yield from zip(labels, map(PipelineCell._make, cells), strict=True)

    def _wanted(self) -> HeldRows:
        """Return the deals of the one owner (team, customer …) asked for."""
        deals = self._reader.columns(DEAL_STATE)
        for name in GROUPED:
            if (wanted := getattr(self._asked, name)) is not None:
                column = OF_DEALS.get(name, name)
                there = deals.cells(column, grouped(deals[column]).first)
                mine = (cell for cell in there if self._label(name, cell) == str(wanted))
                deals = deals.among(column, *mine)
        return deals

    def _labels(self, deals: HeldRows, rows: Column) -> list[str | None]:
        """Return the group of each of some deals."""
        by = self._asked.by
        if by is None:
            return [None] * len(rows)
        column = OF_DEALS.get(by, by)
        alike = grouped(deals[column][rows])
        cells = deals.cells(column, rows[alike.first])
        labels = [self._label(by, cell) for cell in cells]
        return [labels[number] for number in alike.of.tolist()]

    def _label(self, name: str, cell: Any) -> str | None:  # noqa: ANN401 - an id or a word
        """Return which owner (team, customer …) it is that a deal has in its column."""
        if name == "team":
            return self._teams.valid(cell, self._reader.read_point.as_of)
        if name == "customer" and cell is not None:
            return str(self._customers.survivor(cell))
        return None if cell is None else str(cell)


def _weighted(likely: int) -> Decimal:
    return unscaled(likely, places=2 * AMOUNT_PLACES)
