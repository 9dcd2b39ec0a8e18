"""What values of facts and of states say to people, however deeply they are nested.

A record says its fields by their labels and leaves out what says nothing; shares are written in
per cent, amounts with the currency of the record they stand in, figures in the unit of its
metric, instants as times of the business time zone, closed lists in words. A class that reads
better another way has a writer of its own in `WRITERS`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from decimal import Decimal
from inspect import get_annotations
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from salesflow.domain.alert import AlertEvidence, WatchedFigure
from salesflow.domain.deal.quotes import QuoteLine
from salesflow.domain.deal.stages import Check
from salesflow.domain.event import Event
from salesflow.domain.goal import GoalRevision
from salesflow.domain.incentive_plan import Accelerator, Decelerator, Tier
from salesflow.domain.metric import metric_of
from salesflow.domain.process import CRITERIA
from salesflow.domain.rep_development import CareerStep
from salesflow.domain.smart import GoalScope, LetterCheck, PastValue
from salesflow.domain.statement import LinePart, StatementFigures
from salesflow.domain.team import TeamName
from salesflow.domain.time import from_instant
from salesflow.domain.values import Exact, Money, tidy
from salesflow.errors import InputError
from salesflow.presentation.fields import CALLED_IN
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import (
    amount_text,
    given_percent,
    local_time,
    money_text,
    short_id,
    span_text,
)
from salesflow.presentation.messages import (
    Language,
    in_language,
    key_text,
    meant_in,
    word_known,
)

__all__ = [
    "NO_UNIT",
    "REPS",
    "WRITERS",
    "Unit",
    "ValueText",
    "contexts_of",
    "criterion_text",
    "exact_money_text",
    "is_record",
    "label_text",
    "metric_name",
    "quote_line_text",
    "record_fields",
    "value_text",
    "words_text",
]


CHOSEN: Final = frozenset({"department", "lead_source", "topic"})
"""Fields of words of one's own choice, some of which have Chinese names."""
KEYS: Final = frozenset({"level", "skill"})
"""Fields of keys of one's own choice, which read better with blanks."""
CHANNEL: Final = "channel"
"""A field of few values, which have names in both languages as those of a closed list do."""
EVENTS: Final = frozenset({("StatementLine", "kind")})
"""Fields that say by a word what happened."""
NAMES_FIELDS: Final = "cleared"
"""A field that names other fields."""
REPS: Final = frozenset(
    {
        "assessed_by",
        "by",
        "former",
        "lead",
        "overridden_by",
        "owner",
        "participant",
        "person",
        "rep",
        "responsible",
    }
)
"""Fields that name a rep by id."""
WHOLE_IDS: Final = frozenset({"event_id", "person_id"})
"""Ids that are written whole: commands take no first digits of them."""
INSTANT: Final = "at"
"""A field of records of states that holds an instant, in microseconds."""
PERCENTS: Final = frozenset(
    {
        *(("Collaborator", "credit"), ("GoalCheckIn", "confidence"), ("LinePart", "rate")),
        *(("PlanTerms", "rate"), ("Spiff", "rate")),
        *(("Accelerator", "starts_at"), ("Decelerator", "ends_at")),
    }
)
"""Parts of one whose types do not say so; those of the type `Share` do."""
AMOUNTS: Final = frozenset(
    {
        *("amount", "base", "earned", "guaranteed", "advanced", "recovered", "payable"),
        *("draw_balance", "threshold", "quota", "cap", "draw", "guarantee", "bonus"),
        "starts_at",
    }
)
"""Numbers in the currency of the record they stand in."""
MEASURED: Final = frozenset({"baseline", "figure", "target", "target_before", "value"})
"""Numbers in the unit of the metric of that record."""
CHANGE: Final = "expected_effect"
"""By how much that figure should move."""
SHARE: Final = (Decimal(0), Decimal(1))
"""Between what the type `Share` lies."""
PLACES_MAX: Final = 6
CURRENCY_LENGTH: Final = 3


class Unit(NamedTuple):
    """What numbers of a record are counted in, as it says or the one it stands in."""

    metric: str | None = None
    currency: str | None = None
    unit: str | None = None

    def within(self, record: object) -> "Unit":
        """Return the unit of what stands in a record that this is the unit of."""
        own = (getattr(record, name, None) for name in self._fields)
        return Unit(
            *(it if isinstance(it, str) else so for it, so in zip(own, self, strict=True))
        )

    def written(self, value: Decimal, language: Language) -> str:
        """Write a figure of the metric; a plain number where there is no unit."""
        unit = self._unit
        if unit is not None and len(unit) == CURRENCY_LENGTH and unit.isupper():
            return money_text(value, unit)
        if self.metric is None and unit == "share":
            return given_percent(value)
        return FigureText(unit, language, self.currency).beside_target(value)

    def difference(self, value: Decimal | None, language: Language) -> str:
        """Write by how much a figure of the metric is another one."""
        return FigureText(self._unit, language, self.currency).difference(value)

    @property
    def _unit(self) -> str | None:
        if self.metric is None:
            return self.unit
        try:
            return metric_of(self.metric).unit or self.unit
        except InputError:  # a metric of a later version
            return None


