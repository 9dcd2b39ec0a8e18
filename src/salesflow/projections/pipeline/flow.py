"""The flow of the pipeline (waterfall): what stood there, came, left, and stands there now.

Answers "why is the pipeline of this period's end another than that of its start?" for any
part of it. The books balance: opening + movements + restated = closing, for any period and
any moment. `restated` is what became known after the opening about the time before it; it is
nothing unless the opening is asked for as it was known then. By team a movement counts for the
team its owner was in at the time, and `reorganised` is what went with an owner from team to
team. Leaves out how long deals stood anywhere (stage times) and which share went on
(conversion).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal, Self
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from pydantic import model_validator

from salesflow.domain.ids import UuidSequence
from salesflow.domain.process import ForecastCategory
from salesflow.domain.time import Instant, Moment, Period
from salesflow.domain.values import (
    Currency,
    Day,
    GivenCurrency,
    Reference,
    SafeText,
    Value,
    tidy,
)
from salesflow.presentation.format import NO_VALUE, days_text, money_text
from salesflow.presentation.messages import Language, in_language, key_text
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.balances import Cells, CellSums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NOTHING, Column, Flags, HeldRows
from salesflow.projections.core.currency import (
    AMOUNT_PLACES,
    MoneyQuestion,
    MoneyView,
    RateRule,
    unscaled,
)
from salesflow.projections.core.question import PeriodQuestion, Reader
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.pipeline import KINDS, PIPELINE
from salesflow.projections.pipeline.flow_lines import (
    MOVEMENTS,
    OPENING,
    REORGANISED,
    RESTATED,
    FlowLines,
    FlowNames,
    InTeams,
    Opening,
    lines_of,
)
from salesflow.projections.scope import StageName, early_reps_note, stage_name
from salesflow.projections.table import Processes

__all__ = ["Flow", "FlowAccount", "FlowFigures", "FlowMovement", "FlowView"]


Outcome = Literal["open", "won", "lost", "disqualified", "merged"]
By = Literal["process", "stage", "owner", "team", "forecast_category"]
GROUPS: Final[Mapping[str | None, str]] = {
    "process": "process",
    "stage": "stage",
    "owner": "owner",
    "forecast_category": "category",
}
"""What books are kept by, as cells name it; the team is no attribute of a cell."""
SCOPES: Final[Mapping[str, str]] = {
    **{name: name for name in ("process", "stage", "owner", "outcome", "currency")},
    "forecast_category": "category",
}
"""What the part asked about may be named by, as cells name it."""


HEADS: Final = ("Movement", "Deals", "Amount", "Weighted amount", "Events")


class FlowFigures(Value):
    """Deals, what they are worth and likely worth, all in one currency."""

    deals: int
    amount: Decimal
    weighted: Decimal


class FlowMovement(FlowFigures):
    """The net of one kind of movement inside the part asked about, and the events behind it."""

    kind: Reference
    events: UuidSequence


class FlowAccount(Value):
    """The books of one group and currency; deals without an amount have no currency."""

    group: Reference | None
    """The process, stage (of a process), owner, team or forecast category; None without `by`,
    and for the deals of nobody or of no team."""
    process: Reference | None
    """The process a stage belongs to; None unless the books are kept by stage."""
    group_en: SafeText | None
    group_zh: SafeText | None
    currency: Currency | None
    opening: FlowFigures
    movements: tuple[FlowMovement, ...]
    restated: FlowMovement
    closing: FlowFigures


class FlowView(MoneyView):
    """Opening, movements by kind, restated and closing, per group and currency."""

    population: ClassVar[str] = (
        "changes to the deals selected: open deals, unless another outcome is chosen"
    )
    formula: ClassVar[str] = (
        "opening + movements + late changes = closing; each row is the net of what came in and"
        " what went out; weighted amount = amount x probability; per currency; by team a change"
        " counts for the team the owner was in at the time, team changed = open deals that"
        " moved with an owner who changed teams"
    )
    period: Period
    opening_known_at: Literal["moment", "then"]
    """Whether the opening is that known at the moment, or that known at the opening itself."""
    by: Reference | None
    accounts: tuple[FlowAccount, ...]
    before_joining: int
    """Of how many reps the first team stands for a time before they joined it."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the flow out: a table per group and currency, a row per kind of movement."""
        days = days_text(self.period, ZoneInfo(self.timezone))
        if not self.accounts:
            return [TableOfView("Flow", HEADS, (), about=days)]
        return [self._table(account, days, language) for account in self.accounts]

    def _table(self, account: FlowAccount, days: str, language: Language) -> TableOfView:
        group = account.group_zh if language == "zh" else account.group_en
        if group is None and self.by is not None:
            group = NO_VALUE
        lines: list[tuple[str, FlowFigures, int | None]] = [
            (OPENING, account.opening, None),
            *((each.kind, each, len(each.events)) for each in account.movements),
        ]
        if account.restated.events:
            lines.append((RESTATED, account.restated, len(account.restated.events)))
        lines.append(("closing", account.closing, None))
        currency = account.currency or in_language("without amount", language)
        notes: tuple[str, ...] = ()
        if self.before_joining:
            notes = (early_reps_note(self.before_joining, language),)
        return TableOfView(
            "Flow",
            HEADS,
            tuple(
                _row(key_text(kind, language), figures, events, account)
                for kind, figures, events in lines
            ),
            about=" · ".join(each for each in (group, currency, days) if each is not None),
            notes=notes,
        )


