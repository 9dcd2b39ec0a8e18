"""A database is opened by URL alone, and only when it is ours."""

import os
import sqlite3
import stat
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
import sqlalchemy as sa

from databases import Postgres, plain_connection
from salesflow import SalesFlow
from salesflow.adapters.database import schema
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.errors import BusyError, DatabaseError, InputError, NotFoundError, SchemaError
from store.facts import NOTES, draft

OPEN_AND_APPEND = """
import sys
from uuid import uuid4
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.adapters.event_store.append_checks import UNCHECKED
from salesflow.domain.ids import new_id
sys.stdin.read(1)
with Database(sys.argv[1]) as database:
    log = EventLog(database, catalogue=UNCHECKED)
    log.append([NewEvent(uuid4(), 1, "a:1", b"{}", new_id(), None)])
"""


def sqlite_path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def set_version(url: str, version: int) -> None:
    with Database(url) as database, database.begin() as connection:
        connection.execute(sa.update(schema.schema_row).values(version=version))


def test_a_database_is_created_empty_and_opened_again(database_url: str) -> None:
    for _ in range(2):
        with Database(database_url) as database:
            assert EventLog(database).head() == (0, 0)


def test_a_postgresql_url_needs_no_driver_named(postgres_url: str) -> None:
    with Database(postgres_url.replace("postgresql+psycopg:", "postgresql:")) as database:
        assert database.dialect == "postgresql"


def test_an_empty_postgresql_database_gets_its_tables(postgres: Postgres) -> None:
    with postgres.database(template="template0") as url, Database(url) as database:
        assert EventLog(database, catalogue=NOTES).append([draft()]).first == 1


def test_a_database_that_should_be_there_is_not_made(
    database_url: str, postgres: Postgres, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="there is no database"):
        Database(f"sqlite:///{tmp_path / 'other.db'}", create=False)
    assert not (tmp_path / "other.db").exists()
    with (
        postgres.database(template="template0") as url,
        pytest.raises(NotFoundError, match="holds no log"),
    ):
        Database(url, create=False)
    Database(database_url).close()
    Database(database_url, create=False).close()


@pytest.mark.parametrize("pragma", [("synchronous", 2), ("foreign_keys", 1)])
def test_sqlite_connections_are_durable_and_strict(
    sqlite_url: str, pragma: tuple[str, int]
) -> None:
    name, value = pragma
    with Database(sqlite_url) as database, database.read() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {name}").scalar() == value
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_only_what_follows_from_the_log_is_committed_before_the_disk_has_it(
    database: Database,
) -> None:
    asked: tuple[str, object] = "SHOW synchronous_commit", "off"
    if database.dialect == "sqlite":
        asked = "PRAGMA synchronous", 1
    setting, without = asked
    kinds, found = (database.begin, database.derive, database.begin, database.creating), []
    for kind in (*kinds, *kinds):
        with kind() as connection:
            found.append(connection.exec_driver_sql(setting).scalar() == without)
    assert found == [False, True, False, False] * 2


