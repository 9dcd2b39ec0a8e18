"""`salesflow outbox report`, `due`, `reports`: reports made by hand and on their schedules.

A module of its own, since reports are asked and not delivered; `deliver` makes those that are
due on its way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import AsOf, CommandContext, KnownAt, with_context
from salesflow.cli.outbox.options import EndpointsFile
from salesflow.domain.time import Instant, from_instant, instant_of
from salesflow.errors import InputError
from salesflow.presentation.format import NO_VALUE, local_time
from salesflow.presentation.messages import say, say_count
from salesflow.presentation.table import TableOfView

if TYPE_CHECKING:  # loaded when a report is made
    from salesflow.adapters.reports.definitions import ReportDefinition
    from salesflow.adapters.reports.made import ReportRow
    from salesflow.adapters.reports.report_file import ReportFile
    from salesflow.engine import SalesFlow
    from salesflow.engine.due_reports import DueReport
    from salesflow.engine.reports import MadeReport

__all__ = ["due", "making_reports", "report", "reports"]


@with_context
def report(  # noqa: PLR0913 - what the command offers, all by keyword
    context: CommandContext,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A report of the file.")],
    *,
    endpoints: EndpointsFile,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    deliver: Annotated[
        bool,
        typer.Option("--deliver", help="Put it into the outbox of its endpoints as well."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="With --deliver, also where that was done before.")
    ] = False,
) -> None:
    """Make a report of any moment and print it, as Markdown or JSON.

    It knows what was recorded by then; --known-at says otherwise. One that was made when it was
    due is printed as it was made.
    """
    if again and not deliver:
        raise InputError("--again delivers once more; name --deliver too")
    found = _file(endpoints)
    definition = found.named(name)
    if deliver and not definition.endpoints:
        raise InputError(f"report {name} names no endpoints to deliver it to")
    with context.open() as flow:
        made = _made(flow, definition, found.link, as_of, known_at)
        context.screen.json(made.data)
        context.screen.lines(made.text.splitlines())
        if made.at.position == 0:
            text = "nothing was recorded by then; --known-at names a later time to know it from"
            context.screen.notes([say(text, context.language)])
        if deliver:
            _deliver(context, flow, made, again=again)


def _made(
    flow: "SalesFlow",
    definition: "ReportDefinition",
    link: str | None,
    as_of: str | None,
    known_at: str | None,
) -> "MadeReport":
    from salesflow.engine.due_reports import due_report
    from salesflow.engine.reports import ReportedAt, make_report

    now, timezone = flow.log.now(), flow.settings().timezone
    at = now if as_of is None else instant_of(as_of, timezone)
    if at > now:
        raise InputError(
            f"--as-of {as_of}: lies in the future, and a report stays what it is; name a past"
            " time"
        )
    before = None if known_at is not None else due_report(flow, definition, at, link=link)
    if before is not None:
        return before
    known = None if known_at is None else instant_of(known_at, timezone)
    return make_report(flow, definition, ReportedAt.of(flow.log, at, known), link=link)


def _deliver(
    context: CommandContext, flow: "SalesFlow", made: "MadeReport", *, again: bool
) -> None:
    from salesflow.engine.report_messages import put_report

    if not put_report(flow, made, again=again):
        raise InputError(
            f"report {made.definition.name} of that time was put into the outbox before; with"
            " --again it goes out once more, with the same id"
        )
    named = ", ".join(made.definition.endpoints)
    context.screen.notes(
        [say("put into the outbox of {endpoints}", context.language, endpoints=named)]
    )


@with_context
def due(context: CommandContext, endpoints: EndpointsFile) -> None:
    """Make the reports that are due, each once, and put them into the outbox.

    Any number of jobs may call it at once. It ends with 1 where a report cannot be made; the
    others are.
    """
    from salesflow.engine.report_messages import put_due_reports

    found = _file(endpoints)
    with context.open() as flow:
        outcomes = put_due_reports(flow, found.reports.values(), link=found.link)
        context.screen.json([_outcome_json(each) for each in outcomes])
        rows = tuple(_outcome_row(context, flow, each) for each in outcomes)
        columns = ("Report", "Due", "Left out", "Problem")
        context.screen.table(TableOfView("Reports made", columns, rows))
    if any(each.problem for each in outcomes):
        raise typer.Exit(1)


@with_context
def reports(context: CommandContext, endpoints: EndpointsFile) -> None:
    """List the reports of the file: when each was made last, and when it is due next."""
    from salesflow.adapters.reports.made import DueReports
    from salesflow.engine.due_reports import next_due

    found = _file(endpoints)
    with context.open() as flow:
        made = DueReports(flow.log)
        listed = [
            (each, next(iter(made.made(each.name, limit=1)), None), next_due(flow, each))
            for each in found.reports.values()
        ]
        context.screen.json([_listed_json(*each) for each in listed])
        rows = tuple(
            (
                each.name,
                each.title,
                each.schedule.text if each.schedule is not None else NO_VALUE,
                _time(flow, None if last is None else last.due),
                _time(flow, next_),
                ", ".join(each.endpoints) or NO_VALUE,
            )
            for each, last, next_ in listed
        )
        columns = ("Report", "Title", "Schedule", "Made last", "Due next", "Endpoints")
        context.screen.table(TableOfView("Reports defined", columns, rows))


def _file(file: Path) -> "ReportFile":
    from salesflow.adapters.reports.report_file import read_report_file
    from salesflow.engine.permanent_links import ensure_link

    found = read_report_file(file)
    if found.link is not None:
        ensure_link(found.link)
    return found


@contextmanager
def making_reports(
    context: CommandContext, flow: "SalesFlow", file: Path, stop: Flag | None
) -> Iterator[None]:
    """Make the reports that are due: now, or beside what goes on until `stop` is set.

    Whatever ends it sets `stop` as well: a worker does not go on without its reports.
    """
    from salesflow.engine.report_messages import follow_due_reports, put_due_reports

    found = _file(file)
    definitions, link = [*found.reports.values()], found.link

    def tell(outcomes: "list[DueReport]") -> None:
        for each in outcomes:
            _tell(context, flow, each)

    if stop is None:
        outcomes = put_due_reports(flow, definitions, link=link)
        tell(outcomes)
        yield
        if any(each.problem for each in outcomes):
            raise typer.Exit(1)  # a job that nobody looks at is told by its exit code
        return
    ended: list[BaseException] = []

    def work() -> None:
        try:
            follow_due_reports(flow, definitions, stop=stop, on_made=tell, link=link)
        except BaseException as error:  # noqa: BLE001 - raised again below
            ended.append(error)
            stop.set()

    (worker := Thread(target=work, name="reports")).start()
    try:
        yield
    finally:
        stop.set()
        worker.join()
    for error in ended:
        raise error


def _tell(context: CommandContext, flow: "SalesFlow", outcome: "DueReport") -> None:
    """Say what became of a report that was due, on stderr."""
    due = _time(flow, outcome.due)
    if outcome.problem is None:
        text = say(
            "report {name} of {due} was made", context.language, name=outcome.report, due=due
        )
    else:
        text = say(
            "report {name} of {due} cannot be made: {problem}",
            context.language,
            name=outcome.report,
            due=due,
            problem=say(outcome.problem, context.language),
        )
    context.screen.notes([text])


def _time(flow: "SalesFlow", at: Instant | None) -> str:
    if at is None:
        return NO_VALUE
    return local_time(from_instant(at), flow.settings().timezone)


def _outcome_row(
    context: CommandContext, flow: "SalesFlow", outcome: "DueReport"
) -> tuple[str, ...]:
    left_out = outcome.left_out.total
    times = say_count("{count:,} time", "{count:,} times", left_out, context.language)
    return (
        outcome.report,
        _time(flow, outcome.due),
        times if left_out else NO_VALUE,
        say(outcome.problem, context.language) if outcome.problem else "",
    )


def _outcome_json(outcome: "DueReport") -> dict[str, object]:
    return {
        "report": outcome.report,
        "due": _iso(outcome.due),
        "left_out": [_iso(each) for each in outcome.left_out.last],
        "left_out_total": outcome.left_out.total,
        "problem": outcome.problem,
    }


def _listed_json(
    definition: "ReportDefinition", last: "ReportRow | None", due_next: Instant | None
) -> dict[str, object]:
    return {
        "report": definition.name,
        "title": definition.title,
        "schedule": None if definition.schedule is None else definition.schedule.text,
        "made_last": None if last is None else _iso(last.due),
        "due_next": _iso(due_next),
        "endpoints": [*definition.endpoints],
    }


def _iso(at: Instant | None) -> str | None:
    return None if at is None else from_instant(at).isoformat()
