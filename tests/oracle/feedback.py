"""What customers said in a span of time, by replaying every deal and counting with loops.

A reply carries what was true of the deal right behind it in the deal's history. Each survey
sent is looked for an answer: one after another the answers take the newest survey of their
name that still waits.
"""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

from scipy import stats

from oracle.beliefs import Raw
from oracle.deals import deals_of, replay

__all__ = ["feedback_in", "figures_of", "lines_of"]

Line = dict[str, Any]
Figure = tuple[Decimal, float | None, float | None] | None
"""A figure and its limits; None where there is nothing to make it of."""
GIVES_LINES = ("deal.quote_drafted", "deal.quote_issued", "deal.quote_revised")
ENDS = ("deal.quote_rejected", "deal.quote_withdrawn", "deal.quote_expired")
Z = 1.959963984540054
"""The 97.5 % point of the normal distribution, from a table."""


def feedback_in(
    events: list[Raw],
    span: tuple[int, int],
    as_of: int,
    known_at: int,
    *,
    by: str | None = None,
    within: int = 7,
    **only: str | None,
) -> dict[str, Any]:
    """Give figures of `[span)`, all together and by group, and the words, newest first."""
    lines = [
        line
        for stream in deals_of(events)
        for line in lines_of(events, stream, as_of, known_at)
        if span[0] <= line["occurred"] < span[1]
        and all(wish in (None, line[name]) for name, wish in only.items())
    ]
    groups: dict[Any, list[Line]] = {}
    for line in lines:
        for key in _keys(line, by):
            groups.setdefault(key, []).append(line)
    words = [line for line in lines if (line["text"] or "").strip()]
    words.sort(key=lambda line: (-line["occurred"], -line["position"]))
    return {
        "total": figures_of(lines),
        "groups": {key: figures_of(found) for key, found in groups.items()},
        "follow_up": _followed_up(lines, within, as_of),
        "themes": _themes(lines),
        "words": [
            (
                line["position"], line["deal"], line["occurred"], line["stage"],
                line["owner"], tuple(line["products"]), line["survey"], line["scale"],
                line["score"], line["text"],
            )
            for line in words
        ],
    }  # fmt: skip


def lines_of(events: list[Raw], stream: str, as_of: int, known_at: int) -> list[Line]:
    """List surveys sent and replies of one deal that had happened and had ground."""
    lines: list[Line] = []
    known: dict[str, Any] = {"agreed": [], "offered": {}, "accepted": None}
    source: list[str | None] = []
    for event, state in replay(events, stream, known_at):
        source = source or [event["payload"].get("lead_source")]
        if event["occurred"] > as_of or event["event_id"] in state["irregular"]:
            continue
        _learn(event["kind"], event["payload"], known)
        if event["kind"] in ("deal.survey_sent", "deal.feedback_received"):
            products = known["agreed"] or known["offered"].get(known["accepted"], [])
            line = {**_line(event, state, products), "lead_source": source[0]}
            if not line["sent"]:
                _settle(line, lines)
            lines.append(line)
        elif event["kind"] in ("deal.feedback_followed_up", "deal.feedback_tagged"):
            _handle(event, lines)
    return lines


def _handle(event: Raw, lines: list[Line]) -> None:
    """Put a follow-up or tags to the answer that is named, else to the latest it may be of."""
    fact, is_tag = event["payload"], event["kind"] == "deal.feedback_tagged"
    for line in reversed(lines):
        named = fact.get("feedback")
        if line["sent"] or (named is not None and line["event_id"] != named):
            continue
        if is_tag:
            line["themes"] |= {*fact["themes"]}
            return
        if line["followed"] is None and (named is not None or _is_low(line)):
            line["followed"] = (event["occurred"], fact.get("by"), event["position"])
            return


def _is_low(line: Line) -> bool:
    return line["scale"] == "nps" and line["score"] is not None and line["score"] <= 6


def _followed_up(lines: list[Line], within: int, as_of: int) -> tuple[int, int, int, int]:
    """Count detractors, those followed up, those in time, and those of whom that is settled."""
    low = [line for line in lines if not line["sent"] and _is_low(line)]
    done = [line for line in low if line["followed"] is not None]
    limit = within * 86_400_000_000
    timely = [line for line in done if line["followed"][0] - line["occurred"] <= limit]
    over = [line for line in low if as_of - line["occurred"] > limit and line not in timely]
    return len(low), len(done), len(timely), len(timely) + len(over)


