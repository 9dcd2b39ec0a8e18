"""What the URL of a PostgreSQL database says besides where it is.

`?pgbouncer=true` says that a pool in transaction mode lies between: every transaction may run
on another session of the server. Then no statement is prepared, nothing is set for a session,
and followers look instead of listening. `prepare_threshold` is the driver's option so named:
0 prepares at once, `none` never. Everything else is libpq's own (`sslmode`, `options`, …).
"""

from typing import NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from salesflow.errors import InputError

__all__ = ["Options", "options_of"]

POOLED = "pgbouncer"
THRESHOLD = "prepare_threshold"
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class Options(NamedTuple):
    """What was said, and the URL without what only we understand."""

    url: sa.URL
    pooled: bool
    """Whether sessions of the server change between transactions."""
    prepare_threshold: int | None

    @property
    def prepare(self) -> bool | None:
        """What to tell the driver of statements that are run again and again."""
        return None if self.prepare_threshold is None else True


def options_of(url: sa.URL) -> Options:
    """Read the options of a URL.

    Raises:
        InputError: for an option that nobody knows, or a value it cannot have.
    """
    pooled = _yes_or_no(url.query.get(POOLED, "false"))
    said = url.query.get(THRESHOLD)
    threshold = _threshold(said) if said is not None else None if pooled else DEFAULT
    plain = url.difference_update_query([POOLED, THRESHOLD])
    try:
        make_conninfo(**{key: _one(key, value) for key, value in plain.query.items()})
    except psycopg.ProgrammingError as error:
        raise InputError(
            f"the URL has an option that PostgreSQL does not know: {error}; besides libpq's own"
            f" there are {POOLED} and {THRESHOLD}"
        ) from error
    return Options(plain, pooled, threshold)


DEFAULT = 5


def _one(key: str, value: str | tuple[str, ...]) -> str:
    """Give one value; several hosts are told as libpq wants them."""
    if isinstance(value, str):
        return value
    if key in ("host", "port"):
        return ",".join(value)
    raise InputError(f"the URL says {key} {len(value)} times; say it once")


def _yes_or_no(said: str | tuple[str, ...]) -> bool:
    word = _one(POOLED, said).lower()
    if word not in YES + NO:
        raise InputError(f"{POOLED}={word[:40]} in the URL: write true or false")
    return word in YES


def _threshold(said: str | tuple[str, ...]) -> int | None:
    word = _one(THRESHOLD, said).lower()
    if word == "none":
        return None
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise InputError(f"{THRESHOLD}={word[:40]} in the URL: write a whole number, or none")
    return int(word)
