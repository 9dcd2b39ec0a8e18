"""Tables in memory follow rows that change otherwise than by what the log tells next."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from databases import tamper
from engine.test_unreadable_events import lost, opened, spoil
from properties.test_columns import Both, BothView
from salesflow import SalesFlow
from salesflow.adapters.projector import columns, snapshot
from salesflow.adapters.projector import rebuild as rebuilding
from salesflow.adapters.projector.rebuild import ShadowTables
from salesflow.adapters.projector.runner import Runner
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event
from salesflow.domain.time import Moment
from salesflow.errors import InputError
from salesflow.projections.core.balances import balances
from salesflow.projections.core.question import Reader
from salesflow.projections.pipeline.funnel import Funnel
from salesflow.projections.stages.stage_times import StageTimes
from salesflow.projections.table import Change, IntervalFold, IntervalTable, ReadTable

WAIT_SECONDS = 30


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
    stored = Runner.stored
    monkeypatch.setattr(
        *(Runner, "stored"),
        lambda *of: {name: at._replace(notes={}) for name, at in stored(*of).items()},
    )
    monkeypatch.setattr(columns.ColumnCache, "_made_as", lambda *_: 0)
    with pytest.raises(AssertionError):
        mended_elsewhere(flow)


def rebuilt_elsewhere(flow: SalesFlow) -> None:
    """Let somebody change rows, and another engine build the table anew."""
    opened(flow)
    flow.catch_up()
    tamper(url_of(flow), "UPDATE salesflow_stage_visit_2 SET owner = 'eve'")
    assert flow.ask(StageTimes(owner="eve")).stages[0].deals == 1
    with SalesFlow(url_of(flow)) as other:
        other.rebuild("stage_visit")
    assert flow.ask(StageTimes(owner="eve")).stages[0].deals == 0
    flow.ask(Both())


@pytest.mark.parametrize("copied", [0, 1_000], ids=["by its name", "by its rows"])
def test_a_table_that_another_engine_built_anew_is_read_anew(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch, copied: int
) -> None:
    monkeypatch.setattr(rebuilding, "COPIED_ROWS", copied)
    rebuilt_elsewhere(flow)


def test_whoever_overlooks_a_table_built_anew_is_found_out(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns.ColumnCache, "_made_as", lambda *_: 0)
    with pytest.raises(AssertionError):
        rebuilt_elsewhere(flow)


def test_rows_asked_for_while_they_are_built_anew_are_those_that_stand(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another tenant in the database rows are changed in place, and no table's name."""
    swap = ShadowTables.swap
    asked: list[int] = []
    with SalesFlow(database_url, tenant="a") as flow, SalesFlow(database_url) as beside:
        for each in (flow, beside):
            opened(each)
            each.catch_up()
        tamper(database_url, "UPDATE salesflow_stage_visit_2 SET owner = 'eve'")

        def of_eve() -> int:
            return flow.ask(StageTimes(owner="eve")).stages[0].deals

        def swapped(self: ShadowTables, table: ReadTable, shadow: str) -> bool:
            asked.append(of_eve())
            done = swap(self, table, shadow)
            asked.append(of_eve())
            return done

        monkeypatch.setattr(ShadowTables, "swap", swapped)
        with SalesFlow(database_url, tenant="a") as other:
            other.rebuild("stage_visit")
        assert [*asked, of_eve()] == [1, 0, 0]


class WhileOthersCatchUp(Both):
    """Does somebody with a snapshot wait for who catches up, and so for a connection?"""

    def answer(self, reader: Reader, moment: Moment) -> BothView:
        """Read every table while another thread is at work on them."""
        begun, done = Flag(), Flag()
        with ThreadPoolExecutor(1) as threads:
            catching_up = threads.submit(at_work, begun, done)
            begun.wait()
            try:
                return super().answer(reader, moment)
            finally:
                done.set()
                assert catching_up.result(), "it was waited for"


RUNNER: list[Runner] = []


def at_work(begun: Flag, done: Flag) -> bool:
    """Hold what who catches up holds; say whether nobody waited for that."""
    with RUNNER[-1]._lock:
        begun.set()
        return done.wait(WAIT_SECONDS)


def test_who_has_a_snapshot_open_does_not_wait_for_who_catches_up(flow: SalesFlow) -> None:
    opened(flow)
    RUNNER.append(flow._tables())
    flow.ask(WhileOthersCatchUp())


def test_a_column_that_holds_no_whole_numbers_is_refused(database_url: str) -> None:
    table = IntervalTable("halves", 1, attributes=(sa.Column("half", sa.Float),))
    halves = IntervalFold(table, frozenset({DealOpened}), lambda _: Halves())

    class OfHalves(Both):
        """What is in a table of halves?"""

        folds: ClassVar[tuple[str, ...]] = (table.name,)

        def answer(self, reader: Reader, moment: Moment) -> BothView:
            """Read them as columns."""
            return BothView(moment=moment, rows=(("halves", len(reader.columns(table))),))

    with SalesFlow(database_url, folds=[halves]) as flow:
        opened(flow)
        with pytest.raises(InputError, match="column half is of type Float"):
            flow.ask(OfHalves())


class Halves:
    """Gives a half for every deal."""

    def apply(self, _: Event) -> Iterator[Change]:
        yield (), (0.5,)  # type: ignore[misc]


def test_a_funnel_that_is_asked_again_reads_no_balances_of_the_database(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(flow)
    first = flow.ask(Funnel())
    assert first.open_deals == 1
    monkeypatch.setattr(snapshot, "balances", lambda *_: pytest.fail("they were read"))
    for at in (first.moment, first.moment):
        assert flow.ask(Funnel(), at=at) == first
    opened(flow)
    assert flow.ask(Funnel()).open_deals == 2


def test_a_ledger_that_is_too_large_is_not_taken_into_memory_for_its_balances(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "HELD_EVENTS", 0)
    opened(flow)
    read = Counter[str]()

    def counted(*of: Any) -> Any:  # noqa: ANN401 - as it is
        read["balances"] += 1
        return balances(*of)

    monkeypatch.setattr(snapshot, "balances", counted)
    for asked in (1, 2, 3):
        assert flow.ask(Funnel()).open_deals == 1
        assert read["balances"] == asked
