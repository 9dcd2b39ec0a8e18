"""Transactions of the caller's own, remembered while they are open.

Whoever has written in a transaction of their own and then, before its end, asks the engine to
write in another one waits for themselves. It is remembered per context (thread or task), so
that nobody is taken for somebody else.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final
from weakref import ref

import sqlalchemy as sa

__all__ = ["LENT", "has_written", "lend"]


Lent = tuple[object, sa.RootTransaction | None, int]

LENT: Final[ContextVar[tuple[ref[sa.Connection], ...]]] = ContextVar(
    "salesflow_lent", default=()
)
"""The connections of this context whose transactions write, or may come to write."""

_KEY: Final = "_salesflow_lent"


def lend(
    owner: object, connection: sa.Connection, changes: int, transaction: bool = True
) -> None:
    """Remember a connection whose transaction is or may become one that writes.

    `changes` is what the driver has counted so far; without `transaction` it stands for
    whatever transaction is under way.
    """
    known = connection.get_transaction() if transaction else None
    lent: Lent = (owner, known, changes)
    vars(connection)[_KEY] = lent
    others = [each for each in LENT.get() if _is_open(each(), connection)]
    LENT.set((*others, ref(connection)))


def has_written(
    lent: ref[sa.Connection], owner: object, wrote: Callable[[sa.Connection, int], bool]
) -> bool:
    """Return whether the transaction remembered of a connection is open and has written."""
    connection = lent()
    if connection is None or connection.closed or not connection.in_transaction():
        return False
    whose, transaction, changes = vars(connection)[_KEY]
    same = transaction is None or transaction is connection.get_transaction()
    return whose is owner and same and wrote(connection, changes)


def _is_open(connection: sa.Connection | None, besides: sa.Connection) -> bool:
    return connection is not None and connection is not besides and not connection.closed
