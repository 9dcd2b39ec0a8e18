"""Every fold and every question there is. Naming one here is all it takes.

The command line makes a command of each question; the runner keeps a table for each fold.
"""

from collections.abc import Sequence
from typing import Final

from salesflow.errors import InputError
from salesflow.projections.case_study import CaseStudy
from salesflow.projections.conversion import Conversion
from salesflow.projections.deal_timeline import DealTimeline
from salesflow.projections.deals import Deals
from salesflow.projections.feedback import Feedback
from salesflow.projections.flow import Flow
from salesflow.projections.folds.booking import BOOKINGS
from salesflow.projections.folds.closing import CLOSINGS
from salesflow.projections.folds.contact import CONTACTS
from salesflow.projections.folds.customer import CUSTOMERS
from salesflow.projections.folds.deal_state import DEAL_STATES
from salesflow.projections.folds.factor import FACTORS
from salesflow.projections.folds.feedback import FEEDBACKS
from salesflow.projections.folds.membership import MEMBERSHIPS
from salesflow.projections.folds.pipeline import PIPELINE_LEDGER
from salesflow.projections.folds.stage_visit import STAGE_VISITS
from salesflow.projections.forecast import Forecast
from salesflow.projections.funnel import Funnel
from salesflow.projections.funnel_trend import FunnelTrend
from salesflow.projections.kpis import Kpis
from salesflow.projections.questions import Question, View
from salesflow.projections.restatement import Restatement
from salesflow.projections.retrospective import Retrospective
from salesflow.projections.stage_times import StageTimes
from salesflow.projections.tables import ReadFold
from salesflow.projections.win_loss import WinLoss

__all__ = ["FOLDS", "QUESTIONS", "with_folds"]

FOLDS: Final[dict[str, ReadFold]] = {
    fold.table.label: fold
    for fold in (
        BOOKINGS,
        CLOSINGS,
        CONTACTS,
        CUSTOMERS,
        DEAL_STATES,
        FACTORS,
        FEEDBACKS,
        MEMBERSHIPS,
        PIPELINE_LEDGER,
        STAGE_VISITS,
    )
}
"""Folds by the label of their table."""

QUESTIONS: Final[dict[str, type[Question[View]]]] = {
    question.name: question
    for question in (
        Funnel,
        CaseStudy,
        Conversion,
        Deals,
        DealTimeline,
        Feedback,
        Flow,
        Forecast,
        FunnelTrend,
        Kpis,
        Restatement,
        Retrospective,
        StageTimes,
        WinLoss,
    )
}
"""Questions by their name in kebab case."""


def with_folds(more: Sequence[ReadFold]) -> dict[str, ReadFold]:
    """Give the folds of the package and others beside them, by the label of their table.

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
