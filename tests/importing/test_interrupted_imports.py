"""An import that was interrupted goes on where it stopped, and records everything once."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from importing.desk import EVENTS, Desk
from properties.effort import examples
from salesflow.adapters.database import schema
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog, NewEvent, Receipt
from salesflow.adapters.importers import ImportReport, import_table, object_id
from salesflow.adapters.importers import pipeline as batches
from salesflow.adapters.importers import resume as resuming
from salesflow.adapters.importers.resume import KeptParts
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.event import FactRetracted

HEAD = "case,what,time,who,offer,id\n"
MERGED = (
    '\n[[facts]]\nkind = "deal.merged"\nwhen = { column = "what", is = "merged" }\n'
    '[facts.fields]\ninto = "offer"\n[customer]\nid = "who"\n'
)
MAPPING = EVENTS + MERGED
SUMS = ("rows_read", "rows_refused", "rows_left_out", "rows_tied", "rows_adjusted", "objects")
LISTS = ("refused", "adjusted", "irregular", "inferred", "rules", "left_out")


class Interrupted(Exception):  # noqa: N818 - as Ctrl-C is
    """Stands for Ctrl-C at a certain place."""


class Fragile(EventLog):
    """A log that is interrupted before, or after, its n-th batch."""

    batches = 0
    after = False

    def append_many(self, appends: Sequence[Sequence[NewEvent]]) -> list[Receipt]:
        self.batches -= 1
        if not self.batches and not self.after:
            raise Interrupted
        receipts = super().append_many(appends)
        if not self.batches:
            raise Interrupted
        return receipts


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "OBJECTS_MAX", 2)


def table(*deals: int) -> str:
    return HEAD + "".join(
        f"{n},opened,2026-01-01T10:00Z,c{n % 3},,\n{n},offer,2026-01-02T10:00Z,c{n % 3},Q,\n"
        f"{n},nonsense,2026-01-03T10:00Z,,,\n"
        for n in deals
    )


TABLE = table(*range(1, 8))


def interrupt(desk: Desk, text: str, at: int, *, after: bool, mapping: str = MAPPING) -> None:
    """Import until the n-th batch, and no further."""
    log = Fragile(desk.log.database, tenant=desk.log.tenant, clock=desk.clock)
    log.batches, log.after = at, after
    file, said = desk.file("table.csv", text), desk.file("mapping.toml", mapping)
    with pytest.raises(Interrupted):
        import_table(file, said, log=log)


def facts(desk: Desk) -> list[tuple[object, ...]]:
    events = desk.log.page(0, 10_000)
    return sorted((str(e.stream_id), str(e.source_id), e.occurred, e.fact.kind) for e in events)


def same(one: ImportReport, other: ImportReport) -> bool:
    """Say whether two reports list the same, wherever an import was interrupted."""
    return all(getattr(one, name) == getattr(other, name) for name in (*SUMS, *LISTS))


@pytest.mark.parametrize("after", [False, True])
def test_an_interrupted_import_goes_on_where_it_stopped(either_desk: Desk, after: bool) -> None:
    desk = either_desk
    interrupt(desk, TABLE, 3, after=after)
    report = desk.bring(MAPPING, TABLE)
    assert report.rows_resumed == 12
    assert [r.line for r in report.refused] == [3 * n + 1 for n in range(1, 8)]
    assert report.facts_known + report.facts_recorded == 17
    assert {e.correlation_id for e in desk.log.page(0, 100)} == {report.import_id}
    assert len(facts(desk)) == len(set(facts(desk))) == 17
    again = desk.bring(MAPPING, TABLE)
    assert (again.rows_resumed, again.facts_recorded) == (0, 0)


def test_what_was_refused_before_the_interruption_is_said_in_chinese_too(desk: Desk) -> None:
    text = TABLE.replace("2,offer,", f"2,offer,{'soon' * 3}") + "8\n"
    whole = desk.bring(MAPPING, text, trial=True)
    interrupt(desk, text, 3, after=True)
    report = desk.bring(MAPPING, text)
    assert report.rows_resumed > 0
    assert report.refused[1].reason.arguments == {"formats": "iso"}
    refused = [table.rows for table in (whole.tables("zh")[1], report.tables("zh")[1])]
    assert refused[0] == refused[1]


def test_nothing_is_kept_of_an_import_that_is_through(either_desk: Desk) -> None:
    interrupt(either_desk, TABLE, 3, after=True)
    with either_desk.log.database.read() as connection:
        assert len(connection.execute(sa.select(schema.snapshots)).all()) == 3
    either_desk.bring(MAPPING, TABLE)
    with either_desk.log.database.read() as connection:
        assert connection.execute(sa.select(schema.snapshots)).all() == []


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        (TABLE.replace("1,offer,2026-01-02", "1,offer,2026-01-03"), MAPPING),
        (table(*range(7, 0, -1)), MAPPING),
        (TABLE, MAPPING.replace('is = "offer"', 'in = ["offer", "nonsense"]')),
        (TABLE, MAPPING.replace("Europe/Berlin", "Europe/Vienna")),
    ],
    ids=["a changed row", "other order", "another rule", "another zone"],
)
def test_another_file_or_mapping_is_compared_from_the_first_row(
    desk: Desk, text: str, mapping: str
) -> None:
    interrupt(desk, TABLE, 3, after=True)
    report = desk.bring(mapping, text)
    assert report.rows_resumed == 0
    assert desk.bring(mapping, text).facts_recorded == 0


def test_another_tenant_begins_at_the_first_row(desk: Desk) -> None:
    interrupt(desk, TABLE, 3, after=True)
    desk.log = EventLog(desk.log.database, tenant="south", clock=desk.clock)
    report = desk.bring(MAPPING, TABLE)
    assert (report.rows_resumed, report.facts_recorded, report.facts_known) == (0, 17, 0)


def test_what_somebody_imported_in_between_is_compared(desk: Desk) -> None:
    interrupt(desk, TABLE, 3, after=True)
    desk.bring(MAPPING, HEAD + "1,won,2026-01-09T10:00Z,,,\n")
    report = desk.bring(MAPPING, TABLE)
    assert (report.rows_resumed, report.facts_known + report.facts_recorded) == (0, 17)


def test_what_people_retracted_in_between_stays_retracted(desk: Desk) -> None:
    interrupt(desk, TABLE, 3, after=True)
    offer = desk.events("1", "log")[1]
    payload = FactRetracted(event_id=offer.event_id, because="never sent").to_json()
    id = object_id("test", "x")
    desk.log.append(
        [NewEvent(offer.stream_id, offer.version + 1, "fact.retracted:1", payload, id, None)]
    )
    report = desk.bring(MAPPING, TABLE)
    assert report.rows_resumed == 12
    assert desk.deal("1", "log").quotes == {}


def test_a_log_restored_from_before_the_interruption_is_compared(
    desk: Desk, tmp_path: Path
) -> None:
    interrupt(desk, TABLE, 2, after=True)
    with Database(f"sqlite:///{tmp_path}/older.db") as older:
        kept = [tuple(row) for row in _snapshots(desk.log.database)]
        with older.begin() as connection:
            connection.execute(
                sa.insert(schema.snapshots),
                [dict(zip(schema.snapshots.c.keys(), row, strict=True)) for row in kept],
            )
        desk.log = EventLog(older, clock=desk.clock)
        report = desk.bring(MAPPING, TABLE)
        assert (report.rows_resumed, report.facts_recorded) == (0, 17)


def _snapshots(database: Database) -> Sequence[sa.Row[tuple[object, ...]]]:
    with database.read() as connection:
        return connection.execute(sa.select(schema.snapshots)).all()


def test_a_mark_that_cannot_be_read_is_no_mark(desk: Desk) -> None:
    interrupt(desk, TABLE, 3, after=True)
    with desk.log.database.begin() as connection:
        connection.execute(sa.update(schema.snapshots).values(state=b"x"))
    report = desk.bring(MAPPING, TABLE)
    assert (report.rows_resumed, report.facts_known + report.facts_recorded) == (0, 17)


def test_a_batch_that_is_wrongly_said_to_be_taken_would_be_noticed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the comparison above can fail."""
    desk.bring(MAPPING, TABLE)
    expected = facts(desk)
    empty = batches.ImportPart(
        ImportReport(import_id="", source="", file="", mapping=""), frozenset(), ()
    )
    monkeypatch.setattr(KeptParts, "taken", lambda _, number: None if number else empty)
    desk.log = EventLog(desk.log.database, tenant="south", clock=desk.clock)
    file, said = desk.file("table.csv", TABLE), desk.file("mapping.toml", MAPPING)
    assert not import_table(file, said, log=desk.log).check()
    assert facts(desk) != expected


