"""What is reported of figures from outside, as known at a moment."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from salesflow.domain.metric import figure_key
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.figure import FIGURE_REPORT

__all__ = [
    "OutsideFigures",
]


class OutsideFigure(NamedTuple):
    """What is reported of a figure for one period."""

    first_day: date
    last_day: date
    value: Decimal
    unit: str
    source: str


class OutsideFigures:
    """All reports from outside at a moment, the newest period of each figure last."""

    def __init__(self, reports: Mapping[str, Sequence[OutsideFigure]]) -> None:
        self._reports = reports

    @classmethod
    def read(cls, reader: Reader) -> "OutsideFigures":
        """Read them at the moment of a question."""
        rows, found = reader.columns(FIGURE_REPORT), defaultdict[str, list[OutsideFigure]](list)
        names = ("figure", "first_day", "last_day", "value", "unit", "source")
        for figure, first, last, value, *said in rows.records(*names):
            days = (date.fromisoformat(first), date.fromisoformat(last))
            found[figure].append(OutsideFigure(*days, unscaled(value), *said))
        for each in found.values():
            each.sort(key=lambda report: (report.last_day, -report.first_day.toordinal()))
        return cls(found)

    def within(self, metric: str, first: date, last: date) -> OutsideFigure | None:
        """Return the newest report of a period that lies in some days; None without one.

        Of two that end alike the one that is of more days.
        """
        within = [it for it in self._of(metric) if first <= it.first_day <= it.last_day <= last]
        newest = max((it.last_day for it in within), default=None)
        return next((it for it in within if it.last_day == newest), None)

    def before(self, metric: str, first: date) -> list[OutsideFigure]:
        """Return the reports of periods that were over before a day, the oldest first."""
        return [it for it in self._of(metric) if it.last_day < first]

    def unit(self, metric: str) -> str | None:
        """Return the unit that a figure is reported in; None where it never was."""
        return next((report.unit for report in reversed([*self._of(metric)])), None)

    def _of(self, metric: str) -> Iterable[OutsideFigure]:
        return self._reports.get(figure_key(metric) or "", ())
