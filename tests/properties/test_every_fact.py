"""Every kind of fact, with hostile texts in every text it holds, is read back as it was."""

import types
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from properties.effort import TALLY, examples
from salesflow import STANDARD, SalesFlow
from salesflow.adapters.event_store.log import NewEvent
from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.customer import CustomerMerged, CustomerRegistered, CustomerUnmerged
from salesflow.domain.deal.merge_checks import MAY_MERGE
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact
from salesflow.domain.exchange_rates import Rate
from salesflow.domain.ids import new_id
from salesflow.domain.incentive_plan import PlanTerms
from salesflow.domain.process import ProcessVersion
from salesflow.domain.values import SafeText
from salesflow.errors import InputError

HOSTILE = [
    "plain",
    "'; DROP TABLE salesflow_events; --",
    '{"kind": "deal.won", "amount": null}',
    "%s %(tenant)s {0} {{}} $1 ? :name \\x00 \\u0000 \\",
    "\"quoted\" 'twice' `and` <b>tagged</b> &amp; [red]rich[/red]",
    "=HYPERLINK(1) @SUM +1 -1",
    "\u0958" * 250,
    "e\u0301\u0323 A\u030a \ufb01 \u1e9b\u0323",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001d54f \U0002f800",
    "\u05e9\u05dc\u05d5\u05dd \u0627\u0644\u0633\u0644\u0627\u0645",
    "\u5ba2\u6237\u8bf4\u201c\u592a\u8d35\u201d\u3000\uff0c",
    "a\u00a0b\u202fc\u2009d\u00add",
    "NULL",
    "null",
    "nan",
    "0",
    "1e400",
    "x" * 500,
    "line\nline\r\nline\ttab",
    "y" * 10_000,
    "key_1",
    "figure:'; DROP TABLE salesflow_events; --",
    "USD",
    "Europe/Paris",
    "#ff8800",
]
SURVIVOR, HOME = UUID(int=71), UUID(int=72)
"""A deal and a customer that the others are merged into."""

OPENING = DealOpened(process=STANDARD.key, process_version=1, stage="prospecting")
WHOLE: dict[type, st.SearchStrategy[Any]] = {
    ProcessVersion: st.just(STANDARD),
    FiscalCalendar: st.just(FiscalCalendar()),
    PlanTerms: st.just(PlanTerms.model_validate({"rate": "0.05", "cap": "1000"})),
    Rate: st.builds(
        lambda n: Rate(currency="USD", rate=n),
        st.decimals("0.1", "9", places=4),
    ),
}
"""What holds together as a whole, so that no part of it can be drawn alone."""

