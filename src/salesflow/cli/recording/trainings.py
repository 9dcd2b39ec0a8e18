"""`salesflow training assign` and `complete`: what the rep who takes one cannot see of it.

Whether a training was offered, and not retired by then, stands with the training, so it is
looked up here: one that is retired is assigned to nobody. What was taken before it was offered
is said to be so, since either day may be the slip.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from salesflow.cli.recording.commands import Prepared
from salesflow.domain.event import believed_history
from salesflow.domain.training import Training, training_id
from salesflow.domain.wording import quoted
from salesflow.errors import HistoryError, InputError, NotFoundError, RuleError
from salesflow.presentation.format import local_day
from salesflow.presentation.messages import Language, say

__all__ = ["TRAINING_ASSIGNED", "TRAINING_COMPLETED"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Given = Mapping[str, Any]


def _ensure_offered(flow: "SalesFlow", given: Given, _: Sequence[Given]) -> None:
    """Refuse to assign a training that is retired by then."""
    key, retired = str(given["training"]), False
    with suppress(NotFoundError, HistoryError, InputError):
        then = given.get("effective_from") or given.get("occurred_at")
        retired = flow.get(Training, training_id(key), as_of=then).is_retired
    if retired:
        raise RuleError(f"training {quoted(key)} is retired at that time; assign another one")


def _notes(flow: "SalesFlow", given: Given, language: Language) -> Iterator[str]:
    """Say that a training was offered later only than it was taken."""
    key = str(given["training"])
    with suppress(NotFoundError, HistoryError):
        events, zone = flow.history(training_id(key)), flow.settings().timezone
        taken = max(flow.history(given["id"]), key=lambda event: event.position)
        offered = believed_history(events)[:1]
        if offered and taken.occurred < offered[0].occurred:
            yield say(
                "training {training} was offered on {day} only, after that",
                language,
                training=key,
                day=local_day(offered[0].occurred_at, zone),
            )


TRAINING_ASSIGNED: Final = Prepared(notes=_notes, ensure=_ensure_offered)
TRAINING_COMPLETED: Final = Prepared(notes=_notes)
