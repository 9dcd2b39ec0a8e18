"""Read tables take no more memory between questions than is allowed, and no answer changes."""

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np
import pytest

from engine.test_unreadable_events import opened
from properties.test_columns import Both
from salesflow import SalesFlow
from salesflow.adapters.projector import columns, sliced_columns
from salesflow.adapters.projector.columns import ColumnCache, _size_of
from salesflow.adapters.projector.naming import OF_DEALS, StreamFacts
from salesflow.adapters.projector.sliced_columns import OutgrownError, within
from salesflow.errors import InputError
from salesflow.projections.pipeline.flow import Flow
from salesflow.projections.pipeline.funnel import Funnel
from salesflow.projections.pipeline.funnel_trend import FunnelTrend
from salesflow.projections.stages.stage_times import StageTimes

VISITS, DEALS = "salesflow_stage_visit_2", "salesflow_deal_state_1"


@pytest.fixture
def url(database_url: str) -> str:
    """Return a database with three deals."""
    with SalesFlow(database_url) as flow:
        for _ in range(3):
            opened(flow)
    return database_url


@pytest.fixture
def flow(url: str) -> Iterator[SalesFlow]:
    with SalesFlow(url) as flow:
        yield flow


def cache_of(flow: SalesFlow) -> ColumnCache:
    return flow._tables().columns


def held(flow: SalesFlow, names: Sequence[str] = (VISITS, DEALS)) -> list[str]:
    return [name for name in names if cache_of(flow).holds(name)]


def test_where_nothing_is_allowed_every_question_reads_anew_and_answers_all_the_same(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with SalesFlow(url) as flow, SalesFlow(url, memory_mb=0) as poor:
        questions = (StageTimes(), Funnel(), Funnel(by="owner"), FunnelTrend(), Both())
        moment = flow.ask(Funnel()).moment
        for _ in range(3):
            for question in questions:
                assert poor.ask(question, at=moment) == flow.ask(question, at=moment)
        assert held(flow) == [VISITS, DEALS]
        assert held(poor) == []
    told = [record.message for record in caplog.records if "are allowed" in record.message]
    said = (
        "takes more than the 0 MB of memory that are allowed; each question reads it in slices"
    )
    assert f"{VISITS} {said}" in told
    assert len(told) == len({*told})


def test_what_was_asked_for_longest_ago_is_let_go_of(flow: SalesFlow) -> None:
    flow.ask(StageTimes())
    assert held(flow) == [VISITS, DEALS]
    flow.ask(Funnel(by="owner"))  # of the deals alone
    tables = cache_of(flow)._tables.values()
    cache_of(flow)._kept_bytes = _size_of(each for table in tables for each in table.kept)
    opened(flow)
    flow.ask(Funnel(by="owner"))
    assert held(flow) == [DEALS]
    assert flow.ask(StageTimes()).stages[0].deals == 4


def test_rows_are_read_no_further_than_memory_is_allowed() -> None:
    """A number is eight bytes wide, and expected to take half of that once it is packed."""
    batch, bytes_allowed = [(2**40,)] * 1_000, 2_000_000
    passed = 0
    with pytest.raises(OutgrownError):
        for rows in within(repeat(batch), {"amount": np.dtype(np.int64)}, bytes_allowed):
            passed += len(rows)
    assert passed == 2 * bytes_allowed // 8
    few = repeat(batch, 100)
    assert len([*within(few, {"amount": np.dtype(np.int64)}, 0)]) == 100


def test_a_table_that_outgrows_the_bounds_while_it_is_read_answers_in_slices(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (columns, sliced_columns):
        monkeypatch.setattr(module, "MANY_ROWS", 0)
    with SalesFlow(url) as flow, SalesFlow(url, memory_mb=0) as poor:
        moment = flow.ask(Funnel()).moment
        for question in (StageTimes(), Funnel(by="owner"), Flow()):
            assert poor.ask(question, at=moment) == flow.ask(question, at=moment)
        assert held(poor) == []
        assert cache_of(poor).outgrows(VISITS)


@pytest.mark.parametrize("many", [0, 100_000], ids=["while it is read", "once it was read"])
def test_a_ledger_that_outgrows_the_bounds_is_answered_by_balances(
    url: str, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    for module in (columns, sliced_columns):
        monkeypatch.setattr(module, "MANY_ROWS", many)
    with SalesFlow(url, memory_mb=0) as flow:
        for _ in range(3):
            assert flow.ask(Funnel()).open_deals == 3
        assert cache_of(flow).outgrows("salesflow_pipeline_2")
        assert not flow._tables().is_asked_again("salesflow_pipeline_2")


@pytest.mark.parametrize("wrong", [-1, True, "much", 1.5])
def test_a_bound_is_a_whole_number_of_megabytes(
    url: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="memory_mb"):
        SalesFlow(url, memory_mb=wrong)  # type: ignore[arg-type]
    monkeypatch.setenv("SALESFLOW_MEMORY_MB", f"{wrong}")
    with pytest.raises(InputError, match="SALESFLOW_MEMORY_MB"):
        SalesFlow(url)


def test_the_environment_may_say_the_bound(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESFLOW_MEMORY_MB", "0")
    with SalesFlow(url) as flow:
        flow.ask(StageTimes())
        assert held(flow) == []
    with SalesFlow(url, memory_mb=1) as flow:
        flow.ask(StageTimes())
        assert held(flow) == [VISITS, DEALS]


def test_names_are_read_again_where_the_log_is_another_one_at_their_position(
    flow: SalesFlow,
) -> None:
    """As the event tells by which they were whole, by its time and its checksum."""
    deal = opened(flow)
    names = flow._names
    flow.ask(StageTimes())
    flow.ask(Funnel(by="customer"))
    assert names._mark is not None
    names._mark = (names._mark[0], names._mark[1] + 1)
    names._kept[OF_DEALS] = {deal: StreamFacts.of([], OF_DEALS)}
    opened(flow)
    flow.ask(Funnel(by="customer"))
    assert not names._kept.get(OF_DEALS)


def test_an_empty_table_is_read_in_slices_like_any_other(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        cache_of(flow)._outgrown(VISITS)
        assert [stage.deals for stage in flow.ask(StageTimes()).stages] == []
