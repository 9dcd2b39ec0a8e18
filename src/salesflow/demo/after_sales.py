"""What follows a signed contract: invoices, payments, service, surveys, repeat orders.

Some contracts are amended, a few payments go back, some customers buy again and some say what
they think of us; after the third deal a customer counts as loyal.
"""

from contextlib import AbstractContextManager
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from salesflow.demo.agenda import Life
from salesflow.demo.offers import PRAISE, SERVICES
from salesflow.demo.office import DealLife
from salesflow.demo.pace import Pace
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.values import Money

__all__ = ["DemoAfterSales"]


AMENDED: Final = 0.10
REFUNDED: Final = 0.05
SURVEYED: Final = 0.6
ANSWERED: Final = 0.65
BUYS_AGAIN: Final = 0.22
LOYAL_AFTER: Final = 3
SERVICE = "svc-01"
FINANCE = "fin-01"


class DemoAfterSales:
    """One won deal on its way through service."""

    def __init__(self, life: DealLife, signed: Money) -> None:
        self.life = life
        self.signed = signed
        self.chance = life.office.chance("after sales", life.plan.number)
        self.pace = Pace(self.chance, life.office.clock.now, life.plan.rep.tardiness)
        self._bills = 0

    def live(self) -> Life:
        """Go through service to the end, unless the deal is reopened first."""
        yield from self._bill("0.3", 4)
        yield from self._deliver()
        if self._maybe(AMENDED):
            yield from self._amend()
        yield from self._bill("0.7", 20)
        yield from self._survey()
        if self._maybe(REFUNDED):
            yield from self._refund()
        if self._maybe(BUYS_AGAIN):
            yield from self._buy_again()
        self._praise_loyalty()

    def _bill(self, part: str, days: float) -> Life:
        self._bills += 1
        number = f"INV-{self.life.plan.number:05}-{self._bills}"
        amount = _part(self.signed, part)
        yield self.pace.after(days)
        with self._deal(FINANCE) as deal:
            due = self.pace.happened.date() + timedelta(days=30)
            deal.issue_invoice(amount, invoice=number, due=due, occurred_at=self.pace.when)
        yield self.pace.after(24)
        with self._deal(FINANCE) as deal:
            deal.receive_payment(amount, invoice=number, occurred_at=self.pace.when)

    def _deliver(self) -> Life:
        yield self.pace.after(5)
        with self._deal(SERVICE) as deal:
            deal.deliver_service(
                self.chance.choice(SERVICES), by=SERVICE, occurred_at=self.pace.when
            )
            then = deal.at(self.pace.when)
            if then.stage == "onboarding":
                why = "验收完成 / accepted"
                deal.advance_to("after_sales", because=why, occurred_at=self.pace.when)
            if self._maybe(0.4):
                deal.complete_task("hand_over", by=SERVICE, occurred_at=self.pace.when)

    def _amend(self) -> Life:
        """Change the contract; every other time from the first of the month after next."""
        yield self.pace.after(10)
        factor = self.chance.choice(("0.9", "1.1", "1.2", "1.35"))
        first = self.pace.happened.date().replace(day=1)
        ahead = (first + timedelta(days=63)).replace(day=1)
        with self._deal() as deal:
            self.signed = _part(self.signed, factor)
            deal.amend_contract(
                self.signed,
                because="增加站点 / sites added"
                if factor > "1"
                else "减少模块 / fewer modules",
                effective_from=ahead if self._maybe(0.5) else None,
                occurred_at=self.pace.when,
            )

    def _survey(self) -> Life:
        if not self._maybe(SURVEYED):
            return
        scale = self.chance.choices(("csat", "nps", "ces"), (6, 3, 1))[0]
        survey = f"{scale}-{self.pace.happened.year}"
        yield self.pace.after(8)
        with self._deal(SERVICE) as deal:
            deal.send_survey(survey, scale=scale, occurred_at=self.pace.when)  # type: ignore[arg-type]
        if not self._maybe(ANSWERED):
            return
        yield self.pace.after(5)
        with self._deal(SERVICE) as deal:
            mark, text = PRAISE[self.chance.choices(range(5), (1, 2, 4, 8, 7))[0]]
            score = {"csat": mark, "nps": mark * 2, "ces": min(7, mark + 1)}[scale]
            deal.receive_feedback(
                survey=survey,
                score=score,
                text=text if self._maybe(0.5) else None,
                occurred_at=self.pace.when,
            )

    def _refund(self) -> Life:
        yield self.pace.after(15)
        with self._deal(FINANCE) as deal:
            deal.give_refund(
                _part(self.signed, "0.08"),
                because="延迟上线补偿 / late go-live",
                occurred_at=self.pace.when,
            )

    def _buy_again(self) -> Life:
        yield self.pace.after(80)
        with self._deal() as deal:
            deal.place_repeat_order(
                _part(self.signed, self.chance.choice(("0.2", "0.35", "0.5"))),
                order=f"PO-{self.life.plan.number:05}",
                occurred_at=self.pace.when,
            )

    def _praise_loyalty(self) -> None:
        office, name = self.life.office, self.life.plan.company.name
        if office.wins.get(name, 0) < LOYAL_AFTER:
            return
        with office.session(self.life.plan.rep.id) as session:
            customer = session.get(Customer, office.customers[name])
            if customer.standing != "loyal":
                customer.mark_loyal(because="三次以上采购 / bought three times or more")

    def _maybe(self, share: float) -> bool:
        return self.chance.random() < share

    def _deal(self, actor: str | None = None) -> AbstractContextManager[Deal]:
        return self.life.deal(actor=actor, any_outcome=True)


def _part(money: Money, part: str) -> Money:
    amount = (money.amount * Decimal(part)).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    return Money(amount, money.currency)
