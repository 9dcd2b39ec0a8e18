"""What an import says last: how much of the file was refused.

Whoever reads only the end of it would take the file for imported.
"""

from pathlib import Path

from salesflow.cli.desk import Desk
from salesflow.domain.wording import shortened

__all__ = ["tell_refused"]


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
