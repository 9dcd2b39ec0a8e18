"""How far goals are attained: actual, pace and projection beside every target, as a tree.

Answers "do we reach our goals, what is missing, and what do we need on each day that is left?"
for any past moment: targets as they stood then, figures as they were known then. A goal is
measured by its own scope and period; what the goals below it add up to stands beside it, with
the gap. Of one goal it also tells its revisions, its check-ins, the letters of SMART then and
now, and the deals it rests on. Leaves out whether a goal would be well set: that is
`GoalCheck`.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.arguments import perhaps
from salesflow.domain.goal import GoalState
from salesflow.domain.metric import MetricAsked
from salesflow.domain.smart import PastRange, PastValue, Stated, judged_letters
from salesflow.domain.time import Moment, from_instant
from salesflow.domain.values import Day, Reference, SafeText, Value, tidy
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.messages import Language, in_language, say_count
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.currency import RatesUsed
from salesflow.projections.core.question import (
    Limit,
    PeriodQuestion,
    Reader,
    View,
    span_of,
)
from salesflow.projections.goals.goal_layout import GoalLayout
from salesflow.projections.goals.goal_lines import (
    CheckInLine,
    GoalLine,
    GoalSplit,
    LetterThen,
    RevisionLine,
    as_tree,
    check_in_lines,
    goal_line,
    goal_states,
    in_circles,
    revision_lines,
    splits_of,
)
from salesflow.projections.metrics.attainment import (
    ExpectedBy,
    WorkDays,
    measured,
    progress_of,
    scope_of,
)
from salesflow.projections.metrics.goal_rows import (
    GOAL_FOLDS,
    GoalRow,
    read_goals,
)
from salesflow.projections.metrics.metric_values import METRIC_FOLDS, DealBehind, Measurement

__all__ = ["DealOfGoal", "GoalAttainment", "GoalAttainmentView"]

LISTED: Final = 20


class DealOfGoal(Value):
    """A deal that what was reached of a goal rests on."""

    deal: Annotated[UUID, FieldRole.KEY]
    at: datetime
    """When the last of what counts happened."""


class GoalAttainmentView(View):
    """Goals as a tree with what they came to, and of one goal what was said of it."""

    population: ClassVar[str] = (
        "goals as they stood at the moment, with what happened in their periods by then; each"
        " is measured by its own scope, whoever's the deals were when it happened; sales by the"
        " shares of who is credited"
    )
    formula: ClassVar[str] = (
        "of what accumulates: attainment = actual ÷ target, expected = target x share elapsed,"
        " pace = actual ÷ expected, projected = actual ÷ share elapsed; of a level: attainment"
        " = (actual − baseline) ÷ (target − baseline), expected = baseline + (target −"
        " baseline) x share elapsed, pace = attainment ÷ share elapsed, projected = actual;"
        " share elapsed = working days over ÷ working days of the period, or what the same"
        " period of the year"
        " before had come to by then; on track = projected reaches the target, of a level pace"
        " of 1 or more; attained or missed = by the target once the period is over; needed per"
        " day = (target − actual) ÷ working days left; amounts in the goal's currency at the"
        " last rate on or before the day of each booking"
    )
    goals: tuple[GoalLine, ...]
    splits: tuple[GoalSplit, ...]
    """What goals below a goal add up to, where they are listed."""
    goals_elsewhere: int
    """How many goals are set that are not listed."""
    revisions: tuple[RevisionLine, ...]
    """Only when one goal was asked about; so are all that follow."""
    check_ins: tuple[CheckInLine, ...]
    letters: tuple[LetterThen, ...]
    deals: tuple[DealOfGoal, ...]
    """The latest deals that the goal rests on."""
    deals_total: int
    rates: tuple[RatesUsed, ...]
    """The rates by which amounts were converted, a currency each."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the goals out as a tree; what there is nothing to say of is left out."""
        lay = GoalLayout(ZoneInfo(self.timezone), language)
        units = {line.goal: line for line in self.goals}
        tables = [
            lay.goals(self.goals, self._notes(language)),
            lay.paces(self.goals),
            lay.splits(self.splits, units),
            lay.letters(self.letters),
            lay.revisions(self.revisions, units),
            lay.check_ins(self.check_ins),
            lay.deals(((it.deal, it.at) for it in self.deals), self.deals_total),
        ]
        return [tables[0], *(table for table in tables[1:] if table.rows)]

    def _notes(self, language: Language) -> tuple[str, ...]:
        found = []
        if not self.goals and self.goals_elsewhere:
            found.append(
                say_count(
                    "{count:,} goal is set for other days or others; name a period with from"
                    " and to",
                    "{count:,} goals are set for other days or others; name a period with from"
                    " and to",
                    self.goals_elsewhere,
                    language,
                )
            )
        lost = ", ".join(it.goal for it in self.goals if it.parent_known is False)
        if lost:
            found.append(f"{in_language('the parent goal is not set:', language)} {lost}")
        circle = ", ".join(in_circles({it.goal: it.parent for it in self.goals}))
        if circle:
            said = in_language("goals that serve one another in a circle:", language)
            found.append(f"{said} {circle}")
        for rates in self.rates:
            found += rates.left_out_said(language)
        return tuple(found)


