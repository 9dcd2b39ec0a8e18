"""Goals worked out by hand: what leaders ask of them, and what other systems got wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, publish, shop, told
from salesflow import (
    Customer,
    Figures,
    Forecast,
    Goal,
    GoalAttainment,
    GoalCheck,
    Kpis,
    Money,
    Rep,
    Retrospective,
    StageKpis,
)
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.people import CollaboratorJoined
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.figures import FIGURES_ID
from salesflow.domain.goal import goal_id
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.errors import InputError, NotFoundError, RuleError
from salesflow.projections.goals.goal_attainment import GoalAttainmentView
from salesflow.projections.goals.goal_lines import GoalLine

Q3: dict[str, Any] = {"first_day": date(2026, 7, 1), "last_day": date(2026, 9, 30)}
ASKED_Q3 = {"from_": "2026-07-01", "to": "2026-10-01"}
WHY: dict[str, Any] = {"strategy": "grow", "why_achievable": "two hires"}
SET = datetime(2026, 6, 20, tzinfo=UTC)


def on(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def set_goal(sales: Shop, key: str, **given: Any) -> None:  # noqa: ANN401
    with sales.flow.session(actor="eva") as session:
        session.add(Goal.set(key, **{**Q3, **WHY, "occurred_at": SET, **given}))


def of(sales: Shop, as_of: str, **asked: object) -> GoalAttainmentView:
    return sales.flow.ask(GoalAttainment.model_validate(asked), as_of=as_of)


def line(view: GoalAttainmentView, key: str) -> GoalLine:
    [found] = [each for each in view.goals if each.goal == key]
    return found


def won(sales: Shop, deal: int, day: str, amount: str, owner: str = "ann") -> None:
    sales.tell(
        deal, (day, opened(amount=cny(amount), owner=owner)), (day, DealWon(amount=cny(amount)))
    )


@contextmanager
def now() -> Iterator[Shop]:
    """Open a shop late in the year."""
    with shop() as sales:
        yield sales.turn("2026-12-01")


def test_what_accumulates_is_expected_to_grow_with_the_working_days() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="sales", target=Money("66000", "CNY"))
        won(sales, 1, "2026-07-02", "12000")
        july = line(of(sales, "2026-07-31"), "q3")
    assert (july.days, july.days_left) == (66, 43)
    assert july.actual == 12000
    assert july.attainment == Decimal(12000) / 66000
    assert july.expected_now == 23000
    assert july.projected == Decimal(12000) * 66 / 23
    assert july.needed_per_day == Decimal(54000) / 43
    assert july.status == "behind"


def test_a_day_is_over_when_it_has_ended() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="orders", target=3)
        noon, night = (of(sales, when).goals[0] for when in ("2026-07-01T12:00Z", "2026-07-01"))
    assert (noon.days_left, night.days_left) == (66, 65)


def test_working_days_are_those_of_the_settings() -> None:
    with now() as sales:
        with sales.flow.session() as session:
            session.get(Settings, SETTINGS_ID).change(working_days=(1, 2, 3, 4, 5, 6))
        set_goal(sales, "q3", metric="orders", target=3)
        assert of(sales, "2026-07-01").goals[0].days == 79


def test_a_goal_over_a_weekend_alone_counts_its_days() -> None:
    with now() as sales:
        days = {"first_day": date(2026, 7, 4), "last_day": date(2026, 7, 5)}
        set_goal(sales, "fair", metric="created", target=4, **days)
        assert (
            of(sales, "2026-07-04").goals[0].days,
            of(sales, "2026-07-04").goals[0].pace,
        ) == (*(2, Decimal(0)),)


def test_a_falling_target_is_attained_by_its_way_down() -> None:
    with now() as sales:
        set_goal(sales, "fast", metric="cycle_days", target=10, baseline=30)
        sales.tell(1, ("2026-07-01 00:00", opened()), ("2026-07-26 00:00", DealWon()))
        july = line(of(sales, "2026-07-31"), "fast")
    assert july.actual == 25
    assert july.attainment == Decimal("0.25")
    assert july.expected_now == 30 - Decimal(20) * 23 / 66
    assert july.status == "behind"


def test_a_level_without_a_baseline_has_no_attainment_and_still_is_met_or_not() -> None:
    with now() as sales:
        set_goal(sales, "rate", metric="win_rate", target="0.5")
        won(sales, 1, "2026-07-02", "1")
        july = line(of(sales, "2026-07-31"), "rate")
        autumn = line(of(sales, "2026-10-01", goal="rate"), "rate")
    assert told(july.attainment, july.pace, july.status) == (None, None, "on_track")
    assert told(autumn.actual, autumn.status) == (1, "attained")


def test_less_is_better_of_deals_lost() -> None:
    with now() as sales:
        set_goal(sales, "lost", metric="lost", target=1)
        sales.tell(1, ("2026-07-01", opened()), ("2026-07-03", DealLost(because="price")))
        assert line(of(sales, "2026-07-31"), "lost").status == "behind"
        assert line(of(sales, "2026-07-31"), "lost").needed_per_day is None
        assert line(of(sales, "2026-10-01", goal="lost"), "lost").status == "attained"


def test_a_goal_revised_in_mid_period_reads_as_it_stood() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="orders", target=10)
        with sales.flow.session(actor="eva") as session:
            goal = session.get(Goal, goal_id("q3"))
            goal.lock(by="eva", occurred_at=on("2026-07-01"))
            goal.revise(target=8, by="eva", because="a rep left", occurred_at=on("2026-08-01"))
        assert line(of(sales, "2026-07-31"), "q3").target == 10
        view = of(sales, "2026-08-01", goal="q3")
        assert line(view, "q3").target == 8
        [revision] = view.revisions
    said = told(revision.target_before, revision.target, revision.by, revision.because)
    assert said == (10, 8, "eva", "a rep left")
    assert revision.locked


def test_a_revision_nobody_knew_of_yet_changes_no_answer_of_that_time() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="orders", target=10)
        before = of(sales, "2026-08-01")
        with sales.flow.session(actor="eva") as session:
            goal = session.get(Goal, goal_id("q3"))
            goal.revise(target=8, occurred_at=on("2026-07-15"))
        assert sales.flow.ask(GoalAttainment(), at=before.moment) == before
        assert line(of(sales, "2026-08-01"), "q3").target == 8


def test_shared_credit_counts_once_up_the_tree() -> None:
    """The complaint of others: both reps were credited with the whole deal (#40062)."""
    with now() as sales:
        with sales.flow.session() as session:
            for rep in ("ann", "bob"):
                session.add(Rep.join(rep, team="east", name=rep, occurred_at=on("2026-01-01")))
        set_goal(sales, "company", metric="sales", target=Money(900, "CNY"))
        below = {"metric": "sales", "parent": "company"}
        set_goal(sales, "east", target=Money(800, "CNY"), team="east", **below)
        below["parent"] = "east"
        for rep, target in (("ann", 500), ("bob", 250)):
            set_goal(sales, f"east-{rep}", target=Money(target, "CNY"), rep=rep, **below)
        sales.tell(
            1,
            ("2026-07-02", opened(amount=cny("100"), owner="ann")),
            ("2026-07-02", CollaboratorJoined(person="bob", credit=Decimal("0.3"))),
            ("2026-07-03", DealWon()),
        )
        view = of(sales, "2026-07-31", goal="company")
    assert [told(each.goal, each.depth, each.actual) for each in view.goals] == [
        *(("company", 0, 100), ("east", 1, 100), ("east-ann", 2, 70), ("east-bob", 2, 30)),
    ]
    splits = [told(s.goal, s.by, s.target, s.target_gap, s.actual) for s in view.splits]
    assert splits == [
        ("company", "team", 800, 100, 100),
        ("east", "rep", 750, 50, 100),
    ]


def test_quarters_and_teams_below_one_goal_are_added_up_apart() -> None:
    with now() as sales:
        year = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}
        set_goal(sales, "year", metric="orders", target=100, **year)
        set_goal(sales, "q3", metric="orders", target=30, parent="year")
        set_goal(sales, "east", metric="orders", target=60, parent="year", team="east", **year)
        set_goal(sales, "rate", metric="win_rate", target="0.4", parent="year")
        splits = of(sales, "2026-07-31", goal="year").splits
    found = [told(each.by, each.goals, each.target, each.target_gap) for each in splits]
    assert found == [("period", 1, 30, 70), ("team", 1, 60, 40)]


