"""Transactions of the caller's own, remembered while they are open.

Whoever has written in a transaction of their own and then, before its end, asks the engine to
write in another one waits for themselves. It is remembered per context (thread or task), so
that nobody is taken for somebody else.
"""

from collections.abc import Callable
from contextvars import ContextVar
from weakref import ref

import sqlalchemy as sa

__all__ = ["lend", "lent_by"]

Lent = tuple[object, sa.RootTransaction | None, int]

_LENT: ContextVar[tuple[ref[sa.Connection], ...]] = ContextVar("salesflow_lent", default=())
_KEY = "_salesflow_lent"


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
    others = [each for each in _LENT.get() if _is_open(each(), connection)]
    _LENT.set((*others, ref(connection)))


def lent_by(owner: object, wrote: Callable[[sa.Connection, int], bool]) -> bool:
    """Say whether a transaction of the caller's own is open that has written."""
    found = _LENT.get()
    if not found:
        return False
    for each in found:
        connection = each()
        if connection is None or connection.closed or not connection.in_transaction():
            continue
        whose, transaction, changes = vars(connection)[_KEY]
        same = transaction is None or transaction is connection.get_transaction()
        if whose is owner and same and wrote(connection, changes):
            return True
    return False


def _is_open(connection: sa.Connection | None, besides: sa.Connection) -> bool:
    return connection is not None and connection is not besides and not connection.closed
