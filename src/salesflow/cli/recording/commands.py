"""`salesflow team form …`: a command for each command of an aggregate, made from its signature.

What the command takes by place become arguments, the rest options; its docstring is the help.
The thing it is given on is said first, by its key or name. `--input FILE` takes everything from
JSON: one object with the parameters by name, or a list of them, which is recorded together or
not at all.
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, get_args
from uuid import UUID

import typer

from salesflow.cli.ask import METRICS_THERE_ARE
from salesflow.cli.context import CommandContext, CommandParameter, with_context
from salesflow.cli.recording.helps import HELPS, HELPS_OF, help_text
from salesflow.cli.recording.input_file import as_typed, documents_in, named_in
from salesflow.cli.recording.naming import Naming
from salesflow.cli.recording.receipts import show_receipt
from salesflow.cli.recording.slips import slips_in
from salesflow.cli.recording.values import (
    Parameter,
    flag_of,
    parameters_of,
)
from salesflow.cli.things.ids import find_customer, find_deal, find_rep
from salesflow.cli.things.known_things import already_there, id_function, word_of
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.event import FactRetracted, believed_history, retracted_ids
from salesflow.domain.pending import untrack
from salesflow.domain.process import ProcessVersion, SalesProcess
from salesflow.domain.state import ReplayContext
from salesflow.domain.wording import Message, quoted
from salesflow.errors import AlreadyRecordedError, InputError, NotFoundError, SalesflowError
from salesflow.presentation.messages import Language

__all__ = [
    "Prepared",
    "command_of_aggregate",
    "identifier_of",
    "stream_of",
]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.adapters.event_store.append import Receipt
    from salesflow.engine import SalesFlow, Session

PANEL: Final = "Recording"
WORD: Final = "WORD"
"""What stands for a word of a closed list, which the help names."""
Actor = Annotated[
    str | None, typer.Option("--actor", help="Who says so.", rich_help_panel=PANEL)
]
CommandId = Annotated[
    str | None,
    typer.Option(
        "--command-id",
        help="An id of this command; given again, nothing is recorded twice.",
        rich_help_panel=PANEL,
    ),
]
Input = Annotated[
    Path | None,
    typer.Option(
        "--input",
        metavar="FILE",
        help="Take what is not typed from JSON: an object with the parameters by name, or a"
        " list of them, which is recorded together or not at all. - is stdin.",
        rich_help_panel=PANEL,
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        help="The business time zone of a new database. Default: UTC.",
        rich_help_panel=PANEL,
    ),
]

Given = Mapping[str, object]
Prepare = Callable[["SalesFlow", dict[str, object]], dict[str, object]]
"""Completes what was given by what the engine answers, such as the evidence of a goal."""


def _as_typed(_: object, values: dict[str, Any]) -> dict[str, Any]:
    return values


def _no_notes(*_: object) -> Iterator[str]:
    return iter(())


def _nothing(*_: object) -> None:
    return None


class Prepared(NamedTuple):
    """What a command takes beside its own parameters, and what completes it."""

    prepare: Prepare = _as_typed
    provides: frozenset[str] = frozenset()
    """Parameters of the command that are worked out, and never typed."""
    more: tuple[CommandParameter, ...] = ()
    notes: "Callable[[SalesFlow, Given, Language], Iterator[str]]" = _no_notes
    """What whoever typed it should know besides, of what was recorded."""
    ensure: "Callable[[SalesFlow, Given, Sequence[Given]], None]" = _nothing
    """Refuses what was given for one command, beside what was given for all of them."""


def command_of_aggregate(
    kind: type[Aggregate], method: str, prepared: Prepared | None = None
) -> Callable[..., None]:
    """Make the command line's command of a command of an aggregate."""
    made = _Command(kind, method, prepared)

    def command(
        context: CommandContext,
        actor: str | None,
        command_id: str | None,
        input_file: Path | None,
        timezone: str | None,
        **given: object,
    ) -> None:
        asked = [*made.all_given(given, input_file)]
        with context.record(timezone) as flow:
            made.run(context, flow, asked, actor, command_id)

    command.__doc__ = help_text(made.function.__doc__ or "")
    return with_context(command, [*made.options(), *RECORDING])


PROCESS: Final = "process"
STAGES: Final = "stages"
"""What only a version of a process has of all that is published."""
RECORDING: Final[tuple[CommandParameter, ...]] = (
    ("input_file", Input, None),
    ("actor", Actor, None),
    ("command_id", CommandId, None),
    ("timezone", TimeZone, None),
)


