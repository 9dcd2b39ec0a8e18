"""What one plan pays one rep, line by line: sales are credited, accrue, and are taken back.

Pure: bookings, invoices and payments in, lines out; reading them is another's task. Statements
and estimates go by it alike.

A *sale* is a win, with all that amends or undoes it, or a repeat order. Its owner, shares and
team are those of its own instant. What of it counts is *credited*: at its closing all that is
booked; by invoices or payments as much as came in, which fills the sales of a deal in their
order. Each credit belongs to the day on which it came about: that decides the plan version,
the accrual, the rate of exchange and the SPIFFs. Whatever lowers what counts takes back the
latest credits first, each only inside its clawback window, and lowers the accrual that they
are of. A contract that is amended down and up again counts where it did before: what the cut
took is credited again to the accrual, the version and the rate that it was taken from. So what
is paid for an accrual is always what its plan pays for what has accrued; the line stands where
the change happened.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import groupby
from typing import Final, Literal, NamedTuple, Protocol
from uuid import UUID

from salesflow.domain.incentive_plan import PlanVersion, Spiff
from salesflow.domain.statement import LineExchange, LinePart, PartKind
from salesflow.domain.time import Instant
from salesflow.domain.values import EXACT, tidy
from salesflow.projections.core.currency import unscaled
from salesflow.projections.incentives.accrual import (
    AccrualTotal,
    accrual_total,
    cents,
    differing_parts,
)
from salesflow.projections.table import AMOUNT_SCALE

__all__ = [
    "AccrualKey",
    "CommissionBook",
    "EarnedLine",
    "NoCredit",
    "NotCredited",
    "PlanCalendar",
    "Sale",
    "SaleChange",
    "SaleKey",
]

NOTHING: Final = Decimal(0)
RATE_PLACES: Final = 12
NOTHING_ACCRUED: Final = accrual_total(())
RECEIVED: Final = {"invoice": "invoiced", "payment": "paid"}
"""By what a plan credits, the kind of changes that it goes by."""

NoCredit = Literal["outside_clawback_window", "no_rate", "no_amount", "in_another_currency"]


class SaleKey(NamedTuple):
    """Which sale of a deal: the win of an instant, or a repeat order."""

    deal: UUID
    at: Instant
    order: UUID | None
    """The event of the repeat order; None for a win."""


class Sale(NamedTuple):
    """A sale, as far as it is one rep's."""

    key: SaleKey
    share: Decimal
    """The rep's part of it, whatever others have the rest; nothing where it is not theirs."""
    team: str | None = None
    """In which team the rep was when it was sold."""
    is_new: bool = False
    """Whether it is the first sale ever to its customer."""
    products: Mapping[str, Fraction] = {}
    """Which part of it each product is."""


class SaleChange(NamedTuple):
    """One thing that happened to a sale, or to what was invoiced or paid of a deal."""

    at: Instant
    position: int
    event_id: UUID
    deal: UUID
    kind: str
    sale: SaleKey | None
    """None for an invoice, a payment, or money that went back (of which a refund of a sale is
    another change by the same event)."""
    currency: str | None
    amount: Decimal | None
    """None where it is not known."""


class EarnedLine(NamedTuple):
    """What one event paid, or took back, of one accrual."""

    at: Instant
    event_id: UUID
    deal: UUID
    kind: str
    version: int
    share: Decimal
    base: Decimal
    amount: Decimal
    totals: tuple[AccrualTotal, AccrualTotal]
    """What the accrual paid before the event and after it."""
    spiffs: Sequence[LinePart]
    """What SPIFFs pay otherwise."""
    exchanges: tuple[LineExchange, ...]
    """Where it was sold in another currency than the plan's, at which rate."""

    @property
    def parts(self) -> tuple[LinePart, ...]:
        """How it was worked out, step by step; of most lines nobody asks."""
        with localcontext(EXACT):
            return (*differing_parts(*self.totals), *self.spiffs)


