"""How many deals go on from each stage, in numbers worked out by hand."""

from datetime import date
from decimal import Decimal

import pytest

from given import CLOSED_STAGES, PLAIN, opened
from properties.world import STANDARD_2
from questions.shop import Shop, deal_id, shop, told
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged, DealReleased, DealUnmerged
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import DealMigrated, StageMapping, StageMoved
from salesflow.domain.values import Money
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.metrics.conversion_figures import StageConversion, StageReach
from salesflow.projections.stages.conversion import Conversion, ConversionView

MARCH = {"from_": date(2026, 3, 1), "to": date(2026, 4, 1)}
JUNE = "2026-06-01T00:00:00+00:00"


def moved(stage: str) -> StageMoved:
    return StageMoved(target=stage)


def ask(books: Shop, as_of: str = JUNE, **asked: object) -> ConversionView:
    return books.flow.ask(Conversion.model_validate({**MARCH, **asked}), as_of=as_of)


def stage(view: ConversionView, key: str, process: str = "plain") -> StageConversion:
    [found] = [s for s in view.stages if (s.process, s.stage) == (process, key)]
    return found


def cohort(view: ConversionView, key: str, process: str = "plain") -> tuple[int, ...]:
    """Give those who entered, and of them who moved on, left otherwise, are still there."""
    found = stage(view, key, process)
    assert found.entered == found.moved_on + found.left + found.still_there
    return found.entered, found.moved_on, found.left, found.still_there


def in_period(view: ConversionView, key: str) -> tuple[object, ...]:
    found = stage(view, key)
    return found.entries, found.entries_later, found.in_period


def came(view: ConversionView, key: str, process: str = "plain") -> tuple[int, int, int]:
    [found] = [r for r in view.reach if (r.process, r.stage) == (process, key)]
    return found.created, found.entered, found.reached


def exits(view: ConversionView, key: str) -> list[tuple[str, str, int]]:
    found = [t for t in view.transitions if t.stage == key]
    assert sum(each.exits for each in found) in {0, *(each.exits_total for each in found)}
    return [(each.kind, each.target, each.exits) for each in found]


def rate(view: ConversionView, key: str) -> tuple[object, object]:
    found = stage(view, key)
    return (
        found.to_date and found.to_date.value,
        found.resolved and found.resolved.value,
    )


def five_deals(books: Shop) -> None:
    """One is won past b and c, one moved to b and back, one lost, one stays, one is merged."""
    books.tell(1, ("2026-03-02 09:00", opened()), ("2026-03-20 09:00", DealWon()))
    books.tell(
        2,
        ("2026-03-02 09:00", opened()),
        ("2026-03-10 09:00", moved("b")),
        ("2026-04-10 09:00", moved("a")),
    )
    books.tell(3, ("2026-03-02 09:00", opened()), ("2026-04-02 09:00", DealLost()))
    books.tell(4, ("2026-03-02 09:00", opened()))
    books.tell(5, ("2026-03-02 09:00", opened()), ("2026-03-05 09:00", moved("c")))
    books.tell_all(
        (5, "2026-03-25 09:00", DealMerged(into=deal_id(4))),
        (4, "2026-03-25 09:00", DealAbsorbed(absorbed=deal_id(5))),
    )


def test_a_cohort_is_followed_up_to_the_moment() -> None:
    with shop() as books:
        five_deals(books)
        at_the_end_of_march, later = ask(books, "2026-03-31"), ask(books)
    assert cohort(at_the_end_of_march, "a") == (4, 2, 0, 2)
    assert rate(at_the_end_of_march, "a") == (Decimal("0.5"), 1)
    assert cohort(later, "a") == (4, 2, 1, 1)
    assert rate(later, "a") == (Decimal("0.5"), Decimal(2) / 3)
    assert cohort(later, "b") == (1, 0, 1, 0)
    assert rate(later, "b") == (0, 0)
    assert cohort(later, "c") == (0, 0, 0, 0)
    assert rate(later, "c") == (None, None)
    assert cohort(later, "served") == (1, 0, 0, 1)