class _OneCommand(NamedTuple):
    """What was given for one command, and how refusals name what it is of."""

    place: str
    """Where in a file it stands; nothing where that is plain."""
    called: str
    """What it is called by whoever typed it."""
    values: dict[str, object]
    id: UUID | None = None
    """Whose stream it is; None of what it makes."""


class _Command:
    """One command of a kind of aggregate, as the command line gives it."""

    def __init__(self, kind: type[Aggregate], method: str, prepared: Prepared | None) -> None:
        self.kind = kind
        self.function: Callable[..., object] = getattr(kind, method)
        self.makes_new = inspect.ismethod(self.function)
        """Whether it makes the thing that it tells of."""
        self.prepared = prepared
        provided = prepared.provides if prepared else frozenset()
        own = parameters_of(self.function, kind)
        self.own = [each for each in own if each.name not in provided]
        self.whose = [] if self.makes_new else identifier_of(kind)
        self._names: Naming | None = None
        self._prefix = "" if not _clash(self.whose, self.own) else f"{kind.noun}_"

    @property
    def takes(self) -> list[Parameter]:
        """All that is said: whose it is, then its own."""
        return [*(each._replace(name=self._named(each)) for each in self.whose), *self.own]

    def _named(self, each: Parameter) -> str:
        return f"{self._prefix}{each.name}"

    def options(self) -> Iterator[CommandParameter]:
        """Make arguments and options; none is required here, since JSON may hold it."""
        helps = _field_texts(self.kind, self.function)
        for each in self.takes:
            yield _option(each, helps.get(each.name, ""))
        yield from map(_optional, self._more)

    @property
    def _more(self) -> tuple[CommandParameter, ...]:
        """What it takes beside its own parameters, by which the engine is asked."""
        return self.prepared.more if self.prepared else ()

    def all_given(
        self, typed: Mapping[str, object], file: Path | None
    ) -> Iterator["_OneCommand"]:
        """Yield what is given for each command: what is typed, above what a file holds."""
        said = {name: value for name, value in typed.items() if value not in (None, (), [])}
        known = {each.name: each for each in self.takes}
        more = {name for name, _, _ in self._more}
        said = {n: v for n, v in said.items() if v is not False or n not in known}
        documents = [{}] if file is None else documents_in(file)
        for number, document in enumerate(map(self._as_named, documents), 1):
            named = named_in({*known, *more}, document)
            unknown = sorted(named.keys() - known.keys() - more)
            if unknown:
                names = [*known, *sorted(more)]
                there = ", ".join(quoted(name.rstrip("_")) for name in names)
                raise InputError(
                    f"{_at(file, number, documents)}there is no {quoted(unknown[0])}; there"
                    f" are {there}"
                )
            found = {n: v for n, v in named.items() if v is not None} | said
            if self.makes_new:
                found |= _other_names(found, known)
            missing = [p.typed for p in self.takes if p.required and p.name not in found]
            missing += [
                name.upper()
                for name, _, default in self._more
                if default is inspect.Parameter.empty and name not in found
            ]
            if missing:
                named_here = ", ".join(missing)
                verb = "is" if len(missing) == 1 else "are"
                raise InputError(
                    f"{_at(file, number, documents)}{named_here} {verb} missing; write it,"
                    " or see --help"
                )
            placed = [str(found[each.name]) for each in self.takes if each.placed]
            called = placed[:1] if self.makes_new else placed[: len(self.whose)]
            yield _OneCommand(_at(file, number, documents), " ".join(called), found)

    def _as_named(self, document: dict[str, object]) -> dict[str, object]:
        """Take a process that is to be published as `process show` prints it, with its key."""
        publishes = any(
            each.name == PROCESS and each.kind is ProcessVersion for each in self.own
        )
        if not publishes or PROCESS in document or STAGES not in document:
            return document
        key = {} if self.makes_new else {self._named(self.whose[0]): document.get("key")}
        return {PROCESS: document, **key}

    def run(
        self,
        context: CommandContext,
        flow: "SalesFlow",
        asked: Sequence[_OneCommand],
        actor: str | None,
        command_id: str | None,
    ) -> None:
        """Record all of them in one session, and show what was recorded."""
        naming = self._names = Naming(flow, context.language)
        if self.makes_new:
            for each in asked:
                naming.things.makes(self.kind.noun, each.called)
        if actor is not None:
            actor = naming.actor(actor)
        completed: list[_OneCommand] = []
        results: list[object] = []

        def record(session: "Session") -> None:  # not called where it was recorded before
            results.clear()
            naming.start_over()
            completed[:] = [self._read(flow, each, naming) for each in asked]
            self._ensure(flow, completed)
            for each in completed:
                with self._named_as_typed(each):
                    results.append(self._give(session, flow, each))

        with _told_apart(command_id):
            receipt = flow.run(
                record,
                actor=actor,
                command_id=command_id,
                fingerprint=self._fingerprint(asked) if command_id is not None else None,
            )
        assert receipt is not None
        told = [each for each in results if isinstance(each, str | UUID)]
        notes = [*naming.notes, *self._notes(flow, completed, receipt, context.language)]
        show_receipt(context, flow, receipt, told, notes)

    def _notes(
        self,
        flow: "SalesFlow",
        completed: Sequence[_OneCommand],
        receipt: "Receipt",
        language: Language,
    ) -> Iterator[str]:
        """Yield what should be known of what was recorded."""
        notes_of = self.prepared.notes if self.prepared else _no_notes
        for each in completed:
            yield from notes_of(flow, {"id": each.id, **each.values}, language)
        yield from slips_in(flow, self.kind, receipt, language)

    def _ensure(self, flow: "SalesFlow", completed: Sequence[_OneCommand]) -> None:
        """Refuse what was given for one of them, beside what was given for the others."""
        if self.prepared is None:
            return
        together = [{"id": each.id, **each.values} for each in completed]
        for each, read in zip(completed, together, strict=True):
            with self._named_as_typed(each):
                self.prepared.ensure(flow, read, together)

    def _read(self, flow: "SalesFlow", asked: _OneCommand, naming: Naming) -> _OneCommand:
        """Read what was typed, and complete it by what the engine answers."""
        given = asked.values
        with self._named_as_typed(asked):
            values = {
                each.name: each.read(given[each.name], flow)
                for each in self.takes
                if each.name in given
            }
            id = None
            if not self.makes_new:
                said = {each.name: values[self._named(each)] for each in self.whose}
                whose = naming.identified(self.kind, self.whose, said)
                values |= {self._named(each): whose[each.name] for each in self.whose}
                id = stream_of(self.kind, whose, flow)
        with self._named_as_typed(asked._replace(id=id)):
            values |= naming.read(self.function.__name__, self._naming, values, id)
            if self.kind is not SalesProcess:
                naming.note_version(values)
            if self.prepared is not None:
                more = {n: as_typed(given[n]) for n, _, _ in self._more if n in given}
                values = self.prepared.prepare(flow, values | more)
        own = {each.name for each in self.own}
        return asked._replace(
            id=id, values={name: it for name, it in values.items() if name in own | self._told}
        )

    def _fingerprint(self, asked: Sequence[_OneCommand]) -> str:
        """Tell commands that were typed otherwise apart, where they are given one id."""
        typed = [self.kind.noun, self.function.__name__, *(each.values for each in asked)]
        return sha256(json.dumps(typed, sort_keys=True).encode()).hexdigest()

    @property
    def _naming(self) -> list[Parameter]:
        """The parameters that may name what there is; not the key of what is made."""
        keyed = self.makes_new and bool(self.own) and self.own[0].placed
        return self.own[1:] if keyed else self.own

    @property
    def _told(self) -> frozenset[str]:
        """The parameters that nobody types."""
        return self.prepared.provides if self.prepared else frozenset()

    def _give(self, session: "Session", flow: "SalesFlow", asked: _OneCommand) -> object:
        loaded = {n: it(session) if callable(it) else it for n, it in asked.values.items()}
        placed = [loaded.pop(each.name) for each in self.own if each.placed]
        if asked.id is None:
            made = self.function(*placed, **loaded)
            assert isinstance(made, Aggregate)
            return self._make(session, flow, made, asked)
        thing = session.get(self.kind, asked.id)
        before = getattr(thing, "amount", None)
        result = getattr(thing, self.function.__name__)(*placed, **loaded)
        if self._names is not None:
            self._names.note_recorded(thing, before)
        return result

    def _make(
        self, session: "Session", flow: "SalesFlow", made: Aggregate, asked: _OneCommand
    ) -> Aggregate:
        """Add what was made; what is there under its key is refused, or opened anew.

        What has no key is always another one.
        """
        before = flow.log.stream(made.id) if made.id_given else []
        if before and not believed_history(before):
            gone = {*retracted_ids(before)}
            facts = (e.fact for e in before if e.event_id not in gone)
            others = sum(not isinstance(fact, FactRetracted) for fact in facts)
            return self._open_anew(session, flow, made, asked, others)
        if self._names is not None:
            self._names.note_alike(made)
        if made.id_given:
            with suppress(NotFoundError):
                session.get(self.kind, made.id)
                raise already_there(self.kind.noun, _called(made, asked), twice=not before)
        return session.add(made)

    def _open_anew(
        self,
        session: "Session",
        flow: "SalesFlow",
        made: Aggregate,
        asked: _OneCommand,
        others: int,
    ) -> Aggregate:
        """Record the opening again of what was opened before, which was retracted."""
        untrack(made)
        zone = flow.settings().timezone
        now = flow.log.now()
        made.attach(ReplayContext(zone=zone, now=now, clock=lambda: now))
        [opening] = (each.fact for each in made.pending)
        occurred_at: Any = asked.values.get("occurred_at")
        session.reopen_history(made.id, opening, occurred_at=occurred_at)
        if others and self._names is not None:
            self._names.note_reopened(made.noun, _called(made, asked), others)
        return session.get(self.kind, made.id)

    @contextmanager
    def _named_as_typed(self, asked: _OneCommand) -> Iterator[None]:
        """Let refusals name a thing as it was typed, and where in a file that stands."""
        try:
            yield
        except SalesflowError as error:
            message, *rest = error.args
            by_id = str(asked.id).startswith(asked.called) and self.kind.noun in FOUND_BY_NAME
            as_typed = isinstance(error, NotFoundError) or not by_id  # else by its name
            if asked.id is not None and str(asked.id) in str(message) and as_typed:
                noun, word = self.kind.noun, word_of(self.kind.noun)
                called = f"{noun} {quoted(asked.called)}"
                message = str(message).replace(f"{noun} {asked.id}", called)
                if isinstance(error, NotFoundError):
                    near = self._names.things.perhaps(noun, asked.called) if self._names else ""
                    message = (
                        f"there is no {called}{near}; `salesflow {word} list` shows those"
                        " there are"
                    )
            error.args = (f"{asked.place}{message}" if asked.place else message, *rest)
            raise


