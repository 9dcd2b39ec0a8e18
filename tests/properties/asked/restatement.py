"""What the funnel was known to say and says now, and what a naive replay says of both."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.restatements import restated
from properties.asked.case import Case, by_currency
from properties.world import DELTAS, START, instant
from salesflow.projections.pipeline.restatement import Restatement, RestatementView

__all__ = ["CASE"]

SINCE = st.lists(st.sampled_from(DELTAS), max_size=4).map(
    lambda gaps: START + timedelta(microseconds=sum(gaps))
)
"""Some instant of a history: time passes in it by the same steps."""
DAY = date(2024, 1, 2)
ONLY: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"owner": "ann"},
    {"process": "standard", "limit": 2},
)
LAST_OF_DAY = timedelta(days=1, microseconds=-1)

QUESTIONS = st.builds(
    lambda then, only: Restatement.model_validate({"known_then": then, **only}),
    st.one_of(st.none(), SINCE, SINCE, st.just(DAY), st.just(str(DAY))),
    st.sampled_from(ONLY),
)


def said(view: RestatementView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    for cell in view.cells:
        assert cell.deals_change == cell.deals_now - cell.deals_then
        before, after = by_currency(cell.amounts_then), by_currency(cell.amounts_now)
        change = {each: after.get(each, 0) - before.get(each, 0) for each in {*before, *after}}
        assert by_currency(cell.amounts_change) == {k: v for k, v in change.items() if v}
    assert view.events or not view.deals_restated, "a change that no event explains"
    return {
        "known_then": instant(view.known_then),
        "then": {
            (cell.outcome, cell.process, cell.stage): (
                cell.deals_then,
                by_currency(cell.amounts_then),
            )
            for cell in view.cells
            if cell.deals_then
        },
        "now": {
            (cell.outcome, cell.process, cell.stage): (
                cell.deals_now,
                by_currency(cell.amounts_now),
            )
            for cell in view.cells
            if cell.deals_now
        },
        "differing": view.deals_restated,
        "events_total": view.events_total,
        "events": [
            (
                event.position, event.kind, str(event.deal), instant(event.occurred_at),
                instant(event.recorded_at),
            )
            for event in view.events
        ],
    }  # fmt: skip


def wanted(raw: list[Raw], question: Restatement, as_of: int, known_at: int) -> dict[str, Any]:
    """Ask the oracle; what was known then is never more than what is known now."""
    wish = question.known_then
    head = min(known_at, max(event["recorded"] for event in raw))
    then = as_of
    if isinstance(wish, datetime):
        then = instant(wish)
    elif wish is not None:
        then = instant(datetime.combine(DAY, datetime.min.time(), UTC) + LAST_OF_DAY)
    then = min(then, head)
    only = {"process": question.process, "owner": question.owner}
    found = restated(raw, as_of, then, known_at, **only)
    return {
        "known_then": then,
        **found,
        "events_total": len(found["events"]),
        "events": found["events"][: question.limit],
    }


CASE = Case(QUESTIONS, said, wanted)
