"""What is different between two records of one kind, such as two answers to one question.

Rows of the same key are matched, and their figures subtracted exactly, whatever the question:
what is a key and what a figure stands in `records`. A row that only one answer has is
`added` or `vanished`, and nothing is subtracted from nothing. Amounts in unlike currencies are
never subtracted from one another: a deal that was worth 7,000 USD and is worth 90,000 CNY has
lost the one and gained the other.

Leaves out why: that is Flow (movements) and the deals' timelines.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Literal, NamedTuple, TypeAlias

from pydantic import BaseModel

from salesflow.domain.values import Money, tidy
from salesflow.projections.plain import Json, plain
from salesflow.projections.records import Role, roles
from salesflow.projections.totals import Total, totals

__all__ = ["Change", "Figure", "FigureChange", "RecordChange", "compared"]

Figure: TypeAlias = int | Decimal | timedelta | tuple[Total, ...] | None
"""A number, or amounts per currency."""
Change = Literal["same", "changed", "added", "vanished", "unlisted"]
"""What became of a row; `unlisted` where the other answer lists only some of its rows."""

EXACT_DIGITS = 60
CURRENCY = "currency"
TOTAL = "_total"
"""`deals_total` says how many rows there are, of which `deals` may list only some."""


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
        """Give its keys and names, and what is different."""
        known, record = roles(type(self.record)), self.record
        said = (Role.KEY, Role.NAME)
        return {
            **{name: plain(getattr(record, name)) for name in known if known[name] in said},
            "change": self.change,
            **self.differences(),
        }

    def differences(self) -> dict[str, Json]:
        """Give what is different, without saying of what."""
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
    then: BaseModel, now: BaseModel, *, beside: frozenset[str] = frozenset()
) -> RecordChange:
    """Compare two records of one kind, field by field but for those `beside`."""
    known = {name: role for name, role in roles(type(now)).items() if name not in beside}
    of = {role: [name for name in known if known[name] is role] for role in Role}
    figures = {name: _figures_compared(then, now, name) for name in of[Role.FIGURE]}
    parts: dict[str, RecordChange] = {}
    for name in of[Role.PART]:
        pair = getattr(then, name), getattr(now, name)
        if pair != (None, None):
            parts[name] = _paired(*pair)
    lists = {
        name: tuple(
            _rows_compared(
                getattr(then, name) or (),
                getattr(now, name) or (),
                (_is_excerpt(then, name), _is_excerpt(now, name)),
            )
        )
        for name in of[Role.LIST]
    }
    others = (*of[Role.TRAIT], *of[Role.KEY])
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
        for name, role in roles(type(record)).items()
        if role is Role.FIGURE
    }
    return RecordChange(then, now, change, figures, (), {}, {})


def _rows_compared(
    then: Sequence[BaseModel], now: Sequence[BaseModel], excerpts: tuple[bool, bool]
) -> Iterable[RecordChange]:
    """Match rows by key: those of now in their order, then those that vanished."""
    before, after = _by_key(then), _by_key(now)
    for key, row in after.items():
        if key in before:
            yield compared(before[key], row)
        else:
            yield _alone(None, row, "unlisted" if excerpts[0] else "added")
    for key, row in before.items():
        if key not in after:
            yield _alone(row, None, "unlisted" if excerpts[1] else "vanished")


def _by_key(rows: Iterable[BaseModel]) -> Mapping[tuple[object, ...], BaseModel]:
    """Give rows by key; those of one and the same key are told apart by their order."""
    found: dict[tuple[object, ...], BaseModel] = {}
    met: dict[tuple[object, ...], int] = defaultdict(int)
    for row in rows:
        known = roles(type(row))
        key = tuple(getattr(row, name) for name in known if known[name] is Role.KEY)
        found[*key, met[key]] = row
        met[key] += 1
    return found


def _is_excerpt(record: BaseModel, name: str) -> bool:
    """Say whether a list holds only some of the rows there are."""
    total = getattr(record, f"{name}{TOTAL}", None)
    return isinstance(total, int) and total > len(getattr(record, name))


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
    beside = roles(type(record)).get(CURRENCY) is Role.TRAIT and name == "amount"
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
