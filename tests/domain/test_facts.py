"""Facts and the catalogue: what is stored of them, and what is ever read back."""

import inspect
import json
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from sys import modules
from typing import Any, ClassVar
from uuid import UUID

import pytest
from pydantic import BaseModel

from given import SHANGHAI, START, cny
from salesflow.domain.catalogue import AGGREGATES, CATALOGUE, FactCatalogue
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.event import Fact, FactRetracted, Upcast
from salesflow.domain.process import Label, Stage
from salesflow.domain.time import to_instant
from salesflow.domain.values import Personal, SafeText, TextMark
from salesflow.errors import HistoryError, InputError


def read(topic: str, data: object, catalogue: FactCatalogue = CATALOGUE) -> Fact:
    return catalogue.decode(topic, json.dumps(data).encode(), where="stream s, version 7")


class CallNoted(Fact):
    """A fact only these tests know: its words were once called text, then note."""

    kind: ClassVar[str] = "test.call_noted"
    version: ClassVar[int] = 3
    words: Personal
    mood: SafeText | None = None
    upcasts: ClassVar[Mapping[int, Upcast]] = {
        1: lambda data: {"note": data["text"]},
        2: lambda data: {"words": data["note"], "mood": "unknown"},
    }


TESTS = FactCatalogue([CallNoted])


def test_a_stored_fact_is_read_back_as_it_was() -> None:
    fact = DealOpened(process="p", process_version=1, stage="a", amount=cny("5"))
    assert CATALOGUE.decode("deal.opened:1", fact.to_json(), where="here") == fact
    assert fact.to_json() == (
        b'{"process":"p","process_version":1,"stage":"a",'
        b'"amount":{"amount":"5","currency":"CNY"}}'
    )


def test_an_old_shape_is_lifted_step_by_step_to_todays() -> None:
    assert read("test.call_noted:1", {"text": "hi"}, TESTS) == CallNoted(
        words="hi", mood="unknown"
    )
    assert read("test.call_noted:2", {"note": "hi"}, TESTS) == CallNoted(
        words="hi", mood="unknown"
    )
    assert read("test.call_noted:3", {"words": "hi"}, TESTS) == CallNoted(words="hi")


@pytest.mark.parametrize(
    ("topic", "data", "match"),
    [
        ("deal.sold:1", {}, "no fact of kind 'deal.sold' is known"),
        ("deal.won:9", {}, "stored by a newer salesflow; this one reads up to 1"),
        ("deal.won:0", {}, "0"),
        ("deal.won:x", {}, "invalid literal"),
        ("deal.won", {}, "invalid literal"),
        ("deal.won:1", {"mood": "good"}, "there is no such field"),
        ("deal.stage_moved:1", {}, "target: is missing"),
        ("deal.won:1", {"amount": {"amount": 5.5, "currency": "CNY"}}, "never a number"),
        ("deal.won:1", {"amount": {"amount": 5, "currency": "CNY"}}, "never a number"),
        ("deal.won:1", [], "value: must be a DealWon"),
    ],
)
def test_what_is_not_a_known_fact_is_refused_with_its_place(
    topic: str, data: object, match: str
) -> None:
    with pytest.raises(HistoryError, match=f"(?s){topic} at stream s, version 7 .*{match}"):
        read(topic, data)


def test_bytes_that_are_no_json_are_refused() -> None:
    for payload in (b"", b"{", b"\xff\xfe", b'{"because": NaN}'):
        with pytest.raises(HistoryError):
            CATALOGUE.decode("deal.won:1", payload, where="here")
        with pytest.raises(HistoryError):
            TESTS.decode("test.call_noted:1", payload, where="here")


@pytest.mark.parametrize(
    "payload",
    [
        b'{"because":"a","because":"b"}',
        b'{"because" : "a", "because" :"b"}',
        b'{"because":"a","becaus\\u0065":"b"}',
        b'{"because":"a",\n"because"\n:"b"}',
        b'{"because":"at 10:30","because":"b"}',
        b'{"because":"\\"a\\": b","because":"c"}',
        b'{"amount":{"amount":"5","amount":"6","currency":"CNY"}}',
        b'{"amount":{"amount":"5","currency":"CNY"},"amount":{"amount":"5","currency":"CNY"}}',
    ],
)
def test_a_field_that_is_stored_twice_is_refused(payload: bytes) -> None:
    with pytest.raises(HistoryError, match="is given twice"):
        CATALOGUE.decode("deal.won:1", payload, where="here")


