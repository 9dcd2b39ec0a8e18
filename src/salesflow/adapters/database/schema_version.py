"""The version of the schema, which can be said without loading a database."""

from collections.abc import Mapping
from typing import Final

__all__ = ["PARTITIONED", "READABLE", "SCHEMA_VERSION"]


SCHEMA_VERSION: Final = 3
"""What a new database has."""
PARTITIONED: Final = 4
"""On PostgreSQL, the log partitioned by tenant; see `upgrade`."""
READABLE: Final[Mapping[str, frozenset[int]]] = {
    "sqlite": frozenset({SCHEMA_VERSION}),
    "postgresql": frozenset({SCHEMA_VERSION, PARTITIONED}),
}
"""By kind of database, the versions that are read and written."""
