"""What customers were asked and what they said: one row per survey sent, one per answer.

Answers "what was said of which stage, which rep, which product, and who answered at all?" for
any moment. A row keeps what was true of the deal where it stands in the deal's own history:
its stage, its owner, its customer, and its products (the agreed line items, else those of the
accepted quote). An answer is received for good: its row never ends, and a survey's row changes
once, when it is answered. Leaves out the words, which are personal and stay in the log.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.deal.after_sales import FeedbackReceived, SurveySent
from salesflow.domain.deal.money import LineItemsAgreed
from salesflow.domain.deal.quotes import (
    QuoteAccepted,
    QuoteDrafted,
    QuoteExpired,
    QuoteIssued,
    QuoteLine,
    QuoteRejected,
    QuoteRevised,
    QuoteWithdrawn,
)
from salesflow.domain.deal.state import STATE_FACTS, DealState
from salesflow.domain.event import Event, Fact
from salesflow.projections.table import (
    Cell,
    Change,
    Instants,
    IntervalFold,
    IntervalTable,
    Processes,
)

__all__ = ["FEEDBACK", "FEEDBACKS"]

FEEDBACK: Final = IntervalTable(
    "feedback",
    2,
    keys=(sa.Column("position", sa.BigInteger),),
    attributes=(
        sa.Column("occurred", Instants),
        sa.Column("kind", sa.String(8)),
        sa.Column("process", sa.Text),
        sa.Column("process_version", sa.Integer),
        sa.Column("stage", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("lead_source", sa.Text),
        sa.Column("products", sa.Text),
        sa.Column("survey", sa.Text),
        sa.Column("scale", sa.String(8)),
        sa.Column("score", sa.Integer),
        sa.Column("worded", sa.SmallInteger),
        sa.Column("answered", sa.SmallInteger),
    ),
)
"""`kind` is `sent` or `received`, `products` one a line; a survey has no score, an answer is
not answered."""

QUOTES: Final[frozenset[type[Fact]]] = frozenset(
    {
        QuoteDrafted,
        QuoteIssued,
        QuoteRevised,
        QuoteAccepted,
        QuoteRejected,
        QuoteWithdrawn,
        QuoteExpired,
    }
)


class Asked(NamedTuple):
    """A survey that waits for its answer."""

    position: int
    survey: str
    person: UUID | None
    row: tuple[Cell, ...]

    def fits(self, answer: FeedbackReceived) -> bool:
        """Say whether an answer may be to this: same survey, and no other person."""
        people = {self.person, answer.person_id} - {None}
        return self.survey == answer.survey and len(people) <= 1


class FeedbackState:
    """One deal on its way through its history."""

    __slots__ = ("accepted", "agreed", "offers", "standing", "waiting")

    def __init__(self, processes: Processes) -> None:
        self.standing = DealState(processes)
        self.agreed: str | None = None
        self.offers: dict[str, str | None] = {}
        """The products of each quote, as it was offered last."""
        self.accepted: str | None = None
        self.waiting: list[Asked] = []

    def apply(self, event: Event) -> Iterable[Change]:
        """Take the next believed fact; one without ground was never asked nor said."""
        if not self.standing.take(event):
            return ()
        fact = event.fact
        match fact:
            case SurveySent():
                return (self._sent(event, fact),)
            case FeedbackReceived():
                return self._received(event, fact)
            case LineItemsAgreed():
                self.agreed = _products(fact.lines)
            case _ if type(fact) in QUOTES:
                self._take_quote(fact)
            case _:
                pass  # where the deal stands is settled by Standing
        return ()

    def _sent(self, event: Event, fact: SurveySent) -> Change:
        row = self._row(event, "sent", fact)
        self.waiting.append(Asked(event.position, fact.survey, fact.person_id, row))
        return (event.position,), row

    def _received(self, event: Event, fact: FeedbackReceived) -> Iterable[Change]:
        """Note an answer; it settles the last survey sent that it may be to."""
        yield (event.position,), self._row(event, "received", fact)
        for number in reversed(range(len(self.waiting))):
            if self.waiting[number].fits(fact):
                asked = self.waiting.pop(number)
                yield (asked.position,), (*asked.row[:-1], 1)
                return

    def _row(
        self, event: Event, kind: str, fact: SurveySent | FeedbackReceived
    ) -> tuple[Cell, ...]:
        standing, score, worded = self.standing, None, False
        if isinstance(fact, FeedbackReceived):
            score, worded = fact.score, bool((fact.text or "").strip())
        return (
            event.occurred,
            kind,
            standing.ground.process_key,
            standing.ground.process_version,
            standing.ground.stage,
            standing.owner,
            standing.customer_id,
            standing.lead_source,
            self.agreed or self._offered(),
            fact.survey,
            fact.scale,
            score,
            int(worded),
            0,
        )

    def _offered(self) -> str | None:
        return None if self.accepted is None else self.offers.get(self.accepted)

    def _take_quote(self, fact: Fact) -> None:
        match fact:
            case QuoteDrafted() | QuoteIssued() | QuoteRevised():
                before = None if isinstance(fact, QuoteDrafted) else self.offers.get(fact.quote)
                self.offers[fact.quote] = _products(fact.lines) or before
                self._unaccept(fact.quote)
            case QuoteAccepted():
                self.accepted = fact.quote
            case QuoteRejected() | QuoteWithdrawn() | QuoteExpired():
                self._unaccept(fact.quote)
            case _:
                pass  # no other fact is about a quote

    def _unaccept(self, quote: str) -> None:
        if self.accepted == quote:
            self.accepted = None


def _products(lines: Sequence[QuoteLine]) -> str | None:
    """Name each product once, one a line, which no name of a product can break."""
    return "\n".join(sorted({line.product for line in lines})) or None


FEEDBACKS: Final = IntervalFold(
    FEEDBACK,
    STATE_FACTS | QUOTES | {SurveySent, FeedbackReceived},
    FeedbackState,
)
