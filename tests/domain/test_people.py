"""Who owns a deal, who works on it, who helps, and whose deal it is."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from given import (
    HOUR,
    NOW,
    OTHER,
    PLAIN,
    PROCESSES,
    SHANGHAI,
    START,
    day,
    deal_of,
    decides,
    on,
    opened,
    refuses,
)
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.deal.people import (
    CollaboratorJoined,
    CollaboratorLeft,
    CustomerChanged,
    DealHandedOver,
    HandoverAcknowledged,
    HelpGiven,
    HelpRequested,
    MeetingHeld,
    MessagePosted,
    OwnerAssigned,
)
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import to_instant
from salesflow.errors import InputError, RuleError
from salesflow.presentation.people_text import help_text

JULY = datetime(2026, 7, 1, tzinfo=SHANGHAI)
HALF = CollaboratorJoined(person="bob", credit=Decimal("0.5"))


def test_a_rep_takes_a_deal_over() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.assign_owner("bob", because="ann is ill"),
        then=[OwnerAssigned(owner="bob", because="ann is ill")],
    )
    assert deal.owner == "bob"


def test_nobody_takes_over_what_is_theirs() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.assign_owner("ann"),
        error=RuleError,
        match="owned by 'ann' already",
    )


def test_a_handover_may_be_planned_and_takes_effect_on_its_day() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.assign_owner("bob", effective_from=day("2026-07-01")),
        then=[OwnerAssigned(owner="bob", effective_from=JULY)],
    )
    assert deal.owner == "ann"
    assert deal.at(JULY).owner == "bob"


def test_a_planned_handover_stands_until_then_whoever_takes_over_before() -> None:
    deal = deal_of(
        opened(),
        OwnerAssigned(owner="bob", effective_from=JULY),
        OwnerAssigned(owner="cid"),
    )
    assert deal.owner == "cid"
    assert deal.at(JULY).owner == "bob"


def test_a_plan_is_checked_against_what_will_hold_when_it_takes_effect() -> None:
    given = [opened(), OwnerAssigned(owner="bob", effective_from=JULY)]
    refuses(
        given=given,
        when=lambda deal: deal.assign_owner("bob", effective_from=day("2026-08-01")),
        error=RuleError,
        match="owned by 'bob' already",
    )
    decides(
        given=given,
        when=lambda deal: deal.assign_owner("bob"),
        then=[OwnerAssigned(owner="bob")],
    )


def test_a_plan_for_the_past_takes_effect_when_it_was_made() -> None:
    deal = deal_of(opened(), OwnerAssigned(owner="bob", effective_from=START - HOUR))
    assert deal.owner == "bob"
    assert deal.at(START + HOUR / 2).owner == "ann"
    decides(
        given=[opened()],
        when=lambda deal: deal.assign_owner(
            "bob", effective_from=START, occurred_at=START + HOUR
        ),
        then=[OwnerAssigned(owner="bob", effective_from=START)],
    )
    decides(
        given=[opened()],
        when=lambda deal: deal.assign_owner(
            "bob", effective_from=JULY, occurred_at=START + HOUR
        ),
        then=[OwnerAssigned(owner="bob", effective_from=JULY)],
    )


def test_a_colleague_joins_with_a_share_and_the_owner_keeps_the_rest() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.add_collaborator(
            "bob", department="presales", role="engineer", credit="0.3"
        ),
        then=[
            CollaboratorJoined(
                person="bob", department="presales", role="engineer", credit=Decimal("0.3")
            )
        ],
    )
    assert deal.credits == {"bob": Decimal("0.3"), "ann": Decimal("0.7")}
    assert deal.collaborators["bob"].department == "presales"


def test_who_works_along_without_a_share_is_not_credited() -> None:
    deal = deal_of(opened(owner=None), CollaboratorJoined(person="bob"))
    assert deal.credits == {}
    assert list(deal.collaborators) == ["bob"]


def test_shares_never_add_up_to_more_than_the_whole() -> None:
    refuses(
        given=[opened(), HALF],
        when=lambda deal: deal.add_collaborator("cid", credit="0.6"),
        error=RuleError,
        match="would share 110",
    )
    deal = decides(
        given=[opened(), HALF],
        when=lambda deal: deal.add_collaborator("bob", credit="1"),
        then=[CollaboratorJoined(person="bob", credit=Decimal(1))],
    )
    assert deal.credits == {"bob": Decimal(1), "ann": Decimal(0)}


def test_a_share_is_a_part_of_one() -> None:
    for credit, match in (
        ("2", "credit: must be at most 1, which is all of it; 2% is 0.02"),
        ("-1", "must be at least 0"),
        ("x", "'x' is not"),
    ):
        refuses(
            given=[opened()],
            when=lambda deal, credit=credit: deal.add_collaborator(  # type: ignore[misc]
                "bob", credit=credit
            ),
            error=InputError,
            match=match,
        )


def test_a_planned_share_is_counted_when_it_will_hold() -> None:
    given = [
        opened(),
        CollaboratorJoined(person="bob", credit=Decimal("0.8"), effective_from=JULY),
    ]
    decides(
        given=given,
        when=lambda deal: deal.add_collaborator("cid", credit="0.1"),
        then=[CollaboratorJoined(person="cid", credit=Decimal("0.1"))],
    )
    refuses(
        given=given,
        when=lambda deal: deal.add_collaborator("cid", credit="0.3", effective_from=JULY),
        error=RuleError,
        match="would share 110",
    )


def test_what_is_not_named_of_a_collaborator_stays_as_it_is() -> None:
    sells = CollaboratorJoined(
        person="bob", department="it", role="presales", credit=Decimal("0.2")
    )
    decides(
        given=[opened(), sells],
        when=lambda deal: deal.add_collaborator("bob", credit="0.25"),
        then=[sells.model_copy(update={"credit": Decimal("0.25")})],
    )
    decides(
        given=[opened(), sells],
        when=lambda deal: deal.add_collaborator("bob", role="lawyer"),
        then=[sells.model_copy(update={"role": "lawyer"})],
    )


@pytest.mark.parametrize("named", [{}, {"credit": "0.5"}])
def test_a_collaborator_who_works_on_a_deal_so_already_is_not_added_again(
    named: dict[str, Any],
) -> None:
    refuses(
        given=[opened(), HALF],
        when=lambda deal: deal.add_collaborator("bob", **named),
        error=RuleError,
        match="'bob' works on deal .* already, with that role and share",
    )


def test_the_owner_is_no_collaborator() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.add_collaborator("ann", credit="0.1"),
        error=RuleError,
        match="'ann' owns deal",
    )


def test_a_collaborator_who_becomes_the_owner_keeps_the_whole_of_both_shares() -> None:
    deal = deal_of(opened(), HALF, OwnerAssigned(owner="bob"))
    assert deal.credits == {"bob": Decimal(1)}


def test_a_source_may_give_more_shares_than_there_are() -> None:
    more = CollaboratorJoined(person="cid", credit=Decimal("0.6"))
    assert deal_of(opened(), HALF, more).credits["ann"] == 0


def test_a_handover_of_a_deal_opened_just_now_may_be_planned() -> None:
    deal = Deal.open(PLAIN, title="ERP", owner="ann")
    deal.attach(ReplayContext(PROCESSES, SHANGHAI, to_instant(NOW)))
    deal.assign_owner("bob", effective_from=day("2026-07-01"))
    assert deal.pending[1].fact == OwnerAssigned(owner="bob", effective_from=JULY)
    deal = Deal.open(PLAIN, title="ERP", owner="ann", occurred_at=START)
    deal.attach(ReplayContext(PROCESSES, SHANGHAI, to_instant(NOW)))
    deal.assign_owner("bob", effective_from=day("2026-07-01"))
    assert (deal.owner, deal.at(JULY).owner) == ("ann", "bob")


def test_nothing_takes_effect_on_a_day_before_the_one_on_which_it_was_decided() -> None:
    early, late = START + HOUR, START + 20 * 24 * HOUR
    for at in (None, late):
        refuses(
            given=[opened()],
            when=lambda deal, at=at: deal.assign_owner(  # type: ignore[misc]
                "bob", effective_from=early, occurred_at=at
            ),
            now=late,
            error=InputError,
            match="effective_from: .* lies before .*say so in occurred_at=…",
        )


def test_a_colleague_leaves() -> None:
    deal = decides(
        given=[opened(), HALF],
        when=lambda deal: deal.remove_collaborator("bob", because="other work"),
        then=[CollaboratorLeft(person="bob", because="other work")],
    )
    assert deal.credits == {"ann": Decimal(1)}
    refuses(
        given=[opened()],
        when=lambda deal: deal.remove_collaborator("bob"),
        error=RuleError,
        match="'bob' does not work on deal",
    )


def test_who_leaves_without_having_joined_leaves_nothing_behind() -> None:
    assert deal_of(opened(), CollaboratorLeft(person="bob")).collaborators == {}


def test_a_deal_may_turn_out_to_be_another_customers() -> None:
    acme = Customer.register(name="Acme", id=OTHER)
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.change_customer(acme, because="subsidiary"),
        then=[CustomerChanged(customer_id=OTHER, because="subsidiary")],
    )
    assert deal.customer_id == OTHER
    refuses(
        given=[opened(customer_id=OTHER)],
        when=lambda deal: deal.change_customer(UUID(int=OTHER.int), because="x"),
        error=RuleError,
        match="already",
    )


def test_the_team_writes_to_each_other() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.post_message("who knows their CFO?", by="ann", to=("bob",)),
        then=[MessagePosted(text="who knows their CFO?", by="ann", to=("bob",))],
    )
    assert len(deal.messages) == 1
    refuses(
        given=[opened()],
        when=lambda deal: deal.post_message(" "),
        error=InputError,
        match="a message cannot be blank",
    )


def test_help_is_asked_for_and_given() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.request_help("which licence?", department="legal", by="ann"),
        then=[
            HelpRequested(request="H1", question="which licence?", department="legal", by="ann")
        ],
    )
    assert not deal.help_requests["H1"].given
    deal = decides(
        given=[opened(), HelpRequested(request="H1")],
        when=lambda deal: deal.give_help("H1", answer="MIT", by="lea"),
        then=[HelpGiven(request="H1", answer="MIT", by="lea")],
    )
    assert (deal.help_requests["H1"].given, deal.help_requests["H1"].by) == (True, "lea")


def test_the_first_answer_stays_the_first_and_others_add_to_it() -> None:
    deal = deal_of(
        opened(),
        HelpRequested(request="H1", question="which licence?"),
        HelpGiven(request="H1", answer="MIT", by="lea"),
        HelpGiven(request="H1", answer="or BSD", by="bob"),
    )
    asked = deal.help_requests["H1"]
    assert (asked.by, asked.answer, asked.further) == ("lea", "MIT", (("bob", "or BSD"),))
    assert help_text(asked, str, "en") == "H1 given (lea): which licence?; MIT; bob: or BSD"


def test_help_answers_a_question_that_was_asked_once() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.give_help("H1", answer="MIT"),
        error=RuleError,
        match="nobody asked for 'H1'",
    )
    refuses(
        given=[opened(), HelpRequested(request="H1")],
        when=lambda deal: deal.request_help("again?", request="H1"),
        error=RuleError,
        match="has a request 'H1' already",
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.request_help(""),
        error=InputError,
        match="a question cannot be blank",
    )


def test_help_that_nobody_asked_for_is_refused_naming_what_was() -> None:
    asked = HelpRequested(request="R1", question="who knows?")
    for given, at, match in (
        ("R9", None, "nobody asked for 'R9' on deal .*; asked for: R1"),
        ("R1", START, "nobody asked for 'R1' .* by that time; it was asked for at 2026-"),
    ):
        refuses(
            given=[opened(), on(asked, START + HOUR)],
            when=lambda deal, given=given, at=at: deal.give_help(  # type: ignore[misc]
                given, answer="I do", occurred_at=at
            ),
            error=RuleError,
            match=match,
        )


def test_help_comes_after_what_is_asked_for_when_it_is_recorded() -> None:
    deal = Deal.open(PLAIN, title="ERP", owner="ann", occurred_at=START)
    deal.request_help("who knows?", request="R1")
    with pytest.raises(RuleError, match="by that time; it is asked for when that is recorded"):
        deal.give_help("R1", answer="I do", occurred_at=START + HOUR)
    deal.give_help("R1", answer="I do")


@pytest.mark.parametrize("answer", ["", "  "])
def test_help_that_says_nothing_is_none(answer: str) -> None:
    refuses(
        given=[opened(), HelpRequested(request="R1", question="who knows?")],
        when=lambda deal: deal.give_help("R1", answer=answer),
        error=InputError,
        match="an answer cannot be blank",
    )


def test_help_for_a_question_that_was_retracted_changes_nothing() -> None:
    assert deal_of(opened(), on(HelpGiven(request="H1"), START + HOUR)).help_requests == {}


def test_a_message_says_how_it_was_sent_where_somebody_does() -> None:
    decides(
        given=[opened()],
        when=lambda deal: deal.post_message("call me", by="ann", to=("bob",), channel="chat"),
        then=[MessagePosted(text="call me", by="ann", to=("bob",), channel="chat")],
    )
    old = MessagePosted.model_validate_json('{"text":"call me","by":"ann","to":[]}')
    assert old.channel is None


def test_a_meeting_among_ourselves_says_who_met_and_what_was_decided() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.hold_meeting(
            participants=("ann", "lea"), departments=("legal",), decided="no exclusivity"
        ),
        then=[
            MeetingHeld(
                participants=("ann", "lea"), departments=("legal",), decided="no exclusivity"
            )
        ],
    )
    assert len(deal.meetings) == 1
    assert not deal.contacts


def test_nobody_meets_alone() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.hold_meeting(participants=("ann", " ann")),
        error=InputError,
        match="at least two participants",
    )


OPEN = DealHandedOver(to="bob", open_tasks=("send the offer",), promises=("a visit in May",))


def test_the_next_owner_gets_what_is_open_and_acknowledges_it() -> None:
    deal = decides(
        given=[opened(), OwnerAssigned(owner="bob", because="a move")],
        when=lambda deal: deal.hand_over(
            open_tasks=("send the offer",), promises=("a visit in May",)
        ),
        then=[OPEN],
    )
    [handover] = deal.handovers
    assert (handover.former, handover.owner, handover.handed_over) == ("ann", "bob", OPEN)
    assert not handover.acknowledged
    deal = decides(
        given=[opened(), OwnerAssigned(owner="bob"), OPEN],
        when=lambda deal: deal.acknowledge_handover(),
        then=[HandoverAcknowledged(by="bob")],
    )
    assert deal.handovers[-1].acknowledged


def test_what_is_handed_over_ahead_belongs_to_the_ownership_that_begins_later() -> None:
    planned = OwnerAssigned(owner="bob", effective_from=JULY)
    deal = decides(
        given=[opened(), planned],
        when=lambda deal: deal.hand_over(
            to="bob", open_tasks=("send the offer",), promises=("a visit in May",)
        ),
        then=[OPEN],
    )
    assert deal.handovers == ()
    assert [each.handed_over for each in deal.at(JULY).handovers] == [OPEN]


def test_a_handover_that_comes_between_leaves_each_owner_what_was_handed_to_them() -> None:
    """Cid had it for a while: what was handed over to Bob waits until it is Bob's."""
    deal = deal_of(opened(), OwnerAssigned(owner="cid"), OPEN, OwnerAssigned(owner="bob"))
    assert [(each.owner, each.handed_over) for each in deal.handovers] == [
        ("cid", None),
        ("bob", OPEN),
    ]