class NotCredited(NamedTuple):
    """What happened and counts for nothing, and why."""

    at: Instant
    event_id: UUID
    deal: UUID
    kind: str
    currency: str | None
    amount: Decimal | None
    reason: NoCredit


class AccrualKey(NamedTuple):
    """An accrual: the version that began it, and its first day."""

    version: int
    first_day: date


class PlanCalendar(Protocol):
    """What a plan says of days, and what the settings do."""

    def day(self, at: Instant) -> date:
        """Return the business day of an instant."""

    def in_force(self, day: date, rep: str, team: str | None) -> PlanVersion | None:
        """Return the version that credits a rep on a day, who sold in a team; None for none."""

    def credits_by(self, day: date) -> str:
        """Return when a sale of a day is credited: closing, invoice or payment."""

    def accrual(self, version: PlanVersion, day: date) -> AccrualKey:
        """Return the accrual to which belongs what a version credits on a day."""

    def rate(self, currency: str, target: str, day: date) -> Fraction | None:
        """Return the rate of exchange of a day; None where there is none."""

    def rate_day(self, currency: str, target: str, day: date) -> date:
        """Return the day of the rate that is taken on a day; where there is none, that day."""


class SpiffShare(NamedTuple):
    """What a SPIFF pays for a credit, as long as some of it is left."""

    spiff: Spiff
    part: Fraction
    """Of the credit, that it is for."""
    has_bonus: bool


class SaleCredit:
    """An amount of a sale that counts from a day on, less what was taken back of it."""

    __slots__ = (
        "accrual",
        "currency",
        "day",
        "left",
        "rate",
        "rate_day",
        "sale",
        "spiffs",
        "version",
    )

    def __init__(self, sale: Sale, day: date, currency: str, left: Decimal) -> None:
        self.sale = sale
        self.day = day
        self.currency = currency
        self.left = left
        """So much of the whole sale, in its currency."""
        self.rate = Fraction(1)
        self.rate_day = day
        self.version: PlanVersion | None = None
        """None where no plan pays for it; it counts all the same for what comes later."""
        self.accrual: AccrualKey | None = None
        self.spiffs: tuple[SpiffShare, ...] = ()

    def worth(self) -> Decimal:
        """Return the rep's part of what is left, in the plan's currency, to millionths."""
        part = self.left * self.sale.share
        return part if self.rate == 1 else _in_millionths(Fraction(part) * self.rate)

    def again(self, amount: Decimal, before: Sequence["SaleCredit"]) -> "SaleCredit":
        """Return a credit of so much that counts as this one did."""
        found = SaleCredit(self.sale, self.day, self.currency, amount)
        found.rate, found.rate_day = self.rate, self.rate_day
        found.version, found.accrual = self.version, self.accrual
        if self.version is not None:
            found.spiffs = tuple(_spiffs(self.version, self.sale, self.day, before))
        return found

    def is_taken_back_on(self, day: date) -> bool:
        """Return whether it is taken back by what happens on a day."""
        terms = None if self.version is None else self.version.terms
        if terms is None or terms.clawback_days is None:
            return True
        return (day - self.day).days <= terms.clawback_days

    def spiff_parts(self) -> dict[tuple[str, PartKind], LinePart]:
        """Return what SPIFFs pay for what is left of it, exactly, by their keys."""
        found: dict[tuple[str, PartKind], LinePart] = {}
        for spiff, part, has_bonus in self.spiffs:
            if spiff.rate is not None:
                base = self.worth()
                base = base if part == 1 else _in_millionths(Fraction(base) * part)
                found[spiff.key, "spiff_rate"] = LinePart(
                    kind="spiff_rate",
                    spiff=spiff.key,
                    base=tidy(base),
                    rate=spiff.rate,
                    amount=base * spiff.rate,
                )
            if has_bonus and spiff.bonus is not None:
                bonus = spiff.bonus * self.sale.share if self.left > 0 else NOTHING
                found[spiff.key, "spiff_bonus"] = LinePart(
                    kind="spiff_bonus", spiff=spiff.key, amount=bonus
                )
        return found