NO_UNIT: Final = Unit()


def is_record(value: object) -> bool:
    """Return whether a value has fields of its own; events and money are told as one."""
    if isinstance(value, Event | Money):
        return False
    return isinstance(value, BaseModel) or hasattr(value, "_fields")


def record_fields(record: object) -> Iterator[tuple[str, object, object]]:
    """Yield name, value and type of each field that says something."""
    for name, kind, default in _declared(type(record)):
        value = getattr(record, name)
        if value is not None and value != default and value not in ((), ""):
            yield name, value, kind


def _declared(cls: type) -> Iterator[tuple[str, object, object]]:
    if issubclass(cls, BaseModel):
        for name, field in cls.model_fields.items():
            shares = [each for each in field.metadata if isinstance(each, Exact)]
            kind = shares[0] if shares else field.annotation
            yield name, kind, field.default
        return
    defaults: Mapping[str, object] = getattr(cls, "_field_defaults", {})
    for name, kind in get_annotations(cls, eval_str=True).items():
        yield name, kind, defaults.get(name)


def label_text(field: str, language: Language, record: type | None = None) -> str:
    """Return what people call a field within a line, as it is meant in a record."""
    own = None if record is None else CALLED_IN.get((record.__name__, field))
    plain = own.lower() if own else LABELS.get(field) or field.strip("_").replace("_", " ")
    if language == "en":
        return plain
    contexts = (*contexts_of(record), "field of a fact")
    text = meant_in(plain, language, *contexts)
    return text or in_language(plain.capitalize(), language, *contexts)


def contexts_of(record: type | None) -> tuple[str, ...]:
    """Return in which contexts the catalogue may have a field of a record.

    They are its class, and what facts are told of: `goal` of `goal.set`, and of a goal.
    """
    if record is None:
        return ()
    facts = getattr(record, "facts", (record,))
    kind = getattr(facts[0], "kind", None)
    return (record.__name__, *([kind.partition(".")[0]] if isinstance(kind, str) else []))


LABELS: Final = {"event": "when", "at": "when", "from_": "from"}
"""What people call fields whose names do not say enough by themselves."""


