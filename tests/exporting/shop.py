"""A small log that holds a bit of everything, and what a database holds of it, row by row."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from salesflow import STANDARD, Customer, Deal, Money, QuoteLine, Rep, SalesFlow

__all__ = ["DEAL", "FORMULA", "OTHER", "SECRET", "Clock", "fill", "rows_stored", "shop"]


DEAL = UUID("e4900000-0000-4000-8000-000000000001")
OTHER = UUID("3e500000-0000-4000-8000-000000000002")
FORMULA = '=HYPERLINK("http://x","pay")'
SECRET = "Chen Mei, mobile 555-0199"
LINES = (
    QuoteLine(product="ERP", unit_price=Money("98000", "CNY")),
    QuoteLine(product="Training", unit_price=Money("1250.50", "CNY"), quantity=Decimal(2)),
)


class Clock:
    """A clock that goes on a little each time it is looked at."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        self.now += timedelta(hours=5, microseconds=7)
        return self.now


def shop(url: str, *, tenant: str = "main", clock: Clock | None = None) -> SalesFlow:
    """Open a new log in which a deal is quoted, won, corrected and taken over."""
    flow = SalesFlow(url, tenant=tenant, timezone="Europe/Berlin", clock=clock or Clock())
    fill(flow)
    return flow


def fill(flow: SalesFlow) -> None:
    """Record it."""
    with flow.session(actor="boss") as s:
        s.add(Rep.join(rep="u-1", team="north", name="Li Na"))
        s.add(Rep.join(rep="u-2", team="south", name="Wang Wei"))
    with flow.session(actor="u-1") as s:
        acme = s.add(Customer.register(name="Acme", segment="-smb", region="+north"))
        person = acme.add_person(name=SECRET)
        deal = s.add(
            Deal.open(STANDARD, customer=acme, title=FORMULA, owner="u-1", id=DEAL,
                      amount=Money("98000", "CNY"))
        )  # fmt: skip
        s.add(Deal.open(STANDARD, customer=acme, title="MES", owner="u-2", id=OTHER))
        deal.log_contact(channel="call", direction="out", summary=SECRET,
                         contact_people=(person,))  # fmt: skip
    flow.run(
        lambda s: s.get(Deal, DEAL).issue_quote(
            "Q-1", lines=LINES, valid_until=date(2026, 4, 1)
        ),
        actor="u-1",
        command_id="quote 1",
        fingerprint="a request",
    )
    flow.run(lambda s: _take_over(s.get(Deal, DEAL)), actor="u-1", command_id="over to u-2")
    soon = flow.history(DEAL)[0].occurred_at + timedelta(hours=1)
    with flow.session(actor="u-2") as s:
        deal = s.get(Deal, DEAL)
        deal.accept_quote("Q-1")
        deal.win(amount=Money("95000.50", "CNY"), occurred_at=soon)
    won = next(event for event in flow.history(DEAL) if event.fact.kind == "deal.won")
    with flow.session(actor="audit") as s:
        s.retract(won.event_id, because="the signature was a draft's")
    with flow.session(actor="u-2") as s:
        s.get(Deal, DEAL).win(amount=Money("95000.50", "CNY"))


def _take_over(deal: Deal) -> None:
    deal.assign_owner("u-2", because="u-1 moves on")
    deal.post_message("please call them", by="u-2", to=("u-2",))


def rows_stored(flow: SalesFlow) -> list[tuple[Any, ...]]:
    """Return all that a database holds of a log, every column of every row, and its head."""
    found: list[tuple[Any, ...]] = []
    with flow.log.database.read() as connection:
        for table, order in (
            ("salesflow_events", "position"),
            ("salesflow_commands", "first"),
            ("salesflow_head", "position"),
        ):
            select = sa.text(f"SELECT * FROM {table} WHERE tenant = :tenant ORDER BY {order}")
            rows = connection.execute(select, {"tenant": flow.log.tenant})
            found += [tuple(map(_plain, row)) for row in rows]
    return found


def _plain(cell: object) -> object:
    if isinstance(cell, UUID):
        return cell.bytes
    return bytes(cell) if isinstance(cell, memoryview) else cell
