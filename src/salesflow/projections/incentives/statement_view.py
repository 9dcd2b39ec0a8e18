"""What a commission statement says, and how it is laid out for people.

An estimate shows its lines in the same words.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.statement import (
    DifferenceLine,
    LinePart,
    PartKind,
    StatementFigures,
    StatementLine,
)
from salesflow.domain.values import Currency, Key, Reference, SafeText
from salesflow.errors import InputError, NotFoundError, RuleError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import (
    NO_VALUE,
    given_percent,
    local_day,
    money_text,
    short_id,
    span_text,
)
from salesflow.presentation.messages import Language, in_language, key_text, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.question import View
from salesflow.projections.incentives.commission_book import NoCredit
from salesflow.projections.incentives.due_shown import DueShown, due_notes
from salesflow.projections.incentives.exchange_shown import (
    exchanges_told,
    old_rates_said,
    rates_text,
    sold_text,
)
from salesflow.projections.incentives.reconciliation import REASONS, StatementReconciliation
from salesflow.projections.incentives.statement_lines import (
    AccrualReached,
    CommissionDifference,
    CommissionLine,
    CommissionTotals,
    DisputeShown,
    NotCreditedShown,
    PartShown,
    StatementAsIssued,
    VersionInForce,
)

__all__ = [
    "AccrualReached",
    "CommissionDifference",
    "CommissionLine",
    "CommissionStatementView",
    "CommissionTotals",
    "DisputeShown",
    "NotCreditedShown",
    "PartShown",
    "StatementAsIssued",
    "VersionInForce",
    "parts_shown",
    "parts_text",
]

Trait = FieldRole.TRAIT


class CommissionStatementView(View):
    """What a plan pays a rep for a period, as issued and as known now."""

    population: ClassVar[str] = (
        "bookings of which the rep has a part as owner or collaborator, by the moment; owner,"
        " shares and team are those of the win, whatever the crediting date; bookings that"
        " amend or undo a win change what was credited of it"
    )
    formula: ClassVar[str] = (
        "credited = amount x share, at the exchange rate of the crediting date; commission ="
        " what the plan pays for all that accrued after the event less before it, by the"
        " version in force at the crediting date: marginal tiers pay each band its own rate,"
        " retroactive ones the rate reached on everything; below the threshold nothing; x"
        " accelerator or decelerator; at most the cap; SPIFFs beside it. The accrual's total,"
        " each SPIFF and a part of a draw are rounded half to even to the smallest coin, lines"
        " add up to that; a guarantee is figured anew by what becomes known later, and what it"
        " adds otherwise is a difference. The next statement issued pays all differences of"
        " those issued before, however long ago, that none has paid"
    )
    plan: Key
    plan_en: SafeText
    plan_zh: SafeText
    plan_starts: Annotated[date, Trait]
    """The first day on which any version of the plan credits sales."""
    rep: Reference
    currency: Currency
    first_day: Annotated[date, Trait]
    last_day: Annotated[date, Trait]
    to_date: bool
    """Whether the period is not over at the moment."""
    versions: tuple[VersionInForce, ...]
    lines: tuple[CommissionLine, ...]
    """As known at the moment."""
    differences: tuple[CommissionDifference, ...]
    """What earlier statements would say otherwise and none has paid: this one pays or takes it
    back. Until one is issued, every later period that is asked about says so."""
    totals: CommissionTotals
    due: tuple[DueShown, ...]
    """Of how many days draw and guarantee are, version by version."""
    accruals: tuple[AccrualReached, ...]
    """As reached at the end of the period, or at the moment."""
    not_credited: tuple[NotCreditedShown, ...]
    issued: StatementAsIssued | None
    """None while no statement was issued for the period."""
    since_issued: tuple[CommissionDifference, ...]
    """What the issued statement would say otherwise by now."""
    reconciliation: StatementReconciliation | None
    """How these lead from what was payable as issued to what is now; None while no statement
    was issued."""
    disputes: tuple[DisputeShown, ...]
    """Every dispute of every line, in order."""
    people_changed: tuple[UUID, ...]
    """Deals of the lines whose owner or shares changed after they were sold: the lines go by
    those of the sale."""

    def figures(self) -> StatementFigures:
        """Return what a statement that is issued now says: `Statement.issue(view.figures())`.

        Issue one before the next of the same rep is asked for: that pays what this one leaves.

        Raises:
            InputError: while the period is not over.
            NotFoundError: for somebody who was never met, and to whom nothing is to be paid.
            RuleError: when a statement was issued for it by the moment, or no version of the
                plan is in force in it and nothing is to be settled.
        """
        self._ensure_to_be_issued()
        totals = self.totals
        return StatementFigures(
            plan=self.plan,
            rep=self.rep,
            first_day=self.first_day,
            last_day=self.last_day,
            currency=self.currency,
            as_of=self.moment.as_of,
            known_at=self.moment.known_at,
            lines=tuple(map(_line_told, self.lines)),
            differences=tuple(map(_difference_told, self.differences)),
            earned=totals.earned,
            guaranteed=totals.guaranteed,
            advanced=totals.advanced,
            recovered=totals.recovered,
            payable=totals.payable,
            draw_balance=totals.draw_balance,
        )

    def _ensure_to_be_issued(self) -> None:
        if self.issued is not None:
            raise RuleError(
                f"a statement of plan {self.plan} was issued to {self.rep} for the period from"
                f" {self.first_day} at {self.issued.issued_at.isoformat()}; it never changes,"
                " and the next one pays what differs"
            )
        if self.to_date:
            raise InputError(
                f"the period ends with {self.last_day} and is not over; ask as of that day, or"
                " later"
            )
        for line in self.lines:
            if line.share < 0:
                raise RuleError(
                    f"the collaborators of deal {line.deal} share more than the whole, which"
                    f" leaves {self.rep} {line.share}; put the shares right, and issue it then"
                )
        if not (self.versions or self.lines or self.differences):
            raise RuleError(
                f"no version of plan {self.plan} is in force from {self.first_day} to"
                f" {self.last_day}, and nothing is to be paid or taken back; issue one for a"
                " period in which it is"
            )
        if self.unmet and not (self.lines or self.differences):
            raise NotFoundError(
                f"{self.unmet[0].sentence()}, and nothing is to be paid to them: an issued"
                " statement is never taken back"
            )

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the statement out: what it comes to, its lines, what differs, what is reached."""
        lay = StatementLayout(self, language)
        found = [
            lay.summary(),
            lay.reconciliation(),
            lay.lines(),
            lay.differences(
                "Differences from earlier statements",
                self.differences,
                is_to_be_paid=self.issued is None,
            ),
            lay.differences(
                "Differences since the statement was issued",
                self.since_issued,
                is_to_be_paid=any(each.settled_in is None for each in self.since_issued),
            ),
            lay.disputes(),
            lay.accruals(),
            lay.not_credited(),
        ]
        return [table for table in found if table.rows or table is found[2]]