def test_who_appends_to_sqlite_keeps_more_pages_than_who_reads(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow, flow.log.database.read() as connection:
        assert flow.log.database.rows("PRAGMA cache_size", ()) == [(-8192,)]
        assert connection.exec_driver_sql("PRAGMA cache_size").scalar() != -8192


def test_no_connection_to_sqlite_checkpoints_by_itself(sqlite_url: str) -> None:
    with Database(sqlite_url) as database, database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == 0


def test_the_write_ahead_log_is_copied_back_before_it_grows_without_bound(
    sqlite_url: str,
) -> None:
    log_file = Path(f"{sqlite_path(sqlite_url)}-wal")
    with Database(sqlite_url) as database:
        log = EventLog(database, catalogue=NOTES)
        sizes = set()
        for _ in range(20):
            log.append_many([[draft()] for _ in range(2_000)])
            sizes.add(log_file.stat().st_size)
        assert max(sizes) < 10_000_000


def test_only_the_owner_may_read_a_new_sqlite_file(sqlite_url: str) -> None:
    before = os.umask(0)
    try:
        with Database(sqlite_url) as database:
            EventLog(database, catalogue=NOTES).append([draft()])
            path = sqlite_path(sqlite_url)
            for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_sqlite_without_a_file_is_gone_after_closing() -> None:
    with Database("sqlite://") as database:
        log = EventLog(database, catalogue=NOTES)
        log.append([draft()])
        path = Path(str(database.engine.url.database))
        assert path.exists()
    assert not path.exists()
    assert not path.parent.exists()


def test_processes_that_open_a_new_database_at_once_create_it_once(
    database_url: str, postgres: Postgres
) -> None:
    if database_url.startswith("sqlite"):
        open_at_once(database_url)
    else:
        with postgres.database(template="template0") as url:
            open_at_once(url)


def open_at_once(url: str) -> None:
    processes = [
        Popen([sys.executable, "-c", OPEN_AND_APPEND, url], stdin=PIPE, stderr=PIPE)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"!")
        process.stdin.flush()
    outcomes = [(process.communicate()[1], process.returncode) for process in processes]
    assert outcomes == [(b"", 0)] * 3
    with Database(url) as database:
        assert EventLog(database).head().position == 3


def test_a_database_of_a_newer_salesflow_is_refused(database_url: str) -> None:
    set_version(database_url, 5)
    with pytest.raises(SchemaError, match="schema version 5, newer than this salesflow"):
        Database(database_url)


def test_a_database_of_an_older_salesflow_is_refused(database_url: str) -> None:
    set_version(database_url, 2)
    with pytest.raises(
        SchemaError,
        match=r"schema version 2, older than this salesflow.*make it anew from its source",
    ):
        Database(database_url)


def test_a_database_that_holds_something_else_is_refused_and_left_as_it_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "places.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="it holds bookmarks"):
        Database(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_the_log_may_live_beside_the_tables_of_a_service_that_says_so(
    database_url: str, postgres: Postgres
) -> None:
    def beside(url: str) -> None:
        with plain_connection(url) as connection:
            connection.execute("CREATE TABLE orders (id INTEGER)")
        with pytest.raises(SchemaError, match="shared=True"):
            Database(url)
        with Database(url, shared=True) as database:
            assert EventLog(database).head().position == 0
        Database(url).close()

    if database_url.startswith("sqlite"):
        beside(database_url)
    else:
        with postgres.database(template="template0") as url:
            beside(url)


def test_a_table_that_only_looks_like_ours_is_refused(sqlite_url: str) -> None:
    with sqlite3.connect(sqlite_path(sqlite_url)) as other:
        other.execute("CREATE TABLE salesflow_schema (colour TEXT)")
    other.close()
    with pytest.raises(SchemaError, match=r"no such column: salesflow_schema\.version"):
        Database(sqlite_url)


def test_a_database_that_lost_its_schema_version_is_refused(database_url: str) -> None:
    with Database(database_url) as database, database.begin() as connection:
        connection.execute(sa.delete(schema.schema_row))
    with pytest.raises(SchemaError, match="it has no schema version"):
        Database(database_url)


def test_a_part_of_our_tables_is_refused_even_when_shared(sqlite_url: str) -> None:
    with sqlite3.connect(sqlite_path(sqlite_url)) as other:
        other.execute("CREATE TABLE salesflow_events (colour TEXT)")
    other.close()
    with pytest.raises(SchemaError, match="it holds salesflow_events"):
        Database(sqlite_url, shared=True)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear customer, " * 100)
    with pytest.raises(SchemaError, match="not a SQLite database"):
        Database(f"sqlite:///{path}")


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"nowhere.*cannot be opened"):
        Database(f"sqlite:///{tmp_path / 'nowhere' / 'sales.db'}")


def test_a_server_that_does_not_answer_is_a_database_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="PostgreSQL"):
        Database(f"postgresql://somebody@/sales?host={tmp_path}")


@pytest.mark.parametrize(
    "url", ["mysql://host/sales", "sales.db", "sqlite:///file:sales.db?uri=true"]
)
def test_other_urls_are_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(InputError, match="sqlite:///"):
        Database(url)


