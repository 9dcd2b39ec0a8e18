"""Customers and the people there: registered, known better, merged, asked to be forgotten."""

from datetime import date, datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from salesflow.demo.agenda import START, Life, office_time
from salesflow.demo.office import Office
from salesflow.demo.world import CUSTOMERS, Company
from salesflow.domain.customer import Customer

__all__ = ["customer_lives", "register"]


KNOWN_BEFORE: Final = 24
"""How many customers are in the books from the first day."""
SERVED_BEFORE: Final = 9
"""How many of them were customers years before the log begins."""
DUPLICATES: Final = ((3, True), (17, False), (41, True))
"""Customers somebody registers twice, and whether the merge stands."""
ERASED: Final = (5, 28)
"""Customers one of whose people asks to be forgotten."""


def customer_lives(office: Office) -> list[tuple[datetime, Life]]:
    """Give what will happen to customers, and from when."""
    chance = office.chance("customers")
    return [
        (START, _take_over_the_books(office)),
        *(
            (START + timedelta(days=chance.randint(120, 800)), _duplicate(office, n, stands))
            for n, stands in DUPLICATES
        ),
        *(
            (START + timedelta(days=chance.randint(300, 850)), _erase(office, n))
            for n in ERASED
        ),
        *(
            (START + timedelta(days=chance.randint(60, 880)), _update(office, n))
            for n in range(0, len(CUSTOMERS), 4)
        ),
    ]


def register(office: Office, company: Company, actor: str, since: date | None = None) -> UUID:
    """Take a customer into the books, once, with the person we know there."""
    known = office.customers.get(company.name)
    if known is not None:
        return known
    id = office.id("customer", company.name)
    with office.session(actor) as session:
        customer = session.add(
            Customer.register(
                name=company.name,
                customer_since=since,
                segment=company.segment,
                region=company.region,
                id=id,
            )
        )
        customer.add_person(
            name=company.contact,
            position=company.job,
            person_id=office.id("person", company.name),
        )
    office.customers[company.name] = id
    return id


def _take_over_the_books(office: Office) -> Life:
    chance = office.chance("books")
    for number, company in enumerate(CUSTOMERS[:KNOWN_BEFORE]):
        served = number < SERVED_BEFORE
        since = date(chance.randint(2015, 2022), chance.randint(1, 12), 1) if served else None
        register(office, company, "ops-01", since)
    yield from ()


def _duplicate(office: Office, number: int, stands: bool) -> Life:
    """Register a customer a second time, merge the two, and perhaps take that back."""
    company, chance = CUSTOMERS[number], office.chance("duplicate", number)
    first = register(office, company, "ops-01")
    second = office.id("duplicate", company.name)
    with office.session("ops-01") as session:
        session.add(Customer.register(name=f"{company.name}（分公司）", id=second))
    yield _in_days(office, chance, 9)
    with office.session("ops-01") as session:
        twin, survivor = session.get(Customer, second), session.get(Customer, first)
        twin.merge_into(survivor, because="同一法人 / the same legal person")
    if not stands:
        yield _in_days(office, chance, 30)
        with office.session("ops-01") as session:
            session.get(Customer, second).unmerge(because="独立核算 / separate books")


def _erase(office: Office, number: int) -> Life:
    """Note a second person, and later that she asked to be forgotten."""
    company, chance = CUSTOMERS[number], office.chance("erase", number)
    id = register(office, company, "ops-01")
    person = office.id("second person", company.name)
    with office.session("ops-01") as session:
        session.get(Customer, id).add_person(
            name="李晓", position="助理", email="li@example.com", person_id=person
        )
    yield _in_days(office, chance, 60)
    with office.session("ops-01") as session:
        session.get(Customer, id).erase_person(person, because="request of the person")


def _update(office: Office, number: int) -> Life:
    company = CUSTOMERS[number]
    id = register(office, company, "ops-01")
    with office.session("ops-01") as session:
        session.get(Customer, id).update_person(
            office.id("person", company.name), phone="+86 21 5555 0100", position="总经理"
        )
    yield from ()


def _in_days(office: Office, chance: Random, days: int) -> datetime:
    return office_time(
        chance, office.clock.now + timedelta(days=days * chance.uniform(0.5, 1.5))
    )
