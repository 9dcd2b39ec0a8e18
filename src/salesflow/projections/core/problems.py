"""What a check of the log and its read tables has found, and how far it looked.

One sentence a problem, in English and Chinese; `salesflow check` prints them.
"""

from typing import Final, Literal

from salesflow.domain.values import SafeText, Value
from salesflow.presentation.words import Language

__all__ = ["Checked", "Problem", "ProblemKind"]


ProblemKind = Literal[
    "damaged",
    "schema",
    "merge",
    "head",
    "gap",
    "time",
    "version",
    "command",
    "unreadable",
    "readable",
    "missing",
    "beyond",
    "rows",
    "left_out",
    "balance",
]

SAID: Final[dict[ProblemKind, tuple[str, str]]] = {
    "damaged": (
        "the file is damaged; put it back from a backup",
        "数据库文件已损坏；请从备份恢复",
    ),
    "schema": (
        "a part of the schema that holds the log, keeps it append-only or shows it is missing,"
        " disabled or changed; put the database back from a backup, or make that part as a new"
        " database has it",
        "数据库结构中存储日志、保护日志只增不改或展示日志的部分缺失、被停用或被改动；"
        "请从备份恢复，或按新数据库补齐",
    ),
    "merge": (
        "a merge cannot be, so that what was merged counts nowhere; retract it",
        "合并不成立，被合并者不计入任何数字；请撤销该合并",
    ),
    "head": ("the head of the log does not agree with its events", "日志头与事件不一致"),
    "gap": ("positions are missing from the log", "日志缺少位置"),
    "time": ("times of recording do not grow", "记录时间没有递增"),
    "version": ("versions of a stream do not agree", "数据流的版本不一致"),
    "command": ("a command and what it recorded do not agree", "命令与其记录的事件不一致"),
    "unreadable": ("an event cannot be read", "事件无法读取"),
    "readable": (
        "an event can be read now that a read table leaves out; rebuild it",
        "读表未计入的事件现在可以读取；请重建该读表",
    ),
    "missing": (
        "a read table is missing; the next question makes it again",
        "缺少读表；下次提问时会重新建立",
    ),
    "beyond": (
        "a read table does not stand where the log does; rebuild it when the log is right",
        "读表的位置与日志不符；日志无误后请重建该读表",
    ),
    "rows": (
        "rows of a read table are not what the log says; rebuild it where the log is right",
        "读表的行与日志不符；日志无误后请重建该读表",
    ),
    "left_out": (
        "an event of a read table cannot be read any more, or again; rebuild it",
        "读表中的事件可读性已变；请重建该读表",
    ),
    "balance": (
        "balances are not the sums of their movements; rebuild the read table",
        "余额与变动之和不符；请重建该读表",
    ),
}
"""What each kind of problem means, and the way out where there is one by itself."""


class Problem(Value):
    """Something that is wrong: what kind of thing, where, and in what way."""

    kind: ProblemKind
    subject: SafeText
    """`log`, or the label of a read table."""
    where: SafeText
    """The place as people find it: positions, a stream, a command, an entity."""

    def said(self, language: Language = "en") -> str:
        """Return it as a sentence."""
        said = SAID[self.kind][language == "zh"]
        colon = "：" if language == "zh" else ": "
        return f"{self.subject}{colon}{said}{colon}{self.where}"


class Checked(Value):
    """What was looked at, and what is wrong with it."""

    position: int
    """Where the log stood."""
    streams: int
    """How many streams there are."""
    streams_compared: int
    """How many of them were folded afresh and compared with the read tables."""
    bins_compared: int
    """How many bins of balances were summed afresh."""
    problems: tuple[Problem, ...]
    more: int = 0
    """How many problems were found besides those named."""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems
