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

from salesflow.domain.deal.after_sales import (
    FeedbackFollowedUp,
    FeedbackReceived,
    FeedbackTagged,
    SurveySent,
    is_of_detractor,
)
from salesflow.domain.deal.billing import LineItemsAgreed
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
from salesflow.domain.deal.state import STATE_FACTS, DealSummary
from salesflow.domain.event import Event, Fact
from salesflow.projections.table import (
    Cell,
    Change,
    CopyableRows,
    Instants,
    IntervalFold,
    IntervalTable,
    OnState,
)

__all__ = ["FEEDBACK", "FEEDBACKS"]

FEEDBACK: Final = IntervalTable(
    "feedback",
    3,
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
        sa.Column("followed_up", Instants),
        sa.Column("followed_up_by", sa.Text),
        sa.Column("followed_up_position", sa.BigInteger),
        sa.Column("themes", sa.Text),
    ),
)
"""`kind` is `sent` or `received`, `products` and `themes` one a line; a survey has no score, an
answer is not answered. `followed_up` is when somebody first came back to the customer about an
answer, `followed_up_position` the fact that says so."""

ANSWERED: Final = 13
"""Where a row says whether a survey is answered."""
NOT_FOLLOWED_UP: Final = (None, None, None, None)

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
        """Return whether an answer may be to this: same survey, and no other person."""
        people = {self.person, answer.person_id} - {None}
        return self.survey == answer.survey and len(people) <= 1


class Answered(NamedTuple):
    """An answer, and what we did about it."""

    position: int
    event_id: UUID
    is_low: bool
    """Whether it is of a detractor."""
    row: tuple[Cell, ...]
    followed_up: tuple[Cell, ...] = (None, None, None)
    themes: tuple[str, ...] = ()

    def is_meant(self, feedback: UUID | None, *, low: bool) -> bool:
        """Return whether an event id names it; without one, whether it may be meant."""
        if feedback is not None:
            return self.event_id == feedback
        return self.is_low or not low

    def change(self) -> Change:
        """Return its row from now on."""
        themes = "\n".join(self.themes) or None
        return (self.position,), (*self.row[: ANSWERED + 1], *self.followed_up, themes)


class FeedbackRows(CopyableRows):
    """One deal on its way through its history."""

    __slots__ = ("_accepted", "_agreed", "_answers", "_offered", "_waiting")

    def __init__(self) -> None:
        self._agreed: str | None = None
        self._offered: dict[str, str | None] = {}
        """The products of each quote, as it was offered last."""
        self._accepted: str | None = None
        self._waiting: list[Asked] = []
        self._answers: list[Answered] = []

    def apply(self, event: Event, deal: DealSummary) -> Iterable[Change]:
        """Take the next fact that counts; an irregular one was never asked nor said."""
        fact, kind = event.fact, type(event.fact)
        if kind in QUOTES:
            self._take_quote(fact)
        elif isinstance(fact, LineItemsAgreed):
            self._agreed = _products(fact.lines)
        elif kind in STATE_FACTS:  # where the deal stands is said by its state
            return ()
        elif isinstance(fact, SurveySent):
            return (self._sent(event, fact, deal),)
        elif isinstance(fact, FeedbackReceived):
            return self._received(event, fact, deal)
        elif isinstance(fact, FeedbackFollowedUp):
            return self._followed_up(event, fact)
        elif isinstance(fact, FeedbackTagged):
            return self._tagged(fact)
        return ()

    def _followed_up(self, event: Event, fact: FeedbackFollowedUp) -> Iterable[Change]:
        """Note who came back about an answer; the first one counts."""
        for number in reversed(range(len(self._answers))):
            answer = self._answers[number]
            if answer.followed_up[0] is None and answer.is_meant(fact.feedback, low=True):
                followed = (event.occurred, fact.by, event.position)
                self._answers[number] = answer = answer._replace(followed_up=followed)
                return (answer.change(),)
        return ()

    def _tagged(self, fact: FeedbackTagged) -> Iterable[Change]:
        """Add themes to an answer."""
        for number in reversed(range(len(self._answers))):
            answer = self._answers[number]
            if answer.is_meant(fact.feedback, low=False):
                themes = tuple(sorted({*answer.themes, *fact.themes}))
                self._answers[number] = answer = answer._replace(themes=themes)
                return (answer.change(),)
        return ()

    def _sent(self, event: Event, fact: SurveySent, deal: DealSummary) -> Change:
        row = self._row(event, fact, deal)
        self._waiting.append(Asked(event.position, fact.survey, fact.person_id, row))
        return (event.position,), row

    def _received(
        self, event: Event, fact: FeedbackReceived, deal: DealSummary
    ) -> Iterable[Change]:
        """Note an answer; it settles the last survey sent that it may be to."""
        row = self._row(event, fact, deal)
        is_low = is_of_detractor(fact)
        self._answers.append(Answered(event.position, event.event_id, is_low, row))
        yield (event.position,), row
        for number in reversed(range(len(self._waiting))):
            if self._waiting[number].fits(fact):
                asked = self._waiting.pop(number)
                yield (asked.position,), (*asked.row[:ANSWERED], 1, *NOT_FOLLOWED_UP)
                return

    def _row(
        self, event: Event, fact: SurveySent | FeedbackReceived, deal: DealSummary
    ) -> tuple[Cell, ...]:
        kind, score, worded = "sent", None, False
        if isinstance(fact, FeedbackReceived):
            kind, score = "received", fact.score
            worded = bool((fact.text or "").strip())
        return (
            event.occurred,
            kind,
            deal.process,
            deal.process_version,
            deal.stage,
            deal.owner,
            deal.customer_id,
            deal.lead_source,
            self._agreed or self._products_accepted(),
            fact.survey,
            fact.scale,
            score,
            int(worded),
            0,
            *NOT_FOLLOWED_UP,
        )

    def _products_accepted(self) -> str | None:
        return None if self._accepted is None else self._offered.get(self._accepted)

    def _take_quote(self, fact: Fact) -> None:
        match fact:
            case QuoteDrafted() | QuoteIssued() | QuoteRevised():
                is_draft = isinstance(fact, QuoteDrafted)
                before = None if is_draft else self._offered.get(fact.quote)
                self._offered[fact.quote] = _products(fact.lines) or before
                self._unaccept(fact.quote)
            case QuoteAccepted():
                self._accepted = fact.quote
            case QuoteRejected() | QuoteWithdrawn() | QuoteExpired():
                self._unaccept(fact.quote)
            case _:
                pass  # no other fact is about a quote

    def _unaccept(self, quote: str) -> None:
        if self._accepted == quote:
            self._accepted = None


def _products(lines: Sequence[QuoteLine]) -> str | None:
    """Name each product once, one a line, which no name of a product can break."""
    return "\n".join(sorted({line.product for line in lines})) or None


FEEDBACKS: Final = IntervalFold(
    FEEDBACK,
    STATE_FACTS | QUOTES | {SurveySent, FeedbackReceived, FeedbackFollowedUp, FeedbackTagged},
    OnState(DealSummary, FeedbackRows),
)
