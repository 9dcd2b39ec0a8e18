"""A lost deal in the case library: found by what is known of it, told as it was known when."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from given import cny, line, opened
from questions.shop import Shop, deal_id, shop
from salesflow import STANDARD, Case, CaseLibrary, Customer, Deal, SalesFlow
from salesflow.domain.case import case_id
from salesflow.domain.deal.activities import CompetitorNamed, ContactLogged
from salesflow.domain.deal.after_sales import InterviewHeld
from salesflow.domain.deal.billing import LineItemsAgreed
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.errors import NotFoundError
from salesflow.projections.cases.case_library import CaseLibraryView

NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def sales() -> Iterator[Shop]:
    """Acme was lost over price, as we thought; a month later we learned whom it was lost to."""
    with shop() as books:
        books.turn("2026-01-05")
        with books.flow.session() as s:
            acme = s.add(Customer.register(name="Acme", segment="mid-market"))
        talk = ContactLogged(channel="call", direction="out", summary="他们担心交期太长")
        books.turn("2026-01-08").tell(
            1,
            ("2026-01-05", opened(STANDARD, amount=cny("1000"), customer_id=acme.id)),
            ("2026-01-06", talk),
            ("2026-01-07", LineItemsAgreed(lines=(line(),))),
        )
        books.turn("2026-03-30").tell(1, ("2026-03-30", DealLost(because="price")))
        books.tell(2, ("2026-03-01", opened(amount=cny("50"))), ("2026-03-02", DealWon()))
        books.turn("2026-04-02")
        with books.flow.session(actor="boss") as s:
            lost = s.get(Deal, deal_id(1))
            case = s.add(Case.publish("acme", deal=lost, title="Nine days", audience=("east",)))
            case.note_factor("response_time", tendency="hindered", text="Nine Days to answer")
            case.note_lesson("Answer within a day")
            case.link("negotiation")
            s.add(Case.publish("good", deal=s.get(Deal, deal_id(2))))
        books.turn("2026-05-01").tell(1, ("2026-03-01", CompetitorNamed(competitor="Rival")))
        books.retract(next(e for e in books.events(1) if isinstance(e.fact, DealLost)))
        told = DealLost(because="competitor", competitor="Rival")
        books.turn("2026-05-02").tell(1, ("2026-03-30", told))
        books.turn("2026-06-01")
        yield books


def ask(sales: Shop, **asked: object) -> CaseLibraryView:
    return sales.flow.ask(CaseLibrary.model_validate(asked))


def keys(sales: Shop, **asked: object) -> list[str]:
    return [each.case for each in ask(sales, **asked).cases]


def test_cases_are_found_by_whatever_is_known_of_their_deals(sales: Shop) -> None:
    assert keys(sales) == ["acme", "good"]
    assert keys(sales, outcome="lost") == ["acme"]
    assert keys(sales, outcome="won") == ["good"]
    assert keys(sales, stage="prospecting", process="standard") == ["acme"]
    assert keys(sales, segment="mid-market") == ["acme"]
    assert keys(sales, product="licence") == ["acme"]
    assert keys(sales, product="hardware") == []
    assert keys(sales, competitor="Rival") == ["acme"]
    assert keys(sales, training="negotiation") == ["acme"]


def test_a_reason_is_that_of_the_closing_as_known_now_or_a_factor_people_noted(
    sales: Shop,
) -> None:
    assert keys(sales, reason="competitor") == ["acme"]
    assert keys(sales, reason="response_time") == ["acme"]
    assert keys(sales, reason="price") == [], "it was known better later"
    then = sales.flow.ask(CaseLibrary(reason="price"), known_at="2026-04-30")
    assert [each.case for each in then.cases] == ["acme"]


def test_what_the_buyer_says_is_shown_beside_it_and_found() -> None:
    with shop() as books:
        books.turn("2026-03-30")
        books.tell(1, ("2026-03-01", opened()), ("2026-03-30", DealLost(because="price")))
        early = InterviewHeld(reasons=("timing",), competitor="Early", by="ann")
        books.tell(1, ("2026-03-20", early))
        with books.flow.session() as s:
            s.add(Case.publish("lost", deal=s.get(Deal, deal_id(1))))
        said = InterviewHeld(reasons=("response_time",), competitor="Rival", by="ann")
        books.turn("2026-04-20").tell(1, ("2026-04-10", said))
        for asked in (
            {"reason": "response_time"},
            {"competitor": "Rival"},
            {"reason": "price"},
        ):
            assert keys(books, **asked) == ["lost"], asked
        assert keys(books, reason="timing") == [], "it was before the decision"
        assert keys(books, competitor="Early") == []
        view = ask(books)
        [table] = [each for each in view.tables() if each.title == "What the buyers say"]
        assert table.rows == (("lost", "response time", "Rival", "price", "–"),)
        [case] = view.cases
        assert (case.buyer_reasons, case.buyer_competitors) == (("response_time",), ("Rival",))
        then = books.flow.ask(CaseLibrary(), as_of="2026-04-09").cases[0]
        assert then.buyer_reasons == ()


@pytest.mark.parametrize("names", [("as_of",), ("known_at",), ("as_of", "known_at")])
def test_a_case_of_today_shows_a_deal_that_is_recorded_together_with_it(
    names: tuple[str, ...],
) -> None:
    times = iter(range(10**6))
    with SalesFlow("sqlite://", clock=lambda: NOON + next(times) * SECOND) as flow:
        today: dict[str, Any] = dict.fromkeys(names, NOON.date())
        for by_id in (False, True):
            with flow.session() as s:
                deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
                deal.win(cny("100"))
                s.add(Case.publish(f"c{deal.id}", deal=deal.id if by_id else deal, **today))
            [found] = flow.ask(CaseLibrary(case=f"c{deal.id}")).cases
            assert found.outcome_published == "won"
            early: dict[str, Any] = dict.fromkeys(names, NOON.date() - timedelta(days=1))
            with pytest.raises(NotFoundError, match="was not there"), flow.session() as s:
                deal = s.get(Deal, deal.id)
                Case.publish("early", deal=deal, **early)


def test_a_case_for_everybody_is_for_whoever_asks(sales: Shop) -> None:
    assert keys(sales, audience="east") == ["acme", "good"]
    assert keys(sales, audience="west") == ["good"]


def test_people_whom_no_case_is_meant_for_are_told(sales: Shop) -> None:
    [unmet] = ask(sales, audience="eats").unmet
    assert unmet.sentence() == "no case is meant for these people alone: 'eats'; perhaps east"
    assert unmet.sentence("zh") == "没有专门面向以下人员的案例： 'eats'；可能是 east"
    assert ask(sales, audience="east").unmet == ()


@pytest.mark.parametrize(
    "asked",
    [
        {"reason": "Response_Time"},
        {"reason": "输给竞争对手"},
        {"reason": "Competitor"},
        {"competitor": "rival"},
        {"segment": "Mid-Market"},
        {"product": "LICENCE"},
        {"audience": "EAST", "outcome": "lost"},
    ],
)
def test_words_are_taken_in_other_letters_and_reasons_by_their_names(
    sales: Shop, asked: dict[str, str]
) -> None:
    view = ask(sales, **asked)
    assert [each.case for each in view.cases] == ["acme"]
    assert view.unmet == ()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"reason": "competitr"}, "no case has the reason 'competitr'; perhaps competitor"),
        (
            {"reason": "weather"},
            "no case has the reason 'weather'; there are competitor, response_time",
        ),
        ({"competitor": "SAP"}, "no case has the competitor 'SAP'; there are Rival"),
        (
            {"segment": "x"},
            "no case is of a customer of segment 'x'; there are mid-market",
        ),
        ({"product": "x"}, "no case is about the product 'x'; there are licence"),
    ],
)
def test_words_that_no_case_has_are_told_with_those_there_are(
    sales: Shop, asked: dict[str, str], said: str
) -> None:
    view = ask(sales, **asked)
    assert view.cases == ()
    assert [each.sentence() for each in view.unmet] == [said]


def test_words_that_only_differ_in_their_letters_are_told_apart() -> None:
    with shop() as books:
        books.turn("2026-03-30")
        for number, rival in ((1, "SAP"), (2, "sap")):
            lost = DealLost(because="price", competitor=rival)
            books.tell(number, ("2026-03-01", opened()), ("2026-03-30", lost))
            with books.flow.session() as s:
                s.add(Case.publish(rival, deal=s.get(Deal, deal_id(number))))
        assert keys(books, competitor="sap") == ["sap"]
        [unmet] = ask(books, competitor="Sap").unmet
        assert unmet.near == ("SAP", "sap")


def test_a_case_whose_deal_is_open_again_says_so() -> None:
    with shop() as books:
        books.turn("2026-03-30")
        books.tell(1, ("2026-03-01", opened()), ("2026-03-30", DealLost(because="price")))
        with books.flow.session() as s:
            s.add(Case.publish("lost", deal=s.get(Deal, deal_id(1))))
        assert ask(books).tables()[0].notes[1:] == ()
        books.turn("2026-04-02")
        books.retract(next(e for e in books.events(1) if isinstance(e.fact, DealLost)))
        assert ask(books).tables()[0].notes[1:] == (
            "open again, since its closing was retracted or it was reopened: the deal of lost",
        )


def test_words_are_found_in_both_languages_whatever_their_width_and_size(sales: Shop) -> None:
    for words in ("交期", "nine days", "ＮＩＮＥ", "潜在客户", "answer 交期", "rival"):
        assert keys(sales, words=words) == ["acme"], words
    assert keys(sales, words="answer 价钱") == [], "each word has to stand somewhere"
    [hit] = ask(sales, words="交期").cases
    assert [(found.kind, found.text) for found in hit.found] == [
        ("deal.contact_logged", "他们担心交期太长")
    ]


def test_what_did_we_know_when_we_lost_it(sales: Shop) -> None:
    view = ask(sales, case="acme")
    known = {each.known: each for each in view.then_and_now}
    assert {name: (it.because, it.competitor) for name, it in known.items()} == {
        "at_closing": ("price", None),
        "as_published": ("price", None),
        "now": ("competitor", "Rival"),
    }
    assert [known[name].competitors for name in known] == [0, 0, 1]
    assert [(each.change, each.kind) for each in view.changes] == [
        ("taken_back", "deal.lost"),
        ("told_since", "deal.competitor_named"),
        ("told_since", "deal.lost"),
    ]
    assert view.study is not None
    assert view.study_published is not None
    assert view.study_published.summary.because == "price"
    assert view.study.summary.because == "competitor"
    [hit] = view.cases
    assert (hit.because, hit.because_published) == ("competitor", "price")
    assert [lesson.text for lesson in hit.lessons] == ["Answer within a day"]


def test_a_withdrawn_case_is_found_where_it_is_asked_for() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-01", opened()), ("2026-03-02", DealWon()))
        with books.flow.session() as s:
            s.add(Case.publish("good", deal=deal_id(1)))
        books.turn("2026-06-02")
        with books.flow.session() as s:
            s.get(Case, case_id("good")).withdraw(because="outdated")
        assert keys(books) == []
        assert keys(books, withdrawn=True) == ["good"]
        [hit] = ask(books, case="good").cases
        assert (hit.state, hit.withdrawn_because) == ("withdrawn", "outdated")
        then = books.flow.ask(CaseLibrary(), as_of="2026-06-01")
        assert [each.case for each in then.cases] == ["good"]


def test_a_case_of_a_deal_that_is_not_there_says_so(sales: Shop) -> None:
    with sales.flow.session() as s:
        s.add(Case.publish("nothing", deal=deal_id(9)))
    [hit] = ask(sales, case="nothing").cases
    assert (hit.outcome, hit.events) == (None, 0)
    with sales.flow.session() as s:
        s.get(Case, case_id("nothing")).withdraw(because="a mistake")
    with pytest.raises(NotFoundError, match="no case 'acne' by then; there are acme, good"):
        ask(sales, case="acne")


def test_people_read_it_in_their_language(sales: Shop) -> None:
    text = ask(sales, case="acme").table()
    assert "What was known when" in text
    assert "taken back" in text
    assert "当时所知" in ask(sales, case="acme").table("zh")
