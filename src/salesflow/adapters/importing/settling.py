"""Brings what is told of a deal in order, in the light of what is recorded of it.

A deal that nothing opens gets an opening that is marked as inferred; an opening without a date
happens with the first fact that has one; a fact of which only the day is known comes after
what is known to have happened on that day.
"""

from collections.abc import Sequence
from datetime import date

from salesflow.adapters.importing.ids import fact_source_id
from salesflow.adapters.importing.plan import OPENED, Plan
from salesflow.adapters.importing.problems import Adjustment, RowProblem
from salesflow.adapters.importing.telling import NO_DATE
from salesflow.adapters.importing.told import DealTold, Told, closes, in_order
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.facts import Event, Fact
from salesflow.domain.history import standing
from salesflow.domain.moments import Instant, from_instant, start_of_day, start_of_next_day

__all__ = ["GUESSED", "NO_OPENING", "settle"]

OPENED_EARLIER = "the deal was closed before it was opened; opened at its closing"
NO_OPENING_DATE = "no opening date in the row; opened with its first fact"
NO_OPENING = "no row opens it; opened with its first fact"
GUESSED = frozenset({NO_DATE, NO_OPENING_DATE, NO_OPENING})
"""Why the importer itself inferred something; not what a mapping says in `inferred`."""


def settle(deal: DealTold, plan: Plan, stored: Sequence[Event]) -> None:
    """Bring the facts of a deal in order, in the light of what is recorded of it."""
    events = standing(stored)
    _after_timed(deal, plan, events)
    _date_openings(deal)
    _open_before_closing(deal, plan, events)
    if deal.facts and not any(told.fact.opens for told in deal.facts):
        _open(deal, plan, events)
    deal.facts.sort(key=in_order)


def _open(deal: DealTold, plan: Plan, events: Sequence[Event]) -> None:
    """Open a deal that nothing opens, or opens too late an opening inferred before."""
    recorded = next((event for event in events if event.fact.opens), None)
    if recorded is None or _inferred_late(recorded, deal):
        problem = RowProblem("its deal is opened nowhere")
        if plan.context.mapping.opening == "infer":
            try:
                deal.facts.append(_inferred_opening(deal, plan))
                return
            except RowProblem as error:
                columns = " or ".join(plan.context.mapping.object.named)
                reason = f"no row opens the deal, and it cannot be named: {error.reason}"
                problem = RowProblem(reason, columns, deal.object)
        for line in {told.line for told in deal.facts}:
            deal.refuse(line, problem)


def _open_before_closing(deal: DealTold, plan: Plan, events: Sequence[Event]) -> None:
    """Open a deal that was closed before it was opened, written up late, at its closing."""
    how = plan.context.mapping.closed_before_opened
    opening = next((told for told in deal.facts if told.fact.opens and not told.undated), None)
    if opening is None or opening.occurred is None or how == "keep":
        return
    version = plan.context.process.version
    closed = [t for t in deal.facts if t.occurred is not None and closes(t.fact, version)]
    first = min(closed, key=in_order, default=None)
    at, precision, day = (
        (first.occurred, first.precision, first.day) if first else (None, None, None)
    )
    for event in events:
        if closes(event.fact, version) and (at is None or event.occurred < at):
            at, precision, day = event.occurred, event.precision, None
    if at is None or precision is None or at >= opening.occurred:
        return
    if how == "refuse":
        line = first.line if first is not None else opening.line
        deal.refuse(line, RowProblem("closes the deal before it was opened"))
        return
    deal.adjust(opening.line, _opened_earlier(opening, plan))
    deal.facts = [
        each._replace(occurred=at, precision=precision, day=day) if each is opening else each
        for each in deal.facts
    ]


def _opened_earlier(opening: Told, plan: Plan) -> Adjustment:
    rule = next(rule for rule in plan.rules if rule.cls is type(opening.fact))
    columns = " or ".join(rule.at.names) if rule.at else None
    at = from_instant(opening.occurred or 0)
    zone = plan.context.day_zone
    said = opening.day or (at.astimezone(zone) if zone else at)
    return Adjustment(OPENED_EARLIER, columns, said.isoformat())


def _inferred_late(opening: Event, deal: DealTold) -> bool:
    if opening.fact.inferred not in (NO_OPENING, NO_DATE):
        return False
    first = _first(deal)
    return first is not None and (first.occurred or 0) < opening.occurred


def _after_timed(deal: DealTold, plan: Plan, events: Sequence[Event]) -> None:
    """Put what is known by its day not before what is timed on that day; an opening stays."""
    zone = plan.context.day_zone
    days = {told.day for told in deal.facts if told.day is not None and not told.fact.opens}
    if not days or zone is None:
        return
    timed = sorted(
        [e.occurred for e in events if e.precision == "microsecond" and not _undated(e)]
        + [t.occurred for t in deal.facts if t.day is None and t.occurred is not None]
    )
    latest: dict[date, Instant] = {}
    for day in days:
        start, end = start_of_day(day, zone), start_of_next_day(day, zone)
        latest[day] = max((at for at in timed if start <= at < end), default=start)
    deal.facts = [
        told._replace(occurred=latest[told.day])
        if told.day is not None and not told.fact.opens
        else told
        for told in deal.facts
    ]


def _undated(event: Event) -> bool:
    return event.fact.inferred is not None and event.occurred == event.recorded


def _date_openings(deal: DealTold) -> None:
    """Let an opening without a date happen with the first fact that has one."""
    for i, told in enumerate(deal.facts):
        if not (told.fact.opens and told.undated):
            continue
        first = _first(deal)
        if first is not None:
            fact = told.fact.model_copy(update={"inferred": NO_OPENING_DATE})
            deal.facts[i] = told._replace(
                fact=fact, occurred=first.occurred, precision=first.precision, day=first.day
            )


def _first(deal: DealTold) -> Told | None:
    dated = [t for t in deal.facts if t.occurred is not None and t.stream_id == deal.stream_id]
    return min(dated, key=in_order, default=None)


def _inferred_opening(deal: DealTold, plan: Plan) -> Told:
    first = _first(deal)
    cells = [""] * len(plan.context.layout.names)
    cells[plan.object_slot] = deal.object
    extra: dict[str, object] = {"inferred": NO_OPENING if first else NO_DATE}
    opening = plan.opening.build(cells, [], extra)
    opening = opening.model_copy(update={"stage": _first_stage(deal, plan, opening)})
    return Told(
        deal.stream_id,
        fact_source_id(deal.object, OPENED),
        opening,
        first.occurred if first else None,
        first.precision if first else "microsecond",
        first.day if first else None,
        None,
        first.line if first else deal.facts[0].line,
        -1,
        first is None,
    )


def _first_stage(deal: DealTold, plan: Plan, opening: Fact) -> str:
    """Open it where its first fact puts it, so that no visit to a stage is made up."""
    assert isinstance(opening, DealOpened)
    first = min(deal.facts, key=in_order)
    if isinstance(first.fact, StageMoved):
        version = plan.context.process.version
        if version.category(first.fact.target) == "open":
            return first.fact.target
    return opening.stage
