"""Without a clock of its own the engine goes by the host's, turned here from outside."""

import subprocess
import sys
from datetime import UTC, date, datetime

import pytest
from freezegun import freeze_time

from salesflow import STANDARD, Deal, SalesFlow
from salesflow.errors import ClockError, InputError
from salesflow.projections.pipeline.funnel import Funnel

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
AUTUMN = date(2026, 9, 1)


def open_deal(flow: SalesFlow) -> Deal:
    with flow.session() as s:
        return s.add(Deal.open(STANDARD, title="ERP", owner="ann"))


def test_a_fact_without_a_time_happened_when_the_host_says_it_was_recorded(
    sqlite_url: str,
) -> None:
    with freeze_time(NOON) as host, SalesFlow(sqlite_url) as flow:
        host.tick(3600)
        deal = open_deal(flow)
        event = flow.history(deal.id)[0]
        assert event.occurred_at == event.recorded_at == NOON.replace(hour=13)


def test_now_is_when_the_host_says_it_is(sqlite_url: str) -> None:
    with freeze_time(NOON) as host, SalesFlow(sqlite_url) as flow:
        open_deal(flow)
        host.tick(86_400)
        view = flow.ask(Funnel())
        assert (view.moment.as_of, view.open_deals) == (NOON.replace(day=2), 1)
        assert flow.ask(Funnel(), as_of="2026-05-31").open_deals == 0


def test_a_host_whose_clock_was_put_back_cannot_record_until_somebody_accepts_it(
    sqlite_url: str,
) -> None:
    with freeze_time(NOON) as host, SalesFlow(sqlite_url) as flow:
        open_deal(flow)
        host.move_to(NOON.replace(hour=11))
        with pytest.raises(ClockError, match="set the clock right, or run"):
            open_deal(flow)
        accepted = flow.accept_clock(because="the host had been an hour ahead")
        deal = open_deal(flow)
        assert flow.history(deal.id)[0].recorded == accepted.recorded + 1


def test_a_day_from_before_time_was_frozen_is_a_day() -> None:
    with freeze_time(NOON):
        for day in (AUTUMN, date(2026, 9, 1)):
            deal = Deal.open(STANDARD, title="ERP", owner="ann", expected_close=day)
            assert deal.expected_close == AUTUMN
        with pytest.raises(InputError, match="must be a date"):
            Deal.open(STANDARD, title="ERP", owner="ann", expected_close=NOON)


FROZEN_AT_ONCE = """
import salesflow
from freezegun import freeze_time
with freeze_time("2026-06-01 12:00"):
    with salesflow.SalesFlow("sqlite://") as flow:
        deal = salesflow.Deal.open(salesflow.STANDARD, title="ERP", owner="ann")
        flow.run(lambda s: s.add(deal))
        print(flow.ask(salesflow.Funnel()).moment.as_of)
"""


def test_names_may_be_loaded_while_the_time_is_frozen() -> None:
    command = [sys.executable, "-c", FROZEN_AT_ONCE]
    told = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert told.stdout.startswith("2026-06-01 12:00:00"), told.stderr


DRAWN_WHILE_FROZEN = """
import sys
import salesflow
from freezegun import freeze_time
if "before" in sys.argv:
    import pandas
with freeze_time("2026-06-01 12:00"):
    with salesflow.SalesFlow("sqlite://") as flow:
        view = flow.ask(salesflow.Funnel())
        try:
            print(list(view.to_pandas()), list(view.to_arrow()))
        except salesflow.SalesflowError as refusal:
            print(refusal)
"""


@pytest.mark.parametrize(
    ("when", "said"), [("late", "`import pandas` before"), ("before", "['")]
)
def test_a_data_frame_asked_for_while_the_time_is_frozen_ends_no_process(
    when: str, said: str
) -> None:
    command = [sys.executable, "-c", DRAWN_WHILE_FROZEN, when]
    told = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert said in told.stdout, told.stderr