def test_an_abandoned_goal_adds_nothing_and_stays_in_the_books() -> None:
    with now() as sales:
        set_goal(sales, "all", metric="orders", target=10)
        set_goal(sales, "ann", metric="orders", target=4, rep="ann", parent="all")
        with sales.flow.session(actor="eva") as session:
            goal = session.get(Goal, goal_id("ann"))
            goal.abandon(because="she left", occurred_at=on("2026-08-01"))
        assert [each.by for each in of(sales, "2026-07-31").splits] == ["rep"]
        view = of(sales, "2026-08-01")
    assert view.splits == ()
    assert line(view, "ann").status == "abandoned"


def test_the_season_of_the_year_before_says_what_is_expected() -> None:
    with now() as sales:
        for number, (day, amount) in enumerate((("2025-07-10", "30"), ("2025-09-10", "90"))):
            won(sales, number, day, amount)
        set_goal(sales, "q3", metric="sales", target=Money(200, "CNY"))
        won(sales, 5, "2026-07-10", "50")
        july = line(of(sales, "2026-07-31", expected_by="seasonality"), "q3")
        plain = line(of(sales, "2026-07-31"), "q3")
    assert told(july.share_elapsed, july.expected_now, july.pace) == (Decimal("0.25"), 50, 1)
    assert told(july.projected, july.status) == (200, "on_track")
    assert july.expected_by == "seasonality"
    assert plain.status == "behind"


