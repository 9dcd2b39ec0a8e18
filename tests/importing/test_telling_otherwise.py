"""A source or a mapping that tells otherwise: listed, and recorded so when asked to."""

import pytest

from importing.desk import EVENTS, WIDE, Desk
from salesflow.adapters.event_store.log import NewEvent
from salesflow.adapters.importers import object_id
from salesflow.domain.event import FactRetracted

HEAD = "id,rep,amount,status,created,closed\n"
WON = HEAD + "1,u1,10,Won,2026-01-05,2026-02-03\n"
LOST = WON.replace("Won", "Lost")
OPEN = WON.replace("Won", "Open")
ROWS = "case,what,time,who,offer,id\n"
WITH_IDS = EVENTS.replace('at = "time"', 'at = "time"\nevent_id = "id"')
HISTORY = (
    ROWS
    + "1,opened,2026-01-01T10:00,,,e1\n"
    + "1,offer,2026-01-02T10:00,,Q,e2\n"
    + "1,lost,2026-01-03T10:00,,,e3\n"
)
DISQUALIFIED = 'kind = "deal.disqualified"\nwhen = { column = "what", is = "lost" }'
MENDED = ('kind = "deal.lost"\nwhen = { column = "what", is = "lost" }', DISQUALIFIED)


def retract(desk: Desk, place: int) -> None:
    """Retract a fact of deal 1 by hand."""
    events = desk.events("1")
    fact = FactRetracted(event_id=events[place].event_id, because="signed by the wrong person")
    version = events[-1].version + 1
    event_id = object_id("test", str(version))
    topic = "fact.retracted:1"
    stream_id = events[place].stream_id
    desk.log.append(
        [NewEvent(stream_id, version, topic, fact.to_json(), event_id=event_id, occurred=None)]
    )


@pytest.mark.parametrize("between", [LOST, OPEN], ids=["lost", "open"])
def test_what_an_import_took_back_stands_again_when_it_is_told_again(
    either_desk: Desk, between: str
) -> None:
    desk = either_desk
    for _ in range(2):
        desk.bring(WIDE, WON, apply_changes=True)
        assert (desk.deal("1").outcome, desk.standing_kinds()) == ("won", ["opened", "won"])
        desk.bring(WIDE, between, apply_changes=True)
        assert desk.deal("1").outcome == ("lost" if between == LOST else "open")
    report = desk.bring(WIDE, WON, apply_changes=True)
    assert (report.facts_restored, report.rows_changed) == (1, 1)
    assert [(c.kind, c.again, c.applied) for c in report.changed] == [("deal.won", True, True)]
    head = desk.log.head()
    assert desk.bring(WIDE, WON, apply_changes=True).facts_known == 2
    assert desk.log.head() == head


def test_what_is_told_again_is_only_listed_without_apply_changes(desk: Desk) -> None:
    for table in (WON, OPEN):
        desk.bring(WIDE, table, apply_changes=True)
    report = desk.bring(WIDE, WON)
    assert [(c.line, c.kind, c.was, c.applied) for c in report.changed] == [
        (2, "deal.won", None, False)
    ]
    assert (report.facts_restored, desk.deal("1").outcome) == (0, "open")
    assert desk.bring(WIDE, WON, strict=True).recorded is False


def test_what_is_told_again_with_another_amount_is_recorded_with_that(desk: Desk) -> None:
    for table in (WON, OPEN, WON.replace("10,Won", "12,Won")):
        desk.bring(WIDE, table, apply_changes=True)
    assert (desk.deal("1").outcome, str(desk.deal("1").amount)) == ("won", "12 EUR")


def test_what_people_retracted_stays_retracted_though_an_import_did_so_too(desk: Desk) -> None:
    desk.bring(WIDE, WON)
    retract(desk, 1)
    for table in (OPEN, WON):
        assert desk.bring(WIDE, table, apply_changes=True).changed == []
    assert desk.standing_kinds() == ["opened"]


