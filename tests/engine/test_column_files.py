"""Files of columns beside a database make questions begin fast, and never change an answer."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databases import plain_connection
from engine.test_unreadable_events import opened
from properties.effort import examples
from properties.moments import Pick, picks
from properties.playing import Act, Player, acts
from properties.test_columns import TABLES, Both, BothView, asked
from salesflow import STANDARD, Deal, SalesFlow
from salesflow.adapters.checks.check_columns import file_differs
from salesflow.adapters.event_store.reading import EventReading
from salesflow.adapters.projector import column_files, columns
from salesflow.errors import InputError
from salesflow.projections.core.columns import Column
from salesflow.projections.stages.stage_times import StageTimes
from salesflow.projections.table import ReadTable
from simulated import ran

OTHER_ID = "lower(hex(randomblob(16)))"


@pytest.fixture(autouse=True)
def _of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep files of tables of few rows too, and go on from them."""
    monkeypatch.setattr(columns, "FILED_ROWS", 0)
    monkeypatch.setattr(columns, "TAIL_SHARE", 0)


@pytest.fixture(scope="module")
def asked_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with three deals, all of whose tables have files, which tests copy."""
    path = tmp_path_factory.mktemp("asked") / "sales.db"
    with pytest.MonkeyPatch.context() as patch, SalesFlow(f"sqlite:///{path}") as flow:
        patch.setattr(columns, "FILED_ROWS", 0)
        for _ in range(3):
            opened(flow)
        flow.ask(Both())
    return path


@pytest.fixture
def url(asked_once: Path, sqlite_url: str) -> str:
    """Return a copy of that database with its files."""
    shutil.copy2(asked_once, sqlite_url.removeprefix("sqlite:///"))
    shutil.copytree(folder_of(f"sqlite:///{asked_once}"), folder_of(sqlite_url))
    return sqlite_url


def folder_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///") + "-columns")


def kept_in(folder: Path, url: str) -> list[Path]:
    """Ask with a folder for copies, twice; give the folders that are in it then."""
    for _ in range(2):
        with SalesFlow(url, columns_folder=str(folder)) as flow:
            flow.ask(Both())
    return sorted(folder.iterdir())


def answered(url: str, tenant: str = "main") -> BothView:
    with SalesFlow(url, tenant=tenant) as flow:
        return flow.ask(Both())


def deals_of(url: str, owner: str) -> int:
    with SalesFlow(url) as flow:
        return flow.ask(StageTimes(owner=owner)).stages[0].deals


def let_eve_own_all(url: str) -> None:
    """Change rows by hand, so that who reads them can be told from who reads files."""
    with plain_connection(url) as connection:
        connection.execute("UPDATE salesflow_stage_visit_2 SET owner = 'eve'")


def test_who_begins_to_ask_reads_files_and_no_rows(url: str) -> None:
    let_eve_own_all(url)
    assert deals_of(url, "eve") == 0
    shutil.rmtree(folder_of(url))
    assert deals_of(url, "eve") == 3
    assert deals_of(url, "ann") == 0


def test_a_log_of_few_events_has_no_files_and_reads_none(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SalesFlow(url) as flow:
        events = flow.log.head().position
    let_eve_own_all(url)
    for few in (events, events + 1):
        monkeypatch.setattr(columns, "FILED_ROWS", few)
        assert deals_of(url, "eve") == (0 if few == events else 3)
    shutil.rmtree(folder_of(url))
    answered(url)
    assert not folder_of(url).exists()


def test_files_may_be_deleted_at_any_time_and_are_made_again(url: str) -> None:
    names = {file.name for file in folder_of(url).iterdir()}
    before = answered(url)
    shutil.rmtree(folder_of(url))
    assert answered(url).rows == before.rows
    assert {file.name for file in folder_of(url).iterdir()} == names


def test_what_was_told_since_is_added_to_what_files_hold(url: str) -> None:
    with SalesFlow(url) as flow:
        opened(flow)
    assert deals_of(url, "ann") == 4
    answered(url)


def test_files_that_outlive_rows_lost_with_the_power_change_no_answer(
    url: str, tmp_path: Path
) -> None:
    path, lost = url.removeprefix("sqlite:///"), f"{tmp_path / 'lost.db'}"
    with SalesFlow(url) as flow:
        opened(flow)
        for part in ("", "-wal"):  # all that waited for the disk
            shutil.copy(f"{path}{part}", f"{lost}{part}")
        expected = flow.ask(Both())
    shutil.copytree(folder_of(url), f"{lost}-columns")
    assert answered(f"sqlite:///{lost}").rows == expected.rows
    assert deals_of(f"sqlite:///{lost}", "ann") == 4


def test_a_table_built_anew_is_not_read_from_its_file(url: str) -> None:
    let_eve_own_all(url)
    with SalesFlow(url) as flow:
        flow.rebuild("stage_visit")
    let_eve_own_all(url)
    assert deals_of(url, "eve") == 3


def test_files_of_another_log_are_not_read(url: str, tmp_path: Path) -> None:
    there = f"sqlite:///{tmp_path / 'other.db'}"
    shutil.copytree(folder_of(url), folder_of(there))
    with SalesFlow(there) as flow:
        for _ in range(4):
            opened(flow)
    answered(there)
    assert deals_of(there, "ann") == 4


def test_files_of_what_a_backup_does_not_hold_are_not_read(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where other events were recorded since at the very same times."""
    monkeypatch.setattr(columns, "TAIL_SHARE", 1)
    database, now = (
        Path(sqlite_url.removeprefix("sqlite:///")),
        datetime(2026, 3, 2, tzinfo=UTC),
    )

    def told(*owners: str) -> tuple[int, int]:
        with SalesFlow(sqlite_url, clock=lambda: now) as flow:
            for owner in owners:
                with flow.session() as s:
                    s.add(Deal.open(STANDARD, title="ERP", owner=owner))
            flow.ask(Both())
            return flow.log.head()

    told("ann")
    kept = shutil.copy(database, f"{database}.kept")
    before = told("ann", "bob")
    shutil.copy(kept, database)
    assert told("ann", "eve") == before
    assert [deals_of(sqlite_url, owner) for owner in ("ann", "bob", "eve")] == [2, 0, 1]


