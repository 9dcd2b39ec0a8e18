"""`salesflow improvement`: what completes and judges what is typed of improvements.

A percentage is an effect on a share and on nothing else. What is allowed and may be a slip is
said once it is recorded: a version of the process that nobody has published, an effect in the
direction that is worse.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from salesflow.cli.recording.commands import Prepared
from salesflow.cli.recording.values import Percentage
from salesflow.domain.improvement import Improvement, ImprovementProposed, improvement_id
from salesflow.domain.metric import metric_of
from salesflow.domain.process import SalesProcess, process_id
from salesflow.errors import HistoryError, InputError, NotFoundError
from salesflow.presentation.messages import Language, say

__all__ = ["IMPROVED"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

Values = dict[str, Any]
ABOUT: Final = {
    "process_version": frozenset({"process", "process_version"}),
    "effect": frozenset({"metric", "expected_effect"}),
}
"""What each note is about: it is said where any of it was typed."""


def _judged(flow: "SalesFlow", values: Values) -> Values:
    """Refuse a percentage of what is no share."""
    effect = values.get("expected_effect")
    if isinstance(effect, Percentage):
        metric = metric_of(
            values["metric"] if "metric" in values else _said(flow, values).metric
        )
        if metric.unit != "share":
            raise InputError(
                f"--expected-effect {effect.typed}: a percentage is a share, and {metric.key}"
                f" is counted in {UNITS.get(metric.unit or '', metric.unit)}; write by how"
                " much of that it should move"
            )
    return values


UNITS: Final = {"money": "an amount", "count": "whole numbers", "number": "plain numbers"}


def _said(flow: "SalesFlow", values: Mapping[str, object]) -> ImprovementProposed:
    """Return what is proposed by now."""
    id = values.get("id")
    key = str(values.get("improvement") or values.get("key"))
    found = flow.get(Improvement, id or improvement_id(key)).proposed  # type: ignore[arg-type]
    assert found is not None, "it was proposed"
    return found


def _notes(
    flow: "SalesFlow", values: Mapping[str, object], language: Language
) -> Iterator[str]:
    """Say what is allowed of an improvement, and may be a slip."""
    fact = _said(flow, values)
    if values.keys() & ABOUT["process_version"] and fact.process_version is not None:
        latest = _latest_version(flow, fact.process or "")
        if latest is not None and fact.process_version > latest:
            yield say(
                "process {process} has published versions up to {latest}; version {version} is"
                " none yet",
                language,
                process=fact.process,
                latest=latest,
                version=fact.process_version,
            )
    if values.keys() & ABOUT["effect"] and fact.expected_effect:
        metric = metric_of(fact.metric)
        if (metric.better == "lower") == (fact.expected_effect > 0):
            yield say(
                "the expected effect is for the worse: less of {metric} is better"
                if metric.better == "lower"
                else "the expected effect is for the worse: more of {metric} is better",
                language,
                metric=metric.name(language),
            )


def _latest_version(flow: "SalesFlow", process: str) -> int | None:
    try:
        return flow.get(SalesProcess, process_id(process)).latest.version
    except (NotFoundError, HistoryError):
        return None


IMPROVED: Final = Prepared(_judged, notes=_notes)
