"""A SQLite file that is removed or replaced under an open engine is noticed at once."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from salesflow import STANDARD, Customer, Deal, SalesFlow
from salesflow.errors import ReplacedError
from salesflow.projections.pipeline.funnel import Funnel


def record(flow: SalesFlow) -> None:
    flow.run(lambda s: s.add(Customer.register(name="A")))


def removed(path: Path) -> None:
    path.unlink()


def moved_away(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


def replaced_by_a_copy(path: Path) -> None:
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    os.replace(copy, path)


def replaced_by_another(path: Path) -> None:
    other = path.with_suffix(".other")
    SalesFlow(f"sqlite:///{other}").close()
    os.replace(other, path)


def made_anew(path: Path) -> None:
    path.unlink()
    path.touch()


def refused(*uses: Callable[[], object]) -> None:
    """See that each of these is refused, with the way out."""
    for use in uses:
        with pytest.raises(ReplacedError, match=r"while it was open.*open it anew"):
            use()


HARMS = [removed, moved_away, replaced_by_a_copy, replaced_by_another, made_anew]


@pytest.mark.parametrize("harm", HARMS)
def test_nothing_is_acknowledged_or_answered_once_the_file_is_another(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        record(flow)
        deal = flow.log.page(0, 10)[-1].stream_id
        flow.ask(Funnel())
        harm(path)
        refused(
            lambda: record(flow),
            lambda: flow.ask(Funnel()),
            lambda: flow.get(Customer, deal),
            lambda: flow.history(deal),
            flow.catch_up,
            flow.rebuild,
        )


@pytest.mark.parametrize("before", [0, 1, 100])
def test_an_append_without_its_write_ahead_log_is_not_acknowledged(
    tmp_path: Path, before: int
) -> None:
    path = tmp_path / "sales.db"
    SalesFlow(f"sqlite:///{path}").close()
    with SalesFlow(f"sqlite:///{path}") as flow:
        for _ in range(before):
            record(flow)
        head = flow.log.head()
        Path(f"{path}-wal").unlink()
        for _ in range(2):  # nor is it found recorded when it is tried again
            with pytest.raises(ReplacedError, match="-wal was removed"):
                flow.run(lambda s: s.add(Customer.register(name="A")), command_id="c1")
        for look in (flow.log.head, lambda: flow.ask(Funnel())):  # from what others do not see
            with pytest.raises(ReplacedError, match="-wal was removed"):
                look()
    with SalesFlow(f"sqlite:///{path}") as again:
        assert again.log.head() == head


@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_file_is_opened_and_watched_through_a_link_too(tmp_path: Path, where: str) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    SalesFlow(f"sqlite:///{real}/sales.db").close()
    if where == "folder":
        link.symlink_to(real)
    else:
        link.mkdir()
        (link / "sales.db").symlink_to(real / "sales.db")
    with SalesFlow(f"sqlite:///{link}/sales.db") as flow:
        for _ in range(10):
            record(flow)
        head = flow.log.head()
        (real / "sales.db-wal").unlink()
        with pytest.raises(ReplacedError, match="-wal was removed"):
            record(flow)
    with SalesFlow(f"sqlite:///{real}/sales.db") as again:
        assert again.log.head() == head


def test_what_is_refused_by_what_was_read_from_a_replaced_file_is_no_answer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        deal = Deal.open(STANDARD, title="ERP", owner="ann")
        flow.run(lambda s: s.add(deal))
        flow.run(lambda s: s.get(Deal, deal.id).lose(because="price"))
        replaced_by_another(path)
        with pytest.raises(ReplacedError):
            flow.run(lambda s: s.get(Deal, deal.id).win())
        with pytest.raises(ReplacedError), flow.session() as s:
            s.get(Customer, deal.id)
        with pytest.raises(ReplacedError), flow.session() as s:
            s.get(Deal, deal.id)


def test_an_engine_opened_anew_goes_on_with_the_file_that_is_there(tmp_path: Path) -> None:
    path, kept = tmp_path / "sales.db", tmp_path / "kept.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        record(flow)
        flow.backup(kept)
        record(flow)
        head = flow.log.head().position
        os.replace(kept, path)
        with pytest.raises(ReplacedError):
            record(flow)
    for name in (f"{path}-wal", f"{path}-shm"):
        Path(name).unlink(missing_ok=True)
    with SalesFlow(f"sqlite:///{path}") as again:
        assert again.log.head().position == head - 1
        record(again)


def newer(flow: SalesFlow, path: Path) -> Path:
    """Back it up, and record more."""
    kept = path.with_name("kept.db")
    flow.backup(kept)
    record(flow)
    return kept


def copied_over(flow: SalesFlow, path: Path) -> None:
    shutil.copyfile(newer(flow, path), path)


def copied_over_with_its_times(flow: SalesFlow, path: Path) -> None:
    kept = newer(flow, path)
    before = path.stat()
    shutil.copyfile(kept, path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def copied_over_after_a_checkpoint(flow: SalesFlow, path: Path) -> None:
    kept = newer(flow, path)
    checkpoint(path)
    flow.ask(Funnel())
    shutil.copyfile(kept, path)


def an_older_copy_of_a_closed_file(flow: SalesFlow, path: Path) -> None:
    checkpoint(path)
    kept = path.with_name("kept.db")
    shutil.copyfile(path, kept)
    record(flow)
    checkpoint(path)
    flow.ask(Funnel())
    shutil.copyfile(kept, path)


def written_over_by_another_log(_flow: SalesFlow, path: Path) -> None:
    other = path.with_name("other.db")
    with SalesFlow(f"sqlite:///{other}") as another:
        for _ in range(9):
            record(another)
    shutil.copyfile(other, path)


def written_over_by_another_program(_flow: SalesFlow, path: Path) -> None:
    checkpoint(path)
    record(_flow)
    other = path.with_name("other.db")
    with sqlite3.connect(other) as bookmarks:
        bookmarks.execute("CREATE TABLE bookmarks (url TEXT)")
    bookmarks.close()
    shutil.copyfile(other, path)


def written_over_by_a_letter(_flow: SalesFlow, path: Path) -> None:
    path.write_text("Dear customer, " * 1_000)


def restored_by_its_own_tools(flow: SalesFlow, path: Path) -> None:
    kept = newer(flow, path)
    source, target = sqlite3.connect(kept), sqlite3.connect(path)
    source.backup(target)
    source.close()
    target.close()


def cut_off(_flow: SalesFlow, path: Path) -> None:
    checkpoint(path)
    record(_flow)
    os.truncate(path, path.stat().st_size // 2)


def emptied(_flow: SalesFlow, path: Path) -> None:
    os.truncate(path, 0)


def checkpoint(path: Path) -> None:
    """Copy the write-ahead log back, as another program does that has the file open."""
    other = sqlite3.connect(path)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    other.close()


OVERWRITTEN: list[Callable[[SalesFlow, Path], None]] = [
    copied_over,
    copied_over_with_its_times,
    copied_over_after_a_checkpoint,
    an_older_copy_of_a_closed_file,
    written_over_by_another_log,
    written_over_by_another_program,
    written_over_by_a_letter,
    restored_by_its_own_tools,
    cut_off,
    emptied,
]


@pytest.mark.parametrize("harm", OVERWRITTEN)
def test_nothing_is_acknowledged_or_answered_once_the_file_was_written_over(
    tmp_path: Path, harm: Callable[[SalesFlow, Path], None]
) -> None:
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        record(flow)
        flow.ask(Funnel())
        harm(flow, path)
        refused(lambda: flow.ask(Funnel()), lambda: record(flow), flow.catch_up)


def test_a_checkpoint_of_whomever_is_no_writing_over(tmp_path: Path) -> None:
    path = tmp_path / "sales.db"
    url = f"sqlite:///{path}"
    with SalesFlow(url) as flow, SalesFlow(url) as other, SalesFlow(url, tenant="b") as third:
        for _ in range(3):
            for each in (flow, other, third):
                record(each)
                each.ask(Funnel())
                checkpoint(path)
        path.chmod(0o640)
        path.touch()
        for each in (flow, other, third):
            record(each)
            assert each.check().whole
        other.backup(tmp_path / "kept.db")
        for _ in range(250):
            record(other)
        record(flow)
        assert flow.log.head() == other.log.head()


def test_a_backup_that_was_put_back_is_a_database_like_any_other(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{name}.db" for name in "abc")
    with SalesFlow(f"sqlite:///{first}") as flow:
        record(flow)
        flow.backup(second)
    for _ in range(2):
        with SalesFlow(f"sqlite:///{second}") as flow:
            record(flow)
            checkpoint(second)
            record(flow)
            assert flow.check().whole
            third.unlink(missing_ok=True)
            flow.backup(third)
        shutil.move(third, second)
