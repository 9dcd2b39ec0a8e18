"""What can be told of a rep, and asked of one, by a word and a number.

Reps are told of among deals (`histories.py`, `playing.py`), under numbers of their own; those
who own deals are the ones who join. Some facts name another rep than the one they are told of.
"""

from datetime import datetime
from typing import Final

from properties.world import OWNERS, stream_id
from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.event import Fact
from salesflow.domain.rep import Rep, RepJoined, RepLeft, RepMoved
from salesflow.engine import Session

__all__ = ["REP_ORDERS", "REP_WORDS", "TEAMS", "give_rep", "rep_fact"]

TEAMS: Final = ("east", "south", "west")
REP_WORDS: Final = ("opened", "moved", "moved", "moved", "left", "left", "misnamed")
REP_ORDERS: Final = ("join", "join", "move", "move", "move", "leave")


def rep_fact(rep: int, what: str, n: int, ahead: datetime | None) -> Fact:
    """Make the fact that is told of a rep; all of them can be planned."""
    team = TEAMS[n % len(TEAMS)]
    match what:
        case "moved":
            return RepMoved(team=team, effective_from=ahead)
        case "left":
            return RepLeft(effective_from=ahead)
        case _:
            named = OWNERS[(rep + (what == "misnamed")) % len(OWNERS)]
            return RepJoined(rep=named, team=team, effective_from=ahead)


def give_rep(
    session: Session, number: int, what: str, n: int, at: OccurredAt, ahead: datetime | None
) -> None:
    """Give a command as a manager would; whoever is not here yet joins first."""
    rep = session.get(Rep, stream_id(number))
    team = TEAMS[n % len(TEAMS)]
    match what:
        case "move":
            rep.move(team, effective_from=ahead, occurred_at=at)
        case "leave":
            rep.leave(effective_from=ahead, occurred_at=at)
        case _:
            rep.rejoin(team, effective_from=ahead, occurred_at=at)
