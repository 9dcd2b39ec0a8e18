"""A rebuild beside people who record and ask, on one core and on all of them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from databases import Postgres
from properties.people_fold import PEOPLE, TABLE
from properties.raw_log import rows_of
from salesflow import STANDARD, Deal, ExternalEvent, Money, SalesFlow
from salesflow.adapters.projector import balances as balancing
from salesflow.adapters.projector import rebuild as filling
from salesflow.adapters.projector import rebuild as rebuild_helpers
from salesflow.adapters.projector import rebuild as rebuilding
from salesflow.adapters.projector import runner as running
from salesflow.adapters.projector.read_tables import PROJECTIONS
from salesflow.adapters.projector.rebuild import (
    ShadowTables,
    StreamRanges,
    helping,
    stream_ranges,
)
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.time import DAY
from salesflow.errors import DatabaseError, NotFoundError, ProjectionError
from salesflow.projections.core.balances import BIN
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.pipeline.funnel import Funnel, FunnelView
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import Change, IntervalFold
from simulated import ran

TABLES = (DEAL_STATE.label, PIPELINE.label)
NAMES = (DEAL_STATE.name, PIPELINE.name)
START = 1_735_689_600_000_000


@pytest.fixture(autouse=True)
def _of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tables of SQLite change names however few rows they hold."""
    monkeypatch.setattr(rebuilding, "COPIED_ROWS", 0)


def fill(url: str) -> None:
    """Record thirty deals, moved late, lost and partly taken back."""
    with SalesFlow(url) as flow:
        for _ in range(30):
            record_one(flow)
        flow.catch_up()


@pytest.fixture(scope="module")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with thirty deals, which tests copy."""
    path = tmp_path_factory.mktemp("filled") / "sales.db"
    fill(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="module")
def filled_template(postgres: Postgres) -> Iterator[str]:
    """The name of a PostgreSQL database with thirty deals, which tests copy."""
    with postgres.database() as url:
        fill(url)
        yield sa.make_url(url).database or ""


@pytest.fixture(params=["sqlite", "postgresql"])
def filled_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A copy of the thirty deals on either kind of database."""
    if request.param == "sqlite":
        copied = copyfile(request.getfixturevalue("filled_file"), tmp_path / "sales.db")
        yield f"sqlite:///{copied}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database(template=request.getfixturevalue("filled_template")) as url:
        yield url


@pytest.fixture
def flow(filled_url: str) -> Iterator[SalesFlow]:
    """A log of thirty deals, moved late, lost and partly taken back."""
    with SalesFlow(filled_url) as opened:
        yield opened


def record_one(flow: SalesFlow) -> None:
    deal, stages = uuid4(), [stage.key for stage in STANDARD.open_stages]
    opened = DealOpened(
        process=STANDARD.key,
        process_version=STANDARD.version,
        stage=stages[0],
        title="ERP",
        owner="ann",
        amount=Money(98_000, "CNY"),
    )
    record(flow, deal, opened, 0)
    record(flow, deal, StageMoved(target=stages[2]), 9)
    record(flow, deal, StageMoved(target=stages[1]), 4)  # told late
    record(flow, deal, DealLost(because="price"), 12)
    lost = flow.history(deal)[-1].event_id
    record(flow, deal, FactRetracted(event_id=lost, because="a mistake"), None)


def record(flow: SalesFlow, deal: UUID, fact: Fact, day: int | None) -> None:
    flow.record([ExternalEvent(deal, fact, None if day is None else START + day * DAY)])


def tables_beside(flow: SalesFlow) -> list[str]:
    with flow.log.database.read() as connection:
        return [name for name in sa.inspect(connection).get_table_names() if "__" in name]


def small_slices(patch: pytest.MonkeyPatch) -> None:
    """Let a short log be worth helpers and many slices."""
    patch.setattr(filling, "SLICE_EVENTS", 8)
    patch.setattr(rebuilding, "EVENTS_A_HELPER", 1)
    patch.setattr(rebuilding, "_cores", lambda: 2)


def rows(flow: SalesFlow, *names: str) -> list[list[tuple[object, ...]]]:
    return [sorted(tuple(row.values()) for row in rows_of(flow, name)) for name in names]


