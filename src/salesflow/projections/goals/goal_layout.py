"""Goals laid out for people: the tree with its figures, and what was said of one goal."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.metric import metric_of
from salesflow.domain.smart import is_higher_better
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import (
    NO_VALUE,
    Total,
    given_percent,
    local_day,
    money_text,
    percent_text,
    short_id,
    span_text,
    totals_text,
)
from salesflow.presentation.messages import Language, in_language, key_text, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.goals.goal_lines import (
    PERIOD,
    CheckInLine,
    GoalLine,
    GoalSplit,
    LetterThen,
    RevisionLine,
)
from salesflow.projections.goals.smart_text import basis_text

__all__ = ["DealLine", "GoalLayout"]

INDENT: Final = "  "
HALF_A_CENT: Final = Decimal("0.005")
"""A difference below it comes of amounts being converted one by one."""
ELSE: Final = {
    "team": "credited to people in no team below",
    "rep": "credited to people without a goal below",
    "customer": "of other customers",
    "channel": "of other channels",
    "product": "of other products",
    "process": "of other processes",
    "stage": "at other stages",
    "period": "of days without a goal below",
}
"""Of whom or what is that which no goal below counts, by what these share out."""
SCOPE: Final = ("team", "rep", "channel", "product", "process", "stage")


def goal_text(line: GoalLine) -> str:
    """Return the key of a goal, by which commands name it, and its title."""
    return line.goal if line.title is None else f"{line.goal} · {line.title}"


def _missing(line: GoalLine) -> Decimal | None:
    """Return what is still missing, in the direction that is better; None once reached."""
    if line.gap is None:
        return None
    more = is_higher_better(metric_of(line.metric), line.target, line.baseline)
    missing = line.gap if more else -line.gap
    return missing if missing > 0 else None


class DealLine(NamedTuple):
    """A deal behind a goal, and what it adds to sales."""

    deal: UUID
    at: datetime
    owner: str | None
    amount: Decimal | None
    left_out: Sequence[Total]


class GoalLayout:
    """Writes goals in one language and time zone."""

    def __init__(
        self,
        timezone: ZoneInfo,
        language: Language,
        customers: Mapping[UUID, str] = MappingProxyType({}),
    ) -> None:
        self._timezone = timezone
        self._language: Language = language
        self._customers = customers

    def goals(self, lines: Sequence[GoalLine], notes: tuple[str, ...]) -> TableOfView:
        """Lay out the tree of goals."""
        rows = tuple(
            (
                self._named(line),
                metric_of(line.metric).name(self._language),
                self._scope(line),
                line.quarter or span_text(line.first, line.last),
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
                self._value(_missing(line), line),
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
        notes = tuple(note for each in splits for note in self._split_notes(each, lines))
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
        return TableOfView("Goals below", columns, rows, notes=notes)

    def _split_notes(self, split: GoalSplit, lines: Mapping[str, GoalLine]) -> Iterator[str]:
        """Say what is missing in the sums of the goals below a goal, and why."""
        if split.periods_without and split.target_gap > 0:
            yield say(
                "{goal}: no goals below for {periods}, which the gap in targets includes",
                self._language,
                goal=split.goal,
                periods=", ".join(split.periods_without),
            )
        gap = split.actual_gap
        if gap is None or abs(gap) < HALF_A_CENT:
            return
        parts = [part for part in split.by.split(", ") if part in ELSE]
        if PERIOD in parts and not split.periods_without:
            parts.remove(PERIOD)
        whose = f" {self._word('or')} ".join(self._word(ELSE[part]) for part in parts)
        if gap > 0 and whose:
            yield say(
                "{amount} of what {goal} came to is counted by no goal below: {whose}",
                self._language,
                amount=self._value(gap, lines[split.goal]),
                goal=split.goal,
                whose=whose,
            )
        elif gap < 0:
            yield say(
                "the goals below {goal} count {amount} more than it does: some of it is counted"
                " by several of them",
                self._language,
                amount=self._value(-gap, lines[split.goal]),
                goal=split.goal,
            )

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

    def deals(
        self,
        deals: Sequence[DealLine],
        total: int,
        currency: str | None,
        left_out: Sequence[Total],
    ) -> TableOfView:
        """Lay out the deals that a goal rests on; of sales with what each of them adds."""
        of_sales = any(each.amount is not None or each.left_out for each in deals)
        rows = tuple(
            (
                short_id(each.deal),
                *((self._counted(each, currency),) if of_sales else ()),
                each.owner or NO_VALUE,
                local_day(each.at, self._timezone),
            )
            for each in deals
        )
        notes = []
        if len(rows) < total:
            shown, whole = f"{len(rows):,}", f"{total:,}"
            notes.append(
                say("{shown} of {total} deals", self._language, shown=shown, total=whole)
            )
        if left_out:
            notes.append(
                say(
                    "left out for want of a rate: {amounts}; publish one with {command}",
                    self._language,
                    amounts=totals_text(left_out),
                    command="`salesflow import rates`",
                )
            )
        columns = ("Deal", *(("Counted",) if of_sales else ()), "Owner", "Day")
        return TableOfView("Deals behind the goal", columns, rows, notes=tuple(notes))

    def _counted(self, deal: DealLine, currency: str | None) -> str:
        """Write what a deal adds, and in brackets what it would with a rate."""
        without = self._word("without a rate")
        lacking = [f"({totals_text(deal.left_out)} {without})"] if deal.left_out else []
        counted = [] if deal.amount is None else [money_text(deal.amount, currency)]
        return " ".join([*counted, *lacking]) or NO_VALUE

    def _value(self, value: Decimal | None, line: GoalLine) -> str:
        return FigureText(line.unit, self._language, line.currency).beside_target(value)

    def _named(self, line: GoalLine) -> str:
        return INDENT * line.depth + goal_text(line)

    def _scope(self, line: GoalLine) -> str:
        parts = [getattr(line, name) for name in SCOPE]
        id = line.customer
        customer = None if id is None else self._customers.get(id) or short_id(id)
        return " · ".join(filter(None, [*parts, customer])) or self._word("all")

    def _passed(self, passed: bool | None) -> str:
        return NO_VALUE if passed is None else self._word("yes" if passed else "no")

    def _word(self, word: str) -> str:
        return in_language(word, self._language)
