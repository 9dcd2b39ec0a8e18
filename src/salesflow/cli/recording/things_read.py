"""Things with a key as they stand at a moment, each kind read once, and how they are written.

It is a module of its own beside those that lay things out, which all read by it.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from salesflow.cli.things.ids import Called
from salesflow.cli.things.known_things import ids_of_things
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.calendar import Days
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.rep import Rep
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.statement import Statement
from salesflow.domain.time import ONE_DAY, Moment, instant_of
from salesflow.errors import HistoryError, NotFoundError
from salesflow.presentation.format import short_id, span_text
from salesflow.presentation.messages import Language, in_language, key_text
from salesflow.presentation.value_text import ValueText
from salesflow.projections.incentives.commission_statement import CommissionStatement

if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

__all__ = ["ThingsRead"]


LISTED_MAX: Final = 100_000
ThingT = TypeVar("ThingT", bound=Aggregate)


class ThingsRead:
    """What is read of things at one moment, and how their values are written."""

    def __init__(
        self,
        flow: "SalesFlow",
        language: Language,
        *,
        as_of: str | None = None,
        known_at: str | None = None,
    ) -> None:
        self.flow = flow
        self.language: Language = language
        self.as_of = as_of
        self.known_at = known_at
        self.zone = flow.settings().timezone
        self.names = Called(flow)
        self.text = ValueText(
            language,
            self.zone,
            rep=self.names.rep,
            deal=self._deal,
            customer=self._customer,
        )
        self._read: dict[type[Aggregate], list[tuple[UUID, Aggregate]]] = {}
        self._unpaid: dict[tuple[str, str], dict[date, Decimal]] = {}

    def get(self, kind: type[ThingT], id: UUID) -> ThingT:
        """Return a thing as it stood.

        Raises:
            NotFoundError: when there was none.
        """
        return self.flow.get(kind, id, as_of=self.as_of, known_at=self.known_at)

    def every(self, kind: type[ThingT]) -> list[tuple[UUID, ThingT]]:
        """Return all things of a kind that there were, by their ids."""
        if kind not in self._read:
            self._read[kind] = [*self._all(kind)]
        return self._read[kind]  # type: ignore[return-value]

    def reps(self) -> list[Rep]:
        """Return all reps, those who left among them."""
        return [rep for _, rep in self.every(Rep)]

    def _all(self, kind: type[ThingT]) -> Iterator[tuple[UUID, ThingT]]:
        for id in ids_of_things(self.flow, kind, LISTED_MAX):
            with suppress(NotFoundError, HistoryError):
                yield id, self.get(kind, id)

    def unpaid(self, statement: Statement) -> Decimal | None:
        """Return what no statement has paid of what an issued one would say otherwise by now.

        None where nothing is: sums of what is paid and taken back may come to nothing.
        """
        said = statement.figures
        assert said is not None, "a statement that was issued says figures"
        whose = said.plan, said.rep
        if whose not in self._unpaid:
            self._unpaid[whose] = self._owed(*whose)
        return self._unpaid[whose].get(said.first_day)

    def _owed(self, plan: str, rep: str) -> dict[date, Decimal]:
        """Return what is unpaid of each period: all that the next statement would carry."""
        issued = [it.figures for _, it in self.every(Statement) if it.figures is not None]
        last = max(it.last_day for it in issued if (it.plan, it.rep) == (plan, rep))
        asked = CommissionStatement(rep=rep, plan=plan, from_=last + ONE_DAY)
        found: dict[date, Decimal] = {}
        for each in self.flow.ask(asked, as_of=self.as_of, known_at=self.known_at).differences:
            found[each.first_day] = found.get(each.first_day, Decimal(0)) + each.commission
        return found

    @cached_property
    def moment(self) -> Moment:
        """The moment at which things are read."""
        head = self.flow.log.head()
        known = head.recorded
        if self.known_at is not None:
            known = min(known, instant_of(self.known_at, self.zone))
        if self.as_of is None:
            then = self.flow.get(Settings, SETTINGS_ID).context.now
        else:
            then = instant_of(self.as_of, self.zone)
        return Moment.at(then, known, position=head.position, revision=0)

    @property
    def today(self) -> date:
        """The business day of that moment."""
        return self.moment.as_of.astimezone(self.zone).date()

    def span(self, first: date, last: date) -> str:
        """Write a span of days: a fiscal quarter as 2026-Q1, a month as 2026-04."""
        calendar = self.flow.settings().fiscal_calendar
        return calendar.quarter_name(Days(first, last)) or span_text(first, last)

    def word(self, text: str, *contexts: str) -> str:
        """Return a word of ours in the language asked for, as it is meant in a context."""
        return in_language(text, self.language, *contexts)

    def key(self, text: str) -> str:
        """Return what people read for a stored word."""
        return key_text(text, self.language)

    def _customer(self, id: UUID) -> str:
        with suppress(NotFoundError, HistoryError):
            return self.flow.get(Customer, id).name or short_id(id)
        return short_id(id)

    def _deal(self, id: UUID) -> str:
        with suppress(NotFoundError, HistoryError):
            return self.flow.get(Deal, id).title or short_id(id)
        return short_id(id)
