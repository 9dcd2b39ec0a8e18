"""What an open deal would pay whom: an estimate, at its amount or at that of a quote.

Answers "what is this deal worth to me?" before it is won, by the plan that is in force and with
what has accrued by the moment, so that a tier that would be reached is seen. It is figured as
if the deal were won at the moment, and invoiced and paid in full where the plan goes by that.
Leaves out what will be sold in between: what is paid in the end may be more or less.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Final, NamedTuple
from uuid import UUID

import numpy as np

from salesflow.domain.deal import Deal
from salesflow.domain.deal.quotes import Quote, QuoteLine, product_parts, total_of
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.deal.state import DealState
from salesflow.domain.incentive_plan import PlanVersion
from salesflow.domain.process import VersionNumber
from salesflow.domain.time import Instant, Moment
from salesflow.domain.values import Currency, Key, Money, Reference, Value, tidy
from salesflow.domain.wording import quoted
from salesflow.errors import DealClosedError, InputError, NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import given_percent, money_text
from salesflow.presentation.messages import Language, in_language, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.question import Question, Reader, View
from salesflow.projections.core.replaying import believed, state_of
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.incentives.commission_book import (
    CommissionBook,
    EarnedLine,
    NoCredit,
    Sale,
    SaleChange,
    SaleKey,
)
from salesflow.projections.incentives.commission_reading import (
    COMMISSION_FOLDS,
    PlanSchedule,
    plan_named,
    read_plans,
    read_sales,
)
from salesflow.projections.incentives.exchange_shown import (
    ExchangeShown,
    exchanges_shown,
    old_rates_said,
)
from salesflow.projections.incentives.statement_view import PartShown, parts_shown, parts_text
from salesflow.projections.scope import Customers, Teams

__all__ = ["CommissionEstimate", "CommissionEstimateView", "EstimatedCommission"]

NOTHING: Final = Decimal(0)
BEHIND_ALL: Final = 2**62
"""The position of what has not happened: behind all that has."""
RECEIVED: Final = {"invoice": "invoiced", "payment": "paid"}


class EstimatedCommission(Value):
    """What the deal would pay one rep by one plan."""

    rep: Reference
    plan: Key
    plan_version: Annotated[VersionNumber, FieldRole.TRAIT]
    share: Annotated[Decimal, FieldRole.TRAIT]
    """The rep's part of the deal, as it stands."""
    currency: Annotated[Currency, FieldRole.TRAIT]
    accrued: Decimal
    """What has accrued by the moment, without the deal."""
    credited: Decimal | None
    exchanges: tuple[ExchangeShown, ...]
    """The rep's part in the deal's currency, and the rate; none in the plan's own."""
    parts: tuple[PartShown, ...]
    commission: Decimal | None
    """None where the rate of exchange is missing, without which nothing can be estimated."""
    not_estimated: NoCredit | None
    """Why nothing can be estimated."""


class CommissionEstimateView(View):
    """What an open deal would pay if it were won at the moment."""

    population: ClassVar[str] = (
        "an estimate, nothing is owed by it: one open deal as if it were won at the moment, and"
        " invoiced and paid in full where the plan goes by that; owner and shares as they stand"
    )
    formula: ClassVar[str] = (
        "what the plan in force pays for all that has accrued and the deal, less what it pays"
        " without the deal; tiers, accelerators, cap and SPIFFs as in commission statements"
    )
    deal: UUID
    quote: Reference | None
    """The quote whose total is taken; None for the deal's own amount."""
    amount: Money | None
    """None where none is known; then nothing can be estimated."""
    estimates: tuple[EstimatedCommission, ...]
    without_plan: tuple[Reference, ...]
    """Who has a part of the deal, and no plan in force (or none asked about) is for them."""
    other_plans: tuple[Key, ...] = ()
    """The plans in force for one of them, where it was asked by another one."""
    asked_by: Key | None = None
    """The plan that it was asked by; None for all in force."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the estimate out: a row per rep and plan."""
        heads = (
            "Rep", "Plan", "Share", "Accrued", "Credited", "Worked out", "Estimated commission",
        )  # fmt: skip
        rows = tuple(
            (
                each.rep,
                each.plan,
                given_percent(each.share),
                money_text(each.accrued, each.currency),
                money_text(each.credited, each.currency),
                parts_text(each.parts, each.currency, language),
                money_text(each.commission, each.currency),
            )
            for each in self.estimates
        )
        notes = [in_language("no amount is known; forecast one, or name a quote", language)]
        if self.amount is not None:
            at = money_text(self.amount.amount, self.amount.currency)
            notes = [say("estimated at {amount}, as if won now", language, amount=at)]
        for each in self.estimates:
            notes += old_rates_said(each.exchanges, each.currency, language)
        notes += self._without_rate(language)
        if self.without_plan:
            notes.append(self._no_plan(language))
        about = " · ".join(filter(None, (str(self.deal), self.quote)))
        return [TableOfView("Commission estimate", heads, rows, tuple(notes), about)]

    def _no_plan(self, language: Language) -> str:
        """Say for whom no plan is, or not that which it was asked by."""
        reps = ", ".join(self.without_plan)
        if self.asked_by is None:
            return say("no plan in force is for {reps}", language, reps=reps)
        said = "plan {plan} is not in force for {reps}, nor is another one"
        if self.other_plans:
            said = "plan {plan} is not in force for {reps}; there {others} is"
        others = ", ".join(self.other_plans)
        return say(said, language, plan=self.asked_by, reps=reps, others=others)

    def _without_rate(self, language: Language) -> list[str]:
        """Say which estimates lack a rate of exchange, and between which currencies."""
        lacking = [each for each in self.estimates if each.not_estimated == "no_rate"]
        return [
            say(
                "no exchange rate from {source} to {target} is known on or before the day, so"
                " nothing can be estimated for {reps} by plan {plan}; publish one",
                language,
                source=None if self.amount is None else self.amount.currency,
                target=found[0].currency,
                plan=plan,
                reps=", ".join(each.rep for each in found),
            )
            for plan in dict.fromkeys(each.plan for each in lacking)
            for found in ([each for each in lacking if each.plan == plan],)
        ]


