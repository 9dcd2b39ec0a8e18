"""Whether a rep ever owned a deal, as known at a moment.

Reps are named by ids of the caller's own, so that one nobody has heard of is no mistake the
engine can see; an empty answer then looks like a true one. Whoever shows it can ask this.
"""

from typing import Any, ClassVar

import sqlalchemy as sa

from salesflow.domain.moments import Moment
from salesflow.domain.values import Reference
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.questions import Question, Reader, TableOfView, View
from salesflow.projections.words import Language

__all__ = ["OwnerMet", "OwnerMetView"]


class OwnerMetView(View):
    """Whether any deal was ever owned by a rep."""

    population: ClassVar[str] = "every deal known by the moment, whenever it was owned"
    formula: ClassVar[str] = "met = at least one deal was owned by the rep at some time"
    met: bool

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out."""
        del language
        return [TableOfView("", ("Owner",), ((str(self.met),),))]


class OwnerMet(Question[OwnerMetView]):
    """Was any deal ever owned by this rep?"""

    name: ClassVar[str] = "owner-met"
    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    owner: Reference

    def answer(self, reader: Reader, moment: Moment) -> OwnerMetView:
        """Look for one row."""
        c = DEAL_STATE.c
        mine = sa.select(c.owner).where(c.owner == self.owner, DEAL_STATE.valid_by(reader.cut))
        owned: sa.Select[Any] = mine.limit(1)
        return OwnerMetView(moment=moment, met=bool(reader.rows(owned)))
