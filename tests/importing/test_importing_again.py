"""The same file again, a file that changed, an import that was killed, two at once."""

import io
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importing import killed_import
from importing.desk import EVENTS, WIDE, Desk
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog, NewEvent, Receipt
from salesflow.adapters.importers import import_table, object_id
from salesflow.domain.event import Event, FactRetracted, without_retracted

HEAD = "id,rep,amount,status,created,closed\n"
WON = HEAD + "1,u1,10,Won,2026-01-05,2026-02-03\n"


def all_events(log: EventLog) -> list[Event]:
    return log.page(0, 100_000)


def test_the_same_file_again_records_nothing(either_desk: Desk) -> None:
    desk = either_desk
    first = desk.bring(WIDE, WON)
    head = desk.log.head()
    again = desk.bring(WIDE, WON)
    assert desk.log.head() == head
    assert (first.facts_recorded, again.facts_recorded, again.facts_known) == (2, 0, 2)
    assert (again.rows_known, again.objects_new) == (1, 0)


def test_a_file_that_has_grown_records_what_is_new(either_desk: Desk) -> None:
    desk = either_desk
    desk.bring(WIDE, HEAD + "1,u1,10,Open,2026-01-05,\n")
    report = desk.bring(WIDE, WON + "2,u2,5,Open,2026-01-06,\n")
    assert (report.facts_recorded, report.facts_known) == (2, 1)
    assert desk.kinds("1") == ["opened", "won"]
    assert report.rows_recorded == 2


def test_a_fact_told_differently_is_listed_and_left_as_it_is(either_desk: Desk) -> None:
    desk = either_desk
    desk.bring(WIDE, WON)
    report = desk.bring(WIDE, WON.replace("10,Won", "12,Won"))
    assert (report.facts_changed, report.facts_recorded, report.facts_retracted) == (2, 0, 0)
    assert report.rows_changed == 1
    change = report.changed[1]
    assert (change.line, change.object, change.kind, change.source_id, change.applied) == (
        2,
        "1",
        "deal.won",
        "1#won@closed",
        False,
    )
    assert '"10"' in str(change.was)
    assert '"12"' in str(change.now)
    assert str(desk.deal("1").amount) == "10 EUR"


def test_a_change_is_applied_by_retracting_and_recording_anew(either_desk: Desk) -> None:
    desk = either_desk
    desk.bring(WIDE, WON)
    changed = WON.replace("10,Won", "12,Won")
    report = desk.bring(WIDE, changed, apply_changes=True)
    assert (report.facts_changed, report.facts_retracted) == (2, 2)
    assert [change.applied for change in report.changed] == [True, True]
    assert str(desk.deal("1").amount) == "12 EUR"
    assert sorted(desk.standing_kinds("1")) == ["opened", "won"]
    assert desk.bring(WIDE, changed, apply_changes=True).facts_known == 2
    desk.bring(WIDE, WON, apply_changes=True)
    assert str(desk.deal("1").amount) == "10 EUR"


def test_a_time_that_moved_is_a_change(desk: Desk) -> None:
    desk.bring(WIDE, WON)
    report = desk.bring(WIDE, WON.replace("2026-02-03", "2026-02-04"))
    assert [change.kind for change in report.changed] == ["deal.won"]


def test_an_event_log_may_be_a_part_and_takes_nothing_back(desk: Desk) -> None:
    head = "case,what,time,who,offer,id\n"
    desk.bring(EVENTS, head + "1,opened,2026-01-01T10:00,,,\n1,offer,2026-01-02T10:00,,Q,\n")
    report = desk.bring(EVENTS, head + "1,won,2026-01-03T10:00,,,\n", apply_changes=True)
    assert (report.facts_recorded, report.changed) == (1, [])
    assert desk.kinds("1", "log") == ["opened", "quote_issued", "won"]


def test_a_date_that_was_missing_is_a_change_of_the_opening(desk: Desk) -> None:
    desk.bring(WIDE, HEAD + "1,u1,10,Open,,\n")
    dated = HEAD + "1,u1,10,Open,2026-01-05,\n"
    report = desk.bring(WIDE, dated)
    assert (report.facts_changed, report.facts_retracted) == (1, 1)
    assert desk.times("1")[-1] == "2026-01-04T23:00:00+00:00 (day)"
    assert desk.bring(WIDE, dated).facts_known == 1


def test_what_somebody_retracted_is_not_recorded_again(desk: Desk) -> None:
    desk.bring(WIDE, WON)
    won = desk.events("1")[1]
    retraction = FactRetracted(event_id=won.event_id, because="signed by the wrong person")
    desk.log.append(
        [
            NewEvent(
                stream_id=won.stream_id,
                version=won.version + 1,
                topic="fact.retracted:1",
                payload=retraction.to_json(),
                event_id=object_id("test", "x"),
                occurred=None,
            )
        ]
    )
    assert desk.bring(WIDE, WON).facts_known == 2
    assert sorted(desk.standing_kinds("1")) == ["opened"]


def test_a_strict_import_refuses_the_whole_file_for_one_bad_row(either_desk: Desk) -> None:
    desk = either_desk
    bad = WON + "2,u2,x,Won,2026-01-06,2026-02-03\n3,u3,1,Open,2026-01-06,\n"
    report = desk.bring(WIDE, bad, strict=True)
    assert (report.recorded, report.rows_refused, report.rows_recorded) == (False, 1, 2)
    assert desk.log.head().position == 0
    report = desk.bring(WIDE, bad)
    assert (report.recorded, report.rows_refused, report.rows_recorded) == (True, 1, 2)


