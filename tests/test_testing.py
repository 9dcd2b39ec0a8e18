"""Sentences about the domain, for other people's tests: what they insist on, and what fails."""

from datetime import timedelta

import pytest

from salesflow import STANDARD, Customer, Deal
from salesflow.domain.customer import CustomerQualified, CustomerRegistered
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.stages import DealOpened
from salesflow.errors import DealClosedError, RuleError
from salesflow.testing import HOUR, NOW, START, decides, event, on, read, refuses

OPENED = DealOpened(process="standard", process_version=1, stage="prospecting")
LOST = DealLost(because="price")


def win(deal: Deal) -> None:
    deal.win()


def lose(deal: Deal) -> None:
    deal.lose(because="price")


def test_a_command_decides_exactly_these_facts() -> None:
    deal = decides(given=[OPENED], when=lose, then=[LOST])
    assert deal.outcome == "lost"
    with pytest.raises(AssertionError, match=r"recorded DealLost\(.*\), expected nothing"):
        decides(given=[OPENED], when=lose, then=[])
    with pytest.raises(AssertionError, match="recorded nothing, expected DealLost"):
        decides(given=[OPENED], when=lambda _: None, then=[LOST])


def test_a_command_is_refused_with_this_very_error() -> None:
    refuses(given=[OPENED, LOST], when=win, error=DealClosedError, match="already lost")
    with pytest.raises(AssertionError, match="not refused; recorded DealWon"):
        refuses(given=[OPENED], when=win, error=DealClosedError, match="lost")
    with pytest.raises(AssertionError, match=r"refused with DealClosedError: .*expected Rule"):
        refuses(given=[OPENED, LOST], when=win, error=RuleError, match="already lost")
    with pytest.raises(AssertionError, match="expected DealClosedError: already won"):
        refuses(given=[OPENED, LOST], when=win, error=DealClosedError, match="already won")


def test_what_is_refused_records_nothing() -> None:
    def win_twice(deal: Deal) -> None:
        deal.win()
        deal.win()

    with pytest.raises(AssertionError, match="refused, but recorded DealWon"):
        refuses(given=[OPENED], when=win_twice, error=DealClosedError, match="already won")


@pytest.mark.parametrize("forgotten", ["given", "when", "then"])
def test_a_decision_with_a_forgotten_part_is_no_sentence(forgotten: str) -> None:
    parts = {"given": [OPENED], "when": lose, "then": [LOST]}
    del parts[forgotten]
    with pytest.raises(TypeError, match=forgotten):
        decides(**parts)  # type: ignore[call-overload]


@pytest.mark.parametrize("forgotten", ["given", "when", "error", "match"])
def test_a_refusal_with_a_forgotten_part_is_no_sentence(forgotten: str) -> None:
    parts = {"given": [OPENED, LOST], "when": win, "error": DealClosedError, "match": "lost"}
    del parts[forgotten]
    with pytest.raises(TypeError, match=forgotten):
        refuses(**parts)  # type: ignore[arg-type]


def test_any_aggregate_can_be_spoken_of() -> None:
    decides(
        kind=Customer,
        given=[CustomerRegistered(name="Acme")],
        when=lambda customer: customer.qualify(because="they called"),
        then=[CustomerQualified(because="they called")],
    )


def test_facts_happen_an_hour_apart_unless_it_is_said_when() -> None:
    late = on(LOST, START + 5 * HOUR, recorded_at=NOW - timedelta(days=1))
    deal = read(Deal, [OPENED, late])
    opened, lost = deal.history
    assert (opened.occurred_at, opened.recorded_at) == (START, START)
    assert (lost.occurred_at, lost.recorded_at) == (late.occurred_at, late.recorded_at)
    assert lost.event_id == event(2)
    assert deal.process_in_force == STANDARD
