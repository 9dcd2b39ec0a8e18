"""What speaks against open deals, worked out for all of them at once, as columns.

Each reason is a flag and a figure for every open deal in scope. What a reason means is said by
the view. A module of its own, since here are only columns of all deals; which facts stand
behind a reason is read of the deals that are listed, in `deal_health`.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.time import DAY, FIRST_DAY, Instant, start_of_day
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, Flags, HeldRows
from salesflow.projections.core.question import Reader
from salesflow.projections.core.statistics import upper_limits
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.engagement import ENGAGEMENT
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.table import AMOUNT_SCALE

__all__ = [
    "FOLDS_READ",
    "NEVER",
    "REASONS",
    "DealMovements",
    "HealthFigures",
    "HealthLimits",
    "HealthReasonName",
    "health_figures",
]


HealthReasonName = Literal[
    "stalled",
    "overdue",
    "pushed_repeatedly",
    "amount_cut",
    "no_reply",
    "no_contact",
    "single_contact",
    "no_next_step",
    "probability_above_history",
]
REASONS: Final[tuple[HealthReasonName, ...]] = get_args(HealthReasonName)
"""Every reason, in the order in which they are told."""
FOLDS_READ: Final = tuple(
    table.name for table in (CLOSING, DEAL_STATE, ENGAGEMENT, PIPELINE, STAGE_VISIT)
)
ENDED: Final = ("won", "lost", "disqualified")
"""The outcomes of deals that make up the history of a stage."""
NO_DAY: Final = 0
NEVER: Final = -1


class HealthLimits(NamedTuple):
    """From when on something speaks against a deal."""

    no_reply_days: int
    no_contact_days: int
    pushes: int
    no_reply_from: Instant
    """What happened earlier lies back more calendar days than are allowed."""
    no_contact_from: Instant

    @classmethod
    def of(
        cls, no_reply: int, no_contact: int, pushes: int, *, today: date, zone: ZoneInfo
    ) -> "HealthLimits":
        """Return limits in calendar days back from a day, and how many pushes are allowed."""
        allowed = (no_reply, no_contact)
        earliest = (max(today.toordinal() - days, FIRST_DAY.toordinal()) for days in allowed)
        begun = (start_of_day(date.fromordinal(day), zone) for day in earliest)
        return cls(*allowed, pushes, *begun)


class DealMovements(NamedTuple):
    """Movements that lowered amounts and stand: a row each, those of a deal in order."""

    place: Column
    """The number of the deal."""
    event_id: Column
    occurred: Column
    before: Column
    """What the deal was worth before, in millionths."""


class HealthFigures(NamedTuple):
    """What was found of open deals; every column is in their order."""

    deals: HeldRows
    flags: dict[HealthReasonName, Flags]
    not_judged: tuple[HealthReasonName, ...]
    """Reasons that nothing recorded could speak for, or against."""
    entered: Column
    """When each came where it stands."""
    begun: Column
    """The position of the fact that put it there."""
    days_max: Column
    """After how many days it is stalled there; 0 for never."""
    close: Column
    """The day it is expected to close, as an ordinal; `NO_DAY` where nobody said."""
    last_contact: Column
    """`NEVER` where there was none."""
    unanswered_since: Column
    pushes: Column
    pushed: DealMovements
    """The movements that put its closing off."""
    cuts: DealMovements
    won: Column
    """Of how many deals that stood there as long and are closed, so many were won."""
    closed: Column

    @property
    def reasons(self) -> Column:
        """How many reasons speak against each."""
        found = np.zeros(len(self.deals), np.int64)
        for flags in self.flags.values():
            found += flags
        return found


def health_figures(
    reader: Reader, deals: HeldRows, limits: HealthLimits, today: date
) -> HealthFigures:
    """Work out what speaks against open deals."""
    as_of, ids = reader.read_point.as_of, deals["entity_id"]
    entered, begun = _standing(reader, ids)
    days_max = _days_max(deals, reader)
    engagement = _Engagement.read(reader, ids)
    close = _close_days(deals)
    movements = _Movements.read(reader, deals)
    pushes = np.bincount(movements.pushed.place, minlength=len(ids))
    won, closed = _history(reader, deals, as_of - entered)
    flags: dict[HealthReasonName, Flags] = {
        "stalled": (days_max > 0) & (as_of - entered > days_max * DAY),
        "overdue": (close != NO_DAY) & (close < today.toordinal()),
        "pushed_repeatedly": pushes >= limits.pushes,
        "amount_cut": np.bincount(movements.cuts.place, minlength=len(ids)) > 0,
        **engagement.flags(limits),
        "probability_above_history": (closed > 0)
        & (deals["probability"] / AMOUNT_SCALE > upper_limits(won, closed)),
    }
    return HealthFigures(
        deals,
        {name: flags[name] for name in REASONS},
        engagement.not_judged,
        entered,
        begun,
        days_max,
        close,
        engagement.last,
        engagement.unanswered_since,
        pushes,
        movements.pushed,
        movements.cuts,
        won,
        closed,
    )


def _standing(reader: Reader, ids: Column) -> tuple[Column, Column]:
    """Return since when each deal stands where it does, and by which position."""
    visits = reader.columns(STAGE_VISIT)
    row = places_among(visits["entity_id"], ids)
    return visits["valid_from"][row], visits["begun"][row]


def _days_max(deals: HeldRows, reader: Reader) -> Column:
    """Return after how many days each deal is stalled where it stands; 0 for never."""
    alike = grouped(deals["process"], deals["process_version"], deals["stage"])
    found = []
    for process, version, stage in deals.records(
        "process", "process_version", "stage", rows=alike.first
    ):
        known = reader.processes[process, version].by_key.get(stage)
        found.append(0 if known is None else known.max_days or 0)
    return np.array(found, np.int64)[alike.of]


def _close_days(deals: HeldRows) -> Column:
    alike = grouped(deals["expected_close"])
    days = deals.cells("expected_close", alike.first)
    ordinals = [NO_DAY if day is None else date.fromisoformat(day).toordinal() for day in days]
    return np.array(ordinals, np.int64)[alike.of]


class _Engagement(NamedTuple):
    """What was said with the customers of deals, and of what anything is recorded at all."""

    opened: Column
    contacts: Column
    last: Column
    unanswered_since: Column
    people: Column
    has_next_step: Flags
    not_judged: tuple[HealthReasonName, ...]

    @classmethod
    def read(cls, reader: Reader, ids: Column) -> "_Engagement":
        rows, closing = reader.columns(ENGAGEMENT), reader.columns(CLOSING)
        opened = closing["opened"][places_among(closing["entity_id"], ids)]
        row = places_among(rows["entity_id"], ids)
        known = row >= 0

        def of(name: str) -> Column:
            if not len(rows):
                return np.zeros(len(ids), np.int64)
            return np.where(known, rows[name][row], 0)

        unanswered = of("unanswered")
        return cls(
            opened,
            of("contacts"),
            np.where(known, of("last_contact"), NEVER),
            np.where(unanswered > 0, of("unanswered_since"), NEVER),
            of("people"),
            of("next_step") == 1,
            tuple(_not_judged(reader.columns(ENGAGEMENT, ended=True))),
        )

    def flags(self, limits: HealthLimits) -> dict[HealthReasonName, Flags]:
        """Return the reasons that follow from talks; none of what nobody records."""
        talked = self.contacts > 0
        since = np.where(talked, self.last, self.opened)
        waiting = (self.unanswered_since != NEVER) & (
            self.unanswered_since < limits.no_reply_from
        )
        found: dict[HealthReasonName, Flags] = {
            "no_reply": waiting,
            "no_contact": since < limits.no_contact_from,
            "single_contact": self.people == 1,
            "no_next_step": talked & ~self.has_next_step,
        }
        for name in self.not_judged:
            found[name] = np.zeros(len(talked), np.bool_)
        return found


def _not_judged(rows: HeldRows) -> Iterator[HealthReasonName]:
    """Yield the reasons that nobody records anything for: they would be told of all deals.

    `rows` are those of every contact by then: somebody may have named a next step before.
    """
    if not len(rows):
        yield from ("no_reply", "no_contact", "single_contact", "no_next_step")
        return
    recorded: tuple[tuple[HealthReasonName, str], ...] = (
        ("no_reply", "replies"),
        ("single_contact", "people"),
        ("no_next_step", "next_step"),
    )
    for name, column in recorded:
        if not (rows[column] > 0).any():
            yield name


class _Movements(NamedTuple):
    """The movements of open deals that stand: what put a closing off, what cut an amount."""

    pushed: DealMovements
    cuts: DealMovements

    @classmethod
    def read(cls, reader: Reader, deals: HeldRows) -> "_Movements":
        rows = reader.columns(PIPELINE)
        rows = rows.where(rows.has("kind", "pushed", "decreased"))
        place = places_among(deals["entity_id"], rows["entity_id"])
        mine = (place >= 0) & rows.has("left_outcome", "open")
        rows, place = rows.where(mine), place[mine]
        pushed = rows.has("kind", "pushed")
        lowered = ~pushed & rows.known("left_currency")
        lowered &= rows["left_currency"] == rows["entered_currency"]
        lowered &= rows["left_currency"] == deals["currency"][place]
        worth = deals.amounts()
        return cls(_standing_cuts(rows, place, pushed), _uncovered(rows, place, lowered, worth))


def _standing_cuts(rows: HeldRows, place: Column, wanted: Flags) -> DealMovements:
    """Return some movements that were not taken back, those of a deal in order."""
    rows, place = rows.where(wanted), place[wanted]
    position, before = rows["position"], rows["left_amount"]
    alike = grouped(place, position, before, rows["entered_amount"])
    first = alike.first[alike.sums(rows["sign"]) > 0]
    order = first[np.lexsort([position[first], rows["occurred"][first], place[first]])]
    return DealMovements(
        place[order], rows["event_id"][order], rows["occurred"][order], before[order]
    )


def _uncovered(rows: HeldRows, place: Column, wanted: Flags, worth: Column) -> DealMovements:
    """Return the cuts after which a deal was never again worth what it was before."""
    cuts = _standing_cuts(rows, place, wanted)
    kept = np.zeros(len(cuts.place), np.bool_)
    reached: dict[int, int] = {}
    for number in range(len(kept) - 1, -1, -1):  # few amounts are ever cut
        deal, before = int(cuts.place[number]), int(cuts.before[number])
        if before > reached.get(deal, int(worth[deal])):
            reached[deal], kept[number] = before, True
    return DealMovements(*(column[kept] for column in cuts))


def _history(reader: Reader, deals: HeldRows, age: Column) -> tuple[Column, Column]:
    """Return of each deal how many that stood in its stage as long are won, and are closed."""
    closing = reader.columns(CLOSING)
    closing = closing.where(closing.has("outcome", *ENDED))
    visits = reader.columns(STAGE_VISIT, ended=True)
    closed = places_among(closing["entity_id"], visits["entity_id"])
    kept = (closed >= 0) & visits.has("outcome", "open")
    visits, closed = visits.where(kept), closed[kept]
    until = np.minimum(visits.until(reader.read_point.known_at), reader.read_point.as_of)
    lasted = until - visits["valid_from"]
    alike = grouped(closed, visits["process"], visits["stage"])
    longest, first = alike.greatest(lasted), alike.first
    is_won = closing.has("outcome", "won")[closed[first]]
    process, stage = visits["process"][first], visits["stage"][first]
    won, ended = np.zeros(len(deals), np.int64), np.zeros(len(deals), np.int64)
    places = grouped(deals["process"], deals["stage"])
    for here in places.rows():
        there = process == deals["process"][here[0]]
        there &= stage == deals["stage"][here[0]]
        ended[here] = _as_long(longest[there], age[here])
        won[here] = _as_long(longest[there & is_won], age[here])
    return won, ended


def _as_long(lasted: Column, age: Column) -> Column:
    """Return how many lasted at least as long as each age."""
    return len(lasted) - np.searchsorted(np.sort(lasted), age, "left")
