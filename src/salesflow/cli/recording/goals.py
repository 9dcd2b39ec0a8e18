"""`salesflow goal` and `salesflow figure`: what completes and judges what is typed of goals.

The period is typed as questions take it, stages by name. The past behind a goal is asked for at
the time at which the command happens, and its answer is handed over. What the domain cannot see
is looked up here: whether the goal above is there, and whether goals would serve one another in
a circle. What is allowed and may be a slip is said once it is recorded.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from decimal import ROUND_CEILING
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple
from uuid import UUID

import typer

from salesflow.cli.ask import period_asked, period_parameters
from salesflow.cli.context import CommandParameter, day_text
from salesflow.cli.recording.commands import Prepared
from salesflow.cli.recording.values import Percentage, flag_of
from salesflow.domain.alike_names import closest
from salesflow.domain.event import Event, believed_history
from salesflow.domain.figures import FIGURES_ID, FigureReported
from salesflow.domain.goal import Goal, goal_id
from salesflow.domain.metric import FIGURE, metric_of
from salesflow.domain.rep import RepState, rep_id
from salesflow.domain.smart import PastRange
from salesflow.domain.time import (
    FOREVER,
    ONE_DAY,
    Instant,
    day_after,
    from_instant,
    read_day,
    start_of_day,
)
from salesflow.domain.values import Money
from salesflow.errors import HistoryError, InputError, NotFoundError
from salesflow.presentation.format import span_text
from salesflow.presentation.messages import COLON, Language, in_language, say
from salesflow.projections.goals.goal_check import COUNTED, GoalCheck, past_notes

__all__ = ["FIGURE_REPORTED", "GOAL_REVISED", "GOAL_SET"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Values = dict[str, Any]
Given = Mapping[str, object]
SCOPE: Final = ("team", "rep", "customer", "channel", "product", "process", "stage")
SERVES: Final = ("parent", "strategy", "why_achievable", "baseline", "unit")
EARLIEST: Final = -FOREVER
FAR_AHEAD: Final = 5
"""So many years ahead a goal may begin before somebody is asked whether that is meant."""


# The period, as questions take it.


def _day_option(flag: str, text: str) -> object:
    return Annotated[
        str | None,
        typer.Option(
            flag,
            metavar="DAY",
            help=text,
            rich_help_panel="Period",
            show_default=False,
            parser=day_text,
        ),
    ]


DAYS: Final = ("first_day", "last_day")
PERIOD: Final[tuple[CommandParameter, ...]] = (
    ("first_day", _day_option("--first-day", "The first day of the period."), None),
    ("last_day", _day_option("--last-day", "The last day of it, which belongs to it."), None),
    *period_parameters(GoalCheck),
)


def _with_days(flow: "SalesFlow", values: Values) -> Values:
    """Turn the period that was typed, in whatever way, into its first and its last day."""
    typed = {name: values[name] for name in DAYS if values.get(name) is not None}
    others = [
        name for name, _, _ in PERIOD if name not in DAYS and values.get(name) is not None
    ]
    if typed and others:
        flags = ", ".join(map(flag_of, [*typed, *others]))
        raise InputError(f"{flags}: say the period in one way only")
    rest = {name: it for name, it in values.items() if name not in DAYS}
    if len(typed) == len(DAYS):
        first, last = (_day(name, typed[name]) for name in DAYS)
        if last < first:
            raise InputError(f"--last-day {last} lies before --first-day {first}")
    if typed:
        return rest | {name: _day(name, it) for name, it in typed.items()}
    found: Values = period_asked(rest, flow)
    first, after = found.pop("from_", None), found.pop("to", None)
    if first is not None and after is None:
        raise InputError("--to is missing: the last day of the period, which belongs to it")
    return found if first is None else found | {"first_day": first, "last_day": after - ONE_DAY}


def _day(name: str, given: object) -> date:
    try:
        return read_day(day_text(str(given)))
    except (InputError, ValueError, typer.BadParameter) as error:
        raise InputError(f"{flag_of(name)}: {error}") from error


def _ensure_period(values: Values) -> None:
    missing = [flag_of(name) for name in DAYS if name not in values]
    if len(missing) == len(DAYS):
        raise InputError(
            "name the period: --quarter, --month or --year, or its --first-day and --last-day"
        )
    if missing:
        raise InputError(f"{missing[0]} is missing; name both ends of the period")


# What was typed as a percentage says a share of something.


def _ensure_share(values: Given, names: Sequence[str], counted_in: str) -> None:
    """Refuse a percentage of what is no share."""
    for name in names:
        value = values.get(name)
        if isinstance(value, Percentage) and counted_in != "share":
            number = value.typed.removesuffix("%").strip()
            raise InputError(
                f"{flag_of(name)} {value.typed}: a percentage is a share, and this is counted"
                f" in {COUNTED.get(counted_in, counted_in)}; write {number}"
            )


# The past behind a goal.


def _past_of(flow: "SalesFlow", goal: Values, occurred_at: object) -> PastRange:
    """Ask what the past shows of a goal as it is to be set."""
    target, currency = goal["target"], goal.get("currency")
    if isinstance(target, Money):
        currency = currency or target.currency
        target = target.amount
    named = {name: goal.get(name) for name in (*SCOPE, *SERVES)}
    question = GoalCheck(
        metric=goal["metric"],
        target=target,
        currency=currency,
        from_=goal["first_day"],
        to=day_after(goal["last_day"]),
        **{name: value for name, value in named.items() if value is not None},
    )
    return flow.ask(question, as_of=occurred_at).evidence  # type: ignore[arg-type]


def _set(flow: "SalesFlow", values: Values) -> Values:
    found = _with_days(flow, values)
    _ensure_period(found)
    metric = metric_of(found["metric"])
    counted_in = metric.unit or found.get("unit") or "share"
    _ensure_share(found, ("target", "baseline"), counted_in)
    return found | {"check": _past_of(flow, found, found.get("occurred_at"))}


REVISED: Final = ("target", *DAYS)


def _revised(flow: "SalesFlow", values: Values) -> Values:
    """Look at the past again where target or period change."""
    found = _with_days(flow, values)
    goal = flow.get(Goal, goal_id(found["key"]))
    _ensure_share(
        found, ("target", "baseline"), metric_of(goal.metric).unit or goal.unit or "share"
    )
    if not found.keys() & {*REVISED}:
        return found
    names = ("metric", "currency", *REVISED, *SERVES)
    its: Values = {name: getattr(goal, name, None) for name in names} | goal.scope.named
    its |= {name: found[name] for name in names if found.get(name) is not None}
    first, last = its["first_day"], its["last_day"]
    if last < first:
        raise InputError(f"the last day, {last}, lies before the first day, {first}")
    return found | {"check": _past_of(flow, its, found.get("occurred_at"))}


# The goal above.


def _ensure_served(flow: "SalesFlow", given: Given, together: Sequence[Given]) -> None:
    """Refuse goals that serve one another in a circle.

    Goals that are set together may name one another, whichever stands first. That the goal
    above is there is looked after where it is named.
    """
    parent = given.get("parent")
    if parent is None or _id(given) == goal_id(str(parent)):
        return  # that it serves itself the goal refuses
    said = {_id(each): each.get("parent") for each in together}
    way, at = [_key(flow, given)], str(parent)
    while goal_id(at) not in map(goal_id, way):
        goal = _goal(flow, at)
        way.append(at)
        above = said.get(goal_id(at)) or (None if goal is None else goal.parent)
        if above is None:
            return
        at = str(above)
    if goal_id(at) == _id(given):
        circle = " → ".join([*way, way[0]])
        raise InputError(
            f"goals cannot serve one another in a circle: {circle}; name another goal above,"
            " --parent, or a --strategy"
        )


def _id(given: Given) -> UUID:
    """Return the id of the goal that is set or revised."""
    id = given.get("id")
    return id if isinstance(id, UUID) else goal_id(str(given["key"]))


def _key(flow: "SalesFlow", given: Given) -> str:
    return flow.get(Goal, _id(given)).key if given.get("id") else str(given["key"])


def _goal(flow: "SalesFlow", key: str) -> Goal | None:
    try:
        return flow.get(Goal, goal_id(key))
    except (NotFoundError, HistoryError):
        return None


# What may be a slip.


def _notes(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say what is allowed of a goal that was set or revised, and may be a slip."""
    goal = flow.get(Goal, _id(values))
    past = values.get("check")
    if isinstance(past, PastRange):
        named = values.get("baseline") is not None
        yield from past_notes(goal, past, language, named=named)
    if "metric" in values:
        yield from _never_reported(flow, goal, language)
    yield from _whole_notes(goal, language)
    if values.keys() & {*DAYS}:
        yield from _period_notes(flow, goal, language)
    if values.keys() & {"rep", *DAYS}:
        yield from _membership_notes(flow, goal, language)
    if goal.parent is not None and values.keys() & {"parent", *DAYS}:
        yield from _parent_notes(flow, goal, language)


