"""The case study of one deal, worked out by hand."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from given import CLOSED_STAGES, cny, opened
from questions.shop import Shop, deal_id, shop, told
from salesflow import Customer, Money, QuoteLine
from salesflow.domain.deal.activities import (
    CompetitorNamed,
    ContactLogged,
    ObjectionRaised,
    ObjectionResolved,
)
from salesflow.domain.deal.billing import ContractAmended, ForecastGiven
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import (
    CollaboratorJoined,
    HelpGiven,
    HelpRequested,
    OwnerAssigned,
)
from salesflow.domain.deal.quotes import QuoteAccepted, QuoteDrafted, QuoteIssued, QuoteRevised
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.process import ProcessVersion, Stage
from salesflow.errors import DealClosedError, NotFoundError
from salesflow.presentation.format import short_id
from salesflow.projections.cases.case_study import CaseStudy, CaseStudyView
from salesflow.projections.cases.similar_cases import CaseDifference

CUSTOMER = UUID(int=0xC057)


def case(
    sales: Shop, deal: int = 1, as_of: str = "2026-05-31", similar: int = 5
) -> CaseStudyView:
    return sales.flow.ask(CaseStudy(deal=deal_id(deal), similar=similar), as_of=as_of)


def line(price: str, discount: str = "0", quantity: str = "1") -> QuoteLine:
    return QuoteLine(
        product="x",
        quantity=Decimal(quantity),
        unit_price=cny(price),
        discount=Decimal(discount),
    )


def figure(view: CaseStudyView, name: str) -> CaseDifference:
    [found] = [each for each in view.differences if each.figure == name]
    return found


def test_an_open_deal_is_no_case_yet_and_says_so() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened()), ("2026-02-10 12:00", DealWon()))
        with pytest.raises(DealClosedError, match="is open at that moment"):
            sales.flow.ask(
                CaseStudy(deal=deal_id(1)),
                as_of=datetime(2026, 2, 10, 11, 59, tzinfo=ZoneInfo("UTC")),
            )
        on_the_event = datetime(2026, 2, 10, 12, tzinfo=ZoneInfo("UTC"))
        view = sales.flow.ask(CaseStudy(deal=deal_id(1)), as_of=on_the_event)
        assert view.summary.outcome == "won"


def test_a_contract_amended_later_leaves_the_amount_at_closing_as_it_was() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened()),
            ("2026-02-10", DealWon(amount=cny("900"))),
            ("2026-03-01", ContractAmended(amount=cny("1200"), because="more users")),
        )
        view = case(sales)
        assert view.summary.amount == 900
        [row] = [line for line in view.table().splitlines() if "Amount at closing" in line]
        assert row.split()[-2:] == ["900", "CNY"]
        assert "结束时金额" in view.table("zh")


def test_a_deal_that_is_not_known_then_is_not_found() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened()), ("2026-02-10", DealWon()))
        with pytest.raises(NotFoundError):
            case(sales, as_of="2026-01-31")
        with pytest.raises(NotFoundError):
            case(sales, deal=2)


def test_a_reopened_deal_and_a_merged_one_are_no_cases_until_they_close() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened()),
            ("2026-02-10", DealLost(because="price")),
            ("2026-02-20", DealReopened()),
            ("2026-03-01", DealWon()),
        )
        sales.tell(2, ("2026-02-01", opened()), ("2026-02-05", DealWon()))
        sales.tell_all(
            (2, "2026-02-06", DealMerged(into=deal_id(1))),
            (1, "2026-02-06", DealAbsorbed(absorbed=deal_id(2))),
        )
        assert case(sales, as_of="2026-02-15").summary.outcome == "lost"
        with pytest.raises(DealClosedError, match="open"):
            case(sales, as_of="2026-02-25")
        view = case(sales)
        assert told(view.summary.outcome, view.summary.days) == ("won", 28)
        with pytest.raises(DealClosedError, match="merged"):
            case(sales, deal=2)


def test_a_deal_told_of_as_lost_from_the_start_was_closed_until_it_was_reopened() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(CLOSED_STAGES, stage="closed_lost")),
            ("2026-02-04", DealReopened()),
            ("2026-02-10", DealWon()),
        )
        [point] = case(sales).turning_points
        assert told(point.turn, point.figure) == ("reopened", 3)


def test_chapters_are_the_visits_with_their_contacts_and_facts() -> None:
    slow = ProcessVersion(
        key="slow",
        name_en="Slow",
        name_zh="慢",
        stages=(
            Stage(
                key="x", name_en="First", name_zh="一", probability=Decimal("0.1"), max_days=3
            ),
            Stage(key="y", name_en="Second", name_zh="二", probability=Decimal("0.2")),
        ),
    )
    with shop(slow) as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(slow)),
            ("2026-02-02", ContactLogged(channel="call", direction="out")),
            ("2026-02-03", ContactLogged(channel="call", direction="out")),
            ("2026-02-03", ContactLogged()),
            ("2026-02-05", StageMoved(target="y")),
            ("2026-02-06", StageMoved(target="x")),
            ("2026-02-09", DealLost(because="price", competitor="Rival")),
        )
        view = case(sales)
        assert [
            told(c.stage_zh, c.entered, c.days, c.days_max, c.overdue, len(c.facts))
            for c in view.chapters
        ] == [
            ("一", "opened", 4, 3, True, 4),
            ("二", "advanced", 1, None, False, 1),
            ("一", "returned", 3, 3, False, 1),
            (None, "lost", view.chapters[-1].days, None, False, 1),
        ]
        assert [(c.channel, c.direction, c.count) for c in view.chapters[0].contacts] == [
            ("call", "out", 2),
            (None, None, 1),
        ]
        assert (view.summary.because, view.summary.competitor) == ("price", "Rival")
        chapters = {language: view.tables(language)[1].rows for language in ("en", "zh")}
        assert [row[1] for row in chapters["en"]] == [
            "created", "advanced", "returned", "deal closed",
        ]  # fmt: skip
        assert [row[1] for row in chapters["zh"]] == ["创建", "推进", "回退", "商机结束"]
        assert chapters["en"][0][6] == "call outbound 2 · – 1"
        assert [row[4] for row in chapters["en"]] == ["4.0 !", "1.0", "3.0", "–"]


def test_quotes_show_the_part_of_the_list_value_taken_off() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened()),
            ("2026-02-02", QuoteDrafted(quote="Q1", lines=(line("100", "0.5"),))),
            (
                "2026-02-03",
                QuoteIssued(quote="Q1", lines=(line("100"), line("50", "0.2", "2"))),
            ),
            ("2026-02-04", QuoteRevised(quote="Q1", lines=(line("100", "0.1"),))),
            ("2026-02-05", QuoteAccepted(quote="Q1")),
            (
                "2026-02-06",
                QuoteIssued(quote="Q2", total=cny("70"), valid_until=date(2026, 2, 20)),
            ),
            ("2026-02-10", DealWon()),
        )
        first, second = case(sales).quotes
        assert told(first.state, first.total, first.list_value, first.discount) == (
            "accepted", 90, 100, Decimal("0.1"),
        )  # fmt: skip
        assert (first.revisions, second.revisions) == (1, 0)
        assert first.issued_at == datetime(2026, 2, 3, tzinfo=ZoneInfo("UTC"))
        assert told(second.state, second.total, second.list_value, second.discount) == (
            "expired", 70, None, None,
        )  # fmt: skip
        assert case(sales, as_of="2026-02-12").quotes[1].state == "issued"


def test_the_discount_beside_others_is_that_of_the_last_offer_before_the_closing() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened()),
            (
                "2026-02-03",
                QuoteIssued(quote="Q1", lines=(line("100"), line("50", "0.2", "2"))),
            ),
            ("2026-02-10", DealWon()),
            ("2026-02-11", QuoteIssued(quote="Q2", lines=(line("100", "0.9"),))),
        )
        assert figure(case(sales), "discount").value == Decimal("0.1"), "20 of 200"


def test_objections_are_resolved_by_their_first_answer_or_never() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened()),
            (
                "2026-02-02 09:00",
                ObjectionRaised(objection="O1", topic="price", doubt="too dear"),
            ),
            ("2026-02-03 21:00", ObjectionResolved(objection="O1", answer="cheaper to run")),
            ("2026-02-05 09:00", ObjectionResolved(objection="O1", answer="and to keep")),
            ("2026-02-06", ObjectionRaised(objection="O2")),
            ("2026-02-10", DealWon()),
        )
        first, second = case(sales).objections
        assert told(first.topic, first.doubt, first.resolved, first.days, first.answer) == (
            "price", "too dear", True, Decimal("1.5"), "and to keep",
        )  # fmt: skip
        assert (second.resolved, second.days) == (False, None)


def test_days_of_which_no_more_is_known_are_calendar_days_also_when_clocks_change() -> None:
    with shop(timezone="Europe/Berlin") as sales:
        sales.tell(1, ("2026-03-28", opened()), ("2026-03-30", DealWon()))
        sales.tell(2, ("2026-03-28 00:00", opened()), ("2026-03-30", DealWon()))
        assert case(sales).summary.days == 2
        assert case(sales, deal=2).summary.days == Decimal(47) / 24


def test_people_are_the_owners_in_turn_and_the_credits_as_of_the_closing() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened()),
            (
                "2026-02-02",
                CollaboratorJoined(
                    person="eve", department="legal", role="lawyer", credit=Decimal("0.2")
                ),
            ),
            ("2026-02-03", HelpRequested(request="H1", department="legal", question="May we?")),
            ("2026-02-04", HelpGiven(request="H1", by="eve", answer="We may.")),
            ("2026-02-05", OwnerAssigned(owner="bob")),
            ("2026-02-10", DealWon()),
            ("2026-02-20", OwnerAssigned(owner="cho")),
        )
        view = case(sales)
        assert [each.owner for each in view.owners] == ["ann", "bob", "cho"]
        assert view.summary.owner == "bob"
        assert [told(each.person, each.credit) for each in view.credits] == [
            ("bob", Decimal("0.8")),
            ("eve", Decimal("0.2")),
        ]
        [eve] = view.collaborators
        assert (eve.person, eve.department, eve.role) == ("eve", "legal", "lawyer")
        [asked] = view.help
        assert told(asked.department, asked.given_by, asked.days) == ("legal", "eve", 1)


def test_each_turning_point_comes_with_the_figure_that_makes_it_one() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-02-01", opened(amount=cny("100"), expected_close=date(2026, 3, 1))),
            ("2026-02-02", StageMoved(target="c")),
            ("2026-02-03", StageMoved(target="a")),
            ("2026-02-04", CompetitorNamed(competitor="Rival")),
            ("2026-02-05", CompetitorNamed(competitor="Other")),
            ("2026-02-06", ObjectionRaised(objection="O1", topic="price")),
            ("2026-02-07", ForecastGiven(amount=cny("124"))),
            ("2026-02-08", ForecastGiven(amount=cny("93"), expected_close=date(2026, 3, 31))),
            ("2026-02-09", OwnerAssigned(owner="bob")),
            ("2026-02-10", DealLost(because="price")),
            ("2026-02-15", DealReopened()),
            ("2026-02-16", ForecastGiven(expected_close=date(2026, 4, 29))),
            ("2026-02-20", DealWon(amount=Money("500", "USD"))),
        )
        assert [
            told(t.turn, t.figure, t.before, t.after) for t in case(sales).turning_points
        ] == [
            ("skipped", 1, "a", "c"),
            ("returned", 2, "c", "a"),
            ("first_competitor", 3, None, "Rival"),
            ("first_objection", 5, None, "price"),
            ("amount_changed", Decimal("-0.25"), "124 CNY", "93 CNY"),
            ("close_pushed", 30, "2026-03-01", "2026-03-31"),
            ("owner_changed", 2, "ann", "bob"),
            ("reopened", 5, "lost", "open"),
        ]


def like_deals(sales: Shop) -> None:
    """Four closed deals beside the first, each alike in another way, and two that never are."""
    sales.tell(
        1,
        ("2026-02-01", opened(amount=cny("100"), lead_source="fair", customer_id=CUSTOMER)),
        ("2026-02-02", ContactLogged()),
        ("2026-02-03", StageMoved(target="b")),
        ("2026-02-11", DealWon()),
    )
    sales.tell(
        2,
        ("2026-02-01", opened(amount=cny("200"), lead_source="fair", customer_id=CUSTOMER)),
        ("2026-02-03", StageMoved(target="b")),
        ("2026-02-05", DealLost(because="price")),
    )
    sales.tell(3, ("2026-02-01", opened(amount=cny("201"))), ("2026-02-21", DealWon()))
    sales.tell(
        4,
        ("2026-02-01", opened(amount=Money("100", "USD"), lead_source="fair")),
        ("2026-02-03", StageMoved(target="c")),
        ("2026-02-07", DealLost(because="price")),
    )
    sales.tell(5, ("2026-02-01", opened()), ("2026-02-02", DealDisqualified(because="twice")))
    sales.tell(6, ("2026-02-01", opened()), ("2026-02-03", StageMoved(target="b")))


def test_similar_deals_are_the_nearest_closed_ones_with_the_reasons() -> None:
    with shop() as sales:
        with sales.flow.session() as session:
            session.add(
                Customer.register(
                    name="ACME",
                    segment="large",
                    occurred_at=datetime(2020, 1, 1, tzinfo=ZoneInfo("UTC")),
                    id=CUSTOMER,
                )
            )
        like_deals(sales)
        view = case(sales)
        assert [
            told(s.deal, round(s.score, 3), s.stages_shared, s.stages_all, s.reasons)
            for s in view.similar
        ] == [
            (
                deal_id(2), 4, 2, 2,
                ("same_stage_path", "similar_amount", "same_lead_source", "same_segment"),
            ),
            (deal_id(4), Decimal("1.333"), 1, 3, ("shared_stages", "same_lead_source")),
            (deal_id(3), Decimal("0.5"), 1, 2, ("shared_stages",)),
        ]  # fmt: skip
        assert [s.deal for s in case(sales, similar=1).similar] == [deal_id(2)]


def test_a_figure_is_laid_beside_the_mean_and_median_of_the_similar_deals() -> None:
    with shop() as sales:
        like_deals(sales)
        view = case(sales)
        days = figure(view, "days")
        assert told(days.value, days.count, days.median, days.difference) == (10, 3, 6, 4)
        assert days.mean == 10, "4, 6 and 20 days"
        contacts = figure(view, "contacts")
        assert told(contacts.value, contacts.mean, contacts.median) == (1, 0, 0)
        discount = figure(view, "discount")
        assert (discount.value, discount.count, discount.mean) == (None, 0, None)


def test_of_deals_equally_alike_the_latest_to_close_comes_first() -> None:
    with shop() as sales:
        for number, closed in ((1, "2026-02-10"), (2, "2026-02-11"), (3, "2026-02-12")):
            sales.tell(number, ("2026-02-01", opened()), (closed, DealWon()))
        assert [s.deal for s in case(sales).similar] == [deal_id(3), deal_id(2)]


def test_a_case_without_any_like_it_has_its_figures_alone() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened()), ("2026-02-10", DealWon()))
        view = case(sales)
        assert view.similar == ()
        assert told(figure(view, "days").value, figure(view, "days").median) == (9, None)


def test_what_became_known_later_changes_no_case_that_was_told() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened()), ("2026-02-10", DealWon()))
        sales.tell(2, ("2026-02-01", opened()), ("2026-02-10", DealWon()))
        before = case(sales)
        sales.turn("2026-06-02").tell(1, ("2026-02-03", CompetitorNamed(competitor="Rival")))
        sales.retract(sales.events(2)[-1])
        after = case(sales)
        assert [t.turn for t in after.turning_points] == ["first_competitor"]
        assert after.similar == ()
        assert sales.flow.ask(CaseStudy(deal=deal_id(1)), at=before.moment) == before


def test_a_case_is_told_in_both_languages() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-02-01", opened()), ("2026-02-10", DealLost(because="price")))
        view = case(sales)
        assert view.table().startswith(f"Case study ERP ({short_id(deal_id(1))})")
        assert view.table("zh").startswith(f"案例分析 ERP ({short_id(deal_id(1))})")
