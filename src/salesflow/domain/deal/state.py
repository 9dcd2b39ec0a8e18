"""Ground: does a fact still make sense, given what is believed to have happened before it?

A command is checked when it is recorded, but later knowledge may pull the ground from under a
fact: a win is retracted, and the refund after it hangs in the air. Such a fact counts for
nothing in any figure and is shown as irregular. `StageState` is fed one deal's believed history
in order and says of each fact why it is groundless, or None; it also is the one place that
settles stage, outcome, merging and process version, for the deal and for every fold.

Gates, skipping and returning never make a fact groundless: rules change, history does not.
Groundless is also a merge while merged. Entering a stage that means won, lost or disqualified
*is* that outcome, so it has ground whenever the outcome has: also while merged, and after
another outcome.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.merging import DealMerged, DealUnmerged
from salesflow.domain.deal.money import (
    ContractAmended,
    ForecastGiven,
    LineItemsAgreed,
    RefundGiven,
)
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import CustomerChanged, OwnerAssigned
from salesflow.domain.deal.quotes import (
    QuoteAccepted,
    QuoteDrafted,
    QuoteExpired,
    QuoteIssued,
    QuoteRejected,
    QuoteRevised,
    QuoteWithdrawn,
    total_of,
)
from salesflow.domain.deal.stages import DealMigrated, DealOpened, StageMoved
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import (
    CLOSING,
    Category,
    ForecastCategory,
    Outcome,
    ProcessVersion,
    Stage,
)
from salesflow.domain.time import Instant
from salesflow.domain.values import Money

__all__ = [
    "STAGE_FACTS",
    "STATE_FACTS",
    "VALUE_FACTS",
    "DealState",
    "DealValue",
    "StageState",
    "outcome_of",
]


Processes = Mapping[tuple[str, int], ProcessVersion]
BEFORE_OPENING: Final = "before the deal was opened"


def outcome_of(fact: Fact, process: ProcessVersion | None) -> Outcome | None:
    """Say which outcome a fact brings under a process version; None when it brings none.

    Entering a stage of category won, lost or disqualified is that outcome, also at opening.
    """
    match fact:
        case DealWon():
            return "won"
        case DealLost():
            return "lost"
        case DealDisqualified():
            return "disqualified"
        case DealReopened():
            return "open"
        case StageMoved(target=stage):
            return CLOSING.get(_category(process, stage))
        case DealOpened(stage=stage):
            return CLOSING.get(_category(process, stage), "open")
        case _:
            return None


def _category(process: ProcessVersion | None, stage: str) -> Category:
    return "open" if process is None else process.category(stage)


class StageState:
    """A deal's standing as its believed history goes by; see `evolve`.

    Before the opening `opened` is None and nothing else means anything.
    """

    __slots__ = (
        "_processes",
        "_quotes",
        "last_open_stage",
        "merged_into",
        "opened",
        "outcome",
        "process",
        "process_key",
        "process_version",
        "stage",
    )

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._quotes: frozenset[str] = frozenset()
        self.opened: Instant | None = None
        self.process: ProcessVersion | None = None
        """The process version in force; None when it is not known here."""
        self.process_key = ""
        self.process_version = 0
        self.stage = ""
        self.outcome: Outcome = "open"
        self.merged_into: UUID | None = None
        self.last_open_stage: str | None = None

    def evolve(self, event: Event) -> str | None:
        """Take the next believed fact; say why it is groundless, or None when it counts."""
        fact = event.fact
        opened = self.opened
        if opened is None:
            if not isinstance(fact, DealOpened):
                return BEFORE_OPENING
            self._open(fact, event.occurred)
            return None
        if event.occurred < opened:
            return BEFORE_OPENING
        handler = _HANDLERS.get(type(fact))
        return None if handler is None else handler(self, fact)

    @property
    def is_open(self) -> bool:
        """Whether the deal counts as open: neither closed nor merged."""
        return self.outcome == "open" and self.merged_into is None

    @property
    def stage_in_force(self) -> Stage | None:
        """The stage the deal stands in; None when its process version does not know it."""
        return None if self.process is None else self.process.by_key.get(self.stage)

    def category(self, stage: str) -> Category:
        """Give a stage's category under the process version in force; unknown ones are open."""
        return _category(self.process, stage)

    def _open(self, fact: DealOpened, occurred: Instant) -> None:
        self.opened = occurred
        self._name_process(fact.process, fact.process_version)
        self.stage = fact.stage
        self.outcome = outcome_of(fact, self.process) or "open"
        if self.category(fact.stage) == "open":
            self.last_open_stage = fact.stage

    def _name_process(self, key: str, version: int) -> None:
        self.process_key, self.process_version = key, version
        self.process = self._processes.get((key, version))

    def _opened_again(self, _: Fact) -> str:
        return "the deal was opened before"

    def _move(self, fact: StageMoved) -> str | None:
        category = self.category(fact.target)
        closing = CLOSING.get(category)
        if closing is not None:
            return self._close(closing, fact.target)
        if self.merged_into is not None:
            return "moved while merged"
        if self.outcome in ("lost", "disqualified"):
            return f"moved while {self.outcome}"
        if category == "open":
            if self.outcome == "won":
                return "moved to an open stage while won"
            self.last_open_stage = fact.target
        self.stage = fact.target
        return None

    def _win(self, _: DealWon) -> str | None:
        return self._close("won", self._first_stage("after_sales", "won"))

    def _lose(self, _: DealLost) -> str | None:
        return self._close("lost", self._first_stage("lost"))

    def _disqualify(self, _: DealDisqualified) -> str | None:
        return self._close("disqualified", self._first_stage("disqualified"))

    def _first_stage(self, *categories: Category) -> str | None:
        first = None if self.process is None else self.process.first_of(*categories)
        return None if first is None else first.key

    def _close(self, outcome: Outcome, stage: str | None) -> str | None:
        """Close the deal in a stage; without one it stays where it stood open last."""
        if self.outcome == outcome:
            return f"{outcome} while already {outcome}"
        self.outcome = outcome
        self.stage = stage or self.last_open_stage or self.stage
        return None

    def _reopen(self, fact: DealReopened) -> str | None:
        if self.outcome == "open":
            return "reopened while open"
        self.outcome = "open"
        self.stage = (
            fact.stage or self.last_open_stage or self._first_stage("open") or self.stage
        )
        self.last_open_stage = self.stage
        return None

    def _migrate(self, fact: DealMigrated) -> None:
        moves = {each.old: each.new for each in fact.mapping}
        self._name_process(fact.process, fact.process_version)
        self.stage = moves.get(self.stage, self.stage)
        if self.last_open_stage is not None:
            self.last_open_stage = moves.get(self.last_open_stage, self.last_open_stage)

    def _merge(self, fact: DealMerged) -> str | None:
        if self.merged_into is not None:
            return "merged while already merged"
        self.merged_into = fact.into
        return None

    def _unmerge(self, _: DealUnmerged) -> None:
        self.merged_into = None

    def _bring_quote(self, fact: QuoteDrafted | QuoteIssued) -> None:
        self._quotes |= {fact.quote}

    def _need_quote(
        self,
        fact: QuoteRevised | QuoteAccepted | QuoteRejected | QuoteWithdrawn | QuoteExpired,
    ) -> str | None:
        return None if fact.quote in self._quotes else f"there is no quote {fact.quote!r}"

    def _need_win(self, _: Fact) -> str | None:
        if self.merged_into is not None:
            return "not won but merged"
        return None if self.outcome == "won" else f"not won but {self.outcome}"


