"""`salesflow deal receive-feedback`: what may be a slip in what is typed of an answer."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from salesflow.cli.known_things import near_names, perhaps_of
from salesflow.cli.recording.commands import Prepared
from salesflow.domain.deal import Deal
from salesflow.domain.deal.after_sales import SurveySent
from salesflow.domain.wording import quoted
from salesflow.presentation.messages import Language, say

__all__ = ["FEEDBACK_RECEIVED"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Given = Mapping[str, object]


def _as_typed(_: "SalesFlow", values: dict[str, Any]) -> dict[str, Any]:
    return values


def _notes(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say of a survey that it was never sent, and of an answer that there is one like it."""
    id = values["id"]
    assert isinstance(id, UUID)
    deal, survey = flow.get(Deal, id), values.get("survey")
    if not isinstance(survey, str):
        return
    sent = [each.survey for each in deal.surveys]
    if survey not in sent and (sent or _is_any_sent(flow)):
        near = perhaps_of(near_names(survey, sent))
        yield say(
            "survey {survey} was never sent to the customer of this deal{perhaps}",
            language,
            survey=quoted(survey),
            perhaps=say(near, language) if near else "",
        )
    answers = [each for each in deal.feedback if each.survey == survey]
    last = answers[-1]
    if last.text is None and last.person_id is None and last in answers[:-1]:
        yield say(
            "survey {survey} has an answer of this score for this deal already; where both"
            " are one, retract the later one",
            language,
            survey=quoted(survey),
        )


def _is_any_sent(flow: "SalesFlow") -> bool:
    from salesflow.adapters.event_store.search import LogSearch, search

    return any(search(flow.log, LogSearch(kind=SurveySent.kind, limit=1)))


FEEDBACK_RECEIVED: Final = Prepared(_as_typed, notes=_notes)
