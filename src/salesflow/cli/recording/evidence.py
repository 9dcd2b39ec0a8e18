"""What a command is told by the engine: the figures of a statement, who won a contest.

In Python the answer of a question is handed to the command. On the command line the question
is asked first, at the time at which the command happens, and its answer is handed over.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from salesflow.cli.ask import (
    period_asked,
    period_parameters,
    question_asked,
    question_parameters,
)
from salesflow.cli.known_things import ids_of_things
from salesflow.cli.recording.commands import Given, Prepared
from salesflow.domain.review import Review, review_id
from salesflow.domain.wording import quoted
from salesflow.errors import HistoryError, InputError, NotFoundError
from salesflow.presentation.messages import Language, say
from salesflow.projections.incentives.commission_statement import CommissionStatement
from salesflow.projections.incentives.contest_standings import ContestStandings
from salesflow.projections.incentives.statement_view import CommissionStatementView
from salesflow.projections.review.retrospective import Retrospective

__all__ = ["CONTEST_DECIDED", "REVIEW_OPENED", "STATEMENT_ISSUED"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Values = dict[str, Any]
REVIEWS_MAX: Final = 10_000


def _answered(
    question: Any,  # noqa: ANN401 - the class of any question
    parameter: str,
    take: Callable[[Any], object],
    ensure: Callable[[Any], None],
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

    return Prepared(prepare, frozenset({parameter}), more)


def _ensure_paid(view: CommissionStatementView) -> None:
    """Refuse a statement of nothing for somebody nobody knows."""
    if view.unmet and not (view.lines or view.differences):
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


def _opened_notes(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say which other review follows the same one: what was left for the next is in both."""
    opened = flow.get(Review, review_id(str(values["review"])))
    if opened.follows is None:
        return
    for id in ids_of_things(flow, Review, REVIEWS_MAX):
        with suppress(NotFoundError, HistoryError):
            other = flow.get(Review, id)
            if id != opened.id and other.follows == opened.follows:
                yield say(
                    "review {other} follows {earlier} as well: actions that were carried over"
                    " stand in both",
                    language,
                    other=quoted(other.key),
                    earlier=quoted(opened.follows),
                )


REVIEW_OPENED: Final = Prepared(_opened, frozenset({"from_", "to"}), PERIOD, _opened_notes)
