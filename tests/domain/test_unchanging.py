"""What was said, decided or answered never changes: who tries is told what to do instead."""

import pytest
from pydantic import BaseModel

from given import cny, deal_of, opened
from salesflow import STANDARD, Funnel, Money, SalesFlow
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.values import Value
from salesflow.errors import InputError

UNCHANGING: dict[str, tuple[Value, str, str]] = {
    "an amount": (cny("5"), "amount", r"make another one, with `model_copy\("),
    "a fact": (opened(), "title", "make another one, or retract what is wrong"),
    "a process": (STANDARD, "stages", "make another one"),
    "a question": (Funnel(), "owner", "make another one"),
}


@pytest.mark.parametrize("what", UNCHANGING)
def test_what_never_changes_says_what_to_do_instead(what: str) -> None:
    thing, name, instead = UNCHANGING[what]
    before, kind = thing.model_dump(), type(thing).__name__
    with pytest.raises(InputError, match=rf"^{kind}\.{name} cannot be assigned.*{instead}"):
        setattr(thing, name, "other")
    with pytest.raises(InputError, match=rf"^{kind}\.{name} cannot be deleted.*{instead}"):
        delattr(thing, name)
    for unknown in ("foo", "_foo"):
        with pytest.raises(InputError, match=rf"{kind} has no such field, but .*\b{name}\b"):
            setattr(thing, unknown, "other")
    assert thing.model_dump() == before


def test_an_answer_is_asked_for_anew_or_changed_as_a_dict() -> None:
    with SalesFlow("sqlite://") as flow:
        view = flow.ask(Funnel())
    with pytest.raises(InputError, match=r"stages cannot be assigned.*`flow\.ask`.*`to_dict"):
        view.stages = ()  # type: ignore[misc]
    with pytest.raises(InputError, match=r"position cannot be assigned"):
        view.moment.position = 3  # type: ignore[misc]


def test_an_event_of_a_history_is_retracted_and_not_changed() -> None:
    event = deal_of(opened()).history[0]
    with pytest.raises(InputError, match=r"^Event\.actor cannot be assigned.*s\.retract"):
        event.actor = "zoe"  # type: ignore[misc]
    with pytest.raises(InputError, match=r"^Event\.actor cannot be deleted.*s\.retract"):
        del event.actor


def test_what_is_read_from_plain_values_is_refused_as_what_is_made() -> None:
    with pytest.raises(InputError, match=r"^DealLost: becase: there is no such field"):
        DealLost.model_validate({"becase": "price"})
    with pytest.raises(InputError, match=r"^Money: currency: is missing"):
        Money.model_validate_json('{"amount": "3"}')
    assert Money.model_validate({"amount": "3", "currency": "CNY"}) == cny("3")


def test_a_value_is_read_within_models_of_others() -> None:
    class Order(BaseModel):
        total: Money

    read = Order.model_validate({"total": {"amount": "3", "currency": "CNY"}})
    read.total = cny("4")
    assert read.total == cny("4")


def test_an_amount_without_a_currency_is_refused() -> None:
    with pytest.raises(InputError, match=r"^Money: currency: must be a text, not None"):
        Money("98000")  # type: ignore[call-arg]
