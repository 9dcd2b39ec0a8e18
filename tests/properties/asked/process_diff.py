"""What differs between versions of a process, and what a naive comparison says of it."""

from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.known import is_unknown
from oracle.process_diff import process_at
from properties.asked.case import Case
from salesflow.projections.improvement.process_diff import ProcessDiff, ProcessDiffView

__all__ = ["CASE"]

ASKED = (
    ProcessDiff(),
    ProcessDiff(process="standard"),
    ProcessDiff(process="standard", from_version=2, to_version=1),
    ProcessDiff(process="standard", from_version=1, to_version=1),
    ProcessDiff(process="standard", to_version=7),
    ProcessDiff(process="crm"),
)


def said(view: ProcessDiffView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    return {
        "process": view.process,
        "both": (view.from_version, view.to_version),
        "changes": {
            (each.kind, each.stage, each.item)
            for each in view.changes
            if each.kind != "stage_moved"
        },
        "migrated": (view.migrated, view.migrated_back),
        "versions": {
            each.version: (
                each.published,
                *(each.open_deals, each.closed_deals, each.migrated_in, each.migrated_out),
            )
            for each in view.versions
        },
        "stages": {each.stage: (each.deals_from, each.deals_to) for each in view.stages},
    }


def wanted(
    raw: list[Raw], question: ProcessDiff, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle."""
    if is_unknown(raw, {"process": question.process}, as_of, known_at):
        return None
    versions = (question.from_version, question.to_version)
    return process_at(raw, question.process, versions, as_of, known_at)


CASE = Case(st.sampled_from(ASKED), said, wanted)
