"""Whom or what somebody means: an id, the first digits of one, SOURCE:OBJECT, or a name.

`maven_crm:1C1I7A6R` is the deal an importer made of that object of that source. A deal is
called by its title, a customer, a rep and a stage by name; only the whole of it counts, in
small letters or capitals, and only where one alone is called so. What is near is named in the
refusal.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from salesflow.domain.alike_names import closest, folded
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.process import (
    ProcessVersion,
    SalesProcess,
    process_id,
)
from salesflow.domain.rep import Rep, rep_id
from salesflow.domain.wording import quoted, shortened
from salesflow.errors import HistoryError, InputError, NotFoundError

__all__ = [
    "Called",
    "find_customer",
    "find_deal",
    "find_process",
    "find_rep",
    "find_stage",
    "find_stream",
    "find_version",
]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.domain.event import Fact
    from salesflow.engine import SalesFlow


DIGITS_MIN: Final = 4
SHOWN_MAX: Final = 4
NAME_SHOWN: Final = 40
HEX: Final = re.compile(r"[0-9a-f]{1,32}")


class Sort(NamedTuple):
    """A sort of thing that is found: what it is, what opens it, how it is called."""

    noun: str
    called: str
    aggregate: Any
    opening: "type[Fact]"
    field: str


def find_deal(flow: "SalesFlow", text: str) -> UUID:
    """Find the deal a text means.

    Raises:
        NotFoundError: when there is no such deal.
        InputError: when the text is no id or title, or more than one deal is meant by it.
    """
    from salesflow.domain.deal import Deal
    from salesflow.domain.deal.stages import DealOpened

    return _found(flow, text, Sort("deal", "title", Deal, DealOpened, "title"))


def find_customer(flow: "SalesFlow", text: str) -> UUID:
    """Find the customer a text means; a whole id is taken as it is.

    Raises:
        NotFoundError: when there is no such customer.
        InputError: when the text is no id or name, or more than one customer is meant by it.
    """
    from salesflow.domain.customer import Customer, CustomerRegistered

    try:
        return UUID(text)
    except ValueError:
        sort = Sort("customer", "name", Customer, CustomerRegistered, "name")
        return _found(flow, text, sort)


def find_rep(flow: "SalesFlow", text: str, known: Callable[[str], bool]) -> str:
    """Return the id of the rep of that name; the text itself where it is known as an id.

    An id with the name behind it, as tables show a rep, is that id.

    Raises:
        InputError: when several reps are called so.
    """
    from salesflow.domain.rep import Rep, RepJoined

    id, _, name = text.partition(" ")
    if name and folded(Called(flow).rep_name(id) or "") == folded(name) and not known(text):
        return id
    meant = _called(flow, text, Sort("rep", "name", Rep, RepJoined, "name"), [])
    if not meant or known(text):
        return text
    ids = [flow.get(Rep, id).reference or text for id in meant]
    if len(ids) > 1:
        raise InputError(f"several reps are called {quoted(text)}: {_listed(ids)}; write an id")
    return ids[0]


def find_stage(flow: "SalesFlow", text: str) -> str:
    """Return the key of the stage of that name, in either language; else the text itself.

    Raises:
        InputError: when several stages are called so.
    """
    from salesflow.engine.processes import published_processes

    versions = [v for process in published_processes(flow) for v in process.versions.values()]
    stages = [stage for version in versions for stage in version.stages]
    if any(stage.key == text for stage in stages):
        return text
    wanted = _spaced(text)
    names = (
        (name, stage.key)
        for stage in stages
        for name in (stage.key, stage.name_en, stage.name_zh)
    )
    keys = [*dict.fromkeys(key for name, key in names if _spaced(name) == wanted)]
    if len(keys) > 1:
        named = _listed(keys)
        raise InputError(f"several stages are called {quoted(text)}: {named}; write a key")
    return keys[0] if keys else text


def _spaced(name: str) -> str:
    """Return a name as people might write it, who take a blank, a hyphen or a line for one."""
    return folded(name.replace("_", " ").replace("-", " "))


def find_process(flow: "SalesFlow", key: str) -> SalesProcess:
    """Return the published process of a key.

    Raises:
        NotFoundError: when none was published under it, naming those that were.
    """
    from salesflow.engine.processes import published_processes

    try:
        return flow.get(SalesProcess, process_id(key))
    except NotFoundError as error:
        there = ", ".join(each.latest.key for each in published_processes(flow)) or "none"
        raise NotFoundError(
            f"no process {quoted(key)} has been published; there are {there}"
        ) from error


def find_version(process: SalesProcess, number: str | None) -> ProcessVersion:
    """Return a version of a process; the latest where no number is said.

    Raises:
        NotFoundError: when there is no such version, naming those there are.
    """
    if not number:
        return process.latest
    found = process.versions.get(int(number)) if number.isdecimal() else None
    if found is None:
        known = ", ".join(map(str, sorted(process.versions)))
        raise NotFoundError(
            f"process {process.latest.key!r} has no version {number}; there are {known}"
        )
    return found


def find_stream(flow: "SalesFlow", text: str) -> UUID:
    """Find a stream by its id or the first digits of it, or a deal as people write it.

    Raises:
        NotFoundError: when there is no such stream.
        InputError: when the text means nothing, or more than one stream.
    """
    try:
        return UUID(text)
    except ValueError:
        found = _beginning(flow, text, flow.log.catalogue)
        _ensure_one(found, text, "streams")
        return found[0] if found else find_deal(flow, text)


def _found(flow: "SalesFlow", text: str, sort: Sort) -> UUID:
    from salesflow.adapters.importers.ids import parse_object

    if ":" in text:
        object = parse_object(text, sort.noun)
        if flow.log.stream(object):
            return object
    begun = _beginning(flow, text, [sort.opening])
    _ensure_one(begun, text, f"{sort.noun}s")
    if begun:
        return begun[0]
    near: list[str] = []
    meant = _called(flow, text, sort, near)
    if len(meant) > 1:
        raise InputError(
            f"several {sort.noun}s are called {quoted(text)}: {_listed(map(str, meant))};"
            " write an id"
        )
    if not meant:
        raise _unknown(text, sort, near)
    return meant[0]


def _unknown(text: str, sort: Sort, near: list[str]) -> InputError | NotFoundError:
    message = f"; did you mean {_listed(map(repr, near))}?" if near else ""
    if ":" in text:
        return NotFoundError(f"no {sort.noun} {shortened(text)} has been imported{message}")
    if _digits(text):
        return NotFoundError(f"there is no {sort.noun} {text}{message}")
    way_out = (
        f"; write its id, the first {DIGITS_MIN} or more digits of it, its whole {sort.called},"
        " or SOURCE:OBJECT"
    )
    return InputError(f"{quoted(text)} is not a {sort.noun}{message or way_out}")


def _digits(text: str) -> str:
    """Return the first digits of an id; nothing where the text is none, or too short."""
    digits = text.replace("-", "").lower()
    return digits if HEX.fullmatch(digits) and len(digits) >= DIGITS_MIN else ""


def _beginning(flow: "SalesFlow", text: str, openings: "Iterable[type[Fact]]") -> list[UUID]:
    """Return the first of the streams whose ids begin with a text and that hold such a fact."""
    from salesflow.adapters.event_store.search import beginning_with

    digits = _digits(text)
    if not digits:
        return []
    found = (
        id
        for opening in openings
        for id in beginning_with(flow.log, digits, opened_by=opening, limit=SHOWN_MAX)
    )
    return sorted(set(found))[:SHOWN_MAX]


def _ensure_one(ids: list[UUID], text: str, what: str) -> None:
    if len(ids) > 1:
        shown = _listed(map(str, ids))
        raise InputError(f"several {what} begin with {text}: {shown}; write more of one")


def _called(flow: "SalesFlow", text: str, sort: Sort, near: list[str]) -> list[UUID]:
    """Return what is called so now; put what is called nearly so into a list."""
    wanted, meant, others = folded(text), dict[UUID, None](), dict[str, str]()
    for id, name in _names(flow, sort):
        if folded(name) == wanted:
            meant[id] = None
        else:
            others[folded(name)] = name
    inside = [key for key in others if wanted and wanted in key]
    alike = inside or closest(wanted[:NAME_SHOWN], others, SHOWN_MAX)
    near.extend(shortened(others[key], NAME_SHOWN) for key in alike[:SHOWN_MAX])
    return [id for id in meant if folded(_name_now(flow, id, sort)) == wanted]


def _names(flow: "SalesFlow", sort: Sort) -> Iterator[tuple[UUID, str]]:
    from salesflow.adapters.event_store.search import LogSearch, search

    for entry in search(flow.log, LogSearch(kind=sort.opening.kind, oldest_first=True)):
        name = None if entry.event is None else getattr(entry.event.fact, sort.field)
        if isinstance(name, str):
            yield entry.stored.stream_id, name


def _name_now(flow: "SalesFlow", id: UUID, sort: Sort) -> str:
    try:
        return getattr(flow.get(sort.aggregate, id), sort.field) or ""
    except (NotFoundError, HistoryError):
        return ""


def _listed(shown: Iterable[str]) -> str:
    """List a few; of more than those say that there are more."""
    each = [*shown]
    more = " and more" if len(each) >= SHOWN_MAX else ""
    return ", ".join(each[: SHOWN_MAX - 1]) + more


# What the customer of a deal and its reps are called, beside the ids that its facts hold.


class Called:
    """Names customers, their people and reps, each looked up once."""

    def __init__(self, flow: "SalesFlow") -> None:
        self._flow = flow
        self._customers: dict[UUID, Customer | None] = {}
        self._reps: dict[str, str | None] = {}

    def customer(self, deal: Deal) -> str:
        """Name the customer of a deal; by the id where no name is known."""
        customer = self._customer(deal)
        name = None if customer is None else customer.name
        return name or ("" if deal.customer_id is None else str(deal.customer_id))

    def person(self, deal: Deal, person_id: UUID) -> str | None:
        """Name a contact person of the customer of a deal; None where no name is known."""
        customer = self._customer(deal)
        person = None if customer is None else customer.people.get(person_id)
        return None if person is None else person.name

    def _customer(self, deal: Deal) -> Customer | None:
        id = deal.customer_id
        if id is not None and id not in self._customers:
            try:
                self._customers[id] = self._flow.get(Customer, id)
            except (NotFoundError, HistoryError):
                self._customers[id] = None
        return None if id is None else self._customers[id]

    def rep(self, reference: str | None) -> str:
        """Write a rep's id and the name beside it."""
        name = self.rep_name(reference)
        return (reference or "") if name is None else f"{reference} {name}"

    def rep_name(self, reference: str | None) -> str | None:
        """Return the name behind a rep's id; None where nobody told it."""
        if reference is None:
            return None
        if reference not in self._reps:
            try:
                self._reps[reference] = self._flow.get(Rep, rep_id(reference)).name
            except (NotFoundError, HistoryError):
                self._reps[reference] = None
        return self._reps[reference]