@pytest.mark.parametrize(
    "text", ['says "a": b', 'a" : b', "at 10:30", "ends with \\", "{}", '\\": "']
)
def test_a_text_that_looks_like_fields_is_read_as_it_is(text: str) -> None:
    fact = StageMoved(target="negotiation", because=text)
    assert CATALOGUE.decode(fact.stored_as, fact.to_json(), where="here") == fact


@pytest.mark.parametrize("text", ["\u0958", "e\u0301 über", "x\u200eé"])
def test_text_that_would_be_read_as_another_is_not_written(text: str) -> None:
    fact = StageMoved(target="negotiation", because="价格 — 第二期: café")
    topic, payload = CATALOGUE.encode(fact)
    assert CATALOGUE.decode(topic, payload, where="here") == fact
    vars(fact)["because"] = text  # past every check
    with pytest.raises(InputError, match=r"would be (lost|read back as something else)"):
        CATALOGUE.encode(fact)


@pytest.mark.parametrize("topic", ["deal.opened:0", "test.call_noted:1", "deal.won:1"])
def test_nesting_without_end_is_refused_like_anything_else(topic: str) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    for payload in (deep, b'{"text":' + deep + b"}"):
        with pytest.raises(HistoryError, match=f"{topic} at here cannot be read"):
            (TESTS if "test" in topic else CATALOGUE).decode(topic, payload, where="here")


def test_what_is_said_of_a_fact_that_cannot_be_read_is_short() -> None:
    wrong = {f"field_{n}" * 40: "x" * 1_000 for n in range(1_000)}
    for topic in ("deal.won:1", "deal." + "x" * 10_000 + ":1"):
        with pytest.raises(HistoryError) as refused:
            CATALOGUE.decode(topic, json.dumps(wrong).encode(), where="here")
        assert len(str(refused.value)) < 1_000


def test_an_old_shape_without_what_its_upcast_needs_is_refused() -> None:
    with pytest.raises(HistoryError, match="text"):
        read("test.call_noted:1", {}, TESTS)


def test_two_facts_never_share_a_kind() -> None:
    class Impostor(Fact):
        kind: ClassVar[str] = "deal.stage_moved"

    with pytest.raises(ValueError, match="is the kind of StageMoved and of Impostor"):
        FactCatalogue([StageMoved, Impostor])
    assert list(FactCatalogue([StageMoved, StageMoved])) == [StageMoved]


def test_every_aggregate_names_the_facts_it_records() -> None:
    named = [fact for aggregate in AGGREGATES for fact in aggregate.facts]
    assert set(CATALOGUE) == {FactRetracted, *named}
    assert len(named) == len(set(named))
    assert all(fact.__doc__ for fact in CATALOGUE)


@pytest.mark.parametrize("fact", list(CATALOGUE), ids=lambda fact: fact.kind)
def test_a_kind_says_whose_it_is_and_what_happened(fact: type[Fact]) -> None:
    whose, _, what = fact.kind.partition(".")
    assert whose in {
        "fact", "settings", "rates", "process", "team", "training", "rep", "customer", "deal",
        "figure", "goal", "plan", "statement", "contest",
        "review", "case", "improvement",
        "alert",
    }  # fmt: skip
    assert what == what.lower()
    assert what.replace("_", "").isalpha()


