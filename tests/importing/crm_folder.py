"""The folder of an export of a CRM, and the log it is imported into."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any, Self

from importing.desk import Desk
from salesflow.adapters.importers import ImportReport, object_id
from salesflow.adapters.importers.crm.importer import import_crm
from salesflow.adapters.importers.crm.system import CrmSystem
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event, Fact, without_retracted

__all__ = ["CrmFolder"]


class CrmFolder:
    """An export of one system, and the log it is imported into."""

    def __init__(self, desk: Desk, system: type[CrmSystem]) -> None:
        self.desk = desk
        self.system = system
        self.source = system.name
        self.folder = desk.folder / "export"
        self.folder.mkdir()

    def write(self, name: str, content: str | bytes | list[Any] | dict[str, Any]) -> None:
        """Write a file: a text as it is, anything else as JSON."""
        if isinstance(content, list | dict):
            content = json.dumps(content)
        if isinstance(content, str):
            content = dedent(content).lstrip().encode()
        (self.folder / name).write_bytes(content)

    def write_all(self, files: Mapping[str, Any]) -> Self:
        """Write files anew; those there were are gone."""
        for path in self.folder.iterdir():
            path.unlink()
        for name, content in files.items():
            self.write(name, content)
        return self

    def bring(self, path: Path | None = None, **how: object) -> ImportReport:
        """Import the export; every report has to add up."""
        report = import_crm(self.system, path or self.folder, log=self.desk.log, **how)  # type: ignore[arg-type]
        assert report.check(), report
        return report

    def events(self, deal: object) -> list[Event]:
        """Return what stands of a deal, in order of time."""
        events = without_retracted(self.desk.log.stream(object_id(self.source, str(deal))))
        return sorted(events, key=lambda each: (each.occurred, each.position))

    def facts(self, deal: object, kind: str) -> list[Fact]:
        return [each.fact for each in self.events(deal) if each.fact.kind == f"deal.{kind}"]

    def told(self, deal: object) -> list[str]:
        """Say what stands of a deal: day, kind, and the stage it went to."""
        return [
            " ".join(
                part
                for part in (
                    datetime.fromtimestamp(each.occurred / 1_000_000, UTC).strftime("%m-%d"),
                    each.fact.kind.removeprefix("deal."),
                    str(getattr(each.fact, "target", None) or getattr(each.fact, "stage", "")),
                    "inferred" if each.fact.inferred else "",
                )
                if part and part != "None"
            )
            for each in self.events(deal)
        ]

    def deal(self, name: object) -> Deal:
        return self.desk.deal(str(name), self.source)
