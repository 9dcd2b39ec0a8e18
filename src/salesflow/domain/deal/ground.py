"""Ground: does a fact still make sense, given what is believed to have happened before it?

A command is checked when it is recorded, but later knowledge may pull the ground from under a
fact: a win is retracted, and the refund after it hangs in the air. Such a fact counts for
nothing in any figure and is shown as irregular. `Ground` is fed one deal's believed history
in order and says of each fact why it is groundless, or None; it also is the one place that
settles stage, outcome, merging and process version, for the deal and for every fold.

Gates, skipping and returning never make a fact groundless: rules change, history does not.
Groundless is also a merge while merged. Entering a stage that means won, lost or disqualified
*is* that outcome, so it has ground whenever the outcome has: also while merged, and after
another outcome.
"""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from salesflow.domain.deal.merging import DealMerged, DealUnmerged
from salesflow.domain.deal.money import ContractAmended, RefundGiven
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.quotes import (
    QuoteAccepted,
    QuoteDrafted,
    QuoteExpired,
    QuoteIssued,
    QuoteRejected,
    QuoteRevised,
    QuoteWithdrawn,
)
from salesflow.domain.deal.service import RepeatOrderPlaced
from salesflow.domain.deal.stages import DealMigrated, DealOpened, StageMoved
from salesflow.domain.facts import Event, Fact
from salesflow.domain.moments import Instant
from salesflow.domain.processes import (
    CLOSING,
    Category,
    Outcome,
    ProcessVersion,
    Stage,
)

__all__ = ["GROUND_FACTS", "Ground", "outcome_of"]

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


class Ground:
    """A deal's standing as its believed history goes by; see `judge`.

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

    def judge(self, event: Event) -> str | None:
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
    DealOpened: Ground._opened_again,
    StageMoved: Ground._move,
    DealWon: Ground._win,
    DealLost: Ground._lose,
    DealDisqualified: Ground._disqualify,
    DealReopened: Ground._reopen,
    DealMigrated: Ground._migrate,
    DealMerged: Ground._merge,
    DealUnmerged: Ground._unmerge,
    QuoteDrafted: Ground._bring_quote,
    QuoteIssued: Ground._bring_quote,
    QuoteRevised: Ground._need_quote,
    QuoteAccepted: Ground._need_quote,
    QuoteRejected: Ground._need_quote,
    QuoteWithdrawn: Ground._need_quote,
    QuoteExpired: Ground._need_quote,
    ContractAmended: Ground._need_win,
    RefundGiven: Ground._need_win,
    RepeatOrderPlaced: Ground._need_win,
}

GROUND_FACTS: Final[frozenset[type[Fact]]] = frozenset(_HANDLERS)
"""The facts that need ground or give it; all others stand on an opened deal."""
