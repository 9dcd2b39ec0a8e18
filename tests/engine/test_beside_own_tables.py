"""The log may lie beside a service's own tables, and share the fate of its rows."""

from collections.abc import Iterator
from uuid import UUID

import pytest
import sqlalchemy as sa

from salesflow import STANDARD, Deal, SalesFlow
from salesflow.errors import NotFoundError, SchemaError
from salesflow.projections.pipeline.funnel import Funnel

OWN = sa.MetaData()
ORDERS = sa.Table(
    "orders",
    OWN,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("deal", sa.Uuid),
)


class LaterError(Exception):
    """Something of the service's own that goes wrong after all was written."""


@pytest.fixture
def service(url: str) -> Iterator[sa.Engine]:
    """The engine of the service itself."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)  # noqa: TID251
    OWN.create_all(engine)
    yield engine
    engine.dispose()


def orders(service: sa.Engine) -> list[tuple[int, UUID]]:
    with service.connect() as connection:
        return [(number, deal) for number, deal in connection.execute(sa.select(ORDERS))]


def order(flow: SalesFlow, service: sa.Engine, *, goes_wrong: bool = False) -> UUID:
    """Write an order and open its deal in one transaction of the service."""
    with service.begin() as connection:
        with flow.session(actor="shop", connection=connection) as s:
            deal = s.add(Deal.open(STANDARD, title="Order 7", owner="shop"))
        connection.execute(ORDERS.insert().values(number=7, deal=deal.id))
        if goes_wrong:
            raise LaterError(deal.id)
    return deal.id


def test_a_database_of_somebody_else_is_refused_unless_it_is_said_to_be_shared(
    service: sa.Engine, url: str
) -> None:
    assert orders(service) == []
    with pytest.raises(SchemaError, match="a program of your own can put the log beside"):
        SalesFlow(url)
    with SalesFlow(url, shared=True) as flow:
        assert flow.log.head().position == 2
    with SalesFlow(url) as flow:
        assert flow.log.head().position == 2, "it holds a log now, and needs no leave"


def test_a_services_own_row_and_our_facts_are_recorded_together(
    service: sa.Engine, url: str
) -> None:
    with SalesFlow(url, shared=True) as flow:
        deal = order(flow, service)
        assert orders(service) == [(7, deal)]
        assert flow.get(Deal, deal).title == "Order 7"
        assert flow.ask(Funnel()).open_deals == 1
        assert orders(service) == [(7, deal)], "asking leaves the service's tables alone"


def test_a_services_own_row_and_our_facts_are_given_up_together(
    service: sa.Engine, url: str
) -> None:
    with SalesFlow(url, shared=True) as flow:
        with pytest.raises(LaterError) as wrong:
            order(flow, service, goes_wrong=True)
        assert orders(service) == []
        [deal] = wrong.value.args
        with pytest.raises(NotFoundError):
            flow.get(Deal, deal)
        assert flow.ask(Funnel()).open_deals == 0
        assert flow.get(Deal, order(flow, service)).title == "Order 7"
