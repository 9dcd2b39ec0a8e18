"""Facts and the things they are about as OCEL 2.0, gathered in a passing file.

Objects are deals, quotes, customers, contact people, reps and products; events are the facts of
deals, customers and reps that are believed at the moment. An event is related to everything
that its fact names, each time by what it is there: one fact may name one rep as `owner` and as
`by`, and both relations are kept. What objects were over time are their attributes, each with
the time from which it held. Relations between objects hold for all time in OCEL: there are all
that ever held by the moment.

They are gathered in a SQLite file of its own (what is met a thousand times is kept once, and
nothing in memory), and written from there in each of the three formats: see `ocel_files`.
"""

import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring as json_quoted
from typing import Final, NamedTuple

from salesflow.adapters.exporters.fact_attributes import (
    Named,
    Scalar,
    attributes_of,
    named_in,
)
from salesflow.adapters.exporters.histories import BelievedStream, Histories
from salesflow.adapters.logs import Progress
from salesflow.domain.customer import (
    ContactPersonAdded,
    ContactPersonUpdated,
    CustomerMarkedLoyal,
    CustomerQualified,
)
from salesflow.domain.deal.quotes import Quote, QuoteFact
from salesflow.domain.deal.state import DealState
from salesflow.domain.event import Event, Fact
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import Instant, from_instant
from salesflow.presentation.messages import say

__all__ = [
    "GATHERED_OBJECTS",
    "LONG_FLOAT",
    "RECORDED_BY",
    "GatheredLog",
    "gather_ocel",
    "utc_text",
]


