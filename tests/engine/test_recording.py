"""What another system tells is recorded as it is, and means what it says."""

import pickle
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from given import opened
from salesflow import STANDARD, Deal, ExternalEvent, Money, SalesFlow
from salesflow.domain.deal.quotes import QuoteIssued
from salesflow.domain.event import FactRetracted
from salesflow.domain.process import ProcessPublished, process_id
from salesflow.domain.time import to_instant
from salesflow.errors import InputError

APRIL = datetime(2026, 4, 1, 9, tzinfo=UTC)


def opened_in_april(flow: SalesFlow) -> Deal:
    with flow.session() as s:
        return s.add(Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=APRIL))


def test_an_offer_told_by_its_last_day_runs_out_at_the_end_of_it(flow: SalesFlow) -> None:
    deal = opened_in_april(flow)
    offer = QuoteIssued(quote="Q9", total=Money("100", "CNY"), valid_until=date(2026, 4, 5))
    flow.record([ExternalEvent(deal.id, offer, to_instant(APRIL))])
    last = datetime(2026, 4, 5, 15, 59, 59, 999_999, tzinfo=UTC)
    assert flow.get(Deal, deal.id, as_of=last).quotes["Q9"].state == "issued"
    assert flow.get(Deal, deal.id, as_of="2026-04-06").quotes["Q9"].state == "expired"


def test_a_version_is_published_once(flow: SalesFlow) -> None:
    other = STANDARD.model_copy(update={"stages": STANDARD.stages[1:]})
    for process in (STANDARD, other):
        with pytest.raises(InputError, match="is published already"):
            flow.record(
                [ExternalEvent(process_id("standard"), ProcessPublished(process=process))]
            )


def test_a_retraction_has_no_time_of_its_own(flow: SalesFlow) -> None:
    deal = opened_in_april(flow)
    event = flow.history(deal.id)[0]
    wrong = FactRetracted(event_id=event.event_id, because="a double")
    with pytest.raises(InputError, match="takes no time"):
        flow.record([ExternalEvent(deal.id, wrong, to_instant(APRIL))])
    flow.record([ExternalEvent(deal.id, wrong)])


def test_a_receipt_and_a_standing_tell_their_time(flow: SalesFlow) -> None:
    receipt = flow.run(lambda s: s.add(Deal.open(STANDARD, title="ERP", owner="ann")))
    assert receipt is not None
    assert to_instant(receipt.recorded_at) == receipt.recorded
    flow.catch_up()
    assert flow.standings()["deal_state"].recorded_at == receipt.recorded_at


def test_a_foreign_fact_takes_its_time_as_one_or_as_microseconds() -> None:
    at, opening = datetime(2026, 3, 1, 9, tzinfo=UTC), opened()
    told = ExternalEvent(UUID(int=1), opening, occurred_at=at)
    assert told == ExternalEvent(UUID(int=1), opening, at)
    assert told == ExternalEvent(UUID(int=1), opening, to_instant(at))
    assert told == ExternalEvent(UUID(int=1), opening, occurred_at=to_instant(at))
    assert told._replace(actor="u").occurred == to_instant(at)
    assert pickle.loads(pickle.dumps(told)) == told
    for wrong in ("2026-03-01", 1.5, True, date(2026, 3, 1), at.replace(tzinfo=None)):
        with pytest.raises(InputError, match="time"):
            ExternalEvent(UUID(int=1), opening, wrong)  # type: ignore[arg-type]
