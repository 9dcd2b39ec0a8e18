"""What was recorded is read back whole, by stream, by position and by source."""

import sys
from datetime import UTC, datetime, timedelta
from subprocess import check_output
from uuid import RFC_4122, UUID, SafeUUID, uuid4

import pytest

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.domain.catalogue import FactCatalogue
from salesflow.domain.event import UnreadableFact, ensure_readable
from salesflow.domain.ids import new_id, new_ids, uuid_of_bytes, uuids_of_bytes
from salesflow.errors import HistoryError
from store.facts import NOTES, Clock, Noted, draft, drafts, planted


@pytest.fixture
def log(database: Database) -> EventLog:
    return EventLog(database, catalogue=NOTES, clock=Clock())


def test_a_stream_is_read_in_order_of_version(log: EventLog) -> None:
    deal = uuid4()
    log.append([draft(deal, 1, "one"), draft(), draft(deal, 2, "two")])
    log.append([draft(), draft(deal, 3, "three")])
    events = log.stream(deal)
    assert [(e.version, e.position, e.fact) for e in events] == [
        (1, 1, Noted(text="one")),
        (2, 3, Noted(text="two")),
        (3, 5, Noted(text="three")),
    ]
    assert {type(event.stream_id) for event in events} == {UUID}
    assert log.stream(uuid4()) == []


def test_many_streams_are_read_up_to_a_position(log: EventLog) -> None:
    ids = [uuid4() for _ in range(1_200)]
    log.append_many([[draft(id, 1)] for id in ids])
    log.append_many([[draft(id, 2)] for id in ids])
    found = log.streams([*ids, uuid4()], through=1_300)
    assert set(found) == set(ids)
    assert [len(found[id]) for id in ids] == [2] * 100 + [1] * 1_100
    assert log.streams([ids[0], ids[0]], through=9_999)[ids[0]] == log.stream(ids[0])
    assert log.streams([], through=9_999) == {}


def test_pages_follow_the_log(log: EventLog) -> None:
    log.append(drafts(25))
    seen, after = [], 0
    while page := log.page(after, 10):
        seen += [event.position for event in page]
        after = page[-1].position
    assert seen == list(range(1, 26))


def test_an_event_is_found_by_its_id(log: EventLog) -> None:
    receipt = log.append(drafts(3))
    event = log.find(receipt.event_ids[1])
    assert event is not None
    assert event == log.page(1, 1)[0]
    assert log.find(uuid4()) is None


def test_the_last_version_of_streams_is_known_without_reading_them(log: EventLog) -> None:
    one, two = uuid4(), uuid4()
    log.append([*drafts(3, one), *drafts(1, two)])
    assert log.versions([one, two, uuid4()]) == {one: 3, two: 1}
    assert log.versions([]) == {}


@pytest.mark.parametrize(
    ("topic", "payload", "why"),
    [
        ("test.unheard_of:1", b"{}", "no fact of kind 'test.unheard_of'"),
        ("test.noted:2", b"{}", "stored by a newer salesflow"),
        ("test.noted:1", b'{"colour": "red"}', "colour"),
        ("test.noted:1", b'{"text": 7}', "text"),
        ("test.noted:1", b"\xff\x00", "test.noted:1"),
    ],
)
def test_an_event_that_cannot_be_read_is_named_by_stream_version_and_position(
    log: EventLog, topic: str, payload: bytes, why: str
) -> None:
    deal = uuid4()
    log.append([draft()])
    planted(log, draft(deal, 4)._replace(topic=topic, payload=payload))
    where = f"stream {deal}, version 4, position 2"
    for found in (log.stream(deal), log.page(1, 9), log.streams([deal], through=9)[deal]):
        [event] = found
        assert isinstance(event.fact, UnreadableFact)
        assert event.fact.stored == topic
        with pytest.raises(HistoryError) as refused:
            ensure_readable(found)
        assert where in str(refused.value)
        assert str(event.event_id) in str(refused.value)
        assert why in str(refused.value)
    assert log.stored_page(1, 1)[0].payload == payload


