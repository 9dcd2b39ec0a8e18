"""The lines of an exported log: JSON, one event a line, between a header and a closing line.

    {"salesflow_log":1,"salesflow":"0.1.0","tenant":"main","schema":3,"events":2,…}
    {"position":1,"event_id":"…","stream_id":"…","version":1,"topic":"settings.changed:1",…}
    {"position":2,…,"command_id":"salesflow:founding","fact":{"process":…}}
    {"command_id":"salesflow:founding","first":1,"last":2,"recorded_at":"…"}
    {"log_sha256":"…","file_sha256":"…"}

The bytes of a fact stand in its line as they are stored, so that they come back exactly and can
be read by anything that reads JSON; where they are no JSON of one line they stand as base64
(`fact_base64`). A command stands behind the last event that it recorded. `log_sha256` is the
SHA-256 of all lines between the first and the last, line ends included, and the same for the
same log in any database, under any tenant; `file_sha256` is that of all lines but the last.

There is one way to write each line. A line that says the same in other bytes is refused, since
nobody but an editor writes it.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from salesflow.adapters.event_store.log import ensure_tenant
from salesflow.adapters.event_store.log_restore import RecordedCommand
from salesflow.adapters.event_store.rows import StoredEvent
from salesflow.domain.event import Precision
from salesflow.domain.time import from_instant, to_instant
from salesflow.domain.values import envelope_text
from salesflow.domain.wording import shortened
from salesflow.errors import InputError

__all__ = [
    "FORMAT",
    "ClosingLine",
    "CommandLine",
    "EventLine",
    "HeaderLine",
    "command_of",
    "event_line",
    "event_of",
    "header_tenant",
    "line_of",
    "read_line",
]


FORMAT: Final = 1
TEXT_LENGTH_MAX: Final = 1_000
MICROSECOND: Final = "microsecond"
"""The very object that is left out as the default."""
ENVELOPE: Final = (
    *("actor", "command_id", "correlation_id", "causation_id", "source", "source_id"),
)
Count = Annotated[int, Meta(ge=0, lt=2**62)]
Place = Annotated[int, Meta(ge=1, lt=2**62)]
Version = Annotated[int, Meta(ge=0, lt=2**31)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
UtcTime = Annotated[datetime, Meta(tz=True)]


class HeaderLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file is, and how much of it there is."""

    salesflow_log: int
    """The version of this format."""
    salesflow: str
    """The version that wrote it."""
    tenant: str
    schema: int
    events: Count
    commands: Count
    last_recorded_at: UtcTime


class EventLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One event; what has no value is left out."""

    position: Place
    event_id: UUID
    stream_id: UUID
    version: Version
    topic: Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH_MAX)]
    occurred_at: UtcTime
    recorded_at: UtcTime
    precision: Precision = MICROSECOND
    actor: str | None = None
    command_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    source: str | None = None
    source_id: str | None = None
    fact: Raw | UnsetType = UNSET
    fact_base64: str | UnsetType = UNSET


class CommandLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One command: what it recorded, and the fingerprint of its request."""

    command_id: str
    first: Place
    last: Place
    recorded_at: UtcTime
    fingerprint: Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)] | None = None


class ClosingLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the lines before come to."""

    log_sha256: Digest
    file_sha256: Digest


LineT = TypeVar("LineT", HeaderLine, EventLine, CommandLine, ClosingLine)

_written = msgspec.json.Encoder().encode
_readers: Final[dict[type, Callable[[bytes], object]]] = {
    kind: msgspec.json.Decoder(kind).decode
    for kind in (HeaderLine, EventLine, CommandLine, ClosingLine)
}
_read_fact: Final = msgspec.json.Decoder(Raw).decode


def line_of(line: HeaderLine | EventLine | CommandLine | ClosingLine) -> bytes:
    """Write a line, with its end."""
    return _written(line) + b"\n"


def read_line(kind: type[LineT], line: bytes) -> LineT:
    """Read a line, its end included.

    Raises:
        InputError: when it is not such a line, or says what it says in other bytes than we do.
    """
    if not line.endswith(b"\n"):
        raise InputError("the file ends within it")
    if line.endswith(b"\r\n"):
        raise InputError(
            "it ends with CR LF: the line ends were changed on the way; fetch the file as it is"
            " (binary), or packed"
        )
    try:
        read = _readers[kind](line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"it cannot be read: {shortened(str(error))}") from error
    assert isinstance(read, kind)
    if line_of(read) != line:
        raise InputError("it is not as salesflow writes it, so it was edited")
    return read


def event_line(event: StoredEvent) -> bytes:
    """Write the line of an event."""
    topic, payload, stream_id, version, position = event[:5]
    whole = _is_json_of_one_line(payload)
    line = EventLine(
        *(position, event.event_id, stream_id, version, topic),
        from_instant(event.occurred),
        from_instant(event.recorded),
        MICROSECOND if event.precision == MICROSECOND else event.precision,
        *event[9:],
        fact=Raw(payload) if whole else UNSET,
        fact_base64=UNSET if whole else b64encode(payload).decode(),
    )
    return line_of(line)


def _is_json_of_one_line(payload: bytes) -> bool:
    """Return whether bytes come back as they are when they stand in a line of JSON."""
    if payload[:1] != b"{" or payload[-1:] != b"}" or b"\n" in payload or b"\r" in payload:
        return False
    try:
        payload.decode()
        return bytes(_read_fact(payload)) == payload
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def event_of(line: EventLine) -> StoredEvent:
    """Return the event that a line tells of.

    Raises:
        InputError: when something of it is nothing that a log can hold.
    """
    payload = _payload(line)
    for name in ENVELOPE:
        text = getattr(line, name)
        if text is not None and envelope_text(text, name) != text:
            raise InputError(f"its {name} is not written as a log keeps it")
    if not line.topic.isprintable():
        raise InputError("its topic holds characters that no topic has")
    occurred, recorded = to_instant(line.occurred_at), to_instant(line.recorded_at)
    if occurred > recorded:
        raise InputError("it is said to have happened after it was recorded")
    return StoredEvent(
        *(line.topic, payload, line.stream_id, line.version, line.position),
        *(occurred, recorded, line.event_id),
        line.precision,
        *(line.actor, line.command_id, line.correlation_id, line.causation_id),
        *(line.source, line.source_id),
    )


def _payload(line: EventLine) -> bytes:
    if isinstance(line.fact, Raw) is isinstance(line.fact_base64, str):
        raise InputError("it has to hold the bytes of its fact once")
    if isinstance(line.fact, Raw):
        payload = bytes(line.fact)
        if not _is_json_of_one_line(payload):
            raise InputError("its fact is no JSON object of one line")
        return payload
    try:
        payload = b64decode(str(line.fact_base64), validate=True)
    except ValueError as error:
        raise InputError(f"the base64 of its fact cannot be read: {error}") from error
    if _is_json_of_one_line(payload):
        raise InputError("its fact is JSON and stands there as base64")
    return payload


def command_of(line: CommandLine) -> RecordedCommand:
    """Return the command that a line tells of.

    Raises:
        InputError: when its id is nothing that a log can hold.
    """
    if envelope_text(line.command_id, "command_id") != line.command_id:
        raise InputError("its command_id is not written as a log keeps it")
    recorded = to_instant(line.recorded_at)
    return RecordedCommand(line.command_id, line.first, line.last, recorded, line.fingerprint)


def header_tenant(header: HeaderLine) -> str:
    """Return whose log it is.

    Raises:
        InputError: when that names no tenant.
    """
    ensure_tenant(header.tenant)
    return header.tenant