def test_period_conversion_takes_what_happened_in_the_period_and_may_exceed_one() -> None:
    with shop() as books:
        five_deals(books)
        march = ask(books)
        april = ask(books, from_=date(2026, 4, 1), to=date(2026, 5, 1))
        books.tell(6, ("2026-03-30 09:00", opened()), ("2026-04-02 09:00", moved("b")))
        books.tell(7, ("2026-04-30 09:00", opened()))
        books.tell(8, ("2026-03-30 09:00", opened()), ("2026-04-02 09:00", moved("b")))
        books.tell(9, ("2026-03-30 09:00", opened()), ("2026-04-02 09:00", moved("c")))
        fuller = ask(books, from_=date(2026, 4, 1), to=date(2026, 5, 1))
    assert in_period(march, "a") == (4, 2, Decimal("0.5"))
    assert in_period(march, "b") == (1, 0, 0)
    assert in_period(april, "a") == (1, 0, 0)
    assert in_period(fuller, "a") == (2, 3, Decimal("1.5"))
    assert in_period(fuller, "served") == (0, 0, None)


def test_deals_created_in_the_period_reach_or_pass_stages_each_once() -> None:
    with shop() as books:
        five_deals(books)
        view = ask(books)
    assert [came(view, key) for key in ("a", "b", "c", "served", "renewed")] == [
        (4, 4, 4),
        (4, 1, 2),
        (4, 0, 1),
        (4, 1, 1),
        (4, 0, 0),
    ]


def test_exits_are_shared_out_by_what_they_led_to() -> None:
    with shop() as books:
        five_deals(books)
        view = ask(books, from_=date(2026, 3, 1), to=date(2026, 6, 1))
    assert exits(view, "a") == [("advanced", "b", 1), ("won", "served", 1), ("lost", "lost", 1)]
    assert exits(view, "b") == [("returned", "a", 1)]
    assert {each.share for each in view.transitions if each.stage == "a"} == {Decimal(1) / 3}


def test_an_advance_past_a_stage_is_a_skip_and_a_reopening_a_return() -> None:
    with shop() as books:
        books.tell(
            1,
            ("2026-03-02", opened()),
            ("2026-03-03", moved("c")),
            ("2026-03-04", DealWon()),
            ("2026-03-05", DealReopened(stage="b")),
            ("2026-03-06", DealDisqualified()),
        )
        view = ask(books)
    assert exits(view, "a") == [("skipped", "c", 1)]
    assert exits(view, "c") == [("won", "served", 1)]
    assert exits(view, "served") == [("returned", "b", 1)]
    assert exits(view, "b") == [("disqualified", "disqualified", 1)]
    assert cohort(view, "c") == (1, 1, 0, 0)
    assert cohort(view, "b") == (1, 0, 1, 0)
    assert came(view, "b") == (1, 1, 1)


def test_there_and_back_inside_a_minute_are_two_entries_of_one_deal() -> None:
    with shop() as books:
        books.tell(
            1,
            ("2026-03-02 09:00:00", opened()),
            ("2026-03-02 09:00:20", moved("b")),
            ("2026-03-02 09:00:40", moved("a")),
        )
        view = ask(books)
    assert cohort(view, "a") == (1, 1, 0, 0)
    assert in_period(view, "a") == (2, 1, Decimal("0.5"))
    assert cohort(view, "b") == (1, 0, 1, 0)
    assert exits(view, "b") == [("returned", "a", 1)]


def test_several_moves_in_one_append_are_all_entries() -> None:
    at = "2026-03-02 09:00"
    with shop() as books:
        books.tell(1, (at, opened()), (at, moved("b")), (at, moved("c")))
        view = ask(books)
    assert [cohort(view, key) for key in "abc"] == [(1, 1, 0, 0), (1, 1, 0, 0), (1, 0, 0, 1)]
    assert exits(view, "b") == [("advanced", "c", 1)]
    assert came(view, "b") == (1, 1, 1)