class CreditCut(NamedTuple):
    """What an amendment took back of a credit, in the currency of that."""

    credit: SaleCredit
    amount: Decimal


class DealBook:
    """What is booked, invoiced and paid of one deal by now."""

    __slots__ = ("booked", "received")

    def __init__(self) -> None:
        self.booked: dict[SaleKey, dict[str, Decimal]] = {}
        """Of each sale in order, what is booked in each currency."""
        self.received: dict[str, dict[str, Decimal]] = {
            kind: defaultdict(Decimal) for kind in RECEIVED.values()
        }

    def note(self, change: SaleChange) -> None:
        """Take in what happened."""
        sale, currency, amount = change.sale, change.currency, change.amount
        booked = None if sale is None else self.booked.setdefault(sale, {})
        if currency is None or amount is None:
            return
        if booked is None:
            kind = "paid" if change.kind == "refunded" else change.kind
            self.received[kind][currency] += amount
            return
        booked[currency] = booked.get(currency, NOTHING) + amount
        if change.kind == "refunded":  # what is taken back of a sale is billed no more
            self.received["invoiced"][currency] += amount

    def counted(self, sale: SaleKey, currency: str, by: str) -> Decimal:
        """Return how much of a sale counts by now: what is booked, or as much as came in."""
        booked = self.booked.get(sale, {}).get(currency, NOTHING)
        if by == "closing":
            return booked
        left = self.received[RECEIVED[by]].get(currency, NOTHING)
        for other, amounts in self.booked.items():
            if other == sale:
                break
            left -= max(amounts.get(currency, NOTHING), NOTHING)
        return max(min(left, booked), NOTHING)


