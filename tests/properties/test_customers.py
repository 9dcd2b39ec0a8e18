"""Customers and contacts hold exactly what a naive replay finds, whenever asked."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from oracle.beliefs import Raw
from oracle.contacts import contacts_of
from oracle.customers import customer_at, customers_of
from oracle.deals import deals_of
from oracle.rows import seen
from properties.effort import TALLY, examples
from properties.mistakes import late_facts_as_they_come
from properties.moments import instants, knowledge
from properties.playing import Act, Player, acts, customer_acts
from properties.raw_log import raw_log, rows_of
from properties.readable import shown
from salesflow.domain.customer import CustomerState
from salesflow.domain.deal.state import DealSummary
from salesflow.domain.event import Event
from salesflow.engine import SalesFlow
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.customer import CUSTOMER

Mistake = Callable[[pytest.MonkeyPatch], None]

THEMES = (
    ("contact", "contact", "contact", "owner", "customer", "moved"),
    ("contact", "contact", "migrated", "won", "lost", "reopened"),
    ("contact", "contact", "opened", "merged", "unmerged"),
)
"""Words about contacts, and about what changes whose they are."""

CONTACTS_KEPT = tuple(
    column.name for column in (*CONTACT.keys, *CONTACT.attributes) if "day" not in column.name
)


@examples(8)
@given(history=customer_acts(3))
def test_what_a_customer_counts_as_is_what_a_naive_replay_says_at_any_moment(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player:
        player.play_kept_up(history, CUSTOMER)
        check_customers(player.flow)
        kept = content(player.flow, CUSTOMER.name)
        player.flow.rebuild(CUSTOMER.label)
        assert content(player.flow, CUSTOMER.name) == kept


@examples(8)
@given(history=acts(2, least=8, most=18, themes=THEMES))
def test_contacts_at_any_moment_are_those_of_a_naive_replay(
    database_url: str, history: list[Act]
) -> None:
    with Player(database_url) as player:
        player.play_kept_up(history, CONTACT)
        check_contacts(player.flow)
        kept = content(player.flow, CONTACT.name)
        player.flow.rebuild(CONTACT.label)
        assert content(player.flow, CONTACT.name) == kept


def content(flow: SalesFlow, table: str) -> Counter[tuple[tuple[str, object], ...]]:
    return Counter(tuple(row.items()) for row in rows_of(flow, table))


def check_customers(flow: SalesFlow) -> None:
    raw, rows = raw_log(flow), rows_of(flow, CUSTOMER.name)
    names = [column.name for column in CUSTOMER.attributes]
    for known_at in knowledge(raw)[::2]:
        for as_of in instants(raw):
            TALLY["moments of customers"] += 1
            found = {
                text(row["entity_id"]): {name: told(row, name) for name in names}
                for row in rows
                if seen(row, as_of, known_at)
            }
            asked = {s: customer_at(raw, s, as_of, known_at) for s in customers_of(raw)}
            wanted = {stream: known for stream, known in asked.items() if known is not None}
            assert found == wanted, (as_of, known_at, shown(raw))


def check_contacts(flow: SalesFlow) -> None:
    raw, rows = raw_log(flow), rows_of(flow, CONTACT.name)
    for known_at in knowledge(raw)[::3]:
        for as_of in instants(raw):
            TALLY["moments of contacts"] += 1
            here = [row for row in rows if seen(row, as_of, known_at)]
            found = {row["position"]: contact_of(row) for row in here}
            assert len(found) == len(here), "a contact has two rows"
            assert found == contacts(raw, as_of, known_at), (as_of, known_at, shown(raw))


def contacts(raw: list[Raw], as_of: int, known_at: int) -> dict[int, dict[str, Any]]:
    return {
        found["position"]: {"deal": stream, **found}
        for stream in deals_of(raw)
        for found in contacts_of(raw, stream, as_of, known_at)
    }


def contact_of(row: dict[str, Any]) -> dict[str, Any]:
    """Write a row of the table in the words of the oracle."""
    kept = {name: told(row, name) for name in CONTACTS_KEPT}
    return {
        "deal": text(row["entity_id"]),
        **{name: value for name, value in kept.items() if name != "customer_id"},
        "customer": kept["customer_id"],
        "day_only": bool(row["day_only"]),
        "opened_day_only": bool(row["opened_day_only"]),
    }


def told(row: dict[str, Any], name: str) -> object:
    return text(row[name]) if name in ("merged_into", "customer_id") else row[name]


def text(id: object) -> str | None:
    return None if id is None else str(UUID(str(id)))


def _merged_for_good(patch: pytest.MonkeyPatch) -> None:
    right = CustomerState.evolve

    def evolves(self: CustomerState, event: Event) -> str | None:
        before = self.merged_into
        irregular = right(self, event)
        self.merged_into = self.merged_into or before
        return irregular

    patch.setattr(CustomerState, "evolve", evolves)


def _contacts_before_the_opening(patch: pytest.MonkeyPatch) -> None:
    right = DealSummary.evolve

    def evolves(self: DealSummary, event: Event) -> str | None:
        right(self, event)
        return None

    patch.setattr(DealSummary, "evolve", evolves)


@pytest.mark.parametrize("mistake", [late_facts_as_they_come, _merged_for_good])
def test_a_table_of_customers_with_a_mistake_in_it_would_be_noticed(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        _customers_agree(sqlite_url)


@pytest.mark.parametrize("mistake", [late_facts_as_they_come, _contacts_before_the_opening])
def test_a_table_of_contacts_with_a_mistake_in_it_would_be_noticed(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        _contacts_agree(sqlite_url)


@examples(200, shrink=False)
@given(history=customer_acts(3))
def _customers_agree(url: str, history: list[Act]) -> None:
    with Player(url) as player:
        player.play_kept_up(history, CUSTOMER)
        check_customers(player.flow)


@examples(200, shrink=False)
@given(history=acts(2, least=8, most=18, themes=THEMES))
def _contacts_agree(url: str, history: list[Act]) -> None:
    with Player(url) as player:
        player.play_kept_up(history, CONTACT)
        check_contacts(player.flow)