def test_a_late_move_turns_an_advance_into_a_return() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02", opened()), ("2026-03-20", moved("b")))
        known = ask(books).moment
        books.tell(1, ("2026-03-10", moved("c")))
        before = books.flow.ask(Conversion.model_validate(MARCH), at=known)
        after = ask(books)
    assert exits(before, "a") == [("advanced", "b", 1)]
    assert (cohort(before, "c"), cohort(before, "b")) == ((0, 0, 0, 0), (1, 0, 0, 1))
    assert exits(after, "a") == [("skipped", "c", 1)]
    assert exits(after, "c") == [("returned", "b", 1)]
    assert (cohort(after, "c"), cohort(after, "b")) == ((1, 0, 1, 0), (1, 0, 0, 1))


def test_a_deal_created_lost_is_created_and_comes_nowhere() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02", opened(CLOSED_STAGES, stage="closed_lost")))
        view = ask(books)
    assert [came(view, key, "imported") for key in ("new", "talks", "closed_won")] == [
        (1, 0, 0),
        (1, 0, 0),
        (1, 0, 0),
    ]
    assert cohort(view, "new", "imported") == (0, 0, 0, 0)
    assert view.transitions == ()


def test_a_deal_told_with_its_first_and_last_stage_only_passed_those_between() -> None:
    with shop() as books:
        books.tell(
            1, ("2026-03-02", opened(CLOSED_STAGES)), ("2026-03-30", moved("closed_won"))
        )
        view = ask(books)
    assert [came(view, key, "imported") for key in ("new", "talks", "closed_won")] == [
        (1, 1, 1),
        (1, 0, 1),
        (1, 1, 1),
    ]
    assert cohort(view, "new", "imported") == (1, 1, 0, 0)
    assert exits(view, "new") == [("won", "closed_won", 1)]


def test_deals_of_another_process_come_nowhere_in_this_one_whatever_its_stages_are_named() -> (
    None
):
    other = PLAIN.model_copy(update={"key": "other"})
    with shop(other) as books:
        books.tell(1, ("2026-03-02", opened()), ("2026-03-20", moved("c")))
        books.tell(2, ("2026-03-02", opened(other)))
        view = ask(books)
    assert [came(view, key) for key in ("a", "b", "c")] == [(1, 1, 1), (1, 0, 1), (1, 1, 1)]
    reached = [came(view, key, "other") for key in ("a", "b", "c")]
    assert reached == [(1, 1, 1), (1, 0, 0), (1, 0, 0)]


def test_what_happened_before_the_opening_is_no_entry() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-01", moved("c")), ("2026-03-02", opened()))
        view = ask(books)
    assert (cohort(view, "a"), cohort(view, "c")) == ((1, 0, 0, 1), (0, 0, 0, 0))


def test_a_month_is_cut_where_the_business_is_also_when_its_clocks_are_turned() -> None:
    """In Berlin March begins at 23:00 UTC of 28 February and ends at 22:00 of the 31st."""
    with shop(timezone="Europe/Berlin") as books:
        books.tell(1, ("2026-02-28 23:59:59.999999", opened()))
        books.tell(2, ("2026-03-01 00:00", opened()))
        books.tell(3, ("2026-03-31 23:59:59.999999", opened()))
        books.tell(4, ("2026-04-01 00:00", opened()))
        view = ask(books)
    assert cohort(view, "a") == (2, 0, 0, 2)
    assert (view.period.start.isoformat(), view.period.end.isoformat()) == (
        "2026-02-28T23:00:00+00:00",
        "2026-03-31T22:00:00+00:00",
    )


NEXT = PLAIN.model_copy(
    update={
        "version": 2,
        "stages": (
            PLAIN.stages[0],
            PLAIN.stages[0].model_copy(update={"key": "trial"}),
            PLAIN.stages[1].model_copy(update={"key": "b2"}),
            PLAIN.stages[0].model_copy(update={"key": "last"}),
            *PLAIN.stages[3:],
        ),
    }
)
"""A trial was put in, b is called b2 now, c is gone, a last stage follows."""
MIGRATED = DealMigrated(
    process="plain",
    process_version=2,
    mapping=(StageMapping(old="b", new="b2"), StageMapping(old="c", new="last")),
)


