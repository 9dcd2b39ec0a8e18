"""What an append is made of, whatever the database: drafts in, a receipt out, rules between.

The rules here hold on every database: values of wrong types and texts that no envelope may
hold are refused, versions of a stream follow one another, `occurred` never lies after
`recorded`, a clock may not lag behind the log. What may be in an event at all is for the `gate`
to say. How the rows get into a database is said in `sqlite_append` and `postgres_append`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain, product, repeat
from time import time_ns
from typing import Final, NamedTuple, Protocol, get_args
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.logs import CLOCK
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.event import EncodedFact, Precision
from salesflow.domain.time import SKEW, Instant, ensure_not_future, from_instant
from salesflow.domain.values import envelope_text, shown
from salesflow.errors import (
    ClockError,
    ConcurrentChangeError,
    InputError,
    NotFoundError,
    ReplacedError,
    SalesflowError,
)

__all__ = [
    "SKEW",
    "Append",
    "Appending",
    "Columns",
    "Head",
    "Look",
    "NewEvent",
    "Receipt",
    "Rejected",
    "all_new_events",
    "checked",
    "columns_of",
    "host_clock",
    "log_shrunk_error",
    "next_instant",
    "receipts_of",
    "version_error",
]


_new = tuple.__new__

Texts = tuple[str | None, ...]
Look = Callable[[], None] | None
"""What looks at an append again once nobody else can append; None where nothing has to."""

SECOND: Instant = 1_000_000
NONE = type(None)
KINDS: Final[dict[str, frozenset[type]]] = {
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
NO_TEXTS: Final = frozenset({NONE})
PLAIN: Final = frozenset(product(*KINDS.values(), (str, NONE), *repeat((NONE,), 4)))
"""The types of a draft that has no texts but perhaps its actor's."""

PRECISIONS: Final = frozenset(get_args(Precision))
VERSION_MAX = 2**31 - 1
INSTANT_MIN = -62_135_510_400_000_000
INSTANT_MAX = 253_402_214_399_999_999
"""From 0001-01-02 to 9999-12-30: what has a local time in every zone."""


class NewEvent(NamedTuple):
    """An event about to be appended; `occurred` None means when it is recorded."""

    stream_id: UUID
    version: int
    topic: str
    payload: bytes
    event_id: UUID
    occurred: Instant | None
    precision: Precision = "microsecond"
    actor: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    source: str | None = None
    source_id: str | None = None


class Receipt(NamedTuple):
    """What an append recorded: positions `first` to `last`, all at the same instant."""

    first: int
    last: int
    recorded: Instant
    event_ids: tuple[UUID, ...]
    stream_ids: tuple[UUID, ...]
    """The streams in order of their first event, without repeats."""
    command_id: str | None
    kinds: tuple[str, ...] = ()
    """What each of the streams is about ("deal", "customer"), as sessions and `run` say."""
    again: bool = False
    """Whether this command was recorded before, and this is what it recorded then."""

    def id_of(self, kind: type[Aggregate]) -> UUID:
        """Give the id of the one thing of a kind of which something was recorded.

        The same for a command that was recorded before, so that a retry can be answered.

        Raises:
            NotFoundError: when it is about none of that kind.
            InputError: when it is about several, or does not say about what.
        """
        ids = self.ids_of(kind)
        if not ids:
            raise NotFoundError(f"nothing of a {kind.noun} was recorded by this")
        if len(ids) > 1:
            raise InputError(
                f"something of {len(ids)} things of kind {kind.noun} was recorded by this;"
                f" ids_of({kind.__name__}) gives all"
            )
        return ids[0]

    def ids_of(self, kind: type[Aggregate]) -> tuple[UUID, ...]:
        """Give the ids of all things of a kind of which something was recorded, in order.

        Raises:
            InputError: for a receipt of `record`, whose ids the caller has given.
        """
        if len(self.kinds) != len(self.stream_ids):
            raise InputError(
                "this receipt says not what its streams are about; those of sessions and `run`"
                " do"
            )
        pairs = zip(self.stream_ids, self.kinds, strict=True)
        return tuple([id for id, noun in pairs if noun == kind.noun])

    @property
    def recorded_at(self) -> datetime:
        """When all of it was recorded."""
        return from_instant(self.recorded)


class Head(NamedTuple):
    """Where a log stands; (0, 0) when nothing is recorded."""

    position: int
    recorded: Instant


