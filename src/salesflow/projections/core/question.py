"""Questions and views: what can be asked at a moment or over a period, and the frozen answer.

A question is a frozen parameter model. It takes what holds at a moment from a `Reader` (which
holds the snapshot), as columns or by selects, and returns a view. A view carries its moment,
population and formula, so that a number can never be separated from what it means.
"""

import ast
import inspect
import re
import sys
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, datetime
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    NamedTuple,
    Protocol,
    TypeVar,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import BaseModel, Field, GetJsonSchemaHandler, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError

from salesflow.domain.alike_names import perhaps
from salesflow.domain.arguments import guarded_host, internal
from salesflow.domain.calendar import Days, FiscalCalendar
from salesflow.domain.event import Event, Fact
from salesflow.domain.exchange_rates import RateTable
from salesflow.domain.time import (
    ONE_DAY,
    Instant,
    Moment,
    Period,
    from_instant,
    start_and_end,
)
from salesflow.domain.values import Day, SafeText, Value
from salesflow.domain.wording import reason_of
from salesflow.errors import InputError
from salesflow.presentation.arrow import arrow_tables, data_frames, tidy_tables
from salesflow.presentation.fields import plain
from salesflow.presentation.format import local_time, moment_line
from salesflow.presentation.messages import COLON, Language, in_language, translated, words_in
from salesflow.presentation.table import TableOfView, html_of
from salesflow.projections.core.left_out import Behind, LeftOut, Unmet
from salesflow.projections.core.names import (
    NO_NAMES,
    Names,
    named_json,
    with_name_columns,
    with_names,
)
from salesflow.projections.table import LedgerTable, Processes, ReadPoint, ReadTable

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from salesflow.projections.core.columns import HeldRows
    from salesflow.projections.core.ledger_columns import LedgerBalances

__all__ = [
    "ENVELOPE",
    "Limit",
    "PeriodQuestion",
    "Question",
    "Reader",
    "Span",
    "View",
    "described",
    "ensure_no_flag",
    "field_docstrings",
    "span_before",
    "span_of",
    "wrong_parameters",
    "wrong_value",
]


# The parameters of a question: what each of them means, and what is wrong with a value.
#
# What a parameter means stands as a docstring below its field; `help(Funnel)`, `--help` and
# JSON schemas take it from there. What is wrong is said in a short sentence: a closed list is
# named with what is right. Python and the command line say the same of the same mistake; they
# differ only in how they name a parameter. What a caller passed is repeated: parameters are no
# facts about people.

SHOWN_MAX: Final = 60
LISTED_MAX: Final = 1_000_000
Limit = Annotated[int, Field(gt=0, le=LISTED_MAX, strict=True)]
"""How many rows to list at most."""

LINE_WIDTH: Final = 88
REASONS: Final = {
    "literal_error": "{given} is not one of {expected}{perhaps}",
    "extra_forbidden": "there is no such parameter{perhaps}; there are {names}",
    "missing": "must be said",
    "string_pattern": "{given} is not a currency; write three capital letters such as CNY",
    "date_": "{given} is not a day; write one like 2026-03-31",
    "int_": "{given} is not a whole number",
    "uuid_": "{given} is not an id",
    "bool_": "{given} is neither true nor false",
}
"""What to say of a mistake, by how pydantic names it; its own words where nothing fits."""


def ensure_no_flag(value: object) -> object:
    """Refuse True and False where a whole number belongs; a number written as text is read."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "not a whole number")
    return value


def field_docstrings(cls: type) -> Mapping[str, str]:
    """Return what the docstrings below a class's own fields say, by field.

    Empty where the source is not at hand (an interactive session, a frozen program).
    """
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    return _docstrings_in(file).get(cls.__qualname__, {}) if file else {}


def described(summary: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return the docstring of a question: its summary, then each parameter with its meaning."""
    lines = [summary]
    if fields:
        lines += ["", "Parameters:"]
    for name, field in fields.items():
        text = f"{name}: {field.description or ''}".rstrip(" :")
        lines.append(fill(text, LINE_WIDTH, initial_indent="    ", subsequent_indent=" " * 8))
    return "\n".join(lines)


