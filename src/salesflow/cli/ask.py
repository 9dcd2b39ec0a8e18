"""`salesflow ask`: a command for every question, made from its fields.

A question's required fields become arguments, the others options; its docstring is the help.
Values are read by pydantic as the question itself would, so a new question needs nothing
here. `--as-of` and `--known-at` say at which moment it is asked, `--compare-to` at which
other one, to show both answers and the difference.
"""

import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    Union,
    get_args,
    get_origin,
)
from uuid import UUID

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from salesflow.cli.answer_notes import notes_of
from salesflow.cli.context import (
    AsOf,
    CommandContext,
    CommandParameter,
    CompareTo,
    KnownAt,
    Position,
    Screen,
    day_text,
    parse_moment,
    with_context,
)
from salesflow.cli.things.ids import find_customer, find_deal, find_rep, find_stage
from salesflow.cli.things.known_things import KnownThings
from salesflow.domain.calendar import Days
from salesflow.domain.metric import METRICS
from salesflow.domain.time import (
    FOREVER,
    ONE_DAY,
    Moment,
    day_after,
    instant_of,
    read_day,
)
from salesflow.errors import InputError, NotFoundError
from salesflow.presentation.messages import COLON, Language
from salesflow.projections.core.comparison import Comparison
from salesflow.projections.core.left_out import Unmet
from salesflow.projections.core.question import Question, View, wrong_parameters
from salesflow.projections.known_names import MET, Met

__all__ = [
    "METRICS_THERE_ARE",
    "command_of",
    "period_asked",
    "period_parameters",
    "question_asked",
    "question_parameters",
    "show_view",
    "unmet_name",
    "unmet_names",
]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


WORD: Final = "WORD"
"""What stands for a word of a closed list, which the help names."""
QuestionClass = type[Question[View]]
Brief = Annotated[
    bool,
    typer.Option(
        "--brief",
        help="Leave out what is counted and how; of a retrospective show what matters most.",
        rich_help_panel="Common options",
    ),
]


class MomentTyped(NamedTuple):
    """The moment of a question, as it was typed."""

    as_of: str | None
    known_at: str | None
    position: int | None
    """Where the log stood when it was answered before."""

    def moment(self, flow: "SalesFlow") -> Moment | None:
        """Return the whole moment; None where no position was named."""
        if self.position is None or self.as_of is None or self.known_at is None:
            return None
        timezone = flow.settings().timezone
        as_of, known = (instant_of(each, timezone) for each in (self.as_of, self.known_at))
        return Moment.asked(as_of, known, self.position)


def _ensure_whole(as_of: str | None, known_at: str | None, position: int | None) -> None:
    if position is not None and (as_of is None or known_at is None):
        raise InputError(
            "--position says where the log stood at a whole moment; name --as-of and --known-at"
            " too"
        )


def command_of(question: QuestionClass) -> Callable[..., None]:
    """Make the command of a question."""

    def command(
        context: CommandContext,
        as_of: str | None,
        known_at: str | None,
        compare_to: str | None,
        position: int | None,
        brief: bool,
        **given: object,
    ) -> None:
        _ensure_whole(as_of, known_at, position)
        with context.open() as flow:
            asked = question_asked(question, given, flow, known_at)
            then = (None, None) if compare_to is None else parse_moment(compare_to)
            now = MomentTyped(as_of, known_at, position)
            try:
                if then[0] is None:
                    _show_answer(context, flow, asked, now, brief=brief)
                else:
                    _show_both_answers(context, flow, asked, now, then, brief=brief)
            except NotFoundError as error:
                raise _with_later(error, flow, asked, [(as_of, known_at), then]) from error

    parameters: list[CommandParameter] = [
        *question_parameters(question),
        ("as_of", AsOf, None),
        ("known_at", KnownAt, None),
        ("compare_to", CompareTo, None),
        ("position", Position, None),
        ("brief", Brief, False),
    ]
    command.__doc__ = question.summary
    return with_context(command, parameters)


def _with_later(
    error: NotFoundError,
    flow: "SalesFlow",
    asked: Question[View],
    moments: Sequence[tuple[str | None, str | None]],
) -> NotFoundError:
    """Say also which of the things asked about begin, or become known, after a moment."""
    from salesflow.cli.later import later_told, named_by  # which knows every kind of thing

    told = (each for at in moments for each in later_told(flow, [*named_by(asked)], *at))
    return NotFoundError("; ".join([str(error), *dict.fromkeys(told)]))


