"""The report: every row and every fact is accounted for, for people and for machines."""

import json
import tracemalloc
from pathlib import Path

from importing.desk import WIDE, Desk
from salesflow.adapters.importers import ImportReport
from salesflow.adapters.importers.errors import Adjustment, RowError
from salesflow.adapters.importers.report import LISTED_MAX, REASONS_MAX

HEAD = "id,rep,amount,status,created,closed\n"
TABLE = HEAD + "1,u1,10,Won,2026-01-05,2026-02-03\n2,u2,x,Open,2026-01-05,\n3,u3,,Open,,\n\n4\n"


def test_the_report_can_be_read_back_from_its_file(desk: Desk, tmp_path: Path) -> None:
    report = desk.bring(WIDE, TABLE)
    report.write(tmp_path / "report.json")
    content = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert ImportReport.model_validate_json(content) == report
    assert json.loads(content)["rows_read"] == 4


def test_every_remark_names_file_line_and_reason(desk: Desk) -> None:
    report = desk.bring(WIDE, TABLE)
    file = str(desk.folder / "table.csv")
    assert [(r.file, r.line, r.object) for r in report.refused] == [
        (file, 3, "2"),
        (file, 6, None),
    ]
    assert report.refused[1].reason == "has 1 fields where the header has 6"
    assert [(i.file, i.line) for i in report.inferred] == [(file, 4)]
    assert report.blank_lines == 1
    assert (report.rows_read, report.rows_recorded, report.rows_refused) == (4, 2, 2)


def test_people_see_counts_then_reasons_in_either_language(desk: Desk) -> None:
    report = desk.bring(WIDE, TABLE)
    counts, *others = report.tables()
    assert ("Rows read", "4") in counts.rows
    assert [table.title for table in others] == ["Refused", "Inferred", "Columns"]
    assert others[1].rows == (
        ("deal.opened: no date in the row; recorded at the time of import", "1", "4"),
    )
    chinese = report.tables("zh")
    assert chinese[0].title == "导入"
    assert chinese[0].columns == ("项目", "数量")


def test_a_report_of_a_trial_says_that_nothing_was_recorded(desk: Desk) -> None:
    report = desk.bring(WIDE, TABLE, trial=True)
    assert "nothing was recorded" in report.tables()[0].notes


def test_many_reasons_are_cut_for_people_only(desk: Desk) -> None:
    rows = "".join(f"{n},u,1,Open,2026-01-05,{',' * n}x\n" for n in range(1, 41))
    report = desk.bring(WIDE, HEAD + rows)
    assert len(report.refused) == 40
    table = report.tables()[1]
    assert len(table.rows) == 20
    assert table.notes == ("20 more reasons in the report file",)


def test_a_long_value_is_cut(desk: Desk) -> None:
    owner = "o" * 400
    mapping = WIDE + '[columns.rep]\nallowed = ["' + "u" * 400 + '"]\n'
    report = desk.bring(mapping, HEAD + f"1,{owner},1,Open,2026-01-05,\n")
    shown = report.tables()[1].rows[0][0]
    assert (len(shown), shown[-1]) == (200, "…")
    assert report.refused[0].value == "o" * 199 + "…"


def test_irregular_facts_are_counted_as_facts_and_name_kind_and_key(desk: Desk) -> None:
    table = HEAD + "1,u1,10,Won,2026-02-05,2026-01-03\n"
    report = desk.bring('closed_before_opened = "keep"\n' + WIDE, table)
    assert [(i.kind, i.source_id) for i in report.irregular] == [("deal.won", "1#won@closed")]
    shown = next(t for t in report.tables() if t.title == "Recorded, but irregular")
    assert shown.columns == ("Reason", "Facts", "First line")


def test_the_correlation_id_is_shown_once_and_only_when_something_was_recorded(
    desk: Desk,
) -> None:
    first, again = desk.bring(WIDE, TABLE), desk.bring(WIDE, TABLE)
    assert f"recorded as {first.import_id}" in first.tables()[0].notes
    assert again.tables()[0].notes == ("rules that took no row: 3 deal.lost",)


