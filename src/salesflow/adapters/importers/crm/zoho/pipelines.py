"""The pipelines of a Zoho account, each a process: as defined, else as deals name them.

Records name a stage by its value, people by what it is displayed as; a stage that was renamed
keeps its value, so that is its key. A module of its own beside `zoho`, which
reads deals: this says what stages there are before any deal is read.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from salesflow.adapters.importers.crm.stages import (
    CATEGORY_ORDER,
    CrmStage,
    ObservedStage,
    checked_key,
    closing_category,
)
from salesflow.adapters.importers.crm.system import CrmPipeline
from salesflow.adapters.importers.errors import needed
from salesflow.domain.process import ForecastCategory

__all__ = ["ZohoPipelines", "percentage"]


ALONE: Final = "zoho"
"""The process of deals that name no pipeline."""
FORECAST: Final[Mapping[str, ForecastCategory]] = {
    "pipeline": "pipeline",
    "best case": "best_case",
    "bestcase": "best_case",
    "commit": "commit",
    "committed": "commit",
    "closed": "closed",
    "omitted": "omitted",
    "omit": "omitted",
}
HUNDRED: Final = Decimal(100)


def percentage(text: object) -> Decimal | None:
    """Return a percentage as a part of one; None where it is none."""
    plain = str(text or "").strip().rstrip("%").strip()
    if not plain.replace(".", "", 1).isdecimal() or not plain.isascii() or len(plain) > 10:
        return None
    number = Decimal(plain)
    return number / HUNDRED if number <= HUNDRED else None


class ZohoPipelines:
    """What an export says of pipelines and stages."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """From all that names a pipeline to the key of its process."""
        self._defined: dict[str, dict[str, CrmStage]] = {}
        self._titles: dict[str, str] = {}
        self._displayed: dict[str, str] = {}
        """From what a stage is displayed as to its value, where they differ."""
        self._probabilities: dict[str, Decimal] = {}
        self._loose: dict[str, CrmStage] = {}
        """Stages that are defined without a pipeline."""
        self._seen: dict[str, dict[str, ObservedStage]] = {}
        self._passed: dict[str, None] = {}
        self._default: str | None = None
        self.stages: dict[str, dict[str, CrmStage]] = {}
        """By the key of a process, its stages by theirs; known once all records were seen."""

    def define(self, values: Mapping[str, Any]) -> None:
        """Note a pipeline with its stages."""
        shown = values.get("displayvalue")
        actual = checked_key(str(values.get("actualvalue") or shown), "actual_value")
        key = checked_key(f"{ALONE}/{actual}", "actual_value")
        maps = [each for each in values.get("maps", ()) if isinstance(each, Mapping)]
        stages = sorted(maps, key=_sequence)
        for name in (values.get("id"), shown, actual):
            if name:
                self._names.setdefault(str(name), key)
        self._titles[key] = str(shown or actual)
        if str(values.get("default", "")).casefold() == "true":
            self._default = key
        known = self._defined.setdefault(key, {})
        for each in stages:
            stage = self._stage(each)
            known.setdefault(stage.key, stage)

    def define_stage(self, values: Mapping[str, Any]) -> None:
        """Note a stage that is defined without its pipeline, with its probability."""
        named = {
            "display_value": values.get("displaylabel") or values.get("displayvalue"),
            "actual_value": values.get("actualvalue") or values.get("name"),
            "forecast_type": values.get("forecasttype"),
            "forecast_category": values.get("forecastcategory"),
        }
        stage = self._stage(named)
        probability = percentage(values.get("probability"))
        if probability is not None:
            self._probabilities[stage.key] = probability
        self._loose.setdefault(stage.key, stage)

    def see(self, values: Mapping[str, Any]) -> None:
        """Note the pipeline and the stage of a deal, and the probability it has there."""
        stage = needed(values.get("stage"), "stage")
        key = self.value_of(checked_key(str(stage), "stage"))
        seen = self._seen.setdefault(self.key_of(values), {})
        seen.setdefault(key, ObservedStage()).see(percentage(values.get("probability")))

    def see_pipeline(self, name: object) -> None:
        """Note a pipeline that a timeline names."""
        if isinstance(name, str) and name:
            self._seen.setdefault(self.named(name), {})

    def pass_through(self, stage: object) -> None:
        """Note a stage that a history names."""
        if isinstance(stage, str) and stage:
            self._passed[self.value_of(checked_key(str(stage), "stage"))] = None

    def key_of(self, values: Mapping[str, Any]) -> str:
        """Return the key of the process of a deal, by the pipeline it names."""
        return self.named(values.get("pipelineid"), values.get("pipeline"))

    def named(self, *names: object) -> str:
        """Return the key of the process of a pipeline, by its id, value or title."""
        given = [str(name) for name in names if name]
        for name in given:
            if name in self._names:
                return self._names[name]
        if not given:
            return self._default or next(iter(self._defined), ALONE)
        return checked_key(f"{ALONE}/{given[-1]}", "pipeline")

    def value_of(self, text: str) -> str:
        """Return the value of a stage, which may be called by what it is displayed as."""
        return self._displayed.get(text, text)

    def all(self) -> Sequence[CrmPipeline]:
        """Return the pipelines, the default first, when all records were seen."""
        keys = dict.fromkeys([*self._defined, *self._seen])
        for key in keys:
            self._titles.setdefault(key, key.removeprefix(f"{ALONE}/"))
        if not keys:
            keys = {ALONE: None}
        known = {stage for each in keys for stage in self._known_of(each)}
        strangers = [stage for stage in self._passed if stage not in known]
        found = []
        for key in sorted(keys, key=lambda each: (each != self._default, each)):
            stages = self._in_order(
                key, [*self._known_of(key).values(), *map(_named, strangers)]
            )
            self.stages[key] = {stage.key: stage for stage in stages}
            title = self._titles.get(key, key)
            found.append(CrmPipeline(key, "Zoho CRM" if key == ALONE else title, stages))
        return found

    def home_of(self, stage: str, otherwise: str) -> str:
        """Return the one other pipeline that has a stage, where this one has it not."""
        if stage in self.stages.get(otherwise, ()):
            return otherwise
        homes = [key for key, stages in self.stages.items() if stage in stages]
        return homes[0] if len(homes) == 1 else otherwise

    def _known_of(self, key: str) -> dict[str, CrmStage]:
        """Return the stages of a pipeline: defined, and those its deals stand in."""
        found = dict(self._defined.get(key, {} if self._defined else self._loose))
        for name, seen in self._seen.get(key, {}).items():
            stage = found.get(name) or self._loose.get(name) or _named(name)
            if stage.probability is None and stage.category == "open":
                stage = stage._replace(probability=seen.probability)
            found[name] = stage
        return {name: self._with_probability(stage) for name, stage in found.items()}

    def _with_probability(self, stage: CrmStage) -> CrmStage:
        told = self._probabilities.get(stage.key)
        return stage if told is None else stage._replace(probability=told)

    def _in_order(self, key: str, stages: Iterable[CrmStage]) -> list[CrmStage]:
        """Return stages as they are defined; those that are not, by their probability."""
        given = list(stages)
        if not any(stage.category == "open" for stage in given):
            given.insert(0, CrmStage("Qualification", probability=Decimal("0.1")))
        places = {each: n for n, each in enumerate(self._defined.get(key) or self._loose)}
        return sorted(given, key=lambda stage: _place(stage, places.get(stage.key)))

    def _stage(self, values: Mapping[str, Any]) -> CrmStage:
        shown = values.get("display_value")
        actual = checked_key(str(values.get("actual_value") or shown), "actual_value")
        label = checked_key(str(shown or actual), "display_value")
        if label != actual:
            self._displayed.setdefault(label, actual)
        kind = str(values.get("forecast_type") or "")
        category = closing_category(kind) if kind else closing_category(actual)
        forecast = values.get("forecast_category")
        if isinstance(forecast, Mapping):
            forecast = forecast.get("name")
        return CrmStage(
            actual,
            label,
            category=category,
            forecast_category=FORECAST.get(str(forecast or "").casefold()),
        )


def _named(name: str) -> CrmStage:
    return CrmStage(name, category=closing_category(name))


def _sequence(values: Mapping[str, Any]) -> Decimal:
    number = str(values.get("sequence_number") or "")
    return Decimal(number) if number.isdecimal() and len(number) < 10 else Decimal(10_000)


def _place(stage: CrmStage, defined: int | None) -> tuple[int, int, int, Decimal, str]:
    probability = Decimal("0.5") if stage.probability is None else stage.probability
    place = 0 if defined is None else defined
    return CATEGORY_ORDER[stage.category], int(defined is None), place, probability, stage.key
