"""What every part of a deal stands on: where it stands, and how a command asks about that.

Stage, outcome and merging are settled in one place (`ground.py`); the parts read them here.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from salesflow.domain.aggregate import is_untimed
from salesflow.domain.event import Event
from salesflow.domain.planned_aggregate import PlannedAggregate
from salesflow.domain.process import ForecastCategory, Outcome, ProcessVersion
from salesflow.domain.values import Money
from salesflow.domain.wording import require_reason
from salesflow.errors import DealClosedError, InputError, NotFoundError

__all__ = ["DealCore", "require_positive", "require_reason", "require_text"]


class DealCore(PlannedAggregate):
    """A deal's standing, and the refusals its parts share."""

    noun: ClassVar[str] = "deal"

    title: str
    process: str
    """Key of its sales process."""
    process_version: int
    stage: str
    outcome: Outcome
    merged_into: UUID | None
    """The deal it was merged into; None while it stands on its own."""
    last_open_stage: str | None
    """Where it stood open last; it comes back to there when it is reopened."""
    amount: Money | None
    expected_close: date | None
    forecast_category: ForecastCategory
    """The stage's category unless another was given; closed or omitted once it is closed."""
    probability: Decimal
    """Of winning it: the stage's unless another was given; 1 or 0 once it is closed."""
    category_given: ForecastCategory | None
    """The forecast category somebody gave; None where the stage's holds."""
    probability_given: Decimal | None
    """The probability somebody gave; None where the stage's holds."""
    opened_at: datetime | None
    """None until it is recorded, for a deal opened without a time."""
    closed_at: datetime | None
    """When the standing outcome came about; None while open."""
    first_outcome: Outcome | None
    first_closed_at: datetime | None
    first_won_at: datetime | None
    ever_won: bool
    irregular: list[tuple[Event, str]]
    """Facts that later knowledge left without ground, each with the reason; they count for
    nothing."""
    _process: ProcessVersion | None

    @property
    def is_open(self) -> bool:
        """Whether it can still be won: neither closed nor merged."""
        return self.outcome == "open" and self.merged_into is None

    @property
    def process_in_force(self) -> ProcessVersion:
        """The process version it stands on.

        Raises:
            NotFoundError: when that version is not known here.
        """
        if self._process is None:
            raise NotFoundError(
                f"deal {self.id} stands on process {self.process!r} version"
                f" {self.process_version}, which was never published"
            )
        return self._process

    def _ensure_open(self, asked: str) -> None:
        self._ensure_unmerged(asked)
        if self.outcome != "open":
            raise DealClosedError(
                f"deal {self.id} is already {self.outcome}; to {asked}, reopen it first"
            )

    def _ensure_won(self, asked: str) -> None:
        self._ensure_unmerged(asked)
        if self.outcome != "won":
            raise DealClosedError(f"deal {self.id} is {self.outcome}, not won; cannot {asked}")

    def _ensure_was_won(self, asked: str) -> None:
        if not self.ever_won:
            raise DealClosedError(
                f"deal {self.id} is {self.outcome} and was never won; cannot {asked}"
            )

    def _ensure_unmerged(self, asked: str) -> None:
        if self.merged_into is not None:
            raise DealClosedError(
                f"deal {self.id} is merged into {self.merged_into}; {asked} there"
            )

    def _fresh_key(self, letter: str, taken: set[str]) -> str:
        """Number the next quote or objection of this deal: Q1, then Q2."""
        number = len(taken) + 1
        while f"{letter}{number}" in taken:
            number += 1
        return f"{letter}{number}"

    def _time(self, event: Event) -> datetime | None:
        """Give when it happened; None for a new deal's fact without a time, until recorded."""
        return None if is_untimed(event) and not self.version else event.occurred_at


def require_positive(amount: Money) -> Money:
    """Insist on more than nothing.

    Raises:
        InputError: when it is zero or less.
    """
    if amount.amount <= 0:
        raise InputError(f"{amount} is not more than nothing")
    return amount


def require_text(text: str, what: str) -> str:
    """Insist on words.

    Raises:
        InputError: when they are blank.
    """
    if not text.strip():
        raise InputError(f"{what} cannot be blank")
    return text
