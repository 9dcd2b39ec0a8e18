"""What is given for a field is what it looks like, or is refused in our own words."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, get_args
from uuid import UUID

import pytest

from given import cny, deal_of, decides, line, opened, refuses
from salesflow import STANDARD, Deal, Money, Rep
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.people import CollaboratorJoined, CollaboratorLeft, OwnerAssigned
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact
from salesflow.domain.rep import RepJoined, RepLeft, RepMoved, rep_id
from salesflow.errors import InputError, RuleError

PYDANTICS = re.compile(
    r"Input should|valid (dictionary|string|date)|Field required|Extra inputs"
)


def fields_of(*kinds: type) -> list[tuple[type[Fact], str]]:
    """Name the fields of all facts that hold one of these, be it among other things."""
    return [
        (cls, name)
        for cls in CATALOGUE
        for name, field in cls.model_fields.items()
        if set(kinds) & set(kinds_in(field.annotation))
    ]


def kinds_in(annotation: object) -> Iterator[object]:
    yield annotation
    for inner in get_args(annotation):
        yield from kinds_in(inner)


def refused(cls: type[Fact], name: str, given: object) -> str:
    with pytest.raises(InputError) as found:
        cls(**{name: given})  # type: ignore[arg-type]
    said = str(found.value)
    assert not PYDANTICS.search(said)
    return next(each for each in said.split("; ") if f"{name}: " in each)


@pytest.mark.parametrize(("cls", "name"), fields_of(str))
def test_bytes_are_no_text(cls: type[Fact], name: str) -> None:
    assert re.search(r"must be|not of type bytes", refused(cls, name, b"ann"))


@pytest.mark.parametrize("given", [0, 1_767_225_600, 1.5, "1767225601", b"2026-01-01", True])
@pytest.mark.parametrize(("cls", "name"), fields_of(date, datetime))
def test_a_number_is_no_day_and_no_time(cls: type[Fact], name: str, given: object) -> None:
    assert re.search("must be (a date|an aware datetime)", refused(cls, name, given))


@pytest.mark.parametrize("given", [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)])  # noqa: DTZ001
@pytest.mark.parametrize(("cls", "name"), fields_of(date))
def test_a_time_is_no_day(cls: type[Fact], name: str, given: datetime) -> None:
    assert "must be a date" in refused(cls, name, given)


def test_a_day_may_be_given_as_its_text() -> None:
    assert opened(expected_close="2026-03-31").expected_close == date(2026, 3, 31)


@pytest.mark.parametrize("given", [1, "yes", b"x"])
@pytest.mark.parametrize(("cls", "name"), fields_of(bool))
def test_a_flag_is_true_or_false(cls: type[Fact], name: str, given: object) -> None:
    assert "must be true or false" in refused(cls, name, given)


@pytest.mark.parametrize("given", [5, "98000 CNY", (5, "CNY")])
@pytest.mark.parametrize(("cls", "name"), fields_of(Money))
def test_an_amount_is_money_and_says_how_to_write_it(
    cls: type[Fact], name: str, given: object
) -> None:
    assert 'Money("98000", "CNY")' in refused(cls, name, given)


@pytest.mark.parametrize("cls", [cls for cls in CATALOGUE if "because" in cls.model_fields])
def test_a_reason_says_something(cls: type[Fact]) -> None:
    assert "must not be blank" in refused(cls, "because", " \u200b")


@pytest.mark.parametrize(("cls", "fields"), [(RepMoved, {"team": "north"}), (RepLeft, {})])
def test_a_reason_that_was_recorded_blank_can_still_be_read(
    cls: type[Fact], fields: dict[str, Any]
) -> None:
    stored = cls(**fields).to_json()[:-1] + (b"," if fields else b"") + b'"because":" "}'
    assert CATALOGUE.decode(cls.stored_as, stored, where="").because == " "  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("cls", "name"),
    [(RepJoined, "name"), (DealOpened, "title")],
)
def test_a_name_says_something(cls: type[Fact], name: str) -> None:
    assert "must not be blank" in refused(cls, name, " ")


@pytest.mark.parametrize("given", [" ann", "ann ", "\u3000ann\u00a0", "\ufeffann\u200b"])
def test_an_id_has_no_blanks_at_its_ends(given: str) -> None:
    assert OwnerAssigned(owner=given) == OwnerAssigned(owner="ann")
    assert Deal.open(STANDARD, title="ERP", owner=given, id=UUID(int=1)).owner == "ann"
    assert Rep.join(given, team="north", name="Ann").id == rep_id(given) == rep_id("ann")


def test_blanks_within_an_id_are_its_own() -> None:
    assert OwnerAssigned(owner="ann  li").owner == "ann  li"


def test_a_command_names_what_is_wrong_with_an_amount() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.win(amount=5),  # type: ignore[arg-type]
        error=InputError,
        match=r'Deal.win: amount is 5, not Money or None; write Money\("98000", "CNY"\)',
    )


def test_what_was_in_a_field_is_never_repeated() -> None:
    with pytest.raises(InputError) as found:
        DealWon(amount={"secret": "4711"})  # type: ignore[arg-type]
    assert "4711" not in str(found.value)
    assert DealWon(amount=cny("5")).amount == Money(5, "CNY")


def test_a_command_compares_ids_as_they_are_recorded() -> None:
    refuses(
        given=[opened(owner="ann")],
        when=lambda deal: deal.assign_owner(" ann"),
        error=RuleError,
        match="is owned by ' ann' already",
    )
    refuses(
        given=[opened(owner="ann")],
        when=lambda deal: deal.add_collaborator("ann "),
        error=RuleError,
        match="owns deal",
    )
    decides(
        given=[opened(owner="ann"), CollaboratorJoined(person="bob")],
        when=lambda deal: deal.remove_collaborator(" bob"),
        then=[CollaboratorLeft(person="bob")],
    )


def test_the_key_a_command_gives_is_the_one_it_recorded() -> None:
    deal = deal_of(opened())
    lines = [line()]
    assert deal.draft_quote(lines, quote=" Q7 ") == "Q7"
    assert deal.issue_quote("Q7") == "Q7"
    assert deal.raise_objection("too dear", objection="O9 ") == "O9"
    assert deal.request_help("who knows?", by="ann", request=" H5") == "H5"