class Append(NamedTuple):
    """One atomic append, checked and ready for a database."""

    drafts: Sequence[NewEvent]
    stream_ids: tuple[UUID, ...]
    latest: Instant | None
    """The latest `occurred` of its drafts; None when all happen when they are recorded."""
    command_id: str | None
    accept_clock: bool
    fingerprint: str | None = None
    """Tells the request behind the command from another one; None when nobody said."""
    nouns: tuple[str, ...] = ()
    """What each of the streams is about, for its receipt."""
    merges: bool = False
    """Whether a merge may stand after it, for which it is looked at again; see `gate`."""


class Appending(Protocol):
    """Writes appends of one tenant into one database."""

    least: int
    """The position that the log is known to have reached."""

    def write(
        self, appends: Sequence[Append], deadline: float, look: Look = None
    ) -> list[Receipt]:
        """Write all of them in one transaction of their own, or none.

        `look` is called once nobody else can append; what it raises refuses them all.

        Raises:
            BusyError: when other writers held the log until the deadline (monotonic seconds).
        """

    def write_in(self, connection: sa.Connection, append: Append, look: Look = None) -> Receipt:
        """Write one into the caller's transaction, which stays intact when it fails."""


class Rejected(Exception):  # noqa: N818 - never leaves the adapters
    """A database refused a row; whoever catches it finds out why."""


def checked(
    drafts: Sequence[NewEvent],
    command_id: str | None = None,
    *,
    accept_clock: bool = False,
    fingerprint: str | None = None,
    nouns: tuple[str, ...] = (),
) -> Append:
    """Check what can be checked without a database, and write texts as they are kept (NFC).

    Raises:
        InputError: for no drafts, versions that do not follow one another, values of wrong
            types, numbers out of range, and texts that no envelope may hold.
    """
    if not drafts:
        raise InputError("an append without events records nothing")
    if command_id is not None:
        command_id = envelope_text(command_id, "command_id")
    told = command_id, accept_clock, fingerprint, nouns, False
    if len(drafts) == 1 and _is_plain(draft := drafts[0]):
        return _new(Append, (drafts, (draft.stream_id,), draft.occurred, *told))
    columns = [*zip(*drafts, strict=True)]
    types = map(map, repeat(type), columns)
    if not all(map(frozenset.issuperset, KINDS.values(), types)):
        _ensure_types(columns)
    streams, versions, _, _, _, occurred, precisions, *others = columns
    if not PRECISIONS.issuperset(precisions):
        raise InputError("a time is known to the 'microsecond' or to the 'day'")
    following = _following(streams, versions)
    times = [time for time in occurred if time is not None]
    _check_numbers(versions, following, times)
    if not NO_TEXTS.issuperset(map(type, chain.from_iterable(others))):
        drafts = _with_texts(drafts, others)
    latest = max(times) if times else None
    return _new(Append, (drafts, tuple(following), latest, *told))


def _is_plain(draft: NewEvent) -> bool:
    """Say at once that nothing can be wrong with a draft, as of nearly all."""
    return (
        tuple(map(type, draft)) in PLAIN
        and ((actor := draft.actor) is None or envelope_text(actor, "actor") == actor)
        and 0 <= draft.version < VERSION_MAX
        and draft.precision in PRECISIONS
        and (draft.occurred is None or INSTANT_MIN <= draft.occurred <= INSTANT_MAX)
    )


class Columns(NamedTuple):
    """The drafts of one transaction turned into columns."""

    stream_ids: tuple[UUID, ...]
    versions: tuple[int, ...]
    topics: tuple[str, ...]
    payloads: tuple[bytes, ...]
    event_ids: tuple[UUID, ...]
    occurred: tuple[Instant | None, ...]
    precisions: tuple[Precision, ...]
    actors: Texts
    correlation_ids: Texts
    causation_ids: Texts
    sources: Texts
    source_ids: Texts
    command_ids: Texts
    numbers: Sequence[int]
    """Which append of the transaction each event belongs to, from 0."""


def columns_of(appends: Sequence[Append]) -> Columns:
    """Turn drafts into columns, which databases take faster than rows."""
    drafts = all_new_events(appends)
    columns = zip(*drafts, strict=True)
    if len(appends) == 1:
        names: Texts = (appends[0].command_id,) * len(drafts)
        return Columns._make((*columns, names, [0] * len(drafts)))
    commands: list[str | None] = []
    numbers: list[int] = []
    for number, append in enumerate(appends):
        commands += [append.command_id] * len(append.drafts)
        numbers += [number] * len(append.drafts)
    return Columns._make((*columns, tuple(commands), numbers))


