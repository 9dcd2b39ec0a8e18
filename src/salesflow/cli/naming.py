"""What the customer of a deal and its reps are called, beside the ids that its facts hold."""

from typing import TYPE_CHECKING
from uuid import UUID

from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.reps import Rep, rep_id
from salesflow.errors import HistoryError, NotFoundError

if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

__all__ = ["Called"]


class Called:
    """Names customers and reps, each looked up once."""

    def __init__(self, flow: "SalesFlow") -> None:
        self._flow = flow
        self._customers: dict[UUID, str] = {}
        self._reps: dict[str, str | None] = {}

    def customer(self, deal: Deal) -> str:
        """Name the customer of a deal; by the id where no name is known."""
        id = deal.customer_id
        if id is None:
            return ""
        if id not in self._customers:
            try:
                self._customers[id] = self._flow.get(Customer, id).name or str(id)
            except (NotFoundError, HistoryError):
                self._customers[id] = str(id)
        return self._customers[id]

    def rep(self, reference: str | None) -> str:
        """Write a rep's id and the name beside it."""
        name = self.rep_name(reference)
        return (reference or "") if name is None else f"{reference} {name}"

    def rep_name(self, reference: str | None) -> str | None:
        """Give the name behind a rep's id; None where nobody told it."""
        if reference is None:
            return None
        if reference not in self._reps:
            try:
                self._reps[reference] = self._flow.get(Rep, rep_id(reference)).name
            except (NotFoundError, HistoryError):
                self._reps[reference] = None
        return self._reps[reference]