class GoalAttainment(PeriodQuestion[GoalAttainmentView]):
    """How far are our goals attained, and what is still needed?"""

    name: ClassVar[str] = "goal-attainment"
    folds: ClassVar[tuple[str, ...]] = tuple(sorted({*METRIC_FOLDS, *GOAL_FOLDS}))
    from_: Day | None = None
    """The first day: goals whose periods reach into these days. Default: those running now."""
    to: Day | None = None
    """The first day after them."""
    goal: Reference | None = None
    """Only this goal (its key) and those below it, with all that was said of it."""
    metric: MetricAsked | None = None
    """Only goals of this metric."""
    team: Reference | None = None
    """Only goals of this team (its key)."""
    rep: Reference | None = None
    """Only goals of this rep."""
    product: SafeText | None = None
    """Only goals of this product, as lines of quotes and agreements name it."""
    expected_by: ExpectedBy = "working_days"
    """What share is expected by now: working_days that are over, or seasonality, what the same
    period of the year before had come to by then. Default: working_days."""
    limit: Limit = LISTED
    """How many deals to list at most. Default: 20."""

    def answer(self, reader: Reader, moment: Moment) -> GoalAttainmentView:
        """Measure the goals asked about, all of them at once.

        Raises:
            NotFoundError: when the goal asked about is not set at the moment.
        """
        every = read_goals(reader)
        known = {goal.key for goal in every}
        tree = as_tree(self._asked(every, reader))
        goals = [placed.goal for placed in tree]
        found, days = measured(goals, reader, self.expected_by), WorkDays.read(reader)
        lines = [
            goal_line(placed, actual, progress_of(placed.goal, actual.value, days, it), known)
            for placed, actual, it in zip(tree, found.actuals, found.seasons, strict=True)
        ]
        actuals = {line.goal: line.actual for line in lines}
        detail = self._detail(goals, reader, {it.key: it for it in every})
        return GoalAttainmentView(
            moment=moment,
            goals=tuple(lines),
            splits=tuple(splits_of(goals, actuals)),
            goals_elsewhere=len(every) - len(goals),
            rates=found.rates,
            **detail,
        )

    def _asked(self, every: Sequence[GoalRow], reader: Reader) -> list[GoalRow]:
        """Choose the goals asked about."""
        if self.goal is not None:
            return _below(self.goal, every)
        first, last = self._days(reader)
        return [
            goal
            for goal in every
            if goal.first_day <= last
            and goal.last_day >= first
            and self.metric in (None, goal.metric.key)
            and self.team in (None, goal.scope.team)
            and self.rep in (None, goal.scope.rep)
            and self.product in (None, goal.scope.product)
        ]

    def _days(self, reader: Reader) -> tuple[date, date]:
        if self.from_ is None and self.to is None:
            today = self.day(reader)
            return today, today
        span = self.span(reader)
        return span.first, span.last

    def _detail(
        self, goals: Sequence[GoalRow], reader: Reader, every: Mapping[str, GoalRow]
    ) -> dict[str, Any]:
        """Tell all that was said of the goal asked about."""
        if self.goal is None:
            return {"revisions": (), "check_ins": (), "letters": (), "deals": ()} | {
                "deals_total": 0
            }
        goal, states = goals[0], goal_states(goals[:1], reader)
        state = states[goal.key]
        deals = _deals(goal, reader)
        return {
            "revisions": tuple(revision_lines(goal.key, state)),
            "check_ins": tuple(check_in_lines(goal.key, state)),
            "letters": tuple(_letters(goal, state, reader, every)),
            "deals": tuple(
                DealOfGoal(deal=each.deal, at=from_instant(each.at))
                for each in deals[: self.limit]
            ),
            "deals_total": len(deals),
        }


def _below(key: str, every: Sequence[GoalRow]) -> list[GoalRow]:
    """Return a goal, first of all, and all that serve it."""
    by_key = {goal.key: goal for goal in every}
    if key not in by_key:
        known = ", ".join([*by_key][:LISTED]) or "none"
        raise NotFoundError(
            f"there is no goal {key!r} at that moment{perhaps(key, by_key)}; goals: {known}"
        )
    serving: dict[str | None, list[GoalRow]] = defaultdict(list)
    for goal in every:
        serving[goal.parent].append(goal)
    found, waiting = {key: by_key[key]}, [key]
    while waiting:
        for goal in serving[waiting.pop()]:
            if goal.key not in found:
                found[goal.key] = goal
                waiting.append(goal.key)
    return [*found.values()]


def _deals(goal: GoalRow, reader: Reader) -> list[DealBehind]:
    if goal.metric.is_figure:
        return []
    span = span_of(*goal.days, reader)
    return Measurement(reader, [span], scope_of(goal.scope)).deals(goal.metric.key)


def _letters(
    goal: GoalRow, state: GoalState, reader: Reader, every: Mapping[str, GoalRow]
) -> Iterator[LetterThen]:
    """Judge each letter again by what is known now, beside how it came out then."""
    above = every.get(goal.parent or "")
    serves = goal.parent if above is not None and above.standing != "abandoned" else None
    stated = Stated(
        goal.metric,
        goal.target,
        goal.baseline,
        serves,
        goal.strategy,
        state.why_achievable,
    )
    then = {each.letter: each for each in state.letters}
    for letter, passed, basis in judged_letters(stated, _past_now(goal, state, reader)):
        yield LetterThen(
            goal=goal.key,
            letter=letter,
            passed=then[letter].passed if letter in then else None,
            basis=then[letter].basis if letter in then else None,
            passed_now=passed,
            basis_now=basis,
        )


def _past_now(goal: GoalRow, state: GoalState, reader: Reader) -> PastRange | None:
    """Return the past that was shown when the goal was set, as it is known now."""
    past = state.evidence
    if past is None or not past.values:
        return past
    days = [(each.first_day, each.last_day) for each in past.values]
    again = [goal._replace(first_day=first, last_day=last) for first, last in days]
    actuals = measured(again, reader).actuals
    values = tuple(
        PastValue(
            first_day=first,
            last_day=last,
            value=None if actual.value is None else tidy(round(actual.value, 6)),
            count=max(actual.n, 0),
        )
        for (first, last), actual in zip(days, actuals, strict=True)
    )
    return past.model_copy(update={"values": values})
