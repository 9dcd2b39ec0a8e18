"""Whatever brings facts into a log: what was delivered is not sent again, what is new is.

What is new is what became known, however long ago it happened.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from databases import Postgres, postgres_server, tamper
from outbox.receiving import (
    Note,
    Receiver,
    called,
    deal_events,
    delivering,
    opened,
    what_went_wrong,
)
from salesflow import SalesFlow
from salesflow.adapters.exporters.restore import restore_log
from salesflow.adapters.importers import import_table
from salesflow.adapters.outbox.endpoints import Endpoint

pytest.importorskip("httpx2", reason="webhooks are sent by httpx2")
LONG_AGO = datetime(2019, 3, 4, 9, tzinfo=UTC)
MAPPING = """
source = "old"
rows = "events"
object = "deal"
at = "when"
timezone = "UTC"

[[facts]]
kind = "deal.opened"
"""


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(tmp_path) as running:
        yield running


def from_the_end(receiver: Receiver) -> Endpoint:
    """Give an endpoint whose file names no position to begin at."""
    made = receiver.endpoint()
    vars(made)["after"] = None
    return made


def test_a_log_that_is_restored_sends_nothing_of_the_past_unless_it_is_asked_for(
    database_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    with SalesFlow(f"sqlite:///{tmp_path / 'before.db'}") as before:
        called(before, opened(before), times=2)
        before.outbox.deliver([receiver.endpoint()])
        before.exports.log(tmp_path / "log.jsonl")
    restore_log(tmp_path / "log.jsonl", database_url)
    sent = receiver.notes
    with SalesFlow(database_url) as flow:
        assert flow.outbox.deliver([from_the_end(receiver)]).delivered == {"crm": 0}
        deal = opened(flow)
        assert flow.outbox.deliver([from_the_end(receiver)]).delivered == {"crm": 1}
        again = receiver.endpoint("again")
        assert flow.outbox.deliver([again]).delivered == {"again": 4}
    new, *later = receiver.notes[len(sent) :]
    assert new["subject"] == str(deal.id)
    past = [note for note in later if note["subject"] != str(deal.id)]
    assert [note["id"] for note in past] == [note["id"] for note in sent]
    assert [note["body"] for note in past] == [note["body"] for note in sent]


def test_an_import_of_old_facts_is_sent_since_they_became_known_now(
    database_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    table, mapping = tmp_path / "old.csv", tmp_path / "mapping.toml"
    table.write_text(f"deal,when\nD-1,{LONG_AGO.isoformat()}\n")
    mapping.write_text(MAPPING)
    with SalesFlow(database_url) as flow:
        flow.outbox.deliver([from_the_end(receiver)])
        for sent in (1, 0):
            import_table(table, mapping, log=flow.log)
            found = flow.outbox.deliver([from_the_end(receiver)])
            assert found.delivered == {"crm": sent}
        flow.rebuild()
        flow.catch_up()
        assert flow.outbox.deliver([from_the_end(receiver)]).delivered == {"crm": 0}
        [event] = deal_events(flow)
    [note] = receiver.notes
    assert event.occurred_at == LONG_AGO
    assert f'"time":"{LONG_AGO.isoformat().replace("+00:00", "Z")}"' in note["body"]
    recorded = event.recorded_at.isoformat().replace("+00:00", "Z")
    assert f'"recordedat":"{recorded}"' in note["body"]


def test_a_fact_that_cannot_be_read_stops_only_who_may_ask_for_it_until_it_is_retracted(
    database_url: str, receiver: Receiver
) -> None:
    wide, narrow = receiver.endpoint("wide"), receiver.endpoint("narrow", facts=["deal.won"])
    with SalesFlow(database_url) as flow:
        deal = opened(flow)
        called(flow, deal)
        wrong = flow.history(deal.id)[-1]
    tamper(
        database_url,
        f"UPDATE salesflow_events SET topic = '{wrong.fact.kind}:99'"
        f" WHERE position = {wrong.position}",
    )
    with SalesFlow(database_url) as flow:
        other = opened(flow)
        found = flow.outbox.deliver([wide, narrow])
        assert found.delivered == {"wide": 1, "narrow": 0}
        assert [*found.problems] == ["wide"]
        assert str(deal.id) in found.problems["wide"]
        lags = {each.endpoint: each.lag for each in flow.outbox.standings()}
        assert lags["wide"] > lags["narrow"] == 0
        with flow.session(actor="ann") as s:
            s.retract(wrong.event_id, because="it cannot be read")
        found = flow.outbox.deliver([wide, narrow])
        assert found.problems == {}
        assert str(other.id) in {note["subject"] for note in receiver.notes}


@pytest.fixture(scope="module")
def fragile() -> Iterator[Postgres]:
    """A server of our own, to be crashed."""
    with postgres_server() as server:
        server.make_template()
        yield server


def test_a_database_that_crashes_in_the_middle_of_a_delivery_costs_no_message_and_no_order(
    fragile: Postgres, receiver: Receiver
) -> None:
    with fragile.database() as url:
        with SalesFlow(url) as flow:
            called(flow, *(opened(flow) for _ in range(10)), times=19)
            events = deal_events(flow)
        with delivering(url, receiver):
            for part in (50, 120):
                receiver.wait_until(partial(have_come, part))
                fragile.crash()
                fragile.start()
            receiver.wait_until(partial(have_come, len(events)))
        assert what_went_wrong(receiver.notes, events) == []


def have_come(count: int, notes: list[Note]) -> bool:
    """Say whether so many different messages have come."""
    return len({note["id"] for note in notes}) >= count