def question_parameters(question: QuestionClass) -> Iterator[CommandParameter]:
    """Make what a question is asked by: its own fields, a period in ways of its own."""
    of_period = _is_period(question.model_fields)
    yield from _parameters(question, _period_options(question) if of_period else {})


def question_asked(
    question: QuestionClass,
    given: dict[str, object],
    flow: "SalesFlow",
    known_at: str | None = None,
) -> Question[View]:
    """Return the question that was asked by what was typed.

    Raises:
        InputError: naming the options that can never be right.
    """
    if _is_period(question.model_fields):
        given = _with_period(given, flow, known_at)
    return _asked(question, given, flow)


def unmet_names(
    flow: "SalesFlow", asked: Question[View], language: Language, at: Moment | None = None
) -> Iterator[str]:
    """Yield what is said of names that nobody has heard of by a moment."""
    for name, met in MET.items():
        value = getattr(asked, name, None)
        if value is not None:
            yield from unmet_name(flow, met, str(value), language, at)


def unmet_name(
    flow: "SalesFlow", met: type[Met], value: str, language: Language, at: Moment | None = None
) -> Iterator[str]:
    """Yield what is said of a name where nobody has heard of it by a moment."""
    found = flow.ask(met(value=value), at=at)
    if not found.met:
        yield Unmet(value=value, said=met.unmet, near=found.near).sentence(language)


def period_parameters(question: QuestionClass) -> Iterator[CommandParameter]:
    """Make the options by which the period of a question is typed."""
    options = _period_options(question)
    yield from ((name, annotation, None) for name, annotation in options.items())


def period_asked(given: dict[str, object], flow: "SalesFlow") -> dict[str, object]:
    """Turn a period that was typed into its first day and the day after its last one.

    Raises:
        InputError: when there is no such period, or it is said twice.
    """
    return _with_period(given, flow, None)


def _show_answer(
    context: CommandContext,
    flow: "SalesFlow",
    asked: Question[View],
    now: "MomentTyped",
    *,
    brief: bool,
) -> None:
    screen, (as_of, known_at, _) = context.screen, now
    at = now.moment(flow)
    with screen.waiting("Read tables") as report:
        if at is None:
            view = flow.ask(asked, as_of=as_of, known_at=known_at, progress=report)
        else:
            view = flow.ask(asked, at=at, progress=report)
    notes = [*notes_of(flow, asked, view, screen.language)]
    if known_at is not None and any(each.later is None for each in view.unmet):
        from salesflow.cli.later import later_told, named_by

        notes += later_told(flow, [*named_by(asked)], as_of, known_at)  # became known later
    show_view(context, view, brief=brief, notes=notes)


def _show_both_answers(
    context: CommandContext,
    flow: "SalesFlow",
    asked: Question[View],
    now: "MomentTyped",
    then: tuple[str, str | None],
    *,
    brief: bool,
) -> None:
    """Show an answer as of a moment beside the one as of another one."""
    screen = context.screen
    (as_of, known_at, position), (to_as_of, to_known_at) = now, then
    with screen.waiting("Read tables") as report:
        comparison = flow.compare(
            asked,
            as_of=as_of,
            known_at=known_at,
            to_as_of=to_as_of,
            to_known_at=to_known_at,
            position=position,
            progress=report,
        )
    colon = COLON[screen.language]
    sides = []
    for label, view, option in (
        ("Compared with", comparison.then, "--compare-to"),
        ("As asked", comparison.now, "--as-of"),
    ):
        notes = [*view.unmet_lines(screen.language)]
        notes += notes_of(flow, asked, view, screen.language)
        named = [note.replace("--as-of", option) for note in notes]  # by what sets its moment
        sides.append((f"{screen.word(label)}{colon}", view, named))
    _show_comparison(screen, comparison, sides, brief=brief)


def show_view(
    context: CommandContext, view: View, *, brief: bool = False, notes: Sequence[str] = ()
) -> None:
    """Print a view: its tables, what it counts and how, and the moment it stands at."""
    screen = context.screen
    if screen.as_json:
        above = view.unmet_lines(screen.language)
        screen.json(_with_notes(view.to_dict(), [*above, *notes]))
        return
    screen.paragraphs((view.unmet_lines(screen.language), "yellow"))
    screen.table(*view.named_tables(screen.language, brief=brief))
    meaning = [] if brief else view.meaning_lines(screen.language)
    *warnings, moment = view.moment_lines(screen.language)
    screen.paragraphs((meaning, "dim"), ([*notes, *warnings], "yellow"), ([moment], "green"))