class CommissionBook:
    """The credits and accruals of one rep under one plan, event by event."""

    def __init__(self, rep: str, plan: PlanCalendar, sales: Mapping[SaleKey, Sale]) -> None:
        self._rep = rep
        self._plan = plan
        self._sales = sales
        self._deals: dict[UUID, DealBook] = defaultdict(DealBook)
        self._credits: dict[SaleKey, list[SaleCredit]] = defaultdict(list)
        self._cuts: dict[SaleKey, list[CreditCut]] = defaultdict(list)
        """What amendments took back of each sale and none has restored, in their order."""
        self._levels: dict[tuple[SaleKey, str], Decimal] = defaultdict(Decimal)
        """How much of each sale was taken into account, by currency."""
        self._accruals: dict[AccrualKey, dict[int, Decimal]] = defaultdict(dict)
        """What has accrued, by the number of the version."""
        self._versions: dict[int, PlanVersion] = {}
        self._totals: dict[AccrualKey, AccrualTotal] = {}
        self.not_credited: list[NotCredited] = []

    def lines(self, changes: Iterable[SaleChange]) -> list[EarnedLine]:
        """Return the lines of what happened, in its order."""
        found: list[EarnedLine] = []
        with localcontext(EXACT):
            for together in _by_event(sorted(changes, key=_order)):
                found += self._take(together)
        return found

    def accrued(self) -> Mapping[AccrualKey, Decimal]:
        """Return what has accrued by now, by accrual."""
        with localcontext(EXACT):
            return {key: sum(each.values(), NOTHING) for key, each in self._accruals.items()}

    def _take(self, together: Sequence[SaleChange]) -> list[EarnedLine]:
        """Take in what one event changed; return a line for each accrual that it touched."""
        first = together[0]
        book = self._deals[first.deal]
        for change in together:
            book.note(change)
            if change.kind in ("won", "repeated") and change.amount is None:
                self._leave_out(change, "no_amount")
        changed_credits = ChangedCredits()
        for sale in [*book.booked]:
            mine = self._sales.get(sale)
            if mine is not None and mine.share:
                self._settle(mine, book, together, changed_credits)
        self._note_unlike(first, book)
        return [*self._lines_of(first, changed_credits)]

    def _settle(
        self,
        sale: Sale,
        book: DealBook,
        together: Sequence[SaleChange],
        changed_credits: "ChangedCredits",
    ) -> None:
        """Take back what of a sale counts no more, then credit what did not before."""
        by, levels = self._plan.credits_by(self._plan.day(sale.key.at)), self._levels
        counts = {
            currency: book.counted(sale.key, currency, by)
            for currency in sorted(book.booked[sale.key])
        }
        for currency, counted in counts.items():
            before = levels[sale.key, currency]
            if counted < before:
                levels[sale.key, currency] = self._lower(
                    sale, together, (currency, before, counted), changed_credits
                )
        for currency, counted in counts.items():
            before = levels[sale.key, currency]
            more = counted - max(before, NOTHING)
            if more > 0 and together[0].kind == "amended":
                more -= self._restore(sale, (currency, more), changed_credits)
            if more > 0:
                self._credit(sale, together[0], (currency, more), changed_credits)
            levels[sale.key, currency] = max(before, counted)

    def _lower(
        self,
        sale: Sale,
        together: Sequence[SaleChange],
        level: tuple[str, Decimal, Decimal],
        changed_credits: "ChangedCredits",
    ) -> Decimal:
        """Take back what of a sale counts no more; return what goes on counting."""
        currency, before, counted = level
        change, lost = together[0], before - counted
        is_exchange = change.kind == "amended" and len({c.currency for c in together}) > 1
        taken = self._take_back(
            sale, change, (currency, lost), changed_credits, always=is_exchange
        )
        stays = any(each.left > 0 for each in self._credits[sale.key])
        if stays and taken < lost and _lowers(together, currency):
            self._leave_out(change, "outside_clawback_window")
        left = [each.left for each in self._credits[sale.key] if each.currency == currency]
        return before - taken if any(left) or before <= 0 else counted

    def _restore(
        self, sale: Sale, more: tuple[str, Decimal], changed_credits: "ChangedCredits"
    ) -> Decimal:
        """Credit again what amendments took back, the last cut first; return how much."""
        currency, rest = more
        kept: list[CreditCut] = []
        cuts = self._cuts[sale.key]
        while cuts and rest > 0:
            credit, amount = cut = cuts.pop()
            if credit.currency != currency:
                kept.append(cut)
                continue
            again = min(amount, rest)
            rest -= again
            if amount > again:
                kept.append(CreditCut(credit, amount - again))
            self._put(credit.again(again, self._credits[sale.key]), changed_credits)
        cuts += reversed(kept)
        return more[1] - rest

    def _put(self, credit: SaleCredit, changed_credits: "ChangedCredits") -> None:
        self._credits[credit.sale.key].append(credit)
        changed_credits.begin(credit, is_new=True)

    def _credit(
        self,
        sale: Sale,
        change: SaleChange,
        more: tuple[str, Decimal],
        changed_credits: "ChangedCredits",
    ) -> None:
        currency, amount = more
        day = self._plan.day(change.at)
        credit = SaleCredit(sale, day, currency, amount)
        before = self._credits[sale.key]
        version = self._plan.in_force(day, self._rep, sale.team)
        if version is not None:
            rate = self._plan.rate(currency, version.currency, day)
            if rate is None:
                self._leave_out(change, "no_rate")
            else:
                credit.version, credit.rate = version, rate
                credit.rate_day = self._plan.rate_day(currency, version.currency, day)
                credit.accrual = self._plan.accrual(version, day)
                credit.spiffs = tuple(_spiffs(version, sale, day, before))
        self._put(credit, changed_credits)

    def _take_back(
        self,
        sale: Sale,
        change: SaleChange,
        lost: tuple[str, Decimal],
        changed_credits: "ChangedCredits",
        *,
        always: bool,
    ) -> Decimal:
        """Take back credits, the latest first; return how much of the lost amount that was.

        What was lost in a currency in which nothing was credited is taken from what was, at
        the rate of the day. An `always` is no loss but an exchange, which no window stops.
        """
        currency, amount = lost
        day, rest = self._plan.day(change.at), amount
        alike = [each for each in self._credits[sale.key] if each.currency == currency]
        others = [each for each in self._credits[sale.key] if each.currency != currency]
        for credit in (*reversed(alike), *reversed([] if always else others)):
            if rest <= 0:
                break
            if credit.left <= 0 or not (always or credit.is_taken_back_on(day)):
                continue
            rate = self._plan.rate(currency, credit.currency, day)
            if rate is None:
                self._leave_out(change, "no_rate")
                continue
            wanted = rest if rate == 1 else _in_millionths(Fraction(rest) * rate)
            changed_credits.begin(credit)
            taken = min(credit.left, wanted)
            credit.left -= taken
            if change.kind == "amended":
                self._cuts[sale.key].append(CreditCut(credit, taken))
            covered = rest if taken == wanted else _in_millionths(Fraction(taken) / rate)
            rest -= covered
        return amount - max(rest, NOTHING)

    def _leave_out(self, change: SaleChange, reason: NoCredit) -> None:
        self.not_credited.append(
            NotCredited(
                at=change.at,
                event_id=change.event_id,
                deal=change.deal,
                kind=change.kind,
                currency=change.currency,
                amount=change.amount,
                reason=reason,
            )
        )

    def _note_unlike(self, change: SaleChange, book: DealBook) -> None:
        """Note an invoice or a payment in a currency in which nothing is booked."""
        mine = [key for key in book.booked if key in self._sales and self._sales[key].share]
        by = {RECEIVED.get(self._plan.credits_by(self._plan.day(key.at))) for key in mine}
        if change.kind in by and not any(change.currency in book.booked[key] for key in mine):
            self._leave_out(change, "in_another_currency")

    def _lines_of(
        self, change: SaleChange, changed_credits: "ChangedCredits"
    ) -> Iterator[EarnedLine]:
        """Work out what is paid otherwise in each accrual, and why."""
        for accrual, credits in changed_credits.by_accrual().items():
            base = self._accrue(accrual, credits)
            accrued = sorted(self._accruals[accrual].items())
            segments = [(self._versions[number], amount) for number, amount in accrued]
            before = self._totals.get(accrual, NOTHING_ACCRUED)
            after = self._totals[accrual] = accrual_total(segments)
            amount = after.rounded - before.rounded
            spiffs: list[LinePart] = []
            for each in credits:
                more, extra = _spiffs_differing(each, segments[0][0].currency)
                amount += more
                spiffs += extra
            if base or amount:
                yield EarnedLine(
                    at=change.at,
                    event_id=change.event_id,
                    deal=change.deal,
                    kind=change.kind,
                    version=max(each.version.version for each in credits),
                    share=max(each.credit.sale.share for each in credits),
                    base=tidy(base),
                    amount=tidy(amount),
                    totals=(before, after),
                    spiffs=spiffs,
                    exchanges=tuple(_exchanges(credits)),
                )

    def _accrue(self, accrual: AccrualKey, credits: Sequence["CreditBefore"]) -> Decimal:
        """Add to an accrual what was credited, less what was taken back; return how much."""
        segments, change = self._accruals[accrual], NOTHING
        for each in credits:
            more, number = each.credit.worth() - each.worth, each.version.version
            self._versions[number] = each.version
            segments[number] = segments.get(number, NOTHING) + more
            change += more
        return change


