"""`salesflow retract`: takes an event back, also one that cannot be read.

What was taken back is shown as it was recorded, and which later events count for nothing
without it: whoever takes back the setting of a goal has taken back its lock and its check-ins.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple
from uuid import UUID

import typer

from salesflow.cli.context import CommandContext, with_context
from salesflow.cli.history import counting_in
from salesflow.domain.event import Event, UnreadableFact
from salesflow.errors import InputError, NotFoundError
from salesflow.presentation.messages import Language, say_count

if TYPE_CHECKING:
    from salesflow.adapters.event_store.append import Receipt
    from salesflow.engine import SalesFlow

__all__ = ["retract"]


DIGITS_MAX = 18
POSITION = re.compile(r"[1-9][0-9]*|[1-9][0-9]{0,2}(,[0-9]{3})+").fullmatch
"""A position as people and tables write it; an id may begin with digits alone, mostly a 0."""
NAMED_MOST = 10
"""So many events are named that no longer count."""


@with_context
def retract(
    context: CommandContext,
    event: Annotated[
        str,
        typer.Argument(help="Its number in the log (its position), or its whole id."),
    ],
    because: Annotated[str, typer.Option("--because", help="Why it was wrong.")],
    actor: Annotated[str | None, typer.Option("--actor", help="Who says so.")] = None,
) -> None:
    """Take an event back that was wrong, or that cannot be read; it stays in the log."""
    with context.open() as flow:
        id = _found(flow, event)
        with flow.session(actor=actor) as s:
            s.retract(id, because=because)
        assert s.receipt is not None
        changed = _Changed.by(flow, s.receipt, id)
        notes = [*changed.notes(context.language)]
        context.screen.json(
            {
                "retracted": str(id),
                "position": s.receipt.last,
                "count_no_longer": [each.position for each in changed.lost],
                **({"notes": notes} if notes else {}),
            }
        )
        _show(context, flow, changed, s.receipt.last)
        context.screen.notes(notes)


class _Changed(NamedTuple):
    """What a retraction took back, and what counts no longer without it."""

    id: UUID
    taken_back: Event | None
    """None where the events of its thing cannot be read."""
    lost: Sequence[Event]

    @classmethod
    def by(cls, flow: "SalesFlow", receipt: "Receipt", id: UUID) -> "_Changed":
        """Compare what counts of a thing with what counted before."""
        [*stream_ids] = receipt.stream_ids
        events = flow.history(stream_ids[0])
        taken_back = next((event for event in events if event.event_id == id), None)
        before = [event for event in events if event.position < receipt.first]
        counted, counts = counting_in(flow, before), counting_in(flow, events)
        lost = [e for e in before if e.event_id in counted - counts and e.event_id != id]
        return cls(id, taken_back, lost)

    def notes(self, language: Language) -> Sequence[str]:
        """Say which other events count for nothing now."""
        if not self.lost:
            return ()
        named = ", ".join(f"{each.position:,}" for each in self.lost[:NAMED_MOST])
        more = ", …" if len(self.lost) > NAMED_MOST else ""
        said = say_count(
            "{count:,} other event counts for nothing without it: no. {named}",
            "{count:,} other events count for nothing without it: no. {named}",
            len(self.lost),
            language,
            named=named + more,
        )
        return (said,)


def _show(context: CommandContext, flow: "SalesFlow", changed: _Changed, position: int) -> None:
    from salesflow.cli.recording.receipts import table_of_events

    word = context.screen.word
    by = f"{word('event no.')} {position:,}"
    if changed.taken_back is None or isinstance(changed.taken_back.fact, UnreadableFact):
        context.screen.line(f"{word('retracted')} {changed.id} · {by}")
        return
    context.screen.table(
        table_of_events(flow, [changed.taken_back], "Event taken back", context.language)
    )
    context.screen.line(f"{word('retracted')} · {by}")


def _found(flow: "SalesFlow", text: str) -> UUID:
    """Find an event by its position, as tables write it, or by its whole id."""
    from salesflow.adapters.event_store.search import event_at

    digits = text.replace(",", "")
    if POSITION(text) and len(digits) <= DIGITS_MAX:
        id = event_at(flow.log, int(digits))
        if id is None:
            raise NotFoundError(
                f"there is no event at position {int(digits):,}; the log ends at"
                f" {flow.log.head().position:,}"
            )
        return id
    try:
        return UUID(text)
    except ValueError as error:
        raise InputError(
            f"{text[:100]!r} is neither a position nor the id of an event; `salesflow log` and"
            " `salesflow deal history` show both"
        ) from error
