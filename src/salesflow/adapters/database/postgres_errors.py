"""What PostgreSQL says when something goes wrong, turned into errors of ours."""

import psycopg

from salesflow.adapters.database.schema import altered, damaged
from salesflow.errors import (
    BusyError,
    DatabaseError,
    DisconnectedError,
    InputError,
    SalesflowError,
    StaleTransactionError,
    TimeLimitError,
    UnwritableError,
)

__all__ = ["translate_postgres"]


BUSY_STATES = frozenset({"55P03", "40P01"})
STALE_STATE = "40001"
UNWRITABLE_STATES = frozenset({"25006", "42501", "53100"})
"""A transaction that only reads, a role that may not, a full disk."""

CANCELLED = "57014"
LIMIT_STATES = frozenset({"25P03", "25P04", "57P05"})
"""The server ended a session or transaction that took or waited too long."""

GONE_STATES = frozenset({"57P01", "57P02", "57P03"})
"""The server is being stopped, or not yet ready."""

PREPARED_STATES = frozenset({"42P05", "26000"})
"""A prepared statement is there that should not be, or the other way round."""

GONE_CLASS = "08"
WRONG_CLASS, DAMAGED_CLASS = "42", "XX"
"""A table or column that is not as it was made; a file of the server that cannot be read."""


def translate_postgres(error: psycopg.Error) -> SalesflowError:
    """Turn an error of the driver into one of ours."""
    state = error.sqlstate
    if state in BUSY_STATES:
        return BusyError(f"another writer held the log for too long: {error}")
    if state == STALE_STATE:
        return StaleTransactionError(
            f"the transaction has read what others have changed since; begin it anew: {error}"
        )
    if state == CANCELLED or state in LIMIT_STATES:
        return TimeLimitError(
            f"the server ended it by a limit of its own, not because of another writer: {error}"
            " Raise that limit for this role (ALTER ROLE … SET statement_timeout = …), or ask"
            " for less at once"
        )
    if _is_gone(error):
        return DisconnectedError(f"PostgreSQL cannot be reached: {error}")
    if state in PREPARED_STATES:
        return DatabaseError(
            "another session of the server answers than before, as behind a pool in transaction"
            f" mode; add ?pgbouncer=true to the URL: {error}"
        )
    return _other(error, state or "")


def _other(error: psycopg.Error, state: str) -> SalesflowError:
    text = error.diag.message_primary or str(error)
    if state in UNWRITABLE_STATES:
        return UnwritableError(f"PostgreSQL: {error}")
    if state.startswith(WRONG_CLASS):
        return altered("the PostgreSQL database", text, str(error))
    if state.startswith(DAMAGED_CLASS):
        return damaged("the PostgreSQL database", text)
    if isinstance(error, psycopg.DataError):
        return InputError(f"PostgreSQL cannot store the value: {error}")
    return DatabaseError(f"PostgreSQL: {error}")


def _is_gone(error: psycopg.Error) -> bool:
    """Return whether the connection was lost, or none could be made since nobody answers."""
    state = error.sqlstate
    if state is not None:
        return state in GONE_STATES or state.startswith(GONE_CLASS)
    if not isinstance(error, psycopg.OperationalError):
        return False
    made = error.pgconn
    return made is None or made.status == psycopg.pq.ConnStatus.BAD
