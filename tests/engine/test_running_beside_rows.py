"""A function that also writes rows of the host is run until all of it is recorded, once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from databases import plain_connection
from salesflow import STANDARD, Customer, Deal, ExternalEvent, SalesFlow, Session, Team
from salesflow.domain.deal.outcomes import DealLost
from salesflow.errors import (
    AlreadyRecordedError,
    ConcurrentChangeError,
    InputError,
    NotFoundError,
    RuleError,
    StaleTransactionError,
)


class Base(orm.DeclarativeBase):
    """The host's own tables."""


class Order(Base):
    """A row of the host's."""

    __tablename__ = "orders"
    number: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    deal: orm.Mapped[UUID]


ORDERS = Base.metadata.tables["orders"]


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    with SalesFlow(database_url) as opened:
        yield opened


@pytest.fixture
def host(flow: SalesFlow) -> Iterator[sa.Engine]:
    engine = sa.create_engine(flow.log.database.url)  # noqa: TID251
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def orders(host: sa.Engine) -> dict[str, UUID]:
    with host.connect() as connection:
        return {order.number: order.deal for order in connection.execute(sa.select(ORDERS))}


def open_deal(s: Session) -> Deal:
    return s.add(Deal.open(STANDARD, title="Order", owner="shop"))


def call(s: Session, deal: UUID) -> None:
    s.get(Deal, deal).log_contact(channel="call", direction="in")


@pytest.fixture(params=["engine", "sessionmaker", "scoped_session"])
def opener(request: pytest.FixtureRequest, host: sa.Engine) -> Any:  # noqa: ANN401
    """What a host may have at hand that begins transactions."""
    if request.param == "engine":
        return host
    maker = orm.sessionmaker(host)
    return maker if request.param == "sessionmaker" else orm.scoped_session(maker)


def write(number: str, rows: object, deal: UUID) -> None:
    if isinstance(rows, orm.Session):
        rows.add(Order(number=number, deal=deal))
    else:
        assert isinstance(rows, sa.Connection)
        rows.execute(ORDERS.insert().values(number=number, deal=deal))


def test_rows_and_facts_of_one_request_are_recorded_once_however_often_it_comes(
    flow: SalesFlow,
    host: sa.Engine,
    opener: Any,  # noqa: ANN401
) -> None:
    def take(s: Session, rows: object) -> None:
        write("A-1", rows, open_deal(s).id)

    first = flow.run(take, command_id="u-17/A-1", engine=opener)
    again = flow.run(take, command_id="u-17/A-1", engine=opener)
    assert first is not None
    assert again is not None
    assert again[:5] == first[:5]
    assert orders(host) == {"A-1": first.stream_ids[0]}
    assert flow.log.head().position == 3


def test_what_a_function_refuses_leaves_neither_row_nor_fact(
    flow: SalesFlow,
    host: sa.Engine,
    opener: Any,  # noqa: ANN401
) -> None:
    def take(s: Session, rows: object) -> None:
        write("A-1", rows, open_deal(s).id)
        raise RuleError("sold out")

    with pytest.raises(RuleError, match="sold out"):
        flow.run(take, command_id="u-17/A-1", engine=opener)
    assert orders(host) == {}
    assert flow.log.head().position == 2


def test_many_threads_with_the_same_requests_write_each_row_once(
    flow: SalesFlow, host: sa.Engine
) -> None:
    with flow.session() as s:
        shared = open_deal(s).id

    def take(number: int) -> None:
        def once(s: Session, rows: sa.Connection) -> None:
            write(f"A-{number % 5}", rows, open_deal(s).id)
            call(s, shared)

        flow.run(once, command_id=f"A-{number % 5}", engine=host)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(take, range(20)))
    assert sorted(orders(host)) == [f"A-{number}" for number in range(5)]
    assert flow.get(Deal, shared).contact_count == 5
    assert flow.log.head().position == 3 + 2 * 5


def test_a_command_whose_twin_was_first_gets_the_receipt_of_the_twin(flow: SalesFlow) -> None:
    with flow.session() as s:
        deal = open_deal(s).id

    def lose(s: Session, *, twin: bool = False) -> None:
        if not twin:
            flow.run(lambda other: lose(other, twin=True), command_id="c-1")
        s.get(Deal, deal).lose(because="price")

    receipt = flow.run(lose, command_id="c-1")
    assert receipt is not None
    assert (receipt.first, flow.log.head().position) == (4, 4)
    with pytest.raises(RuleError, match="already lost"):
        flow.run(lambda s: lose(s, twin=True), command_id="c-2")