class Flow(MoneyQuestion[FlowView], PeriodQuestion[FlowView]):
    """What came into the pipeline in a period, what left it, and why?"""

    name: ClassVar[str] = "flow"
    folds: ClassVar[tuple[str, ...]] = (PIPELINE.name, MEMBERSHIP.name, DEAL_STATE.name)
    rates_usual: ClassVar[RateRule] = "period_end"
    rates: Literal["period_end", "fixed"] | None = None
    """Of which day the rate is, one for all so that the books balance: period_end (or the
    moment, whichever comes first) or fixed."""
    by: By | None = None
    """Books of their own for each process, stage, owner, team or forecast_category."""
    process: Reference | None = None
    """Only cells of this process (its key)."""
    stage: Reference | None = None
    """Only cells of this stage (its key)."""
    owner: Reference | None = None
    """Only cells of this rep."""
    team: Reference | None = None
    """Only what belonged to the reps of this team (its key) when they were in it."""
    outcome: Outcome = "open"
    """Cells of which outcome. Default: open."""
    currency: GivenCurrency | None = None
    """Only cells in this currency."""
    forecast_category: ForecastCategory | None = None
    """Only cells of this forecast category."""
    closes_from: Day | None = None
    """Only deals expected to close on this day or later. A deal without a date is not, however
    open the end: it comes in, as pulled_in, when it gets one."""
    closes_before: Day | None = None
    """Only deals expected to close before this day."""
    as_known_then: bool = False
    """Take the opening as it was known at the opening itself; what is new since is restated."""

    @model_validator(mode="after")
    def _ensure_days_of_closing(self) -> Self:
        """Refuse days of closing among which there is none."""
        first, before = self.closes_from, self.closes_before
        if first is not None and before is not None and before <= first:
            raise ValueError(
                f"no day is on or after closes_from {first} and before closes_before {before};"
                " name a later closes_before"
            )
        return self

    def answer(self, reader: Reader, moment: Moment) -> FlowView:
        """Add up the legs inside the scope up to the period's end, or the moment's."""
        span, exchange = self.span(reader), self.exchange(reader)
        closing = span.closing(reader.read_point.as_of)
        opening = min(span.opening, closing)
        known = reader.read_point.known_at
        books = Opening(opening, min(opening, known) if self.as_known_then else known)
        names = FlowNames()
        movements, scope = self._movements(reader, closing, books), self._scope(reader)
        group = GROUPS.get(self.by)
        parts = (
            self._opening(reader, books, names),
            lines_of(movements, scope, names, group, books, by_owner=self._by_team),
        )
        opened, lines = (part.into(exchange, span.end - 1, names) for part in parts)
        before_joining = 0
        if self._by_team:
            teams = InTeams.read(reader, books, closing)
            lines = teams.all(lines, self.team, names, grouped_by=self.by == "team")
            before_joining = teams.before_joining
        return FlowView(
            moment=moment,
            period=span.period(),
            opening_known_at="then" if self.as_known_then else "moment",
            by=self.by,
            accounts=tuple(_Books((opened, lines), names, reader.processes).accounts()),
            before_joining=before_joining,
            rates=exchange.used,
        )

    @property
    def _by_team(self) -> bool:
        return self.by == "team" or self.team is not None

    @property
    def _in_cells(self) -> bool:
        """Whether the scope is made of whole cells, of which balances are kept."""
        scopes = {*SCOPES, "team", "closes_from", "closes_before"} - {*PIPELINE.cells}
        by_cell = self.by is None or self.by in PIPELINE.cells
        return by_cell and all(getattr(self, name) is None for name in scopes)

    def _opening(self, reader: Reader, books: Opening, names: FlowNames) -> FlowLines:
        """Return what stood in the scope before the period, where balances can say so."""
        found: dict[Cells, CellSums] = {}
        if self._in_cells:
            found = reader.balances(PIPELINE, [books.at], books.known_at).at(0)
        asked = [(n, getattr(self, name, None)) for n, name in enumerate(PIPELINE.cells)]
        wanted = [(n, part) for n, part in asked if part is not None]
        inside = {
            cell: sums
            for cell, sums in found.items()
            if all(cell[n] == part for n, part in wanted)
        }
        return FlowLines.opening(inside, self.by if inside else None, books.at, names)

    def _movements(self, reader: Reader, closing: Instant, books: Opening) -> HeldRows:
        """Return the movements that are added up: those that balances say nothing of."""
        rows = reader.columns(PIPELINE, as_of=closing)
        if not self._in_cells:
            return rows
        return rows.where((rows["occurred"] > books.at) | (rows["recorded"] > books.known_at))

    def _scope(self, reader: Reader) -> Callable[[HeldRows, str], Flags]:
        """Return what says which legs of a side of movements are in the scope."""
        owners = None if self.team is None else self._ever_in_team(reader)

        def inside(rows: HeldRows, side: str) -> Flags:
            found = rows.fitting(
                {f"{side}_{column}": getattr(self, name) for name, column in SCOPES.items()}
            )
            if owners is not None:
                found &= rows.has(f"{side}_owner", *owners)
            if self.closes_from is not None or self.closes_before is not None:
                found &= self._closes_within(rows, f"{side}_close")
            return found

        return inside

    def _closes_within(self, rows: HeldRows, name: str) -> Flags:
        """Return which legs of deals are expected to close within the days asked for."""
        first = date.min if self.closes_from is None else self.closes_from
        after = self.closes_before
        days = grouped(rows[name])
        within = [
            day is not None
            and first.isoformat() <= day
            and (after is None or day < after.isoformat())
            for day in rows.cells(name, days.first)
        ]
        return np.array(within, np.bool_)[days.of]

    def _ever_in_team(self, reader: Reader) -> list[str]:
        """Return the reps that are known to have been in the team asked for."""
        c = MEMBERSHIP.c
        ever = sa.select(c.rep).where(c.tenant == reader.read_point.tenant, c.team == self.team)
        return [rep for (rep,) in reader.rows(ever.distinct())]


