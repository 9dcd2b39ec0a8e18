"""Whatever is given to a command, it is recorded and can be read, or is refused by name.

Commands of deals, customers and the rest are given values of every kind, right and wrong, in
every parameter; every 50 the read tables catch up and every stream is read back. The controls
show that the harness sees an error of Python's own, and what cannot be read back.
"""

import inspect
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest

from properties.effort import TORTURE
from salesflow import STANDARD, Customer, Deal, ExternalEvent, Money, Rep, SalesFlow, Team
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.event import Fact
from salesflow.errors import HistoryError, ProjectionError, SalesflowError
from salesflow.projections.pipeline.funnel import Funnel

COMMANDS = 500 * TORTURE
"""5,000 in the long form, on each database."""
CATCH_UP = 50

TEXTS = (
    "", " ", "ann", "x" * 501, "x" * 10_001, "\u0958" * 251, "\u0958" * 5_001, "e\u0301",
    "\0", "\ud800", "\u202e", "\x1b[31m", "\ufffe", "\u2028", "\u200b", "客户",
    "\U0001fae9", "2026-01-01", "prospecting", "needs_analysis", "call", "out", "price",
    "won", "nps", "Q1", "O1", "1e999",
)  # fmt: skip
VALUES: tuple[object, ...] = (
    *TEXTS, None, True, 0, -1, 3, 2**31, 2**63, 10**400, 1.5, float("nan"), float("inf"),
    Decimal("NaN"), Decimal("sNaN"), Decimal("0.5"), Decimal("1E+999999"), Decimal(-1),
    b"bytes", b"\xff", (), ("ann",), [], {}, {"a": 1}, {1, 2}, object(), Deal, str, int, len,
    date(2026, 1, 1), date.max, date.min, datetime(2026, 1, 1),  # noqa: DTZ001
    datetime(2026, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC),
    datetime.min.replace(tzinfo=UTC), timedelta(1), UUID(int=7), uuid4(), STANDARD,
    STANDARD.stages[0], Money("5", "CNY"), Money("0", "CNY"), Money("-5", "USD"),
)  # fmt: skip
KINDS: tuple[type[Aggregate], ...] = (Deal, Customer, Rep, Team)
INHERITED = frozenset(dir(Aggregate))


def commands_of(kind: type[Aggregate]) -> list[str]:
    """Name what changes an aggregate."""
    return [
        name
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and name not in INHERITED
    ]


def makers_of(kind: type[Aggregate]) -> list[Callable[..., Any]]:
    """Give what opens a new one."""
    return [
        member
        for name, member in inspect.getmembers(kind, inspect.ismethod)
        if not name.startswith("_") and name not in INHERITED
    ]


