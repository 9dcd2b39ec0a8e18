"""A stream whose opening was retracted gets a new one: of its kind, at its own time."""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest

from given import opened
from salesflow import STANDARD, Customer, Deal, SalesFlow
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.outcomes import DealWon
from salesflow.errors import InputError, NotFoundError, RuleError

MAY = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
AGAIN = opened(STANDARD, title="ERP, this time for real")


def mistaken(flow: SalesFlow) -> UUID:
    """Open a deal, talk about it, and find that the opening was wrong."""
    with flow.session() as s:
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=MAY))
        deal.log_contact(channel="call", direction="out", occurred_at=MAY)
    with flow.session() as s:
        s.retract(flow.history(deal.id)[0].event_id, because="opened twice")
    return deal.id


@pytest.mark.parametrize(
    ("said", "happened", "precision"),
    [
        (MAY, MAY, "microsecond"),
        (date(2026, 5, 4), datetime(2026, 5, 3, 16, tzinfo=UTC), "day"),
        (None, datetime(2026, 6, 1, 12, tzinfo=UTC), "microsecond"),
    ],
)
def test_a_history_is_reopened_at_the_time_it_says(
    flow: SalesFlow, said: datetime | date | None, happened: datetime, precision: str
) -> None:
    id = mistaken(flow)
    with flow.session() as s:
        s.reopen_history(id, AGAIN, occurred_at=said)
    event = flow.history(id)[-1]
    assert (event.occurred_at.replace(microsecond=0), event.precision) == (happened, precision)
    deal = flow.get(Deal, id)
    assert deal.title == "ERP, this time for real"
    assert len(deal.contacts) == (0 if said is None else 1), "what came before is irregular"


def test_a_naive_time_reopens_nothing(flow: SalesFlow) -> None:
    id = mistaken(flow)
    with pytest.raises(InputError, match="has no time zone"), flow.session() as s:
        s.reopen_history(id, AGAIN, occurred_at=datetime(2026, 5, 4, 9))  # noqa: DTZ001


def test_a_history_that_is_open_is_not_reopened(flow: SalesFlow) -> None:
    with flow.session() as s:
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
    with (
        pytest.raises(RuleError, match=r"is open by deal.opened .*; retract that first"),
        flow.session() as s,
    ):
        s.reopen_history(deal.id, AGAIN)
    id = mistaken(flow)
    with (
        pytest.raises(RuleError, match="of this session; retract that first"),
        flow.session() as s,
    ):
        s.reopen_history(id, AGAIN)
        s.reopen_history(id, AGAIN)


@pytest.mark.parametrize("loaded", [True, False])
def test_an_opening_is_retracted_and_replaced_in_one_session(
    flow: SalesFlow, loaded: bool
) -> None:
    with flow.session() as s:
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=MAY))
    with flow.session() as s:
        if loaded:
            s.get(Deal, deal.id)
        s.retract(flow.history(deal.id)[0].event_id, because="another title")
        s.reopen_history(deal.id, AGAIN, occurred_at=MAY)
    assert flow.get(Deal, deal.id).title == "ERP, this time for real"
    assert flow.get(Deal, deal.id).opened_at == MAY


def test_a_history_is_reopened_by_what_opens_a_thing_of_its_kind(flow: SalesFlow) -> None:
    id = mistaken(flow)
    with (
        pytest.raises(InputError, match=r"customer.registered cannot open .* is a deal"),
        flow.session() as s,
    ):
        s.reopen_history(id, CustomerRegistered(name="Acme"))
    with pytest.raises(InputError, match=r"deal.won opens nothing"), flow.session() as s:
        s.reopen_history(id, DealWon())
    with (
        pytest.raises(NotFoundError, match="nothing has been recorded"),
        flow.session() as s,
    ):
        s.reopen_history(uuid4(), AGAIN)
    with flow.session() as s:
        acme = s.add(Customer.register(name="Acme", occurred_at=MAY))
    with flow.session() as s:
        s.retract(flow.history(acme.id)[0].event_id, because="misspelt")
        s.reopen_history(acme.id, CustomerRegistered(name="Acme Ltd"), occurred_at=MAY)
    assert flow.get(Customer, acme.id).name == "Acme Ltd"
