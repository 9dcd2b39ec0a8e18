"""What a message says: a CloudEvent that others read, without what is about people."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from outbox.receiving import deal_events, opened
from salesflow import STANDARD, Customer, Deal, Rep, SalesFlow
from salesflow.adapters.outbox.endpoints import endpoint_of
from salesflow.adapters.outbox.fact_messages import FactMessages
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.event import FactRetracted
from salesflow.engine.message_names import MessageNames
from salesflow.engine.session import Session

pytest.importorskip("cloudevents", reason="they are read back by cloudevents")


NAMED = {"name": "crm", "url": "http://localhost/", "after": 0, "facts": ["deal.*"]}


def opened_in(session: Session, customer: str) -> Deal:
    registered = session.add(Customer.register(name=customer))
    deal = Deal.open(STANDARD, customer=registered, title="ERP", owner="ann")
    return session.add(deal)


def read_back(message: OutgoingMessage) -> tuple[dict[str, Any], Any]:
    """Give attributes and data as an independent reader has them."""
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    event = JSONFormat().read(CloudEvent, message.to_bytes())
    return event.get_attributes(), event.get_data()


def messages(flow: SalesFlow, *, personal: bool = False) -> list[OutgoingMessage]:
    made = FactMessages(flow.log)
    return [made.of(event, personal=personal) for event in deal_events(flow)]


def test_a_message_is_a_cloud_event_with_both_times(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        then = datetime(2026, 3, 1, 9, tzinfo=UTC)
        with flow.session(actor="ann", correlation_id="order-7") as s:
            customer = s.add(Customer.register(name="Acme", occurred_at=then))
            deal = s.add(
                Deal.open(
                    STANDARD, customer=customer, title="ERP", owner="ann", occurred_at=then
                )
            )
        [event], [message] = deal_events(flow), messages(flow)
        attributes, data = read_back(message)
    assert attributes == {
        "specversion": "1.0",
        "id": str(event.event_id),
        "source": "urn:salesflow:main",
        "type": "com.salesflow.deal.opened",
        "subject": str(deal.id),
        "time": then,
        "datacontenttype": "application/json",
        "recordedat": event.recorded_at.isoformat().replace("+00:00", "Z"),
        "partitionkey": str(deal.id),
        "sequence": f"{event.position:020}",
        "tenant": "main",
        "position": str(event.position),
        "streamversion": event.version,
        "correlationid": "order-7",
    }
    assert data["thing"] == "deal"
    assert data["kind"] == "deal.opened"
    assert data["actor"] == "ann"
    assert data["fact"]["owner"] == "ann"


def test_the_bytes_of_a_message_say_all_of_it(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        opened(flow)
        [message] = messages(flow, personal=True)
    assert OutgoingMessage.from_bytes(message.to_bytes()) == message


def test_texts_about_people_go_out_only_where_they_are_asked_for(sqlite_url: str) -> None:
    with SalesFlow(sqlite_url) as flow:
        deal = opened(flow)
        with flow.session(actor="ann") as s:
            s.get(Deal, deal.id).log_contact(
                channel="call", direction="out", summary="Mr Li is on holiday"
            )
        plain, full = messages(flow), messages(flow, personal=True)
    assert all("Mr Li" not in each.to_bytes().decode() for each in plain)
    assert "Mr Li is on holiday" in full[-1].to_bytes().decode()
    assert plain[-1].data["fact"]["channel"] == full[-1].data["fact"]["channel"] == "call"
    assert [each.id for each in plain] == [each.id for each in full]


def test_why_something_was_taken_back_goes_out_only_where_texts_about_people_do(
    sqlite_url: str,
) -> None:
    with SalesFlow(sqlite_url) as flow:
        deal = opened(flow)
        with flow.session() as s:
            s.retract(flow.history(deal.id)[-1].event_id, because="李娜把张总惹恼了")
        event, made = flow.log.stream(deal.id)[-1], FactMessages(flow.log)
        plain, full = (made.of(event, personal=each) for each in (False, True))
        assert "李娜" not in plain.to_bytes().decode()
        assert full.data["fact"]["because"] == "李娜把张总惹恼了"


def test_ids_have_names_as_they_were_believed_and_those_of_people_only_where_asked(
    database_url: str,
) -> None:
    with SalesFlow(database_url) as flow:
        with flow.session(actor="head") as s:
            s.add(Rep.join("ann", team="east", name="Ann Li"))
            deal = opened_in(s, "Acme")
        with flow.session(actor="head") as s:
            assert deal.customer_id is not None
            s.retract(flow.history(deal.customer_id)[0].event_id, because="a slip")
        with flow.session(actor="ann") as s:
            s.get(Deal, deal.id).lose(because="price")
        events = deal_events(flow)
        names = MessageNames(flow.log)
        plain, full = (names.of(events, personal=each) for each in (False, True))
        assert plain == [{str(deal.id): "ERP"}] * 2
        assert full == [
            {str(deal.id): "ERP", str(deal.customer_id): "Acme", "ann": "Ann Li"},
            {str(deal.id): "ERP", "ann": "Ann Li"},
        ]
        [kept] = flow.outbox.preview([endpoint_of(NAMED)], 1)
        assert kept.message.data["names"] == plain[0]


def test_a_retraction_names_what_it_takes_back_and_whether_that_stands(
    sqlite_url: str,
) -> None:
    with SalesFlow(sqlite_url) as flow:
        deal = opened(flow)
        with flow.session(actor="ann") as s:
            s.get(Deal, deal.id).lose(because="price")
        lost = flow.history(deal.id)[-1].event_id

        def retract(event_id: UUID) -> UUID:
            with flow.session(actor="bob") as s:
                s.retract(event_id, because="a slip")
            return flow.history(deal.id)[-1].event_id

        first = retract(lost)
        second = retract(first)
        made = FactMessages(flow.log)
        events = flow.history(deal.id)
        assert all(isinstance(each.fact, FactRetracted) for each in events[-2:])
        once, twice = (made.of(each, personal=False) for each in events[-2:])
    assert once.type == "com.salesflow.deal.lost.retracted"
    assert once.id == str(first)
    assert once.data["thing"] == "deal"
    root = {"event_id": str(lost), "kind": "deal.lost"}
    assert once.data["retracts"] == {"event_id": str(lost), "fact": root, "stands": False}
    assert twice.type == "com.salesflow.deal.lost.retraction_retracted"
    assert twice.id == str(second)
    assert twice.data["retracts"] == {"event_id": str(first), "fact": root, "stands": True}


def test_every_kind_of_facts_makes_a_type_that_is_told_from_all_others() -> None:
    kinds = [cls.kind for cls in CATALOGUE]
    assert len({*kinds}) == len(kinds)
    assert not [
        kind
        for kind in kinds
        if kind.endswith((".retracted", ".retraction_retracted")) and kind != "fact.retracted"
    ]
    assert json.loads(json.dumps(kinds)) == kinds
