"""Mistakes and how they are put right: by retraction and then the right facts, never by change.

Wins with a wrong amount, moves and losses recorded of the wrong deal, an opening under a wrong
date, a retraction that was itself a mistake.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from salesflow.demo.agenda import Life, office_time
from salesflow.demo.office import Correction, DealLife
from salesflow.domain.deal import Deal
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.values import Money

__all__ = [
    "doubt_a_loss",
    "mend_the_opening",
    "mend_the_win",
    "mistake_a_loss",
    "mistake_a_move",
]


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
