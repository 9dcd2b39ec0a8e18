"""A question's answers at two moments side by side, and what is different between them.

Works for every question: what tells rows apart and what can be subtracted stands in
`presentation.fields`. Both answers stand at the same position of the log, so what lies between
them is the world's doing, or what was learned, and no accident of when they were read.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from salesflow.domain.arguments import guarded_host
from salesflow.domain.ids import UuidSequence
from salesflow.domain.time import Period
from salesflow.domain.values import EXACT_DIGITS, Money, Value, tidy
from salesflow.presentation.arrow import data_frames, stacked
from salesflow.presentation.fields import FieldRole, Json, called, field_roles, plain
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    Total,
    amount_text,
    days_text,
    estimate_text,
    local_time,
    totals,
    totals_text,
)
from salesflow.presentation.messages import Language, in_language, key_text, kind_name
from salesflow.presentation.table import TableOfView, html_of
from salesflow.projections.core.names import with_names
from salesflow.projections.core.question import ENVELOPE, View

__all__ = [
    "Change",
    "Comparison",
    "Figure",
    "FigureChange",
    "RecordChange",
    "compared",
]


# What is different between two records of one kind, such as two answers to one question.
#
# Rows of the same key are matched, and their figures subtracted exactly, whatever the question:
# what is a key and what a figure stands in `presentation.fields`. A row that only one answer
# has is `added` or `vanished`, and nothing is subtracted from nothing. Amounts in unlike
# currencies are never subtracted from one another: a deal that was worth 7,000 USD and is worth
# 90,000 CNY has lost the one and gained the other.
#
# Leaves out why: that is Flow (movements) and the deals' timelines.

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
    then: BaseModel, now: BaseModel, *, beside: frozenset[str] = frozenset()
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


if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


ViewT = TypeVar("ViewT", bound=View)
SIDES = ("Figure", "Compared with", "As asked", "Difference")
BEFORE, PRIOR = "before", "Prior period"
RESOLVED = "Conversion of deals that left (ratio)"
DIGITS_SHOWN, PLACES_SHOWN = 8, 4
BETWEEN = " · "
ESTIMATE_PLACES = 2
NAMES = ("_en", "_zh")
IN_WORDS = {
    *("outcome", "forecast_category", "channel", "direction", "standing", "status", "kpi"),
    *("detail", "factor", "figure", "movement", "made", "measure", "kind", "turn"),
    *("method", "reason", "happening", "state", "metric", "skill", "letter", "department"),
}
"""Fields whose values are words of ours."""
NAMED_BY_KEY = frozenset({"detail", "stage", "target"})
"""Fields that hold the key of a stage, or of what else an answer has a name for."""


@guarded_host
class Comparison(Value, Generic[ViewT]):
    """A question's answers at two moments, both of one position of the log."""

    then: ViewT
    now: ViewT

    @property
    def difference(self) -> RecordChange:
        """What is different now: figure by figure, row by row."""
        return compared(self.then, self.now, beside=ENVELOPE)

    def to_dict(self) -> dict[str, Any]:
        """Return both answers and the difference as plain JSON values."""
        return {
            "then": self.then.to_dict(),
            "now": self.now.to_dict(),
            "difference": self.difference.differences(),
        }

    def to_arrow(self, *, tidy: bool = False) -> "dict[str, pa.Table]":
        """Return both answers as Arrow tables; the column `moment` says `then` or `now`.

        See `View.to_arrow`; each schema's metadata are those of the first of both.

        Raises:
            SalesflowError: when pyarrow (the extra `analytics`) is not installed.
        """
        sides = {"then": self.then.to_arrow(tidy=tidy), "now": self.now.to_arrow(tidy=tidy)}
        return stacked(sides, "moment")

    def to_pandas(self) -> "dict[str, pd.DataFrame]":
        """Return both answers as tidy data frames; the column `moment` says `then` or `now`.

        Raises:
            SalesflowError: when pandas or pyarrow (the extra `notebook`) is not installed.
        """
        return data_frames(partial(self.to_arrow, tidy=True))

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay both answers out for people, then beside now: a table of figures, one per list.

        Of rows that have more than figures only those are shown that are not what they were.
        """
        names = {**_names_in(self.then, language), **_names_in(self.now, language)}
        writer = _Writer(language, ZoneInfo(self.now.timezone), names)
        difference = self.difference
        own, lists = self.now.tables(language), difference.lists
        title = called(_words(type(self.now).__name__.removesuffix("View")))
        about = writer.period(self.then, self.now)
        titles = [*map(called, lists)]
        if own and len(own) == len(lists):  # the lists go by the names of the view's own tables
            title, about = own[0].title, own[0].about
            titles = [table.title for table in own]
        found = [
            writer.table(named, rows)
            for named, rows in zip(titles, lists.values(), strict=True)
            if rows
        ]
        lines = tuple(writer.lines(difference._replace(lists={}), all_figures=True))
        if lines or not found:
            found = [t._replace(title="") if t.title == title else t for t in found]
            found.insert(0, TableOfView(title, SIDES, lines))
        found = [found[0]._replace(about=about), *found[1:]]
        for side in (self.now, self.then):
            found = with_names(found, side.names, language)
        return found

    def table(self, language: Language = "en", *, width: int | None = None) -> str:
        """Return both answers side by side as text for a terminal; see `View.table`."""
        from salesflow.presentation.text import text_of  # rich is loaded where it is needed

        tables = text_of(self.tables(language), language, width)
        return tables + "\n".join(self._lines(language))

    def _lines(self, language: Language) -> list[str]:
        """Return what the answers mean, and the moment of each."""
        colon = "：" if language == "zh" else ": "
        sides = (("Compared with", self.then), ("As asked", self.now))
        moments = (
            f"{in_language(label, language)}{colon}{line}"
            for label, side in sides
            for line in side.moment_lines(language)
        )
        return [*self.now.meaning_lines(language), *moments]

    def _repr_html_(self) -> str:
        """Return what a notebook shows of both answers."""
        return html_of(self.tables(), self._lines("en"))


def _names_in(view: View, language: Language) -> dict[object, str]:
    """Return by their keys what an answer has names for, in its rows or beside them."""
    found: dict[object, str] = {each.key: each.name(language) for each in view.names.labels}
    lists = [name for name, role in field_roles(type(view)).items() if role is FieldRole.LIST]
    for row in (row for name in lists for row in getattr(view, name) or ()):
        for name in NAMED_BY_KEY & {*type(row).model_fields}:
            named = getattr(row, f"{name}_{language}", None)
            if named is not None:
                found[getattr(row, name)] = named
    return found


class _Line(NamedTuple):
    figure: str
    then: str
    now: str
    difference: str


class _Writer:
    """Writes what is different in one language and time zone, by the names of an answer."""

    def __init__(
        self, language: Language, timezone: ZoneInfo, names: Mapping[object, str]
    ) -> None:
        self._language: Language = language
        self._timezone = timezone
        self._names = names

    def table(self, title: str, rows: Sequence[RecordChange]) -> TableOfView:
        """Write a list: the keys and names of each row before its lines."""
        shown = [(row, self._lines_of_row(row)) for row in rows]
        shown = [(row, lines) for row, lines in shown if lines]
        columns = self._columns([row for row, _ in shown])
        written = []
        for row, lines in shown:
            heads = [self._head(row.record, name) for name in columns]
            for number, line in enumerate(lines):
                written.append((*(heads if number == 0 else [""] * len(heads)), *line))
        same = sum(row.change == "same" for row in rows) - sum(
            row.change == "same" for row, _ in shown
        )
        notes = (f"{same:,} {in_language('unchanged', self._language)}",) if same else ()
        named = tuple(map(called, columns))
        return TableOfView(title, (*named, *SIDES), tuple(written), notes=notes)

    def lines(
        self, change: RecordChange, *, all_figures: bool, within: str = ""
    ) -> Iterator[_Line]:
        """Write a record's figures, its other traits, then the records inside."""
        for name, figure in change.figures.items():
            if _is_worth_a_line(figure, all_figures=all_figures):
                yield self._figure_line(within + self._figure(name), figure)
        for name in change.traits:
            if _is_for_people(change, name):
                sides = (self._side(change.then, name), self._side(change.now, name))
                of_period = name == BEFORE and isinstance(getattr(change.now, name), Period)
                label = self._word(PRIOR) if of_period else self._field(name)
                yield _Line(within + label, *sides, "")
        for inside, part in self._parts(change, within):
            if isinstance(part.record, Estimate):
                if all_figures or part.change != "same":
                    yield self._estimate_line(inside.removesuffix(BETWEEN), part)
            else:
                yield from self.lines(part, all_figures=all_figures, within=inside)

    def _estimate_line(self, figure: str, part: RecordChange) -> _Line:
        """Write a figure with its interval on one line."""
        sides = (s if isinstance(s, Estimate) else None for s in (part.then, part.now))
        then, now = (estimate_text(side, places=ESTIMATE_PLACES) for side in sides)
        return _Line(figure, then, now, self._signed(part.figures["value"].difference))

    def _parts(self, change: RecordChange, within: str) -> Iterator[tuple[str, RecordChange]]:
        """Yield the records inside, each with what its lines begin with."""
        for name, part in change.parts.items():
            yield f"{within}{self._figure(name)}{BETWEEN}", part
        for name, rows in change.lists.items():
            for row in rows:
                heads = (self._head(row.record, key) for key in self._columns([row]))
                yield BETWEEN.join([within + self._field(name), *heads, ""]), row

    def period(self, then: View, now: View) -> str:
        """Write the period both answers are about; nothing where it is not the same."""
        sides = {getattr(side, PERIOD, None) for side in (then, now)}
        return self._text(sides.pop()) if len(sides) == 1 and None not in sides else ""

    def _lines_of_row(self, row: RecordChange) -> list[_Line]:
        if row.change not in ("same", "changed"):
            word = self._word("not listed" if row.change == "unlisted" else row.change)
            lines = [*self.lines(row, all_figures=True)] or [_Line("", "", "", "")]
            return [lines[0]._replace(difference=word), *lines[1:]]
        only_figures = not {FieldRole.TRAIT, FieldRole.PART, FieldRole.LIST} & {
            *field_roles(type(row.record)).values()
        }
        return [*self.lines(row, all_figures=only_figures)]

    def _columns(self, rows: Sequence[RecordChange]) -> list[str]:
        """Choose the fields that head a row: keys, the same in all left out, and names."""
        if not rows:
            return []
        known = field_roles(type(rows[0].record))
        keys = [name for name in known if known[name] is FieldRole.KEY]
        telling = [
            name for name in keys if len({getattr(row.record, name) for row in rows}) > 1
        ]
        names = [n for n in known if known[n] is FieldRole.NAME and not n.endswith(NAMES)]
        return [*(telling or keys[-1:]), *names]

    def _head(self, record: BaseModel, name: str) -> str:
        """Write a key or name of a row; the last key goes by the row's own name."""
        known = field_roles(type(record))
        keys = [key for key in known if known[key] is FieldRole.KEY]
        own = getattr(record, f"name_{self._language}", None) if name in keys[-1:] else None
        return own if isinstance(own, str) else self._side(record, name)

    def _side(self, record: BaseModel | None, name: str) -> str:
        """Write one field of a record, by its name in the language where it has one."""
        if record is None:
            return ""
        named = getattr(record, f"{name}_{self._language}", None)
        value = getattr(record, name) if named is None else named
        if name == "kind" and "." in str(value):  # of a fact
            return kind_name(value, self._language)
        if name in NAMED_BY_KEY and value in self._names:
            return self._names[value]
        return self._key(value) if name in IN_WORDS and value else self._text(value)

    def _figure_line(self, named: str, figure: FigureChange) -> _Line:
        sides = (self._text(figure.then), self._text(figure.now))
        return _Line(named, *sides, self._signed(figure.difference))

    def _signed(self, difference: object) -> str:
        match difference:
            case None:
                return ""
            case tuple():
                return "\n".join(_signed_amount(t) for t in difference if t.amount) or "0"
            case int() | Decimal():
                return ("+" if difference > 0 else "") + self._text(difference)
            case _:
                return self._text(difference)

    def _text(self, value: object) -> str:
        match value:
            case bool():
                return self._word("yes" if value else "no")
            case datetime():
                return local_time(value, self._timezone, exact=False)
            case Period():
                last = value.end - timedelta(microseconds=1)
                days = (at.astimezone(self._timezone).date() for at in (value.start, last))
                return " … ".join(map(str, days))
            case tuple() if not all(isinstance(item, Total) for item in value):
                return ", ".join(map(self._text, value))
            case _:
                return _text(value)

    def _figure(self, name: str) -> str:
        """Call a figure; the same word of an objection says that it was answered."""
        return self._word(RESOLVED) if name == "resolved" else self._field(name)

    def _field(self, name: str) -> str:
        return self._word(called(name))

    def _key(self, value: object) -> str:
        return key_text(str(value), self._language)

    def _word(self, text: object) -> str:
        return in_language(str(text), self._language)


