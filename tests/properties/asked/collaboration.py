"""Who works with whom, and what a naive replay says of it."""

from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.collaboration import collaboration_in
from oracle.periods import period_before, period_of
from properties.asked.case import Case
from properties.asked.periods import periods
from properties.world import instant
from salesflow.presentation.format import Estimate
from salesflow.projections.collaboration.collaboration import Collaboration, CollaborationView
from salesflow.projections.collaboration.collaboration_figures import CollaborationFigures
from salesflow.projections.core.statistics import Spread

__all__ = ["CASE", "asked"]

ONLY: tuple[dict[str, str], ...] = (
    *({},) * 5,
    {"owner": "ann"},
    {"process": "standard"},
    {"team": "east"},
    {"team": "west"},
)


def asked() -> st.SearchStrategy[Collaboration]:
    """Draw a question."""
    return st.builds(
        lambda period, only, within, limit: Collaboration.model_validate(
            {"from_": period[0], "to": period[1], **only, **within, "limit": limit}
        ),
        periods(),
        st.sampled_from(ONLY),
        st.sampled_from(({}, {"contacted_within": 1}, {"contacted_within": 400})),
        st.sampled_from((1, 3, 20)),
    )


def said(view: CollaborationView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    shares = {each.figure: each for each in view.coverage}
    return {
        "total": _total(view.total),
        "total_before": _total(view.total_before),
        "pairs": [
            (
                p.person, p.colleague, p.deals, p.messages, p.meetings, p.help_given, p.joined
            )
            for p in view.pairs
        ],
        "departments": [
            (
                d.department, d.deals, d.people, d.joined, d.messages, d.meetings, d.help_given,
                d.help_requests, d.answered, _spread(d.response),
            )
            for d in view.departments
            if d.open_requests == d.help_requests - d.answered
        ],
        "people": [
            (
                p.person, p.department, p.deals, p.messages, p.meetings, p.help_asked,
                p.help_given, p.first_answers, _spread(p.response), p.credited,
            )
            for p in view.people
        ],
        "channels": [(c.channel, c.messages, c.deals) for c in view.channels],
        "handovers": [
            (
                h.position, str(h.deal), instant(h.occurred_at), h.former, h.owner,
                h.handed_over_at and instant(h.handed_over_at), h.open_tasks, h.promises,
                h.contact_people, h.acknowledged_at and instant(h.acknowledged_at),
            )
            for h in view.handovers
        ],
        "waiting": [
            (
                r.position, str(r.deal), instant(r.occurred_at), r.asked_by, r.department,
                r.days_waiting,
            )
            for r in view.open_requests
        ],
        "closed": {
            "deals": (view.won, view.lost),
            "shares": {
                name: [(each.won, each.won_of), (each.lost, each.lost_of)]
                for name, each in shares.items()
            },
            "means": {m.figure: [_mean(m.won), _mean(m.lost)] for m in view.coverage_means},
        },
        "open": {
            "rows": [
                (
                    str(d.deal), d.owner, d.expected_close and d.expected_close.isoformat(),
                    d.members, d.contacted, d.supporters, d.opponents, d.roles_unfilled,
                )
                for d in view.open_deals
            ],
            "few": (view.open_uncontacted, view.open_single_contact),
        },
        "in all": (
            view.pairs_total, view.people_total, view.open_requests_total, view.open_deals_total
        ),
    }  # fmt: skip


def wanted(
    raw: list[Raw], question: Collaboration, as_of: int, known_at: int
) -> dict[str, Any]:
    """Ask the oracle about the period and the one before."""
    days = (question.from_, question.to)
    found = collaboration_in(
        raw,
        (period_of(*days, as_of), period_before(*days, as_of)),
        as_of,
        known_at,
        only={name: getattr(question, name) for name in ("process", "owner", "team")},
        days=question.contacted_within,
    )
    lists = ("pairs", "people", "waiting")
    in_all = (*(len(found[name]) for name in lists), len(found["open"]["rows"]))
    for name in (*lists, "handovers"):
        found[name] = found[name][: question.limit]
    found["open"]["rows"] = found["open"]["rows"][: question.limit]
    return {**found, "in all": in_all}


def _total(figures: CollaborationFigures) -> dict[str, Any]:
    assert figures.open_requests == figures.help_requests - figures.answered
    return {
        "deals": figures.deals,
        "joined": figures.collaborators_joined,
        "message": figures.messages,
        "meeting": figures.meetings,
        "requests": (figures.help_requests, figures.answered, _spread(figures.response)),
        "handovers": (figures.handovers, figures.handed_over, figures.acknowledged),
    }


def _spread(spread: Spread) -> tuple[Any, ...] | None:
    if spread.days_median is None:
        return None
    return spread.days_median, spread.days_mean, spread.days_p90


def _mean(estimate: Estimate | None) -> tuple[Any, ...] | None:
    return None if estimate is None else (estimate.value, estimate.count)


CASE = Case(asked(), said, wanted)
