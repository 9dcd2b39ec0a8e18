"""What a command is told by the engine: the past behind a goal, the figures of a statement.

In Python the answer of a question is handed to the command. On the command line the question
is asked first, at the time at which the command happens, and its answer is handed over.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from salesflow.cli.ask import (
    period_asked,
    period_parameters,
    question_asked,
    question_parameters,
)
from salesflow.cli.recording.commands import Prepared
from salesflow.domain.goal import Goal, goal_id
from salesflow.domain.time import day_after
from salesflow.domain.values import Money
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.goals.goal_check import GoalCheck
from salesflow.projections.incentives.commission_statement import CommissionStatement
from salesflow.projections.incentives.contest_standings import ContestStandings
from salesflow.projections.incentives.statement_view import CommissionStatementView
from salesflow.projections.known_names import MET
from salesflow.projections.review.retrospective import Retrospective

__all__ = ["CONTEST_DECIDED", "GOAL_REVISED", "GOAL_SET", "REVIEW_OPENED", "STATEMENT_ISSUED"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Values = dict[str, Any]
SCOPE: Final = ("team", "rep", "customer", "channel", "product", "process", "stage")
SERVES: Final = ("parent", "strategy", "why_achievable", "baseline", "unit")


def _past_of(flow: "SalesFlow", goal: Values, occurred_at: object) -> object:
    """Ask what the past shows of a goal as it is to be set."""
    target, currency = goal["target"], goal.get("currency")
    first, last = goal["first_day"], goal["last_day"]
    if last < first:
        raise InputError(f"--last-day {last} lies before --first-day {first}")
    if isinstance(target, Money):
        currency = currency or target.currency
        target = target.amount
    named = {name: goal.get(name) for name in (*SCOPE, *SERVES)}
    question = GoalCheck(
        metric=goal["metric"],
        target=target,
        currency=currency,
        from_=first,
        to=day_after(last),
        **{name: value for name, value in named.items() if value is not None},
    )
    return flow.ask(question, as_of=occurred_at).evidence  # type: ignore[arg-type]


def _set(flow: "SalesFlow", values: Values) -> Values:
    return values | {"check": _past_of(flow, values, values.get("occurred_at"))}


REVISED: Final = ("target", "first_day", "last_day")


def _revised(flow: "SalesFlow", values: Values) -> Values:
    """Look at the past again where target or period change."""
    if not values.keys() & {*REVISED}:
        return values
    goal = flow.get(Goal, goal_id(values["key"]))
    names = ("metric", "currency", *REVISED, *SERVES)
    its = {name: getattr(goal, name, None) for name in names} | goal.scope.named
    its |= {name: values[name] for name in names if values.get(name) is not None}
    return values | {"check": _past_of(flow, its, values.get("occurred_at"))}


GOAL_SET: Final = Prepared(_set, frozenset({"check"}))
GOAL_REVISED: Final = Prepared(_revised, frozenset({"check"}))


def _answered(
    question: Any,  # noqa: ANN401 - the class of any question
    parameter: str,
    take: Callable[[Any], object],
    ensure: Callable[["SalesFlow", Any], None],
) -> Prepared:
    """Hand over what a question answers, asked by its own parameters."""
    more = tuple(question_parameters(question))
    names = {name for name, _, _ in more}

    def prepare(flow: "SalesFlow", values: Values) -> Values:
        given = {name: values.get(name) for name in names}
        asked = question_asked(question, given, flow)
        view = flow.ask(asked, as_of=values.get("occurred_at"))
        ensure(flow, view)
        own = {name: value for name, value in values.items() if name not in names}
        return own | {parameter: take(view)}

    return Prepared(prepare, frozenset({parameter}), more)


def _ensure_paid(flow: "SalesFlow", view: CommissionStatementView) -> None:
    """Refuse a statement of nothing for somebody nobody knows."""
    found = MET["rep"](value=view.rep)
    if not (view.lines or view.differences or flow.ask(found, at=view.moment).met):
        raise NotFoundError(
            f"there was never a rep {quoted(view.rep)}, and nothing is to be paid to them;"
            " `salesflow rep list` shows those there are"
        )


STATEMENT_ISSUED: Final = _answered(
    CommissionStatement, "figures", lambda view: view.figures(), _ensure_paid
)


def _decided(flow: "SalesFlow", values: Values) -> Values:
    asked = ContestStandings(contest=values["key"])
    view = flow.ask(asked, as_of=values.get("occurred_at"))
    return values | {"results": view.results()}


CONTEST_DECIDED: Final = Prepared(_decided, frozenset({"results"}))


PERIOD: Final = tuple(period_parameters(Retrospective))


def _opened(flow: "SalesFlow", values: Values) -> Values:
    """Take the period of a review as it is typed where one is asked about."""
    found: Values = period_asked(values, flow)
    if found.get("from_") is None:
        raise InputError(
            "name the period: --month, --quarter or --year, or its --from and --to day"
        )
    if found.get("to") is None:
        raise InputError("--to is missing: the last day of the period, which belongs to it")
    return found


REVIEW_OPENED: Final = Prepared(_opened, frozenset({"from_", "to"}), PERIOD)
