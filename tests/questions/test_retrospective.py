"""Two quarters looked back on, worked out by hand."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import pytest

from given import PLAIN, cny, line, opened
from questions.shop import WORKED_EXAMPLE, Shop, deal_id, shop, told
from salesflow import Money
from salesflow.domain.deal.after_sales import FeedbackReceived
from salesflow.domain.deal.billing import ForecastGiven, LineItemsAgreed
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import DealMigrated, StageMoved
from salesflow.domain.event import Fact
from salesflow.domain.process import ProcessVersion, Stage
from salesflow.domain.rep import Rep, rep_id
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.review.retrospective import Retrospective, RetrospectiveView
from salesflow.projections.review.retrospective_figures import FigureMoved

FIRST_QUARTER = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}
SECOND_QUARTER = {"from_": date(2026, 4, 1), "to": date(2026, 7, 1)}


def _stage(key: str, days: int | None) -> Stage:
    given = {"key": key, "name_en": key.upper(), "name_zh": f"阶段{key}"}
    return Stage.model_validate({**given, "probability": "0.5", "max_days": days})


TIMED = ProcessVersion(
    key="timed",
    name_en="Timed",
    name_zh="限时流程",
    stages=(_stage("a", 10), _stage("b", 20), _stage("c", None)),
)
"""Ten days for the first stage, twenty for the second, any time for the third."""


def ask(
    sales: Shop, period: Mapping[str, object], as_of: str = "2026-05-31", **asked: object
) -> RetrospectiveView:
    known_at = asked.pop("known_at", None)
    question = Retrospective.model_validate({**period, **asked})
    return sales.flow.ask(question, as_of=as_of, known_at=known_at)  # type: ignore[arg-type]


def moved(view: RetrospectiveView, figure: str, currency: str | None = None) -> FigureMoved:
    [found] = [it for it in view.figures if (it.figure, it.currency) == (figure, currency)]
    return found


def beside(view: RetrospectiveView, figure: str, currency: str | None = None) -> object:
    """Give a figure of the period, the one before, and what lies between."""
    it = moved(view, figure, currency)
    return it.value, it.value_before, it.difference


def until(day: date, amount: str | None = None) -> Fact:
    given = {} if amount is None else {"amount": cny(amount)}
    return ForecastGiven.model_validate({"expected_close": day, **given})


def expected(amount: str, close: date) -> Fact:
    return opened(PLAIN, amount=cny(amount), expected_close=close)


def scored(score: int, text: str | None = None, survey: str | None = None) -> Fact:
    return FeedbackReceived(scale="nps", score=score, text=text, survey=survey)


def test_a_deal_won_reopened_lost_and_won_again_counts_in_the_quarter_it_was_won_in() -> None:
    with shop() as sales:
        sales.tell(1, *WORKED_EXAMPLE)
        view = ask(sales, SECOND_QUARTER, "2026-04-30")
        assert beside(view, "sales", "CNY") == told(120, 0, 120)
        assert beside(view, "orders") == told(1, 0, 1)
        assert beside(view, "win_rate") == (1, None, None)
        assert beside(view, "created") == told(0, 1, -1)
        assert view.losses_before == (), "what is won now was lost in no quarter"
        books = {
            it.movement: (it.figures.amount, it.figures_before.amount) for it in view.movements
        }
        assert books["created"] == told(0, 100)
        assert books["won"] == told(0, -100)
        assert books["reopened"] == told(0, 100)
        assert books["lost"] == told(0, -100)
        assert books["closing"] == told(0, 0)


def test_the_same_quarter_asked_for_at_its_end_had_the_loss() -> None:
    with shop() as sales:
        sales.tell(1, *WORKED_EXAMPLE)
        view = ask(sales, FIRST_QUARTER, "2026-03-31")
        assert beside(view, "win_rate") == (0, None, None)
        assert beside(view, "sales", "CNY") == told(0, 0, 0)
        assert [told(it.because, it.deals, it.amount) for it in view.losses] == [
            ("price", 1, 100)
        ]


def test_a_late_correction_is_seen_by_whoever_knows_of_it_and_by_nobody_else() -> None:
    with shop() as sales:
        sales.turn("2026-01-05").tell(1, ("2026-01-05", opened(amount=cny("1000"))))
        sales.turn("2026-03-30").tell(1, ("2026-03-30", DealWon()))
        win = sales.events(1)[-1]
        sales.turn("2026-04-15").retract(win)
        sales.turn("2026-04-15 01:00").tell(1, ("2026-03-30", DealWon(amount=cny("100"))))
        sales.turn("2026-06-01")
        closed = ask(sales, FIRST_QUARTER, "2026-03-31", known_at="2026-03-31")
        today = ask(sales, FIRST_QUARTER, "2026-03-31")
        assert beside(closed, "sales", "CNY") == told(1000, 0, 1000)
        assert beside(today, "sales", "CNY") == told(100, 0, 100)
        between = ask(sales, SECOND_QUARTER, "2026-04-30", known_at="2026-04-14")
        after = ask(sales, SECOND_QUARTER, "2026-04-30", known_at="2026-04-15")
        assert beside(between, "sales", "CNY") == told(0, 1000, -1000)
        assert beside(after, "sales", "CNY") == told(0, 100, -100)
        assert ask(sales, FIRST_QUARTER, "2026-03-31", known_at="2026-03-31") == closed


def slipping(sales: Shop) -> None:
    """Three deals are expected in the first quarter: one is moved, one forgotten, one won."""
    sales.tell(
        1,
        ("2025-12-01", expected("300", date(2026, 3, 10))),
        ("2026-02-20", until(date(2026, 5, 10))),
        ("2026-05-08", DealWon(amount=cny("350"))),
    )
    sales.tell(2, ("2025-12-01", expected("200", date(2026, 3, 20))))
    sales.tell(3, ("2025-12-01", expected("500", date(2026, 3, 15))), ("2026-03-14", DealWon()))


def test_deals_that_slipped_are_named_with_what_became_of_them_since() -> None:
    with shop() as sales:
        slipping(sales)
        view = ask(sales, FIRST_QUARTER)
        [line] = view.slippage
        assert (line.expected, line.won, line.moved, line.overdue) == (3, 1, 1, 1)
        assert (line.expected_amount, line.slipped_amount) == told(1000, 500)
        assert line.slippage_by_value == Decimal("0.5")
        assert [told(it.deal, it.slipped, it.amount, it.outcome) for it in view.slipped] == [
            (deal_id(1), "moved", 300, "won"),
            (deal_id(2), "overdue", 200, "open"),
        ]
        assert [(it.expected_close, it.expected_after) for it in view.slipped] == [
            (date(2026, 3, 10), date(2026, 5, 10)),
            (date(2026, 3, 20), date(2026, 3, 20)),
        ]
        assert {it.owner for it in view.slipped} == {"ann"}
        at_its_end = ask(sales, FIRST_QUARTER, "2026-03-31")
        assert [it.outcome for it in at_its_end.slipped] == ["open", "open"]


def test_forecasts_of_the_start_and_the_middle_are_judged_by_what_was_sold() -> None:
    with shop() as sales:
        slipping(sales)
        sales.tell(2, ("2026-01-10", ForecastGiven(category="commit")))
        view = ask(sales, FIRST_QUARTER)
        judged = {
            (it.made, it.measure): told(it.forecast, it.actual, it.difference, it.accuracy)
            for it in view.forecasts
        }
        assert judged == {
            ("start", "weighted"): told(100, 500, 400, Decimal("0.2")),
            ("start", "commit"): told(0, 500, 500, 0),
            ("start", "best_case"): told(0, 500, 500, 0),
            ("middle", "weighted"): told(100, 500, 400, Decimal("0.2")),
            ("middle", "commit"): told(200, 500, 300, Decimal("0.4")),
            ("middle", "best_case"): told(200, 500, 300, Decimal("0.4")),
        }
        assert {(it.made, it.made_at.isoformat()) for it in view.forecasts} == {
            ("start", "2025-12-31T23:59:59.999999+00:00"),
            ("middle", "2026-02-14T23:59:59.999999+00:00"),
        }


def test_a_forecast_of_a_quarter_that_goes_on_has_no_accuracy_yet() -> None:
    with shop() as sales:
        slipping(sales)
        view = ask(sales, FIRST_QUARTER, "2026-02-10")
        assert {told(it.made, it.actual, it.accuracy) for it in view.forecasts} == {
            ("start", 0, None)
        }


def overstaying(sales: Shop) -> None:
    """Two deals stay too long in the first stage, one far too long in the second."""
    sales.tell(
        1, ("2026-01-01 00:00", opened(TIMED)), ("2026-01-16 00:00", StageMoved(target="b"))
    )
    sales.tell(
        2, ("2025-12-20 00:00", opened(TIMED)), ("2026-01-05 00:00", StageMoved(target="c"))
    )
    sales.tell(
        3,
        ("2026-01-01 00:00", opened(TIMED, stage="b", amount=cny("900"))),
        ("2026-04-05 00:00", StageMoved(target="c")),
    )
    sales.tell(1, ("2026-02-01 00:00", DealLost(because="price")))


def test_the_bottleneck_is_the_stage_with_the_most_days_over_in_the_quarter() -> None:
    with shop(TIMED) as sales:
        overstaying(sales)
        view = ask(sales, FIRST_QUARTER)
        rows = {
            it.stage: (it.figures.days_over, it.figures_before.days_over) for it in view.stages
        }
        assert rows == {"a": told(9, 2), "b": told(70, 0), "c": told(0, 0)}
        assert view.bottleneck is not None
        assert (view.bottleneck.stage, view.bottleneck.deals_over) == ("b", 1)
        assert view.bottleneck.days_over_share == Decimal(70) / 79
        assert view.bottleneck_before is not None
        assert told(view.bottleneck_before.stage, view.bottleneck_before.days_over) == ("a", 2)
        a, b, _ = view.stages
        assert (a.figures.deals, a.figures.deals_over, a.days_max) == (2, 2, 10)
        assert a.figures.days_median == Decimal("15.5"), "of 15 days and of 16"
        assert b.figures.days_median == 16, "the deal that still stood there at the end is none"
        assert (b.figures.entered, b.figures_before.entered) == (2, 0)
        assert b.figures.conversion is not None
        assert b.figures.conversion.value == Decimal("0.5"), "one went on, one was lost"


def test_a_visit_is_too_long_from_the_instant_after_its_longest_stay() -> None:
    with shop(TIMED) as sales:
        sales.tell(
            1,
            ("2026-01-05 00:00", opened(TIMED)),
            ("2026-01-15 00:00", StageMoved(target="b")),
        )
        assert ask(sales, FIRST_QUARTER, "2026-01-31").bottleneck is None
        sales.tell(2, ("2026-01-05 00:00", opened(TIMED)))
        exactly = ask(sales, FIRST_QUARTER, "2026-01-15T00:00:00+00:00")
        assert (exactly.bottleneck, exactly.stalled_total) == (None, 0)
        after = ask(sales, FIRST_QUARTER, "2026-01-15T00:00:00.000001+00:00")
        assert after.bottleneck is not None
        assert after.bottleneck.days_over == Decimal(1) / 86_400_000_000
        assert after.stalled_total == 1


def test_a_visit_that_ends_with_the_midnight_between_two_quarters_ended_in_the_later() -> None:
    with shop(TIMED) as sales:
        sales.tell(
            1, ("2026-03-20", opened(TIMED)), ("2026-04-01 00:00", StageMoved(target="b"))
        )
        sales.tell(
            2,
            ("2026-03-22", opened(TIMED)),
            ("2026-03-31 23:59:59.999999", StageMoved(target="b")),
        )
        a = ask(sales, SECOND_QUARTER).stages[0]
        assert told(a.stage, a.figures.deals, a.figures.days_median) == ("a", 0, 12)
        assert a.figures.days_over == 0, "nothing of it lies in the quarter"
        assert (a.figures_before.deals, a.figures_before.deals_over) == (2, 1)
        assert round(a.figures_before.days_median or 0, 6) == 10, "of the other deal alone"


def test_of_two_stages_with_as_many_days_over_fewer_go_on_from_the_bottleneck() -> None:
    with shop(TIMED) as sales:
        sales.tell(
            1, ("2026-01-01 00:00", opened(TIMED)), ("2026-01-12 00:00", StageMoved(target="c"))
        )
        sales.tell(
            2,
            ("2026-01-01 00:00", opened(TIMED, stage="b")),
            ("2026-01-22 00:00", DealLost(because="price")),
        )
        view = ask(sales, FIRST_QUARTER)
        assert [it.figures.days_over for it in view.stages[:2]] == [1, 1]
        assert view.bottleneck is not None
        assert told(view.bottleneck.stage, view.bottleneck.conversion) == ("b", 0)


def test_a_process_without_limits_has_no_bottleneck() -> None:
    with shop() as sales:
        sales.tell(1, ("2025-06-01", opened()))
        view = ask(sales, FIRST_QUARTER)
        assert (view.bottleneck, view.bottleneck_before) == (None, None)
        assert [it.figures.deals for it in view.stages] == [1]


def test_stalled_deals_are_those_of_the_end_of_the_quarter_whatever_came_after() -> None:
    with shop(TIMED) as sales:
        overstaying(sales)
        view = ask(sales, FIRST_QUARTER)
        [stalled] = view.stalled
        assert (stalled.deal, stalled.stage, stalled.days_max) == (deal_id(3), "b", 20)
        assert told(stalled.amount, stalled.currency) == (900, "CNY")
        assert round(stalled.days, 3) == 90
        assert ask(sales, SECOND_QUARTER).stalled == (), "nobody limits the third stage"
        assert [it.deal for it in ask(sales, FIRST_QUARTER, "2026-01-15").stalled] == [
            deal_id(1)
        ]


def test_what_is_listed_is_bounded_and_the_totals_are_not() -> None:
    with shop(TIMED) as sales:
        for number in range(5):
            deal = opened(TIMED, amount=cny(str(number)), expected_close=date(2026, 2, 1))
            sales.tell(number, ("2025-11-01", deal))
        view = ask(sales, FIRST_QUARTER, limit=2)
        assert [it.amount for it in view.slipped] == [4, 3]
        assert [it.amount for it in view.stalled] == [4, 3]
        assert (view.slipped_total, view.stalled_total) == (5, 5)
        assert [told(it.currency, it.amount) for it in view.stalled_amounts] == [("CNY", 10)]


def test_reasons_of_losses_stand_beside_those_of_the_quarter_before() -> None:
    with shop() as sales:
        for number, day, because, amount in (
            (1, "2026-02-01", "price", "100"),
            (2, "2026-04-20", "price", "60"),
            (3, "2026-04-21", "timing", "30"),
            (4, "2026-03-31 23:59:59", "timing", "900"),
            (5, "2026-04-01 00:00", "price", "10"),
        ):
            lost = DealLost(because=because)
            sales.tell(number, ("2026-01-05", opened(amount=cny(amount))), (day, lost))
        view = ask(sales, SECOND_QUARTER)
        assert [told(it.because, it.deals, it.amount) for it in view.losses] == [
            ("price", 2, 70),
            ("timing", 1, 30),
        ]
        assert [(it.because, it.share) for it in view.losses_before] == [
            ("timing", Decimal("0.9")),
            ("price", Decimal("0.1")),
        ]


def test_what_customers_said_stands_by_survey_by_stage_and_by_product() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-01-05", opened()),
            ("2026-01-06", LineItemsAgreed(lines=(line(),))),
            ("2026-02-01", scored(9, "fine", "nps-2026")),
            ("2026-04-05", scored(3, "slow", "nps-2026")),
            ("2026-04-06", StageMoved(target="b")),
            ("2026-04-07", scored(6, "dear", "nps-2026")),
            ("2026-04-08", scored(6, None, "nps-2026")),
            ("2026-04-09", scored(10, "better", "nps-2026")),
            ("2026-04-10", FeedbackReceived(scale="csat", score=2, text="meh")),
        )
        view = ask(sales, SECOND_QUARTER)
        [nps, csat] = view.scores
        assert (nps.survey, nps.scale, csat.survey, csat.scale) == (
            "nps-2026", "nps", None, "csat",
        )  # fmt: skip
        assert nps.score is not None
        assert nps.score_before is not None
        assert told(nps.score.value, nps.score_before.value, nps.difference) == told(
            -50, 100, -150
        )
        assert (csat.score_before, csat.difference) == (None, None)
        assert {
            (it.kind, it.key): (it.figures.responses, it.figures_before.responses)
            for it in view.themes
        } == {("stage", "a"): (1, 1), ("stage", "b"): (4, 0), ("product", "licence"): (5, 1)}
        assert [(it.stage, it.text) for it in view.detractors] == [("a", "slow"), ("b", "dear")]
        assert view.detractors_total == 2


def joined(sales: Shop, rep: str, team: str, day: date) -> None:
    with sales.flow.session() as session:
        session.add(Rep.join(rep, team=team, name=rep, occurred_at=day))


def test_a_team_has_what_its_reps_had_while_they_were_in_it() -> None:
    with shop() as sales:
        joined(sales, "ann", "east", date(2025, 1, 1))
        joined(sales, "bob", "west", date(2025, 1, 1))
        with sales.flow.session() as session:
            session.get(Rep, rep_id("ann")).move("west", occurred_at=date(2026, 3, 1))
        sales.tell(1, ("2026-01-05", opened(amount=cny("100"))), ("2026-02-10", DealWon()))
        sales.tell(2, ("2026-01-05", opened(amount=cny("10"))), ("2026-03-10", DealWon()))
        sales.tell(
            3,
            ("2025-12-05", expected("7", date(2026, 2, 1))),
            ("2026-01-10", OwnerAssigned(owner="bob")),
            ("2026-04-02", DealLost(because="price")),
        )
        east = ask(sales, FIRST_QUARTER, team="east")
        west = ask(sales, FIRST_QUARTER, team="west")
        assert beside(east, "sales", "CNY") == told(100, 0, 100)
        assert beside(west, "sales", "CNY") == told(10, 0, 10)
        assert [it.deal for it in east.slipped] == [deal_id(3)], "it was ann's at the start"
        assert west.slipped == ()
        assert beside(east, "open_deals") == told(0, 1, -1)
        assert beside(west, "open_deals") == told(1, 0, 1)
        kinds = {it.movement: it.figures.deals for it in east.movements}
        assert kinds == {
            "opening": 1, "created": 2, "transferred": -1, "won": -1, "reorganised": -1,
            "closing": 0,
        }  # fmt: skip
        assert {it.actual for it in east.forecasts} == {100}
        assert [it.deals for it in ask(sales, SECOND_QUARTER, team="west").losses] == [1]
        assert ask(sales, SECOND_QUARTER, team="east").losses == ()


def test_a_team_or_a_process_that_nobody_knows_is_refused_naming_those_there_are() -> None:
    with shop(TIMED) as sales:
        joined(sales, "ann", "east", date(2026, 1, 1))
        joined(sales, "bob", "west", date(2026, 3, 1))
        sales.tell(1, ("2026-01-05", opened()))
        with pytest.raises(NotFoundError, match=r"team 'north' by then; teams: east, west$"):
            ask(sales, FIRST_QUARTER, team="north")
        with pytest.raises(NotFoundError, match=r"team 'west' by then; teams: east$"):
            ask(sales, FIRST_QUARTER, "2026-02-28", team="west")
        with pytest.raises(NotFoundError, match=r"no process 'nonsense'; there are imported"):
            ask(sales, FIRST_QUARTER, process="nonsense")
        with pytest.raises(InputError, match="must be more than 0, not 0"):
            Retrospective(limit=0)


def test_an_owner_or_a_process_has_what_is_its_own() -> None:
    with shop(TIMED) as sales:
        sales.tell(1, ("2026-01-05", opened(amount=cny("1"))), ("2026-02-10", DealWon()))
        sales.tell(
            2, ("2026-01-05", opened(TIMED, owner="bob", amount=cny("20"))),
            ("2026-02-10", DealWon()),
        )  # fmt: skip
        assert beside(ask(sales, FIRST_QUARTER, owner="bob"), "sales", "CNY") == told(20, 0, 20)
        plain = ask(sales, FIRST_QUARTER, process="plain")
        assert beside(plain, "sales", "CNY") == told(1, 0, 1)
        assert {it.process for it in plain.stages} == {"plain"}


def test_unlike_currencies_stand_apart() -> None:
    with shop() as sales:
        for number, amount in ((1, cny("7")), (2, Money("5", "USD"))):
            day = f"2026-0{number * 3 - 1}-10"
            sales.tell(number, ("2026-01-05", opened(amount=amount)), (day, DealWon()))
        view = ask(sales, SECOND_QUARTER)
        assert beside(view, "sales", "CNY") == told(0, 7, -7)
        assert beside(view, "sales", "USD") == told(5, 0, 5)
        assert beside(view, "win_rate_by_value", "CNY") == (None, 1, None)


def test_a_date_pushed_three_times_and_pulled_back_once_has_not_slipped() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2025-12-05", expected("100", date(2026, 3, 10))),
            ("2026-01-05", until(date(2026, 4, 10))),
            ("2026-01-06", until(date(2026, 5, 10))),
            ("2026-01-07", until(date(2026, 6, 10))),
            ("2026-01-08", until(date(2026, 3, 20))),
        )
        assert [it.slipped for it in ask(sales, FIRST_QUARTER, "2026-01-07").slipped] == [
            "moved"
        ]
        assert ask(sales, FIRST_QUARTER, "2026-01-08").slipped == ()


def test_feedback_on_a_lost_deal_counts() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-01-05", opened()),
            ("2026-02-01", DealLost(because="price")),
            ("2026-02-02", scored(0, "too dear")),
        )
        view = ask(sales, FIRST_QUARTER)
        assert [it.text for it in view.detractors] == ["too dear"]
        assert [(it.survey, it.scale) for it in view.scores] == [(None, "nps")]


def test_a_deal_that_came_and_went_inside_a_minute_was_in_its_stage_once() -> None:
    with shop(TIMED) as sales:
        sales.tell(
            1,
            ("2026-01-05 09:00:00", opened(TIMED)),
            ("2026-01-05 09:00:20", StageMoved(target="b")),
            ("2026-01-05 09:00:40", StageMoved(target="a")),
        )
        view = ask(sales, FIRST_QUARTER, "2026-01-15")
        assert [(it.stage, it.figures.deals, it.figures.entered) for it in view.stages] == [
            ("a", 1, 1),
            ("b", 1, 1),
        ]
        assert view.bottleneck is not None
        over = Decimal(14 * 3600 + 59 * 60 + 20) - Decimal("0.000001")
        assert view.bottleneck.days_over == over / 86_400, "from 09:00:40 on, ten days later"


def test_a_merged_deal_keeps_its_time_and_leaves_the_cohort() -> None:
    with shop(TIMED) as sales:
        sales.tell(1, ("2026-01-01 00:00", opened(TIMED, expected_close=date(2026, 2, 1))))
        sales.tell(2, ("2026-01-10 00:00", opened(TIMED)))
        sales.tell_all(
            (1, "2026-01-16 00:00", DealMerged(into=deal_id(2))),
            (2, "2026-01-16 00:00", DealAbsorbed(absorbed=deal_id(1))),
        )
        [stage] = ask(sales, FIRST_QUARTER, "2026-01-16T00:00:00+00:00").stages
        figures = stage.figures
        assert told(figures.deals, figures.deals_over, figures.days_over) == (2, 1, 5)
        assert (figures.days_median, figures.entered) == (None, 1)


def test_a_visit_is_judged_by_its_own_version_and_a_stand_by_the_one_in_force() -> None:
    stricter = TIMED.model_copy(
        update={"version": 2, "stages": (_stage("a", 5), *TIMED.stages[1:])}
    )
    with shop(TIMED, stricter) as sales:
        sales.tell(
            1,
            ("2026-01-01 00:00", opened(TIMED)),
            ("2026-01-03 00:00", DealMigrated(process="timed", process_version=2)),
        )
        view = ask(sales, FIRST_QUARTER, "2026-01-09")
        assert view.bottleneck is None
        assert [(it.deal, it.days_max) for it in view.stalled] == [(deal_id(1), 5)]


def test_before_anything_happened_there_is_nothing_to_look_back_on() -> None:
    with shop(TIMED) as sales:
        overstaying(sales)
        view = ask(sales, FIRST_QUARTER, "2025-12-01")
        assert (view.movements, view.stages, view.slipped) == ((), (), ())
        assert (view.bottleneck, view.forecasts) == (None, ())
        assert beside(view, "win_rate") == (None, None, None)
        assert beside(view, "created") == told(0, 0, 0)


def test_a_win_at_the_midnight_of_summer_time_belongs_to_the_quarter_that_begins() -> None:
    with shop(timezone="Europe/Berlin") as sales:
        sales.tell(
            1, ("2026-01-05", opened(amount=cny("100"))), ("2026-04-01 00:00", DealWon())
        )
        first = ask(sales, FIRST_QUARTER)
        assert first.period.end.isoformat() == "2026-03-31T22:00:00+00:00"
        assert beside(first, "orders") == told(0, 0, 0)
        assert beside(ask(sales, SECOND_QUARTER), "orders") == told(1, 0, 1)


def test_it_is_about_the_quarter_to_date_when_no_period_is_named() -> None:
    with shop() as sales:
        slipping(sales)
        view = ask(sales, {}, "2026-05-20")
        assert view.period.start.date() == date(2026, 4, 1)
        assert view.before.start.date() == date(2026, 1, 1)
        assert beside(view, "sales", "CNY") == told(350, 500, -150)


def test_it_is_laid_out_in_both_languages() -> None:
    with shop(TIMED) as sales:
        overstaying(sales)
        view = ask(sales, FIRST_QUARTER, process="timed")
        english, chinese = view.table("en"), view.table("zh")
        said = "Bottleneck: B · 70.0 days past the stage limit · 89% of all days past limit"
        assert said in english
        assert "瓶颈: 阶段b · 70.0 天（超期合计） · 89%（占全部超期天数）" in chinese
        words = {"Figure", "Movement", "Days past limit", "Bottleneck", "points", "stalled"}
        assert not [word for word in words if word in chinese]