SpiffParts = Mapping[tuple[str, PartKind], LinePart]


class CreditBefore(NamedTuple):
    """A credit, and what was paid for it before an event changed it."""

    credit: SaleCredit
    version: PlanVersion
    left: Decimal
    worth: Decimal
    spiffs: SpiffParts


class ChangedCredits:
    """The credits that one event changed, as they were before it."""

    def __init__(self) -> None:
        self._before: dict[int, CreditBefore] = {}

    def begin(self, credit: SaleCredit, *, is_new: bool = False) -> None:
        """Note a credit before it is changed, once; one that no plan pays for is no matter."""
        if credit.version is None or id(credit) in self._before:
            return
        left, worth = (NOTHING, NOTHING) if is_new else (credit.left, credit.worth())
        spiffs: SpiffParts = {} if is_new else credit.spiff_parts()
        before = CreditBefore(credit, credit.version, left, worth, spiffs)
        self._before[id(credit)] = before

    def by_accrual(self) -> dict[AccrualKey, list[CreditBefore]]:
        """Return them by the accrual that they are of."""
        found: dict[AccrualKey, list[CreditBefore]] = defaultdict(list)
        for before in self._before.values():
            if before.credit.accrual is not None:
                found[before.credit.accrual].append(before)
        return found


def _by_event(changes: Sequence[SaleChange]) -> Iterator[list[SaleChange]]:
    return (list(together) for _, together in groupby(changes, key=_order))