def _called(made: Aggregate, asked: _OneCommand) -> str:
    """Return what a thing is called: a process by its key, and not by the file it is in."""
    openings = (event.fact for event in made.pending)
    versions = (getattr(fact, PROCESS, None) for fact in openings)
    keys = (each.key for each in versions if isinstance(each, ProcessVersion))
    return next(keys, asked.called)


@contextmanager
def _told_apart(command_id: str | None) -> Iterator[None]:
    """Say what became of a command whose id was used for another one before."""
    try:
        yield
    except AlreadyRecordedError as error:
        if error.differs != "fingerprint":
            raise
        receipt: Any = error.receipt
        raise InputError(
            Message(
                "command id {id} was used before, for something else, at event no. {first};"
                " nothing of what was typed now is recorded: take another --command-id",
                id=quoted(command_id),
                first=receipt.first,
            )
        ) from error


def _other_names(
    found: Mapping[str, object], known: Mapping[str, Parameter]
) -> dict[str, object]:
    """Return the name in the other language where a new thing is given one alone."""
    both = {"name_en", "name_zh"}
    if not both <= known.keys() or len(said := both & found.keys()) != 1:
        return {}
    return dict.fromkeys(both - said, found[next(iter(said))])


def _clash(whose: Sequence[Parameter], own: Sequence[Parameter]) -> bool:
    return bool({each.name for each in whose} & {each.name for each in own})


