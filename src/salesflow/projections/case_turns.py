"""Turning points: the facts after which a deal stood quite differently, each with its figure.

A return to an earlier stage or a skip (by how many stages), reopening (after how many days),
another owner (which one it is), an amount changed by a quarter or more, an expected close put
off by 30 days or more, the first competitor and the first objection (on which day). Amounts in
two currencies, or from nothing, are not compared. Leaves out what to make of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.deal.talks import CompetitorNamed, ObjectionRaised
from salesflow.domain.facts import Event
from salesflow.domain.moments import from_instant
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.projections.case_walk import Happened, Stood, days_of
from salesflow.projections.estimates import decimal_of
from salesflow.projections.records import Role
from salesflow.projections.visits import Step
from salesflow.projections.writing import amount_text

__all__ = ["Turn", "TurningPoint", "turning_points"]

Turn = Literal[
    "returned",
    "skipped",
    "reopened",
    "owner_changed",
    "amount_changed",
    "close_pushed",
    "first_competitor",
    "first_objection",
]
Unit = Literal["stages", "days", "owners", "part"]

AMOUNT_CHANGE_MIN: Final = Fraction(1, 4)
PUSH_DAYS_MIN: Final = 30


class TurningPoint(Value):
    """A fact that changed where the deal stood, and the figure that makes it one."""

    position: Annotated[int, Role.KEY]
    turn: Annotated[Turn, Role.KEY]
    at: datetime
    fact: Annotated[Reference, Role.TRAIT]
    """The stored kind of the fact."""
    figure: Decimal | None
    """In its unit: stages passed, days, the number of the owner, the part of the amount before;
    None where the stages are not of one process version."""
    unit: Unit
    before: SafeText | None
    after: SafeText | None


def turning_points(
    way: Sequence[Happened], steps: Iterable[Step], timezone: ZoneInfo
) -> Iterator[TurningPoint]:
    """Give the turning points in the order in which they came about."""
    entered = {step.begun: step.entered for step in steps}
    seen: set[Turn] = set()
    closed = way[0].event if way else None
    owned = 1
    for here in way:
        was, now = here.before, here.after
        if was is None:
            continue
        yield from _moved(here, was, entered.get(here.event.position))
        if entered.get(here.event.position) == "reopened" and closed is not None:
            days = days_of(closed, here.event, timezone)
            yield _turn(here, "reopened", days, "days", (was.outcome, now.outcome))
        if was.outcome != now.outcome:
            closed = here.event
        if was.owner is not None and was.owner != now.owner:
            owned += 1
            between = (was.owner, now.owner)
            yield _turn(here, "owner_changed", Decimal(owned), "owners", between)
        yield from _worth(here, was)
        for turn, kind in FIRSTS.items():
            if isinstance(here.event.fact, kind) and turn not in seen:
                seen.add(turn)
                days = days_of(way[0].event, here.event, timezone)
                yield _turn(here, turn, days, "days", (None, _named(here.event)))


FIRSTS: Final[dict[Turn, type[CompetitorNamed | ObjectionRaised]]] = {
    "first_competitor": CompetitorNamed,
    "first_objection": ObjectionRaised,
}


def _moved(here: Happened, was: Stood, entered: str | None) -> Iterator[TurningPoint]:
    """Count the stages between for a return or a skip."""
    if not isinstance(here.event.fact, StageMoved) or entered not in ("returned", "skipped"):
        return
    turn: Turn = "returned" if entered == "returned" else "skipped"
    process, now = here.after.process, here.after
    figure = None
    if process is not None:
        left, target = process.order(was.stage), process.order(now.stage)
        if left >= 0 and target >= 0:
            figure = Decimal(left - target if turn == "returned" else target - left - 1)
    yield _turn(here, turn, figure, "stages", (was.stage, now.stage))


def _worth(here: Happened, was: Stood) -> Iterator[TurningPoint]:
    """Compare amount and expected close with those before the fact."""
    old, new = was.amount, here.after.amount
    if old is not None and new is not None and old.currency == new.currency and old.amount:
        change = Fraction(new.amount - old.amount) / abs(Fraction(old.amount))
        if abs(change) >= AMOUNT_CHANGE_MIN:
            between = tuple(amount_text(each.amount, each.currency) for each in (old, new))
            figure = decimal_of(change)
            yield _turn(here, "amount_changed", figure, "part", (between[0], between[1]))
    first, then = was.expected_close, here.after.expected_close
    if first is not None and then is not None and (then - first).days >= PUSH_DAYS_MIN:
        between = (first.isoformat(), then.isoformat())
        yield _turn(here, "close_pushed", Decimal((then - first).days), "days", between)


def _turn(
    here: Happened,
    turn: Turn,
    figure: Decimal | None,
    unit: Unit,
    between: tuple[str | None, str | None],
) -> TurningPoint:
    return TurningPoint(
        position=here.event.position,
        turn=turn,
        at=from_instant(here.event.effect),
        fact=here.event.fact.kind,
        figure=figure,
        unit=unit,
        before=between[0],
        after=between[1],
    )


def _named(event: Event) -> str | None:
    match event.fact:
        case CompetitorNamed(competitor=name):
            return name
        case ObjectionRaised(topic=topic):
            return topic
        case _:
            return None
