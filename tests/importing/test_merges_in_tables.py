"""Deals that a table says were merged: no merge may take money out of every figure."""

import pytest

from importing.desk import Desk
from salesflow.adapters.importers import ImportReport, object_id
from salesflow.adapters.importers import pipeline as batches

MERGES = """
source = "hub"
rows = "events"
object = "deal"
at = "at"
timezone = "UTC"
currency = "EUR"

[[facts]]
kind = "deal.opened"
when = { column = "what", is = "open" }

[facts.fields]
amount = "amount"

[[facts]]
kind = "deal.merged"
when = { column = "what", is = "merged" }

[facts.fields]
into = "other"

[[facts]]
kind = "deal.absorbed"
when = { column = "what", is = "absorbed" }

[facts.fields]
absorbed = "other"

[[facts]]
kind = "deal.unmerged"
when = { column = "what", is = "unmerged" }

[facts.fields]
out_of = "other"
"""


def table(*rows: str) -> str:
    """Write rows of `deal day what [other]`; a deal is opened on the first of January."""
    names = dict.fromkeys(row.split()[0] for row in rows)
    lines = [f"{name},2026-01-01T10:00Z,open,100," for name in names]
    for row in rows:
        name, day, what, *other = row.split()
        if what != "only":
            lines.append(f"{name},2026-01-{day}T10:00Z,{what},,{''.join(other)}")
    return "deal,at,what,amount,other\n" + "\n".join(lines) + "\n"


def counted(desk: Desk, *names: str) -> dict[str, str]:
    """Say where every deal counts in the end: by itself, or in another one."""
    ids = {object_id("hub", name): name for name in names}
    found = {}
    for name in names:
        into = desk.deal(name, "hub").merged_into
        found[name] = "itself" if into is None else ids.get(into, "nowhere")
    return found


def refused(report: ImportReport) -> list[tuple[str | None, str]]:
    return [(each.object, each.reason) for each in report.refused]


def test_the_later_of_two_merges_that_make_a_circle_is_refused(either_desk: Desk) -> None:
    desk = either_desk
    report = desk.bring(MERGES, table("A 02 merged B", "B 03 merged A"))
    assert refused(report) == [
        ("B", "deal 'B' cannot be merged into 'A' and so into 'B': that is a circle")
    ]
    assert counted(desk, "A", "B") == {"A": "B", "B": "itself"}
    again = desk.bring(MERGES, table("A 02 merged B", "B 03 merged A"))
    assert (again.facts_recorded, again.rows_refused) == (0, 1)


def test_a_circle_of_many_deals_is_refused_where_it_closes(desk: Desk) -> None:
    report = desk.bring(
        MERGES, table("A 02 merged B", "B 03 merged C", "C 04 merged D", "D 05 merged A")
    )
    assert [each.object for each in report.refused] == ["D"]
    assert counted(desk, "A", "B", "C", "D") == {"A": "B", "B": "C", "C": "D", "D": "itself"}


def test_a_circle_is_found_across_imports(desk: Desk) -> None:
    desk.bring(MERGES, table("A 02 merged B", "B 01 only"))
    report = desk.bring(MERGES, table("B 03 merged A"))
    assert [each.object for each in report.refused] == ["B"]
    assert counted(desk, "A", "B") == {"A": "B", "B": "itself"}


def test_a_merge_into_a_deal_that_nothing_opens_is_refused(either_desk: Desk) -> None:
    desk = either_desk
    report = desk.bring(MERGES, table("A 02 merged X"))
    assert refused(report) == [
        ("A", "deal 'A' cannot be merged into 'X': there is no such deal")
    ]
    assert counted(desk, "A") == {"A": "itself"}
    late = desk.bring(MERGES, table("A 02 merged X", "X 01 only"))
    assert late.rows_refused == 0
    assert counted(desk, "A", "X") == {"A": "X", "X": "itself"}


def test_a_deal_may_be_merged_into_one_further_down_in_the_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "OBJECTS_MAX", 1)
    text = table("A 02 merged B", "C 01 only", "B 03 merged D", "D 01 only")
    tried = desk.bring(MERGES, text, trial=True)
    report = desk.bring(MERGES, text)
    assert report.rows_refused == 0
    assert counted(desk, "A", "B", "C", "D") == {
        "A": "B",
        "B": "D",
        "C": "itself",
        "D": "itself",
    }
    kept = {"import_id", "recorded"}
    assert tried.model_dump(exclude=kept) == report.model_dump(exclude=kept)


def test_a_merge_into_a_deal_whose_rows_are_refused_is_refused_also_in_a_trial(
    desk: Desk,
) -> None:
    text = table("A 02 merged B") + "B,2026-01-01T10:00Z,open,ten,\n"
    for trial in (True, False):
        report = desk.bring(MERGES, text, trial=trial)
        assert sorted(str(each.object) for each in report.refused) == ["A", "B"]


def test_a_merge_told_by_the_survivor_is_judged_alike(desk: Desk) -> None:
    report = desk.bring(MERGES, table("A 02 merged B", "B 01 only", "A 03 absorbed B"))
    assert [(each.line, each.object) for each in report.refused] == [(5, "A")]
    assert counted(desk, "A", "B") == {"A": "B", "B": "itself"}
    assert desk.bring(MERGES, table("C 02 absorbed B")).rows_refused == 0
    assert counted(desk, "B", "C") == {"B": "C", "C": "itself"}


def test_deals_merged_into_one_another_in_turn_are_no_circle(desk: Desk) -> None:
    text = table("A 02 merged B", "A 03 unmerged B", "B 04 merged A")
    assert desk.bring(MERGES, text).rows_refused == 0
    assert counted(desk, "A", "B") == {"A": "itself", "B": "A"}


WIDE = """
source = "hub"
rows = "deals"
object = "deal"
timezone = "UTC"
currency = "EUR"

[[facts]]
kind = "deal.opened"
at = "opened"

[facts.fields]
amount = "amount"

[[facts]]
kind = "deal.merged"
when = { column = "into", filled = true }
at = "merged"

[facts.fields]
into = "into"
"""


def test_a_row_that_tells_more_keeps_its_deal_and_loses_the_merge(desk: Desk) -> None:
    text = "deal,opened,amount,merged,into\nA,2026-01-01,100,2026-01-02,X\n"
    report = desk.bring(WIDE, text)
    assert [(each.line, each.column) for each in report.adjusted] == [(2, "into")]
    assert "the merge was left out" in report.adjusted[0].reason
    assert (desk.deal("A", "hub").is_open, str(desk.deal("A", "hub").amount)) == (
        True,
        "100 EUR",
    )
    assert desk.bring(WIDE, text, strict=True).recorded is False
