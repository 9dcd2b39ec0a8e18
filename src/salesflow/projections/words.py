"""What answers call things in English and Chinese: facts, outcomes, why a fact has no ground.

The Chinese terms are those of the glossary. What is not listed stays as it is stored, so that
nothing is ever blank.
"""

import re
from typing import Final

from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.facts import Fact

__all__ = [
    "OUTCOMES_ZH",
    "fact_name",
    "irregularity_name",
    "kind_name",
    "outcome_name",
]

OUTCOMES_ZH: Final[dict[str, str]] = {
    "open": "进行中",
    "won": "赢单",
    "lost": "输单",
    "disqualified": "无效",
    "merged": "已合并",
}

IRREGULAR_ZH: Final[tuple[tuple[str, str], ...]] = (
    (r"before the deal was opened", "发生在商机建立之前"),
    (r"the deal was opened before", "商机此前已建立"),
    (r"moved while (\w+)", "商机{0}时变动阶段"),
    (r"moved to an open stage while won", "赢单后变动到进行中阶段"),
    (r"(\w+) while already (\w+)", "商机{1}时再次{0}"),
    (r"reopened while open", "商机进行中时重新激活"),
    (r"there is no quote (.+)", "没有报价 {0}"),
    (r"not won but (\w+)", "商机{0}，并未赢单"),
)

WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
CLASSES: Final[dict[str, type[Fact]]] = {cls.kind: cls for cls in CATALOGUE}


def fact_name(cls: type[Fact], language: str = "en") -> str:
    """Call a class of facts by its name: "Deal opened", 商机建立."""
    return cls.name_zh if language == "zh" else WORD.sub(" ", cls.__name__).capitalize()


def kind_name(kind: str, language: str = "en") -> str:
    """Call a stored kind of facts by its name."""
    return fact_name(CLASSES[kind], language) if kind in CLASSES else kind


def outcome_name(outcome: str, language: str = "en") -> str:
    """Call an outcome (or merged) by its name."""
    return OUTCOMES_ZH.get(outcome, outcome) if language == "zh" else outcome


def irregularity_name(reason: str, language: str = "en") -> str:
    """Say why a fact has no ground."""
    if language == "zh":
        for pattern, text in IRREGULAR_ZH:
            found = re.fullmatch(pattern, reason)
            if found:
                return text.format(*(outcome_name(part, "zh") for part in found.groups()))
    return reason
