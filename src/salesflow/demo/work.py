"""What a rep does in each stage of a deal, before it is decided how the stage ends.

It is a module of its own, beside `endings`: what happens in a stage, and how it is left.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Final

from salesflow.demo.offers import DECISIONS, HELP, MESSAGES, SOLUTIONS
from salesflow.demo.office import DealLife
from salesflow.demo.world import COMPETITORS, NEEDS, OBJECTIONS, SUPPORT, Life
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.deal.activities import DecisionMaker

__all__ = ["WORK", "good_for"]


MEETS: Final = 0.6
LEAD_MEETS: Final = 0.4
"""How often a deal that another department works on is met about, and with the lead."""
BUDGET_UNKNOWN: Final = 0.08
"""How often the budget stays unknown, so that a lead has to wave the deal through."""


def good_for(day: date, chance_days: int) -> date:
    """Return the day until which an offer holds."""
    return day + timedelta(days=chance_days)


def _prospect(life: DealLife) -> Life:
    yield life.pace.after(1.2)
    with life.deal() as deal:
        life.contact(deal, "out")
        if life.maybe(0.3):
            deal.complete_task("research_prospect", occurred_at=life.when)


def _make_contact(life: DealLife) -> Life:
    for _ in range(life.chance.randint(1, 3)):
        yield life.pace.after(3)
        with life.deal() as deal:
            life.contact(deal, life.chance.choice(("in", "out")))
    life.forget_a_contact()
    yield life.pace.after(1)
    with life.deal() as deal:
        levels = ("low", "medium", "high")
        level = levels[life.chance.choices(range(3), (2, 5, 3))[0]]
        deal.state_intent(level, occurred_at=life.when)  # type: ignore[arg-type]
        if deal.at(life.when).amount is None:
            rough = life.plan.offer.rough(life.chance)
            deal.forecast(amount=rough, occurred_at=life.when)
    _qualify(life)


def _qualify(life: DealLife) -> None:
    with life.office.session(life.plan.rep.id) as session:
        customer = session.get(Customer, life.office.customers[life.plan.company.name])
        if customer.standing == "prospect":
            customer.qualify(because="明确表达购买意向 / interest shown")


def _analyse_needs(life: DealLife) -> Life:
    for need in life.chance.sample(NEEDS, life.chance.randint(1, 2)):
        yield life.pace.after(4)
        with life.deal() as deal:
            life.contact(deal, "out", "meeting")
            deal.identify_need(need[1], pain_point=life.maybe(0.4), occurred_at=life.when)
    yield life.pace.after(5)
    _find_buyers(life)
    with life.deal() as deal:
        if not life.maybe(BUDGET_UNKNOWN):
            deal.confirm_budget(life.plan.offer.budget, occurred_at=life.when)
        _map_decision(life, deal)
        life.buyers.identify(deal, life.when)
        life.expect(deal, 40)
    if life.maybe(0.35):
        yield from _work_together(life)


def _find_buyers(life: DealLife) -> None:
    """Find out who decides, and note at the customer whom nobody knew yet."""
    found = life.buyers.find()
    if not found:
        return
    with life.office.session(life.plan.rep.id) as session:
        customer = session.get(Customer, life.office.customers[life.plan.company.name])
        for buyer in found:
            if buyer.id not in customer.people:
                customer.add_person(
                    name=buyer.name, position=buyer.position, person_id=buyer.id
                )


def _map_decision(life: DealLife, deal: Deal) -> None:
    company = life.plan.company
    deal.map_decision_process(
        people=(
            DecisionMaker(
                person_id=life.office.id("person", company.name),
                name=company.contact,
                role=company.job,
            ),
        ),
        how=life.chance.choice(("总经理办公会", "招标评审", "董事长一人决定", "board vote")),
        decision_expected=life.pace.happened.date() + timedelta(days=45),
        occurred_at=life.when,
    )


def _work_together(life: DealLife) -> Life:
    """Bring in another department: a collaborator, a question, a message."""
    person, department, role = life.chance.choice(SUPPORT)
    apart = life.office.chance("colleagues", life.plan.number)
    yield life.pace.after(1)
    with life.deal() as deal:
        credit = life.chance.choice(("0", "0.1", "0.2"))
        deal.add_collaborator(
            person, department=department, role=role, credit=credit, occurred_at=life.when
        )
        deal.post_message(
            life.chance.choice(MESSAGES),
            by=life.plan.rep.id,
            to=(person,),
            channel=apart.choices(("chat", "email", "call"), (6, 3, 1))[0],
            occurred_at=life.when,
        )
    asked, question, answer = life.chance.choice(HELP)
    yield life.pace.after(1)
    with life.deal() as deal:
        request = deal.request_help(
            question, department=asked, by=life.plan.rep.id, occurred_at=life.when
        )
        if apart.random() < MEETS:
            lead = (life.manager,) if apart.random() < LEAD_MEETS else ()
            deal.hold_meeting(
                participants=(life.plan.rep.id, person, *lead),
                departments=(department,),
                subject="方案评审 / review of the offer",
                decided=apart.choice(DECISIONS),
                occurred_at=life.when,
            )
    yield life.pace.after(1.5)
    with life.deal(actor=person) as deal:
        deal.give_help(request, answer=answer, by=person, occurred_at=life.when)
    if life.maybe(0.3):
        yield life.pace.after(2)
        with life.deal() as deal:
            because = "任务完成 / done here"
            deal.remove_collaborator(person, because=because, occurred_at=life.when)


def _design(life: DealLife) -> Life:
    yield life.pace.after(5)
    with life.deal() as deal:
        deal.propose_solution(life.chance.choice(SOLUTIONS), occurred_at=life.when)
        if life.maybe(0.5):
            deal.complete_task("configure_product", occurred_at=life.when)
        if life.maybe(0.3):
            deal.name_competitor(life.chance.choice(COMPETITORS), occurred_at=life.when)
    yield life.pace.after(2)
    with life.deal() as deal:
        draft = deal.draft_quote(life.plan.offer.lines, occurred_at=life.when)
    if life.maybe(0.06):
        yield life.pace.after(1)
        with life.deal() as deal:
            deal.withdraw_quote(draft, because="配置错误 / wrong items", occurred_at=life.when)
            draft = deal.draft_quote(life.plan.offer.at_discount(2), occurred_at=life.when)
    yield life.pace.after(2)
    with life.deal() as deal:
        holds = good_for(life.pace.happened.date(), life.chance.choice((20, 30, 45)))
        life.quote = deal.issue_quote(draft, valid_until=holds, occurred_at=life.when)


def _try_out(life: DealLife) -> Life:
    yield life.pace.after(11)
    with life.deal() as deal:
        life.contact(deal, "in", "visit")
        deal.complete_task("trial_accepted", occurred_at=life.when)


def _negotiate(life: DealLife) -> Life:
    yield life.pace.after(4)
    with life.deal() as deal:
        life.contact(deal, "in", "call")
        life.buyers.look_again(deal, life.when)
        life.expect(deal, 14)
        if life.quote is None:
            holds = good_for(life.pace.happened.date(), 30)
            lines = life.plan.offer.at_discount(5)
            life.quote = deal.issue_quote(lines=lines, valid_until=holds, occurred_at=life.when)
    if life.maybe(0.6):
        yield from _answer_a_doubt(life)
    if life.maybe(0.55):
        yield from _revise(life)
    yield life.pace.after(3)
    with life.deal() as deal:
        _note_expiry(life, deal)
        deal.agree_line_items(
            life.plan.offer.at_discount(life.chance.choice((0, 3, 5, 8, 12))),
            occurred_at=life.when,
        )
        if life.maybe(0.7):
            deal.agree_terms(
                "三成预付，验收后付清 / 30 % down, rest on acceptance",
                payment_days=life.chance.choice((30, 45, 60)),
                contract=f"HT-{life.plan.number:05}",
                occurred_at=life.when,
            )


def _answer_a_doubt(life: DealLife) -> Life:
    doubt = life.chance.choice(OBJECTIONS)
    yield life.pace.after(2)
    with life.deal() as deal:
        key = deal.raise_objection(doubt.text, topic=doubt.kind, occurred_at=life.when)
    yield life.pace.after(5)
    with life.deal() as deal:
        deal.resolve_objection(key, answer=doubt.answer, occurred_at=life.when)


def _revise(life: DealLife) -> Life:
    yield life.pace.after(3)
    with life.deal() as deal:
        if life.quote is None:
            return
        deal.revise_quote(
            life.quote,
            lines=life.plan.offer.at_discount(life.chance.choice((3, 5, 8, 10))),
            valid_until=good_for(life.pace.happened.date(), 30),
            because="价格谈判 / price talks",
            occurred_at=life.when,
        )


def _note_expiry(life: DealLife, deal: Deal) -> None:
    """Say that an older offer no longer holds, now and then; most run out unsaid."""
    if life.quote is not None and life.maybe(0.05):
        state = deal.at(life.when).quotes[life.quote].state
        if state in ("issued", "revised"):
            deal.expire_quote(life.quote, occurred_at=life.when)


WORK: Final[Mapping[str, Callable[[DealLife], Life]]] = {
    "prospecting": _prospect,
    "initial_contact": _make_contact,
    "needs_analysis": _analyse_needs,
    "solution_design": _design,
    "trial": _try_out,
    "negotiation": _negotiate,
}
"""The work of each stage, by its key."""
