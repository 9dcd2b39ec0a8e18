"""What plans pay reps, at any moment of any history, is what a naive replay works out."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.beliefs import Raw, moment
from oracle.commissions import guaranteed_in, payable_in, plan_of, statement_lines
from properties.effort import TALLY, examples
from properties.histories import Told, When
from properties.moments import Pick, moment_of, picks
from properties.plans import PLAN, publish_plan, supersede_plan, terms
from properties.playing import Act, Player
from properties.rates import publish_all
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import DELTAS, FIRST_REP, OWNERS, at, customer_id, instant
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
from salesflow.domain.statement import Statement, StatementFigures
from salesflow.domain.values import Money
from salesflow.engine import SalesFlow
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.incentives import commission_book, sale_credits
from salesflow.projections.incentives.commission_statement import CommissionStatement
from salesflow.projections.incentives.statement_view import CommissionStatementView

Plans = tuple[PlanTerms, PlanTerms, int, int, bool]
Mistake = Callable[[pytest.MonkeyPatch], None]
THEMES = (
    ("won", "amended", "amended", "refund", "repeat", "reopened"),
    ("joined", "left", "owner", "won", "won", "repeat", "refund"),
    ("won", "invoiced", "invoiced", "paid", "paid", "paid", "refund", "repeat"),
    ("merged", "unmerged", "won", "amended", "lost", "paid"),
    ("won", "won", "won", "lost", "reopened", "refund", "owner"),
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


def check(flow: SalesFlow, raw: list[Raw], rep: str, as_of: int, known_at: int) -> None:
    lines = statement_lines(raw, PLAN, rep, as_of, known_at)
    there = [*months(as_of)]
    settled = payable_in(raw, PLAN, rep, there, (as_of, known_at))
    for (first, last), (payable, balance) in zip(there, settled, strict=True):
        wanted = [line for when, line in lines if first <= moment(when).date() <= last]
        view = ask(flow, rep, first, as_of, known_at)
        if not plan_of(raw, PLAN, as_of, known_at):
            assert view is None
            continue
        assert view is not None
        TALLY["commission lines"] += len(wanted)
        told = [(str(each.event_id), each.credited, each.commission) for each in view.lines]
        assert sorted(told) == sorted(wanted), (rep, first, as_of, known_at, shown(raw))
        assert view.totals.payable == payable, (rep, first, as_of, known_at, shown(raw))
        assert view.totals.draw_balance == balance
        for each in view.lines:
            rated = sum((part.amount for part in each.parts), Decimal(0))
            assert abs(rated - each.commission) < Decimal("0.05"), each


class Payer(Player):
    """A player whose deals are worth what tiers, caps and windows are made for."""

    def fact(self, one: Told, ahead: datetime | None) -> Fact:
        """Make the fact that is told, as a rule of an amount in CNY."""
        make = FACTS.get(one.what) if one.deal < FIRST_REP else None
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
    "refund": lambda n, _: RefundGiven(amount=worth(n)),
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
    return first + [act_of(rng, words) for _ in range(acts)]


BEGUN = ("opened", "joined", "won")
DEALS = 3


def act_of(rng: Random, words: Sequence[str]) -> Act:
    how, gap = rng.choice(("record", "append", "append", "append", "retract")), rng.choice(GAPS)
    if rng.random() < 0.15:
        rep = FIRST_REP + rng.randrange(2)
        return Act("record", gap, (told_of(rng, rep, rng.choice(("opened", "moved", "left"))),))
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


@examples(12, shrink=False)
@given(rng=SEEDS, moments=picks(least=2, most=2))
def test_what_a_plan_pays_at_any_moment_is_what_a_naive_replay_says(
    database_url: str, rng: Random, moments: list[Pick]
) -> None:
    with Payer(database_url) as player:
        play(player, history_of(rng), careers(rng))
        raw = raw_log(player.flow)
        now = instant(player.clock.now)
        for rep in OWNERS:
            check(player.flow, raw, rep, now, now)
        for pick in moments:
            as_of, known_at = moment_of(pick, raw)
            check(player.flow, raw, OWNERS[pick[0] % len(OWNERS)], as_of, known_at)


@examples(8, shrink=False)
@given(rng=SEEDS)
def test_what_was_paid_and_is_still_to_be_paid_is_what_is_known_now(
    database_url: str, rng: Random
) -> None:
    """Statements are issued in mid-history; what comes later is a difference of the next."""
    with Payer(database_url) as player:
        play(player, history_of(rng), careers(rng))
        player.clock.turn(rng.randrange(5, 40) * DELTAS[6])
        figures = [it for rep in OWNERS[:2] for it in issue_all(player, rep)]
        player.play_all([act_of(rng, rng.choice(THEMES)) for _ in range(8)])
        raw = raw_log(player.flow)
        now = instant(player.clock.now)
        for rep in OWNERS[:2]:
            mine = [each for each in figures if each.rep == rep]
            check_paid(player.flow, raw, rep, now, mine)
        for each in figures:
            as_of, known_at = instant(each.as_of), instant(each.known_at)
            again = ask(player.flow, each.rep, each.first_day, as_of, known_at)
            assert again is not None
            assert again.figures() == each


def issue_all(player: Player, rep: str) -> list[StatementFigures]:
    """Issue the statements of all months that are over, one after the other."""
    found = []
    now = instant(player.clock.now)
    for first, last in months(now):
        view = ask(player.flow, rep, first, now, now)
        if view is None or view.to_date or moment(now).date() <= last:
            continue
        try:
            figures = view.figures()
        except InputError:  # more than an amount can hold was sold
            break
        except NotFoundError:  # nobody has met the rep, to whom nothing is to be paid
            continue
        with player.flow.session() as session:
            session.add(Statement.issue(figures))
        found.append(figures)
    return found


def check_paid(
    flow: SalesFlow, raw: list[Raw], rep: str, now: int, issued: list[StatementFigures]
) -> None:
    """See that lines, settled and unsettled differences come to what is known now."""
    lines = statement_lines(raw, PLAN, rep, now, now)
    for each in issued:
        inside = [
            line[2] for at, line in lines
            if each.first_day <= moment(at).date() <= each.last_day
        ]  # fmt: skip
        view = ask(flow, rep, each.first_day, now, now)
        assert view is not None
        assert view.issued is not None
        assert view.reconciliation is not None
        assert view.reconciliation.as_known_now == view.totals.payable
        told = sum((line.amount for line in each.lines), Decimal(0))
        since = sum((line.commission for line in view.since_issued), Decimal(0))
        TALLY["differences of statements"] += len(view.since_issued)
        days = (each.first_day, each.last_day)
        added = guaranteed_in(raw, PLAN, rep, days, (now, now))
        wanted = sum(inside, Decimal(0)) + added - each.guaranteed
        assert told + since == wanted, (rep, each.first_day, shown(raw))
        assert all(line.causes for line in view.since_issued)
    if issued:
        after = issued[-1].last_day + timedelta(days=1)
        view = ask(flow, rep, after, now, now)
        unpaid = [
            line for each in issued for line in open_differences(flow, rep, each.first_day, now)
        ]
        assert view is not None
        assert sorted(str(line.event_id) for line in view.differences) == sorted(unpaid)


def open_differences(flow: SalesFlow, rep: str, first: date, now: int) -> list[str]:
    view = ask(flow, rep, first, now, now)
    assert view is not None
    return [str(line.event_id) for line in view.since_issued if line.settled_in is None]


def forgets_the_window(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sale_credits.SaleCredit, "is_taken_back_on", lambda *_: True)


def credits_what_is_booked_whatever_came_in(patch: pytest.MonkeyPatch) -> None:
    counted = commission_book.DealBook.counted
    patch.setattr(
        commission_book.DealBook,
        "counted",
        lambda self, sale, currency, _: counted(self, sale, currency, "closing"),
    )


def pays_a_sale_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commission_book.CommissionBook, "_earlier", lambda *_: iter(()))


MISTAKES: list[Mistake] = [
    forgets_the_window,
    credits_what_is_booked_whatever_came_in,
    pays_a_sale_twice,
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_commissions_figured_with_a_mistake_would_be_noticed(
    sqlite_url: str, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)

    @examples(60, shrink=False)
    @given(rng=SEEDS)
    def agrees(rng: Random) -> None:
        with Payer(sqlite_url) as player:
            play(player, history_of(rng), careers(rng))
            raw, now = raw_log(player.flow), instant(player.clock.now)
            for rep in OWNERS:
                check(player.flow, raw, rep, now, now)

    with pytest.raises(AssertionError):
        agrees()
