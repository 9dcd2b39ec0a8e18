"""Every metric at any moment, in any spans, for anybody, is what a naive replay says."""

from collections.abc import Callable
from datetime import date
from fractions import Fraction
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.metrics import AT_STAGE, metrics_in
from oracle.periods import period_of
from properties.effort import TALLY, examples
from properties.histories import Told, When
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.readable import shown
from properties.test_kpis_of_customers import dealings
from properties.world import STAGES, at, customer_id
from salesflow.domain.metric import METRICS
from salesflow.domain.time import Moment
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.question import Question, Reader, View, span_of
from salesflow.projections.metrics import kpi_rows, stage_figures
from salesflow.projections.metrics.metric_values import METRIC_FOLDS, Measurement
from salesflow.projections.scope import By, MetricScope

Mistake = Callable[[pytest.MonkeyPatch], None]
Days = tuple[date, date]
Asked = tuple[tuple[Days, ...], str | None, dict[str, Any], str]
"""Spans, by what, of whom, and a stage."""
NEAR = Fraction(1, 10**18)
THEMES = (
    ("won", "won", "repeat", "repeat", "customer", "joined"),
    ("won", "lost", "reopened", "merged", "unmerged"),
    ("contact", "contact", "feedback", "owner", "moved"),
    ("moved", "moved", "moved", "owner", "customer"),
)
SPANS: tuple[tuple[Days, ...], ...] = (
    ((date(2023, 12, 1), date(2025, 1, 1)),),
    ((date(2024, 1, 1), date(2024, 1, 5)), (date(2023, 12, 31), date(2024, 2, 1))),
    (
        (date(2024, 1, 2), date(2024, 1, 20)),
        (date(2024, 1, 1), date(2024, 4, 1)),
        (date(2024, 1, 20), date(2024, 4, 1)),
        (date(2024, 1, 2), date(2024, 1, 20)),
    ),
)
SCOPES: tuple[dict[str, Any], ...] = (
    *({}, {}, {}),
    {"owner": "ann"},
    {"team": "east"},
    {"team": "east", "channel": "web"},
    {"customer": str(customer_id(1))},
    {"process": "standard", "channel": "fair"},
)


