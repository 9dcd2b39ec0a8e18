"""An application of the `eventsourcing` library keeps its aggregates in our store."""

from uuid import UUID, uuid4

import pytest
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import DatabaseError as LibraryDatabaseError
from eventsourcing.persistence import (
    IntegrityError,
    OperationalError,
    ProgrammingError,
    StoredEvent,
)

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.append_checks import UNCHECKED
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.recorder import SalesflowProcessRecorder


class Dog(Aggregate):
    @event("Registered")
    def __init__(self, name: str) -> None:
        self.name = name
        self.tricks: list[str] = []

    @event("TrickAdded")
    def add_trick(self, trick: str) -> None:
        self.tricks.append(trick)


class DogSchool(Application[UUID]):
    is_snapshotting_enabled = True

    def register(self, name: str) -> UUID:
        dog = Dog(name)
        self.save(dog)
        return dog.id

    def teach(self, id: UUID, trick: str) -> None:
        dog: Dog = self.repository.get(id)
        dog.add_trick(trick)
        self.save(dog)


def environment(url: str) -> dict[str, str]:
    return {"PERSISTENCE_MODULE": "salesflow.adapters.recorder", "SALESFLOW_DB": url}


def test_an_aggregate_of_the_library_is_found_again_by_another_process(
    database_url: str,
) -> None:
    with DogSchool(env=environment(database_url)) as school:
        rex = school.register("Rex")
        school.teach(rex, "sit")
        school.take_snapshot(rex)
        school.teach(rex, "roll")

    with DogSchool(env=environment(database_url)) as school:
        dog: Dog = school.repository.get(rex)
        assert (dog.name, dog.tricks) == ("Rex", ["sit", "roll"])
        assert [n.id for n in school.recorder.select_notifications(None, 10)] == [1, 2, 3]


def test_an_application_does_not_see_the_events_of_another_one(database_url: str) -> None:
    with DogSchool(env=environment(database_url)) as school:
        rex = school.register("Rex")

    class CatSchool(DogSchool):
        """The same application under another name."""

    with (
        CatSchool(env=environment(database_url)) as cats,
        pytest.raises(AggregateNotFoundError),
    ):
        cats.repository.get(rex)


def test_two_who_teach_the_same_dog_at_once_conflict(database_url: str) -> None:
    with DogSchool(env=environment(database_url)) as school:
        rex = school.register("Rex")
        mine: Dog = school.repository.get(rex)
        theirs: Dog = school.repository.get(rex)
        mine.add_trick("sit")
        school.save(mine)
        theirs.add_trick("roll")
        with pytest.raises(IntegrityError, match="stands at version 2"):
            school.save(theirs)


def test_events_of_the_library_have_an_envelope_like_any_other(database_url: str) -> None:
    with DogSchool(env=environment(database_url)) as school:
        rex = school.register("Rex")

    with Database(database_url) as database:
        (stored,) = EventLog(database, tenant="DogSchool").stored_page(0, 10)
    assert (stored.stream_id, stored.version, stored.position) == (rex, 1, 1)
    assert stored.occurred == stored.recorded
    assert stored.actor is None
    assert stored.event_id.version == 7


def test_what_goes_wrong_in_our_store_reaches_the_library_as_its_own_errors(
    sqlite_url: str,
) -> None:
    with (
        Database(sqlite_url) as holder,
        Database(sqlite_url, wait_seconds=0.01) as database,
    ):
        recorder = SalesflowProcessRecorder(
            EventLog(database, tenant="DogSchool", catalogue=UNCHECKED)
        )
        event = StoredEvent(uuid4(), 1, "topic", b"state")
        with holder.begin(), pytest.raises(OperationalError, match=r"longer than|locked"):
            recorder.insert_events([event])
        with pytest.raises(ProgrammingError, match="'rex' is not a UUID"):
            recorder.select_events("rex")
        database.close()
        with pytest.raises(LibraryDatabaseError, match="closed"):
            recorder.select_events(event.originator_id)


def test_an_application_without_a_database_named_is_told_which_variable_to_set() -> None:
    with pytest.raises(OSError, match="SALESFLOW_DB"):
        DogSchool(env={"PERSISTENCE_MODULE": "salesflow.adapters.recorder"})
