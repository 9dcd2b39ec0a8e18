"""`salesflow deal`: the list of deals; one as it stood, its history, its replay by steps."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from salesflow.cli.context import AsOf, CommandContext, KnownAt, with_context
from salesflow.cli.ids import Called, find_deal
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event, FactRetracted, first_unreadable, retracted_ids
from salesflow.domain.process import ProcessVersion
from salesflow.domain.time import Moment, from_instant, instant_of, to_instant
from salesflow.errors import NotFoundError, SalesflowError
from salesflow.presentation.deal_view import (
    ReplayStep,
    attribute_texts,
    deal_json,
    event_json,
    lateness,
    replay,
    steps_json,
)
from salesflow.presentation.fact_text import describe_fact
from salesflow.presentation.fields import plain
from salesflow.presentation.format import distinct_ids, local_time
from salesflow.presentation.messages import (
    Language,
    fact_name,
    in_language,
    say,
)
from salesflow.presentation.table import TableOfView

__all__ = ["history", "replay_deal", "replay_table", "show"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


Marks = dict[UUID, tuple[str, str]]
"""Of events that do not count: `retracted` or `irregular`, and why."""

DealId = Annotated[
    str,
    typer.Argument(
        metavar="DEAL",
        help="Its title, its id, the first digits of it, or SOURCE:OBJECT of an import.",
        show_default=False,
    ),
]
Merged = Annotated[
    bool,
    typer.Option("--merged", help="Also what happened to the deals that are merged into it."),
]
ENVELOPE = (
    "Event no.", "Deal", "Occurred", "Recorded", "Actor", "Command", "Source", "Remark",
    "Event ID", "Event", "Details",
)  # fmt: skip
"""What a history shows; the longest part stands last, so that rows stay short in a pipe."""


@with_context
def show(
    context: CommandContext, deal: DealId, as_of: AsOf = None, known_at: KnownAt = None
) -> None:
    """Show how a deal stood: stage, outcome, amount, quotes, people, money."""
    with context.open() as flow:
        found = flow.get(Deal, find_deal(flow, deal), as_of=as_of, known_at=known_at)
        called = Called(flow)
        texts = attribute_texts(found, called, context.language)
        moment = _moment_of(flow, found, as_of, known_at)
        zone = flow.settings().timezone
        rows = [(context.screen.word("Id"), str(found.id)), *texts.items()]
        for label, at in (("Created at", found.opened_at), ("Closed at", found.closed_at)):
            if at is not None:
                rows.append((context.screen.word(label), local_time(at, zone, exact=False)))
        if found.irregular:
            rows.append((context.screen.word("Data anomalies"), f"{len(found.irregular):,}"))
        context.screen.json({**deal_json(found, called), "moment": plain(moment)})
        columns = ("Attribute", "Value")
        context.screen.table(TableOfView("Deal", columns, tuple(rows), about=found.title))
        context.screen.moment(moment, flow.settings().timezone)


@with_context
def history(
    context: CommandContext, deal: DealId, known_at: KnownAt = None, merged: Merged = False
) -> None:
    """List every event of a deal: when, by whom and what, in the order it became known."""
    with context.open() as flow:
        id = find_deal(flow, deal)
        events = flow.history(id, known_at=known_at, merged=merged)
        marks, called = _marks(flow, known_at, events), Called(flow)
        processes = _processes(flow, known_at, events)
        zone, head = flow.settings().timezone, flow.log.head()
        context.screen.json(
            {
                "deal": str(id),
                "events": [
                    event_json(event, called, *marks.get(event.event_id, ("", "")))
                    for event in events
                ],
                "position": head.position,
            }
        )
        positions = {event.event_id: event.position for event in events}
        rows = [
            _history_row(context, zone, event, called, marks, details)
            for event in events
            for details in [
                _details(
                    context, zone, event, called, positions, processes.get(event.stream_id)
                )
            ]
        ]
        context.screen.table(_history_table(rows, id, merged=merged))
        through = f"{context.screen.word('event no.')} {head.position:,} · {zone.key}"
        context.screen.line(through, "green")


@with_context
def replay_deal(
    context: CommandContext, deal: DealId, as_of: AsOf = None, known_at: KnownAt = None
) -> None:
    """Replay a deal fact by fact, in the order in which things happened."""
    with context.open() as flow:
        found = flow.get(Deal, find_deal(flow, deal), as_of=as_of, known_at=known_at)
        moment = _moment_of(flow, found, as_of, known_at)
        called = Called(flow)
        steps = replay(found, called, context.language, to_instant(moment.as_of))
        context.screen.json(
            {
                "deal": str(found.id),
                "steps": steps_json(steps, called),
                "moment": plain(moment),
            }
        )
        context.screen.table(replay_table(context, flow, found, steps))
        context.screen.moment(moment, flow.settings().timezone)


def replay_table(
    context: CommandContext, flow: "SalesFlow", deal: Deal, steps: list[ReplayStep]
) -> TableOfView:
    """Lay a replay out: when, what happened, what changed, and what is odd about it."""
    zone, word, called = flow.settings().timezone, context.screen.word, Called(flow)
    rows = []
    for step in steps:
        event = step.event
        odd = say(step.irregular or "", context.language)
        remarks = [f"{word('irregular')}: {odd}"] if odd else []
        process = step.deal.version_in_force
        told = (
            ""
            if odd
            else describe_fact(event.fact, context.language, zone, called.rep, process)
        )
        unchanged = f"{told} ({word('nothing changed')})" if told else word("nothing changed")
        late = lateness(event, context.language)
        remarks += [say("recorded {late} late", context.language, late=late)] if late else []
        rows.append(
            (
                f"{step.number:,}",
                _occurred(event, zone, context.language, exact=False),
                fact_name(type(event.fact), context.language),
                "\n".join(map(str, step.changes)) or unchanged,
                "; ".join(remarks),
            )
        )
    columns = ("Step", "Occurred", "Event", "What changed", "Remark")
    return TableOfView("Step-by-step replay", columns, tuple(rows), about=deal.title)


def _moment_of(
    flow: "SalesFlow", deal: Deal, as_of: str | None, known_at: str | None
) -> Moment:
    """Return the moment at which a deal was read."""
    zone, head = flow.settings().timezone, flow.log.head()
    known = head.recorded if known_at is None else instant_of(known_at, zone)
    then = deal.context.now if as_of is None else instant_of(as_of, zone)
    return Moment.at(then, min(known, head.recorded), position=head.position, revision=0)


def _marks(flow: "SalesFlow", known_at: str | None, events: list[Event]) -> Marks:
    """Return of each event that does not count why: retracted, unread, or irregular."""
    out = retracted_ids(events)
    marks = dict.fromkeys(out, ("retracted", ""))
    for id in {event.stream_id for event in events}:
        stream = [event for event in events if event.stream_id == id]
        wrong = first_unreadable(stream)
        if wrong is not None:
            after = (e.event_id for e in stream if e.version >= wrong.version)
            marks |= dict.fromkeys({*after} - out, ("left out", ""))
            continue
        try:
            deal = flow.get(Deal, id, known_at=known_at)
        except NotFoundError:
            continue
        for event, why in deal.irregular:
            marks[event.event_id] = ("irregular", why)
    return marks


def _processes(
    flow: "SalesFlow", known_at: str | None, events: list[Event]
) -> dict[UUID, ProcessVersion | None]:
    """Return the process of each deal, by which stages and tasks are named."""
    found: dict[UUID, ProcessVersion | None] = {}
    for id in {event.stream_id for event in events}:
        with suppress(SalesflowError):
            found[id] = flow.get(Deal, id, known_at=known_at).version_in_force
    return found


def _history_table(rows: list[tuple[str, ...]], id: UUID, *, merged: bool) -> TableOfView:
    """Lay a history out; a part of the envelope that no event has is left out."""
    used = [
        number
        for number, name in enumerate(ENVELOPE)
        if (merged if name == "Deal" else any(row[number] for row in rows))
    ]
    columns = tuple(ENVELOPE[number] for number in used)
    at = ENVELOPE.index("Deal")
    deals = distinct_ids({UUID(row[at]) for row in rows})
    told = [(*row[:at], deals[UUID(row[at])], *row[at + 1 :]) for row in rows]
    shown = tuple(tuple(row[number] for number in used) for row in told)
    return TableOfView("Event history", columns, shown, about=str(id))


def _history_row(
    context: CommandContext,
    zone: ZoneInfo,
    event: Event,
    called: Called,
    marks: Marks,
    details: str,
) -> tuple[str, ...]:
    mark, why = marks.get(event.event_id, ("", ""))
    message = context.screen.word(mark)
    return (
        f"{event.position:,}",
        str(event.stream_id),
        _occurred(event, zone, context.language),
        local_time(event.recorded_at, zone),
        called.rep(event.actor),
        event.command_id or "",
        " ".join(text for text in (event.source, event.source_id) if text),
        f"{message}: {say(why, context.language)}" if why else message,
        str(event.event_id),
        fact_name(type(event.fact), context.language),
        details,
    )


def _details(
    context: CommandContext,
    zone: ZoneInfo,
    event: Event,
    called: Called,
    positions: Mapping[UUID, int],
    process: ProcessVersion | None,
) -> str:
    """Say what an event says; of a retraction also which event it takes back."""
    details = describe_fact(event.fact, context.language, zone, called.rep, process)
    if isinstance(event.fact, FactRetracted) and event.fact.event_id in positions:
        position = positions[event.fact.event_id]
        details = f"{context.screen.word('retracts event no.')} {position:,} · {details}"
    return details


def _occurred(event: Event, zone: ZoneInfo, language: Language, *, exact: bool = True) -> str:
    if event.precision == "day":
        return event.occurred_at.astimezone(zone).date().isoformat()
    shown = local_time(event.occurred_at, zone, exact=exact)
    if event.effective == event.occurred:
        return shown
    starts = in_language("takes effect", language)
    return f"{shown}\n{starts} {local_time(from_instant(event.effective), zone, exact=exact)}"
