"""Plays a random history on a real engine: sessions, imports, retractions, reopened histories.

A `Player` has a tenant of its own and a clock that only the history turns. What the rules
refuse is refused: that is noted, and that nothing of it was recorded is checked.
"""

import itertools
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

from hypothesis import strategies as st

from properties.commands import COMMANDS, TOGETHER_ORDERS, open_deal
from properties.customers import CUSTOMER_ORDERS, CUSTOMER_WORDS, give_customer
from properties.effort import TALLY
from properties.facts import THEMES, fact_about
from properties.goals import GOAL_ORDERS, GOAL_WORDS, give_goal
from properties.histories import WHENS, Told, When, happened, told
from properties.merges import Telling, possible
from properties.plans import founded
from properties.reps import REP_ORDERS, REP_WORDS, TEAMS, give_rep
from properties.world import (
    CRM,
    DELTAS,
    FIRST_CUSTOMER,
    FIRST_GOAL,
    FIRST_REP,
    OWNERS,
    STANDARD_2,
    START,
    at,
    deal_id,
    instant,
    stream_id,
)
from salesflow.adapters.event_store.log import NewEvent
from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.ids import new_id
from salesflow.domain.process import SalesProcess, process_id
from salesflow.domain.rep import Rep
from salesflow.engine import ExternalEvent, SalesFlow, Session
from salesflow.errors import ConcurrentChangeError, InputError, NotFoundError, RuleError
from salesflow.projections.table import ReadTable

__all__ = ["Act", "Clock", "Player", "acts", "customer_acts", "goal_acts", "rep_acts"]

USUAL = tuple(name for name in COMMANDS if name not in TOGETHER_ORDERS)
OFTEN = ("advance", "advance", "sell", "sell", "sell", "turn", "turn", "assign", "pair", "open")
ORDER_WHENS = st.builds(
    When,
    st.sampled_from(
        (*("now",) * 5, "soon", "day", "ago", "with", "with+", "with+", "effect", "effect+")
    ),
    st.integers(0, 15),
)
TENANTS = itertools.count(1)
REFUSALS = (RuleError, InputError, NotFoundError, ConcurrentChangeError)


class Act(NamedTuple):
    """Something that is done to the engine at once, some while after the act before.

    `how` is session (one refusal undoes all), tolerant (what is refused is left out), record,
    append (any deals in one append), retract, reopen or again (a command id a second time).
    """

    how: str
    gap: int
    told: tuple[Told, ...]


