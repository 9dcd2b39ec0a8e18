"""Before and after an improvement: of whom the figures are, and which way they went."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count

import pytest

from given import PLAIN, cny, opened
from questions.shop import Shop, shop, told
from salesflow import ExternalEvent, Improvement, ImprovementEffect, Rep, StrategyReview
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.improvement import ImprovementProposed, improvement_id
from salesflow.domain.time import to_instant
from salesflow.presentation.messages import Language
from salesflow.projections.improvement.improvement_effect import ImprovementEffectView
from salesflow.projections.improvement.improvement_figures import BeforeAfter

START = date(2026, 3, 1)
TEAMS = ("east", "north", "south", "west")
IN_FEBRUARY, IN_MARCH = "2026-02-10", "2026-03-10"


@pytest.fixture
def sales() -> Iterator[Shop]:
    """Four teams of a rep each."""
    with shop() as books:
        books.turn("2025-01-01")
        with books.flow.session() as s:
            for team in TEAMS:
                s.add(Rep.join(f"in-{team}", team=team, name=f"Rep of {team}"))
        books.turn("2026-06-01")
        yield books


NUMBERS = count(1)


def close(sales: Shop, team: str | None, day: str, end: str, since: str | None = None) -> None:
    """Let a deal of a team close on a day; opened on it, or on another one."""
    number = next(NUMBERS)
    owner = None if team is None else f"in-{team}"
    begun = opened(PLAIN, amount=cny("100"), owner=owner)
    closing = DealWon() if end == "won" else DealLost(because="price")
    sales.tell(number, (since or f"{day} 09:00", begun), (f"{day} 12:00", closing))


def propose(sales: Shop, *teams: str | None, metric: str = "win_rate", **given: object) -> None:
    asked = {"hypothesis": "It helps", "change": "strategy", "metric": metric, **given}
    fact = ImprovementProposed.model_validate({"improvement": "trial", **asked})
    when = to_instant(datetime(2026, 2, 1, tzinfo=UTC))
    sales.flow.record([ExternalEvent(improvement_id("trial"), fact, when)])
    with sales.flow.session() as s:
        trial = s.get(Improvement, improvement_id("trial"))
        for team in teams:
            trial.start(team=team, occurred_at=START)


def ask(sales: Shop, window: int = 30, **asked: object) -> ImprovementEffectView:
    question = ImprovementEffect.model_validate(
        {"improvement": "trial", "window": window, **asked}
    )
    return sales.flow.ask(question, as_of="2026-05-31")


def before_after(view: ImprovementEffectView) -> BeforeAfter:
    assert view.before_after is not None
    return view.before_after


def text_of(view: ImprovementEffectView, language: Language = "en") -> str:
    return " ".join(view.table(language).split())


@pytest.mark.parametrize("by", ["team", "rep"])
def test_before_and_after_is_of_those_that_started_and_of_nobody_else(
    by: str, sales: Shop
) -> None:
    for day, north, others in ((IN_FEBRUARY, "lost", "won"), (IN_MARCH, "won", "lost")):
        close(sales, "north", day, north)
        close(sales, "south", day, others)
        close(sales, None, day, others)
    propose(sales, "north")
    view = ask(sales, by=by)
    found = before_after(view)
    assert told(found.before, found.n_before, found.after, found.n_after) == (0, 1, 1, 1)
    assert found.started == ("north" if by == "team" else "in-north",)
    assert found.change is not None
    assert found.change.value == 1
    [table] = [each for each in view.tables() if each.title == "Before and after"]
    assert [row[0] for row in table.rows] == [*found.started]


def test_before_and_after_is_of_the_whole_company_only_where_everybody_changed_at_once(
    sales: Shop,
) -> None:
    for day, end in ((IN_FEBRUARY, "lost"), (IN_MARCH, "won")):
        close(sales, "north", day, end)
        close(sales, None, day, "won")
    propose(sales, None)
    view = ask(sales)
    found = before_after(view)
    assert (found.everybody, found.started) == (True, ())
    assert (found.before, found.n_before) == (Decimal("0.5"), 2)
    assert "whole company" in view.table()
    assert "全公司" in view.table("zh")


def test_a_company_without_teams_has_a_before_and_after_too() -> None:
    with shop() as books:
        books.turn("2026-06-01")
        for day, end in ((IN_FEBRUARY, "lost"), (IN_MARCH, "won")):
            close(books, None, day, end)
        propose(books, None)
        for by in ("team", "rep"):
            found = before_after(ask(books, by=by))
            assert told(found.everybody, found.before, found.after) == (True, 0, 1)


def test_a_change_is_the_figure_after_less_the_figure_before_of_the_same_deals(
    sales: Shop,
) -> None:
    cycles = {"north": (40, 30), "south": (20, 30), "west": (30, 5)}
    for team, (before, after) in cycles.items():
        for _ in range(1 + (team == "west")):
            close(sales, team, "2026-02-20", "won", _days_before("2026-02-20", before))
        close(sales, team, "2026-03-20", "won", _days_before("2026-03-20", after))
    close(sales, "east", "2026-03-20", "won", "2025-03-20")
    propose(sales, *cycles, metric="cycle_days")
    view = ask(sales)
    found = before_after(view)
    assert found.before is not None
    assert found.after is not None
    assert found.change is not None
    assert found.change.value == found.after - found.before
    assert found.mean is not None
    assert found.mean.count == 3
    means = found.mean.after - found.mean.before
    assert means == pytest.approx(found.mean.change.value)
    assert means != found.change.value, "else nothing is told apart"
    [table] = [each for each in view.tables() if each.title == "Before and after"]
    assert [row[0] for row in table.rows] == ["north, south, west", "mean of 3 teams"]


def _days_before(day: str, days: int) -> str:
    return f"{date.fromordinal(date.fromisoformat(day).toordinal() - days)} 12:00"


def test_who_started_without_figures_is_told_apart_from_nobody_to_compare_with(
    sales: Shop,
) -> None:
    for team, day in (("south", IN_FEBRUARY), ("south", IN_MARCH), ("north", IN_MARCH)):
        close(sales, team, day, "won")
    close(sales, "north", "2026-01-10", "won")
    propose(sales, "north")
    view = ask(sales)
    assert view.unmatched == "started_without_figures"
    assert "Those that started have no figures in both windows" in text_of(view)
    assert "A longer window may have figures of them" in text_of(view)
    assert ask(sales, window=60).verdict == "too_few", "it did: there is one of each"


def test_others_without_figures_are_told_apart_from_others_that_started(sales: Shop) -> None:
    for day in (IN_FEBRUARY, IN_MARCH):
        close(sales, "north", day, "won")
    propose(sales, "north")
    assert ask(sales).unmatched == "others_without_figures"
    assert "A longer window may have figures of them" in text_of(ask(sales))
    with sales.flow.session() as s:
        trial = s.get(Improvement, improvement_id("trial"))
        trial.start(occurred_at=date(2026, 3, 10))
    assert ask(sales).unmatched == "others_started"
    assert "A shorter window may leave somebody" in text_of(ask(sales))


def test_teams_that_were_not_there_yet_have_no_before_and_it_is_said(sales: Shop) -> None:
    with sales.flow.session() as s:
        s.add(Rep.join("new", team="young", name="New", occurred_at=date(2026, 2, 15)))
    propose(sales, "young")
    view = ask(sales)
    assert view.unmatched == "started_not_there"
    found = before_after(view)
    assert (found.started, found.before, found.change) == ((), None, None)
    assert "None of those that started was there" in text_of(view)


@pytest.mark.parametrize(
    ("expected", "towards", "said"),
    [
        ("0.2", "as_expected", "It moved the way that was expected: expected +20.0 points"),
        ("-0.2", "against_expected", "It moved against what was expected: expected -20.0"),
        (None, "for_better", "It moved for the better: measured +100.0 points"),
    ],
)
def test_it_is_said_whether_a_figure_moved_the_way_that_was_expected(
    expected: str | None, towards: str, said: str, sales: Shop
) -> None:
    for day, end in ((IN_FEBRUARY, "lost"), (IN_MARCH, "won")):
        for team in TEAMS:
            close(sales, team, day, end)
    propose(sales, None, expected_effect=expected)
    view = ask(sales)
    assert view.verdict == "changed_since"
    assert view.towards == towards
    assert said in text_of(view)
    review = sales.flow.ask(StrategyReview(), as_of="2026-05-31")
    assert [each.towards for each in review.improvements] == [towards]
    assert said.partition(":")[0] in " ".join(review.table().split())


def test_what_lies_within_chance_moved_no_way(sales: Shop) -> None:
    for day, end in ((IN_FEBRUARY, "lost"), (IN_MARCH, "won")):
        close(sales, "north", day, "won")
        close(sales, "south", day, end)
    propose(sales, None, expected_effect="0.2")
    view = ask(sales)
    assert (view.verdict, view.towards) == ("no_change_since", "cannot_be_told")
    assert "Whether it moved the way that was expected cannot be told" in text_of(view)


def test_fewer_days_are_for_the_better_of_a_cycle(sales: Shop) -> None:
    for team, days in zip(TEAMS, (1, 2, 3, 2), strict=True):
        close(sales, team, "2026-02-20", "won", _days_before("2026-02-20", 40 + days))
        close(sales, team, "2026-03-20", "won", _days_before("2026-03-20", 20))
    propose(sales, None, metric="cycle_days")
    assert ask(sales).towards == "for_better"


def test_a_comparison_says_it_in_the_words_of_the_tables(sales: Shop) -> None:
    for day, end in ((IN_FEBRUARY, "lost"), (IN_MARCH, "won")):
        for team in TEAMS[:2]:
            close(sales, team, day, end)
    propose(sales, None, expected_effect="-0.2")
    question = ImprovementEffect(improvement="trial", window=30)
    found = sales.flow.compare(question, as_of="2026-05-31", to_as_of="2026-03-15")
    text = " ".join(found.table().split())
    assert "Verdict no window is over yet changed, everybody at once" in text
    assert "Moved – against what was expected" in text
    assert "Expected effect -20.0 points" in text
    assert "Compared one by one" in text
    assert "Before and after · Rests on, after – 2" in text
    for key in ("window_not_over", "changed_since", "_expected", "Before after", "N after"):
        assert key not in text
    again = sales.flow.compare(question, as_of="2026-05-31", to_as_of="2026-05-01").table()
    assert "Before and after · Change" in again
    assert "+100.0 points" in again