def test_processes_that_help_write_the_rows_that_were_kept_up(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "SLICE_EVENTS", 8)
    flow.catch_up()
    goal = flow.log.head().position
    shadows = ShadowTables(flow.log)
    beside = [shadows.begin(FOLDS[label].table) for label in TABLES]
    folds = {name: FOLDS[label] for name, label in zip(beside, TABLES, strict=True)}
    slices = StreamRanges(stream_ranges(flow.log, goal))
    assert slices.number > 5
    with helping(2, rebuilding.task(flow.log, folds, goal), slices) as helpers:
        helpers.wait(lambda: None)
    assert slices.done == slices.number
    assert [len(each) for each in rows(flow, *beside)] == [len(r) for r in rows(flow, *NAMES)]
    assert rows(flow, *beside) == rows(flow, *NAMES)


def test_a_new_log_has_no_unfinished_rebuilds(database_url: str) -> None:
    with SalesFlow(database_url, tenant="new") as flow:
        assert flow.unfinished_rebuilds() == {}


def test_a_rebuild_that_was_killed_is_told_of_until_another_removes_what_it_left(
    flow: SalesFlow,
) -> None:
    flow.catch_up()
    url = flow.log.database.url.render_as_string(hide_password=False)
    assert flow.unfinished_rebuilds() == {}
    with freeze_time("2026-03-02 10:00"):
        left = ShadowTables(flow.log).begin(FOLDS[TABLES[0]].table)
    assert flow.unfinished_rebuilds() == {left: datetime(2026, 3, 2, 10, tzinfo=UTC)}
    told = ran("status", "--db", url)
    assert told.code == 0
    assert "rebuilds that have not ended: 1, the first begun at 2026-03-02" in told.out
    with freeze_time("2026-03-02 20:00"):
        flow.rebuild(TABLES[0])
    assert [*flow.unfinished_rebuilds()] == [left]
    flow.rebuild(TABLES[0])
    assert flow.unfinished_rebuilds() == {}


