"""What an append promises: positions, times, all or nothing, once only."""

from typing import Any
from uuid import uuid4

import pytest

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.domain.time import Instant
from salesflow.errors import AlreadyRecordedError, ConcurrentChangeError, InputError
from store.facts import NOTES, Clock, Noted, draft, drafts

SECOND = 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(database: Database, clock: Clock) -> EventLog:
    return EventLog(database, catalogue=NOTES, clock=clock)


def test_positions_follow_one_another_without_a_gap(log: EventLog) -> None:
    receipts = [log.append(drafts(size)) for size in (1, 3, 2)]
    assert [(receipt.first, receipt.last) for receipt in receipts] == [(1, 1), (2, 4), (5, 6)]
    assert [event.position for event in log.page(0, 10)] == [1, 2, 3, 4, 5, 6]


def test_a_receipt_says_what_was_recorded(log: EventLog, clock: Clock) -> None:
    deal, customer = uuid4(), uuid4()
    told = [draft(deal, 1), draft(customer, 1), draft(deal, 2)]
    receipt = log.append(told, command_id="c-1")
    assert receipt == (
        1,
        3,
        clock.instant,
        tuple(each.event_id for each in told),
        (deal, customer),
        "c-1",
        (),
        False,
    )
    assert log.head() == (3, clock.instant)


def test_everything_told_of_an_event_is_kept(log: EventLog, clock: Clock) -> None:
    told = NewEvent(
        stream_id=uuid4(),
        version=1,
        topic="test.noted:1",
        payload=Noted(text="价格 — \N{PILE OF POO}").to_json(),
        event_id=uuid4(),
        occurred=clock.instant - SECOND,
        precision="day",
        actor="u-17",
        correlation_id="visit",
        causation_id="call",
        source="zoho",
        source_id="deal/1/2",
    )
    log.append([told], command_id="c-1")
    assert log.stream(told.stream_id) == [
        (
            Noted(text="价格 — \N{PILE OF POO}"),
            told.stream_id,
            1,
            1,
            clock.instant - SECOND,
            clock.instant,
            told.event_id,
            "day",
            "u-17",
            "c-1",
            "visit",
            "call",
            "zoho",
            "deal/1/2",
        )
    ]


def test_payloads_are_stored_byte_for_byte(log: EventLog) -> None:
    payload = b'{ "text" : "caf\\u00e9" }'
    log.append([draft()._replace(payload=payload)])
    assert log.stored_page(0, 1)[0].payload == payload


def test_recorded_at_is_the_same_within_an_append_and_grows_with_each(
    log: EventLog, clock: Clock
) -> None:
    for _ in range(3):
        log.append(drafts(2))
    times = [event.recorded - clock.instant for event in log.page(0, 10)]
    assert times == [0, 0, 1, 1, 2, 2]


def test_recorded_at_never_goes_back_when_the_clock_does(log: EventLog, clock: Clock) -> None:
    before = log.append([draft()]).recorded
    clock.turn(seconds=-4)
    assert log.append([draft()]).recorded == before + 1


def test_without_a_time_an_event_occurred_when_it_was_recorded(
    log: EventLog, clock: Clock
) -> None:
    log.append(drafts(2))
    assert [(e.occurred, e.recorded) for e in log.page(0, 2)] == [(clock.instant,) * 2] * 2


@pytest.mark.parametrize("ahead", [1, SECOND, 5 * SECOND])
def test_a_fact_from_a_host_whose_clock_is_a_little_ahead_occurred_when_recorded(
    log: EventLog, clock: Clock, ahead: Instant
) -> None:
    log.append([draft(occurred=clock.instant + ahead), draft(occurred=clock.instant - 7)])
    assert [event.occurred - clock.instant for event in log.page(0, 2)] == [0, -7]


def test_a_fact_from_the_future_is_refused_and_nothing_of_its_append_is_stored(
    log: EventLog, clock: Clock
) -> None:
    later = draft(occurred=clock.instant + 5 * SECOND + 1)
    with pytest.raises(InputError, match=r"2026-03-01T00:00:05\.000001.* lies in the future"):
        log.append([draft(), later])
    assert log.head() == (0, 0)
    with pytest.raises(InputError, match="lies in the future"):
        log.append_many([[draft()], [later], [draft()]])
    assert log.page(0, 10) == []
    assert log.append([draft()]).first == 1


