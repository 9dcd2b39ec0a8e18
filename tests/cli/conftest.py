"""A small database for the command line: two deals, one late fact, one mistake put right."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile
from uuid import UUID

import pytest

from salesflow import STANDARD, Customer, Deal, Money, QuoteLine, SalesFlow
from salesflow.demo.world import TurnedClock
from simulated import typed

ERP = UUID("e4900000-0000-4000-8000-000000000001")
MES = UUID("3e500000-0000-4000-8000-000000000002")
TWIN = UUID("3e500000-0000-4000-8000-000000000003")
STARTS = datetime(2026, 3, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class House:
    """A database in the making, its clock turned a day at a time."""

    def __init__(self, path: Path) -> None:
        self.clock = TurnedClock(STARTS)
        self.flow = SalesFlow(f"sqlite:///{path}", timezone="Asia/Shanghai", clock=self.clock)

    def open(self, id: UUID, title: str, amount: Money | None) -> None:
        with self.flow.session(actor="ann") as s:
            customer = s.add(Customer.register(name="江南精密机械有限公司"))
            s.add(
                Deal.open(
                    STANDARD, customer=customer, title=title, owner="ann", amount=amount, id=id
                )
            )

    def sell(self, id: UUID) -> None:
        """Go from prospecting to a signed contract, a day a step."""
        line = QuoteLine(product="ERP", unit_price=Money("98000", "CNY"))
        for stage in STANDARD.open_stages[1:]:
            self.clock.now += DAY
            with self.flow.session(actor="ann", command_id=f"to {stage.key}") as s:
                deal = s.get(Deal, id)
                deal.log_contact(channel="call", direction="out", summary="谈需求")
                deal.state_intent("high")
                deal.identify_need("库存不准")
                deal.confirm_budget(Money("100000", "CNY"))
                deal.map_decision_process(how="总经理")
                deal.propose_solution("标准套件")
                deal.issue_quote(lines=[line], valid_until=(self.clock.now + 2 * DAY).date())
                deal.advance_to(stage.key, because="客户同意")
        self.clock.now += DAY
        with self.flow.session(actor="ann") as s:
            s.get(Deal, id).win(Money("980000", "CNY"))
            s.get(Deal, id).give_refund(Money("10", "CNY"), because="late")

    def correct(self, id: UUID) -> None:
        """Find that the win was mistyped, and a call that nobody had noted."""
        self.clock.now += 20 * DAY
        with self.flow.session(actor="controller") as s:
            deal = s.get(Deal, id)
            [won] = [e for e in deal.history if e.fact.kind == "deal.won"]
            deal.retract(won.event_id, because="mistyped")
            deal.win(Money("98000", "CNY"), occurred_at=won.occurred_at)
            deal.log_contact(channel="visit", direction="in", occurred_at=STARTS + 2 * DAY)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small database, made once."""
    path = tmp_path_factory.mktemp("house") / "house.db"
    house = House(path)
    with house.flow:
        house.open(ERP, "ERP 上线", Money("90000.50", "CNY"))
        house.open(MES, "MES rollout", None)
        house.open(TWIN, "MES twin", Money("7000", "USD"))
        house.sell(ERP)
        house.correct(ERP)
        house.flow.catch_up()
    return path


@pytest.fixture
def db(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of the small database, named by the environment as well."""
    path = tmp_path / "house.db"
    copyfile(made, path)
    monkeypatch.setenv("SALESFLOW_DB", f"sqlite:///{path}")
    monkeypatch.chdir(tmp_path)
    return str(path)


@pytest.fixture(scope="module")
def founded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands in `HOUSE` of a module of tests have recorded."""
    database = tmp_path_factory.mktemp("founded") / "house.db"
    for line in request.module.HOUSE.strip().splitlines():
        told = typed(line, str(database))
        assert told.code == 0, (line, told.err)
    return database


@pytest.fixture
def house(founded: Path, tmp_path: Path) -> str:
    """Its own copy of that, for each test."""
    return str(copyfile(founded, tmp_path / "house.db"))
