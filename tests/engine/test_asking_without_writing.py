"""Asking where nothing can be written: full disks, archived files, roles that may select."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from databases import plain_connection, reading_only
from salesflow import STANDARD, Deal, Money, SalesFlow
from salesflow.errors import BusyError, DatabaseError, UnwritableError
from salesflow.projections.pipeline.funnel import Funnel, FunnelView
from simulated import ran
from store.test_half_copied_files import no_room_after

NOBODY = 65_534
READING = (("status",), ("deal", "list"), ("check",), ("ask", "funnel"))


def opened(flow: SalesFlow, number: int = 1) -> None:
    for _ in range(number):
        with flow.session() as s:
            s.add(Deal.open(STANDARD, title="ERP", owner="ann", amount=Money("7", "EUR")))


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Have no more rights than others have: the owner of the machine may write anything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def archive() -> Iterator[Path]:
    """A closed database of two deals, one of them not in the tables yet, in a locked folder."""
    with tempfile.TemporaryDirectory(prefix="salesflow-archive-") as name:
        folder = Path(name)
        file = folder / "sales.db"
        with SalesFlow(f"sqlite:///{file}") as flow:
            opened(flow)
            flow.catch_up()
            opened(flow)
        if os.geteuid() == 0:  # whoever we become cannot load what is not loaded yet
            load_all(file)
        file.chmod(0o444)
        folder.chmod(0o555)
        yield file
        folder.chmod(0o755)


def load_all(file: Path) -> None:
    """Do with a copy what is done with the archive."""
    copy = file.parent / "first.db"
    shutil.copy(file, copy)
    for command in READING:
        assert ran(*command, "--db", str(copy)).code == 0
    assert ran("clock", "accept", "--db", str(copy)).code == 2
    for ending in ("", "-wal", "-shm"):
        Path(f"{copy}{ending}").unlink(missing_ok=True)


def told_behind(view: FunnelView, events: int) -> None:
    """Expect an answer where the tables stand, that says so in every form."""
    assert view.open_deals == 1
    assert view.behind is not None
    assert view.behind.events == events
    counted = "1 event" if events == 1 else f"{events} events"
    assert f"the answer is {counted} behind" in view.table()
    assert f"答案落后 {events} 条事件" in view.table("zh")
    assert view.to_dict()["behind"]["events"] == events


def test_an_archived_file_is_asked_where_its_tables_stand(archive: Path) -> None:
    before = sorted(os.listdir(archive.parent))
    with as_somebody_else(), SalesFlow(f"sqlite:///{archive}") as flow:
        view = flow.ask(Funnel())
        told_behind(view, 1)
        assert flow.ask(Funnel(), at=view.moment) == view
        assert flow.check(all=True).whole
        with pytest.raises(UnwritableError, match=r"sales\.db can only be read"):
            opened(flow)
        with pytest.raises(UnwritableError, match=r"sales\.db can only be read"):
            flow.catch_up()
    assert sorted(os.listdir(archive.parent)) == before
    archive.parent.chmod(0o755)
    archive.chmod(0o644)
    with SalesFlow(f"sqlite:///{archive}") as flow:
        assert flow.ask(Funnel()).open_deals == 2
        again = flow.ask(Funnel(), at=view.moment)
        assert (again, again.behind) == (view, None)


def test_a_backup_whose_tables_were_never_filled_is_not_answered_by_zeros(
    archive: Path,
) -> None:
    folder = archive.parent
    folder.chmod(0o755)
    copy = folder / "copy.db"
    with SalesFlow(f"sqlite:///{folder / 'new.db'}") as flow:
        opened(flow)
        assert {stand.position for stand in flow.standings().values()} == {0}
        flow.backup(copy)
    copy.chmod(0o444)
    folder.chmod(0o555)
    with as_somebody_else(), SalesFlow(f"sqlite:///{copy}") as flow:
        with pytest.raises(UnwritableError, match="run `salesflow project` on the database"):
            flow.ask(Funnel())
        with pytest.raises(UnwritableError, match="never filled"):
            flow.compare(Funnel(), to_as_of="2020-01-01")


def test_every_command_that_only_reads_works_on_an_archive(archive: Path) -> None:
    with as_somebody_else():
        for command in READING:
            told = ran(*command, "--db", str(archive))
            assert (told.code, told.err) == (0, ""), command
        shown = ran("ask", "funnel", "--db", str(archive), "--lang", "zh").out
        assert "答案落后 1 条事件" in shown
        refused = ran("clock", "accept", "--because", "x", "--db", str(archive))
        assert refused.code == 2
        assert "can only be read" in refused.err


def test_a_file_that_can_be_written_in_a_folder_that_cannot_is_read(archive: Path) -> None:
    archive.chmod(0o666)
    with as_somebody_else(), SalesFlow(f"sqlite:///{archive}") as flow:
        told_behind(flow.ask(Funnel()), 1)


def test_an_archive_with_a_write_ahead_log_says_what_to_do(archive: Path) -> None:
    archive.parent.chmod(0o755)
    archive.chmod(0o644)
    with SalesFlow(f"sqlite:///{archive}") as flow:
        opened(flow)
        wal = Path(f"{archive}-wal")
        copy = archive.parent / "copy.db"
        shutil.copy(archive, copy)
        shutil.copy(wal, f"{copy}-wal")
    copy.chmod(0o444)
    archive.parent.chmod(0o555)
    with (
        as_somebody_else(),
        pytest.raises(DatabaseError, match=r"copy\.db-wal holds what was not copied back"),
    ):
        SalesFlow(f"sqlite:///{copy}")


def test_an_archive_that_changes_while_it_is_read_is_refused(archive: Path) -> None:
    with as_somebody_else():
        flow = SalesFlow(f"sqlite:///{archive}")
    with flow:
        with pytest.raises(BusyError, match="somebody changed"), flow.log.database.read():
            os.utime(archive, ns=(1, 1))
        assert flow.ask(Funnel()).open_deals == 1
    assert stat.S_IMODE(archive.stat().st_mode) == 0o444


def test_a_full_disk_stops_recording_but_no_question(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        opened(flow)
        flow.catch_up()
        opened(flow, 40)

        def fill(connection: object, _record: object) -> None:
            cursor = connection.cursor()  # type: ignore[attr-defined]
            cursor.execute("PRAGMA max_page_count = 1")  # as many pages as there are
            cursor.close()

        flow.log.database.engine.dispose()
        sa.event.listen(flow.log.database.engine, "connect", fill)
        view = flow.ask(Funnel())
        told_behind(view, 40)
        with pytest.raises(UnwritableError, match="make room on its disk"):
            flow.catch_up()
        sa.event.remove(flow.log.database.engine, "connect", fill)
        flow.log.database.engine.dispose()
        assert flow.ask(Funnel()).open_deals == 41
        assert flow.ask(Funnel(), at=view.moment) == view


def test_who_opens_a_database_on_a_full_disk_asks_it_where_its_tables_stand(
    tmp_path: Path,
) -> None:
    """There is no room even for what readers of a write-ahead log share."""
    file = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{file}") as flow:
        opened(flow)
        flow.catch_up()
        opened(flow)
    with no_room_after(1), SalesFlow(f"sqlite:///{file}", create=False) as flow:
        told_behind(flow.ask(Funnel()), 1)
        assert flow.check(all=True).whole
        with pytest.raises(UnwritableError, match=r"no room on its disk\); to record, make"):
            opened(flow)
    with SalesFlow(f"sqlite:///{file}", create=False) as flow:
        assert flow.ask(Funnel()).open_deals == 2
        opened(flow)
        assert flow.ask(Funnel()).open_deals == 3


def test_read_tables_that_were_never_made_are_not_said_to_be_dropped(tmp_path: Path) -> None:
    """A disk that an import filled has no room for them, and nothing of the log is lost."""
    file = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{file}") as flow:
        opened(flow)
    with no_room_after(1):
        with SalesFlow(f"sqlite:///{file}", create=False) as flow:
            assert {stand.position for stand in flow.standings().values()} == {0}
            assert (flow.disagreements(), flow.left_out()) == ([], ())
            assert flow.check(all=True).whole
            with pytest.raises(UnwritableError, match="missing and cannot be made"):
                flow.ask(Funnel())
        told = [ran(command, "--db", str(file)) for command in ("status", "check")]
    assert [(each.code, each.err) for each in told] == [(0, "")] * 2
    assert "the read tables are not filled yet" in told[1].out
    with SalesFlow(f"sqlite:///{file}", create=False) as flow:
        assert flow.ask(Funnel()).open_deals == 1


def test_what_was_read_on_a_full_disk_is_refused_when_somebody_writes_meanwhile(
    tmp_path: Path,
) -> None:
    file = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{file}") as flow:
        opened(flow)
        flow.catch_up()
    with no_room_after(1):
        flow = SalesFlow(f"sqlite:///{file}", create=False)
    with flow, SalesFlow(f"sqlite:///{file}") as other:
        with pytest.raises(BusyError, match="somebody changed"), flow.log.database.read():
            opened(other)
        other.catch_up()
        assert flow.ask(Funnel()).open_deals == 2


def test_commits_that_were_not_copied_back_are_not_passed_over_on_a_full_disk(
    tmp_path: Path,
) -> None:
    file, copy = tmp_path / "sales.db", tmp_path / "copy.db"
    with SalesFlow(f"sqlite:///{file}") as flow:
        opened(flow)
        for ending in ("", "-wal"):
            shutil.copy(f"{file}{ending}", f"{copy}{ending}")
    with no_room_after(1), pytest.raises(DatabaseError, match="holds what was not copied back"):
        SalesFlow(f"sqlite:///{copy}", create=False)


def test_a_role_that_may_only_select_asks_where_the_tables_stand(postgres_url: str) -> None:
    role = f"reader_{os.getpid()}"
    with SalesFlow(postgres_url) as flow, plain_connection(postgres_url) as connection:
        opened(flow)
        flow.catch_up()
        opened(flow)
        connection.execute(f"CREATE ROLE {role} LOGIN")
        try:
            connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
            url = flow.log.database.url.set(username=role, password=None)
            with SalesFlow(url.render_as_string(hide_password=False)) as reading:
                told_behind(reading.ask(Funnel()), 1)
                assert reading.check(all=True).whole
                with pytest.raises(UnwritableError, match="permission denied"):
                    opened(reading)
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


def test_transactions_that_only_read_by_default_ask_where_the_tables_stand(
    postgres_url: str,
) -> None:
    with SalesFlow(postgres_url) as flow:
        opened(flow)
        flow.catch_up()
        opened(flow)
    with SalesFlow(reading_only(postgres_url)) as reading:
        told_behind(reading.ask(Funnel()), 1)
        with pytest.raises(UnwritableError, match="read-only transaction"):
            opened(reading)


def test_tables_that_were_never_made_are_named(postgres_url: str) -> None:
    with SalesFlow(postgres_url) as flow:
        opened(flow)
    with (
        SalesFlow(reading_only(postgres_url)) as reading,
        pytest.raises(UnwritableError, match="is missing and cannot be made"),
    ):
        reading.ask(Funnel())
