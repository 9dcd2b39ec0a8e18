"""Fixtures of all tests: databases of both kinds, fresh for each test."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from databases import Postgres, postgres_server
from salesflow.adapters.database.database import Database
from simulated import sharing_the_demo


def pytest_configure(config: pytest.Config) -> None:
    """Take Ctrl-C where whoever runs the tests ignores it, so that commands can be stopped.

    And let no width be said (xdist says one), so that pipes are as wide as they like.
    """
    os.environ.pop("COLUMNS", None)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    shared = ExitStack()
    shared.enter_context(sharing_the_demo())
    config.add_cleanup(shared.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note the lines of a rule once: on PostgreSQL those are run that SQLite has shown.

    What is written for one database is in `tests/store` and `tests/engine`, which note both.
    """
    here = Path(__file__).parent
    for item in items:
        where = item.path.relative_to(here).parts[0]
        params = getattr(getattr(item, "callspec", None), "params", {})
        if params.get("database_url") == "postgresql" and where not in {"store", "engine"}:
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Let a process of xdist note lines once, and none in tests that are marked `no_cover`.

    Before it knows that it is one of several pytest-cov begins to measure as if it were alone,
    and goes on beside what it begins then, whatever that leaves out.
    """
    measured = session.config.pluginmanager.getplugin("_cov")
    if hasattr(session.config, "workerinput") and getattr(measured, "cov_controller", None):
        measured.cov_controller.pause()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for the whole session."""
    with postgres_server() as server:
        server.make_template()
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'sales.db'}"


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A PostgreSQL database with the store's empty tables."""
    with postgres.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database; the test runs on both kinds."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database, open; the test runs on both kinds."""
    with Database(database_url) as opened:
        yield opened
