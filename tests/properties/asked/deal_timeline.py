"""The timeline of a deal, and what a naive replay says of it."""

from hypothesis import strategies as st

from oracle.timelines import timeline_at
from properties.agreement import said_by_timeline
from properties.asked.case import Case
from properties.world import deal_id
from salesflow.projections.pipeline.deal_timeline import DealTimeline

__all__ = ["CASE"]

CASE = Case(
    st.integers(0, 2).map(lambda number: DealTimeline(deal=deal_id(number))),
    said_by_timeline,
    lambda raw, question, as_of, known_at: timeline_at(
        raw, str(question.deal), as_of, known_at
    ),
)
