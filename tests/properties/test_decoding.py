"""A fact built of its bytes without validating is the same as the one that validation gives."""

import json
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import AfterValidator, BaseModel, field_validator

from properties.effort import TALLY
from properties.test_every_fact import some
from salesflow.domain import unchecked
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.event import Fact
from salesflow.domain.unchecked import decoder_of

STORED = Path(__file__).parents[1] / "domain" / "stored_format.json"


def inside(value: object) -> object:
    """Return all that there is of a value: classes, fields, which of them were named."""
    if isinstance(value, BaseModel):
        named = value.__pydantic_fields_set__
        fields = {name: inside(each) for name, each in vars(value).items()}
        kept = (value.__pydantic_extra__, value.__pydantic_private__)
        return type(value), named, list(fields), fields, kept
    if isinstance(value, tuple):
        return tuple, [inside(each) for each in value]
    zone = getattr(value, "tzinfo", None)
    return type(value), value, repr(value), type(zone)


def check(topic: str, payload: bytes) -> None:
    validated, decoded = (
        CATALOGUE.read(topic, payload),
        CATALOGUE.read_as_written(topic, payload),
    )
    assert decoded == validated
    assert inside(decoded) == inside(validated)
    assert hash(decoded) == hash(validated)
    assert decoded.to_json() == payload


@pytest.mark.parametrize("kind", [*CATALOGUE], ids=lambda kind: kind.kind)
def test_every_fact_is_built_as_it_would_be_validated(kind: type[Fact]) -> None:
    assert decoder_of(kind) is not None
    for fact in some(kind, 12):
        check(*CATALOGUE.encode(fact))
        TALLY["facts built without validating"] += 1


def test_what_every_version_stored_is_built_as_it_would_be_validated() -> None:
    stored = json.loads(STORED.read_text())
    assert stored
    for topic, payload in stored.items():
        for each in payload if isinstance(payload, list) else [payload]:
            text = each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)
            validated = CATALOGUE.read(topic, text.encode())
            assert inside(CATALOGUE.read_as_written(topic, text.encode())) == inside(validated)


def test_a_builder_that_forgets_what_was_named_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = unchecked._set_names
    monkeypatch.setattr(unchecked, "_set_names", lambda value, _: right(value, set()))
    with pytest.raises(AssertionError):
        check(*CATALOGUE.encode(CustomerRegistered(name="Acme")))


class Shouted(Fact):
    """A fact that makes something else of what it is given."""

    kind: ClassVar[str] = "acme.shouted"
    name_zh: ClassVar[str] = "喊"
    text: str

    @field_validator("text")
    @classmethod
    def _loud(cls, text: str) -> str:
        return text.upper()


class Doubled(Fact):
    """A fact of another package, which nobody knows how to build unvalidated."""

    kind: ClassVar[str] = "acme.doubled"
    name_zh: ClassVar[str] = "加倍"
    text: Annotated[str, AfterValidator(lambda text: text + text)]


def test_facts_of_other_people_are_validated() -> None:
    assert decoder_of(Shouted) is None
    catalogue = CATALOGUE.with_own([Doubled])
    assert catalogue.read_all([("acme.doubled:1", b'{"text":"a"}')]) == [Doubled(text="a")]


@pytest.mark.parametrize(
    ("topic", "payload", "wrong"),
    [
        ("deal.contact_logged:1", b'{"channel":7}', "channel"),
        ("deal.contact_logged:1", b'{"channel":"call","direction":"out","mood":"bad"}', "mood"),
        ("deal.owner_assigned:1", b"{}", "owner"),
        ("customer.registered:1", b'{"name":"A","name":"B"}', "name"),
    ],
)
def test_bytes_that_nobody_wrote_are_validated(topic: str, payload: bytes, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        CATALOGUE.read_all([(topic, payload)])
