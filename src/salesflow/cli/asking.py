"""`salesflow ask`: a command for every question, made from its fields.

A question's required fields become arguments, the others options; its docstring is the help.
Values are read by pydantic as the question itself would, so a new question needs nothing
here. `--as-of` and `--known-at` say at which moment it is asked, `--compare-to` at which
other one, to show both answers and the difference.
"""

import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Union, get_args, get_origin
from uuid import UUID

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from salesflow.cli.desk import AsOf, CompareTo, Desk, KnownAt, at_desk
from salesflow.cli.finding import find_customer, find_deal, find_rep
from salesflow.cli.notes import notes_of
from salesflow.cli.periods import PERIOD_OPTIONS, is_period, with_period
from salesflow.cli.times import moment_said
from salesflow.errors import InputError
from salesflow.projections.comparing import Comparison
from salesflow.projections.met import MET
from salesflow.projections.parameters import wrong_parameters
from salesflow.projections.questions import Question, View

if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

__all__ = ["command_of", "show_comparison", "show_view"]

QuestionClass = type[Question[View]]
Brief = Annotated[
    bool,
    typer.Option(
        "--brief",
        help="Leave out what is counted and how; of a retrospective show what matters most.",
        rich_help_panel="Common options",
    ),
]


def command_of(question: QuestionClass) -> Callable[..., None]:
    """Make the command of a question."""

    def command(
        desk: Desk,
        as_of: str | None,
        known_at: str | None,
        compare_to: str | None,
        brief: bool,
        **given: object,
    ) -> None:
        with desk.open() as flow:
            if is_period(question.model_fields):
                given = with_period(given, flow, known_at)
            asked = _asked(question, given, flow)
            if compare_to is None:
                view = flow.ask(asked, as_of=as_of, known_at=known_at)
                notes = notes_of(flow, asked, view, desk.language)
                show_view(desk, view, brief=brief, notes=[*notes])
                return
            then, known_then = moment_said(compare_to)
            comparison = flow.compare(
                asked, as_of=as_of, known_at=known_at, to_as_of=then, to_known_at=known_then
            )
            show_comparison(desk, comparison, brief=brief)
            for note in notes_of(flow, asked, comparison.now, desk.language):
                desk.screen.line(note, "yellow")

    parameters = [
        inspect.Parameter("desk", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Desk),
        *_parameters(question),
        _option("as_of", AsOf),
        _option("known_at", KnownAt),
        _option("compare_to", CompareTo),
        _made("brief", Brief, default=False),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = question.summary
    return at_desk(command)


def show_view(
    desk: Desk, view: View, *, brief: bool = False, notes: Sequence[str] = ()
) -> None:
    """Print a view: its tables, what it counts and how, and the moment it stands at."""
    screen = desk.screen
    if screen.as_json:
        screen.json({**view.to_dict(), **({"notes": [*notes]} if notes else {})})
        return
    for table in view.named_tables(desk.language, brief=brief):
        screen.table(table)
    if not brief:
        _show_meaning(desk, view)
    for note in notes:
        screen.line(note, "yellow")
    _show_moment(desk, view)


def show_comparison(desk: Desk, comparison: Comparison[View], *, brief: bool = False) -> None:
    """Print two answers side by side: what each table held then, holds now, the difference."""
    screen = desk.screen
    if screen.as_json:
        screen.json(comparison.to_dict())
        return
    for table in comparison.tables(desk.language):
        screen.table(table)
    if not brief:
        _show_meaning(desk, comparison.now)
    _show_moment(desk, comparison.then, "Then")
    _show_moment(desk, comparison.now, "Now")


def _show_meaning(desk: Desk, view: View) -> None:
    for line in view.meaning_lines(desk.language):
        desk.screen.line(line, "dim")


def _show_moment(desk: Desk, view: View, label: str = "") -> None:
    said = _labelled(desk, label) if label else ""
    *warnings, moment = view.moment_lines(desk.language)
    for line in warnings:
        desk.screen.line(f"{said}{line}", "yellow")
    desk.screen.line(f"{said}{moment}", "green")


def _labelled(desk: Desk, label: str) -> str:
    return desk.screen.word(label) + ("：" if desk.language == "zh" else ": ")


def _asked(
    question: QuestionClass, given: dict[str, object], flow: "SalesFlow"
) -> Question[View]:
    values = {
        name: _identified(name, given[name], field, flow)
        for name, field in question.model_fields.items()
        if given.get(name) not in (None, (), [])
    }
    try:
        found: Question[View] = question.__pydantic_validator__.validate_python(values)
    except ValidationError as error:
        wrong = wrong_parameters(error, map(_flag, question.model_fields))
        complaints = (f"{_flag(name)}: {why}" for name, why in wrong.items())
        raise InputError("; ".join(complaints)) from error
    return found


def _flag(name: str) -> str:
    return name if " " in name else f"--{name.rstrip('_').replace('_', '-')}"


def _identified(name: str, value: object, field: FieldInfo, flow: "SalesFlow") -> object:
    """Let deals, customers and reps be written as people write them: a name, first digits."""
    kinds = _kinds(field.annotation)
    find = _finder(name) if UUID in kinds else _rep if name == "owner" else None
    if find is None:
        return value
    if isinstance(value, list | tuple):
        return tuple(find(flow, str(one)) for one in value)
    return find(flow, str(value))


def _finder(name: str) -> "Callable[[SalesFlow, str], UUID] | None":
    noun = name.partition("_")[0].removesuffix("s")
    return {"deal": find_deal, "customer": find_customer}.get(noun)


def _rep(flow: "SalesFlow", text: str) -> str:
    """Find a rep by name, unless deals have such an owner."""
    if not text.strip():
        return text  # which the question refuses
    return find_rep(flow, text, known=lambda owner: flow.ask(MET["owner"](value=owner)).met)


def _parameters(question: QuestionClass) -> Iterator[inspect.Parameter]:
    """Make the arguments and options of a question; a period is typed in a way of its own."""
    periods = PERIOD_OPTIONS if is_period(question.model_fields) else {}
    for name, field in question.model_fields.items():
        if name not in periods:
            yield _parameter(name, field)
    yield from (_option(name, annotation) for name, annotation in periods.items())


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """Make the argument or option of one field of a question."""
    kinds = _kinds(field.annotation)
    choices = next((k for k in kinds if get_origin(k) is Literal), None)
    several = any(get_origin(kind) is tuple for kind in kinds)
    kind: object = choices if choices is not None else int if int in kinds else str
    if bool in kinds:
        kind = bool
    if several:
        kind = list[str]
    text = _help_of(name, field)
    if field.is_required():
        argument = typer.Argument(metavar=name.upper(), help=text, show_default=False)
        return _made(name, Annotated[kind, argument])
    option = typer.Option(_flag(name), help=text, show_default=False)
    if kind is bool:
        return _made(name, Annotated[bool, option], default=bool(field.get_default()))
    return _made(name, Annotated[kind | None, option], default=None)  # type: ignore[operator]


def _help_of(name: str, field: FieldInfo) -> str:
    text = field.description or _default_text(field)
    if UUID in _kinds(field.annotation) and _finder(name) is not None:
        called = "title" if _finder(name) is find_deal else "name"
        return f"{text} May be said by {called}, id, first digits or SOURCE:OBJECT."
    return f"{text} May be said by id or name." if name == "owner" else text


def _default_text(field: FieldInfo) -> str:
    default = None if field.is_required() else field.get_default(call_default_factory=False)
    return "" if default in (None, ()) else f"Default: {default}."


def _kinds(annotation: object) -> tuple[object, ...]:
    """Give the types an annotation allows, None left out."""
    if get_origin(annotation) in (Union, types.UnionType):
        found = (kind for part in get_args(annotation) for kind in _kinds(part))
        return tuple(kind for kind in found if kind is not types.NoneType)
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return (annotation, *_kinds(get_args(annotation)[0]))
    return (annotation,)


def _made(name: str, annotation: object, **more: object) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=annotation,
        **more,
    )


def _option(name: str, annotation: object) -> inspect.Parameter:
    return _made(name, annotation, default=None)