def _show_comparison(
    screen: Screen,
    comparison: Comparison[View],
    sides: Sequence[tuple[str, View, list[str]]],
    *,
    brief: bool = False,
) -> None:
    """Print two answers side by side: what each table held then, holds now, the difference.

    Below them, what should be known of each side besides.
    """
    if screen.as_json:
        notes = [f"{label}{note}" for label, _, notes in sides for note in notes]
        screen.json(_with_notes(comparison.to_dict(), notes))
        return
    screen.table(*comparison.tables(screen.language))
    if not brief:
        screen.lines(comparison.now.meaning_lines(screen.language), "dim")
    for label, view, notes in sides:
        lines = [*notes, *view.moment_lines(screen.language)]
        *warnings, moment = (f"{label}{line}" for line in lines)
        screen.lines(warnings, "yellow")
        screen.line(moment, "green")


def _with_notes(answer: Mapping[str, object], notes: Sequence[str]) -> dict[str, object]:
    return {**answer, **({"notes": [*notes]} if notes else {})}


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
        complaints = (f"{_flag(name)}: {why}" if name else why for name, why in wrong.items())
        raise InputError("; ".join(complaints)) from error
    return found


def _flag(name: str) -> str:
    return name if " " in name else f"--{name.rstrip('_').replace('_', '-')}"


def _identified(name: str, value: object, field: FieldInfo, flow: "SalesFlow") -> object:
    """Let deals, customers and reps be written as people write them: a name, first digits."""
    kinds = _kinds(field.annotation)
    find = _finder(name) if UUID in kinds else NAMED_FINDERS.get(name)
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


KEYS: Final = {
    "contest": "contest",
    "plan": "incentive plan",
    "process": "sales process",
    "team": "team",
    "training": "training",
}
"""Parameters that name a thing with a key, which may be said by name, and of which kind."""


def _thing(noun: str) -> "Callable[[SalesFlow, str], str]":
    """Return what finds a thing by key or name; one that there is not is for the question."""
    return lambda flow, text: KnownThings(flow).key(noun, text) or text


NAMED_FINDERS: Final = {
    "owner": _rep,
    "rep": _rep,
    "stage": find_stage,
    **{name: _thing(noun) for name, noun in KEYS.items()},
}
"""How what is no id of ours is found by a name, by what a parameter is called."""


def _parameters(
    question: QuestionClass, periods: Mapping[str, object]
) -> Iterator[CommandParameter]:
    """Make the arguments and options of a question; a period is typed in a way of its own."""
    for name, field in question.model_fields.items():
        if name not in periods:
            yield _parameter(name, field)
    yield from ((name, annotation, None) for name, annotation in periods.items())


def _parameter(name: str, field: FieldInfo) -> CommandParameter:
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
    metavar = None
    if choices is not None:
        metavar, words = WORD, get_args(choices)
        if not all(re.search(rf"\b{re.escape(str(word))}\b", text) for word in words):
            text = f"{text} One of {', '.join(map(str, words))}."
    if field.is_required():
        argument = typer.Argument(metavar=name.upper(), help=text, show_default=False)
        return name, Annotated[kind, argument], inspect.Parameter.empty
    option = typer.Option(_flag(name), metavar=metavar, help=text, show_default=False)
    if kind is bool:
        return name, Annotated[bool, option], bool(field.get_default())
    return name, Annotated[kind | None, option], None  # type: ignore[operator]


METRICS_THERE_ARE: Final = f"There are {', '.join(METRICS)}; their names are taken too."
"""What the help of an option says that takes a metric."""


def _help_of(name: str, field: FieldInfo) -> str:
    text = field.description or _default_text(field)
    if name == "metric":
        return f"{text} {METRICS_THERE_ARE}"
    if UUID in _kinds(field.annotation) and _finder(name) is not None:
        called = "title" if _finder(name) is find_deal else "name"
        return f"{text} May be said by {called}, id, first digits or SOURCE:OBJECT."
    key = {"owner": "id", "stage": "key", **dict.fromkeys(KEYS, "key")}.get(name)
    return f"{text} May be said by {key} or name." if key else text


def _default_text(field: FieldInfo) -> str:
    default = None if field.is_required() else field.get_default(call_default_factory=False)
    return "" if default in (None, ()) else f"Default: {default}."


def _kinds(annotation: object) -> tuple[object, ...]:
    """Return the types an annotation allows, None left out."""
    if get_origin(annotation) in (Union, types.UnionType):
        found = (kind for part in get_args(annotation) for kind in _kinds(part))
        return tuple(kind for kind in found if kind is not types.NoneType)
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return (annotation, *_kinds(get_args(annotation)[0]))
    return (annotation,)


