"""Which columns a list of things has: what people look for first, in their words.

Each kind names its columns in order and says its cells; what the state does not hold itself
(how many are sent to a training, whether a plan is in force) follows from it here. `show` has
all that is known of one.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from salesflow.cli.recording.things_read import ThingsRead
from salesflow.domain.alert import Alert
from salesflow.domain.case import Case
from salesflow.domain.contest import Contest
from salesflow.domain.customer import Customer
from salesflow.domain.event import Event
from salesflow.domain.goal import Goal
from salesflow.domain.improvement import Improvement
from salesflow.domain.incentive_plan import IncentivePlan
from salesflow.domain.rep import Rep
from salesflow.domain.rep_development import TrainingTaken, next_step
from salesflow.domain.review import Review
from salesflow.domain.statement import Statement
from salesflow.domain.team import Team
from salesflow.domain.time import from_instant
from salesflow.domain.training import Training
from salesflow.presentation.format import (
    NO_VALUE,
    given_percent,
    local_day,
    money_text,
)
from salesflow.presentation.value_text import Unit, metric_name

__all__ = ["LISTS", "ThingList", "rep_state", "training_state"]


class ThingList(NamedTuple):
    """The columns of a list, and what a thing says in each."""

    columns: tuple[str, ...]
    cells: Callable[[Any, ThingsRead], tuple[str, ...]]
    order: Callable[[Any], tuple[str, ...]] = lambda thing: (thing.key,)
    """By what the list is sorted."""


def _joined(texts: Iterable[str | None], otherwise: str = NO_VALUE) -> str:
    return ", ".join(filter(None, texts)) or otherwise


def _count(number: int) -> str:
    return f"{number:,}"


def _day(at: Event | datetime | None, read: ThingsRead) -> str:
    if at is None:
        return NO_VALUE
    return local_day(at if isinstance(at, datetime) else at.occurred_at, read.zone)


def _team(team: Team, read: ThingsRead) -> tuple[str, ...]:
    members = sum(rep.team == team.key for rep in read.reps())
    name = team.name_zh if read.language == "zh" else team.name_en
    return team.key, name, read.names.rep(team.lead) or NO_VALUE, _count(members)


def rep_state(rep: Rep, read: ThingsRead) -> str:
    """Return whether a rep sells for us, and since when not."""
    if rep.left_at is None:
        return read.word("active")
    return f"{read.word('left')} {local_day(rep.left_at, read.zone)}"


def training_state(taken: TrainingTaken, today: date) -> str:
    """Return whether a training of a rep is open, overdue or completed."""
    if not taken.is_open:
        return "completed"
    return "overdue" if taken.due is not None and taken.due < today else "open"


def _rep(rep: Rep, read: ThingsRead) -> tuple[str, ...]:
    states = [training_state(each, read.today) for each in rep.trainings.values()]
    step = None if rep.team is None else next_step(rep.level, rep.career_plan)
    return (
        rep.reference or NO_VALUE,
        rep.name or NO_VALUE,
        rep.team or NO_VALUE,
        rep_state(rep, read),
        NO_VALUE if rep.level is None else read.key(rep.level),
        NO_VALUE if step is None else read.text.text(step),
        _count(sum(state != "completed" for state in states)),
        _count(states.count("overdue")),
    )


def _training(training: Training, read: ThingsRead) -> tuple[str, ...]:
    course = training.course
    states = [
        training_state(rep.trainings[training.key], read.today)
        for rep in read.reps()
        if training.key in rep.trainings
    ]
    metric = course.metric if course else None
    return (
        training.key,
        training.name(read.language),
        _joined(read.key(each) for each in (course.skills if course else ())),
        _measured_by(metric, course.stage if course else None, read),
        read.word("retired" if training.is_retired else "offered"),
        *(_count(states.count(state)) for state in ("open", "overdue", "completed")),
    )


def _measured_by(metric: str | None, stage: str | None, read: ThingsRead) -> str:
    if metric is None:
        return NO_VALUE
    named = metric_name(metric, read.language)
    return f"{named} ({read.key(stage)})" if stage else named


def _customer(customer: Customer, read: ThingsRead) -> tuple[str, ...]:
    merged = customer.merged_into is not None
    return (
        customer.name or NO_VALUE,
        read.word("merged" if merged else customer.standing),
        customer.segment or NO_VALUE,
        customer.region or NO_VALUE,
        NO_VALUE if customer.customer_since is None else str(customer.customer_since),
        _count(len(customer.people)),
    )


def _goal(goal: Goal, read: ThingsRead) -> tuple[str, ...]:
    unit = Unit(goal.metric, goal.currency, goal.unit)
    sure = goal.check_ins[-1].confidence if goal.check_ins else None
    state = "abandoned" if goal.abandoned else "locked" if goal.locked else "set"
    return (
        goal.key,
        _measured_by(goal.metric, goal.scope.stage, read),
        _whose(goal, read),
        read.span(goal.first_day, goal.last_day),
        unit.written(goal.target, read.language),
        read.word(state),
        goal.title or NO_VALUE,
        given_percent(sure),
        read.names.rep(goal.responsible) or NO_VALUE,
        goal.parent or NO_VALUE,
    )


def _whose(goal: Goal, read: ThingsRead) -> str:
    return read.text.text(goal.scope.model_copy(update={"stage": None}))


def _plan(plan: IncentivePlan, read: ThingsRead) -> tuple[str, ...]:
    now = plan.in_force(read.today)
    shown, latest = now or plan.latest, plan.latest
    if now is not None:
        state = read.word("in force")
    elif plan.last_day is not None and plan.last_day < read.today:
        state = read.word("retired")
    else:
        state = read.word("published")
    if latest.version != shown.version:
        state += f", {read.word('next')} {latest.starts}"
    acknowledged = {each.rep for each in plan.acknowledged if each.version == shown.version}
    return (
        shown.key,
        shown.name(read.language),
        _count(shown.version),
        str(shown.starts),
        state,
        read.word(shown.period),
        given_percent(shown.terms.rate),
        shown.currency,
        _joined([*shown.teams, *shown.reps], read.word("all")),
        _count(len(acknowledged)),
    )


def _statement(statement: Statement, read: ThingsRead) -> tuple[str, ...]:
    said = statement.figures
    assert said is not None, "a statement that was issued says figures"
    waiting = sum(dispute.outcome is None for dispute in statement.disputes.values())
    agreed = sum((each.amount for each in statement.agreed), Decimal(0))
    unpaid = read.unpaid(statement)
    return (
        read.names.rep(said.rep),
        said.plan,
        read.span(said.first_day, said.last_day),
        money_text(said.earned, said.currency),
        money_text(said.payable, said.currency),
        local_day(said.as_of, read.zone),
        _count(len(statement.all_disputes)),
        _count(waiting),
        money_text(agreed, said.currency) if statement.agreed else NO_VALUE,
        NO_VALUE if unpaid is None else money_text(unpaid, said.currency),
    )


def _contest(contest: Contest, read: ThingsRead) -> tuple[str, ...]:
    opened, results = contest.opened, contest.results
    assert opened is not None, "a contest that is there was opened"
    first = [each.participant for each in results.ranks if each.rank == 1] if results else []
    if results is not None:
        state = "decided"
    elif read.today < opened.first_day:
        state = "announced"
    else:
        state = "running" if read.today <= opened.last_day else "to be decided"
    return (
        opened.contest,
        opened.title_zh if read.language == "zh" else opened.title_en,
        metric_name(opened.metric, read.language),
        read.word("reps" if opened.by == "rep" else "teams"),
        read.span(opened.first_day, opened.last_day),
        read.word(state),
        _joined(map(read.names.rep, first) if opened.by == "rep" else first),
    )


def _review(review: Review, read: ThingsRead) -> tuple[str, ...]:
    assert review.from_ is not None
    assert review.to is not None
    actions = [*review.actions.values()]
    late = sum(each.state == "open" and each.due < read.today for each in actions)
    whose = [*map(read.names.rep, filter(None, [review.owner])), review.team, review.process]
    return (
        review.key,
        read.span(review.from_, review.to - timedelta(days=1)),
        _joined(whose, read.word("the whole company")),
        read.word("open" if review.closed is None else "closed"),
        _count(len(review.findings)),
        _count(len(actions)),
        _count(len(review.open_actions)),
        _count(late),
        review.summary or NO_VALUE,
    )


def _case(case: Case, read: ThingsRead) -> tuple[str, ...]:
    assert case.deal is not None, "a case is of a deal"
    return (
        case.key,
        case.title or read.text.called["deal"](case.deal),
        read.word("published" if case.withdrawn is None else "withdrawn"),
        _joined(case.audience, read.word("all")),
        _joined(read.key(each.factor) for each in case.factors),
        _count(len(case.lessons)),
        _joined(case.trainings),
        case.summary or NO_VALUE,
    )


def _improvement(improvement: Improvement, read: ThingsRead) -> tuple[str, ...]:
    said = improvement.proposed
    assert said is not None, "an improvement that is there was proposed"
    outcome = improvement.outcome
    first = min(improvement.starts.values(), key=lambda e: e.effective, default=None)
    since = first and from_instant(first.effective)
    return (
        improvement.key,
        said.hypothesis,
        _measured_by(said.metric, said.stage, read),
        Unit(said.metric).difference(said.expected_effect, read.language),
        _joined(said.teams, read.word("all")),
        read.word(improvement.progress),
        _day(since, read),
        NO_VALUE if outcome is None else read.word(outcome),
    )


def _alert(alert: Alert, read: ThingsRead) -> tuple[str, ...]:
    assert alert.watched is not None, "an alert watches something"
    condition = f"{read.key(alert.condition)} {read.text.text(alert.threshold)}"
    days = "" if alert.days is None else f" / {alert.days:,} {read.word('d')}"
    more = "" if alert.watched.parameters == "{}" else f" {alert.watched.parameters}"
    return (
        alert.key,
        f"{alert.watched.question}{more}",
        alert.watched.figure,
        f"{condition}{days}",
        read.word(alert.standing),
        NO_VALUE if alert.raised is None else read.text.text(alert.raised),
        _joined(alert.notify),
    )


TRAININGS: Final = ("Trainings open", "Overdue")

LISTS: Final[dict[str, ThingList]] = {
    "team": ThingList(("Team", "Name", "Team lead", "Members"), _team),
    "rep": ThingList(
        ("Rep", "Name", "Team", "State", "Level", "Next level", *TRAININGS),
        _rep,
        lambda rep: ("1" if rep.team is None else "0", rep.team or "", rep.reference or ""),
    ),
    "training": ThingList(
        ("Training", "Name", "Skills", "Metric", "State", "Open", "Overdue", "Completed"),
        _training,
    ),
    "customer": ThingList(
        ("Name", "Standing", "Segment", "Region", "Customer since", "People"),
        _customer,
        lambda customer: (customer.name or "",),
    ),
    "goal": ThingList(
        (
            *("Goal", "Metric", "For", "Period", "Target", "State", "Title", "Confidence"),
            *("Responsible", "Parent goal"),
        ),
        _goal,
    ),
    "incentive plan": ThingList(
        (
            *("Plan", "Name", "Version", "Starts", "State", "Settled each", "Rate"),
            *("Currency", "For", "Acknowledged"),
        ),
        _plan,
        lambda plan: (plan.latest.key,),
    ),
    "statement": ThingList(
        (
            *("Rep", "Plan", "Period", "Earned", "Payable", "Figures as of", "Disputes"),
            *("Unanswered", "Agreed since", "Not paid yet"),
        ),
        _statement,
        lambda it: (it.figures.rep, it.figures.plan, str(it.figures.first_day)),
    ),
    "contest": ThingList(
        ("Contest", "Title", "Metric", "Between", "Period", "State", "First"),
        _contest,
        lambda contest: (contest.opened.contest,),
    ),
    "review": ThingList(
        (
            *("Review", "Period", "For", "State", "Findings", "Actions", "Open"),
            *("Overdue", "Summary"),
        ),
        _review,
    ),
    "case": ThingList(
        ("Case", "Title", "State", "Audience", "Factors", "Lessons", "Trainings", "Summary"),
        _case,
    ),
    "improvement": ThingList(
        (
            *("Improvement", "Hypothesis", "Metric", "Expected effect", "Teams", "State"),
            *("Since", "Outcome"),
        ),
        _improvement,
    ),
    "alert": ThingList(
        ("Alert", "Question", "Figure", "Condition", "State", "Raised since", "For"), _alert
    ),
}
"""By the nouns of the kinds."""
