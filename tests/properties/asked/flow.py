"""The flow of the pipeline, and what a naive replay says of it."""

from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.flows import flow_at
from oracle.periods import period_of
from properties.asked.case import About, Case, exchange_for, with_rates
from properties.asked.periods import periods
from salesflow.projections.pipeline.flow import (
    Flow,
    FlowAccount,
    FlowFigures,
    FlowMovement,
    FlowView,
)

__all__ = ["CASE"]

SCOPES: tuple[dict[str, Any], ...] = (
    {},
    {"owner": "ann"},
    {"by": "stage"},
    {"by": "owner"},
    {"by": "forecast_category"},
    {"by": "team"},
    {"by": "team", "process": "standard"},
    {"team": "east"},
    {"team": "south", "by": "stage"},
    {"team": "west", "by": "owner", "closes_from": "2024-01-15"},
    {"by": "team", "outcome": "won"},
    {"forecast_category": "pipeline", "by": "owner"},
    {"by": "process", "currency": "CNY"},
    {"outcome": "won"},
    {"outcome": "merged"},
    {"process": "standard", "stage": "prospecting"},
    {"closes_from": "2024-02-01"},
    {"closes_from": "2024-01-15", "closes_before": "2024-06-30", "owner": "bob"},
)


def asked() -> st.SearchStrategy[Flow]:
    """Draw a flow to ask for."""
    return st.builds(
        lambda period, scope, then, rates: Flow.model_validate(
            {"from_": period[0], "to": period[1], **scope, "as_known_then": then, **rates}
        ),
        periods(),
        st.sampled_from(SCOPES),
        st.booleans(),
        with_rates("period_end"),
    )


def said(view: FlowView) -> dict[tuple[Any, Any], Any]:
    """Write a flow as the oracle does."""
    return {
        (_group(account), account.currency): {
            "opening": _figures(account.opening),
            "closing": _figures(account.closing),
            "movements": {
                **{each.kind: _movement(each) for each in account.movements},
                **(
                    {"restated": _movement(account.restated)} if account.restated.events else {}
                ),
            },
        }
        for account in view.accounts
    }


def wanted(raw: list[Raw], question: Flow, as_of: int, known_at: int) -> dict[Any, Any]:
    """Ask the oracle."""
    scope = question.model_dump(mode="json")
    scope["category"] = scope.pop("forecast_category")
    if scope["by"] == "forecast_category":
        scope["by"] = "category"
    period = period_of(question.from_, question.to, as_of)
    if question.report_currency is not None:
        exchange = exchange_for(raw, question, as_of, known_at)
        scope |= {"exchange": exchange, "end": period[1] - 1}
    books = flow_at(
        raw,
        as_of,
        known_at,
        period=period,
        scope=scope,
        as_known_then=question.as_known_then,
    )
    return books if question.report_currency is None else _rounded(books)


def _rounded(books: dict[Any, Any]) -> dict[Any, Any]:
    """Let amounts differ a little, which are rounded leg by leg here and line by line there."""
    return {
        key: {
            "opening": _about(book["opening"]),
            "closing": _about(book["closing"]),
            "movements": {
                kind: (_about(sums), events)
                for kind, (sums, events) in book["movements"].items()
            },
        }
        for key, book in books.items()
    }


def _about(sums: tuple[Any, ...]) -> tuple[Any, ...]:
    deals, amount, weighted = sums
    return deals, About(amount), About(weighted)


def _group(account: FlowAccount) -> object:
    of_process = account.process is not None
    return (account.process, account.group) if of_process else account.group


def _figures(figures: FlowFigures) -> tuple[Any, ...]:
    return figures.deals, figures.amount, figures.weighted


def _movement(movement: FlowMovement) -> tuple[tuple[Any, ...], list[str]]:
    return _figures(movement), sorted(str(event) for event in movement.events)


CASE = Case(asked(), said, wanted)
