"""Alerts: what can be watched, and that one state is told of once."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

from given import opened
from questions.shop import Shop, deal_id, shop
from salesflow import STANDARD, Alert, Alerts, Deal, Reactor, SalesFlow
from salesflow.domain.alert import AlertEvidence, AlertRaised, WatchedFigure, alert_id
from salesflow.domain.deal.outcomes import DealWon
from salesflow.engine.alerts import alert_reactor, evaluate_alerts, watched_figure
from salesflow.errors import InputError, NotFoundError, RuleError

OPEN = WatchedFigure(question="deal-health", parameters="{}", figure="open_deals")
DAY = date(2026, 1, 1)


@pytest.fixture
def books() -> Iterator[Shop]:
    with shop() as found:
        yield found


def define(books: Shop, key: str = "open", threshold: str = "1", **more: object) -> None:
    watched = watched_figure(books.flow, "deal-health", "open_deals")
    given = {"watched": watched, "condition": "above", "threshold": threshold, **more}
    with books.flow.session(actor="ann") as session:
        session.add(Alert.define(key, **given))  # type: ignore[arg-type]


def kinds(books: Shop, key: str = "open") -> list[str]:
    return [event.fact.kind for event in books.flow.history(alert_id(key))]


def test_an_alert_is_raised_once_for_one_state_and_cleared_when_it_ends(books: Shop) -> None:
    define(books)
    books.tell(1, ("2026-03-01", opened())).tell(2, ("2026-03-01", opened()))
    assert [each.changed for each in evaluate_alerts(books.flow)] == [True]
    assert [each.changed for each in evaluate_alerts(books.flow)] == [False]
    books.turn("2026-06-02").tell(2, ("2026-06-01", DealWon()))
    evaluate_alerts(books.flow)
    assert kinds(books) == ["alert.defined", "alert.raised", "alert.cleared"]
    [line] = books.flow.ask(Alerts()).alerts
    assert (line.state, line.found, line.raised_times) == ("clear", Decimal(1), 1)


def test_what_was_raised_then_is_raised_then_for_ever(books: Shop) -> None:
    define(books)
    books.tell(1, ("2026-03-01", opened())).tell(2, ("2026-03-01", opened()))
    evaluate_alerts(books.flow)
    then = books.flow.ask(Alerts())
    assert then.raised == 1
    assert then.history[0].found == 2
    books.turn("2026-06-02").retract(
        next(e for e in books.flow.history(alert_id("open")) if isinstance(e.fact, AlertRaised))
    )
    assert books.flow.ask(Alerts()).raised == 0
    assert books.flow.ask(Alerts(), at=then.moment) == then


def test_a_change_since_the_last_evaluation_is_one_since_the_figure_found_then(
    books: Shop,
) -> None:
    define(books, condition="rose_by", threshold="1")
    evaluate_alerts(books.flow)
    for number in (1, 2):
        books.tell(number, ("2026-03-01", opened()))
    assert evaluate_alerts(books.flow)[0].raised
    assert not evaluate_alerts(books.flow)[0].raised, "it rose no further"
    assert kinds(books)[1:] == ["alert.evaluated", "alert.raised", "alert.cleared"]


def test_a_change_since_some_days_ago_is_asked_of_both_days(books: Shop) -> None:
    define(books, condition="rose_by", threshold="0", days=30)
    books.tell(1, ("2026-03-01", opened())).tell(2, ("2026-05-20", opened()))
    [found] = evaluate_alerts(books.flow)
    assert found.raised
    assert found.evidence is not None
    assert (found.evidence.figure, found.evidence.compared) == (Decimal(2), Decimal(1))


@pytest.mark.parametrize(
    ("question", "figure", "said"),
    [
        (
            "deal-helth",
            "open_deals",
            "there is no question 'deal-helth'; there are .*deal-health",
        ),
        ("deal-health", "open_dealz", "no figure 'open_dealz'; perhaps open_deals; there are"),
        ("deal-health", "counts.deals", "names no row; perhaps counts.reason=stalled..deals"),
        ("deal-health", "counts[reason=stalled]", "is no number"),
        ("deal-health", "open_deals[reason=stalled]", "has no rows"),
        ("deal-health", "counts[reason]deals", "is no name of a figure"),
        ("funnel", "moment.position", "there is no figure"),
    ],
)
def test_what_cannot_be_watched_is_refused_with_what_there_is(
    books: Shop, question: str, figure: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        watched_figure(books.flow, question, figure)


def test_a_figure_of_a_row_is_named_by_its_keys(books: Shop) -> None:
    books.tell(1, ("2026-03-01", opened(expected_close=date(2026, 3, 9))))
    watched = watched_figure(
        books.flow, "deal-health", "counts[reason=overdue].deals", pushes=3
    )
    assert watched.parameters == '{"pushes": 3}'
    with books.flow.session() as session:
        session.add(Alert.define("late", watched=watched, condition="above", threshold="0"))
    [found] = evaluate_alerts(books.flow, only="late")
    assert found.raised


ROW = "lines[group=null].win_rate.value"


def test_a_plain_name_suggests_the_figure_that_has_it_by_the_rows_there_are(
    books: Shop,
) -> None:
    with pytest.raises(InputError, match=r"perhaps lines\[group=null\].win_rate.value, "):
        watched_figure(books.flow, "kpis", "win_rate")


def test_every_figure_that_is_suggested_can_be_watched(books: Shop) -> None:
    books.tell(1, ("2026-03-01", opened(expected_close=date(2026, 3, 9))))
    for question in ("kpis", "funnel", "deal-health", "feedback"):
        with pytest.raises(InputError) as refused:
            watched_figure(books.flow, question, "nothing_of_the_kind")
        there = re.split("; there are | and [0-9]+ more", str(refused.value))[1]
        for path in re.split(r", (?![^\[]*\])", there.removesuffix(", as --json prints them")):
            if "…" not in path:
                assert watched_figure(books.flow, question, path).figure == path


def test_null_is_the_row_that_json_prints_so(books: Shop) -> None:
    books.tell(1, ("2026-03-01", opened()), ("2026-05-02", DealWon()))
    watched = watched_figure(books.flow, "kpis", ROW, from_=DAY, to=date(2026, 6, 1))
    with books.flow.session() as session:
        session.add(Alert.define("rate", watched=watched, condition="above", threshold="0.9"))
    [found] = evaluate_alerts(books.flow)
    assert (found.raised, found.problem) == (True, None)


@pytest.mark.parametrize(
    ("question", "figure", "said"),
    [
        ("funnel", "stages[stage=demox].deals", "there is no stage 'demox'"),
        ("funnel", "stages[process=nope,stage=x].deals", "there is no process 'nope'"),
        ("kpis", "lines[group=banana].orders", "with the parameter by alone"),
        ("kpis", "lines[first=soon].orders", "'soon' .* is no day"),
    ],
)
def test_a_row_that_no_answer_can_have_is_refused(
    books: Shop, question: str, figure: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        watched_figure(books.flow, question, figure)


def test_a_row_that_is_not_there_is_a_problem_and_never_clear(books: Shop) -> None:
    watched = watched_figure(books.flow, "kpis", "lines[group=nroth].orders", by="team")
    with books.flow.session() as session:
        session.add(Alert.define("few", watched=watched, condition="below", threshold="5"))
    [found] = evaluate_alerts(books.flow)
    assert found.problem is not None
    assert "'lines' has no row group=nroth now" in found.problem


@pytest.mark.parametrize("condition", ["below", "fell_by"])
def test_a_threshold_that_no_share_can_pass_is_refused(books: Shop, condition: str) -> None:
    watched = watched_figure(books.flow, "kpis", ROW)
    with (
        pytest.raises(InputError, match=r"write 0\.5 for 50%"),
        books.flow.session() as session,
    ):
        given = {"watched": watched, "condition": condition, "threshold": "50"}
        session.add(Alert.define("rate", **given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("figure", "condition", "threshold", "said"),
    [
        (
            "lines[group=null].orders",
            "below",
            "-5",
            "a count: it never is below -5; .* such as 1",
        ),
        ("lines[group=null].orders", "below", "0", "it never is below 0"),
        ("lines[group=null].orders", "above", "-1", "it always is above -1"),
        (ROW, "below", "0", "a share: it never is below 0"),
        (ROW, "above", "1", "of at most 1: it never is above 1"),
        (ROW, "fell_by", "1", "it never falls by more than 1"),
    ],
)
def test_a_condition_that_is_never_met_or_always_is_refused(
    books: Shop, figure: str, condition: str, threshold: str, said: str
) -> None:
    watched = watched_figure(books.flow, "kpis", figure)
    given = {"watched": watched, "condition": condition, "threshold": threshold}
    with pytest.raises(InputError, match=said), books.flow.session() as session:
        session.add(Alert.define("rate", **given))  # type: ignore[arg-type]


def test_a_change_since_some_days_is_told_in_the_language_asked_for(books: Shop) -> None:
    define(books, condition="rose_by", threshold="0", days=30)
    for language, said in (("en", "/ 30 days"), ("zh", "/ 30 天")):
        [alerts] = books.flow.ask(Alerts()).tables(language)  # type: ignore[arg-type]
        assert said in alerts.rows[0][5]


def test_a_sum_may_be_below_nothing_and_a_count_at_it(books: Shop) -> None:
    money = watched_figure(books.flow, "kpis", "lines[group=null].sales[currency=CNY].amount")
    count = watched_figure(books.flow, "kpis", "lines[group=null].orders")
    with books.flow.session() as session:
        for key, watched, threshold in (("a", money, "-5"), ("b", count, "1")):
            session.add(
                Alert.define(key, watched=watched, condition="below", threshold=threshold)
            )
    assert [each.raised for each in evaluate_alerts(books.flow)] == [False, True]


def test_a_wrong_parameter_is_refused_as_the_question_refuses_it(books: Shop) -> None:
    with pytest.raises(InputError, match="DealHealth: pushes"):
        watched_figure(books.flow, "deal-health", "open_deals", pushes=0)


def test_an_alert_whose_question_cannot_be_answered_says_so_and_stays(books: Shop) -> None:
    books.tell(1, ("2026-03-01", opened()))
    watched = watched_figure(books.flow, "deal-health", "open_deals", deal=str(deal_id(1)))
    with books.flow.session() as session:
        session.add(Alert.define("mine", watched=watched, condition="above", threshold="0"))
    assert evaluate_alerts(books.flow)[0].raised
    books.tell(1, ("2026-03-09", DealWon()))
    [found] = evaluate_alerts(books.flow)
    assert found.raised
    assert "is won at that moment" in (found.problem or "")


def test_a_retired_alert_is_neither_evaluated_nor_revised(books: Shop) -> None:
    define(books)
    with books.flow.session() as session:
        session.get(Alert, alert_id("open")).retire(because="nobody looks")
    assert evaluate_alerts(books.flow) == []
    assert books.flow.ask(Alerts()).alerts == ()
    assert [each.state for each in books.flow.ask(Alerts(state="retired")).alerts] == [
        "retired"
    ]
    with (
        books.flow.session() as session,
        pytest.raises(RuleError, match="is retired and cannot be revised"),
    ):
        session.get(Alert, alert_id("open")).revise(because="more", threshold="5")


def test_a_revised_alert_begins_anew(books: Shop) -> None:
    define(books)
    for number in (1, 2):
        books.tell(number, ("2026-03-01", opened()))
    evaluate_alerts(books.flow)
    with books.flow.session() as session:
        session.get(Alert, alert_id("open")).revise(because="grown", threshold="5")
    assert books.flow.ask(Alerts()).raised == 0
    assert not evaluate_alerts(books.flow)[0].raised


def test_days_belong_to_changes_and_a_change_is_not_below_nothing() -> None:
    with pytest.raises(InputError, match="leave them out for above"):
        Alert.define("x", watched=OPEN, condition="above", threshold="1", days=3)
    with pytest.raises(InputError, match="not below 0"):
        Alert.define("x", watched=OPEN, condition="fell_by", threshold="-1")


def test_an_undefined_figure_meets_no_condition(books: Shop) -> None:
    define(books, condition="below", threshold="5")
    nothing = AlertEvidence.model_validate(
        {"as_of": "2026-05-01T00:00:00Z", "known_at": "2026-05-01T00:00:00Z", "position": 1}
    )
    with books.flow.session() as session:
        assert not session.get(Alert, alert_id("open")).evaluate(nothing)


def test_an_alert_that_is_not_there_is_named_with_those_that_are(books: Shop) -> None:
    define(books)
    with pytest.raises(NotFoundError, match="there is no alert 'opn' then; there are open"):
        books.flow.ask(Alerts(alert="opn"))


def test_a_reactor_raises_with_the_fact_and_never_again_for_a_replay(sqlite_url: str) -> None:
    flows: list[SalesFlow] = []
    with SalesFlow(sqlite_url, reactors=[alert_reactor(lambda: flows[0])]) as flow:
        flows.append(flow)
        watched = watched_figure(flow, "deal-health", "open_deals")
        with flow.session(actor="ann") as session:
            session.add(Alert.define("open", watched=watched, condition="above", threshold="0"))
            session.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        flow.reactors.catch_up()
        assert flow.ask(Alerts()).raised == 1
        before = flow.log.head().position
        flow.rebuild()
        flow.reactors.catch_up()
        assert flow.log.head().position == before, "nothing was told once more"


def test_a_reactor_of_alerts_does_not_listen_to_what_it_records() -> None:
    reactor: Reactor = alert_reactor(lambda: pytest.fail("not asked"))
    assert not set(reactor.facts) & set(Alert.facts)
