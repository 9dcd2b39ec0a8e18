"""What is different between two records of one kind, such as two answers to one question.

Rows of the same key are matched, and their figures subtracted exactly, whatever the question:
what is a key and what a figure stands in `presentation.fields`. A row that only one answer
has is `added` or `vanished`, and nothing is subtracted from nothing. Amounts in unlike
currencies are never subtracted from one another: a deal that was worth 7,000 USD and is worth
90,000 CNY has lost the one and gained the other.

Leaves out why: that is Flow (movements) and the deals' timelines.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from salesflow.domain.time import Period
from salesflow.domain.values import EXACT_DIGITS, Money, tidy
from salesflow.presentation.fields import FieldRole, Json, field_roles, plain
from salesflow.presentation.format import Total, days_text, totals
from salesflow.projections.core.question import View

__all__ = [
    "AMOUNT",
    "CURRENCY",
    "PERIOD",
    "Change",
    "Figure",
    "FigureChange",
    "RecordChange",
    "compared",
]


Figure: TypeAlias = int | Decimal | timedelta | tuple[Total, ...] | None
"""A number, or amounts per currency."""
Change = Literal["same", "changed", "added", "vanished", "unlisted"]
"""What became of a row; `unlisted` where the other answer lists only some of its rows."""

AMOUNT, CURRENCY, PERIOD = "amount", "currency", "period"
SPAN = ("first", "last")
"""The days that a row is of: the whole period, or a part of it."""
TOTAL = "_total"
"""`deals_total` says how many rows there are, of which `deals` may list only some."""


RowsByKey: TypeAlias = Mapping[tuple[object, ...], BaseModel]


class FigureChange(NamedTuple):
    """A figure then and now; no difference where one of them is not known."""

    then: Figure
    now: Figure
    difference: Figure


class RecordChange(NamedTuple):
    """A row in both answers or in one: its figures, its other traits, the records inside."""

    then: BaseModel | None
    now: BaseModel | None
    change: Change
    figures: dict[str, FigureChange]
    traits: tuple[str, ...]
    """Names of the fields, other than figures, that are not what they were."""
    parts: "dict[str, RecordChange]"
    lists: "dict[str, tuple[RecordChange, ...]]"

    @property
    def record(self) -> BaseModel:
        """The row as it is now, or as it was where it vanished."""
        found = self.now or self.then
        assert found is not None
        return found

    def to_dict(self) -> dict[str, Json]:
        """Return its keys and names, and what is different."""
        known, record = field_roles(type(self.record)), self.record
        said = (FieldRole.KEY, FieldRole.NAME)
        return {
            **{name: plain(getattr(record, name)) for name in known if known[name] in said},
            "change": self.change,
            **self.differences(),
        }

    def differences(self) -> dict[str, Json]:
        """Return what is different, without saying of what."""
        return {
            **{name: plain(figure.difference) for name, figure in self.figures.items()},
            **{
                name: {
                    "then": plain(getattr(self.then, name)),
                    "now": plain(getattr(self.now, name)),
                }
                for name in self.traits
            },
            **{name: part.to_dict() for name, part in self.parts.items()},
            **{name: [row.to_dict() for row in rows] for name, rows in self.lists.items()},
        }


def compared(
    then: BaseModel, now: BaseModel, *, beside: Set[str] = frozenset()
) -> RecordChange:
    """Compare two records of one kind, field by field but for those `beside`."""
    known = {name: role for name, role in field_roles(type(now)).items() if name not in beside}
    of = {role: [name for name in known if known[name] is role] for role in FieldRole}
    figures = {name: _figures_compared(then, now, name) for name in of[FieldRole.FIGURE]}
    parts: dict[str, RecordChange] = {}
    for name in of[FieldRole.PART]:
        pair = getattr(then, name), getattr(now, name)
        if pair != (None, None):
            parts[name] = _paired(*pair)
    lists = {
        name: tuple(_rows_compared(_by_keys(then, now, name), _excerpts(then, now, name)))
        for name in of[FieldRole.LIST]
    }
    others = (*of[FieldRole.TRAIT], *of[FieldRole.KEY])
    traits = tuple(name for name in others if getattr(then, name) != getattr(now, name))
    inside = [*parts.values(), *(row for rows in lists.values() for row in rows)]
    same = (
        not traits
        and all(figure.then == figure.now for figure in figures.values())
        and all(change.change == "same" for change in inside)
    )
    return RecordChange(then, now, "same" if same else "changed", figures, traits, parts, lists)


def _paired(then: BaseModel | None, now: BaseModel | None) -> RecordChange:
    if then is not None and now is not None:
        return compared(then, now)
    return _alone(then, now, "added" if then is None else "vanished")


def _alone(then: BaseModel | None, now: BaseModel | None, change: Change) -> RecordChange:
    """Describe a record that only one answer has."""
    record = now or then
    assert record is not None
    figures = {
        name: FigureChange(_figure(then, name), _figure(now, name), None)
        for name, role in field_roles(type(record)).items()
        if role is FieldRole.FIGURE
    }
    return RecordChange(then, now, change, figures, (), {}, {})


def _rows_compared(
    sides: tuple[RowsByKey, RowsByKey], excerpts: Sequence[bool]
) -> Iterable[RecordChange]:
    """Match rows by key: those of now in their order, then those that vanished."""
    before, after = sides
    for key, row in after.items():
        if key in before:
            yield compared(before[key], row)
        else:
            yield _alone(None, row, "unlisted" if excerpts[0] else "added")
    for key, row in before.items():
        if key not in after:
            yield _alone(row, None, "unlisted" if excerpts[1] else "vanished")


def _by_keys(then: BaseModel, now: BaseModel, name: str) -> tuple[RowsByKey, RowsByKey]:
    """Return the rows of a list in two answers by their keys.

    Where all rows of both are of a whole period, their days tell none of them apart: figures
    of one quarter are compared with those of another.
    """
    before, after = (getattr(side, name) or () for side in (then, now))
    whole = _are_of_a_period(then, before) and _are_of_a_period(now, after)
    beside = SPAN if whole else ()
    return _by_key(before, beside), _by_key(after, beside)


def _are_of_a_period(answer: BaseModel, rows: Sequence[BaseModel]) -> bool:
    """Return whether all rows are of the whole of one of the answer's periods."""
    if not isinstance(answer, View):
        return False
    zone = ZoneInfo(answer.timezone)
    periods = {days_text(value, zone) for _, value in answer if isinstance(value, Period)}
    if not periods:
        return False
    spans = {" … ".join(str(getattr(row, name, "")) for name in SPAN) for row in rows}
    return len(spans) == 1 and spans <= periods