def test_a_fact_of_long_ago_is_kept_as_it_is(log: EventLog, clock: Clock) -> None:
    century = 3_155_760_000 * SECOND
    log.append([draft(occurred=clock.instant - century)])
    assert log.page(0, 1)[0].occurred == clock.instant - century


def test_who_appends_to_a_stream_that_somebody_else_changed_is_told_where_it_stands(
    log: EventLog,
) -> None:
    deal = uuid4()
    log.append(drafts(3, deal))
    with pytest.raises(
        ConcurrentChangeError, match=f"stream {deal} stands at version 3; version 2 was"
    ):
        log.append(drafts(1, deal, first=2))


def test_of_an_append_that_conflicts_nothing_is_stored(log: EventLog) -> None:
    deal, other = uuid4(), uuid4()
    log.append(drafts(1, deal))
    with pytest.raises(ConcurrentChangeError):
        log.append([draft(other, 1), draft(deal, 1), draft(other, 2)], command_id="c-1")
    assert log.stream(other) == []
    assert log.receipt("c-1") is None
    assert log.head().position == 1
    assert log.append([draft(other, 1)], command_id="c-1").first == 2


def test_the_same_stream_id_of_two_tenants_are_two_streams(
    database: Database, log: EventLog
) -> None:
    deal = uuid4()
    other = EventLog(database, tenant="other", catalogue=NOTES)
    mine = log.append(drafts(2, deal), command_id="c-1")
    theirs = other.append(drafts(3, deal), command_id="c-1")
    assert (mine.first, theirs.first) == (1, 1)
    assert [len(each.stream(deal)) for each in (log, other)] == [2, 3]
    assert [each.head().position for each in (log, other)] == [2, 3]
    assert other.receipt("c-1") == theirs
    assert log.find(theirs.event_ids[0]) is None
    assert log.versions([deal]) == {deal: 2}
    assert log.streams([deal], through=9) == {deal: log.stream(deal)}


def test_a_command_is_recorded_once_and_answers_with_its_first_receipt(log: EventLog) -> None:
    deal, customer = uuid4(), uuid4()
    first = log.append([draft(deal), draft(customer)], command_id="c-1")
    with pytest.raises(AlreadyRecordedError, match="'c-1' was recorded before") as refused:
        log.append([draft(deal, 2)], command_id="c-1")
    assert refused.value.receipt == first
    assert log.receipt("c-1") == first
    assert log.receipt("c-2") is None
    assert log.head().position == 2


def test_a_command_sent_again_is_known_even_when_its_stream_conflicts(log: EventLog) -> None:
    told = drafts(2)
    first = log.append(told, command_id="c-1")
    with pytest.raises(AlreadyRecordedError) as refused:
        log.append(told, command_id="c-1")
    assert refused.value.receipt == first


@pytest.mark.parametrize("size", [1, 3, 101, 5_000])
def test_appends_of_any_size_read_back_the_same(log: EventLog, size: int) -> None:
    told = drafts(size)
    receipt = log.append(told, command_id="c-1")
    assert (receipt.first, receipt.last) == (1, size)
    events = log.page(0, size)
    assert [(e.event_id, e.version) for e in events] == [(d.event_id, d.version) for d in told]
    assert {event.command_id for event in events} == {"c-1"}
    assert log.receipt("c-1") == receipt


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 3), (90, 20), (1, 400, 1, 1_700)])
def test_many_appends_at_once_stay_appends_of_their_own(
    log: EventLog, clock: Clock, sizes: tuple[int, ...]
) -> None:
    receipts = log.append_many([drafts(size) for size in sizes])
    assert [receipt.last - receipt.first + 1 for receipt in receipts] == list(sizes)
    assert [r.recorded - clock.instant for r in receipts] == list(range(len(sizes)))
    assert [r.first for r in receipts[1:]] == [r.last + 1 for r in receipts[:-1]]
    for receipt in receipts:
        recorded = log.stream(receipt.stream_ids[0])
        assert tuple(event.event_id for event in recorded) == receipt.event_ids
        assert {event.recorded for event in recorded} == {receipt.recorded}
    assert log.head() == (receipts[-1].last, receipts[-1].recorded)