# Periods as they are typed: a first and a last day, or a month, a quarter or a year by name.
#
# The last day belongs to the period. Quarters and years are the fiscal ones of the settings;
# months are those of the calendar.

PANEL: Final = "Period"
MONTHS: Final = 12


def _period_option(flag: str, metavar: str, text: str) -> object:
    return Annotated[
        str | None,
        typer.Option(
            flag,
            metavar=metavar,
            help=text,
            rich_help_panel=PANEL,
            show_default=False,
            parser=day_text if metavar == "DAY" else None,
        ),
    ]


PERIOD_OPTIONS: Final = {
    "to": _period_option(
        "--to",
        "DAY",
        "The last day of the period, which belongs to it. Default: of the fiscal quarter.",
    ),
    "month": _period_option("--month", "YYYY-MM", "A month of the calendar, such as 2026-04."),
    "quarter": _period_option(
        "--quarter", "YYYY-QN", "A fiscal quarter by the settings, such as 2026-Q2."
    ),
    "year": _period_option("--year", "YYYY", "A fiscal year by the settings, such as 2026."),
}
"""What a question over a period takes instead of its own fields, by name, besides `from_`."""
FOUR_DIGITS = re.compile(r"(19|[2-9][0-9])[0-9]{2}(?![0-9])").match
"""What a year begins with."""
NAMED: Final = ("month", "quarter", "year")


def _period_options(question: QuestionClass) -> dict[str, object]:
    text = question.model_fields["from_"].description or ""
    return {"from_": _period_option("--from", "DAY", text), **PERIOD_OPTIONS}


def _is_period(fields: Mapping[str, object]) -> bool:
    """Return whether a question is about a period."""
    return {"from_", "to"} <= fields.keys()


def _with_period(
    given: dict[str, Any], flow: "SalesFlow", known_at: str | None
) -> dict[str, Any]:
    """Turn the period that was typed into the days a question takes: `to` is the day after.

    Raises:
        InputError: when there is no such period, or it is said twice.
    """
    names = ("from_", *PERIOD_OPTIONS)
    text = {name: given.pop(name) for name in names if given.get(name) is not None}
    if len(text) > 1 and text.keys() - {"from_", "to"}:
        flags = ", ".join(f"--{name.rstrip('_')}" for name in text)
        raise InputError(f"{flags}: say the period in one way only")
    named = next((name for name in NAMED if name in text), None)
    if named is not None:
        days = _named(named, text[named], flow, known_at)
        return {**given, "from_": days.first, "to": day_after(days.last)}
    first, last = (text.get(name) and read_day(text[name]) for name in ("from_", "to"))
    if first is not None and last is not None and last < first:
        raise InputError(f"--from {first} --to {last}: the last day lies before the first")
    if first is None and last is not None:
        raise InputError(
            f"--to {last}: name the first day too, with --from, or a whole period with --month,"
            " --quarter or --year"
        )
    return {**given, "from_": first, "to": None if last is None else day_after(last)}


def _named(kind: str, text: str, flow: "SalesFlow", known_at: str | None) -> Days:
    known = FOREVER
    if known_at is not None:
        known = instant_of(known_at, flow.settings().timezone)
    calendar = flow.settings(known).fiscal_calendar
    try:
        if not FOUR_DIGITS(text):
            raise ValueError
        if kind == "month":
            return _month(text)
        year, _, quarter = text.upper().partition("-Q")
        if (kind == "quarter") != bool(quarter):
            raise ValueError
        if kind == "year":
            return calendar.year(_number(year))
        return calendar.quarter(_number(year), _number(quarter))
    except (ValueError, OverflowError) as error:
        if FOUR_DIGITS(text) and text.startswith(str(date.max.year)):
            last = f"the calendar ends within it, on {date.max}; name one before it"
            raise InputError(f"--{kind} {text}: {last}") from error
        example = {"month": "2026-04", "quarter": "2026-Q2", "year": "2026"}[kind]
        raise InputError(
            f"--{kind}: {text!r} is not a {kind}; write one like {example}"
        ) from error


def _month(text: str) -> Days:
    year, _, month = text.partition("-")
    first = date(_number(year), _number(month), 1)
    at = first.year * MONTHS + first.month
    return Days(first, date(at // MONTHS, at % MONTHS + 1, 1) - ONE_DAY)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError
    return int(text)