def _order(change: SaleChange) -> tuple[Instant, int, UUID]:
    return change.at, change.position, change.event_id


def _lowers(together: Iterable[SaleChange], currency: str) -> bool:
    return any(
        each.currency == currency and each.amount is not None and each.amount < 0
        for each in together
    )


def _spiffs(
    version: PlanVersion, sale: Sale, day: date, before: Sequence[SaleCredit]
) -> Iterator[SpiffShare]:
    """Yield the SPIFFs that pay for a credit; a bonus is paid with one of a sale alone.

    That is the first of which something is left: what was taken back whole took its bonus
    along, and whatever is credited after that pays it again.
    """
    there = [credit for credit in before if credit.left > 0]
    paid = {each.spiff.key for credit in there for each in credit.spiffs if each.has_bonus}
    for spiff in version.terms.spiffs:
        part = Fraction(1) if spiff.product is None else sale.products.get(spiff.product)
        is_his = spiff.customers == "all" or sale.is_new
        if part and is_his and spiff.covers(day):
            yield SpiffShare(spiff, part, spiff.key not in paid)


def _exchanges(credits: Iterable[CreditBefore]) -> Iterator[LineExchange]:
    """Yield what changed of credits in another currency than the plan's, by rate."""
    amounts: dict[tuple[str, Fraction, date, date], Decimal] = {}
    for each in credits:
        credit = each.credit
        if credit.currency != each.version.currency:
            key = credit.currency, credit.rate, credit.rate_day, credit.day
            more = (credit.left - each.left) * credit.sale.share
            amounts[key] = amounts.get(key, NOTHING) + more
    for (currency, rate, rate_day, day), amount in amounts.items():
        yield LineExchange(
            currency=currency,
            amount=tidy(amount),
            rate=tidy(round(Decimal(rate.numerator) / rate.denominator, RATE_PLACES)),
            rate_day=rate_day,
            credited_on=day,
        )


def _spiffs_differing(before: CreditBefore, currency: str) -> tuple[Decimal, list[LinePart]]:
    """Return what SPIFFs pay otherwise for a credit, each rounded, and why."""
    more, parts, after = NOTHING, [], before.credit.spiff_parts()
    for key in sorted({*before.spiffs, *after}):
        was, now = before.spiffs.get(key), after.get(key)
        amounts = [NOTHING if part is None else part.amount for part in (was, now)]
        if amounts[0] == amounts[1]:
            continue
        more += cents(amounts[1], currency) - cents(amounts[0], currency)
        bases = [None if part is None else part.base for part in (was, now)]
        shown = now or was
        assert shown is not None, "one of both is there"
        base = None if shown.base is None else (bases[1] or NOTHING) - (bases[0] or NOTHING)
        amount = tidy(amounts[1] - amounts[0])
        parts.append(
            LinePart(
                kind=shown.kind, spiff=shown.spiff, base=base, rate=shown.rate, amount=amount
            )
        )
    return more, parts


def _in_millionths(amount: Fraction) -> Decimal:
    return unscaled(round(amount * AMOUNT_SCALE))
