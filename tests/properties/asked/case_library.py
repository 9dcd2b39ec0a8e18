"""The case library, and what a naive replay says stands in it."""

from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.case_library import cases_at, deal_known
from oracle.known import is_unknown
from properties.asked.case import Case
from properties.world import instant
from salesflow.projections.cases.case_library import CaseLibrary, CaseLibraryView
from salesflow.projections.cases.library_cases import CaseAtMoment, LibraryCase

__all__ = ["ASKED", "CASE"]

ASKED = (
    CaseLibrary(),
    CaseLibrary(withdrawn=True),
    CaseLibrary(case="c0"),
    CaseLibrary(case="c1"),
    CaseLibrary(outcome="won"),
    CaseLibrary(outcome="lost", limit=1),
    CaseLibrary(process="standard", stage="negotiation"),
    CaseLibrary(reason="price"),
    CaseLibrary(reason="timing", withdrawn=True),
    CaseLibrary(product="p0"),
    CaseLibrary(competitor="rival 1"),
    CaseLibrary(segment="mid"),
    CaseLibrary(audience="east"),
    CaseLibrary(training="t0"),
    CaseLibrary(words="ＰＲＩＣＥ"),
    CaseLibrary(words="潜在客户"),
    CaseLibrary(words="价格 deal", outcome="lost"),
    CaseLibrary(words="slow"),
)


def said(view: CaseLibraryView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    found: dict[str, Any] = {
        "cases": [said_of_hit(each) for each in view.cases],
        "total": view.cases_total,
        "moments": [said_of_moment(each) for each in view.then_and_now],
        "changes": [(each.position, each.change) for each in view.changes],
    }
    for study in (view.study, view.study_published):
        assert study is None or study.summary.deal == view.cases[0].deal
    return found


def said_of_hit(hit: LibraryCase) -> tuple[Any, ...]:
    return (
        *(hit.case, str(hit.deal), hit.title, hit.state, instant(hit.published_at)),
        *(hit.outcome, hit.outcome_published, hit.because, hit.because_published),
        *(hit.stage, hit.segment, list(hit.products), list(hit.audience)),
        list(hit.trainings),
        (list(hit.buyer_reasons), list(hit.buyer_competitors)),
        [(each.factor, each.tendency, each.text) for each in hit.factors],
        [each.text for each in hit.lessons],
        {each.position for each in hit.found},
        hit.events,
    )


def said_of_moment(each: CaseAtMoment) -> tuple[Any, ...]:
    closed = None if each.closed_at is None else instant(each.closed_at)
    return (
        *(each.known, instant(each.as_of), instant(each.known_at), each.outcome, closed),
        *(each.stage, each.owner, each.because, each.competitor),
        *(each.events, each.contacts, each.objections, each.competitors),
    )


def wanted(
    raw: list[Raw], question: CaseLibrary, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle."""
    known_at = min(known_at, raw[-1]["recorded"])
    named = {"process": question.process, "stage": question.stage}
    if is_unknown(raw, named, as_of, known_at):
        return None
    found = cases_at(raw, dict(question), as_of, known_at)
    if found is None:
        return None
    listed = found[: question.limit]
    case = listed[0] if question.case is not None and listed else None
    return {
        "cases": [_hit(each) for each in listed],
        "total": len(found),
        "moments": [] if case is None else _moments(raw, case, as_of, known_at),
        "changes": [] if case is None else case["changes"],
    }


def _hit(case: dict[str, Any]) -> tuple[Any, ...]:
    nothing = dict.fromkeys(("outcome", "because", "stage", "segment"))
    now = case["now"] or {**nothing, "products": [], "events": 0, "buyer": []}
    reasons = {reason for said in now["buyer"] for reason in said.get("reasons", [])}
    rivals = {said["competitor"] for said in now["buyer"] if said.get("competitor")}
    then = case["then"] or nothing
    return (
        *(case["case"], case["deal"], case["title"]),
        "published" if case["withdrawn"] is None else "withdrawn",
        case["published"],
        *(now["outcome"], then["outcome"], now["because"], then["because"]),
        *(now["stage"], now["segment"], now["products"], case["audience"]),
        case["trainings"],
        (sorted(reasons), sorted(rivals)),
        *(case["factors"], case["lessons"], case["found"], now["events"]),
    )


def _moments(
    raw: list[Raw], case: dict[str, Any], as_of: int, known_at: int
) -> list[tuple[Any, ...]]:
    now = case["now"]
    moments = [
        ("as_published", case["moment"], case["then"]),
        ("now", (as_of, known_at), now),
    ]
    if now is not None and now["closed"] is not None:
        known = min(now["closed"], known_at)
        closing = deal_known(raw, case["deal"], now["closed"], known)
        moments.insert(0, ("at_closing", (now["closed"], known), closing))
    return [_moment(*each) for each in moments]


def _moment(
    known: str, moment: tuple[int, int], deal: dict[str, Any] | None
) -> tuple[Any, ...]:
    nothing = dict.fromkeys(("outcome", "closed", "stage", "owner", "because", "competitor"))
    it = deal or {**nothing, "events": 0, "contacts": 0, "objections": 0, "named": ()}
    return (
        *(known, *moment, it["outcome"], it["closed"]),
        *(it["stage"], it["owner"], it["because"], it["competitor"]),
        *(it["events"], it["contacts"], it["objections"], len(it["named"])),
    )


CASE = Case(st.sampled_from(ASKED), said, wanted)
