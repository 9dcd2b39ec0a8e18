"""What customers say: scores by scale, who answered, their words; worked out by hand."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy as sa

from given import opened
from questions.shop import Shop, deal_id, shop
from salesflow.domain.deal.after_sales import SCALES, FeedbackReceived, Scale, SurveySent
from salesflow.domain.deal.billing import LineItemsAgreed
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.quotes import QuoteAccepted, QuoteIssued, QuoteLine
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.event import FactRetracted
from salesflow.domain.values import Money
from salesflow.presentation.format import Estimate
from salesflow.projections.feedback.feedback import Feedback, FeedbackView
from salesflow.projections.folds.feedback import FEEDBACK

MARCH = {"from_": date(2026, 3, 1), "to": date(2026, 4, 1)}
ANN, BOB = UUID(int=1), UUID(int=2)


def march(**more: object) -> Feedback:
    return Feedback.model_validate(MARCH | more)


def scored(scale: Scale, score: int, **more: object) -> FeedbackReceived:
    return FeedbackReceived.model_validate({"scale": scale, "score": score} | more)


def said(text: str, **more: object) -> FeedbackReceived:
    return FeedbackReceived.model_validate({"text": text} | more)


def lines(*products: str) -> tuple[QuoteLine, ...]:
    return tuple(QuoteLine(product=each, unit_price=Money("1", "CNY")) for each in products)


def value(estimate: Estimate | None) -> Decimal | int | None:
    return None if estimate is None else estimate.value


def responses(view: FeedbackView) -> dict[str | None, int]:
    return {group.key: group.figures.responses for group in view.groups}


def with_deal(told: Shop, deal: int = 1, owner: str = "ann") -> Shop:
    return told.tell(deal, ("2026-03-02 09:00", opened(owner=owner)))


def test_promoters_less_detractors_are_the_net_promoter_score() -> None:
    with shop() as told:
        scores = (10, 9, 9, 8, 7, 7, 6, 0)
        with_deal(told).tell(1, *[("2026-03-03 09:00", scored("nps", s)) for s in scores])
        total = told.flow.ask(march()).total
    assert (total.promoters, total.passives, total.detractors) == (3, 3, 2)
    assert total.nps is not None
    assert total.nps.value == Decimal("12.5"), "(3 − 2) ÷ 8 x 100: passives count below"
    assert total.nps.interval is not None
    # variance (3/8 + 2/8 − (1/8)²) ÷ 8 = 0.076171875, 1.959964 x 0.275993 = 0.540936
    assert float(total.nps.interval.low) == pytest.approx(-41.5936, abs=0.0001)
    assert float(total.nps.interval.high) == pytest.approx(66.5936, abs=0.0001)


def test_four_and_five_are_the_top_box_and_the_mean_stands_beside_it() -> None:
    with shop() as told:
        with_deal(told).tell(
            1, *[("2026-03-03 09:00", scored("csat", s)) for s in (5, 4, 4, 3, 1)]
        )
        total = told.flow.ask(march()).total
    assert (total.csat_scores, total.satisfied) == (5, 3)
    assert total.csat_top_box is not None
    assert total.csat_top_box.value == Decimal("0.6")
    assert total.csat_mean is not None
    assert total.csat_mean.value == Decimal("3.4")
    assert total.csat_mean.interval is not None
    # s² = 9.2 ÷ 4 = 2.3; t of 4 degrees of freedom is 2.776445; x √(2.3 ÷ 5) = 1.883070
    assert float(total.csat_mean.interval.low) == pytest.approx(1.51693, abs=0.00001)
    assert float(total.csat_mean.interval.high) == pytest.approx(5.28307, abs=0.00001)


def test_scales_are_never_mixed() -> None:
    with shop() as told:
        scores = [scored(scale, 5) for scale in SCALES]
        with_deal(told).tell(1, *[("2026-03-03 09:00", each) for each in scores])
        total = told.flow.ask(march()).total
    assert total.responses == 3
    assert (total.promoters, total.passives, total.detractors) == (0, 0, 1)
    assert (total.csat_scores, total.satisfied, value(total.csat_mean)) == (1, 1, 5)
    assert (total.ces_scores, value(total.ces_mean)) == (1, 5)
    assert total.ces_mean is not None
    assert total.ces_mean.interval is None, "one score says nothing of how scores differ"


def test_words_without_a_score_are_a_response_and_no_score() -> None:
    with shop() as told:
        with_deal(told).tell(1, ("2026-03-03 09:00", said("fine", scale="nps")))
        view = told.flow.ask(march())
    assert (view.total.responses, view.total.nps, view.verbatims_total) == (1, None, 1)


def test_where_nothing_was_said_nothing_is_zero_that_is_undefined() -> None:
    with shop() as told:
        view = told.flow.ask(march(by="stage"))
    total = view.total
    assert (total.responses, total.sent) == (0, 0)
    assert {total.nps, total.csat_top_box, total.csat_mean, total.ces_mean} == {None}
    assert total.response_rate is None
    assert (view.groups, view.verbatims) == ((), ())


def test_feedback_on_a_lost_deal_counts() -> None:
    with shop() as told:
        with_deal(told).tell(1, ("2026-03-10 09:00", DealLost(because="price")))
        told.tell(1, ("2026-03-12 09:00", scored("nps", 3, text="too pushy")))
        view = told.flow.ask(march(by="stage"))
    assert (view.total.detractors, value(view.total.nps)) == (1, -100)
    assert [(v.stage, v.owner, v.text) for v in view.verbatims] == [("a", "ann", "too pushy")]


def test_feedback_on_a_deal_merged_into_another_counts() -> None:
    with shop() as told:
        with_deal(with_deal(told), 2)
        told.tell_all(
            (1, "2026-03-10 09:00", DealMerged(into=deal_id(2))),
            (2, "2026-03-10 09:00", DealAbsorbed(absorbed=deal_id(1))),
        )
        told.tell(1, ("2026-03-12 09:00", scored("csat", 5)))
        assert told.flow.ask(march()).total.satisfied == 1


def test_feedback_from_before_the_deal_was_opened_has_no_ground() -> None:
    with shop() as told:
        with_deal(told).tell(1, ("2026-03-01 09:00", scored("csat", 5, text="hm")))
        view = told.flow.ask(march())
    assert (view.total.responses, view.verbatims_total) == (0, 0)


def test_a_period_begins_at_midnight_and_ends_before_the_next() -> None:
    with shop(timezone="Asia/Shanghai") as told:
        told.tell(1, ("2026-02-01", opened()))
        for when in ("2026-02-28 23:59:59.999999", "2026-03-01 00:00", "2026-04-01 00:00"):
            told.tell(1, (when, scored("ces", 7)))
        view = told.flow.ask(march())
    assert (view.total.ces_scores, view.total_before.ces_scores) == (1, 1)
    assert view.tables()[0].rows[0][0] == "2026-03-01 … 2026-03-31"
    assert view.tables()[0].rows[1][0].endswith(" … 2026-02-28")


def test_a_day_on_which_the_clocks_are_put_forward_has_23_hours() -> None:
    with shop(timezone="America/New_York") as told:
        told.tell(1, ("2026-02-01", opened()))
        for when in ("2026-03-08 00:00", "2026-03-08 23:59", "2026-03-09 00:00"):
            told.tell(1, (when, scored("ces", 7)))
        view = told.flow.ask(Feedback(from_=date(2026, 3, 8), to=date(2026, 3, 9)))
    assert view.period.end - view.period.start == timedelta(hours=23)
    assert view.total.ces_scores == 2


def test_without_a_period_it_is_the_quarter_to_date_and_the_one_before_beside_it() -> None:
    with shop() as told:
        told.tell(1, ("2025-12-01", opened()))
        for when in ("2025-12-31", "2026-01-01", "2026-03-31", "2026-04-01"):
            told.tell(1, (when, scored("csat", 4)))
        view = told.flow.ask(Feedback(), as_of="2026-03-30")
        assert (view.total.csat_scores, view.total_before.csat_scores) == (1, 1)
        assert told.flow.ask(Feedback(), as_of="2026-03-31").total.csat_scores == 2


def test_feedback_is_seen_from_the_microsecond_on_in_which_it_came() -> None:
    with shop() as told:
        with_deal(told).tell(1, ("2026-03-03 09:00", scored("csat", 5)))
        at = datetime.fromisoformat("2026-03-03T09:00:00+00:00")
        counts = [
            told.flow.ask(march(), as_of=at + timedelta(microseconds=shift)).total.responses
            for shift in (-1, 0, 1)
        ]
    assert counts == [0, 1, 1]


def test_feedback_told_late_was_not_known_before_and_what_is_retracted_is_not_said() -> None:
    with shop() as told:
        told.turn("2026-03-05 12:00")
        with_deal(told).tell(1, ("2026-03-04 09:00", scored("csat", 1, text="awful")))
        told.turn("2026-04-20 12:00").tell(1, ("2026-03-06 09:00", scored("csat", 5)))
        told.turn("2026-04-25 12:00").retract(told.events(1)[1])
        told.turn("2026-06-01 12:00")

        def known(day: str) -> tuple[int, Decimal | int | None, int]:
            view = told.flow.ask(march(), as_of="2026-03-31", known_at=day)
            return view.total.csat_scores, value(view.total.csat_mean), view.verbatims_total

        assert known("2026-03-31") == (1, 1, 1)
        assert known("2026-04-20") == (2, 3, 1)
        assert known("2026-04-25") == (1, 5, 0)
        retraction = told.flow.history(deal_id(1))[-1]
        told.retract(retraction)
        assert known("2026-06-01") == (2, 3, 1), "the retraction was wrong"
        assert known("2026-04-25") == (1, 5, 0), "and was believed then"


def test_a_retracted_opening_takes_what_was_said_with_it_and_brings_it_back() -> None:
    with shop() as told:
        with_deal(told).tell(1, ("2026-03-04 09:00", scored("nps", 9, text="good")))
        told.retract(told.events(1)[0])
        view = told.flow.ask(march())
        assert (view.total.responses, view.verbatims) == (0, ())
        told.retract(told.flow.history(deal_id(1))[-1])
        assert told.flow.ask(march()).total.promoters == 1


def test_stage_owner_and_product_are_those_of_the_time_it_was_said() -> None:
    with shop() as told:
        with_deal(told).tell(
            1,
            ("2026-03-03 09:00", LineItemsAgreed(lines=lines("licence"))),
            ("2026-03-04 09:00", scored("csat", 5)),
            ("2026-03-05 09:00", OwnerAssigned(owner="bob")),
            ("2026-03-05 10:00", StageMoved(target="b")),
            ("2026-03-05 11:00", LineItemsAgreed(lines=lines("training"))),
            ("2026-03-06 09:00", scored("csat", 1)),
        )
        names = {"stage": "ab", "owner": ("ann", "bob"), "product": ("licence", "training")}
        for by, keys in names.items():
            view = told.flow.ask(march(by=by))
            means = {group.key: value(group.figures.csat_mean) for group in view.groups}
            assert means == dict(zip(keys, (5, 1), strict=True))
            assert value(view.total.csat_mean) == 3


def test_a_late_change_of_owner_moves_what_was_said_after_it_to_the_new_one() -> None:
    with shop() as told:
        told.turn("2026-03-10 12:00")
        with_deal(told).tell(1, ("2026-03-06 09:00", scored("csat", 5)))
        told.turn("2026-04-10 12:00").tell(1, ("2026-03-05 09:00", OwnerAssigned(owner="bob")))
        now = told.flow.ask(march(by="owner"))
        then = told.flow.ask(march(by="owner"), known_at="2026-03-31")
    assert (responses(then), responses(now)) == ({"ann": 1}, {"bob": 1})


def test_of_the_same_microsecond_what_stands_first_in_the_log_came_first() -> None:
    with shop() as told:
        with_deal(told).tell(
            1,
            ("2026-03-05 09:00", scored("csat", 5)),
            ("2026-03-05 09:00", OwnerAssigned(owner="bob")),
            ("2026-03-05 09:00", scored("csat", 4)),
        )
        assert responses(told.flow.ask(march(by="owner"))) == {"ann": 1, "bob": 1}


def test_a_deal_of_several_products_counts_for_each_and_once_in_all() -> None:
    with shop() as told:
        agreed = LineItemsAgreed(lines=lines("licence", "training", "licence"))
        with_deal(told).tell(1, ("2026-03-03 09:00", agreed))
        told.tell(1, ("2026-03-04 09:00", scored("csat", 5)))
        with_deal(told, 2).tell(2, ("2026-03-04 09:00", scored("csat", 5)))
        view = told.flow.ask(march(by="product"))
    assert responses(view) == {"licence": 1, "training": 1, None: 1}
    assert view.total.responses == 2


def test_products_are_those_of_the_accepted_quote_until_line_items_are_agreed() -> None:
    with shop() as told:
        with_deal(told).tell(
            1,
            ("2026-03-03 09:00", QuoteIssued(quote="Q1", lines=lines("offered"))),
            ("2026-03-03 10:00", scored("ces", 1)),
            ("2026-03-04 09:00", QuoteAccepted(quote="Q1")),
            ("2026-03-04 10:00", scored("ces", 2)),
            ("2026-03-05 09:00", LineItemsAgreed(lines=lines("agreed"))),
            ("2026-03-05 10:00", scored("ces", 3)),
        )
        view = told.flow.ask(march(by="product"))
    means = {group.key: value(group.figures.ces_mean) for group in view.groups}
    assert means == {"agreed": 3, "offered": 2, None: 1}


def test_stages_come_in_the_order_of_their_process_and_by_name() -> None:
    with shop() as told:
        with_deal(told).tell(
            1,
            ("2026-03-03 09:00", scored("ces", 1)),
            ("2026-03-04 09:00", DealWon()),
            ("2026-03-05 09:00", scored("ces", 2)),
        )
        told.tell(2, ("2026-03-03", opened(stage="b")), ("2026-03-04", scored("ces", 3)))
        view = told.flow.ask(march(by="stage"))
    assert [group.key for group in view.groups] == ["a", "b", "served"]
    assert {group.process for group in view.groups} == {"plain"}


def test_a_survey_is_answered_by_the_moment_also_after_the_period() -> None:
    with shop() as told:
        asked = SurveySent(survey="spring", scale="csat")
        with_deal(told).tell(1, ("2026-03-20 09:00", asked))
        with_deal(told, 2).tell(2, ("2026-03-20 09:00", asked))
        told.tell(1, ("2026-04-10 09:00", scored("csat", 4, survey="spring")))

        def rate(day: str) -> tuple[int, int, Decimal | int | None]:
            total = told.flow.ask(march(), as_of=day).total
            return total.sent, total.answered, value(total.response_rate)

        assert rate("2026-03-31") == (2, 0, 0)
        assert rate("2026-04-10") == (2, 1, Decimal("0.5"))
        assert told.flow.ask(march(), as_of="2026-04-10").total.responses == 0


def test_an_answer_settles_the_last_survey_of_its_name_sent_to_that_person() -> None:
    with shop() as told:
        with_deal(told).tell(
            1,
            ("2026-03-03 09:00", SurveySent(survey="spring", person_id=ANN)),
            ("2026-03-04 09:00", SurveySent(survey="spring", person_id=BOB)),
            ("2026-03-05 09:00", SurveySent(survey="other")),
            ("2026-03-06 09:00", said("fine", survey="spring", person_id=ANN)),
            ("2026-03-07 09:00", said("nobody asked")),
        )
        first_days = Feedback(from_=date(2026, 3, 3), to=date(2026, 3, 4))
        assert told.flow.ask(first_days).total.answered == 1
        total = told.flow.ask(march()).total
    assert (total.sent, total.answered, total.responses) == (3, 1, 2)


def test_the_newest_words_come_first_and_the_rest_is_counted() -> None:
    with shop() as told:
        with_deal(told).tell(
            1,
            ("2026-03-05 09:00", said("second")),
            ("2026-03-04 09:00", said("first")),
            ("2026-03-05 09:00", said("third, in the same instant")),
            ("2026-03-06 09:00", scored("csat", 5, text=" ")),
        )
        view = told.flow.ask(march(limit=2))
    assert [verbatim.text for verbatim in view.verbatims] == [
        "third, in the same instant",
        "second",
    ]
    assert view.verbatims_total == 3
    assert "listed 2 · in all 3" in view.tables()[1].notes


def test_only_the_process_owner_or_survey_asked_for_is_counted() -> None:
    with shop() as told:
        with_deal(told).tell(1, ("2026-03-04 09:00", scored("nps", 9, survey="s")))
        with_deal(told, 2, "bob").tell(2, ("2026-03-04 09:00", scored("nps", 0, survey="t")))
        nps = {
            **{owner: value(told.flow.ask(march(owner=owner)).total.nps) for owner in ("ann",)},
            **{s: value(told.flow.ask(march(survey=s)).total.nps) for s in ("s", "t", "u")},
            **{p: value(told.flow.ask(march(process=p)).total.nps) for p in ("plain",)},
        }
    assert nps == {"ann": 100, "s": 100, "t": -100, "u": None, "plain": 0}


def test_the_tables_show_figures_with_their_intervals_in_both_languages() -> None:
    with shop() as told:
        with_deal(told).tell(
            1, *[("2026-03-03 09:00", scored("csat", s, text="ok")) for s in (5, 4, 4, 3, 1)]
        )
        view = told.flow.ask(march(by="owner"))
    figures, words = view.tables()
    assert [row[0][: len("All, prior")] for row in figures.rows[:2]] == [
        "All, 2026-",
        "All, prior",
    ]
    assert view.tables("zh")[0].rows[0][0].startswith("全部 2026-")
    row = dict(zip(figures.columns, figures.rows[2], strict=True))
    assert row["Owner"] == "ann"
    assert (row["CSAT top box"], row["CSAT mean"]) == ("60% (23 … 88)", "3.40 (1.52 … 5.28)")
    assert (row["NPS"], row["Response rate"]) == ("–", "–")
    assert words.rows[0][2:] == ("a", "ann", "CSAT", "1", "ok")
    assert view.tables("zh")[1].notes == ("列出 5 · 共 5",)
    answer = view.to_dict()
    assert answer["total"]["csat_top_box"]["value"] == "0.6"
    [group] = view.to_arrow()["groups"].to_pylist()
    assert group["figures"]["csat_mean"]["value"] == Decimal("3.4")


def test_the_words_stand_in_the_log_alone() -> None:
    with shop() as told:
        with_deal(told).tell(1, ("2026-03-03 09:00", said("call Mrs Li back")))
        told.flow.catch_up()
        with told.flow.log.database.read() as connection:
            rows = connection.execute(sa.select(FEEDBACK.table)).all()
    assert len(rows) == 1
    assert not [cell for cell in rows[0] if "Li" in str(cell)]


def test_a_retraction_is_no_feedback_and_asking_again_gives_the_same() -> None:
    with shop() as told:
        with_deal(told).tell(1, ("2026-03-03 09:00", scored("nps", 9)))
        view = told.flow.ask(march())
        told.retract(told.events(1)[1])
        assert isinstance(told.flow.history(deal_id(1))[-1].fact, FactRetracted)
        assert told.flow.ask(march(), at=view.moment) == view
        assert told.flow.ask(march()).total.responses == 0
