"""How far goals are attained: actual, pace and projection beside every target, as a tree.

Answers "do we reach our goals, what is missing, and what do we need on each day that is left?"
for any past moment: targets as they stood then, figures as they were known then. A goal is
measured by its own scope and period; what the goals below it add up to stands beside it, with
the gap. Of one goal it also tells its revisions, its check-ins, the letters of SMART then and
now, and the deals it rests on. Leaves out whether a goal would be well set: that is
`GoalCheck`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Annotated, Any, ClassVar, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.alike_names import perhaps
from salesflow.domain.goal import GoalState
from salesflow.domain.metric import MetricAsked, metric_of
from salesflow.domain.smart import GoalStatement, PastRange, PastValue, judged_letters
from salesflow.domain.time import Moment, from_instant
from salesflow.domain.values import Day, Reference, SafeName, Value, tidy
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Total, totals
from salesflow.presentation.messages import Language, in_language, say_count
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.currency import (
    AMOUNT_PLACES,
    CurrencyConverter,
    RatesUsed,
    unscaled,
)
from salesflow.projections.core.question import (
    Limit,
    PeriodQuestion,
    Reader,
    View,
    span_of,
)
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.goals.goal_layout import DealLine, GoalLayout
from salesflow.projections.goals.goal_lines import (
    CheckInLine,
    GoalInTree,
    GoalLine,
    GoalSplit,
    LetterThen,
    RevisionLine,
    as_tree,
    check_in_lines,
    goal_line,
    goal_states,
    in_circles,
    is_within,
    parts_of,
    revision_lines,
    splits_of,
)
from salesflow.projections.metrics.attainment import (
    ExpectedBy,
    GoalActuals,
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
from salesflow.projections.metrics.metric_values import (
    METRIC_FOLDS,
    BookedPart,
    ContributingDeal,
    Measurement,
)

__all__ = ["DealOfGoal", "GoalAttainment", "GoalAttainmentView"]

LISTED: Final = 20


class DealOfGoal(Value):
    """A deal that what was reached of a goal rests on."""

    deal: Annotated[UUID, FieldRole.KEY]
    at: datetime
    """When the last of what counts happened."""
    owner: Reference | None
    """Who owns it at the moment."""
    amount: Decimal | None
    """What it adds to sales, in the goal's currency; None of a goal for anything else."""
    without_rate: tuple[Total, ...]
    """What it would add, and is left out since no rate is known, a currency each."""


