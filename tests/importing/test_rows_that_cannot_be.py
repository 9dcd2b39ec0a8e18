"""One bad cell refuses its row, and what a file leaves open is counted in the report."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from catalogues import messages
from databases import reseal
from importing.desk import EVENTS, WIDE, Desk
from properties.effort import examples
from salesflow import SalesFlow
from salesflow.adapters.database import schema
from salesflow.adapters.database.schema import stored_uuid
from salesflow.adapters.event_store.log import EventLog, NewEvent, Receipt
from salesflow.adapters.importers import import_table, object_id
from salesflow.domain.deal import Deal
from salesflow.domain.ids import new_id
from salesflow.errors import InputError

HEAD = "case,what,time,who,offer,id\n"
OPENED = "1,opened,2026-01-01T10:00Z,kim,,\n"
LRM = "\u200e"


def test_a_deal_id_that_cannot_be_a_title_refuses_its_rows_alone(desk: Desk) -> None:
    table = HEAD + f"L{LRM}-2,offer,2026-01-02T10:00Z,kim,Q,\n" + OPENED
    report = desk.bring(EVENTS, table)
    assert [(r.line, r.column) for r in report.refused] == [(2, "case")]
    assert desk.kinds("1", "log") == ["opened"]


@pytest.mark.parametrize("actor", [f"{LRM}kim", "kim\u202e", "k\u0007im"])
def test_an_actor_the_log_cannot_keep_refuses_its_row_alone(desk: Desk, actor: str) -> None:
    table = HEAD + OPENED + f"1,offer,2026-01-02T10:00Z,{actor},Q,\n"
    report = desk.bring(EVENTS, table)
    assert [(r.line, r.column) for r in report.refused] == [(3, "who")]
    assert "actor" in report.refused[0].reason
    assert desk.kinds("1", "log") == ["opened"]


def test_days_in_a_table_that_names_only_the_zone_of_its_times_are_compared(
    desk: Desk,
) -> None:
    table = "id,rep,amount,status,created,closed\n1,u,5,Won,2026-01-05,2026-01-06\n"
    desk.bring(WIDE, table)
    moved = WIDE.replace('timezone = "Europe/Berlin"\n', "") + (
        '[times]\ntimezone = "Europe/Berlin"\n'
    )
    assert desk.bring(moved, table).facts_known == 2


@pytest.mark.parametrize(
    "total", ["Total", "GRAND TOTAL", "Sub-Total:", "Summe", "合计", "Total (3 records)"]
)
def test_a_line_of_totals_is_no_deal(desk: Desk, total: str) -> None:
    table = "id,rep,amount,status,created,closed\n1,u,5,Open,2026-01-05,\n" + f"{total},,5,,,\n"
    report = desk.bring(WIDE, table)
    assert [(r.line, r.column, r.value) for r in report.refused] == [(3, "id", total)]
    kept = desk.bring('totals = "keep"\n' + WIDE, table)
    assert (kept.rows_refused, kept.objects_undated) == (0, 1)


@pytest.mark.parametrize(
    "name", ["Total Energies", "Sum-42", "Totalia", "Summit", "2 totals x"]
)
def test_a_deal_whose_name_only_begins_like_a_total_is_a_deal(desk: Desk, name: str) -> None:
    table = f"id,rep,amount,status,created,closed\n{name},,5,,,\n"
    assert desk.bring(WIDE, table).rows_refused == 0


def test_a_line_of_totals_with_a_date_is_a_deal(desk: Desk) -> None:
    table = "id,rep,amount,status,created,closed\nTotal,,5,,2026-01-05,\n"
    assert desk.bring(WIDE, table).rows_refused == 0


def test_rules_that_took_no_row_are_named(desk: Desk) -> None:
    report = desk.bring(
        WIDE, "id,rep,amount,status,created,closed\n1,u,5,Won,2026-01-05,2026-02-01\n"
    )
    assert report.rules == {"1 deal.opened": 1, "2 deal.won": 1, "3 deal.lost": 0}
    assert "rules that took no row: 3 deal.lost" in report.tables()[0].notes


def test_the_report_names_the_stages_that_closing_facts_enter(desk: Desk) -> None:
    table = "id,rep,amount,status,created,closed\n1,u,5,Won,2026-01-05,2026-02-01\n"
    with SalesFlow("sqlite://", timezone="Europe/Berlin") as flow:
        table_file, mapping_file = desk.file("t.csv", table), desk.file("m.toml", WIDE)
        report = import_table(table_file, mapping_file, log=flow.log)
        with flow.session() as session:
            stage = session.get(Deal, object_id("crm", "1")).stage
    assert report.enters == {"deal.won": stage, "deal.lost": "(where it stood)"}


def test_facts_that_a_file_tells_no_more_are_counted_and_stand(desk: Desk) -> None:
    desk.bring(EVENTS, HEAD + OPENED + "1,offer,2026-01-02T10:00Z,,Q,\n")
    report = desk.bring(EVENTS, HEAD + OPENED)
    assert (report.facts_not_told, report.not_told) == (1, {"deal.quote_issued": 1})
    assert report.changed == []
    assert desk.kinds("1", "log") == ["opened", "quote_issued"]


def test_a_refused_row_tells_nothing_and_takes_nothing_away(desk: Desk) -> None:
    desk.bring(EVENTS, HEAD + OPENED + "1,offer,2026-01-02T10:00Z,,Q,\n")
    report = desk.bring(EVENTS, HEAD + OPENED + "1,offer,yesterday,,Q,\n")
    assert (report.rows_refused, report.facts_not_told) == (1, 0)


def test_deals_that_a_table_of_deals_holds_no_more_are_counted(either_desk: Desk) -> None:
    head = "id,rep,amount,status,created,closed\n"
    rows = [f"{n},u,5,Open,2026-01-05,\n" for n in ("1", "2#x", "3%")]
    either_desk.bring(WIDE, head + "".join(rows))
    assert either_desk.bring(WIDE, head + "".join(rows)).objects_not_told == 0
    assert either_desk.bring(WIDE, head + rows[0]).objects_not_told == 2


def test_a_join_without_partners_is_one_line(desk: Desk) -> None:
    desk.file("reps.csv", "rep,team\nu1,north\n")
    mapping = WIDE.replace('owner = "rep"', 'owner = "reps.team"') + (
        '[lookups.reps]\nfile = "reps.csv"\non = "rep"\n'
    )
    head = "id,rep,amount,status,created,closed\n"
    many = "".join(f"{n},r{n},5,Open,2026-01-05,\n" for n in range(30))
    report = desk.bring(mapping, head + many)
    missing = [f for f in report.findings if f.finding == "not in lookup"]
    assert [(f.value, f.rows, f.first_line) for f in missing] == [
        ("(30 different values)", 30, 2)
    ]


def test_every_count_and_note_has_a_chinese_name(desk: Desk) -> None:
    table = HEAD + OPENED + "1,won,2026-01-02T10:00Z,,,\n"
    counts = desk.bring(EVENTS, table).model_copy(
        update=dict.fromkeys(("rows_tied", "rows_resumed", "facts_not_told"), 1)
        | dict.fromkeys(("objects_undated", "objects_not_told", "rows_adjusted"), 1)
        | {"not_told": {"deal.won": 1}}
    )
    english, chinese = counts.tables()[0], counts.tables("zh")[0]
    assert {label for label, _ in english.rows} <= set(messages())
    assert not {label for label, _ in chinese.rows} & set(messages())
    assert [note for note in chinese.notes if note.isascii()] == []


class StrictLog(EventLog):
    """A log that takes one offer no more, whatever the importer thinks of it."""

    def append_many(self, appends: Sequence[Sequence[NewEvent]]) -> list[Receipt]:
        if any(b"forbidden" in draft.payload for drafts in appends for draft in drafts):
            raise InputError("a forbidden offer")
        return super().append_many(appends)


def test_a_deal_the_log_does_not_take_is_refused_and_the_others_are_recorded(
    desk: Desk,
) -> None:
    rows = "".join(
        f"{n},opened,2026-01-01T10:00Z,,,\n{n},offer,2026-01-02T10:00Z,,{offer},\n"
        for n, offer in ((1, "A"), (2, "forbidden"), (3, "C"))
    )
    desk.log = StrictLog(desk.log.database, clock=desk.clock)
    report = desk.bring(EVENTS, HEAD + rows)
    assert [(r.line, r.object) for r in report.refused] == [(4, "2"), (5, "2")]
    assert {r.reason for r in report.refused} == {
        "the log does not take the deal: a forbidden offer"
    }
    assert (report.facts_recorded, desk.kinds("2", "log")) == (4, [])


def test_a_deal_whose_history_cannot_be_read_is_refused_alone(desk: Desk) -> None:
    desk.bring(EVENTS, HEAD + OPENED)
    first = desk.events("1", "log")[0]
    bad = NewEvent(first.stream_id, first.version + 1, "deal.gone:1", b"{}", new_id(), None)
    with desk.log.database.begin() as connection:
        connection.execute(
            sa.insert(schema.events),
            {
                "tenant": desk.log.tenant,
                "position": desk.log.head().position + 1,
                "stream_id": stored_uuid(bad.stream_id, "sqlite"),
                "version": bad.version,
                "event_id": stored_uuid(bad.event_id, "sqlite"),
                "topic": bad.topic,
                "payload": bad.payload,
                "occurred": first.occurred,
                "recorded": desk.log.head().recorded + 1,
                "precision": "microsecond",
                "checksum": 0,
            },
        )
    reseal(desk.log.database.url.render_as_string(hide_password=False))
    desk.now += timedelta(hours=1)
    report = desk.bring(EVENTS, HEAD + OPENED + OPENED.replace("1,", "2,", 1))
    assert [(r.line, r.object) for r in report.refused] == [(2, "1")]
    assert "deal.gone" in report.refused[0].reason
    assert desk.kinds("2", "log") == ["opened"]


CELLS = st.one_of(
    st.sampled_from(["opened", "won", "lost", "offer", "to design", "1", "2", "", "Total"]),
    st.sampled_from(["2026-01-02T10:00Z", "2026-01-02", "9999-12-31", "0001-01-01", "x"]),
    st.text(st.characters(exclude_characters="\r\n\0\x1f"), max_size=6),
)
NUMBERS = count()


@given(rows=st.lists(st.lists(CELLS, min_size=6, max_size=6), max_size=8), deals=st.booleans())
@examples(40)
def test_whatever_cells_hold_the_report_adds_up_and_the_log_can_be_read(
    desk: Desk, rows: list[list[str]], deals: bool
) -> None:
    def written(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    lines = "".join(",".join(map(written, row)) + "\n" for row in rows)
    head = "id,rep,amount,status,created,closed\n" if deals else HEAD
    mapping = WIDE if deals else EVENTS
    desk.log = EventLog(desk.log.database, tenant=f"t{next(NUMBERS)}", clock=desk.clock)
    text = (head + lines).encode("utf-8", "replace")
    report = desk.bring(mapping, text)
    events = desk.log.page(0, 1_000)
    assert len(events) >= report.facts_recorded
    again = desk.bring(mapping, text)
    assert (again.facts_recorded, again.changed) == (0, [])
    assert again.rows_refused == report.rows_refused