class CommissionEstimate(Question[CommissionEstimateView]):
    """What would an open deal pay, and whom?"""

    name: ClassVar[str] = "commission-estimate"
    folds: ClassVar[tuple[str, ...]] = (*COMMISSION_FOLDS, DEAL_STATE.name)
    deal: UUID
    """The deal's id."""
    quote: Reference | None = None
    """At the total of this quote (its number). Default: at the deal's amount."""
    rep: Reference | None = None
    """Only for this rep. Default: for all who have a part of the deal."""
    plan: Key | None = None
    """Only by this plan. Default: by all that are in force for them."""

    def answer(self, reader: Reader, moment: Moment) -> CommissionEstimateView:
        """Figure what is paid with the deal and without it.

        Raises:
            NotFoundError: when there is no such deal, quote or plan by the moment, or the rep
                has no part of the deal.
            DealClosedError: when the deal is not open then.
            InputError: when the quote has no total.
        """
        deal = self._open_deal(reader)
        amount, lines = self._offered(deal)
        plans = read_plans(reader)
        if self.plan is not None and self.plan not in plans:
            plan_named(plans, self.plan)
        wanted = [plan for key, plan in plans.items() if self.plan in (None, key)]
        shares = self._shares(deal)
        found: list[EstimatedCommission] = []
        if amount is not None:
            won = _DealAsIfWon(reader, deal, self.deal, amount, lines)
            found = [it for rep, share in shares for it in won.estimates(rep, share, wanted)]
        paid = {each.rep for each in found}
        without = tuple(rep for rep, _ in shares if amount and rep not in paid)
        others = [plan for plan in plans.values() if plan not in wanted]
        return CommissionEstimateView(
            moment=moment,
            deal=self.deal,
            quote=self.quote,
            amount=amount,
            estimates=tuple(found),
            without_plan=without,
            other_plans=tuple(_in_force(reader, others, without)),
            asked_by=self.plan,
        )

    def _open_deal(self, reader: Reader) -> DealState:
        events = reader.events(self.deal)
        history = believed(events, reader)
        if not history or not isinstance(history[0].fact, DealOpened):
            raise NotFoundError(f"no deal {self.deal} is believed to exist at that moment")
        deal = state_of(Deal, DealState, events, reader)
        if not deal.is_open:
            raise DealClosedError(
                f"deal {self.deal} is {deal.status} at that moment; what a won one pays is in"
                " the commission statement of its owner"
            )
        return deal

    def _offered(self, deal: DealState) -> tuple[Money | None, Sequence[QuoteLine]]:
        if self.quote is not None:
            quote: Quote | None = deal.offers.get(self.quote)
            if quote is None:
                there = ", ".join(deal.offers) or "none"
                raise NotFoundError(
                    f"deal {self.deal} has no quote {quoted(self.quote)}; there are {there}"
                )
            total = quote.total or total_of(quote.lines)
            if total is None:
                raise InputError(f"quote {quoted(self.quote)} has no total")
            return total, quote.lines
        accepted = deal.accepted_quote
        return deal.amount, deal.line_items or (accepted.lines if accepted else ())

    def _shares(self, deal: DealState) -> list[tuple[str, Decimal]]:
        shares = sorted((rep, share) for rep, share in deal.credits.items() if share)
        if self.rep is None:
            return shares
        mine = [(rep, share) for rep, share in shares if rep == self.rep]
        if not mine:
            there = ", ".join(rep for rep, _ in shares) or "nobody"
            raise NotFoundError(
                f"no part of deal {self.deal} is for {quoted(self.rep)}; there are {there}"
            )
        return mine