class GoalAttainmentView(View):
    """Goals as a tree with what they came to, and of one goal what was said of it."""

    population: ClassVar[str] = (
        "goals as they stood at the moment, with what happened in their periods by then; each"
        " is measured by its own scope, whoever's the deals were when it happened; sales by the"
        " shares of who is credited"
    )
    formula: ClassVar[str] = (
        "of what accumulates: attainment = actual ÷ target where more is better, expected ="
        " target x share elapsed, pace = actual ÷ expected, projected = actual ÷ share elapsed;"
        " of a level: attainment = (actual − baseline) ÷ (target − baseline), expected ="
        " baseline + (target − baseline) x share elapsed, pace = attainment ÷ share elapsed,"
        " projected = actual; without a percentage: a limit, and a level whose baseline is"
        " unknown or not short of the target; share elapsed = working days over ÷ working days"
        " of the period, or what the same period of the year"
        " before had come to by then; on track = projected reaches the target, of a level pace"
        " of 1 or more; attained or missed = by the target once the period is over; needed per"
        " day = (target − actual) ÷ working days left; amounts in the goal's currency at the"
        " last rate on or before the day of each booking"
    )
    goals: tuple[GoalLine, ...]
    splits: tuple[GoalSplit, ...]
    """What all goals add up to that serve a goal listed at once, listed themselves or not."""
    in_circles: tuple[Reference, ...]
    """Goals listed that serve themselves, at once or by way of others: they are no part of
    what is added up."""
    expected_by: ExpectedBy
    """By what share of the period goals were asked to be expected."""
    goals_elsewhere: int
    """How many goals are set that are not listed."""
    goals_of_others: int
    """How many of those are for the days asked about, but of others than who was asked for."""
    revisions: tuple[RevisionLine, ...]
    """Only when one goal was asked about; so are all that follow."""
    check_ins: tuple[CheckInLine, ...]
    letters: tuple[LetterThen, ...]
    deals: tuple[DealOfGoal, ...]
    """The latest deals that the goal rests on."""
    deals_total: int
    sales_without_rate: tuple[Total, ...]
    """What all its deals would add, and is left out since no rate is known, a currency each."""
    rates: tuple[RatesUsed, ...]
    """The rates by which amounts were converted, a currency each."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the goals out as a tree; what there is nothing to say of is left out."""
        called = {each.customer: each.name for each in self.names.customers}
        lay = GoalLayout(ZoneInfo(self.timezone), language, called)
        units = {line.goal: line for line in self.goals}
        tables = [
            lay.goals(self.goals, self._notes(language)),
            lay.paces(self.goals),
            lay.splits(self.splits, units),
            lay.letters(self.letters),
            lay.revisions(self.revisions, units),
            lay.check_ins(self.check_ins),
            self._deals(lay),
        ]
        return [tables[0], *(table for table in tables[1:] if table.rows)]

    def _deals(self, lay: GoalLayout) -> TableOfView:
        lines = [
            DealLine(it.deal, it.at, it.owner, it.amount, it.without_rate) for it in self.deals
        ]
        currency = self.goals[0].currency if self.deals else None
        return lay.deals(lines, self.deals_total, currency, self.sales_without_rate)

    def _notes(self, language: Language) -> tuple[str, ...]:
        found = []
        if not self.goals and self.goals_of_others:
            found.append(
                say_count(
                    "{count:,} goal is set for these days, but of others; leave metric, team,"
                    " rep or product out",
                    "{count:,} goals are set for these days, but of others; leave metric, team,"
                    " rep or product out",
                    self.goals_of_others,
                    language,
                )
            )
        elif not self.goals and self.goals_elsewhere:
            found.append(
                say_count(
                    "{count:,} goal is set for other days; name a period with from and to",
                    "{count:,} goals are set for other days; name a period with from and to",
                    self.goals_elsewhere,
                    language,
                )
            )
        lost = ", ".join(it.goal for it in self.goals if it.parent_known is False)
        if lost:
            found.append(f"{in_language('the parent goal is not set:', language)} {lost}")
        if self.in_circles:
            those = ", ".join(self.in_circles)
            said = "goals that serve one another in a circle:"
            found.append(f"{in_language(said, language)} {those}")
        found += self._apart(language)
        found += self._unseasonal(language)
        for rates in self.rates:
            found += rates.left_out_said(language)
        return tuple(found)

    def _apart(self, language: Language) -> Iterator[str]:
        """Say which goals are not added up since their days are not those of the goal above."""
        by_key, apart = {line.goal: line for line in self.goals}, []
        for line in self.goals:
            above = by_key.get(line.parent or "", line)
            adds_up = metric_of(line.metric).kind == "accumulating"
            alike = (line.metric, line.currency) == (above.metric, above.currency)
            inside = is_within((line.first, line.last), (above.first, above.last))
            if adds_up and alike and not inside:
                apart.append(line.goal)
        if apart:
            said = "not added up, since their days are not within those of the goal above:"
            yield f"{in_language(said, language)} {', '.join(apart)}"

    def _unseasonal(self, language: Language) -> Iterator[str]:
        """Say which goals are expected by working days although the season was asked for."""
        if self.expected_by != "seasonality":
            return
        plain = [line for line in self.goals if line.expected_by != "seasonality"]
        grows = {each.goal: metric_of(each.metric).kind == "accumulating" for each in plain}
        for kind, why in (
            (True, "expected by working days, since nothing is known of the year before:"),
            (False, "expected by working days, since a level has no season:"),
        ):
            those = ", ".join(goal for goal, it in grows.items() if it is kind)
            if those:
                yield f"{in_language(why, language)} {those}"


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
    product: SafeName | None = None
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
        tree = as_tree(self._asked(every, reader))
        goals = [placed.goal for placed in tree]
        keys = {goal.key for goal in goals}
        circles = frozenset(in_circles({it.key: it.parent for it in every}))
        parts = parts_of(goals, every, circles)
        beside = [part for part, _ in parts if part.key not in keys]
        found = measured([*goals, *beside], reader, self.expected_by)
        actuals = {
            goal.key: actual.value
            for goal, actual in zip([*goals, *beside], found.actuals, strict=True)
        }
        return GoalAttainmentView(
            moment=moment,
            goals=tuple(_lines(tree, found, every, reader)),
            splits=tuple(splits_of(parts, actuals, reader.calendar)),
            in_circles=tuple(goal.key for goal in goals if goal.key in circles),
            expected_by=self.expected_by,
            goals_elsewhere=len(every) - len(goals),
            goals_of_others=self._of_others(keys, every, reader),
            rates=found.rates,
            **self._detail(goals, reader, {it.key: it for it in every}),
        )

    def _of_others(self, keys: Set[str], every: Sequence[GoalRow], reader: Reader) -> int:
        """Count the goals of the days asked about that are of others than who was asked for."""
        if self.goal is not None:
            return 0
        return sum(goal.key not in keys for goal in self._in_days(every, reader))

    def _asked(self, every: Sequence[GoalRow], reader: Reader) -> list[GoalRow]:
        """Choose the goals asked about."""
        if self.goal is not None:
            return _below(self.goal, every)
        return [
            goal
            for goal in self._in_days(every, reader)
            if self.metric in (None, goal.metric.key)
            and self.team in (None, goal.scope.team)
            and self.rep in (None, goal.scope.rep)
            and self.product in (None, goal.scope.product)
        ]

    def _in_days(self, every: Sequence[GoalRow], reader: Reader) -> list[GoalRow]:
        """Choose the goals of the days asked about, whosever they are."""
        first, last = self._days(reader)
        return [goal for goal in every if goal.first_day <= last and goal.last_day >= first]

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
            nothing = ("revisions", "check_ins", "letters", "deals", "sales_without_rate")
            return {**dict.fromkeys(nothing, ()), "deals_total": 0}
        goal, states = goals[0], goal_states(goals[:1], reader)
        state = states[goal.key]
        deals, parts = _deals(goal, reader)
        listed = deals[: self.limit]
        owners = _owners([each.deal for each in listed], reader)
        counted = _Counted.of(goal, parts, reader)
        return {
            "revisions": tuple(revision_lines(goal.key, state)),
            "check_ins": tuple(check_in_lines(goal.key, state)),
            "letters": tuple(_letters(goal, state, reader, every)),
            "deals": tuple(
                DealOfGoal(
                    deal=each.deal,
                    at=from_instant(each.at),
                    owner=owners.get(each.deal),
                    amount=counted.amounts.get(each.deal),
                    without_rate=totals(counted.left_out.get(each.deal, ())),
                )
                for each in listed
            ),
            "deals_total": len(deals),
            "sales_without_rate": totals(chain.from_iterable(counted.left_out.values())),
        }


