"""To which group a figure of a period belongs: a rep, a team, a customer, a channel, a process.

What happened belongs to whoever had the deal when it happened; what stands open, to whoever
has it at the time asked about. A customer is the one an entry counts as at the moment. Groups
of whole columns are numbers, which have names. Stands alone, beside `scope`, which says the
same of one rep or customer after the other.
"""

from functools import cached_property
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.time import Instant, from_instant
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.columns import NOTHING, Column, Flags, HeldRows
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.scope import By, Customers, Group, Teams

__all__ = ["Attribution", "Grouping"]


class Attribution(NamedTuple):
    """The columns of rows that say to whom something belonged when it happened."""

    at: str
    rep: str
    customer: str
    process: str
    lead_source: str = "lead_source"


class Grouping:
    """To which groups rows belong, and whether they were asked for at all."""

    def __init__(
        self, reader: Reader, by: By | None, *, process: str | None, owner: str | None
    ) -> None:
        self.by: Final = by
        self._customers: Final = Customers.read(reader)
        self._teams: Final = Teams.read(reader) if by == "team" else Teams({})
        self._process = process
        self._owner = owner
        words = reader.columns(CUSTOMER).words
        self._texts: Final = words["segment"]
        self._ids: Final = words["entity_id"]

    @property
    def before_joining(self) -> int:
        """Of how many reps the first team stands for a time before they joined it, so far."""
        return self._teams.before_joining

    def wants(self, rows: HeldRows, whose: Attribution) -> Flags:
        """Return which rows are of the process and the rep asked for."""
        return rows.fitting({whose.process: self._process, whose.rep: self._owner})

    def of(self, rows: HeldRows, whose: Attribution, at: Instant | None = None) -> Column:
        """Return the number of the group of each row, or `NOTHING` for none; see `name`.

        The team is that of an instant, or where none is said of when it happened.
        """
        match self.by:
            case None:
                return np.full(len(rows), NOTHING)
            case "rep":
                return rows[whose.rep]
            case "team":
                when = rows[whose.at] if at is None else np.full(len(rows), at)
                return self._teams.numbers(rows[whose.rep], self._texts, when)
            case "customer":
                return self.survivors(rows[whose.customer])
            case "channel":
                return rows[whose.lead_source]
            case "process":
                return rows[whose.process]

    def name(self, number: int) -> Group:
        """Return what a group is called."""
        if number == NOTHING:
            return None
        match self.by:
            case "team":
                return self._teams.names[number]
            case "customer":
                return str(self._ids[number])
            case _:
                name: str = self._texts[number]
                return name

    def survivors(self, entries: Column) -> Column:
        """Return as which customer each entry counts, both by their codes."""
        old, new = self._merged
        if not len(old):
            return entries
        place = places_among(old, entries)
        return np.where(place < 0, entries, new[place])

    def are_new(self, rows: HeldRows, whose: Attribution, timezone: ZoneInfo) -> Flags:
        """Return of which rows nothing says that the customer was one before that day."""
        older, code = self._customers.older, self._ids.code
        codes = np.array([code(each) for each in older], np.int64)
        place = places_among(codes, self.survivors(rows[whose.customer]))
        new, at = place < 0, rows[whose.at]
        for row in np.flatnonzero(~new).tolist():
            since = self._customers.since(older[place[row]])
            day = from_instant(int(at[row])).astimezone(timezone).date()
            new[row] = since is None or since >= day
        return new

    @cached_property
    def _merged(self) -> tuple[Column, Column]:
        """The codes of entries that are merged, and as whom they count."""
        code, customers = self._ids.code, self._customers
        pairs = [(code(each), code(customers.survivor(each))) for each in customers.merged]
        found = np.array(pairs, np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]
