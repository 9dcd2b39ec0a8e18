"""Wins whose amount is far from what their deals stood at: how often such ones are corrected.

A digit too many in a signed amount makes every forecast of its quarter wrong until somebody
notices. So a win for more than three times what its deal stood at just before, or for less than
a third, is in doubt: as often as such wins were corrected before, it counts for what the deal
stood at. Leaves out who is right: that is for people to find out; the answer names the deal.

It is a module of its own, beside `range_model` which draws.

Source: P.-S. Laplace's rule of succession, for the share where few such wins were seen.
"""

from datetime import date
from typing import Final, NamedTuple

import numpy as np

from salesflow.domain.deal.outcomes import FAR_OFF
from salesflow.domain.time import DAY, Instant
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.columns import NO_LIST, NOTHING, Column, Flags, HeldRows
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.forecast.converted_rows import rows_in_currency
from salesflow.projections.table import AMOUNT_SCALE, ReadPoint

__all__ = ["WinsInDoubt", "wins_in_doubt"]

LOOKED_BACK: Final = 4
APART: Final = 91 * DAY
"""Looked at are the wins of so many spans of this length, each as it was known at its end."""


class WinsInDoubt(NamedTuple):
    """Wins of the period so far that are far from what their deals stood at."""

    won: HeldRows
    """How they closed, in order of the ids of their deals."""
    stood: Column
    """What their deals stood at just before, in millionths."""
    corrected: int
    """How many of a million such wins are corrected."""

    def none(self) -> "WinsInDoubt":
        """Return none of them."""
        return WinsInDoubt(self.won.where(np.zeros(len(self.won), np.bool_)), NO_LIST, 0)

    def converted(self, exchange: CurrencyConverter, day: date) -> "WinsInDoubt":
        """Return them in the currency asked for; those without a rate are left out."""
        every = np.ones(len(self.won), np.bool_)
        won, [stood] = rows_in_currency(self.won, every, exchange, day, self.stood)
        some = won.known("currency")
        return self._replace(won=won.where(some), stood=stood[some])


def wins_in_doubt(
    won: HeldRows, reader: Reader, at: ReadPoint, process: str | None
) -> WinsInDoubt:
    """Return which of some wins are in doubt, as known at a moment."""
    if not len(won):
        return WinsInDoubt(won, won.amounts(), 0)
    states = reader.columns(DEAL_STATE, as_of=at.as_of, known_at=at.known_at, ended=True)
    far, stood = _far_off(won, states, at.known_at)
    if not far.any():
        return WinsInDoubt(won, stood, 0).none()
    places = np.flatnonzero(far)
    ids = won.cells("entity_id", places)
    places = places[sorted(range(len(ids)), key=ids.__getitem__)]
    seen, corrected = _seen_before(states, reader, at, process)
    share = AMOUNT_SCALE * (corrected + 1) // (seen + 2)
    return WinsInDoubt(won.ordered(places), stood[places], share)


def _seen_before(
    states: HeldRows, reader: Reader, at: ReadPoint, process: str | None
) -> tuple[int, int]:
    """Return how many wins were in doubt before, and how many of them were corrected since."""
    closing = reader.columns(CLOSING, as_of=at.as_of, known_at=at.known_at)
    seen = corrected = 0
    for back in range(1, LOOKED_BACK + 1):
        then = at.as_of - back * APART
        won = reader.columns(CLOSING, as_of=then, known_at=min(then, at.known_at))
        won = won.where(won.has("outcome", "won") & won.fitting({"process": process}))
        won = won.where(won["closed"] > then - APART)
        won = won.where(_far_off(won, states, at.known_at)[0])
        seen += len(won)
        corrected += len(won) - int(np.count_nonzero(_still_so(won, closing)))
    return seen, corrected


def _far_off(won: HeldRows, states: HeldRows, known_at: Instant) -> tuple[Flags, Column]:
    """Return which wins are far from what their deals stood at before, and what that is."""
    row = _row_before(won, states, known_at)
    stood = np.where(row >= 0, np.append(states.amounts(), 0)[row], 0)
    alike = np.append(states["currency"], NOTHING)[row] == won["currency"]
    some = (row >= 0) & alike & won.known("currency") & (stood > 0)
    amount = won.amounts()
    far: Flags = some & ((amount // FAR_OFF > stood) | (stood // FAR_OFF > amount))
    return far, stood


def _row_before(won: HeldRows, states: HeldRows, known_at: Instant) -> Column:
    """Return which row says how each deal stood just before it was won; -1 where none does."""
    here = np.flatnonzero(states.has("outcome", "open"))
    here = here[places_among(won["entity_id"], states["entity_id"][here]) >= 0]
    deal = places_among(won["entity_id"], states["entity_id"][here])
    before = won["closed"][deal] - 1
    stood = states["valid_from"][here] <= before
    stood &= states.until(known_at)[here] > before
    found = np.full(len(won), -1)
    found[deal[stood]] = here[stood]
    return found


def _still_so(then: HeldRows, now: HeldRows) -> Flags:
    """Return which wins are recorded for the same amount still."""
    place = places_among(now["entity_id"], then["entity_id"])
    same: Flags = (place >= 0) & np.append(now.has("outcome", "won"), False)[place]
    for name in ("amount", "currency"):
        same &= np.append(now[name], NOTHING)[place] == then[name]
    return same
