"""A period looked back on, and what a naive replay says of it."""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.periods import period_before, period_of
from oracle.retrospective import retrospective_at
from properties.asked.case import Case
from properties.asked.feedback import said_of_estimate, said_of_figures
from properties.asked.periods import periods
from properties.world import instant
from salesflow.projections.forecast.forecast_figures import SlippageLine
from salesflow.projections.review.retrospective import Retrospective, RetrospectiveView
from salesflow.projections.review.retrospective_stages import Bottleneck, StageFigures

__all__ = ["CASE"]

NEAR = Fraction(1, 10**20)
"""How near a Decimal of 28 digits comes to a fraction."""
YEAR = (date(2023, 7, 1), date(2024, 7, 1))
"""Nearly all that random histories tell."""
PARTS: tuple[dict[str, Any], ...] = (
    {},
    {"limit": 1},
    {"owner": "ann"},
    {"process": "standard", "limit": 2},
    {"process": "nonsense"},
    {"team": "east"},
    {"team": "south", "process": "crm"},
)
WORDS = {
    "win_rate": ("win_rate", 0),
    "cycle_days_median": ("cycle", 0),
    "repeat_purchase_rate": ("buyers", 2),
    "contacts": ("follow_ups", 0),
    "first_response_days": ("first_response", 0),
    "CSAT_top_box": ("csat", 0),
}
"""Where the oracle of the KPIs says a figure."""


def asked() -> st.SearchStrategy[Retrospective]:
    """Draw a retrospective to ask for."""
    return st.builds(
        lambda period, part: Retrospective.model_validate(
            {"from_": period[0], "to": period[1], **part}
        ),
        st.one_of(st.just(YEAR), periods()),
        st.sampled_from(PARTS),
    )


def said(view: RetrospectiveView) -> dict[str, Any]:
    """Write the answer as the oracle does; what is left out of lists is counted."""
    for each in view.figures:
        if each.value is None or each.value_before is None:
            assert each.difference is None
        else:
            apart = Fraction(each.value) - Fraction(each.value_before)
            assert near(apart, each.difference)
    return {
        "figures": [
            {(each.figure, each.currency): getattr(each, side) for each in view.figures}
            for side in ("value", "value_before")
        ],
        "books": [_books(view, side) for side in ("figures", "figures_before")],
        "stages": [
            {
                (stage.process, stage.stage): _stage(getattr(stage, side))
                for stage in view.stages
                if _passed(getattr(stage, side))
            }
            for side in ("figures", "figures_before")
        ],
        "bottlenecks": [_narrow(view.bottleneck), _narrow(view.bottleneck_before)],
        "slippage": [_fates(view.slippage), _fates(view.slippage_before)],
        "slipped": [
            (
                str(deal.deal), deal.owner, deal.amount, deal.currency,
                str(deal.expected_close), deal.slipped, deal.stage, _day(deal.expected_after),
                deal.outcome,
            )
            for deal in view.slipped
        ],
        "stalled": [
            (
                str(deal.deal), deal.owner, deal.amount, deal.currency,
                _day(deal.expected_close), deal.process, deal.stage, deal.days, deal.days_max,
                instant(deal.entered_at),
            )
            for deal in view.stalled
        ],
        "losses": [
            [(loss.currency, loss.because, loss.deals, loss.amount) for loss in losses]
            for losses in (view.losses, view.losses_before)
        ],
        "forecasts": {
            (each.currency, each.made, each.measure): (
                instant(each.made_at), each.deals, each.forecast, each.actual, each.accuracy,
            )
            for each in view.forecasts
        },
        "scores": [
            {
                (each.survey, each.scale): said_of_estimate(score)
                for each in view.scores
                if (score := getattr(each, side)) is not None
            }
            for side in ("score", "score_before")
        ],
        "themes": [
            {
                (each.kind, each.process, each.key): said_of_figures(getattr(each, side))
                for each in view.themes
                if getattr(each, side).responses or getattr(each, side).sent
            }
            for side in ("figures", "figures_before")
        ],
        "detractors": {(each.position, each.text) for each in view.detractors},
        "totals": (view.slipped_total, view.stalled_total, view.detractors_total),
        "stalled_amounts": {each.currency: each.amount for each in view.stalled_amounts},
    }  # fmt: skip


def _books(view: RetrospectiveView, side: str) -> dict[Any, Any]:
    books: dict[Any, Any] = {}
    for each in view.movements:
        figures = getattr(each, side)
        sums = (figures.deals, figures.amount, figures.weighted)
        if any(sums):
            books.setdefault(each.currency, {})[each.movement] = sums
    return books


def _passed(figures: StageFigures) -> bool:
    """Say whether a deal was there in the period, or left at its first instant."""
    return figures.deals > 0 or figures.days_median is not None


def _stage(figures: StageFigures) -> dict[str, Any]:
    rate = figures.conversion
    return {**dict(figures), "conversion": None if rate is None else rate.value}


def _narrow(found: Bottleneck | None) -> tuple[Any, ...] | None:
    if found is None:
        return None
    return (found.process, found.stage), found.days_over, found.days_over_share


