"""`salesflow ask`: a command for every question, made from its fields.

A question's required fields become arguments, the others options; its docstring is the help.
Values are read by pydantic as the question itself would, so a new question needs nothing
here. `--as-of` and `--known-at` say at which moment it is asked, `--compare-to` at which
other one, to show both answers and the difference.
"""

import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal, Union, get_args, get_origin
from uuid import UUID
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from salesflow.cli.context import (
    PERIOD_OPTIONS,
    AsOf,
    CommandContext,
    CompareTo,
    KnownAt,
    is_period,
    moment_said,
    with_context,
    with_period,
)
from salesflow.cli.ids import find_customer, find_deal, find_rep
from salesflow.domain.time import Period, from_instant, to_instant
from salesflow.errors import InputError
from salesflow.presentation.format import span_text
from salesflow.presentation.messages import Language, in_language, say
from salesflow.projections.core.comparison import Comparison
from salesflow.projections.core.question import Question, View, wrong_parameters
from salesflow.projections.scope.narrowing import MET

__all__ = ["command_of", "notes_of", "show_comparison", "show_view"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


QuestionClass = type[Question[View]]
Brief = Annotated[
    bool,
    typer.Option(
        "--brief",
        help="Leave out what is counted and how; of a retrospective show what matters most.",
        rich_help_panel="Common options",
    ),
]


CONTEXT = inspect.Parameter(
    "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=CommandContext
)


def command_of(question: QuestionClass) -> Callable[..., None]:
    """Make the command of a question."""
    of_period = is_period(question.model_fields)

    def command(
        context: CommandContext,
        as_of: str | None,
        known_at: str | None,
        compare_to: str | None,
        brief: bool,
        **given: object,
    ) -> None:
        with context.open() as flow:
            if of_period:
                given = with_period(given, flow, known_at)
            asked = _asked(question, given, flow)
            if compare_to is None:
                view = flow.ask(asked, as_of=as_of, known_at=known_at)
                notes = notes_of(flow, asked, view, context.screen.language)
                show_view(context, view, brief=brief, notes=[*notes])
                return
            then, known_then = moment_said(compare_to)
            comparison = flow.compare(
                asked, as_of=as_of, known_at=known_at, to_as_of=then, to_known_at=known_then
            )
            show_comparison(context, comparison, brief=brief)
            notes = notes_of(flow, asked, comparison.now, context.screen.language)
            context.screen.lines(notes, "yellow")

    parameters = [
        CONTEXT,
        *_parameters(question, PERIOD_OPTIONS if of_period else {}),
        _option("as_of", AsOf),
        _option("known_at", KnownAt),
        _option("compare_to", CompareTo),
        _made("brief", Brief, default=False),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = question.summary
    return with_context(command)


def show_view(
    context: CommandContext, view: View, *, brief: bool = False, notes: Sequence[str] = ()
) -> None:
    """Print a view: its tables, what it counts and how, and the moment it stands at."""
    screen = context.screen
    if screen.as_json:
        screen.json({**view.to_dict(), **({"notes": [*notes]} if notes else {})})
        return
    for table in view.named_tables(screen.language, brief=brief):
        screen.table(table)
    if not brief:
        screen.lines(view.meaning_lines(screen.language), "dim")
    *warnings, moment = view.moment_lines(screen.language)
    screen.lines([*notes, *warnings], "yellow")
    screen.line(moment, "green")


def show_comparison(
    context: CommandContext, comparison: Comparison[View], *, brief: bool = False
) -> None:
    """Print two answers side by side: what each table held then, holds now, the difference."""
    screen = context.screen
    if screen.as_json:
        screen.json(comparison.to_dict())
        return
    for table in comparison.tables(screen.language):
        screen.table(table)
    if not brief:
        screen.lines(comparison.now.meaning_lines(screen.language), "dim")
    colon = "：" if screen.language == "zh" else ": "
    for label, view in (("Then", comparison.then), ("Now", comparison.now)):
        side = screen.word(label) + colon
        *warnings, moment = (f"{side}{line}" for line in view.moment_lines(screen.language))
        screen.lines(warnings, "yellow")
        screen.line(moment, "green")


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


def _parameters(
    question: QuestionClass, periods: Mapping[str, object]
) -> Iterator[inspect.Parameter]:
    """Make the arguments and options of a question; a period is typed in a way of its own."""
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


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


# What an answer cannot say of itself: that nothing happened lately, that a rep is unknown.
#
# An answer of zeros looks like a true one. Whoever asks about a period that has not begun or
# ended by the moment asked of, about a time after the last event, or of a rep by whom no deal
# was ever owned, of a channel, a currency, a customer or a survey that was never met, is told
# so in a line of its own, as known at the answer's moment.

LOOKS_AHEAD: Final = ("forecast",)
"""Questions about a period that need not have begun."""
TICK: Final = timedelta(microseconds=1)


def notes_of(
    flow: "SalesFlow", asked: Question[View], view: View, language: Language
) -> Iterator[str]:
    """Say what a reader of the answer should know besides."""
    from salesflow.projections.scope.narrowing import MET

    for name, met in MET.items():
        value = getattr(asked, name, None)
        if value is None or flow.ask(met(value=str(value)), at=view.moment).met:
            continue
        yield f"{in_language(met.unmet, language)} {str(value)!r}"
    period = getattr(view, "period", None)
    if isinstance(period, Period):
        span = _PeriodDays(period, view)
        if asked.name in LOOKS_AHEAD:
            yield from _silence(flow, asked, span, language)
        elif span.begins_later:
            yield _not_begun(span, language)
        else:
            if span.ends_later and _is_named(asked):
                yield _not_ended(span, language)
            yield from _silence(flow, asked, span, language)


class _PeriodDays:
    """The period of an answer, in days of the business time zone, beside its moment."""

    def __init__(self, period: Period, view: View) -> None:
        moment, zone = view.moment, ZoneInfo(view.timezone)
        self.view, self.zone = view, zone
        self.begins_later = moment.as_of < period.start
        self.ends_later = moment.as_of < period.end - TICK
        length = period.end - period.start
        self.since = moment.as_of - length if self.begins_later else period.start
        """From when on something ought to have happened."""
        last = (period.end - TICK).astimezone(zone).date()
        self.named = span_text(period.start.astimezone(zone).date(), last)
        self.as_of, self.known_at = (
            at.astimezone(zone).date() for at in (moment.as_of, moment.known_at)
        )


def _is_named(asked: Question[View]) -> bool:
    """Say whether somebody named the period; the one of the moment is meant to go on."""
    return any(getattr(asked, name, None) is not None for name in ("from_", "to"))


def _not_begun(span: _PeriodDays, language: Language) -> str:
    earlier = span.as_of < span.known_at
    way_out = "ask --as-of a later day" if earlier else "ask about a period up to then"
    return say(
        "the period {period} has not begun as of {as_of}; facts are known until {known_at},"
        " {way_out}",
        language,
        period=span.named,
        as_of=span.as_of,
        known_at=span.known_at,
        way_out=say(way_out, language),
    )


def _not_ended(span: _PeriodDays, language: Language) -> str:
    return say(
        "the period {period} has not ended as of {as_of}; facts are known until {known_at}",
        language,
        period=span.named,
        as_of=span.as_of,
        known_at=span.known_at,
    )


def _silence(
    flow: "SalesFlow", asked: Question[View], span: _PeriodDays, language: Language
) -> Iterator[str]:
    from salesflow.adapters.event_store.search import last_happened

    known = to_instant(span.view.moment.known_at)
    last = last_happened(flow.log, to_instant(span.since), known)
    if last is None:
        return
    day = from_instant(last).astimezone(span.zone).date()
    named = _is_named(asked) and asked.name not in LOOKS_AHEAD
    way_out = (
        say("ask about a period up to then", language)
        if named
        else say("ask --as-of {day}", language, day=day)
    )
    yield say("nothing has happened since {day}; {way_out}", language, day=day, way_out=way_out)
