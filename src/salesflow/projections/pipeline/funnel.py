"""The sales funnel: open deals and their amount per stage at a moment, closed ones beside.

Answers "where do our open deals stand, and what are they worth?" for any past moment on both
time axes. Without an owner, a team, a customer or a channel it reads balances and is as fast
for any number of deals. Leaves out how deals got there: that is Flow (movements) and
Conversion (shares); and how the funnel went from month to month: that is FunnelTrend.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, ClassVar, Final, Literal, NamedTuple
from uuid import UUID

from salesflow.domain.time import Instant, Moment
from salesflow.domain.unchecked import Fields, unchecked_all
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, RowOfValues, Total, written_rows
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_figures import exact_product_sums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NOTHING, HeldRows
from salesflow.projections.core.currency import (
    AMOUNT_PLACES,
    CurrencyConverter,
    MoneyQuestion,
    MoneyView,
    RateRule,
    totals_in,
)
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.scope import (
    Attribution,
    GroupedBy,
    Grouping,
    head_of_groups,
    newest_names,
    unnamed_last,
)
from salesflow.projections.table import AMOUNT_SCALE, Processes

__all__ = [
    "CLOSED",
    "ClosedDeals",
    "Funnel",
    "FunnelStage",
    "FunnelView",
    "PipelineCell",
    "booked",
    "closed_deals",
    "converted",
    "funnel_stages",
    "totals_of_cells",
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


class CellTotals(NamedTuple):
    """What some cells come to."""

    deals: int
    without_amount: int
    amounts: tuple[Total, ...]
    weighted: tuple[Total, ...]


NOTHING_THERE: Final = CellTotals(0, 0, (), ())


def totals_of_cells(cells: Sequence[PipelineCell]) -> CellTotals:
    """Add up cells, each currency by itself; those without one have no amount."""
    if not cells:
        return NOTHING_THERE
    deals = without = 0
    amounts: dict[str, int] = {}
    weighted: dict[str, int] = {}
    for cell in cells:
        currency = cell.currency
        deals += cell.deals
        if currency is None:
            without += cell.deals
        else:
            amounts[currency] = amounts.get(currency, 0) + cell.amount
            weighted[currency] = weighted.get(currency, 0) + cell.weighted
    if not amounts:
        return CellTotals(deals, without, (), ())
    likely = totals_in(weighted, places=2 * AMOUNT_PLACES)
    return CellTotals(deals, without, totals_in(amounts), likely)


def closed_deals(cells: Sequence[PipelineCell], group: str | None = None) -> list[ClosedDeals]:
    """Return every outcome, also those nothing stands at."""
    found: dict[str, list[PipelineCell]] = {outcome: [] for outcome in CLOSED}
    for cell in cells:
        found.setdefault(cell.outcome, []).append(cell)
    closed: list[Fields] = []
    for outcome in CLOSED:
        sums = totals_of_cells(found[outcome])
        figures = {"deals": sums.deals, "amounts": sums.amounts}
        closed.append({"group": group, "outcome": outcome, **figures})
    return _closed(closed)


def funnel_stages(
    cells: Sequence[PipelineCell], processes: Processes, group: str | None = None
) -> list[FunnelStage]:
    """Return every open stage of every process in use, in order, empty ones included."""
    newest: dict[str, int] = {}
    opened: dict[str, dict[str, list[PipelineCell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        newest[cell.process] = max(cell.version, newest.get(cell.process, 0))
        if cell.outcome == "open":
            opened[cell.process][cell.stage].append(cell)
    stages: list[Fields] = []
    for key, version in sorted(newest.items()):
        by_stage = opened[key]
        for stage, name_en, name_zh in _named_stages(key, version, by_stage, processes):
            sums = totals_of_cells(by_stage.get(stage, ()))
            stages.append(
                {
                    "group": group,
                    "process": key,
                    "stage": stage,
                    "name_en": name_en,
                    "name_zh": name_zh,
                    "deals": sums.deals,
                    "deals_without_amount": sums.without_amount,
                    "amounts": sums.amounts,
                    "weighted": sums.weighted,
                }
            )
    return _stages(stages)


def _named_stages(
    process: str,
    version: int,
    opened: Mapping[str, Sequence[PipelineCell]],
    processes: Processes,
) -> Iterator[tuple[str, str, str]]:
    """Yield the open stages of a process version, then those gone that deals stand in.

    Each by its key, and its names in English and Chinese.
    """
    own = processes[process, version].open_stages
    for stage in own:
        yield stage.key, stage.name_en, stage.name_zh
    for gone in sorted(opened.keys() - {stage.key for stage in own}):
        versions = {version, *(cell.version for cell in opened[gone])}
        yield gone, *newest_names(gone, process, versions, processes)


By = Literal["process", "owner", "team", "customer", "channel", "currency"]
Groups = dict[str | None, list[PipelineCell]]
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
        groups = self._groups(reader, exchange)
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

    def _groups(self, reader: Reader, exchange: CurrencyConverter) -> Groups:
        """Read what stands, group by group."""
        columns = {OF_DEALS[name] for name in OF_DEALS if self._asks_for(name)}
        if columns:
            converts = exchange.currency is not None
            return self._of_deals(reader, [*sorted(columns), "probability"] if converts else ())
        groups: Groups = {} if self.by else {None: []}
        (cells,) = booked(reader, [reader.read_point.as_of], process=self.process)
        for cell in cells:
            if self.currency in (None, cell.currency):
                group = None if self.by is None else getattr(cell, self.by)
                groups.setdefault(group, []).append(cell)
        return groups

    def _asks_for(self, name: str) -> bool:
        """Return whether deals of one such are asked for, or a funnel for each."""
        return self.by == name or getattr(self, name) is not None

    def _of_deals(self, reader: Reader, apart: Iterable[str]) -> Groups:
        """Add up the rows of deals by cell, and by columns that are to be kept apart."""
        deals = self._wanted(reader)
        grouping = Grouping(reader, GROUPED.get(self.by or ""), deals.words)
        group = grouping.standing(deals, OWNED)
        alike = grouped(group, *(deals[name] for name in (*CELL, *apart)))
        amounts, shares = deals.amounts("amount"), deals["probability"]
        cells = zip(
            *(deals.cells(name, alike.first) for name in CELL),
            alike.counts().tolist(),
            alike.sums(amounts).tolist(),
            exact_product_sums(amounts, shares, alike.of, len(alike.first)).tolist(),
            strict=True,
        )
        found: dict[int, list[PipelineCell]] = {} if self.by else {NOTHING: []}
        numbers = group[alike.first].tolist()
        for number, cell in zip(numbers, map(PipelineCell._make, cells), strict=True):
            found.setdefault(number, []).append(cell)
        return {grouping.name(number): there for number, there in found.items()}

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
