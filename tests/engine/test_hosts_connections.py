"""A host's connection is recorded on when it can be, and otherwise refused in a sentence."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from databases import Postgres
from salesflow import STANDARD, Deal, SalesFlow, Session
from salesflow.errors import DatabaseError, InputError


class Base(orm.DeclarativeBase):
    """The host's own tables."""


class Order(Base):
    """A row of the host's."""

    __tablename__ = "orders"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    deal: orm.Mapped[str]


class OtherDriver(SQLiteDialect_pysqlite):
    """A dialect of SQLite that speaks through something else."""

    driver = "other"
    supports_statement_cache = True


class AsyncSession:
    """What SQLAlchemy's session for asyncio looks like from outside; it needs a library."""

    __module__ = "sqlalchemy.ext.asyncio.session"


registry.register("sqlite.other", __name__, "OtherDriver")

BAD: dict[str, tuple[Callable[[sa.Engine, ExitStack], object], str]] = {
    "an engine": (lambda engine, _: engine, r"sqlalchemy\.Engine has no transaction.*engine="),
    "a sessionmaker": (lambda engine, _: orm.sessionmaker(engine), "makes sessions"),
    "the class": (lambda *_: orm.Session, "makes sessions"),
    "an unbound session": (
        lambda _, stack: stack.enter_context(orm.Session()),
        r"session\.connection\(bind_arguments=",
    ),
    "a session that was not begun": (
        lambda engine, stack: stack.enter_context(orm.Session(engine, autobegin=False)),
        "no transaction to record in",
    ),
    "a pooled connection": (
        lambda engine, stack: opened(stack, engine.raw_connection()),
        "is a driver's own connection",
    ),
    "a driver's connection": (
        lambda engine, stack: opened(stack, engine.raw_connection()).dbapi_connection,
        r"(sqlite3|psycopg)\.Connection is a driver's own connection",
    ),
    "a transaction": (
        lambda engine, stack: stack.enter_context(engine.connect()).begin(),
        "pass the connection that it was begun on",
    ),
    "a closed connection": (lambda engine, _: closed(engine), "the connection is closed"),
    "text": (lambda engine, _: str(engine.url), "str is no connection of SQLAlchemy"),
    "autocommit": (
        lambda engine, stack: stack.enter_context(
            engine.execution_options(isolation_level="AUTOCOMMIT").connect()
        ),
        "commits by itself",
    ),
    "autocommit of one connection": (
        lambda engine, stack: stack.enter_context(engine.connect()).execution_options(
            isolation_level="AUTOCOMMIT"
        ),
        "commits by itself",
    ),
    "a session in autocommit": (
        lambda engine, stack: stack.enter_context(
            orm.Session(engine.execution_options(isolation_level="AUTOCOMMIT"))
        ),
        "commits by itself",
    ),
    "memory": (
        lambda _, stack: stack.enter_context(new_engine("sqlite://").connect()),
        "leads to (SQLite|a database in memory)",
    ),
}
GOOD: dict[str, Callable[[sa.Engine, ExitStack], object]] = {
    "a connection": lambda engine, stack: stack.enter_context(engine.connect()),
    "a session": lambda engine, stack: stack.enter_context(orm.Session(engine)),
    "a session of a connection": lambda engine, stack: stack.enter_context(
        orm.Session(stack.enter_context(engine.connect()))
    ),
    "a scoped session": lambda engine, stack: opened(
        stack, orm.scoped_session(orm.sessionmaker(engine))
    ),
}


class Closable(Protocol):
    """What a test closes at its end."""

    def close(self) -> object: ...


ClosableT = TypeVar("ClosableT", bound=Closable)


def opened(stack: ExitStack, given: ClosableT) -> ClosableT:
    stack.callback(given.close)
    return given


def new_engine(url: str | sa.URL) -> sa.Engine:
    return sa.create_engine(url, poolclass=sa.NullPool)  # noqa: TID251


def closed(engine: sa.Engine) -> sa.Connection:
    with engine.connect() as connection:
        return connection


def open_deal(s: Session) -> Deal:
    return s.add(Deal.open(STANDARD, title="Order 7", owner="shop"))


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    with SalesFlow(database_url) as opened:
        yield opened


@pytest.fixture
def host(flow: SalesFlow) -> Iterator[sa.Engine]:
    engine = new_engine(flow.log.database.url)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_share_its_transaction_is_refused_before_anything_is_done(
    kind: str, flow: SalesFlow, host: sa.Engine
) -> None:
    make, said = BAD[kind]
    with ExitStack() as stack:
        given = make(host, stack)
        with (
            pytest.raises(InputError, match=said),
            flow.session(connection=given) as s,  # type: ignore[arg-type]
        ):
            raise AssertionError(f"{s} was opened")
    assert flow.log.head().position == 2


@pytest.mark.parametrize("kind", GOOD)
def test_what_a_host_commits_is_recorded_and_what_it_rolls_back_is_not(
    kind: str, flow: SalesFlow, host: sa.Engine
) -> None:
    for end, deals in (("rollback", 0), ("commit", 1)):
        with ExitStack() as stack:
            given = GOOD[kind](host, stack)
            with flow.session(connection=given) as s:  # type: ignore[arg-type]
                open_deal(s)
            assert flow.log.head().position == 2
            outer = getattr(given, "bind", None)
            getattr(given, end)()
            if isinstance(outer, sa.Connection):
                getattr(outer, end)()
        assert flow.log.head().position == 2 + deals


