"""`salesflow log` shows facts of all streams and how late they came.

The newest first. Every entry names its position, by which `salesflow retract` takes it, and a
retraction the position of what it retracts, so that the two can be matched; ids of events stand
beside where there is room for them. A fact is told in a line; `--json` and `salesflow deal
history` tell all of it. What is found is written as it is read: a list of any length takes
little memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from salesflow.cli.context import CommandContext, time_text, with_context
from salesflow.domain.time import DAY, IS_DAY, Period, instant_of, read_day, to_instant
from salesflow.domain.values import envelope_text
from salesflow.domain.wording import shortened
from salesflow.errors import InputError
from salesflow.presentation.fields import Json
from salesflow.presentation.format import distinct_ids, local_time
from salesflow.presentation.messages import kind_name
from salesflow.presentation.table import TableOfView

if TYPE_CHECKING:
    from salesflow.adapters.event_store.search import LogEntry, LogSearch
    from salesflow.cli.things.ids import Called
    from salesflow.engine import SalesFlow

__all__ = [
    "log",
]


LISTED = 50
A_TABLE = 500
"""So many rows make a table; more are shown in further ones."""
COLUMNS = (
    "Event no.", "Recorded", "Occurred", "Late by", "Actor", "Stream", "Event", "Event ID",
    "Details",
)  # fmt: skip
ROOM_FOR_IDS = 160
"""Columns of a terminal from which the ids of events are shown beside their positions."""
ALWAYS = frozenset({"Event no.", "Recorded", "Event", "Event ID"})
DAYS_MAX = 100_000


def _when(flag: str, text: str) -> object:
    return typer.Option(
        flag,
        metavar="TIME",
        help=text,
        rich_help_panel="Time",
        show_default=False,
        parser=time_text,
    )


Actor = Annotated[
    str | None,
    typer.Option(help="Only what this user recorded, by id or name.", show_default=False),
]
Kind = Annotated[
    str | None, typer.Option(help="Only this kind: deal.won, or deal.* for all of deals.")
]
Source = Annotated[str | None, typer.Option(help="Only what was imported from this source.")]
Stream = Annotated[
    str | None,
    typer.Option(metavar="DEAL", help="Only this deal, or the stream whose id begins so."),
]
From = Annotated[str | None, _when("--from", "What happened on this day or later.")]
To = Annotated[str | None, _when("--to", "What happened by the end of this day.")]
KnownFrom = Annotated[
    str | None, _when("--known-from", "What was recorded on this day or later.")
]
KnownTo = Annotated[
    str | None, _when("--known-to", "What was recorded by the end of this day.")
]
LateBy = Annotated[
    int | None,
    typer.Option(metavar="DAYS", help="Only what was recorded later by more than this."),
]
Retractions = Annotated[
    bool, typer.Option("--retractions", help="Only retractions, and what they retract.")
]
Oldest = Annotated[bool, typer.Option("--oldest", help="The oldest first; else the newest.")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="How many to list at most. Default: 50.")
]
Everything = Annotated[bool, typer.Option("--all", help="List all there are.")]


@with_context
def log(  # noqa: PLR0913 - what can be looked for, all by keyword
    context: CommandContext,
    actor: Actor = None,
    kind: Kind = None,
    source: Source = None,
    stream: Stream = None,
    from_: From = None,
    to: To = None,
    known_from: KnownFrom = None,
    known_to: KnownTo = None,
    late_by: LateBy = None,
    retractions: Retractions = False,
    oldest: Oldest = False,
    limit: Limit = None,
    everything: Everything = False,
) -> None:
    """List facts across all deals: who recorded what, when it happened, when it became known.

    With --json every line is a document of its own.
    """
    from salesflow.adapters.event_store.search import LogSearch, search

    most = _most(limit, everything=everything)
    with context.open() as flow:
        zone = flow.settings().timezone
        happened = _span(zone, ("--from", from_), ("--to", to))
        known = _span(zone, ("--known-from", known_from), ("--known-to", known_to))
        wanted = LogSearch(
            actor=_actor(flow, envelope_text(actor, "--actor")),
            kind=kind,
            source=envelope_text(source, "--source"),
            stream=_stream(flow, stream),
            **_named("occurred", happened),
            **_named("recorded", known),
            late_by=_microseconds(late_by),
            retractions=retractions,
            oldest_first=oldest,
            limit=most,
        )
        _show(context, zone, flow, search(flow.log, wanted), wanted)


def _actor(flow: "SalesFlow", text: str | None) -> str | None:
    """Find who is meant by an id, or by the name of a rep."""
    from salesflow.adapters.event_store.search import LogSearch, search
    from salesflow.cli.things.ids import find_rep

    def known(actor: str) -> bool:
        return any(search(flow.log, LogSearch(actor=actor, limit=1)))

    return None if text is None else find_rep(flow, text, known)


def _stream(flow: "SalesFlow", text: str | None) -> UUID | None:
    from salesflow.cli.things.ids import find_stream

    return None if text is None else find_stream(flow, text)


def _most(limit: int | None, *, everything: bool) -> int | None:
    if not everything:
        return limit or LISTED
    if limit is not None:
        raise InputError("--all and --limit: say how many in one way only")
    return None


def _show(
    context: CommandContext,
    zone: ZoneInfo,
    flow: "SalesFlow",
    entries: "Iterator[LogEntry]",
    wanted: "LogSearch",
) -> None:
    from salesflow.cli.things.ids import Called

    screen, count, called = context.screen, 0, Called(flow)
    hidden = "Event ID" if screen.width < ROOM_FOR_IDS else ""
    while page := list(islice(entries, A_TABLE)):
        for entry in page:
            screen.json_line(_as_json(entry))
        title = "" if count else "Log"
        ids = distinct_ids({entry.stored.stream_id for entry in page})
        rows = tuple(_row(context, zone, entry, called, ids) for entry in page)
        count += len(page)
        used = [
            n
            for n, name in enumerate(COLUMNS)
            if name != hidden and (name in ALWAYS or _any(rows, n))
        ]
        shown = tuple(tuple(row[n] for n in used) for row in rows)
        screen.table(TableOfView(title, tuple(COLUMNS[n] for n in used), shown))
    word, head = screen.word, flow.log.head()
    if not count:
        screen.line(word("nothing was found"))
    elif count == wanted.limit:
        screen.line(f"  {word('listed')} {count:,} · {word('more with')} --limit, --all", "dim")
    screen.line(f"{word('event no.')} {head.position:,} · {zone.key}", "green")


def _any(rows: Iterable[tuple[str, ...]], number: int) -> bool:
    return any(row[number] for row in rows)


def _row(
    context: CommandContext,
    zone: ZoneInfo,
    entry: "LogEntry",
    called: "Called",
    ids: Mapping[UUID, str],
) -> tuple[str, ...]:
    from salesflow.domain.time import from_instant

    stored = entry.stored
    at = from_instant(stored.occurred)
    day_only = stored.precision == "day"
    return (
        f"{stored.position:,}",
        local_time(from_instant(stored.recorded), zone, exact=False),
        str(at.astimezone(zone).date()) if day_only else local_time(at, zone, exact=False),
        _late(context, entry),
        called.rep(stored.actor),
        ids[stored.stream_id],
        kind_name(entry.kind, context.language),
        str(stored.event_id),
        _said(context, zone, entry, called),
    )


def _late(context: CommandContext, entry: "LogEntry") -> str:
    days = entry.late_by // DAY
    return f"{days:,} {context.screen.word('d')}" if days else ""


def _said(context: CommandContext, zone: ZoneInfo, entry: "LogEntry", called: "Called") -> str:
    from salesflow.presentation.fact_text import summarize_fact

    if entry.event is None:
        return f"{context.screen.word('cannot be read')}: {shortened(entry.problem)}"
    text = summarize_fact(entry.event.fact, context.language, zone, called.rep)
    if entry.retracts is None:
        return text
    kind = kind_name(entry.retracts_kind or "", context.language)
    return f"{context.screen.word('retracts event no.')} {entry.retracts:,} ({kind}) · {text}"


def _as_json(entry: "LogEntry") -> dict[str, Json]:
    from salesflow.domain.time import from_instant
    from salesflow.presentation.fields import plain

    stored, event = entry.stored, entry.event
    fact = None if event is None else plain(event.fact.model_dump(exclude_none=True))
    return {
        "position": stored.position,
        "event_id": str(stored.event_id),
        "stream": str(stored.stream_id),
        "version": stored.version,
        "kind": entry.kind,
        "fact": fact,
        "occurred_at": plain(from_instant(stored.occurred)),
        "recorded_at": plain(from_instant(stored.recorded)),
        "precision": stored.precision,
        "actor": stored.actor,
        "command_id": stored.command_id,
        "correlation_id": stored.correlation_id,
        "causation_id": stored.causation_id,
        "source": stored.source,
        "source_id": stored.source_id,
        "retracts_position": entry.retracts,
        "retracts_kind": entry.retracts_kind,
        "unreadable": entry.problem or None,
    }


def _span(
    zone: ZoneInfo, first: tuple[str, str | None], last: tuple[str, str | None]
) -> tuple[int | None, int | None]:
    """Cut a span from what two options say.

    Raises:
        InputError: when it ends before it begins, so that nothing could lie in it.
    """
    start = _start(first[1], zone)
    end = None if last[1] is None else instant_of(last[1], zone)
    if start is not None and end is not None and end < start:
        raise InputError(
            f"{first[0]} {first[1]} {last[0]} {last[1]}: the end lies before the beginning"
        )
    return start, end


def _named(axis: str, span: tuple[int | None, int | None]) -> dict[str, Any]:
    return dict(zip((f"{axis}_from", f"{axis}_to"), span, strict=True))


def _start(text: str | None, zone: ZoneInfo) -> int | None:
    """Cut where something begins: a bare day at its first instant."""
    if text is None:
        return None
    if not IS_DAY(text):
        return instant_of(text, zone)
    day: date = read_day(text)
    return to_instant(Period.of_days(day, day, zone).start)


def _microseconds(days: int | None) -> int | None:
    if days is None:
        return None
    if not 0 <= days <= DAYS_MAX:
        raise InputError(f"--late-by {str(days)[:20]}: write days, 0 to {DAYS_MAX:,}")
    return days * DAY
