"""`salesflow deal receive-feedback`: what may be a slip in what is typed of an answer."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

from salesflow.cli.recording.commands import Prepared
from salesflow.domain.alike_names import near_names
from salesflow.domain.deal import Deal
from salesflow.domain.deal.after_sales import SurveySent
from salesflow.domain.wording import quoted
from salesflow.presentation.messages import Language, say
from salesflow.projections.core.left_out import perhaps_of

__all__ = ["FEEDBACK_RECEIVED"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Given = Mapping[str, object]


def _notes(flow: "SalesFlow", values: Given, language: Language) -> Iterator[str]:
    """Say of a survey that it was never sent."""
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


def _is_any_sent(flow: "SalesFlow") -> bool:
    from salesflow.adapters.event_store.search import LogSearch, search

    return any(search(flow.log, LogSearch(kind=SurveySent.kind, limit=1)))


FEEDBACK_RECEIVED: Final = Prepared(notes=_notes)
