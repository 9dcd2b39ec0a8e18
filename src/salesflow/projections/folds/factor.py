"""What was done on the way of every closed deal: one row per deal and factor.

Answers "what was different about the deals we won?" for any moment; win and loss drivers and
case studies read it. A factor is something that happened while the deal was open, with how
often it did. Its rows hold while the deal stands won or lost, as of the instant it closed; a
reopened deal has none. Leaves out what it means: nothing here claims a cause.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from salesflow.domain.deal.activities import (
    BudgetConfirmed,
    CompetitorNamed,
    ContactLogged,
    DecisionProcessMapped,
    IntentStated,
    NeedIdentified,
    ObjectionRaised,
    ObjectionResolved,
    SolutionProposed,
)
from salesflow.domain.deal.billing import LineItemsAgreed
from salesflow.domain.deal.people import CollaboratorJoined, HelpGiven
from salesflow.domain.deal.quotes import QuoteDrafted, QuoteIssued, QuoteRevised
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import WIN_RATE, ProcessVersion
from salesflow.domain.time import DAY, Instant
from salesflow.projections.table import (
    Change,
    CopyableRows,
    IntervalFold,
    IntervalTable,
    OnState,
)

__all__ = ["FACTOR", "FACTORS"]

FACTOR: Final = IntervalTable(
    "factor",
    1,
    keys=(sa.Column("factor", sa.String(40)), sa.Column("detail", sa.String(500))),
    attributes=(sa.Column("times", sa.Integer),),
)
"""`factor` is what happened, `detail` where or how ("" where there is nothing to add): a
contact by a channel (`contacted_by`, visit), in a stage (`contacted_in`), a stage that took
longer than its max days (`overdue_in`), a lead source (`came_from`)."""

Factor = tuple[str, str]

PLAIN: Final[dict[type[Fact], str]] = {
    BudgetConfirmed: "budget_confirmed",
    CollaboratorJoined: "collaborator_joined",
    CompetitorNamed: "competitor_named",
    DecisionProcessMapped: "decision_process_mapped",
    HelpGiven: "help_given",
    IntentStated: "intent_stated",
    NeedIdentified: "need_identified",
    ObjectionRaised: "objection_raised",
    ObjectionResolved: "objection_resolved",
    QuoteIssued: "quote_issued",
    QuoteRevised: "quote_revised",
    SolutionProposed: "solution_proposed",
}
"""Facts that are a factor by having happened."""

PRICED: Final = (LineItemsAgreed, QuoteDrafted, QuoteIssued, QuoteRevised)
BY_THEMSELVES: Final[dict[type[Fact], tuple[Factor]]] = {
    kind: ((name, ""),) for kind, name in PLAIN.items() if kind not in PRICED
}
"""The factors of facts that are nothing else."""


class FactorRows(CopyableRows):
    """One deal on its way to its closing."""

    __slots__ = ("_entered", "_factors", "_outcome", "_process", "_shown", "_stage")

    def __init__(self) -> None:
        self._factors: dict[Factor, int] = {}
        """How often each happened while the deal was open."""
        self._shown: frozenset[Factor] = frozenset()
        self._entered: Instant = 0
        self._process: ProcessVersion | None = None
        self._stage = ""
        self._outcome = "open"

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; rows change when the deal closes or opens again."""
        outcome, stage, process = self._outcome, self._stage, self._process
        fact = event.fact
        if outcome == "open":
            self._count(BY_THEMSELVES.get(type(fact)) or _noted(fact, stage, process))
        if type(fact) not in STATE_FACTS:
            return ()
        self._process = deal.version_in_force
        if deal.stage == stage and deal.status == outcome:
            return ()
        self._outcome, self._stage = deal.status, deal.stage
        if stage and outcome == "open":
            self._count(_overdue(stage, process, event.effective - self._entered))
        self._entered = event.effective
        return () if self._outcome == outcome and stage else self._changes()

    def _count(self, factors: Iterable[Factor]) -> None:
        times = self._factors
        for factor in factors:
            times[factor] = times.get(factor, 0) + 1

    def _changes(self) -> Sequence[Change]:
        wanted = self._factors if self._outcome in WIN_RATE else {}
        ended, self._shown = sorted(self._shown - wanted.keys()), frozenset(wanted)
        return [
            *((factor, None) for factor in ended),
            *((factor, (times,)) for factor, times in sorted(wanted.items())),
        ]


def _noted(fact: Fact, stage: str, process: ProcessVersion | None) -> Sequence[Factor]:
    """Return the factors a fact is, in the stage where the deal stood."""
    if isinstance(fact, ContactLogged):
        contacted = ("contacted_in", stage)
        channel = fact.channel
        return (contacted,) if channel is None else (contacted, ("contacted_by", channel))
    if isinstance(fact, StageMoved):
        return _moved(fact, stage, process)
    name = PLAIN.get(type(fact))
    noted: list[Factor] = [] if name is None else [(name, "")]
    if isinstance(fact, PRICED) and any(line.discount for line in fact.lines):
        noted.append(("discount_offered", ""))
    if isinstance(fact, DealOpened) and fact.lead_source is not None:
        noted.append(("came_from", fact.lead_source))
    return noted


def _moved(fact: StageMoved, stage: str, process: ProcessVersion | None) -> Sequence[Factor]:
    if process is None or process.categories[fact.target] != "open":
        return ()
    steps = process.steps(stage, fact.target)
    if 0 <= steps <= 1:
        return ()
    return (("stage_skipped" if steps > 1 else "stage_returned", ""),)


def _overdue(stage: str, process: ProcessVersion | None, lasted: int) -> Sequence[Factor]:
    found = None if process is None else process.by_key.get(stage)
    if found is None or found.max_days is None or lasted <= found.max_days * DAY:
        return ()
    return (("overdue_in", stage),)


FACTORS: Final = IntervalFold(
    FACTOR,
    STATE_FACTS | PLAIN.keys() | {ContactLogged, *PRICED},
    OnState(DealSummary, FactorRows),
)
