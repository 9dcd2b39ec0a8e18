"""Checks of every append, whoever writes: what could harm later stays out of the log.

Sessions, `SalesFlow.record`, imports, bulk appends and the recorders of the `eventsourcing`
library all append through one `EventLog`, and each of its appends passes here first:

* only kinds of the log's catalogue, in bytes that are proven to be read back;
* envelopes whose texts can be shown and asked for (see `checked_append`);
* one kind of thing in a stream: no deal's fact in a customer's, no two openings of two kinds;
* no merge into itself, in a circle, or into what does not exist. This is looked at again once
  nobody else can append any more, since two merges that are told at once may close a circle.

A refusal is an InputError or a RuleError, and nothing is stored. Whoever drafts a fact does so
by the catalogue's `encode`, whose bytes need no second look. What it leaves out: rules of
sales, which commands check, and halves of a merge, which are for whoever records both.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product, repeat
from operator import attrgetter
from typing import Final, get_args
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.event_store.append import Append, NewEvent, Texts
from salesflow.adapters.event_store.reading import EventReading
from salesflow.domain.catalogue import CATALOGUE, EncodedFact, FactCatalogue
from salesflow.domain.customer import CustomerMerged
from salesflow.domain.deal.merge_checks import (
    MAY_MERGE,
    CandidateFact,
    impossible_merges,
    takes_back_a_customer,
)
from salesflow.domain.event import Event, Precision
from salesflow.domain.time import FOREVER, Instant
from salesflow.domain.values import envelope_text, is_plain_reference, shown
from salesflow.errors import HistoryError, InputError, RuleError

__all__ = ["UNCHECKED", "AppendChecks"]


UNCHECKED: Final = FactCatalogue([])
"""For the log of an application that is not salesflow: its topics are its own, and unread."""

TOPIC, VERSION, PAYLOAD = map(attrgetter, ("topic", "version", "payload"))
WRITTEN: Final = frozenset({EncodedFact})

_new = tuple.__new__

STREAMS_MAX = 50_000
"""So many streams are remembered by what they are about."""


class AppendChecks:
    """Lets an append into one log, or says why not."""

    def __init__(self, log: EventReading) -> None:
        self._log = log
        self._catalogue = log.catalogue
        self._known_topics: dict[str, str | None] = {}
        """Topics that were let through before, and what they tell of; None for anything."""
        self._usual_topics: dict[str, str] = {}
        """Those that tell of one kind of thing, and of no merge."""
        self._stream_homes: dict[int, str] = {}
        """What streams are about, where that is committed and will never change."""

    def check(
        self,
        appends: Sequence[Append],
        *,
        first_topics: Mapping[UUID, str] | None = None,
        connection: sa.Connection | None = None,
    ) -> Sequence[Append]:
        """Check appends of one transaction and let them pass, ready for a database.

        `first_topics` begin streams that were read. What holds a merge is marked, and is to be
        checked again once nobody else can append; see `ensure_possible_merges`.

        Raises:
            InputError: for what `checked_append` refuses, a kind that is not in the catalogue,
                bytes that cannot be read back, and a fact of one kind of thing in the stream
                of another.
            RuleError: for a merge into itself, in a circle, or into what does not exist.
        """
        appends = [*map(checked_append, appends)]
        if self._catalogue is UNCHECKED:
            self._ensure_not_ours(connection)
            return appends
        drafts = appends[0].drafts
        if len(appends) > 1:
            drafts = [draft for append in appends for draft in append.drafts]
        elif (
            first_topics and len(drafts) == 1 and self._takes_fast_path(drafts[0], first_topics)
        ):
            return appends
        topics, first_topics = set(map(TOPIC, drafts)), first_topics or {}
        if not self._known_topics.keys() >= topics.union(first_topics.values()):
            self._ensure_known(topics, first_topics.values())
        if not WRITTEN.issuperset(map(type, map(PAYLOAD, drafts))):
            self._ensure_reads_back(drafts)
        if not self._are_new_and_of_one_kind(appends, drafts, topics):
            self._ensure_unmixed(drafts, first_topics, connection)
        if topics.isdisjoint(_merging_topics()):
            return appends
        self.ensure_possible_merges(drafts, connection)
        return [append._replace(merges=True) for append in appends]

    def _takes_fast_path(self, draft: NewEvent, first_topics: Mapping[UUID, str]) -> bool:
        """Return at once that a draft may pass: like others before, in a stream of its kind."""
        return (
            type(draft.payload) is EncodedFact
            and draft.version > 1
            and (home := self._usual_topics.get(draft.topic)) is not None
            and (first := first_topics.get(draft.stream_id)) is not None
            and self._known_topics.get(first) == home
        )

    def remember(self, appends: Iterable[Append]) -> None:
        """Remember what new streams are about, once they are committed."""
        if len(self._stream_homes) > STREAMS_MAX:
            self._stream_homes.clear()
        home_of = self._catalogue.home
        for append in appends:
            for draft in [draft for draft in append.drafts if draft.version == 1]:
                home = home_of(draft.topic)
                if home is not None:
                    self._stream_homes[draft.stream_id.int] = home

    def _ensure_known(self, topics: Collection[str], first_topics: Iterable[str]) -> None:
        all_topics = self._catalogue.topics_besides(())  # at once, so that none is met anew
        homes = self._catalogue.homes_of({*topics, *first_topics, *all_topics})
        for topic in topics:
            if topic not in homes:
                raise InputError(_unknown(topic))
        self._known_topics |= homes
        merging = _merging_topics()
        self._usual_topics |= {
            t: home for t, home in homes.items() if home and t not in merging
        }

    def _ensure_reads_back(self, drafts: Iterable[NewEvent]) -> None:
        """Refuse what cannot be read back, where that is not proven by who wrote it."""
        for draft in drafts:
            if type(draft.payload) is EncodedFact:
                continue
            where = f"stream {draft.stream_id}, version {draft.version}, not recorded yet"
            try:
                fact = self._catalogue.decode(draft.topic, draft.payload, where=where)
            except HistoryError as error:
                raise InputError(str(error)) from error
            read = self._catalogue.read_as_written(draft.topic, draft.payload)
            if read.to_json() != fact.to_json():
                raise InputError(
                    f"{draft.topic} at {where} would be read back as something else than it is;"
                    " write it by the catalogue's `encode`"
                )

    def _are_new_and_of_one_kind(
        self, appends: Sequence[Append], drafts: Sequence[NewEvent], topics: Collection[str]
    ) -> bool:
        """Return whether all streams begin with these drafts, all of one kind of thing."""
        streams = sum([len(append.stream_ids) for append in appends])
        begun = [*map(VERSION, drafts)].count(1)
        return begun == streams and len({self._known_topics[topic] for topic in topics}) == 1

    def _ensure_unmixed(
        self,
        drafts: Sequence[NewEvent],
        first_topics: Mapping[UUID, str],
        connection: sa.Connection | None,
    ) -> None:
        """Refuse a fact of one kind of thing in the stream of another."""
        homes: dict[int, str] = {}
        asked: dict[UUID, tuple[str, str]] = {}
        for stream_id, topic, new in _firsts(drafts):
            home = self._known_topics[topic]
            if home is None:
                continue
            current = homes.get(stream_id.int)
            if current is None and not new:
                current = self._stream_homes.get(stream_id.int) or self._known_topics.get(
                    first_topics.get(stream_id, "")
                )
            if current is None:
                homes[stream_id.int] = home
                if not new:
                    asked[stream_id] = topic, home
            elif current != home:
                raise InputError(_mixed(stream_id, current, topic, home))
        if asked:
            self._ensure_same(asked, connection)

    def _ensure_same(
        self, asked: Mapping[UUID, tuple[str, str]], connection: sa.Connection | None
    ) -> None:
        """Refuse what is told of streams that are about something else, as the log says.

        What a stream is about is told by the first of its facts that any home has.
        """
        for stream_id, topics in self._log.topics(asked, connection).items():
            current = next(filter(None, map(self._catalogue.home, topics)), None)
            if current is None:
                continue
            if connection is None:
                self._stream_homes[stream_id.int] = current
            topic, home = asked[stream_id]
            if current != home:
                raise InputError(_mixed(stream_id, current, topic, home))

    def ensure_possible_merges(
        self, drafts: Sequence[NewEvent], connection: sa.Connection | None
    ) -> None:
        """Refuse a merge after which something would count nowhere.

        Without a connection it reads what is committed.

        Raises:
            RuleError: for a merge into itself, in a circle, or into what does not exist.
        """
        read = self._catalogue.decode
        wanted = _merging_topics() | _opening_topics()
        candidates = [
            CandidateFact(
                each.stream_id, read(each.topic, each.payload, where=""), each.occurred
            )
            for each in drafts
            if each.topic in wanted
        ]
        touched = {each.stream_id for each in drafts if each.topic in _merging_topics()}
        streams = self._log.streams(touched, through=FOREVER, connection=connection)
        for new in touched - streams.keys():
            streams[new] = []

        def stored(id: UUID) -> Sequence[Event]:
            if id not in streams:
                streams[id] = self._log.stream(id, connection=connection)
            return streams[id]

        others: Sequence[UUID] = ()
        if takes_back_a_customer(candidates, stored):
            others = self._log.streams_told_as(CustomerMerged, connection)
        wrong = impossible_merges(candidates, stored, others)
        if wrong:
            raise RuleError("; ".join(each.because for each in wrong[:3]))

    def _ensure_not_ours(self, connection: sa.Connection | None) -> None:
        """Refuse to put another application's events behind those of salesflow."""
        if self._known_topics:
            return
        first = self._log.stored_page(0, 1, connection)
        if first and CATALOGUE.knows(first[0].topic):
            raise InputError(
                f"tenant {self._log.tenant!r} holds a log of salesflow; give the application"
                " a tenant of its own"
            )
        if first:
            self._known_topics[first[0].topic] = None