def test_sales_in_other_currencies_count_at_their_rate_or_are_said_to_be_missing() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="sales", target=Money(1000, "CNY"))
        sales.tell(
            1, ("2026-07-02", opened(amount=Money("10", "USD"))), ("2026-07-02", DealWon())
        )
        lacking = of(sales, "2026-07-31")
        publish(sales, "2026-06-30", base="USD", CNY="7")
        view = of(sales, "2026-07-31")
    assert line(lacking, "q3").actual == 0
    assert "amounts left out without a rate: 1 in USD" in lacking.table()
    assert line(view, "q3").actual == 70


def test_a_market_share_is_a_goal_like_others() -> None:
    with now() as sales:
        set_goal(
            sales, "share", metric="figure:market", target="0.2", baseline="0.1", unit="share"
        )
        quarter = {"first_day": Q3["first_day"], "last_day": date(2026, 8, 31)}
        with sales.flow.session() as session:
            book = session.get(Figures, FIGURES_ID)
            said = {"unit": "share", "source": "IDC", **quarter}
            book.report("market", value="0.12", occurred_at=on("2026-09-01"), **said)
            book.report("market", value="0.15", occurred_at=on("2026-09-20"), **said)
        assert of(sales, "2026-08-31").goals[0].status == "unknown"
        assert of(sales, "2026-09-01").goals[0].actual == Decimal("0.12")
        found = of(sales, "2026-09-20").goals[0]
    assert told(found.actual, found.attainment, found.source) == (
        *(Decimal("0.15"), Decimal("0.5"), "IDC"),
    )


def test_a_report_that_is_told_late_stands_from_its_own_time_until_the_next_one() -> None:
    with now() as sales:
        set_goal(sales, "share", metric="figure:market", target="0.2", unit="share")
        said: dict[str, Any] = {"unit": "share", "source": "IDC", **Q3}
        for day, value in (("2026-10-20", "0.15"), ("2026-10-01", "0.12"), ("2026-10-10", "1")):
            with sales.flow.session() as session:
                book = session.get(Figures, FIGURES_ID)
                book.report("market", value=value, occurred_at=on(day), **said)
        wrong = sales.flow.history(FIGURES_ID)[-1]
        sales.retract(wrong)
        asked = {"from_": "2026-07-01", "to": "2026-10-01"}
        actual = [
            of(sales, f"2026-{day}", **asked).goals[0].actual
            for day in ("09-30", "10-01", "10-19", "10-20")
        ]
    assert actual == [None, *told(Decimal("0.12"), Decimal("0.12"), Decimal("0.15"))]


