"""A SQLite file that is removed or replaced under an open engine is noticed at once."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from salesflow import Customer, SalesFlow
from salesflow.errors import ReplacedError
from salesflow.projections.funnel import Funnel


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
        uses: list[Callable[[], object]] = [
            lambda: record(flow),
            lambda: flow.ask(Funnel()),
            lambda: flow.get(Customer, deal),
            lambda: flow.history(deal),
            flow.catch_up,
            flow.rebuild,
        ]
        for use in uses:
            with pytest.raises(ReplacedError, match=r"while it was open.*open it anew"):
                use()


def test_an_append_without_its_write_ahead_log_is_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        record(flow)
        Path(f"{path}-wal").unlink()
        with pytest.raises(ReplacedError, match="-wal was removed"):
            record(flow)


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