def _lines(
    tree: Sequence[GoalInTree], found: GoalActuals, every: Iterable[GoalRow], reader: Reader
) -> Iterator[GoalLine]:
    """Yield the lines of the goals of a tree, which are the first of those measured."""
    known, days = {goal.key for goal in every}, WorkDays.read(reader)
    for placed, actual, season in zip(tree, found.actuals, found.seasons, strict=False):
        progress = progress_of(placed.goal, actual.value, days, season)
        yield goal_line(placed, actual, progress, known, reader.calendar)


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


def _deals(goal: GoalRow, reader: Reader) -> tuple[list[ContributingDeal], list[BookedPart]]:
    """Return the deals a goal rests on, and of sales what counts of their bookings."""
    if goal.metric.is_figure:
        return [], []
    measured_ = Measurement(reader, [span_of(*goal.days, reader)], scope_of(goal.scope))
    of_sales = goal.metric.key == "sales"
    return measured_.deals(goal.metric.key), measured_.booked_parts() if of_sales else []


def _owners(deals: Sequence[UUID], reader: Reader) -> dict[UUID, str | None]:
    rows = reader.columns(DEAL_STATE).among("entity_id", *deals)
    return dict(zip(rows.cells("entity_id"), rows.cells("owner"), strict=True))


class _Counted(NamedTuple):
    """What deals add to the sales of a goal, and what is left out for want of a rate."""

    amounts: Mapping[UUID, Decimal]
    left_out: Mapping[UUID, Sequence[tuple[str | None, Decimal, Decimal]]]

    @classmethod
    def of(cls, goal: GoalRow, parts: Iterable[BookedPart], reader: Reader) -> "_Counted":
        """Convert each booking as the sum of all of them is."""
        exchange = CurrencyConverter(reader, goal.currency)
        amounts: dict[UUID, Decimal] = defaultdict(Decimal)
        left_out: dict[UUID, list[tuple[str | None, Decimal, Decimal]]] = defaultdict(list)
        for each in parts:
            day = exchange.day(each.at, event=each.at, closing=None)
            into = exchange.into(each.currency, day, of=each.deal)
            if into.currency is None and each.currency is not None:
                amount = unscaled(each.amount * each.part, places=2 * AMOUNT_PLACES)
                left_out[each.deal].append((each.currency, amount, Decimal(1)))
                continue
            millionths = into.millionths(each.amount) * each.part
            amounts[each.deal] += unscaled(millionths, places=2 * AMOUNT_PLACES)
        return cls(amounts, left_out)


def _letters(
    goal: GoalRow, state: GoalState, reader: Reader, every: Mapping[str, GoalRow]
) -> Iterator[LetterThen]:
    """Judge each letter again by what is known now, beside how it came out then."""
    above = every.get(goal.parent or "")
    serves = goal.parent if above is not None and above.standing != "abandoned" else None
    stated = GoalStatement(
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