NUMBERS = count()
ROWS = st.lists(
    st.tuples(
        st.integers(1, 7),
        st.sampled_from(["opened", "offer", "to design", "won", "lost", "merged", "nonsense"]),
        st.integers(1, 4),
        st.integers(0, 8),
    ),
    min_size=8,
    max_size=24,
)


@given(rows=ROWS, stops=st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=3))
@examples(15)
def test_however_often_it_was_interrupted_log_and_report_are_those_of_one_import(
    desk: Desk, rows: list[tuple[int, str, int, int]], stops: list[tuple[int, bool]]
) -> None:
    text = HEAD + "".join(
        f"{n},{what},2026-01-0{day}T10:00Z,c{n % 2},{other},\n" for n, what, day, other in rows
    )
    database, number = desk.log.database, next(NUMBERS)
    desk.log = EventLog(database, tenant=f"one-{number}", clock=desk.clock)
    whole = desk.bring(MAPPING, text)
    expected = facts(desk)
    desk.log = EventLog(database, tenant=f"two-{number}", clock=desk.clock)
    file, said = desk.file("table.csv", text), desk.file("mapping.toml", MAPPING)
    for at, after in stops:
        log = Fragile(database, tenant=desk.log.tenant, clock=desk.clock)
        log.batches, log.after = at, after
        try:
            import_table(file, said, log=log)
        except Interrupted:
            continue
        break
    else:
        report = desk.bring(MAPPING, text)
        assert report.refused == whole.refused
        assert same(report, whole) or any(after for _, after in stops)
    assert facts(desk) == expected


