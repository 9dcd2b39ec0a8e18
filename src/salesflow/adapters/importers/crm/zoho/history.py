"""Tells what Modified_Time means in a stage history of Zoho: when a stage was entered, or left.

Each row is one visit to a stage. Most accounts, and the handbook, have in Modified_Time when it
was entered; in some it is when the deal moved on to what Moved_To__s names. Nothing in a row
says which: deals do, of which the first visit begins when the deal was created, the last when
Stage_Modified_Time says so, and every visit lasts as many days as its duration says. So the
history of the first some thousand deals is looked at before any is read. It is a module of its
own, as it is about one question alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

from salesflow.domain.time import Instant
from salesflow.domain.wording import Message

__all__ = ["HistoryReading", "TimeMeaning"]


TimeMeaning = Literal["entered", "left"]
DEALS_MAX: Final = 5_000
ROWS_MAX: Final = 100
"""So many deals are looked at, and so many rows of each."""
SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
AT_ONCE: Final = 120 * SECOND
"""A deal is in its first stage so soon after it was created."""
SAME: Final = 2 * SECOND


class _Visit(NamedTuple):
    at: Instant
    stage: str
    moved_to: str | None
    days: int | None


class HistoryReading:
    """What the histories of an export show of their times."""

    def __init__(self) -> None:
        self._deals: dict[str, Mapping[str, Any]] = {}
        self._rows: dict[str, list[Mapping[str, Any]]] = {}
        self.meaning: TimeMeaning = "entered"
        self._votes: dict[TimeMeaning, int] = {"entered": 0, "left": 0}

    def see_deal(self, id: str, values: Mapping[str, Any]) -> None:
        """Note when a deal was created, and came where it stands now."""
        if id in self._rows or len(self._deals) < DEALS_MAX:
            wanted = ("createdtime", "stagemodifiedtime")
            self._deals[id] = {name: values[name] for name in wanted if name in values}

    def see_visit(self, id: str, values: Mapping[str, Any]) -> None:
        """Note a row of the history."""
        rows = self._rows.get(id)
        if rows is None:
            if len(self._rows) >= DEALS_MAX:
                return
            rows = self._rows[id] = []
        if len(rows) < ROWS_MAX:
            wanted = ("stage", "movedtos", "modifiedtime", "stagedurationcalendardays")
            rows.append({name: values[name] for name in wanted if name in values})

    def decide(self, instant: Callable[[object], Instant | None]) -> TimeMeaning:
        """Return what most deals show, entered where they show nothing."""
        for id, rows in self._rows.items():
            visits = sorted(_visits(rows, instant), key=lambda visit: visit.at)
            deal = self._deals.get(id, {})
            times = [instant(deal.get(name)) for name in ("createdtime", "stagemodifiedtime")]
            score = _score(visits, times[0], times[1])
            if score:
                self._votes["entered" if score > 0 else "left"] += 1
        votes = self._votes
        self.meaning = "left" if votes["left"] > votes["entered"] else "entered"
        return self.meaning

    def assumed(self) -> list[Message]:
        """Return which meaning was taken, and why; nothing without a history."""
        if not self._rows:
            return []
        votes, all = self._votes, len(self._rows)
        if self.meaning == "left":
            return [
                Message(
                    "Modified_Time of the stage history is read as when a stage was left, for"
                    " Moved_To__s: {deals} of {all} deals show it, {others} the opposite",
                    deals=votes["left"],
                    all=all,
                    others=votes["entered"],
                )
            ]
        if not any(votes.values()):
            return [
                Message(
                    "Modified_Time of the stage history is read as when a stage was entered, as"
                    " Zoho documents it; nothing in this export shows whether that fits"
                )
            ]
        return [
            Message(
                "Modified_Time of the stage history is read as when a stage was entered, as"
                " Zoho documents it: {deals} of {all} deals show it, {others} the opposite",
                deals=votes["entered"],
                all=all,
                others=votes["left"],
            )
        ]


def _visits(
    rows: Sequence[Mapping[str, Any]], instant: Callable[[object], Instant | None]
) -> list[_Visit]:
    found = []
    for row in rows:
        at, days = instant(row.get("modifiedtime")), str(row.get("stagedurationcalendardays"))
        if at is not None:
            whole = int(days) if days.isascii() and days.isdigit() and len(days) < 6 else None
            moved_to = row.get("movedtos")
            found.append(_Visit(at, str(row.get("stage")), moved_to and str(moved_to), whole))
    return found


def _score(visits: Sequence[_Visit], created: Instant | None, now: Instant | None) -> int:
    """Return how much speaks for `entered`, less what speaks for `left`."""
    if not visits:
        return 0
    score = 0
    if created is not None:
        soon = abs(visits[0].at - created) <= AT_ONCE
        score += 2 if soon else -1 * (visits[0].moved_to is not None)
    if now is not None:
        score += _of_the_last(visits, now)
    return score + sum(_of_lengths(a, b, c) for a, b, c in _threes(visits))


def _of_the_last(visits: Sequence[_Visit], now: Instant) -> int:
    """Return what it shows which visit has the time at which the deal came where it stands.

    That is the visit that goes on, or the one that ended then.
    """
    then = {visit.moved_to is None for visit in visits if abs(visit.at - now) <= SAME}
    return {frozenset({True}): 2, frozenset({False}): -2}.get(frozenset(then), 0)


def _threes(
    visits: Sequence[_Visit],
) -> Iterator[tuple[_Visit | None, _Visit, _Visit | None]]:
    """Yield each visit with the one before it and the one behind it."""
    yield from zip([None, *visits], visits, [*visits[1:], None], strict=False)


def _of_lengths(before: _Visit | None, visit: _Visit, behind: _Visit | None) -> int:
    """Return what it shows how many days a visit lasted."""
    if visit.days is None or before is None or behind is None:
        return 0
    left, entered = ((b.at - a.at) / DAY for a, b in pairwise((before, visit, behind)))
    fits = [abs(days - visit.days) <= 1 for days in (entered, left)]
    return 0 if fits[0] == fits[1] else (1 if fits[0] else -1)
