"""An event-sourced sales process engine to embed in your own system.

    from salesflow import STANDARD, Customer, Deal, Money, SalesFlow
    from salesflow.projections.funnel import Funnel

    with SalesFlow("sqlite:///sales.db", timezone="Asia/Shanghai") as flow:
        with flow.session(actor="u-17") as s:
            acme = s.add(Customer.register(name="Acme"))
            s.add(Deal.open(STANDARD, customer=acme, title="ERP rollout", owner="u-17"))
        flow.ask(Funnel(), as_of="2026-03-31")

What an embedding needs is here. Questions live in `salesflow.projections`, one module each;
errors in `salesflow.errors`; the facts in `salesflow.domain`. A name is imported when it is
first used, so that whoever wants the errors alone does not load a database.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from salesflow.domain.customer import Customer
    from salesflow.domain.deal import Deal, QuoteLine
    from salesflow.domain.moments import Moment
    from salesflow.domain.processes import ProcessVersion, SalesProcess, Stage
    from salesflow.domain.reps import Rep
    from salesflow.domain.standard import STANDARD
    from salesflow.domain.teams import Team
    from salesflow.domain.values import Money
    from salesflow.engine import ForeignFact, Reactor, SalesFlow, Session
    from salesflow.errors import SalesflowError

__all__ = [
    "STANDARD",
    "Customer",
    "Deal",
    "ForeignFact",
    "Moment",
    "Money",
    "ProcessVersion",
    "QuoteLine",
    "Reactor",
    "Rep",
    "SalesFlow",
    "SalesProcess",
    "SalesflowError",
    "Session",
    "Stage",
    "Team",
]

_HOMES = {
    "STANDARD": "domain.standard",
    "Customer": "domain.customer",
    "Deal": "domain.deal",
    "ForeignFact": "engine",
    "Moment": "domain.moments",
    "Money": "domain.values",
    "ProcessVersion": "domain.processes",
    "QuoteLine": "domain.deal",
    "Reactor": "engine",
    "Rep": "domain.reps",
    "SalesFlow": "engine",
    "SalesProcess": "domain.processes",
    "SalesflowError": "errors",
    "Session": "engine",
    "Stage": "domain.processes",
    "Team": "domain.teams",
}

if not TYPE_CHECKING:  # so that a type checker still refuses a name that is not there

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{home}"), name)

    def __dir__() -> list[str]:
        return __all__