def named(url: str) -> set[tuple[str, str]]:
    with SalesFlow(url) as flow:
        return {(problem.kind, problem.subject) for problem in flow.check(all=True).problems}


def test_a_file_that_holds_what_rows_held_once_is_named_by_a_check(url: str) -> None:
    """Rows that were put right show nothing any more, while questions go by the file."""
    shutil.rmtree(folder_of(url))
    let_eve_own_all(url)
    assert named(url) == {("rows", "stage_visit")}
    assert deals_of(url, "eve") == 3
    with plain_connection(url) as connection:
        connection.execute("UPDATE salesflow_stage_visit_2 SET owner = 'ann'")
    assert named(url) == {("columns", "stage_visit")}
    assert deals_of(url, "eve") == 3
    with SalesFlow(url) as flow:
        flow.rebuild("stage_visit")
    assert named(url) == set()
    assert deals_of(url, "ann") == 3


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.label)
def test_a_check_compares_every_column_of_files_and_writes_none(
    url: str, table: ReadTable
) -> None:
    database = Path(url.removeprefix("sqlite:///"))
    kept = shutil.copy(database, f"{database}.kept")
    before = {file.name: file.stat().st_mtime_ns for file in folder_of(url).iterdir()}
    assert named(url) == set()
    columns_of = [*table.table.columns][1:]
    for column in columns_of:
        text, id = isinstance(column.type, sa.String), isinstance(column.type, sa.Uuid)
        other = "'x'" if text else OTHER_ID if id else f"coalesce({column.name}, 0) + 1"
        with plain_connection(url) as connection:
            changed = connection.execute(f"UPDATE {table.name} SET {column.name} = {other}")
        with SalesFlow(url) as flow, flow.log.database.read() as reading:
            differs = file_differs(flow.log, table, reading)
        assert differs == (changed.rowcount > 0), column.name
        if column is columns_of[-1]:  # a whole check takes long, and calls the same for each
            assert (("columns", table.label) in named(url)) == differs
        shutil.copy(kept, database)
    assert {file.name: file.stat().st_mtime_ns for file in folder_of(url).iterdir()} == before


