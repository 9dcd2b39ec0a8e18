"""The pipelines of HubSpot, and the columns that hold when a stage was entered.

A module of its own, to keep that from what deals mean.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from salesflow.adapters.importers.crm.exports import CrmRecord, plain_name
from salesflow.adapters.importers.crm.hubspot.records import stages_of
from salesflow.adapters.importers.crm.named_pipelines import NamedPipelines
from salesflow.adapters.importers.crm.reading import TRUE
from salesflow.adapters.importers.crm.stages import CrmStage, closing_category
from salesflow.domain.process import Category, ForecastCategory

__all__ = ["ENTERED", "FORECAST", "HubSpotPipelines"]


FORECAST: Final[Mapping[str, ForecastCategory]] = {
    "pipeline": "pipeline",
    "bestcase": "best_case",
    "mostlikely": "commit",
    "commit": "commit",
    "closed": "closed",
    "closedwon": "closed",
    "omit": "omitted",
    "omitted": "omitted",
    "notforecasted": "omitted",
}
ENTERED: Final = ("hsv2dateentered", "hsdateentered", "dateentered")
"""How columns begin that hold when a stage was entered."""
MAIN: Final = "hubspot"


class HubSpotPipelines(NamedPipelines):
    """The pipelines of an export of HubSpot."""

    def __init__(self) -> None:
        super().__init__(MAIN, "HubSpot")

    def take(self, record: CrmRecord) -> None:
        """Note a pipeline, or a stage of one."""
        values = record.values
        id = str(values.get("pipelineid") or values.get("id") or "")
        if record.kind != "stage":
            self.define(id, str(values.get("label", id)))
        for each in stages_of(record) if record.kind != "pipeline_row" else ():
            category, probability = (
                _category(each.values, each.label),
                _probability(each.values),
            )
            stage = CrmStage(each.id, each.label, "", category, probability)
            self.define_stage(id, each.order, stage)

    def entered(self, column: str, process: str) -> str | None:
        """Return the stage whose time of entering a column holds, by its id or label.

        Some portals put a number behind the id.
        """
        start = next((each for each in ENTERED if column.startswith(each)), None)
        if start is None:
            return None
        id, rest = process.removeprefix(f"{MAIN}/"), column.removeprefix(start)
        found: dict[str, str] = {}
        label = plain_name(self._labels.get(id, ""))
        for key, each in self._stages[id].items():
            for name in (
                plain_name(key),
                plain_name(each.stage.label),
                plain_name(each.stage.label) + label,
            ):
                found.setdefault(name, key)
        for key in self._seen[id]:
            found.setdefault(plain_name(key), key)
        if rest in found:
            return found[rest]
        numbered = [
            name
            for name in found
            if name and rest.startswith(name) and rest[len(name) :].isdigit()
        ]
        return found[max(numbered, key=len)] if numbered else None


def _category(values: Mapping[str, Any], label: str) -> Category:
    closed, won = values.get("isclosed"), values.get("closedwon")
    probability = _probability(values)
    if str(won).casefold() in TRUE:
        return "won"
    if closed is None:
        return closing_category(label)
    if str(closed).casefold() not in TRUE:
        return "open"
    return "won" if probability == 1 else "lost"


def _probability(values: Mapping[str, Any]) -> Decimal | None:
    text = str(values.get("probability", ""))
    if not text.replace(".", "", 1).isdigit():
        return None
    probability = Decimal(text)
    return probability if probability <= 1 else None