def _option(each: Parameter, text: str) -> CommandParameter:
    kind: Any = each.choices or str
    one_of = f"One of {', '.join(get_args(each.choices))}." if each.choices else ""
    text = " ".join(filter(None, (text, one_of)))
    if each.is_flag:
        option = typer.Option(flag_of(each.name), help=text, show_default=False)
        return each.name, Annotated[bool, option], False
    if each.is_list:
        kind = list[str]
    metavar = WORD if each.choices else each.hint
    if each.placed:
        kind = str if each.choices else kind
        text = f"{text} Required, here or by --input.".strip()
        argument = typer.Argument(metavar=each.name.upper(), help=text, show_default=False)
        return each.name, Annotated[kind | None, argument], None
    commas = "Several with commas, or again." if each.is_parted else "May be given again."
    again = commas if each.is_list else ""
    need = "Required." if each.required else ""
    help_text = " ".join(filter(None, (text, again, need)))
    option = typer.Option(
        flag_of(each.name), metavar=metavar, help=help_text, show_default=False
    )
    return each.name, Annotated[kind | None, option], None


def _field_texts(kind: type[Aggregate], function: Callable[..., object]) -> dict[str, str]:
    """Return what its parameters mean, by name.

    The docstrings below the fields of the facts that it records say so; where they do not,
    what is said of all commands, and at last a field of that name of another fact.
    """
    from salesflow.projections.core.question import field_docstrings

    own: dict[str, str] = {}
    others: dict[str, str] = {}
    names = {*_names_in(kind, function, 2)}
    for fact in kind.facts:
        found = own if fact.__name__ in names else others
        for name, text in field_docstrings(fact).items():
            found.setdefault(name, text)
    scopes = (each.model_fields["scope"] for each in kind.facts if "scope" in each.model_fields)
    spread = [it.annotation for it in scopes if isinstance(it.annotation, type)]
    within = {n: text for each in spread for n, text in field_docstrings(each).items()}
    of_command = {
        name: text for (command, name), text in HELPS_OF.items() if command == function.__name__
    }
    helps = {**others, **HELPS, **within, **own, **of_command}
    return helps | {"metric": f"{helps['metric']} {METRICS_THERE_ARE}"}


