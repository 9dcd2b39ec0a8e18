"""What every system says of itself: its tables, its pipelines, what records of a deal mean."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, Final, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape
from salesflow.adapters.importers.crm.records import (
    CrmDeal,
    CrmPeriod,
    CrmRate,
    CrmRep,
    CrmTeam,
)
from salesflow.adapters.importers.crm.stages import CrmStage
from salesflow.adapters.importers.errors import RowError, row_error
from salesflow.adapters.importers.times import MissingZoneError, ReadTime
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.event import Fact
from salesflow.domain.time import Instant
from salesflow.domain.wording import Message

__all__ = [
    "BESIDE",
    "CALENDAR",
    "CrmContext",
    "CrmPipeline",
    "CrmSystem",
    "customer_object",
    "rates_object",
    "refusing",
    "rep_object",
    "team_object",
]


UNREADABLE: Final = "cannot be taken ({why}); mend it where it comes from"
BESIDE: Final = "\x1d"
"""Begins the name of what is put together of anything but a deal; ids of deals never do."""
CALENDAR: Final = f"{BESIDE}calendar{BESIDE}"
"""The name under which the periods of the fiscal calendar are put together."""


def customer_object(id: str) -> str:
    """Return the name under which records of a customer are put together."""
    return f"{BESIDE}customer{BESIDE}{id}"


def rep_object(id: str) -> str:
    """Return the name under which records of a user are put together."""
    return f"{BESIDE}rep{BESIDE}{id}"


def team_object(id: str) -> str:
    """Return the name under which records of a team are put together."""
    return f"{BESIDE}team{BESIDE}{id}"


def rates_object(day: str) -> str:
    """Return the name under which exchange rates of a day are put together."""
    return f"{BESIDE}rates{BESIDE}{day}"


@contextmanager
def refusing(record: CrmRecord, refused: dict[int, RowError]) -> Iterator[None]:
    """Refuse a record in whose work something goes wrong; it never ends an import.

    Only that times need a zone, which nobody named, is about all of them.
    """
    try:
        yield
    except MissingZoneError:
        raise
    except Exception as error:  # noqa: BLE001 - a record is listed, and the others are taken
        refused[record.place] = row_error(error, UNREADABLE)


class CrmContext(NamedTuple):
    """What whoever imports says beside the export."""

    zone: ZoneInfo | None
    currency: str | None
    horizon: Instant
    """Nothing can have happened later."""
    is_recorded: Callable[[str, str], bool] = lambda _source, _id: False
    """Whether the log holds a deal of a source already."""


class CrmPipeline(NamedTuple):
    """A pipeline of the system: the key and name of its process, its stages in order."""

    key: str
    name: str
    stages: Sequence[CrmStage]


class CrmSystem(ABC):
    """One system, as it reads one export."""

    name: ClassVar[str]
    """What the source is called in the log."""
    shapes: ClassVar[tuple[TableShape, ...]]
    """Its tables, in the order in which they are read."""
    needed: ClassVar[tuple[str, ...]]
    """Kinds of tables of which one has to be there."""
    hint: ClassVar[str]
    """What that table is, for people."""
    labels: ClassVar[tuple[str, ...]] = ()
    """Rules of its own, beside those of every system."""

    def __init__(self, context: CrmContext) -> None:
        self.context = context
        self.columns: Mapping[str, frozenset[str]] = {}
        """Plain names of the columns that the tables of each kind have in this export."""
        self.registers_customers = False
        """Whether the export has a table of customers; `look` says so."""
        self.owners: set[str] = set()
        """Who owns or owned a deal; `look` says so. Other users are no reps."""
        self.owner_names: dict[str, str] = {}
        """What owners are called, where no table of users is read; `look` says so."""
        self.team_of: dict[str, str] = {}
        """The team of each user, by its key; `look` says so."""
        self.base_currency: str | None = None
        """The currency that exchange rates are given against; `look` says so."""

    def name_owner(self, id: object, name: object) -> None:
        """Note what an owner is called whose id is known; an empty one is none."""
        if isinstance(id, str) and isinstance(name, str) and id and name and id != name:
            self.owner_names.setdefault(id, name)

    def registers(self, customer: str) -> bool:
        """Return whether a table of the export registers a customer."""
        del customer
        return self.registers_customers

    def told(self, record: CrmRecord) -> CrmRecord:
        """Return a record without what the system wraps around it, as the kind that it is."""
        return record

    def leave_out(self, record: CrmRecord) -> str | None:
        """Return why a record is left out; None where it is not."""
        del record
        return None

    @abstractmethod
    def look(self, record: CrmRecord) -> None:
        """Note what has to be known of the whole export before any deal is read."""

    @abstractmethod
    def object_of(self, record: CrmRecord) -> str | None:
        """Return the deal or customer (`customer_object`) that a record is about.

        None of a record of which `look` has taken all.

        Raises:
            RowError: when it names none.
        """

    @abstractmethod
    def pipelines(self) -> Sequence[CrmPipeline]:
        """Return the pipelines of the export, when all records were looked at."""

    @abstractmethod
    def deal(
        self, id: str, records: Sequence[CrmRecord], refused: dict[int, RowError]
    ) -> CrmDeal:
        """Return what the records of a deal say; those that cannot be taken go to `refused`."""

    def customer(
        self, id: str, record: CrmRecord
    ) -> Iterator[tuple[str, Fact, ReadTime | None]]:
        """Yield the facts of a customer's record: the key of each, and when it was."""
        del id, record
        yield from ()

    def rep(self, id: str, record: CrmRecord) -> CrmRep:
        """Return what a record says of a user.

        Raises:
            RowError: when it cannot be taken.
        """
        raise NotImplementedError(f"{self.name} has no table of users: {id} of {record.kind}")

    def team(self, id: str, record: CrmRecord) -> CrmTeam:
        """Return what a record says of a team.

        Raises:
            RowError: when it cannot be taken.
        """
        raise NotImplementedError(f"{self.name} has no table of teams: {id} of {record.kind}")

    def rate(self, record: CrmRecord) -> CrmRate:
        """Return the exchange rate a record gives.

        Raises:
            RowError: when it cannot be taken.
        """
        raise NotImplementedError(f"{self.name} has no table of rates: {record.kind}")

    def period(self, record: CrmRecord) -> CrmPeriod | None:
        """Return a period of the fiscal calendar; None of one that follows from the others.

        Raises:
            RowError: when it cannot be taken.
        """
        raise NotImplementedError(f"{self.name} has no fiscal calendar: {record.kind}")

    def customer_named(self, id: str, deal: CrmDeal) -> CustomerRegistered:
        """Return what is known of a customer of whom only deals speak."""
        return CustomerRegistered(name=deal.customer_name or id)

    def assumed(self) -> list[Message]:
        """Return what the export leaves open and was taken to be so."""
        return []