def test_the_past_of_a_figure_is_judged_again_by_what_is_reported_now() -> None:
    with now() as sales:
        said: dict[str, Any] = {"unit": "share", "source": "IDC"}
        said |= {"first_day": date(2026, 4, 1)}
        said |= {"last_day": date(2026, 6, 30)}
        with sales.flow.session() as session:
            book = session.get(Figures, FIGURES_ID)
            book.report("market", value="0.25", occurred_at=on("2026-07-01"), **said)
        asked: dict[str, Any] = {"metric": "figure:market", "unit": "share", "target": "0.2"}
        asked |= {"baseline": "0.1"}
        check = GoalCheck.model_validate({**asked, "from_": "2026-07-01", "to": "2026-10-01"})
        given = {**asked, "check": sales.flow.ask(check), "why_achievable": None}
        set_goal(sales, "share", **given, occurred_at=on("2026-07-02"))

        def achievable() -> tuple[bool | None, bool | None]:
            letters = of(sales, "2026-07-31", goal="share").letters
            [found] = [each for each in letters if each.letter == "achievable"]
            return found.passed, found.passed_now

        assert achievable() == (True, True)
        with sales.flow.session() as session:
            book = session.get(Figures, FIGURES_ID)
            book.report("market", value="0.15", occurred_at=on("2026-07-20"), **said)
        assert achievable() == (True, False)


def test_a_goal_tells_the_deals_it_rests_on_the_latest_first() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="sales", target=Money(500, "CNY"), rep="ann")
        won(sales, 1, "2026-07-02", "10")
        won(sales, 2, "2026-07-09", "10")
        won(sales, 3, "2026-07-05", "10", owner="bob")
        view = of(sales, "2026-07-31", goal="q3", limit=1)
    assert [each.deal for each in view.deals] == [deal_id(2)]
    assert view.deals_total == 2


def test_a_goal_of_orders_tells_the_deals_that_were_ordered_under_again() -> None:
    with now() as sales:
        set_goal(sales, "orders", metric="orders", target=3)
        set_goal(sales, "each", metric="sales_per_customer", target=3, currency="CNY")
        won(sales, 1, "2026-06-02", "10")
        again = RepeatOrderPlaced(amount=cny("5"))
        sales.tell(1, ("2026-07-05", again), ("2026-07-06", again))
        won(sales, 2, "2026-07-03", "10")
        for goal in ("orders", "each"):
            view = of(sales, "2026-07-31", goal=goal)
            assert [each.deal for each in view.deals] == [deal_id(1), deal_id(2)]
            assert view.deals[0].at == on("2026-07-06")


def test_letters_are_judged_again_by_what_is_known_now() -> None:
    with now() as sales:
        won(sales, 1, "2026-05-02", "500")
        asked = {
            "metric": "sales",
            "currency": "CNY",
            "from_": "2026-07-01",
            "to": "2026-10-01",
        }
        check = sales.flow.ask(GoalCheck.model_validate(asked), as_of="2026-06-30")
        set_goal(
            sales,
            "q3",
            metric="sales",
            target=Money(400, "CNY"),
            check=check,
            why_achievable=None,
            strategy=None,
            parent="year",
        )
        then = {it.letter: it for it in of(sales, "2026-07-31", goal="q3").letters}
        sales.retract(sales.events(1)[1])
        now_ = {it.letter: it for it in of(sales, "2026-07-31", goal="q3").letters}
    assert (then["achievable"].passed_now, then["relevant"].passed_now) == (True, False)
    assert then["relevant"].passed is True
    assert (now_["achievable"].passed, now_["achievable"].passed_now) == (True, False)


def test_a_parent_that_is_not_set_is_said_to_be() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="orders", target=3, parent="yaer")
        assert "the parent goal is not set: q3" in of(sales, "2026-07-31").table()


def test_goals_that_serve_one_another_in_a_circle_are_listed_once() -> None:
    with now() as sales:
        for key, parent in (("a", "b"), ("b", "a")):
            set_goal(sales, key, metric="orders", target=3, parent=parent)
        view = of(sales, "2026-07-31")
    assert [(each.goal, each.depth) for each in view.goals] == [("a", 0), ("b", 1)]