def test_deals_go_on_from_a_stage_that_was_renamed_removed_or_followed_by_a_new_one() -> None:
    with shop(NEXT) as books:
        books.tell(
            1,
            ("2026-03-02", opened()),
            ("2026-03-03", moved("b")),
            ("2026-03-10", MIGRATED),
            ("2026-03-20", moved("last")),
        )
        books.tell(2, ("2026-03-02", opened()), ("2026-03-03", moved("b")))
        books.tell(2, ("2026-03-10", MIGRATED))
        books.tell(3, ("2026-03-02", opened()), ("2026-03-03", moved("c")))
        books.tell(3, ("2026-03-10", MIGRATED))
        books.tell(4, ("2026-03-02", opened()), ("2026-03-10", MIGRATED))
        books.tell(4, ("2026-03-20", moved("trial")))
        view = ask(books)
    assert [s.stage for s in view.stages] == [
        "a", "trial", "b2", "last", "served", "renewed", "b", "c"
    ]  # fmt: skip
    assert cohort(view, "a") == (4, 4, 0, 0)
    assert cohort(view, "b") == (2, 1, 0, 1)
    assert cohort(view, "c") == (1, 0, 0, 1)
    assert cohort(view, "b2") == (0, 0, 0, 0)
    assert cohort(view, "last") == (1, 0, 0, 1)
    assert exits(view, "b") == []
    assert exits(view, "b2") == [("advanced", "last", 1)]
    assert exits(view, "c") == []
    assert [came(view, key)[1:] for key in ("a", "trial", "b2", "last", "b", "c")] == [
        (4, 4),
        (1, 4),
        (0, 3),
        (1, 2),
        (2, 3),
        (1, 1),
    ]


def test_a_stage_that_is_gone_keeps_its_place_among_those_that_are_left() -> None:
    """Back from solution design, which version 2 has not, the deal goes past it after all."""
    to_2 = DealMigrated(process="standard", process_version=2)
    first = opened(process="standard", stage="prospecting")
    with shop(STANDARD_2) as books:
        books.tell(1, ("2026-03-02", first), ("2026-03-03", moved("solution_design")))
        books.tell(1, ("2026-03-04", moved("needs_analysis")), ("2026-03-05", to_2))
        before = ask(books)
        books.tell(1, ("2026-03-06", moved("negotiation")))
        after = ask(books)
    assert cohort(before, "solution_design", "standard") == (1, 0, 1, 0)
    assert cohort(after, "solution_design", "standard") == (1, 1, 0, 0)
    assert [s.stage for s in after.stages][-1] == "solution_design"


def test_a_deal_that_is_unmerged_goes_on_and_enters_nothing() -> None:
    with shop() as books:
        books.tell(1, ("2026-02-02", opened()))
        books.tell(2, ("2026-02-02", opened()))
        books.tell_all(
            (1, "2026-03-05", DealMerged(into=deal_id(2))),
            (2, "2026-03-05", DealAbsorbed(absorbed=deal_id(1))),
        )
        books.tell_all(
            (1, "2026-03-10", DealUnmerged(out_of=deal_id(2))),
            (2, "2026-03-10", DealReleased(released=deal_id(1))),
        )
        march = ask(books)
        february = ask(books, from_=date(2026, 2, 1), to=date(2026, 3, 1))
    assert (cohort(march, "a"), in_period(march, "a")) == ((0, 0, 0, 0), (0, 0, None))
    assert march.transitions == ()
    assert cohort(february, "a") == (2, 0, 0, 2)


