"""How a stage ends: forward, back, in a stall or with an outcome; what follows."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from salesflow.demo.offers import LOSS_NOTES, PRAISE, SERVICES
from salesflow.demo.office import Correction, DealLife, Pace
from salesflow.demo.work import WORK, good_for
from salesflow.demo.world import COMPETITORS, Life, office_time
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.values import Money
from salesflow.errors import GateError

__all__ = [
    "DemoAfterSales",
    "doubt_a_loss",
    "go_on",
    "live",
    "mend_the_opening",
    "mend_the_win",
    "mistake_a_loss",
    "mistake_a_move",
]


# What follows a signed contract: invoices, payments, service, surveys, repeat orders.
#
# Some contracts are amended, a few payments go back, some customers buy again and some say what
# they think of us; after the third deal a customer counts as loyal.

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


# Mistakes and how they are put right: by retraction and then the right facts, never by change.
#
# Wins with a wrong amount, moves and losses recorded of the wrong deal, an opening under a
# wrong date, a retraction that was itself a mistake.

CONTROLLER = "fin-01"


def mend_the_win(life: DealLife, wrong: Money, right: Money) -> Life:
    """Find weeks later that a signed amount was mistyped; retract the win, record it right."""
    office = life.office
    late = timedelta(days=life.chance.uniform(8, 70))
    yield office_time(office.chance("mend", life.plan.number), office.clock.now + late)
    with office.deal(life.id, actor=CONTROLLER, any_outcome=True) as deal:
        event = _last(deal, DealWon, lambda fact: fact.amount == wrong)
        if event is None:
            return
        deal.retract(event.event_id, because="金额录入错误 / the amount was mistyped")
        deal.win(right, because="按合同更正 / as signed", occurred_at=event.occurred_at)
    office.corrections.append(Correction(life.id, wrong, right, office.clock.now))


def mistake_a_move(life: DealLife) -> Life:
    """Move the wrong deal on, and take that back a few days later."""
    office, chance = life.office, life.office.chance("mistake", life.plan.number)
    yield office_time(chance, office.clock.now + timedelta(days=chance.uniform(5, 40)))
    with life.deal() as deal:
        process = deal.process_in_force
        ahead = process.open_stages[-1].key
        passed = process.stages[process.order(deal.stage) : process.order(ahead)]
        if not passed:
            return
        deal.advance_to(
            ahead,
            because="客户口头同意 / agreed on the phone",
            override={c: "稍后补录 / papers follow" for s in passed for c in s.exit_criteria},
            overridden_by=life.manager,
        )
    life.misplaced = True
    yield office_time(chance, office.clock.now + timedelta(days=chance.uniform(1, 9)))
    life.misplaced = False
    with life.deal(any_outcome=True) as deal:
        event = _last(deal, StageMoved, lambda fact: fact.target == ahead)
        if event is not None:
            deal.retract(event.event_id, because="选错商机 / wrong deal chosen")


def mistake_a_loss(life: DealLife) -> Life:
    """Retract a loss that seemed to be of another deal; later find that it was right."""
    office, chance = life.office, life.office.chance("loss", life.plan.number)
    because = "登记到了错误的商机 / noted of the wrong deal"
    with office.deal(life.id, actor=CONTROLLER, any_outcome=True) as deal:
        event = _last(deal, DealLost)
        if event is None:
            return
        deal.retract(event.event_id, because=because)
    yield office_time(chance, office.clock.now + timedelta(days=chance.uniform(6, 30)))
    with office.session(CONTROLLER) as session:
        events = office.flow.log.stream(life.id, connection=office.connection)
        retraction = _last_of(events, FactRetracted, lambda fact: fact.because == because)
        if retraction is not None:
            session.retract(
                retraction.event_id, because="确实是该商机 / it was this one after all"
            )


def doubt_a_loss(life: DealLife) -> Life:
    """Find that a deal that came back had never been lost: its return hangs in the air then."""
    with life.deal(actor=CONTROLLER, any_outcome=True) as deal:
        event = _last(deal, DealLost)
        if event is not None:
            deal.retract(event.event_id, because="从未丢单，登记有误 / it was never lost")
    yield from ()


def mend_the_opening(life: DealLife) -> Life:
    """Find that a deal was opened by mistake, then that it was not: open its history anew."""
    life.given_up, life.stage = True, ""
    office, chance = life.office, life.office.chance("opening", life.plan.number)
    yield office_time(chance, office.clock.now + timedelta(days=chance.uniform(3, 20)))
    with office.session(CONTROLLER) as session:
        deal = session.get(Deal, life.id)
        opening = deal.history[0]
    with office.session(CONTROLLER) as session:
        session.retract(opening.event_id, because="重复建立 / opened by mistake")
    yield office_time(chance, office.clock.now + timedelta(days=chance.uniform(1, 5)))
    with office.session(CONTROLLER) as session:
        assert isinstance(opening.fact, DealOpened)
        session.reopen_history(
            life.id, opening.fact.model_copy(update={"lead_source": "partner"})
        )


def _last(
    deal: Deal, kind: type[Fact], matches: Callable[..., bool] = lambda _: True
) -> Event | None:
    return _last_of(deal.history, kind, matches)


def _last_of(
    events: Sequence[Event], kind: type[Fact], matches: Callable[..., bool] = lambda _: True
) -> Event | None:
    found = [e for e in events if isinstance(e.fact, kind) and matches(e.fact)]
    return found[-1] if found else None


PASSES: Final = {
    "prospecting": 0.88,
    "initial_contact": 0.86,
    "needs_analysis": 0.86,
    "solution_design": 0.86,
    "trial": 0.95,
    "negotiation": 0.74,
}
"""The chance of a rep of average skill to leave a stage forward."""
REASONS: Final = {
    "prospecting": ("lost_contact", "no_budget", "other"),
    "initial_contact": ("lost_contact", "timing", "no_budget"),
    "needs_analysis": ("no_budget", "timing", "product_fit", "no_decision"),
    "solution_design": ("product_fit", "competitor", "price", "no_decision"),
    "trial": ("product_fit", "competitor"),
    "negotiation": ("price", "competitor", "no_decision", "price"),
}
NEVER_A_CHANCE: Final = 0.35
"""Of what ends in prospecting, the share that is disqualified."""
STALLED: Final = 0.02
SKIPPED: Final = 0.05
RETURNED: Final = 0.06
MISTYPED: Final = 0.03
"""How often a win is recorded with a wrong amount."""
RENEGED: Final = 0.015


def live(life: DealLife) -> Life:
    """Go from opening to the end, unless somebody else ends it first."""
    yield life.pace.after(0)
    life.open()
    yield from go_on(life)


def go_on(life: DealLife) -> Life:
    """Go on from the stage the deal stands in."""
    while life.stage:
        yield from WORK[life.stage](life)
        yield from _leave(life)


def _leave(life: DealLife) -> Life:
    if life.maybe(STALLED):
        life.stage = ""
    elif not life.maybe(min(0.97, PASSES[life.stage] + (life.skill - 1) * 0.3)):
        yield from _end_badly(life)
    elif life.stage == "negotiation":
        yield from _win_or_go_back(life)
    else:
        yield life.pace.after(2)
        while life.misplaced:
            yield life.pace.after(2)
        with life.deal() as deal:
            _advance(life, deal)


def _advance(life: DealLife, deal: Deal) -> None:
    then = deal.at(life.when)
    following = then.process_in_force.next_open(then.stage)
    stage = following.key if following is not None else then.stage
    if then.stage == "initial_contact" and life.maybe(SKIPPED):
        stage = "solution_design"
    try:
        deal.advance_to(stage, because="客户同意推进", occurred_at=life.when)
    except GateError:
        process = then.process_in_force
        passed = process.stages[process.order(then.stage) : process.order(stage)]
        deal.advance_to(
            stage,
            because="客户急于看到方案 / customer in a hurry",
            override={c: "老客户，经理特批" for each in passed for c in each.exit_criteria},
            overridden_by=life.manager,
            occurred_at=life.when,
        )
    life.stage = deal.stage


def _win_or_go_back(life: DealLife) -> Life:
    if life.maybe(RETURNED):
        yield life.pace.after(2)
        with life.deal() as deal:
            why = "客户变更范围 / scope changed"
            deal.return_to("solution_design", because=why, occurred_at=life.when)
            life.stage = deal.stage
        return
    yield life.pace.after(2)
    with life.deal() as deal:
        _accept(life, deal)
    yield life.pace.after(1 if _quarter_ends_soon(life) else 5)
    with life.deal() as deal:
        right = deal.at(life.when).amount or life.plan.offer.total
        wrong = _mistyped(life, right) if life.maybe(MISTYPED) else None
        deal.win(wrong, because="合同已签 / contract signed", occurred_at=life.when)
    life.stage = ""
    office = life.office
    office.won.append(life.id)
    office.wins[life.plan.company.name] = office.wins.get(life.plan.company.name, 0) + 1
    if wrong is not None:
        office.agenda.begin(mend_the_win(life, wrong, right), office.clock.now)
    office.agenda.begin(DemoAfterSales(life, right).live(), office.clock.now)
    if life.maybe(RENEGED):
        yield from _renege(life)


def _accept(life: DealLife, deal: Deal) -> None:
    """Note that the customer accepted the offer; renew one that ran out meanwhile."""
    if life.quote is None:
        return
    quote = deal.at(life.when).quotes.get(life.quote)
    if quote is None or deal.at(life.when).accepted_quote is not None:
        return
    if quote.state == "expired":
        holds = good_for(life.pace.happened.date(), 15)
        why = "有效期延长 / extended"
        deal.revise_quote(
            quote.key, lines=quote.lines, valid_until=holds, because=why, occurred_at=life.when
        )
    deal.accept_quote(quote.key, occurred_at=life.when)


def _quarter_ends_soon(life: DealLife) -> bool:
    soon = life.pace.happened + timedelta(days=12)
    return (soon.month - 1) // 3 != (life.pace.happened.month - 1) // 3


def _mistyped(life: DealLife, right: Money) -> Money:
    """Type an amount wrongly: a digit too many, or two digits in the wrong order."""
    return Money(right.amount * life.chance.choice((10, Decimal("0.1"))), right.currency)


def _end_badly(life: DealLife) -> Life:
    yield life.pace.after(9)
    never = life.stage == "prospecting" and life.maybe(NEVER_A_CHANCE)
    with life.deal() as deal:
        if never:
            deal.disqualify(because="无采购计划 / no plan to buy", occurred_at=life.when)
        else:
            _lose(life, deal)
    life.stage, life.lost = "", not never
    if not never:
        yield from _after_a_loss(life)


def _lose(life: DealLife, deal: Deal) -> None:
    reason = life.chance.choice(REASONS[life.stage])
    quote = deal.at(life.when).quotes.get(life.quote or "")
    if (
        quote is not None
        and quote.state in ("issued", "revised", "expired")
        and life.maybe(0.6)
    ):
        deal.reject_quote(quote.key, because=reason, occurred_at=life.when)
    deal.lose(
        because=reason,
        competitor=life.chance.choice(COMPETITORS) if reason == "competitor" else None,
        note=life.chance.choice(LOSS_NOTES) if life.maybe(0.4) else None,
        occurred_at=life.when,
    )


def _after_a_loss(life: DealLife) -> Life:
    """Some say why they did not buy; some come back months later."""
    if life.maybe(0.06):
        yield life.pace.after(12)
        with life.deal(any_outcome=True) as deal:
            deal.receive_feedback(
                survey="loss-interview",
                scale="csat",
                score=life.chance.randint(2, 4),
                text="方案不错，价格偏高 / good, but dear",
                occurred_at=life.when,
            )
    elif life.maybe(0.07):
        yield life.pace.after(75)
        with life.deal(any_outcome=True) as deal:
            if deal.at(life.when).outcome == "lost":
                deal.reopen(because="预算重新批准 / budget is back", occurred_at=life.when)
                life.stage, life.lost = deal.stage, False
                life.quote, life.came_back = None, True


def _renege(life: DealLife) -> Life:
    """Let the customer step back from a signed contract."""
    yield life.pace.after(25)
    with life.deal(any_outcome=True) as deal:
        if deal.at(life.when).outcome == "won":
            deal.reopen(because="客户要求解约 / customer wants out", occurred_at=life.when)
            life.quote = None
    yield life.pace.after(12)
    with life.deal() as deal:
        deal.lose(because="other", note="客户解约 / stepped back", occurred_at=life.when)
