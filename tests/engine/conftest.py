"""A small company whose engine runs on both kinds of databases, its clock turned by hand."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from databases import Postgres
from salesflow import SalesFlow


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    """A fresh engine; it is always noon on the first of June."""
    with SalesFlow(
        database_url,
        timezone="Asia/Shanghai",
        clock=lambda: datetime(2026, 6, 1, 12, tzinfo=UTC),
    ) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table of ours."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'service.db'}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database(template="template1") as fresh:
        yield fresh
