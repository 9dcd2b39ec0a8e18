"""Reps who sell in a shop, and what is told of them: for questions about people."""

from datetime import datetime

from given import opened
from questions.shop import Shop
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.event import Fact
from salesflow.domain.rep import RepJoined, rep_id
from salesflow.domain.rep_development import TrainingCompleted
from salesflow.domain.time import to_instant
from salesflow.engine import ExternalEvent

__all__ = ["closed", "join_all", "tell_rep", "train"]


def tell_rep(sales: Shop, rep: str, *told: tuple[str, Fact]) -> None:
    """Record facts of a rep together, each at the begin of its day."""
    sales.flow.record(
        [
            ExternalEvent(
                rep_id(rep),
                fact,
                to_instant(datetime.fromisoformat(day).replace(tzinfo=sales.zone)),
            )
            for day, fact in told
        ]
    )


def join_all(sales: Shop, *reps: str, team: str = "east", day: str = "2025-01-01") -> None:
    """Let reps begin in a team."""
    for rep in reps:
        tell_rep(sales, rep, (day, RepJoined(rep=rep, team=team)))


def train(sales: Shop, day: str, *reps: str, training: str = "nego-1") -> None:
    """Let reps complete a training on a day."""
    for rep in reps:
        tell_rep(sales, rep, (day, TrainingCompleted(training=training)))


def closed(sales: Shop, first: int, rep: str, day: str, *, won: int = 0, lost: int = 0) -> None:
    """Let a rep open and close deals on a day, numbered from a first one."""
    for number in range(first, first + won + lost):
        outcome = DealWon() if number < first + won else DealLost(because="price")
        sales.tell(number, (day, opened(owner=rep)), (day, outcome))
