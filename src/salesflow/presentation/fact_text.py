"""What facts say, in words, in English and Chinese.

Details are the fact's own fields in plain text, as `value_text` writes them: amounts with
separators, times in the business time zone, lists joined, what is empty left out.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from salesflow.domain.deal.stages import Check
from salesflow.domain.event import Fact
from salesflow.domain.process import TASK_COMPLETED, ProcessPublished, ProcessVersion
from salesflow.domain.time import ONE_DAY
from salesflow.domain.wording import shortened
from salesflow.presentation.messages import Language, in_language
from salesflow.presentation.value_text import (
    NO_UNIT,
    Unit,
    ValueText,
    criterion_text,
    label_text,
    record_fields,
)

__all__ = ["describe_fact", "summarize_fact", "told_in_full"]


STAGES: Final = frozenset({"stage", "target"})
FIELD_MAX: Final = 60
LINE_MAX: Final = 160
FULL_MAX: Final = 600
"""Characters of a field, and of a fact, where a line tells it."""


def describe_fact(
    fact: Fact,
    language: Language,
    zone: ZoneInfo,
    rep: Callable[[str], str] = str,
    process: ProcessVersion | None = None,
    unit: Unit = NO_UNIT,
) -> str:
    """Return what a fact says, field by field; `rep` puts names beside the ids of reps.

    By its process stages and tasks are named in Chinese; in English they go by their keys. Its
    figures are in the unit of the metric of what it is of, where that is given.
    """
    writer = ValueText(language, zone, rep=rep)
    fields = _fields(fact, writer, None if language == "en" else process, unit)
    return " · ".join(f"{name} {text}" for name, text in fields)


def told_in_full(
    fact: Fact, language: Language, zone: ZoneInfo, rep: Callable[[str], str]
) -> str:
    """Return all that a fact says; a line of one that would fill a page, such as a process."""
    if isinstance(fact, ProcessPublished):
        return summarize_fact(fact, language, zone, rep)
    text = describe_fact(fact, language, zone, rep)
    return text if len(text) <= FULL_MAX else summarize_fact(fact, language, zone, rep)


def summarize_fact(
    fact: Fact, language: Language, zone: ZoneInfo, rep: Callable[[str], str]
) -> str:
    """Return what a fact says in a line: the beginning of each field, and "…" for more."""
    if isinstance(fact, ProcessPublished):
        version, stages = fact.process, len(fact.process.stages)
        name = version.name_zh if language == "zh" else version.name_en
        return f"{name} v{version.version} · {stages} {in_language('stages', language)}"
    said, left = [], LINE_MAX
    for name, text in _fields(fact, ValueText(language, zone, rep=rep)):
        part = f"{name} {shortened(text, FIELD_MAX)}"
        if len(part) > left:
            said.append("…")
            break
        said.append(part)
        left -= len(part)
    return " · ".join(said).replace("\n", " ")


def _fields(
    fact: Fact, writer: ValueText, process: ProcessVersion | None = None, unit: Unit = NO_UNIT
) -> Iterator[tuple[str, str]]:
    """Yield the label and the text of each field that says something."""
    unit = unit.within(fact)
    for name, value, kind in record_fields(fact):
        if name == "to" and isinstance(value, date):  # the day after: people name the last one
            value -= ONE_DAY
        text = _named(name, value, writer.language, process)
        text = text or writer.field(fact, name, value, kind, unit)
        if text:
            yield label_text(name, writer.language, type(fact)), text


def _named(
    field: str, value: object, language: Language, process: ProcessVersion | None
) -> str:
    """Name a stage, a task or what was checked of one; nothing where there is no name."""
    if process is None:
        return ""
    if field in STAGES:
        return process.by_key[str(value)].name_zh if str(value) in process.by_key else ""
    tasks = {task.key: task.name(language) for stage in process.stages for task in stage.tasks}
    if field == "task":
        return tasks.get(str(value), "")
    if field == "because":
        reasons = (reason for reason in process.loss_reasons if reason.key == value)
        return next((reason.name(language) for reason in reasons), "")
    if field == "checks" and isinstance(value, tuple):
        return "; ".join(_check(each, language, tasks) for each in value)
    return ""


def _check(check: Check, language: Language, tasks: Mapping[str, str]) -> str:
    criterion = criterion_text(check.criterion, language)
    if check.criterion.startswith(TASK_COMPLETED):
        criterion = tasks.get(check.criterion.removeprefix(TASK_COMPLETED), "") or criterion
    parts = (criterion, in_language(check.result, language))
    return " ".join((*parts, *filter(None, (check.by, check.because))))
