"""Deals that a table says were merged: taken last, and never into what does not exist.

A merge hides a deal behind another one. Where that is the deal itself, is hidden behind the
first in turn, or was never opened, its money would be in no figure. Such a merge is left out,
and the row says why; see `salesflow.domain.impossible_merges`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import get_args
from uuid import UUID

from salesflow.adapters.eventlog import EventLog
from salesflow.adapters.importing.ids import object_id
from salesflow.adapters.importing.known import Known
from salesflow.adapters.importing.plan import Plan
from salesflow.adapters.importing.problems import Adjustment, RowProblem
from salesflow.adapters.importing.settling import settle
from salesflow.adapters.importing.spool import ObjectRows, Spool
from salesflow.adapters.importing.told import DealTold, Told
from salesflow.domain.deal.merging import DealMerged, MergingFact
from salesflow.domain.facts import Event
from salesflow.domain.impossible_merges import ImpossibleMerge, TellsOf, impossible_merges
from salesflow.domain.moments import FOREVER

__all__ = ["Survivors", "components", "merges"]

MERGING = get_args(MergingFact)


def merges(deal: DealTold) -> bool:
    """Say whether its rows tell that a deal was merged, or is no more."""
    return any(isinstance(told.fact, MERGING) for told in deal.facts)


def components(deals: Sequence[DealTold]) -> Iterator[list[DealTold]]:
    """Put together the deals that merges connect."""
    place = {deal.stream_id: number for number, deal in enumerate(deals)}
    near: dict[int, set[int]] = defaultdict(set)
    by_other: dict[UUID, int] = {}
    for number, deal in enumerate(deals):
        for other in {told.stream_id for told in deal.facts if isinstance(told.fact, MERGING)}:
            there = place.get(other, by_other.setdefault(other, number))
            near[number].add(there)
            near[there].add(number)
    left = dict.fromkeys(range(len(deals)))
    while left:
        group, waiting = set(), [next(iter(left))]
        while waiting:
            number = waiting.pop()
            if number in left:
                del left[number]
                group.add(number)
                waiting += near[number]
        yield [deals[number] for number in sorted(group)]


class Survivors:
    """What is known of the deals others are merged into."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._openings: dict[UUID, list[Event]] = {}
        """Openings the file tells that are not recorded, as this is only a trial."""

    def look(
        self,
        deals: Iterable[DealTold],
        spool: Spool,
        tell: Callable[[ObjectRows], DealTold],
        plan: Plan,
    ) -> None:
        """Find in the file the deals that others are merged into, before they are recorded."""
        source = plan.context.mapping.source
        here = {deal.stream_id for deal in deals}
        asked = {t.stream_id for d in deals for t in d.facts if isinstance(t.fact, MERGING)}
        asked -= here
        for rows in spool.by_object() if asked else ():
            id = object_id(source, rows.object)
            if id not in asked:
                continue
            deal = tell(rows)
            settle(deal, plan, self._log.stream(id))
            self._openings[id] = [_event(told) for told in deal.facts if told.fact.opens]

    def leave_out_impossible(self, deals: Sequence[DealTold], known: Known, plan: Plan) -> None:
        """Leave out the merges that cannot be, and say so of their rows."""
        new = [told for deal in deals for told in deal.facts if known.find(told) is None]
        told = [TellsOf(one.stream_id, one.fact, one.occurred) for one in new]
        found = {(each.absorbed, each.into): each.because for each in self._found(told)}
        names = {str(id): repr(name) for deal in deals for id, name in deal.named.items()}
        names |= {str(deal.stream_id): repr(deal.object) for deal in deals}
        for deal in deals if found else ():
            for one in list(deal.facts):
                if not isinstance(one.fact, DealMerged):
                    continue
                because = found.get((one.stream_id, one.fact.into))
                if because is not None and known.find(one) is None:
                    for id, name in names.items():
                        because = because.replace(id, name)
                    _leave_out(deal, one, because, plan)

    def _found(self, told: Sequence[TellsOf]) -> list[ImpossibleMerge]:
        return impossible_merges(told, self._stored)

    def _stored(self, id: UUID) -> Sequence[Event]:
        return self._log.stream(id) or self._openings.get(id, [])


def _leave_out(deal: DealTold, merged: Told, because: str, plan: Plan) -> None:
    """Refuse the row of a merge; where it tells more than that, leave out the merge alone."""
    getters = plan.rules[merged.order % len(plan.rules)].builder.getters
    named = [getters[name].columns for name in ("into", "absorbed") if name in getters]
    columns = " or ".join(chain.from_iterable(named)) or None
    others = [t for t in deal.facts if t.line == merged.line and t.order != merged.order]
    if not others:
        deal.refuse(merged.line, RowProblem(because, columns))
        return
    deal.facts = [told for told in deal.facts if told.order != merged.order]
    deal.adjust(merged.line, Adjustment(f"{because}; the merge was left out", columns, None))


def _event(told: Told) -> Event:
    at = FOREVER if told.occurred is None else told.occurred
    return Event(told.fact, told.stream_id, 1, 1, at, FOREVER, UUID(int=1))
