"""`salesflow deal`: the list of deals; one as it stood, its history, its replay by steps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from salesflow.cli.deal_json import event_json, standing_json, steps_json
from salesflow.cli.desk import AsOf, Desk, KnownAt, at_desk
from salesflow.cli.facets import facets_of
from salesflow.cli.fact_words import details_of
from salesflow.cli.finding import find_deal
from salesflow.cli.naming import Called
from salesflow.cli.replaying import Step, lateness, replay
from salesflow.domain.deal import Deal
from salesflow.domain.facts import Event, FactRetracted
from salesflow.domain.history import retracted, unreadable
from salesflow.domain.moments import Moment, from_instant, instant_of, to_instant
from salesflow.errors import NotFoundError
from salesflow.projections.plain import plain
from salesflow.projections.questions import TableOfView
from salesflow.projections.words import Language, fact_name, in_language, irregularity_name
from salesflow.projections.writing import distinct_ids, local_time

if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

__all__ = ["history", "replay_deal", "replay_table", "show"]

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
    "Position", "Deal", "Occurred", "Recorded", "Actor", "Command", "Source", "Remark", "Event",
    "Fact", "What happened",
)  # fmt: skip
"""What a history shows; the longest part stands last, so that rows stay short in a pipe."""


@at_desk
def show(desk: Desk, deal: DealId, as_of: AsOf = None, known_at: KnownAt = None) -> None:
    """Show how a deal stood: stage, outcome, amount, quotes, people, money."""
    with desk.open() as flow:
        found = flow.get(Deal, find_deal(flow, deal), as_of=as_of, known_at=known_at)
        called = Called(flow)
        facets = facets_of(found, called, desk.language)
        moment = _moment_of(flow, found, as_of, known_at)
        zone = flow.settings().timezone
        rows = [(desk.screen.word("Id"), str(found.id)), *facets.items()]
        for label, at in (("Opened at", found.opened_at), ("Closed at", found.closed_at)):
            if at is not None:
                rows.append((desk.screen.word(label), local_time(at, zone)))
        if found.irregular:
            rows.append((desk.screen.word("Irregular"), f"{len(found.irregular):,}"))
        standing = standing_json(found, called)
        desk.screen.json({**standing, "moment": plain(moment)})
        columns = ("Attribute", "Value")
        desk.screen.table(TableOfView("Deal", columns, tuple(rows), about=found.title))
        desk.screen.moment(moment, flow.settings().timezone)


@at_desk
def history(desk: Desk, deal: DealId, known_at: KnownAt = None, merged: Merged = False) -> None:
    """List every event of a deal with its envelope, in the order in which it became known."""
    with desk.open() as flow:
        id = find_deal(flow, deal)
        events = flow.history(id, known_at=known_at, merged=merged)
        marks, called = _marks(flow, known_at, events), Called(flow)
        zone, head = flow.settings().timezone, flow.log.head()
        desk.screen.json(
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
        rows = [_history_row(desk, zone, event, called, marks, positions) for event in events]
        desk.screen.table(_history_table(rows, id, merged=merged))
        upto = f"{desk.screen.word('position')} {head.position:,} · {zone.key}"
        desk.screen.line(upto, "green")


@at_desk
def replay_deal(desk: Desk, deal: DealId, as_of: AsOf = None, known_at: KnownAt = None) -> None:
    """Replay a deal fact by fact, in the order in which things happened."""
    with desk.open() as flow:
        found = flow.get(Deal, find_deal(flow, deal), as_of=as_of, known_at=known_at)
        moment = _moment_of(flow, found, as_of, known_at)
        called = Called(flow)
        steps = replay(found, called, desk.language, to_instant(moment.as_of))
        desk.screen.json(
            {
                "deal": str(found.id),
                "steps": steps_json(steps, called),
                "moment": plain(moment),
            }
        )
        desk.screen.table(replay_table(desk, flow, found, steps))
        desk.screen.moment(moment, flow.settings().timezone)


def replay_table(desk: Desk, flow: "SalesFlow", deal: Deal, steps: list[Step]) -> TableOfView:
    """Lay a replay out: when, what happened, what changed, and what is odd about it."""
    zone, word = flow.settings().timezone, desk.screen.word
    rows = []
    for step in steps:
        event = step.event
        odd = irregularity_name(step.groundless or "", desk.language)
        remarks = [f"{word('irregular')}: {odd}"] if odd else []
        late = lateness(event, desk.language)
        remarks += [f"{word('late by')} {late}"] if late else []
        rows.append(
            (
                f"{step.number:,}",
                _occurred(event, zone, desk.language, exact=False),
                fact_name(type(event.fact), desk.language),
                "\n".join(map(str, step.changes)) or word("nothing changed"),
                "; ".join(remarks),
            )
        )
    columns = ("Step", "Occurred", "Fact", "What changed", "Remark")
    return TableOfView("Replay", columns, tuple(rows), about=deal.title)


def _moment_of(
    flow: "SalesFlow", deal: Deal, as_of: str | None, known_at: str | None
) -> Moment:
    """Give the moment at which a deal was read."""
    zone, head = flow.settings().timezone, flow.log.head()
    known = head.recorded if known_at is None else instant_of(known_at, zone)
    then = deal.world.now if as_of is None else instant_of(as_of, zone)
    return Moment(
        as_of=from_instant(then),
        known_at=from_instant(min(known, head.recorded)),
        position=head.position,
        revision=0,
    )


def _marks(flow: "SalesFlow", known_at: str | None, events: list[Event]) -> Marks:
    """Say of each event that does not count why: retracted, unread, or without ground."""
    out = retracted(events)
    marks = dict.fromkeys(out, ("retracted", ""))
    for id in {event.stream_id for event in events}:
        stream = [event for event in events if event.stream_id == id]
        wrong = unreadable(stream)
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
    return TableOfView("History", columns, shown, about=str(id))


def _history_row(
    desk: Desk,
    zone: ZoneInfo,
    event: Event,
    called: Called,
    marks: Marks,
    positions: Mapping[UUID, int],
) -> tuple[str, ...]:
    mark, why = marks.get(event.event_id, ("", ""))
    said = desk.screen.word(mark)
    details = details_of(event.fact, desk.language, zone, called.rep)
    if isinstance(event.fact, FactRetracted) and event.fact.event_id in positions:
        retracted = positions[event.fact.event_id]
        details = f"{desk.screen.word('retracts position')} {retracted:,} · {details}"
    return (
        f"{event.position:,}",
        str(event.stream_id),
        _occurred(event, zone, desk.language),
        local_time(event.recorded_at, zone),
        called.rep(event.actor),
        event.command_id or "",
        " ".join(text for text in (event.source, event.source_id) if text),
        f"{said}: {irregularity_name(why, desk.language)}" if why else said,
        str(event.event_id),
        fact_name(type(event.fact), desk.language),
        details,
    )


def _occurred(event: Event, zone: ZoneInfo, language: Language, *, exact: bool = True) -> str:
    if event.precision == "day":
        return event.occurred_at.astimezone(zone).date().isoformat()
    shown = local_time(event.occurred_at, zone, exact=exact)
    if event.effect == event.occurred:
        return shown
    starts = in_language("takes effect", language)
    return f"{shown}\n{starts} {local_time(from_instant(event.effect), zone, exact=exact)}"
