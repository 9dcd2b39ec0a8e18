"""Whether a change helped: teams that started beside others, or before and after."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from given import PLAIN, cny, opened
from questions.shop import Shop, publish, shop, told
from salesflow import ExternalEvent, Improvement, ImprovementEffect, Money, Rep
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.improvement import ImprovementProposed, improvement_id
from salesflow.domain.time import to_instant
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.improvement.improvement_effect import ImprovementEffectView

TEAMS = tuple(f"t{number}" for number in range(8))
START = date(2026, 3, 1)
CALL = ContactLogged(channel="call", direction="out")


@pytest.fixture
def sales() -> Iterator[Shop]:
    """Eight teams of a rep each; every rep has a deal on which calls are logged."""
    with shop() as books:
        books.turn("2025-01-01")
        with books.flow.session() as s:
            for number, team in enumerate(TEAMS):
                s.add(Rep.join(f"r{number}", team=team, name=f"Rep {number}"))
        books.turn("2026-06-01")
        for number in range(len(TEAMS)):
            books.tell(number, ("2025-06-01", opened(PLAIN, owner=f"r{number}")))
        yield books


def calls(sales: Shop, effect: int, started: int) -> None:
    """Log calls: around ten in each window, more of them after the start by those who did."""
    chance = Random(11)
    for number in range(len(TEAMS)):
        logged = []
        for window in (-2, -1, 0):
            more = effect if window == 0 and number < started else 0
            for _ in range(10 + chance.randrange(-2, 3) + more):
                day = START + timedelta(days=60 * window + chance.randrange(60))
                logged.append((day.isoformat(), CALL))
        sales.tell(number, *logged)


def propose(sales: Shop, *teams: str | None, **given: object) -> None:
    asked = {"hypothesis": "Call twice", "change": "strategy", "metric": "contacts", **given}
    proposed = ImprovementProposed.model_validate({"improvement": "calls", **asked})
    when = datetime(2026, 2, 1, tzinfo=UTC)
    stream = improvement_id("calls")
    sales.flow.record([ExternalEvent(stream, proposed, to_instant(when))])
    with sales.flow.session() as s:
        trial = s.get(Improvement, stream)
        for team in teams:
            trial.start(team=team, occurred_at=START)


def ask(sales: Shop, as_of: str = "2026-05-31", **asked: object) -> ImprovementEffectView:
    question = ImprovementEffect.model_validate({"improvement": "calls", **asked})
    return sales.flow.ask(question, as_of=as_of)


def test_teams_that_started_are_compared_with_those_that_had_not(sales: Shop) -> None:
    calls(sales, 8, 4)
    propose(sales, *TEAMS[:4])
    view = ask(sales)
    assert view.effect is not None
    assert (view.effect.treated.people, view.effect.compared.people) == (4, 4)
    assert view.verdict == "evidence"
    assert view.effect.changes is not None
    assert 6 < view.effect.changes.value < 10
    assert "Evidence: both intervals lie on the same side of 0" in view.table()


def test_where_nothing_helped_there_is_no_evidence(sales: Shop) -> None:
    calls(sales, 0, 4)
    propose(sales, *TEAMS[:4])
    view = ask(sales)
    assert view.verdict == "no_evidence"
    assert "No evidence: not both intervals lie on the same side of 0" in view.table()


def test_where_everybody_changed_at_once_it_is_before_and_after(sales: Shop) -> None:
    calls(sales, 8, 8)
    propose(sales, None)
    view = ask(sales)
    assert view.verdict == "changed_since"
    assert view.before_after is not None
    assert view.before_after.change is not None
    assert view.before_after.change.value > 5
    text = view.table()
    assert "Everybody changed at once: this is before and after" in text
    assert "nothing tells whether it would have changed anyway" in " ".join(text.split())


def found_team_in_august(sales: Shop) -> None:
    """Let somebody join a new team after the moment that is asked about."""
    sales.turn("2026-09-01")
    with sales.flow.session() as s:
        s.add(Rep.join("r9", team="new", name="Rep 9", occurred_at=date(2026, 8, 1)))


def measured(view: ImprovementEffectView) -> tuple[object, ...]:
    """Give all that a view says of figures."""
    return view.verdict, view.unmatched, view.effect, view.units, view.before_after


def test_a_team_that_is_formed_later_changes_nothing_of_an_earlier_moment(sales: Shop) -> None:
    calls(sales, 8, 8)
    propose(sales, *TEAMS)
    before = ask(sales)
    assert before.verdict == "changed_since"
    found_team_in_august(sales)
    assert measured(ask(sales)) == measured(before)


def test_a_team_that_began_when_nobody_was_in_it_is_not_measured_from_then_on(
    sales: Shop,
) -> None:
    calls(sales, 8, 8)
    propose(sales, *TEAMS[:4])
    with sales.flow.session() as s:
        trial = s.get(Improvement, improvement_id("calls"))
        trial.start(team="new", occurred_at=date(2026, 2, 20))
    before = [ask(sales, by=unit) for unit in ("team", "rep")]
    assert {each.start for view in before for each in view.units} == {START}
    found_team_in_august(sales)
    for view in before:
        assert measured(ask(sales, by=view.by)) == measured(view)


def test_a_team_that_nobody_was_in_any_more_is_not_one_that_did_not_start(sales: Shop) -> None:
    with sales.flow.session() as s:
        rep = s.add(Rep.join("r9", team="old", name="Rep 9", occurred_at=date(2020, 1, 1)))
        rep.leave(occurred_at=date(2021, 6, 30))
    calls(sales, 8, 8)
    propose(sales, *TEAMS)
    assert ask(sales).verdict == "changed_since"


def test_before_and_after_of_nothing_is_no_evidence_of_a_change(sales: Shop) -> None:
    calls(sales, 0, 8)
    propose(sales, None)
    assert ask(sales).verdict == "no_change_since"


def test_where_the_others_start_within_the_window_it_is_said_that_nobody_is_left(
    sales: Shop,
) -> None:
    calls(sales, 8, 8)
    propose(sales, *TEAMS[:4])
    with sales.flow.session() as s:
        trial = s.get(Improvement, improvement_id("calls"))
        trial.start(occurred_at=START + timedelta(days=20))
    view = ask(sales)
    assert view.verdict == "changed_unmatched"
    text = " ".join(view.table().split())
    assert "Everybody changed at once" not in text
    assert "this is before and after" in text
    assert "A shorter window may leave somebody" in text
    assert ask(sales, window=20).verdict not in ("changed_unmatched", "no_change_unmatched")


def test_teams_that_did_not_keep_to_the_drawn_order_are_named(sales: Shop) -> None:
    calls(sales, 0, 4)
    propose(sales, teams=TEAMS)
    with sales.flow.session() as s:
        trial = s.get(Improvement, improvement_id("calls"))
        trial.stagger(first=START, every_days=10, occurred_at=date(2026, 2, 10))
        on_its_day, early = [*trial.planned_starts][1:3]
        for team, days in ((on_its_day, 10), (early, 15)):
            trial.start(team=team, occurred_at=START + timedelta(days=days))
    assert "1 team started on another day than was drawn" in ask(sales).table()


def test_two_teams_are_too_few_to_conclude_anything(sales: Shop) -> None:
    calls(sales, 8, 2)
    propose(sales, *TEAMS[:2])
    assert ask(sales).verdict == "too_few"


def test_reps_may_be_compared_and_it_is_said_that_they_changed_together(sales: Shop) -> None:
    calls(sales, 8, 4)
    propose(sales, *TEAMS[:4])
    view = ask(sales, by="rep")
    assert {each.unit for each in view.units} == {f"r{number}" for number in range(8)}
    assert "Reps of one team changed together" in view.table()


def test_a_window_that_is_not_over_says_nothing_yet(sales: Shop) -> None:
    propose(sales, *TEAMS[:4])
    assert ask(sales, window=200).verdict == "window_not_over"
    assert ask(sales, window=200).effect is None


def test_a_concluded_improvement_is_told_as_of_its_conclusion_and_now(sales: Shop) -> None:
    calls(sales, 8, 4)
    propose(sales, *TEAMS[:4])
    with sales.flow.session() as s:
        trial = s.get(Improvement, improvement_id("calls"))
        trial.conclude("adopted", because="twice the calls")
    for number in range(4, 8):
        sales.tell(number, *[("2026-03-20", CALL)] * 8)
    view = sales.flow.ask(ImprovementEffect(improvement="calls"))
    assert view.concluded is not None
    assert (view.concluded.outcome, view.concluded.verdict) == ("adopted", "evidence")
    assert view.verdict == "no_evidence", "what was told late of the others weighs it up"
    again = sales.flow.ask(
        ImprovementEffect(improvement="calls"), known_at=view.moment.known_at
    )
    assert again == view


def test_what_is_told_later_of_starts_changes_nothing_of_what_was_known_at_the_conclusion(
    sales: Shop,
) -> None:
    calls(sales, 8, 4)
    propose(sales, *TEAMS[:4])
    with sales.flow.session() as s:
        s.get(Improvement, improvement_id("calls")).conclude("adopted", because="it did")
    concluded = ask(sales, "2026-06-30").concluded
    assert concluded is not None
    assert concluded.effect is not None
    with sales.flow.session() as s:
        s.get(Improvement, improvement_id("calls")).start(team=TEAMS[4], occurred_at=START)
    view = ask(sales, "2026-06-30")
    assert view.effect is not None
    assert (view.effect.treated.people, view.concluded) == (5, concluded)


def test_before_and_after_of_a_rate_of_amounts_is_the_change_of_those_amounts(
    sales: Shop,
) -> None:
    propose(sales, None, metric="win_rate_by_value")
    ends = {"9": DealWon(), "1": DealLost(because="price")}
    for number, (day, amount) in enumerate(
        (("02-10", "9"), ("02-10", "1"), ("03-10", "9"), ("03-10", "1")), 20
    ):
        end = ends[amount if day == "02-10" else "91".replace(amount, "")]
        start = opened(PLAIN, amount=cny(f"{amount}00"), owner="r0")
        sales.tell(number, (f"2026-{day}", start), (f"2026-{day} 12:00", end))
    found = ask(sales).before_after
    assert found is not None
    assert found.change is not None
    assert told(found.before, found.after, found.change.value) == (
        *(Decimal("0.9"), Decimal("0.1"), Decimal("-0.8")),
    )


def test_amounts_are_told_in_one_currency_or_not_at_all(sales: Shop) -> None:
    publish(sales, "2026-01-02", CNY="7.0")
    publish(sales, "2026-03-02", CNY="7.2")
    propose(sales, *TEAMS[:1], metric="sales")
    amounts = (cny("700"), Money("50", "USD"), Money("100", "USD"))
    for number, (day, amount) in enumerate(
        zip(("02-10", "03-10", "03-11"), amounts, strict=True), 20
    ):
        start = opened(PLAIN, amount=amount, owner="r0")
        sales.tell(number, (f"2026-{day}", start), (f"2026-{day} 12:00", DealWon()))
    with pytest.raises(InputError, match="CNY and USD, which are never added up"):
        ask(sales)
    view = ask(sales, report_currency="CNY")
    [r0] = [each for each in view.units if each.unit == TEAMS[0]]
    assert told(r0.before, r0.after) == (Decimal(700), Decimal(1080))  # 150 x 7.2
    assert view.rates is not None
    assert view.currency == "CNY"


def test_deals_closed_under_the_new_version_stand_beside_the_others(sales: Shop) -> None:
    propose(sales, None, metric="win_rate", process="plain", process_version=1)
    for number in range(20, 24):
        won = DealWon() if number < 23 else DealLost(because="price")
        amount = cny("100")
        sales.tell(number, ("2026-03-05", opened(PLAIN, amount=amount)), ("2026-03-09", won))
    [version] = ask(sales).versions
    assert (version.version, version.won, version.lost) == (1, 3, 1)
    assert version.win_rate == Decimal("0.75")
    assert ask(sales).version_change is None, "nothing closed under another one"


def test_an_improvement_nobody_proposed_is_refused(sales: Shop) -> None:
    propose(sales)
    with pytest.raises(NotFoundError, match="no improvement 'cals' by then; there are calls"):
        ask(sales, improvement="cals")
    assert ask(sales).verdict == "not_started"
    with pytest.raises(InputError, match="window"):
        ImprovementEffect(improvement="calls", window=3)
