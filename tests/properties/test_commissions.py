"""What plans pay reps, at any moment of any history, is what a naive replay works out."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.beliefs import Raw, moment
from oracle.commissions import payable_in, plan_of, statement_lines
from properties.effort import TALLY, examples
from properties.histories import WHENS, Told, When, told
from properties.moments import Pick, moment_of, picks
from properties.plans import PLAN, publish_plan, supersede_plan, terms
from properties.playing import Act, Player, rep_acts
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
from salesflow.domain.values import Money
from salesflow.engine import SalesFlow
from salesflow.errors import NotFoundError
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


def sales(deals: int) -> st.SearchStrategy[list[Act]]:
    """Draw what becomes known of a few deals, which are won first, and now and then of reps."""
    gaps, numbers = st.integers(2, len(DELTAS) - 1), st.integers(0, 59)

    def begun(deal: int) -> st.SearchStrategy[Act]:
        told = [
            st.builds(Told, st.just(deal), st.just(what), numbers, when, st.none())
            for what, when in (("opened", WHENS), ("won", st.just(When("now", 0))))
        ]
        return st.builds(Act, st.just("record"), gaps, st.tuples(*told))

    first = st.tuples(*map(begun, range(deals))).map(list)
    facts = st.sampled_from(THEMES).flatmap(lambda words: told(deals, words))
    several = st.lists(facts, min_size=1, max_size=3).map(tuple)
    hows = st.sampled_from(("record", "append", "append", "append", "retract"))
    known = st.builds(Act, hows, gaps, several)
    rest = st.lists(st.one_of(known, known, known, rep_acts(2)), min_size=8, max_size=16)
    return st.tuples(first, rest).map(lambda parts: parts[0] + parts[1])


@st.composite
def careers(draw: st.DrawFn) -> Plans:
    first = draw(terms())
    return (
        first,
        draw(terms(first.accrual)),
        draw(st.sampled_from((0, 0, 1, 2))),
        draw(st.integers(0, 9)),
        draw(st.booleans()),
    )


def play(player: Player, history: list[Act], plans: Plans) -> None:
    first, second, whom, days, continues = plans
    publish_all(player.flow)
    publish_plan(player.flow, first, whom)
    half = len(history) // 2
    player.play_all(history[:half])
    supersede_plan(player.flow, second, days, continues=continues)
    player.play_all(history[half:])


@examples(20, shrink=False)
@given(
    history=sales(3),
    moments=picks(least=2, most=2),
    plans=careers(),
)
def test_what_a_plan_pays_at_any_moment_is_what_a_naive_replay_says(
    database_url: str,
    history: list[Act],
    moments: list[Pick],
    plans: Plans,
) -> None:
    with Payer(database_url) as player:
        play(player, history, plans)
        raw = raw_log(player.flow)
        now = instant(player.clock.now)
        for rep in OWNERS:
            check(player.flow, raw, rep, now, now)
        for pick in moments:
            as_of, known_at = moment_of(pick, raw)
            check(player.flow, raw, OWNERS[pick[0] % len(OWNERS)], as_of, known_at)
