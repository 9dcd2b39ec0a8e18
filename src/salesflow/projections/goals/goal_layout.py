"""Goals laid out for people: the tree with its figures, and what was said of one goal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.metric import metric_of
from salesflow.presentation.format import (
    NO_VALUE,
    given_percent,
    local_day,
    percent_text,
    short_id,
    span_text,
)
from salesflow.presentation.messages import Language, in_language, key_text, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.goals.goal_lines import (
    CheckInLine,
    GoalLine,
    GoalSplit,
    LetterThen,
    RevisionLine,
)
from salesflow.projections.goals.smart_text import basis_text
from salesflow.projections.metrics.figure_text import FigureText

__all__ = ["GoalLayout"]

INDENT: Final = "  "
SCOPE: Final = ("team", "rep", "channel", "product", "process", "stage")


def goal_text(line: GoalLine) -> str:
    """Return the key of a goal, by which commands name it, and its title."""
    return line.goal if line.title is None else f"{line.goal} · {line.title}"


class GoalLayout:
    """Writes goals in one language and time zone."""

    def __init__(self, timezone: ZoneInfo, language: Language) -> None:
        self._timezone = timezone
        self._language: Language = language

    def goals(self, lines: Sequence[GoalLine], notes: tuple[str, ...]) -> TableOfView:
        """Lay out the tree of goals."""
        rows = tuple(
            (
                self._named(line),
                metric_of(line.metric).name(self._language),
                self._scope(line),
                span_text(line.first, line.last),
                self._value(line.target, line),
                self._value(line.actual, line),
                percent_text(line.attainment),
                key_text(line.status, self._language),
                NO_VALUE if line.confidence is None else given_percent(line.confidence),
            )
            for line in lines
        )
        columns = (
            "Goal", "Metric", "For", "Period", "Target value", "Result", "Attainment",
            "Goal status", "Confidence",
        )  # fmt: skip
        return TableOfView("Goals", columns, rows, notes=notes)

    def paces(self, lines: Sequence[GoalLine]) -> TableOfView:
        """Lay out how goals compare with the time that is over, and what is still needed."""
        rows = tuple(
            (
                self._named(line),
                self._value(line.expected_now, line),
                percent_text(line.pace),
                self._value(line.projected, line),
                self._value(line.gap, line),
                f"{line.days_left:,}",
                self._value(line.needed_per_day, line),
            )
            for line in lines
        )
        columns = (
            "Goal", "Expected by now", "Pace", "Projected", "Still missing",
            "Working days left", "Needed per day",
        )  # fmt: skip
        return TableOfView("Pace of goals", columns, rows)

    def splits(self, splits: Sequence[GoalSplit], lines: Mapping[str, GoalLine]) -> TableOfView:
        """Lay out what the goals below each goal add up to."""
        rows = tuple(
            (
                goal_text(lines[each.goal]),
                ", ".join(key_text(part, self._language) for part in each.by.split(", ")),
                f"{each.goals:,}",
                self._value(lines[each.goal].target, lines[each.goal]),
                *(
                    self._value(it, lines[each.goal])
                    for it in (each.target, each.target_gap, each.actual)
                ),
            )
            for each in splits
        )
        columns = (
            "Goal", "Shared out by", "Goals below", "Target value", "Sum of targets below",
            "Gap in targets", "Sum of results below",
        )  # fmt: skip
        return TableOfView("Goals below", columns, rows)

    def letters(self, letters: Sequence[LetterThen]) -> TableOfView:
        """Lay out the letters of SMART, when the goal was set and by now."""
        rows = tuple(
            (
                key_text(each.letter, self._language),
                self._passed(each.passed),
                NO_VALUE if each.basis is None else basis_text(each.basis, self._language),
                self._passed(each.passed_now),
                basis_text(each.basis_now, self._language),
            )
            for each in letters
        )
        columns = ("SMART", "Passed when set", "Because of", "Passed now", "By what is known")
        return TableOfView("Goal check", columns, rows)

    def revisions(
        self, revisions: Sequence[RevisionLine], lines: Mapping[str, GoalLine]
    ) -> TableOfView:
        """Lay out how a goal was changed."""
        rows = tuple(
            (
                local_day(each.at, self._timezone),
                *(
                    self._value(it, lines[each.goal])
                    for it in (each.target_before, each.target)
                ),
                span_text(each.first, each.last),
                each.by or NO_VALUE,
                each.because or NO_VALUE,
                self._word("yes" if each.locked else "no"),
            )
            for each in revisions
        )
        columns = ("Day", "Target before", "Target value", "Period", "By", "Reason", "Locked")
        return TableOfView("Goal revisions", columns, rows)

    def check_ins(self, check_ins: Sequence[CheckInLine]) -> TableOfView:
        """Lay out how sure people were."""
        rows = tuple(
            (
                local_day(each.at, self._timezone),
                given_percent(each.confidence),
                each.note or NO_VALUE,
                each.by or NO_VALUE,
            )
            for each in check_ins
        )
        return TableOfView("Goal check-ins", ("Day", "Confidence", "Note", "By"), rows)

    def deals(self, deals: Iterable[tuple[UUID, datetime]], total: int) -> TableOfView:
        """Lay out the deals that a goal rests on."""
        rows = tuple((short_id(deal), local_day(at, self._timezone)) for deal, at in deals)
        notes: tuple[str, ...] = ()
        if len(rows) < total:
            shown, whole = f"{len(rows):,}", f"{total:,}"
            notes = (say("{shown} of {total} deals", self._language, shown=shown, total=whole),)
        return TableOfView("Deals behind the goal", ("Deal", "Day"), rows, notes=notes)

    def _value(self, value: Decimal | None, line: GoalLine) -> str:
        return FigureText(line.unit, self._language, line.currency).beside_target(value)

    def _named(self, line: GoalLine) -> str:
        return INDENT * line.depth + goal_text(line)

    def _scope(self, line: GoalLine) -> str:
        parts = [getattr(line, name) for name in SCOPE]
        customer = None if line.customer is None else short_id(line.customer)
        return " · ".join(filter(None, [*parts, customer])) or self._word("all")

    def _passed(self, passed: bool | None) -> str:
        return NO_VALUE if passed is None else self._word("yes" if passed else "no")

    def _word(self, word: str) -> str:
        return in_language(word, self._language)
