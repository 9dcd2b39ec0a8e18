"""Tables in memory follow rows that change otherwise than by what the log tells next."""

from collections.abc import Iterator

import pytest

from databases import tamper
from engine.test_unreadable_events import lost, opened, spoil
from properties.test_columns import Both
from salesflow import SalesFlow
from salesflow.adapters.projector import columns
from salesflow.projections.stages.stage_times import StageTimes


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    with SalesFlow(database_url) as flow:
        yield flow


@pytest.fixture(autouse=True)
def _level_by_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on from the rows at hand, which of so few rows would all be read anew."""
    monkeypatch.setattr(columns, "TAIL_SHARE", 0)


def url_of(flow: SalesFlow) -> str:
    return flow.log.database.url.render_as_string(hide_password=False)


def mended_elsewhere(flow: SalesFlow) -> None:
    """Let another engine begin the rows of a deal anew, whose loss can be read again."""
    deal, _ = opened(flow), opened(flow)
    loss = lost(flow, deal)
    flow.ask(Both())
    spoil(flow, loss)
    flow.rebuild()
    assert flow.ask(Both()).left_out
    spoil(flow, loss, loss.fact.to_json())
    with SalesFlow(url_of(flow)) as other:
        opened(other)
        other.catch_up()
    assert not flow.ask(Both()).left_out


def test_rows_that_another_engine_began_anew_are_read_anew(flow: SalesFlow) -> None:
    mended_elsewhere(flow)


def test_whoever_overlooks_rows_begun_anew_is_found_out(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "open_notes", lambda _, names, __: {names[0]: {}})
    monkeypatch.setattr(columns.ColumnCache, "_made_as", lambda *_: 0)
    with pytest.raises(AssertionError):
        mended_elsewhere(flow)


def rebuilt_elsewhere(flow: SalesFlow) -> None:
    """Let somebody change rows, and another engine build the table anew."""
    opened(flow)
    flow.catch_up()
    tamper(url_of(flow), "UPDATE salesflow_stage_visit_1 SET owner = 'eve'")
    assert flow.ask(StageTimes(owner="eve")).stages[0].deals == 1
    with SalesFlow(url_of(flow)) as other:
        other.rebuild("stage_visit")
    assert flow.ask(StageTimes(owner="eve")).stages[0].deals == 0
    flow.ask(Both())


def test_a_table_that_another_engine_built_anew_is_read_anew(flow: SalesFlow) -> None:
    rebuilt_elsewhere(flow)


def test_whoever_overlooks_a_table_built_anew_is_found_out(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns.ColumnCache, "_made_as", lambda *_: 0)
    with pytest.raises(AssertionError):
        rebuilt_elsewhere(flow)
