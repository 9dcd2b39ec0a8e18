"""How long deals stay in each stage, in numbers worked out by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from given import CLOSED_STAGES, PLAIN, opened
from questions.shop import Shop, deal_id, shop, told
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged, DealReleased, DealUnmerged
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import DealMigrated, StageMapping, StageMoved
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.core.statistics import Spread
from salesflow.projections.stages.stage_time_figures import StageTime, TimeToEvent
from salesflow.projections.stages.stage_times import StageTimes, StageTimesView

MIDNIGHT = "2026-06-01T00:00:00+00:00"


def moved(stage: str) -> StageMoved:
    return StageMoved(target=stage)


def stage(view: StageTimesView, key: str, process: str = "plain") -> StageTime:
    [found] = [s for s in view.stages if (s.process, s.stage) == (process, key)]
    return found


def days(spread: Spread) -> tuple[object, ...]:
    return spread.days_median, spread.days_mean, spread.days_p90


def leaving(view: StageTimesView, key: str) -> TimeToEvent:
    [found] = [each for each in view.leaving if each.stage == key]
    return found


def ends(of: TimeToEvent) -> tuple[int, int, int, int, int, int]:
    return of.count, of.moved, of.won, of.lost, of.disqualified, of.censored


def test_latest_and_cumulative_time_of_a_stage_that_was_visited_twice() -> None:
    with shop() as books:
        books.tell(
            1,
            ("2026-03-01 00:00", opened()),
            ("2026-03-03 00:00", moved("b")),
            ("2026-03-06 00:00", moved("a")),
            ("2026-03-10 00:00", moved("b")),
            ("2026-03-11 00:00", DealWon()),
        )
        view = books.flow.ask(StageTimes(), as_of=MIDNIGHT)
    assert [(s.stage, s.deals, s.visits, s.open_visits) for s in view.stages] == [
        ("a", 1, 2, 0),
        ("b", 1, 2, 0),
        ("c", 0, 0, 0),
        ("served", 1, 1, 1),
        ("renewed", 0, 0, 0),
    ]
    assert days(stage(view, "a").latest) == (4, 4, 4)
    assert days(stage(view, "a").cumulative) == (6, 6, 6)
    assert days(stage(view, "b").latest) == (1, 1, 1)
    assert days(stage(view, "b").cumulative) == (4, 4, 4)
    assert days(stage(view, "served").latest) == (82, 82, 82)
    assert days(stage(view, "c").latest) == (None, None, None)


def test_percentiles_lie_between_two_deals_and_open_visits_count_to_the_moment() -> None:
    with shop() as books:
        for number, day in enumerate(("2026-05-22", "2026-05-28", "2026-05-31"), 1):
            books.tell(number, (f"{day} 00:00", opened()))
        books.tell(4, ("2026-05-01 00:00", opened()), ("2026-05-03 00:00", moved("b")))
        view = books.flow.ask(StageTimes(), as_of=MIDNIGHT)
    assert stage(view, "a").open_visits == 3
    assert days(stage(view, "a").latest) == (3, Decimal("4.25"), Decimal("8.2"))


def test_before_the_first_event_there_is_nothing_and_on_it_a_visit_of_no_length() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-01 00:00", opened()))
        at = datetime(2026, 3, 1, tzinfo=UTC)
        before = books.flow.ask(StageTimes(), as_of=at - timedelta(microseconds=1))
        on = books.flow.ask(StageTimes(), as_of=at)
        unknown = books.flow.ask(StageTimes(), as_of=at, known_at=at)
    assert before.stages == unknown.stages == ()
    assert days(stage(on, "a").latest) == (0, 0, 0)


def test_there_and_back_inside_a_minute_are_three_visits() -> None:
    with shop() as books:
        books.tell(
            1,
            ("2026-03-01 09:00:00", opened()),
            ("2026-03-01 09:00:10", moved("b")),
            ("2026-03-01 09:00:40", moved("a")),
        )
        view = books.flow.ask(StageTimes(deal=deal_id(1)), as_of="2026-03-01T09:01:00+00:00")
    assert (stage(view, "a").visits, stage(view, "b").visits) == (2, 1)
    assert days(stage(view, "a").latest)[0] == Decimal(20) / 86_400
    assert days(stage(view, "a").cumulative)[0] == Decimal(30) / 86_400
    assert view.deals[0].visits_seconds == 60


def test_several_moves_in_one_append_are_visits_of_no_length() -> None:
    with shop() as books:
        at = "2026-03-01 09:00"
        books.tell(1, (at, opened()), (at, moved("b")), (at, moved("c")), (at, moved("b")))
        view = books.flow.ask(StageTimes(deal=deal_id(1)), as_of="2026-03-03T09:00:00+00:00")
    assert [stage(view, key).visits for key in "abc"] == [1, 2, 1]
    assert days(stage(view, "a").latest) == (0, 0, 0)
    assert days(stage(view, "b").cumulative) == (2, 2, 2)
    assert stage(view, "b").open_visits == 1
    assert leaving(view, "b").chances[0].at_risk == 0
    assert ends(leaving(view, "b")) == (2, 1, 0, 0, 0, 1)


def test_visits_and_closed_time_make_the_time_from_first_to_last() -> None:
    with shop() as books:
        books.tell(
            1,
            ("2026-03-01 09:00:00.000001", opened()),
            ("2026-03-04 09:00:00", moved("b")),
            ("2026-03-05 09:00:00", DealLost()),
            ("2026-03-09 21:00:00.5", DealReopened()),
            ("2026-03-10 21:00:00", DealWon()),
            ("2026-03-20 00:00:00", DealDisqualified()),
        )
        open_ = books.flow.ask(
            StageTimes(deal=deal_id(1)), as_of="2026-03-10T00:00:00+00:00"
        ).deals[0]
        [closed] = books.flow.ask(StageTimes(deal=deal_id(1))).deals
    assert open_.closed_seconds == Decimal("388800.5")
    assert open_.visits_seconds == Decimal("345599.999999") + Decimal("10799.5")
    assert open_.last_at == datetime(2026, 3, 10, tzinfo=UTC)
    assert closed.last_at == datetime(2026, 3, 20, tzinfo=UTC)
    assert closed.visits_seconds + closed.closed_seconds == closed.first_to_last_seconds
    assert closed.first_to_last_seconds == Decimal("1609199.999999")
    assert closed.closed_seconds == Decimal("388800.5")


def test_between_two_days_there_are_calendar_days_also_where_the_clock_is_turned() -> None:
    with shop(timezone="Europe/Berlin") as books:
        books.tell(1, ("2026-03-28", opened()), ("2026-03-30", moved("b")))
        books.tell(2, ("2026-03-28 00:00", opened()), ("2026-03-30 00:00", moved("b")))
        of_days = books.flow.ask(StageTimes(deal=deal_id(1)))
        of_times = books.flow.ask(StageTimes(deal=deal_id(2)))
    assert days(stage(of_days, "a").latest)[0] == 2
    assert days(stage(of_times, "a").latest)[0] == Decimal(47) / 24
    assert of_days.leaving[0].days_median == 2
    assert of_days.deals[0].first_to_last_seconds == of_times.deals[0].first_to_last_seconds


def test_a_deal_is_stalled_once_it_stands_longer_than_its_stage_allows() -> None:
    with shop() as books:
        standard: dict[str, Any] = {"process": "standard", "stage": "prospecting"}
        books.tell(1, ("2026-05-01 00:00", opened(**standard)))
        books.tell(2, ("2026-05-02 00:00", opened(**standard)))
        books.tell(3, ("2026-05-02 00:00", opened()))
        on_the_edge = books.flow.ask(StageTimes(), as_of="2026-05-15T00:00:00+00:00")
        after = books.flow.ask(StageTimes(), as_of="2026-05-15T00:00:00.000001+00:00")
        both = books.flow.ask(StageTimes(), as_of=MIDNIGHT)
    assert on_the_edge.stalled == ()
    assert [s.deal for s in after.stalled] == [deal_id(1)]
    assert [told(s.deal, s.days, s.days_max, s.owner) for s in both.stalled] == [
        (deal_id(1), 31, 14, "ann"),
        (deal_id(2), 30, 14, "ann"),
    ]
    assert stage(both, "prospecting", "standard").stalled == 2
    assert stage(both, "a").stalled == 0


def test_a_stalled_deal_is_of_who_owns_it_now_a_visit_of_who_owned_it_at_its_beginning() -> (
    None
):
    with shop() as books:
        books.tell(
            1,
            ("2026-05-01 00:00", opened(process="standard", stage="prospecting")),
            ("2026-05-02 00:00", OwnerAssigned(owner="bob")),
        )
        of_ann = books.flow.ask(StageTimes(owner="ann"))
        of_bob = books.flow.ask(StageTimes(owner="bob"))
    assert (of_ann.stages[0].visits, len(of_ann.stalled)) == (1, 0)
    assert (of_bob.stages[0].visits, len(of_bob.stalled)) == (0, 1)


def test_a_deal_merged_and_unmerged_is_there_again_and_was_closed_between() -> None:
    with shop() as books:
        books.tell(2, ("2026-03-01 00:00", opened()))
        books.tell(1, ("2026-03-01 00:00", opened()))
        merge(books, 1, 2, "2026-03-04 00:00")
        merged = books.flow.ask(StageTimes(deal=deal_id(1)))
        unmerge(books, 1, 2, "2026-03-10 00:00")
        unmerged = books.flow.ask(StageTimes(deal=deal_id(1)), as_of=MIDNIGHT)
    assert (stage(merged, "a").open_visits, days(stage(merged, "a").latest)[0]) == (0, 3)
    assert ends(merged.leaving[0]) == ends(merged.ending[0]) == (1, 0, 0, 0, 0, 1)
    assert merged.ending[0].chances[0].at_risk == 0
    assert stage(unmerged, "a").visits == 2
    assert days(stage(unmerged, "a").cumulative)[0] == 3 + 83
    assert unmerged.deals[0].closed_seconds == 6 * 86_400


def merge(books: Shop, absorbed: int, survivor: int, when: str) -> None:
    books.tell_all(
        (absorbed, when, DealMerged(into=deal_id(survivor))),
        (survivor, when, DealAbsorbed(absorbed=deal_id(absorbed))),
    )


def unmerge(books: Shop, absorbed: int, survivor: int, when: str) -> None:
    books.tell_all(
        (absorbed, when, DealUnmerged(out_of=deal_id(survivor))),
        (survivor, when, DealReleased(released=deal_id(absorbed))),
    )


NEXT = PLAIN.model_copy(
    update={
        "version": 2,
        "stages": (
            PLAIN.stages[0].model_copy(update={"max_days": 10}),
            PLAIN.stages[1].model_copy(update={"key": "b2"}),
            PLAIN.stages[0].model_copy(update={"key": "trial"}),
            *PLAIN.stages[3:],
        ),
    }
)
"""b is called b2 now, c is gone, a trial was put in."""


def test_a_visit_goes_on_under_a_new_version_and_ends_where_the_stage_was_renamed() -> None:
    mapping = (StageMapping(old="b", new="b2"), StageMapping(old="c", new="trial"))
    migrated = DealMigrated(process="plain", process_version=2, mapping=mapping)
    with shop(NEXT) as books:
        books.tell(1, ("2026-05-01 00:00", opened()), ("2026-05-11 00:00", migrated))
        books.tell(
            2,
            ("2026-05-01 00:00", opened()),
            ("2026-05-02 00:00", moved("b")),
            ("2026-05-11 00:00", migrated),
            ("2026-05-21 00:00", moved("trial")),
        )
        books.tell(
            3,
            ("2026-05-01 00:00", opened()),
            ("2026-05-02 00:00", moved("c")),
            ("2026-05-11 00:00", migrated),
        )
        view = books.flow.ask(StageTimes(), as_of=MIDNIGHT)
    assert [(s.stage, s.visits, s.open_visits) for s in view.stages] == [
        ("a", 3, 1),
        ("b2", 1, 0),
        ("trial", 2, 2),
        ("served", 0, 0),
        ("renewed", 0, 0),
        ("b", 1, 0),
        ("c", 1, 0),
    ]
    assert days(stage(view, "a").latest)[0] == 1
    assert days(stage(view, "b").latest)[0] == 9
    assert days(stage(view, "b2").latest)[0] == 10
    assert [told(s.deal, s.days) for s in view.stalled] == [(deal_id(1), 31)]
    assert ends(leaving(view, "b")) == (1, 0, 0, 0, 0, 1)


def test_a_deal_is_opened_before_it_moves_in_the_same_instant_whatever_was_told_first() -> None:
    at = "2026-03-01 09:00"
    with shop() as books:
        books.tell(1, (at, moved("b")), (at, opened()))
        view = books.flow.ask(StageTimes(), as_of="2026-03-02T09:00:00+00:00")
    assert days(stage(view, "a").latest)[0] == 0
    assert days(stage(view, "b").latest)[0] == 1


def test_a_late_move_ends_a_visit_earlier_for_those_who_know() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-01 00:00", opened()), ("2026-03-21 00:00", moved("c")))
        known = books.flow.ask(StageTimes()).moment
        books.tell(1, ("2026-03-11 00:00", moved("b")))
        before = books.flow.ask(StageTimes(), at=known)
        after = books.flow.ask(StageTimes())
    assert (days(stage(before, "a").latest)[0], stage(before, "b").visits) == (20, 0)
    assert (days(stage(after, "a").latest)[0], days(stage(after, "b").latest)[0]) == (10, 10)


def test_a_retracted_move_was_no_visit() -> None:
    with shop() as books:
        books.tell(
            1,
            ("2026-03-01 00:00", opened()),
            ("2026-03-11 00:00", moved("b")),
            ("2026-03-21 00:00", moved("c")),
        )
        books.retract(books.events(1)[1])
        view = books.flow.ask(StageTimes())
    assert (stage(view, "b").visits, days(stage(view, "a").latest)[0]) == (0, 20)


def test_a_deal_created_lost_never_was_in_a_stage() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-01", opened(CLOSED_STAGES, stage="closed_lost")))
        view = books.flow.ask(StageTimes(deal=deal_id(1)))
    assert [s.visits for s in view.stages] == [0, 0, 0]
    assert view.leaving == ()
    assert ends(view.ending[0]) == (1, 0, 0, 1, 0, 0)
    assert view.deals[0].first_to_last_seconds == 0


def test_what_happened_before_the_opening_is_no_visit() -> None:
    with shop() as books:
        books.tell(1, ("2026-02-01", moved("b")), ("2026-03-01", opened()))
        view = books.flow.ask(StageTimes())
    assert [(s.stage, s.visits) for s in view.stages if s.visits] == [("a", 1)]


def test_chances_by_hand() -> None:
    """Of four deals one is won after 10 days, one lost after 20, one merged, one open.

    The merged one was watched for 15 days, so after 20 days one of two is left: open
    3/4 x 1/2, lost 3/4 x 1/2.
    """
    with shop() as books:
        books.tell(1, ("2026-05-01 00:00", opened()), ("2026-05-11 00:00", DealWon()))
        books.tell(2, ("2026-05-01 00:00", opened()), ("2026-05-21 00:00", DealLost()))
        books.tell(3, ("2026-05-01 00:00", opened()))
        books.tell(4, ("2026-05-01 00:00", opened()))
        merge(books, 3, 4, "2026-05-16 00:00")
        view = books.flow.ask(StageTimes(days=(9, 10, 20, 31, 32)), as_of=MIDNIGHT)
    [ending] = view.ending
    assert ends(ending) == (4, 0, 1, 1, 0, 2)
    assert ending.days_median == 20
    assert [told(c.days, c.at_risk, c.lasting, c.won, c.lost) for c in ending.chances] == [
        (9, 4, 1, 0, 0),
        (10, 4, Decimal("0.75"), Decimal("0.25"), 0),
        (20, 2, Decimal("0.375"), Decimal("0.25"), Decimal("0.375")),
        (31, 1, Decimal("0.375"), Decimal("0.25"), Decimal("0.375")),
        (32, 0, None, None, None),
    ]
    assert ends(leaving(view, "a")) == (4, 0, 1, 1, 0, 2)


def test_a_deal_ends_with_the_outcome_that_stands() -> None:
    with shop() as books:
        books.tell(
            1,
            ("2026-03-01 00:00", opened()),
            ("2026-03-02 00:00", moved("b")),
            ("2026-03-11 00:00", DealLost()),
            ("2026-03-13 00:00", DealReopened()),
            ("2026-03-21 00:00", DealWon()),
            ("2026-03-25 00:00", moved("renewed")),
        )
        whole = books.flow.ask(StageTimes(), as_of=MIDNIGHT).ending[0]
        from_b = books.flow.ask(StageTimes(start="b")).ending[0]
        reopened = books.flow.ask(StageTimes(), as_of="2026-03-13").ending[0]
    assert told(whole.won, whole.days_median, whole.stage) == (1, 20, None)
    assert told(from_b.won, from_b.days_median, from_b.stage) == (1, 19, "b")
    assert (reopened.count, reopened.censored) == (1, 1)


def test_stages_of_after_sales_are_left_by_moving_on_or_by_losing_the_deal_again() -> None:
    with shop() as books:
        books.tell(
            1,
            ("2026-03-01 00:00", opened()),
            ("2026-03-02 00:00", DealWon()),
            ("2026-03-05 00:00", moved("renewed")),
            ("2026-03-09 00:00", DealLost()),
        )
        view = books.flow.ask(StageTimes())
    assert days(stage(view, "served").latest)[0] == 3
    assert days(stage(view, "renewed").latest)[0] == 4
    assert ends(leaving(view, "served"))[:2] == (1, 1)
    assert ends(leaving(view, "renewed"))[3] == 1


def test_an_unknown_process_stage_or_deal_is_refused_with_those_there_are() -> None:
    with shop() as books:
        assert books.flow.ask(StageTimes(process="imported", start="none")).stages == ()
        books.tell(1, ("2026-03-01", opened()))
        with pytest.raises(
            NotFoundError, match="no process 'nonsense'; there are imported, plain"
        ):
            books.flow.ask(StageTimes(process="nonsense"))
        with pytest.raises(NotFoundError, match=r"no open stage 'served'; deals .* a, b, c"):
            books.flow.ask(StageTimes(start="served"))
        with pytest.raises(NotFoundError, match="no deal"):
            books.flow.ask(StageTimes(deal=UUID(int=7)))
        with pytest.raises(InputError, match="days"):
            StageTimes(days=(0,))
        assert books.flow.ask(StageTimes(process="standard")).stages == ()


def test_the_answer_is_laid_out_in_both_languages() -> None:
    with shop() as books:
        standard: dict[str, Any] = {"process": "standard", "stage": "prospecting"}
        books.tell(1, ("2026-03-01", opened(**standard)), ("2026-03-11", moved("negotiation")))
        books.tell(2, ("2026-03-01", opened(**standard)))
        view = books.flow.ask(StageTimes(deal=deal_id(2)))
    titles = [table.title for table in view.tables()]
    assert titles == [
        "Days in each stage",
        "Stalled deals",
        "Time to leave a stage (estimated, incl. deals still there)",
        "Deal outcomes by age (estimated)",
        "Time breakdown of the deal",
    ]
    assert view.tables("zh")[1].rows[0][1] == "潜在客户识别"
    assert set(view.to_arrow()) == {"stages", "stalled", "leaving", "ending", "deals"}
    assert view.to_dict()["stages"][0]["visits"] == 1
