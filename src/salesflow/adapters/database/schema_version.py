"""The version of the schema, which can be said without loading a database."""

from typing import Final

__all__ = ["SCHEMA_VERSION"]


SCHEMA_VERSION: Final = 3
