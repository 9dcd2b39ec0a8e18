"""`salesflow deal`: one deal as it stood, its whole history, or its replay step by step."""

from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from salesflow.cli.desk import AsOf, Desk, KnownAt, at_desk
from salesflow.cli.facets import Named, facets_of
from salesflow.cli.fact_words import details_of
from salesflow.cli.finding import find_deal
from salesflow.cli.output import Json
from salesflow.cli.replaying import Step, lateness, replay
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.facts import Event
from salesflow.domain.history import standing
from salesflow.domain.moments import Moment, from_instant, instant_of, to_instant
from salesflow.engine import SalesFlow
from salesflow.errors import NotFoundError
from salesflow.projections.questions import TableOfView
from salesflow.projections.words import Language, fact_name, in_language, irregularity_name
from salesflow.projections.writing import local_time

__all__ = ["customer_of", "deals", "replay_table"]

Marks = dict[UUID, tuple[str, str]]
"""Of events that do not count: `retracted` or `irregular`, and why."""

deals = typer.Typer(no_args_is_help=True, help="Look at one deal at any past moment.")

DealId = Annotated[
    str,
    typer.Argument(
        metavar="DEAL",
        help="Its id, the first digits of it, or SOURCE:OBJECT of an import.",
        show_default=False,
    ),
]
Merged = Annotated[
    bool,
    typer.Option("--merged", help="Also what happened to the deals that are merged into it."),
]
DIGITS_SHOWN = 8


@deals.command("show")
@at_desk
def show(desk: Desk, deal: DealId, as_of: AsOf = None, known_at: KnownAt = None) -> None:
    """Show how a deal stood: stage, outcome, amount, quotes, people, money."""
    with desk.open() as flow:
        found = flow.get(Deal, find_deal(flow, deal), as_of=as_of, known_at=known_at)
        facets = facets_of(found, customer_of(flow), desk.language)
        moment = _moment_of(flow, found, as_of, known_at)
        zone = flow.settings().timezone
        times: dict[str, Json] = {
            name: None if at is None else at.isoformat()
            for name, at in (
                ("opened_at", found.opened_at),
                ("closed_at", found.closed_at),
                ("first_won_at", found.first_won_at),
            )
        }
        rows = [(desk.screen.word("Id"), str(found.id)), *facets.items()]
        for label, at in (("Opened at", found.opened_at), ("Closed at", found.closed_at)):
            if at is not None:
                rows.append((desk.screen.word(label), local_time(at, zone)))
        if found.irregular:
            rows.append((desk.screen.word("Irregular"), f"{len(found.irregular):,}"))
        desk.screen.json({**_state(found), **times, "moment": moment.model_dump(mode="json")})
        columns = ("Attribute", "Value")
        desk.screen.table(TableOfView("Deal", columns, tuple(rows), about=found.title))
        desk.screen.moment(moment, flow.settings().timezone)


@deals.command("history")
@at_desk
def history(desk: Desk, deal: DealId, known_at: KnownAt = None, merged: Merged = False) -> None:
    """List every event of a deal with its envelope, in the order in which it became known."""
    with desk.open() as flow:
        id = find_deal(flow, deal)
        events = flow.history(id, known_at=known_at, merged=merged)
        marks = _marks(flow, known_at, events)
        zone, head = flow.settings().timezone, flow.log.head()
        desk.screen.json(
            {
                "deal": str(id),
                "events": [_event_json(event, marks) for event in events],
                "position": head.position,
            }
        )
        rows = tuple(_history_row(desk, zone, event, marks, merged) for event in events)
        columns = (
            "Position", *(["Deal"] if merged else []), "Occurred", "Recorded", "Fact",
            "What happened", "Remark", "Actor", "Command", "Source", "Event",
        )  # fmt: skip
        desk.screen.table(TableOfView("History", columns, rows, about=str(id)))
        upto = f"{desk.screen.word('position')} {head.position:,} · {zone.key}"
        desk.screen.line(upto, "green")


@deals.command("replay")
@at_desk
def replay_deal(desk: Desk, deal: DealId, as_of: AsOf = None, known_at: KnownAt = None) -> None:
    """Replay a deal fact by fact, in the order in which things happened."""
    with desk.open() as flow:
        found = flow.get(Deal, find_deal(flow, deal), as_of=as_of, known_at=known_at)
        moment = _moment_of(flow, found, as_of, known_at)
        steps = replay(found, customer_of(flow), desk.language, to_instant(moment.as_of))
        desk.screen.json(
            {
                "deal": str(found.id),
                "steps": [_step_json(step) for step in steps],
                "moment": moment.model_dump(mode="json"),
            }
        )
        desk.screen.table(replay_table(desk, flow, found, steps))
        desk.screen.moment(moment, flow.settings().timezone)


