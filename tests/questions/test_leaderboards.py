"""Leaderboards and contests: who is ahead, ties, and results that stay."""

from datetime import date

import pytest

from questions.paying import (
    Payroll,
    amended,
    joined,
    late,
    owned,
    payroll,
    rates,
    refunded,
    retracted,
    won,
)
from questions.shop import told
from salesflow import Contest, ContestStandings, Leaderboard, Prize
from salesflow.domain.contest import contest_id
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.rep import Rep, rep_id
from salesflow.errors import InputError, NotFoundError, RuleError
from salesflow.projections.incentives.leaderboard import LeaderboardView

SPRING = {"from_": date(2026, 3, 1), "to": date(2026, 6, 1)}
TEAM = (joined("01-05", "ann"), joined("01-05", "bob"), joined("01-05", "cat", "west"))


def board(found: Payroll, **asked: object) -> LeaderboardView:
    return found.flow.ask(Leaderboard.model_validate({**SPRING, **asked}))


def ranks(view: LeaderboardView) -> list[tuple[int | None, str, str | None]]:
    return [
        (each.rank, each.key, None if each.figure is None else str(each.figure))
        for each in view.standings
    ]


def test_those_with_the_same_figure_share_a_rank_and_the_next_one_is_left_free() -> None:
    with payroll(
        *TEAM,
        joined("01-05", "dan"),
        won(1, "03-10", "100", by="bob"),
        won(2, "03-11", "100", by="ann"),
        won(3, "03-12", "70", by="cat"),
    ) as found:
        assert ranks(board(found)) == [
            *((1, "ann", "100"), (1, "bob", "100"), (3, "cat", "70"), (4, "dan", "0")),
        ]


def test_a_shared_sale_is_counted_once_in_all() -> None:
    with payroll(*TEAM, won(1, "03-10", "100", splits={"bob": "0.3"})) as found:
        assert ranks(board(found))[:2] == [(1, "ann", "70"), (2, "bob", "30")]
        assert ranks(board(found, by="team")) == [(1, "east", "100"), (2, "west", "0")]


def test_a_win_told_again_for_another_owner_is_one_booking() -> None:
    with payroll(
        *TEAM,
        won(1, "03-10", "100", splits={"bob": "0.3"}),
        retracted(1, "03-11", DealWon),
        late("03-12", owned(1, "03-10", "bob", at="09:50")),
        late("03-12", won(1, "03-10", "100", again=True)),
    ) as found:
        first = board(found).standings[0]
        assert (first.key, str(first.figure), first.count) == ("bob", "100", 1)


def test_whoever_gave_back_more_than_was_sold_stands_last() -> None:
    with payroll(*TEAM, won(1, "02-10", "100"), refunded(1, "03-10", "40")) as found:
        assert ranks(board(found))[-1] == (3, "ann", "-40")


def test_currencies_are_ranked_each_by_itself_or_in_one() -> None:
    with payroll(
        *TEAM,
        rates("03-01", CNY="7"),
        won(1, "03-10", "100"),
        won(2, "03-10", "20", by="bob", currency="USD"),
    ) as found:
        each = board(found)
        first = [(row.currency, row.key) for row in each.standings if row.rank == 1]
        assert first == [("CNY", "ann"), ("USD", "bob")]
        in_one = board(found, report_currency="CNY")
        assert ranks(in_one)[:2] == [(1, "bob", "140"), (2, "ann", "100")]


def test_where_less_is_better_the_least_is_first_and_who_has_nothing_has_no_rank() -> None:
    with payroll(*TEAM, won(1, "03-10", "100"), won(2, "03-10", "5", by="bob")) as found:
        found.play()
        assert [rank for rank, _, _ in ranks(board(found, metric="cycle_days"))] == [1, 1, None]


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("figure:market_share", "is reported from outside; nobody is ranked by it"),
        ("stage_days", "is measured at a stage; nobody is ranked by it"),
        ("sale", "'sale' is not a metric .perhaps sales.; there are sales"),
    ],
)
def test_nobody_is_ranked_by_what_nobody_can_be_ranked_by(metric: str, said: str) -> None:
    with payroll() as found, pytest.raises(InputError, match=said):
        board(found, metric=metric)


def opened_contest(found: Payroll, **changes: object) -> None:
    shape = {
        "name_en": "Spring",
        "name_zh": "春季",
        "metric": "sales",
        "currency": "CNY",
        "first_day": date(2026, 3, 1),
        "last_day": date(2026, 3, 31),
        "prizes": (Prize(rank=1, prize="a trip"), Prize(rank=3, prize="a book")),
        "occurred_at": date(2026, 2, 1),
    }
    with found.flow.session() as session:
        session.add(Contest.open("spring", **(shape | changes)))  # type: ignore[arg-type]


