"""What every system says of itself: its tables, its pipelines, what records of a deal mean."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import ClassVar, Final, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape
from salesflow.adapters.importers.crm.reading import (
    NO_CURRENCY,
    UNNAMED_CURRENCY,
    ValueReader,
    readers_of,
)
from salesflow.adapters.importers.crm.records import (
    CrmDeal,
    CrmPeriod,
    CrmRate,
    CrmRep,
    CrmTeam,
)
from salesflow.adapters.importers.crm.stages import CrmStage
from salesflow.adapters.importers.crm.written_days import DayOrder
from salesflow.adapters.importers.errors import RowError, row_error
from salesflow.adapters.importers.ids import object_id
from salesflow.adapters.importers.numbers import NumberReader
from salesflow.adapters.importers.times import MissingZoneError, ReadTime
from salesflow.domain.customer import ContactPersonAdded, CustomerRegistered
from salesflow.domain.event import Fact
from salesflow.domain.time import Instant
from salesflow.domain.wording import Message

__all__ = [
    "BESIDE",
    "BY_ITS_PEOPLE",
    "CALENDAR",
    "CrmContext",
    "CrmPipeline",
    "CrmSystem",
    "customer_object",
    "left_out_deal",
    "name_by_id",
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


ZEROS: Final = Message("a value of 0 is taken for none; the system writes it where none is")
BY_ITS_PEOPLE: Final = "known by one of its people; no record of its own is there"


def name_by_id(id: str) -> str | None:
    """Return what a customer is called of whom only an id is known; a number is no name."""
    return None if id.isdigit() else id


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


def left_out_deal(
    id: str, records: Sequence[CrmRecord], own: str, because: str, of: str
) -> CrmDeal:
    """Return a deal with all its records left out: those of the kind that is it, and others."""
    left_out = {each.place: because if each.kind == own else of for each in records}
    return CrmDeal(id, left_out=left_out)


class CrmContext(NamedTuple):
    """What whoever imports says beside the export."""

    zone: ZoneInfo | None
    currency: str | None
    horizon: Instant
    """Nothing can have happened later."""
    is_recorded: Callable[[str, str], bool] = lambda _source, _id: False
    """Whether the log holds a deal of a source already."""

    @property
    def for_readers(self) -> tuple[ZoneInfo | None, Instant, str | None]:
        """What readers of values take of it."""
        return self.zone, self.horizon, self.currency


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
    of_zeros: ClassVar[Message] = ZEROS
    """What is said of amounts of 0, where the system writes that for none."""
    numbers: ClassVar[NumberReader | None] = None
    """What reads its numbers, where they are written otherwise than 1,234.5."""

    def __init__(self, context: CrmContext) -> None:
        self.context = context
        self.days = DayOrder()
        """How days are written; `look` shows it those of every record."""
        self.has_amounts = self.has_currencies = False
        """Whether there are amounts, and whether anything names their currency; `look` says so.
        Where each deal names its own, amounts are those of deals that name none."""
        self.has_zeros = False
        """Whether there are amounts of 0, where the system writes that for none."""
        self.columns: Mapping[str, frozenset[str]] = {}
        """Plain names of the columns that the tables of each kind have in this export."""
        self.registers_customers = False
        """Whether the export has a table of all customers; `look` says so."""
        self.registered: set[str] = set()
        """Customers whom a table of the export has, where it need not have all; so too."""
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

    @cached_property
    def read(self) -> ValueReader:
        """What reads values, once all records were looked at."""
        days, context = self.days, self.context.for_readers
        return ValueReader(days.times(), days.days(), *context, self.numbers)

    def reader(self, *, utc: bool) -> ValueReader:
        """Return what reads values of the interface of a system, or those of its pages."""
        return self._readers[utc]

    @cached_property
    def _readers(self) -> tuple[ValueReader, ValueReader]:
        return readers_of(self.days, *self.context.for_readers)

    def registers(self, customer: str) -> bool:
        """Return whether a table of the export registers a customer."""
        return self.registers_customers or customer in self.registered

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

    def contact_person(
        self,
        id: str,
        at: ReadTime | None,
        *,
        name: str | None,
        position: str | None,
        email: str | None,
        phone: str | None,
    ) -> tuple[str, Fact, ReadTime | None]:
        """Return what `customer` yields of a person of a customer."""
        person = object_id(self.name, id, "person")
        added = ContactPersonAdded(
            person_id=person, name=name, position=position, email=email, phone=phone
        )
        return f"person/{id}", added, at

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
        return CustomerRegistered(name=deal.customer_name or name_by_id(id))

    def assumed(self) -> list[Message]:
        """Return what the export leaves open and was taken to be so."""
        found = [*self.days.assumed(), *self.left_open()]
        if self.has_zeros:
            found.append(self.of_zeros)
        if self.has_amounts and not self.has_currencies and self.context.currency is None:
            found.append(Message(UNNAMED_CURRENCY, code=NO_CURRENCY))
        return found

    def left_open(self) -> list[Message]:
        """Return what it leaves open that other systems say."""
        return []