def test_a_file_that_is_behind_its_table_is_compared_with_what_was_told_since(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SalesFlow(url) as flow:
        opened(flow)
        flow.catch_up()
    assert named(url) == set()
    monkeypatch.setattr(EventReading, "streams_told_of", lambda *_: [])
    assert ("columns", "stage_visit") in named(url)


def test_files_in_a_folder_of_choice_are_compared_on_every_database(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SalesFlow(database_url, columns_folder=str(tmp_path / "columns")) as flow:
        opened(flow)
        flow.ask(Both())
        opened(flow)
        flow.catch_up()
        assert [*tmp_path.glob("columns/*/salesflow_stage_visit_*")]
        assert flow.check(all=True).whole
        monkeypatch.setattr(EventReading, "streams_told_of", lambda *_: [])
        found = {(each.kind, each.subject) for each in flow.check(all=True).problems}
        assert ("columns", "stage_visit") in found


def test_files_left_beside_a_backup_that_was_put_back_change_no_answer(
    url: str, tmp_path: Path
) -> None:
    database = Path(url.removeprefix("sqlite:///"))
    with SalesFlow(url) as flow:
        flow.backup(tmp_path / "kept.db")
    shutil.rmtree(folder_of(url))
    let_eve_own_all(url)
    assert deals_of(url, "eve") == 3
    for ending in ("", "-wal", "-shm"):
        Path(f"{database}{ending}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "kept.db", database)
    assert named(url) == set()
    assert deals_of(url, "ann") == 3


def test_tenants_have_files_of_their_own(url: str) -> None:
    with SalesFlow(url, tenant="b") as flow:
        opened(flow)
    first, second = answered(url), answered(url, "b")
    assert first.rows != second.rows
    assert (answered(url).rows, answered(url, "b").rows) == (first.rows, second.rows)


def test_a_file_of_another_form_is_as_good_as_none(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_eve_own_all(url)
    monkeypatch.setattr(column_files, "FORM", column_files.FORM + 1)
    assert deals_of(url, "eve") == 3


def test_where_no_folder_can_be_made_questions_are_answered_all_the_same(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(folder_of(url))
    folder_of(url).write_text("in the way", encoding="utf-8")
    caplog.set_level("INFO", "salesflow.columns")
    assert deals_of(url, "ann") == 3
    assert "cannot be written: FileExistsError" in caplog.text


def test_whoever_may_read_the_database_may_read_its_files(url: str) -> None:
    database = Path(url.removeprefix("sqlite:///"))
    database.chmod(0o640)
    shutil.rmtree(folder_of(url))
    answered(url)
    assert {file.stat().st_mode & 0o777 for file in folder_of(url).iterdir()} == {0o640}


@pytest.mark.parametrize(("rights", "of_folder"), [(0o600, 0o700), (0o664, 0o775)])
def test_whoever_may_use_the_database_may_use_the_folder_of_its_files(
    url: str, rights: int, of_folder: int
) -> None:
    database, folder = Path(url.removeprefix("sqlite:///")), folder_of(url)
    database.chmod(rights)
    shutil.rmtree(folder)
    answered(url)
    assert folder.stat().st_mode & 0o777 == of_folder


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_what_root_makes_belongs_to_the_owner_of_the_database(url: str) -> None:
    database, folder = Path(url.removeprefix("sqlite:///")), folder_of(url)
    os.chown(database, 12_345, 12_346)
    shutil.rmtree(folder)
    answered(url)
    owners = {(made.stat().st_uid, made.stat().st_gid) for made in (folder, *folder.iterdir())}
    assert owners == {(12_345, 12_346)}


def test_files_of_former_revisions_are_removed_and_of_nothing_else(url: str) -> None:
    [file] = folder_of(url).glob("salesflow_closing_2-*")
    former = file.with_name(file.name.replace("closing_2", "closing_1"))
    others = [
        file.with_name(file.name.replace("closing_2", "closing_3")),
        former.with_name("salesflow_closing_1-of-another-tenant.npz"),
    ]
    for each in (former, *others):
        shutil.copy(file, each)
    file.unlink()
    answered(url)
    assert [each.exists() for each in (file, former, *others)] == [True, False, True, True]


def test_a_database_in_memory_leaves_no_files() -> None:
    with SalesFlow("sqlite://") as flow:
        opened(flow)
        flow.ask(Both())
        assert flow.log.database.columns_place is None


def test_engines_that_begin_at_once_write_whole_files(url: str) -> None:
    shutil.rmtree(folder_of(url))
    with ThreadPoolExecutor(4) as threads:
        found = {view.rows for view in threads.map(lambda _: answered(url), range(8))}
    assert len(found) == 1
    assert not [file for file in folder_of(url).iterdir() if file.suffix != ".npz"]
    let_eve_own_all(url)
    assert deals_of(url, "eve") == 0


def test_what_was_left_by_who_was_killed_while_writing_is_removed_an_hour_later(
    url: str,
) -> None:
    [file] = folder_of(url).glob("salesflow_stage_visit_*")
    left = [file.with_name(f"{file.name}.{name}") for name in ("now", "before")]
    for each in left:
        each.write_bytes(b"cut off")
    os.utime(left[1], (0, 0))
    file.unlink()
    answered(url)
    assert [each.exists() for each in (file, *left)] == [True, True, False]


@pytest.fixture
def told(database_url: str) -> str:
    """Return a database of each kind, with three deals."""
    with SalesFlow(database_url, columns_folder="") as flow:
        for _ in range(3):
            opened(flow)
        flow.catch_up()
    return database_url


@pytest.fixture
def another_url(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """Return a second database of the same kind, on the same server."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'another.db'}"
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


def let_eve_own_two(url: str) -> None:
    """Change rows by hand, but the first one: by that PostgreSQL tells who built them."""
    table = "salesflow_stage_visit_2"
    first = f"SELECT entity_id FROM {table} ORDER BY entity_id LIMIT 1"
    with plain_connection(url) as connection:
        connection.execute(f"UPDATE {table} SET owner = 'eve' WHERE entity_id > ({first})")


def test_a_chosen_folder_makes_questions_begin_fast_on_every_database(
    told: str, tmp_path: Path
) -> None:
    [folder] = kept_in(tmp_path / "chosen", told)
    let_eve_own_two(told)
    with SalesFlow(told, columns_folder=str(tmp_path / "chosen")) as flow:
        assert flow.ask(StageTimes(owner="eve")).stages[0].deals == 0
    shutil.rmtree(folder)
    with SalesFlow(told, columns_folder=str(tmp_path / "chosen")) as flow:
        assert flow.ask(StageTimes(owner="eve")).stages[0].deals == 2


def test_nobody_else_may_read_what_lies_in_a_chosen_folder(told: str, tmp_path: Path) -> None:
    [folder] = kept_in(tmp_path / "chosen", told)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_a_folder_that_others_may_enter_is_neither_read_nor_written(
    told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    [folder] = kept_in(tmp_path / "chosen", told)
    let_eve_own_two(told)
    folder.chmod(0o770)
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    caplog.set_level("INFO", "salesflow.columns")
    with SalesFlow(told, columns_folder=str(tmp_path / "chosen")) as flow:
        assert flow.ask(StageTimes(owner="eve")).stages[0].deals == 2
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    assert "cannot be written: PermissionError" in caplog.text


def open_two_and_three(*urls: str) -> None:
    """Open two deals in the first database, and three in the other."""
    for count, url in enumerate(urls, 2):
        with SalesFlow(url) as flow:
            for _ in range(count):
                opened(flow)


def test_databases_have_folders_of_their_own_in_a_chosen_one(
    database_url: str, another_url: str, tmp_path: Path
) -> None:
    open_two_and_three(database_url, another_url)
    chosen = tmp_path / "chosen"
    folders = [kept_in(chosen, url) for url in (database_url, another_url)]
    assert [len(found) for found in folders] == [1, 2]
    for url, deals in ((database_url, 2), (another_url, 3)):
        with SalesFlow(url, columns_folder=str(chosen)) as flow:
            assert flow.ask(StageTimes()).stages[0].deals == deals


def test_files_of_another_database_change_no_answer(
    database_url: str, another_url: str, tmp_path: Path
) -> None:
    """Not even where somebody has put them into its folder."""
    open_two_and_three(database_url, another_url)
    [mine] = kept_in(tmp_path / "mine", database_url)
    [theirs] = kept_in(tmp_path / "theirs", another_url)
    shutil.copytree(theirs, mine, dirs_exist_ok=True)
    with SalesFlow(database_url, columns_folder=str(tmp_path / "mine")) as flow:
        assert flow.ask(StageTimes()).stages[0].deals == 2


def test_an_empty_folder_keeps_no_files(told: str, tmp_path: Path) -> None:
    with SalesFlow(told, columns_folder="") as flow:
        flow.ask(Both())
        assert flow.log.database.columns_place is None
    if told.startswith("sqlite"):
        assert not folder_of(told).exists()
    assert not [*tmp_path.rglob("*.npz")]


def test_a_server_whose_owner_has_said_nothing_leaves_no_files(postgres_url: str) -> None:
    with SalesFlow(postgres_url) as flow:
        assert flow.log.database.columns_place is None


def test_the_environment_chooses_a_folder_where_the_engine_does_not(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = tmp_path / "chosen"
    monkeypatch.setenv("SALESFLOW_COLUMNS_FOLDER", str(chosen))
    answered(told)
    assert [*chosen.rglob("*.npz")]
    shutil.rmtree(chosen)
    with SalesFlow(told, columns_folder="") as flow:
        flow.ask(Both())
    monkeypatch.setenv("SALESFLOW_COLUMNS_FOLDER", "")
    answered(told)
    assert not [*tmp_path.rglob("*.npz")]


def test_a_folder_is_text(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="write a folder as text"):
        SalesFlow(sqlite_url, columns_folder=tmp_path)  # type: ignore[arg-type]


def damaged(file: Path, place: float, bit: int) -> bytes:
    whole = file.read_bytes()
    at = int(place * len(whole))
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    return whole


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_in_a_file_changes_no_answer(
    url: str, place: float, bit: int
) -> None:
    file = next(folder_of(url).glob("salesflow_stage_visit_*"))
    whole = damaged(file, place, bit)
    assert deals_of(url, "ann") == 3
    file.write_bytes(whole)


@pytest.mark.parametrize("kept", [0, 1, 30, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_written_again(url: str, kept: float) -> None:
    for file in folder_of(url).iterdir():
        whole = file.read_bytes()
        file.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    before = {file.name: file.stat().st_size for file in folder_of(url).iterdir()}
    answered(url)
    after = {file.name: file.stat().st_size for file in folder_of(url).iterdir()}
    assert before.keys() == after.keys()
    assert all(after[name] > size for name, size in before.items())


def test_the_command_line_says_that_a_file_is_damaged_beside_the_right_answer(
    url: str,
) -> None:
    asked = ("ask", "stage-times", "--as-of", "2099-01-01", "--db", url)
    whole = ran(*asked)
    assert (whole.code, whole.err) == (0, "")
    for file in folder_of(url).iterdir():
        os.truncate(file, 100)
    english = ran(*asked, "--json")
    assert (english.code, json.loads(english.out)["stages"][0]["deals"]) == (0, 3)
    assert "_stage_visit_2 cannot be read: BadZipFile; its rows are read instead" in english.err
    for file in folder_of(url).iterdir():
        os.truncate(file, 100)
    chinese = ran(*asked, "--lang", "zh")
    assert "salesflow_stage_visit_2 的列文件无法读取（BadZipFile）" in chinese.err
    assert ran(*asked).out.split("as of")[0] == whole.out.split("as of")[0]


CHANGES: dict[str, Callable[[Column], Column]] = {
    "codes of no word": lambda column: column + 100,
    "codes below that of nothing": lambda column: column * 0 - 3,
    "fewer rows": lambda column: column[:-1],
    "a row within each row": lambda column: column[:, None],
    "one number": lambda column: column[0],
    "fractions": lambda column: column / 2,
    "no rows": lambda column: column[:0],
}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(("column_owner", change) for change in CHANGES),
        ("ids", "fewer rows"),
        ("ids", "no rows"),
        ("listed", "fewer rows"),
        ("listed", "no rows"),
        ("column_valid_from", "codes of no word"),
    ],
)
def test_a_file_that_is_whole_and_holds_no_table_is_as_good_as_none(
    url: str, name: str, change: str
) -> None:
    [file] = folder_of(url).glob("salesflow_stage_visit_*")
    with np.load(file) as opened:
        stored = dict(opened)
    np.savez(file, allow_pickle=False, **{**stored, name: CHANGES[change](stored[name])})
    assert deals_of(url, "ann") == 3


def begun_anew(url: str, history: list[Act], moments: list[Pick]) -> None:
    """Ask an engine that has just begun after every few acts."""
    with Player(url) as player:
        for number, act in enumerate(history):
            player.play(act)
            if number % 4 == 3:
                with player.beside() as begun:
                    asked(begun, player, moments[number % len(moments)])


HISTORIES = {
    "history": acts(3, least=8, customers=2, reps=2),
    "moments": picks(least=6, most=12),
}


@examples(3)
@given(**HISTORIES)
def begun_well(url: str, history: list[Act], moments: list[Pick]) -> None:
    begun_anew(url, history, moments)


@examples(12, shrink=False)
@given(**HISTORIES)
def begun_anyhow(url: str, history: list[Act], moments: list[Pick]) -> None:
    begun_anew(url, history, moments)


@pytest.mark.no_cover  # as the other properties
@pytest.mark.parametrize("share", [0, 1, 8], ids=["never", "often", "as always"])
def test_engines_that_begin_anew_have_the_rows_of_the_database(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    """However often files are written anew."""
    monkeypatch.setattr(columns, "TAIL_SHARE", share)
    begun_well(sqlite_url)


def test_files_that_are_taken_for_what_the_log_tells_now_are_found_out(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventReading, "streams_told_of", lambda *_: [])
    with pytest.raises(AssertionError):
        begun_anyhow(sqlite_url)


def test_a_flipped_bit_is_found_out_where_nobody_looks_for_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the checksums of the file a wrong answer would be given."""
    file = next(folder_of(url).glob("salesflow_stage_visit_*"))
    whole = file.read_bytes()
    with np.load(file) as stored:
        owners = stored["column_owner"].tobytes()
    at = whole.index(b"column_owner.npy")
    at = whole.index(owners, whole.index(b"NUMPY", at) + 0x76)
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert deals_of(url, "ann") == 3
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    monkeypatch.setattr(zipfile, "crc32", lambda *_: 0)
    monkeypatch.setattr(zipfile.ZipExtFile, "_update_crc", lambda *_: None)
    assert deals_of(url, "ann") != 3
