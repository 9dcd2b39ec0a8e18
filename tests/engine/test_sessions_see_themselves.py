"""Within a session everybody sees what the session has said so far, whatever came first."""

from datetime import UTC, date, datetime

import pytest

from salesflow import STANDARD, Customer, Deal, SalesFlow, SalesProcess
from salesflow.domain.settings import SETTINGS_ID
from salesflow.errors import InputError, NotFoundError, RuleError
from salesflow.projections.pipeline.funnel import Funnel, FunnelView


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


def test_a_deal_in_hand_whose_opening_was_retracted_takes_no_commands(flow: SalesFlow) -> None:
    id = talked_about(flow).id
    with flow.session() as s:
        deal = s.get(Deal, id)
        s.retract(flow.history(id)[0].event_id, because="a double")
        for command in (deal.win, lambda: deal.assign_owner("bob"), lambda: deal.stage):
            with pytest.raises(NotFoundError, match="no deal"):
                command()
        with pytest.raises(NotFoundError, match="no deal"):
            deal.log_contact(channel="call", direction="out")


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


def test_a_day_said_before_the_session_is_cut_in_its_time_zone(flow: SalesFlow) -> None:
    with flow.session() as s:
        deal = s.add(
            Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=date(2026, 3, 2))
        )
    assert deal.opened_at == datetime(2026, 3, 1, 16, tzinfo=UTC)
    opening = flow.history(deal.id)[0]
    assert (opening.occurred_at, opening.precision) == (deal.opened_at, "day")
    assert flow.ask(Funnel(), as_of="2026-03-01").open_deals == 0
    assert flow.ask(Funnel(), as_of="2026-03-02").open_deals == 1


def test_a_day_inside_a_fact_waits_for_the_session() -> None:
    deal = Deal.open(STANDARD, title="ERP", owner="ann")
    with pytest.raises(InputError, match="add it to the session first"):
        deal.assign_owner("bob", effective_from=date(2026, 4, 1))


def test_under_a_command_id_nobody_is_named_by_an_id_that_changes(flow: SalesFlow) -> None:
    with (
        pytest.raises(InputError, match="add it to the session before you name it elsewhere"),
        flow.session(command_id="c-1") as s,
    ):
        acme = Customer.register(name="Acme")
        s.add(Deal.open(STANDARD, customer=acme, title="ERP", owner="ann"))
        s.add(acme)
    with flow.session(command_id="c-1") as s:
        acme = s.add(Customer.register(name="Acme"))
        deal = s.add(Deal.open(STANDARD, customer=acme, title="ERP", owner="ann"))
    customer = flow.get(Deal, deal.id).customer_id
    assert customer is not None
    assert flow.get(Customer, customer).name == "Acme"


def test_settings_are_changed_and_never_taken_back(flow: SalesFlow) -> None:
    with pytest.raises(RuleError, match="record the right ones"), flow.session() as s:
        s.retract(flow.history(SETTINGS_ID)[0].event_id, because="a mistake")


def test_a_deal_under_another_process_than_the_session_publishes_is_refused(
    flow: SalesFlow,
) -> None:
    ours = STANDARD.model_copy(update={"key": "ours"})
    fewer = ours.model_copy(update={"stages": ours.stages[1:]})
    with (
        pytest.raises(InputError, match="published as something else"),
        flow.session() as s,
    ):
        s.add(SalesProcess.publish(ours))
        s.add(Deal.open(fewer, title="ERP", owner="ann"))


def test_a_day_is_cut_in_the_time_zone_that_was_known(flow: SalesFlow) -> None:
    late = datetime(2026, 5, 31, 15, 30, tzinfo=UTC)  # half an hour before midnight in Shanghai
    with flow.session() as s:
        s.add(Deal.open(STANDARD, title="ERP", owner="ann", occurred_at=late))
    known = flow.ask(Funnel()).moment.known_at

    def asked() -> FunnelView:
        return flow.ask(Funnel(), as_of="2026-05-31", known_at=known)

    before = asked()
    with flow.session() as s:
        settings = s.get(type(flow.settings()), SETTINGS_ID)
        settings.change(timezone="America/New_York")
    assert asked().moment.as_of == before.moment.as_of
    assert asked().stages == before.stages


def test_planned_shares_never_add_up_to_more_than_the_whole(flow: SalesFlow) -> None:
    with flow.session() as s:
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        deal.add_collaborator("bob", credit="0.6", effective_from=date(2026, 9, 1))
        with pytest.raises(RuleError, match="would share 120%"):
            deal.add_collaborator("cai", credit="0.6")
        deal.add_collaborator("cai", credit="0.4")
        with pytest.raises(RuleError, match="would share 150%"):
            deal.add_collaborator("cai", credit="0.9", effective_from=date(2026, 7, 1))
        deal.add_collaborator("bob", credit="0.1", effective_from=date(2026, 8, 1))


def test_new_deals_lie_beside_one_another_in_the_order_in_which_they_were_added(
    flow: SalesFlow,
) -> None:
    with flow.session() as s:
        ids = [s.add(Deal.open(STANDARD, title="ERP", owner="ann")).id for _ in range(100)]
    assert ids == sorted(ids)
    assert {id.version for id in ids} == {7}


def test_an_id_that_was_told_before_the_session_stays(flow: SalesFlow) -> None:
    deal = Deal.open(STANDARD, title="ERP", owner="ann")
    told = deal.id
    with flow.session() as s:
        s.add(deal)
    assert flow.get(Deal, told).title == "ERP"
    assert {event.stream_id for event in deal.history} == {told}
