"""What every part of a deal stands on: its stage, outcome and worth, and what commands refuse.

The parts beside it (`stages.py`, `quotes.py` …) each hold their facts, what these change in
the deal's state, and the commands that record them.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar, Final
from uuid import UUID

from salesflow.domain.arguments import internal, require_reason
from salesflow.domain.event import Event
from salesflow.domain.pending import is_unrecorded, is_untimed
from salesflow.domain.planned_aggregate import PlannedAggregate
from salesflow.domain.process import (
    Category,
    ForecastCategory,
    Outcome,
    ProcessVersion,
    Stage,
)
from salesflow.domain.state import State
from salesflow.domain.values import Money
from salesflow.domain.wording import Message
from salesflow.errors import DealClosedError, InputError, NotFoundError

__all__ = [
    "DealCommands",
    "DealCore",
    "require_positive",
    "require_reason",
    "require_text",
    "require_worth",
]

IMPOSSIBLE, CERTAIN = Decimal(0), Decimal(1)
AGAIN: Final[Mapping[Outcome, Message]] = {
    "won": Message("won while already won"),
    "lost": Message("lost while already lost"),
    "disqualified": Message("disqualified while already disqualified"),
}
"""Why an outcome that stands already does not come about again."""
NOT_WON: Final[Mapping[Outcome, Message]] = {
    "open": Message("not won but open"),
    "lost": Message("not won but lost"),
    "disqualified": Message("not won but disqualified"),
}
"""Why something that builds on a win does not count, by the outcome that stands instead."""
CLOSES: Final = ("win it", "lose it", "disqualify it")
"""What closes a deal, as refusals call it."""
CLOSED_CATEGORY: Final[dict[Outcome, ForecastCategory]] = {
    "won": "closed",
    "lost": "omitted",
    "disqualified": "omitted",
}


class DealCore(State):
    """What every part of a deal's state builds on."""

    title: str = ""
    process: str = ""
    """Key of its sales process."""
    process_version: int = 0
    version_in_force: ProcessVersion | None = None
    """The process version it stands on; None where that one is not known here."""
    stage: str = ""
    outcome: Outcome = "open"
    merged_into: UUID | None = None
    """The deal it was merged into; None while it stands on its own."""
    last_open_stage: str | None = None
    """Where it stood open last; it comes back to there when it is reopened."""
    owner: str | None = None
    customer_id: UUID | None = None
    amount: Money | None = None
    """The latest that it was opened with, forecast, agreed in lines, signed or amended."""
    expected_close: date | None = None
    category_given: ForecastCategory | None = None
    """The forecast category somebody gave; None where the stage's holds."""
    probability_given: Decimal | None = None
    """The probability somebody gave; None where the stage's holds."""
    first_outcome: Outcome | None = None
    irregular: Sequence[tuple[Event, str]] = ()
    """Facts that later knowledge left without what they build on, each with the reason; they
    count for nothing."""
    _closing: Event | None = None
    """What brought the standing outcome about; None while open."""
    _first_closing: Event | None = None
    _first_win: Event | None = None

    @property
    def opened_at(self) -> datetime | None:
        """When it was opened; None until it is recorded, for one opened without a time."""
        return self._time(self._opening)

    @property
    def closed_at(self) -> datetime | None:
        """When the standing outcome came about; None while open."""
        return self._time(self._closing)

    @property
    def first_closed_at(self) -> datetime | None:
        """When it was closed for the first time."""
        return self._time(self._first_closing)

    @property
    def first_won_at(self) -> datetime | None:
        """When it was won for the first time."""
        return self._time(self._first_win)

    @property
    def ever_won(self) -> bool:
        """Whether it was won at some time, also where it was reopened since."""
        return self._first_win is not None

    @property
    def is_open(self) -> bool:
        """Whether it can still be won: neither closed nor merged."""
        return self.outcome == "open" and self.merged_into is None

    @property
    def status(self) -> str:
        """Open, won, lost, disqualified or, while it is merged into another, merged."""
        return self.outcome if self.merged_into is None else "merged"

    @property
    def stage_in_force(self) -> Stage | None:
        """The stage it stands in; None when its process version does not know it."""
        process = self.version_in_force
        return None if process is None else process.by_key.get(self.stage)

    @property
    def probability(self) -> Decimal:
        """Of winning it: the stage's unless another was given; 1 or 0 once it is closed."""
        return self.outlook[2]

    @property
    def forecast_category(self) -> ForecastCategory:
        """The stage's category unless another was given; closed or omitted once it ended."""
        return self.outlook[1]

    @property
    def outlook(self) -> tuple[str, ForecastCategory, Decimal]:
        """Its status, its forecast category, and the probability of winning it."""
        status, outcome = self.status, self.outcome
        if outcome != "open":
            certain = CERTAIN if outcome == "won" else IMPOSSIBLE
            return status, CLOSED_CATEGORY[outcome], certain
        category, probability = self.category_given, self.probability_given
        stage = self.stage_in_force
        if category is None:
            category = "pipeline" if stage is None else stage.forecast_category
        if probability is None:
            probability = IMPOSSIBLE if stage is None else stage.probability
        return status, category, probability

    @internal
    def meets(self, criterion: str) -> bool:
        """Return whether an exit criterion is met; `DealState` knows of all its parts."""
        raise NotImplementedError

    def _first_stage(self, *categories: Category) -> str | None:
        process = self.version_in_force
        first = None if process is None else process.first_of(*categories)
        return None if first is None else first.key

    def _close(self, outcome: Outcome, stage: str | None) -> Message | None:
        """Close the deal in a stage; without one it stays where it stood open last."""
        if self.outcome == outcome:
            return AGAIN[outcome]
        self.outcome = outcome
        self.stage = stage or self.last_open_stage or self.stage
        return None

    def _needs_win(self) -> Message | None:
        """Return why something that builds on a win does not count; None while it is won."""
        if self.merged_into is not None:
            return Message("not won but merged")
        return NOT_WON.get(self.outcome)

    def _time(self, event: Event | None) -> datetime | None:
        """Return when it happened; None for what a new deal will be recorded with."""
        opening = self._opening
        if event is None or opening is None:
            return None
        is_new = opening.version == 1 and is_unrecorded(opening)
        return None if is_new and is_untimed(event) else event.occurred_at


