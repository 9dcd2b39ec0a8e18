"""What happens to sales and plans, a line each, and what reps are then paid.

    paid_by(
        plan(rate="0.05"),
        won(1, "03-10", "10000"),
        late("04-05", refunded(1, "03-20", "4000")),
        issued("04-01", "2026-03"),
    )

Each step happens on a day of 2026 and becomes known on that day, unless it is `late`. Sales are
of rep ann, in CNY, unless another is named.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from given import opened
from questions.shop import Shop, publish, shop
from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.deal import QuoteLine
from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.billing import (
    ContractAmended,
    InvoiceIssued,
    LineItemsAgreed,
    PaymentReceived,
    RefundGiven,
)
from salesflow.domain.deal.outcomes import DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import CollaboratorJoined, OwnerAssigned
from salesflow.domain.event import Fact
from salesflow.domain.incentive_plan import IncentivePlan, PlanPeriod, PlanTerms, plan_id
from salesflow.domain.rep import Rep, rep_id
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.statement import DisputeOutcome, Statement, StatementFigures, statement_id
from salesflow.domain.time import Moment
from salesflow.domain.values import Money
from salesflow.projections.incentives.commission_statement import CommissionStatement
from salesflow.projections.incentives.statement_view import CommissionStatementView

__all__ = [
    "Payroll",
    "Step",
    "amended",
    "answered",
    "corrected",
    "disputed",
    "fiscal_year",
    "invoiced",
    "issued",
    "joined",
    "late",
    "left",
    "lost",
    "moved",
    "owned",
    "paid",
    "payroll",
    "plan",
    "rates",
    "refunded",
    "reopened",
    "repeated",
    "retired",
    "retracted",
    "revised",
    "skilled",
    "split",
    "terms",
    "unsaid",
    "won",
]


class Payroll:
    """A shop whose reps are paid by plans."""

    def __init__(self, sales: Shop) -> None:
        self.sales = sales
        self.flow = sales.flow

    def play(self, *steps: "Step") -> "Payroll":
        """Let steps happen, each on its day, and become known."""
        for step in steps:
            self.sales.turn(f"{dated(step.known or step.day)} 12:00")
            step.act(self, dated(step.day))
        return self

    def asks(
        self, rep: str, period: str, plan: str | None = None, *, at: Moment | None = None
    ) -> CommissionStatementView:
        """Ask for a statement: of a month as 2026-03, or of the period that begins on a day."""
        first = date.fromisoformat(f"{period}-01" if len(period) == len("2026-03") else period)
        return self.flow.ask(CommissionStatement(rep=rep, plan=plan, from_=first), at=at)

    def issue(self, rep: str, period: str, plan: str | None = None) -> StatementFigures:
        """Issue a statement, figured at its period's end and by all that is known."""
        view = self.asks(rep, period, plan)
        with self.flow.session() as session:
            session.add(Statement.issue(view.figures()))
        return view.figures()


@dataclass(frozen=True)
class Step:
    """Something that happens on a day."""

    day: str
    act: Callable[[Payroll, str], None]
    known: str | None = None


def dated(day: str) -> str:
    """Write a day of 2026 in full."""
    return day if len(day) > len("03-10") else f"2026-{day}"


def late(known: str, step: Step) -> Step:
    """Let something become known on a later day."""
    return replace(step, known=known)


@contextmanager
def payroll(*steps: Step, timezone: str = "UTC", url: str = "sqlite://") -> Iterator[Payroll]:
    """Let steps happen, and give whom to ask what is paid; it is the middle of 2027 then."""
    with shop(timezone=timezone, url=url) as sales:
        found = Payroll(sales).play(*steps)
        sales.turn("2027-06-01 12:00")
        yield found


def terms(**changes: object) -> PlanTerms:
    """Give the terms of a plan: 5 % of everything, unless told otherwise."""
    return PlanTerms.model_validate({"rate": "0.05"} | changes)


def plan(
    day: str = "01-01",
    *,
    key: str = "ae",
    currency: str = "CNY",
    period: PlanPeriod = "month",
    reps: tuple[str, ...] = (),
    teams: tuple[str, ...] = (),
    **changes: object,
) -> Step:
    """Publish a plan that starts on the day."""

    def act(payroll: Payroll, day: str) -> None:
        starts = date.fromisoformat(day)
        with payroll.flow.session() as session:
            session.add(
                IncentivePlan.publish(
                    key,
                    name_en=key.upper(),
                    name_zh=key.upper(),
                    currency=currency,
                    period=period,
                    starts=starts,
                    reps=reps,
                    teams=teams,
                    terms=terms(**changes),
                    occurred_at=starts,
                )
            )

    return Step(day, act)