def test_people_can_read_the_log_with_any_sql_tool(database: Database, log: EventLog) -> None:
    deal = uuid4()
    at = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    told = draft(deal, 1, "Grüße", occurred=-1, actor="u-17")
    receipt = log.append([told], command_id="c-1")
    with database.read() as connection:
        row = connection.exec_driver_sql("SELECT * FROM salesflow_event_view").mappings().one()
    shown = dict(row)
    if database.dialect == "sqlite":
        for column in ("occurred_at", "recorded_at"):
            shown[column] = datetime.fromisoformat(shown[column])
        shown.update(stream_id=UUID(shown["stream_id"]), event_id=UUID(shown["event_id"]))
    assert shown == {
        "tenant": "main",
        "position": 1,
        "stream_id": deal,
        "version": 1,
        "event_id": told.event_id,
        "kind": "test.noted",
        "topic": "test.noted:1",
        "payload": '{"text":"Grüße"}',
        "occurred_at": at,
        "recorded_at": datetime(1970, 1, 1, tzinfo=UTC)
        + timedelta(microseconds=receipt.recorded),
        "precision": "microsecond",
        "actor": "u-17",
        "command_id": "c-1",
        "correlation_id": None,
        "causation_id": None,
        "source": None,
        "source_id": None,
    }


def test_bytes_that_are_no_text_do_not_spoil_the_view(
    database: Database, log: EventLog
) -> None:
    planted(log, draft()._replace(payload=b"\xff\xfe"))
    with database.read() as connection:
        shown = connection.exec_driver_sql("SELECT payload FROM salesflow_event_view").all()
    assert len(shown) == 1


def test_event_ids_are_uuids_of_version_7_in_order_of_time() -> None:
    before = datetime.now(tz=UTC)  # noqa: TID251
    ids = [new_id() for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert {(id.version, id.variant) for id in ids} == {(7, RFC_4122)}
    made = datetime.fromtimestamp((ids[0].int >> 80) / 1000, tz=UTC)
    assert abs(made - before) < timedelta(hours=1)
    coarse = [id.int >> 64 for id in ids]
    assert coarse == sorted(coarse)


@pytest.mark.parametrize(
    ("count", "often"), [(1, 30), (2, 30), (31, 1_000), (1_000, 3), (1_023, 30), (65_535, 3)]
)
def test_ids_made_at_once_sort_as_they_stand_and_behind_those_before(
    count: int, often: int
) -> None:
    ids = list[UUID]()
    for _ in range(often):
        before, ids = new_id(), new_ids(count)
        numbers = [id.int for id in ids]
        first, last = (number >> 62 for number in (numbers[0], numbers[-1]))
        assert before.int >> 62 <= first == last <= new_id().int >> 62
        assert len(numbers) == count == len(set(numbers))
        assert numbers == sorted(numbers)
    assert {(id.version, id.variant, id.is_safe) for id in ids} == {
        (7, RFC_4122, SafeUUID.unknown)
    }


def test_no_ids_are_made_at_once_where_none_are_asked_for() -> None:
    assert new_ids(0) == []


def test_a_forked_process_makes_ids_of_its_own() -> None:
    forking = (
        "import os; from salesflow.domain.ids import new_id; child = os.fork();"
        " print([new_id().int % 2**62 for _ in range(3)], flush=True);"
        " child and os.waitpid(child, 0)"
    )
    told = check_output([sys.executable, "-c", forking], text=True).splitlines()
    assert len(set(told)) == 2


def test_a_uuid_read_from_bytes_is_like_any_other() -> None:
    id = uuid4()
    read = uuid_of_bytes(id.bytes)
    assert (read, hash(read), str(read), read.is_safe) == (id, hash(id), str(id), id.is_safe)


def test_many_uuids_read_from_bytes_are_like_any_others() -> None:
    ids = [uuid4() for _ in range(3)]
    read = uuids_of_bytes([id.bytes for id in ids])
    assert read == ids
    assert [(str(id), id.is_safe) for id in read] == [(str(id), id.is_safe) for id in ids]


def test_a_catalogue_of_another_application_reads_its_own_tenant(database: Database) -> None:
    class Painted(Noted):
        kind = "test.painted"

    log = EventLog(database, tenant="painters", catalogue=FactCatalogue([Painted]))
    told = NewEvent(uuid4(), 1, "test.painted:1", b'{"text":"red"}', new_id(), None)
    log.append([told])
    assert [event.fact for event in log.page(0, 10)] == [Painted(text="red")]
