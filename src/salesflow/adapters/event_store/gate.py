"""The gate before the log: every writer passes it, and what could harm later stays outside.

Sessions, `SalesFlow.record`, imports, bulk appends and the recorders of the `eventsourcing`
library all append through one `EventLog`, and each of its appends passes here first:

* only kinds of the log's catalogue, in bytes that are proven to be read back;
* envelopes whose texts can be shown and asked for (see `appending.checked`);
* one kind of thing in a stream: no deal's fact in a customer's, no two openings of two kinds;
* no merge into itself, in a circle, or into what does not exist. This is looked at again once
  nobody else can append any more, since two merges that are told at once may close a circle.

A refusal is an InputError or a RuleError, and nothing is stored. Whoever drafts a fact does so
by the catalogue's `encode`, whose bytes need no second look. What it leaves out: rules of
sales, which commands check, and halves of a merge, which are for whoever records both.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from operator import attrgetter
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.event_store.append import Append, NewEvent, all_new_events
from salesflow.adapters.event_store.reading import EventReading
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.deal.merge_checks import MAY_MERGE, CandidateFact, impossible_merges
from salesflow.domain.event import EncodedFact, Event, FactCatalogue
from salesflow.domain.time import FOREVER
from salesflow.domain.values import shown
from salesflow.errors import HistoryError, InputError, RuleError

__all__ = ["OTHERS", "Gate"]


OTHERS: Final = FactCatalogue([])
"""For the log of an application that is not salesflow: its topics are its own, and unread."""

TOPIC, VERSION, PAYLOAD = map(attrgetter, ("topic", "version", "payload"))
WRITTEN: Final = frozenset({EncodedFact})

STREAMS_MAX = 50_000
"""So many streams are remembered by what they are about."""


class Gate:
    """Lets an append into one log, or says why not."""

    def __init__(self, log: EventReading) -> None:
        self._log = log
        self._catalogue = log.catalogue
        self._passed: dict[str, str | None] = {}
        """Topics that were let through before, and what they tell of; None for anything."""
        self._usual: dict[str, str] = {}
        """Those that tell of one kind of thing, and of no merge."""
        self._homes: dict[int, str] = {}
        """What streams are about, where that is committed and will never change."""

    def admit(
        self,
        appends: Sequence[Append],
        *,
        home_of: Callable[[UUID], str | None] | None = None,
        connection: sa.Connection | None = None,
    ) -> Sequence[Append]:
        """Let appends of one transaction pass; `home_of` says what a stream is known to be.

        They are given back, marked where they have to be looked at again; see `look_again`.

        Raises:
            InputError: for a kind that is not in the catalogue, bytes that cannot be read
                back, and a fact of one kind of thing in the stream of another.
            RuleError: for a merge into itself, in a circle, or into what does not exist.
        """
        if self._catalogue is OTHERS:
            self._ensure_not_ours(connection)
            return appends
        drafts = all_new_events(appends)
        if home_of is not None and len(drafts) == 1 and self._is_plain(drafts[0], home_of):
            return appends
        topics = set(map(TOPIC, drafts))
        if not topics <= self._passed.keys():
            self._ensure_known(topics)
        if not WRITTEN.issuperset(map(type, map(PAYLOAD, drafts))):
            self._prove(drafts)
        if not self._begin_alike(appends, drafts, topics):
            self._ensure_unmixed(drafts, home_of, connection)
        if topics.isdisjoint(_merging_topics()):
            return appends
        self._ensure_possible_merges(drafts, connection)
        return [append._replace(merges=True) for append in appends]

    def _is_plain(self, draft: NewEvent, home_of: Callable[[UUID], str | None]) -> bool:
        """Say at once that a draft may pass: like others before, in a stream of its kind."""
        return (
            type(draft.payload) is EncodedFact
            and draft.version > 1
            and (home := self._usual.get(draft.topic)) is not None
            and home_of(draft.stream_id) == home
        )

    def look_again(
        self, appends: Iterable[Append], connection: sa.Connection | None = None
    ) -> Callable[[], None] | None:
        """Give what refuses merges by what stands once nobody else can append.

        None where there is none. Without a connection it reads what is committed.
        """
        told = [append for append in appends if append.merges]
        if not told:
            return None
        drafts = [draft for append in told for draft in append.drafts]
        return partial(self._ensure_possible_merges, drafts, connection)

    def remember(self, appends: Iterable[Append]) -> None:
        """Remember what new streams are about, once they are committed."""
        if len(self._homes) > STREAMS_MAX:
            self._homes.clear()
        home_of = self._catalogue.home
        for append in appends:
            for draft in [draft for draft in append.drafts if draft.version == 1]:
                home = home_of(draft.topic)
                if home is not None:
                    self._homes[draft.stream_id.int] = home

    def _ensure_known(self, topics: Collection[str]) -> None:
        for topic in topics:
            if not self._catalogue.knows(topic):
                raise InputError(_unknown(topic))
        told = {topic: self._catalogue.home(topic) for topic in topics}
        self._passed |= told
        merging = _merging_topics()
        self._usual |= {t: home for t, home in told.items() if home and t not in merging}

    def _prove(self, drafts: Iterable[NewEvent]) -> None:
        """Refuse what cannot be read back, where that is not proven by who wrote it."""
        for draft in drafts:
            if type(draft.payload) is EncodedFact:
                continue
            where = f"stream {draft.stream_id}, version {draft.version}, not recorded yet"
            try:
                self._catalogue.decode(draft.topic, draft.payload, where=where)
            except HistoryError as error:
                raise InputError(str(error)) from error

    def _begin_alike(
        self, appends: Sequence[Append], drafts: Sequence[NewEvent], topics: Collection[str]
    ) -> bool:
        """Say whether all streams begin with these drafts, and all are of one kind of thing."""
        streams = sum([len(append.stream_ids) for append in appends])
        begun = [*map(VERSION, drafts)].count(1)
        return begun == streams and len({self._passed[topic] for topic in topics}) == 1

    def _ensure_unmixed(
        self,
        drafts: Sequence[NewEvent],
        home_of: Callable[[UUID], str | None] | None,
        connection: sa.Connection | None,
    ) -> None:
        """Refuse a fact of one kind of thing in the stream of another."""
        told: dict[int, str] = {}
        asked: dict[UUID, tuple[str, str]] = {}
        for stream_id, topic, new in _firsts(drafts):
            home = self._passed[topic]
            if home is None:
                continue
            here = told.get(stream_id.int)
            if here is None and not new:
                here = self._homes.get(stream_id.int) or (home_of and home_of(stream_id))
            if here is None:
                told[stream_id.int] = home
                if not new:
                    asked[stream_id] = topic, home
            elif here != home:
                raise InputError(_mixed(stream_id, here, topic, home))
        if asked:
            self._ensure_same(asked, connection)

    def _ensure_same(
        self, asked: Mapping[UUID, tuple[str, str]], connection: sa.Connection | None
    ) -> None:
        """Refuse what is told of streams that are about something else, as the log says."""
        for stream_id, here in self._stored(asked, connection):
            topic, home = asked[stream_id]
            if here != home:
                raise InputError(_mixed(stream_id, here, topic, home))

    def _stored(
        self, streams: Iterable[UUID], connection: sa.Connection | None
    ) -> Iterator[tuple[UUID, str]]:
        """Say what streams are about, by the first of their facts that tells."""
        for stream_id, topics in self._log.topics(streams, connection).items():
            told = (home for topic in topics if (home := self._catalogue.home(topic)))
            home = next(told, None)
            if home is not None:
                if connection is None:
                    self._homes[stream_id.int] = home
                yield stream_id, home

    def _ensure_possible_merges(
        self, drafts: Sequence[NewEvent], connection: sa.Connection | None
    ) -> None:
        """Refuse a merge after which something would count nowhere."""
        read = self._catalogue.decode
        wanted = _merging_topics() | _opening_topics()
        told = [
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

        wrong = impossible_merges(told, stored)
        if wrong:
            raise RuleError("; ".join(each.because for each in wrong[:3]))

    def _ensure_not_ours(self, connection: sa.Connection | None) -> None:
        """Refuse to put another application's events behind those of salesflow."""
        if self._passed:
            return
        first = self._log.stored_page(0, 1, connection)
        if first and CATALOGUE.knows(first[0].topic):
            raise InputError(
                f"tenant {self._log.tenant!r} holds a log of salesflow; give the application"
                " a tenant of its own"
            )
        if first:
            self._passed[first[0].topic] = None


def _firsts(drafts: Iterable[NewEvent]) -> Iterator[tuple[UUID, str, bool]]:
    """Give stream and topic of each draft that is not as the one before it.

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


def _mixed(stream_id: UUID, here: str, topic: str, home: str) -> str:
    kind = topic.partition(":")[0]
    return (
        f"{stream_id} is a {here}; {kind} is told of a {home}. A stream tells of one thing, so"
        " give each an id of its own"
    )


@cache
def _merging_topics() -> frozenset[str]:
    return frozenset(each.stored_as for each in MAY_MERGE)


@cache
def _opening_topics() -> frozenset[str]:
    return frozenset(each.stored_as for each in CATALOGUE if each.is_opening)