def texts(annotation: object, marks: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the marks of every text in a type, however deep."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return texts(arguments[0], (*marks, *arguments[1:]))
    if origin is typing.Literal:
        return []
    if origin in (typing.Union, types.UnionType, tuple):
        return [found for each in arguments for found in texts(each, marks)]
    if annotation is str:
        return [marks]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [
            found
            for field in annotation.model_fields.values()
            for found in texts(field.annotation, tuple(field.metadata))
        ]
    return []


@pytest.mark.parametrize("fact", list(CATALOGUE), ids=lambda fact: fact.kind)
def test_every_text_says_whether_it_is_about_a_person(fact: type[Fact]) -> None:
    for name, field in fact.model_fields.items():
        for marks in texts(field.annotation, tuple(field.metadata)):
            assert any(isinstance(mark, TextMark) for mark in marks), name


def test_the_search_for_unmarked_texts_finds_one() -> None:
    class Careless(Fact):
        kind: ClassVar[str] = "test.careless"
        words: tuple[str, ...] = ()

    assert texts(Careless.model_fields["words"].annotation) == [()]
    assert len(texts(Stage)) > len(texts(Label)) > 2


@pytest.mark.parametrize("fact", list(CATALOGUE), ids=lambda fact: fact.kind)
def test_no_fact_holds_a_float(fact: type[Fact]) -> None:
    def holds(annotation: object) -> bool:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return any(holds(field.annotation) for field in annotation.model_fields.values())
        return annotation is float or any(holds(each) for each in typing.get_args(annotation))

    assert not holds(fact)


def test_an_effect_is_never_before_the_decision() -> None:
    decided = to_instant(START)
    assert StageMoved(target="a").effective(decided) == decided
    assert OwnerAssigned(owner="bob").effective(decided) == decided
    early = OwnerAssigned(owner="bob", effective_from=datetime(2026, 1, 1, tzinfo=UTC))
    assert early.effective(decided) == decided
    later = datetime(2026, 7, 1, tzinfo=SHANGHAI)
    planned = OwnerAssigned(owner="bob", effective_from=later)
    assert planned.effective(decided) == to_instant(later)
    assert b'"effective_from":"2026-06-30T16:00:00Z"' in planned.to_json()
    with pytest.raises(InputError, match="no time zone"):
        OwnerAssigned(owner="bob", effective_from=datetime(2026, 7, 1))  # noqa: DTZ001


def test_openings_are_marked() -> None:
    assert {fact.kind for fact in CATALOGUE if fact.is_opening} == {
        "case.published",
        "alert.defined",
        "contest.opened",
        "plan.published",
        "statement.issued",
        "deal.opened",
        "customer.registered",
        "figure.reported",
        "goal.set",
        "improvement.proposed",
        "process.published",
        "rates.published",
        "rep.joined",
        "review.opened",
        "settings.changed",
        "team.formed",
        "training.offered",
    }


def test_a_fact_may_say_how_an_importer_deduced_it() -> None:
    fact = CustomerRegistered(name="Acme", inferred="the file names it on a deal only")
    assert CATALOGUE.decode("customer.registered:1", fact.to_json(), where="here") == fact


def test_a_fact_of_other_people_stands_for_no_other_one() -> None:
    class Tagged(Fact):
        kind: ClassVar[str] = "acme.tagged"
        name_zh: ClassVar[str] = "标签"
        tags: list[str]

    catalogue = CATALOGUE.with_own([Tagged])
    rows = [("acme.tagged:1", b'{"tags":["a"]}')]
    (first,) = catalogue.read_all(rows)
    assert isinstance(first, Tagged)
    first.tags.append("b")
    assert catalogue.read_all(rows) == [Tagged(tags=["a"])]


def test_facts_told_alike_are_read_once_and_differ_by_kind() -> None:
    rows = [("deal.won:1", b"{}"), ("deal.won:1", b"{}"), ("customer.unmerged:1", b"{}")]
    one, same, other = CATALOGUE.read_all(rows)
    assert one is same
    assert type(other) is not type(one)


def ids_by_key(key: str) -> Iterator[UUID]:
    for module in sorted({aggregate.__module__ for aggregate in AGGREGATES}):
        for name, of_key in vars(modules[module]).items():
            own = getattr(of_key, "__module__", None) == module
            if own and name.endswith("_id") and len(inspect.signature(of_key).parameters) == 1:
                yield of_key(key)


def test_things_of_different_kinds_with_one_key_are_never_one_stream() -> None:
    ids = [*ids_by_key("onboarding")]
    assert len({*ids}) == len(ids) >= 10