class DealCommands(PlannedAggregate, DealCore):
    """What the commands of every part of a deal share: what they refuse."""

    noun: ClassVar[str] = "deal"

    @property
    def process_in_force(self) -> ProcessVersion:
        """The process version it stands on.

        Raises:
            NotFoundError: when that version is not known here.
        """
        found = self.version_in_force
        if found is None:
            raise NotFoundError(
                f"deal {self.id} stands on process {self.process!r} version"
                f" {self.process_version}, which was never published"
            )
        return found

    def _ensure_open(self, action: str) -> None:
        self._ensure_unmerged(action)
        if self.outcome != "open":
            raise DealClosedError(
                f"deal {self.id} is already {self.outcome}; to {action}, reopen it first"
                f"{self._taken_back(action)}"
            )

    def _taken_back(self, action: str) -> str:
        """Say how what closed the deal is put right, to whoever would close it anew."""
        closing = self._closing
        if action not in CLOSES or closing is None or is_unrecorded(closing):
            return ""
        amend = ", or amend its contract" if self.outcome == "won" else ""
        return (
            f"; where that was recorded wrongly, retract event no. {closing.position}"
            f" and say it anew{amend}"
        )

    def _process_while_open(self, action: str) -> ProcessVersion:
        """Return the process version it stands on, or refuse what is for open deals."""
        self._ensure_open(action)
        return self.process_in_force

    def _ensure_won(self, action: str) -> None:
        self._ensure_unmerged(action)
        if self.outcome != "won":
            raise DealClosedError(f"deal {self.id} is {self.outcome}, not won; cannot {action}")

    def _ensure_was_won(self, action: str) -> None:
        if not self.ever_won:
            raise DealClosedError(
                f"deal {self.id} is {self.outcome} and was never won; cannot {action}"
            )

    def _ensure_unmerged(self, action: str) -> None:
        if self.merged_into is not None:
            raise DealClosedError(
                f"deal {self.id} is merged into {self.merged_into}; {action} there"
            )

    def _fresh_key(self, letter: str, taken: set[str]) -> str:
        """Number the next quote or objection of this deal: Q1, then Q2."""
        number = len(taken) + 1
        while f"{letter}{number}" in taken:
            number += 1
        return f"{letter}{number}"


def require_positive(amount: Money) -> Money:
    """Return an amount that is more than nothing.

    Raises:
        InputError: when it is zero or less.
    """
    if amount.amount <= 0:
        raise InputError(f"{amount} is not more than nothing")
    return amount


def require_worth(amount: Money | None, *, what: str) -> Money | None:
    """Return what something is worth: nothing or more, or not known.

    Raises:
        InputError: when it is less than nothing.
    """
    if amount is not None and amount.amount < 0:
        raise InputError(
            f"{amount} is less than nothing: {what} is 0 or more, and is left out while it"
            " is not known"
        )
    return amount


def require_text(text: str, what: str) -> str:
    """Return a text that is not blank.

    Raises:
        InputError: when it is.
    """
    if not text.strip():
        raise InputError(f"{what} cannot be blank")
    return text