def test_a_contest_shows_who_is_winning_what() -> None:
    with payroll(
        *TEAM, won(1, "03-10", "100"), won(2, "03-31", "60", by="bob"), won(3, "04-01", "99")
    ) as found:
        opened_contest(found)
        view = found.flow.ask(ContestStandings(contest="spring"))
        assert [told(e.rank, e.key, e.figure, e.prize) for e in view.standings] == [
            *((1, "ann", 100, "a trip"), (2, "bob", 60, None), (3, "cat", 0, "a book")),
        ]
        early = found.flow.ask(ContestStandings(contest="spring"), as_of="2026-03-20")
        assert early.to_date
        with pytest.raises(InputError, match="is not over; ask as of its last day"):
            early.results()


def test_a_contest_is_among_those_who_take_part() -> None:
    with payroll(*TEAM, won(1, "03-10", "100"), won(2, "03-11", "60", by="bob")) as found:
        opened_contest(found, participants=("bob", "zoe"))
        view = found.flow.ask(ContestStandings(contest="spring"))
        assert [(each.rank, each.key) for each in view.standings] == [(1, "bob"), (2, "zoe")]


def test_what_those_sold_who_do_not_take_part_lacks_no_rate() -> None:
    sold = (won(1, "03-10", "9", currency="USD"), won(2, "03-11", "60", by="bob"))
    with payroll(*TEAM, *sold) as found:
        opened_contest(found, participants=("bob", "zoe"))
        rates_of = found.flow.ask(ContestStandings(contest="spring")).rates
        assert rates_of is not None
        assert rates_of.without_rate == ()
    with payroll(*TEAM, *sold) as found:
        opened_contest(found, participants=("ann", "bob"))
        rates_of = found.flow.ask(ContestStandings(contest="spring")).rates
        assert rates_of is not None
        assert [(it.currency, it.amounts) for it in rates_of.without_rate] == [("USD", 1)]


def test_results_that_were_fixed_stand_beside_what_is_known_now() -> None:
    with payroll(*TEAM, won(1, "03-10", "100"), won(2, "03-11", "60", by="bob")) as found:
        opened_contest(found)
        view = found.flow.ask(ContestStandings(contest="spring"))
        with found.flow.session() as session:
            session.get(Contest, contest_id("spring")).decide(view.results())
        found.play(late("2027-06-02", amended(2, "03-30", "500")))
        found.sales.turn("2027-06-03 12:00")
        closed = found.flow.ask(ContestStandings(contest="spring"))
        assert [(e.fixed_rank, e.key, e.rank, e.prize) for e in closed.standings][:2] == [
            *((1, "ann", 2, "a trip"), (2, "bob", 1, None)),
        ]
        with pytest.raises(RuleError, match="is closed already; its results stand"):
            closed.results()
        before = found.flow.ask(ContestStandings(contest="spring"), at=view.moment)
        assert before == view


def test_teams_contend_too() -> None:
    with payroll(*TEAM, won(1, "03-10", "100"), won(2, "03-11", "160", by="cat")) as found:
        opened_contest(found, by="team", metric="orders", currency=None)
        view = found.flow.ask(ContestStandings(contest="spring"))
        assert [told(each.rank, each.key, each.figure) for each in view.standings] == [
            *((1, "east", 1), (1, "west", 1)),
        ]


def test_a_contest_nobody_announced_is_refused_with_those_there_are() -> None:
    with payroll() as found:
        opened_contest(found)
        with pytest.raises(
            NotFoundError, match="no contest 'sprint' by then; there are spring"
        ):
            found.flow.ask(ContestStandings(contest="sprint"))


def test_a_winner_is_granted_an_award_that_stands_with_the_rep() -> None:
    with payroll(*TEAM) as found:
        with found.flow.session() as session:
            session.get(Rep, rep_id("ann")).grant_award(
                "Winner of spring", award_kind="badge", contest="spring", because="most sales"
            )
        [award] = found.flow.get(Rep, rep_id("ann")).awards
        assert (award.award, award.kind, award.contest) == (
            *("Winner of spring", "badge", "spring"),
        )


def test_each_of_several_currencies_has_a_table_of_its_own() -> None:
    with payroll(
        *TEAM, won(1, "03-10", "100"), won(2, "03-10", "20", by="bob", currency="USD")
    ) as found:
        cny, usd = board(found).tables()
        assert [row[:2] for row in cny.rows] == [("1", "ann")]
        assert [row[:2] for row in usd.rows] == [("1", "bob")]
        assert (" · CNY · " in cny.about, " · USD · " in usd.about) == (True, True)
        assert usd.notes == ("2 more have nothing",)
        assert {cny.columns[-1], usd.columns[-1]} == {"Rests on, all currencies"}
    with payroll(*TEAM, won(1, "03-10", "100")) as found:
        assert board(found).tables()[0].columns[-1] == "Rests on"
        assert "rests on = how many bookings" in board(found).formula
