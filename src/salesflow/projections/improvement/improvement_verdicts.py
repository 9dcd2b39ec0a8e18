"""What follows of an improvement, in words: the verdict, and which way the figure went.

It is a module of its own, beside the figures, since the strategy review says the same words.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, Literal, cast

from salesflow.domain.metric import Metric
from salesflow.domain.wording import Message
from salesflow.presentation.format import Estimate
from salesflow.presentation.messages import Language, say
from salesflow.projections.core.effects import Verdict, verdict_text

__all__ = [
    "ImprovementVerdict",
    "MovedTowards",
    "Unmatched",
    "moved_towards",
    "said_of",
    "said_of_direction",
    "said_of_verdict",
]


ImprovementVerdict = Literal[
    "evidence", "no_evidence", "differed_before", "no_placebo", "too_few", "changed_since",
    "no_change_since", "changed_unmatched", "no_change_unmatched", "window_not_over",
    "not_started",
]  # fmt: skip
Unmatched = Literal[
    "started_not_there", "started_without_figures", "others_without_figures", "others_started"
]
"""Why nobody can be compared, though not everybody changed at once."""
MovedTowards = Literal[
    "as_expected", "against_expected", "cannot_be_told", "for_better", "for_worse"
]
MOVED: Final = (
    *("evidence", "differed_before", "no_placebo"),
    *("changed_since", "changed_unmatched"),
)
"""The verdicts of figures whose intervals lie on one side of 0."""

CHANGED: Final = Message(
    "this is before and after. The figure changed, and nothing tells whether it would have"
    " changed anyway"
)
NOT_CHANGED: Final = Message(
    "this is before and after. No evidence: the interval of the change includes 0, or there is"
    " none"
)
AT_ONCE: Final = Message("Everybody changed at once")
WHY_UNMATCHED: Final[Mapping[Unmatched, tuple[Message, Message]]] = {
    "started_not_there": (
        Message("None of those that started was there in the windows before and after"),
        Message("A shorter window may have somebody in both"),
    ),
    "started_without_figures": (
        Message(
            "Those that started have no figures in both windows, and cannot be compared with"
            " anybody"
        ),
        Message("A longer window may have figures of them"),
    ),
    "others_without_figures": (
        Message(
            "Those that had not started by the end of the same windows have no figures in both,"
            " and nobody can be compared with them"
        ),
        Message("A longer window may have figures of them"),
    ),
    "others_started": (
        Message(
            "Nobody was there in both windows who had not started by the end of them, and could"
            " be compared"
        ),
        Message("A shorter window may leave somebody"),
    ),
}
"""Why, and the way out."""
OF_TIME: Final[Mapping[str, Message]] = {
    "window_not_over": Message("No window after a start is over yet"),
    "not_started": Message("It has not started yet"),
}
DIRECTIONS: Final[Mapping[MovedTowards, Message]] = {
    "as_expected": Message("It moved the way that was expected"),
    "against_expected": Message("It moved against what was expected"),
    "cannot_be_told": Message("Whether it moved the way that was expected cannot be told"),
    "for_better": Message("It moved for the better"),
    "for_worse": Message("It moved for the worse"),
}


def said_of(
    verdict: ImprovementVerdict | None,
    unmatched: Unmatched | None,
    towards: MovedTowards | None,
    language: Language,
) -> Iterator[str]:
    """Yield what can be said of an improvement: the verdict, and which way it went."""
    if verdict is not None:
        yield said_of_verdict(verdict, unmatched, language)
    if towards is not None:
        yield said_of_direction(towards, language)


def said_of_verdict(
    verdict: ImprovementVerdict, unmatched: Unmatched | None, language: Language
) -> str:
    """Write what follows: the verdict, and the way out where nobody can be compared."""
    if verdict in OF_TIME:
        return say(OF_TIME[verdict], language)
    if not verdict.endswith(("_since", "_unmatched")):
        return say(verdict_text(cast(Verdict, verdict)), language)
    change = CHANGED if verdict in MOVED else NOT_CHANGED
    if unmatched is None:
        return say(Message("{why}: {change}", why=AT_ONCE, change=change), language)
    why, way_out = WHY_UNMATCHED[unmatched]
    said = Message("{why}: {change}. {way_out}", why=why, change=change, way_out=way_out)
    return say(said, language)


def moved_towards(
    verdict: ImprovementVerdict,
    measured: Estimate | None,
    expected: Decimal | None,
    metric: Metric,
) -> MovedTowards | None:
    """Say which way a figure went, by what was expected, else by which direction is better.

    None where nothing was measured; where nothing was expected, also where it cannot be told.
    """
    if measured is None:
        return None
    if verdict not in MOVED or not measured.value:
        return "cannot_be_told" if expected else None
    rose = measured.value > 0
    if expected:
        return "as_expected" if rose == (expected > 0) else "against_expected"
    if metric.better is None:
        return None
    return "for_better" if rose == (metric.better == "higher") else "for_worse"


def said_of_direction(towards: MovedTowards, language: Language) -> str:
    """Write which way it went."""
    return say(DIRECTIONS[towards], language)