class ValueText:
    """Writes values in a language and a time zone.

    It names reps, deals and customers where it can.
    """

    def __init__(
        self,
        language: Language,
        zone: ZoneInfo,
        *,
        rep: Callable[[str], str] = str,
        deal: Callable[[UUID], str] = short_id,
        customer: Callable[[UUID], str] = short_id,
    ) -> None:
        self.language: Language = language
        self.zone = zone
        self.rep = rep
        self.called: Final = {"deal": deal, "customer": customer}
        """By the name of a field, what those are called whose ids it holds."""

    def word(self, text: str) -> str:
        """Return a word of ours in the language."""
        return in_language(text, self.language)

    def fields(self, record: object, unit: Unit = NO_UNIT) -> Iterator[tuple[str, str]]:
        """Yield the label and the text of each field that says something."""
        unit = unit.within(record)
        for name, value, kind in record_fields(record):
            if text := self.field(record, name, value, kind, unit):
                yield label_text(name, self.language, type(record)), text

    def line(self, record: object, unit: Unit = NO_UNIT) -> str:
        """Write a record on one line: its fields, each behind its label."""
        writer = WRITERS.get(type(record)) or SHORTENED.get(type(record))
        if writer is not None:
            return writer(record, self, unit.within(record))
        return ", ".join(f"{label} {text}" for label, text in self.fields(record, unit))

    def field(
        self,
        record: object,
        name: str,
        value: object,
        kind: object = None,
        unit: Unit = NO_UNIT,
    ) -> str:
        """Write what a field of a record says."""
        text = self._by_name(type(record).__name__, name, value, kind, unit)
        return self.text(value, unit) if text is None else text

    def text(self, value: object, unit: Unit = NO_UNIT) -> str:
        """Write a value by what it is."""
        if isinstance(value, Event | datetime):
            at = value if isinstance(value, datetime) else from_instant(value.effective)
            return local_time(at, self.zone, exact=False)
        if is_record(value):
            return self.line(value, unit)
        if isinstance(value, Mapping | Sequence | Set) and not isinstance(value, str):
            return self._listed(value, unit)
        return self._plain(value)

    def _plain(self, value: object) -> str:
        match value:
            case None:
                return ""
            case bool():
                return self.word("yes" if value else "no")
            case Decimal():
                return f"{tidy(round(value, PLACES_MAX)):,f}"
            case UUID():
                return short_id(value)
            case Money():
                return exact_money_text(value)
            case _:
                return str(value)

    def _by_name(
        self, cls: str, name: str, value: object, kind: object, unit: Unit
    ) -> str | None:
        """Write what its field says more about than the value; None of what is plain."""
        if isinstance(value, Decimal):
            return self._number(cls, name, value, kind, unit)
        if isinstance(value, UUID):
            whole = str(value) if name in WHOLE_IDS else None
            return self.called[name](value) if name in self.called else whole
        if name == INSTANT and isinstance(value, int):
            return local_time(from_instant(value), self.zone, exact=False)
        if isinstance(value, str | tuple) and (name == CHANNEL or is_closed_list(kind)):
            return words_text(name, value, self.language)
        if name == "skills" and isinstance(value, tuple):
            return ", ".join(key_text(str(each), self.language) for each in value)
        return self._name(cls, name, value) if isinstance(value, str) else None

    def _number(
        self, cls: str, name: str, value: Decimal, kind: object, unit: Unit
    ) -> str | None:
        share = isinstance(kind, Exact) and (kind.least, kind.most) == SHARE
        if share or (cls, name) in PERCENTS:
            return given_percent(value)
        if name in MEASURED and (unit.metric is not None or unit.unit is not None):
            return unit.written(value, self.language)
        if name == CHANGE and unit.metric is not None:
            return unit.difference(value, self.language)
        if name in AMOUNTS and unit.currency is not None:
            return money_text(value, unit.currency)
        return None

    def _name(self, cls: str, name: str, value: str) -> str | None:
        if name in REPS:
            return self.rep(value)
        if name in CHOSEN:
            return word_known(value, self.language)
        if name == "metric":
            return metric_name(value, self.language)
        if name in KEYS or (cls, name) in EVENTS:
            return key_text(value, self.language)
        return None

    def _listed(
        self,
        values: Mapping[Any, object] | Iterable[object],
        unit: Unit,
    ) -> str:
        """List values; records, which hold commas of their own, by semicolons."""
        if isinstance(values, Mapping) and not any(map(is_record, values.values())):
            return ", ".join(
                f"{key or self.word('everywhere')} {self.text(each, unit)}"
                for key, each in values.items()
            )
        each = [*values.values()] if isinstance(values, Mapping) else [*values]
        texts = [text for one in each if (text := self.text(one, unit))]
        apart = isinstance(values, Mapping) or any(map(is_record, each))
        return ("; " if apart else ", ").join(
            sorted(texts) if isinstance(values, Set) else texts
        )


def words_text(field: str, value: object, language: Language) -> str:
    """Write the words that a field of a closed list holds, one or several."""
    parts = value if isinstance(value, tuple) else (value,)
    if field == NAMES_FIELDS:
        return ", ".join(label_text(str(part), language) for part in parts)
    return ", ".join(key_text(str(part), language, field) for part in parts)


def value_text(value: object, language: Language, zone: ZoneInfo) -> str:
    """Write a value of a fact for people."""
    return ValueText(language, zone).text(value)


def exact_money_text(money: Money | None) -> str:
    """Write an amount as it was given, to the last digit; nothing where there is none."""
    if money is None:
        return ""
    return amount_text(money.amount, money.currency)


def metric_name(key: str, language: Language) -> str:
    """Return the name of a metric; its key where there is none."""
    try:
        return metric_of(key).name(language)
    except InputError:
        return key


def is_closed_list(kind: object) -> bool:
    """Return whether a field holds words of a `Literal`, perhaps several, perhaps none."""
    return get_origin(kind) is Literal or any(map(is_closed_list, get_args(kind)))


# Records that read better otherwise than field by field.


def quote_line_text(line: QuoteLine, text: ValueText, _: Unit = NO_UNIT) -> str:
    """Write a line of a quote: how many of what, at which price."""
    less = f" -{given_percent(line.discount)}" if line.discount else ""
    at = text.word("at")
    return f"{line.quantity:,} x {line.product} {at} {exact_money_text(line.unit_price)}{less}"


def criterion_text(criterion: str, language: Language) -> str:
    """Return what an exit criterion is called: its key in English, which commands take."""
    return (CRITERIA.get(criterion, ("", ""))[1] if language == "zh" else "") or criterion


def _check(check: Check, text: ValueText, _: Unit) -> str:
    parts = (criterion_text(check.criterion, text.language), text.word(check.result))
    return " ".join((*parts, *filter(None, (check.by, check.because))))