class Outrun:
    """A host's order for a deal that somebody else calls about meanwhile, so many times."""

    def __init__(self, flow: SalesFlow, times: int) -> None:
        self.flow, self.times = flow, times
        with flow.session() as s:
            self.deal = open_deal(s).id

    def take(self, number: str, s: Session, rows: object) -> None:
        write(number, rows, self.deal)
        call(s, self.deal)
        if self.times:
            self.times -= 1
            self.flow.run(lambda other: call(other, self.deal))


def test_a_retry_writes_the_rows_anew(postgres_url: str) -> None:
    host = sa.create_engine(postgres_url)  # noqa: TID251
    Base.metadata.create_all(host)
    with SalesFlow(postgres_url) as flow:
        order = Outrun(flow, times=2)
        flow.run(partial(order.take, "A-1"), engine=host)
        assert orders(host) == {"A-1": order.deal}
        assert flow.get(Deal, order.deal).contact_count == 3
        order.times = 1
        with pytest.raises(ConcurrentChangeError):
            flow.run(partial(order.take, "A-2"), engine=host, attempts=1)
        assert orders(host) == {"A-1": order.deal}
    host.dispose()


def test_a_transaction_that_became_too_old_is_begun_anew(postgres_url: str) -> None:
    host = sa.create_engine(postgres_url, isolation_level="REPEATABLE READ")  # noqa: TID251
    Base.metadata.create_all(host)
    with SalesFlow(postgres_url) as flow:
        order = Outrun(flow, times=2)
        flow.run(partial(order.take, "A-1"), engine=host)
        assert orders(host) == {"A-1": order.deal}
        assert flow.get(Deal, order.deal).contact_count == 3
        order.times = 1
        with host.connect() as rows, pytest.raises(StaleTransactionError):
            flow.run(lambda s: order.take("A-2", s, rows), connection=rows)
        assert orders(host) == {"A-1": order.deal}
    host.dispose()


@pytest.mark.parametrize("when", ["in the function", "at the commit"])
def test_a_transaction_that_could_not_be_serialized_is_begun_anew(
    postgres_url: str, when: str
) -> None:
    strict = sa.create_engine(postgres_url, isolation_level="SERIALIZABLE")  # noqa: TID251
    Base.metadata.create_all(strict)
    tries: list[str] = []

    def other_takes_one() -> None:
        """Count the orders and add one, as the function does."""
        with plain_connection(postgres_url) as connection:
            connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
            connection.execute("SELECT count(*) FROM orders").fetchall()
            connection.execute(f"INSERT INTO orders VALUES ('B', '{uuid4()}')")
            connection.execute("COMMIT")

    def take(s: Session, rows: sa.Connection) -> None:
        count = rows.execute(sa.select(sa.func.count()).select_from(ORDERS)).scalar_one()
        tries.append(f"{count} orders")
        if when == "in the function" and len(tries) == 1:
            other_takes_one()
        write("A", rows, open_deal(s).id)

    def before_commit(_: object) -> None:
        if when == "at the commit" and len(tries) == 1 and tries[0] == "0 orders":
            tries[0] = "none yet"
            other_takes_one()

    with SalesFlow(postgres_url) as flow:
        head = flow.log.head().position
        sa.event.listen(strict, "commit", before_commit)
        receipt = flow.run(take, command_id="take", engine=strict)
        assert receipt is not None
        assert tries[1:] == ["1 orders"]
        assert orders(strict).keys() == {"A", "B"}
        assert flow.log.head().position == head + 1
        tries.clear()
        with strict.begin() as rows:
            rows.execute(ORDERS.delete())
        with pytest.raises(ConcurrentChangeError, match="others changed what it had read"):
            flow.run(take, engine=strict, attempts=1)
        assert orders(strict).keys() == {"B"}
    strict.dispose()


@pytest.mark.parametrize("by_orm", [False, True])
def test_inside_an_open_transaction_a_retry_undoes_only_what_the_function_did(
    postgres_url: str, by_orm: bool
) -> None:
    host = sa.create_engine(postgres_url)  # noqa: TID251
    Base.metadata.create_all(host)
    with SalesFlow(postgres_url) as flow:
        order = Outrun(flow, times=2)
        opened: Any = orm.Session(host) if by_orm else host.connect()
        with opened, opened.begin():
            write("before", opened, order.deal)

            def take(s: Session) -> None:
                order.take("A-1", s, opened)

            assert flow.run(take, connection=opened) is not None
            write("after", opened, order.deal)
            assert orders(host) == {}
        assert set(orders(host)) == {"before", "A-1", "after"}
        assert flow.get(Deal, order.deal).contact_count == 3
    host.dispose()


