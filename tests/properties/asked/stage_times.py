"""How long deals stay in each stage, and what a naive replay says of it."""

from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.stage_times import stage_times_at
from properties.asked.case import Case
from properties.world import deal_id, instant
from salesflow.projections.core.statistics import Spread
from salesflow.projections.stages.stage_time_figures import TimeToEvent
from salesflow.projections.stages.stage_times import StageTimes, StageTimesView

__all__ = ["CASE"]

ASKED = (
    StageTimes(days=(1, 10, 11)),
    StageTimes(days=(10,), process="standard", start="initial_contact"),
    StageTimes(days=(20, 1, 5), owner="ann"),
    StageTimes(days=(10, 30), process="crm", owner="bob"),
    StageTimes(days=(2, 3), start="new"),
    StageTimes(days=(1,), process="nonsense"),
    StageTimes(days=(1, 10), deal=deal_id(0)),
    StageTimes(days=(1, 10), deal=deal_id(1), owner="ann"),
)


def said(view: StageTimesView) -> dict[str, Any]:
    """Write the answer as the oracle does; stages without visits are left out."""
    return {
        "stages": {
            (s.process, s.stage): (
                s.deals, s.visits, s.open_visits, _spread(s.latest), _spread(s.cumulative),
                s.stalled,
            )
            for s in view.stages
            if s.visits
        },
        "stalled": [
            (
                str(s.deal), (s.process, s.stage), s.days, s.days_max, s.owner,
                instant(s.entered_at),
            )
            for s in view.stalled
        ],
        "leaving": {(e.process, e.stage): _event(e) for e in view.leaving},
        "ending": {e.process: _event(e) for e in view.ending},
        "deals": [
            (
                str(d.deal), instant(d.first_at), instant(d.last_at), d.visits_seconds,
                d.closed_seconds,
            )
            for d in view.deals
        ],
    }  # fmt: skip


def _spread(spread: Spread) -> tuple[Any, ...]:
    return spread.days_median, spread.days_mean, spread.days_p90


def _event(e: TimeToEvent) -> tuple[Any, ...]:
    chances = [
        (c.days, c.at_risk, c.lasting, c.moved, c.won, c.lost, c.disqualified)
        for c in e.chances
    ]
    assert e.count == e.moved + e.won + e.lost + e.disqualified + e.censored
    return (e.count, e.moved, e.won, e.lost, e.disqualified, e.days_median, chances)


def wanted(
    raw: list[Raw], question: StageTimes, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle."""
    return stage_times_at(
        raw,
        as_of,
        known_at,
        process=question.process,
        owner=question.owner,
        start=question.start,
        days=question.days,
        deal=None if question.deal is None else str(question.deal),
    )


CASE = Case(st.sampled_from(ASKED), said, wanted)
