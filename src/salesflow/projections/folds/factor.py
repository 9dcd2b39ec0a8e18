"""What was done on the way of every closed deal: one row per deal and factor.

Answers "what was different about the deals we won?" for any moment; win and loss drivers and
case studies read it. A factor is something that happened while the deal was open, with how
often it did. Its rows hold while the deal stands won or lost, as of the instant it closed; a
reopened deal has none. Leaves out what it means: nothing here claims a cause.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
from salesflow.projections.table import Change, IntervalFold, IntervalTable, OnState

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
Factor = tuple[str, str]


class FactorRows:
    """One deal on its way to its closing."""

    __slots__ = ("_entered", "_factors", "_outcome", "_process", "_shown", "_stage")

    def __init__(self) -> None:
        self._factors: Counter[Factor] = Counter()
        self._shown: frozenset[Factor] = frozenset()
        self._entered: Instant = 0
        self._process: ProcessVersion | None = None
        self._stage = ""
        self._outcome = "open"

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; rows change when the deal closes or opens again."""
        outcome, stage, process = self._outcome, self._stage, self._process
        if outcome == "open":
            for factor in _noted(event.fact, stage, process):
                self._factors[factor] += 1
        if type(event.fact) not in STATE_FACTS:
            return ()
        self._outcome, self._stage = deal.status, deal.stage
        self._process = deal.version_in_force
        if (stage, outcome) == (self._stage, self._outcome):
            return ()
        if stage and outcome == "open":
            for factor in _overdue(stage, process, event.effective - self._entered):
                self._factors[factor] += 1
        self._entered = event.effective
        return () if self._outcome == outcome and stage else list(self._changes())

    def _changes(self) -> Iterator[Change]:
        closed = self._outcome in WIN_RATE
        wanted = self._factors if closed else Counter[Factor]()
        for factor in sorted(self._shown - wanted.keys()):
            yield factor, None
        for factor, times in sorted(wanted.items()):
            yield factor, (times,)
        self._shown = frozenset(wanted)


def _noted(fact: Fact, stage: str, process: ProcessVersion | None) -> Sequence[Factor]:
    """Return the factors a fact is, in the stage where the deal stood."""
    name = PLAIN.get(type(fact))
    noted: list[Factor] = [] if name is None else [(name, "")]
    match fact:
        case ContactLogged():
            noted.append(("contacted_in", stage))
            if fact.channel is not None:
                noted.append(("contacted_by", fact.channel))
        case StageMoved():
            noted.extend(_moved(fact, stage, process))
        case DealOpened(lead_source=str(source)):
            noted.append(("came_from", source))
        case LineItemsAgreed() | QuoteDrafted() | QuoteIssued() | QuoteRevised():
            if any(line.discount for line in fact.lines):
                noted.append(("discount_offered", ""))
        case _:
            pass
    return noted


def _moved(fact: StageMoved, stage: str, process: ProcessVersion | None) -> Iterator[Factor]:
    if process is None or process.categories[fact.target] != "open":
        return
    steps = process.order(fact.target) - process.order(stage)
    if steps > 1:
        yield "stage_skipped", ""
    elif steps < 0:
        yield "stage_returned", ""


def _overdue(stage: str, process: ProcessVersion | None, lasted: int) -> Iterator[Factor]:
    found = None if process is None else process.by_key.get(stage)
    if found is not None and found.max_days is not None and lasted > found.max_days * DAY:
        yield "overdue_in", stage


FACTORS: Final = IntervalFold(
    FACTOR,
    STATE_FACTS | PLAIN.keys() | {ContactLogged, *PRICED},
    OnState(DealSummary, FactorRows),
)
