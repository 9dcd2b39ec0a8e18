"""The pipelines of HubSpot: those an export defines, and those that only its deals name.

Deals name a pipeline and a stage by id, or, in a CSV, by label. What nothing defines is taken
as it is named. It stands alone to keep that from what deals mean.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from salesflow.adapters.importers.crm.exports import CrmRecord, plain_name
from salesflow.adapters.importers.crm.hubspot_records import stages_of
from salesflow.adapters.importers.crm.stages import (
    CrmStage,
    checked_key,
    checked_label,
    closing_category,
)
from salesflow.adapters.importers.crm.system import CrmPipeline
from salesflow.domain.process import Category

__all__ = ["ENTERED", "TRUE", "HubSpotPipelines"]


TRUE: Final = frozenset({"true", "1", "yes"})
ENTERED: Final = ("hsv2dateentered", "hsdateentered", "dateentered")
"""How columns begin that hold when a stage was entered."""
UNKNOWN: Final = CrmStage("unknown", "Stage unknown", "阶段未知")
"""Where deals are of which nothing says the stage."""
MAIN: Final = "hubspot"
"""The process of deals of which nothing says the pipeline."""


class HubSpotPipelines:
    """The pipelines of an export: those defined, and those that deals name."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}
        self._orders: dict[str, int] = {}
        self._stages: dict[str, dict[str, tuple[Decimal, CrmStage]]] = defaultdict(dict)
        self._seen: dict[str, dict[str, None]] = defaultdict(dict)
        """Stages that deals of a pipeline are in, or passed, and nothing defines."""
        self._used: Counter[str] = Counter()
        self._homes: dict[str, str] = {}
        self._by_label: dict[str, str] = {}

    def define(self, record: CrmRecord) -> None:
        """Note a pipeline, or a stage of one."""
        values = record.values
        id = checked_key(str(values.get("pipelineid") or values.get("id") or ""), "id")
        _process_key(id)
        if record.kind != "stage":
            label = checked_label(str(values.get("label", id)), "label")
            self._labels[id] = label
            self._by_label.setdefault(plain_name(label), id)
        if record.kind == "pipeline_row":
            return
        for each in stages_of(record):
            key = checked_key(each.id, "stageId")
            stage = CrmStage(
                key,
                checked_label(each.label, "label"),
                category=_category(each.values, each.label),
                probability=_probability(each.values),
            )
            order = (
                Decimal(each.order) if each.order.isdigit() else Decimal(len(self._stages[id]))
            )
            self._stages[id][key] = order, stage
            self._homes.setdefault(key, id)

    def see(self, pipeline: str, stage: str) -> str:
        """Note that a deal is in a pipeline and a stage, by their ids or labels; return it."""
        id = self._pipeline(pipeline, stage)
        if pipeline:
            _process_key(checked_key(id, "pipeline"))
        if stage and self._stage(id, stage) is None:
            self._seen[id].setdefault(checked_key(stage, "dealstage"))
        self._used[id] += 1
        return id

    def see_everywhere(self, pipelines: set[str], stage: str) -> None:
        """Note a stage that nothing defines, of a deal that was in several pipelines."""
        for each in pipelines:
            self.see(each, stage)

    def has(self, stage: str) -> bool:
        """Return whether a stage is known, by its id or label."""
        return stage in self._homes or any(
            self._stage(id, stage) is not None for id in self._stages
        )

    def find(self, pipeline: str, stage: str) -> tuple[str, str | None]:
        """Return the process and the stage that ids or labels of HubSpot stand for."""
        bare = pipeline.removeprefix(f"{MAIN}/") if pipeline != MAIN else ""
        id = self._pipeline(bare, stage)
        return _process_key(id), (self._stage(id, stage) or stage) if stage else None

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
        for key, (_, stage) in self._stages[id].items():
            for name in (
                plain_name(key),
                plain_name(stage.label),
                plain_name(stage.label) + label,
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

    def all(self) -> list[CrmPipeline]:
        """Return the pipelines that deals are in, those of most deals first."""
        used = [id for id, _ in self._used.most_common()] or [""]
        return [self._one(id) for id in used]

    def _one(self, id: str) -> CrmPipeline:
        defined = sorted(self._stages[id].values(), key=lambda each: each[0])
        stages = [stage for _, stage in defined]
        others = [CrmStage(key, category=closing_category(key)) for key in self._seen[id]]
        stages += sorted(others, key=lambda stage: stage.category != "open")
        if not id or not any(stage.category == "open" for stage in stages):
            stages.insert(0, UNKNOWN)
        found = list({stage.key: stage for stage in stages}.values())
        return CrmPipeline(_process_key(id), self._labels.get(id, id or "HubSpot"), found)

    def _pipeline(self, pipeline: str, stage: str) -> str:
        """Return the id of a pipeline; where nothing names it, that of its stage."""
        if pipeline:
            known = pipeline in self._labels or pipeline in self._stages
            return pipeline if known else self._by_label.get(plain_name(pipeline), pipeline)
        return self._homes.get(stage, "")

    def _stage(self, pipeline: str, stage: str) -> str | None:
        defined = self._stages.get(pipeline, {})
        if stage in defined:
            return stage
        label = plain_name(stage)
        return next(
            (key for key, (_, each) in defined.items() if plain_name(each.label) == label), None
        )


def _process_key(pipeline: str) -> str:
    return checked_key(f"{MAIN}/{pipeline}", "pipeline") if pipeline else MAIN


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
