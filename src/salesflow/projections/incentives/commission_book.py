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
the change happened. What was kept of a win whose window was over is not paid again when the
deal is won once more: of the later win counts what goes beyond it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import groupby
from typing import Final, Literal, NamedTuple, Protocol
from uuid import UUID

from salesflow.domain.calendar import Days
from salesflow.domain.incentive_plan import PlanVersion
from salesflow.domain.statement import LineExchange, LinePart
from salesflow.domain.time import Instant
from salesflow.domain.values import EXACT, tidy
from salesflow.projections.incentives.accrual import (
    AccrualTotal,
    accrual_total,
    differing_parts,
)
from salesflow.projections.incentives.sale_credits import (
    AccrualKey,
    ChangedCredits,
    CreditBefore,
    CreditCut,
    Sale,
    SaleCredit,
    SaleKey,
    exchanges,
    in_millionths,
    spiffs_differing,
    spiffs_for,
)

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
NOTHING_ACCRUED: Final = accrual_total(())
RECEIVED: Final = {"invoice": "invoiced", "payment": "paid"}
"""By what a plan credits, the kind of changes that it goes by."""

NoCredit = Literal[
    "outside_clawback_window",
    "plan_retired",
    "no_rate",
    "no_amount",
    "in_another_currency",
    "kept_of_earlier_win",
]


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
    of_earlier: Decimal
    """How much of the amount is of what was credited in periods before its own."""

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


