"""A question's answers at two moments side by side, and what is different between them.

Works for every question: what tells rows apart and what can be subtracted stands in
`presentation.fields`. Both answers stand at the same position of the log, so what lies between
them is the world's doing, or what was learned, and no accident of when they were read.
"""

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from salesflow.domain.arguments import guarded_host
from salesflow.domain.values import Value
from salesflow.presentation.arrow import data_frames, stacked
from salesflow.presentation.fields import called
from salesflow.presentation.messages import COLON, Language, in_language
from salesflow.presentation.table import TableOfView, html_of
from salesflow.projections.core.comparison_layout import (
    SIDES,
    ComparisonWriter,
    named_in_tables,
    words_of_class,
)
from salesflow.projections.core.names import with_names
from salesflow.projections.core.question import ENVELOPE, View
from salesflow.projections.core.record_changes import RecordChange, compared

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Comparison"]

ViewT = TypeVar("ViewT", bound=View)


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
        writer = ComparisonWriter(language, (self.then, self.now))
        difference = self.difference
        own, lists = self.now.tables(language), difference.lists
        title = called(words_of_class(type(self.now).__name__.removesuffix("View")))
        about = writer.period(self.then, self.now)
        titles = [named_in_tables(each, type(self.now)) for each in lists]
        if len(own) == len(lists) == 1:  # the one list goes by the name of the view's own table
            title, about = own[0].title, own[0].about
            titles = [title]
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
        colon = COLON[language]
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
