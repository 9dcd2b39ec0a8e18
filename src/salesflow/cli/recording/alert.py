"""`salesflow alert`: what completes its commands, and the evaluation of all alerts."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer

from salesflow.cli.ask import question_asked, question_parameters, unmet_name, unmet_names
from salesflow.cli.context import CommandContext, CommandParameter, with_context
from salesflow.cli.recording.commands import Prepared
from salesflow.cli.recording.values import Percentage
from salesflow.domain.alert import Alert, WatchedFigure, alert_id
from salesflow.domain.wording import quoted
from salesflow.errors import InputError
from salesflow.presentation.fields import plain
from salesflow.presentation.format import NO_VALUE
from salesflow.presentation.messages import Language, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.known_names import ChannelMet, Met, PersonMet, TeamMet

__all__ = ["WATCHED", "evaluate"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

QUESTION: Final = typer.Option("--question", help="The question, such as deal-health.")
FIGURE: Final = typer.Option(
    "--figure",
    help="The path to a figure in its answer, as --json prints it: open_deals, or"
    " counts\\[reason=stalled].deals; null is what it prints, as in"
    " lines\\[group=null].orders. A wrong one is refused with those there are.",
)
PARAMETER: Final = typer.Option(
    "--parameter",
    metavar="NAME=VALUE",
    help="A parameter of the question, such as owner=u-17. May be given again.",
)
MORE: Final[tuple[CommandParameter, ...]] = (
    ("question", Annotated[str | None, QUESTION], None),
    ("figure", Annotated[str | None, FIGURE], None),
    ("parameter", Annotated[list[str] | None, PARAMETER], None),
)


def _watched(flow: "SalesFlow", given: dict[str, object]) -> dict[str, object]:
    """Look whether what is to be watched is there; nothing where nothing is named."""
    from salesflow.engine.alerts import watched_figure
    from salesflow.engine.watched_figures import question_named

    values = dict(given)
    question, figure = (values.pop(name, None) for name in ("question", "figure"))
    parameters = values.pop("parameter", None)
    if question is None and figure is None and parameters is None and "because" in values:
        stays = flow.get(Alert, alert_id(str(values["key"]))).watched
        _ensure_number(stays, values)
        return values  # a revision that leaves it as it is
    if question is None or figure is None:
        raise InputError("name what is watched: --question and --figure; see --help")
    assert parameters is None or isinstance(parameters, Iterable)
    pairs = [*map(_pair, parameters or ())]
    asked = _asked(question_named(str(question)), pairs, flow)
    named = asked.model_dump(mode="json", exclude_defaults=True)
    watched = watched_figure(flow, str(question), str(figure), **named)
    _ensure_number(watched, values)
    return {**values, "watched": watched}


def _ensure_number(watched: WatchedFigure | None, values: Mapping[str, object]) -> None:
    """Refuse a threshold in per cent of what is no share."""
    from salesflow.engine.watched_figures import ensure_no_percentage

    threshold = values.get("threshold")
    if watched is not None and isinstance(threshold, Percentage):
        ensure_no_percentage(watched, threshold.typed)


def _asked(question: Any, pairs: Iterable[tuple[str, str]], flow: "SalesFlow") -> Any:  # noqa: ANN401 - any question
    """Return the question that is asked by its options, as `ask` would take them."""
    known = {
        name.rstrip("_").replace("_", "-"): (name, kind)
        for name, kind, _ in question_parameters(question)
    }
    given: dict[str, Any] = {}
    for typed, text in pairs:
        if typed.replace("_", "-") not in known:
            there = ", ".join(known)
            raise InputError(f"there is no parameter {quoted(typed)}; there are {there}")
        name, annotation = known[typed.replace("_", "-")]
        kind, *_ = get_args(annotation)
        if kind == list[str] | None:
            given[name] = [*given.get(name, ()), text]
        elif name in given:
            raise InputError(f"parameter {quoted(typed)} is given twice; give it once")
        else:
            given[name] = YES.get(text, text) if kind is bool else text
    try:
        return question_asked(question, given, flow)
    except InputError as error:
        said = re.sub(r"(^|; )--", r"\1parameter ", str(error))
        raise InputError(f"{question.name}: {said}") from None


YES: Final = {"yes": True, "true": True, "no": False, "false": False}


def _pair(text: object) -> tuple[str, str]:
    name, is_said, value = str(text).partition("=")
    if not is_said:
        raise InputError(f"{text!r} is no parameter; write NAME=VALUE, such as owner=u-17")
    return name.strip(), value


def _notes(
    flow: "SalesFlow", values: Mapping[str, object], language: Language
) -> Iterator[str]:
    """Say what an alert is narrowed to and nobody has heard of: it would watch nothing."""
    from salesflow.engine.watched_figures import figure_found, question_watched

    watched = values.get("watched")
    if not isinstance(watched, WatchedFigure):
        return
    asked = question_watched(watched)
    yield from unmet_names(flow, asked, language)
    missing = figure_found(flow.ask(asked), watched.figure).missing
    if missing is not None:
        yield from _unmet_rows(flow, asked, missing.keys, language)
        yield say(
            "{missing}; while that is so, the alert is not raised, and each evaluation says so",
            language,
            missing=missing.sentence(),
        )


def _unmet_rows(
    flow: "SalesFlow",
    asked: Any,  # noqa: ANN401 - any question
    keys: Mapping[str, str],
    language: Language,
) -> Iterator[str]:
    """Say of whom a row is that nobody has heard of."""
    for key, value in keys.items():
        what = getattr(asked, "by", None) if key == "group" else key
        met = MET_IN_ROWS.get(str(what))
        if met is not None and value:
            yield from unmet_name(flow, met, value, language)


MET_IN_ROWS: Final[Mapping[str, type[Met]]] = {
    "team": TeamMet,
    "rep": PersonMet,
    "owner": PersonMet,
    "channel": ChannelMet,
}
"""What finds out whether somebody was ever met of whom a row is, by what the row is called."""


WATCHED: Final = Prepared(_watched, frozenset({"watched"}), MORE, _notes)


@with_context
def evaluate(
    context: CommandContext,
    alert: Annotated[str | None, typer.Argument(help="Only this alert.")] = None,
) -> None:
    """Evaluate all alerts once: raise those whose condition is met, clear the others.

    It ends with 1 where one cannot be evaluated, or its row is not in the answer; the others
    are.
    """
    from salesflow.engine.alerts import AlertEvaluation, evaluate_alerts

    with context.open() as flow:
        found: list[AlertEvaluation] = evaluate_alerts(flow, only=alert)
        context.screen.json([_as_json(each) for each in found])
        word = context.screen.word
        rows = tuple(
            (
                each.alert,
                word(_state(each)),
                word("yes" if each.changed else "no"),
                NO_VALUE
                if each.evidence is None or each.evidence.figure is None
                else f"{each.evidence.figure.normalize():,f}",
                each.problem or "",
            )
            for each in found
        )
        columns = ("Alert", "State", "Changed", "Found", "Problem")
        context.screen.table(TableOfView("Alerts evaluated", columns, rows))
    if any(each.problem for each in found):
        raise typer.Exit(1)  # a job that nobody looks at is told by its exit code


def _state(evaluation: Any) -> str:  # noqa: ANN401 - its module loads the engine
    """Say how it stands; clear is only what was looked at."""
    if evaluation.raised:
        return "raised"
    return "clear" if evaluation.problem is None else "unknown"


def _as_json(evaluation: Any) -> dict[str, Any]:  # noqa: ANN401 - its module loads the engine
    found: dict[str, Any] = evaluation._asdict()
    evidence = found["evidence"]
    return {**found, "evidence": None if evidence is None else plain(evidence)}
