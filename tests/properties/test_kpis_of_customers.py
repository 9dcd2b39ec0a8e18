"""Figures about customers where much is told of them: every answer is that of a naive replay.

The histories of all questions seldom sell twice to one customer, or talk to one. Here little
else is told; what is checked is the same.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.asked.kpis import CASE
from properties.customers import CUSTOMER_WORDS
from properties.effort import TALLY, examples
from properties.histories import Told, told
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import DELTAS, FIRST_CUSTOMER, at
from salesflow.projections.metrics import kpi_figures as kpi_contacts
from salesflow.projections.metrics import kpi_figures as kpi_orders
from salesflow.projections.metrics import kpi_rows as kpi_velocity
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.scope import Customers

Mistake = Callable[[pytest.MonkeyPatch], None]
DEALS, CUSTOMERS = 4, 2
TEN_DAYS = 7
WHOLE = {"from_": date(2023, 12, 1), "to": date(2025, 1, 1)}
THEMES = (
    ("won", "won", "repeat", "repeat", "customer"),
    ("won", "lost", "reopened", "merged", "repeat"),
    ("contact", "contact", "contact", "owner"),
    ("feedback",),
    ("won", "moved", "moved", "moved"),
)
"""Words about orders, talks, satisfaction and the pace of the pipeline: each has its turn."""


def dealings() -> st.SearchStrategy[list[Act]]:
    """Draw what is told of deals that were opened and of customers that were registered."""
    how, gaps = st.sampled_from(("record", "append")), st.integers(0, len(DELTAS) - 1)
    numbers = (*range(DEALS), *range(FIRST_CUSTOMER, FIRST_CUSTOMER + CUSTOMERS))
    opening = st.tuples(*(st.integers(0, 59) for _ in numbers)).map(
        lambda found: (
            [
                Act("append", 2, (Told(number, "opened", n),))
                for number, n in zip(numbers, found, strict=True)
            ]
            + [Act("append", TEN_DAYS, ())] * 2
        )
    )
    of_customers = st.lists(told(CUSTOMERS, CUSTOMER_WORDS), min_size=1, max_size=2).map(
        lambda found: tuple(each._replace(deal=FIRST_CUSTOMER + each.deal) for each in found)
    )
    of_deals = (
        st.lists(told(DEALS, words), min_size=3, max_size=6).map(tuple) for words in THEMES
    )
    turns = (*of_deals, of_customers, of_customers)
    rest = st.tuples(*(st.builds(Act, how, gaps, each) for each in turns)).flatmap(
        st.permutations
    )
    return st.tuples(opening, rest).map(lambda parts: [*parts[0], *parts[1]])


def check(
    url: str, history: list[Act], moments: Sequence[Pick], questions: Sequence[Kpis]
) -> Counter[str]:
    """Compare answers at some moments, the end among them; say which figures were there."""
    found: Counter[str] = Counter()
    with Player(url) as player:
        player.play_all(history)
        raw = raw_log(player.flow)
        last = max(max(event["recorded"], event["occurred"]) for event in raw)
        asked = [(last, last), *((moment_of(pick, raw)[0], last) for pick in moments)]
        asked = [*(moment_of(pick, raw) for pick in moments), *asked]
        for (as_of, known_at), question in zip(asked, questions, strict=True):
            TALLY["figures about customers asked"] += 1
            wanted = CASE.wanted(raw, question, as_of, known_at)
            view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
            assert CASE.said(view) == wanted, (question, as_of, known_at, shown(raw))
            for _, __, line in wanted["lines"]:
                found.update(name for name, there in figures(line).items() if there)
    return found


def figures(line: dict[str, Any]) -> dict[str, bool]:
    """Say which figures of a line there are."""
    return {
        "new customers": line["new_customers"] > 0,
        "customers who came back": line["buyers"][1] > 0,
        "contacts": line["follow_ups"][0] > 0,
        "first responses": line["first_response"] is not None,
        "satisfaction": line["csat"] is not None,
        "velocity": line["velocity"][0] > 0 and bool(line["velocity"][4]),
    }


BY = st.sampled_from((None, None, None, "rep", "team", "customer", "channel", "process"))
OF_ALL = BY.map(lambda by: Kpis.model_validate(WHOLE | {"by": by}))
OF_NO_TEAM = CASE.questions.map(lambda it: it.model_copy(update={"team": None}))
ASKED = (dealings(), picks(least=1, most=1), st.tuples(OF_NO_TEAM, OF_ALL, OF_ALL))


def test_figures_about_customers_are_those_of_a_naive_replay(database_url: str) -> None:
    there: Counter[str] = Counter()

    @examples(60, shrink=False)
    @given(*ASKED)
    def agree(history: list[Act], moments: list[Pick], questions: Sequence[Kpis]) -> None:
        there.update(check(database_url, history, moments, questions))

    agree()
    assert len(there) == 6, f"of the others this property says nothing: {there}"
    assert min(there.values()) >= 2, there


def _nobody_is_merged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Customers, "survivors", lambda _, entries: entries)


def _everybody_is_new(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Customers, "are_new", lambda _, them, *__: np.ones(len(them), np.bool_))


def _one_order_is_enough(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kpi_orders, "AGAIN", 1)


def _two_is_satisfied(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kpi_contacts, "TOP_BOX", 2)


def _every_open_deal_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kpi_velocity, "_qualifies", lambda *_: True)


@pytest.mark.parametrize(
    "mistake",
    [
        _nobody_is_merged,
        _everybody_is_new,
        _one_order_is_enough,
        _two_is_satisfied,
        _every_open_deal_counts,
    ],
)
def test_figures_with_a_mistake_in_them_would_be_noticed(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    mistake(monkeypatch)

    @examples(100, shrink=False)
    @given(*ASKED)
    def agree(history: list[Act], moments: list[Pick], questions: Sequence[Kpis]) -> None:
        check(sqlite_url, history, moments, questions)

    with pytest.raises(AssertionError):
        agree()