def _by_key(rows: Sequence[BaseModel], beside: Sequence[str]) -> RowsByKey:
    """Return rows by key; those of one and the same key are told apart by their order."""
    found: dict[tuple[object, ...], BaseModel] = {}
    met: dict[tuple[object, ...], int] = defaultdict(int)
    known = field_roles(type(rows[0])) if rows else {}
    keys = [name for name in known if known[name] is FieldRole.KEY and name not in beside]
    for row in rows:
        key = tuple(getattr(row, name) for name in keys)
        found[*key, met[key]] = row
        met[key] += 1
    return found


def _excerpts(then: BaseModel, now: BaseModel, name: str) -> list[bool]:
    """Return of which of two answers a list holds only some of the rows there are."""
    totals = [getattr(record, f"{name}{TOTAL}", 0) for record in (then, now)]
    lists = [getattr(record, name) or () for record in (then, now)]
    return [total > len(rows) for total, rows in zip(totals, lists, strict=True)]


def _figures_compared(then: BaseModel, now: BaseModel, name: str) -> FigureChange:
    before, after = _figure(then, name), _figure(now, name)
    difference = _difference(before, after)
    unlike = getattr(then, CURRENCY, None) != getattr(now, CURRENCY, None)
    if unlike and isinstance(difference, Decimal):
        difference = None
    return FigureChange(before, after, difference)


def _figure(record: BaseModel | None, name: str) -> Figure:
    """Read a figure; an amount beside a currency of its own is read in that currency."""
    if record is None:
        return None
    value = getattr(record, name)
    if isinstance(value, Money):
        return (Total(currency=value.currency, amount=value.amount),)
    beside = field_roles(type(record)).get(CURRENCY) is FieldRole.TRAIT and name == "amount"
    if beside and isinstance(value, Decimal):
        currency = getattr(record, CURRENCY)
        return () if currency is None else (Total(currency=currency, amount=value),)
    figure: Figure = value
    return figure


def _difference(then: Figure, now: Figure) -> Figure:
    """Subtract exactly; None where one of the two is not known."""
    with localcontext(prec=EXACT_DIGITS):
        match then, now:
            case tuple(), tuple():
                signed = [(now, Decimal(1)), (then, Decimal(-1))]
                return totals(
                    (t.currency, t.amount, sign) for side, sign in signed for t in side
                )
            case int(), int():
                return now - then
            case int() | Decimal(), int() | Decimal():
                return tidy(Decimal(now) - Decimal(then))
            case timedelta(), timedelta():
                return now - then
            case _:
                return None
