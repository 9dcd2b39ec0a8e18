"""What commissions are figured from, read at a moment: plans, a rep's sales, rates, teams.

Sales are bookings, whose owner and shares are those of the win: what of them was undone and
booked again by later knowledge is netted here. Statements and estimates read the same.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
import sqlalchemy as sa

from salesflow.domain.calendar import Days, FiscalCalendar
from salesflow.domain.deal.quotes import product_parts
from salesflow.domain.deal.state import DealState
from salesflow.domain.exchange_rates import RATES_ID
from salesflow.domain.incentive_plan import (
    IncentivePlan,
    IncentivePlanState,
    PlanVersion,
    plan_id,
)
from salesflow.domain.settings import SETTINGS_ID
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import Instant, from_instant
from salesflow.domain.wording import quoted
from salesflow.errors import NotFoundError
from salesflow.projections.core.columns import HeldRows
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Reader
from salesflow.projections.core.replaying import believed, state_of
from salesflow.projections.deal_bookings import BOOKED_COLUMNS
from salesflow.projections.folds.booking import BOOKING, BOOKINGS
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.incentive_plan import INCENTIVE_PLAN
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.receipt import RECEIPT, RECEIPTS
from salesflow.projections.incentives.commission_book import (
    AccrualKey,
    Sale,
    SaleChange,
    SaleKey,
)
from salesflow.projections.incentives.reader_without import ReaderWithout
from salesflow.projections.scope import Customers, Teams
from salesflow.projections.table import AMOUNT_SCALE

__all__ = [
    "COMMISSION_FOLDS",
    "PlanSchedule",
    "RepSales",
    "SalesOnRecord",
    "plan_named",
    "read_plans",
    "read_sales",
]

COMMISSION_FOLDS: Final = (
    BOOKING.name,
    RECEIPT.name,
    CUSTOMER.name,
    MEMBERSHIP.name,
    INCENTIVE_PLAN.name,
)
REPEATED: Final = "repeated"
IN_BOOKINGS: Final = (
    *("entity_id", "event_id", "occurred", "position", "sign", "kind", "role"),
    *("person", "share", "amount", "currency", "credited"),
)
IN_RECEIPTS: Final = (
    *("entity_id", "event_id", "occurred", "position", "sign", "kind", "amount", "currency"),
)


NO_SALES: Final = (RATES_ID, SETTINGS_ID)
BOOKED_NAMES: Final = tuple(column.name for column in BOOKED_COLUMNS)


class PlanSchedule:
    """A plan by the day, with the calendar, the rates and the time zone of a moment."""

    def __init__(self, reader: Reader, plan: IncentivePlanState) -> None:
        self.plan: Final = plan
        self.key: Final = plan.latest.key
        self._timezone = reader.timezone
        self._rates = reader.rates()
        self._calendar: FiscalCalendar = reader.calendar
        self._days: dict[Instant, date] = {}
        self._spans: dict[tuple[str, date], Days] = {}
        self._crediting: dict[date, str] = {}

    @property
    def latest(self) -> PlanVersion:
        """The version published last: all have the same currency and period."""
        return self.plan.latest

    @property
    def first_day(self) -> date:
        """The first day on which any version credits anything."""
        return min(version.starts for version in self.plan.versions.values())

    def day(self, at: Instant) -> date:
        """Return the business day of an instant."""
        if at not in self._days:
            self._days[at] = from_instant(at).astimezone(self._timezone).date()
        return self._days[at]

    def period(self, day: date) -> Days:
        """Return the period of settlement that a day lies in."""
        return self._span(self.latest.period, day)

    def in_force(self, day: date, rep: str, team: str | None) -> PlanVersion | None:
        """Return the version that credits a rep on a day, who sold in a team; None for none."""
        version = self.plan.in_force(day)
        return version if version is not None and version.is_for(rep, team) else None

    def was_for(self, day: date, rep: str, team: str | None) -> bool:
        """Return whether it was for a rep who sold in a team until it was retired before."""
        last = self.plan.last_day
        return last is not None and last < day and self.latest.is_for(rep, team)

    def credits_by(self, day: date) -> str:
        """Return when a sale of a day is credited: by the version of that day, or the first."""
        if day not in self._crediting:
            started = [n for n, each in self.plan.versions.items() if each.starts <= day]
            number = max(started) if started else min(self.plan.versions)
            self._crediting[day] = self.plan.versions[number].terms.crediting
        return self._crediting[day]

    def accrual(self, version: PlanVersion, day: date) -> AccrualKey:
        """Return the accrual to which belongs what a version credits on a day."""
        yearly = version.terms.accrual == "year_to_date"
        first = self._span("year" if yearly else version.period, day).first
        begun = version
        while begun.continues and begun.starts > first:
            before = self.plan.before(begun)
            if before is None:
                break
            begun = before
        return AccrualKey(begun.version, max(first, begun.starts))

    def rate(self, currency: str, target: str, day: date) -> Fraction | None:
        """Return the last rate of exchange on or before a day; None where there is none."""
        if currency == target:
            return Fraction(1)
        found = self._rates.exact(currency, target, day)
        return None if found is None else found.rate

    def rate_day(self, currency: str, target: str, day: date) -> date:
        """Return the day of that rate, the older one of two; where there is none, the day."""
        found = self._rates.exact(currency, target, day)
        return day if found is None else min(found.days, default=day)

    def _span(self, kind: str, day: date) -> Days:
        if (kind, day) not in self._spans:
            found = self._calendar.span(kind, day)  # type: ignore[arg-type]
            self._spans[kind, day] = found
        return self._spans[kind, day]


def read_plans(reader: Reader) -> dict[str, PlanSchedule]:
    """Return the plans that were published by the moment, by their keys in order."""
    ids = sa.select(INCENTIVE_PLAN.c.entity_id).where(
        INCENTIVE_PLAN.visible_at(reader.read_point)
    )
    streams = reader.streams({row[0] for row in reader.rows(ids)})
    found: dict[str, PlanSchedule] = {}
    for events in streams.values():
        state = state_of(IncentivePlan, IncentivePlanState, events, reader)
        if state.versions:
            found[state.latest.key] = PlanSchedule(reader, state)
    return dict(sorted(found.items()))


def plan_named(plans: Mapping[str, PlanSchedule], key: str) -> PlanSchedule:
    """Return a plan by its key.

    Raises:
        NotFoundError: with those there are.
    """
    if key not in plans:
        there = f"there are {', '.join(plans)}" if plans else "none is published"
        raise NotFoundError(f"no plan {quoted(key)} is believed to exist by then; {there}")
    return plans[key]


class RepSales(NamedTuple):
    """The sales of which a rep has a part, and all that happened to them."""

    sales: Mapping[SaleKey, Sale]
    changes: Sequence[SaleChange]


def read_sales(reader: Reader, rep: str, plans: Collection[PlanSchedule]) -> RepSales:
    """Return the sales of a rep by the moment, with what plans want to know of them."""
    return SalesOnRecord(reader, rep, plans).all


class SalesOnRecord:
    """The sales of a rep by the moment, and as they were without some events."""

    def __init__(self, reader: Reader, rep: str, plans: Collection[PlanSchedule]) -> None:
        """Read them, with what plans want to know of them."""
        bookings = reader.columns(BOOKING)
        mine = bookings.where(bookings.fitting({"person": rep}))
        deals = np.unique(mine["entity_id"])
        rows = bookings.where(np.isin(bookings["entity_id"], deals))
        versions = [each for plan in plans for each in plan.plan.versions.values()]
        spiffs = [spiff for version in versions for spiff in version.terms.spiffs]
        self._plans, self._rep = [plan.key for plan in plans], rep
        self._wants_new = any(spiff.customers == "new" for spiff in spiffs)
        self._wants_products = any(spiff.product is not None for spiff in spiffs)
        self._wants_receipts = any(each.terms.crediting != "closing" for each in versions)
        self.teams: Final = Teams.read(reader)
        self._booked = [*_netted(rows)]
        self._products = _products(reader, self._booked) if self._wants_products else {}
        self._receipts = [*_receipts(reader, deals)] if self._wants_receipts else []
        new = _first_sales(reader) if self._wants_new else set()
        self.all: Final = RepSales(
            _sales(rep, self._booked, self.teams, new, self._products),
            [*_bookings(self._booked), *self._receipts],
        )

    def without(self, reader: ReaderWithout) -> RepSales:
        """Return the sales as they would be without what a reader leaves out."""
        touched, teams = reader.touched, reader.teams(self._rep, self.teams)
        plans = map(plan_id, self._plans)
        if teams is self.teams and touched <= {*NO_SALES, *plans}:
            return self.all
        anew = [each for deal in reader.deals for each in _bookings_anew(reader, deal)]
        booked = [each for each in self._booked if each.deal not in touched] + anew
        receipts = [each for each in self._receipts if each.deal not in touched]
        if self._wants_receipts:
            receipts += [it for deal in reader.deals for it in _receipts_anew(reader, deal)]
        products = self._products
        if self._wants_products:
            products = {**products, **_products(reader, anew)}
        new = _first_sales(reader) if self._wants_new else set()
        return RepSales(
            _sales(self._rep, booked, teams, new, products), [*_bookings(booked), *receipts]
        )


def _bookings_anew(reader: ReaderWithout, deal: UUID) -> Iterator["PersonsBooking"]:
    for event, row in reader.rows_of(BOOKINGS, deal):
        cells = dict(zip(BOOKED_NAMES, row, strict=True))
        about = [cells[name] for name in IN_BOOKINGS if name in cells]
        yield PersonsBooking(
            deal,
            event.event_id,
            event.effective,
            event.position,
            *about,  # type: ignore[arg-type]
        )


def _receipts_anew(reader: ReaderWithout, deal: UUID) -> Iterator[SaleChange]:
    for event, (kind, _, amount, currency) in reader.rows_of(RECEIPTS, deal):
        about = (event.effective, event.position, event.event_id, deal)
        yield _received(Received(*about, str(kind), str(currency)), int(str(amount)))


class Received(NamedTuple):
    """What was invoiced, paid or given back, whatever the amount."""

    at: Instant
    position: int
    event_id: UUID
    deal: UUID
    kind: str
    currency: str


class PersonsBooking(NamedTuple):
    """A booking's part of one person, by now; amounts and shares in millionths."""

    deal: UUID
    event_id: UUID
    at: Instant
    position: int
    kind: str
    role: str
    person: str | None
    share: int
    amount: int | None
    currency: str | None
    credited: Instant

    @property
    def sale(self) -> SaleKey:
        """The sale that it is of."""
        return SaleKey(
            self.deal, self.credited, self.event_id if self.kind == REPEATED else None
        )


