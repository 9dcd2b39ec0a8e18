"""A period looked back on, naively: every part of it walked anew for whom it is asked of.

Who had a deal is asked of every single thing: of a booking at its win, of a step when it began,
of a deal at the start of the period or at its end. Nothing is shared between the parts.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw
from oracle.conversions import conversion_of
from oracle.deals import deal_at, deals_of, processes_of
from oracle.feedback import figures_of, lines_of
from oracle.flows import flow_at
from oracle.forecasts import expected_in, fate_of, measures_of
from oracle.groups import groups_of, is_wanted
from oracle.known import is_unknown
from oracle.kpis import kpis_in
from oracle.rates import Asked as InCurrency
from oracle.rates import Exchange
from oracle.sales import bookings_of, closing_at
from oracle.stage_times import stage_times_at
from oracle.visits import Step, way_at
from oracle.win_loss import losses_of

__all__ = ["retrospective_at"]

AS_IT_IS = InCurrency(None, "event", None)
DAY = 86_400_000_000
Span = tuple[int, int]
ANY: dict[str, str | None] = {"by": None, "owner": None, "process": None}


class Asked:
    """What is asked: the log, the moment, and whose deals alone are wanted."""

    def __init__(
        self, events: list[Raw], as_of: int, known_at: int, only: dict[str, str | None]
    ) -> None:
        self.events, self.as_of, self.known_at, self.only = events, as_of, known_at, only
        self.deals = deals_of(events)
        self._team_of = groups_of(events, "team", as_of, known_at)
        self.ways = {}
        for stream in self.deals:
            way = way_at(events, stream, as_of, known_at)
            if way:
                self.ways[stream] = way

    def wants(self, rep: str | None, process: str, at: int) -> bool:
        whose = {"rep": rep, "process": process, "at": at}
        if not is_wanted(whose, self.only):
            return False
        return self.only["team"] is None or self._team_of(whose) == self.only["team"]

    def wants_step(self, step: Step) -> bool:
        return self.wants(step["owner"], step["process"], step["at"])


def retrospective_at(
    events: list[Raw],
    periods: tuple[Span, Span],
    as_of: int,
    known_at: int,
    *,
    only: dict[str, str | None],
) -> dict[str, Any] | None:
    """Look back on a span and the one before; None where team or process is not known."""
    if is_unknown(events, only, as_of, known_at):
        return None
    asked = Asked(events, as_of, known_at, only)
    lines = [_lines(asked, span) for span in periods]
    stages = [_stages(asked, span) for span in periods]
    return {
        "figures": [_kpis(asked, span) for span in periods],
        "books": [_books(asked, span) for span in periods],
        "stages": stages,
        "bottlenecks": [_bottleneck(found) for found in stages],
        "slippage": [_slippage(asked, span)[0] for span in periods],
        "slipped": _slippage(asked, periods[0])[1],
        "stalled": _stalled(asked, periods[0]),
        "losses": [_losses(asked, span) for span in periods],
        "forecasts": _forecasts(asked, periods[0]),
        "scores": [_scores(found) for found in lines],
        "themes": [_themes(found) for found in lines],
        "detractors": _detractors(lines[0]),
    }


def _kpis(asked: Asked, span: Span) -> dict[str, Any] | None:
    found = kpis_in(
        asked.events,
        span,
        (asked.as_of, asked.known_at),
        by=None if asked.only["team"] is None else "team",
        only=asked.only,
        days=90,
        exchange=Exchange(asked.events, AS_IT_IS, asked.as_of, asked.known_at),
    )
    return found.get(asked.only["team"])


def _books(asked: Asked, span: Span) -> dict[Any, Any]:
    scope = {**asked.only, "by": None, "outcome": "open"}
    scope |= dict.fromkeys(("stage", "currency", "category", "closes_from", "closes_before"))
    found = flow_at(
        asked.events, asked.as_of, asked.known_at, period=span, scope=scope, as_known_then=False
    )
    return {
        currency: {
            "opening": book["opening"],
            **{kind: sums for kind, (sums, _) in book["movements"].items()},
            "closing": book["closing"],
        }
        for (_, currency), book in found.items()
    }


def _stages(asked: Asked, span: Span) -> dict[Any, Any]:
    """Walk every visit to an open stage; one that lies in the span counts for its stage."""
    found: dict[Any, Any] = {}
    closing, until = min(span[1] - 1, asked.as_of), min(span[1], asked.as_of)
    for stream, way in asked.ways.items():
        for number, step in enumerate(way):
            after = way[number + 1] if number + 1 < len(way) else None
            if step["stage"] is None or step["outcome"] != "open" or not asked.wants_step(step):
                continue
            gone = after is not None and after["at"] <= span[0] and step["at"] < span[0]
            if step["at"] > closing:
                continue
            key = (step["process"], step["stage"])
            if not gone:
                stage = found.setdefault(key, {"over": {}, "ended": []})
                left = until if after is None else min(after["at"], until)
                over = _over(asked.events, step, left, span[0])
                stage["over"][stream] = stage["over"].get(stream, 0) + over
            if after is None or after["entered"] in ("merged", "migrated"):
                continue
            if span[0] <= after["at"] <= closing:
                stage = found.setdefault(key, {"over": {}, "ended": []})
                both = step["day_only"] and after["day_only"]
                whole = (after["at"] // DAY - step["at"] // DAY) * DAY
                stage["ended"].append(whole if both else after["at"] - step["at"])
    return {key: _stage(asked, key, stage, span) for key, stage in found.items()}


def _stage(asked: Asked, key: Any, stage: dict[str, Any], span: Span) -> dict[str, Any]:  # noqa: ANN401 - process and stage
    ways = [way for way in asked.ways.values() if way[-1]["outcome"] != "merged"]
    processes = processes_of(asked.events)
    cohort = conversion_of(key, ways, span, asked.wants_step, processes)
    over, ended = list(stage["over"].values()), sorted(stage["ended"])
    middle = len(ended) // 2
    median = None
    if ended:
        pair = (ended[middle], ended[middle if len(ended) % 2 else middle - 1])
        median = Fraction(sum(pair), 2 * DAY)
    return {
        "deals": len(over),
        "deals_over": len([each for each in over if each]),
        "days_over": Fraction(sum(over), DAY),
        "days_median": median,
        "entered": cohort["counts"]["entered"],
        "conversion": cohort["resolved"],
    }


def _over(events: list[Raw], step: Step, left: int, start: int) -> int:
    for stage in processes_of(events)[step["process"], step["version"]]["stages"]:
        if stage["key"] == step["stage"] and stage.get("max_days"):
            late = step["at"] + stage["max_days"] * DAY
            return int(max(0, left - max(late, start)))
    return 0


def _bottleneck(stages: dict[Any, Any]) -> tuple[Any, ...] | None:
    """Give the worst stages, more than one where nothing but their order tells them apart."""
    most = max((stage["days_over"] for stage in stages.values()), default=Fraction(0))
    if most == 0:
        return None
    worst = {key: stage for key, stage in stages.items() if stage["days_over"] == most}
    rates = {
        key: 1 if stage["conversion"] is None else stage["conversion"]
        for key, stage in worst.items()
    }
    lowest = min(rates.values())
    whole = sum(stage["days_over"] for stage in stages.values())
    return {key for key in worst if rates[key] == lowest}, most, most / whole


def _slippage(asked: Asked, span: Span) -> tuple[dict[Any, Any], list[Any]]:
    start, end = span[0] - 1, min(span[1] - 1, asked.as_of)
    fates: dict[Any, dict[str, tuple[int, Decimal]]] = {}
    slipped: list[tuple[Any, ...]] = []
    if start > asked.as_of:
        return fates, slipped
    for stream, deal in expected_in(asked.events, span, start, asked.known_at, ANY).items():
        if not asked.wants(deal["owner"], deal["process"], start):
            continue
        amount, currency = deal["amount"] or (None, None)
        after = deal_at(asked.events, stream, end, asked.known_at)
        fate = fate_of(after, span, end)
        of = fates.setdefault(currency, {})
        count, worth = of.get(fate, (0, Decimal(0)))
        of[fate] = count + 1, worth + (amount or 0)
        if fate in ("moved", "overdue"):
            now = deal_at(asked.events, stream, asked.as_of, asked.known_at)
            assert after is not None
            assert now is not None
            stands = (after["stage"], after["expected_close"], now["standing"])
            expected = deal["expected_close"]
            slipped.append((stream, deal["owner"], amount, currency, expected, fate, *stands))
    slipped.sort(key=lambda row: (row[3] is None, row[3] or "", -(row[2] or 0), row[0]))
    return fates, slipped


def _stalled(asked: Asked, span: Span) -> list[tuple[Any, ...]]:
    at = min(span[1] - 1, asked.as_of)
    found = stage_times_at(
        *(asked.events, at, asked.known_at),
        process=None,
        owner=None,
        start=None,
        days=(),
        deal=None,
    )
    assert found is not None
    rows = []
    for stream, (process, stage), stood, longest, owner, since in found["stalled"]:
        if asked.wants(owner, process, at):
            deal = deal_at(asked.events, stream, at, asked.known_at)
            assert deal is not None
            amount, currency = deal["amount"] or (None, None)
            stands = (process, stage, stood, longest, since)
            rows.append((stream, owner, amount, currency, deal["expected_close"], *stands))
    return sorted(rows, key=lambda row: (row[3] is None, row[3] or "", -(row[2] or 0), row[0]))


def _losses(asked: Asked, span: Span) -> list[tuple[Any, ...]]:
    lost = []
    for stream in asked.deals:
        closing = closing_at(asked.events, stream, asked.as_of, asked.known_at)
        if closing is None or closing["outcome"] != "lost":
            continue
        at = closing["closed"][0]
        if span[0] <= at < span[1] and asked.wants(closing["owner"], closing["process"], at):
            lost.append(closing)
    return losses_of(lost)


def _forecasts(asked: Asked, span: Span) -> dict[Any, Any]:
    found = {}
    actual = _sold(asked, span, asked.as_of)
    half = (span[1] - span[0]) // DAY // 2 * DAY
    for name, at in (("start", span[0] - 1), ("middle", span[0] + half - 1)):
        if at > asked.as_of:
            continue
        books = _made(asked, span, at)
        for currency in {*books, *actual}:
            book = books.get(currency, {"won": Fraction(0), "categories": {}})
            sold = actual.get(currency, Fraction(0))
            over = asked.as_of >= span[1] - 1 and sold > 0
            deals = sum(sums[0] for sums in book["categories"].values())
            measured = zip(("weighted", "commit", "best_case"), measures_of(book), strict=False)
            for measure, forecast in measured:
                right = 1 - abs(forecast - sold) / sold if over else None
                found[currency, name, measure] = (at, deals, forecast, sold, right)
    return found


def _made(asked: Asked, span: Span, at: int) -> dict[str, dict[str, Any]]:
    """Give what was won by an instant and what was expected then, by currency."""
    books: dict[str, dict[str, Any]] = {}
    for currency, sold in _sold(asked, span, at).items():
        books[currency] = {"won": sold, "categories": {}}
    for deal in expected_in(asked.events, span, at, asked.known_at, ANY).values():
        if deal["amount"] is None or not asked.wants(deal["owner"], deal["process"], at):
            continue
        amount, currency = deal["amount"]
        book = books.setdefault(currency, {"won": Fraction(0), "categories": {}})
        sums = book["categories"].setdefault(deal["forecast_category"], [0, 0, 0])
        likely = Fraction(amount) * Fraction(deal["probability"])
        for place, more in enumerate((1, Fraction(amount), likely)):
            sums[place] += more
    return books


def _sold(asked: Asked, span: Span, upto: int) -> dict[str, Fraction]:
    """Sum up what was booked in a span up to an instant, where it is not nothing."""
    sums: dict[str, Fraction] = {}
    for stream in asked.deals:
        for booked in bookings_of(asked.events, stream, asked.known_at):
            effect, _, _, _, person, share, amount, currency, process, *_, credited = booked
            if amount is None or effect > min(upto, asked.as_of):
                continue
            if span[0] <= effect < span[1] and asked.wants(person, process, credited):
                part = Fraction(amount) * Fraction(share)
                sums[currency] = sums.get(currency, Fraction(0)) + part
    return {currency: total for currency, total in sums.items() if total}


def _lines(asked: Asked, span: Span) -> list[dict[str, Any]]:
    return [
        line
        for stream in asked.deals
        for line in lines_of(asked.events, stream, asked.as_of, asked.known_at)
        if span[0] <= line["occurred"] < span[1]
        and asked.wants(line["owner"], line["process"], line["occurred"])
    ]


def _scores(lines: list[dict[str, Any]]) -> dict[Any, Any]:
    surveys: dict[Any, list[dict[str, Any]]] = {}
    for line in lines:
        if not line["sent"] and line["score"] is not None:
            surveys.setdefault((line["survey"], line["scale"]), []).append(line)
    place = {"nps": ("nps", 3), "csat": ("csat", 2), "ces": ("ces", 1)}
    found = {}
    for key, mine in surveys.items():
        name, number = place[key[1]]
        found[key] = figures_of(mine)[name][number]
    return found


def _themes(lines: list[dict[str, Any]]) -> dict[Any, Any]:
    themes: dict[Any, list[dict[str, Any]]] = {}
    for line in lines:
        keys = [("stage", line["process"], line["stage"])]
        keys += [("product", None, product) for product in line["products"] or [None]]
        for key in keys:
            themes.setdefault(key, []).append(line)
    return {key: figures_of(mine) for key, mine in themes.items()}


def _detractors(lines: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Give the words of those who score us six or less, newest first."""
    said = [
        (line["occurred"], line["position"], line["text"])
        for line in lines
        if not line["sent"]
        and line["scale"] == "nps"
        and line["score"] is not None
        and line["score"] <= 6
        and (line["text"] or "").strip()
    ]
    return [(position, text) for _, position, text in sorted(said, reverse=True)]
