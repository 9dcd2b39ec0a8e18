"""Whether what a question is narrowed to was ever met, as known at a moment.

Reps, channels and surveys are named by texts of the caller's own, so that one nobody has heard
of is no mistake the engine can see; an empty answer then looks like a true one. Whoever shows
it can ask this.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.moments import Moment
from salesflow.domain.values import Reference
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.questions import Question, Reader, TableOfView, View
from salesflow.projections.words import Language

__all__ = ["MET", "Met", "MetView"]

Places = tuple[tuple[Any, str], ...]


class MetView(View):
    """Whether something a question is narrowed to was ever met."""

    population: ClassVar[str] = "everything known by the moment, whenever it held"
    formula: ClassVar[str] = "met = at least one deal, customer or survey has the value"
    met: bool

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out."""
        del language
        return [TableOfView("", ("Met",), ((str(self.met),),))]


class Met(Question[MetView]):
    """Was this value ever met?"""

    name: ClassVar[str] = "met"
    places: ClassVar[Places] = ()
    """The tables and columns it may stand in."""
    unmet: ClassVar[str] = ""
    """What is said where it was never met, in front of it."""
    value: Reference

    def answer(self, reader: Reader, moment: Moment) -> MetView:
        """Look for one row."""
        return MetView(moment=moment, met=any(self._rows(reader)))

    def _rows(self, reader: Reader) -> list[Any]:
        found: list[Any] = []
        for table, column in self.places:
            there = table.c[column]
            rows = sa.select(there).where(there == self._stored(), table.valid_by(reader.cut))
            found += reader.rows(rows.limit(1))
        return found

    def _stored(self) -> str | UUID:
        return self.value


class _OwnerMet(Met):
    """Was any deal ever owned by this rep?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    places: ClassVar[Places] = ((DEAL_STATE, "owner"),)
    unmet: ClassVar[str] = "no deal was ever owned by"


class _ChannelMet(Met):
    """Did any deal ever come from this lead source?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    places: ClassVar[Places] = ((DEAL_STATE, "lead_source"),)
    unmet: ClassVar[str] = "no deal ever came from channel"


class _CurrencyMet(Met):
    """Was any deal ever in this currency?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    places: ClassVar[Places] = ((DEAL_STATE, "currency"),)
    unmet: ClassVar[str] = "no deal was ever in currency"


class _CustomerMet(Met):
    """Was this customer ever registered, or named by a deal?"""

    folds: ClassVar[tuple[str, ...]] = (CUSTOMER.name, DEAL_STATE.name)
    places: ClassVar[Places] = ((CUSTOMER, "entity_id"), (DEAL_STATE, "customer_id"))
    unmet: ClassVar[str] = "there was never a customer"

    def _stored(self) -> str | UUID:
        return UUID(self.value)


class _SurveyMet(Met):
    """Was this survey ever sent or answered?"""

    folds: ClassVar[tuple[str, ...]] = (FEEDBACK.name,)
    places: ClassVar[Places] = ((FEEDBACK, "survey"),)
    unmet: ClassVar[str] = "there was never a survey"


MET: Final[Mapping[str, type[Met]]] = MappingProxyType(
    {
        "owner": _OwnerMet,
        "channel": _ChannelMet,
        "currency": _CurrencyMet,
        "customer": _CustomerMet,
        "survey": _SurveyMet,
    }
)
"""By the name of a question's parameter, what finds out whether its value was ever met."""
