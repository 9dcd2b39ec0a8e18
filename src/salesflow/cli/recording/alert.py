"""`salesflow alert`: what completes its commands, and the evaluation of all alerts."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from salesflow.cli.context import CommandContext, CommandParameter, with_context
from salesflow.cli.recording.commands import Prepared
from salesflow.errors import InputError
from salesflow.presentation.fields import plain
from salesflow.presentation.format import NO_VALUE
from salesflow.presentation.table import TableOfView

__all__ = ["WATCHED", "evaluate"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

QUESTION: Final = typer.Option("--question", help="The question, such as deal-health.")
FIGURE: Final = typer.Option(
    "--figure",
    help="The path to a figure in its answer, as --json prints it: open_deals, or"
    " counts\\[reason=stalled].deals. A wrong one is refused with those there are.",
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

    values = dict(given)
    question, figure = (values.pop(name, None) for name in ("question", "figure"))
    parameters = values.pop("parameter", None)
    if question is None and figure is None and parameters is None and "because" in values:
        return values  # a revision that leaves it as it is
    if question is None or figure is None:
        raise InputError("name what is watched: --question and --figure; see --help")
    assert parameters is None or isinstance(parameters, Iterable)
    named = dict(map(_parameter, parameters or ()))
    watched = watched_figure(flow, str(question), str(figure), **named)
    return {**values, "watched": watched}


def _parameter(text: object) -> tuple[str, object]:
    name, is_said, value = str(text).partition("=")
    if not is_said:
        raise InputError(f"{text!r} is no parameter; write NAME=VALUE, such as owner=u-17")
    return name.strip().replace("-", "_"), _value(value)


def _value(text: str) -> object:
    """Return a number or yes and no as such, anything else as text."""
    try:
        found: object = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, int) else text


WATCHED: Final = Prepared(_watched, frozenset({"watched"}), MORE)


@with_context
def evaluate(
    context: CommandContext,
    alert: Annotated[str | None, typer.Argument(help="Only this alert.")] = None,
) -> None:
    """Evaluate all alerts once: raise those whose condition is met, clear the others."""
    from salesflow.engine.alerts import AlertEvaluation, evaluate_alerts

    with context.open() as flow:
        found: list[AlertEvaluation] = evaluate_alerts(flow, only=alert)
        context.screen.json([_as_json(each) for each in found])
        word = context.screen.word
        rows = tuple(
            (
                each.alert,
                word("raised" if each.raised else "clear"),
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


def _as_json(evaluation: Any) -> dict[str, Any]:  # noqa: ANN401 - its module loads the engine
    found: dict[str, Any] = evaluation._asdict()
    evidence = found["evidence"]
    return {**found, "evidence": None if evidence is None else plain(evidence)}
