"""The `eventsourcing` library's own test cases, run against our store on both databases."""

from collections.abc import Iterator
from unittest import TestCase

import pytest
from eventsourcing.tests import application, persistence
from eventsourcing.utils import Environment, get_topic

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.append_checks import UNCHECKED
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.recorder import (
    SalesflowAggregateRecorder,
    SalesflowApplicationRecorder,
    SalesflowFactory,
    SalesflowProcessRecorder,
    SalesflowTrackingRecorder,
)

LIBRARY_TESTS_WHAT_IT_DEPRECATES = pytest.mark.filterwarnings(
    "always:'log' is deprecated:DeprecationWarning"
)


class OnSqlite:
    url: str

    @pytest.fixture(autouse=True)
    def _database(self, sqlite_url: str) -> None:
        self.url = sqlite_url


class OnPostgres:
    url: str

    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.url = postgres_url


class Opened(TestCase):
    url: str

    def log(self) -> EventLog:
        database = Database(self.url)
        self.addCleanup(database.close)
        return EventLog(database, catalogue=UNCHECKED)


class AggregateRecorders(Opened):
    def create_recorder(self) -> SalesflowAggregateRecorder:
        return SalesflowAggregateRecorder(self.log())


class ApplicationRecorders(Opened):
    def create_recorder(self) -> SalesflowApplicationRecorder:
        return SalesflowApplicationRecorder(self.log())


class TrackingRecorders(Opened):
    def create_recorder(self) -> SalesflowTrackingRecorder:
        return SalesflowTrackingRecorder(self.log())


class ProcessRecorders(Opened):
    def create_recorder(self) -> SalesflowProcessRecorder:
        return SalesflowProcessRecorder(self.log())


class TestAggregatesOnSqlite(
    OnSqlite, AggregateRecorders, persistence.AggregateRecorderTestCase
):
    pass


class TestAggregatesOnPostgres(
    OnPostgres, AggregateRecorders, persistence.AggregateRecorderTestCase
):
    pass


class ApplicationCases(
    ApplicationRecorders,
    persistence.ApplicationRecorderTestCase[SalesflowApplicationRecorder],
):
    __test__ = False

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationsOnSqlite(OnSqlite, ApplicationCases):
    __test__ = True


class TestApplicationsOnPostgres(OnPostgres, ApplicationCases):
    __test__ = True


class TestTrackingOnSqlite(OnSqlite, TrackingRecorders, persistence.TrackingRecorderTestCase):
    pass


class TestTrackingOnPostgres(
    OnPostgres, TrackingRecorders, persistence.TrackingRecorderTestCase
):
    pass


class TestProcessesOnSqlite(OnSqlite, ProcessRecorders, persistence.ProcessRecorderTestCase):
    pass


class TestProcessesOnPostgres(
    OnPostgres, ProcessRecorders, persistence.ProcessRecorderTestCase
):
    pass


class TestPositionsDoNotInterleaveOnSqlite(
    OnSqlite, ApplicationRecorders, persistence.NonInterleavingNotificationIDsBaseCase
):
    pass


class TestPositionsDoNotInterleaveOnPostgres(
    OnPostgres, ApplicationRecorders, persistence.NonInterleavingNotificationIDsBaseCase
):
    pass


class CountingTrackingRecorder(SalesflowTrackingRecorder):
    """A service's own tracking recorder."""


class Factories(persistence.InfrastructureFactoryTestCase[SalesflowFactory]):
    __test__ = False
    url: str

    def setUp(self) -> None:
        self.env = Environment("TestCase")
        self.env[SalesflowFactory.PERSISTENCE_MODULE] = SalesflowFactory.__module__
        self.env["SALESFLOW_DB"] = self.url
        super().setUp()

    def expected_factory_class(self) -> type[SalesflowFactory]:
        return SalesflowFactory

    def expected_aggregate_recorder_class(self) -> type[SalesflowAggregateRecorder]:
        return SalesflowAggregateRecorder

    def expected_application_recorder_class(self) -> type[SalesflowApplicationRecorder]:
        return SalesflowApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[SalesflowTrackingRecorder]:
        return SalesflowTrackingRecorder

    def tracking_recorder_subclass(self) -> type[SalesflowTrackingRecorder]:
        return CountingTrackingRecorder

    def expected_process_recorder_class(self) -> type[SalesflowProcessRecorder]:
        return SalesflowProcessRecorder


class TestFactoryOnSqlite(OnSqlite, Factories):
    __test__ = True


class TestFactoryOnPostgres(OnPostgres, Factories):
    __test__ = True


class ConfiguredByEnvironment:
    """Runs what the library does with an application whose environment names our store."""

    url: str
    expected_factory_topic = get_topic(SalesflowFactory)

    @pytest.fixture(autouse=True)
    def _environment(self, _database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("PERSISTENCE_MODULE", SalesflowFactory.__module__)
        monkeypatch.setenv("SALESFLOW_DB", self.url)
        opened: list[Database] = []
        begin = SalesflowFactory.__init__

        def remembering(factory: SalesflowFactory, env: Environment) -> None:
            begin(factory, env)
            opened.append(factory.database)

        monkeypatch.setattr(SalesflowFactory, "__init__", remembering)
        yield
        for database in opened:  # the library's cases leave their applications open
            database.close()


class TestBankOnSqlite(
    OnSqlite, ConfiguredByEnvironment, application.ExampleApplicationTestCase
):
    pass


class TestBankOnPostgres(
    OnPostgres, ConfiguredByEnvironment, application.ExampleApplicationTestCase
):
    pass


@LIBRARY_TESTS_WHAT_IT_DEPRECATES
class TestApplicationOnSqlite(
    OnSqlite, ConfiguredByEnvironment, application.ApplicationTestCase
):
    pass


@LIBRARY_TESTS_WHAT_IT_DEPRECATES
class TestApplicationOnPostgres(
    OnPostgres, ConfiguredByEnvironment, application.ApplicationTestCase
):
    pass
