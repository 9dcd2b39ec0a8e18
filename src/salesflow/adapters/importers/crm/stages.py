"""The pipelines of a CRM as processes: one version for as long as their stages stay the same.

A version holds every stage that the export names, those of its definition in their order. A
stage of the published version that an export names no longer is kept: deals may have passed it.
When anything differs, a new version is published; deals stay on the version they were opened
under until they come to a stage that it does not know (see `present_state`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from salesflow.adapters.importers.errors import RowError
from salesflow.domain.process import Category, ForecastCategory, ProcessVersion, Stage
from salesflow.domain.values import Key, SafeText
from salesflow.domain.wording import reason_of

__all__ = [
    "CATEGORY_ORDER",
    "CrmStage",
    "ObservedStage",
    "at_six_places",
    "checked_key",
    "checked_label",
    "closing_category",
    "probability_of",
    "unweighed",
    "version_of",
]


KEY: TypeAdapter[str] = TypeAdapter(Key)
LABEL: TypeAdapter[str] = TypeAdapter(SafeText)


def checked_key(text: str, column: str) -> str:
    """Return what a system calls a pipeline or a stage, if it can be a key.

    Raises:
        RowError: when it cannot.
    """
    return _checked(KEY, text, column)


def checked_label(text: str, column: str) -> str:
    """Return how a system names a pipeline or a stage to people, if a log can hold it."""
    return _checked(LABEL, text, column)


def _checked(adapter: TypeAdapter[str], text: str, column: str) -> str:
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        reason = reason_of(error.errors(include_url=False)[0])
        raise RowError("cannot name a stage: {reason}", column, text, reason=reason) from error


SIXTH: Final = Decimal("0.000001")
PLACES_MIN: Final = -6
LARGEST: Final = Decimal(10) ** 18
"""A larger one is refused as an amount, however fine it is."""


def at_six_places(number: Decimal) -> Decimal:
    """Return a number as finely as it is kept: systems write thirds with sixteen digits."""
    exponent = number.as_tuple().exponent
    is_finer = isinstance(exponent, int) and exponent < PLACES_MIN
    return number.quantize(SIXTH) if is_finer and abs(number) < LARGEST else number


class CrmStage(NamedTuple):
    """A stage as the system defines it."""

    key: str
    label: str = ""
    label_zh: str = ""
    category: Category = "open"
    probability: Decimal | None = None
    """Left out: 1 of a stage that ends with a sale, 0 of one that ends without, else 0.5."""
    forecast_category: ForecastCategory | None = None


CATEGORY_ORDER: Final[Mapping[Category, int]] = {
    "open": 0,
    "won": 1,
    "after_sales": 2,
    "lost": 3,
    "disqualified": 4,
}
"""Where the stages of a category stand in a pipeline whose definition does not say."""
ENDS: Final[dict[Category, Decimal]] = {
    "won": Decimal(1),
    "after_sales": Decimal(1),
    "lost": Decimal(0),
    "disqualified": Decimal(0),
}
UNKNOWN: Final = Decimal("0.5")
FORECAST_OF: Final[dict[Category, ForecastCategory]] = {
    "won": "closed",
    "after_sales": "closed",
    "lost": "omitted",
    "disqualified": "omitted",
}


def version_of(
    key: str,
    name: str,
    stages: Sequence[CrmStage],
    latest: ProcessVersion | None = None,
) -> ProcessVersion:
    """Return the version these stages stand for: the latest, or one that follows it."""
    stages = [_as_known(stage, latest) for stage in stages]
    known = {stage.key for stage in stages}
    kept = [] if latest is None else [s for s in latest.stages if s.key not in known]
    version = ProcessVersion(
        key=key,
        name_en=name,
        name_zh=name,
        version=1 if latest is None else latest.version,
        stages=_in_place([_stage(each) for each in stages], kept, latest),
    )
    if latest is None or version == latest:
        return version
    return version.model_copy(update={"version": latest.version + 1})


def _as_known(stage: CrmStage, latest: ProcessVersion | None) -> CrmStage:
    """Return a stage as likely as an earlier export said, where this one says nothing."""
    if stage.probability is not None or latest is None or latest.order(stage.key) < 0:
        return stage
    known = latest.stage(stage.key)
    same = known.category == stage.category
    return stage._replace(probability=known.probability) if same else stage


def unweighed(stages: Sequence[CrmStage], latest: ProcessVersion | None) -> list[str]:
    """Return what stages are called of which nothing says how likely a sale is from there."""
    open_ones = (each for each in stages if each.category not in ENDS)
    untold = (each for each in open_ones if each.probability is None)
    return [s.label or s.key for s in untold if latest is None or latest.order(s.key) < 0]


def _in_place(
    stages: list[Stage], kept: Sequence[Stage], latest: ProcessVersion | None
) -> tuple[Stage, ...]:
    """Return stages with those that are no longer named where they stood in the latest."""
    if latest is None or not kept:
        return tuple(stages)
    found = list(stages)
    for stage in kept:
        place = latest.order(stage.key)
        found.insert(min(place, len(found)), stage)
    return tuple(found)


def probability_of(stage: CrmStage) -> Decimal:
    """Return the probability that deals in a stage have, unless another is given."""
    if stage.probability is not None:
        return stage.probability
    return ENDS.get(stage.category, UNKNOWN)


def _stage(stage: CrmStage) -> Stage:
    probability = probability_of(stage)
    probability = at_six_places(probability)
    label = stage.label or stage.key
    return Stage(
        key=stage.key,
        name_en=label,
        name_zh=stage.label_zh or label,
        category=stage.category,
        probability=probability,
        forecast_category=stage.forecast_category
        or FORECAST_OF.get(stage.category, "pipeline"),
    )


class ObservedStage:
    """What records say of a stage that nothing defines."""

    def __init__(self) -> None:
        self._probabilities: Counter[Decimal] = Counter()
        self._categories: Counter[Category] = Counter()
        self._labels: Counter[str] = Counter()

    def see(
        self, probability: Decimal | None, category: Category | None = None, label: str = ""
    ) -> None:
        """Note what the record of a deal that stands in it says."""
        if probability is not None:
            self._probabilities[probability] += 1
        if category is not None:
            self._categories[category] += 1
        if label:
            self._labels[label] += 1

    @property
    def categories(self) -> set[Category]:
        """What deals in it are, by their records."""
        return set(self._categories)

    @property
    def probability(self) -> Decimal | None:
        """The probability that most deals in it have."""
        return next((each for each, _ in self._probabilities.most_common(1)), None)

    @property
    def label(self) -> str:
        """What most records call it."""
        return next((each for each, _ in self._labels.most_common(1)), "")


WON: Final = (
    *("closed won", "closedwon", "won", "赢单", "成交", "已成交", "赢单关闭", "已赢单", "成功"),
    *("关闭赢单", "已关闭赢单", "结束并赢单", "成功关闭", "赢单结束"),
)
LOST: Final = (
    *("closed lost", "closedlost", "lost", "输单", "丢单", "已输单", "失单", "丢失", "已丢单"),
    *(
        "关闭丢单",
        "已关闭丢单",
        "已关闭输单",
        "结束并丢单",
        "输单关闭",
        "失败关闭",
        "输给竞争对手",
    ),
)
INVALID: Final = ("invalid", "disqualified", "无效", "作废", "无效关闭")


def closing_category(label: str) -> Category:
    """Return what a stage is by its usual names, where its system says no more of it."""
    plain = " ".join(label.casefold().replace("_", " ").replace("-", " ").split())
    if plain in WON:
        return "won"
    if plain in LOST or plain.startswith("closed lost"):
        return "lost"
    return "disqualified" if plain in INVALID else "open"