def replay_table(desk: Desk, flow: SalesFlow, deal: Deal, steps: list[Step]) -> TableOfView:
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


def _moment_of(flow: SalesFlow, deal: Deal, as_of: str | None, known_at: str | None) -> Moment:
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


def customer_of(flow: SalesFlow) -> Named:
    """Give what names a deal's customer, each looked up once."""
    names: dict[UUID, str] = {}

    def named(deal: Deal) -> str:
        id = deal.customer_id
        if id is None:
            return ""
        if id not in names:
            try:
                names[id] = flow.get(Customer, id).name or str(id)
            except NotFoundError:
                names[id] = str(id)
        return names[id]

    return named


def _state(deal: Deal) -> dict[str, Json]:
    """Give a deal's standing as plain JSON values."""
    amount = deal.amount
    state: dict[str, Json] = {
        "id": str(deal.id),
        "title": deal.title,
        "process": deal.process,
        "process_version": deal.process_version,
        "stage": deal.stage,
        "outcome": "merged" if deal.merged_into else deal.outcome,
        "owner": deal.owner,
        "customer": _text(deal.customer_id),
        "amount": None if amount is None else amount.model_dump(mode="json"),
        "probability": str(deal.probability),
        "forecast_category": deal.forecast_category,
        "expected_close": _text(deal.expected_close),
        "contacts": len(deal.contacts),
        "credits": {person: str(share) for person, share in deal.credits.items()},
        "competitors": [*deal.competitors],
        "lost_because": deal.lost_because,
        "irregular": len(deal.irregular),
    }
    state["quotes"] = [
        {
            "quote": quote.key,
            "state": quote.state,
            "total": None if quote.total is None else quote.total.model_dump(mode="json"),
            "valid_until": _text(quote.valid_until),
            "revisions": quote.revisions,
        }
        for quote in deal.quotes.values()
    ]
    return state


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _marks(flow: SalesFlow, known_at: str | None, events: list[Event]) -> Marks:
    """Say of each event that does not count why: retracted, or without ground."""
    stands = {event.event_id for event in standing(events)}
    marks = {e.event_id: ("retracted", "") for e in events if e.event_id not in stands}
    for id in {event.stream_id for event in events}:
        try:
            deal = flow.get(Deal, id, known_at=known_at)
        except NotFoundError:
            continue
        for event, why in deal.irregular:
            marks[event.event_id] = ("irregular", why)
    return marks


def _history_row(
    desk: Desk, zone: ZoneInfo, event: Event, marks: Marks, merged: bool
) -> tuple[str, ...]:
    mark, why = marks.get(event.event_id, ("", ""))
    said = desk.screen.word(mark)
    return (
        f"{event.position:,}",
        *([str(event.stream_id)[:DIGITS_SHOWN]] if merged else []),
        _occurred(event, zone, desk.language),
        local_time(event.recorded_at, zone),
        fact_name(type(event.fact), desk.language),
        details_of(event.fact, desk.language, zone),
        f"{said}: {irregularity_name(why, desk.language)}" if why else said,
        event.actor or "",
        event.command_id or "",
        " ".join(text for text in (event.source, event.source_id) if text),
        str(event.event_id),
    )


def _occurred(event: Event, zone: ZoneInfo, language: Language, *, exact: bool = True) -> str:
    if event.precision == "day":
        return event.occurred_at.astimezone(zone).date().isoformat()
    shown = local_time(event.occurred_at, zone, exact=exact)
    if event.effect == event.occurred:
        return shown
    starts = in_language("takes effect", language)
    return f"{shown}\n{starts} {local_time(from_instant(event.effect), zone, exact=exact)}"


def _event_json(event: Event, marks: Marks) -> Json:
    mark, why = marks.get(event.event_id, ("", ""))
    return {
        "position": event.position,
        "deal": str(event.stream_id),
        "version": event.version,
        "event_id": str(event.event_id),
        "kind": event.fact.kind,
        "fact": event.fact.model_dump(mode="json", exclude_none=True),
        "occurred_at": event.occurred_at.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
        "effective_from": from_instant(event.effect).isoformat(),
        "precision": event.precision,
        "actor": event.actor,
        "command_id": event.command_id,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "source": event.source,
        "source_id": event.source_id,
        "retracted": mark == "retracted",
        "irregular": why or None,
    }


def _step_json(step: Step) -> Json:
    event = step.event
    return {
        "step": step.number,
        "kind": event.fact.kind,
        "event_id": str(event.event_id),
        "occurred_at": event.occurred_at.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
        "fact": event.fact.model_dump(mode="json", exclude_none=True),
        "changes": [
            {"attribute": change.label, "before": change.before, "after": change.after}
            for change in step.changes
        ],
        "irregular": step.groundless,
    }