def _firsts(drafts: Iterable[NewEvent]) -> Iterator[tuple[UUID, str, bool]]:
    """Yield stream and topic of each draft that is not as the one before it.

    And whether its stream begins with it.
    """
    stream_id, topic = None, ""
    for draft in drafts:
        if draft.stream_id is not stream_id or draft.topic != topic:
            stream_id, version, topic, *_ = draft
            yield stream_id, topic, version <= 1


def _unknown(topic: str) -> str:
    kind, _, version = topic.partition(":")
    return (
        f"no fact of kind {shown(kind)} and version {shown(version)} is known here, so it could"
        " never be read back; hand its class in: SalesFlow(url, facts=[…])"
    )


def _mixed(stream_id: UUID, current: str, topic: str, home: str) -> str:
    kind = topic.partition(":")[0]
    return (
        f"{stream_id} is a {current}; {kind} is told of a {home}. A stream tells of one thing,"
        " so give each an id of its own"
    )


@cache
def _merging_topics() -> frozenset[str]:
    return frozenset(each.stored_as for each in MAY_MERGE)


@cache
def _opening_topics() -> frozenset[str]:
    return frozenset(each.stored_as for each in CATALOGUE if each.is_opening)


# What can be checked without a database: types, numbers, texts, versions that follow.

