"""`salesflow review` and `salesflow case`: what completes what is typed of them, and notes.

The period of a review is typed as questions take it. What is allowed and may be a slip is said
once it is recorded: a review of a time to come, an action that was due before it was agreed, a
second case of one deal.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from salesflow.cli.ask import period_asked, period_parameters
from salesflow.cli.recording.commands import Prepared
from salesflow.cli.things.known_things import ids_of_things
from salesflow.domain.case import Case, case_id
from salesflow.domain.review import Review, review_id
from salesflow.domain.time import from_instant
from salesflow.domain.wording import quoted
from salesflow.errors import HistoryError, InputError, NotFoundError
from salesflow.presentation.format import local_time
from salesflow.presentation.messages import Language, say
from salesflow.projections.review.retrospective import Retrospective

__all__ = ["CASE_PUBLISHED", "DUE", "REVIEW_OPENED"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Values = dict[str, Any]
Given = Mapping[str, object]
LISTED_MAX: Final = 10_000
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


def _note_ahead(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that nothing of the period of a review has happened yet."""
    first = values["from_"]
    if isinstance(first, date) and first > _day_of(flow, values):
        yield say(
            "the period of this review begins on {day} only: nothing of it has happened yet",
            language,
            day=first,
        )


def _note_nothing_known(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that the log began only after what the figures of a review are known by."""
    known_at = flow.get(Review, review_id(str(values["review"]))).known_at
    begun = from_instant(flow.log.begun())
    if known_at is not None and known_at < begun:
        yield say(
            "nothing was known at the moment of its figures, which are empty: the log begins at"
            " {begun}",
            language,
            begun=local_time(begun, flow.settings().timezone, exact=False),
        )


def _note_followed_twice(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say which other review follows the same one: what was left for the next is in both."""
    opened = flow.get(Review, review_id(str(values["review"])))
    if opened.follows is None:
        return
    for id in ids_of_things(flow, Review, LISTED_MAX):
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


def _opened_notes(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    yield from _note_ahead(flow, values, language)
    yield from _note_nothing_known(flow, values, language)
    yield from _note_followed_twice(flow, values, language)


def _note_overdue(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that an action was due before anybody agreed on it."""
    due = values.get("due")
    if isinstance(due, date) and due < _day_of(flow, values):
        yield say(
            "action {action} is due on {day}, which was over when this happened",
            language,
            action=quoted(values["action"]),
            day=due,
        )


def _day_of(flow: "SalesFlow", values: Given) -> date:
    """Return the day on which a command happened."""
    at, timezone = values.get("occurred_at"), flow.settings().timezone
    if isinstance(at, date) and not isinstance(at, datetime):
        return at
    when = at if isinstance(at, datetime) else from_instant(flow.log.now())
    return when.astimezone(timezone).date()


def _note_others(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say that there are cases of the deal already."""
    own = case_id(str(values["case"]))
    deal = flow.get(Case, own).deal
    others = [each for each in _cases_of(flow, deal) if case_id(each) != own]
    if others:
        yield say(
            "there is a case of this deal already: {cases}",
            language,
            cases=", ".join(map(quoted, others)),
        )


def _cases_of(flow: "SalesFlow", deal: UUID | None) -> Iterator[str]:
    """Yield the keys of the cases of a deal that are believed to be there."""
    for id in ids_of_things(flow, Case, LISTED_MAX):
        with suppress(NotFoundError, HistoryError):
            case = flow.get(Case, id)
            if case.deal == deal:
                yield case.key


REVIEW_OPENED: Final = Prepared(_opened, frozenset({"from_", "to"}), PERIOD, _opened_notes)
DUE: Final = Prepared(notes=_note_overdue)
CASE_PUBLISHED: Final = Prepared(notes=_note_others)
