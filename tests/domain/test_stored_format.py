"""What was stored by any version is read for ever, and today's classes write the same bytes."""

import pytest

from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.event import Fact
from stored_format import HOW, example_of, stored, topics

STORED = stored()


@pytest.mark.parametrize("topic", STORED)
def test_every_example_of_every_version_is_still_read(topic: str) -> None:
    fact = CATALOGUE.decode(topic, STORED[topic], where="stored_format.json")
    if topic in topics():
        assert fact.to_json() == STORED[topic]


@pytest.mark.parametrize("topic", topics())
def test_every_fact_has_an_example_that_fills_all_its_fields(topic: str) -> None:
    assert topic in STORED, HOW
    fact = CATALOGUE.decode(topic, STORED[topic], where="stored_format.json")
    empty = [name for name in type(fact).model_fields if getattr(fact, name) in (None, ())]
    assert empty == [], HOW


@pytest.mark.parametrize("fact", list(CATALOGUE), ids=lambda fact: fact.kind)
def test_a_fact_is_written_today_as_its_example_was(fact: type[Fact]) -> None:
    assert example_of(fact).to_json() == STORED.get(fact.stored_as), HOW