NONE = type(None)
TYPES: Final[dict[str, frozenset[type]]] = {
    "stream_id": frozenset({UUID}),
    "version": frozenset({int}),
    "topic": frozenset({str}),
    "payload": frozenset({bytes, EncodedFact}),
    "event_id": frozenset({UUID}),
    "occurred": frozenset({int, NONE}),
    "precision": frozenset({str}),
}
"""What the first columns of a draft take."""

ENVELOPE: Final = ("actor", "correlation_id", "causation_id", "source", "source_id")
"""The other columns of a draft, which are texts."""
USUAL_TYPES: Final = frozenset(product(*TYPES.values(), (str, NONE), *repeat((NONE,), 4)))
"""The types of a draft that has no texts but perhaps its actor's."""

PRECISIONS: Final = frozenset(get_args(Precision))
VERSION_MAX = 2**31 - 1
INSTANT_MIN = -62_135_510_400_000_000
INSTANT_MAX = 253_402_214_399_999_999
"""From 0001-01-02 to 9999-12-30: what has a local time in every zone."""


def checked_append(append: Append) -> Append:
    """Check what can be checked without a database, and write texts as they are kept (NFC).

    Raises:
        InputError: for no drafts, versions that do not follow one another, values of wrong
            types, numbers out of range, and texts that no envelope may hold.
    """
    drafts, command_id = append.drafts, append.command_id
    if not drafts:
        raise InputError("an append without events records nothing")
    if command_id is not None:
        command_id = envelope_text(command_id, "command_id")
    if len(drafts) == 1 and _is_plainly_valid(draft := drafts[0]):
        plain = drafts, (draft.stream_id,), draft.occurred, command_id
        return _new(Append, plain + append[4:])
    columns = [*zip(*drafts, strict=True)]
    types = map(map, repeat(type), columns)
    if not all(map(frozenset.issuperset, TYPES.values(), types)):
        _ensure_types(columns)
    streams, versions, _, _, _, occurred, precisions, *texts = columns
    if not PRECISIONS.issuperset(precisions):
        raise InputError("a time is known to the 'microsecond' or to the 'day'")
    stream_ids, next_version_max = _streams_of(streams, versions)
    times = [time for time in occurred if time is not None]
    _check_numbers(versions, next_version_max, times)
    if any(column.count(None) < len(drafts) for column in texts):
        drafts = _with_texts(drafts, texts)
    latest = max(times) if times else None
    found = drafts, stream_ids, latest, command_id
    return _new(Append, found + append[4:])


