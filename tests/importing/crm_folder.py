"""The folder of an export of a CRM, the log it is imported into, and files gone wrong."""

import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from textwrap import dedent
from typing import Any

from importing.desk import Desk
from importing.mutating import ODD_BYTES, ODD_CELLS, mutated_table
from salesflow.adapters.importers import ImportReport, object_id
from salesflow.adapters.importers.crm.importer import import_crm
from salesflow.adapters.importers.crm.system import CrmSystem
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event, Fact, without_retracted

__all__ = ["CrmFolder", "faults_of_mutated"]


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

    def bring(self, path: Path | None = None, **how: object) -> ImportReport:
        """Import the export; every report has to add up."""
        report = import_crm(self.system, path or self.folder, log=self.desk.log, **how)  # type: ignore[arg-type]
        assert report.check(), report
        return report

    def events(self, deal: str) -> list[Event]:
        """Return what stands of a deal, in order of time."""
        events = without_retracted(self.desk.log.stream(object_id(self.source, deal)))
        return sorted(events, key=lambda each: (each.occurred, each.position))

    def facts(self, deal: str, kind: str) -> list[Fact]:
        return [each.fact for each in self.events(deal) if each.fact.kind == f"deal.{kind}"]

    def told(self, deal: str) -> list[str]:
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

    def deal(self, name: str) -> Deal:
        return self.desk.deal(name, self.source)


def faults_of_mutated(folder: CrmFolder, numbers: range) -> list[str]:
    """Import the export with one file mutated, for every number; return what must not be."""
    originals = {path: path.read_bytes() for path in sorted(folder.folder.iterdir())}
    faults = []
    for number in numbers:
        random = Random(number)
        path = random.choice(list(originals))
        path.write_bytes(_mutated(random, originals[path]))
        before = folder.desk.log.head().position
        try:
            report = import_crm(folder.system, folder.folder, log=folder.desk.log)
        except Exception as error:  # noqa: BLE001 - whatever is not typed is a fault
            faults += _fault_of(number, error, folder.desk.log.head().position != before)
        else:
            if not report.check():
                faults.append(f"{number}: the report does not add up")
            faults += [f"{number}: no reason" for each in report.refused if not each.reason]
        path.write_bytes(originals[path])
    return faults


def _fault_of(number: int, error: Exception, recorded: bool) -> list[str]:
    from salesflow.errors import SalesflowError

    if not isinstance(error, SalesflowError):
        return [f"{number}: {type(error).__name__}: {error}"]
    return [f"{number}: half an import, then {error}"] if recorded else []


def _mutated(random: Random, content: bytes) -> bytes:
    if content[:1] not in (b"[", b"{"):
        return mutated_table(random, content.decode())
    if random.random() < 0.2:
        place = random.randrange(len(content) + 1)
        return (
            content[:place]
            + random.choice(ODD_BYTES)
            + content[place + random.choice((0, 1, 20)) :]
        )
    value = json.loads(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        value = _changed(random, value)
    return json.dumps(value).encode()


def _changed(random: Random, value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Change one thing somewhere in JSON."""
    odd: Any = random.choice(
        (*ODD_CELLS, None, 0, -1, 1.5, True, [], {}, [[]], {"a": {"b": []}})
    )
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        return odd
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = random.choice(keys)
    match random.randrange(8):
        case 0:
            del value[key]
        case 1 if isinstance(value, list):
            value.append(value[key])
        case 1 if isinstance(value, dict):
            value[str(odd)] = value[key]
        case _:
            value[key] = _changed(random, value[key])
    return value
