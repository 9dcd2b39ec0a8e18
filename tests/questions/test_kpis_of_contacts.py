"""How often and how soon customers were talked to, how satisfied they are: by hand."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from given import opened
from questions.shop import Shop, deal_id, shop
from salesflow.domain.deal.activities import ContactLogged, Direction
from salesflow.domain.deal.after_sales import FeedbackReceived, Scale
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged
from salesflow.domain.deal.people import CustomerChanged, OwnerAssigned
from salesflow.projections.metrics.kpi_figures import KpiLine
from salesflow.projections.performance.kpis import Kpis

ACME, BOLT = (UUID(int=0xC057_0000 + number) for number in (1, 2))
JUNE = "2026-06-01T00:00:00+00:00"
MARCH = {"from_": date(2026, 3, 1), "to": date(2026, 4, 1)}


def lines(books: Shop, as_of: str = JUNE, **asked: object) -> list[KpiLine]:
    return list(books.flow.ask(Kpis.model_validate(MARCH | asked), as_of=as_of).lines)


def line(books: Shop, as_of: str = JUNE, **asked: object) -> KpiLine:
    [found] = lines(books, as_of, **asked)
    return found


def follow_ups(books: Shop, as_of: str = JUNE) -> tuple[object, ...]:
    found = line(books, as_of).follow_ups
    return found.contacts, found.deals, found.per_deal


def median(books: Shop, as_of: str = JUNE) -> Decimal | None:
    return line(books, as_of).first_response.days_median


def call(direction: Direction | None = "out", channel: str | None = "call") -> ContactLogged:
    return ContactLogged(channel=channel, direction=direction)


def score(score: int, scale: Scale = "csat") -> FeedbackReceived:
    return FeedbackReceived(scale=scale, score=score)


def test_contacts_of_a_period_are_counted_by_deal_and_by_channel() -> None:
    with shop() as books:
        books.tell(1, ("2026-02-20 09:00", opened()), ("2026-02-28 23:59", call()))
        books.tell(1, ("2026-03-01 00:00", call()), ("2026-03-02 09:00", call("in", "email")))
        books.tell(2, ("2026-03-02 09:00", opened()), ("2026-03-31 23:59", call(None, None)))
        books.tell(2, ("2026-04-01 00:00", call()))
        books.tell(3, ("2026-03-02 09:00", opened()))
        assert follow_ups(books) == (3, 2, Decimal("1.5"))
        by_channel = line(books).follow_ups.by_channel
        assert [(each.channel, each.contacts) for each in by_channel] == [
            ("call", 1),
            ("email", 1),
            (None, 1),
        ]
        assert follow_ups(books, as_of="2026-03-01T00:00:00+00:00") == (1, 1, 1)
        assert follow_ups(books, as_of="2026-02-28T23:59:59+00:00") == (0, 0, None)


def test_a_contact_belongs_to_whoever_had_the_deal_then() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02 09:00", opened(customer_id=ACME)))
        books.tell(1, ("2026-03-03 09:00", call()))
        books.tell(1, ("2026-03-04 09:00", OwnerAssigned(owner="bob")))
        books.tell(1, ("2026-03-04 09:00", CustomerChanged(customer_id=BOLT)))
        books.tell(1, ("2026-03-05 09:00", call()), ("2026-03-06 09:00", call()))
        found = {each.group: each.follow_ups.contacts for each in lines(books, by="rep")}
        assert found == {"ann": 1, "bob": 2}
        found = {each.group: each.follow_ups.contacts for each in lines(books, by="customer")}
        assert found == {str(ACME): 1, str(BOLT): 2}


def test_a_contact_about_a_deal_merged_into_another_took_place() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02 09:00", opened()), ("2026-03-03 09:00", call()))
        books.tell(2, ("2026-03-02 09:00", opened()))
        books.tell_all(
            (1, "2026-03-04 09:00", DealMerged(into=deal_id(2))),
            (2, "2026-03-04 09:00", DealAbsorbed(absorbed=deal_id(1))),
        )
        assert follow_ups(books) == (1, 1, 1)
        assert median(books) is None, "the deal that was answered counts as opened no more"


def test_a_contact_from_before_the_opening_and_one_taken_back_count_for_nothing() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02 09:00", opened()))
        books.tell(1, ("2026-03-01 09:00", call()), ("2026-03-03 09:00", call()))
        assert follow_ups(books) == (1, 1, 1)
        books.retract(books.events(1)[-1])
        assert follow_ups(books) == (0, 0, None)


def test_the_first_response_is_the_first_time_we_turned_to_the_customer() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02 09:00", opened()), ("2026-03-02 10:00", call("in")))
        books.tell(1, ("2026-03-02 11:00", call(None)), ("2026-03-02 15:00", call()))
        books.tell(1, ("2026-03-09 09:00", call()))
        assert median(books) == Decimal("0.25")
        assert median(books, as_of="2026-03-02T14:59:59+00:00") is None
        books.tell(2, ("2026-03-03 09:00", opened()), ("2026-03-03 21:00", call()))
        books.tell(3, ("2026-03-03 09:00", opened()), ("2026-04-30 09:00", call()))
        books.tell(4, ("2026-03-03 09:00", opened()))
        books.tell(5, ("2026-02-28 09:00", opened()), ("2026-03-01 09:00", call()))
        assert median(books) == Decimal("0.5"), "of 0.25, 0.5 and 58 days"
        assert line(books).first_response.days_p90 == Decimal("46.5")


def test_a_late_word_of_an_earlier_response_corrects_the_figure_and_not_the_past() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02 09:00", opened()), ("2026-03-04 09:00", call()))
        then = books.flow.ask(Kpis()).moment
        books.turn("2026-06-05 09:00").tell(1, ("2026-03-03 09:00", call()))
        assert median(books) == 1
        asked = Kpis.model_validate(MARCH)
        known = books.flow.ask(asked, as_of=JUNE, known_at=then.known_at)
        assert known.lines[0].first_response.days_median == 2


def test_a_response_at_once_took_no_time() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02 09:00", opened()), ("2026-03-02 09:00", call()))
        assert median(books) == 0


def test_where_only_days_are_known_a_day_is_a_day_also_when_it_has_23_hours() -> None:
    with shop(timezone="Europe/Berlin") as books:
        books.tell(1, ("2026-03-28", opened()), ("2026-03-30", call()))
        assert median(books) == 2
    with shop(timezone="Europe/Berlin") as books:
        books.tell(1, ("2026-03-28 12:00", opened()), ("2026-03-29 11:00", call()))
        assert median(books) == Decimal(22) / 24


def test_a_first_response_is_that_of_whoever_opened_the_deal() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02 09:00", opened(lead_source="fair")))
        books.tell(1, ("2026-03-02 10:00", OwnerAssigned(owner="bob")))
        books.tell(1, ("2026-03-02 21:00", call()))
        found = {each.group: each.first_response.days_median for each in lines(books, by="rep")}
        assert found == {"ann": Decimal("0.5"), "bob": None}
        [fair] = lines(books, by="channel")
        assert (fair.group, fair.first_response.days_median) == ("fair", Decimal("0.5"))


def test_four_and_five_of_five_are_satisfied() -> None:
    with shop() as books:
        books.tell(1, ("2026-02-02 09:00", opened()), ("2026-02-28 23:00", score(5)))
        for day, points in enumerate((1, 3, 4, 5), start=1):
            books.tell(1, (f"2026-03-0{day} 09:00", score(points)))
        books.tell(1, ("2026-03-05 09:00", score(10, "nps")))
        books.tell(1, ("2026-03-06 09:00", FeedbackReceived(text="quite well")))
        csat = line(books).csat
        assert csat is not None
        assert (csat.value, csat.count) == (Decimal("0.5"), 4)
        assert csat.interval is not None
        low, high = csat.interval.low, csat.interval.high
        assert (round(low, 4), round(high, 4)) == (Decimal("0.1500"), Decimal("0.8500"))
        assert line(books, as_of="2026-02-28T23:59:59+00:00").csat is None


def test_a_score_belongs_to_the_customer_and_the_source_of_the_deal() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-02 09:00", opened(customer_id=ACME, lead_source="fair")))
        books.tell(1, ("2026-03-03 09:00", score(5)))
        books.tell(1, ("2026-03-04 09:00", CustomerChanged(customer_id=BOLT)))
        books.tell(1, ("2026-03-05 09:00", score(1)))
        found = {each.group: each.csat for each in lines(books, by="customer")}
        assert [found[str(who)].value for who in (ACME, BOLT)] == [1, 0]  # type: ignore[union-attr]
        [fair] = lines(books, by="channel")
        assert fair.csat is not None
        assert (fair.group, fair.csat.value, fair.csat.count) == ("fair", Decimal("0.5"), 2)