def _is_plainly_valid(draft: NewEvent) -> bool:
    """Return at once that nothing can be wrong with a draft, as of nearly all."""
    return (
        tuple(map(type, draft)) in USUAL_TYPES
        and ((actor := draft.actor) is None or is_plain_reference(actor) is not None)
        and 0 <= draft.version < VERSION_MAX
        and draft.precision in PRECISIONS
        and (draft.occurred is None or INSTANT_MIN <= draft.occurred <= INSTANT_MAX)
    )


def _streams_of(
    streams: tuple[UUID, ...], versions: Sequence[int]
) -> tuple[tuple[UUID, ...], int]:
    """Return the streams in order of their first event, and the highest version that follows.

    Raises:
        InputError: where a version does not follow the one before.
    """
    if versions.count(1) == len(versions) == len({stream.int for stream in streams}):
        return streams, 2  # each by one fact
    next_versions: dict[UUID, int] = {}
    current, expected = streams[0], versions[0]
    for stream_id, version in zip(streams, versions, strict=True):
        if stream_id is not current:
            next_versions[current] = expected
            current, expected = stream_id, next_versions.get(stream_id, version)
        if version != expected:
            raise InputError(
                f"stream {stream_id}: version {version} does not follow the one before"
            )
        expected += 1
    next_versions[current] = expected
    return tuple(next_versions), max(next_versions.values())


def _check_numbers(
    versions: Sequence[int], next_version_max: int, times: list[Instant]
) -> None:
    if min(versions) < 0 or next_version_max > VERSION_MAX:
        raise InputError(f"versions of a stream run from 0 to {VERSION_MAX}")
    if times and not INSTANT_MIN <= min(times) <= max(times) <= INSTANT_MAX:
        raise InputError("a time lies before 0001-01-02 or after 9999-12-30 UTC")


def _ensure_types(columns: Sequence[Sequence[object]]) -> None:
    """Refuse the first value of a type that a column does not take; UUIDs of a host may do."""
    for column, (what, allowed) in zip(columns, TYPES.items(), strict=False):
        for value in column:
            if not isinstance(value, tuple(allowed)) or isinstance(value, bool):
                names = sorted(kind.__name__ for kind in allowed if kind is not NONE)
                took = " or ".join(names)
                raise InputError(f"{what} of an event is {shown(value)}; it takes {took}")


def _with_texts(drafts: Sequence[NewEvent], columns: Sequence[Texts]) -> Sequence[NewEvent]:
    """Check the texts of the envelopes; most drafts are given back as they are."""
    kept = drafts
    for what, column in zip(ENVELOPE, columns, strict=True):
        try:
            given = set(column)
        except TypeError:
            given = set()
            for value in column:
                envelope_text(value, what)
        changed = {
            text: normal
            for text in given
            if text is not None and (normal := envelope_text(text, what)) != text
        }
        if changed:
            kept = [
                each._replace(**{what: changed.get(getattr(each, what), getattr(each, what))})
                for each in kept
            ]
    return kept
