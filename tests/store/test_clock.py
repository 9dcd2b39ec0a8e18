"""One host with a wrong clock must not poison the log, and somebody may accept that it did."""

from datetime import datetime

import pytest

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.errors import ClockError, InputError
from store.facts import NOTES, Clock, draft, instant

SECOND = 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(database: Database, clock: Clock) -> EventLog:
    return EventLog(database, catalogue=NOTES, clock=clock)


def test_a_clock_five_seconds_behind_the_log_still_records(log: EventLog, clock: Clock) -> None:
    before = log.append([draft()])
    clock.turn(seconds=-5)
    assert log.append([draft()]).recorded == before.recorded + 1


def test_a_clock_further_behind_is_refused_and_nothing_is_stored(
    log: EventLog, clock: Clock
) -> None:
    before = log.append([draft()])
    clock.turn(seconds=-5, microseconds=-1)
    with pytest.raises(ClockError, match="salesflow clock accept --because"):
        log.append([draft()])
    with pytest.raises(ClockError):
        log.append_many([[draft()], [draft()]])
    assert log.head() == (before.last, before.recorded)


def test_the_append_that_accepts_the_clock_is_recorded_right_after_the_last(
    log: EventLog, clock: Clock
) -> None:
    before = log.append([draft()])
    clock.turn(days=-30)
    assert log.append([draft()], accept_clock=True).recorded == before.recorded + 1


def test_once_accepted_the_clock_is_not_refused_until_it_has_caught_up(
    log: EventLog, clock: Clock
) -> None:
    before = log.append([draft()])
    clock.turn(days=-1)
    log.append([draft()], accept_clock=True)
    clock.turn(hours=1)
    assert log.append([draft()]).recorded == before.recorded + 2
    assert [r.recorded - before.recorded for r in log.append_many([[draft()], [draft()]])] == [
        3,
        4,
    ]
    clock.turn(hours=23, seconds=1)
    assert log.append([draft()]).recorded == before.recorded + SECOND
    clock.turn(seconds=-6)
    with pytest.raises(ClockError):
        log.append([draft()])


def test_accepting_a_clock_that_is_right_changes_nothing(log: EventLog, clock: Clock) -> None:
    before = log.append([draft()])
    clock.turn(seconds=1)
    assert log.append([draft()], accept_clock=True).recorded == before.recorded + SECOND
    clock.turn(seconds=-6)
    with pytest.raises(ClockError):
        log.append([draft()])


def test_what_was_accepted_holds_for_every_process_that_writes(
    database: Database, log: EventLog, clock: Clock
) -> None:
    log.append([draft()])
    clock.turn(days=-1)
    log.append([draft()], accept_clock=True)
    other = EventLog(database, catalogue=NOTES, clock=clock)
    assert other.append([draft()]).first == 3


def test_while_the_clock_lags_facts_may_be_as_late_as_the_log_itself(
    log: EventLog, clock: Clock
) -> None:
    before = log.append([draft()])
    clock.turn(days=-1)
    log.append([draft()], accept_clock=True)
    log.append([draft(occurred=before.recorded)])
    assert log.page(2, 1)[0].occurred == before.recorded
    with pytest.raises(InputError, match="lies in the future"):
        log.append([draft(occurred=before.recorded + 6 * SECOND)])


def test_a_clock_without_a_time_zone_is_refused(database: Database) -> None:
    log = EventLog(database, catalogue=NOTES, clock=lambda: datetime(2026, 3, 1))  # noqa: DTZ001
    with pytest.raises(InputError, match="no time zone"):
        log.append([draft()])
    assert log.head() == (0, 0)


def test_without_a_clock_of_its_own_a_log_uses_the_hosts_or_the_databases(
    database: Database,
) -> None:
    log = EventLog(database, catalogue=NOTES)
    first = log.append([draft()])
    with database.read() as connection:
        if database.dialect == "postgresql":
            now = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        else:
            now = datetime.fromisoformat(
                connection.exec_driver_sql("SELECT datetime('now') || '+00:00'").scalar_one()
            )
    assert first.recorded > 0
    assert abs(instant(now) - first.recorded) < 3_600 * SECOND


def test_on_postgresql_the_clock_of_the_host_does_not_matter(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 0)
    with Database(postgres_url) as database:
        log = EventLog(database, catalogue=NOTES)
        assert log.append([draft()]).recorded > 1_700_000_000 * SECOND