class PlanCalendar(Protocol):
    """What a plan says of days, and what the settings do."""

    def day(self, at: Instant) -> date:
        """Return the business day of an instant."""

    def in_force(self, day: date, rep: str, team: str | None) -> PlanVersion | None:
        """Return the version that credits a rep on a day, who sold in a team; None for none."""

    def was_for(self, day: date, rep: str, team: str | None) -> bool:
        """Return whether it was for a rep who sold in a team until it was retired before."""

    def credits_by(self, day: date) -> str:
        """Return when a sale of a day is credited: closing, invoice or payment."""

    def period(self, day: date) -> Days:
        """Return the period of settlement that a day lies in."""

    def accrual(self, version: PlanVersion, day: date) -> AccrualKey:
        """Return the accrual to which belongs what a version credits on a day."""

    def rate(self, currency: str, target: str, day: date) -> Fraction | None:
        """Return the rate of exchange of a day; None where there is none."""

    def rate_day(self, currency: str, target: str, day: date) -> date:
        """Return the day of the rate that is taken on a day; where there is none, that day."""


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
        self._counted: dict[tuple[SaleKey, str], Decimal] = defaultdict(Decimal)
        """How much of each sale counts by now; less than its level where some was kept."""
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
        self._note_kept(first, book)
        self._note_unlike(first, book)
        return [*self._lines_of(first, changed_credits)]

    def _settle(
        self,
        sale: Sale,
        book: DealBook,
        together: Sequence[SaleChange],
        changed_credits: ChangedCredits,
    ) -> None:
        """Take back what of a sale counts no more, then credit what did not before."""
        by, levels = self._plan.credits_by(self._plan.day(sale.key.at)), self._levels
        counts = {
            currency: _beyond(
                book.counted(sale.key, currency, by), self._kept(sale, book, currency)
            )
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
            self._counted[sale.key, currency] = counted

    def _lower(
        self,
        sale: Sale,
        together: Sequence[SaleChange],
        level: tuple[str, Decimal, Decimal],
        changed_credits: ChangedCredits,
    ) -> Decimal:
        """Take back what of a sale counts no more; return what goes on counting."""
        currency, before, counted = level
        change, lost = together[0], before - counted
        swapped = {c.currency for c in together if c.sale == sale.key and c.kind == "amended"}
        is_exchange = len(swapped) > 1
        taken = self._take_back(
            sale, change, (currency, lost), changed_credits, always=is_exchange
        )
        stays = any(each.left > 0 for each in self._credits[sale.key])
        falls = self._counted[sale.key, currency] - counted
        kept = min(lost - taken, falls) if _lowers(together, currency) else NOTHING
        if stays and kept > 0:
            self._leave_out(change, "outside_clawback_window", (currency, -kept), sale)
        left = [each.left for each in self._credits[sale.key] if each.currency == currency]
        return before - taken if any(left) or before <= 0 else counted

    def _restore(
        self, sale: Sale, more: tuple[str, Decimal], changed_credits: ChangedCredits
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
            self._put(credit.again(again, self._paid_of(sale)), changed_credits)
        cuts += reversed(kept)
        return more[1] - rest

    def _put(self, credit: SaleCredit, changed_credits: ChangedCredits) -> None:
        self._credits[credit.sale.key].append(credit)
        changed_credits.begin(credit, is_new=True)

    def _credit(
        self,
        sale: Sale,
        change: SaleChange,
        more: tuple[str, Decimal],
        changed_credits: ChangedCredits,
    ) -> None:
        currency, amount = more
        day = self._plan.day(change.at)
        credit = SaleCredit(sale, day, currency, amount)
        version = self._plan.in_force(day, self._rep, sale.team)
        if version is None and self._plan.was_for(day, self._rep, sale.team):
            self._leave_out(change, "plan_retired", more, sale)
        if version is not None:
            rate = self._plan.rate(currency, version.currency, day)
            if rate is None:
                self._leave_out(change, "no_rate", more, sale)
            else:
                credit.version, credit.rate = version, rate
                credit.rate_day = self._plan.rate_day(currency, version.currency, day)
                credit.accrual = self._plan.accrual(version, day)
                credit.spiffs = tuple(spiffs_for(version, sale, day, self._paid_of(sale)))
        self._put(credit, changed_credits)

    def _paid_of(self, sale: Sale) -> list[SaleCredit]:
        """Return what is credited of a sale by now, what was kept of earlier wins first."""
        earlier = self._earlier(sale, self._deals[sale.key.deal])
        return [*earlier, *self._credits[sale.key]]

    def _earlier(self, sale: Sale, book: DealBook) -> Iterator[SaleCredit]:
        """Yield what is still paid for earlier wins of the deal, none of which stands."""
        if sale.key.order is not None:
            return
        for key in book.booked:
            if key.order is None and key.at < sale.key.at:
                for credit in self._credits[key]:
                    if credit.left > 0 and credit.version is not None:
                        yield credit

    def _kept(self, sale: Sale, book: DealBook, currency: str) -> Decimal:
        """Return how much of a sale is paid already: with an earlier win, and was kept.

        It is the same sale to the same customer, won once more after the window was over; the
        rep's part of both wins is compared, at the rate of the day of the later one.
        """
        kept = Fraction(0)
        for credit in self._earlier(sale, book):
            rate = self._plan.rate(credit.currency, currency, self._plan.day(sale.key.at))
            if rate is not None:
                kept += Fraction(credit.left) * Fraction(credit.sale.share) * rate
        return in_millionths(kept / Fraction(sale.share)) if kept else NOTHING

    def _note_kept(self, change: SaleChange, book: DealBook) -> None:
        """Note of a win how much of it is not paid again."""
        sale = None if change.sale is None else self._sales.get(change.sale)
        is_win = change.kind in ("won", "unmerged")
        if sale is None or not sale.share or not is_win or change.currency is None:
            return
        kept = self._kept(sale, book, change.currency)
        again = min(kept, change.amount or NOTHING)
        if again > 0:
            self._leave_out(change, "kept_of_earlier_win", (change.currency, again), sale)

    def _take_back(
        self,
        sale: Sale,
        change: SaleChange,
        lost: tuple[str, Decimal],
        changed_credits: ChangedCredits,
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
                self._leave_out(change, "no_rate", (currency, -rest), sale)
                continue
            wanted = rest if rate == 1 else in_millionths(Fraction(rest) * rate)
            changed_credits.begin(credit)
            taken = min(credit.left, wanted)
            credit.left -= taken
            if change.kind == "amended":
                self._cuts[sale.key].append(CreditCut(credit, taken))
            covered = rest if taken == wanted else in_millionths(Fraction(taken) / rate)
            rest -= covered
        return amount - max(rest, NOTHING)

    def _leave_out(
        self,
        change: SaleChange,
        reason: NoCredit,
        part: tuple[str, Decimal] | None = None,
        sale: Sale | None = None,
    ) -> None:
        """Note what counts for nothing: all that happened, or the rep's share of a part."""
        currency, amount = part or (change.currency, change.amount)
        if sale is not None and amount is not None:
            amount = tidy(amount * sale.share)
        self.not_credited.append(
            NotCredited(
                at=change.at,
                event_id=change.event_id,
                deal=change.deal,
                kind=change.kind,
                currency=currency,
                amount=amount,
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
        self, change: SaleChange, changed_credits: ChangedCredits
    ) -> Iterator[EarnedLine]:
        """Work out what is paid otherwise in each accrual, and why."""
        period = self._plan.period(self._plan.day(change.at))
        for accrual, credits in changed_credits.by_accrual().items():
            own = [each for each in credits if each.credit.day >= period.first]
            earlier = [each for each in credits if each.credit.day < period.first]
            before = self._totals.get(accrual, NOTHING_ACCRUED)
            base, of_own, spiffs = self._raise(accrual, own)
            more, of_earlier, others = self._raise(accrual, earlier)
            base, amount = base + more, of_own + of_earlier
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
                    totals=(before, self._totals[accrual]),
                    spiffs=[*spiffs, *others],
                    exchanges=tuple(exchanges(credits)),
                    of_earlier=tidy(of_earlier),
                )

    def _raise(
        self, accrual: AccrualKey, credits: Sequence[CreditBefore]
    ) -> tuple[Decimal, Decimal, list[LinePart]]:
        """Take changed credits into an accrual; return how much accrues and is paid more."""
        if not credits:
            return NOTHING, NOTHING, []
        base = self._accrue(accrual, credits)
        accrued = sorted(self._accruals[accrual].items())
        segments = [(self._versions[number], amount) for number, amount in accrued]
        before = self._totals.get(accrual, NOTHING_ACCRUED)
        after = self._totals[accrual] = accrual_total(segments)
        amount, spiffs = after.rounded - before.rounded, []
        for each in credits:
            more, extra = spiffs_differing(each, segments[0][0].currency)
            amount += more
            spiffs += extra
        return base, amount, spiffs

    def _accrue(self, accrual: AccrualKey, credits: Sequence[CreditBefore]) -> Decimal:
        """Add to an accrual what was credited, less what was taken back; return how much."""
        segments, change = self._accruals[accrual], NOTHING
        for each in credits:
            more, number = each.credit.worth() - each.worth, each.version.version
            self._versions[number] = each.version
            segments[number] = segments.get(number, NOTHING) + more
            change += more
        return change


def _by_event(changes: Sequence[SaleChange]) -> Iterator[list[SaleChange]]:
    return (list(together) for _, together in groupby(changes, key=_order))


def _order(change: SaleChange) -> tuple[Instant, int, UUID]:
    return change.at, change.position, change.event_id


def _beyond(counted: Decimal, kept: Decimal) -> Decimal:
    """Return what counts of a sale beyond what is paid of it already."""
    return counted - kept if counted > kept else min(counted, NOTHING)


def _lowers(together: Iterable[SaleChange], currency: str) -> bool:
    return any(
        each.currency == currency and each.amount is not None and each.amount < 0
        for each in together
    )