def test_what_was_refused_for_the_future_is_taken_when_it_has_come(desk: Desk) -> None:
    text = TABLE.replace("1,offer,2026-01-02", "1,offer,2026-06-02", 1)
    interrupt(desk, text, 3, after=True)
    desk.now += timedelta(days=3)
    report = desk.bring(MAPPING, text)
    assert not [r for r in report.refused if "future" in r.reason]
    assert report.rows_resumed == 6, "the batch that had no such row"


def test_what_the_log_did_not_take_is_told_anew(desk: Desk) -> None:
    other = CustomerRegistered(name="Acme")
    stream, id, topic = object_id("log", "1"), uuid4(), "customer.registered:1"
    desk.log.append([NewEvent(stream, 1, topic, other.to_json(), id, None)])
    interrupt(desk, TABLE, 5, after=True)
    report = desk.bring(MAPPING, TABLE)
    assert "the log does not take" in str(report.refused)
    assert report.rows_resumed == 6, "the batch that had no such deal"


def test_another_version_of_salesflow_begins_at_the_first_row(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(desk, TABLE, 3, after=True)
    monkeypatch.setattr(resuming, "version_of", "0.0 of {}".format)
    report = desk.bring(MAPPING, TABLE)
    assert (report.rows_resumed, report.facts_known + report.facts_recorded) == (0, 17)
