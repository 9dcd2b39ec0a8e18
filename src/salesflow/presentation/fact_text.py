"""What facts say, in words, in English and Chinese.

Details are the fact's own fields in plain text: amounts with separators, times in the business
time zone, lists joined, what is empty left out.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, get_args, get_origin
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.deal.quotes import QuoteLine
from salesflow.domain.deal.stages import Check
from salesflow.domain.event import Event, Fact
from salesflow.domain.process import (
    CRITERIA,
    TASK_COMPLETED,
    ProcessPublished,
    ProcessVersion,
)
from salesflow.domain.values import Money, Value
from salesflow.domain.wording import shortened
from salesflow.presentation.format import amount_text, given_percent, local_time, short_id
from salesflow.presentation.messages import (
    Language,
    in_language,
    key_text,
    translated,
    word_known,
)

__all__ = ["describe_fact", "exact_money_text", "summarize_fact", "value_text"]


STAGES: Final = frozenset({"stage", "target"})
CHOSEN: Final = frozenset({"department", "lead_source", "topic"})
"""Fields of words of one's own choice, some of which have Chinese names."""
CHANNEL: Final = "channel"
"""A field of few values, which have names in both languages as those of a closed list do."""
NAMES_FIELDS: Final = "cleared"
"""A field that names other fields."""
REPS: Final = frozenset({"by", "overridden_by", "owner", "person", "rep"})
"""Fields that name a rep by id."""
TELLS_EVENTS_APART: Final = "event_id"
"""An id that begins with its time: only the whole of it says which event is meant."""
FIELD_MAX: Final = 60
LINE_MAX: Final = 160
"""Characters of a field, and of a fact, where a line tells it."""


def describe_fact(
    fact: Fact,
    language: Language,
    zone: ZoneInfo,
    rep: Callable[[str], str] = str,
    process: ProcessVersion | None = None,
) -> str:
    """Return what a fact says, field by field; `rep` puts names beside the ids of reps.

    By its process stages and tasks are named in Chinese; in English they go by their keys.
    """
    fields = _fields(fact, language, zone, rep, None if language == "en" else process)
    return " · ".join(f"{name} {text}" for name, text in fields)


def summarize_fact(
    fact: Fact, language: Language, zone: ZoneInfo, rep: Callable[[str], str]
) -> str:
    """Return what a fact says in a line: the beginning of each field, and "…" for more."""
    if isinstance(fact, ProcessPublished):
        version, stages = fact.process, len(fact.process.stages)
        name = version.name_zh if language == "zh" else version.name_en
        return f"{name} v{version.version} · {stages} {in_language('stages', language)}"
    said, left = [], LINE_MAX
    for name, text in _fields(fact, language, zone, rep):
        part = f"{name} {shortened(text, FIELD_MAX)}"
        if len(part) > left:
            said.append("…")
            break
        said.append(part)
        left -= len(part)
    return " · ".join(said).replace("\n", " ")


def exact_money_text(money: Money | None) -> str:
    """Write an amount as it was given, to the last digit; nothing where there is none."""
    if money is None:
        return ""
    return amount_text(money.amount, money.currency)


def _fields(
    fact: Fact,
    language: Language,
    zone: ZoneInfo,
    rep: Callable[[str], str],
    process: ProcessVersion | None = None,
) -> Iterator[tuple[str, str]]:
    """Yield the label and the text of each field that says something."""
    for name, field in type(fact).model_fields.items():
        value = getattr(fact, name)
        if value == field.default:
            continue
        text = _named(name, value, language, process)
        if not text and (name == CHANNEL or _is_closed_list(field.annotation)):
            text = _in_words(name, value, language)
        text = text or _said(name, value, language, zone, rep)
        if text:
            yield _label(name, language), text


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


def _label(field: str, language: Language) -> str:
    plain = field.replace("_", " ")
    if language == "en":
        return plain
    text = translated(plain, language, "field of a fact")
    return text if text != plain else in_language(plain.capitalize(), language)


def _is_closed_list(kind: object) -> bool:
    """Return whether a field holds words of a `Literal`, perhaps several, perhaps none."""
    return get_origin(kind) is Literal or any(map(_is_closed_list, get_args(kind)))


def _in_words(field: str, value: object, language: Language) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    named = _label if field == NAMES_FIELDS else key_text
    return ", ".join(named(str(part), language) for part in parts)


def _said(
    field: str, value: object, language: Language, zone: ZoneInfo, rep: Callable[[str], str]
) -> str:
    if field in CHOSEN and isinstance(value, str):
        return word_known(value, language)
    if field in REPS and isinstance(value, str):
        return rep(value)
    if field == TELLS_EVENTS_APART:
        return str(value)
    return value_text(value, language, zone)


def value_text(value: object, language: Language, zone: ZoneInfo) -> str:
    """Write a value of a fact for people."""
    match value:
        case None:
            shown = ""
        case bool():
            shown = in_language("yes" if value else "no", language)
        case (datetime() as at) | Event(occurred_at=at):  # an event says when it was so
            shown = local_time(at, zone)
        case Decimal():
            shown = f"{value:,}"
        case UUID():
            shown = short_id(value)
        case Mapping() | tuple() | Set():
            shown = _listed(value, language, zone)
        case Value():
            shown = _composed(value, language, zone)
        case _:
            shown = str(value)
    return shown


def _listed(
    values: Mapping[Any, object] | tuple[object, ...] | Set[object],
    language: Language,
    zone: ZoneInfo,
) -> str:
    """List values; facts and records, which hold commas of their own, by semicolons."""
    each = values.values() if isinstance(values, Mapping) else values
    texts = [text for one in each if (text := value_text(one, language, zone))]
    apart = isinstance(values, Mapping) or any(isinstance(one, Fact) for one in each)
    return ("; " if apart else ", ").join(sorted(texts) if isinstance(values, Set) else texts)


def _composed(value: Value, language: Language, zone: ZoneInfo) -> str:
    match value:
        case Money():
            return exact_money_text(value)
        case QuoteLine():
            return _line(value, language)
        case Check():
            return _check(value, language)
        case Fact():
            return describe_fact(value, language, zone)
        case _:
            named = (getattr(value, name) for name in type(value).model_fields)
            return " ".join(filter(None, (value_text(part, language, zone) for part in named)))


def _line(line: QuoteLine, language: Language) -> str:
    less = f" -{given_percent(line.discount)}" if line.discount else ""
    at = in_language("at", language)
    return f"{line.quantity:,} x {line.product} {at} {exact_money_text(line.unit_price)}{less}"


def _check(check: Check, language: Language, tasks: Mapping[str, str] | None = None) -> str:
    criterion = CRITERIA.get(check.criterion, ("", ""))[1] if language == "zh" else ""
    if tasks and check.criterion.startswith(TASK_COMPLETED):
        criterion = tasks.get(check.criterion.removeprefix(TASK_COMPLETED), "")
    parts = (criterion or check.criterion, in_language(check.result, language))
    return " ".join((*parts, *filter(None, (check.by, check.because))))