def test_rows_that_wait_in_a_session_share_the_fate_of_the_facts(
    flow: SalesFlow, host: sa.Engine
) -> None:
    with (
        pytest.raises(sa.exc.IntegrityError),
        orm.Session(host) as rows,
        rows.begin(),
        flow.session(connection=rows) as s,
    ):
        rows.add_all([Order(number=7, deal="x"), Order(number=7, deal="y")])
        open_deal(s)
    assert flow.log.head().position == 2
    with orm.Session(host) as rows, rows.begin(), flow.session(connection=rows) as s:
        rows.add(Order(number=7, deal=str(open_deal(s).id)))
    with orm.Session(host) as rows:
        order = rows.get_one(Order, 7)
        assert s.receipt is not None
        assert [str(id) for id in s.receipt.stream_ids] == [order.deal]


def test_a_savepoint_of_a_session_takes_its_facts_with_it(
    flow: SalesFlow, host: sa.Engine
) -> None:
    with orm.Session(host) as rows, rows.begin():
        rows.add(Order(number=7, deal="x"))
        rows.flush()
        with rows.begin_nested() as part:
            with flow.session(connection=rows) as s:
                open_deal(s)
            part.rollback()
    assert flow.log.head().position == 2


def test_a_connection_to_another_log_is_refused(
    flow: SalesFlow, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with ExitStack() as stack:
        if flow.log.database.dialect == "sqlite":
            url, said = f"sqlite:///{tmp_path / 'other.db'}", r"leads to .*other\.db, this log"
        else:
            postgres: Postgres = request.getfixturevalue("postgres")
            url = stack.enter_context(postgres.database())
            said = r"leads to database t_\w+, schema public; this log lies in database t_"
        other = stack.enter_context(SalesFlow(url))
        connection = stack.enter_context(new_engine(other.log.database.url).connect())
        with pytest.raises(InputError, match=said):
            flow.session(connection=connection).__enter__()
        assert other.log.head().position == 2


def test_the_same_file_by_another_name_is_the_same_log(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with SalesFlow(f"sqlite:///{tmp_path / 'sales.db'}") as flow:
        engine = new_engine(f"sqlite:///{tmp_path / 'link' / 'sales.db'}")
        with engine.begin() as connection, flow.session(connection=connection) as s:
            open_deal(s)
        assert flow.log.head().position == 3


def test_a_search_path_that_leads_to_another_schema_is_noticed(postgres_url: str) -> None:
    with SalesFlow(postgres_url) as flow, new_engine(postgres_url).connect() as connection:
        connection.exec_driver_sql("CREATE SCHEMA south")
        for path, said in (("south", "finds no log"), ("south, public", None)):
            connection.exec_driver_sql(f"SET LOCAL search_path TO {path}")
            if said is None:
                with flow.session(connection=connection) as s:
                    open_deal(s)
            else:
                with pytest.raises(InputError, match=said):
                    flow.session(connection=connection).__enter__()
        connection.commit()
        assert flow.log.head().position == 3


def test_a_transaction_that_has_failed_is_named_as_one(postgres_url: str) -> None:
    with SalesFlow(postgres_url) as flow, new_engine(postgres_url).connect() as connection:
        with pytest.raises(sa.exc.ProgrammingError):
            connection.exec_driver_sql("SELECT nothing")
        with pytest.raises(DatabaseError, match="current transaction is aborted"):
            flow.session(connection=connection).__enter__()


def test_a_host_that_speaks_through_another_driver_is_told_which_to_take(
    sqlite_url: str,
) -> None:
    with SalesFlow(sqlite_url) as flow:
        engine = new_engine(flow.log.database.url.set(drivername="sqlite+other"))
        with engine.connect() as connection, pytest.raises(InputError, match=r"sqlite\+pysq"):
            flow.session(connection=connection).__enter__()


def test_what_belongs_to_an_event_loop_is_refused_with_a_thread_as_the_way_out(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SalesFlow(sqlite_url) as flow:
        engine = new_engine(sqlite_url)
        with engine.connect() as connection, monkeypatch.context() as patch:
            patch.setattr(engine.dialect, "is_async", True)  # as of aiosqlite
            for given in (connection, AsyncSession(), AsyncSession):
                with pytest.raises(InputError, match=r"async.*asyncio\.to_thread\(flow\.run"):
                    flow.session(connection=given).__enter__()  # type: ignore[arg-type]
            with pytest.raises(InputError, match=r"async.*asyncio\.to_thread\(flow\.run"):
                flow.run(lambda s, rows: (s, rows), engine=AsyncSession())  # type: ignore[call-overload]


def test_rows_and_facts_are_recorded_in_a_thread_of_an_event_loop(
    flow: SalesFlow, host: sa.Engine
) -> None:
    async def serve() -> None:
        takes = [asyncio.to_thread(flow.run, take, engine=host) for _ in range(3)]
        await asyncio.gather(*takes)

    numbers = count(1)

    def take(s: Session, rows: sa.Connection) -> None:
        deal = open_deal(s)
        rows.execute(sa.insert(Order).values(number=next(numbers), deal=str(deal.id)))

    asyncio.run(serve())
    assert flow.log.head().position == 5


def test_a_begin_of_ones_own_on_sqlite_is_a_transaction(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        engine = sa.create_engine(  # noqa: TID251
            sqlite_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        sa.event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN"))
        with engine.connect() as connection:
            with flow.session(connection=connection) as s:
                open_deal(s)
            connection.rollback()
        assert flow.log.head().position == 2