class Fuzzer:
    """Gives commands to one engine, with values drawn by a seed."""

    def __init__(self, flow: SalesFlow, seed: int) -> None:
        self.flow = flow
        self.draw = random.Random(seed)
        self.raw: list[str] = []
        self.accepted = 0
        with flow.session() as s:
            ann = s.add(Team.form("north", name_en="North", name_zh="北区"))
            self.known: dict[type[Aggregate], list[UUID]] = {
                Deal: [s.add(Deal.open(STANDARD, title="x", owner="ann")).id for _ in range(3)],
                Customer: [s.add(Customer.register(name="Acme")).id for _ in range(2)],
                Rep: [s.add(Rep.join("ann", team="north", name="Ann")).id],
                Team: [ann.id],
            }

    def one(self) -> None:
        """Give one command, open one thing or tell one fact; note what Python itself said."""
        way = self.draw.choice(
            (self._command, self._command, self._make, self._tell, self._ask)
        )
        head = self.flow.log.head()
        try:
            way()
        except SalesflowError:
            assert self.flow.log.head() == head, "something refused was stored"
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            self.raw.append(f"{way.__name__}: {error!r}")
        self.accepted += self.flow.log.head() != head

    def read_back(self) -> None:
        """Read everything there is, as questions, sessions and other processes would."""
        self.flow.catch_up()
        for event in self.flow.log.page(0, 10**6):
            topic, payload = CATALOGUE.encode(event.fact)
            assert CATALOGUE.decode(topic, payload, where="") == event.fact
        self.flow.ask(Funnel())

    def value(self, parameter: inspect.Parameter) -> object:
        """Draw a value: mostly one that may be right, so that commands get far."""
        if self.draw.random() < 0.12:
            return self.draw.choice(VALUES)
        if parameter.default is not parameter.empty and self.draw.random() < 0.7:
            return parameter.default
        texts = str(parameter.annotation)
        fitting = [
            value
            for value in VALUES
            if type(value).__name__ in texts
            and not (isinstance(value, str) and len(value) > 20)
        ]
        return self.draw.choice(fitting or VALUES)

    def _arguments(self, function: Callable[..., object]) -> dict[str, object]:
        parameters = inspect.signature(function).parameters.items()
        return {name: self.value(each) for name, each in parameters if name != "self"}

    def _command(self) -> None:
        kind = self.draw.choice(KINDS)
        name = self.draw.choice(commands_of(kind))
        envelope = {
            what: self.draw.choice(VALUES) if self.draw.random() < 0.1 else "u-1"
            for what in ("actor", "correlation_id", "causation_id")
        }
        with self.flow.session(**envelope) as s:  # type: ignore[arg-type]
            found = s.get(kind, self.draw.choice(self.known[kind]))
            command = getattr(found, name)
            given = self._arguments(command)
            if "survivor" in given and self.draw.random() < 0.8:
                given["survivor"] = s.get(kind, self.draw.choice(self.known[kind]))
            command(**given)

    def _make(self) -> None:
        kind = self.draw.choice(KINDS)
        maker = self.draw.choice(makers_of(kind))
        with self.flow.session() as s:
            s.add(maker(**self._arguments(maker)))

    def _tell(self) -> None:
        cls = self.draw.choice(list(CATALOGUE))
        fields = {
            name: self.draw.choice(VALUES)
            for name, field in cls.model_fields.items()
            if field.is_required() or self.draw.random() < 0.3
        }
        stream = self.draw.choice([*self.known[Deal], *self.known[Customer], uuid4()])
        when = self.draw.choice((None, None, *VALUES))
        self.flow.record([ExternalEvent(stream, cls(**fields), when)])  # type: ignore[arg-type]

    def _ask(self) -> None:
        way: Callable[[Any], object] = self.draw.choice(
            (
                lambda value: self.flow.get(Deal, value),
                lambda value: self.flow.get(value, UUID(int=7)),
                lambda value: self.flow.history(value),
                lambda value: self.flow.ask(value),
                lambda value: self.flow.ask(Funnel(), as_of=value),
                lambda value: self.flow.ask(Funnel(), known_at=value),
                lambda value: self.flow.sql(value),
                lambda value: self.flow.record(value),
                lambda value: self.flow.record([value]),
                lambda value: self.flow.run(lambda s: s.retract(value, because="x")),
                lambda value: self.flow.run(lambda s: s.add(value)),
                lambda value: self.flow.run(lambda _: None, command_id=value),
                lambda value: self.flow.run(lambda _: None, fingerprint=value),
            )
        )
        way(self.draw.choice(VALUES))


@pytest.fixture
def fuzzer(database_url: str) -> Iterator[Fuzzer]:
    with SalesFlow(database_url) as flow:
        yield Fuzzer(flow, 10)


def test_what_a_command_is_given_is_recorded_readably_or_refused_by_name(
    fuzzer: Fuzzer,
) -> None:
    for number in range(1, COMMANDS + 1):
        fuzzer.one()
        if number % CATCH_UP == 0:
            fuzzer.read_back()
    assert fuzzer.raw == []
    assert fuzzer.accepted > COMMANDS // 40, "hardly anything was accepted"


def test_a_command_that_fails_in_python_s_own_words_is_noticed(sqlite_url: str) -> None:
    class Careless(Deal):
        def shout(self, words: str) -> None:
            self.told = words.upper() + [][len(words)]

    with SalesFlow(sqlite_url) as flow:
        fuzzer = Fuzzer(flow, 1)

        def fails() -> None:
            with flow.session() as s:
                s.get(Careless, fuzzer.known[Deal][0]).shout("x")

        fuzzer._command = fails  # type: ignore[method-assign]
        for _ in range(20):
            fuzzer.one()
    assert any("IndexError" in each for each in fuzzer.raw)


def test_something_stored_past_the_checks_that_cannot_be_read_is_noticed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Told(Fact):
        kind: ClassVar[str] = "acme.told"
        name_zh: ClassVar[str] = "告知"

    with SalesFlow(sqlite_url) as flow:
        fuzzer = Fuzzer(flow, 1)
        monkeypatch.setattr(flow.log._checks, "check", lambda appends, **_: appends)
        monkeypatch.setattr(
            flow.log.catalogue, "encode", lambda fact: (fact.stored_as, fact.to_json())
        )
        flow.record([ExternalEvent(fuzzer.known[Deal][0], Told())])
        with pytest.raises((HistoryError, ProjectionError)):
            fuzzer.read_back()
