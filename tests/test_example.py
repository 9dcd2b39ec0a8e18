"""The small example of the README: the same for ever, and nothing in it is odd."""

from pathlib import Path

import pytest

from salesflow import Deal, Deals, Funnel, SalesFlow
from salesflow.demo.example import EXAMPLE_START, EXAMPLE_ZONE, record_example
from salesflow.demo.office import SeededIds
from salesflow.demo.world import TurnedClock
from simulated import ran


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    assert ran("demo", "--example", "--db", "example.db").out.split()[-1] == "59"
    return f"sqlite:///{tmp_path / 'example.db'}"


def test_the_example_is_recorded_the_same_each_time_on_both_databases(
    example: str, postgres_url: str
) -> None:
    clock = TurnedClock(EXAMPLE_START)
    with (
        SalesFlow(
            postgres_url,
            timezone=EXAMPLE_ZONE.key,
            clock=clock,
            event_ids=SeededIds(clock, 1),
        ) as other,
        SalesFlow(example, create=False) as flow,
    ):
        record_example(other, clock)
        assert flow.log.page(0, 100) == other.log.page(0, 100)


def test_a_win_that_was_mistyped_is_known_as_it_was_and_as_it_is(example: str) -> None:
    with SalesFlow(example, create=False) as flow:
        then = flow.ask(Funnel(), as_of="2024-12-31", known_at="2024-12-31")
        now = flow.ask(Funnel(), as_of="2024-12-31")
    won = [next(c for c in view.closed if c.outcome == "won") for view in (then, now)]
    assert [str(each.amounts[0].amount) for each in won] == ["4420000", "442000"]


def test_no_fact_of_the_example_is_irregular(example: str) -> None:
    with SalesFlow(example, create=False) as flow:
        ids = [each.deal for each in flow.ask(Deals()).deals]
        assert len(ids) == 8
        assert [flow.get(Deal, id).irregular for id in ids] == [()] * 8


def test_the_example_wants_a_new_database(example: str) -> None:
    refused = ran("demo", "--example", "--db", "example.db")
    assert refused.code == 2
    assert "holds a log already" in refused.err
    assert example
