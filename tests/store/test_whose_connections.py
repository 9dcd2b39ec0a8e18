"""What is cleared away after an exception is a block's own, and nobody else's."""

import asyncio
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from salesflow.adapters.database.database import Database
from store.interrupting import Interrupted

COUNT = sa.text("SELECT count(*) FROM salesflow_events")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as database:
        yield database


def test_a_task_that_fails_leaves_the_snapshots_of_other_tasks_alone(
    database: Database,
) -> None:
    began, failed = asyncio.Event(), asyncio.Event()

    async def fails() -> None:
        try:
            with database.read():
                await began.wait()
                raise LookupError
        finally:
            failed.set()

    async def reads() -> object:
        with database.read() as connection:
            began.set()
            await failed.wait()
            return connection.scalar(COUNT)

    async def both() -> list[object]:
        return list(await asyncio.gather(fails(), reads(), return_exceptions=True))

    error, counted = asyncio.run(both())
    assert isinstance(error, LookupError)
    assert counted == 0


def test_a_hosts_own_session_goes_on_after_a_block_around_it_has_failed(
    database: Database,
) -> None:
    host = Session(database.engine)
    with pytest.raises(LookupError), database.read():
        host.execute(sa.text("CREATE TABLE notes (said TEXT)"))
        raise LookupError
    host.execute(sa.text("INSERT INTO notes VALUES ('kept')"))
    host.commit()
    assert host.scalar(sa.text("SELECT said FROM notes")) == "kept"
    host.close()


def test_a_connection_that_is_opened_while_an_error_is_handled_stays_open(
    database: Database,
) -> None:
    try:
        raise LookupError
    except LookupError:
        with database.read():
            own = database.engine.connect()
    assert own.scalar(COUNT) == 0
    own.close()


def test_blocks_that_end_out_of_order_end_alone(database: Database) -> None:
    first, second = database.read(), database.read()
    first.__enter__()
    connection = second.__enter__()
    error = LookupError()
    first.__exit__(LookupError, error, None)
    assert connection.scalar(COUNT) == 0
    second.__exit__(None, None, None)


def test_an_exception_before_a_block_has_begun_leaves_those_around_it_alone(
    database: Database,
) -> None:
    def tracer(frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401 - as Python's
        if event == "call" and frame.f_code.co_name == "enter":
            sys.settrace(None)
            raise Interrupted
        return tracer

    before = sys.gettrace()
    with database.read() as around:
        assert around.scalar(COUNT) == 0
        with pytest.raises(Interrupted):
            sys.settrace(tracer)
            with database.read():
                pytest.fail("it has begun")
        sys.settrace(before)
        assert around.scalar(COUNT) == 0