def all_new_events(appends: Sequence[Append]) -> Sequence[NewEvent]:
    """Give all that the appends of one transaction record, in order."""
    if len(appends) == 1:
        return appends[0].drafts
    return list(chain.from_iterable([append.drafts for append in appends]))


def receipts_of(appends: Sequence[Append], base: int, recorded: Instant) -> list[Receipt]:
    """Say what the appends of one transaction recorded, the first one after position `base`."""
    receipts = []
    for drafts, stream_ids, _, command_id, _, _, nouns, _ in appends:
        last = base + len(drafts)
        ids = tuple([draft.event_id for draft in drafts])
        told = base + 1, last, recorded, ids, stream_ids, command_id, nouns, False
        receipts.append(_new(Receipt, told))
        base = last
        recorded += 1
    return receipts


def next_instant(
    appends: Sequence[Append], now: Instant, recorded: Instant, *, accepted: bool
) -> Instant:
    """Give the time of the first append after `recorded`.

    Raises:
        ClockError: when the clock lags behind and nobody has accepted that.
        InputError: when a fact is said to have happened in the future.
    """
    if now < recorded - SKEW and not accepted and not appends[0].accept_clock:
        raise clock_error(now, recorded)
    following = max(now, recorded + 1)
    for append in appends:
        if append.latest is not None:
            ensure_not_future(append.latest, following)
    return following


def host_clock() -> Instant:
    """Say what time it is on this host."""
    return time_ns() // 1000


def clock_error(now: Instant, recorded: Instant) -> ClockError:
    """Say that the clock lags too far behind the log."""
    CLOCK.warning("refused to record: the clock is %.1f s behind", (recorded - now) / SECOND)
    return ClockError(
        f"the clock says {from_instant(now).isoformat()}, the log was last written at"
        f" {from_instant(recorded).isoformat()}; set the clock right, or run:"
        ' salesflow clock accept --because "…"'
    )


def log_shrunk_error(where: str, tenant: str, expected: int, actual: int) -> ReplacedError:
    """Say that the log does not reach as far as it did."""
    return ReplacedError(
        f"the log of tenant {tenant} stood at position {expected:,}, and stands at {actual:,}"
        " now: while it was open events were removed from the log, or an older copy was put in"
        f" the place of {where}. Close this SalesFlow, see that the right database is there,"
        " and open it anew"
    )


def version_error(stream_id: UUID, expected: int, current: int) -> SalesflowError:
    """Say that somebody else appended to the stream first."""
    return ConcurrentChangeError(
        f"stream {stream_id} stands at version {current}; version {expected} was to be"
        " appended, so it was changed since it was loaded"
    )


def _following(streams: Sequence[UUID], versions: Sequence[int]) -> dict[UUID, int]:
    """Give the version that follows in each stream, streams in order of their first event."""
    if versions.count(1) == len(versions):
        begun = dict.fromkeys(streams, 2)
        if len(begun) == len(streams):
            return begun  # each by one fact
    following: dict[UUID, int] = {}
    here, expected = streams[0], versions[0]
    for stream_id, version in zip(streams, versions, strict=True):
        if stream_id is not here:
            following[here] = expected
            here, expected = stream_id, following.get(stream_id, version)
        if version != expected:
            raise InputError(
                f"stream {stream_id}: version {version} does not follow the one before"
            )
        expected += 1
    following[here] = expected
    return following


def _check_numbers(
    versions: Sequence[int], following: dict[UUID, int], times: list[Instant]
) -> None:
    if min(versions) < 0 or max(following.values()) > VERSION_MAX:
        raise InputError(f"versions of a stream run from 0 to {VERSION_MAX}")
    if times and not INSTANT_MIN <= min(times) <= max(times) <= INSTANT_MAX:
        raise InputError("a time lies before 0001-01-02 or after 9999-12-30 UTC")


def _ensure_types(columns: Sequence[Sequence[object]]) -> None:
    """Refuse the first value of a type that a column does not take; UUIDs of a host may do."""
    for column, (what, kinds) in zip(columns, KINDS.items(), strict=False):
        for value in column:
            if not isinstance(value, tuple(kinds)) or isinstance(value, bool):
                names = sorted(kind.__name__ for kind in kinds if kind is not NONE)
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
