"""Ids of imported things: the same everywhere, and readable both ways."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesflow.adapters.importers import fact_source_id, object_id, parse_object
from salesflow.adapters.importers.ids import split_source_id
from salesflow.errors import InputError


def test_the_same_object_of_the_same_source_is_the_same_id_everywhere() -> None:
    assert str(object_id("maven_crm", "1C1I7A6R")) == "33b73f3a-325f-52bc-a926-c8e6fe244fff"
    assert object_id("a", "b:c") != object_id("a:b", "c")
    assert object_id("a", "b") != object_id("a", "b", "customer")


def test_a_deal_can_be_named_by_source_and_object() -> None:
    assert parse_object("crm:7:a") == object_id("crm", "7:a")
    for text in ("crm", ":7", "crm:"):
        with pytest.raises(InputError, match="SOURCE:OBJECT"):
            parse_object(text)


@settings(deadline=None)
@given(object=st.text(min_size=1), key=st.text())
def test_a_source_id_can_be_taken_apart_again(object: str, key: str) -> None:
    assert split_source_id(fact_source_id(object, key)) == (object, key)
