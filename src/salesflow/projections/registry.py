"""Every fold and every question there is, by name.

Naming a fold here is all it takes, and the runner keeps a table for it. A question is named in
`homes`, and imported when it is first asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from salesflow.errors import InputError
from salesflow.projections.folds.alert import ALERTS
from salesflow.projections.folds.booking import BOOKINGS
from salesflow.projections.folds.case import CASES
from salesflow.projections.folds.closing import CLOSINGS
from salesflow.projections.folds.collaboration import COLLABORATIONS
from salesflow.projections.folds.committee import COMMITTEES
from salesflow.projections.folds.contact import CONTACTS
from salesflow.projections.folds.contest import CONTESTS
from salesflow.projections.folds.customer import CUSTOMERS
from salesflow.projections.folds.deal_state import DEAL_STATES
from salesflow.projections.folds.engagement import ENGAGEMENTS
from salesflow.projections.folds.factor import FACTORS
from salesflow.projections.folds.feedback import FEEDBACKS
from salesflow.projections.folds.figure import FIGURE_REPORTS
from salesflow.projections.folds.goal import GOALS
from salesflow.projections.folds.handover import HANDOVERS
from salesflow.projections.folds.help_request import HELP_REQUESTS
from salesflow.projections.folds.improvement import IMPROVEMENTS
from salesflow.projections.folds.incentive_plan import INCENTIVE_PLANS
from salesflow.projections.folds.interview import INTERVIEWS
from salesflow.projections.folds.membership import MEMBERSHIPS
from salesflow.projections.folds.pipeline import PIPELINE_LEDGER
from salesflow.projections.folds.product_booking import PRODUCT_BOOKINGS
from salesflow.projections.folds.receipt import RECEIPTS
from salesflow.projections.folds.rep_level import REP_LEVELS
from salesflow.projections.folds.rep_skill import REP_SKILLS
from salesflow.projections.folds.rep_training import REP_TRAININGS
from salesflow.projections.folds.review import REVIEWS
from salesflow.projections.folds.review_action import REVIEW_ACTIONS
from salesflow.projections.folds.stage_visit import STAGE_VISITS
from salesflow.projections.folds.statement import STATEMENTS
from salesflow.projections.folds.training import TRAININGS
from salesflow.projections.homes import QUESTION_HOMES
from salesflow.projections.table import Fold

if TYPE_CHECKING:
    from salesflow.projections.core.question import Question, View

__all__ = ["FOLDS", "QUESTIONS", "with_folds"]

FOLDS: Final[dict[str, Fold]] = {
    fold.table.label: fold
    for fold in (
        ALERTS,
        BOOKINGS,
        CASES,
        CLOSINGS,
        COLLABORATIONS,
        COMMITTEES,
        CONTACTS,
        CONTESTS,
        CUSTOMERS,
        DEAL_STATES,
        ENGAGEMENTS,
        FACTORS,
        FEEDBACKS,
        FIGURE_REPORTS,
        GOALS,
        HANDOVERS,
        HELP_REQUESTS,
        IMPROVEMENTS,
        INCENTIVE_PLANS,
        INTERVIEWS,
        MEMBERSHIPS,
        PIPELINE_LEDGER,
        PRODUCT_BOOKINGS,
        RECEIPTS,
        REP_LEVELS,
        REP_SKILLS,
        REP_TRAININGS,
        REVIEWS,
        REVIEW_ACTIONS,
        STAGE_VISITS,
        STATEMENTS,
        TRAININGS,
    )
}
"""Folds by the label of their table."""


class _Questions(Mapping[str, "type[Question[View]]"]):
    """The questions by their name; one is imported when it is looked up."""

    def __getitem__(self, name: str) -> "type[Question[View]]":
        module, _, question = QUESTION_HOMES[name].partition(":")
        return cast("type[Question[View]]", getattr(import_module(module), question))

    def __iter__(self) -> Iterator[str]:
        return iter(QUESTION_HOMES)

    def __len__(self) -> int:
        return len(QUESTION_HOMES)


QUESTIONS: Final[Mapping[str, "type[Question[View]]"]] = _Questions()
"""Questions by their name in kebab case."""


def with_folds(more: Sequence[Fold]) -> dict[str, Fold]:
    """Return the folds of the package and others beside them, by the label of their table.

    Raises:
        InputError: when a label is taken.
    """
    folds = dict(FOLDS)
    for fold in more:
        label = fold.table.label
        if label in folds:
            raise InputError(f"there is a read table {label!r} already; call yours otherwise")
        folds[label] = fold
    return folds
