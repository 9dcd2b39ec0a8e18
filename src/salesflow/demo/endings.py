"""How a stage ends: forward, back, in a stall, or with an outcome."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

from salesflow.demo.after_sales import DemoAfterSales
from salesflow.demo.agenda import Life
from salesflow.demo.corrections import mend_the_win
from salesflow.demo.offers import LOSS_NOTES
from salesflow.demo.office import DealLife
from salesflow.demo.work import WORK, good_for
from salesflow.demo.world import COMPETITORS
from salesflow.domain.deal import Deal
from salesflow.domain.values import Money
from salesflow.errors import GateError

__all__ = ["go_on", "live"]


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
    elif not life.maybe(min(0.97, PASSES[life.stage] + (life.plan.rep.skill - 1) * 0.3)):
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