def test_the_same_owner_again_is_no_handover() -> None:
    assert deal_of(opened(), OwnerAssigned(owner="ann")).handovers == ()
    assert deal_of(opened(owner=None), OwnerAssigned(owner="ann")).handovers == ()


def test_only_a_new_owner_acknowledges_once() -> None:
    given = [opened(), OwnerAssigned(owner="bob")]
    for wrong, why in (
        (lambda deal: deal.acknowledge_handover(by="ann"), "owned by 'bob' then"),
        (lambda deal: deal.hand_over(to="bob"), "say what is handed over"),
    ):
        error = InputError if "say what" in why else RuleError
        refuses(given=given, when=wrong, error=error, match=why)
    for wrong, why in (
        (lambda deal: deal.acknowledge_handover(), "first owner"),
        (lambda deal: deal.hand_over(note="all is said"), "first owner of deal"),
    ):
        refuses(given=[opened()], when=wrong, error=RuleError, match=why)
    refuses(
        given=[*given, HandoverAcknowledged(by="bob")],
        when=lambda deal: deal.acknowledge_handover(by="bob"),
        error=RuleError,
        match="acknowledged it already",
    )
    refuses(
        given=[opened(owner=None)],
        when=lambda deal: deal.hand_over(note="all is said"),
        error=RuleError,
        match="has no owner",
    )
