"""Who counts as one customer at a moment, for figures that count customers.

Read once for a question: only entries that are merged or that are customers for longer than
the log is old are read. While an entry is merged into another its deals count for that one,
and on along a chain. Where entries were merged in a circle (each into the next, by two who did
not know of one another), all of it is one customer under its lowest id.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.questions import Reader

__all__ = ["Customers"]


class Entry(NamedTuple):
    """An entry in the books of customers."""

    entry: UUID
    into: UUID | None
    since: str | None


class Customers:
    """The merged customers as known at a moment, and since when customers are customers."""

    def __init__(self, into: Mapping[UUID, UUID], since: Mapping[UUID, date]) -> None:
        self._into = into
        self._since: dict[UUID, date] = {}
        for entry, day in since.items():
            survivor = self.survivor(entry)
            self._since[survivor] = min(day, self._since.get(survivor, day))

    @classmethod
    def read(cls, reader: Reader) -> "Customers":
        """Read them at the question's moment."""
        c = CUSTOMER.c
        shown: list[sa.ColumnElement[Any]] = [c.entity_id, c.merged_into, c.customer_since]
        said = sa.or_(c.merged_into.is_not(None), c.customer_since.is_not(None))
        select = sa.select(*shown).where(CUSTOMER.seen(reader.cut), said)
        rows = [Entry._make(row) for row in reader.rows(select)]
        return cls(
            {row.entry: row.into for row in rows if row.into is not None},
            {row.entry: date.fromisoformat(row.since) for row in rows if row.since is not None},
        )

    def survivor(self, entry: UUID) -> UUID:
        """Give the customer an entry counts as; itself while it is not merged."""
        way = [entry]
        while (after := self._into.get(way[-1])) is not None:
            if after in way:
                return min(way[way.index(after) :])
            way.append(after)
        return way[-1]

    def since(self, survivor: UUID) -> date | None:
        """Give the earliest day any entry of a customer is known to be one; None without."""
        return self._since.get(survivor)