def test_postgresql_without_its_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "database.postgres",
        "event_store.postgres_append",
        "event_store.postgres_rows",
    ):
        monkeypatch.delitem(sys.modules, f"salesflow.adapters.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseError, match=r"pip install 'salesflow\[postgres\]'"):
        Database("postgresql://host/sales")


def test_a_read_sees_one_snapshot_whatever_is_recorded_meanwhile(database: Database) -> None:
    log = EventLog(database, catalogue=NOTES)
    log.append([draft()])
    with database.read() as snapshot:
        assert log.head(snapshot).position == 1
        log.append([draft()])
        assert log.head(snapshot).position == 1
        assert len(log.page(0, 10, snapshot)) == 1
    assert log.head().position == 2


def test_nothing_can_be_written_through_a_read_on_postgresql(postgres_url: str) -> None:
    with (
        Database(postgres_url) as database,
        pytest.raises(DatabaseError, match="read-only transaction"),
        database.read() as snapshot,
    ):
        snapshot.execute(sa.update(schema.schema_row).values(version=2))


def test_a_write_is_kept_when_its_block_ends_and_dropped_when_it_fails(
    database: Database,
) -> None:
    notes = sa.Table("notes", sa.MetaData(), sa.Column("note", sa.Text))
    database.create_tables(notes.metadata)
    database.create_tables(notes.metadata)
    with database.begin() as connection:
        connection.execute(notes.insert().values(note="kept"))
    with pytest.raises(ValueError, match="changed my mind"), database.begin() as connection:
        connection.execute(notes.insert().values(note="dropped"))
        raise ValueError("changed my mind")
    with database.read() as snapshot:
        assert snapshot.scalars(sa.select(notes.c.note)).all() == ["kept"]


def test_a_second_writer_of_a_sqlite_file_waits_and_then_hears_that_it_is_busy(
    sqlite_url: str,
) -> None:
    with (
        Database(sqlite_url) as first,
        Database(sqlite_url, wait_seconds=0.01) as second,
        first.begin(),
    ):
        with pytest.raises(BusyError), second.begin():
            pass
        with pytest.raises(BusyError):
            EventLog(second, catalogue=NOTES).append([draft()])


def test_a_closed_database_says_so(database: Database) -> None:
    log = EventLog(database, catalogue=NOTES)
    database.close()
    with pytest.raises(DatabaseError, match="closed"):
        log.head()
    with pytest.raises(DatabaseError, match="closed"), database.read():
        pass
    with pytest.raises(DatabaseError, match="closed"), database.begin():
        pass


def test_a_reader_finds_its_way_back_after_the_server_has_dropped_its_connections(
    postgres_url: str,
) -> None:
    with Database(postgres_url) as database:
        log = EventLog(database, catalogue=NOTES)
        log.append([draft()])
        log.head()
        drop_connections(postgres_url)
        assert log.head().position == 1
        assert log.append([draft()]).first == 2
        drop_connections(postgres_url)
        with database.read() as snapshot:
            assert log.head(snapshot).position == 2


def drop_connections(url: str) -> None:
    with plain_connection(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_second_opening_in_a_process_drops_no_lock_of_the_first(sqlite_url: str) -> None:
    path = sqlite_path(sqlite_url)
    visit = (
        f"import sqlite3; file = sqlite3.connect({str(path)!r});"
        " file.execute('SELECT count(*) FROM salesflow_events').fetchall(); file.close()"
    )
    with Database(sqlite_url) as first:
        EventLog(first, catalogue=NOTES).append([draft()])
        Database(sqlite_url).close()
        with Popen([sys.executable, "-c", visit]) as visitor:
            assert visitor.wait() == 0
        there = Path(f"{path}-wal").exists()
    assert there, "another process took itself for the last one and removed the log beside it"


@pytest.mark.parametrize(
    "seconds", [-1, float("nan"), float("inf"), float("-inf"), 1e300, 10**30, 86_401]
)
def test_nobody_waits_for_others_without_an_end_or_for_less_than_nothing(
    seconds: float, database_url: str
) -> None:
    with pytest.raises(InputError, match=r"wait_seconds is .*; write a number of seconds"):
        Database(database_url, wait_seconds=seconds)
    for good in (0, 86_400):
        with Database(database_url, wait_seconds=good) as database, database.begin():
            pass