def test_an_unknown_goal_is_refused_with_those_there_are() -> None:
    with now() as sales:
        set_goal(sales, "q3-sales", metric="orders", target=3)
        with pytest.raises(NotFoundError, match=r"no goal 'q3-sale' .*\(perhaps q3-sales"):
            of(sales, "2026-07-31", goal="q3-sale")


def test_who_asks_between_periods_is_told_that_there_are_goals() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="orders", target=3)
        view = of(sales, "2026-11-30")
        assert view.goals == ()
        assert "1 goal is set for other days; name a period" in view.table()
        others = of(sales, "2026-11-30", product="Pump", **ASKED_Q3)
        assert "1 goal is set for these days, but of others" in others.table()
        assert [each.goal for each in of(sales, "2026-11-30", from_="2026-07-01").goals] == [
            "q3"
        ]


def test_the_check_shows_the_past_as_it_was_believed() -> None:
    with now() as sales:
        won(sales, 1, "2026-02-02", "300")
        won(sales, 2, "2026-05-02", "500")
        asked = {"metric": "sales", "currency": "CNY", "target": 600, "strategy": "grow"}
        question = GoalCheck.model_validate(asked | ASKED_Q3)
        view = sales.flow.ask(question, as_of="2026-06-30")
    past = [told(it.first_day, it.value) for it in view.evidence.values]
    assert past == [(date(2026, 1, 1), 300), (date(2026, 4, 1), 500)]
    assert told(view.low, view.high, view.baseline) == (300, 500, 500)
    passed = {each.letter: each.passed for each in view.letters}
    assert passed["achievable"] is False
    with pytest.raises(RuleError, match="600 lies beyond all 2 past periods"):
        Goal.set(
            "q3", metric="sales", target=Money(600, "CNY"), strategy="grow", check=view, **Q3
        )


def test_lead_conversion_is_checked_and_set_by_the_name_that_processes_use() -> None:
    with now() as sales:
        leads = {"metric": "lead_conversion", "stage": "a", "target": "0.4"}
        assert sales.flow.ask(GoalCheck.model_validate(leads)).metric == "stage_conversion"
        set_goal(sales, "leads", **leads)
        found = of(sales, "2026-07-31", metric="lead_conversion").goals
    assert [(it.metric, it.stage) for it in found] == [("stage_conversion", "a")]


def test_a_period_that_goes_on_is_no_past() -> None:
    with now() as sales:
        won(sales, 1, "2026-07-02", "300")
        asked = {
            "metric": "sales",
            "currency": "CNY",
            "from_": "2026-10-01",
            "to": "2027-01-01",
        }
        view = sales.flow.ask(GoalCheck.model_validate(asked), as_of="2026-08-31")
    assert view.evidence.values == ()


def test_a_check_of_money_asks_for_the_currency() -> None:
    with now() as sales, pytest.raises(InputError, match="sales is money; name the currency"):
        sales.flow.ask(GoalCheck(metric="sales"))


def test_stages_are_measured_against_the_targets_of_their_process() -> None:
    with now() as sales:
        first = DealOpened(process="standard", process_version=1, stage="prospecting")
        moved = StageMoved(target="initial_contact")
        said = ContactLogged(channel="call", direction="out")
        sales.tell(1, ("2026-07-02", first), ("2026-07-03", moved), *[("2026-07-04", said)] * 4)
        sales.tell(2, ("2026-07-02", first), ("2026-07-05", DealLost(because="price")))
        view = sales.flow.ask(
            StageKpis.model_validate({"from_": "2026-07-01", "to": "2026-10-01"}),
            as_of="2026-08-01",
        )
    found = {
        (it.stage, it.kpi): told(it.value, it.target, it.met, it.rests_on) for it in view.kpis
    }
    assert found["prospecting", "lead_conversion"] == (
        *(Decimal("0.5"), Decimal("0.40"), True, 2),
    )
    assert found["initial_contact", "contact_count"] == (4, 3, True, 1)
    assert found["negotiation", "win_rate"] == (None, Decimal("0.50"), None, 0)