TIMES = st.datetimes(datetime(1901, 1, 1), datetime(9990, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
Marks = tuple[Any, ...]


def fits(annotation: Any, marks: Marks, value: object) -> bool:  # noqa: ANN401
    """Say whether a field takes a value."""
    try:
        adapter(annotation, marks).validate_python(value)
    except (ValueError, InputError):
        return False
    return True


@cache
def adapter(annotation: Any, marks: Marks) -> TypeAdapter[Any]:  # noqa: ANN401
    return TypeAdapter(Annotated[(annotation, *marks)] if marks else annotation)


def texts(marks: Marks) -> st.SearchStrategy[str]:
    """Draw texts that a field takes, hostile ones first."""
    taken = [text for text in HOSTILE if fits(str, marks, text)]
    assert taken, "no text is taken"
    free = st.text(max_size=12).filter(lambda text: fits(str, marks, text))
    return st.sampled_from(taken) | free if len(taken) > 6 else st.sampled_from(taken)


def numbers(kind: type[int] | type[Decimal], marks: Marks) -> st.SearchStrategy[Any]:
    """Draw numbers that a field takes."""
    exact = ["0", "1", "2", "3", "5", "7", "12", "100", "2026"]
    given = (
        exact if kind is int else [*exact, "0.01", "0.999999", "99.95", "999999999999.999999"]
    )
    return st.sampled_from([n for each in given if fits(kind, marks, n := kind(each))])


def drawn(annotation: Any, marks: Marks = ()) -> st.SearchStrategy[Any]:  # noqa: ANN401, PLR0911
    """Draw what a field may hold."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return drawn(inner[0], (*marks, *inner[1:]))
    if origin in (Union, types.UnionType):
        kinds = [drawn(each, marks) for each in inner if each is not types.NoneType]
        return st.one_of(*kinds, st.none()) if types.NoneType in inner else st.one_of(kinds)
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is tuple:
        return st.lists(drawn(inner[0]), max_size=2).map(tuple)
    if annotation in WHOLE:
        return WHOLE[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return made(annotation)
    simple: dict[Any, Any] = {
        bool: st.booleans,
        UUID: st.uuids,
        datetime: lambda: TIMES,
        date: lambda: st.dates(date(1901, 1, 1), date(9990, 1, 1)),
    }
    if annotation in simple:
        found: st.SearchStrategy[Any] = simple[annotation]()
        return found
    return texts(marks) if annotation is str else numbers(annotation, marks)


def made(kind: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Draw values of a kind; what its fields rule out together is drawn again."""
    fields = {
        name: drawn(field.annotation, tuple(field.metadata))
        for name, field in kind.model_fields.items()
    }

    def build(given: dict[str, Any]) -> Any:  # noqa: ANN401
        try:
            return kind(**given)
        except InputError:
            return None

    return st.fixed_dictionaries(fields).map(build).filter(lambda value: value is not None)


def some(kind: type[Fact], count: int) -> list[Fact]:
    """Draw facts of a kind; all kinds at once would be too much for one example."""
    found: list[Fact] = []

    @given(fact=made(kind))
    @examples(count, shrink=False)
    def take(fact: Fact) -> None:
        found.append(fact)

    take()
    return found


def merged(fact: Fact) -> Fact:
    """Let a merge lead somewhere."""
    into = HOME if isinstance(fact, CustomerMerged | CustomerUnmerged) else SURVIVOR
    ids = {name for name in ("into", "out_of", "absorbed", "released") if hasattr(fact, name)}
    return fact.model_copy(update=dict.fromkeys(ids, into))


def new_events_of(fact: Fact) -> list[NewEvent]:
    """Write a fact into a stream of its own, behind an opening where it could merge."""
    facts, stream = [fact], uuid4()
    if isinstance(fact, tuple(MAY_MERGE)):
        own = isinstance(fact, CustomerMerged | CustomerUnmerged)
        facts = [CustomerRegistered(name="Acme") if own else OPENING, merged(fact)]
    return drafts(stream, facts)


def drafts(stream: UUID, facts: Sequence[Fact]) -> list[NewEvent]:
    return [
        NewEvent(stream, number, *CATALOGUE.encode(fact), new_id(), None)
        for number, fact in enumerate(facts, 1)
    ]


@pytest.fixture(scope="module")
def flows(
    postgres: Any,  # noqa: ANN401
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[SalesFlow, ...]]:
    """A log on each database, with what others are merged into."""
    file = tmp_path_factory.mktemp("facts") / "sales.db"
    with (
        postgres.database() as url,
        SalesFlow(f"sqlite:///{file}") as on_sqlite,
        SalesFlow(url) as on_postgres,
    ):
        for flow in (on_sqlite, on_postgres):
            homes = [drafts(SURVIVOR, [OPENING]), drafts(HOME, [CustomerRegistered(name="A")])]
            flow.log.append_many(homes)
        yield on_sqlite, on_postgres


def test_every_fact_with_hostile_texts_is_read_back_as_it_was(
    flows: tuple[SalesFlow, ...],
) -> None:
    facts = [fact for kind in CATALOGUE for fact in some(kind, 4)]
    assert {type(fact) for fact in facts} == set(CATALOGUE)
    appends = [new_events_of(fact) for fact in facts]
    written = [merged(fact) if isinstance(fact, tuple(MAY_MERGE)) else fact for fact in facts]
    for flow in flows:
        receipts = flow.log.append_many(appends)
        events = flow.log.page(receipts[0].first - 1, receipts[-1].last)
        last = {receipt.last: fact for receipt, fact in zip(receipts, written, strict=True)}
        found = {event.position: event.fact for event in events if event.position in last}
        assert found == last
    TALLY["facts of every kind"] += len(facts)


def test_texts_that_could_do_harm_are_drawn_and_those_that_can_never_be_are_not() -> None:
    assert sum(fits(SafeText, (), text) for text in HOSTILE) > len(HOSTILE) - 3
    assert not fits(SafeText, (), "\0")
