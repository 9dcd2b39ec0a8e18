"""Commands as a rep would give them, by a word and a number, through the real aggregates."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from properties.facts import person_id
from properties.world import OWNERS, PROCESSES, STAGES, customer_id, deal_id, money
from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal import Deal, QuoteLine
from salesflow.domain.deal.merging import DealMerged, DealUnmerged
from salesflow.domain.values import Money
from salesflow.engine import Session

__all__ = ["COMMANDS", "TOGETHER_ORDERS", "Order", "open_deal"]

Order = Callable[[Session, Deal, int, OccurredAt, datetime | None], object]


def open_deal(deal: int, n: int, occurred_at: OccurredAt) -> Deal:
    """Open a deal under one of the processes."""
    process = PROCESSES[n % len(PROCESSES)]
    stages = process.open_stages
    return Deal.open(
        process,
        id=deal_id(deal),
        title=f"deal {n}",
        owner=OWNERS[n % 3],
        customer=customer_id(n) if n % 4 else None,
        lead_source=("fair", "web", None)[n // 4 % 3],
        amount=_perhaps(n),
        expected_close=date(2024, 3, 1 + n % 28) if n % 2 else None,
        stage=stages[n // 3 % len(stages)].key if n % 5 == 4 else None,
        occurred_at=occurred_at,
    )


def _advance(deal: Deal, n: int, at: OccurredAt) -> None:
    """Go one stage on, or to a later one; whatever is unmet on the way is overridden."""
    then = deal.at(at)
    process = then.process_in_force
    here = process.order(then.stage)
    later = [stage for stage in process.open_stages if process.order(stage.key) > here]
    target = later[n // 4 % len(later)].key if later and n % 4 == 3 else None
    through = process.order(target) if target else here + 1
    passed = process.stages[max(here, 0) : through]
    override = {c: "agreed with the team" for s in passed for c in s.exit_criteria}
    if target is None:
        deal.advance(because="on", override=override, overridden_by="boss", occurred_at=at)
    else:
        deal.advance_to(
            target, because="on", override=override, overridden_by="boss", occurred_at=at
        )


def _return(deal: Deal, n: int, at: OccurredAt) -> None:
    then = deal.at(at)
    process = then.process_in_force
    here = process.order(then.stage)
    earlier = [s.key for s in process.open_stages if process.order(s.key) < here]
    target = earlier[n % len(earlier)] if earlier else STAGES[n % len(STAGES)]
    deal.return_to(target, because="not yet", occurred_at=at)


def _sell(deal: Deal, n: int, at: OccurredAt, ahead: datetime | None) -> None:
    """Win a deal, or do what is done with a won one."""
    if deal.at(at).outcome != "won":
        deal.win(_perhaps(n), occurred_at=at)
    elif n % 3 == 0:
        deal.place_repeat_order(money(n), occurred_at=at)
    elif n % 3 == 1:
        deal.give_refund(money(n), because="a fault", occurred_at=at)
    else:
        deal.amend_contract(money(n), because="more", effective_from=ahead, occurred_at=at)


def _turn(deal: Deal, n: int, at: OccurredAt) -> None:
    """Close a deal without a sale, or reopen it."""
    if not deal.at(at).is_open:
        deal.reopen(because="they called", occurred_at=at)
    elif n % 3:
        deal.lose(because=("price", "timing")[n % 2], occurred_at=at)
    else:
        deal.disqualify(because="a double", occurred_at=at)


def _pair(session: Session, deal: Deal, n: int, at: OccurredAt) -> None:
    if deal.at(at).merged_into is None:
        _merge(session, deal, n, at)
    else:
        _unmerge(session, deal, at)


def _perhaps(n: int) -> Money | None:
    return money(n // 2) if n % 3 else None


def _line(n: int) -> QuoteLine:
    return QuoteLine(
        product="p", quantity=Decimal(1 + n % 4), unit_price=money(n), discount=Decimal("0.1")
    )


def _merge(session: Session, deal: Deal, n: int, at: OccurredAt) -> None:
    deal.merge_into(
        session.get(Deal, deal_id(n % 3)), because="one and the same", occurred_at=at
    )


def _unmerge(session: Session, deal: Deal, at: OccurredAt) -> None:
    survivor = deal.merged_into or deal_id(0)
    deal.unmerge_from(session.get(Deal, survivor), because="two after all", occurred_at=at)


def _unpair(session: Session, deal: Deal) -> None:
    """Retract the merge or unmerge told last, on both deals at once."""
    for event in reversed(deal.history):
        match event.fact:
            case DealMerged(into=other) | DealUnmerged(out_of=other):
                deal.retract_pair(event.event_id, session.get(Deal, other), because="wrong")
                return
            case _:
                continue


COMMANDS: Final[dict[str, Order]] = {
    "advance": lambda _, d, n, at, __: _advance(d, n, at),
    "return_to": lambda _, d, n, at, __: _return(d, n, at),
    "win": lambda _, d, n, at, __: d.win(_perhaps(n), occurred_at=at),
    "lose": lambda _, d, n, at, __: d.lose(because=("price", "timing")[n % 2], occurred_at=at),
    "disqualify": lambda _, d, __, at, ___: d.disqualify(because="a double", occurred_at=at),
    "reopen": lambda _, d, n, at, __: d.reopen(
        stage=None if n % 2 else "negotiation", because="they called", occurred_at=at
    ),
    "forecast": lambda _, d, n, at, __: d.forecast(
        amount=_perhaps(n),
        expected_close=date(2024, 4, 1 + n % 28) if n % 2 else None,
        probability="0.25" if n % 5 == 0 else None,
        occurred_at=at,
    ),
    "agree_lines": lambda _, d, n, at, __: d.agree_line_items([_line(n)], occurred_at=at),
    "amend": lambda _, d, n, at, e: d.amend_contract(
        money(n), because="more seats", effective_from=e, occurred_at=at
    ),
    "refund": lambda _, d, n, at, __: d.give_refund(
        money(n), because="a fault", occurred_at=at
    ),
    "repeat": lambda _, d, n, at, __: d.place_repeat_order(money(n), occurred_at=at),
    "assign": lambda _, d, n, at, e: d.assign_owner(
        OWNERS[n % 3], effective_from=e, occurred_at=at
    ),
    "collaborate": lambda _, d, n, at, e: d.add_collaborator(
        OWNERS[n % 3], credit="0.2", effective_from=e, occurred_at=at
    ),
    "customer": lambda _, d, n, at, __: d.change_customer(
        customer_id(n), because="a mix-up", occurred_at=at
    ),
    "contact": lambda _, d, n, at, __: d.log_contact(
        channel="call", direction="in" if n % 3 == 2 else "out", occurred_at=at
    ),
    "issue": lambda _, d, n, at, __: d.issue_quote(lines=[_line(n)], occurred_at=at),
    "accept": lambda _, d, __, at, ___: d.accept_quote("Q1", occurred_at=at),
    "migrate": lambda _, d, n, at, __: d.migrate(
        PROCESSES[n % len(PROCESSES)],
        mapping={d.stage: "new" if n % 3 == 2 else "prospecting"},
        because="a new process",
        occurred_at=at,
    ),
    "merge": lambda s, d, n, at, _: _merge(s, d, n, at),
    "unmerge": lambda s, d, _, at, __: _unmerge(s, d, at),
    "sell": lambda _, d, n, at, e: _sell(d, n, at, e),
    "turn": lambda _, d, n, at, __: _turn(d, n, at),
    "pair": lambda s, d, n, at, _: _pair(s, d, n, at),
    "unpair": lambda s, d, *_: _unpair(s, d),
    "message": lambda _, d, n, at, __: d.post_message(
        "who knows?", to=(OWNERS[n % 3],) if n % 2 else (), channel="chat", occurred_at=at
    ),
    "confer": lambda _, d, n, at, __: d.hold_meeting(
        participants=(OWNERS[n % 3], "dan"), decided="yes", occurred_at=at
    ),
    "ask": lambda _, d, __, at, ___: d.request_help("how?", department="it", occurred_at=at),
    "help": lambda _, d, n, at, __: d.give_help(
        "H1", answer="so", by="dan" if n % 2 else None, occurred_at=at
    ),
    "hand_over": lambda _, d, n, at, __: d.hand_over(
        to=OWNERS[n % 3] if n % 4 else None, open_tasks=("call",), occurred_at=at
    ),
    "acknowledge": lambda _, d, __, at, ___: d.acknowledge_handover(occurred_at=at),
    "identify": lambda _, d, n, at, __: d.identify_committee_member(
        "Wang", person_id=person_id(n), roles=("champion",), occurred_at=at
    ),
    "observe": lambda _, d, n, at, __: d.observe_stance(
        person_id(n), "supporter", occurred_at=at
    ),
    "follow_up": lambda _, d, n, at, __: d.follow_up_feedback(by=OWNERS[n % 3], occurred_at=at),
    "tag": lambda _, d, __, at, ___: d.tag_feedback(("price",), occurred_at=at),
    "interview": lambda _, d, n, at, __: d.hold_interview(
        by="research", reasons=(("price",), ("timing",))[n % 2], occurred_at=at
    ),
}
"""Every command that moves a figure; refusals are part of the game."""

TOGETHER_ORDERS: Final = (
    *("message", "confer", "ask", "help", "hand_over", "acknowledge", "identify", "observe"),
    *("follow_up", "tag", "interview"),
)
"""Those of them that move nothing but who works together, and what is made of feedback."""