def test_kpis_show_the_goals_of_the_same_days_and_groups() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="sales", target=Money(200, "CNY"))
        set_goal(sales, "ann", metric="orders", target=4, rep="ann", parent="q3")
        year = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}
        set_goal(sales, "year", metric="orders", target=9, **year)
        won(sales, 1, "2026-07-02", "50")
        whole, by_rep, of_ann = (
            sales.flow.ask(Kpis.model_validate(ASKED_Q3 | asked), as_of="2026-07-31").goals
            for asked in ({}, {"by": "rep"}, {"owner": "ann"})
        )
    assert [told(it.goal, it.group, it.target, it.actual) for it in whole] == [
        told("q3", None, 200, 50)
    ]
    assert [told(it.goal, it.group, it.attainment) for it in by_rep] == [
        told("ann", "ann", Decimal("0.25"))
    ]
    assert [(it.goal, it.group) for it in of_ann] == [("ann", None)]


def test_goals_of_other_reps_stand_beside_no_figure_of_one() -> None:
    with now() as sales:
        for rep in ("ann", "bob"):
            set_goal(sales, rep, metric="orders", target=4, rep=rep)
        question = Kpis.model_validate(ASKED_Q3 | {"by": "rep", "owner": "ann"})
        assert [it.goal for it in sales.flow.ask(question, as_of="2026-07-31").goals] == ["ann"]


def test_the_forecast_covers_what_is_missing_of_the_goal() -> None:
    with now() as sales:
        won(sales, 1, "2026-07-02", "50")
        due = opened(amount=cny("300"), owner="ann", expected_close=date(2026, 9, 1))
        sales.tell(2, ("2026-07-03", due))
        before = forecast(sales)
        set_goal(sales, "q3", metric="sales", target=Money(200, "CNY"))
        set_goal(sales, "ann", metric="sales", target=Money(90, "CNY"), rep="ann")
        set_goal(sales, "usd", metric="sales", target=Money(9, "USD"))
        whole, by_owner, others = (
            forecast(sales, **asked) for asked in ({}, {"by": "owner"}, {"owner": "bob"})
        )
    assert before == [told(None, None, None)]
    assert whole == [told(None, 150, 2)]
    assert by_owner == [told("ann", 40, Decimal("7.5"))]
    assert others == []


def forecast(sales: Shop, **asked: object) -> list[tuple[object, ...]]:
    question = Forecast.model_validate({**ASKED_Q3, **asked})
    lines = sales.flow.ask(question, as_of="2026-07-31").lines
    return [told(it.group, it.goal_remaining, it.coverage) for it in lines]


def test_nothing_covers_a_goal_that_is_met() -> None:
    with now() as sales:
        won(sales, 1, "2026-07-02", "50")
        set_goal(sales, "q3", metric="sales", target=Money(40, "CNY"))
        set_goal(sales, "agreed", metric="sales", target=Money(60, "CNY"))
        assert forecast(sales) == [told(None, 10, 0)]  # of two the first by key
        with sales.flow.session() as session:
            session.get(Goal, goal_id("q3")).lock(occurred_at=on("2026-07-05"))
        assert forecast(sales) == [told(None, 0, None)]  # the one that is locked


def test_a_retrospective_shows_targets_and_results() -> None:
    with now() as sales:
        with sales.flow.session() as session:
            session.add(Rep.join("ann", team="east", name="Ann", occurred_at=on("2026-01-01")))
        set_goal(sales, "q3", metric="sales", target=Money(200, "CNY"))
        set_goal(sales, "east", metric="orders", target=1, team="east")
        won(sales, 1, "2026-07-02", "50")
        whole, east = (
            sales.flow.ask(Retrospective.model_validate(ASKED_Q3 | asked), as_of="2026-10-01")
            for asked in ({}, {"team": "east"})
        )
    assert [told(it.goal, it.target, it.actual, it.status) for it in whole.goals] == [
        told("q3", 200, 50, "missed")
    ]
    assert [told(it.goal, it.actual, it.status) for it in east.goals] == [
        told("east", 1, "attained")
    ]
    assert "Goals" in whole.table()


