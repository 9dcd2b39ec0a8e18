"""What speaks against an open deal, since when, and which facts say so."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from given import PLAIN, SHANGHAI, cny, opened
from questions.shop import Shop, deal_id, shop
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import StageMoved
from salesflow.errors import NotFoundError
from salesflow.projections.health.deal_health import DealHealth, HealthReason

DAY = datetime(2026, 3, 31, tzinfo=UTC)


@pytest.fixture
def books() -> Iterator[Shop]:
    with shop() as found:
        yield found


def contact(direction: str, *participants: str, next_step: str | None = None) -> ContactLogged:
    return ContactLogged.model_validate(
        {"direction": direction, "participants": participants, "next_step": next_step}
    )


def reasons(books: Shop, when: str = "2026-03-31", **more: Any) -> dict[str, HealthReason]:  # noqa: ANN401
    view = books.flow.ask(DealHealth(deal=deal_id(1), **more), as_of=when)
    return {each.reason: each for each in view.deals[0].reasons}


def test_a_deal_is_pushed_repeatedly_from_its_second_push_on(books: Shop) -> None:
    books.tell(
        1,
        ("2026-03-01", opened(expected_close=date(2026, 4, 1))),
        ("2026-03-02", ForecastGiven(expected_close=date(2026, 4, 10))),
        ("2026-03-03", ForecastGiven(expected_close=date(2026, 4, 5))),
        ("2026-03-09", ForecastGiven(expected_close=date(2026, 5, 1))),
    )
    assert "pushed_repeatedly" not in reasons(books, "2026-03-08")
    found = reasons(books)["pushed_repeatedly"]
    first, second = (books.events(1)[number].event_id for number in (1, 3))
    assert found.figure == Decimal(2)
    assert found.event_ids == (first, second)
    assert found.since == datetime(2026, 3, 9, tzinfo=UTC)


def test_the_day_a_limit_was_passed_is_not_said_to_be_the_day_it_began() -> None:
    first = PLAIN.stages[0].model_copy(update={"max_days": 10})
    stages = (first, *PLAIN.stages[1:])
    slow = PLAIN.model_copy(update={"key": "slow", "stages": stages})
    with shop(slow) as books:
        books.tell(
            1,
            ("2026-03-01", opened(slow, expected_close=date(2026, 4, 1))),
            ("2026-03-02", ForecastGiven(expected_close=date(2026, 4, 10))),
            ("2026-03-09", ForecastGiven(expected_close=date(2026, 5, 1))),
        )
        text = books.flow.ask(DealHealth(deal=deal_id(1)), as_of="2026-03-31").table()
    assert "31.0 days in stage (max 10), past the limit since 2026-03-11" in text
    assert "close date pushed 2x, too often since 2026-03-09" in text


def test_a_push_that_was_a_mistake_does_not_count_once_that_is_known(books: Shop) -> None:
    books.tell(
        1,
        ("2026-03-01", opened(expected_close=date(2026, 4, 1))),
        ("2026-03-02", ForecastGiven(expected_close=date(2026, 4, 10))),
        ("2026-03-09", ForecastGiven(expected_close=date(2026, 5, 1))),
    )
    before = books.flow.ask(DealHealth(deal=deal_id(1)), as_of="2026-03-31")
    books.turn("2026-06-02").retract(books.events(1)[1])
    assert "pushed_repeatedly" not in reasons(books)
    again = books.flow.ask(DealHealth(deal=deal_id(1)), at=before.moment)
    assert again == before
    assert "pushed_repeatedly" in {each.reason for each in again.deals[0].reasons}


def test_an_amount_that_was_cut_and_raised_again_is_not_cut(books: Shop) -> None:
    books.tell(
        1,
        ("2026-03-01", opened(amount=cny("100"))),
        ("2026-03-02", ForecastGiven(amount=cny("80"))),
        ("2026-03-03", ForecastGiven(amount=cny("150"))),
        ("2026-03-04", ForecastGiven(amount=cny("90"))),
        ("2026-03-05", ForecastGiven(amount=cny("70"))),
    )
    found = reasons(books)["amount_cut"]
    assert found.event_ids == tuple(event.event_id for event in books.events(1)[3:])
    assert (found.figure, found.limit) == (Decimal(80), Decimal(150))
    assert "amount_cut" not in reasons(books, "2026-03-03")


def test_a_reply_ends_the_waiting_and_counts_from_the_first_contact_after_it(
    books: Shop,
) -> None:
    books.tell(
        1,
        ("2026-03-01 09:00", opened()),
        ("2026-03-02 09:00", contact("out")),
        ("2026-03-03 09:00", contact("in")),
        ("2026-03-04 09:00", contact("out")),
        ("2026-03-11 09:00", contact("out")),
    )
    found = reasons(books, no_reply_days=7)["no_reply"]
    assert found.since == datetime(2026, 3, 4, 9, tzinfo=UTC)
    assert found.event_ids == tuple(event.event_id for event in books.events(1)[3:])
    assert "no_reply" not in reasons(books, "2026-03-10")


@pytest.mark.parametrize(
    ("when", "days"),
    [("2026-03-11 00:30", 1), ("2026-03-11 23:30", 1), ("2026-03-12 00:30", 2)],
)
def test_days_without_a_contact_or_reply_are_those_of_the_calendar(
    when: str, days: int
) -> None:
    """At half past midnight a contact of the evening before is one day back, in Shanghai."""
    with shop(timezone="Asia/Shanghai") as books:
        books.tell(1, ("2026-03-01", opened()), ("2026-03-10 22:00", contact("in")))
        books.tell(1, ("2026-03-10 23:00", contact("out")))
        moment = datetime.fromisoformat(when).replace(tzinfo=SHANGHAI)
        for name in ("no_reply", "no_contact"):
            found = asked(books, moment, name, days - 1)
            assert found is not None
            assert (found.figure, found.limit) == (Decimal(days), Decimal(days - 1))
            assert asked(books, moment, name, days) is None, "not more than are allowed"


def asked(books: Shop, when: datetime, name: str, allowed: int) -> HealthReason | None:
    question = DealHealth.model_validate({"deal": deal_id(1), f"{name}_days": allowed})
    view = books.flow.ask(question, as_of=when)
    return next((each for each in view.deals[0].reasons if each.reason == name), None)


def test_a_deal_is_one_day_overdue_all_the_day_after_it_should_have_closed(
    books: Shop,
) -> None:
    books.tell(1, ("2026-03-01", opened(expected_close=date(2026, 3, 10))))
    for day, hour, days in ((11, 0, 1), (11, 23, 1), (12, 0, 2)):
        at = datetime(2026, 3, day, hour, 5, tzinfo=UTC)
        view = books.flow.ask(DealHealth(deal=deal_id(1)), as_of=at)
        [found] = [each for each in view.deals[0].reasons if each.reason == "overdue"]
        assert found.figure == Decimal(days)
        assert f"{days} days overdue" in view.table()


def test_one_person_written_in_two_ways_is_a_single_contact(books: Shop) -> None:
    books.tell(
        1,
        ("2026-03-01", opened()),
        ("2026-03-02", contact("out", "Li Wei")),
        ("2026-03-03", contact("in", "li  wei")),
    )
    assert reasons(books)["single_contact"].event_ids == (books.events(1)[1].event_id,)
    books.tell(1, ("2026-03-04", contact("out", "Bo")))
    assert "single_contact" not in reasons(books)


def test_people_whom_contacts_name_by_id_are_counted_as_those_named(books: Shop) -> None:
    li, bo = UUID(int=1), UUID(int=2)
    met = contact("out", "Li Wei").model_copy(update={"contact_people": (li,)})
    by_id = contact("in").model_copy(update={"contact_people": (bo,)})
    books.tell(1, ("2026-03-01", opened()), ("2026-03-02", met))
    assert reasons(books)["single_contact"].event_ids == (books.events(1)[1].event_id,)
    books.tell(1, ("2026-03-03", by_id))
    assert "single_contact" not in reasons(books)


def test_nothing_is_said_of_contacts_where_nobody_records_any(books: Shop) -> None:
    books.tell(1, ("2026-01-01", opened()))
    view = books.flow.ask(DealHealth(), as_of="2026-03-31")
    unsaid = {each.reason for each in view.counts if not each.judged}
    assert unsaid == {"no_reply", "no_contact", "single_contact", "no_next_step"}
    assert not {"no_contact", "no_next_step"} & reasons(books).keys()
    assert "not recorded" in view.table()


def test_a_next_step_is_missed_wherever_one_was_ever_named(books: Shop) -> None:
    books.tell(1, ("2026-03-01", opened()), ("2026-03-02", contact("in", next_step="offer")))
    assert "no_next_step" not in reasons(books)
    books.tell(1, ("2026-03-03", contact("in")))
    assert reasons(books)["no_next_step"].event_ids == (books.events(1)[-1].event_id,)
    books.retract(books.events(1)[1])
    view = books.flow.ask(DealHealth(), as_of="2026-03-31")
    assert "no_next_step" in {each.reason for each in view.counts if not each.judged}


def test_a_probability_is_a_reason_only_above_the_interval_of_deals_like_it(
    books: Shop,
) -> None:
    for number in range(2, 12):
        ended = DealWon() if number < 5 else DealLost(because="price")
        books.tell(number, ("2026-01-01", opened()), ("2026-02-15", ended))
    books.tell(
        1, ("2026-03-01", opened()), ("2026-03-02", ForecastGiven(probability=Decimal("0.9")))
    )
    view = books.flow.ask(DealHealth(deal=deal_id(1)), as_of="2026-03-31")
    [line] = view.deals
    assert line.history is not None
    assert (line.history.value, line.history.count) == (Decimal("0.3"), 10)
    found = reasons(books)["probability_above_history"]
    assert found.event_ids == (books.events(1)[1].event_id,)
    books.tell(1, ("2026-03-05", ForecastGiven(probability=Decimal("0.5"))))
    assert "probability_above_history" not in reasons(books)


def test_a_deal_is_laid_beside_those_that_stood_in_its_stage_as_long(books: Shop) -> None:
    books.tell(2, ("2026-01-01", opened()), ("2026-01-05", DealWon()))
    books.tell(3, ("2026-01-01", opened()), ("2026-02-25", DealLost(because="price")))
    books.tell(1, ("2026-03-01", opened()))
    young, old = (
        books.flow.ask(DealHealth(deal=deal_id(1)), as_of=when).deals[0].history
        for when in ("2026-03-02", "2026-03-31")
    )
    assert young is not None
    assert old is not None
    assert (young.value, young.count) == (Decimal("0.5"), 2)
    assert (old.value, old.count) == (Decimal(0), 1)


def test_deals_are_listed_by_what_is_at_stake_in_each_currency(books: Shop) -> None:
    for number, amount in ((1, cny("10")), (2, cny("30")), (3, None), (4, cny("20"))):
        overdue = opened(amount=amount, expected_close=date(2026, 3, 2))
        books.tell(number, ("2026-03-01", overdue))
    view = books.flow.ask(DealHealth(limit=2), as_of="2026-03-31")
    assert [line.deal for line in view.deals] == [deal_id(2), deal_id(4), deal_id(3)]
    assert (view.deals_total, view.deals_with_reasons) == (4, 4)


def test_a_deal_that_is_not_open_is_refused_with_the_way_out(books: Shop) -> None:
    books.tell(1, ("2026-03-01", opened()), ("2026-03-05", StageMoved(target="b")))
    books.tell(1, ("2026-03-09", DealWon()))
    with pytest.raises(NotFoundError, match=r"is won at that moment.*case-study"):
        books.flow.ask(DealHealth(deal=deal_id(1)), as_of="2026-03-31")
    with pytest.raises(NotFoundError, match=r"no deal .* is believed to exist"):
        books.flow.ask(DealHealth(deal=deal_id(9)), as_of="2026-03-31")
