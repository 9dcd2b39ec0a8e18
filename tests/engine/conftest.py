"""A small company whose engine runs on both kinds of databases, its clock turned by hand."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

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
