"""Who is ahead, and what a naive replay measures of them."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.metrics import metrics_in
from oracle.periods import period_of
from properties.asked.case import About, Case, exchange_for
from salesflow.projections.incentives.leaderboard import Leaderboard, LeaderboardView

__all__ = ["CASE", "ensure_ranked"]

YEAR = {"from_": date(2023, 7, 1), "to": date(2024, 7, 1)}
ASKED = (
    Leaderboard(),
    Leaderboard.model_validate({"metric": "sales", "by": "team", **YEAR}),
    Leaderboard.model_validate({"metric": "orders", **YEAR}),
    Leaderboard.model_validate({"metric": "win_rate", "by": "rep", **YEAR}),
    Leaderboard.model_validate({"metric": "cycle_days", "by": "team", **YEAR}),
    Leaderboard.model_validate({"metric": "contacts", "process": "standard", **YEAR}),
)
LEAST = Decimal("0.001")
"""Less is as good as nothing: amounts are rounded where they are converted."""


def ensure_ranked(rows: Iterable[tuple[int | None, Any]], better: str = "higher") -> None:
    """See that each rank is one more than there are better figures."""
    rows = [*rows]
    for rank, figure in rows:
        others = [other for _, other in rows if other is not None]
        ahead = [
            o for o in others if figure is not None and (o > figure) == (better == "higher")
        ]
        ahead = [other for other in ahead if other != figure]
        assert rank == (None if figure is None else 1 + len(ahead))


def said(view: LeaderboardView) -> dict[Any, Decimal]:
    """Write figures as the oracle does, where there is anything; ranks are checked here."""
    for currency in {row.currency for row in view.standings}:
        mine = [row for row in view.standings if row.currency == currency]
        ensure_ranked(
            [(row.rank, row.figure) for row in mine],
            "lower" if view.metric == "cycle_days" else "higher",
        )
        ranks = [row.rank for row in mine if row.rank is not None]
        assert ranks == sorted(ranks)
    return {
        (row.key, row.currency): row.figure
        for row in view.standings
        if row.figure is not None and abs(row.figure) > LEAST
    }


def wanted(
    raw: list[Raw], question: Leaderboard, as_of: int, known_at: int
) -> dict[Any, About]:
    """Ask the oracle for the figure of each group."""
    span = period_of(question.from_, question.to, as_of)
    scope = {"process": question.process}
    at, exchange = (as_of, known_at), exchange_for(raw, question, as_of, known_at)
    found = metrics_in(
        raw, [question.metric], span, at, by=question.by, scope=scope, exchange=exchange
    )
    figures: dict[Any, About] = {}
    for group, (value, _) in found[question.metric].items():
        several = value if isinstance(value, dict) else {None: value}
        for currency, amount in several.items():
            if group is not None and amount is not None and abs(amount) > LEAST:
                exact = Fraction(amount)
                figures[group, currency] = About(Decimal(exact.numerator) / exact.denominator)
    return figures


CASE = Case(st.sampled_from(ASKED), said, wanted)