def _text(value: object) -> str:
    match value:
        case None:
            return NO_VALUE
        case int():
            return f"{value:,}"
        case Decimal():
            return f"{tidy(round(value, PLACES_SHOWN)):,f}"
        case UUID():
            return str(value)[:DIGITS_SHOWN]
        case tuple():
            return totals_text(value)
        case _:
            return str(value)


def _words(name: str) -> str:
    """Write the name of a class in words: `StageTimes` is stage_times."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _is_worth_a_line(figure: FigureChange, *, all_figures: bool) -> bool:
    is_nothing = all(side in (None, 0, ()) for side in (figure.then, figure.now))
    return not is_nothing and (all_figures or figure.then != figure.now)


def _is_for_people(change: RecordChange, name: str) -> bool:
    """Return whether a trait is shown: not ids of events, nor a currency beside amounts."""
    sides = (getattr(side, name) for side in (change.then, change.now))
    lists = (side for side in sides if isinstance(side, tuple | UuidSequence))
    ids = any(isinstance(item, UUID) for each in lists for item in each)
    return not ids and not (name == CURRENCY and AMOUNT in change.figures)


def _signed_amount(total: Total) -> str:
    text = amount_text(round(total.amount, 2), total.currency)
    return f"+{text}" if total.amount > 0 else text
