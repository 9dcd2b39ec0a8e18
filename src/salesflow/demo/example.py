"""A small example that never changes: two reps' autumn, recorded as it became known.

Eight deals and what became of them. A win is mistyped by a factor of ten and put right in
February; a loss is told three weeks late. The README shows its figures, so nothing here draws
lots, and nothing here changes when facts are added.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from salesflow.demo.world import TurnedClock
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal, QuoteLine
from salesflow.domain.rep import Rep
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.team import Team
from salesflow.domain.values import Money
from salesflow.engine import SalesFlow, Session

__all__ = ["EXAMPLE_START", "EXAMPLE_ZONE", "record_example"]

EXAMPLE_ZONE: Final = ZoneInfo("Asia/Shanghai")
EXAMPLE_START: Final = datetime(2024, 9, 2, 9, tzinfo=EXAMPLE_ZONE)
NAMES: Final = uuid5(NAMESPACE_URL, "salesflow:example")
MINE, HERS = "li.na", "wang.wei"
CUSTOMERS: Final = {
    "jiangnan": "江南精密机械有限公司",
    "hofer": "Hofer GmbH",
    "lotus": "Lotus Foods",
    "orient": "东方物流集团",
}


def record_example(flow: SalesFlow, clock: TurnedClock) -> None:
    """Record the example into a new log; the clock is turned to when each became known."""
    _Example(flow, clock).record()


class _Example:
    def __init__(self, flow: SalesFlow, clock: TurnedClock) -> None:
        self.flow = flow
        self.clock = clock

    def record(self) -> None:
        self._found_the_team()
        self._take_on("mes", "jiangnan", "MES for plant 2", "2024-09-03", "480000 CNY", MINE)
        self._take_on(
            "terminals", "hofer", "Warehouse terminals", "2024-09-16", "86000 EUR", MINE
        )
        self._take_on("service", "lotus", "Service contract", "2024-09-23", "36000 CNY", MINE)
        self._advance("mes", "2024-09-27", "initial_contact", "needs_analysis")
        self._take_on("erp", "lotus", "ERP for Lotus", "2024-10-08", "900000 CNY", MINE)
        self._take_on("double", "hofer", "Terminals Hofer", "2024-10-10", "80000 EUR", MINE)
        self._advance("terminals", "2024-10-14", "initial_contact", "needs_analysis")
        with self._at("2024-10-15", MINE) as s:
            self._deal(s, "erp").disqualify(because="no budget before 2026")
        with self._at("2024-10-21", MINE) as s:
            self._deal(s, "double").merge_into(
                self._deal(s, "terminals"), because="taken twice"
            )
        self._take_on(
            "boards", "orient", "Boards for dispatch", "2024-10-28", "120000 CNY", HERS
        )
        self._quote("mes", "2024-11-05", "442000 CNY")
        self._advance("mes", "2024-11-11", "solution_design", "negotiation")
        self._take_on("line", "jiangnan", "Line 2 upgrade", "2024-11-12", "155000 USD", MINE)
        self._quote("terminals", "2024-11-20", "82500 EUR")
        self._advance("terminals", "2024-11-20", "solution_design")
        self._advance("line", "2024-12-02", "initial_contact", "needs_analysis")
        self._advance("boards", "2024-12-05", "initial_contact")
        self._take_on("parts", "orient", "Spare parts", "2024-12-09", None, MINE)
        with self._at("2024-12-12", MINE) as s:
            self._deal(s, "mes").win(Money("4420000", "CNY"))
        self._advance("service", "2024-12-16", "initial_contact")
        with self._at("2025-01-08", MINE) as s:
            lost = self._time("2024-12-20")
            self._deal(s, "service").lose(because="price", occurred_at=lost)
        with self._at("2025-02-06", "finance") as s:
            self._mend_win(self._deal(s, "mes"))
        with self._at("2025-02-20", MINE) as s:
            self._deal(s, "mes").receive_feedback(survey="go-live", scale="nps", score=9)

    def _found_the_team(self) -> None:
        with self._at("2024-09-02", "finance") as s:
            east = s.add(Team.form("east", name_en="East", name_zh="华东"))
            for rep, name in ((MINE, "李娜"), (HERS, "王伟")):
                s.add(Rep.join(rep, team=east, name=name))
            for key, name in CUSTOMERS.items():
                s.add(Customer.register(name=name, id=self._id(key)))

    def _take_on(
        self, key: str, customer: str, title: str, day: str, amount: str | None, owner: str
    ) -> None:
        with self._at(day, owner) as s:
            deal = Deal.open(
                STANDARD,
                customer=self._id(customer),
                title=title,
                owner=owner,
                amount=None if amount is None else Money(*amount.split()),
                lead_source="referral",
                id=self._id(key),
            )
            s.add(deal).log_contact(channel="call", direction="out")

    def _advance(self, key: str, day: str, *stages: str) -> None:
        """Do what the stages ask for, and go on to these."""
        with self._at(day, MINE) as s:
            deal = self._deal(s, key)
            for stage in stages:
                if stage == "needs_analysis":
                    deal.log_contact(channel="visit", direction="in")
                    deal.state_intent("high")
                elif stage == "solution_design":
                    deal.identify_need("fewer stops on the line")
                    deal.confirm_budget(note="in next year's plan")
                    deal.map_decision_process(how="plant manager, then the board")
                elif stage == "negotiation":
                    deal.propose_solution("the standard suite, in two steps")
                deal.advance_to(stage, because="the customer agreed")

    def _quote(self, key: str, day: str, total: str) -> None:
        with self._at(day, MINE) as s:
            line = QuoteLine(product="suite", unit_price=Money(*total.split()))
            until = (self.clock.now + timedelta(days=60)).date()
            self._deal(s, key).issue_quote(lines=[line], valid_until=until)

    def _mend_win(self, deal: Deal) -> None:
        [won] = [event for event in deal.history if event.fact.kind == "deal.won"]
        deal.retract(won.event_id, because="one nought too many")
        deal.win(Money("442000", "CNY"), occurred_at=won.occurred_at)

    @contextmanager
    def _at(self, day: str, actor: str) -> Iterator[Session]:
        """Open a session of somebody on a day, at ten or an hour after the last one."""
        self.clock.now = max(self._time(day), self.clock.now + timedelta(hours=1))
        with self.flow.session(actor=actor) as s:
            yield s

    def _time(self, day: str) -> datetime:
        return datetime.fromisoformat(f"{day}T10:00").replace(tzinfo=EXAMPLE_ZONE)

    def _id(self, key: str) -> UUID:
        return uuid5(NAMES, key)

    def _deal(self, s: Session, key: str) -> Deal:
        return s.get(Deal, self._id(key))