_HANDLERS: Final[dict[type[Fact], Callable[..., str | None]]] = {
    DealOpened: StageState._opened_again,
    StageMoved: StageState._move,
    DealWon: StageState._win,
    DealLost: StageState._lose,
    DealDisqualified: StageState._disqualify,
    DealReopened: StageState._reopen,
    DealMigrated: StageState._migrate,
    DealMerged: StageState._merge,
    DealUnmerged: StageState._unmerge,
    QuoteDrafted: StageState._bring_quote,
    QuoteIssued: StageState._bring_quote,
    QuoteRevised: StageState._need_quote,
    QuoteAccepted: StageState._need_quote,
    QuoteRejected: StageState._need_quote,
    QuoteWithdrawn: StageState._need_quote,
    QuoteExpired: StageState._need_quote,
    ContractAmended: StageState._need_win,
    RefundGiven: StageState._need_win,
    RepeatOrderPlaced: StageState._need_win,
}

STAGE_FACTS: Final[frozenset[type[Fact]]] = frozenset(_HANDLERS)
"""The facts that need ground or give it; all others stand on an opened deal."""


# What a deal is worth, when, and how surely: in one place for the deal and for every fold.
#
# The amount is the latest that was said of it by DealOpened, ForecastGiven, LineItemsAgreed
# (their sum), DealWon (signed, else what it was) and ContractAmended; nothing else moves it.
# Category and probability are those of the stage until somebody gives others; closed deals are
# certain.

