"""Players whose deals are sold and paid for, and what plans say of them, month by month."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import strategies as st

from oracle.beliefs import moment
from properties.customers import CUSTOMER_WORDS
from properties.histories import Told, When
from properties.plans import PLAN, publish_plan, supersede_plan, terms
from properties.playing import Act, Player
from properties.rates import publish_all
from properties.world import (
    CUSTOMERS,
    FIRST_CUSTOMER,
    FIRST_REP,
    OWNERS,
    at,
    customer_id,
)
from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.billing import (
    ContractAmended,
    InvoiceIssued,
    PaymentReceived,
    RefundGiven,
)
from salesflow.domain.deal.outcomes import DealReopened, DealWon
from salesflow.domain.deal.people import CollaboratorJoined
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact
from salesflow.domain.incentive_plan import PlanTerms
from salesflow.domain.values import Money
from salesflow.engine import SalesFlow
from salesflow.errors import NotFoundError
from salesflow.projections.incentives.commission_statement import CommissionStatement
from salesflow.projections.incentives.statement_view import CommissionStatementView

__all__ = [
    "SEEDS",
    "THEMES",
    "Payer",
    "act_of",
    "ask",
    "careers",
    "history_of",
    "months",
    "play",
]

Plans = tuple[PlanTerms, PlanTerms, int, int, bool]
THEMES = (
    ("won", "amended", "amended", "refund", "repeat", "reopened"),
    ("joined", "left", "owner", "won", "won", "repeat", "refund"),
    ("won", "invoiced", "invoiced", "paid", "paid", "paid", "refund", "repeat"),
    ("merged", "unmerged", "won", "amended", "lost", "paid"),
    ("won", "won", "won", "lost", "reopened", "refund", "owner"),
    ("lines", "lines", "quoted", "quote_accepted", "won", "customer", "amended", "refund"),
)
"""Words about sales and money, and about what undoes them."""
LONG = date(2024, 12, 31)


def months(as_of: int) -> Iterator[tuple[date, date]]:
    """Give the months from the plan's first one to that of a moment, within a year."""
    first, end = date(2023, 12, 1), min(moment(as_of).date(), LONG)
    while first <= max(end, first) and first <= end:
        after = (first + timedelta(days=32)).replace(day=1)
        yield first, after - timedelta(days=1)
        first = after


def ask(
    flow: SalesFlow, rep: str, first: date, as_of: int, known_at: int
) -> CommissionStatementView | None:
    try:
        asked = CommissionStatement(rep=rep, plan=PLAN, from_=first)
        return flow.ask(asked, as_of=at(as_of), known_at=at(known_at))
    except NotFoundError:
        return None


class Payer(Player):
    """A player whose deals are worth what tiers, caps and windows are made for."""

    def fact(self, one: Told, ahead: datetime | None) -> Fact:
        """Make the fact that is told, as a rule of an amount in CNY."""
        make = FACTS.get(one.what) if one.deal < FIRST_CUSTOMER else None
        return super().fact(one, ahead) if make is None else make(one.n, ahead)


def worth(n: int) -> Money:
    return Money(AMOUNTS[n % len(AMOUNTS)], ("CNY", "CNY", "CNY", "USD")[n // 7 % 4])


AMOUNTS = ("70", "120", "33.33", "98000", "0.1", "250.5", "9223372036854.775807")
SHARES = (Decimal("0.25"), Decimal("0.333333"), Decimal(0), Decimal("0.5"))
FACTS: dict[str, Callable[[int, datetime | None], Fact]] = {
    "opened": lambda n, _: DealOpened(
        process="crm",
        process_version=1,
        stage="new",
        owner=OWNERS[n % 2],
        amount=worth(n),
        customer_id=customer_id(n // 2),
    ),
    "won": lambda n, _: DealWon(amount=worth(n)),
    "reopened": lambda _, __: DealReopened(),
    "amended": lambda n, e: ContractAmended(amount=worth(n), effective_from=e),
    "refund": lambda n, _: RefundGiven(amount=worth(n), overpayment=n % 3 == 0),
    "repeat": lambda n, _: RepeatOrderPlaced(amount=worth(n)),
    "invoiced": lambda n, _: InvoiceIssued(amount=worth(n)),
    "paid": lambda n, _: PaymentReceived(amount=worth(n)),
    "joined": lambda n, e: CollaboratorJoined(
        person=OWNERS[n % 3], credit=SHARES[n % len(SHARES)], effective_from=e
    ),
}


SEEDS = st.integers(0, 2**32).map(Random)
"""Histories are drawn evenly: sales are rare where small numbers are preferred."""


def history_of(rng: Random, acts: int = 16) -> list[Act]:
    """Draw what becomes known of a few deals, which are won first, and now and then of reps."""
    words = rng.choice(THEMES) + rng.choice(THEMES)
    first = [
        Act("record", rng.choice((3, 4, 6)), tuple(told_of(rng, deal, w) for w in BEGUN))
        for deal in range(DEALS)
    ]
    entries = [
        Act("record", 2, (told_of(rng, FIRST_CUSTOMER + customer, "opened"),))
        for customer in range(CUSTOMERS)
        if rng.random() < 0.6
    ]
    return entries + first + [act_of(rng, words) for _ in range(acts)]


BEGUN = ("opened", "joined", "lines", "won")
DEALS = 3


def act_of(rng: Random, words: Sequence[str]) -> Act:
    how, gap = rng.choice(("record", "append", "append", "append", "retract")), rng.choice(GAPS)
    if rng.random() < 0.15:
        rep = FIRST_REP + rng.randrange(2)
        return Act("record", gap, (told_of(rng, rep, rng.choice(("opened", "moved", "left"))),))
    if rng.random() < 0.1:
        customer = FIRST_CUSTOMER + rng.randrange(CUSTOMERS)
        return Act("record", gap, (told_of(rng, customer, rng.choice(CUSTOMER_WORDS)),))
    count = rng.choice((1, 1, 2))
    told = (told_of(rng, rng.randrange(DEALS), rng.choice(words)) for _ in range(count))
    return Act(how, gap, tuple(told))


GAPS = (2, 3, 5, 6, 6, 6, 7)
"""Hours and days, mostly, after the act before."""
MODES = ("now", "now", "now", "ago", "ago", "with+", "effect+")


def told_of(rng: Random, number: int, what: str) -> Told:
    when = When("now" if what in BEGUN else rng.choice(MODES), rng.randrange(16))
    ahead = rng.choice((4, 6)) if rng.random() < 0.1 else None
    return Told(number, what, rng.randrange(60), when, ahead)


def careers(rng: Random) -> Plans:
    """Draw two versions of a plan, whom it is for, when the second starts, if it continues."""
    first = terms(rng)
    second = terms(rng, first.accrual)
    return first, second, rng.choice((0, 0, 1, 2)), rng.randrange(10), rng.random() < 0.5


def play(player: Player, history: list[Act], plans: Plans) -> None:
    first, second, whom, days, continues = plans
    publish_all(player.flow)
    publish_plan(player.flow, first, whom)
    half = len(history) // 2
    player.play_all(history[:half])
    supersede_plan(player.flow, second, days, continues=continues)
    player.play_all(history[half:])
