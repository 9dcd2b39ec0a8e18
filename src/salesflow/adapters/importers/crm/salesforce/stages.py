"""The stages of Salesforce: those a table defines, and those that only records name.

A module of its own, to keep that from what opportunities mean.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from salesflow.adapters.importers.crm.salesforce.tables import first, is_true, plain
from salesflow.adapters.importers.crm.stages import CATEGORY_ORDER, CrmStage, closing_category
from salesflow.adapters.importers.errors import RowError
from salesflow.domain.process import Category, ForecastCategory

__all__ = ["FORECAST", "SalesforceStages", "stage_name"]


FORECAST: Final[Mapping[str, ForecastCategory]] = {
    "pipeline": "pipeline",
    "bestcase": "best_case",
    "mostlikely": "commit",
    "commit": "commit",
    "forecast": "commit",
    "closed": "closed",
    "omitted": "omitted",
}


def stage_name(values: Mapping[str, Any]) -> str:
    """Return the stage that a record names."""
    return str(first(values, "stagename", "stage") or "")


class SalesforceStages:
    """The stages of one export."""

    def __init__(self) -> None:
        self._defined: dict[str, tuple[Decimal, CrmStage]] = {}
        self._seen: dict[str, _SeenStage] = defaultdict(_SeenStage)
        self._stages: dict[str, CrmStage] = {}

    def see(self, name: str, values: Mapping[str, Any]) -> None:
        """Note what a record says of the stage it is in."""
        self._seen[name].see(values)

    def define(self, values: Mapping[str, Any]) -> None:
        """Note a stage that the table of stages defines."""
        label = first(values, "apiname", "masterlabel")
        if label is None:
            raise RowError("is empty, and the fact needs it", "masterlabel")
        won = is_true(values.get("iswon"))
        category: Category = (
            ("won" if won else "lost") if is_true(values.get("isclosed")) else "open"
        )
        percent = values.get("defaultprobability")
        stage = CrmStage(
            label,
            values.get("masterlabel", label),
            category=category,
            probability=None if percent is None else Decimal(percent) / 100,
            forecast_category=FORECAST.get(plain(values.get("forecastcategory"))),
        )
        self._defined[label] = Decimal(values.get("sortorder", len(self._defined))), stage

    def all(self) -> list[CrmStage]:
        """Return the stages defined, then those that only records name."""
        defined = [stage for _, stage in sorted(self._defined.values(), key=lambda it: it[0])]
        known = {stage.key for stage in defined}
        others = [
            seen.stage(name) for name, seen in self._seen.items() if name and name not in known
        ]
        others.sort(key=lambda stage: _place(stage, self._seen[stage.key].order))
        stages = [*defined, *others]
        if not any(stage.category == "open" for stage in stages):
            stages.insert(0, CrmStage("Prospecting", probability=Decimal("0.1")))
        self._stages = {stage.key: stage for stage in stages}
        return stages

    def probability(self, name: str) -> Decimal | None:
        """Return the usual probability of a stage."""
        return self._stages[name].probability if name in self._stages else None

    def forecast(self, name: str) -> ForecastCategory | None:
        """Return the usual forecast category of a stage."""
        return self._stages[name].forecast_category if name in self._stages else None


class _SeenStage:
    """What records say of a stage that no table defines."""

    def __init__(self) -> None:
        self._probabilities: Counter[Decimal] = Counter()
        self._closings: Counter[Category] = Counter()
        self._forecasts: Counter[ForecastCategory] = Counter()
        self.order: Decimal | None = None

    def see(self, values: Mapping[str, Any]) -> None:
        """Note what a record says of the stage it is in."""
        percent = values.get("probability", "").rstrip("%")
        if percent.replace(".", "", 1).isdigit() and Decimal(percent) <= Decimal(100):
            self._probabilities[Decimal(percent) / 100] += 1
        if "isclosed" in values:
            closed = is_true(values["isclosed"])
            won = is_true(values.get("iswon"))
            self._closings[("won" if won else "lost") if closed else "open"] += 1
        forecast = FORECAST.get(
            plain(first(values, "forecastcategoryname", "forecastcategory"))
        )
        if forecast is not None:
            self._forecasts[forecast] += 1
        order = values.get("stagesortorder", "")
        if order.isdigit():
            self.order = Decimal(order)

    def stage(self, name: str) -> CrmStage:
        """Return the stage as most records have it."""
        probability = next((p for p, _ in self._probabilities.most_common(1)), None)
        forecast = next((f for f, _ in self._forecasts.most_common(1)), None)
        return CrmStage(
            name,
            category=self._category(name),
            probability=probability,
            forecast_category=forecast,
        )

    def _category(self, name: str) -> Category:
        said = next((c for c, _ in self._closings.most_common(1)), None)
        return said or closing_category(name)


def _place(stage: CrmStage, order: Decimal | None) -> tuple[int, Decimal, Decimal, str]:
    """Sort open stages first, by their place in the org, else by their probability."""
    unplaced = Decimal(10_000)
    probability = Decimal(0) if stage.probability is None else stage.probability
    return (
        CATEGORY_ORDER[stage.category],
        unplaced if order is None else order,
        probability,
        stage.key,
    )
