"""`salesflow team list`, `show` and `history`: things that have a key, as of any moment.

What is shown of each is what its state says, by the names of its values, so that a new kind of
thing needs nothing here.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from salesflow.cli.context import (
    AsOf,
    CommandContext,
    CommandParameter,
    KnownAt,
    with_context,
)
from salesflow.cli.history import events_json, history_table, marks_of
from salesflow.cli.ids import Called
from salesflow.cli.known_things import word_of
from salesflow.cli.recording.commands import identifier_of, stream_of
from salesflow.cli.recording.naming import Naming
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.event import Event
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.state import values_of
from salesflow.domain.time import Moment, instant_of
from salesflow.errors import HistoryError, NotFoundError
from salesflow.presentation.fact_text import value_text
from salesflow.presentation.fields import called, plain
from salesflow.presentation.format import distinct_ids
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView

__all__ = ["command_about", "shown_values", "title_of_list"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

LISTED_MAX: Final = 100_000
COLUMNS_MAX: Final = 7
"""So many values of each thing stand in a list; `show` has all of them."""
NOT_SHOWN: Final = frozenset({"irregular"})


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
        argument = typer.Argument(metavar=each.name.upper(), show_default=False)
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
        raise NotFoundError(
            f"there is no {kind.noun} {said!r} at that moment; `salesflow"
            f" {word_of(kind.noun)} list` shows those there are"
        ) from error


def _moment(flow: "SalesFlow", given: dict[str, object]) -> Moment:
    """Return the moment at which things are read."""
    zone, head = flow.settings().timezone, flow.log.head()
    known = head.recorded
    if given.get("known_at") is not None:
        known = min(known, instant_of(str(given["known_at"]), zone))
    if given.get("as_of") is None:
        then = flow.get(Settings, SETTINGS_ID).context.now
    else:
        then = instant_of(str(given["as_of"]), zone)
    return Moment.at(then, known, position=head.position, revision=0)


def shown_values(kind: type[Aggregate]) -> list[str]:
    """Name the values of its state that are shown of a thing."""
    names = {
        name: None
        for cls in reversed(kind.state_class.__mro__)
        for name in vars(cls).get("__annotations__", {})
        if name[0] != "_" and name in values_of(cls) and name not in NOT_SHOWN
    }
    return [*names]


def _values(thing: Aggregate) -> dict[str, object]:
    """Return what the state of a thing says, by the names of its values."""
    return {name: getattr(thing, name) for name in shown_values(type(thing))}


def _show(
    kind: type[Aggregate], context: CommandContext, flow: "SalesFlow", given: dict[str, object]
) -> None:
    id, said = _found(kind, flow, given)
    thing, moment = _get(kind, flow, id, said, given), _moment(flow, given)
    values, zone, word = _values(thing), flow.settings().timezone, context.screen.word
    context.screen.json(
        {
            "id": str(id),
            **{name: plain(value) for name, value in values.items()},
            "irregular": len(getattr(thing, "irregular", ())),
            "moment": plain(moment),
        }
    )
    rows = [
        (word(called(name)), text)
        for name, value in values.items()
        if (text := _text(value, context.language, zone, lines=True))
    ]
    odd: Sequence[tuple[Event, str]] = getattr(thing, "irregular", ())
    if odd:
        rows.append((word("Data anomalies"), f"{len(odd):,}"))
    title = kind.noun.capitalize()
    columns = ("Attribute", "Value")
    context.screen.table(TableOfView(title, columns, tuple(rows), about=said))
    context.screen.moment(moment, zone)


def _text(value: object, language: Language, zone: ZoneInfo, *, lines: bool = False) -> str:
    if lines and isinstance(value, tuple | list | Mapping):
        each = value.values() if isinstance(value, Mapping) else value
        return "\n".join(value_text(one, language, zone) for one in each)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return ", ".join(filter(None, (value_text(each, language, zone) for each in value)))
    return value_text(tuple(value) if isinstance(value, list) else value, language, zone)


def _list(
    kind: type[Aggregate], context: CommandContext, flow: "SalesFlow", given: dict[str, object]
) -> None:
    things, moment = [*_all(kind, flow, given)], _moment(flow, given)
    zone = flow.settings().timezone
    context.screen.json(
        {
            "things": [
                {"id": str(id), **{name: plain(v) for name, v in _values(thing).items()}}
                for id, thing in things
            ],
            "moment": plain(moment),
        }
    )
    told = [_values(thing) for _, thing in things]
    names = [name for name in (told[0] if told else {}) if _is_short(name, told)]
    names = names[:COLUMNS_MAX]
    ids = distinct_ids({id for id, _ in things}) if kind.noun == "customer" else {}
    rows = tuple(
        (
            *(_text(values[name], context.language, zone) for name in names),
            *([ids[id]] if id in ids else []),
        )
        for (id, _), values in zip(things, told, strict=True)
    )
    columns = (*(called(name) for name in names), *(["Id"] if ids else []))
    context.screen.table(TableOfView(title_of_list(kind), columns, rows))
    context.screen.moment(moment, zone)


def title_of_list(kind: type[Aggregate]) -> str:
    """Return what stands above a list of things; "Reps" heads a column that counts them."""
    return "Sales reps" if kind.noun == "rep" else f"{kind.noun.capitalize()}s"


def _is_short(name: str, told: Sequence[dict[str, object]]) -> bool:
    values = [values[name] for values in told if values[name] is not None]
    return bool(values) and not any(
        isinstance(each, tuple | list | dict | set | frozenset) for each in values
    )


def _all(
    kind: type[Aggregate], flow: "SalesFlow", given: dict[str, object]
) -> Iterator[tuple[UUID, Aggregate]]:
    from salesflow.adapters.event_store.search import beginning_with

    openings = [fact for fact in kind.facts if fact.is_opening]
    ids = {
        id: None
        for opening in openings
        for id in beginning_with(flow.log, "", opened_by=opening, limit=LISTED_MAX)
    }
    found = []
    for id in ids:
        with suppress(NotFoundError, HistoryError):
            as_of, known_at = given.get("as_of"), given.get("known_at")
            thing = flow.get(kind, id, as_of=as_of, known_at=known_at)  # type: ignore[arg-type]
            found.append((id, thing))
    yield from sorted(found, key=lambda each: str(next(iter(_values(each[1]).values()), "")))


def _history(
    kind: type[Aggregate], context: CommandContext, flow: "SalesFlow", given: dict[str, object]
) -> None:
    id, said = _found(kind, flow, given)
    try:
        events = flow.history(id, known_at=given.get("known_at"))  # type: ignore[arg-type]
    except NotFoundError as error:
        raise NotFoundError(f"nothing has been recorded of {kind.noun} {said!r}") from error
    marks = marks_of(kind, flow, events, given.get("known_at"))  # type: ignore[arg-type]
    context.screen.json(
        {
            kind.noun.replace(" ", "_"): said,
            "events": events_json(events, Called(flow), marks, stream="stream_id"),
            "position": flow.log.head().position,
        }
    )
    context.screen.table(history_table(context, flow, events, marks, about=said))