def _never_reported(flow: "SalesFlow", goal: Goal, language: Language) -> Iterator[str]:
    """Say that a goal is of an outside figure that nobody has reported."""
    if not metric_of(goal.metric).is_figure:
        return
    key = goal.metric.removeprefix(FIGURE)
    with suppress(NotFoundError, HistoryError):
        facts = [event.fact for event in flow.history(FIGURES_ID)]
        there = sorted({fact.figure for fact in facts if isinstance(fact, FigureReported)})
        if key in there:
            return
        near = closest(key, there)
        if near:
            yield say(
                "no figure {figure} has been reported; perhaps {near} is meant",
                language,
                figure=key,
                near=near[0],
            )
            return
    yield say(
        "no figure {figure} has been reported: the goal stays unknown until one is, with"
        " `salesflow figure report`",
        language,
        figure=key,
    )


def _whole_notes(goal: Goal, language: Language) -> Iterator[str]:
    """Say that a number of things is whole, whatever part of one a target names."""
    target = goal.target
    if metric_of(goal.metric).unit == "count" and target % 1:
        yield say(
            "{metric} is counted in whole numbers: {target} is reached with {whole}",
            language,
            metric=metric_of(goal.metric).name(language),
            target=f"{target:,f}",
            whole=f"{target.to_integral_value(ROUND_CEILING):,f}",
        )


