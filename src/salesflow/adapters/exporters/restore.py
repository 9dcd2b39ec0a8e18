"""Bringing an exported log back into an empty tenant, exactly as it was.

    restored = restore_log(Path("log.jsonl.gz"), "sqlite:///sales.db")

The file is read once, line by line, so that it may come through a pipe and be of any length.
Every line is checked as it comes: positions without a gap, times that only grow, commands that
recorded what stands before them, one way to write each line. At the end the digests are
compared; only then anything is committed. So of a file that was cut off, edited, put into
another order or doubled nothing is recorded, and nothing of one whose restore was killed. Read
tables follow from the log and catch up by themselves.

A kind of fact that is not known here is brought back as well, and counted: of its stream
nothing counts from there on, until the package that knows it is installed.
"""

import gzip
import io
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, TypeVar

from salesflow.adapters.database.database import Database
from salesflow.adapters.database.new_file import NewFile
from salesflow.adapters.database.schema_version import SCHEMA_VERSION
from salesflow.adapters.event_store.log import ensure_tenant
from salesflow.adapters.event_store.log_restore import (
    LogRestore,
    RecordedCommand,
    ensure_empty,
)
from salesflow.adapters.event_store.restoring import restoring
from salesflow.adapters.event_store.rows import StoredEvent
from salesflow.adapters.exporters.log_file import ExportedLog
from salesflow.adapters.exporters.log_lines import (
    FORMAT,
    ClosingLine,
    CommandLine,
    EventLine,
    HeaderLine,
    command_of,
    event_of,
    header_tenant,
    read_line,
)
from salesflow.adapters.logs import Progress
from salesflow.domain.catalogue import CATALOGUE, FactCatalogue
from salesflow.domain.time import Instant, to_instant
from salesflow.domain.wording import shortened
from salesflow.errors import InputError, NotFoundError

__all__ = ["LogLines", "RestoredLog", "restore_log"]


if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STANDARD_INPUT: Final = "-"
GZIP_MAGIC: Final = b"\x1f\x8b"
LINE_BYTES_MAX: Final = 1 << 25
"""No line is longer; what claims to be is refused before it fills the memory."""
BUFFER_BYTES: Final = 1 << 20
BATCH: Final = 2_000

HEADER: Final = b'{"salesflow_log":'
COMMAND: Final = b'{"command_id":'
CLOSING: Final = b'{"log_sha256":'


ReadT = TypeVar("ReadT")


class RestoredLog(NamedTuple):
    """What was brought back, or would be."""

    log: ExportedLog
    unknown: dict[str, int]
    """How many events there are of each kind that is not known here."""
    trial: bool


def restore_log(  # noqa: PLR0913 - all by keyword
    file: Path,
    url: str,
    *,
    tenant: str | None = None,
    another_tenant: bool = False,
    trial: bool = False,
    catalogue: FactCatalogue = CATALOGUE,
    progress: Progress | None = None,
) -> RestoredLog:
    """Bring a log back into an empty tenant: the one it was exported of, unless said otherwise.

    Raises:
        InputError: for a file that is not, or not whole, what `salesflow export log` wrote, and
            for a tenant that holds anything, or is another one while nobody said
            `another_tenant`; nothing is recorded then.
    """
    if tenant is not None:
        ensure_tenant(tenant)
    with _opened(file) as stream:
        lines = LogLines(stream, shortened(file))
        into = lines.header.tenant if tenant is None else tenant
        if into != lines.header.tenant and not another_tenant:
            raise InputError(
                f"{shortened(file)} holds the log of tenant {lines.header.tenant}, and not of"
                f" {into}; write --tenant {lines.header.tenant}, or --another-tenant to restore"
                f" it as {into}"
            )
        with (_trying if trial else _into)(url, into) as restore:
            for events, commands in lines.batches():
                restore.add(events, commands)
                if progress is not None:
                    progress(lines.position, lines.header.events)
        unknown = {t: n for t, n in sorted(lines.topics.items()) if not catalogue.knows(t)}
        return RestoredLog(lines.log(into), unknown, trial)


@contextmanager
def _into(url: str, tenant: str) -> Iterator[LogRestore]:
    """Yield what takes a log into a database; one that is made for it goes when that fails."""
    made = NewFile.make(url)
    try:
        with Database(url) as database, restoring(database, tenant) as restore:
            yield restore
    except BaseException:  # whatever it was, also Ctrl-C: it goes on
        if made is not None:
            made.take_away(events_max=0)
        raise


@contextmanager
def _trying(url: str, tenant: str) -> Iterator[LogRestore]:
    """Yield what takes a log into a passing file, once it is seen that the tenant is empty."""
    try:
        with Database(url, create=False) as database, database.read() as connection:
            ensure_empty(database, tenant, connection)
    except NotFoundError:
        pass
    with TemporaryDirectory(prefix="salesflow-restore-") as folder:
        passing = f"sqlite:///{Path(folder, 'trial.db').as_posix()}"
        with (
            Database(passing, columns_folder="") as database,
            restoring(database, tenant) as restore,
        ):
            yield restore


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """Yield the bytes of a file or of standard input, unpacked where they are packed."""
    try:
        with ExitStack() as stack:
            raw: BinaryIO = sys.stdin.buffer
            if str(file) != STANDARD_INPUT:
                raw = stack.enter_context(file.open("rb"))
            begun = raw.read(len(GZIP_MAGIC))
            rest = _Continued(begun, raw)
            buffered = io.BufferedReader(rest, BUFFER_BYTES)
            if begun == GZIP_MAGIC:
                unpacked = stack.enter_context(gzip.GzipFile(fileobj=buffered))
                yield io.BufferedReader(unpacked, BUFFER_BYTES)
            else:
                yield buffered
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{shortened(file)} was packed and is cut off or damaged ({error}); nothing of it"
            " is recorded"
        ) from error
    except OSError as error:
        raise InputError(f"{shortened(file)} cannot be read: {error.strerror}") from error


