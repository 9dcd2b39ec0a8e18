"""Customers: judged, joined, parted, and their people known and forgotten."""

from uuid import UUID

import pytest

from given import HOUR, OTHER, START, Given, day, event, on, read
from salesflow.domain.customer import (
    ContactPerson,
    ContactPersonAdded,
    ContactPersonUpdated,
    Customer,
    CustomerMarkedLoyal,
    CustomerMerged,
    CustomerQualified,
    CustomerRegistered,
    CustomerUnmerged,
    PersonErased,
)
from salesflow.domain.event import Fact
from salesflow.errors import InputError, NotFoundError, RuleError

ACME = UUID(int=77)
LI = UUID(int=78)
LI_ADDED = ContactPersonAdded(person_id=LI, name="Li", email="li@acme.example")


def acme(*given: Given, **changes: object) -> Customer:
    opening = CustomerRegistered.model_validate({"name": "Acme"} | changes)
    return read(Customer, [opening, *given], id=ACME)


def recorded(customer: Customer) -> list[Fact]:
    return [each.fact for each in customer.pending]


def test_a_customer_comes_into_the_books() -> None:
    customer = Customer.register(
        name="Acme", customer_since=day("1999-01-01"), segment="retail", region="east", id=ACME
    )
    assert recorded(customer) == [
        CustomerRegistered(
            name="Acme", customer_since=day("1999-01-01"), segment="retail", region="east"
        )
    ]
    assert (customer.name, customer.standing, customer.id) == ("Acme", "prospect", ACME)
    assert (customer.segment, customer.region) == ("retail", "east")
    with pytest.raises(InputError, match="a customer needs a name"):
        Customer.register(name=" ")


def test_a_prospect_is_qualified_once() -> None:
    customer = acme()
    customer.qualify(because="came to the fair")
    assert recorded(customer) == [CustomerQualified(because="came to the fair")]
    assert customer.standing == "qualified"
    with pytest.raises(RuleError, match="is qualified already"):
        customer.qualify(because="again")


def test_a_customer_is_marked_loyal_once_and_stays_so() -> None:
    customer = acme()
    customer.mark_loyal(because="third order")
    assert customer.standing == "loyal"
    with pytest.raises(RuleError, match="is loyal already"):
        customer.mark_loyal(because="again")
    assert acme(CustomerMarkedLoyal(), CustomerQualified()).standing == "loyal"


def test_people_at_the_customer_are_noted_and_corrected() -> None:
    customer = acme()
    li = customer.add_person(name="Li", position="CFO")
    customer.update_person(li, phone="123")
    assert customer.people[li] == ContactPerson(li, "Li", "CFO", None, "123")
    customer.add_person(name="Wu", person_id=LI)
    with pytest.raises(RuleError, match="is known at customer"):
        customer.add_person(name="Wu", person_id=LI)
    with pytest.raises(InputError, match="name at least one thing that changed"):
        customer.update_person(li)
    with pytest.raises(NotFoundError, match="has no contact person"):
        customer.update_person(UUID(int=1), name="Nobody")


def test_an_erased_person_is_gone_for_good() -> None:
    customer = acme(LI_ADDED)
    customer.erase_person(LI, because="asked on 1 May")
    assert recorded(customer) == [PersonErased(person_id=LI, because="asked on 1 May")]
    assert (customer.people, customer.erased) == ({}, frozenset({LI}))
    with pytest.raises(RuleError, match="is known at customer"):
        customer.add_person(name="Li", person_id=LI)
    with pytest.raises(NotFoundError, match="has no contact person"):
        customer.erase_person(LI)
    again = acme(LI_ADDED, PersonErased(person_id=LI), LI_ADDED)
    assert again.people == {}


def test_a_customer_who_is_a_person_may_be_erased() -> None:
    customer = acme(natural_person=True)
    customer.erase_person(ACME)
    assert customer.name is None
    with pytest.raises(RuleError, match="is not a natural person"):
        acme().erase_person(ACME)


def test_an_update_of_somebody_unknown_changes_nothing() -> None:
    assert acme(ContactPersonUpdated(person_id=LI, name="Li")).people == {}


def test_two_entries_of_one_customer_are_merged_and_parted() -> None:
    customer, survivor = acme(), read(Customer, [CustomerRegistered(name="ACME")], id=OTHER)
    customer.merge_into(survivor, because="same tax number")
    assert recorded(customer) == [CustomerMerged(into=OTHER, because="same tax number")]
    assert (customer.merged_into, survivor.pending) == (OTHER, [])
    with pytest.raises(RuleError, match=f"is merged into {OTHER}"):
        customer.merge_into(survivor, because="again")
    with pytest.raises(RuleError, match=f"is merged into {OTHER}"):
        survivor.merge_into(customer, because="the other way")
    customer.unmerge(because="another branch")
    assert customer.merged_into is None
    with pytest.raises(RuleError, match="is not merged"):
        customer.unmerge(because="again")
    with pytest.raises(RuleError, match="cannot be merged into itself"):
        customer.merge_into(customer, because="?")


def test_a_merge_may_be_retracted() -> None:
    customer = acme(CustomerMerged(into=OTHER))
    customer.retract(event(2), because="typo")
    assert customer.merged_into is None
    assert acme(CustomerMerged(into=OTHER), CustomerUnmerged()).merged_into is None


def test_what_lies_before_the_registration_or_registers_again_counts_for_nothing() -> None:
    customer = acme(
        on(CustomerQualified(), START - HOUR), CustomerRegistered(name="Other", region="west")
    )
    assert (customer.standing, customer.name, customer.region) == ("prospect", "Acme", None)
