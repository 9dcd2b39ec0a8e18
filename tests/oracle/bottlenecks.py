"""The stages of a period, naively: every visit looked at, and every deal that stands there."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from scipy import stats

from oracle.beliefs import Raw
from oracle.conversions import conversion_of
from oracle.deals import deal_at, processes_of
from oracle.groups import groups_of, is_wanted
from oracle.retrospective import Asked
from oracle.visits import Step

__all__ = ["bottlenecks_in"]

DAY = 86_400_000_000
Span = tuple[int, int]


def bottlenecks_in(
    events: list[Raw],
    periods: tuple[Span, Span],
    as_of: int,
    known_at: int,
    only: dict[str, str | None],
) -> dict[Any, Any]:
    """Say of every open stage what became of it in both spans, and who stands there."""
    asked = Asked(events, as_of, known_at, only)
    ways = [way for way in asked.ways.values() if way[-1]["outcome"] != "merged"]
    seen = {
        (step["process"], step["stage"])
        for way in asked.ways.values()
        for step in way
        if step["stage"] is not None and step["outcome"] == "open"
    }
    standing = _standing(events, asked)
    found = {}
    for key in seen:
        sides = [_stay(events, asked, ways, key, span) for span in periods]
        here = standing.get(key, (0, 0, {}))
        if here[0] or any(side["entered"] or side["visits"] for side in sides):
            found[key] = (*sides, here)
    return found


def _stay(
    events: list[Raw], asked: Asked, ways: list[list[Step]], key: tuple[str, str], span: Span
) -> dict[str, Any]:
    cohort = conversion_of(key, ways, span, asked.wants_step, processes_of(events))
    counts = cohort["counts"]
    lasted = sorted(
        _lasted(step, after)
        for way in ways
        for step, after in pairwise(way)
        if (step["process"], step["stage"]) == key
        and step["outcome"] == "open"
        and after["entered"] not in ("merged", "migrated")
        and span[0] <= after["at"] < span[1]
        and asked.wants_step(step)
    )
    return {
        "entered": counts["entered"],
        "left": counts["moved_on"] + counts["left"],
        "conversion": cohort["resolved"],
        "visits": len(lasted),
        "median": _median(lasted),
    }


def _lasted(step: Step, after: Step) -> int:
    if step["day_only"] and after["day_only"]:
        return int(after["at"] // DAY - step["at"] // DAY) * DAY
    return int(after["at"] - step["at"])


def _median(lasted: list[int]) -> tuple[Any, ...] | None:
    """Give the median and the order statistics around it that cover it 95 times in 100."""
    if not lasted:
        return None
    count, middle = len(lasted), len(lasted) // 2
    pair = (lasted[middle], lasted[middle if count % 2 else middle - 1])
    outside = [k for k in range(count // 2) if stats.binom.cdf(k, count, 0.5) <= 0.025]
    ends: tuple[Any, Any] = (None, None)
    if outside:
        place = outside[-1]
        ends = (_days(lasted[place]), _days(lasted[count - 1 - place]))
    return _days(Fraction(sum(pair), 2)), *ends


def _days(lasted: Fraction | int) -> Decimal:
    exact = Fraction(lasted) / DAY
    return Decimal(exact.numerator) / exact.denominator


def _standing(events: list[Raw], asked: Asked) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    of_team = groups_of(events, "team", asked.as_of, asked.known_at)
    for stream, way in asked.ways.items():
        deal = deal_at(events, stream, asked.as_of, asked.known_at)
        assert deal is not None
        if deal["standing"] != "open":
            continue
        whose = {"rep": deal["owner"], "process": deal["process"], "at": asked.as_of}
        if not is_wanted(whose, asked.only):
            continue
        if asked.only["team"] is not None and of_team(whose) != asked.only["team"]:
            continue
        count, late, worth = found.get((deal["process"], deal["stage"]), (0, 0, {}))
        late += _is_late(events, deal, way[-1], asked.as_of)
        if deal["amount"] is not None:
            amount, currency = deal["amount"]
            worth = {**worth, currency: worth.get(currency, 0) + amount}
        found[deal["process"], deal["stage"]] = (count + 1, late, worth)
    return found


def _is_late(events: list[Raw], deal: dict[str, Any], step: Step, as_of: int) -> bool:
    under = processes_of(events)[deal["process"], deal["process_version"]]
    limits = {stage["key"]: stage.get("max_days") for stage in under["stages"]}
    limit = limits.get(step["stage"])
    return limit is not None and as_of - step["at"] > limit * DAY