class _Continued(io.RawIOBase):
    """What was read of a stream already, and then the rest of it; it stays open."""

    def __init__(self, begun: bytes, rest: BinaryIO) -> None:
        self._begun, self._rest = begun, rest

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read what comes next."""
        view = memoryview(buffer).cast("B")
        given, self._begun = self._begun[: len(view)], self._begun[len(view) :]
        given = given or self._rest.read(len(view))
        view[: len(given)] = given
        return len(given)


class LogLines:
    """The lines of an exported log, checked as they are read."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Read the header.

        Raises:
            InputError: when it is none, of a newer format, or of a newer salesflow.
        """
        self._stream, self._name = stream, name
        self._number = 0
        self._of_log, self._of_file = sha256(), sha256()
        self.position: int = 0
        self.topics: Counter[str] = Counter()
        self._recorded: Instant = 0
        self._commands = 0
        self._of_command: tuple[str | None, int] = None, 1
        """The command of the last event, and the first event of it."""
        self.header: Final = self._header()

    def batches(self) -> Iterator[tuple[list[StoredEvent], list[RecordedCommand]]]:
        """Yield events and commands, some thousand at a time; the digest is right at the end.

        Raises:
            InputError: for the first line that does not follow the one before, or is none.
        """
        events: list[StoredEvent] = []
        commands: list[RecordedCommand] = []
        while not (line := self._line()).startswith(CLOSING):
            if line.startswith(COMMAND):
                commands.append(self._checked(line, self._command))
            else:
                events.append(self._checked(line, self._event))
            self._of_log.update(line)
            self._of_file.update(line)
            if len(events) >= BATCH:
                yield events, commands
                events, commands = [], []
        self._checked(line, self._close)
        yield events, commands

    def log(self, tenant: str) -> ExportedLog:
        """Return what was read."""
        known = tenant, self.position, self._commands, self.position, self._recorded
        return ExportedLog(*known, self._of_log.hexdigest(), self._of_file.hexdigest())

    def _header(self) -> HeaderLine:
        line = self._line()
        if not line.startswith(HEADER):
            raise InputError(
                f"{self._name} is no exported log: it does not begin as one; `salesflow export"
                " log FILE.jsonl` writes what can be restored"
            )
        if not line.startswith(HEADER + b"%d," % FORMAT):
            raise InputError(
                f"{self._name} is written in another format than this salesflow reads; restore"
                " it with the version that is named in its first line"
            )
        return self._checked(line, self._read_header)

    def _read_header(self, line: bytes) -> HeaderLine:
        header = read_line(HeaderLine, line)
        header_tenant(header)
        if header.schema > SCHEMA_VERSION:
            raise InputError(
                f"it was exported by salesflow {shortened(header.salesflow)}, which is newer"
                " than this one; install that version"
            )
        self._of_file.update(line)
        return header

    def _line(self) -> bytes:
        line = self._stream.readline(LINE_BYTES_MAX)
        self._number += 1
        if not line:
            raise InputError(
                f"{self._name} is cut off: it ends behind line {self._number - 1:,}, before the"
                " line with its digest; nothing of it is recorded"
            )
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            raise self._wrong(f"it is longer than {LINE_BYTES_MAX:,} bytes")
        return line

    def _checked(self, line: bytes, read: Callable[[bytes], ReadT]) -> ReadT:
        try:
            return read(line)
        except InputError as error:
            raise self._wrong(str(error)) from error

    def _wrong(self, why: str) -> InputError:
        return InputError(
            f"line {self._number:,} of {self._name}: {why}; nothing of it is recorded"
        )

    def _event(self, line: bytes) -> StoredEvent:
        event = event_of(read_line(EventLine, line))
        if event.position != self.position + 1:
            raise InputError(
                f"position {event.position:,} does not follow {self.position:,}: lines are"
                " missing, doubled or in another order"
            )
        if event.position > self.header.events:
            raise InputError(f"the header says that there are {self.header.events:,} events")
        if event.recorded < self._recorded:
            raise InputError("it was recorded before the event in front of it")
        if event.command_id != self._of_command[0]:
            self._ensure_command_ended()
            self._of_command = event.command_id, event.position
        self.position, self._recorded = event.position, event.recorded
        self.topics[event.topic] += 1
        return event

    def _command(self, line: bytes) -> RecordedCommand:
        command = command_of(read_line(CommandLine, line))
        known = command.command_id, command.first
        if known != self._of_command or command[2:4] != (self.position, self._recorded):
            raise InputError("the command does not tell of the events in front of it")
        self._commands += 1
        self._of_command = None, 1
        return command

    def _ensure_command_ended(self) -> None:
        if self._of_command[0] is not None:
            raise InputError("the command of the events in front of it is missing")

    def _close(self, line: bytes) -> None:
        """Compare what was read with what the last line says."""
        closing, header = read_line(ClosingLine, line), self.header
        self._ensure_command_ended()
        if (self.position, self._commands) != (header.events, header.commands):
            raise InputError(
                f"the header says {header.events:,} events and {header.commands:,} commands,"
                f" and there are {self.position:,} and {self._commands:,}"
            )
        if self._recorded != to_instant(header.last_recorded_at):
            raise InputError("the header says that the last event was recorded at another time")
        found = self._of_log.hexdigest(), self._of_file.hexdigest()
        if found != (closing.log_sha256, closing.file_sha256):
            raise InputError(
                "the digest is another one: something in the file was changed since it was"
                " exported"
            )
        if self._stream.read(1):
            raise InputError("something follows the closing line")
