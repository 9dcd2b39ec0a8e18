"""The processes of Fxiaoke: stages as deals stand in them, and how their status closes them.

Fxiaoke says twice whether a deal is closed: by its stage, and by a status (won, lost, invalid).
Some accounts have stages for the ends, in others a deal that is lost stays in the stage it was
lost in. So a stage closes when it is named after an end, or when nothing but deals closed alike
stand in it, with no chance left open; else closed deals stand in an end of their own. A module
of its own beside `fxiaoke`, which reads deals: this says what stages there are before.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from salesflow.adapters.importers.crm.stages import (
    CATEGORY_ORDER,
    CrmStage,
    ObservedStage,
    checked_key,
    checked_label,
    closing_category,
)
from salesflow.adapters.importers.crm.system import CrmPipeline
from salesflow.adapters.importers.errors import RowError
from salesflow.domain.process import Category
from salesflow.domain.wording import Message

__all__ = ["FxiaokeStages", "StagePlace", "status_of"]


ALONE: Final = "fxiaoke"
"""The process of deals that name none."""
CODES: Final[Mapping[str, Category]] = {
    "1": "open",
    "2": "won",
    "3": "lost",
    "4": "disqualified",
}
LABELS: Final[Mapping[str, Category]] = {
    "进行中": "open",
    "赢单": "won",
    "输单": "lost",
    "丢单": "lost",
    "无效": "disqualified",
    "in progress": "open",
    "inprogress": "open",
    "in_progress": "open",
    "ongoing": "open",
    "open": "open",
    "won": "won",
    "win": "won",
    "lost": "lost",
    "lose": "lost",
    "invalid": "disqualified",
}
ENDS: Final[Mapping[Category, CrmStage]] = {
    "won": CrmStage("won", "Won", "赢单", "won"),
    "lost": CrmStage("lost", "Lost", "输单", "lost"),
    "disqualified": CrmStage("invalid", "Invalid", "无效", "disqualified"),
}
"""Where closed deals stand that no stage of the account is for."""
NO_CHANCES: Final = (Decimal(0), Decimal(1), None)
HUNDRED: Final = Decimal(100)


class StagePlace(NamedTuple):
    """Where a deal stands: its stage as the account has it, and the end it came to."""

    stage: str
    end: str | None
    """The stage of the end of a closed deal, where it is another one."""


def status_of(values: Mapping[str, Any]) -> Category | None:
    """Return what a deal is by its status; None where nothing is said of it.

    Raises:
        RowError: for a status that nobody knows.
    """
    label, code = values.get("salesstatusr"), values.get("salesstatus")
    for known, given in ((LABELS, label), (LABELS, code), (CODES, code), (CODES, label)):
        if str(given or "").strip().casefold() in known:
            return known[str(given).strip().casefold()]
    given = label or code
    if given is None:
        return None
    expected = ", ".join(LABELS)
    raise RowError("is not one of {expected}", "salesstatus", str(given), expected=expected)


class FxiaokeStages:
    """What the deals of an export say of processes and stages."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, ObservedStage]] = {}
        self._titles: dict[str, str] = {}
        self._by_code = False
        self._closed: dict[str, set[Category]] = {}
        self.stages: dict[str, dict[str, CrmStage]] = {}
        """By the key of a process, its stages by theirs; known once all deals were seen."""

    def see(self, values: Mapping[str, Any]) -> None:
        """Note the stage of a deal."""
        process, key = self.process_of(values), self.stage_of(values)
        category = status_of(values)
        if category is not None and category != "open":
            self._closed.setdefault(process, set()).add(category)
        self._by_code |= category is not None and not values.get("salesstatusr")
        label = str(values.get("salesstager") or "")
        chance = _chance(values.get("probability"))
        stages = self._seen.setdefault(process, {})
        stages.setdefault(key, ObservedStage()).see(
            chance, category, label and checked_label(label, "salesstage")
        )
        title = values.get("salesprocessidr") or values.get("salesprocessid") or "纷享销客"
        self._titles.setdefault(process, checked_label(str(title), "salesprocessid"))

    def process_of(self, values: Mapping[str, Any]) -> str:
        """Return the key of the process of a deal."""
        named = values.get("salesprocessid") or values.get("salesprocessidr")
        return ALONE if not named else checked_key(f"{ALONE}/{named}", "salesprocessid")

    def stage_of(self, values: Mapping[str, Any]) -> str:
        """Return the key of the stage of a deal: its code, where there is one.

        Raises:
            RowError: when it is in none.
        """
        stage = values.get("salesstage") or values.get("salesstager")
        if not isinstance(stage, str):
            raise RowError("is empty, and the fact needs it", "salesstage")
        return checked_key(stage, "salesstage")

    def place_of(self, values: Mapping[str, Any]) -> StagePlace:
        """Return where a deal stands."""
        stages = self.stages[self.process_of(values)]
        key, status = self.stage_of(values), status_of(values)
        if status in (None, "open") or stages[key].category == status:
            return StagePlace(key, None)
        ends = [stage.key for stage in stages.values() if stage.category == status]
        return StagePlace(key, ends[0])

    def all(self) -> Sequence[CrmPipeline]:
        """Return every process with its stages, when all deals were seen."""
        found = []
        for process in sorted(self._seen) or [ALONE]:
            stages = [_stage(key, seen) for key, seen in self._seen.get(process, {}).items()]
            there = {stage.category for stage in stages}
            ends = [e for e in ENDS if e in self._closed.get(process, ()) and e not in there]
            stages += [ENDS[end] for end in ends]
            if "open" not in there:
                stages.append(CrmStage("open", "In progress", "进行中"))
            stages.sort(key=_place)
            self.stages[process] = {stage.key: stage for stage in stages}
            found.append(CrmPipeline(process, self._titles.get(process, process), stages))
        return found

    def assumed(self) -> list[Message]:
        """Return what was taken to be so of the status of deals."""
        if not self._by_code:
            return []
        return [
            Message(
                "a sales_status of 1, 2, 3 and 4 is read as in progress, won, lost and invalid;"
                " the export has no labels of them"
            )
        ]


def _stage(key: str, seen: ObservedStage) -> CrmStage:
    label = seen.label or key
    category = closing_category(label)
    alike = seen.categories
    if category == "open" and len(alike) == 1 and seen.probability in NO_CHANCES[:2]:
        category = next(iter(alike))
    probability = seen.probability if category == "open" else None
    return CrmStage(key, label, label, category, probability)


def _place(stage: CrmStage) -> tuple[int, Decimal, str]:
    chance = Decimal("0.5") if stage.probability is None else stage.probability
    return CATEGORY_ORDER[stage.category], chance, stage.key


def _chance(text: object) -> Decimal | None:
    plain = str(text or "").strip().rstrip("%").strip()
    if not plain.isascii() or not plain.replace(".", "", 1).isdecimal() or len(plain) > 10:
        return None
    number = Decimal(plain)
    return number / HUNDRED if number <= HUNDRED else None
