"""Read tables in plain SQL: views that stay where they are while tables come and go."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from databases import plain_connection
from salesflow import STANDARD, Customer, Deal, ExternalEvent, Money, SalesFlow
from salesflow.adapters.projector import rebuild as rebuilding
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event
from salesflow.errors import InputError
from salesflow.projections.table import (
    Cell,
    Change,
    IntervalFold,
    IntervalTable,
    Millionths,
    Processes,
)

MARCH = datetime(2026, 3, 2, 9, tzinfo=UTC)


class OfferState:
    """One deal on its way: what was first offered, in millionths."""

    def __init__(self, width: int) -> None:
        self.width = width

    def apply(self, event: Event) -> Iterator[Change]:
        if isinstance(event.fact, DealOpened) and event.fact.amount is not None:
            yield (), (int(event.fact.amount.amount * 1_000_000),) * self.width


def offers(revision: int, *names: str, label: str = "offer_of_this_test") -> IntervalFold:
    columns = tuple[sa.Column[Cell], ...](sa.Column(name, Millionths) for name in names)

    def start(_: Processes) -> OfferState:
        return OfferState(len(names))

    table = IntervalTable(label, revision, attributes=columns)
    return IntervalFold(table, frozenset({DealOpened}), start)


FIRST, SECOND = offers(1, "amount"), offers(2, "first", "again")


def opened(flow: SalesFlow, amount: str = "98000") -> Deal:
    with flow.session(actor="ann") as s:
        customer = s.add(Customer.register(name="Acme"))
        return s.add(
            Deal.open(
                STANDARD,
                customer=customer,
                title="ERP",
                owner="ann",
                amount=Money(amount, "CNY"),
            )
        )


def selected(url: str, statement: str) -> list[tuple[Any, ...]]:
    with plain_connection(url) as connection:
        return connection.execute(statement).fetchall()


def test_a_view_shows_ids_times_and_amounts_as_people_write_them(database_url: str) -> None:
    with SalesFlow(database_url, clock=lambda: MARCH) as flow:
        deal = opened(flow)
        less = ForecastGiven(amount=Money("-98000.05", "CNY"))
        flow.record([ExternalEvent(deal.id, less)])
        flow.catch_up()
        occurred = flow.history(deal.id)[-1].occurred_at
    [(id, begun, amount, millionths)] = selected(
        database_url,
        "SELECT CAST(entity_id AS TEXT), valid_from, CAST(amount AS TEXT), amount_millionths"
        " FROM salesflow_deal_state WHERE valid_to = '9999-12-31 00:00:00.000000+00:00'"
        " AND amount_millionths < 0",
    )
    assert id == str(deal.id)
    assert begun in (occurred, occurred.isoformat(" ", "microseconds"))
    assert (amount, millionths) == ("-98000.050000", -98_000_050_000)


def test_the_select_of_a_moment_gives_the_rows_of_that_moment(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        deal = opened(flow)
        before = flow.sql("deal_state")
        with flow.session(actor="ann") as s:
            s.get(Deal, deal.id).lose(because="price")
        after = flow.sql("deal_state")
        ledger = flow.sql("pipeline")
    star = "SELECT stage, outcome"
    assert selected(database_url, before.replace("SELECT *", star)) == [("prospecting", "open")]
    assert selected(database_url, after.replace("SELECT *", star)) == [("prospecting", "lost")]
    kinds = selected(database_url, ledger.replace("SELECT *", "SELECT kind"))
    assert sorted(kinds) == [("created",), ("lost",)]


def test_a_table_that_is_not_there_has_no_select(flow: SalesFlow) -> None:
    with pytest.raises(InputError, match="no read table 'deals'; there are alert, booking"):
        flow.sql("deals")


@pytest.mark.parametrize("copied", [0, 1_000], ids=["by its name", "by its rows"])
def test_a_rebuild_leaves_the_view_and_its_rows(
    database_url: str, monkeypatch: pytest.MonkeyPatch, copied: int
) -> None:
    monkeypatch.setattr(rebuilding, "COPIED_ROWS", copied)
    with SalesFlow(database_url) as flow:
        opened(flow)
        flow.catch_up()
        everything = "SELECT * FROM salesflow_deal_state ORDER BY entity_id, valid_from"
        before = selected(database_url, everything)
        flow.rebuild("deal_state")
        assert selected(database_url, everything) == before != []


def test_a_table_of_your_own_has_a_view_that_follows_its_revision(database_url: str) -> None:
    everything = "SELECT * FROM salesflow_offer_of_this_test"
    with SalesFlow(database_url, folds=[FIRST]) as older:
        opened(older)
        older.catch_up()
        with SalesFlow(database_url, folds=[SECOND]) as newer:
            newer.catch_up()
            twice = everything.replace("*", "first_millionths, again_millionths")
            assert selected(database_url, twice) == [(98_000_000_000, 98_000_000_000)]
            opened(older)
            older.catch_up()
            assert len(selected(database_url, everything)) == 1
            newer.catch_up()
            assert len(selected(database_url, everything)) == 2
    with SalesFlow(database_url, tenant="other", folds=[FIRST]) as older:
        older.catch_up()
    assert len(selected(database_url, everything)) == 2


@pytest.mark.parametrize("label", ["events", "standing", "reactors", "deal_state_1"])
def test_a_table_cannot_take_a_name_that_is_taken(database_url: str, label: str) -> None:
    with (
        SalesFlow(database_url, folds=[offers(3, "amount", label=label)]) as flow,
        pytest.raises(InputError, match=f"cannot be called '{label}'"),
    ):
        flow.catch_up()


def test_many_who_open_a_new_database_at_once_make_each_view_once(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        opened(flow)

    def ask(number: int) -> str:
        with SalesFlow(database_url, tenant=f"t{number % 2}") as flow:
            return flow.sql("deal_state")

    with ThreadPoolExecutor(4) as threads:
        statements = list(threads.map(ask, range(8)))
    assert all(selected(database_url, each) == [] for each in statements)


def test_the_standings_say_how_far_each_table_is_behind(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        flow.catch_up()
        opened(flow)
        head = flow.log.head().position
        everyone = "SELECT DISTINCT tenant, position, head, behind FROM salesflow_standing"
        assert selected(database_url, everyone) == [("main", head - 2, head, 2)]
        flow.catch_up()
        named = "SELECT read_table, behind FROM salesflow_standing"
        assert ("salesflow_deal_state", 0) in selected(database_url, named)


def test_an_analyst_needs_no_right_but_to_read_the_view(postgres_url: str) -> None:
    with SalesFlow(postgres_url, folds=[FIRST]) as flow:
        opened(flow)
        flow.catch_up()
    with plain_connection(postgres_url) as connection:
        connection.execute("DROP ROLE IF EXISTS analyst_of_this_test")
        connection.execute("CREATE ROLE analyst_of_this_test")
        connection.execute("GRANT SELECT ON salesflow_deal_state TO analyst_of_this_test")
        connection.execute("SET ROLE analyst_of_this_test")
        found = connection.execute("SELECT owner FROM salesflow_deal_state").fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM salesflow_deal_state_1")
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY analyst_of_this_test")
        connection.execute("DROP ROLE analyst_of_this_test")
    assert found == [("ann",)]


def test_what_was_granted_stays_where_columns_only_grow(postgres_url: str) -> None:
    more = offers(2, "amount", "again")
    with SalesFlow(postgres_url, folds=[FIRST]) as flow:
        flow.catch_up()
    with plain_connection(postgres_url) as connection:
        connection.execute("GRANT SELECT ON salesflow_offer_of_this_test TO PUBLIC")
    with SalesFlow(postgres_url, folds=[more]) as flow:
        flow.catch_up()
    granted = (
        "SELECT has_table_privilege('public', 'salesflow_offer_of_this_test', 'SELECT'),"
        " count(*) FROM information_schema.columns"
        " WHERE table_name = 'salesflow_offer_of_this_test' AND column_name LIKE 'again%'"
    )
    assert selected(postgres_url, granted) == [(True, 2)]