def empty_report(desk: Desk) -> ImportReport:
    report = desk.bring(WIDE, HEAD)
    assert report.rows_read == 0
    return report


def bad_rows(count: int) -> str:
    """A table none of whose rows can be read, or has a date."""
    return HEAD + "".join(f"{n},u,1,Open,soon,\n" if n % 2 else f"{n}\n" for n in range(count))


def test_many_refused_rows_are_all_counted_and_the_first_listed(
    desk: Desk, tmp_path: Path
) -> None:
    report = desk.bring(WIDE, bad_rows(6_000))
    assert (report.rows_refused, len(report.refused)) == (6_000, LISTED_MAX)
    assert sum(each.count for each in report.unlisted) == 1_000
    counts, refused = report.tables()[:2]
    assert counts.notes[0].endswith("as there are so many: refused (1,000)")
    assert [row[1:] for row in refused.rows] == [("3,000", "2"), ("3,000", "3")]
    assert any("被拒绝 (1,000)" in note for note in report.tables("zh")[0].notes)
    report.write(tmp_path / "report.json")
    content = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert ImportReport.model_validate_json(content).unlisted == report.unlisted


def test_refused_rows_behind_the_first_cost_no_memory(desk: Desk) -> None:
    report = empty_report(desk)

    def take(lines: range) -> int:
        for line in lines:
            report.refuse(line, None, RowError("cannot be read", "created", f"no {line}"))
            report.adjust(line, "1", [Adjustment("is taken as empty", "rep", f"no {line}")])
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        few = take(range(LISTED_MAX))
        many = take(range(LISTED_MAX, 2 * LISTED_MAX))
    finally:
        tracemalloc.stop()
    assert 100 * LISTED_MAX < few <= many < 1.05 * few
    assert report.rows_refused == report.rows_adjusted == 2 * LISTED_MAX


def test_reasons_without_an_end_are_counted_together(desk: Desk) -> None:
    report = empty_report(desk)
    for line in range(LISTED_MAX + REASONS_MAX + 7):
        report.refuse(line, None, RowError(f"reason {line}"))
    report.finish()
    assert len(report.unlisted) == REASONS_MAX + 1
    assert (report.unlisted[0].reason, report.unlisted[0].count) == ("other reasons", 7)


def test_changes_behind_those_listed_are_problems_too(desk: Desk) -> None:
    desk.bring(WIDE, HEAD + "1,u,1,Open,2026-01-05,\n")
    report = desk.bring(WIDE, HEAD + "1,u,1,Open,2026-01-06,\n", trial=True)
    (change,) = report.changed
    for _ in range(LISTED_MAX):
        report.change(change)
    assert (report.problems, len(report.changed)) == (LISTED_MAX + 1, LISTED_MAX)
    assert report.facts_changed == report.facts_changed_only_listed == LISTED_MAX + 1


def test_a_reason_is_told_in_chinese_behind_its_column(desk: Desk) -> None:
    report = desk.bring(WIDE, HEAD + "1,u1,x,Won,2026-01-05,\n2,u2\n")
    (shown,) = (table for table in report.tables("zh") if table.title == "被拒绝")
    assert [row[0] for row in shown.rows] == [
        "amount：不是数字；逗号、空格与正负号的写法见 [numbers]",
        "有 2 个字段，而表头有 6 个",
    ]


def test_reasons_of_a_report_that_is_read_back_are_in_english_where_they_name_values(
    desk: Desk,
) -> None:
    report = desk.bring(WIDE, HEAD + "1,u1,x,Won,2026-01-05,\n2,u2\n")
    again = ImportReport.model_validate_json(report.model_dump_json())
    assert again.tables() == report.tables()
    assert [row[0] for row in again.tables("zh")[1].rows] == [
        "amount：不是数字；逗号、空格与正负号的写法见 [numbers]",
        "has 2 fields where the header has 6",
    ]