VALUE_FACTS: Final[frozenset[type[Fact]]] = frozenset(
    {DealOpened, ForecastGiven, LineItemsAgreed, DealWon, ContractAmended}
)
"""The facts that may move a deal's worth."""

IMPOSSIBLE, CERTAIN = Decimal(0), Decimal(1)


class DealValue(NamedTuple):
    """A deal's amount and expected close; category and probability where somebody gave them."""

    amount: Money | None = None
    expected_close: date | None = None
    category_given: ForecastCategory | None = None
    probability_given: Decimal | None = None

    def after(self, fact: Fact) -> "DealValue":
        """Give the worth after a fact that has ground."""
        if type(fact) not in VALUE_FACTS:
            return self
        match fact:
            case DealOpened():
                return DealValue(fact.amount, fact.expected_close)
            case ForecastGiven():
                return self._forecast(fact)
            case LineItemsAgreed():
                return self._replace(amount=total_of(fact.lines) or self.amount)
            case DealWon() | ContractAmended() if fact.amount is not None:
                return self._replace(amount=fact.amount)
            case _:
                return self

    def _forecast(self, fact: ForecastGiven) -> "DealValue":
        amount, close, category, probability = self
        if fact.amount is not None or "amount" in fact.cleared:
            amount = fact.amount
        if fact.expected_close is not None or "expected_close" in fact.cleared:
            close = fact.expected_close
        if fact.category is not None or "category" in fact.cleared:
            category = fact.category
        if fact.probability is not None or "probability" in fact.cleared:
            probability = fact.probability
        return DealValue(amount, close, category, probability)

    def probability(self, stage: Stage | None, outcome: Outcome) -> Decimal:
        """Give the chance to win: 1 when won, 0 when lost or in a stage nobody knows."""
        if outcome != "open":
            return CERTAIN if outcome == "won" else IMPOSSIBLE
        if self.probability_given is not None:
            return self.probability_given
        return IMPOSSIBLE if stage is None else stage.probability

    def category(self, stage: Stage | None, outcome: Outcome) -> ForecastCategory:
        """Give where the deal counts in a forecast."""
        if outcome != "open":
            return "closed" if outcome == "won" else "omitted"
        if self.category_given is not None:
            return self.category_given
        return "pipeline" if stage is None else stage.forecast_category


# Where a deal stands as its believed history goes by: stage and outcome, whose, worth what.
#
# The one reading of it that every table about deals shares. Facts without ground change
# nothing.

STATE_FACTS: frozenset[type[Fact]] = VALUE_FACTS | {
    StageMoved,
    DealLost,
    DealDisqualified,
    DealReopened,
    DealMigrated,
    DealMerged,
    DealUnmerged,
    OwnerAssigned,
    CustomerChanged,
}
"""The facts that can change where a deal stands."""


class DealState:
    """One deal on its way through its history."""

    __slots__ = ("customer_id", "ground", "lead_source", "owner", "worth")

    def __init__(self, processes: Mapping[tuple[str, int], ProcessVersion]) -> None:
        self.ground = StageState(processes)
        self.worth = DealValue()
        self.owner: str | None = None
        self.customer_id: UUID | None = None
        self.lead_source: str | None = None

    def take(self, event: Event) -> bool:
        """Take the next believed fact; False when it has no ground and changes nothing."""
        if self.ground.evolve(event) is not None:
            return False
        fact = event.fact
        match fact:
            case DealOpened():
                self.owner, self.customer_id = fact.owner, fact.customer_id
                self.lead_source = fact.lead_source
            case OwnerAssigned():
                self.owner = fact.owner
            case CustomerChanged():
                self.customer_id = fact.customer_id
            case _:
                pass  # stage, outcome and worth are settled by StageState and DealValue
        self.worth = self.worth.after(fact)
        return True

    @property
    def outcome(self) -> str:
        """Open, won, lost, disqualified or, while it is merged into another, merged."""
        return self.ground.outcome if self.ground.merged_into is None else "merged"

    @property
    def category(self) -> str:
        """Where it counts in a forecast."""
        return self.worth.category(self.ground.stage_in_force, self.ground.outcome)

    @property
    def probability(self) -> Decimal:
        """The chance to win it."""
        return self.worth.probability(self.ground.stage_in_force, self.ground.outcome)
