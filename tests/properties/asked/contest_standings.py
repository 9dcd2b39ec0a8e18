"""Who is winning, and what a naive replay counts of those who take part."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.metrics import metrics_in
from oracle.periods import period_of
from properties.asked.case import Case
from properties.asked.leaderboard import ensure_ranked
from properties.plans import CONTEST
from properties.world import OWNERS
from salesflow.projections.incentives.contest_standings import (
    ContestStandings,
    ContestStandingsView,
)

__all__ = ["CASE"]

DAYS = (date(2023, 12, 1), date(2024, 1, 21))


def said(view: ContestStandingsView) -> dict[str, Any]:
    """Write the standings as the oracle does; ranks and prizes are checked here."""
    ensure_ranked([(row.rank, row.figure) for row in view.standings])
    assert all((row.prize == "a bicycle") == (row.rank == 1) for row in view.standings)
    return {row.key: row.figure for row in view.standings}


def wanted(
    raw: list[Raw], question: ContestStandings, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle; before it was announced there is none."""
    del question
    opened = [e for e in raw if e["kind"] == "contest.opened"]
    if not any(e["occurred"] <= as_of and e["recorded"] <= known_at for e in opened):
        return None
    span = period_of(*DAYS, as_of)
    found = metrics_in(raw, ["orders"], span, (as_of, known_at), by="rep", scope={})
    return {rep: found["orders"].get(rep, (0, 0))[0] for rep in OWNERS[:2]}


CASE = Case(st.just(ContestStandings(contest=CONTEST)), said, wanted)