def test_an_import_does_not_undo_a_retraction_that_people_made_after_its_own(
    desk: Desk,
) -> None:
    desk.bring(WIDE, WON)
    desk.bring(WIDE, OPEN, apply_changes=True)
    retract(desk, 1)
    assert desk.bring(WIDE, WON, apply_changes=True).facts_restored == 0
    assert desk.standing_kinds() == ["opened"]


def test_a_row_that_tells_another_fact_instead_is_taken_whole_or_not_at_all(
    desk: Desk,
) -> None:
    desk.bring(WIDE, WON)
    report = desk.bring(WIDE, LOST)
    assert [(c.was_kind, c.kind, c.line) for c in report.changed] == [
        ("deal.won", "deal.lost", 2)
    ]
    assert desk.standing_kinds() == ["opened", "won"]
    desk.bring(WIDE, LOST, apply_changes=True)
    assert desk.standing_kinds() == ["opened", "lost"]


def test_a_fact_that_a_row_tells_no_more_is_counted_with_its_line(desk: Desk) -> None:
    desk.bring(WIDE, WON)
    report = desk.bring(WIDE, HEAD + "2,u,1,Open,2026-01-05,\n" + OPEN.removeprefix(HEAD))
    assert [(c.line, c.kind, c.now) for c in report.changed] == [(3, "deal.won", None)]
    assert (report.rows_changed, report.facts_changed, report.facts_no_more_told) == (1, 1, 1)
    table = next(t for t in report.tables() if t.title == "Changed at source")
    assert table.rows == (("deal.won: told no more", "1", "3"),)


def test_an_event_that_changed_its_activity_is_listed_and_taken_when_asked(desk: Desk) -> None:
    desk.bring(WITH_IDS, HISTORY)
    won = HISTORY.replace("1,lost", "1,won")
    report = desk.bring(WITH_IDS, won)
    assert [(c.line, c.was_source_id, c.source_id) for c in report.changed] == [
        (4, "1#e3/lost", "1#e3/won")
    ]
    assert (report.rows_changed, desk.deal("1", "log").outcome) == (1, "lost")
    desk.bring(WITH_IDS, won, apply_changes=True)
    assert desk.standing_kinds(source="log") == ["opened", "quote_issued", "won"]


def test_an_event_that_is_left_out_now_is_told_no_more(desk: Desk) -> None:
    desk.bring(WITH_IDS, HISTORY)
    mapping = (
        WITH_IDS + '[[leave_out]]\nwhen = { column = "what", is = "lost" }\nbecause = "x"\n'
    )
    report = desk.bring(mapping, HISTORY)
    assert [(c.line, c.kind, c.now) for c in report.changed] == [(4, "deal.lost", None)]
    assert report.rows_left_out == 1


def test_an_event_whose_row_is_refused_or_not_in_the_file_stays_as_it_was(desk: Desk) -> None:
    desk.bring(WITH_IDS, HISTORY)
    for table in (HISTORY.replace("1,lost", "1,nonsense"), HISTORY.rpartition("1,lost")[0]):
        assert desk.bring(WITH_IDS, table, apply_changes=True).changed == []
    assert desk.deal("1", "log").outcome == "lost"


@pytest.mark.parametrize("mapping", [EVENTS, WITH_IDS], ids=["without ids", "with ids"])
def test_a_mended_mapping_changes_no_figure_until_it_is_asked_to(
    desk: Desk, mapping: str
) -> None:
    desk.bring(mapping, HISTORY)
    mended = mapping.replace(*MENDED)
    report = desk.bring(mended, HISTORY)
    assert [(c.was_kind, c.kind) for c in report.changed] == [
        ("deal.lost", "deal.disqualified")
    ]
    assert (report.facts_recorded, desk.deal("1", "log").outcome) == (0, "lost")
    desk.bring(mended, HISTORY, apply_changes=True)
    assert desk.standing_kinds(source="log") == ["opened", "quote_issued", "disqualified"]
    assert desk.bring(mended, HISTORY).facts_known == 3


