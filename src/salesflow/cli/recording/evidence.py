"""What a command is told by the engine: the figures of a statement, who won a contest.

In Python the answer of a question is handed to the command. On the command line the question
is asked first, at the time at which the command happens, and its answer is handed over.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from salesflow.cli.ask import question_asked, question_parameters
from salesflow.cli.recording.commands import Prepared
from salesflow.domain.statement import StatementFigures
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, NotFoundError
from salesflow.presentation.format import span_text
from salesflow.presentation.messages import Language, say
from salesflow.projections.incentives.commission_statement import CommissionStatement
from salesflow.projections.incentives.contest_standings import ContestStandings
from salesflow.projections.incentives.statement_view import CommissionStatementView

__all__ = ["CONTEST_DECIDED", "STATEMENT_ISSUED"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Values = dict[str, Any]
Given = Mapping[str, Any]


def _answered(
    question: Any,  # noqa: ANN401 - the class of any question
    parameter: str,
    take: Callable[[Any], object],
    ensure: Callable[[Any], None],
    ensure_together: "Callable[[SalesFlow, Given, Sequence[Given]], None]",
) -> Prepared:
    """Hand over what a question answers, asked by its own parameters."""
    more = tuple(question_parameters(question))
    names = {name for name, _, _ in more}

    def prepare(flow: "SalesFlow", values: Values) -> Values:
        given = {name: values.get(name) for name in names}
        asked = question_asked(question, given, flow)
        view = flow.ask(asked, as_of=values.get("occurred_at"))
        ensure(view)
        own = {name: value for name, value in values.items() if name not in names}
        return own | {parameter: take(view)}

    return Prepared(prepare, frozenset({parameter}), more, ensure=ensure_together)


def _ensure_paid(view: CommissionStatementView) -> None:
    """Refuse a statement of nothing for somebody nobody knows."""
    if view.unmet and not (view.lines or view.differences):
        raise NotFoundError(
            f"there was never a rep {quoted(view.rep)}, and nothing is to be paid to them;"
            " `salesflow rep list` shows those there are"
        )


def _ensure_one_each(_: "SalesFlow", values: Given, together: Sequence[Given]) -> None:
    """Refuse two statements of one rep at once: both would pay what is not paid yet."""
    mine: StatementFigures = values["figures"]
    named = [each["figures"] for each in together]
    if sum((each.plan, each.rep) == (mine.plan, mine.rep) for each in named) > 1:
        raise InputError(
            f"two statements of {quoted(mine.rep)} cannot be issued together: the later one is"
            " figured by what the earlier one pays; issue them one after the other"
        )


def _not_issued_before(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say which periods before one have no statement, though there is something to be said."""
    mine: StatementFigures = values["figures"]
    missing, first = list[str](), mine.first_day
    for _ in range(LOOKED_BACK):
        view = flow.ask(CommissionStatement(rep=mine.rep, plan=mine.plan, to=first))
        if view.issued is not None or view.last_day < view.plan_starts:
            break
        if view.lines or any(version.is_for_rep for version in view.versions):
            missing.append(span_text(view.first_day, view.last_day))
        first = view.first_day
    if missing:
        yield say(
            "no statement is issued to {rep} by plan {plan} for {periods}: this one counts"
            " their draws as advanced; issue them too",
            language,
            rep=mine.rep,
            plan=mine.plan,
            periods=", ".join(reversed(missing)),
        )


LOOKED_BACK: Final = 12
"""So many periods."""
STATEMENT_ISSUED: Final = _answered(
    CommissionStatement, "figures", lambda view: view.figures(), _ensure_paid, _ensure_one_each
)._replace(notes=_not_issued_before)


def _decided(flow: "SalesFlow", values: Values) -> Values:
    asked = ContestStandings(contest=values["key"])
    view = flow.ask(asked, as_of=values.get("occurred_at"))
    return values | {"results": view.results()}


CONTEST_DECIDED: Final = Prepared(_decided, frozenset({"results"}))
