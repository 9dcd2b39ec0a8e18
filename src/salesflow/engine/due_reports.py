"""Reports that are due: each is made once for each time it is due, by whichever worker.

    outcomes = make_due_reports(flow, definitions, deliver)

`deliver` is given the connection on which it is noted that the report was made, so that what
it writes there is written once as well. A worker that was down makes the last one that was
due, and the report says which times before it were left out. A report that cannot be made is
tried again by the next call, and named; the others are made all the same.

Leaves out reports made by hand: `salesflow.engine.reports` makes one of any moment.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import Connection

from salesflow.adapters.reports.definitions import ReportDefinition
from salesflow.adapters.reports.made import (
    NOTHING_LEFT_OUT,
    DueReports,
    LeftOutTimes,
)
from salesflow.domain.settings import SettingsState
from salesflow.domain.time import FOREVER, SKEW, Instant
from salesflow.engine.reports import MadeReport, ReportedAt, make_report
from salesflow.errors import SalesflowError

if TYPE_CHECKING:
    from salesflow.engine.flow import SalesFlow

__all__ = ["DueReport", "due_report", "make_due_reports", "next_due"]


LEFT_OUT_NAMED: Final = 10
"""So many times are named that a report was due at and not made."""
Deliver = Callable[[Connection, MadeReport], object]


class DueReport(NamedTuple):
    """What became of a report that was due."""

    report: str
    due: Instant | None
    """None where it was not due, or could not be found out."""
    left_out: LeftOutTimes = NOTHING_LEFT_OUT
    problem: str | None = None
    """Why it could not be made."""


class _Found(NamedTuple):
    """A time at which a report is due."""

    due: Instant
    left_out: LeftOutTimes
    done_until: Instant


def make_due_reports(
    flow: "SalesFlow",
    definitions: Iterable[ReportDefinition],
    deliver: Deliver,
    *,
    link: str | None = None,
) -> list[DueReport]:
    """Make the reports that are due, and return what became of each.

    One is made five seconds after it is due: by then whatever was recorded before it is in the
    log, also by hosts whose clocks are behind as much as they may be.
    """
    settings, now = flow.settings(), flow.log.now() - SKEW
    outcomes = (
        _make(flow, each, (settings, now), deliver, link)
        for each in definitions
        if each.schedule is not None
    )
    return [each for each in outcomes if each is not None]


def _make(
    flow: "SalesFlow",
    definition: ReportDefinition,
    at: tuple[SettingsState, Instant],
    deliver: Deliver,
    link: str | None,
) -> DueReport | None:
    try:
        found = _find(flow, definition, *at)
    except SalesflowError as error:
        return DueReport(definition.name, None, problem=str(error))
    if found is None:
        return None
    try:
        made = make_report(
            flow,
            definition,
            ReportedAt.of(flow.log, found.due),
            link=link,
            left_out=found.left_out,
        )
        is_ours = _note(flow, found, made, deliver)
    except SalesflowError as error:
        return DueReport(definition.name, found.due, problem=str(error))
    return DueReport(definition.name, found.due, found.left_out) if is_ours else None


def _find(
    flow: "SalesFlow", definition: ReportDefinition, settings: SettingsState, now: Instant
) -> _Found | None:
    """Return the last time a report was due and was not made, and those before it."""
    assert definition.schedule is not None, "only what has a schedule is due"
    done_until = DueReports(flow.log).begin(definition.name, now)
    last: deque[Instant] = deque(maxlen=LEFT_OUT_NAMED + 1)
    total = 0
    for due in definition.schedule.due(done_until, now, settings):
        last.append(due)
        total += 1
    if not last:
        return None
    *left_out, due = last
    return _Found(due, LeftOutTimes(tuple(left_out), total - 1), done_until)


def _note(flow: "SalesFlow", found: _Found, made: MadeReport, deliver: Deliver) -> bool:
    """Note and deliver a report in one transaction; False when another worker was first."""
    log = flow.log
    row = made.row(log.now(), found.left_out)
    with log.database.whole(), log.database.begin() as connection:
        if not DueReports(log).note(connection, row, found.done_until):
            return False
        deliver(connection, made)
    return True


def due_report(
    flow: "SalesFlow", definition: ReportDefinition, due: Instant, *, link: str | None = None
) -> MadeReport | None:
    """Make a report once more that was made when it was due; None where none was.

    It is the same one, byte for byte.
    """
    row = DueReports(flow.log).find(definition.name, due)
    if row is None:
        return None
    at = ReportedAt(row.due, row.known_at, row.position)
    return make_report(flow, definition, at, link=link, left_out=row.left_out)


def next_due(flow: "SalesFlow", definition: ReportDefinition) -> Instant | None:
    """Return when a report is due next; None where it has no schedule."""
    if definition.schedule is None:
        return None
    return next(definition.schedule.due(flow.log.now(), FOREVER, flow.settings()), None)
