"""What the records of a CRM say of a deal, whatever the system: how it was, and is.

A history is a series of steps: at this time these attributes had these values from then on.
What a step does not speak of stays as it was. Beside it stands what the export says of the deal
now, which a history may not reach, and what happened otherwise: quotes, competitors, calls.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args
from uuid import UUID

from salesflow.adapters.importers.errors import Adjustment
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.event import Fact

__all__ = [
    "ATTRIBUTES",
    "Attribute",
    "CrmDeal",
    "CrmPeriod",
    "CrmRate",
    "CrmRep",
    "CrmTeam",
    "HistoryRecord",
    "ToldFact",
    "Values",
    "spoken_of",
]


Attribute = Literal[
    "process",
    "stage",
    "amount",
    "expected_close",
    "category",
    "probability",
    "owner",
    "customer",
    "lines",
    "loss_reason",
    "competitor",
    "status",
]
"""A process is its key, a stage its key in it, an amount Money, a probability a share that
differs from that of the stage, an owner or a customer the id that the system gives it, lines a
tuple of QuoteLine. A status (open, won, lost) stands beside the stage until `with_outcomes`
makes one of the two."""
ATTRIBUTES: Final[tuple[Attribute, ...]] = tuple(
    name for name in get_args(Attribute) if name != "status"
)
Values = Mapping[Attribute, object]


NOTHING: Final[Values] = MappingProxyType({})
NOT_INFERRED: Final[Mapping[Attribute, str]] = MappingProxyType({})


class HistoryRecord(NamedTuple):
    """What a record of the history says: from then on it was so."""

    place: int
    """The number of the record in the export."""
    id: str
    """The id the system gives the record; empty where it gives none."""
    at: ReadTime
    actor: str | None
    after: Values
    """What is so from then on; None where it was emptied."""
    before: Values = NOTHING
    """What it was until then, where the record says so."""
    then: Values = NOTHING
    """What it became when this ended, where the record says so."""
    inferred: Mapping[Attribute, str] = NOT_INFERRED
    """Why something is taken to be so from then on, where no record says it itself."""


class ToldFact(NamedTuple):
    """Something else that happened to a deal, and the record that tells it."""

    place: int
    id: str
    label: str
    """The rule by which it was read, part of its key."""
    fact: Fact
    at: ReadTime | None
    actor: str | None = None


class CrmRep(NamedTuple):
    """A user of the system who sells, as the export has them now."""

    name: str | None
    since: ReadTime | None = None
    """When they became a user."""
    team: str | None = None
    """The key of the team they are in now; None where the export names none."""
    modified: ReadTime | None = None
    """When the record was changed last."""


class CrmTeam(NamedTuple):
    """A team of the system, as the export has it now."""

    name: str
    since: ReadTime | None = None
    modified: ReadTime | None = None


class CrmRate(NamedTuple):
    """Units of a currency for one of the base, from a day on."""

    day: ReadTime
    currency: str
    rate: Decimal


class CrmPeriod(NamedTuple):
    """A year, quarter or month of the fiscal calendar, by its first and last day."""

    kind: str
    first: date
    last: date


@dataclass
class CrmDeal:
    """A deal as the export of a CRM has it."""

    id: str
    place: int | None = None
    """The record of the deal itself; None where only its history is there."""
    process: str = ""
    """The pipeline it is in, as the key of its process."""
    title: str | None = None
    customer_name: str | None = None
    """What its record calls its customer."""
    lead_source: str | None = None
    currency: str | None = None
    """That of its amounts, where the deal itself names it."""
    opened: ReadTime | None = None
    opened_by: str | None = None
    modified: ReadTime | None = None
    """When the record of the deal was changed last."""
    stage_entered: ReadTime | None = None
    """When it came where it stands now."""
    now: dict[Attribute, object] = field(default_factory=dict)
    steps: list[HistoryRecord] = field(default_factory=list)
    whole: frozenset[Attribute] = frozenset()
    """What the history would say had it ever changed."""
    told: list[ToldFact] = field(default_factory=list)
    tied: set[int] = field(default_factory=set)
    """Records that share their time with another one of the deal."""
    notes: dict[int, list[Adjustment]] = field(default_factory=dict)
    """What was taken otherwise than it is written, by record."""
    left_out: dict[int, str] = field(default_factory=dict)
    """Records that tell nothing that is read, and why."""
    told_with: dict[int, int] = field(default_factory=dict)
    """Records that tell a fact together with another one, which is the fact's."""
    named: dict[UUID, str] = field(default_factory=dict)
    """What its records call the deals that were merged into it."""

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known of it: its records were all left out or refused."""
        return self.place is None and not self.steps and not self.told


def spoken_of(steps: Iterable[HistoryRecord]) -> set[Attribute]:
    """Return what a history says anything of."""
    return {name for step in steps for name in (*step.after, *step.before)}