class Measured(View):
    """What was measured, as it is."""

    population: ClassVar[str] = "everything"
    formula: ClassVar[str] = "as the metric has it"
    figures: tuple[Any, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay nothing out."""
        del language
        return []


class Measure(Question[Measured]):
    """What do some metrics come to?"""

    name: ClassVar[str] = "measure"
    folds: ClassVar[tuple[str, ...]] = METRIC_FOLDS
    metrics: tuple[str, ...]
    spans: tuple[Days, ...]
    by: By | None
    scope: Any

    def answer(self, reader: Reader, moment: Moment) -> Measured:
        """Measure them all in one pass."""
        spans = [span_of(first, _before(after), reader) for first, after in self.spans]
        measured = Measurement(reader, spans, self.scope, by=self.by)
        return Measured(
            moment=moment, figures=tuple((each, *measured.of(each)) for each in self.metrics)
        )


def _before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)


def plain(metric: str, figure: Any) -> Any:  # noqa: ANN401 - a figure
    if METRICS[metric].unit == "money":
        return {total.currency: total.amount for total in figure.amounts}
    return figure.value


def nothing(metric: str) -> Any:  # noqa: ANN401 - a figure
    if METRICS[metric].unit == "money":
        return {}
    return 0 if METRICS[metric].unit == "count" else None


def near(wanted: Any, found: Any) -> bool:  # noqa: ANN401 - figures
    if isinstance(wanted, dict):
        return bool(wanted.keys() == found.keys()) and all(
            near(wanted[k], found[k]) for k in wanted
        )
    if None in (wanted, found):
        return wanted is found
    wanted, found = Fraction(wanted), Fraction(found)
    return bool(abs(wanted - found) <= NEAR * (1 + abs(wanted)))


def check(url: str, history: list[Act], moments: list[Pick], asked: Asked) -> None:
    days, by, scope, stage = asked
    with Player(url) as player:
        player.play_all(history)
        raw = raw_log(player.flow)
        last = max(max(event["recorded"], event["occurred"]) for event in raw)
        for as_of, known_at in (*(moment_of(pick, raw) for pick in moments), (last, last)):
            for at_stage in (None, stage):
                ask_and_compare(player, raw, (as_of, known_at), (days, by, scope, at_stage))


def ask_and_compare(player: Player, raw: Any, moment: Any, asked: Any) -> None:  # noqa: ANN401
    (as_of, known_at), (days, by, scope, stage) = moment, asked
    metrics = AT_STAGE if stage else tuple(m for m in METRICS if m not in AT_STAGE)
    of = {name: it for name, it in scope.items() if name != "customer"}
    if "customer" in scope:
        of["customer"] = customer_id(1)
    question = Measure(metrics=metrics, spans=days, by=by, scope=MetricScope(**of, stage=stage))
    view = player.flow.ask(question, as_of=at(as_of), known_at=at(known_at))
    for number, (first, after) in enumerate(days):
        span, of = period_of(first, after, as_of), {**scope, "stage": stage}
        wanted = metrics_in(raw, metrics, span, moment, by=by, scope=of)
        for metric, *figures in view.figures:
            found = {each.group: each for each in figures if each.span == number}
            for group, (value, n) in wanted[metric].items():
                figure = found.get(group)
                said = nothing(metric) if figure is None else plain(metric, figure)
                TALLY[f"{metric} measured"] += value not in (0, None, {})
                where = (metric, number, group, as_of, known_at, shown(raw))
                assert near(value, said), where
                rests_on = 0 if figure is None else figure.n
                assert n in (None, rests_on), where


def sold_again() -> st.SearchStrategy[list[Act]]:
    """Draw a win that is taken back and told again, with another owner or other shares."""
    n, between = st.integers(0, 59), ("owner", "owner", "joined", "left", "repeat", "customer")
    when = st.builds(When, st.sampled_from(("with", "with-", "with+")), st.integers(0, 3))
    changes = st.lists(st.tuples(st.sampled_from(between), n, when), min_size=1, max_size=3)

    def history(first: int, others: list[int], told_between: list[Any]) -> list[Act]:
        joined, won = others
        again = Told(0, "won", won, When("with", len(others)))
        told = [
            *(Told(0, "opened", first), Told(0, "joined", joined), Told(0, "won", won)),
            *(Told(0, "retract", 0), *(Told(0, *each) for each in told_between), again),
        ]
        return [Act("append", 2, (each,)) for each in told]

    return st.builds(history, n, st.lists(n, min_size=2, max_size=2), changes)


PLAYED = acts(3, least=10, most=24, themes=THEMES, customers=2, reps=2)
HISTORIES = st.one_of(PLAYED, dealings())
ASKED = st.tuples(
    st.sampled_from(SPANS),
    st.sampled_from((None, None, "rep", "team", "customer", "channel", "process")),
    st.sampled_from(SCOPES),
    st.sampled_from(STAGES[:4]),
)


@examples(7)
@given(
    history=HISTORIES,
    moments=picks(least=1, most=1),
    asked=ASKED,
)
def test_a_metric_of_any_moment_is_what_a_naive_replay_says(
    database_url: str, history: list[Act], moments: list[Pick], asked: Asked
) -> None:
    check(database_url, history, moments, asked)


def forgets_who_paid(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kpi_rows, "BOOKED", kpi_rows.CLOSED._replace(at="credited", rep="process"))


def counts_what_goes_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stage_figures, "CENSORING", ("advanced",))


@pytest.mark.parametrize("mistake", [forgets_who_paid, counts_what_goes_on])
def test_metrics_measured_with_a_mistake_would_be_noticed(
    sqlite_url: str, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        metrics_agree(sqlite_url)


@examples(40, shrink=False)
@given(
    history=HISTORIES,
    moments=picks(least=1, most=1),
    asked=ASKED,
)
def metrics_agree(url: str, history: list[Act], moments: list[Pick], asked: Asked) -> None:
    check(url, history, moments, asked)


SOLD_IN: Asked = (SPANS[0], "rep", {}, STAGES[0])


@examples(3)
@given(history=sold_again())
def test_a_win_that_is_taken_back_and_told_again_is_counted_once(
    database_url: str, history: list[Act]
) -> None:
    check(database_url, history, [], SOLD_IN)


def test_sales_that_are_netted_by_their_looks_would_be_noticed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kpi_rows, "ALIKE", kpi_rows.ALIKE[1:])
    with pytest.raises(AssertionError):
        wins_told_again_agree(sqlite_url)


@examples(40, shrink=False)
@given(history=sold_again())
def wins_told_again_agree(url: str, history: list[Act]) -> None:
    check(url, history, [], SOLD_IN)