def _line_told(line: CommissionLine) -> StatementLine:
    return StatementLine(
        line=line.line,
        event_id=line.event_id,
        occurred_at=line.occurred_at,
        deal=line.deal,
        kind=line.event,
        plan_version=line.plan_version,
        share=line.share,
        base=line.credited,
        exchanges=exchanges_told(line.exchanges),
        parts=tuple(
            LinePart(
                kind=part.part,
                tier=part.tier,
                spiff=part.spiff,
                base=part.base,
                rate=part.rate,
                factor=part.factor,
                amount=part.amount,
            )
            for part in line.parts
        ),
        amount=line.commission,
    )


def _difference_told(line: CommissionDifference) -> DifferenceLine:
    return DifferenceLine(
        line=line.line,
        first_day=line.first_day,
        event_id=line.event_id,
        deal=line.deal,
        reason=line.reason,
        causes=line.causes,
        amount=line.commission,
    )


def parts_shown(parts: Iterable[LinePart]) -> tuple[PartShown, ...]:
    """Return the steps of a line as an answer shows them."""
    return tuple(
        PartShown(
            step=step,
            part=part.kind,
            tier=part.tier,
            spiff=part.spiff,
            base=part.base,
            rate=part.rate,
            factor=part.factor,
            amount=part.amount,
        )
        for step, part in enumerate(parts, 1)
    )


def parts_text(parts: Iterable[PartShown], currency: str, language: Language) -> str:
    """Write how a line was worked out: 20,000 CNY at tier 1 8% · cap -300 CNY."""
    return " · ".join(_part_text(part, currency, language) for part in parts) or NO_VALUE


def _part_text(part: PartShown, currency: str, language: Language) -> str:
    name = in_language(PART_NAMES[part.part], language)
    name += f" {part.tier}" if part.tier is not None else ""
    name += f" {part.spiff}" if part.spiff is not None else ""
    if part.base is None or part.rate is None:
        return f"{name} {money_text(part.amount, currency)}"
    rate = given_percent(part.rate)
    rate += f" x {part.factor}" if part.factor is not None else ""
    return f"{name} {rate}: {money_text(part.base, currency)}"