def _fates(lines: Iterable[SlippageLine]) -> dict[Any, Any]:
    return {
        line.currency: (
            line.expected_amount,
            {"won": line.won, "otherwise": line.left_otherwise, "pending": line.pending}
            | {"moved": line.moved, "overdue": line.overdue},
        )
        for line in lines
    }


def _day(day: date | None) -> str | None:
    return None if day is None else str(day)


def wanted(
    raw: list[Raw], question: Retrospective, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle about the period and the one before."""
    days = (question.from_, question.to)
    found = retrospective_at(
        raw,
        (period_of(*days, as_of), period_before(*days, as_of)),
        as_of,
        known_at,
        only={"owner": question.owner, "team": question.team, "process": question.process},
    )
    if found is None:
        return None
    both = [_figures(*each) for each in zip(found["figures"], found["books"], strict=True)]
    found["figures"] = [_beside(*both), _beside(*reversed(both))]
    found["books"] = [_something(books) for books in found["books"]]
    found["slippage"] = [_counts(fates) for fates in found["slippage"]]
    found["bottlenecks"] = [each and Either(each) for each in found["bottlenecks"]]
    lists = ("slipped", "stalled", "detractors")
    found["totals"] = tuple(len(found[name]) for name in lists)
    worth = Counter[str]()
    for _, _, amount, currency, *_ in found["stalled"]:
        if currency is not None:
            worth[currency] += amount
    found["stalled_amounts"] = dict(worth)
    for name in lists:
        found[name] = found[name][: question.limit]
    found["detractors"] = set(found["detractors"])
    return Near(found)


def _figures(line: dict[str, Any] | None, books: dict[Any, Any]) -> dict[Any, Any]:
    """Write the figures of a period by name and currency."""
    line = line or {}
    found: dict[Any, Any] = {
        (name, None): line.get(name, 0)
        for name in ("orders", "created", "won", "lost", "disqualified", "new_customers")
    }
    for name, (place, number) in WORDS.items():
        figure = line.get(place)
        found[name, None] = (
            (0 if name == "contacts" else None) if not figure else figure[number]
        )
    speed = line["velocity"][4] if line else {}
    for name, sums in (
        ("sales", line.get("sales", {})),
        ("win_rate_by_value", line.get("win_rate_by_value", {})),
        ("velocity_per_day", speed),
    ):
        found |= {(name, currency): number for currency, number in sums.items()}
    closing = {currency: book["closing"] for currency, book in books.items()}
    found["open_deals", None] = sum(sums[0] for sums in closing.values())
    for currency, (_, amount, weighted) in closing.items():
        if currency is not None:
            found["open_amount", currency] = amount
            found["open_weighted", currency] = weighted
    return found


def _beside(figures: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    """Say also what is there in the other period alone: nothing, or undefined."""
    added_up = ("sales", "open_amount", "open_weighted")
    missing = {key: 0 if key[0] in added_up else None for key in other if key not in figures}
    return {**figures, **missing}


def _something(books: dict[Any, Any]) -> dict[Any, Any]:
    kept = {
        currency: {name: sums for name, sums in book.items() if any(sums)}
        for currency, book in books.items()
    }
    return {currency: book for currency, book in kept.items() if book}


def _counts(fates: dict[Any, Any]) -> dict[Any, Any]:
    names = ("won", "otherwise", "pending", "moved", "overdue")
    return {
        currency: (
            sum((worth for _, worth in of.values()), Decimal(0)),
            {name: of.get(name, (0, 0))[0] for name in names},
        )
        for currency, of in fates.items()
    }


class Either(tuple[Any, ...]):
    """The bottleneck: one of the stages that only their order tells apart."""

    __slots__ = ()


class Near(dict[str, Any]):
    """What the oracle says; equal to an answer whose ratios are near enough."""

    def __eq__(self, other: object) -> bool:
        return near(dict(self), other)

    __hash__ = None


def near(wanted: Any, found: Any) -> bool:  # noqa: ANN401 - any figure
    """Say whether an answer is what it should be, as far as its digits go."""
    if isinstance(wanted, Either):
        keys, *numbers = wanted
        return found is not None and found[0] in keys and near(tuple(numbers), found[1:])
    if isinstance(wanted, dict):
        same = isinstance(found, dict) and wanted.keys() == found.keys()
        return same and all(near(wanted[key], found[key]) for key in wanted)
    if isinstance(wanted, list | tuple):
        same = isinstance(found, list | tuple) and len(wanted) == len(found)
        return same and all(near(one, other) for one, other in zip(wanted, found, strict=True))
    if isinstance(wanted, Fraction) and found is not None:
        return abs(wanted - Fraction(found)) <= NEAR * (1 + abs(wanted))
    if isinstance(wanted, Decimal) and isinstance(found, Decimal):
        return abs(wanted - found) <= Decimal(10) ** -20 * (1 + abs(wanted))
    return bool(wanted == found)


CASE = Case(asked(), said, wanted)