def test_a_mended_mapping_of_a_table_of_deals_does_likewise(desk: Desk) -> None:
    desk.bring(WIDE, LOST)
    mended = WIDE.replace('kind = "deal.lost"', 'kind = "deal.disqualified"')
    assert desk.bring(mended, LOST).facts_recorded == 0
    desk.bring(mended, LOST, apply_changes=True)
    assert desk.standing_kinds() == ["opened", "disqualified"]


@pytest.mark.parametrize(("before", "after"), [(EVENTS, WITH_IDS), (WITH_IDS, EVENTS)])
def test_ids_that_come_or_go_double_nothing(desk: Desk, before: str, after: str) -> None:
    desk.bring(before, HISTORY)
    report = desk.bring(after, HISTORY)
    assert (report.facts_recorded, report.facts_changed) == (0, 2)
    words = {row[0] for table in report.tables() for row in table.rows}
    assert "deal.lost: recorded under another key before" in words
    desk.bring(after, HISTORY, apply_changes=True)
    assert desk.standing_kinds(source="log") == ["opened", "quote_issued", "lost"]
    assert desk.bring(after, HISTORY).facts_known == 3


def test_a_column_that_was_renamed_doubles_nothing(desk: Desk) -> None:
    desk.bring(WIDE, WON)
    renamed, table = WIDE.replace('"closed"', '"ended"'), WON.replace("closed", "ended")
    report = desk.bring(renamed, table)
    assert (report.facts_recorded, report.facts_changed) == (0, 1)


def test_parts_of_a_history_that_share_a_time_are_all_recorded(desk: Desk) -> None:
    for mapping in (EVENTS, WITH_IDS):
        desk.bring(mapping, ROWS + "1,opened,2026-01-01,,,e1\n1,offer,2026-01-02,,Q1,e2\n")
        report = desk.bring(
            mapping, ROWS + "1,offer,2026-01-02,,Q2,e3\n1,won,2026-01-02,,,e4\n"
        )
        assert (report.facts_recorded, report.changed) == (2, [])
        desk.log = type(desk.log)(desk.log.database, tenant="other", clock=desk.clock)


def test_rules_that_the_mapping_has_no_more_are_named(desk: Desk) -> None:
    desk.bring(EVENTS, HISTORY)
    fewer = EVENTS.replace('kind = "deal.quote_issued"', 'kind = "deal.quote_drafted"')
    report = desk.bring(fewer, HISTORY)
    assert report.other_rules == {"quote_issued": 1}
    assert any("quote_issued (1)" in note for note in report.tables()[0].notes)


def test_an_opening_that_was_inferred_always_gives_way_to_one_that_is_told(
    either_desk: Desk,
) -> None:
    desk = either_desk
    part = "1,won,2026-01-03T10:00,,,\n"
    desk.bring(EVENTS, ROWS + part)
    whole = ROWS + "1,opened,2026-01-01T10:00,,,\n" + part
    report = desk.bring(EVENTS, whole, strict=True)
    assert [(c.kind, c.applied) for c in report.changed] == [("deal.opened", True)]
    assert report.facts_retracted == 1
    deal = desk.deal("1", "log")
    assert deal.opened_at is not None
    assert deal.opened_at.isoformat() == "2026-01-01T09:00:00+00:00"
    assert deal.outcome == "won"
    assert desk.bring(EVENTS, ROWS + part).changed == []


def test_an_inferred_opening_moves_back_to_an_earlier_event(desk: Desk) -> None:
    desk.bring(WITH_IDS, ROWS + "1,won,2026-01-03T10:00,,,e2\n")
    report = desk.bring(WITH_IDS, ROWS + "1,offer,2026-01-02T10:00,,Q,e1\n")
    assert [(c.kind, c.applied) for c in report.changed] == [("deal.opened", True)]
    assert report.irregular == []


def test_an_inferred_opening_does_not_follow_a_change_that_is_only_listed(desk: Desk) -> None:
    desk.bring(WITH_IDS, ROWS + "1,won,2026-01-03T10:00,,,e2\n")
    report = desk.bring(WITH_IDS, ROWS + "1,won,2026-01-02T10:00,,,e2\n")
    assert [c.applied for c in report.changed] == [False, False]
