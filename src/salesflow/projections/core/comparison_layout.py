"""How what is different between two answers is laid out for people, whatever the question.

It is a module of its own: words and columns, and nothing that is compared.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from salesflow.domain.ids import UuidSequence
from salesflow.domain.metric import METRICS
from salesflow.domain.time import Period
from salesflow.domain.values import tidy
from salesflow.presentation.fields import CALLED_IN, FieldRole, bare, called, field_roles
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    Total,
    amount_text,
    local_time,
    short_id,
    totals_text,
)
from salesflow.presentation.messages import Language, in_language, key_text, kind_name
from salesflow.presentation.table import TableOfView
from salesflow.presentation.value_text import is_closed_list, metric_name
from salesflow.projections.core.figure_units import FigureWriter
from salesflow.projections.core.question import View
from salesflow.projections.core.record_changes import (
    AMOUNT,
    CURRENCY,
    PERIOD,
    FigureChange,
    RecordChange,
)

__all__ = ["SIDES", "ComparisonWriter", "named_in_tables", "names_in", "words_of_class"]


SIDES = ("Figure", "Compared with", "As asked", "Difference")
BEFORE, PRIOR = "before", "Prior period"
RESOLVED = "Conversion of deals that left (ratio)"
PLACES_SHOWN = 4
BETWEEN = " · "
NAMES = ("_en", "_zh")
IN_WORDS = {
    *("outcome", "forecast_category", "channel", "direction", "standing", "status", "kpi"),
    *("detail", "factor", "figure", "movement", "made", "measure", "kind", "turn"),
    *("method", "reason", "happening", "state", "metric", "skill", "letter", "department"),
    *("verdict", "towards", "unmatched", "stay_changed"),
}
"""Fields whose values are words of ours."""
AS_IN_TABLES = {
    "actual": "Result",
    "adjusted": "Baseline-adjusted difference",
    "amounts": "Amount",
    "before_after": "Before and after",
    "bias": "Bias of the middle",
    "cohorts": "Starts compared",
    "conversion_change": "Change of conversion",
    "csat": "CSAT top box",
    "cycle": "Sales cycle",
    "days_left": "Working days left",
    "days_mean": "Mean days",
    "days_median": "Median days",
    "days_p90": "P90 days",
    "deals_overdue": "Overdue",
    "detectable": "Smallest effect that could be seen",
    "effect": "What it moved",
    "error": "Error of the middle",
    "everybody": "Whole company",
    "expected_now": "Expected by now",
    "few": "Rests on few",
    "figures_before": "Figures, prior period",
    "gap": "Still missing",
    "held_share": "Share that held",
    "lines_before": "Lines, prior period",
    "n": "Rests on",
    "n_after": "Rests on, after",
    "n_before": "Rests on, before",
    "next_conversion": "Next lowest conversion lies higher by",
    "per_day": "Sales velocity per day",
    "placebo_adjusted": "Placebo, baseline-adjusted",
    "placebo_changes": "Placebo, mean changes",
    "repeat_rate": "Repeat purchase rate",
    "stay_change": "Change of median days",
    "target": "Target value",
    "told_apart": "Clearly lower than the next",
    "total_before": "Total, prior period",
    "towards": "Moved",
    "units": "Compared one by one",
    "unmatched": "Why nobody is compared",
    "version_change": "New version - others",
    "won_mean": "Mean amount won",
}
"""What the tables of answers call figures; others go by their names (`fields.called`)."""
PARTS_IN_TABLES = {
    "changes": "Difference of mean changes",
    "compared": "Group compared",
    "treated": "Group that changed",
}
"""What tables call records inside, where a list or a figure of another answer has that name."""
EVENTS = frozenset({"position", "event_id"})
"""Keys that name an event, which say nothing to people."""
WHOSE = ("deal", "customer", "alert", "factor")
"""Fields that say of what an event is."""
OF_METRICS = frozenset({"metric", "kpi", "figure"})
"""Fields that hold the key of a metric, where they hold one."""
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

    def __init__(self, language: Language, views: tuple[View, View]) -> None:
        """Take both answers, the one asked for last, and what they have names for."""
        self._language: Language = language
        self._views = views
        self._timezone = ZoneInfo(views[1].timezone)
        self._names = {key: name for v in views for key, name in names_in(v, language).items()}

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
        record = type(rows[0].record) if rows else None
        named = tuple(named_in_tables(each, record) for each in columns)
        return TableOfView(title, (*named, *SIDES), tuple(written), notes=notes)

    def lines(
        self, change: RecordChange, *, all_figures: bool, within: str = ""
    ) -> Iterator[_Line]:
        """Write a record's figures, its other traits, then the records inside."""
        for name, figure in change.figures.items():
            if _is_worth_a_line(figure, all_figures=all_figures):
                line = within + self._figure(name, change)
                yield self._figure_line(line, figure, name, change)
        for name in change.traits:
            if _is_for_people(change, name):
                yield self._trait_line(within, name, change)
        for name in change.parts:
            yield from self._of_part(within, name, change, all_figures=all_figures)
        for inside, row in self._rows_inside(change, within):
            yield from self.lines(row, all_figures=all_figures, within=inside)

    def _of_part(
        self, within: str, name: str, change: RecordChange, *, all_figures: bool
    ) -> Iterator[_Line]:
        """Write a record inside: a figure with its interval on one line, others as records."""
        part, named = change.parts[name], PARTS_IN_TABLES.get(name)
        figure = within + (self._figure(name, change) if named is None else self._word(named))
        if not isinstance(part.record, Estimate):
            yield from self.lines(part, all_figures=all_figures, within=figure + BETWEEN)
        elif all_figures or part.change != "same":
            yield self._estimate_line(figure, part, name, change)

    def _trait_line(self, within: str, name: str, change: RecordChange) -> _Line:
        then, now = self._side(change.then, name), self._side(change.now, name)
        of_period = name == BEFORE and isinstance(getattr(change.now, name), Period)
        label = self._word(PRIOR) if of_period else self._field(name, change)
        return _Line(within + label, then, now, "")

    def _estimate_line(
        self, figure: str, part: RecordChange, name: str, change: RecordChange
    ) -> _Line:
        """Write a figure with its interval on one line."""
        sides = (s if isinstance(s, Estimate) else None for s in (part.then, part.now))
        before, after = (
            NO_VALUE if writer is None else writer.estimate(name, side)
            for writer, side in zip(self._writers(change), sides, strict=True)
        )
        difference = part.figures["value"].difference
        return _Line(figure, before, after, self._signed(difference, name, change))

    def _writers(self, change: RecordChange) -> Iterator[FigureWriter | None]:
        """Yield who writes the figures of either side of a record."""
        for side, view in zip((change.then, change.now), self._views, strict=True):
            yield None if side is None else FigureWriter(side, view, self._language)

    def _rows_inside(
        self, change: RecordChange, within: str
    ) -> Iterator[tuple[str, RecordChange]]:
        """Yield the rows of lists inside, each with what its lines begin with."""
        for name, rows in change.lists.items():
            for row in rows:
                heads = (self._head(row.record, key) for key in self._columns([row]))
                yield BETWEEN.join([within + self._field(name, change), *heads, ""]), row

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
        return [*_named_by_what(telling or keys[-1:], [row.record for row in rows]), *names]

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
        if isinstance(value, Decimal):
            return FigureWriter(record, self._views[1], self._language).figure(name, value)
        if name == "kind" and "." in str(value):  # of a fact
            return kind_name(value, self._language)
        if name in OF_METRICS and value in METRICS:
            return metric_name(value, self._language)
        if name in NAMED_BY_KEY and value in self._names:
            return self._names[value]
        kind = type(record).model_fields[name].annotation
        is_word = name in IN_WORDS or is_closed_list(kind)
        return self._words(value) if value and is_word else self._text(value)

    def _words(self, value: object) -> str:
        return ", ".join(map(self._key, value if isinstance(value, tuple) else (value,)))

    def _figure_line(
        self, named: str, figure: FigureChange, name: str, change: RecordChange
    ) -> _Line:
        then, now = (
            writer.figure(name, side)
            if writer and isinstance(side, Decimal)
            else self._text(side)
            for writer, side in zip(
                self._writers(change), (figure.then, figure.now), strict=True
            )
        )
        return _Line(named, then, now, self._signed(figure.difference, name, change))

    def _signed(self, difference: object, name: str, change: RecordChange) -> str:
        writer = [*self._writers(change)][1]
        match difference:
            case Decimal() if writer is not None:
                return writer.difference(name, difference)
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

    def _figure(self, name: str, change: RecordChange) -> str:
        """Call a figure; the same word of an objection says that it was answered."""
        return self._word(RESOLVED) if name == "resolved" else self._field(name, change)

    def _field(self, name: str, change: RecordChange) -> str:
        return self._word(named_in_tables(name, type(change.record)))

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
            return short_id(value)
        case tuple():
            return totals_text(value)
        case _:
            return str(value)


def _named_by_what(keys: Sequence[str], rows: Sequence[BaseModel]) -> list[str]:
    """Put whose a row is, and its day, in the place of the event behind it where they tell."""
    fields = type(rows[0]).model_fields
    days = [name for name in fields if bare(fields[name].annotation) is datetime]
    of_deal = [n for n in WHOSE if any(getattr(row, n, None) is not None for row in rows)]
    told = dict.fromkeys([*of_deal, *days[:1]])
    if not told or not EVENTS & {*keys}:
        return [*keys]
    named = [*told, *(key for key in keys if key not in EVENTS and key not in told)]
    apart = {tuple(str(getattr(row, name)) for name in named) for row in rows}
    return named if len(apart) == len(rows) else [*named, *(k for k in keys if k in EVENTS)]


def named_in_tables(name: str, record: type | None = None) -> str:
    """Call a field of a record as the tables of answers do."""
    is_own = record is not None and (record.__name__, name) in CALLED_IN
    return called(name, record) if is_own else AS_IN_TABLES.get(name) or called(name)


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
