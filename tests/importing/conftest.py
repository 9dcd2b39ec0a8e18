from collections.abc import Iterator
from pathlib import Path

import pytest

from importing.desk import Desk
from salesflow.adapters.database.database import Database


@pytest.fixture
def desk(tmp_path: Path, sqlite_url: str) -> Iterator[Desk]:
    """A desk with a log on SQLite."""
    with Database(sqlite_url) as database:
        yield Desk(tmp_path, database)


@pytest.fixture
def either_desk(tmp_path: Path, database: Database) -> Desk:
    """A desk with a log on SQLite, then on PostgreSQL."""
    return Desk(tmp_path, database)
