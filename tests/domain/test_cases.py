"""Cases: published from a deal that is decided, with factors, lessons and for whom it is."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import pytest

from given import DEAL, NOW, SHANGHAI, START, Given, deal_of, events_of, on, opened, read
from salesflow import testing
from salesflow.domain.case import (
    Case,
    CaseAddressed,
    CaseLinked,
    CasePublished,
    CaseState,
    CaseWithdrawn,
    FactorNoted,
    LessonNoted,
    case_id,
)
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.event import Fact, believed_history
from salesflow.errors import DealClosedError, InputError, RuleError

ACME = case_id("acme")
PUBLISHED = CasePublished(case="acme", deal=DEAL, title="Nine days", audience=("east",))


def acme(*given: Given, now: datetime = NOW) -> Case:
    return read(Case, [PUBLISHED, *given], id=ACME, now=now)


def decides(
    *, given: Sequence[Given], when: Callable[[Case], object], then: Sequence[Fact]
) -> Case:
    return testing.decides(
        given=given, when=when, then=then, kind=Case, id=ACME, timezone=SHANGHAI
    )


refuses = partial(testing.refuses, kind=Case, id=ACME, timezone=SHANGHAI, error=RuleError)


def judged(*given: Given) -> list[str | None]:
    case = CaseState()
    return [case.evolve(each) for each in believed_history(events_of(given, ACME))]


def test_a_lost_deal_is_published_as_a_case() -> None:
    lost = deal_of(opened(), DealLost(because="price"))
    case = Case.publish("acme", deal=lost, title="Nine days", audience=("east",))
    assert [each.fact for each in case.pending] == [PUBLISHED]
    assert (case.id, case.key, case.deal, case.audience) == (ACME, "acme", DEAL, ("east",))
    by_id = Case.publish("acme", deal=DEAL, title="Nine days", audience=("east",))
    assert [each.fact for each in by_id.pending] == [PUBLISHED]


def test_a_deal_that_is_open_is_no_case_yet() -> None:
    with pytest.raises(DealClosedError, match="is open at that time; a case is of a deal that"):
        Case.publish("acme", deal=deal_of(opened()))


def test_a_case_shows_no_time_after_its_publication() -> None:
    first, second = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC)
    with pytest.raises(InputError, match="as_of lies after the case was published"):
        Case.publish("acme", deal=DEAL, as_of=second, occurred_at=first)


def test_people_note_what_decided_it_and_what_is_to_be_learned() -> None:
    def note(case: Case) -> None:
        case.note_factor("response_time", tendency="hindered", text="nine days")
        case.note_lesson("Answer within a day")
        case.link("negotiation")
        case.address(("east", "new"))

    case = decides(
        given=[PUBLISHED],
        when=note,
        then=[
            FactorNoted(factor="response_time", tendency="hindered", text="nine days"),
            LessonNoted(text="Answer within a day"),
            CaseLinked(training="negotiation"),
            CaseAddressed(audience=("east", "new")),
        ],
    )
    assert [each.factor for each in case.factors] == ["response_time"]
    assert (case.trainings, case.audience) == (("negotiation",), ("east", "new"))


def test_a_training_uses_a_case_once() -> None:
    linked = CaseLinked(training="negotiation")
    refuses(
        given=[PUBLISHED, linked],
        when=lambda case: case.link("negotiation"),
        match="training 'negotiation' uses case 'acme' already",
    )


def test_a_withdrawn_case_is_changed_no_more() -> None:
    decides(
        given=[PUBLISHED],
        when=lambda case: case.withdraw(because="outdated"),
        then=[CaseWithdrawn(because="outdated")],
    )
    for command in (
        lambda case: case.note_lesson("more"),
        lambda case: case.note_factor("price"),
        lambda case: case.address(()),
        lambda case: case.link("t"),
        lambda case: case.withdraw(because="again"),
    ):
        refuses(given=[PUBLISHED, CaseWithdrawn()], when=command, match="'acme' is withdrawn")
    refuses(
        given=[PUBLISHED],
        when=lambda case: case.withdraw(because=" "),
        match="needs a reason",
        error=InputError,
    )


def test_what_lost_its_ground_by_later_knowledge_is_irregular() -> None:
    linked = CaseLinked(training="t")
    assert judged(PUBLISHED, linked, linked)[-1] == "training t uses it already"
    assert judged(PUBLISHED, PUBLISHED)[-1] == "the case was published before"
    withdrawn = CaseWithdrawn()
    assert judged(PUBLISHED, withdrawn, withdrawn)[-1] == "the case was withdrawn before"
    other = PUBLISHED.model_copy(update={"case": "other"})
    assert judged(other) == ["it names another case, 'other'"]
    early = on(LessonNoted(text="x"), START.replace(year=2020))
    assert judged(PUBLISHED, early)[-1] == "before the case was published"
