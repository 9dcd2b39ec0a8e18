"""A question about a time before anything was known says so instead of merely being empty."""

from datetime import UTC, datetime

import pytest

from salesflow import STANDARD, Deal, SalesFlow
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.time import to_instant
from salesflow.errors import InputError
from salesflow.projections.pipeline.funnel import Funnel

LONG_AGO = datetime(2017, 6, 30, 12, tzinfo=UTC)


def test_an_answer_of_before_the_log_began_says_when_it_began(flow: SalesFlow) -> None:
    with flow.session() as s:
        s.add(Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=LONG_AGO))
    then = flow.ask(Funnel(), as_of="2017-12-31", known_at="2017-12-31")
    assert (then.open_deals, then.known_since) == (0, flow.history(SETTINGS_ID)[0].recorded_at)
    assert flow.ask(Funnel(), at=then.moment) == then
    now = flow.ask(Funnel(), as_of="2017-12-31")
    assert (now.open_deals, now.known_since) == (1, None)


def test_a_day_before_the_log_began_is_a_day_of_the_business_time_zone(flow: SalesFlow) -> None:
    with flow.session() as s:
        s.get(Settings, SETTINGS_ID).change(timezone="America/New_York")
    first_day_over = datetime(2017, 12, 31, 15, 59, 59, 999_999, tzinfo=UTC)
    then = flow.ask(Funnel(), as_of="2017-12-31", known_at="2017-12-31")
    assert then.moment.as_of == then.moment.known_at == first_day_over, "in Shanghai, as begun"
    assert flow.settings(to_instant(first_day_over)).timezone.key == "Asia/Shanghai"
    now = flow.ask(Funnel(), as_of="2017-12-31")
    assert now.moment.as_of == datetime(2018, 1, 1, 4, 59, 59, 999_999, tzinfo=UTC)


def test_a_moment_beyond_the_end_of_the_log_has_no_answer(
    flow: SalesFlow, sqlite_url: str
) -> None:
    flow.run(lambda s: s.add(Deal.open(STANDARD, title="ERP", owner="ann")))
    later = flow.ask(Funnel()).moment
    with SalesFlow(sqlite_url, tenant="older") as older:
        with pytest.raises(InputError, match="position 3, and this log ends at 2: it"):
            older.ask(Funnel(), at=later)
        older.run(lambda s: s.add(Deal.open(STANDARD, title="ERP", owner="ann")))
        moment = older.ask(Funnel()).moment
        older.run(lambda s: s.add(Deal.open(STANDARD, title="MES", owner="ann")))
        assert older.ask(Funnel(), at=moment).open_deals == 1


@pytest.mark.parametrize("axis", ["as_of", "known_at"])
def test_a_whole_moment_beside_another_one_is_refused(flow: SalesFlow, axis: str) -> None:
    moment = flow.ask(Funnel()).moment
    with pytest.raises(InputError, match="at= names a whole moment; leave as_of and known_at"):
        flow.ask(Funnel(), at=moment, **{axis: "2026-01-01"})  # type: ignore[arg-type]
