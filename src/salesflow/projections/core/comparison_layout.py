"""How what is different between two answers is laid out for people, whatever the question.

It is a module of its own: words and columns, and nothing that is compared.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from salesflow.domain.ids import UuidSequence
from salesflow.domain.time import Period
from salesflow.domain.values import tidy
from salesflow.presentation.fields import FieldRole, called, field_roles
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    Total,
    amount_text,
    estimate_text,
    local_time,
    totals_text,
)
from salesflow.presentation.messages import Language, in_language, key_text, kind_name
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.question import View
from salesflow.projections.core.record_changes import (
    AMOUNT,
    CURRENCY,
    PERIOD,
    FigureChange,
    RecordChange,
)

__all__ = ["SIDES", "ComparisonWriter", "names_in", "words_of_class"]


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


def names_in(view: View, language: Language) -> dict[object, str]:
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


class ComparisonWriter:
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


def words_of_class(name: str) -> str:
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
