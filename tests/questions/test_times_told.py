"""Every time that an answer shows is one of the business time zone, however deep it stands."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from salesflow import Deals, SalesFlow
from salesflow.adapters.event_store.search import LogSearch, search
from salesflow.projections.core.question import Question, View
from salesflow.projections.registry import QUESTIONS
from simulated import demo

ELSEWHERE = "America/New_York"
TIME = re.compile(r"\d\d:\d\d(?!:59\.9)")
NAMED = {
    "case": ("case.published", "case"),
    "contest": ("contest.opened", "contest"),
    "improvement": ("improvement.proposed", "improvement"),
    "rep": ("rep.joined", "rep"),
    "review": ("review.opened", "review"),
    "training": ("training.offered", "training"),
}
"""What an answer may be about, and the fact that says what there is."""
OPEN = {"commission-estimate"}
TOLD_ALONE = {"case-library": "case", "retrospective": "review"}
"""Questions that tell more of one thing, and by which parameter."""


@pytest.fixture(scope="module")
def flow() -> Iterator[SalesFlow]:
    with SalesFlow(demo().url) as flow:
        yield flow


def named(name: str, flow: SalesFlow) -> str:
    kind, field = NAMED[name]
    [first] = search(flow.log, LogSearch(kind=kind, limit=1))
    assert first.event is not None
    return str(getattr(first.event.fact, field))


def asked(question: type[Question[View]], flow: SalesFlow) -> Question[View]:
    names = [n for n, field in question.model_fields.items() if field.is_required()]
    names += [TOLD_ALONE[question.name]] if question.name in TOLD_ALONE else []
    given: dict[str, Any] = {n: named(n, flow) for n in names if n in NAMED}
    if "deal" in names:
        status: Any = "open" if question.name in OPEN else "won"
        given["deal"] = flow.ask(Deals(outcome=status, limit=1)).deals[0].deal
    return question.model_validate(given)


def views_within(value: object) -> Iterator[View]:
    if isinstance(value, View):
        yield value
    if isinstance(value, BaseModel):
        for _, each in value:
            yield from views_within(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from views_within(each)


def elsewhere(view: View) -> View:
    """The same answer for a house in another time zone."""
    within = {name: elsewhere(it) for name, it in view if isinstance(it, View)}
    return view.model_copy(update={**within, "timezone": ELSEWHERE})


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_all_times_follow_the_business_time_zone(
    question: type[Question[View]], flow: SalesFlow
) -> None:
    view = flow.ask(asked(question, flow))
    assert {each.timezone for each in views_within(view)} == {"Asia/Shanghai"}
    for here, there in zip(view.tables(), elsewhere(view).tables(), strict=True):
        said, again = ({str(it) for row in each.rows for it in row} for each in (here, there))
        fixed = [cell for cell in said & again if TIME.search(cell)]
        assert fixed == [], f"{here.title}: these times follow no time zone"
        assert [note for note in here.notes if "UTC" in note] == []


def test_an_answer_within_an_answer_tells_its_times_as_alone(flow: SalesFlow) -> None:
    one = QUESTIONS["case-library"].model_validate({"case": named("case", flow)})
    library = flow.ask(one)
    [within, *_] = [each for each in views_within(library) if each is not library]
    deal: Any = within
    case = QUESTIONS["case-study"].model_validate({"deal": deal.summary.deal})
    assert within.tables() == flow.ask(case, at=library.moment).tables()
