"""Ids that are made when they are asked for are to everybody what a tuple of UUIDs is."""

import copy
import pickle
from collections.abc import Sequence
from json import dumps
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from salesflow.domain.ids import UuidSequence, uuid_of_bytes
from salesflow.domain.values import Value
from salesflow.errors import InputError
from salesflow.presentation.arrow import arrow_cell
from salesflow.presentation.fields import item_of, plain

NIL = UUID(int=0)
FEW = st.integers(-6, 6)
SLICES = st.builds(slice, st.none() | FEW, st.none() | FEW, st.none() | FEW.filter(bool))
BYTES = st.binary(min_size=16, max_size=16) | st.sampled_from([bytes(16), b"\xff" * 16])
TUPLE, OURS = TypeAdapter(tuple[UUID, ...]), TypeAdapter(UuidSequence)


class Plain(Value):
    """A value with ids of events as a tuple."""

    events: tuple[UUID, ...]


class Named(Value):
    """The same value with ids that are read when they are asked for."""

    events: UuidSequence


@given(st.lists(st.builds(uuid_of_bytes, BYTES), max_size=5), SLICES)
@settings(deadline=None)
def test_ids_are_equal_to_their_tuple_in_all_that_is_asked_of_it(
    known: list[UUID], part: slice
) -> None:
    told, ids = tuple(known), UuidSequence.of(known)
    assert_alike(ids, told)
    assert_alike(ids[part], told[part])
    assert_alike(UuidSequence(b"".join(id.bytes for id in known)), told)
    pickled = [pickle.loads(pickle.dumps(ids, protocol)) for protocol in range(6)]
    for same in (copy.copy(ids), copy.deepcopy(ids), *pickled):
        assert (same, type(same)) == (ids, UuidSequence)
    for place in range(-len(told), len(told)):
        assert (ids[place], ids[place].is_safe) == (told[place], told[place].is_safe)


def assert_alike(ids: UuidSequence, told: Sequence[UUID]) -> None:
    assert (len(ids), bool(ids), [*ids], [*ids]) == (len(told), bool(told), [*told], [*told])
    assert [*reversed(ids)] == [*reversed(told)]
    assert ids == told
    assert told == ids
    assert (hash(ids), repr(ids), str(ids)) == (hash(told), repr(told), str(told))
    assert {ids, told} == {told}
    for one in ((NIL,), UuidSequence.of([NIL])):
        assert ids + one == (*told, NIL)
        assert one + ids == (NIL, *told)
    for id in (*told, uuid4()):
        assert (id in ids, ids.count(id)) == (id in told, told.count(id))
    for id in told:
        assert ids.index(id) == told.index(id)


@given(st.lists(st.builds(uuid_of_bytes, BYTES), max_size=5))
@settings(deadline=None)
def test_ids_are_read_and_written_as_their_tuple(known: list[UUID]) -> None:
    told, ids = Plain(events=tuple(known)), Named(events=UuidSequence.of(known))
    assert ids.model_dump() == told.model_dump()
    assert ids.model_dump_json() == told.model_dump_json()
    assert dumps(plain(ids)) == dumps(plain(told))
    assert arrow_cell(ids.events, UuidSequence) == arrow_cell(told.events, tuple[UUID, ...])
    assert repr(ids) == repr(told).replace("Plain", "Named")
    for read in (
        Named.model_validate_json(told.model_dump_json()),
        Named.model_validate({"events": known}),
        Named.model_validate({"events": [*map(str, known)]}),
        ids.model_copy(update={"events": told.events}),
    ):
        assert (read, type(read.events)) == (ids, UuidSequence)


def test_ids_are_kept_as_they_are_by_a_value_made_of_them() -> None:
    ids = UuidSequence.of([uuid4()])
    assert Named(events=ids).events is ids
    assert Named(events=ids).model_copy().events is ids


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_ids_have_the_json_schema_of_their_tuple(mode: JsonSchemaMode) -> None:
    assert OURS.json_schema(mode=mode) == TUPLE.json_schema(mode=mode)
    assert item_of(UuidSequence) is item_of(tuple[UUID, ...]) is UUID


@pytest.mark.parametrize("wrong", [["no id"], "no ids", [None], 5, {"a": 1}])
def test_what_is_no_ids_is_refused_in_the_same_words(wrong: object) -> None:
    with pytest.raises(InputError) as told:
        Plain(events=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError) as found:
        Named(events=wrong)  # type: ignore[arg-type]
    assert str(found.value) == str(told.value).replace("Plain", "Named")


@pytest.mark.parametrize("place", [0, 1, -1, 1 << 70])
def test_an_id_that_is_not_there_is_refused(place: int) -> None:
    with pytest.raises(IndexError):
        UuidSequence()[place]


def test_other_ids_and_lists_are_not_equal_to_ids() -> None:
    first, second = uuid4(), uuid4()
    ids = UuidSequence.of([first, second])
    for other in (
        [first, second],
        (first,),
        (second, first),
        UuidSequence.of([second, first]),
        1,
    ):
        assert ids != other
        assert other != ids


def test_nothing_is_assigned_to_ids() -> None:
    ids = UuidSequence()
    with pytest.raises(AttributeError):
        ids.more = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        ids[0] = uuid4()  # type: ignore[index]
