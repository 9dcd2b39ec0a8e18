"""What was recorded, for people and as JSON.

It is a module of its own: what is told once a command was recorded, and nothing of commands.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from salesflow.cli.context import CommandContext
from salesflow.cli.things.ids import Called
from salesflow.cli.things.subjects import Subjects
from salesflow.domain.event import Event
from salesflow.presentation.deal_view import event_json
from salesflow.presentation.fact_text import told_in_full
from salesflow.presentation.format import local_time
from salesflow.presentation.messages import Language, fact_name, in_language
from salesflow.presentation.table import TableOfView

__all__ = ["show_receipt", "table_of_events"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.adapters.event_store.append import Receipt
    from salesflow.engine import SalesFlow


RECORDED_COLUMNS: Final = ("Event no.", "Occurred", "Subject", "Event", "Details")


def show_receipt(
    context: CommandContext,
    flow: "SalesFlow",
    receipt: "Receipt",
    results: Sequence[object],
    notes: Sequence[str] = (),
) -> None:
    """Show the events of an append, and what the commands gave back."""
    events = _events_of(flow, receipt)
    context.screen.json(
        {
            "recorded": [*map(_recorded_json, events)],
            "ids": [str(id) for id in receipt.stream_ids],
            "results": [str(each) for each in results],
            "again": receipt.again,
            **({"notes": [*notes]} if notes else {}),
        }
    )
    context.screen.notes(notes)
    title = "Events recorded before" if receipt.again else "Events recorded"
    context.screen.table(table_of_events(flow, events, title, context.language))
    context.screen.lines(f"{context.screen.word('Key')}: {each}" for each in results)
    if receipt.again:
        note = "this command was recorded before; nothing was recorded again"
        context.screen.line(in_language(note, context.language), "yellow")


def table_of_events(
    flow: "SalesFlow", events: Sequence[Event], title: str, language: Language
) -> TableOfView:
    """Lay events out as people read them, each with the thing it is of."""
    return TableOfView(title, RECORDED_COLUMNS, tuple(_rows_of(flow, events, language)))


def _rows_of(
    flow: "SalesFlow", events: Sequence[Event], language: Language
) -> Iterator[tuple[str, ...]]:
    """Yield events as people read them, each with the thing it is of."""
    zone, called, subjects = flow.settings().timezone, Called(flow), Subjects(flow)
    for event in events:
        yield (
            f"{event.position:,}",
            local_time(event.occurred_at, zone, exact=False),
            subjects.name(event),
            fact_name(type(event.fact), language),
            told_in_full(event.fact, language, zone, called.rep),
        )


def _recorded_json(event: Event) -> dict[str, Any]:
    return {"stream_id": str(event.stream_id), **event_json(event)}


def _events_of(flow: "SalesFlow", receipt: "Receipt") -> list[Event]:
    return sorted(
        (
            event
            for id in receipt.stream_ids
            for event in flow.history(id)
            if receipt.first <= event.position <= receipt.last
        ),
        key=lambda event: event.position,
    )
