"""What crosses the lives of deals: duplicates, handovers, changed customers, mistakes.

It is a module of its own: what happens across deals and not in one of them.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

from salesflow.demo.endings import (
    doubt_a_loss,
    go_on,
    mend_the_opening,
    mistake_a_loss,
    mistake_a_move,
)
from salesflow.demo.offers import OPEN_TASKS, PROMISES, DemoOffer
from salesflow.demo.office import MANAGERS, DealLife, DealPlan, Office
from salesflow.demo.world import CUSTOMERS, END, REPS, START, ZONE, DemoRep, Life, office_time
from salesflow.domain import rep as reps
from salesflow.domain.deal import Deal

__all__ = ["active_reps", "incident_lives"]


LEAVES: Final = REPS[2]
"""The rep who leaves in spring 2025; her deals are handed over from a planned day."""
ANNOUNCED = datetime(2025, 3, 28, 14, 0, tzinfo=ZONE)
HANDED_OVER = date(2025, 4, 14)
HANDED_OVER_SHARE: Final = 0.65
ACKNOWLEDGED_SHARE: Final = 0.7
"""Of the handovers with which anything is handed over, those that are acknowledged."""
OPENINGS_MENDED = ((2024, 5, 20), (2025, 10, 15))


def incident_lives(office: Office) -> list[tuple[datetime, Life]]:
    """Return what will cross the lives of deals, and from when."""
    return [
        (START + timedelta(days=40), _every(office, "merge", 24, _merge_a_duplicate)),
        (START + timedelta(days=60), _every(office, "handover", 16, _hand_over)),
        (START + timedelta(days=70), _every(office, "customer", 75, _change_customer)),
        (START + timedelta(days=45), _every(office, "move", 21, _mistake_a_move)),
        (START + timedelta(days=80), _every(office, "loss", 90, _mistake_a_loss)),
        (START + timedelta(days=300), _every(office, "doubt", 120, _doubt_a_loss)),
        (ANNOUNCED, _plan_a_departure(office)),
        *(
            (datetime(*day, 11, tzinfo=ZONE), _mend_an_opening(office))
            for day in OPENINGS_MENDED
        ),
    ]


def active_reps(team: str, day: date) -> list[DemoRep]:
    """Return the reps of a team who work there that day."""
    return [rep for rep in REPS if rep.team == team and rep.since <= day < rep.until]


def _every(
    office: Office, name: str, days: int, happen: Callable[[Office, Random], Life]
) -> Life:
    """Let something happen now and then, every so many days on average."""
    chance = office.chance("incidents", name)
    while office.clock.now < END:
        office.agenda.begin(happen(office, chance), office.clock.now)
        yield office_time(
            chance, office.clock.now + timedelta(days=days * chance.uniform(0.5, 1.5))
        )


def _some(lives: list[DealLife], chance: Random) -> DealLife | None:
    return chance.choice(lives) if lives else None


def _at_work(office: Office, *stages: str) -> list[DealLife]:
    return [life for life in office.lives if life.stage in stages]


def _merge_a_duplicate(office: Office, chance: Random) -> Life:
    """Let a second rep open the same deal; merge it, and now and then take that back."""
    first = _some(_at_work(office, "initial_contact", "needs_analysis"), chance)
    if first is None:
        return
    day = office.clock.now.date()
    others = [r for r in active_reps(first.plan.rep.team, day) if r is not first.plan.rep]
    again = DemoOffer(first.plan.offer.title, first.plan.offer.lines[:1])
    number = office.next_number()
    twin = DealLife(office, DealPlan(number, first.plan.company, chance.choice(others), again))
    twin.open()
    yield office_time(chance, office.clock.now + timedelta(days=chance.uniform(4, 15)))
    because = "同一项目重复登记 / the same project twice"
    manager = MANAGERS[first.plan.rep.team]
    with office.session(manager) as session:
        absorbed, survivor = session.get(Deal, twin.id), session.get(Deal, first.id)
        absorbed.merge_into(survivor, because=because)
    merged = chance.random()
    twin.stage = ""
    if merged > 0.4:
        return
    yield office_time(chance, office.clock.now + timedelta(days=chance.uniform(6, 30)))
    with office.session(manager) as session:
        absorbed, survivor = session.get(Deal, twin.id), session.get(Deal, first.id)
        if merged < 0.12:
            pair = absorbed.history[-1].event_id
            absorbed.retract_pair(
                pair, survivor, because="合并有误 / should not have been merged"
            )
        else:
            absorbed.unmerge_from(survivor, because="两个独立项目 / two projects after all")
    twin.stage = absorbed.stage
    twin.pace.happened = office.clock.now
    office.agenda.begin(go_on(twin), office.clock.now)


def _hand_over(office: Office, chance: Random) -> Life:
    life = _some([one for one in office.lives if one.stage], chance)
    if life is None:
        return
    owner = office.owners[life.id]
    reps = active_reps(life.plan.rep.team, office.clock.now.date())
    others = [rep.id for rep in reps if rep.id != owner]
    with office.deal(life.id, actor=life.manager) as deal:
        new = chance.choice(others)
        deal.assign_owner(new, because="区域调整 / regions rearranged")
        office.owners[life.id] = new
        _hand_over_to(new, life, deal)
    yield from ()


def _hand_over_to(owner: str, life: DealLife, deal: Deal) -> None:
    """Hand over what is open, mostly; the new owner says days later that they have it."""
    office, chance = life.office, life.office.chance("handover", life.plan.number)
    if chance.random() > HANDED_OVER_SHARE:
        return
    deal.hand_over(
        to=owner,
        open_tasks=tuple(chance.sample(OPEN_TASKS, chance.randint(0, 2))),
        promises=tuple(chance.sample(PROMISES, chance.randint(0, 1))),
        contact_people=tuple(buyer.id for buyer in life.buyers.known),
        note="见附件交接单 / see the list",
    )
    if chance.random() < ACKNOWLEDGED_SHARE:
        office.agenda.begin(_acknowledge(owner, life, chance), office.clock.now)


def _acknowledge(owner: str, life: DealLife, chance: Random) -> Life:
    office = life.office
    begins = max(office.clock.now, datetime.combine(HANDED_OVER, datetime.min.time(), ZONE))
    planned = office.clock.now.date() < HANDED_OVER and life.plan.rep is LEAVES
    since = begins if planned else office.clock.now
    yield office_time(chance, since + timedelta(days=chance.uniform(0.5, 6)))
    with office.deal(life.id, actor=owner, any_outcome=True) as deal:
        if deal.owner == owner and not deal.handovers[-1].acknowledged:
            deal.acknowledge_handover(by=owner)


def _plan_a_departure(office: Office) -> Life:
    """Let a rep leave, and hand the open deals over, from a day that is still ahead."""
    chance = office.chance("departure")
    with office.session(MANAGERS[LEAVES.team]) as session:
        leaving = session.get(reps.Rep, reps.rep_id(LEAVES.id))
        leaving.leave(because="离职 / leaves the house", effective_from=HANDED_OVER)
    left = [life for life in office.lives if life.stage and office.owners[life.id] == LEAVES.id]
    heirs = [rep.id for rep in active_reps(LEAVES.team, HANDED_OVER)]
    for life in left:
        new = chance.choice(heirs)
        with office.session(MANAGERS[LEAVES.team]) as session:
            deal = session.get(Deal, life.id)
            if deal.is_open:
                deal.assign_owner(
                    new, because="离职交接 / leaves the house", effective_from=HANDED_OVER
                )
                office.owners[life.id] = new
                _hand_over_to(new, life, deal)
    yield from ()


def _change_customer(office: Office, chance: Random) -> Life:
    life = _some(_at_work(office, "initial_contact", "needs_analysis"), chance)
    if life is None:
        return
    kin = [
        company
        for company in CUSTOMERS
        if company.name in office.customers
        and company.currency == life.plan.company.currency
        and company is not life.plan.company
    ]
    if kin:
        with office.deal(life.id, actor=life.manager) as deal:
            deal.change_customer(
                office.customers[chance.choice(kin).name],
                because="由集团公司签约 / the parent company signs",
            )
    yield from ()


def _mistake_a_move(office: Office, chance: Random) -> Life:
    life = _some(_at_work(office, "initial_contact", "needs_analysis", "prospecting"), chance)
    if life is not None:
        yield from mistake_a_move(life)


def _mistake_a_loss(office: Office, chance: Random) -> Life:
    life = _some([one for one in office.lives if one.lost], chance)
    if life is not None:
        yield from mistake_a_loss(life)


def _doubt_a_loss(office: Office, chance: Random) -> Life:
    life = _some([one for one in office.lives if one.came_back and one.stage], chance)
    if life is not None:
        yield from doubt_a_loss(life)


def _mend_an_opening(office: Office) -> Life:
    fresh = _at_work(office, "initial_contact")
    if fresh:
        yield from mend_the_opening(fresh[-1])