class _DealAsIfWon(NamedTuple):
    """A deal as if it were won at the moment."""

    reader: Reader
    deal: DealState
    deal_id: UUID
    amount: Money
    lines: Sequence[QuoteLine]

    def estimates(
        self, rep: str, share: Decimal, plans: Sequence[PlanSchedule]
    ) -> Iterator[EstimatedCommission]:
        """Yield what each plan that is in force for a rep would pay."""
        at = self.reader.read_point.as_of
        team = Teams.read(self.reader).of(rep, at)
        for plan in plans:
            version = plan.in_force(plan.day(at), rep, team)
            if version is not None:
                yield self._estimate(rep, plan, version, self._sale(share, team, version))

    def _sale(self, share: Decimal, team: str | None, version: PlanVersion) -> Sale:
        spiffs = version.terms.spiffs
        asks_new = any(spiff.customers == "new" for spiff in spiffs)
        return Sale(
            SaleKey(self.deal_id, self.reader.read_point.as_of, None),
            share,
            team=team,
            is_new=asks_new and _is_new(self.reader, self.deal.customer_id),
            products=product_parts(self.lines),
        )

    def _estimate(
        self, rep: str, plan: PlanSchedule, version: PlanVersion, sale: Sale
    ) -> EstimatedCommission:
        known = read_sales(self.reader, rep, [plan])
        book = CommissionBook(rep, plan, {**known.sales, sale.key: sale})
        book.lines(known.changes)
        at = self.reader.read_point.as_of
        before = book.accrued().get(plan.accrual(version, plan.day(at)), NOTHING)
        nothing_before = len(book.not_credited)
        lines = book.lines(self._won(sale.key, version, at))
        left_out = book.not_credited[nothing_before:]
        why = None if lines or not left_out else left_out[-1].reason
        return EstimatedCommission(
            rep=rep,
            plan=plan.key,
            plan_version=version.version,
            share=tidy(sale.share),
            currency=version.currency,
            accrued=tidy(before),
            credited=None if why else tidy(sum((line.base for line in lines), NOTHING)),
            exchanges=exchanges_shown([each for line in lines for each in line.exchanges]),
            parts=parts_shown([part for line in lines for part in line.parts]),
            commission=None if why else tidy(_sum(lines)),
            not_estimated=why,
        )

    def _won(self, sale: SaleKey, version: PlanVersion, at: Instant) -> Iterator[SaleChange]:
        """Yield the win, and what is invoiced or paid where the plan goes by that."""
        received = RECEIVED.get(version.terms.crediting)
        for number, (kind, of) in enumerate((("won", sale), (received, None))):
            if kind is not None:
                yield SaleChange(
                    at=at,
                    position=BEHIND_ALL + number,
                    event_id=self.deal_id,
                    deal=self.deal_id,
                    kind=kind,
                    sale=of,
                    currency=self.amount.currency,
                    amount=self.amount.amount,
                )


def _in_force(
    reader: Reader, plans: Sequence[PlanSchedule], reps: Sequence[str]
) -> Iterator[str]:
    """Yield the plans that are in force for any of some reps, by their keys."""
    at, teams = reader.read_point.as_of, Teams.read(reader)
    for plan in plans:
        if any(plan.in_force(plan.day(at), rep, teams.of(rep, at)) for rep in reps):
            yield plan.key


def _sum(lines: Sequence[EarnedLine]) -> Decimal:
    return sum((line.amount for line in lines), NOTHING)


def _is_new(reader: Reader, customer: UUID | None) -> bool:
    """Return whether nothing was ever sold to a customer, nor were they one before."""
    if customer is None:
        return False
    customers, rows = Customers.read(reader), reader.columns(BOOKING)
    wins = rows.where(rows.has("kind", "won") & rows.has("role", "owner"))
    mine = wins.where(wins.has("customer_id", *customers.entries(customer)))
    counts: dict[UUID, int] = {}
    for event_id, sign in mine.records("event_id", "sign"):
        counts[event_id] = counts.get(event_id, 0) + sign
    entry = rows.code("customer_id", customer)
    if entry < 0:
        return True
    survivor = customers.survivors(np.array([entry], np.int64))
    at = np.array([reader.read_point.as_of], np.int64)
    return not any(counts.values()) and bool(
        customers.are_new(survivor, at, reader.timezone)[0]
    )
