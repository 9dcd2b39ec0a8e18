"""Random histories of reps: who joins which team, moves, leaves and comes back.

They are told and played as those of deals are (`histories.py`, `playing.py`), by the number of
a rep, a word and a number. Some facts name another rep than the one they are told of.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from hypothesis import strategies as st

from properties.histories import WHENS, Append, Book, Told, told
from properties.playing import ORDER_WHENS, REFUSALS, Act, Player
from properties.world import DELTAS, OWNERS
from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.facts import Fact
from salesflow.domain.reps import Rep, RepJoined, RepLeft, RepMoved, rep_id
from salesflow.engine import Session

__all__ = ["TEAMS", "Staff", "StaffBook", "staff_acts", "staff_appends"]

TEAMS: Final = ("east", "south", "west")
WORDS: Final = ("opened", "moved", "moved", "moved", "left", "left", "misnamed")
ORDERS: Final = ("join", "join", "move", "move", "move", "leave")


class OfReps:
    """What numbers and words mean where reps are told of."""

    def stream(self, number: int) -> UUID:
        """Name the stream of a rep."""
        return rep_id(OWNERS[number % len(OWNERS)])

    def fact(self, one: Told, ahead: datetime | None) -> Fact:
        """Make the fact that is told; all of them can be planned."""
        rep, team = one.deal, TEAMS[one.n % len(TEAMS)]
        match one.what:
            case "moved":
                return RepMoved(team=team, effective_from=ahead)
            case "left":
                return RepLeft(effective_from=ahead)
            case _:
                named = OWNERS[(rep + (one.what == "misnamed")) % len(OWNERS)]
                return RepJoined(rep=named, team=team, effective_from=ahead)


class StaffBook(OfReps, Book):
    """A log in memory of what happened to reps."""


class Staff(OfReps, Player):
    """An engine on a tenant of its own, and the reps on it."""

    def _give(self, session: Session, order: Told) -> None:
        at, ahead = self._times(order)
        if not self._stored(order.deal) and not self._added(session, order):
            session.add(join(order, at, ahead))
            return
        rep = session.get(Rep, self.stream(order.deal))
        pending = len(rep.pending)
        try:
            command(rep, order, at, ahead)
        except REFUSALS:
            assert len(rep.pending) == pending, "a refused command recorded something"
            raise

    def _added(self, session: Session, order: Told) -> bool:
        return self.stream(order.deal) in session._aggregates


def join(order: Told, at: OccurredAt, ahead: datetime | None) -> Rep:
    """Take a rep in as a manager would."""
    rep, team = OWNERS[order.deal % len(OWNERS)], TEAMS[order.n % len(TEAMS)]
    return Rep.join(rep, team=team, name=rep, effective_from=ahead, occurred_at=at)


def command(rep: Rep, order: Told, at: OccurredAt, ahead: datetime | None) -> None:
    """Give a command as a manager would."""
    team = TEAMS[order.n % len(TEAMS)]
    match order.what:
        case "move":
            rep.move(team, effective_from=ahead, occurred_at=at)
        case "leave":
            rep.leave(effective_from=ahead, occurred_at=at)
        case _:
            rep.rejoin(team, effective_from=ahead, occurred_at=at)


def staff_appends(reps: int, *, most: int = 12) -> st.SearchStrategy[list[Append]]:
    """Draw what is told of so many reps."""
    several = st.lists(told(reps, WORDS), min_size=1, max_size=4).map(tuple)
    appended = st.builds(Append, st.integers(0, len(DELTAS) - 1), several)
    return st.lists(appended, min_size=1, max_size=most).map(
        lambda rest: [*(joined(rep) for rep in range(reps)), *rest]
    )


def joined(rep: int) -> Append:
    """Let a rep begin."""
    return Append(2, (Told(rep, "opened", rep),))


def staff_acts(reps: int, *, least: int = 6, most: int = 18) -> st.SearchStrategy[list[Act]]:
    """Draw commands, foreign facts, retractions and reopened histories of so many reps."""
    ahead = st.one_of(st.none(), st.none(), st.integers(0, len(DELTAS) - 1))
    number, gaps = st.integers(0, reps - 1), st.integers(0, len(DELTAS) - 1)
    order = st.builds(
        Told, number, st.sampled_from(ORDERS), st.integers(0, 59), ORDER_WHENS, ahead
    )
    fact = st.builds(
        Told, number, st.sampled_from((*WORDS, "retract")), st.integers(0, 59), WHENS, ahead
    )
    orders = st.lists(order, min_size=1, max_size=4).map(tuple)
    facts = st.lists(fact, min_size=1, max_size=4).map(tuple)
    how = st.sampled_from
    ours = st.builds(Act, how(("session", "tolerant", "tolerant", "tolerant")), gaps, orders)
    told_us = ("record", "append", "append", "retract", "retract", "reopen")
    theirs = st.builds(Act, how(told_us), gaps, facts)
    return st.lists(st.one_of(ours, ours, theirs), min_size=least, max_size=most)