def test_a_level_that_stood_beyond_its_target_is_held_or_not_and_never_by_percentages() -> None:
    with now() as sales:
        set_goal(sales, "rate", metric="win_rate", target="0.7", baseline="0.6")
        with sales.flow.session(actor="eva") as session:  # the target falls below the baseline
            session.get(Goal, goal_id("rate")).revise(
                target="0.5", occurred_at=on("2026-07-01")
            )
        won(sales, 1, "2026-07-02", "1")
        july, autumn = (
            line(of(sales, when, goal="rate"), "rate") for when in ("2026-07-31", "2026-10-01")
        )
        table = of(sales, "2026-10-01", goal="rate").table()
    assert told(july.attainment, july.expected_now, july.pace) == (None, None, None)
    assert told(july.status, autumn.status, autumn.attainment) == ("on_track", "attained", None)
    assert " 0%" not in table


def test_a_level_that_is_to_be_kept_has_no_percentage() -> None:
    with now() as sales:
        set_goal(sales, "rate", metric="win_rate", target="0.5", baseline="0.5")
        won(sales, 1, "2026-07-02", "1")
        july = line(of(sales, "2026-07-31"), "rate")
        kpis = sales.flow.ask(Kpis.model_validate(ASKED_Q3), as_of="2026-10-01")
    assert told(july.attainment, july.pace, july.expected_now) == (None, None, Decimal("0.5"))
    assert [told(it.attainment, it.status) for it in kpis.goals] == [(None, "attained")]


def test_a_limit_is_kept_or_not_and_nothing_lost_is_no_zero_percent() -> None:
    with now() as sales:
        set_goal(sales, "lost", metric="lost", target=2)
        autumn = line(of(sales, "2026-10-01", goal="lost"), "lost")
    assert told(autumn.actual, autumn.attainment, autumn.pace) == (0, None, None)
    assert autumn.status == "attained"


def test_what_is_still_missing_is_missing_in_the_direction_that_is_better() -> None:
    with now() as sales:
        set_goal(sales, "fast", metric="cycle_days", target=10, baseline=30)
        set_goal(sales, "q3", metric="orders", target=1)
        sales.tell(1, ("2026-07-01 00:00", opened()), ("2026-07-26 00:00", DealWon()))
        won(sales, 2, "2026-07-02", "1")
        pace = of(sales, "2026-07-31").tables()[1]
    place = pace.columns.index("Still missing")
    assert [row[place] for row in pace.rows] == ["2.5 d", "–"]


def test_goals_in_a_circle_are_no_part_of_one_another() -> None:
    with now() as sales:
        set_goal(sales, "a", metric="orders", target=1, parent="b")
        set_goal(sales, "b", metric="orders", target=2, parent="a")
        set_goal(sales, "c", metric="orders", target=1, parent="b")
        view = of(sales, "2026-07-31", goal="b")
    assert [told(each.goal, each.goals, each.target) for each in view.splits] == [("b", 1, 1)]
    assert view.in_circles == ("b", "a")
    assert "goals that serve one another in a circle: b, a" in view.table()


def test_goals_without_a_year_before_are_said_to_be_expected_by_working_days() -> None:
    with now() as sales:
        won(sales, 1, "2025-08-02", "1")
        set_goal(sales, "known", metric="orders", target=3)
        set_goal(sales, "new", metric="lost", target=3)
        set_goal(sales, "rate", metric="win_rate", target="0.5")
        seasonal = of(sales, "2026-07-31", expected_by="seasonality").table()
        plain = of(sales, "2026-07-31").table()
    assert "since nothing is known of the year before: new" in seasonal
    assert "since a level has no season: rate" in seasonal
    assert "expected by working days" not in plain


def test_the_check_of_a_goal_says_that_the_past_is_beyond_it() -> None:
    with now() as sales:
        won(sales, 1, "2026-05-02", "1")
        asked = {"metric": "win_rate", "target": "0.6", **ASKED_Q3}
        view = sales.flow.ask(GoalCheck.model_validate(asked), as_of="2026-07-01")
        assert view.baseline is None
        assert "stood before, 100%, lies beyond the target already" in view.table()
        with pytest.raises(InputError, match="baseline 70% lies beyond the target 60% already"):
            sales.flow.ask(GoalCheck.model_validate({**asked, "baseline": "0.7"}))
        with pytest.raises(InputError, match=r"0\.35 is 35%; 60 is none"):
            sales.flow.ask(GoalCheck.model_validate({**asked, "target": 60}))


