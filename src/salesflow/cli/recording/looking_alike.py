"""Whether what is recorded looks like a slip: it is there already, or an amount is far off.

Deals and customers have no keys, so that a file that is read twice would double them without a
word. A signed amount with a digit too many is noted as well. A module of its own: it keeps what
it looked up, and knows no command.
"""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Final
from uuid import UUID

from salesflow.domain.aggregate import Aggregate
from salesflow.domain.alike_names import folded
from salesflow.domain.deal.billing import ContractAmended
from salesflow.domain.deal.outcomes import FAR_OFF, DealWon
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact, believed_history
from salesflow.domain.time import Instant, from_instant
from salesflow.domain.values import Money
from salesflow.domain.wording import quoted
from salesflow.presentation.messages import Language, say
from salesflow.presentation.value_text import exact_money_text

__all__ = ["LookingAlike"]


if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow


class LookingAlike:
    """The deals and customers that there are, by what would make another one look the same."""

    def __init__(self, flow: "SalesFlow", language: Language) -> None:
        self._flow, self._language = flow, language
        self._alike: dict[str, dict[tuple[object, ...], UUID | None]] = {}

    def note_of(self, made: Aggregate) -> str | None:
        """Return the note that a deal or customer looks like one that is there."""
        [opening, *_] = (each.fact for each in made.pending)
        said = SAID_TWICE.get(made.noun)
        if said is None or self._flow.log.head().position > ALIKE_MAX:
            return None
        if made.noun not in self._alike:
            found = self._openings(opening.kind)
            self._alike[made.noun] = {_alike(fact, day): id for id, fact, day in found}
        noted, alike = made.pending[0], self._alike[made.noun]
        at = self._flow.log.now() if noted.occurred is None else noted.occurred
        key = _alike(opening, noted.day or self._day(at))
        if key in alike and self._is_believed(alike[key]):
            called, id = quoted(getattr(opening, said[0])), alike[key]
            where = say("named twice here", self._language) if id is None else str(id)
            return say(said[1], self._language, called=called, id=where)
        alike.setdefault(key, None)
        return None

    def note_of_amount(self, thing: Aggregate, stood: object) -> str | None:
        """Return the note that a deal is signed for much more or less than it stood at."""
        fact = thing.pending[-1].fact if thing.pending else None
        amount = fact.amount if isinstance(fact, DealWon | ContractAmended) else None
        if amount is None or not isinstance(stood, Money):
            return None
        if amount.currency != stood.currency or stood.amount <= 0:
            return None
        if amount.amount > FAR_OFF * stood.amount:
            said = (
                "{amount} is more than {times} times what the deal stood at, {stood}; if that"
                " is a slip, `salesflow retract` takes this event back"
            )
        elif FAR_OFF * amount.amount < stood.amount:
            said = (
                "{amount} is less than a part in {times} of what the deal stood at, {stood};"
                " if that is a slip, `salesflow retract` takes this event back"
            )
        else:
            return None
        shown = {"amount": exact_money_text(amount), "stood": exact_money_text(stood)}
        return say(said, self._language, times=FAR_OFF, **shown)

    def start_over(self) -> None:
        """Forget what was made, since it is made again."""
        self._alike.clear()

    def _is_believed(self, id: UUID | None) -> bool:
        return id is None or bool(believed_history(self._flow.log.stream(id)))

    def _openings(self, kind: str) -> Iterator[tuple[UUID, Fact, date]]:
        """Yield the openings of things that are believed to be there, the newest last."""
        from salesflow.adapters.event_store.search import LogSearch, search

        for entry in search(self._flow.log, LogSearch(kind=kind, oldest_first=True)):
            id = entry.stored.stream_id
            if entry.event is not None:
                yield id, entry.event.fact, self._day(entry.stored.occurred)

    def _day(self, at: Instant) -> date:
        return from_instant(at).astimezone(self._flow.settings().timezone).date()


SAID_TWICE: Final = {
    "customer": ("name", "a customer of this name exists already, {called}: {id}"),
    "deal": (
        "title",
        "a deal of this title, customer and day exists already, {called}: {id}",
    ),
}
"""What is called by names that are no keys: the name, and what is said of a second one."""
ALIKE_MAX: Final = 200_000
"""In a log of more events nobody looks for those that are called the same."""


def _alike(opening: Fact, day: date) -> tuple[object, ...]:
    """Return what makes two of them look like one."""
    if isinstance(opening, DealOpened):
        return folded(opening.title or ""), opening.customer_id, day
    return (folded(getattr(opening, "name", None) or ""),)