def _themes(lines: list[Line]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for line in lines:
        for theme in line["themes"]:
            count, low = found.get(theme, (0, 0))
            found[theme] = (count + 1, low + _is_low(line))
    return found


def _learn(kind: str, fact: dict[str, Any], known: dict[str, Any]) -> None:
    """Take in what the deal is about: agreed line items, and the accepted quote."""
    if kind == "deal.line_items_agreed":
        known["agreed"] = _names(fact)
    elif kind == "deal.quote_accepted":
        known["accepted"] = fact["quote"]
    elif kind in (*GIVES_LINES, *ENDS):
        quote = fact["quote"]
        if kind in GIVES_LINES:
            before = known["offered"].get(quote, []) if kind != "deal.quote_drafted" else []
            known["offered"][quote] = _names(fact) or before
        if known["accepted"] == quote:
            known["accepted"] = None


def _line(event: Raw, state: dict[str, Any], products: list[str]) -> Line:
    fact = event["payload"]
    return {
        "position": event["position"],
        "deal": event["stream"],
        "occurred": event["occurred"],
        "sent": event["kind"] == "deal.survey_sent",
        "answered": False,
        "event_id": event["event_id"],
        "followed": None,
        "themes": set(),
        "process": state["process"],
        "process_version": state["process_version"],
        "stage": state["stage"],
        "owner": state["owner"],
        "customer": state["customer"],
        "products": products,
        "survey": fact.get("survey"),
        "person": fact.get("person_id"),
        "scale": fact.get("scale"),
        "score": fact.get("score"),
        "text": fact.get("text"),
    }


def _settle(answer: Line, before: list[Line]) -> None:
    for line in reversed(before):
        if not line["sent"] or line["answered"] or line["survey"] != answer["survey"]:
            continue
        if line["person"] and answer["person"] and line["person"] != answer["person"]:
            continue
        line["answered"] = True
        return


def _names(fact: dict[str, Any]) -> list[str]:
    return sorted({line["product"] for line in fact.get("lines", [])})


def _keys(line: Line, by: str | None) -> list[Any]:
    if by == "stage":
        return [(line["process"], line["stage"])]
    if by == "owner":
        return [line["owner"]]
    if by == "product":
        return line["products"] or [None]
    return []


def figures_of(lines: list[Line]) -> dict[str, Any]:
    """Count scores, answers and surveys."""
    said = [line for line in lines if not line["sent"]]
    asked = [line for line in lines if line["sent"]]
    nps, csat, ces = (
        [line["score"] for line in said if line["scale"] == scale and line["score"] is not None]
        for scale in ("nps", "csat", "ces")
    )
    promoters = len([score for score in nps if score in (9, 10)])
    passives = len([score for score in nps if score in (7, 8)])
    top = len([score for score in csat if score in (4, 5)])
    answered = len([line for line in asked if line["answered"]])
    return {
        "responses": len(said),
        "nps": (promoters, passives, len(nps) - promoters - passives, _net(nps)),
        "csat": (len(csat), top, _part(top, len(csat)), _mean(csat)),
        "ces": (len(ces), _mean(ces)),
        "asked": (len(asked), answered, _part(answered, len(asked))),
    }


def _net(scores: list[int]) -> Figure:
    """Give the mean of 1 for promoters and -1 for detractors, x 100, and its interval."""
    if not scores:
        return None
    values = [1 if score > 8 else -1 if score < 7 else 0 for score in scores]
    middle = Fraction(sum(values), len(values))
    if len(values) == 1:
        return _decimal(100 * middle), None, None
    variance = sum((value - middle) ** 2 for value in values) / len(values)
    reach = Z * math.sqrt(variance / len(values))
    low, high = max(-1.0, float(middle) - reach), min(1.0, float(middle) + reach)
    return _decimal(100 * middle), 100 * low, 100 * high


def _part(part: int, whole: int) -> Figure:
    """Give a share, and the roots of Wilson's quadratic equation as its limits.

    They are the shares p at which the one observed lies just Z standard errors away:
    (1 + z²/n) p² - (2 part/n + z²/n) p + (part/n)² = 0.
    """
    if not whole:
        return None
    observed, z = part / whole, Z * Z / whole
    a, b, c = 1 + z, -(2 * observed + z), observed * observed
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    return _decimal(Fraction(part, whole)), (-b - root) / (2 * a), (-b + root) / (2 * a)


def _mean(scores: list[int]) -> Figure:
    if not scores:
        return None
    middle = _decimal(Fraction(sum(scores), len(scores)))
    if len(scores) == 1:
        return middle, None, None
    if len(set(scores)) == 1:
        return middle, float(scores[0]), float(scores[0])
    low, high = stats.t.interval(
        0.95, len(scores) - 1, loc=sum(scores) / len(scores), scale=stats.sem(scores)
    )
    return middle, float(low), float(high)


def _decimal(exact: Fraction) -> Decimal:
    return Decimal(exact.numerator) / Decimal(exact.denominator)