def test_periods_without_a_goal_and_people_in_no_team_below_are_named() -> None:
    with now() as sales:
        with sales.flow.session() as session:
            session.add(Rep.join("ann", team="east", name="Ann", occurred_at=on("2026-01-01")))
        year = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}
        set_goal(sales, "year", metric="sales", target=Money(900, "CNY"), **year)
        below = {"metric": "sales", "parent": "year"}
        for days in ({"first_day": date(2026, 1, 1), "last_day": date(2026, 3, 31)}, Q3):
            key = f"east-{days['first_day']}"
            set_goal(sales, key, target=Money(200, "CNY"), team="east", **below, **days)
        won(sales, 1, "2026-07-02", "70", owner="ann")
        won(sales, 2, "2026-07-02", "30", owner="bob")
        view = of(sales, "2026-07-31", goal="year")
    [split] = view.splits
    assert told(split.actual, split.actual_gap, split.target_gap) == (70, 30, 500)
    assert split.periods_without == ("2026-Q2", "2026-Q4")
    assert "year: no goals below for 2026-Q2, 2026-Q4" in view.table()
    assert (
        "30 CNY of what year came to is counted by no goal below: credited to" in view.table()
    )
    assert "2026-Q3" in view.table()


def test_goals_for_other_days_than_the_goal_above_are_not_added_up() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="orders", target=10)
        days = {"first_day": date(2026, 9, 1), "last_day": date(2026, 10, 31)}
        set_goal(sales, "late", metric="orders", target=4, parent="q3", **days)
        view = of(sales, "2026-07-31", goal="q3")
    assert view.splits == ()
    assert "are not within those of the goal above: late" in view.table()


def test_periods_of_any_days_without_a_goal_are_named_by_their_ends() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="orders", target=10)
        days = {"first_day": date(2026, 7, 5), "last_day": date(2026, 8, 10)}
        set_goal(sales, "some", metric="orders", target=4, parent="q3", **days)
        [split] = of(sales, "2026-07-31", goal="q3").splits
    assert split.periods_without == ("2026-07-01 … 2026-07-04", "2026-08-11 … 2026-09-30")


def test_deals_behind_a_goal_say_what_they_add_and_what_is_left_out_without_a_rate() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="sales", target=Money(500, "CNY"), rep="ann")
        sales.tell(
            1,
            ("2026-07-02", opened(amount=cny("100"), owner="ann")),
            ("2026-07-02", CollaboratorJoined(person="bob", credit=Decimal("0.3"))),
            ("2026-07-03", DealWon()),
        )
        dollars = opened(amount=Money("10", "USD"), owner="ann")
        sales.tell(2, ("2026-07-04", dollars), ("2026-07-04", DealWon()))
        lacking = of(sales, "2026-07-31", goal="q3")
        publish(sales, "2026-06-30", base="USD", CNY="7")
        view = of(sales, "2026-07-31", goal="q3")
    assert [told(it.owner, it.amount) for it in view.deals] == [("ann", 70), ("ann", 70)]
    assert sum(each.amount or 0 for each in view.deals) == line(view, "q3").actual
    assert "(10 USD without a rate)" in lacking.table()
    assert "left out for want of a rate: 10 USD; publish one with" in lacking.table()
    assert "without a rate" not in view.table()


def test_deals_behind_a_goal_of_a_count_name_their_owners_alone() -> None:
    with now() as sales:
        set_goal(sales, "q3", metric="orders", target=2)
        won(sales, 1, "2026-07-02", "100")
        view = of(sales, "2026-07-31", goal="q3")
        [deals] = [it for it in view.tables() if it.title == "Deals behind the goal"]
    assert deals.columns == ("Deal", "Owner", "Day")
    assert view.deals[0].amount is None


def test_a_goal_of_a_customer_is_shown_with_the_name() -> None:
    with now() as sales:
        with sales.flow.session() as session:
            acme = session.add(Customer.register(name="Acme", occurred_at=on("2026-01-01")))
        set_goal(sales, "acme", metric="orders", target=2, customer=acme.id, channel="web")
        view = of(sales, "2026-07-31")
    assert view.named_tables()[0].rows[0][2] == "web · Acme"
