"""Who at the customer has a say: in which role, for or against us, and last met when."""

from uuid import UUID

from given import HOUR, START, deal_of, decides, on, opened, refuses
from salesflow.domain.deal import Deal
from salesflow.domain.deal.activities import (
    ContactLogged,
    DecisionMaker,
    DecisionProcessMapped,
)
from salesflow.domain.deal.committee import (
    CommitteeMember,
    CommitteeMemberIdentified,
    CommitteeMemberLeft,
    StanceObserved,
)
from salesflow.errors import InputError, RuleError

WANG, LI = UUID(int=1), UUID(int=2)
BUYER = CommitteeMemberIdentified(
    person_id=WANG, name="Wang", roles=("economic_buyer",), stance="neutral"
)


def test_somebody_at_the_customer_turns_out_to_have_a_say() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.identify_committee_member(
            "Wang", person_id=WANG, roles=("economic_buyer",), stance="neutral"
        ),
        then=[BUYER],
    )
    assert deal.committee == {
        WANG: CommitteeMember(WANG, "Wang", ("economic_buyer",), "neutral")
    }
    assert "economic_buyer" not in deal.roles_unfilled
    assert "champion" in deal.roles_unfilled


def test_of_nobody_known_no_role_is_said_to_be_missing() -> None:
    assert deal_of(opened()).roles_unfilled == ()


def test_named_again_what_is_said_replaces_what_was_known_and_the_rest_stays() -> None:
    again = CommitteeMemberIdentified(person_id=WANG, roles=("champion", "user", "user"))
    deal = deal_of(opened(), BUYER, again)
    assert deal.committee[WANG] == CommitteeMember(
        WANG, "Wang", ("champion", "user"), "neutral"
    )


def test_a_member_without_an_id_gets_one() -> None:
    deal = deal_of(opened())
    person = deal.identify_committee_member("Wang")
    assert deal.committee[person].name == "Wang"
    assert deal.committee[person].stance == "unknown"


def test_who_has_a_say_is_named_and_something_new_is_said_of_them() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.identify_committee_member(" "),
        error=InputError,
        match="name who has a say",
    )
    refuses(
        given=[opened(), BUYER],
        when=lambda deal: deal.identify_committee_member(person_id=WANG),
        error=InputError,
        match="say what is new of them",
    )


def test_it_becomes_clear_that_somebody_is_against_us() -> None:
    deal = decides(
        given=[opened(), BUYER],
        when=lambda deal: deal.observe_stance(WANG, "opponent", because="fears the change"),
        then=[StanceObserved(person_id=WANG, stance="opponent", because="fears the change")],
    )
    assert deal.committee[WANG].stance == "opponent"
    refuses(
        given=[opened(), BUYER],
        when=lambda deal: deal.observe_stance(WANG, "neutral"),
        error=RuleError,
        match="known as neutral on deal .* already",
    )


def test_a_stance_is_observed_of_somebody_who_is_known() -> None:
    refuses(
        given=[opened(), BUYER],
        when=lambda deal: deal.observe_stance(LI, "supporter"),
        error=RuleError,
        match=f"person {LI} is not on the committee of deal .*; known are {WANG}; identify",
    )


def test_a_stance_of_somebody_whose_naming_was_retracted_still_counts() -> None:
    deal = deal_of(opened(), StanceObserved(person_id=WANG, stance="supporter"))
    assert deal.committee[WANG].stance == "supporter"


def test_who_leaves_has_no_say_any_more() -> None:
    deal = decides(
        given=[opened(), BUYER],
        when=lambda deal: deal.remove_committee_member(WANG, because="retired"),
        then=[CommitteeMemberLeft(person_id=WANG, because="retired")],
    )
    assert deal.committee == {}
    assert deal_of(opened(), CommitteeMemberLeft(person_id=WANG)).committee == {}


def mapped(*people: DecisionMaker) -> DecisionProcessMapped:
    return DecisionProcessMapped(people=people, how="board")


def test_whom_the_decision_process_names_by_id_is_on_the_committee() -> None:
    deal = deal_of(
        opened(),
        mapped(
            DecisionMaker(person_id=LI, name="Li", role="decision_maker"),
            DecisionMaker(person_id=WANG, role="CFO"),
            DecisionMaker(name="somebody without an id"),
        ),
    )
    assert [each[:4] for each in deal.committee.values()] == [
        (LI, "Li", ("decision_maker",), "unknown"),
        (WANG, None, (), "unknown"),
    ]


def test_a_new_map_takes_out_whom_only_the_old_one_named() -> None:
    deal = deal_of(
        opened(),
        BUYER,
        mapped(DecisionMaker(person_id=WANG), DecisionMaker(person_id=LI)),
        mapped(DecisionMaker(name="a board of three")),
    )
    assert [*deal.committee] == [WANG]


def met(*people: UUID) -> ContactLogged:
    return ContactLogged(channel="visit", direction="out", contact_people=people)


def test_a_contact_is_the_last_one_of_those_it_names() -> None:
    """Also of somebody who turns out to have a say only afterwards."""
    deal = deal_of(
        opened(),
        on(met(WANG), START + HOUR),
        on(BUYER, START + 2 * HOUR),
        on(mapped(DecisionMaker(person_id=LI)), START + 2 * HOUR),
        on(met(), START + 3 * HOUR),
    )
    assert deal.committee[WANG].last_contact == START + HOUR
    assert deal.committee[LI].last_contact is None
    deal = deal_of(opened(), BUYER, on(met(WANG), START + 4 * HOUR))
    assert deal.committee[WANG].last_contact == START + 4 * HOUR


def test_a_rep_logs_a_contact_with_somebody_on_the_committee() -> None:
    def log(deal: Deal) -> None:
        deal.log_contact(channel="visit", direction="out", contact_people=(WANG,))

    decides(given=[opened()], when=log, then=[met(WANG)])
    assert b"contact_people" not in ContactLogged(channel="call").to_json()