GATHERED_OBJECTS: Final = ("contact person", "customer", "deal", "product", "quote", "rep")
HOMES: Final = frozenset({"deal", "customer", "rep"})
TABLES: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE object (id TEXT PRIMARY KEY, type TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE event (number INTEGER PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL,
    time INTEGER NOT NULL, actor TEXT, said TEXT NOT NULL, related TEXT NOT NULL);
CREATE TABLE event_attribute (type TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
    PRIMARY KEY (type, name, kind)) WITHOUT ROWID;
CREATE TABLE object_attribute (object TEXT NOT NULL, number INTEGER NOT NULL,
    name TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (object, number, name)) WITHOUT ROWID;
CREATE TABLE object_object (source TEXT NOT NULL, target TEXT NOT NULL,
    qualifier TEXT NOT NULL, PRIMARY KEY (source, target, qualifier)) WITHOUT ROWID;
"""
RECORDED_BY: Final = "recorded by"
"""As what an event is related to who recorded it, where that is a rep."""
NO_REPS: Final = (
    "UPDATE event SET actor = NULL"
    " WHERE actor IS NOT NULL AND 'rep:' || actor NOT IN (SELECT id FROM object)"
)
IN_ENVELOPE: Final = frozenset(
    {
        *("position", "recorded_at", "occurred_at", "day_only", "actor", "source"),
        *("source_id", "irregular"),
    }
)
"""What is said of every event whatever its fact; a field of a fact is called otherwise."""
LASTING: Final = frozenset(
    {
        *("customer", "owner", "collaborator", "contact person", "quote", "product"),
        *("merged into", "absorbed"),
    }
)
"""Relations of a fact that are also relations of its deal or customer."""
SAID_OF: Final = (
    *("name", "segment", "region", "natural_person", "customer_since", "team", "level"),
)
"""What facts of customers and reps say that lasts."""
DIGITS_OF_FLOAT: Final = 15
"""A floating-point number of 64 bits keeps so many digits as they are written."""
LONG_FLOAT: Final = "long float"
"""The type of a number with more digits; OCEL knows it as a float."""
DAY: Final = 86_400_000_000
NO_NUMBER: Final = Decimal("NaN")
TWIN_IDS: Final = (
    "UPDATE event SET id = id || '/' || number"
    " WHERE number NOT IN (SELECT min(number) FROM event GROUP BY id)"
)
"""Tells events apart whose makers gave them one id, which OCEL cannot have."""
STATE: Final = {CustomerQualified: "qualified", CustomerMarkedLoyal: "loyal"}


class GatheredLog(NamedTuple):
    """How much was gathered, and how many streams were cut off."""

    events: int
    objects: int
    event_relations: int
    object_relations: int
    left_out: int


def gather_ocel(
    histories: Histories,
    into: sqlite3.Connection,
    *,
    personal: bool,
    progress: Progress | None = None,
) -> GatheredLog:
    """Gather what is believed at a moment in an empty file."""
    into.executescript(TABLES)
    into.execute("BEGIN")
    gathering = _Gathering(into, histories, personal=personal)
    for stream in histories.of(HOMES, progress):
        gathering.take(stream)
    gathering.finish()
    into.execute(NO_REPS)
    into.execute(TWIN_IDS)
    into.execute("COMMIT")
    events, by_reps, objects, connected = (
        into.execute(f"SELECT count({what}").fetchone()[0]
        for what in (
            *("*) FROM event", "actor) FROM event", "*) FROM object", "*) FROM object_object"),
        )
    )
    related = gathering.related + by_reps
    return GatheredLog(events, objects, related, connected, histories.left_out)


def utc_text(at: Instant) -> str:
    """Write an instant in UTC, to the microsecond, as RFC 3339 does: a million times a file."""
    day, rest = divmod(at, DAY)
    seconds, micro = divmod(rest, 1_000_000)
    hour, minute = seconds // 3_600, seconds // 60 % 60
    return f"{_day(day)}T{hour:02}:{minute:02}:{seconds % 60:02}.{micro:06}Z"


@lru_cache(maxsize=20_000)
def _day(number: int) -> str:
    """Return the date of a day by its number since 1970."""
    return from_instant(number * DAY).date().isoformat()


class _Gathering:
    """Takes streams apart into events, objects and relations."""

    def __init__(
        self, into: sqlite3.Connection, histories: Histories, *, personal: bool
    ) -> None:
        self._into, self._histories, self._personal = into, histories, personal
        self._number = 0
        self.related = 0
        """How many relations of events were gathered."""
        self._relations: dict[tuple[str, str], None] = {}
        """The relations of the event at hand."""
        self._kinds: dict[tuple[str, str, str], None] = {}
        """The attributes of each type of events, and of what types these are."""
        self._rows: dict[str, dict[tuple[object, ...], None]] = {}
        """Rows of the stream at hand by their table; what is met again is there once."""
        self._known: dict[str, dict[str, Scalar | None]] = {}
        """What was said last of the objects of the stream at hand."""

    def take(self, stream: BelievedStream) -> None:
        """Take what is believed of one thing."""
        self._known, self._rows = {}, {}
        me = self._object(stream.home, _key_of(stream))
        state = DealState(ReplayContext(self._histories.processes))
        for event in stream.history:
            self._number += 1
            self._relations = {}
            irregular = state.evolve(event) if stream.home == "deal" else None
            self._relate(me, stream.home)
            for named in named_in(event.fact, stream.home, stream.id):
                self._name(me, named, irregular)
            if stream.home == "deal":
                self._deal(me, stream, event, state)
            else:
                self._say_of(me, event, event.fact)
            self._person(me, event)
            self._event(event, irregular)
        for table, rows in self._rows.items():
            marks = ", ".join("?" * len(next(iter(rows))))
            self._into.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)

    def finish(self) -> None:
        """Put in of what types the attributes of events are."""
        self._into.executemany("INSERT INTO event_attribute VALUES (?, ?, ?)", self._kinds)

    def _add(self, table: str, *row: object) -> None:
        self._rows.setdefault(table, {})[row] = None

    def _deal(self, me: str, stream: BelievedStream, event: Event, state: DealState) -> None:
        """Say where a deal and its quotes stand after an event, and whose it is."""
        if state.owner is not None:
            self._name(me, Named("rep", state.owner, "owner"), None)
        if state.customer_id is not None:
            self._name(me, Named("customer", str(state.customer_id), "customer"), None)
        self._say(me, event, _of_deal(state))
        if not isinstance(event.fact, QuoteFact):
            return
        for offer in state.offers.values():  # one that is accepted supersedes another
            quote = self._object("quote", f"{stream.id}/{offer.key}")
            self._say(quote, event, _of_quote(offer))
            for line in offer.lines:
                self._connect(quote, self._object("product", line.product), "product")

    def _say_of(self, me: str, event: Event, fact: Fact) -> None:
        """Say what a fact of a customer or rep tells of it."""
        if isinstance(fact, ContactPersonAdded | ContactPersonUpdated):
            return
        said = {each.name: each.value for each in attributes_of(fact, personal=self._personal)}
        about: dict[str, Scalar | None] = {n: said[n] for n in SAID_OF if n in said}
        if type(fact) in STATE:
            about["standing"] = STATE[type(fact)]
        self._say(me, event, about)

    def _person(self, me: str, event: Event) -> None:
        """Say who a contact person is, where personal texts are asked for."""
        fact = event.fact
        if isinstance(fact, ContactPersonAdded | ContactPersonUpdated):
            person = self._object("contact person", str(fact.person_id))
            self._connect(me, person, "contact person")
            said = attributes_of(fact, personal=self._personal)
            self._say(person, event, {a.name: a.value for a in said if a.name != "person_id"})

    def _event(self, event: Event, irregular: str | None) -> None:
        """Put in the event at hand: what it says and is about as JSON, by hand for speed."""
        kind, known = event.fact.kind, self._envelope(event, irregular)
        for name, value in attributes_of(event.fact, personal=self._personal):
            known[f"fact_{name}" if name in IN_ENVELOPE else name] = _typed(value)
        said = []
        for name in sorted(known):
            of, text = known[name]
            self._kinds[kind, name, of] = None
            said.append(f'{{"name":{json_quoted(name)},"value":{json_quoted(text)}}}')
        related = [
            f'{{"objectId":{json_quoted(id)},"qualifier":{json_quoted(qualifier)}}}'
            for id, qualifier in sorted(self._relations)
        ]
        self.related += len(related)
        shown = (f"[{','.join(said)}]", f"[{','.join(related)}]")
        at, actor = event.effective, event.actor
        self._add("event", self._number, str(event.event_id), kind, at, actor, *shown)

    def _envelope(self, event: Event, irregular: str | None) -> dict[str, tuple[str, str]]:
        """Return what is so of an event whatever its fact, each with its type."""
        known = {
            "position": ("integer", str(event.position)),
            "recorded_at": ("time", utc_text(event.recorded)),
            "occurred_at": ("time", utc_text(event.occurred)),
        }
        if event.precision == "day":
            known["day_only"] = ("boolean", "true")
        texts = {"actor": event.actor, "source": event.source, "source_id": event.source_id}
        known |= {n: ("string", text) for n, text in texts.items() if text is not None}
        if irregular is not None:
            known["irregular"] = ("string", say(irregular, "en"))
        return known

    def _object(self, kind: str, key: str) -> str:
        id = f"{kind}:{key}"
        self._add("object", id, kind)
        return id

    def _name(self, me: str, named: Named, irregular: str | None) -> None:
        """Relate the event at hand to what its fact names, and its object where that lasts."""
        other = self._object(named.kind, named.key)
        self._relate(other, named.qualifier)
        if irregular is None and named.qualifier in LASTING:
            self._connect(me, other, named.qualifier)

    def _relate(self, object: str, qualifier: str) -> None:
        self._relations[object, qualifier] = None

    def _connect(self, source: str, target: str, qualifier: str) -> None:
        self._add("object_object", source, target, qualifier)

    def _say(self, of: str, event: Event, said: Mapping[str, Scalar | None]) -> None:
        """Note what is new of an object; an amount that is known no more is no number."""
        known = self._known.setdefault(of, {})
        new = [
            (name, NO_NUMBER if value is None else value)
            for name, value in said.items()
            if known.get(name) != value and (value not in (None, "") or name in known)
        ]
        for name, value in new:
            row = (of, self._number, name, *_typed(value), event.effective)
            self._add("object_attribute", *row)
        known |= said


def _key_of(stream: BelievedStream) -> str:
    """Return what others call a thing: reps by their own id, all else by that of its stream."""
    return str(getattr(stream.history[0].fact, "rep", stream.id))


def _of_deal(state: DealState) -> dict[str, Scalar | None]:
    amount = state.amount
    return {
        "title": state.title,
        "process": state.process,
        "process_version": state.process_version,
        "stage": state.stage,
        "outcome": state.status,
        "owner": state.owner or "",
        "forecast_category": state.forecast_category,
        "probability": state.probability,
        "amount": None if amount is None else amount.amount,
        "amount_currency": "" if amount is None else amount.currency,
        "expected_close": "" if state.expected_close is None else str(state.expected_close),
        "lead_source": state.lead_source or "",
    }


def _of_quote(offer: Quote) -> dict[str, Scalar]:
    said: dict[str, Scalar] = {"state": offer.state, "revisions": offer.revisions}
    if offer.total is not None:
        said |= {"total": offer.total.amount, "total_currency": offer.total.currency}
    if offer.valid_until is not None:
        said["valid_until"] = str(offer.valid_until)
    return said


def _typed(value: Scalar) -> tuple[str, str]:
    """Return the type of a value as OCEL names it, and its text."""
    if isinstance(value, str):
        return "string", value
    if isinstance(value, bool):
        return "boolean", "true" if value else "false"
    if isinstance(value, int):
        return "integer", str(value)
    if isinstance(value, Decimal):
        many = len(value.as_tuple().digits) > DIGITS_OF_FLOAT
        return LONG_FLOAT if many else "float", f"{value:f}"
    return "time", value.isoformat(timespec="microseconds").replace("+00:00", "Z")
