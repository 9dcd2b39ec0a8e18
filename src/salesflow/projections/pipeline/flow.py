"""The flow of the pipeline (waterfall): what stood there, came, left, and stands there now.

Answers "why is the pipeline of this period's end another than that of its start?" for any
part of it. The books balance: opening + movements + restated = closing, for any period and
any moment. `restated` is what became known after the opening about the time before it; it is
nothing unless the opening is asked for as it was known then. By team a movement counts for the
team its owner was in at the time, and `reorganised` is what went with an owner from team to
team. Leaves out how long deals stood anywhere (stage times) and which share went on
(conversion).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any, ClassVar, Final, Literal, NamedTuple, Self, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.domain.process import ForecastCategory
from salesflow.domain.time import Instant, Moment, Period
from salesflow.domain.values import (
    EXACT,
    EXACT_DIGITS,
    Currency,
    Day,
    Reference,
    SafeText,
    Value,
    tidy,
)
from salesflow.presentation.format import amount_text, days_text
from salesflow.presentation.messages import Language, in_language, key_text
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.balances import Cells, CellSums
from salesflow.projections.core.currency import (
    AMOUNT_PLACES,
    CurrencyConverter,
    MoneyQuestion,
    MoneyView,
    RateRule,
    exact_sum,
    unscaled,
)
from salesflow.projections.core.question import PeriodQuestion, Reader
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.pipeline import KINDS, PIPELINE
from salesflow.projections.scope import StageName, Teams, early_reps_note, stage_name
from salesflow.projections.table import AMOUNT_SCALE, Processes, ReadPoint

__all__ = [
    "OPENING",
    "REORGANISED",
    "RESTATED",
    "Flow",
    "FlowAccount",
    "FlowFigures",
    "FlowMovement",
    "FlowView",
    "InTeams",
    "Line",
]


# The lines that the books of a flow are added up from, and whose team each of them is of.
#
# A line sums the legs of one event in one part of the pipeline (of all events, in the opening).
# By team a movement belongs to the team its owner was in when it happened, and what stood with
# an owner goes along when they change: that is `reorganised`. So what stands in a team's books
# at any instant is what the reps have who are in it then. What became known later counts for
# the team of the opening; where it is the team itself that was not known, all that stood with
# the owner is restated.

OPENING, RESTATED, REORGANISED = "opening", "restated", "reorganised"
Place = tuple[str | None, str | None, str | None]
TeamLine = tuple[str | None, "Line"]
"""A team and what counts in its books."""


class Line(NamedTuple):
    """The legs of one event that lie in one part of the pipeline, added up."""

    process: str | None
    group: str | None
    currency: str | None
    kind: str
    event_id: UUID | None
    owner: str | None
    """Whose it was; read for books of teams alone, as is when it happened."""
    occurred: Instant
    """The opening where it happened before that."""
    version: int
    deals: int
    units: int
    """The sum of the amounts, in millionths."""
    likely: int
    """The sum of amount x probability, in millionths of millionths."""

    @classmethod
    def read(cls, row: Sequence[Any]) -> Self:
        """Read a line of one probability, whose amount comes as an exact sum does."""
        *cells, probability, deals, whole, millionths = row
        units = (whole or 0) * AMOUNT_SCALE + (millionths or 0)
        return cls._make((*cells, deals, units, units * probability))

    @classmethod
    def opening(cls, cell: Cells, sums: CellSums, by: str | None, at: Instant) -> Self:
        """Return what stood in a cell of the pipeline at the opening."""
        place = dict(zip(PIPELINE.cells, cell, strict=True))
        return cls(
            process=place["process"] if by == "stage" else None,
            group=None if by is None else place[by],
            currency=place["currency"],
            kind=OPENING,
            event_id=None,
            owner=None,
            occurred=at,
            version=place["process_version"],
            deals=sums.deals,
            units=_scaled(sums.amount, AMOUNT_PLACES),
            likely=_scaled(sums.weighted, 2 * AMOUNT_PLACES),
        )

    def into(self, exchange: CurrencyConverter, end: Instant) -> Self:
        """Return it in the currency asked for; without a rate it has no amount."""
        if not self.counts:
            return self
        day = exchange.day(end, event=None, closing=None)
        into = exchange.into(self.currency, day, times=abs(self.deals) or 1)
        units, likely = (into.millionths(sum) or 0 for sum in (self.units, self.likely))
        return self._replace(currency=into.currency, units=units, likely=likely)

    @property
    def amount(self) -> Decimal:
        """The sum of the amounts."""
        return unscaled(self.units)

    @property
    def weighted(self) -> Decimal:
        """The sum of what is likely of them."""
        return unscaled(self.likely, places=2 * AMOUNT_PLACES)

    @property
    def counts(self) -> bool:
        """Whether its legs do not cancel one another."""
        return bool(self.deals or self.units or self.likely)

    @property
    def place(self) -> Place:
        """Where lines of one owner add up."""
        return self.process, self.group, self.currency


class InTeams:
    """Puts lines into the books of teams, as known at the opening and at the moment."""

    def __init__(self, then: Teams, now: Teams, *, opening: Instant, closing: Instant) -> None:
        self._then = then
        self._now = now
        self._opening = opening
        self._closing = closing
        self._early: set[str] = set()

    @classmethod
    def read(
        cls, reader: Reader, *, opening: Instant, closing: Instant, known_then: Instant
    ) -> Self:
        """Read the teams as known at the opening and at the moment."""
        now = then = Teams.read(reader)
        if known_then != reader.read_point.known_at:
            then = Teams.read(reader, known_at=known_then)
        return cls(then, now, opening=opening, closing=closing)

    @property
    def before_joining(self) -> int:
        """Of how many reps the first team stands for a time before they joined it."""
        return len(self._early)

    def all(self, lines: Iterable[Line], team: str | None, *, grouped: bool) -> Iterator[Line]:
        """Yield every line and what goes from team to team, or those of one team; by team."""
        by_owner: dict[str | None, list[Line]] = defaultdict(list)
        for line in lines:
            if line.counts:
                by_owner[line.owner].append(line)
        for owner, found in by_owner.items():
            for whose, line in self._of_owner(owner, found):
                if team in (None, whose):
                    self._note(line)
                    yield line._replace(group=whose) if grouped else line

    def _of_owner(self, owner: str | None, lines: list[Line]) -> Iterator[TeamLine]:
        opened = [line for line in lines if line.kind == OPENING]
        restated = [line for line in lines if line.kind == RESTATED]
        moved = [line for line in lines if line.kind not in (OPENING, RESTATED)]
        then = self._then.of(owner, self._opening)
        now = self._now.of(owner, self._opening)
        yield from ((then, line) for line in opened)
        if then != now:
            yield from _taken(opened, then, now, RESTATED, self._behind(owner))
        yield from ((now, line) for line in restated)
        yield from ((self._now.of(owner, line.occurred), line) for line in moved)
        for at, left, entered, event in self._now.changes(owner, self._opening, self._closing):
            stood = [line._replace(occurred=at) for line in lines if line.occurred < at]
            yield from _taken(stood, left, entered, REORGANISED, event)

    def _behind(self, owner: str | None) -> UUID | None:
        """Name the fact that put a rep elsewhere, or the one that stands no more."""
        then, now = (teams.stay(owner, self._opening) for teams in (self._then, self._now))
        known = None if now is None else self._then.stay(owner, now.start)
        if now is not None and (known is None or known.event_id != now.event_id):
            return now.event_id
        return None if then is None else then.event_id

    def _note(self, line: Line) -> None:
        teams = self._then if line.kind == OPENING else self._now
        stay = teams.stay(line.owner, line.occurred)
        if line.owner is not None and stay is not None and line.occurred < stay.start:
            self._early.add(line.owner)


def _taken(
    lines: Sequence[Line], left: str | None, entered: str | None, kind: str, event: UUID | None
) -> Iterator[TeamLine]:
    """Take what stands with an owner from one team to another."""
    stands: dict[Place, Line] = {}
    for line in lines:
        before = stands.get(line.place)
        if before is not None:
            line = line._replace(
                version=max(line.version, before.version),
                deals=line.deals + before.deals,
                units=line.units + before.units,
                likely=line.likely + before.likely,
            )
        stands[line.place] = line
    for line in stands.values():
        if line.counts:
            gone = line._replace(kind=kind, event_id=event)
            yield entered, gone
            yield (
                left,
                gone._replace(deals=-gone.deals, units=-gone.units, likely=-gone.likely),
            )


def _scaled(figure: Decimal, places: int) -> int:
    """Write an exact figure as a whole number of its smallest parts."""
    return int(figure.scaleb(places, EXACT))


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
Column: TypeAlias = "sa.ColumnElement[Any]"
Books: TypeAlias = "list[list[Line]]"


class FlowFigures(Value):
    """Deals, what they are worth and likely worth, all in one currency."""

    deals: int
    amount: Decimal
    weighted: Decimal


class FlowMovement(FlowFigures):
    """The net of one kind of movement inside the part asked about, and the events behind it."""

    kind: Reference
    events: tuple[UUID, ...]


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
        return [self._table(account, language) for account in self.accounts]

    def _table(self, account: FlowAccount, language: Language) -> TableOfView:
        group = account.group_zh if language == "zh" else account.group_en
        days = days_text(self.period, ZoneInfo(self.timezone))
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
            ("Movement", "Deals", "Amount", "Weighted amount", "Events"),
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
    folds: ClassVar[tuple[str, ...]] = (PIPELINE.name, MEMBERSHIP.name)
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
    currency: Currency | None = None
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

    def answer(self, reader: Reader, moment: Moment) -> FlowView:
        """Add up the legs inside the scope up to the period's end, or the moment's."""
        span, exchange = self.span(reader), self.exchange(reader)
        closing = span.closing(reader.read_point.as_of)
        opening = min(span.opening, closing)
        known = reader.read_point.known_at
        known_then = min(opening, known) if self.as_known_then else known
        read_point = reader.read_point._replace(as_of=closing)
        rows = reader.rows(self._select(read_point, opening, known_then))
        told = [*self._opening(reader, opening, known_then), *map(Line.read, rows)]
        lines = [line.into(exchange, span.end - 1) for line in told]
        before_joining = 0
        if self._by_team:
            teams = InTeams.read(
                reader, opening=opening, closing=closing, known_then=known_then
            )
            lines = list(teams.all(lines, self.team, grouped=self.by == "team"))
            before_joining = teams.before_joining
        return FlowView(
            moment=moment,
            period=span.period(),
            opening_known_at="then" if self.as_known_then else "moment",
            by=self.by,
            accounts=tuple(
                _account(found, reader.processes)
                for found in _books(lines, reader.processes)
                if any(line.counts for line in found)
            ),
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
        grouped = self.by is None or self.by in PIPELINE.cells
        return grouped and all(getattr(self, name) is None for name in scopes)

    def _opening(self, reader: Reader, opening: Instant, known_then: Instant) -> Iterator[Line]:
        """Yield what stood in the scope before the period, where balances can say so."""
        if not self._in_cells:
            return
        (found,) = reader.balances(PIPELINE, [opening], known_then)
        for cell, sums in found.items():
            place = dict(zip(PIPELINE.cells, cell, strict=True))
            if all(getattr(self, name, None) in (None, place[name]) for name in place):
                yield Line.opening(cell, sums, self.by, opening)

    def _select(
        self, read_point: ReadPoint, opening: Instant, known_then: Instant
    ) -> sa.Select[Any]:
        """Sum the legs by what they are, group, currency, probability and event."""
        said = self._said(read_point, opening, known_then)
        legs = sa.union_all(
            self._legs(read_point, "left", -1).where(*said),
            self._legs(read_point, "entered", 1).where(*said),
        ).subquery("legs")
        c = legs.c
        opens = sa.and_(c.occurred <= opening, c.recorded <= known_then)
        what = sa.case((opens, OPENING), (c.occurred <= opening, RESTATED), else_=c.kind)
        event = sa.case((opens, None), else_=c.event_id)
        group = c[GROUPS[self.by]] if self.by in GROUPS else sa.null()
        process = c.process if self.by == "stage" else sa.null()
        owner: Column = sa.null()
        at: Column = sa.literal_column("0")
        if self._by_team:
            owner, at = c.owner, sa.case((c.occurred <= opening, opening), else_=c.occurred)
        by: list[Column] = [
            *(process.label("of"), group.label("group"), c.currency),
            *(what, event, owner.label("whose"), at.label("at")),
        ]
        version = sa.func.max(c.process_version)
        sums = (c.probability, sa.func.sum(c.sign), *exact_sum(c.sign * c.amount))
        return sa.select(*by, version, *sums).group_by(
            *(sa.literal_column(str(n)) for n in range(1, len(by) + 1)), c.probability
        )

    def _said(
        self, read_point: ReadPoint, opening: Instant, known_then: Instant
    ) -> list[Column]:
        """Return which movements are read: those that balances say nothing of."""
        c = PIPELINE.c
        if not self._in_cells:
            return []
        if known_then >= read_point.known_at:
            return [c.occurred > opening]
        return [sa.or_(c.occurred > opening, c.recorded > known_then)]

    def _legs(self, read_point: ReadPoint, side: str, sign: int) -> sa.Select[Any]:
        c = PIPELINE.c
        names = ("process", "process_version", "stage", "owner", "currency", "amount")
        shown: list[Column] = [
            *(c.kind, c.occurred, c.recorded, c.event_id, (c.sign * sign).label("sign")),
            *(c[f"{side}_{n}"].label(n) for n in (*names, "category", "probability")),
        ]
        select = sa.select(*shown).where(PIPELINE.posted_by(read_point))
        for name, column in SCOPES.items():
            if (wanted := getattr(self, name)) is not None:
                select = select.where(c[f"{side}_{column}"] == wanted)
        if self.team is not None:
            member = MEMBERSHIP.c
            ever = sa.select(member.rep).where(
                member.tenant == read_point.tenant, member.team == self.team
            )
            select = select.where(c[f"{side}_owner"].in_(ever))
        close = c[f"{side}_close"]
        if self.closes_from is not None:
            select = select.where(close >= self.closes_from.isoformat())
        if self.closes_before is not None:
            select = select.where(close < self.closes_before.isoformat())
        return select


def _books(lines: Iterable[Line], processes: Processes) -> Books:
    """Keep books apart: stages as they stand in their process, all else by name."""
    books: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for line in lines:
        books[line.process or "", line.group or "", line.currency or ""].append(line)

    def place(key: tuple[str, ...]) -> tuple[str, int, str, str]:
        process, group, currency = key
        return process, _named(books[key], processes).order, group, currency

    return [books[key] for key in sorted(books, key=place)]


def _named(lines: Sequence[Line], processes: Processes) -> StageName:
    """Name a stage as the newest version that deals here stand on; all else by itself."""
    process, group = lines[0].process, lines[0].group or ""
    if process is None:
        return StageName(0, group, group)
    return stage_name(group, process, max(line.version for line in lines), processes)


def _account(lines: Sequence[Line], processes: Processes) -> FlowAccount:
    first, name = lines[0], _named(lines, processes)
    by_kind: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_kind[line.kind].append(line)
    everything = [line for found in by_kind.values() for line in found]
    return FlowAccount(
        group=first.group,
        process=first.process,
        group_en=None if first.group is None else name.name_en,
        group_zh=None if first.group is None else name.name_zh,
        currency=first.currency,
        opening=FlowFigures(**_sums(by_kind[OPENING])),
        movements=tuple(
            found
            for kind in (*KINDS, REORGANISED)
            if (found := _movement(kind, by_kind[kind])).events
        ),
        restated=_movement(RESTATED, by_kind[RESTATED]),
        closing=FlowFigures(**_sums(everything)),
    )


def _movement(kind: str, lines: list[Line]) -> FlowMovement:
    """Net the lines of a kind; an event whose legs cancel one another is not behind it."""
    by_event: dict[UUID, list[Line]] = defaultdict(list)
    for line in lines:
        if line.event_id is not None:
            by_event[line.event_id].append(line)
    behind = [id for id, found in by_event.items() if any(_sums(found).values())]
    return FlowMovement(kind=kind, events=tuple(sorted(behind)), **_sums(lines))


def _sums(lines: Iterable[Line]) -> dict[str, Any]:
    deals, amount, weighted = 0, Decimal(0), Decimal(0)
    with localcontext(prec=EXACT_DIGITS):
        for line in lines:
            deals += line.deals
            amount += line.amount
            weighted += line.weighted
        return {"deals": deals, "amount": tidy(amount), "weighted": tidy(weighted)}


def _row(
    movement: str, figures: FlowFigures, events: int | None, account: FlowAccount
) -> tuple[str, ...]:
    currency = account.currency
    amounts = (
        ("", "")
        if currency is None
        else (
            amount_text(figures.amount, currency),
            amount_text(round(figures.weighted, 2), currency),
        )
    )
    signed = "," if events is None or not figures.deals else "+,"
    return (
        movement,
        f"{figures.deals:{signed}}",
        *amounts,
        "" if events is None else f"{events:,}",
    )
