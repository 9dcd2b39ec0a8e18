"""`salesflow figure` and `salesflow award list`: what has no stream of its own to be listed by.

Outside figures stand together in one book, awards with the reps who were given them.
"""

from typing import Annotated
from uuid import UUID

import typer

from salesflow.cli.context import AsOf, CommandContext, KnownAt, with_context
from salesflow.cli.recording.things import show_events
from salesflow.cli.recording.things_read import ThingsRead
from salesflow.domain.alike_names import perhaps
from salesflow.domain.event import Event
from salesflow.domain.figures import FIGURES_ID, FigureReported, Figures
from salesflow.domain.metric import FIGURE
from salesflow.domain.wording import quoted
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import plain
from salesflow.presentation.format import NO_VALUE, local_day
from salesflow.presentation.table import TableOfView
from salesflow.presentation.value_text import Unit

__all__ = ["figure_history", "list_awards", "list_figures", "show_figure"]


FigureKey = Annotated[
    str | None,
    typer.Argument(
        metavar="FIGURE",
        help="The key of the figure, such as market-share; all when left out.",
        show_default=False,
    ),
]
REPORTED = "Reports of outside figures"
REPORTS = ("Figure", "Period", "Value", "Unit", "Source", "Reported", "Note")


@with_context
def list_figures(context: CommandContext, as_of: AsOf = None, known_at: KnownAt = None) -> None:
    """List the figures reported from outside: unit, latest period and value, source."""
    with context.open() as flow:
        read = ThingsRead(flow, context.language, as_of=as_of, known_at=known_at)
        reports = _reports(read)
        latest = {each.figure: (each, at) for each, at in reports}
        counts = {key: sum(each.figure == key for each, _ in reports) for key in latest}
        context.screen.json(
            {
                "figures": [
                    {**_json(*latest[key]), "periods": counts[key]} for key in sorted(latest)
                ],
                "moment": plain(read.moment),
            }
        )
        rows = tuple(
            (key, f"{counts[key]:,}", *_cells(*latest[key], read)[1:-1])
            for key in sorted(latest)
        )
        columns = ("Figure", "Periods", "Latest period", "Value", "Unit", "Source", "Reported")
        context.screen.table(TableOfView("Outside figures", columns, rows, by_weight=True))
        context.screen.moment(read.moment, read.zone)


@with_context
def show_figure(
    context: CommandContext,
    figure: FigureKey = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> None:
    """Show the reports of a figure that stand: periods, values, unit and source."""
    with context.open() as flow:
        read = ThingsRead(flow, context.language, as_of=as_of, known_at=known_at)
        reports = _reports(read)
        if figure is not None:
            key = figure.removeprefix(FIGURE)
            there = sorted({each.figure for each, _ in reports})
            if key not in there:
                raise NotFoundError(
                    f"no figure {quoted(key)} is reported at that moment{perhaps(key, there)};"
                    " `salesflow figure list` shows those that are"
                )
            reports = [each for each in reports if each[0].figure == key]
        context.screen.json(
            {"reports": [_json(*each) for each in reports], "moment": plain(read.moment)}
        )
        rows = tuple(_cells(*each, read) for each in reports)
        context.screen.table(TableOfView(REPORTED, REPORTS, rows, by_weight=True))
        context.screen.moment(read.moment, read.zone)


@with_context
def figure_history(
    context: CommandContext, figure: FigureKey = None, known_at: KnownAt = None
) -> None:
    """List every report of a figure: when, by whom and what, those that were replaced too."""
    with context.open() as flow:
        events = flow.history(FIGURES_ID, known_at=known_at)
        if figure is not None:
            key = figure.removeprefix(FIGURE)
            mine = {
                event.event_id
                for event in events
                if isinstance(event.fact, FigureReported) and event.fact.figure == key
            }
            if not mine:
                raise NotFoundError(
                    f"no figure {quoted(key)} has been reported; `salesflow figure list` shows"
                    " those that were"
                )
            events = [e for e in events if e.event_id in mine or _names(e, mine)]
        show_events(Figures, context, flow, figure or "", events, known_at)


def _names(event: Event, mine: set[UUID]) -> bool:
    """Return whether a retraction takes one of some events back, or such a retraction."""
    named = getattr(event.fact, "event_id", None)
    if named not in mine:
        return False
    mine.add(event.event_id)
    return True


def _reports(read: ThingsRead) -> list[tuple[FigureReported, Event]]:
    """Return the reports that stand, by figure and period, each with its event."""
    try:
        book = read.get(Figures, FIGURES_ID)
    except NotFoundError:  # nothing was reported by then
        return []
    odd = {event.event_id for event, _ in book.irregular}
    found = {}
    for event in book.history:
        fact = event.fact
        if isinstance(fact, FigureReported) and event.event_id not in odd:
            found[fact.figure, fact.first_day, fact.last_day] = (fact, event)
    return [found[key] for key in sorted(found) if key in book.reports]


def _json(report: FigureReported, event: Event) -> dict[str, object]:
    return {**report.model_dump(mode="json"), "reported_at": plain(event.occurred_at)}


def _cells(report: FigureReported, event: Event, read: ThingsRead) -> tuple[str, ...]:
    return (
        report.figure,
        read.span(report.first_day, report.last_day),
        Unit(unit=report.unit).written(report.value, read.language),
        read.word(report.unit),
        report.source,
        local_day(event.occurred_at, read.zone),
        report.note or NO_VALUE,
    )


@with_context
def list_awards(context: CommandContext, as_of: AsOf = None, known_at: KnownAt = None) -> None:
    """List the awards that reps were given, the latest first."""
    with context.open() as flow:
        read = ThingsRead(flow, context.language, as_of=as_of, known_at=known_at)
        given = [(award, rep.reference or "") for rep in read.reps() for award in rep.awards]
        given.sort(key=lambda each: each[1])
        given.sort(key=lambda each: each[0].granted_at, reverse=True)
        context.screen.json(
            {
                "awards": [{"rep": rep, **_as_dict(award)} for award, rep in given],
                "moment": plain(read.moment),
            }
        )
        rows = tuple(
            (
                read.names.rep(rep),
                award.award,
                read.key(award.kind),
                local_day(award.granted_at, read.zone),
                award.contest or NO_VALUE,
                award.because or NO_VALUE,
            )
            for award, rep in given
        )
        columns = ("Rep", "Award", "Kind", "Granted", "Contest", "Reason")
        context.screen.table(TableOfView("Awards", columns, rows, by_weight=True))
        context.screen.moment(read.moment, read.zone)


def _as_dict(award: object) -> dict[str, object]:
    found = plain(award)
    assert isinstance(found, dict)
    return {**found}
