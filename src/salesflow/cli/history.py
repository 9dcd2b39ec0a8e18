"""`salesflow … history`: every event of a thing with its envelope, and whether it counts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.cli.context import CommandContext
from salesflow.cli.things.ids import Called
from salesflow.cli.things.subjects import kind_of
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.event import (
    Event,
    FactRetracted,
    UnreadableFact,
    first_unreadable,
    retracted_ids,
)
from salesflow.domain.process import ProcessVersion
from salesflow.domain.time import When, from_instant
from salesflow.errors import HistoryError, NotFoundError
from salesflow.presentation.deal_view import event_json
from salesflow.presentation.fact_text import describe_fact
from salesflow.presentation.fields import Json
from salesflow.presentation.format import distinct_ids, local_time
from salesflow.presentation.messages import Language, fact_name, in_language, say
from salesflow.presentation.table import TableOfView
from salesflow.presentation.value_text import NO_UNIT

__all__ = [
    "Marks",
    "counting_in",
    "events_json",
    "history_table",
    "marks_of",
    "occurred_text",
]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Marks = dict[UUID, tuple[str, str]]
"""Of events that do not count: `retracted`, `left out` or `irregular`, and why."""

DEAL: Final = "Deal"
ENVELOPE: Final = (
    *("Event no.", DEAL, "Occurred", "Recorded", "Actor", "Command", "Source", "Remark"),
    *("Event ID", "Event", "Details"),
)
"""What a history shows; the longest part stands last, so that rows stay short in a pipe."""


def marks_of(
    kind: type[Aggregate], flow: "SalesFlow", events: list[Event], known_at: When | None
) -> Marks:
    """Return of each event that does not count why: retracted, unread, or irregular."""
    out = retracted_ids(events)
    marks: Marks = dict.fromkeys(out, ("retracted", ""))
    for id in {event.stream_id for event in events}:
        stream = [event for event in events if event.stream_id == id]
        wrong = first_unreadable(stream)
        if wrong is not None:
            after = (e.event_id for e in stream if e.version >= wrong.version)
            marks |= dict.fromkeys({*after} - out, ("left out", ""))
            continue
        with suppress(NotFoundError, HistoryError):
            irregular: Any = getattr(flow.get(kind, id, known_at=known_at), "irregular", ())
            marks |= {event.event_id: ("irregular", why) for event, why in irregular}
    return marks


def counting_in(flow: "SalesFlow", events: list[Event]) -> set[UUID]:
    """Return the events of a thing that count, as known at the last of them."""
    readable = [e for e in events if not isinstance(e.fact, UnreadableFact | FactRetracted)]
    kind = next((found for e in readable if (found := kind_of(type(e.fact)))), None)
    if kind is None:
        return set()
    known_at = events[-1].recorded_at
    with suppress(NotFoundError, HistoryError):
        flow.get(kind, events[-1].stream_id, known_at=known_at)
        marks = marks_of(kind, flow, events, known_at)
        return {event.event_id for event in readable if event.event_id not in marks}
    return set()


def events_json(
    events: Sequence[Event], names: Called, marks: Marks, *, stream: str
) -> list[Json]:
    """Return events as JSON, and whether each counts; `stream` names the id of their thing."""
    found: list[Json] = []
    for event in events:
        mark, why = marks.get(event.event_id, ("", ""))
        found.append(
            {
                stream: str(event.stream_id),
                **event_json(event),
                "actor_name": names.rep_name(event.actor),
                "retracted": mark == "retracted",
                "remark": mark or None,
                "irregular": why or None,
            }
        )
    return found


def history_table(
    context: CommandContext,
    flow: "SalesFlow",
    events: Sequence[Event],
    marks: Marks,
    *,
    about: str,
    processes: Mapping[UUID, ProcessVersion | None] | None = None,
) -> TableOfView:
    """Lay a history out; a part of the envelope that no event has is left out.

    The things are named where there are several, such as a deal and those merged into it.
    """
    writer = _HistoryWriter(context, flow, events, marks)
    rows = [writer.row(event, (processes or {}).get(event.stream_id)) for event in events]
    several = len({event.stream_id for event in events}) > 1
    used = [
        number
        for number, name in enumerate(ENVELOPE)
        if (several if name == DEAL else any(row[number] for row in rows))
    ]
    columns = tuple(ENVELOPE[number] for number in used)
    shown = tuple(tuple(row[number] for number in used) for row in rows)
    return TableOfView("Event history", columns, shown, about=about)


class _HistoryWriter:
    """Writes events in the language and the time zone of a command."""

    def __init__(
        self, context: CommandContext, flow: "SalesFlow", events: Sequence[Event], marks: Marks
    ) -> None:
        self._context = context
        self._zone = flow.settings().timezone
        self._called = Called(flow)
        self._marks = marks
        self._positions = {event.event_id: event.position for event in events}
        self._streams = distinct_ids({event.stream_id for event in events})
        self._unit = NO_UNIT  # of the figures of a goal, which only its setting names
        for event in events:
            figures = getattr(event.fact, "figures", None)
            self._unit = self._unit.within(event.fact).within(figures)

    def row(self, event: Event, process: ProcessVersion | None) -> tuple[str, ...]:
        """Write an event; by its process stages and tasks are named."""
        language, zone = self._context.language, self._zone
        mark, why = self._marks.get(event.event_id, ("", ""))
        remark = self._context.screen.word(mark)
        return (
            f"{event.position:,}",
            self._streams[event.stream_id],
            occurred_text(event, zone, language),
            local_time(event.recorded_at, zone),
            self._called.rep(event.actor),
            event.command_id or "",
            " ".join(text for text in (event.source, event.source_id) if text),
            f"{remark}: {say(why, language)}" if why else remark,
            str(event.event_id),
            fact_name(type(event.fact), language),
            self._details(event, process),
        )

    def _details(self, event: Event, process: ProcessVersion | None) -> str:
        """Say what an event says; of a retraction also which event it takes back."""
        language = self._context.language
        told = (event.fact, language, self._zone, self._called.rep, process)
        details = describe_fact(*told, unit=self._unit)
        fact = event.fact
        if isinstance(fact, FactRetracted) and fact.event_id in self._positions:
            retracts = self._context.screen.word("retracts event no.")
            details = f"{retracts} {self._positions[fact.event_id]:,} · {details}"
        return details


def occurred_text(
    event: Event, zone: ZoneInfo, language: Language, *, exact: bool = True
) -> str:
    """Write when an event happened, and from when on it holds where that is later."""
    if event.precision == "day":
        return event.occurred_at.astimezone(zone).date().isoformat()
    shown = local_time(event.occurred_at, zone, exact=exact)
    if event.effective == event.occurred:
        return shown
    starts = in_language("takes effect", language)
    return f"{shown}\n{starts} {local_time(from_instant(event.effective), zone, exact=exact)}"
