"""A question about a time before anything was known says so instead of merely being empty."""

from datetime import UTC, datetime

from salesflow import STANDARD, Deal, SalesFlow
from salesflow.domain.settings import SETTINGS_ID
from salesflow.projections.funnel import Funnel

LONG_AGO = datetime(2017, 6, 30, 12, tzinfo=UTC)


def test_an_answer_of_before_the_log_began_says_when_it_began(flow: SalesFlow) -> None:
    with flow.session() as s:
        s.add(Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=LONG_AGO))
    then = flow.ask(Funnel(), as_of="2017-12-31", known_at="2017-12-31")
    assert (then.open_deals, then.known_since) == (0, flow.history(SETTINGS_ID)[0].recorded_at)
    assert flow.ask(Funnel(), at=then.moment) == then
    now = flow.ask(Funnel(), as_of="2017-12-31")
    assert (now.open_deals, now.known_since) == (1, None)