def revised(day: str, *, key: str = "ae", continues: bool = False, **changes: object) -> Step:
    """Publish the next version of a plan, which starts on the day."""

    def act(payroll: Payroll, day: str) -> None:
        with payroll.flow.session() as session:
            session.get(IncentivePlan, plan_id(key)).supersede(
                starts=date.fromisoformat(day),
                terms=terms(**changes),
                continues=continues,
                because="a new year",
            )

    return Step(day, act)


def retired(day: str, *, key: str = "ae") -> Step:
    """Let a plan pay for nothing after the day."""

    def act(payroll: Payroll, day: str) -> None:
        with payroll.flow.session() as session:
            session.get(IncentivePlan, plan_id(key)).retire(
                last_day=date.fromisoformat(day), because="replaced"
            )

    return Step(day, act)


def _tell(deal: int, day: str, *facts: tuple[str, Fact]) -> Step:
    def act(payroll: Payroll, day: str) -> None:
        payroll.sales.tell(deal, *((f"{day} {at}", fact) for at, fact in facts))

    return Step(day, act)


def won(
    deal: int,
    day: str,
    amount: str | None,
    *,
    by: str = "ann",
    currency: str = "CNY",
    splits: Mapping[str, str] | None = None,
    customer: int | None = None,
    products: Mapping[str, str] | None = None,
    again: bool = False,
    at: str = "10:00",
) -> Step:
    """Win a deal at ten, which was opened (unless it is won again) on the same morning."""
    money = None if amount is None else Money(amount, currency)
    who = None if customer is None else UUID(int=customer)
    facts: list[tuple[str, Fact]] = []
    if not again:
        facts.append((min("08:00", at), opened(amount=money, owner=by, customer_id=who)))
    if products:
        lines = tuple(
            QuoteLine(product=name, unit_price=Money(price, currency))
            for name, price in products.items()
        )
        facts.append(("08:30", LineItemsAgreed(lines=lines)))
    facts += [
        ("09:00", CollaboratorJoined(person=person, credit=Decimal(credit)))
        for person, credit in (splits or {}).items()
    ]
    facts.append((at, DealWon(amount=money if again else None)))
    return _tell(deal, day, *facts)


def split(deal: int, day: str, person: str, credit: str, at: str = "09:30") -> Step:
    """Give somebody a part of the credit."""
    return _tell(deal, day, (at, CollaboratorJoined(person=person, credit=Decimal(credit))))


def owned(deal: int, day: str, rep: str, at: str = "09:30") -> Step:
    """Hand a deal to a rep."""
    return _tell(deal, day, (at, OwnerAssigned(owner=rep)))


def refunded(
    deal: int, day: str, amount: str, currency: str = "CNY", *, overpaid: bool = False
) -> Step:
    """Give money back at eleven."""
    fact = RefundGiven(amount=Money(amount, currency), overpayment=overpaid)
    return _tell(deal, day, ("11:00", fact))


def amended(deal: int, day: str, amount: str, currency: str = "CNY") -> Step:
    """Change the contract to another amount."""
    return _tell(deal, day, ("11:00", ContractAmended(amount=Money(amount, currency))))


def reopened(deal: int, day: str) -> Step:
    """Open a deal again."""
    return _tell(deal, day, ("11:00", DealReopened()))


def lost(deal: int, day: str) -> Step:
    """Lose a deal, that was won perhaps."""
    return _tell(deal, day, ("11:00", DealLost(because="price")))


def repeated(deal: int, day: str, amount: str) -> Step:
    """Let the customer buy again."""
    return _tell(deal, day, ("11:00", RepeatOrderPlaced(amount=Money(amount, "CNY"))))


def invoiced(deal: int, day: str, amount: str, currency: str = "CNY") -> Step:
    """Bill the customer."""
    return _tell(deal, day, ("11:00", InvoiceIssued(amount=Money(amount, currency))))


