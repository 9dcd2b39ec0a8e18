"""Whatever is written in a table, a mapping or a list of rates: an import ends in a report that
adds up or in one typed error, and what it recorded can be read.

A hundred files in a common run; under torture eighteen thousand tables and two thousand lists
of rates.
"""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from importing.mutating import RATES, bases, mutated_mapping, mutated_table
from properties.effort import TALLY, TORTURE
from salesflow.adapters.database.schema import events
from salesflow.adapters.importers import ImportReport, import_table
from salesflow.adapters.importers.rates import import_rates
from salesflow.engine import SalesFlow
from salesflow.errors import SalesflowError
from salesflow.presentation.messages import say
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.pipeline.funnel import Funnel

FILES = 100 if TORTURE == 1 else 20_000
TOGETHER = 50
"""So many files are imported into one database, which is then read whole."""
ZONE = "Europe/Vienna"
SECONDS_MAX = 120
MESSAGE_MAX = 3_000
CUSTOMERS = "Name;Line;Country\nHofer GmbH;Machinery;Austria\nLindt & Co;Food;Switzerland\n"

CHINESE = re.compile("[\u4e00-\u9fff]").search

Import = Callable[[Path, Path, SalesFlow], ImportReport]


class HungError(Exception):
    """An import did not end."""


def imported(table: Path, mapping: Path, flow: SalesFlow) -> ImportReport:
    return import_table(table, mapping, log=flow.log, timezone=None)


def imported_and_applied(table: Path, mapping: Path, flow: SalesFlow) -> ImportReport:
    return import_table(table, mapping, log=flow.log, apply_changes=True)


class Trials:
    """Imports mutated files, and collects what must not be."""

    def __init__(self, folder: Path, bring: Import | None = None) -> None:
        self._folder = folder
        self._bring = bring
        self.faults: list[str] = []
        (folder / "customers.csv").write_text(CUSTOMERS, encoding="utf-8")

    def run(self, numbers: range) -> None:
        for start in range(numbers.start, numbers.stop, TOGETHER):
            url = f"sqlite:///{self._folder / f'{uuid4().hex}.db'}"
            with SalesFlow(url, timezone=ZONE) as flow:
                for number in range(start, min(start + TOGETHER, numbers.stop)):
                    self._try(number, flow)
                self._read(start, flow)

    def _try(self, number: int, flow: SalesFlow) -> None:
        random, head = Random(number), flow.log.head().position
        try:
            with within(SECONDS_MAX):
                self._import(number, random, flow)
        except SalesflowError as error:
            TALLY["mutated files refused"] += 1
            if flow.log.head().position != head:
                self.faults.append(f"{number}: refused, and something is recorded")
            if len(str(error)) > MESSAGE_MAX:
                self.faults.append(f"{number}: a message of {len(str(error))} characters")
        except Exception as error:  # noqa: BLE001 - whatever else is a fault
            self.faults.append(f"{number}: {type(error).__name__}: {str(error)[:300]}")

    def _import(self, number: int, random: Random, flow: SalesFlow) -> None:
        table, mapping = random.choice(bases())
        mapping = mapping.replace("Europe/Berlin", ZONE)
        mapping = mapping.replace('source = "', f'source = "s{random.randrange(5)}_', 1)
        if number % 10 == 9:
            rates = self._file("rates.csv", mutated_table(random, RATES))
            import_rates(rates, flow.log, source="bank", timezone=ZoneInfo("UTC"))
            return
        if number % 3 == 1:
            mapping = mutated_mapping(random, mapping)
        content = table.encode() if number % 6 == 1 else mutated_table(random, table)
        bring = self._bring or random.choice((imported, imported, imported_and_applied))
        report = bring(
            self._file("table.csv", content),
            self._file("mapping.toml", mapping.encode("utf-8", "replace")),
            flow,
        )
        TALLY["mutated files imported"] += 1
        TALLY["facts of mutated files"] += report.facts_recorded
        if not report.check():
            self.faults.append(f"{number}: the report does not add up: {report}"[:500])
        for each in (*report.refused, *report.adjusted):
            if not CHINESE(say(each.reason, "zh")):
                self.faults.append(f"{number}: no Chinese for: {each.reason}"[:300])

    def _file(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path

    def _read(self, start: int, flow: SalesFlow) -> None:
        """Read back all that was recorded, by every way there is."""
        try:
            flow.catch_up()
            flow.ask(Funnel())
            for deal in flow.ask(Deals(limit=10_000)).deals:
                flow.history(deal.deal)
        except Exception as error:  # noqa: BLE001 - whatever is not read is a fault
            self.faults.append(f"from {start} on: {type(error).__name__}: {str(error)[:500]}")


class within:  # noqa: N801 - reads as a sentence
    """Stops what does not end; the seconds are a limit of despair, not a measure."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        def stop(*_: object) -> None:
            raise HungError(f"did not end within {self._seconds} seconds")

        self._before = signal.signal(signal.SIGALRM, stop)
        signal.alarm(self._seconds)

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, self._before)


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials(tmp_path)


def test_every_mutated_file_ends_in_a_report_or_a_typed_error(trials: Trials) -> None:
    trials.run(range(FILES))
    assert trials.faults == []
    assert TALLY["facts of mutated files"] > FILES, "too few were taken to say anything"


def test_a_raw_error_would_be_found(tmp_path: Path) -> None:
    def broken(table: Path, mapping: Path, flow: SalesFlow) -> ImportReport:
        report = imported(table, mapping, flow)
        return report.model_copy(update={"file": {"a": 1}[report.source]})

    trials = Trials(tmp_path, broken)
    trials.run(range(4))
    assert any("KeyError" in fault for fault in trials.faults)


def test_a_report_that_does_not_add_up_would_be_found(tmp_path: Path) -> None:
    def miscounted(table: Path, mapping: Path, flow: SalesFlow) -> ImportReport:
        report = imported(table, mapping, flow)
        return report.model_copy(update={"rows_read": report.rows_read + 1})

    trials = Trials(tmp_path, miscounted)
    trials.run(range(4))
    assert any("does not add up" in fault for fault in trials.faults)


def test_what_cannot_be_read_back_would_be_found(tmp_path: Path) -> None:
    def unreadable(table: Path, mapping: Path, flow: SalesFlow) -> ImportReport:
        report = imported(table, mapping, flow)
        with flow.log.database.begin() as connection:
            connection.execute(text("DROP TRIGGER IF EXISTS salesflow_events_update"))
            connection.execute(events.update().values(payload=b'{"title": 5}'))
        return report

    trials = Trials(tmp_path, unreadable)
    trials.run(range(4))
    assert any("from 0 on: " in fault for fault in trials.faults)
