"""The case study of a deal, and what a naive replay says of it."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.case_studies import case_study_at
from properties.asked.case import Case
from properties.world import deal_id, instant
from salesflow.projections.cases.case_figures import CaseSummary, Chapter
from salesflow.projections.cases.case_study import CaseStudy, CaseStudyView

__all__ = ["CASE"]


def said(view: CaseStudyView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    owners = [(each.owner, instant(each.start)) for each in view.owners]
    starts = [*(start for _, start in owners[1:]), None]
    assert [_at(each.end) for each in view.owners] == starts
    members = {each.person: each.credit for each in view.collaborators if each.credit}
    credits = {each.person: each.credit for each in view.credits}
    assert members.keys() <= credits.keys()
    return {
        "summary": _summary(view.summary),
        "credits": credits,
        "chapters": [_chapter(each) for each in view.chapters],
        "quotes": {
            each.quote: (
                each.state,
                _at(each.issued_at),
                None if each.total is None else (each.total, each.currency),
                each.discount,
                each.revisions,
            )
            for each in view.quotes
        },
        "objections": {
            each.objection: (instant(each.raised_at), _at(each.resolved_at), each.days)
            for each in view.objections
        },
        "competitors": {each.competitor: instant(each.named_at) for each in view.competitors},
        "owners": owners,
        "help": {
            each.request: (instant(each.asked_at), _at(each.given_at), each.days)
            for each in view.help
        },
        "turns": sorted(
            (each.position, each.turn, each.figure) for each in view.turning_points
        ),
        "similar": [
            (str(each.deal), each.score, each.stages_shared, each.stages_all)
            for each in view.similar
        ],
        "differences": {
            each.figure: (each.value, each.count, each.mean, each.median, each.difference)
            for each in view.differences
        },
    }


def _summary(deal: CaseSummary) -> tuple[Any, ...]:
    return (
        deal.process,
        deal.outcome,
        instant(deal.opened_at),
        instant(deal.closed_at),
        deal.days,
        None if deal.amount is None else (deal.amount, deal.currency),
        deal.owner,
        None if deal.customer_id is None else str(deal.customer_id),
        deal.lead_source,
        deal.because,
        deal.competitor,
    )


def _chapter(each: Chapter) -> tuple[Any, ...]:
    return (
        each.position,
        each.process,
        each.stage,
        each.outcome,
        each.entered,
        instant(each.entered_at),
        _at(each.left_at),
        each.days,
        each.days_max,
        each.overdue,
        {(contact.channel, contact.direction): contact.count for contact in each.contacts},
        [(fact.position, fact.kind, fact.irregular is not None) for fact in each.facts],
    )


def _at(time: datetime | None) -> int | None:
    return None if time is None else instant(time)


def wanted(
    raw: list[Raw], question: CaseStudy, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle."""
    deal, similar = str(question.deal), question.similar
    found: dict[str, Any] | None = _written(case_study_at(raw, deal, as_of, known_at, similar))
    return found


def _written(exact: Any) -> Any:  # noqa: ANN401 - whatever the oracle says
    """Write fractions, however deep, as a view has them."""
    match exact:
        case Fraction():
            return Decimal(exact.numerator) / exact.denominator
        case dict():
            return {key: _written(each) for key, each in exact.items()}
        case list():
            return [_written(each) for each in exact]
        case tuple():
            return tuple(_written(each) for each in exact)
        case _:
            return exact


CASE = Case(
    st.builds(
        lambda number, similar: CaseStudy(deal=deal_id(number), similar=similar),
        st.integers(0, 2),
        st.sampled_from((0, 1, 5)),
    ),
    said,
    wanted,
)
