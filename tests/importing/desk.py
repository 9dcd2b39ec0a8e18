"""A desk for importing: a folder with small tables and mappings, and a log to import into."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.importers import ImportReport, import_table, object_id
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event, FactRetracted, without_retracted
from salesflow.domain.state import ReplayContext

__all__ = ["EVENTS", "TODAY", "WIDE", "Desk"]

TODAY = datetime(2026, 6, 1, 12, tzinfo=UTC)

WIDE = """
source = "crm"
rows = "deals"
object = "id"
timezone = "Europe/Berlin"
currency = "EUR"

[[facts]]
kind = "deal.opened"
at = "created"

[facts.fields]
owner = "rep"
amount = "amount"

[[facts]]
kind = "deal.won"
when = { column = "status", is = "Won" }
at = "closed"

[facts.fields]
amount = "amount"

[[facts]]
kind = "deal.lost"
when = { column = "status", is = "Lost" }
at = "closed"
"""
"""A deal per row: id, rep, amount, status, created, closed."""

EVENTS = """
source = "log"
rows = "events"
object = "case"
at = "time"
actor = "who"
timezone = "Europe/Berlin"
currency = "EUR"

[[facts]]
kind = "deal.opened"
when = { column = "what", is = "opened" }

[[facts]]
kind = "deal.stage_moved"
when = { column = "what", matches = "^to " }

[facts.fields]
target = { column = "what", map = "moves" }

[[facts]]
kind = "deal.quote_issued"
when = { column = "what", is = "offer" }

[facts.fields]
quote = ["offer", "id"]

[[facts]]
kind = "deal.quote_accepted"
when = { column = "what", is = "accepted" }

[facts.fields]
quote = "offer"

[[facts]]
kind = "deal.won"
when = { column = "what", is = "won" }

[[facts]]
kind = "deal.lost"
when = { column = "what", is = "lost" }

[maps.moves]
"to analysis" = "needs_analysis"
"to design" = "solution_design"
"""
"""An event per row: case, what, time, who, offer, id."""

EVENTS_HEAD = "case,what,time,who,offer,id\n"


def log(*lines: str) -> str:
    """An event log: a row per event, as `EVENTS` reads it."""
    return EVENTS_HEAD + "".join(f"{line}\n" for line in lines)


class Desk:
    """Where tables are imported."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.log = EventLog(database, clock=self.clock)
        self.now = TODAY

    def clock(self) -> datetime:
        return self.now

    def file(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).lstrip().encode())
        return path

    def bring(
        self,
        mapping: str,
        table: str | bytes,
        *,
        strict: bool = False,
        apply_changes: bool = False,
        trial: bool = False,
        timezone: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ImportReport:
        """Import a table as a mapping says; every report has to add up."""
        report = import_table(
            self.file("table.csv", table),
            self.file("mapping.toml", mapping),
            log=self.log,
            strict=strict,
            apply_changes=apply_changes,
            trial=trial,
            timezone=timezone,
            progress=progress,
        )
        assert report.check(), report
        return report

    def events(self, object: str, source: str = "crm") -> list[Event]:
        return self.log.stream(object_id(source, object))

    def kinds(self, object: str, source: str = "crm") -> list[str]:
        """Say what is recorded of a deal, in the order of the log."""
        return [event.fact.kind.removeprefix("deal.") for event in self.events(object, source)]

    def standing_kinds(self, object: str = "1", source: str = "crm") -> list[str]:
        """Say the same of what stands, without what was retracted and its retractions."""
        return [
            event.fact.kind.removeprefix("deal.")
            for event in without_retracted(self.events(object, source))
            if not isinstance(event.fact, FactRetracted)
        ]

    def times(self, object: str, source: str = "crm") -> list[str]:
        """Say when each fact of a deal happened, with a mark on days."""
        return [
            event.occurred_at.isoformat() + (" (day)" if event.precision == "day" else "")
            for event in self.events(object, source)
            if not isinstance(event.fact, FactRetracted)
        ]

    def deal(self, object: str, source: str = "crm") -> Deal:
        context = ReplayContext(PublishedProcesses(self.log))
        return Deal.replay(
            object_id(source, object), self.events(object, source), context=context
        )


def moves(desk: Desk, object: str = "1") -> list[str]:
    """What an event log told of a deal: stages entered, and kinds of other facts."""
    return [
        getattr(event.fact, "target", event.fact.kind.removeprefix("deal."))
        for event in desk.events(object, "log")
    ]