def _period_notes(flow: "SalesFlow", goal: Goal, language: Language) -> Iterator[str]:
    last = max(flow.history(goal.id), key=lambda event: event.position)
    day = from_instant(last.occurred).astimezone(flow.settings().timezone).date()
    if goal.last_day < day:
        yield say(
            "the period of this goal was over on {day}: nothing can be done for it any more",
            language,
            day=goal.last_day,
        )
    elif goal.first_day.year > day.year + FAR_AHEAD:
        yield say(
            "the period of this goal begins on {day} only; revise it where that is a slip",
            language,
            day=goal.first_day,
        )


def _membership_notes(flow: "SalesFlow", goal: Goal, language: Language) -> Iterator[str]:
    """Say that a rep is not in the team whose sales alone a goal of theirs counts."""
    rep, team = goal.scope.rep, goal.scope.team
    if rep is None or team is None:
        return
    zone = flow.settings().timezone
    start, after = (
        start_of_day(day, zone) for day in (goal.first_day, day_after(goal.last_day))
    )
    with suppress(NotFoundError, HistoryError):
        stays = _stays(flow.history(rep_id(rep)))
        within = [
            stay.team for stay in stays if stay.start < after and stay.end > start and stay.team
        ]
        if team not in within:
            others = ", ".join(dict.fromkeys(within)) or in_language("no team", language)
            yield say(
                "{rep} is not in team {team} in the period of this goal, but in {others}:"
                " nothing counts for it",
                language,
                rep=rep,
                team=team,
                others=others,
            )


class _Stay(NamedTuple):
    """In which team a rep was, and from when until when."""

    team: str | None
    start: Instant
    end: Instant


def _stays(events: Sequence[Event]) -> list[_Stay]:
    """Return where a rep was; of the time before they joined any team, in the first one."""
    history, changes = believed_history(events), list[tuple[Instant, str | None]]()
    state = RepState(opening=history[0] if history else None)
    for event in history:
        state.evolve(event)
        changes.append((event.effective, state.team))
    starts = [EARLIEST, *(at for at, _ in changes[1:])]
    ends = [*starts[1:], FOREVER]
    return [
        _Stay(team, start, end)
        for (_, team), start, end in zip(changes, starts, ends, strict=True)
    ]


def _parent_notes(flow: "SalesFlow", goal: Goal, language: Language) -> Iterator[str]:
    above = _goal(flow, goal.parent or "")
    if above is None:
        return
    reasons = [*_apart(goal, above, language)]
    if reasons:
        colon = COLON[language]
        said = say("{goal} is no part of {parent}", language, goal=goal.key, parent=above.key)
        yield f"{said}{colon}{'; '.join(reasons)}"


def _apart(goal: Goal, above: Goal, language: Language) -> Iterator[str]:
    """Yield by what a goal is no part of the one above it."""
    if above.abandoned:
        yield in_language("that one was abandoned", language)
    measured = [metric_of(each.metric).name(language) for each in (goal, above)]
    counted = [each.currency for each in (goal, above)]
    if measured[0] != measured[1] or counted[0] != counted[1]:
        this, that = (
            " ".join(filter(None, each)) for each in zip(measured, counted, strict=True)
        )
        yield say("it is of {this}, and that of {that}", language, this=this, that=that)
    if not above.first_day <= goal.first_day <= goal.last_day <= above.last_day:
        this, that = (span_text(each.first_day, each.last_day) for each in (goal, above))
        yield say("it is for {this}, and that for {that}", language, this=this, that=that)
    its = goal.scope.named
    for name, whose in above.scope.named.items():
        if its.get(name, whose) != whose:
            yield say(
                "it is of {this}, and that of {that}", language, this=its[name], that=whose
            )


GIVEN: Final = frozenset({"check", *DAYS})
GOAL_SET: Final = Prepared(_set, GIVEN, PERIOD, _notes, _ensure_served)
GOAL_REVISED: Final = Prepared(_revised, GIVEN, PERIOD, _notes, _ensure_served)


def _reported(flow: "SalesFlow", values: Values) -> Values:
    found = _with_days(flow, values)
    _ensure_period(found)
    _ensure_share(found, ("value",), str(found["unit"]))
    return found


def _report_notes(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that a figure is reported of days that have not begun."""
    last = max(flow.history(FIGURES_ID), key=lambda event: event.position)
    day = from_instant(last.occurred).astimezone(flow.settings().timezone).date()
    first = values["first_day"]
    if isinstance(first, date) and first > day:
        yield say(
            "the period from {first} on has not begun on {day}: a figure of it is no report;"
            " retract it where that is a slip",
            language,
            first=first,
            day=day,
        )


FIGURE_REPORTED: Final = Prepared(_reported, frozenset(DAYS), PERIOD, _report_notes)