def paid(deal: int, day: str, amount: str, currency: str = "CNY") -> Step:
    """Let the customer pay."""
    return _tell(deal, day, ("11:00", PaymentReceived(amount=Money(amount, currency))))


def retracted(deal: int, day: str, kind: type[Fact]) -> Step:
    """Take the last fact of a kind back."""

    def act(payroll: Payroll, _: str) -> None:
        events = [e for e in payroll.sales.events(deal) if isinstance(e.fact, kind)]
        payroll.sales.retract(events[-1])

    return Step(day, act)


def fiscal_year(month: int) -> Step:
    """Let the fiscal year begin with a month, from the first day of 2026 on."""

    def act(payroll: Payroll, _: str) -> None:
        with payroll.flow.session() as session:
            calendar = FiscalCalendar(start_month=month)
            session.get(Settings, SETTINGS_ID).change(fiscal_calendar=calendar)

    return Step("01-01", act)


def rates(day: str, **units: str) -> Step:
    """Publish rates: units of each currency for one US dollar."""

    def act(payroll: Payroll, day: str) -> None:
        publish(payroll.sales, day, **units)

    return Step(day, act)


def joined(day: str, rep: str = "ann", team: str = "east") -> Step:
    """Take a rep into a team."""

    def act(payroll: Payroll, day: str) -> None:
        with payroll.flow.session() as session:
            starts = date.fromisoformat(day)
            session.add(Rep.join(rep, team=team, name=rep, occurred_at=starts))

    return Step(day, act)


def skilled(day: str, rep: str = "ann") -> Step:
    """Say how well a rep negotiates."""

    def act(payroll: Payroll, day: str) -> None:
        with payroll.flow.session() as session:
            session.get(Rep, rep_id(rep)).assess_skill(
                "negotiation", score=3, evidence="seen", occurred_at=date.fromisoformat(day)
            )

    return Step(day, act)


def moved(day: str, rep: str = "ann", team: str = "west") -> Step:
    """Put a rep into another team."""

    def act(payroll: Payroll, day: str) -> None:
        with payroll.flow.session() as session:
            starts = date.fromisoformat(day)
            session.get(Rep, rep_id(rep)).move(team, occurred_at=starts)

    return Step(day, act)


def left(day: str, rep: str = "ann") -> Step:
    """Let a rep go, from the beginning of the day on."""

    def act(payroll: Payroll, day: str) -> None:
        with payroll.flow.session() as session:
            session.get(Rep, rep_id(rep)).leave(occurred_at=date.fromisoformat(day))

    return Step(day, act)


def issued(day: str, period: str, rep: str = "ann") -> Step:
    """Issue a statement."""
    return Step(day, lambda payroll, _: _issue(payroll, rep, period))


def _issue(payroll: Payroll, rep: str, period: str) -> None:
    payroll.issue(rep, period)


def _on_statement(day: str, period: str, rep: str, act: Callable[[Statement], None]) -> Step:
    def done(payroll: Payroll, _: str) -> None:
        first = date.fromisoformat(f"{period}-01")
        with payroll.flow.session() as session:
            act(session.get(Statement, statement_id("ae", rep, first)))

    return Step(day, done)


def disputed(day: str, period: str, line: int, rep: str = "ann") -> Step:
    """Let a rep dispute a line."""
    return _on_statement(day, period, rep, lambda it: it.dispute(line, because="too little"))


def answered(
    day: str,
    period: str,
    line: int,
    outcome: DisputeOutcome,
    amount: str | None = None,
) -> Step:
    """Accept or reject a dispute of rep ann."""

    def act(statement: Statement) -> None:
        statement.answer_dispute(line, outcome=outcome, amount=amount, because="looked at")

    return _on_statement(day, period, "ann", act)


def corrected(day: str, period: str, amount: str, rep: str = "ann") -> Step:
    """Put a statement right by hand."""
    return _on_statement(day, period, rep, lambda it: it.correct(amount, because="typo"))


def unsaid(day: str, period: str, kind: type[Fact], rep: str = "ann") -> Step:
    """Take back the last fact of a kind that was told of a statement."""

    def act(payroll: Payroll, _: str) -> None:
        stream = statement_id("ae", rep, date.fromisoformat(f"{period}-01"))
        told = [e for e in payroll.flow.log.stream(stream) if isinstance(e.fact, kind)]
        payroll.sales.retract(told[-1])

    return Step(day, act)