def test_conversion_by_value_takes_the_amount_at_the_time_of_entering() -> None:
    def worth(amount: str, currency: str = "CNY") -> ForecastGiven:
        return ForecastGiven(amount=Money(amount, currency))

    with shop() as books:
        books.tell(
            1,
            ("2026-03-02", opened(amount=Money("100", "CNY"))),
            ("2026-03-03", worth("150")),
            ("2026-03-04", moved("b")),
            ("2026-03-05", worth("900")),
        )
        books.tell(2, ("2026-03-02", opened(amount=Money("300", "CNY"))))
        books.tell(3, ("2026-03-02", opened(amount=Money("7", "EUR"))))
        books.tell(4, ("2026-03-02", opened()), ("2026-03-03", moved("b")))
        view = ask(books)
    cny, eur = stage(view, "a").values
    assert told(cny.currency, cny.entered, cny.moved_on, cny.left) == ("CNY", 400, 100, 0)
    assert told(cny.to_date, cny.resolved) == (Decimal("0.25"), 1)
    assert told(cny.entries, cny.entries_later, cny.in_period) == (400, 150, Decimal("0.375"))
    assert told(eur.currency, eur.entered, eur.to_date, eur.resolved) == ("EUR", 7, 0, None)
    assert [v.entered for v in stage(view, "b").values] == [150]
    reach = next(r for r in view.reach if r.stage == "b")
    assert [told(v.currency, v.created, v.entered, v.reached) for v in reach.values] == [
        ("CNY", 400, 100, 100),
        ("EUR", 7, 0, 0),
    ]


def test_an_event_counts_for_who_owned_the_deal_then() -> None:
    with shop() as books:
        books.tell(
            1,
            ("2026-03-02", opened()),
            ("2026-03-03", OwnerAssigned(owner="bob")),
            ("2026-03-04", moved("b")),
        )
        of_ann, of_bob = ask(books, owner="ann"), ask(books, owner="bob")
    assert (cohort(of_ann, "a"), cohort(of_bob, "a")) == ((1, 1, 0, 0), (0, 0, 0, 0))
    assert (cohort(of_ann, "b"), cohort(of_bob, "b")) == ((0, 0, 0, 0), (1, 0, 0, 1))
    assert (exits(of_ann, "a"), exits(of_bob, "a")) == ([], [("advanced", "b", 1)])
    assert (came(of_ann, "b"), of_bob.reach) == ((1, 1, 1), ())


def test_the_quarter_of_the_moment_is_asked_about_with_the_one_before_beside_it() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-31", opened()), ("2026-04-01", moved("b")))
        books.tell(2, ("2026-04-01", opened()))
        view = books.flow.ask(Conversion(), as_of="2026-05-01")
    assert view.period.start.date() == date(2026, 4, 1)
    assert [(s.stage, s.entered) for s in view.stages if s.entered] == [("a", 1), ("b", 1)]
    [before] = [s for s in view.stages_before if s.entered]
    assert (before.stage, before.entered, before.moved_on) == ("a", 1, 1)


def test_before_the_first_event_there_is_nothing_and_on_it_one_entry() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02 09:00", opened()))
        before = ask(books, "2026-03-02T08:59:59.999999+00:00")
        on = ask(books, "2026-03-02T09:00:00+00:00")
    assert (before.stages, before.reach, before.transitions) == ((), (), ())
    assert cohort(on, "a") == (1, 0, 0, 1)


def test_a_wrong_process_is_refused_with_those_there_are() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02", opened()))
        with pytest.raises(
            NotFoundError, match="no process 'nonsense'; there are imported, plain"
        ):
            ask(books, process="nonsense")
        with pytest.raises(InputError, match="holds no day"):
            ask(books, to=date(2026, 3, 1))
        assert ask(books, process="imported").stages == ()


def test_the_answer_is_laid_out_in_both_languages() -> None:
    with shop() as books:
        five_deals(books)
        books.tell(6, ("2026-03-02", opened(amount=Money("100", "CNY"))))
        view = ask(books)
    assert [table.title for table in view.tables()] == [
        "Conversion",
        "Conversion by value",
        "Stage reach of deals created in the period",
        "Stage exits by destination",
    ]
    assert view.tables()[0].about == "2026-03-01 … 2026-03-31"
    assert view.tables()[0].rows[0][:5] == ("a", "5", "2", "1", "2")
    assert view.tables("zh")[3].rows[0][0] == "a"
    assert set(view.to_arrow()) == {
        "answer", "stages", "stages_before", "reach", "transitions"
    }  # fmt: skip
    first = view.reach[0]
    assert isinstance(first, StageReach)
    assert view.to_dict()["reach"][0]["created"] == 5
