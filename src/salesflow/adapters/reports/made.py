"""Which reports were made: one row for each time that one was due, and how far each has come.

A report that is seen for the first time is due from then on; nothing is made of the time
before. Of two workers that find it due one moves its row on, by one conditional update, and
notes in the same transaction what it made; the other one is told that it came second. So a
report is made once for each time it is due. No rebuild ever touches these rows.
"""

import json
from typing import Final, NamedTuple

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.domain.time import Instant

__all__ = [
    "MADE_REPORTS",
    "NOTHING_LEFT_OUT",
    "REPORT_STANDINGS",
    "DueReports",
    "LeftOutTimes",
    "ReportRow",
]


_METADATA = sa.MetaData()
REPORT_STANDINGS = sa.Table(
    "salesflow_report_standings",
    _METADATA,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("report", sa.String(100), primary_key=True),
    sa.Column("done_until", sa.BigInteger, nullable=False),
)
MADE_REPORTS = sa.Table(
    "salesflow_made_reports",
    _METADATA,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("report", sa.String(100), primary_key=True),
    sa.Column("due", sa.BigInteger, primary_key=True),
    sa.Column("known_at", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("left_out", sa.Text, nullable=False),
)
S, M = REPORT_STANDINGS.c, MADE_REPORTS.c


class LeftOutTimes(NamedTuple):
    """The times that a report was due at and was not made, since nobody made it in time."""

    last: tuple[Instant, ...] = ()
    """The last ones of them."""
    total: int = 0

    def written(self) -> str:
        """Return what is stored of them."""
        return json.dumps({"last": self.last, "total": self.total})


NOTHING_LEFT_OUT: Final = LeftOutTimes()


class ReportRow(NamedTuple):
    """A report that was made when it was due."""

    report: str
    due: Instant
    known_at: Instant
    position: int
    made_at: Instant
    left_out: "LeftOutTimes"


class DueReports:
    """How far the reports of one tenant have come."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._database = log.database

    def ensure_tables(self) -> None:
        """Make the tables where there are none yet."""
        if not self._is_there():
            self._database.create_tables(_METADATA)

    def begin(self, report: str, at: Instant) -> Instant:
        """Return up to when a report has come; one that is new is due from an instant on."""
        done_until = self.done_until(report)
        if done_until is not None:
            return done_until
        self.ensure_tables()
        with self._database.whole(), self._database.begin() as connection:
            connection.execute(
                sa.text(
                    f"INSERT INTO {REPORT_STANDINGS.name} (tenant, report, done_until)"
                    " VALUES (:tenant, :report, :at) ON CONFLICT DO NOTHING"
                ),
                {"tenant": self._log.tenant, "report": report, "at": at},
            )
        done_until = self.done_until(report)
        assert done_until is not None, "it has just been noted"
        return done_until

    def done_until(self, report: str) -> Instant | None:
        """Return up to when a report has come; None where it was never looked at."""
        with self._database.whole(), self._database.read() as connection:
            if not self._is_there(connection):
                return None
            mine = sa.select(S.done_until).where(*self._mine(report))
            return connection.execute(mine).scalar_one_or_none()

    def note(self, connection: sa.Connection, row: ReportRow, done_until: Instant) -> bool:
        """Note that a report was made, in the caller's transaction; False: somebody else was.

        `done_until` is where it stood when it was found to be due.
        """
        mine = sa.and_(*self._mine(row.report), S.done_until == done_until)
        moved = connection.execute(
            sa.update(REPORT_STANDINGS).where(mine).values(done_until=row.due)
        )
        if moved.rowcount != 1:
            return False
        return self.note_by_hand(connection, row)

    def note_by_hand(self, connection: sa.Connection, row: ReportRow) -> bool:
        """Note that a report of any moment was delivered; False where one of that time was."""
        values = {**row._asdict(), "left_out": row.left_out.written()}
        names = ("tenant", *values)
        done = connection.execute(
            sa.text(
                f"INSERT INTO {MADE_REPORTS.name} ({', '.join(names)})"
                f" VALUES ({', '.join(f':{name}' for name in names)}) ON CONFLICT DO NOTHING"
            ),
            {"tenant": self._log.tenant, **values},
        )
        return done.rowcount == 1

    def find(self, report: str, due: Instant) -> ReportRow | None:
        """Return what was made of a report at a time it was due; None where nothing was."""
        return next(iter(self._rows(M.report == report, M.due == due)), None)

    def made(self, report: str | None = None, *, limit: int = 50) -> list[ReportRow]:
        """Return the reports that were made last, newest first."""
        named = [] if report is None else [M.report == report]
        return self._rows(*named, limit=limit)

    def _rows(
        self, *where: sa.ColumnElement[bool], limit: int | None = None
    ) -> list[ReportRow]:
        select = (
            sa.select(M.report, M.due, M.known_at, M.position, M.made_at, M.left_out)
            .where(M.tenant == self._log.tenant, *where)
            .order_by(M.due.desc(), M.report)
            .limit(limit)
        )
        with self._database.whole(), self._database.read() as connection:
            if not self._is_there(connection):
                return []
            return [_row(*row) for row in connection.execute(select)]

    def _is_there(self, connection: sa.Connection | None = None) -> bool:
        if connection is not None:
            return sa.inspect(connection).has_table(MADE_REPORTS.name)
        with self._database.whole(), self._database.read() as opened:
            return sa.inspect(opened).has_table(MADE_REPORTS.name)

    def _mine(self, report: str) -> tuple[sa.ColumnElement[bool], ...]:
        return S.tenant == self._log.tenant, S.report == report


def _row(
    report: str, due: int, known_at: int, position: int, made_at: int, left_out: str
) -> ReportRow:
    stored = json.loads(left_out)
    times = LeftOutTimes(tuple(stored["last"]), stored["total"])
    return ReportRow(report, due, known_at, position, made_at, times)
