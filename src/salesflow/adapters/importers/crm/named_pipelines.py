"""The pipelines of a system that names them: those defined, and those that only deals name.

Deals name a pipeline and a stage by id, or, in a CSV, by label. What nothing defines is taken
as it is named; stages of which nothing says the pipeline are in a process of their own.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from salesflow.adapters.importers.crm.exports import plain_name
from salesflow.adapters.importers.crm.stages import (
    CrmStage,
    checked_key,
    checked_label,
    closing_category,
)
from salesflow.adapters.importers.crm.system import CrmPipeline

__all__ = ["DefinedStage", "NamedPipelines"]


UNKNOWN: Final = CrmStage("unknown", "Stage unknown", "阶段未知")
"""Where deals are of which nothing says the stage."""


class DefinedStage(NamedTuple):
    """A stage that a pipeline defines, and its place in it."""

    order: Decimal
    stage: CrmStage


class NamedPipelines:
    """The pipelines of an export."""

    def __init__(self, main: str, title: str, ends: Sequence[CrmStage] = ()) -> None:
        """`main` is the process of deals without a pipeline; all pipelines end with `ends`."""
        self._main = main
        self._title = title
        self._ends = ends
        self._labels: dict[str, str] = {}
        self._stages: dict[str, dict[str, DefinedStage]] = defaultdict(dict)
        self._seen: dict[str, dict[str, None]] = defaultdict(dict)
        """Stages that deals of a pipeline are in, or passed, and nothing defines."""
        self._used: Counter[str] = Counter()
        self._homes: dict[str, str] = {}
        self._by_label: dict[str, str] = {}

    def define(self, id: str, label: str) -> None:
        """Note a pipeline and what people call it."""
        self._process_key(checked_key(id, "pipeline"))
        self._labels[id] = checked_label(label, "pipeline")
        self._by_label.setdefault(plain_name(label), id)

    def define_stage(self, pipeline: str, order: str, stage: CrmStage) -> None:
        """Note a stage of a pipeline, and its place in it."""
        self._process_key(checked_key(pipeline, "pipeline") if pipeline else "")
        checked_key(stage.key, "stage")
        checked_label(stage.label, "stage")
        place = Decimal(order if order.isdecimal() else len(self._stages[pipeline]))
        self._stages[pipeline][stage.key] = DefinedStage(place, stage)
        self._homes.setdefault(stage.key, pipeline)

    def see(self, pipeline: str, stage: str) -> str:
        """Note that a deal is in a pipeline and a stage, by ids or labels; return its id."""
        id = self._pipeline(pipeline, stage)
        if pipeline:
            self._process_key(checked_key(id, "pipeline"))
        if stage and self._stage(id, stage) is None:
            self._seen[id].setdefault(checked_key(stage, "stage"))
        self._used[id] += 1
        return id

    def home(self, stage: str) -> str | None:
        """Return the pipeline that defines a stage."""
        return self._homes.get(stage)

    def has(self, stage: str) -> bool:
        """Return whether a stage is known, by its id or label."""
        return stage in self._homes or any(
            self._stage(id, stage) is not None for id in self._stages
        )

    def find(self, pipeline: str, stage: str) -> tuple[str, str | None]:
        """Return the process and the stage that ids or labels, or a process, stand for."""
        bare = "" if pipeline == self._main else pipeline.removeprefix(f"{self._main}/")
        id = self._pipeline(bare, stage)
        return self._process_key(id), (self._stage(id, stage) or stage) if stage else None

    def stage(self, process: str, key: str) -> CrmStage | None:
        """Return how a stage of a process is defined."""
        found = self._stages.get(process.removeprefix(f"{self._main}/"), {}).get(key)
        return None if found is None else found.stage

    def all(self) -> list[CrmPipeline]:
        """Return the pipelines that deals are in, those of most deals first."""
        used = [id for id, _ in self._used.most_common()] or [""]
        return [self._one(id) for id in used]

    def _one(self, id: str) -> CrmPipeline:
        defined = sorted(self._stages[id].values(), key=lambda each: each.order)
        stages = [each.stage for each in defined]
        others = [CrmStage(key, category=closing_category(key)) for key in self._seen[id]]
        stages += sorted(others, key=lambda stage: stage.category != "open")
        is_placed = bool(id or defined)
        if not is_placed or not any(stage.category == "open" for stage in stages):
            stages.insert(0, UNKNOWN)
        found = list({stage.key: stage for stage in (*stages, *self._ends)}.values())
        return CrmPipeline(
            self._process_key(id), self._labels.get(id, id or self._title), found
        )

    def _process_key(self, pipeline: str) -> str:
        return checked_key(f"{self._main}/{pipeline}", "pipeline") if pipeline else self._main

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
        label, within = plain_name(stage), plain_name(self._labels.get(pipeline, ""))
        for key, each in defined.items():
            own = plain_name(each.stage.label)
            if label in (own, own + within):  # some write it with the pipeline behind
                return key
        return None
