"""Reports as messages: put into the outbox of each endpoint they are for, once.

    put_due_reports(flow, definitions, link=link)    # those that are due
    put_report(flow, made)                           # one that was made by hand
    follow_due_reports(flow, definitions, stop=stop, on_made=tell)    # until stopped

A message is put in the transaction in which it is noted that the report was made. Its id
follows from the report and its moment, so a receiver that gets one twice knows it. Each has an
ordering key of its own: a report that nobody takes holds up no other one.
"""

from collections.abc import Callable, Iterable
from threading import Event as Flag
from time import monotonic
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from sqlalchemy import Connection

from salesflow.adapters.logs import tell_lost
from salesflow.adapters.outbox.fact_messages import TYPE_PREFIX, source_of
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.adapters.reports.definitions import ReportDefinition
from salesflow.adapters.reports.made import DueReports
from salesflow.domain.time import from_instant
from salesflow.engine.due_reports import DueReport, make_due_reports
from salesflow.engine.reports import MadeReport
from salesflow.errors import BusyError, DisconnectedError

if TYPE_CHECKING:
    from salesflow.engine.flow import SalesFlow

__all__ = ["follow_due_reports", "put_due_reports", "put_report", "report_message"]


REPORTS: Final = UUID("0d9f5a0e-2f0d-5f43-8f0a-6b1d3c1f7a52")
TYPE: Final = f"{TYPE_PREFIX}report.made"
LOOK_SECONDS: Final = 5.0
"""How often a worker looks whether a report is due."""
AGAIN_SECONDS: Final = 60.0


def report_message(made: MadeReport, tenant: str) -> OutgoingMessage:
    """Return the message of a report: what it says, when it is of, what it is called."""
    name, (as_of, known_at, position) = made.definition.name, made.at
    time = from_instant(as_of).isoformat()
    told = "\n".join(map(str, (tenant, name, as_of, known_at, position)))
    return OutgoingMessage(
        id=str(uuid5(REPORTS, told)),
        type=TYPE,
        source=source_of(tenant),
        subject=name,
        time=from_instant(as_of),
        recorded_at=from_instant(known_at),
        ordering_key=f"report {name} {time}",
        sequence=1,
        data=made.data,
    )


def put_due_reports(
    flow: "SalesFlow", definitions: Iterable[ReportDefinition], *, link: str | None = None
) -> list[DueReport]:
    """Make the reports that are due and put them into the outbox; say what became of each."""
    definitions = [*definitions]
    flow.outbox.begin([name for each in definitions for name in each.endpoints])

    def put(connection: Connection, made: MadeReport) -> None:
        _put(flow, connection, made)

    return make_due_reports(flow, definitions, put, link=link)


def follow_due_reports(
    flow: "SalesFlow",
    definitions: Iterable[ReportDefinition],
    *,
    stop: Flag,
    on_made: Callable[[list[DueReport]], object],
    link: str | None = None,
) -> None:
    """Make reports when they are due until `stop` is set, as a worker does.

    Any number of workers may do so at once. One that cannot be made is tried again a minute
    later. `on_made` is told of those that were made, and of each new problem.
    """
    wanted = [each for each in definitions if each.schedule is not None]
    again: dict[str, float] = {}
    problems: dict[str, str | None] = {}
    while wanted and not stop.is_set():
        ready = [each for each in wanted if again.get(each.name, 0) <= monotonic()]
        outcomes = _put_unless_lost(flow, ready, link)
        again |= {each.report: monotonic() + AGAIN_SECONDS for each in outcomes if each.problem}
        told = [e for e in outcomes if e.problem is None or problems.get(e.report) != e.problem]
        problems |= {each.report: each.problem for each in outcomes}
        if told:
            on_made(told)
        stop.wait(LOOK_SECONDS)


def _put_unless_lost(
    flow: "SalesFlow", definitions: list[ReportDefinition], link: str | None
) -> list[DueReport]:
    """Make what is due; nothing while the database cannot be reached or others hold it."""
    try:
        return put_due_reports(flow, definitions, link=link)
    except (DisconnectedError, BusyError) as error:
        tell_lost(type(error.__cause__ or error).__name__, LOOK_SECONDS)
        return []


def put_report(flow: "SalesFlow", made: MadeReport, *, again: bool = False) -> bool:
    """Put a report that was made by hand into the outbox of its endpoints.

    False where one of that time was put there before; with `again` it is put there once more.
    """
    log = flow.log
    row, reports = made.row(log.now()), DueReports(log)
    reports.ensure_tables()
    flow.outbox.begin(made.definition.endpoints)
    with log.database.whole(), log.database.begin() as connection:
        if not reports.note_by_hand(connection, row) and not again:
            return False
        _put(flow, connection, made)
    return True


def _put(flow: "SalesFlow", connection: Connection, made: MadeReport) -> None:
    message = report_message(made, flow.log.tenant)
    flow.outbox.put(connection, made.definition.endpoints, message)