class Clock:
    """A clock that stands until it is turned."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def turn(self, microseconds: int) -> None:
        """Let time pass."""
        self.now += timedelta(microseconds=microseconds)


def acts(
    deals: int,
    *,
    least: int = 4,
    most: int = 18,
    themes: Sequence[tuple[str, ...]] = THEMES,
    customers: int = 0,
    reps: int = 0,
    goals: int = 0,
    orders: Sequence[str] = (),
) -> st.SearchStrategy[list[Act]]:
    """Draw a history of acts; usually deals are opened, customers and reps there first."""
    order = st.builds(
        Told,
        st.integers(0, deals - 1),
        st.sampled_from((*USUAL, *OFTEN, *orders)),
        st.integers(0, 59),
        ORDER_WHENS,
        st.one_of(st.none(), st.integers(0, len(DELTAS) - 1)),
    )
    foreign = st.sampled_from(themes).flatmap(lambda words: told(deals, words))
    named = range(FIRST_CUSTOMER, FIRST_CUSTOMER + customers)
    staff = range(FIRST_REP, FIRST_REP + reps)
    aims = range(FIRST_GOAL, FIRST_GOAL + goals)
    first = st.tuples(*map(_begun, (*range(deals), *named, *staff, *aims))).map(list)
    gaps = st.integers(0, len(DELTAS) - 1)
    several = {"min_size": 1, "max_size": 4}
    given = st.lists(order, **several).map(tuple)  # type: ignore[arg-type]
    facts = st.lists(foreign, **several).map(tuple)  # type: ignore[arg-type]
    one = st.builds(
        Act,
        st.sampled_from(("session", "tolerant", "tolerant", "tolerant")),
        gaps,
        given,
    )
    again = st.builds(Act, st.just("again"), gaps, order.map(lambda one: (one,)))
    other = st.builds(
        Act, st.sampled_from(("record", "append", "append", "retract", "reopen")), gaps, facts
    )
    of_customers = (_of_customers(named),) if customers else ()
    of_reps = (rep_acts(reps),) if reps else ()
    of_goals = (goal_acts(goals),) if goals else ()
    rest = st.one_of(one, one, other, again, *of_customers, *of_reps, *of_goals)
    return st.tuples(first, st.lists(rest, min_size=least, max_size=most)).map(
        lambda parts: parts[0] + parts[1]
    )


def customer_acts(
    customers: int, *, least: int = 4, most: int = 14
) -> st.SearchStrategy[list[Act]]:
    """Draw a history of customers alone."""
    named = range(FIRST_CUSTOMER, FIRST_CUSTOMER + customers)
    rest = st.lists(_of_customers(named), min_size=least, max_size=most)
    return st.tuples(st.tuples(*map(_begun, named)).map(list), rest).map(
        lambda parts: parts[0] + parts[1]
    )


def rep_acts(reps: int) -> st.SearchStrategy[Act]:
    """Tell of so many reps, or give commands to them."""
    ahead = st.one_of(st.none(), st.none(), st.integers(0, len(DELTAS) - 1))
    number = st.integers(FIRST_REP, FIRST_REP + reps - 1)
    n, gaps = st.integers(0, 59), st.integers(0, len(DELTAS) - 1)
    order = st.builds(Told, number, st.sampled_from(REP_ORDERS), n, ORDER_WHENS, ahead)
    words = st.sampled_from((*REP_WORDS, "retract"))
    fact = st.builds(Told, number, words, n, WHENS, ahead)
    orders = st.lists(order, min_size=1, max_size=4).map(tuple)
    facts = st.lists(fact, min_size=1, max_size=4).map(tuple)
    how = st.sampled_from
    ours = st.builds(Act, how(("session", "tolerant", "tolerant", "tolerant")), gaps, orders)
    told_us = ("record", "append", "append", "retract", "retract", "reopen")
    theirs = st.builds(Act, how(told_us), gaps, facts)
    return st.one_of(ours, ours, theirs)


def goal_acts(goals: int) -> st.SearchStrategy[Act]:
    """Tell of so many goals and figures, or give commands to them."""
    numbers, n = st.integers(FIRST_GOAL, FIRST_GOAL + goals - 1), st.integers(0, 59)
    order = st.builds(Told, numbers, st.sampled_from(GOAL_ORDERS), n, ORDER_WHENS, st.none())
    words = st.sampled_from((*GOAL_WORDS, "retract"))
    fact = st.builds(Told, numbers, words, n, WHENS, st.none())
    gaps = st.integers(0, len(DELTAS) - 1)
    ours = st.lists(order, min_size=1, max_size=3).map(tuple)
    theirs = st.lists(fact, min_size=1, max_size=3).map(tuple)
    how = st.sampled_from
    return st.one_of(
        st.builds(Act, how(("session", "tolerant", "tolerant")), gaps, ours),
        st.builds(Act, how(("record", "append", "append", "retract", "reopen")), gaps, theirs),
    )


def _begun(number: int) -> st.SearchStrategy[Act]:
    """Open a deal, register a customer or let a rep join."""
    when = (st.integers(0, 59), WHENS, st.none())
    return st.builds(
        Act,
        st.sampled_from(("tolerant", "record", "append")),
        st.just(2),
        st.builds(Told, st.just(number), st.just("opened"), *when).map(lambda one: (one,)),
    )


def _of_customers(named: Sequence[int]) -> st.SearchStrategy[Act]:
    """Tell of customers, or give commands to them."""
    numbers, n = st.sampled_from(named), st.integers(0, 59)
    order = st.builds(
        Told, numbers, st.sampled_from(CUSTOMER_ORDERS), n, ORDER_WHENS, st.none()
    )
    words = st.sampled_from((*CUSTOMER_WORDS, "retract"))
    foreign = st.builds(Told, numbers, words, n, WHENS, st.none())
    gaps = st.integers(0, len(DELTAS) - 1)
    ours = st.lists(order, min_size=1, max_size=3).map(tuple)
    theirs = st.lists(foreign, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Act, st.sampled_from(("session", "tolerant", "again")), gaps, ours),
        st.builds(
            Act, st.sampled_from(("record", "append", "retract", "reopen")), gaps, theirs
        ),
    )


class Player:
    """An engine on a tenant of its own, and what happened on it."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.url = url
        self.flow = SalesFlow(url, tenant=f"t{next(TENANTS)}", clock=self.clock)
        self.played: list[Act] = []
        self.refused = 0
        with self.flow.session() as session:
            session.get(SalesProcess, process_id("standard")).publish_version(STANDARD_2)
            session.add(SalesProcess.publish(CRM))
            for each in founded():
                session.add(each)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flow.close()

    def beside(self) -> SalesFlow:
        """Open the same log once more, as another process would."""
        return SalesFlow(self.url, tenant=self.flow.log.tenant, clock=self.clock)

    def play(self, act: Act) -> None:
        """Do what an act says."""
        self.clock.turn(DELTAS[act.gap % len(DELTAS)])
        self.played.append(act)
        TALLY["acts"] += 1
        before = self.flow.log.head()
        try:
            getattr(self, f"_{act.how}")(act.told)
        except REFUSALS:
            self.refused += 1
            TALLY["refused acts"] += 1
            assert self.flow.log.head() == before, "something of a refused act was recorded"

    def play_all(self, history: Sequence[Act]) -> None:
        """Do all acts of a history."""
        for act in history:
            self.play(act)

    def play_kept_up(
        self, history: Sequence[Act], *tables: ReadTable, every: int | None = None
    ) -> None:
        """Do all acts and catch up at the end; before it after every so many, or at random.

        Catches up all tables, or those named.
        """
        runner, names = self.flow._tables(), [table.name for table in tables] or None
        for number, act in enumerate(history):
            self.play(act)
            if act.gap % 2 if every is None else number % every == 0:
                runner.catch_up(names)
        runner.catch_up(names)

    def _session(self, orders: Sequence[Told]) -> None:
        with self.flow.session(actor="u-1") as session:
            self._give_all(session, orders)

    def _tolerant(self, orders: Sequence[Told]) -> None:
        with self.flow.session(actor="u-2") as session:
            for order in orders:
                try:
                    self._give(session, order)
                except REFUSALS:
                    self.refused += 1

    def _again(self, orders: Sequence[Told]) -> None:
        command = f"command-{orders[0].n % 3}"
        before = self.flow.log.receipt(command)
        receipt = self.flow.run(
            lambda session: self._give_all(session, orders),
            actor="u-3",
            command_id=command,
        )
        assert receipt is None or receipt.again == (before is not None)
        recorded = None if receipt is None else receipt._replace(again=False)
        assert before is None or recorded == before
        assert recorded == self.flow.log.receipt(command)

    def _give_all(self, session: Session, orders: Sequence[Told]) -> None:
        for order in orders:
            self._give(session, order)

    def _give(self, session: Session, order: Told) -> None:
        at_, ahead = self._times(order)
        if order.deal >= FIRST_GOAL:
            give_goal(session, order.deal, order.what, order.n, at_)
            return
        if order.deal >= FIRST_REP:
            self._give_rep(session, order)
            return
        if order.deal >= FIRST_CUSTOMER:
            give_customer(session, order.deal, order.what, order.n, at_)
            return
        if order.what in ("open", "opened"):
            session.add(open_deal(order.deal, order.n, at_))
            return
        deal = session.get(Deal, deal_id(order.deal))
        pending = len(deal.pending)
        try:
            COMMANDS[order.what](session, deal, order.n, at_, ahead)
        except REFUSALS:
            assert len(deal.pending) == pending, "a refused command recorded something"
            raise

    def _give_rep(self, session: Session, order: Told) -> None:
        at_, ahead = self._times(order)
        stream = self.stream(order.deal)
        if self._stored(order.deal) or stream in session._aggregates:
            give_rep(session, order.deal, order.what, order.n, at_, ahead)
            return
        rep, team = OWNERS[order.deal % FIRST_REP], TEAMS[order.n % len(TEAMS)]
        session.add(Rep.join(rep, team=team, name=rep, effective_from=ahead, occurred_at=at_))

    def _times(self, order: Told) -> tuple[OccurredAt, datetime | None]:
        now = instant(self.clock.now)
        if order.when.mode == "day":
            day: date = (
                (self.clock.now - timedelta(days=order.when.n % 4)).astimezone(UTC).date()
            )
            return day, None
        occurred = self._happened(order, now)
        ahead = None
        if order.ahead is not None:
            ahead = at((now if occurred is None else occurred) + DELTAS[order.ahead])
        return None if occurred is None else at(occurred), ahead

    def _happened(self, one: Told, now: int) -> int | None:
        if one.when.mode == "soon":
            return now + 1_000_000 * (one.when.n % 7)
        stored = self._stored(one.deal)
        facts = [e for e in stored if not isinstance(e.fact, FactRetracted)]
        return happened(one.when, now, [(e.occurred, e.effective) for e in facts])

    def _stored(self, deal: int) -> list[Event]:
        return self.flow.log.stream(self.stream(deal))

    def stream(self, number: int) -> UUID:
        """Name the stream of what is told of by a number."""
        return stream_id(number)

    def fact(self, one: Told, ahead: datetime | None) -> Fact:
        """Make the fact that is told."""
        return fact_about(one.deal, one.what, one.n, ahead)

    def _facts(self, told: Sequence[Told]) -> list[Telling]:
        """Make foreign facts; a retraction names an event that is stored already."""
        found: list[Telling] = []
        now = instant(self.clock.now)
        for one in told:
            stream = self.stream(one.deal)
            if one.what == "retract":
                stored = self._stored(one.deal)
                if stored:
                    target = stored[-1 - one.n % len(stored)].event_id
                    wrong = FactRetracted(event_id=target, because="wrong")
                    found.append(Telling(stream, wrong, None))
                continue
            occurred = self._happened(one, now)
            base = now if occurred is None else occurred
            ahead = None if one.ahead is None else at(base + DELTAS[one.ahead])
            fact = possible(
                self.flow, Telling(stream, self.fact(one, ahead), occurred), one.n, found
            )
            found += [fact] if fact else []
        return found

    def _record(self, told: Sequence[Told]) -> None:
        self.flow.record([ExternalEvent(*each) for each in self._facts(told)])

    def _append(self, told: Sequence[Told]) -> None:
        facts = self._facts(told)
        if not facts:
            return
        versions = dict(self.flow.log.versions([stream for stream, _, __ in facts]))
        drafts = []
        for stream, fact, occurred in facts:
            versions[stream] = versions.get(stream, 0) + 1
            drafts.append(
                NewEvent(
                    stream_id=stream,
                    version=versions[stream],
                    topic=fact.stored_as,
                    payload=fact.to_json(),
                    event_id=new_id(),
                    occurred=occurred,
                )
            )
        self.flow.log.append(drafts)

    def _retract(self, told: Sequence[Told]) -> None:
        """Retract one event through a session, and perhaps give orders beside it."""
        stored = self._stored(told[0].deal)
        if not stored:
            return
        with self.flow.session(actor="u-4") as session:
            session.retract(stored[-1 - told[0].n % len(stored)].event_id, because="wrong")

    def _reopen(self, told: Sequence[Told]) -> None:
        with self.flow.session(actor="u-5") as session:
            opening = self.fact(told[0]._replace(what="opened"), None)
            session.reopen_history(self.stream(told[0].deal), opening)