def _names_in(
    kind: type[Aggregate], function: Callable[..., object], deep: int
) -> Iterator[str]:
    """Yield what the code of a command names, and that of the methods it calls."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    for name in code.co_names if code is not None else ():
        yield name
        called = getattr(kind, name, None) if deep else None
        if name.startswith("_") and callable(called):
            yield from _names_in(kind, called, deep - 1)


def _optional(parameter: CommandParameter) -> CommandParameter:
    """Return a parameter that need not be typed, since JSON may hold it."""
    name, annotation, default = parameter
    if default is not inspect.Parameter.empty:
        return parameter
    kind, info = get_args(annotation)
    info = copy(info)
    info.help = f"{info.help} Required, here or by --input."
    return name, Annotated[kind | None, info], None


def _at(file: Path | None, number: int, documents: Sequence[object]) -> str:
    if file is None or len(documents) < 2:
        return ""
    return f"{file}, object {number:,}: "


# Whose a command is: what identifies a thing of each kind.


def identifier_of(kind: type[Aggregate]) -> list[Parameter]:
    """Return what says which thing of a kind is meant: mostly its key."""
    if kind.noun in ALONE:
        return []
    if kind.noun in FOUND_BY_NAME:
        noun = kind.noun
        return [Parameter(noun, str, required=True, placed=True)]
    return [each._replace(placed=True) for each in parameters_of(id_function(kind), kind)]


def stream_of(kind: type[Aggregate], whose: Mapping[str, object], flow: "SalesFlow") -> UUID:
    """Return the id of the thing that is meant.

    Raises:
        NotFoundError: when there is none of that name.
        InputError: when it is none, or several are meant.
    """
    find = FOUND_BY_NAME.get(kind.noun)
    if find is not None:
        return find(flow, str(whose[kind.noun]))
    if kind.noun in ALONE:
        alone: UUID = getattr(import_module(kind.__module__), ALONE[kind.noun])
        return alone
    id = id_function(kind)(**whose)
    assert isinstance(id, UUID)
    return id


ALONE: Final = {"book of outside figures": "FIGURES_ID"}
"""Kinds of which there is one thing, and the name of its id."""


def _rep_stream(flow: "SalesFlow", text: str) -> UUID:
    from salesflow.domain.rep import rep_id

    return rep_id(find_rep(flow, text, known=lambda _: False))


FOUND_BY_NAME: Final[Mapping[str, "Callable[[SalesFlow, str], UUID]"]] = {
    "deal": find_deal,
    "customer": find_customer,
    "rep": _rep_stream,
}
"""Kinds of things that people call by a name."""