@pytest.mark.parametrize("cores", [1, 2])
def test_a_rebuild_changes_nothing_with_a_helper_or_without(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    small_slices(monkeypatch)
    monkeypatch.setattr(rebuilding, "_cores", lambda: cores)
    before = rows(flow, *NAMES)
    reached: list[int] = []
    counted = flow.rebuild(*TABLES, progress=lambda done, _: reached.append(done))
    assert rows(flow, *NAMES) == before
    assert list(counted.values()) == [len(each) for each in before]
    assert reached == sorted(reached)
    assert reached[-1] == flow.log.head().position
    assert not tables_beside(flow)


def test_what_is_recorded_while_helpers_rebuild_is_caught_up(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_slices(monkeypatch)
    url = flow.log.database.url.render_as_string(hide_password=False)
    told: list[int] = []
    with SalesFlow(url) as other:

        def meanwhile(done: int, _goal: int) -> None:
            if not told:
                record_one(other)
                other.catch_up()
                told.append(done)

        flow.rebuild(*TABLES, progress=meanwhile)
    assert flow.standings()["pipeline"].position == flow.log.head().position
    found = rows(flow, *NAMES)
    monkeypatch.undo()
    flow.rebuild(*TABLES)
    assert rows(flow, *NAMES) == found


def test_a_fold_of_the_service_is_folded_in_its_own_process(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = flow.log.database.url.render_as_string(hide_password=False)
    with SalesFlow(url, folds=[PEOPLE]) as service:
        service.catch_up()
        small_slices(monkeypatch)
        before = rows(service, TABLE.name, DEAL_STATE.name)
        assert service.rebuild("deal_state", TABLE.label)[TABLE.label] == len(before[0]) > 0
        assert rows(service, TABLE.name, DEAL_STATE.name) == before


def test_a_helper_that_dies_fails_the_rebuild_and_leaves_nothing_behind(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_slices(monkeypatch)
    monkeypatch.setattr(rebuild_helpers, "HELPER", "salesflow.there_is_none")
    before = rows(flow, DEAL_STATE.name)
    with pytest.raises(DatabaseError, match=r"exit code 1: .*there_is_none"):
        flow.rebuild()
    assert rows(flow, DEAL_STATE.name) == before
    assert not tables_beside(flow)
    monkeypatch.undo()
    flow.rebuild("deal_state")
    assert rows(flow, DEAL_STATE.name) == before


def test_what_a_helper_says_is_wrong_is_raised_here(flow: SalesFlow) -> None:
    slices, task = StreamRanges(stream_ranges(flow.log, 1)), rebuilding.task(flow.log, FOLDS, 1)
    nowhere = {"drivername": "sqlite", "database": "/nowhere/sales.db"}
    with (
        helping(1, {**task, "url": nowhere}, slices) as helpers,
        pytest.raises(NotFoundError, match=r"there is no database /nowhere/sales\.db"),
    ):
        helpers.wait(lambda: None)
    assert slices.done == 0


def test_an_interrupted_rebuild_ends_its_helpers_and_leaves_nothing_behind(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_slices(monkeypatch)
    before = rows(flow, PIPELINE.name)

    def interrupt(_done: int, _goal: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flow.rebuild("pipeline", progress=interrupt)
    assert rows(flow, PIPELINE.name) == before
    assert not tables_beside(flow)


def test_a_rebuild_whose_table_was_removed_does_not_say_it_went_well(flow: SalesFlow) -> None:
    before = rows(flow, PIPELINE.name)

    def remove(_done: int, _goal: int) -> None:
        with flow.log.database.begin() as connection:
            beside = PROJECTIONS.c.name.contains("__", autoescape=True)
            connection.execute(sa.delete(PROJECTIONS).where(beside))

    with pytest.raises(ProjectionError, match=r"removed it; salesflow_pipeline_2 stands"):
        flow.rebuild("pipeline", progress=remove)
    assert rows(flow, PIPELINE.name) == before
    assert not tables_beside(flow)


def test_a_rebuild_never_takes_a_table_back(database_url: str) -> None:
    with SalesFlow(database_url) as asking, SalesFlow(database_url) as rebuilding:
        with asking.session() as s:
            deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        views: list[FunnelView] = []

        def meanwhile(_done: int, _of: int) -> None:
            if not views:
                asking.run(lambda s: s.get(Deal, deal.id).lose(because="price"))
                views.append(asking.ask(Funnel()))

        rebuilding.rebuild("deal_state", progress=meanwhile)
        (view,) = views
        assert rebuilding.standings()["deal_state"].position == view.moment.position
        assert asking.ask(Funnel(), at=view.moment) == view


def test_a_question_waits_for_nobody_where_nothing_is_to_be_done(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        flow.ask(Funnel())
    with (
        SalesFlow(sqlite_url) as asking,
        SalesFlow(sqlite_url) as writing,
        writing._database.begin(),
    ):
        assert asking.ask(Funnel()).open_deals == 0


def test_who_reads_while_tables_change_places_reads_on_in_the_old_ones(flow: SalesFlow) -> None:
    counts = [sa.select(sa.func.count()).select_from(FOLDS[n].table.table) for n in TABLES]
    with flow.log.database.read() as connection:
        before = [connection.execute(count).scalar_one() for count in counts]
        flow.rebuild(*TABLES)
        record_one(flow)
        flow.catch_up()
        assert [connection.execute(count).scalar_one() for count in counts] == before
    with flow.log.database.read() as connection:
        now = [connection.execute(count).scalar_one() for count in counts]
    assert all(new > old for new, old in zip(now, before, strict=True))


def test_tables_of_few_rows_are_copied_and_those_of_more_change_names(
    filled_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either way the new rows are those that were kept up, and nothing is left beside them."""
    found = []
    with SalesFlow(filled_url) as flow, SalesFlow(filled_url) as asking:
        before = rows(flow, *NAMES)
        most = max(map(len, before))
        for copied in (most, most - 1):
            monkeypatch.setattr(rebuilding, "COPIED_ROWS", copied)
            empty(flow, DEAL_STATE.name)
            places = places_of(flow)
            flow.rebuild(*TABLES)
            found.append(places_of(flow) == places)
            assert rows(flow, *NAMES) == before
            assert asking.ask(Funnel()).open_deals == 30
            assert not tables_beside(flow)
    assert found == [True, filled_url.startswith("postgresql")]


def places_of(flow: SalesFlow) -> list[tuple[object, ...]]:
    """Return where a database keeps the two tables, which changes when they change names."""
    sqlite = flow.log.database.dialect == "sqlite"
    table, place = ("sqlite_master", "rootpage") if sqlite else ("pg_class", "oid")
    column = "name" if sqlite else "relname"
    named = " OR ".join(f"{column} = '{name}'" for name in NAMES)
    with flow.log.database.read() as connection:
        found = connection.exec_driver_sql(f"SELECT {place} FROM {table} WHERE {named}")
        return sorted(map(tuple, found))


def test_views_show_the_tables_that_have_taken_the_place_of_others(flow: SalesFlow) -> None:
    for _ in range(2):
        flow.rebuild(*TABLES)
    record_one(flow)
    flow.catch_up()
    for table in (DEAL_STATE, PIPELINE):
        seen = sa.text(f"SELECT count(DISTINCT entity_id) FROM {table.view}")
        with flow.log.database.read() as connection:
            assert connection.execute(seen).scalar_one() == 31


def test_a_rebuild_leaves_the_rows_of_other_tenants_where_they_are(
    flow: SalesFlow, filled_url: str
) -> None:
    mine = rows(flow, *NAMES)
    with SalesFlow(filled_url, tenant="other") as other:
        record_one(other)
        other.catch_up()
        theirs = rows(other, *NAMES)
        flow.rebuild(*TABLES)
        other.rebuild(*TABLES)
        assert rows(other, *NAMES) == theirs
    assert rows(flow, *NAMES) == mine


def test_a_rebuild_leaves_no_movements_unsummed_however_many_there_are(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balancing, "BIN_MOVEMENTS", 5)
    monkeypatch.setattr(balancing, "BINS_AT_ONCE", 2)
    flow.rebuild(PIPELINE.label)
    c, balance = PIPELINE.c, PIPELINE.balance.c
    binned = sa.select(sa.func.max(balance.upto)).where(balance.level == BIN).scalar_subquery()
    unsummed = sa.select(sa.func.count()).where(c.recorded > binned)
    with flow.log.database.read() as connection:
        assert connection.execute(unsummed).scalar_one() < 5


def test_empty_tables_of_a_long_log_are_filled_at_once_with_the_rows_of_a_catch_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "SLICE_EVENTS", 8)
    with SalesFlow(database_url) as flow:
        for _ in range(10):
            record_one(flow)
        monkeypatch.setattr(running, "FILLED_EVENTS", flow.log.head().position + 1)
        flow.catch_up()
        caught_up = rows(flow, *NAMES)
        for name in NAMES:
            empty(flow, name)
    monkeypatch.setattr(running, "FILLED_EVENTS", 1)
    reached: list[int] = []
    with SalesFlow(database_url) as flow:
        flow.ask(Funnel(), progress=lambda done, _: reached.append(done))
        assert flow.standings()["pipeline"].position == flow.log.head().position
        flow.catch_up()
        assert rows(flow, *NAMES) == caught_up
        assert not tables_beside(flow)
        assert reached == sorted(reached)
        record_one(flow)
        flow.catch_up()
        assert len(rows(flow, DEAL_STATE.name)[0]) > len(caught_up[0])


def test_where_a_fold_fails_empty_tables_of_a_long_log_catch_up_one_by_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "FILLED_EVENTS", 1)
    failing = IntervalFold(TABLE, frozenset({DealOpened}), lambda _: Failing())
    with SalesFlow(database_url, folds=[failing]) as flow:
        for _ in range(3):
            record_one(flow)
        with pytest.raises(ProjectionError, match="people_of_this_test"):
            flow.catch_up()
        standings = flow.standings()
        assert standings["pipeline"].position == flow.log.head().position
        assert standings["people_of_this_test"].position < flow.log.head().position
        assert not tables_beside(flow)


class Failing:
    """A fold that cannot go on."""

    def apply(self, event: Event) -> list[Change]:
        raise KeyError(event.position)


def empty(flow: SalesFlow, name: str) -> None:
    """Leave nothing of a read table, as before the first question."""
    with flow.log.database.begin() as connection:
        for table in (PIPELINE if name == PIPELINE.name else DEAL_STATE).parts.sorted_tables:
            connection.execute(sa.delete(table))
        c = PROJECTIONS.c
        moved = sa.update(PROJECTIONS).where(c.name == name)
        connection.execute(moved.values(position=0, recorded=0))
