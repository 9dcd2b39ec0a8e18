"""Every error a caller can meet, in one tree.

    SalesflowError
    ├── InputError              a value that can never be right: fix the call
    │   └── ArgumentError       an argument too many, too few or of no such name
    ├── RuleError               a business rule refuses the command at that time
    │   ├── DealClosedError     the deal is won, lost, disqualified or merged
    │   ├── StageError          the process version does not allow the move
    │   ├── GateError           exit criteria are not met and nobody overrode them
    │   └── QuoteError          the quote is not in a state that allows it
    ├── NotFoundError           no such entity is believed to exist at that moment
    ├── ConcurrentChangeError   somebody else changed the same stream first: load again
    ├── AlreadyRecordedError    this command id was recorded before; holds its receipt
    ├── ClockError              the host's clock is behind the log
    ├── HistoryError            a stored event cannot be read
    ├── ProjectionError         a fold failed; its projection stands at the position before
    ├── ReactorError            a reactor failed; it stands at the position before
    └── DatabaseError           the database cannot be used
        ├── BusyError           another writer held the log for too long: try again
        ├── OwnTransactionError your own open transaction stands in the way: end it first
        ├── StaleTransactionError   your transaction is too old to record: begin it anew
        ├── TimeLimitError      a time limit of the server ended it: raise that limit
        ├── DisconnectedError   the server is gone or ended the connection: try again later
        ├── ReplacedError       the file was removed or replaced while open: open it anew
        ├── DamagedError        the database has lost parts: put it back from a backup
        ├── ForkedError         this process was forked while it was in use: open it anew
        ├── UnwritableError     nothing can be written: make room, or open it to be written
        └── SchemaError         not ours, or made by a newer or older version

Beside it stands one warning, `NeverAddedWarning`: something was made, and is recorded nowhere.

Catch the class that names what you would do next; the message names the thing, what is, and
what was asked. It repeats at most 200 characters of any one text it was given, and is at most
2,000 characters long, however large the input. All errors can be pickled, so that they pass
from one process to another.
"""

import re
from collections.abc import Callable
from typing import Self

__all__ = [
    "AlreadyRecordedError",
    "ArgumentError",
    "BusyError",
    "ClockError",
    "ConcurrentChangeError",
    "DamagedError",
    "DatabaseError",
    "DealClosedError",
    "DisconnectedError",
    "ForkedError",
    "GateError",
    "HistoryError",
    "InputError",
    "NeverAddedWarning",
    "NotFoundError",
    "OwnTransactionError",
    "ProjectionError",
    "QuoteError",
    "ReactorError",
    "ReplacedError",
    "RuleError",
    "SalesflowError",
    "SchemaError",
    "StageError",
    "StaleTransactionError",
    "TimeLimitError",
    "UnwritableError",
]


REPEATED_MAX = 200
MESSAGE_MAX = 2_000
WORDS_MAX = 100_000
ENDING_MAX = 500
"""So much of the end of a message is kept: the way out mostly stands there."""
LONG_WORD = re.compile(rf"(\S{{{REPEATED_MAX - 1}}})\S{{2,}}")


class SalesflowError(Exception):
    """The base of all errors of this package; its message is bounded."""

    def __init__(self, message: str = "", *rest: object) -> None:
        super().__init__(_bounded(message), *rest)

    def __reduce__(
        self,
    ) -> tuple[Callable[..., "SalesflowError"], tuple[object, ...], dict[str, object]]:
        """Return how to make a copy elsewhere, whatever the constructor takes."""
        return _copied, (type(self), *self.args), dict(self.__dict__)

    @classmethod
    def _with(cls, args: tuple[object, ...]) -> Self:
        copy = cls.__new__(cls, *args)
        copy.args = args
        return copy


class InputError(SalesflowError, ValueError):
    """A value that can never be right, whatever the state of the deal."""


class ArgumentError(InputError, TypeError):
    """A method is called with arguments that it does not take, or without one it needs."""


class RuleError(SalesflowError):
    """A business rule refuses the command at the time it is said to have happened."""


class DealClosedError(RuleError):
    """The deal is closed (or was not), so this cannot happen to it."""


class StageError(RuleError):
    """The deal's process version does not allow this move."""


class GateError(RuleError):
    """Exit criteria of the stage are not met and nobody overrode them."""


class QuoteError(RuleError):
    """The quote is not in a state that allows this."""


class NotFoundError(SalesflowError, LookupError):
    """No such entity is believed to exist at that moment."""


class ConcurrentChangeError(SalesflowError):
    """Somebody else appended to the same stream first, or a plan took effect; decide anew."""


class AlreadyRecordedError(SalesflowError):
    """The command id was recorded before; `receipt` tells what it recorded then.

    `differs` is "actor" or "fingerprint" where it was somebody else's command or another
    request's, and None where it is the same one again.
    """

    def __init__(self, message: str, receipt: object, differs: str | None = None) -> None:
        super().__init__(message)
        self.receipt = receipt
        self.differs = differs


class ClockError(SalesflowError):
    """The clock of this host is further behind the log than hosts may differ."""


class HistoryError(SalesflowError):
    """A stored event cannot be read: unknown kind, unknown field or wrong type."""


class ProjectionError(SalesflowError):
    """A fold failed at an event; the projection keeps its last good state."""


class ReactorError(SalesflowError):
    """A reactor's action failed at an event; it is given that event again."""


class DatabaseError(SalesflowError):
    """The database cannot be used."""


class BusyError(DatabaseError):
    """Another writer held the log for longer than we wait."""


class OwnTransactionError(DatabaseError):
    """A transaction of the caller's own holds what is needed; waiting would never end."""


class StaleTransactionError(DatabaseError):
    """The caller's transaction has read what was changed since, so it can record nothing."""


class TimeLimitError(DatabaseError):
    """A time limit of the server or role (such as `statement_timeout`) ended the statement."""


class DisconnectedError(DatabaseError):
    """The server cannot be reached, or it ended the connection.

    Whether an append that was under way has been recorded is not known; a command id tells.
    """


class ReplacedError(DatabaseError):
    """The file of the database was removed or replaced while it was open."""


class DamagedError(DatabaseError):
    """Parts of the database are missing or cannot be read: put it back from a backup."""


class ForkedError(DatabaseError):
    """This process was forked in the middle of a use of the database."""


class UnwritableError(DatabaseError):
    """Nothing can be written: the disk is full, or the database is only to be read."""


class SchemaError(DatabaseError):
    """The database is not a salesflow database of this schema version."""


class NeverAddedWarning(UserWarning):
    """Something new was let go that no session was asked to take in: nothing is recorded."""


def _bounded(message: str) -> str:
    """Cut what a message repeats of long input: long words first, then its middle."""
    if len(message) <= REPEATED_MAX:
        return message
    if len(message) > WORDS_MAX:
        message = f"{message[:WORDS_MAX]} … {message[-ENDING_MAX:]}"
    message = LONG_WORD.sub(r"\1…", message)
    if len(message) <= MESSAGE_MAX:
        return message
    return f"{message[: MESSAGE_MAX - ENDING_MAX - 3]} … {message[-ENDING_MAX:]}"


def _copied(kind: type[SalesflowError], *args: object) -> SalesflowError:
    return kind._with(args)  # noqa: SLF001 - of this module