@cache
def _docstrings_in(file: str) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings of fields in a module, by class; a module is read once."""
    try:
        body = ast.parse(Path(file).read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return {}
    return {node.name: _docstrings_of(node) for node in body if isinstance(node, ast.ClassDef)}


def _docstrings_of(node: ast.ClassDef) -> Mapping[str, str]:
    return {
        field.target.id: " ".join(str(text.value.value).split())
        for field, text in pairwise(node.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def wrong_parameters(error: ValidationError, parameters: Iterable[str]) -> Mapping[str, str]:
    """Return what is wrong with each parameter by its name, with several by none."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        found.setdefault(name, _wrong(each, parameters))
    return found


def wrong_value(error: ValidationError) -> str:
    """Return what is wrong with a single value that was typed."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":  # which says what was given itself
        return reason_of(first)
    return _wrong(first, ())


def _wrong(error: ErrorDetails, parameters: Iterable[str]) -> str:
    given, known = repr(error.get("input")), list(parameters)
    shown = given if len(given) <= SHOWN_MAX else "this"
    named = {"expected": error.get("ctx", {}).get("expected"), "names": ", ".join(known)}
    is_word = error["type"] == "literal_error"
    among = re.findall("'([^']*)'", str(named["expected"])) if is_word else known
    meant = error.get("input") if is_word else ("", *error["loc"])[-1]
    named["perhaps"] = perhaps(str(meant), among)
    for kind, said in REASONS.items():
        if error["type"].startswith(kind):
            return said.format(given=shown, **named)
    said = reason_of({**error, "input": ""})  # which is shown here, and no text of its own type
    is_said = shown[:1] in "'\"" and shown in said
    return f"{said}, not {shown}" if error["loc"] and not is_said else said


ViewT = TypeVar("ViewT", bound="View")
ViewT_co = TypeVar("ViewT_co", bound="View", covariant=True)
ENVELOPE = {"moment", "known_since", "names", "timezone", "left_out", "behind", "unmet"}
"""What every view carries beside its answer."""
APART: Final = ("names", "unmet")
"""What JSON has in other places, or only where there is any."""


class Reader(Protocol):
    """One snapshot of the read tables and the log, cut at the question's moment."""

    @property
    def read_point(self) -> ReadPoint:
        """The moment, in the units of the tables."""

    @property
    def timezone(self) -> ZoneInfo:
        """The business time zone as known at the moment."""

    @property
    def calendar(self) -> FiscalCalendar:
        """The fiscal calendar as known at the moment."""

    @property
    def report_currency(self) -> str | None:
        """The currency reports are made in, by the settings known at the moment."""

    @property
    def processes(self) -> Processes:
        """The published process versions."""

    def published(self) -> list[str]:
        """Return the keys of all processes; looks through what was logged since last time."""

    def columns(
        self,
        table: ReadTable,
        *,
        of: UUID | None = None,
        as_of: Instant | None = None,
        known_at: Instant | None = None,
        ended: bool = False,
    ) -> "HeldRows":
        """Return the rows of a table that hold at the moment, or at instants before it.

        All of them, or those of one entity; with `ended` also those that held before. Of a
        ledger, the movements posted by then. The table has to be among the question's.
        """

    def balances(
        self, ledger: LedgerTable, instants: Sequence[Instant], known_at: Instant | None = None
    ) -> "LedgerBalances":
        """Return what stood in each cell of a ledger at some instants, as known at one.

        It is known at the moment where nothing is said. A missing currency is None.
        """

    def rows(self, select: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Run a select in the snapshot."""

    def events(self, stream_id: UUID) -> list[Event]:
        """Return a stream's events known by the moment, in the order of the log."""

    def streams(self, ids: Iterable[UUID], *kinds: type[Fact]) -> dict[UUID, list[Event]]:
        """Return the same of many streams in few queries; those without events are left out.

        Where kinds of facts are named, of these alone, which is much faster for long streams.
        """

    def tally(
        self,
        ids: Iterable[UUID],
        kinds: Iterable[type[Fact]],
        apart: Iterable[type[Fact]],
        *,
        recorded_after: Instant,
    ) -> tuple[dict[UUID, tuple[int, int]], list[UUID]]:
        """Return how many facts of some kinds streams hold, and the position of the first.

        And which of them hold facts of the kinds that are to be looked at apart. Counted are
        facts recorded after an instant and known at the moment, retracted or not, those not
        apart where they had occurred by it. Streams that hold none are left out.
        """

    def left_out(self) -> Set[UUID]:
        """Return the streams that the question's tables leave out from some event on."""

    def rates(self) -> RateTable:
        """Return the exchange rates known by the moment, whenever they were published."""


@guarded_host
class View(Value):
    """The base of all answers."""

    _instead: ClassVar[str] = "ask anew with `flow.ask`, or change what `to_dict()` gives"
    population: ClassVar[str]
    formula: ClassVar[str]
    population_zh: ClassVar[str] = ""
    formula_zh: ClassVar[str] = ""
    """The same in Chinese; where it is left out as the catalogue has it, else in English."""
    moment: Moment
    known_since: datetime | None = None
    """When the log began, for an answer of a time before that: nothing was known then."""
    timezone: SafeText = "UTC"
    """The business time zone as known at the moment, in which the tables show times."""
    names: Names = NO_NAMES
    """What the deals, customers and reps in it are called, as known at the moment."""
    unmet: tuple[Unmet, ...] = ()
    """What it is narrowed to and was never met by the moment: a rep, an owner, a channel."""
    left_out: tuple[LeftOut, ...] = ()
    """Streams that count for nothing from an event on, which cannot be read."""
    behind: Behind | None = None
    """What the answer does not know yet, where nothing could be written. It says when it was
    asked for, not what it is: asked for again at its moment, the answer is equal."""

    def __eq__(self, other: object) -> bool:
        """Compare two answers, whenever they were asked for."""
        if not isinstance(other, View) or self.behind is other.behind is None:
            return super().__eq__(other)
        here, there = (each.model_copy(update={"behind": None}) for each in (self, other))
        return super(View, here).__eq__(there)

    def __hash__(self) -> int:
        """Hash what is compared."""
        return hash((type(self), self.moment))

    @abstractmethod
    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out for people; the language is that of names, as of stages."""

    def brief_tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay out what matters most of it; all of it unless the answer says otherwise."""
        return self.tables(language)

    @internal
    def parts_with_ids(self) -> Sequence[BaseModel]:
        """Return parts that hold all of its ids: itself, unless a few of its parts do."""
        return (self,)

    @internal
    def named_tables(
        self, language: Language = "en", *, brief: bool = False
    ) -> list[TableOfView]:
        """Lay the answer out for people, with titles and names beside the ids."""
        tables = self.brief_tables(language) if brief else self.tables(language)
        return with_names(tables, self.names, language)

    def meaning(self, language: Language = "en") -> tuple[str, str]:
        """Return what is counted (the population) and how (the formula)."""
        if language == "en":
            return self.population, self.formula
        return (
            self.population_zh or translated(self.population, language),
            self.formula_zh or translated(self.formula, language),
        )

    def table(self, language: Language = "en", *, width: int | None = None) -> str:
        """Return the answer as text for a terminal: tables, meaning, moment in business time.

        Where a width is given (in characters) the tables are laid out in it; nothing is ever
        cut off.
        """
        from salesflow.presentation.text import text_of  # rich is loaded where it is needed

        tables = text_of(self.named_tables(language), language, width)
        unmet = "".join(f"{line}\n\n" for line in self.unmet_lines(language))
        below = [*self.meaning_lines(language), *self.moment_lines(language)]
        return unmet + tables + "\n".join(below)

    @internal
    def meaning_lines(self, language: Language = "en") -> list[str]:
        """Return what is counted and how, a labelled line each."""
        labels = words_in(("Scope", "Definitions"), language)
        colon = COLON[language]
        meant = zip(labels, self.meaning(language), strict=True)
        return [f"{label}{colon}{text}" for label, text in meant]

    @internal
    def unmet_lines(self, language: Language = "en") -> list[str]:
        """Return what stands above the answer: that it is about something never met."""
        return [each.sentence(language) for each in self.unmet]

    @internal
    def moment_lines(self, language: Language = "en") -> list[str]:
        """Return where on both time axes the answer stands, and what follows from that."""
        zone = ZoneInfo(self.timezone)
        lines = [each.sentence(language) for each in self.left_out]
        if self.behind is not None:
            lines.append(self.behind.sentence(language))
        if self.known_since is not None:
            since = in_language("nothing was known yet, the log begins at", language)
            lines.append(f"{since} {local_time(self.known_since, zone, exact=False)}")
        return [*lines, moment_line(self.moment, zone, language)]

    def _repr_html_(self) -> str:
        """Return what a notebook shows of the answer."""
        below = [*self.unmet_lines(), *self.meaning_lines(), *self.moment_lines()]
        return html_of(self.named_tables(), below)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain JSON values: decimals as strings, times in UTC."""
        population, formula = self.meaning()
        return {
            "question": type(self).__name__.removesuffix("View"),
            "population": population,
            "formula": formula,
            **({"unmet": plain(self.unmet)} if self.unmet else {}),
            **{
                name: named_json(plain(it), self.names)
                for name, it in self
                if name not in APART
            },
        }

    def to_arrow(self, *, tidy: bool = False) -> "dict[str, pa.Table]":
        """Return the answer as Arrow tables, one for each list of rows, by the list's name.

        What is beside the lists is a table of one row, `answer`. The moment, population and
        formula are in the metadata of each schema. With `tidy` nothing is nested: amounts and
        lists inside rows are tables of their own. Titles and names stand beside ids. See
        `salesflow.presentation.arrow`.

        Raises:
            SalesflowError: when pyarrow (the extra `analytics`) is not installed.
        """
        population, formula = self.meaning()
        labelled = {"question": type(self).__name__.removesuffix("View")}
        labelled |= {"population": population, "formula": formula}
        envelope = {**dict(self.moment), "known_since": self.known_since}
        envelope["timezone"] = self.timezone
        envelope["left_out"] = self.left_out or None
        envelope["unmet"] = self.unmet or None
        envelope["behind"] = self.behind
        labelled |= {name: str(plain(it)) for name, it in envelope.items() if it is not None}
        tables = (tidy_tables if tidy else arrow_tables)(
            self, beside=ENVELOPE, metadata=labelled
        )
        return with_name_columns(tables, self.names)

    def to_pandas(self) -> "dict[str, pd.DataFrame]":
        """Return the answer as tidy data frames for figures and plots, by the lists' names.

        Amounts and shares are floats there, days are timestamps; what has to be exact is in
        `to_arrow`.

        Raises:
            SalesflowError: when pandas or pyarrow (the extra `notebook`) is not installed.
        """
        return data_frames(partial(self.to_arrow, tidy=True))


class Question(Value, Generic[ViewT_co]):
    """The base of all questions: its fields are the parameters, its docstring the help.

    Made with a parameter that can never be right, it raises InputError, which says what is.
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    """What is asked, in a sentence: the docstring as it is written."""
    folds: ClassVar[tuple[str, ...]] = ()
    """Names of the fold tables it reads; they are caught up before it is answered."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """Describe each parameter by the docstring below its field, its bases' included."""
        written: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            if base is not Question and issubclass(base, Question):
                written |= field_docstrings(base)
        for name, field in cls.model_fields.items():
            field.description = field.description or written.get(name)
        cls.summary = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
        cls.__doc__ = described(cls.summary, cls.model_fields)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the question and its parameters in JSON schemas too."""
        found = handler.resolve_ref_schema(handler(schema))
        found["description"] = cls.summary
        for name, parameter in found.get("properties", {}).items():
            if text := cls.model_fields[name].description:
                parameter["description"] = text
        return found

    def __init__(self, /, *unnamed: object, **parameters: object) -> None:
        if unnamed:
            there = ", ".join(type(self).model_fields)
            raise InputError(
                f"{type(self).__name__}: name each parameter, as in by=…; there are {there}"
            )
        super().__init__(**parameters)

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def _complaint(cls, error: ValidationError) -> str:
        wrong = wrong_parameters(error, cls.model_fields)
        return "; ".join(": ".join(filter(None, (cls.__name__, *it))) for it in wrong.items())

    @abstractmethod
    def answer(self, reader: Reader, moment: Moment) -> ViewT_co:
        """Read the rows at the moment and give the view."""


# Periods of questions: which days are asked about, and which ones stand beside them.
#
# A question over a period takes the days `from_` (the first) and `to` (the first one after it),
# cut in the business time zone as known at the moment. Left out, it is the fiscal quarter of
# the moment, to date. Beside a fiscal month, quarter or year stands the one before it, beside
# any other period as many days before. What a period holds ends with the moment.


class Span(NamedTuple):
    """A period in the units of the tables: `[start, end)`, and the days it was cut from."""

    start: Instant
    end: Instant
    first: date
    last: date

    @property
    def opening(self) -> Instant:
        """The instant before it: where its opening balances stand."""
        return self.start - 1

    def holds(self, at: Instant) -> bool:
        """Return whether an instant lies in it."""
        return self.start <= at < self.end

    def closing(self, as_of: Instant) -> Instant:
        """Return its last instant, or the moment's where that comes first."""
        return min(self.end - 1, as_of)

    def period(self) -> Period:
        """Return it as people read it."""
        return Period.between(self.start, self.end)

    def parameters(self) -> dict[str, date]:
        """Return the parameters of a question that asks about it."""
        return {"from_": self.first, "to": self.last + ONE_DAY}


class PeriodQuestion(Question[ViewT]):
    """The base of questions over a period."""

    from_: Day | None = None
    """The first day of the period. Default: of the fiscal quarter of the moment."""
    to: Day | None = None
    """The first day after the period. Default: the day after the fiscal quarter ends."""

    def span(self, reader: Reader) -> Span:
        """Cut the period asked about.

        Raises:
            InputError: when it ends before it begins.
        """
        if self.from_ is None and self.to is None:
            days = reader.calendar.span("quarter", self.day(reader))
            return span_of(days.first, days.last, reader)
        if self.to == date.min:
            raise InputError(f"a period up to {self.to} holds no day")
        first = self.from_
        if first is None:
            assert self.to is not None
            first = reader.calendar.span("quarter", self.to - ONE_DAY).first
        after = self.to
        if after is None:
            after = reader.calendar.span("quarter", max(first, self.day(reader))).last + ONE_DAY
        if after <= first:
            raise InputError(
                f"a period from {first} to {after} holds no day; `to` is the first day after it"
            )
        return span_of(first, after - ONE_DAY, reader)

    def spans(self, reader: Reader) -> tuple[Span, Span]:
        """Cut the period asked about, and the one before that stands beside it; see `span`."""
        span = self.span(reader)
        return span, span_before(span, reader)

    def day(self, reader: Reader) -> date:
        """Return the business day of the moment."""
        return from_instant(reader.read_point.as_of).astimezone(reader.timezone).date()


def span_of(first: date, last: date, reader: Reader) -> Span:
    """Cut whole business days, the first and the last included."""
    return Span(*start_and_end(first, last, reader.timezone), first, last)


def span_before(span: Span, reader: Reader) -> Span:
    """Cut the period to compare one with: the fiscal one before, or as many days before."""
    return span_of(*reader.calendar.days_before(Days(span.first, span.last)), reader)