def test_a_request_that_was_recorded_leaves_an_open_transaction_going(
    flow: SalesFlow, host: sa.Engine
) -> None:
    for number in ("A-1", "A-2"):
        with host.begin() as connection:
            receipt = flow.run(open_deal, command_id="c-1", connection=connection)
            assert receipt is not None
            again = flow.run(open_deal, command_id="c-1", connection=connection)
            assert again == receipt._replace(again=True)
            write(number, connection, receipt.stream_ids[0])
    assert sorted(orders(host)) == ["A-1", "A-2"]
    assert flow.log.head().position == 3


def test_what_the_host_rolls_back_was_never_recorded(flow: SalesFlow, host: sa.Engine) -> None:
    with host.connect() as connection:
        flow.run(open_deal, command_id="c-1", connection=connection)
        connection.rollback()
    assert flow.log.head().position == 2
    with orm.Session(host) as rows:
        flow.run(open_deal, command_id="c-1", connection=rows)
        rows.commit()
    assert flow.log.head().position == 3


def test_what_opens_no_transaction_is_refused(flow: SalesFlow, host: sa.Engine) -> None:
    def never(s: Session, rows: object) -> None:
        raise AssertionError((s, rows))

    wrong: list[tuple[Any, str]] = [
        (uuid4(), "takes an Engine or a sessionmaker.*not uuid.UUID"),
        (host.execution_options(isolation_level="AUTOCOMMIT"), "commits by itself"),
        (sa.create_engine("sqlite://"), "leads to (SQLite|a database in memory)"),  # noqa: TID251
        (orm.Session, "takes an Engine or a sessionmaker"),
    ]
    for engine, said in wrong:
        with pytest.raises(InputError, match=said):
            flow.run(never, engine=engine)
    with host.connect() as connection:
        with pytest.raises(InputError, match=r"an Engine or a sessionmaker.*to connec"):
            flow.run(never, engine=connection)  # type: ignore[call-overload]
        with pytest.raises(InputError, match="not both"):
            flow.run(never, engine=host, connection=connection)  # type: ignore[call-overload]


def test_a_receipt_names_what_it_is_about_the_first_time_and_every_other_time(
    flow: SalesFlow,
) -> None:
    def take(s: Session) -> None:
        customer = s.add(Customer.register(name="Acme"))
        s.add(Deal.open(STANDARD, customer=customer, title="ERP", owner="u"))

    first = flow.run(take, command_id="c-1")
    again = flow.run(take, command_id="c-1")
    assert first is not None
    assert again is not None
    assert first.ids_of(Customer) + first.ids_of(Deal) == first.stream_ids
    for receipt in (first, again):
        assert flow.get(Deal, receipt.id_of(Deal)).title == "ERP"
        assert flow.get(Customer, receipt.id_of(Customer)).name == "Acme"
        assert receipt.ids_of(Team) == ()
        with pytest.raises(NotFoundError, match="nothing of a team"):
            receipt.id_of(Team)
    with pytest.raises(AlreadyRecordedError) as known, flow.session(command_id="c-1"):
        raise AssertionError
    assert again.again
    assert known.value.receipt == again._replace(again=False)


def test_a_receipt_about_several_deals_says_so_also_when_one_was_only_corrected(
    flow: SalesFlow,
) -> None:
    with flow.session() as s:
        deals = [open_deal(s).id, open_deal(s).id]
    event = flow.history(deals[1])[0].event_id

    def change(s: Session) -> None:
        call(s, deals[0])
        s.retract(event, because="not ours")

    for _ in range(2):
        receipt = flow.run(change, command_id="c-1")
        assert receipt is not None
        assert receipt.ids_of(Deal) == tuple(deals)
        with pytest.raises(InputError, match=r"2 things of kind deal.*ids_of\(Deal\)"):
            receipt.id_of(Deal)
    [told] = flow.record([ExternalEvent(deals[0], DealLost(because="price"))])
    with pytest.raises(InputError, match="says not what its streams are about"):
        told.id_of(Deal)