def _netted(rows: HeldRows) -> Iterator[PersonsBooking]:
    """Yield what is booked, as often as it is; what was taken back again is left out."""
    times: dict[PersonsBooking, int] = defaultdict(int)
    for deal, event_id, at, position, sign, *other in rows.records(*IN_BOOKINGS):
        times[PersonsBooking(deal, event_id, at, position, *other)] += sign
    for booked, count in times.items():
        for _ in range(count):
            yield booked


def _bookings(booked: Iterable[PersonsBooking]) -> Iterator[SaleChange]:
    """Yield what happened to sales, as it is booked of their owners: each booking has one."""
    totals: dict[tuple[PersonsBooking, bool], int] = defaultdict(int)
    for each in booked:
        if each.role == "owner":
            totals[each._replace(amount=None), each.amount is None] += each.amount or 0
    for (each, unknown), amount in totals.items():
        yield SaleChange(
            at=each.at,
            position=each.position,
            event_id=each.event_id,
            deal=each.deal,
            kind=each.kind,
            sale=each.sale,
            currency=each.currency,
            amount=None if unknown else unscaled(amount),
        )


def _receipts(
    reader: Reader, deals: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> Iterator[SaleChange]:
    rows = reader.columns(RECEIPT)
    rows = rows.where(np.isin(rows["entity_id"], deals))
    times: dict[tuple[Received, int], int] = defaultdict(int)
    for deal, event_id, at, position, sign, kind, amount, currency in rows.records(
        *IN_RECEIPTS
    ):
        times[Received(at, position, event_id, deal, kind, currency), amount] += sign
    for (about, amount), count in times.items():
        if count:
            yield _received(about, amount * count)


def _received(about: "Received", amount: int) -> SaleChange:
    """Return what was invoiced, paid or given back, in millionths."""
    return SaleChange(
        *about[:5],
        sale=None,
        currency=about.currency,
        amount=unscaled(-amount if about.kind == "refunded" else amount),
    )


def _sales(
    rep: str,
    booked: Iterable["PersonsBooking"],
    teams: Teams,
    new: Collection[tuple[UUID, Instant]],
    products: Mapping[SaleKey, Mapping[str, Fraction]],
) -> dict[SaleKey, Sale]:
    """Return the sales of which the rep has a part."""
    parts: dict[SaleKey, dict[str, int]] = defaultdict(dict)
    for each in booked:
        if each.person == rep and each.share:
            parts[each.sale][each.role] = each.share
    return {
        key: Sale(
            key,
            Decimal(sum(shares.values())) / AMOUNT_SCALE,
            team=teams.of(rep, key.at),
            is_new=key.order is None and (key.deal, key.at) in new,
            products=products.get(key, {}),
        )
        for key, shares in parts.items()
    }


def _first_sales(reader: Reader) -> set[tuple[UUID, Instant]]:
    """Return the wins that were the first of a customer who was none before."""
    rows = reader.columns(BOOKING)
    rows = rows.where(rows.has("kind", "won") & rows.has("role", "owner"))
    rows = rows.where(rows["customer_id"] != -1)
    customers = Customers.read(reader)
    of, at = customers.survivors(rows["customer_id"]), rows["occurred"]
    standing: dict[tuple[int, int, int, int], int] = defaultdict(int)
    cells = (of, at, rows["position"], rows["entity_id"], rows["sign"])
    for survivor, instant, position, deal, sign in zip(
        *(each.tolist() for each in cells), strict=True
    ):
        standing[survivor, instant, position, deal] += sign
    if isinstance(reader, ReaderWithout):
        touched = {rows.code("entity_id", deal) for deal in reader.touched}
        standing = {win: count for win, count in standing.items() if win[3] not in touched}
        standing |= dict.fromkeys(_wins_anew(reader, rows, customers), 1)
    first: dict[int, tuple[int, int, int]] = {}
    for (survivor, *win), count in sorted(standing.items()):
        if count > 0:
            first.setdefault(survivor, (win[0], win[1], win[2]))
    survivors = np.array([*first], np.int64)
    instants = np.array([win[0] for win in first.values()], np.int64)
    new = customers.are_new(survivors, instants, reader.timezone)
    ids = rows.words["entity_id"]
    return {
        (ids[win[2]], win[0])
        for win, is_new in zip(first.values(), new.tolist(), strict=True)
        if is_new
    }


def _wins_anew(
    reader: ReaderWithout, rows: HeldRows, customers: Customers
) -> Iterator[tuple[int, int, int, int]]:
    """Yield the wins of deals in which something is left out, in the codes of rows."""
    for deal in reader.deals:
        for event, row in reader.rows_of(BOOKINGS, deal):
            cells = dict(zip(BOOKED_NAMES, row, strict=True))
            customer = rows.code("customer_id", cells["customer_id"])  # type: ignore[arg-type]
            if (cells["kind"], cells["role"]) == ("won", "owner") and customer >= 0:
                survivor = customers.survivors(np.array([customer], np.int64))[0]
                code = rows.code("entity_id", deal)
                yield int(survivor), event.effective, event.position, code


def _products(
    reader: Reader, booked: Iterable[PersonsBooking]
) -> dict[SaleKey, dict[str, Fraction]]:
    """Return which part of each win its products are: of the lines agreed, or accepted."""
    wins = {each.event_id: each.sale for each in booked if each.kind in ("won", "unmerged")}
    streams = reader.streams({sale.deal for sale in wins.values()})
    found: dict[SaleKey, dict[str, Fraction]] = {}
    for events in streams.values():
        deal = DealState(ReplayContext(reader.processes))
        for event in believed(events, reader):
            deal.evolve(event)
            if event.event_id in wins:
                found.setdefault(wins[event.event_id], _parts_of(deal))
    return found


def _parts_of(deal: DealState) -> dict[str, Fraction]:
    accepted = deal.accepted_quote
    return product_parts(deal.line_items or (accepted.lines if accepted else ()))