@pytest.mark.parametrize("size", [1, 300, 1_100])
def test_of_many_appends_all_are_recorded_or_none(log: EventLog, size: int) -> None:
    deal = uuid4()
    log.append(drafts(1, deal))
    with pytest.raises(ConcurrentChangeError, match=f"stream {deal} stands at version 1"):
        log.append_many([drafts(size), drafts(size, deal)])
    assert log.head().position == 1
    twice = uuid4()
    with pytest.raises(ConcurrentChangeError, match=f"stream {twice}"):
        log.append_many([drafts(size, twice), drafts(size, twice)])
    assert log.head().position == 1


def test_nothing_to_append_many_of_is_nothing(log: EventLog) -> None:
    assert log.append_many([]) == []


def test_an_append_without_events_is_refused(log: EventLog) -> None:
    with pytest.raises(InputError, match="records nothing"):
        log.append([])


def test_versions_of_a_stream_follow_one_another(log: EventLog) -> None:
    deal = uuid4()
    for versions in ((1, 3), (2, 1), (1, 1), (1, 2, 2)):
        with pytest.raises(InputError, match=f"stream {deal}: version"):
            log.append([draft(deal, version) for version in versions])
    assert log.head() == (0, 0)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 501])
@pytest.mark.parametrize("field", ["actor", "source_id", "correlation_id", "topic", "command"])
def test_text_that_a_database_cannot_hold_is_refused_at_once(
    log: EventLog, field: str, text: str
) -> None:
    command_id = text if field == "command" else None
    told: dict[str, Any] = {} if field == "command" else {field: text}
    with pytest.raises(InputError):
        log.append([draft(**told)], command_id=command_id)
    assert log.head() == (0, 0)


@pytest.mark.parametrize(
    "change", [{"version": 2**31}, {"version": -1}, {"occurred": 2**58}, {"occurred": -(2**70)}]
)
def test_numbers_that_a_database_cannot_hold_are_refused(
    log: EventLog, change: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        log.append([draft(**change)])
    assert log.head() == (0, 0)


@pytest.mark.parametrize("tenant", ["", "a b", "x" * 65, "'; DROP TABLE", "-a", "ü"])
def test_a_tenant_has_a_plain_name(database: Database, tenant: str) -> None:
    with pytest.raises(InputError, match="cannot name a tenant"):
        EventLog(database, tenant=tenant)


def test_text_is_never_taken_for_sql(log: EventLog) -> None:
    told = draft(actor="'; DROP TABLE salesflow_events; --", source='"', source_id="%s ? :x")
    log.append([told], command_id="%(tenant)s")
    (event,) = log.page(0, 10)
    assert (event.actor, event.source, event.source_id, event.command_id) == (
        told.actor,
        '"',
        "%s ? :x",
        "%(tenant)s",
    )
    assert log.receipt("%(tenant)s") is not None


@pytest.mark.parametrize(
    "text", ["", " ", "\u200b\u3000", "a\tb", "\x1b[31m", "\u200ekim", "a\ufffe"]
)
def test_an_envelope_holds_no_text_that_cannot_be_shown(log: EventLog, text: str) -> None:
    for name in ("actor", "correlation_id", "causation_id", "source", "source_id"):
        with pytest.raises(InputError, match=name):
            log.append([draft()._replace(**{name: text})])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="command_id"):
        log.append([draft()], command_id=text)
    assert log.head() == (0, 0)


def test_texts_of_an_envelope_are_kept_in_one_way_of_writing(log: EventLog) -> None:
    log.append([draft(actor="Jose\u0301", source="\u0958")], command_id="e\u0301")
    [event] = log.page(0, 1)
    assert (event.actor, event.source, event.command_id) == (
        "Jos\u00e9",
        "\u0915\u093c",
        "\u00e9",
    )
    with pytest.raises(AlreadyRecordedError):
        log.append([draft(actor="Jos\u00e9")], command_id="\u00e9")
