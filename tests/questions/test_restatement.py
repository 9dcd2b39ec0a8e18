"""What the funnel was known to say, what it says now, and the events between; by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, shop
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.billing import ContractAmended, ForecastGiven
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.values import Money
from salesflow.errors import InputError
from salesflow.presentation.format import totals_text
from salesflow.projections.pipeline.restatement import Restatement, RestatementView
from simulated import ran

QUARTER = "2026-03-31"
MICROSECOND = timedelta(microseconds=1)
Sums = dict[str, Decimal | int]
Sides = tuple[int, Sums, int, Sums]


def cells(view: RestatementView) -> dict[str, Sides]:
    """Give deals and amounts then and now, by stage or outcome."""
    return {
        cell.stage or cell.outcome: (
            cell.deals_then,
            {total.currency: total.amount for total in cell.amounts_then},
            cell.deals_now,
            {total.currency: total.amount for total in cell.amounts_now},
        )
        for cell in view.cells
    }


def kinds(view: RestatementView) -> list[str]:
    return [event.kind.rpartition(".")[2] for event in view.events]


def restated(told: Shop, as_of: str = QUARTER, **asked: object) -> RestatementView:
    return told.flow.ask(Restatement.model_validate(asked), as_of=as_of)


def sold(told: Shop, amount: str = "980000") -> Shop:
    """Open a deal on 2 March and win it on the 20th, both recorded as they happen."""
    told.turn("2026-03-02 10:00").tell(1, ("2026-03-02 09:00", opened(amount=cny("100000"))))
    told.turn("2026-03-20 10:00").tell(1, ("2026-03-20 09:00", DealWon(amount=cny(amount))))
    return told


def test_a_correction_after_the_quarter_closed_restates_it_and_is_named() -> None:
    with shop() as told:
        sold(told).turn("2026-04-15 10:00").retract(told.events(1)[1])
        told.turn("2026-04-15 11:00")
        told.tell(1, ("2026-03-20 09:00", DealWon(amount=cny("98000"))))
        view = restated(told)
        retraction, right = told.flow.history(deal_id(1))[-2:]
    assert cells(view) == {"won": (1, {"CNY": 980000}, 1, {"CNY": 98000})}
    [won] = view.cells
    assert won.deals_change == 0
    assert totals_text(won.amounts_change) == "-882,000 CNY"
    assert [event.position for event in view.events] == [retraction.position, right.position]
    assert kinds(view) == ["retracted", "won"]
    assert view.events[0].retracts == retraction.position - 1
    assert view.events[1].occurred_at == datetime(2026, 3, 20, 9, tzinfo=UTC)
    assert view.events[1].recorded_at == datetime(2026, 4, 15, 11, tzinfo=UTC)
    assert (view.deals_restated, view.events_total) == (1, 2)


def test_what_was_known_then_defaults_to_the_day_asked_about() -> None:
    with shop() as told:
        sold(told).turn("2026-04-15 10:00").retract(told.events(1)[1])
        assert restated(told).known_then == restated(told).moment.as_of
        assert cells(restated(told)) == {
            "a": (0, {}, 1, {"CNY": 100000}),
            "won": (1, {"CNY": 980000}, 0, {}),
        }
        assert restated(told, "2026-04-30", known_then="2026-04-15").events == ()


def test_a_retraction_of_a_retraction_restates_what_was_restated() -> None:
    with shop() as told:
        sold(told).turn("2026-04-10 10:00").retract(told.events(1)[1])
        told.turn("2026-04-20 10:00").retract(told.flow.history(deal_id(1))[-1])
        told.turn("2026-06-01 10:00")
        both = restated(told)
        one = restated(told, known_then="2026-04-15")
        first, second = told.flow.history(deal_id(1))[-2:]
    assert (both.deals_restated, both.events) == (0, ()), "they undo one another"
    assert cells(one)["won"] == (0, {}, 1, {"CNY": 980000})
    assert [(e.position, e.retracts) for e in one.events] == [(second.position, first.position)]


def test_a_retracted_opening_takes_the_deal_out_and_brings_it_back() -> None:
    with shop() as told:
        sold(told).turn("2026-04-10 10:00").retract(told.events(1)[0])
        out = restated(told)
        told.turn("2026-04-20 10:00").retract(told.flow.history(deal_id(1))[-1])
        back = restated(told, known_then="2026-04-15")
    assert cells(out) == {"won": (1, {"CNY": 980000}, 0, {})}
    assert kinds(out) == ["retracted"]
    assert cells(back) == {"won": (0, {}, 1, {"CNY": 980000})}
    assert kinds(back) == ["retracted"]


def test_an_opening_brought_to_light_is_explained_by_what_covered_it() -> None:
    with shop() as told:
        told.turn("2026-04-25 10:00").tell(1, ("2026-04-05 09:00", opened(amount=cny("1"))))
        told.turn("2026-04-26 10:00").tell(1, ("2026-03-05 09:00", opened(amount=cny("2"))))
        told.turn("2026-05-10 10:00").retract(told.events(1)[0])
        view = restated(told, known_then="2026-04-30")
    assert cells(view) == {"a": (0, {}, 1, {"CNY": 2})}
    assert kinds(view) == ["retracted"], "of a fact of April, which hid that of March"


def test_a_fact_older_than_everything_known_restates_only_the_days_before_the_next() -> None:
    with shop() as told:
        told.turn("2026-03-02 10:00").tell(1, ("2026-03-02 09:00", opened()))
        told.turn("2026-03-20 10:00").tell(1, ("2026-03-20 09:00", StageMoved(target="c")))
        told.turn("2026-04-15 10:00").tell(1, ("2026-03-05 09:00", StageMoved(target="b")))
        assert restated(told).deals_restated == 0
        assert restated(told).events == ()
        view = restated(told, "2026-03-10", known_then=QUARTER)
        assert cells(view) == {"a": (1, {}, 0, {}), "b": (0, {}, 1, {})}
        assert kinds(view) == ["stage_moved"]
        told.tell(1, ("2026-03-01 09:00", StageMoved(target="c")))
        assert kinds(restated(told, "2026-03-10")) == ["stage_moved"] * 2, "irregular, told"
        assert cells(restated(told, "2026-03-10")) == cells(view)


def test_nothing_was_known_before_the_log_began() -> None:
    with shop() as told:
        sold(told)
        view = restated(told, known_then="2019-12-31")
    assert cells(view) == {"won": (0, {}, 1, {"CNY": 980000})}
    assert kinds(view) == ["opened", "won"]


def test_before_the_first_event_neither_side_says_anything() -> None:
    with shop() as told:
        sold(told)
        view = restated(told, "2026-02-28")
    assert (view.cells, view.deals_restated, view.events) == ((), 0, ())


def test_a_fact_recorded_in_the_very_instant_was_known_then() -> None:
    with shop() as told:
        sold(told).turn("2026-04-15 10:00").tell(1, ("2026-03-25 09:00", DealLost()))
        at = told.events(1)[-1].recorded_at
        counts = [
            restated(told, known_then=at + shift).events_total
            for shift in (-MICROSECOND, timedelta(), MICROSECOND)
        ]
    assert counts == [1, 0, 0]


def test_a_bare_day_ends_at_the_midnight_of_the_business_time_zone() -> None:
    with shop(timezone="Asia/Shanghai") as told:
        sold(told).turn("2026-04-01 00:30")
        told.tell(1, ("2026-03-31 23:00", DealLost(because="price")))
        view = restated(told)
    assert view.known_then == datetime(2026, 3, 31, 15, 59, 59, 999999, tzinfo=UTC)
    assert cells(view) == {
        "won": (1, {"CNY": 980000}, 0, {}),
        "lost": (0, {}, 1, {"CNY": 980000}),
    }


def test_a_day_on_which_the_clocks_are_put_forward_ends_an_hour_early() -> None:
    with shop(timezone="America/New_York") as told:
        view = restated(sold(told), known_then=date(2026, 3, 8))
    assert view.known_then == datetime(2026, 3, 9, 3, 59, 59, 999999, tzinfo=UTC)


def test_a_late_change_of_stage_and_back_leaves_nothing_to_explain() -> None:
    with shop() as told:
        told.turn("2026-03-02 10:00").tell(1, ("2026-03-02 09:00", opened()))
        told.turn("2026-04-15 10:00").tell(
            1,
            ("2026-03-05 09:00", StageMoved(target="b")),
            ("2026-03-05 09:00", StageMoved(target="a")),
        )
        view = restated(told)
    assert cells(view) == {"a": (1, {}, 1, {})}
    assert (view.deals_restated, view.events) == (0, ())


def test_of_two_facts_of_one_microsecond_the_later_told_decides() -> None:
    with shop() as told:
        told.turn("2026-03-02 10:00").tell(1, ("2026-03-02 09:00", opened()))
        told.turn("2026-03-06 10:00").tell(1, ("2026-03-05 09:00", StageMoved(target="c")))
        told.turn("2026-04-15 10:00").tell(1, ("2026-03-05 09:00", StageMoved(target="b")))
        assert cells(restated(told)) == {"b": (0, {}, 1, {}), "c": (1, {}, 0, {})}


def test_only_events_that_can_move_a_deal_and_only_of_deals_that_moved_are_listed() -> None:
    with shop() as told:
        for deal in (1, 2):
            told.turn("2026-03-02 10:00").tell(deal, ("2026-03-02 09:00", opened()))
        call = ContactLogged(channel="call", direction="out")
        told.turn("2026-04-15 10:00")
        told.tell(1, ("2026-03-05 09:00", call), ("2026-03-06 09:00", StageMoved(target="b")))
        told.tell(1, ("2026-04-05 09:00", StageMoved(target="c")))
        told.tell(2, ("2026-03-05 09:00", call), ("2026-04-06 09:00", StageMoved(target="b")))
        view = restated(told)
        moved = told.events(1)[2]
    assert [(e.deal, e.position) for e in view.events] == [(deal_id(1), moved.position)]


def test_a_plan_for_after_the_day_explains_nothing_of_it() -> None:
    with shop() as told:
        sold(told).turn("2026-04-15 10:00")
        ahead = datetime(2026, 5, 1, tzinfo=UTC)
        later = ContractAmended(amount=cny("2"), effective_from=ahead)
        told.tell(1, ("2026-03-25 09:00", later))
        assert restated(told).deals_restated == 0
        told.tell(1, ("2026-03-26 09:00", ContractAmended(amount=cny("3"))))
        assert [e.position for e in restated(told).events] == [told.events(1)[-1].position]


def test_a_deal_told_in_another_currency_leaves_one_sum_and_enters_the_other() -> None:
    with shop() as told:
        sold(told).turn("2026-04-15 10:00")
        told.tell(1, ("2026-03-25 09:00", ContractAmended(amount=Money("7", "USD"))))
        [row] = restated(told).tables()[0].rows
    assert row == ("–", "won", "1", "1", "", "980,000 CNY", "7 USD", "-980,000 CNY + 7 USD")


def test_deals_found_out_to_be_one_leave_an_open_cell_together() -> None:
    with shop() as told:
        for deal in (1, 2):
            told.turn("2026-03-02 10:00")
            told.tell(deal, ("2026-03-02 09:00", opened(amount=cny("5"))))
        told.turn("2026-04-15 10:00").tell_all(
            (1, "2026-03-10 09:00", DealMerged(into=deal_id(2))),
            (2, "2026-03-10 09:00", DealAbsorbed(absorbed=deal_id(1))),
        )
        view = restated(told)
    assert cells(view) == {
        "a": (2, {"CNY": 10}, 1, {"CNY": 5}),
        "merged": (0, {}, 1, {"CNY": 5}),
    }
    assert kinds(view) == ["merged"], "the survivor stands as it stood"


def test_a_rep_asks_about_the_own_deals_as_they_were_taken_for_on_either_side() -> None:
    with shop() as told:
        told.turn("2026-03-02 10:00")
        told.tell(1, ("2026-03-02 09:00", opened(amount=cny("5"), owner="ann")))
        told.turn("2026-04-15 10:00").tell(1, ("2026-03-05 09:00", OwnerAssigned(owner="bob")))
        assert cells(restated(told, owner="ann")) == {"a": (1, {"CNY": 5}, 0, {})}
        assert cells(restated(told, owner="bob")) == {"a": (0, {}, 1, {"CNY": 5})}
        assert kinds(restated(told, owner="bob")) == ["owner_assigned"]
        assert restated(told).deals_restated == 0, "the whole funnel says what it said"
        assert restated(told, process="imported").cells == ()


def test_the_first_events_are_listed_and_all_are_counted() -> None:
    with shop() as told:
        told.turn("2026-03-02 10:00").tell(1, ("2026-03-02 09:00", opened()))
        told.turn("2026-04-15 10:00")
        for day, amount in (("2026-03-07", "3"), ("2026-03-06", "2"), ("2026-03-05", "1")):
            told.tell(1, (day, ForecastGiven(amount=cny(amount))))
        view = restated(told, limit=2)
    assert cells(view) == {"a": (1, {}, 1, {"CNY": 3})}
    assert view.events_total == 3
    assert [event.occurred_at.day for event in view.events] == [7, 6], "in the order of the log"


def test_what_was_known_then_is_never_more_than_what_is_known_now() -> None:
    with shop() as told:
        sold(told).turn("2026-04-15 10:00").retract(told.events(1)[1])
        asked = Restatement(known_then="2026-05-01")
        view = told.flow.ask(asked, as_of=QUARTER, known_at="2026-04-01")
    assert view.known_then == view.moment.known_at
    assert cells(view) == {"won": (1, {"CNY": 980000}, 1, {"CNY": 980000})}


def test_the_answer_stays_whatever_is_recorded_afterwards() -> None:
    with shop() as told:
        sold(told).turn("2026-04-15 10:00").tell(1, ("2026-03-25 09:00", DealLost()))
        view = restated(told)
        told.turn("2026-05-15 10:00").retract(told.events(1)[0])
        assert told.flow.ask(Restatement(), at=view.moment) == view


@pytest.mark.parametrize("when", ["yesterday", datetime(2026, 3, 31)])  # noqa: DTZ001
def test_a_time_that_cannot_be_read_is_refused_at_once(when: str | datetime) -> None:
    with pytest.raises(InputError, match="known_then"):
        Restatement(known_then=when)


def test_the_command_line_compares_what_was_known_with_what_is(tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path / 'sales.db'}"
    with shop(url=file, timezone="Asia/Shanghai") as told:
        sold(told).turn("2026-04-15 10:00").retract(told.events(1)[1])
    asked = ("ask", "restatement", "--as-of", QUARTER, "--db", file)
    told_now = ran(*asked, "--known-then", "2026-04-01")
    assert told_now.code == 0
    [won] = [line for line in told_now.out.splitlines() if line.split()[1:2] == ["won"]]
    assert won.split() == ["–", "won", "1", "0", "-1", "980,000", "CNY", "–", "-980,000", "CNY"]
    assert "then: data recorded up to 2026-04-01 23:59:59" in told_now.out
    assert "deals changed 1 · listed 1 · in all 1" in told_now.out
    assert "追溯更正" in ran(*asked, "--lang", "zh").out
    refused = ran(*asked, "--known-then", "soon")
    assert (refused.code, refused.err.startswith("salesflow: --known-then: ")) == (2, True)


def test_then_and_now_at_one_instant_say_that_nothing_can_differ() -> None:
    said = "then and now are the same instant"
    with shop() as told:
        sold(told).turn("2026-04-15 10:00").retract(told.events(1)[1])
        question = Restatement()
        assert said in told.flow.ask(question, as_of=QUARTER, known_at=QUARTER).table()
        assert said in told.flow.ask(question).table(), "as_of is now where nothing is said"
        assert said not in told.flow.ask(question, as_of=QUARTER).table()