class _Books:
    """Lines kept apart by process, group and currency, and in each book by kind.

    They come in parts: the few of an opening may need numbers of more than 64 bits, by which
    all others would be added up more slowly.
    """

    def __init__(
        self, parts: Sequence[FlowLines], names: FlowNames, processes: Processes
    ) -> None:
        columns = ([part.process, part.group, part.currency] for part in parts)
        apart = [np.concatenate(each) for each in zip(*columns, strict=True)]
        books = grouped(*apart)
        count = len(books.first)
        ends = np.cumsum([len(part.kind) for part in parts])
        each = [*zip(parts, np.split(books.of, ends[:-1]), strict=True)]
        self._names = names
        self._processes = processes
        self._first = [column[books.first].tolist() for column in apart]
        self._versions = np.max([part.versions(of, count) for part, of in each], axis=0)
        self._sums = np.sum([_sums(part, of, count) for part, of in each], axis=0)
        self._events = {
            place: events
            for part, of in each
            for place, events in self._behind(part, of * len(MOVEMENTS) + part.kind)
        }
        self._counting = np.unique(np.concatenate([of[part.counts] for part, of in each]))

    def accounts(self) -> Iterator[FlowAccount]:
        """Yield a book after the other: stages as in their process, all else by name."""
        found = [self._account(book) for book in self._counting.tolist()]
        for _, account in sorted(found, key=lambda each: each[0]):
            yield account

    def _behind(self, lines: FlowLines, place: Column) -> Iterator[tuple[int, UuidSequence]]:
        """Yield the events behind each kind of each book: whose legs do not cancel out."""
        named = lines.event != NOTHING
        lines, place = lines.at(named), place[named]
        events = grouped(lines.event, place)
        deals, units, likely = lines.added_up(events.of, len(events.first))
        rows = events.first[(deals != 0) | (units != 0) | (likely != 0)]
        places = grouped(place[rows])
        for some in places.rows():
            yield int(place[rows[some[0]]]), self._names.sorted_ids(lines.event[rows[some]])

    def _account(self, book: int) -> tuple[tuple[str, int, str, str], FlowAccount]:
        """Return a book, and where it stands among the others."""
        process, group, currency = (self._names[column[book]] for column in self._first)
        name = StageName(0, group or "", group or "")
        if process is not None:
            version = int(self._versions[book])
            name = stage_name(group or "", process, version, self._processes)
        account = FlowAccount(
            group=group,
            process=process,
            group_en=None if group is None else name.name_en,
            group_zh=None if group is None else name.name_zh,
            currency=currency,
            opening=FlowFigures(**self._figures(book, OPENING)),
            movements=tuple(
                self._movement(book, kind)
                for kind in (*KINDS, REORGANISED)
                if self._place(book, kind) in self._events
            ),
            restated=self._movement(book, RESTATED),
            closing=FlowFigures(**_figures(*self._sums[:, book].sum(axis=1))),
        )
        return (process or "", name.order, group or "", currency or ""), account

    def _movement(self, book: int, kind: str) -> FlowMovement:
        """Net the lines of a kind; an event whose legs cancel one another is not behind it."""
        events = self._events.get(self._place(book, kind), UuidSequence())
        return FlowMovement(kind=kind, events=events, **self._figures(book, kind))

    @staticmethod
    def _place(book: int, kind: str) -> int:
        """Return the number of a kind of a book."""
        return book * len(MOVEMENTS) + MOVEMENTS.index(kind)

    def _figures(self, book: int, kind: str) -> dict[str, Any]:
        return _figures(*self._sums[:, book, MOVEMENTS.index(kind)])


def _sums(lines: FlowLines, books: Column, count: int) -> Column:
    """Return what lines come to: a row for each figure, in it one for each book, by kind."""
    kinds = len(MOVEMENTS)
    figures = lines.added_up(books * kinds + lines.kind, count * kinds)
    return np.array([each.astype(object).reshape(count, kinds) for each in figures])


def _figures(deals: int, units: int, likely: int) -> dict[str, Any]:
    amount, weighted = unscaled(units), unscaled(likely, places=2 * AMOUNT_PLACES)
    return {"deals": deals, "amount": tidy(amount), "weighted": tidy(weighted)}


def _row(
    movement: str, figures: FlowFigures, events: int | None, account: FlowAccount
) -> tuple[str, ...]:
    currency = account.currency
    amounts = (
        ("", "")
        if currency is None
        else (
            money_text(figures.amount, currency),
            money_text(figures.weighted, currency),
        )
    )
    signed = "," if events is None or not figures.deals else "+,"
    return (
        movement,
        f"{figures.deals:{signed}}",
        *amounts,
        "" if events is None else f"{events:,}",
    )
