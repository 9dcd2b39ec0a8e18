"""Within a session everybody sees what the session has said so far, whatever came first."""

import pytest

from salesflow import STANDARD, Deal, SalesFlow
from salesflow.errors import InputError, NotFoundError


def talked_about(flow: SalesFlow) -> Deal:
    with flow.session() as s:
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        deal.log_contact(channel="call", direction="out")
    return deal


def test_a_deal_loaded_after_a_retraction_shows_it_and_goes_on(flow: SalesFlow) -> None:
    id = talked_about(flow).id
    with flow.session() as s:
        s.retract(flow.history(id)[1].event_id, because="another customer")
        deal = s.get(Deal, id)
        assert deal.contact_count == 0
        deal.log_contact(channel="mail", direction="in")
        assert deal.contact_count == 1
    assert flow.get(Deal, id).contact_count == 1
    kinds = [event.fact.kind for event in flow.history(id)[2:]]
    assert kinds == ["fact.retracted", "deal.contact_logged"]


def test_a_deal_whose_opening_the_session_retracted_is_not_there(flow: SalesFlow) -> None:
    id = talked_about(flow).id
    with flow.session() as s:
        s.retract(flow.history(id)[0].event_id, because="a double")
        with pytest.raises(NotFoundError, match="no deal"):
            s.get(Deal, id)


def test_a_deal_under_a_changed_copy_of_a_published_process_is_refused(
    flow: SalesFlow,
) -> None:
    fewer = STANDARD.model_copy(update={"stages": STANDARD.stages[1:]})
    with (
        pytest.raises(InputError, match="published as something else"),
        flow.session() as s,
    ):
        s.add(Deal.open(fewer, title="ERP", owner="ann"))
    with flow.session() as s:
        s.add(Deal.open(STANDARD.model_copy(), title="ERP", owner="ann"))
