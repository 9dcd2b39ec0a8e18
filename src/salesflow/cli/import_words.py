"""What an import says besides its report: what only would be recorded, how much was refused.

A trial, and a strict import that met a problem, record nothing; so their counts are named after
what would be. Rows that were refused are told once more in the last line, since whoever reads
only the end of it would take the file for imported.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from salesflow.cli.desk import Desk
from salesflow.domain.wording import shortened
from salesflow.projections.shown import TableOfView

if TYPE_CHECKING:  # loaded when something is imported
    from salesflow.adapters.importing import ImportReport

__all__ = ["tables_of", "tell_refused"]

WOULD: Final = {
    "Rows recorded": "Rows that would be recorded",
    "Facts recorded": "Facts that would be recorded",
    "Facts retracted": "Facts that would be retracted",
    "Facts restored": "Facts that would be restored",
    "Deals opened now, for want of a date": "Deals to be opened now, for want of a date",
    "Customers registered": "Customers that would be registered",
    "Recorded, but irregular": "Would be recorded, but irregular",
    "新记录的行": "将新记录的行",
    "新记录的事件": "将新记录的事件",
    "已撤销的事件": "将撤销的事件",
    "已恢复的事件": "将恢复的事件",
    "因无日期而以导入时间开立的商机": "因无日期将以导入时间开立的商机",
    "新登记客户": "将新登记的客户",
    "已记录但不合常规": "将记录但不合常规",
}
"""What the report says of what was done, and what is said where nothing was."""


def tables_of(report: "ImportReport", desk: Desk) -> list[TableOfView]:
    """Lay a report out; one of what was not recorded says what would have been."""
    tables: list[TableOfView] = report.tables(desk.language)
    return tables if report.recorded else [_conditional(table) for table in tables]


def _conditional(table: TableOfView) -> TableOfView:
    rows = tuple((WOULD.get(row[0], row[0]), *row[1:]) for row in table.rows)
    return table._replace(title=WOULD.get(table.title, table.title), rows=rows)


def tell_refused(
    desk: Desk, refused: int, taken: int, *, recorded: bool, report: Path | None = None
) -> None:
    """Say in a last line how much of a file was refused, and how to see it or refuse it all."""
    if refused:
        words = _chinese if desk.language == "zh" else _english
        file = None if report is None else shortened(report)
        said = words(refused, refused + taken, recorded, file)
        desk.screen.line(said, "red" if refused > taken else "yellow")


def _english(refused: int, read: int, recorded: bool, report: str | None) -> str:
    was = "was" if refused == 1 else "were"
    what = f"{was} refused" if recorded else "would be refused"
    it, is_ = ("it" if refused == 1 else "them"), ("is" if recorded else "would be")
    where = f"{report} names each" if report else "--report FILE writes down each"
    return (
        f"{refused:,} of {read:,} rows {what}, nothing of {it} {is_} recorded; {where},"
        " --strict refuses the whole file"
    )


def _chinese(refused: int, read: int, recorded: bool, report: str | None) -> str:
    what = "被拒绝，其内容均未记录" if recorded else "会被拒绝，其内容不会记录"
    where = f"每行原因见 {report}" if report else "用 --report FILE 可写出每行原因"
    return f"{read:,} 行中有 {refused:,} 行{what}；{where}，用 --strict 则拒绝整个文件"
