"""What was sold of a product, at any moment and for anybody, is what a naive replay says."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.metrics import metrics_in
from oracle.periods import period_of
from properties.effort import TALLY, examples
from properties.histories import Told, told
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player
from properties.raw_log import raw_log
from properties.readable import shown
from properties.test_metrics import SPANS, Days, Measure, nothing, plain
from properties.world import DELTAS, at
from salesflow.domain.deal.quotes import product_parts
from salesflow.projections.folds import product_booking
from salesflow.projections.scope import By, MetricScope

Asked = tuple[tuple[Days, ...], By | None, dict[str, Any]]
METRICS_OF_PRODUCTS = ("sales", "won")
THEMES = (
    ("lines", "lines", "won", "won", "joined"),
    ("quoted", "quote_accepted", "cheapened", "quote_accepted", "won"),
    ("won", "amended", "refund", "repeat", "lost", "reopened"),
    ("merged", "unmerged", "won", "owner", "lines"),
)
PRODUCTS = ("p0", "p1", "c0")
SCOPES: tuple[dict[str, Any], ...] = ({}, {}, {"owner": "ann"}, {"channel": "web"})
FEW_MILLIONTHS = Fraction(1, 10**3)
"""Parts are whole millionths, and rates may make much of some of them."""


def check(url: str, history: list[Act], moments: list[Pick], asked: Asked) -> None:
    with Player(url) as player:
        player.play_all(history)
        raw = raw_log(player.flow)
        last = max(max(event["recorded"], event["occurred"]) for event in raw)
        for moment in (*(moment_of(pick, raw) for pick in moments), (last, last)):
            compare(player, raw, moment, asked)


def compare(player: Player, raw: Any, moment: Any, asked: Asked) -> None:  # noqa: ANN401
    (as_of, known_at), (days, by, scope) = moment, asked
    question = Measure(
        metrics=METRICS_OF_PRODUCTS, spans=days, by=by, scope=MetricScope(**scope)
    )
    view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
    for number, (first, after) in enumerate(days):
        span = period_of(first, after, as_of)
        wanted = metrics_in(raw, METRICS_OF_PRODUCTS, span, moment, by=by, scope=scope)
        for metric, *figures in view.figures:
            found = {each.group: each for each in figures if each.span == number}
            of = {group: plain(metric, each) for group, each in found.items()}
            for group in {*wanted[metric], *of}:
                value = wanted[metric].get(group, (nothing(metric), 0))[0]
                said = of.get(group, nothing(metric))
                TALLY[f"{metric} of a product"] += value not in (0, {})
                where = (metric, number, group, as_of, known_at, scope, shown(raw))
                assert near(value, said), (value, said, where)


def near(wanted: Any, found: Any) -> bool:  # noqa: ANN401 - figures
    if not isinstance(wanted, dict):
        return bool(wanted == found)
    return all(
        abs(Fraction(wanted.get(currency, 0)) - Fraction(found.get(currency, 0)))
        <= FEW_MILLIONTHS
        for currency in {*wanted, *found}
    )


DEALS = 2


def sold() -> st.SearchStrategy[list[Act]]:
    """Draw what is told of deals that were opened, offered, agreed and won, in any order."""
    number, gaps = st.sampled_from(range(60)), st.integers(0, len(DELTAS) - 1)

    def begun(found: list[tuple[int, int, int, bool]]) -> list[Act]:
        acts = []
        for deal, (opened, n, won, agreed) in enumerate(found):
            lines = ("lines",) if agreed else ("offered", "quote_accepted")
            told_of = (Told(deal, word, n) for word in (*lines, "forecast"))
            acts += [
                Act("append", 2, (Told(deal, "opened", opened),)),
                Act("append", 2, (*told_of, Told(deal, "joined", n))),
                Act("append", 2, (Told(deal, "won", won),)),
            ]
        return acts

    each = st.tuples(number, number, number, st.booleans())
    opening = st.tuples(*[each] * DEALS).map(list).map(begun)
    turns = (
        st.builds(
            Act,
            st.just("append"),
            gaps,
            st.lists(told(DEALS, words), min_size=1, max_size=4).map(tuple),
        )
        for words in THEMES
    )
    rest = st.tuples(*turns).flatmap(st.permutations)
    return st.tuples(opening, rest).map(lambda parts: [*parts[0], *parts[1]])


HISTORIES = sold()
ASKED = st.tuples(
    st.sampled_from(SPANS[:2]),
    st.sampled_from((None, "rep", "team")),
    st.tuples(st.sampled_from(SCOPES), st.sampled_from(PRODUCTS)).map(
        lambda of: {**of[0], "product": of[1]}
    ),
)


@examples(7)
@given(history=HISTORIES, moments=picks(least=1, most=1), asked=ASKED)
def test_sales_of_a_product_at_any_moment_are_what_a_naive_replay_says(
    database_url: str, history: list[Act], moments: list[Pick], asked: Asked
) -> None:
    check(database_url, history, moments, asked)


def test_sales_of_a_product_shared_out_with_a_mistake_would_be_noticed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evenly(lines: Any) -> dict[str, Fraction]:  # noqa: ANN401 - lines
        parts = product_parts(lines)
        return dict.fromkeys(parts, Fraction(1, len(parts))) if parts else {}

    monkeypatch.setattr(product_booking, "product_parts", evenly)
    with pytest.raises(AssertionError):
        sales_agree(sqlite_url)


@examples(40, shrink=False)
@given(history=HISTORIES, moments=picks(least=1, most=1), asked=ASKED)
def sales_agree(url: str, history: list[Act], moments: list[Pick], asked: Asked) -> None:
    check(url, history, moments, asked)