PART_NAMES: dict[PartKind, str] = {
    "threshold": "below the threshold",
    "rate": "base rate",
    "tier": "tier",
    "cap": "cap",
    "spiff_rate": "SPIFF",
    "spiff_bonus": "SPIFF bonus",
}
NOT_CREDITED: dict[NoCredit, str] = {
    "outside_clawback_window": "outside the clawback window, nothing is taken back",
    "plan_retired": "after the last day of the plan",
    "no_rate": "no exchange rate on that day",
    "no_amount": "no amount is known",
    "in_another_currency": "in another currency than was sold",
    "kept_of_earlier_win": "paid with an earlier win of the deal, and kept; not paid again",
}


class StatementLayout(NamedTuple):
    """Lays out a statement in a language."""

    view: CommissionStatementView
    language: Language

    def summary(self) -> TableOfView:
        """Lay out what it comes to; as issued too, where it was."""
        view, issued = self.view, self.view.issued
        period = span_text(view.first_day, view.last_day)
        name = view.plan_zh if self.language == "zh" else view.plan_en
        about = " · ".join((name, view.rep, period))
        figures: tuple[tuple[str, Callable[[CommissionTotals], Decimal]], ...] = (
            ("From sales", lambda totals: totals.from_sales),
            ("From differences", lambda totals: totals.from_differences),
            ("Earned", lambda totals: totals.earned),
            ("Guarantee added", lambda totals: totals.guaranteed),
            ("Draw advanced", lambda totals: totals.advanced),
            ("Draw recovered", lambda totals: -totals.recovered),
            ("Corrected or agreed since", lambda totals: totals.agreed),
            ("Payable", lambda totals: totals.payable),
            ("Draw still to be recovered", lambda totals: totals.draw_balance),
        )
        needed = {"From sales", "Earned", "Payable"}
        shown = [totals for totals in (issued and issued.totals, view.totals) if totals]
        rows = tuple(
            (self._word(name), *(self._money(figure(totals)) for totals in shown))
            for name, figure in figures
            if name in needed or any(map(figure, shown))
        )
        heads = ("Figure", "As issued", "As known now") if issued else ("Figure", "Value")
        return TableOfView("Commission statement", heads, rows, self._notes(), about)

    def reconciliation(self) -> TableOfView:
        """Lay out how what differs leads from the statement as issued to what is known now."""
        found, rows = self.view.reconciliation, []
        if found is not None and self.view.since_issued:
            rows = [
                (self._word("Payable as issued"), self._money(found.as_issued)),
                *((self._word(word), self._signed(each)) for word, each in found.steps()),
                (self._word("Payable as known now"), self._money(found.as_known_now)),
            ]
        return TableOfView("From the statement to now", ("Figure", "Value"), tuple(rows))

    def _notes(self) -> tuple[str, ...]:
        view, notes = self.view, []
        asked = view.moment.as_of.astimezone(self._zone).date()
        if asked < view.first_day:
            notes.append(
                say(
                    "the period has not begun on {day}: what stands here comes of draws and"
                    " guarantees alone, also of the periods until then",
                    self.language,
                    day=asked,
                )
            )
        elif view.to_date:
            notes.append(
                in_language("period to date: it is not over at the moment", self.language)
            )
        if view.issued is not None:
            day = local_day(view.issued.issued_at, self._zone)
            notes.append(say("statement issued on {day}", self.language, day=day))
            same = view.issued.lines == view.lines
            if same and not view.since_issued:
                notes.append(in_language("nothing known since changes it", self.language))
        notes += due_notes(view.due, view.currency, self.language)
        notes += self._why_nothing()
        mine = [version for version in view.versions if version.is_for_rep]
        unread = [version for version in mine if not version.acknowledged]
        notes += [
            say(
                "version {version}, in force from {day}, is not acknowledged by the rep",
                self.language,
                version=version.plan_version,
                day=version.starts,
            )
            for version in unread
        ]
        return tuple(notes)

    def _why_nothing(self) -> Iterator[str]:
        """Say why no sale is paid, where no plan was there that would pay any."""
        view = self.view
        if view.lines or any(version.is_for_rep for version in view.versions):
            return
        said = "plan {plan} was not for {rep} then, and pays them nothing for it"
        if not view.versions:
            said = "no plan was in force for {rep} then: {plan} pays for sales from {day} on"
            if view.plan_starts <= view.first_day:
                said = "no plan was in force for {rep} then: {plan} was retired before"
        yield say(said, self.language, rep=view.rep, plan=view.plan, day=view.plan_starts)

    def lines(self) -> TableOfView:
        """Lay out the lines: as issued where it was, as known at the moment otherwise."""
        issued = self.view.issued
        lines = self.view.lines if issued is None else issued.lines
        exchanges = [exchange for each in lines for exchange in each.exchanges]
        heads = (
            "Line", "Day", "Deal", "Event", "Plan version", "Share",
            *(("Sold for", "Rate (of)") if exchanges else ()),
            "Credited", "Worked out", "Commission",
        )  # fmt: skip
        rows = tuple(self._line(each, with_rates=bool(exchanges)) for each in lines)
        notes = (
            *self._people_said(),
            *old_rates_said(exchanges, self.view.currency, self.language),
        )
        return TableOfView("Commission lines", heads, rows, notes)

    def _people_said(self) -> Iterator[str]:
        if self.view.people_changed:
            yield say(
                "owner or shares of {deals} changed after the sale; what is paid goes by those"
                " of the sale",
                self.language,
                deals=", ".join(map(short_id, self.view.people_changed)),
            )

    def _line(self, each: CommissionLine, *, with_rates: bool) -> tuple[str, ...]:
        rates = (sold_text(each.exchanges), rates_text(each.exchanges)) if with_rates else ()
        return (
            str(each.line),
            local_day(each.occurred_at, self._zone),
            short_id(each.deal),
            key_text(each.event, self.language),
            str(each.plan_version),
            given_percent(each.share),
            *rates,
            self._money(each.credited),
            parts_text(each.parts, self.view.currency, self.language),
            self._money(each.commission),
        )

    def differences(
        self, title: str, found: Sequence[CommissionDifference], *, is_to_be_paid: bool
    ) -> TableOfView:
        """Lay out what statements would say otherwise, and why; some may be paid already."""
        heads = ("Line", "Period from", "Deal", "Cause", "Events", "Paid with", "Commission")
        rows = tuple(
            (
                str(each.line),
                str(each.first_day),
                NO_VALUE if each.deal is None else short_id(each.deal),
                self._word(REASONS[each.reason]),
                " ".join(map(short_id, each.causes)) or NO_VALUE,
                NO_VALUE if each.settled_in is None else str(each.settled_in),
                self._money(each.commission),
            )
            for each in found
        )
        said = "whichever statement is issued next pays what none has paid, and no other does"
        return TableOfView(title, heads, rows, (self._word(said),) if is_to_be_paid else ())

    def disputes(self) -> TableOfView:
        """Lay out which lines were disputed, and which sales are missing; what was answered."""
        disputes = self.view.disputes
        heads: tuple[str, ...] = ("Line", "Objection", "State", "Answer", "Agreed")
        rows: list[tuple[str, ...]] = [
            (
                str(each.line),
                each.objection or NO_VALUE,
                each.outcome or "not answered",
                each.answer or NO_VALUE,
                self._money(each.agreed),
            )
            for each in disputes
        ]
        deals = [each.missing_deal for each in disputes]
        if any(deals):
            sales = [NO_VALUE if deal is None else short_id(deal) for deal in deals]
            heads = (*heads, "Missing sale")
            rows = [(*row, sale) for row, sale in zip(rows, sales, strict=True)]
        return TableOfView("Disputes", heads, tuple(rows), words=("State",))

    def accruals(self) -> TableOfView:
        """Lay out how much has accrued, and what is reached next."""
        heads = ("Accrual from", "Accrued", "Rate reached", "Next rate from")
        rows = tuple(
            (
                str(each.first_day),
                self._money(each.accrued),
                self._rate(each),
                self._money(each.next_starts_at),
            )
            for each in self.view.accruals
        )
        return TableOfView("Accruals", heads, rows)

    def not_credited(self) -> TableOfView:
        """Lay out what counts for nothing."""
        heads = ("Day", "Deal", "Event", "Amount", "Cause")
        rows = tuple(
            (
                local_day(each.occurred_at, self._zone),
                short_id(each.deal),
                key_text(each.event, self.language),
                money_text(each.amount, each.currency),
                self._word(NOT_CREDITED[each.reason]),
            )
            for each in self.view.not_credited
        )
        return TableOfView("Not credited", heads, rows)

    def _rate(self, accrual: AccrualReached) -> str:
        if accrual.tier is None:
            return self._word("below the threshold")
        name = (
            self._word("tier") + f" {accrual.tier}" if accrual.tier else self._word("base rate")
        )
        factor = "" if accrual.factor == 1 else f" x {accrual.factor}"
        return f"{name} {given_percent(accrual.rate)}{factor}"

    def _signed(self, amount: Decimal) -> str:
        return ("+" if amount > 0 else "") + self._money(amount)

    def _money(self, amount: Decimal | None) -> str:
        return money_text(amount, self.view.currency)

    def _word(self, word: str) -> str:
        return in_language(word, self.language)

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.view.timezone)