def test_a_strict_import_refuses_what_changed_at_the_source(desk: Desk) -> None:
    desk.bring(WIDE, WON, strict=True)
    head = desk.log.head()
    more = WON.replace("10", "12") + "2,u2,1,Open,2026-01-06,\n"
    assert desk.bring(WIDE, more, strict=True).recorded is False
    assert desk.log.head() == head


def test_a_trial_says_what_would_be_recorded(desk: Desk) -> None:
    report = desk.bring(WIDE, WON, trial=True)
    assert (report.recorded, report.facts_recorded) == (False, 2)
    assert desk.log.head().position == 0


def test_progress_is_told_in_rows(desk: Desk) -> None:
    told: list[tuple[int, int]] = []
    many = "".join(f"{n},u,1,Open,2026-01-05,\n" for n in range(1_100))
    desk.bring(WIDE, HEAD + many, progress=lambda done, goal: told.append((done, goal)))
    assert told == [(1000, 1100), (1100, 1100)]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_import_killed_at_any_moment_is_taken_up_again(
    either_desk: Desk, database_url: str, moment: str
) -> None:
    desk = either_desk
    many = "".join(
        f"{n},u,1,{'Won' if n % 2 else 'Open'},2026-01-05,{'2026-02-01' if n % 2 else ''}\n"
        for n in range(2_500)
    )
    table, mapping = desk.file("table.csv", HEAD + many), desk.file("mapping.toml", WIDE)
    program = [
        sys.executable,
        str(killed_import.__file__),
        database_url,
        str(table),
        str(mapping),
        "2",
        moment,
    ]
    killed = subprocess.run(program, check=False)
    assert killed.returncode == -signal.SIGKILL
    done = 1 if moment == "before" else 2
    assert desk.log.head().position == 1_500 * done
    report = desk.bring(WIDE, HEAD + many)
    assert report.facts_known == 1_500 * done
    assert report.facts_known + report.facts_recorded == 3_750
    known = Counter((e.stream_id, e.source_id) for e in all_events(desk.log))
    assert set(known.values()) == {1}
    assert len(known) == 3_750


class MeetingLog(EventLog):
    """A log into which somebody else imports the same just before our first batch."""

    other: "Desk | None" = None

    def append_many(self, appends: Sequence[Sequence[NewEvent]]) -> list[Receipt]:
        if self.other is not None:
            other, self.other = self.other, None
            other.bring(WIDE, WON)
        return super().append_many(appends)


def test_two_imports_at_once_record_everything_once(
    either_desk: Desk, database: Database, tmp_path: Path
) -> None:
    log = MeetingLog(database, clock=either_desk.clock)
    log.other = either_desk
    table, mapping = tmp_path / "ours.csv", tmp_path / "ours.toml"
    table.write_text(WON + "2,u2,5,Open,2026-01-06,\n")
    mapping.write_text(WIDE)
    report = import_table(table, mapping, log=log)
    assert report.check()
    assert (report.facts_known, report.facts_recorded) == (2, 1)
    assert [e.fact.kind for e in all_events(log)] == ["deal.opened", "deal.won", "deal.opened"]


def test_threads_may_import_the_same_file(either_desk: Desk) -> None:
    desk = either_desk
    many = HEAD + "".join(f"{n},u,1,Won,2026-01-05,2026-02-01\n" for n in range(300))
    table, mapping = desk.file("table.csv", many), desk.file("mapping.toml", WIDE)
    threads = [
        Thread(target=import_table, args=(table, mapping), kwargs={"log": desk.log})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(all_events(desk.log)) == 600


ROWS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from(["opened", "to analysis", "to design", "offer", "won", "lost"]),
        st.integers(0, 5),
    ),
    max_size=12,
)


@given(rows=ROWS, read_point=st.integers(0, 12))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_file_in_two_parts_and_again_whole_ends_as_the_whole_file(
    desk: Desk, rows: list[tuple[int, str, int]], read_point: int
) -> None:
    lines = [
        f"{n},{what},2026-01-0{day + 1}T10:00Z,u,Q,e{i}\n"
        for i, (n, what, day) in enumerate(rows)
    ]
    head = "case,what,time,who,offer,id\n"
    # In which direction a file stands is a guess where nobody says it, and a part may differ.
    said = 'at = "time"\nevent_id = "id"\norder = "oldest_first"'
    mapping = EVENTS.replace('at = "time"', said)
    tenant = f"t{desk.log.head().position}-{len(rows)}-{read_point}-{abs(hash(tuple(rows)))}"
    one = EventLog(desk.log.database, tenant=f"{tenant}-a", clock=desk.clock)
    two = EventLog(desk.log.database, tenant=f"{tenant}-b", clock=desk.clock)
    desk.log = one
    desk.bring(mapping, head + "".join(lines))
    desk.log = two
    desk.bring(mapping, head + "".join(lines[:read_point]), apply_changes=True)
    desk.bring(mapping, head + "".join(lines), apply_changes=True)
    assert told(one) == told(two)


def told(log: EventLog) -> list[tuple[object, ...]]:
    return sorted(
        (str(e.stream_id), e.occurred, str(e.source_id), e.fact.to_json())
        for e in without_retracted(all_events(log))
        if not isinstance(e.fact, FactRetracted)
    )


def test_a_table_that_comes_through_a_pipe_is_imported_in_batches(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = desk.file("mapping.toml", PIPED)
    rows = "".join(f"{n},2026-01-05\n" for n in range(1_100))
    for recorded in (1_100, 0):
        monkeypatch.setattr(
            "sys.stdin", io.TextIOWrapper(io.BytesIO(f"id,day\n{rows}".encode()))
        )
        report = import_table("-", mapping, log=desk.log)
        assert report.check()
        assert report.facts_recorded == recorded


PIPED = """
source = "crm"
rows = "deals"
object = "id"
timezone = "UTC"

[[facts]]
kind = "deal.opened"
at = "day"
"""
