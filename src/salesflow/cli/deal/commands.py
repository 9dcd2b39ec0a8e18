"""`salesflow deal`: the list of deals; one as it stood, its history, its replay by steps."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from salesflow.cli.context import AsOf, CommandContext, KnownAt, with_context
from salesflow.cli.history import events_json, history_table, marks_of, occurred_text
from salesflow.cli.later import deal_at
from salesflow.cli.things.ids import Called, find_deal
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.process import ProcessVersion
from salesflow.domain.time import Instant, Moment, instant_of, to_instant
from salesflow.errors import SalesflowError
from salesflow.presentation.deal_view import (
    ReplayStep,
    attribute_texts,
    deal_json,
    lateness,
    replay,
    steps_json,
)
from salesflow.presentation.fact_text import describe_fact
from salesflow.presentation.fields import plain
from salesflow.presentation.format import local_time
from salesflow.presentation.messages import (
    fact_name,
    say,
)
from salesflow.presentation.table import TableOfView

__all__ = ["history", "replay_deal", "replay_table", "show"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


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


@with_context
def show(
    context: CommandContext, deal: DealId, as_of: AsOf = None, known_at: KnownAt = None
) -> None:
    """Show how a deal stood: stage, outcome, amount, quotes, people, money."""
    with context.open() as flow:
        found = deal_at(flow, find_deal(flow, deal), as_of, known_at)
        called = Called(flow)
        texts = attribute_texts(found, called, context.language)
        moment = _moment_of(flow, found, as_of, known_at)
        zone = flow.settings().timezone
        own = _handed_in(found, to_instant(moment.as_of))
        for cls, facts in own.items():
            told = (describe_fact(fact, context.language, zone, called.rep) for fact in facts)
            texts[fact_name(cls, context.language)] = "\n".join(told)
        rows = [(context.screen.word("Id"), str(found.id)), *texts.items()]
        for label, at in (("Created at", found.opened_at), ("Closed at", found.closed_at)):
            if at is not None:
                rows.append((context.screen.word(label), local_time(at, zone, exact=False)))
        if found.irregular:
            rows.append((context.screen.word("Data anomalies"), f"{len(found.irregular):,}"))
        as_json = {**deal_json(found, called), "moment": plain(moment)}
        context.screen.json(as_json | {cls.kind: plain(own[cls]) for cls in own})
        columns = ("Attribute", "Value")
        context.screen.table(TableOfView("Deal", columns, tuple(rows), about=found.title))
        context.screen.moment(moment, flow.settings().timezone)


def _handed_in(deal: Deal, as_of: Instant) -> dict[type[Fact], list[Fact]]:
    """Return facts of other packages, which change no value of a deal, by their class."""
    found: dict[type[Fact], list[Fact]] = {}
    for event in deal.history:
        if type(event.fact) not in (*deal.facts, FactRetracted) and event.effective <= as_of:
            found.setdefault(type(event.fact), []).append(event.fact)
    return found


@with_context
def history(
    context: CommandContext, deal: DealId, known_at: KnownAt = None, merged: Merged = False
) -> None:
    """List every event of a deal: when, by whom and what, in the order it became known."""
    with context.open() as flow:
        id = find_deal(flow, deal)
        events = flow.history(id, known_at=known_at, merged=merged)
        marks, head = marks_of(Deal, flow, events, known_at), flow.log.head()
        processes, zone = _processes(flow, known_at, events), flow.settings().timezone
        context.screen.json(
            {
                "deal": str(id),
                "events": events_json(events, Called(flow), marks, stream="deal"),
                "position": head.position,
            }
        )
        context.screen.table(
            history_table(context, flow, events, marks, about=str(id), processes=processes)
        )
        through = f"{context.screen.word('event no.')} {head.position:,} · {zone.key}"
        context.screen.line(through, "green")


@with_context
def replay_deal(
    context: CommandContext, deal: DealId, as_of: AsOf = None, known_at: KnownAt = None
) -> None:
    """Replay a deal fact by fact, in the order in which things happened."""
    with context.open() as flow:
        found = deal_at(flow, find_deal(flow, deal), as_of, known_at)
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
                occurred_text(event, zone, context.language, exact=False),
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


def _processes(
    flow: "SalesFlow", known_at: str | None, events: list[Event]
) -> dict[UUID, ProcessVersion | None]:
    """Return the process of each deal, by which stages and tasks are named."""
    found: dict[UUID, ProcessVersion | None] = {}
    for id in {event.stream_id for event in events}:
        with suppress(SalesflowError):
            found[id] = flow.get(Deal, id, known_at=known_at).version_in_force
    return found