def _scope(scope: GoalScope, text: ValueText, _: Unit) -> str:
    named = [
        f"{label_text(name, text.language, type(scope))} {text.field(scope, name, value)}"
        for name, value, _kind in record_fields(scope)
    ]
    return " · ".join(named) or text.word("the whole company")


def _letter(check: LetterCheck, text: ValueText, _: Unit) -> str:
    passed = text.word("yes" if check.passed else "no")
    letter, basis = (key_text(each, text.language) for each in (check.letter, check.basis))
    return f"{letter} {passed} ({basis})"


def _past(past: PastValue, text: ValueText, unit: Unit) -> str:
    value = "–" if past.value is None else unit.written(past.value, text.language)
    return f"{span_text(past.first_day, past.last_day)} {value}"


def _step(step: CareerStep, text: ValueText, _: Unit) -> str:
    by = f" ({text.word('by')} {step.due})" if step.due else ""
    return f"{key_text(step.level, text.language)}{by}"


def _team_name(name: TeamName, _: ValueText, __: Unit) -> str:
    return name.en if name.en == name.zh else f"{name.en} / {name.zh}"


def _watched(watched: WatchedFigure, _: ValueText, __: Unit) -> str:
    more = "" if watched.parameters == "{}" else f" {watched.parameters}"
    return f"{watched.question} {watched.figure}{more}"


def _evidence(evidence: AlertEvidence, text: ValueText, _: Unit) -> str:
    figure = text.text(evidence.figure) or "–"
    before = (
        ""
        if evidence.compared is None
        else f" ({text.word('before')} {text.text(evidence.compared)})"
    )
    return f"{figure}{before}"


def _tier(tier: Tier, text: ValueText, unit: Unit) -> str:
    return (
        f"{given_percent(tier.rate)} {text.word('from')} {_amount(tier.starts_at, text, unit)}"
    )


def _amount(amount: Decimal, text: ValueText, unit: Unit) -> str:
    return money_text(amount, unit.currency) if unit.currency else text.text(amount)


def _faster(each: Accelerator, text: ValueText, _: Unit) -> str:
    return f"x{text.text(each.factor)} {text.word('from')} {given_percent(each.starts_at)}"


def _slower(each: Decelerator, text: ValueText, _: Unit) -> str:
    return f"x{text.text(each.factor)} {text.word('below')} {given_percent(each.ends_at)}"


def _revision(change: GoalRevision, text: ValueText, unit: Unit) -> str:
    before, after = (
        unit.written(it, text.language) for it in (change.target_before, change.target)
    )
    said = [local_time(from_instant(change.at), text.zone, exact=False), f"{before} → {after}"]
    said += [text.rep(change.by)] if change.by else []
    return ", ".join([*said, *([change.because] if change.because else [])])


def _part(part: LinePart, text: ValueText, unit: Unit) -> str:
    """Write how a part of a line of a statement was worked out."""
    named = text.word(key_text(part.kind, text.language))
    which = "" if part.tier is None else f" {part.tier:,}"
    factors = [_amount(part.base, text, unit)] if part.base is not None else []
    factors += [given_percent(part.rate)] if part.rate is not None else []
    factors += [text.text(part.factor)] if part.factor is not None else []
    amount = _amount(part.amount, text, unit)
    return (
        f"{named}{which} {part.spiff or ''}".strip() + f": {' x '.join([*factors])} = {amount}"
    )


def _statement(figures: StatementFigures, text: ValueText, unit: Unit) -> str:
    period = span_text(figures.first_day, figures.last_day)
    amounts = (
        f"{label_text(name, text.language)} {_amount(getattr(figures, name), text, unit)}"
        for name in ("earned", "payable")
    )
    counts = (
        f"{label_text(name, text.language)} {len(getattr(figures, name)):,}"
        for name in ("lines", "differences")
        if getattr(figures, name)
    )
    whose = f"{figures.plan} {text.rep(figures.rep)}"
    return ", ".join((whose, period, *amounts, *counts))


Writer = Callable[[Any, ValueText, Unit], str]
WRITERS: Final[Mapping[type, Writer]] = {
    Accelerator: _faster,
    AlertEvidence: _evidence,
    CareerStep: _step,
    Check: _check,
    Decelerator: _slower,
    GoalRevision: _revision,
    GoalScope: _scope,
    LetterCheck: _letter,
    LinePart: _part,
    PastValue: _past,
    QuoteLine: quote_line_text,
    TeamName: _team_name,
    Tier: _tier,
    WatchedFigure: _watched,
}
SHORTENED: Final[Mapping[type, Writer]] = {StatementFigures: _statement}
"""Records that would fill a page on one line; `show` has all of them."""
