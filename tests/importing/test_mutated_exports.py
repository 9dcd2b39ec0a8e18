"""Whatever is written in the export of a system: an import of it ends in a report that adds up
or in one typed error, records all of a deal or nothing, and what it recorded can be read.

Twenty exports of each system in a common run, two thousand under torture.
"""

from pathlib import Path
from random import Random

import pytest

from importing.exports import EXPORTS
from importing.mutating import mutated_file
from importing.test_mutated_files import CHINESE, MESSAGE_MAX, SECONDS_MAX, ZONE, within
from properties.effort import TALLY, TORTURE
from salesflow.adapters.importers.crm.importer import import_crm
from salesflow.adapters.importers.crm.system import CrmSystem
from salesflow.engine import SalesFlow
from salesflow.errors import SalesflowError
from salesflow.presentation.messages import say
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.pipeline.funnel import Funnel

EXPORTS_TRIED = 20 if TORTURE == 1 else 2_000
TOGETHER = 50
"""So many exports are imported into one log, which is then read whole."""


class Exports:
    """Imports mutated exports of a system into one log, and collects what must not be."""

    def __init__(self, name: str, folder: Path) -> None:
        self._system, self._files = EXPORTS[name]
        self._folder = folder
        self.faults: list[str] = []

    def run(self) -> None:
        for start in range(0, EXPORTS_TRIED, TOGETHER):
            url = f"sqlite:///{self._folder / f'{start}.db'}"
            with SalesFlow(url, timezone=ZONE) as flow:
                self._run(range(start, min(start + TOGETHER, EXPORTS_TRIED)), flow)

    def _run(self, numbers: range, flow: SalesFlow) -> None:
        for number in numbers:
            head = flow.log.head().position
            try:
                with within(SECONDS_MAX):
                    self._import(self._system, number, flow)
            except SalesflowError as error:
                TALLY["mutated exports refused"] += 1
                if len(str(error)) > MESSAGE_MAX:
                    self.faults.append(f"{number}: {len(str(error))} characters")
                if flow.log.head().position != head:
                    self.faults.append(f"{number}: refused, and something is recorded")
            except Exception as error:  # noqa: BLE001 - whatever else is a fault
                self.faults.append(f"{number}: {type(error).__name__}: {str(error)[:300]}")
        self._read(flow)

    def _import(self, system: type[CrmSystem], number: int, flow: SalesFlow) -> None:
        random = Random(number)
        folder = self._folder / str(number)
        folder.mkdir()
        mutated = random.choice([*self._files])
        for name, text in self._files.items():
            content = text.encode()
            if name == mutated:
                content = mutated_file(random, content)
            (folder / name).write_bytes(content)
        apply_changes = random.random() < 0.5
        report = import_crm(system, folder, log=flow.log, apply_changes=apply_changes)
        TALLY["mutated exports imported"] += 1
        if not report.check():
            self.faults.append(f"{number}: the report does not add up: {report}"[:500])
        for each in (*report.refused, *report.adjusted):
            if not CHINESE(say(each.reason, "zh")):
                self.faults.append(f"{number}: no Chinese for: {each.reason}"[:300])

    def _read(self, flow: SalesFlow) -> None:
        """Read back all that was recorded, by every way there is."""
        flow.ask(Funnel())
        for deal in flow.ask(Deals(limit=10_000)).deals:
            flow.history(deal.deal)


@pytest.mark.parametrize("system", EXPORTS)
def test_no_mutated_export_breaks_an_import(system: str, tmp_path: Path) -> None:
    tried = Exports(system, tmp_path)
    tried.run()
    assert tried.faults == []


def test_a_fault_of_an_importer_would_be_seen(tmp_path: Path) -> None:
    class Broken(EXPORTS["salesforce"][0]):  # type: ignore[misc]
        def assumed(self) -> list[str]:
            raise ZeroDivisionError

    tried = Exports("salesforce", tmp_path)
    tried._system = Broken
    tried.run()
    assert tried.faults
