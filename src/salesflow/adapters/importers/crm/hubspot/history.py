"""The history of the properties of a deal of HubSpot, put together step by step.

A module of its own, to keep the order of changes from what they say.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any, Final, NamedTuple

from salesflow.adapters.importers.crm.records import CrmDeal, HistoryRecord
from salesflow.adapters.importers.errors import Adjustment
from salesflow.adapters.importers.ids import AN_ACTOR, ensure_storable
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.time import from_instant

__all__ = [
    "PropertyChange",
    "actor_of",
    "by_time",
    "first_currency",
    "iso_of",
    "open_with",
    "with_reasons",
]


AT_CREATION: Final = timedelta(minutes=1)
"""What is set within it is what a deal was created with, saved one after another."""


BEFORE_CREATION: Final = "lies behind its first change; opened with that"


class PropertyChange(NamedTuple):
    """A value that a property had from a time on."""

    place: int
    at: ReadTime
    name: str
    value: str | None
    actor: str | None


def by_time(
    changes: Sequence[PropertyChange], opened: ReadTime | None
) -> list[list[PropertyChange]]:
    """Group changes by their time; what was set at the creation of a deal belongs together."""
    newest_last = changes[::-1]
    firsts: set[str] = set()
    groups: list[list[PropertyChange]] = []
    for change in sorted(newest_last, key=lambda each: each.at.instant):
        first = change.name not in firsts
        firsts.add(change.name)
        if first and opened is not None and opened.day is None:
            late = change.at.instant - opened.instant
            if 0 < late <= AT_CREATION // timedelta(microseconds=1):
                change = change._replace(at=opened)
        last = groups[-1] if groups else None
        same = last is not None and last[0].at.instant == change.at.instant
        if last is not None and same and all(each.name != change.name for each in last):
            last.append(change)
        else:
            groups.append([change])
    return groups


def first_currency(changes: Sequence[PropertyChange]) -> str | None:
    """Return the currency a deal had first, as far as its history says."""
    told = [each for each in changes if each.name == "dealcurrencycode" and each.value]
    return min(told, key=lambda each: each.at.instant).value if told else None


def with_reasons(steps: Sequence[HistoryRecord]) -> list[HistoryRecord]:
    """Return steps, each with the reason for a loss that was in force until the next one."""
    found: list[HistoryRecord] = []
    reason: object = None
    following = iter(steps[1:])
    for step in steps:
        after = next(following, None)
        if "loss_reason" in step.after:
            reason = step.after["loss_reason"]
        elif "stage" in step.after and after is not None and "stage" not in after.after:
            reason = after.after.get("loss_reason", reason)
        values = {**step.after}
        if "stage" in values and reason is not None:
            values["loss_reason"] = reason
        found.append(step._replace(after=values))
    return found


def actor_of(entry: Mapping[str, Any]) -> str | None:
    """Return who changed it, where that was a person."""
    user = entry.get("updatedByUserId") or entry.get("updatedbyuserid")
    if user:
        return ensure_storable(str(user), AN_ACTOR)
    source = str(entry.get("sourceId") or entry.get("sourceid") or "")
    user = source.removeprefix("userId:") if source.startswith("userId:") else None
    return ensure_storable(user, AN_ACTOR) if user else None


def open_with(deal: CrmDeal, first: ReadTime | None) -> None:
    """Open a deal with its first change of stage where its record says a later time."""
    opened, place = deal.opened, deal.place
    if opened is None or first is None or place is None or opened.instant <= first.instant:
        return
    note = Adjustment(BEFORE_CREATION, "createdate", iso_of(opened))
    deal.notes.setdefault(place, []).append(note)
    deal.opened = first


def iso_of(at: ReadTime) -> str:
    """Return a time as it is written in UTC."""
    return from_instant(at.instant).astimezone(UTC).isoformat()
