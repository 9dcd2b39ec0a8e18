"""`salesflow team list`, `show` and `history`: things that have a key, as of any moment.

What is shown of each is what its state says, by the names of its values, so that a new kind of
thing needs nothing here.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from salesflow.cli.context import (
    AsOf,
    CommandContext,
    CommandParameter,
    KnownAt,
    with_context,
)
from salesflow.cli.history import events_json, history_table, marks_of
from salesflow.cli.later import later_told
from salesflow.cli.recording.commands import identifier_of, stream_of
from salesflow.cli.recording.helps import HELPS
from salesflow.cli.recording.naming import Naming
from salesflow.cli.recording.thing_lists import LISTS
from salesflow.cli.recording.thing_shown import shown_of, shown_values, values_shown
from salesflow.cli.recording.things_read import ThingsRead
from salesflow.cli.things.ids import Called
from salesflow.cli.things.known_things import word_of
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.event import Event
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import plain
from salesflow.presentation.format import distinct_ids
from salesflow.presentation.table import TableOfView

__all__ = ["command_about", "show_events", "shown_values", "title_of_list"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


def command_about(kind: type[Aggregate], what: str, text: str) -> Callable[..., None]:
    """Make the command that lists things of a kind, shows one or tells its history.

    The text is its help.
    """
    command = {"list": _list, "show": _show, "history": _history}[what]

    def run(context: CommandContext, **given: object) -> None:
        with context.open() as flow:
            command(kind, context, flow, given)

    run.__doc__ = text
    return with_context(run, _options(kind, what))


def _options(kind: type[Aggregate], what: str) -> Iterator[CommandParameter]:
    for each in () if what == "list" else identifier_of(kind):
        help = HELPS.get(each.name)
        argument = typer.Argument(metavar=each.name.upper(), help=help, show_default=False)
        yield each.name, Annotated[str, argument], inspect.Parameter.empty
    if what != "history":
        yield "as_of", AsOf, None
    yield "known_at", KnownAt, None


def _found(
    kind: type[Aggregate], flow: "SalesFlow", given: dict[str, object]
) -> tuple[UUID, str]:
    """Return which thing is meant, and how it was said."""
    parameters = identifier_of(kind)
    said = {each.name: each.read(given[each.name], flow) for each in parameters}
    whose = Naming(flow).identified(kind, parameters, said)
    return stream_of(kind, whose, flow), " ".join(str(given[each.name]) for each in parameters)


def _get(
    kind: type[Aggregate], flow: "SalesFlow", id: UUID, said: str, given: dict[str, object]
) -> Aggregate:
    as_of, known_at = given.get("as_of"), given.get("known_at")
    try:
        return flow.get(kind, id, as_of=as_of, known_at=known_at)  # type: ignore[arg-type]
    except NotFoundError as error:
        later = later_told(flow, [(kind.noun, said, id)], _text(as_of), _text(known_at))
        refused = f"there is no {kind.noun} {said!r} at that moment"
        way_out = f"`salesflow {word_of(kind.noun)} list` shows those there are"
        raise NotFoundError("; ".join([refused, *later, way_out])) from error


def _text(moment: object) -> str | None:
    return None if moment is None else str(moment)


def _show(
    kind: type[Aggregate], context: CommandContext, flow: "SalesFlow", given: dict[str, object]
) -> None:
    id, said = _found(kind, flow, given)
    thing, read = _get(kind, flow, id, said, given), _reading(context, flow, given)
    values = values_shown(thing)
    context.screen.json(
        {
            "id": str(id),
            **{name: plain(value) for name, value in values.items()},
            "irregular": len(getattr(thing, "irregular", ())),
            "moment": plain(read.moment),
        }
    )
    if context.screen.as_json:
        return
    rows, tables = shown_of(thing, read)
    odd: Sequence[tuple[Event, str]] = getattr(thing, "irregular", ())
    if odd:
        rows.append((read.word("Data anomalies"), f"{len(odd):,}"))
    columns = ("Attribute", "Value")
    first = TableOfView(kind.noun.capitalize(), columns, tuple(rows), about=said)
    context.screen.table(first, *tables)
    context.screen.moment(read.moment, read.zone)


def _reading(
    context: CommandContext, flow: "SalesFlow", given: dict[str, object]
) -> ThingsRead:
    as_of, known_at = (given.get(name) for name in ("as_of", "known_at"))
    return ThingsRead(
        flow,
        context.language,
        as_of=None if as_of is None else str(as_of),
        known_at=None if known_at is None else str(known_at),
    )


def _list(
    kind: type[Aggregate], context: CommandContext, flow: "SalesFlow", given: dict[str, object]
) -> None:
    read, listed = _reading(context, flow, given), LISTS[kind.noun]
    things = sorted(read.every(kind), key=lambda each: listed.order(each[1]))
    context.screen.json(
        {
            "things": [
                {"id": str(id), **{name: plain(v) for name, v in values_shown(thing).items()}}
                for id, thing in things
            ],
            "moment": plain(read.moment),
        }
    )
    if context.screen.as_json:
        return
    ids = distinct_ids({id for id, _ in things}) if kind.noun == "customer" else {}
    rows = tuple(
        (*listed.cells(thing, read), *([ids[id]] if id in ids else [])) for id, thing in things
    )
    columns = (*listed.columns, *(["Id"] if ids else []))
    context.screen.table(TableOfView(title_of_list(kind), columns, rows, by_weight=True))
    context.screen.moment(read.moment, read.zone)


def title_of_list(kind: type[Aggregate]) -> str:
    """Return what stands above a list of things; "Reps" heads a column that counts them."""
    return "Sales reps" if kind.noun == "rep" else f"{kind.noun.capitalize()}s"


def _history(
    kind: type[Aggregate], context: CommandContext, flow: "SalesFlow", given: dict[str, object]
) -> None:
    id, said = _found(kind, flow, given)
    try:
        events = flow.history(id, known_at=given.get("known_at"))  # type: ignore[arg-type]
    except NotFoundError as error:
        raise NotFoundError(f"nothing has been recorded of {kind.noun} {said!r}") from error
    known_at = given.get("known_at")
    show_events(kind, context, flow, said, events, None if known_at is None else str(known_at))


def show_events(
    kind: type[Aggregate],
    context: CommandContext,
    flow: "SalesFlow",
    said: str,
    events: list[Event],
    known_at: str | None,
) -> None:
    """Show events of a thing with their envelopes, and which of them do not count."""
    marks = marks_of(kind, flow, events, known_at)
    context.screen.json(
        {
            kind.noun.replace(" ", "_"): said,
            "events": events_json(events, Called(flow), marks, stream="stream_id"),
            "position": flow.log.head().position,
        }
    )
    context.screen.table(history_table(context, flow, events, marks, about=said))
