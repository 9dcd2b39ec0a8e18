"""What issued statements say, and what the next one pays, is what a naive ledger works out.

Statements are issued in mid-history, one of them now and then never. Afterwards facts become
known late or are taken back, lines are disputed and answered, statements corrected by hand,
and some of that is retracted too.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given

from oracle import statements as ledger
from oracle.beliefs import Raw, effect_of, moment
from oracle.commissions import statement_lines
from oracle.statements import Told, statements_in
from properties.effort import TALLY, examples
from properties.moments import Pick, instants, knowledge, picks
from properties.payers import (
    SEEDS,
    THEMES,
    Payer,
    act_of,
    ask,
    careers,
    history_of,
    months,
    play,
)
from properties.plans import PLAN
from properties.playing import REFUSALS
from properties.raw_log import raw_log
from properties.readable import shown
from properties.world import DELTAS, OWNERS, at, instant
from salesflow.domain.statement import (
    DisputeOutcome,
    Statement,
    StatementFigures,
    statement_id,
)
from salesflow.engine import SalesFlow
from salesflow.errors import InputError, NotFoundError, RuleError
from salesflow.projections.incentives import issued_statements
from salesflow.projections.incentives.statement_view import CommissionStatementView

Mistake = Callable[[pytest.MonkeyPatch], None]
Rows = Sequence[tuple[Any, ...]]


def check(flow: SalesFlow, raw: list[Raw], rep: str, as_of: int, known_at: int) -> None:
    """See that every statement says at a moment what the ledger does."""
    there = [*months(as_of)]
    told = statements_in(raw, PLAN, rep, there, (as_of, known_at))
    for days, wanted in zip(there, told, strict=True):
        view = ask(flow, rep, days[0], as_of, known_at)
        if view is None:
            assert not wanted.lines
            continue
        where = (rep, days[0], as_of, known_at)
        assert said(view) == expected(wanted), (*where, shown(raw))
        check_sums(view)
        check_causes(raw, view, days, (as_of, known_at))
        TALLY["differences of statements"] += len(view.differences)
        TALLY["disputes"] += len(view.disputes)


def said(view: CommissionStatementView) -> dict[str, Any]:
    """Give what an answer says as plain rows in some order."""
    return {
        "lines": sorted((str(x.event_id), x.credited, x.commission) for x in view.lines),
        "differences": sorted(
            (x.first_day, str(x.event_id), x.reason, x.commission) for x in view.differences
        ),
        "since": sorted(
            (x.first_day, str(x.event_id), x.reason, x.commission, str(x.settled_in))
            for x in view.since_issued
        ),
        "disputes": [(x.line, x.time, x.objection, x.outcome, x.agreed) for x in view.disputes],
        "totals": (view.totals.payable, view.totals.draw_balance, view.totals.agreed),
    }


def expected(told: Told) -> dict[str, Any]:
    """Give what the ledger says in the same shape."""
    return {
        "lines": sorted(told.lines),
        "differences": sorted(each[:4] for each in told.differences),
        "since": sorted((*each[:4], str(each.settled_in)) for each in told.since),
        "disputes": told.disputes,
        "totals": (told.payable, told.balance, told.agreed),
    }


def check_sums(view: CommissionStatementView) -> None:
    """See that what was issued and what differs since come to what is known now."""
    if view.reconciliation is None:
        return
    steps = [amount for _, amount in view.reconciliation.steps()]
    known_now = view.reconciliation.as_issued + sum(steps, Decimal(0))
    assert known_now == view.reconciliation.as_known_now == view.totals.payable


def check_causes(
    raw: list[Raw], view: CommissionStatementView, days: tuple[date, date], at: tuple[int, int]
) -> None:
    """See that what is named moved each line that differs, and that nothing else did.

    A line that is changed would be another one without any of its causes, or without all of
    those that only move it together; and without all that became known of other streams since
    it was figured it would be as it is.
    """
    since = [each for each in view.since_issued if each.reason not in ("corrected", "dispute")]
    assert all(each.causes for each in since)
    unpaid = [each for each in since if each.settled_in is None and each.deal is not None]
    now = _amounts(raw, view.rep, days, at) if unpaid else {}
    figured = 0 if view.issued is None else instant(view.issued.figures_known_at)
    for line in sorted(unpaid, key=lambda line: line.reason != "changed")[:3]:
        where, event = (days, at, line, shown(raw)), str(line.event_id)

        def is_moved(left_out: set[str], event: str = event) -> bool:
            log = [each for each in raw if each["event_id"] not in left_out]
            return _amounts(log, view.rep, days, at)[event] != now[event]

        causes = {str(cause) for cause in line.causes}
        assert is_moved(causes), where
        alone = {cause for cause in causes if is_moved({cause})} if len(causes) > 1 else causes
        assert alone == causes or is_moved(causes - alone), where
        mine = {str(line.deal)} | {e["stream"] for e in raw if e["event_id"] in causes}
        others = {e["event_id"] for e in raw if e["recorded"] > figured} - causes
        others -= {e["event_id"] for e in raw if e["stream"] in mine}
        if line.reason == "changed":
            TALLY["changed lines"] += 1
            assert not is_moved(others), where


def _amounts(
    raw: list[Raw], rep: str, days: tuple[date, date], at: tuple[int, int]
) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    for when, (event, _, amount) in statement_lines(raw, PLAN, rep, *at):
        if days[0] <= moment(when).date() <= days[1]:
            found[event] += amount
    return found


def issue(player: Payer, rng: Random, rep: str) -> list[StatementFigures]:
    """Issue the statements of months that are over; one is left out now and then."""
    found = []
    now = instant(player.clock.now)
    for first, last in months(now):
        view = ask(player.flow, rep, first, now, now)
        if view is None or view.to_date or moment(now).date() <= last or rng.random() < 0.1:
            continue
        try:
            figures = view.figures()
        except InputError:  # more than an amount can hold was sold
            break
        except (NotFoundError, RuleError):  # nobody has met the rep, or it was issued before
            continue
        with player.flow.session() as session:
            session.add(Statement.issue(figures))
        found.append(figures)
    return found


WORDS = ("dispute", "dispute", "answer", "answer", "answer", "correct", "retract", "retract")

OUTCOMES: tuple[DisputeOutcome, ...] = ("accepted", "accepted", "rejected")


def tell(player: Payer, rng: Random, figures: Sequence[StatementFigures]) -> None:
    """Let somebody say something of a statement, or take back what was: of one with lines."""
    some = [each for each in figures if each.amounts] or figures
    each = rng.choice(some)
    id = statement_id(each.plan, each.rep, each.first_day)
    ago = rng.choice((None, None, DELTAS[2], DELTAS[6]))
    happened = None if ago is None else at(instant(player.clock.now) - ago)
    try:
        with player.flow.session() as session:
            _tell(session.get(Statement, id), rng, happened)
    except REFUSALS:
        TALLY["refused of statements"] += 1
        stored = player.flow.log.stream(id)
        target = rng.choice(stored[1:] or stored).event_id
        try:
            with player.flow.session() as session:
                session.retract(target, because="wrong")
        except REFUSALS:
            pass


def _tell(statement: Statement, rng: Random, happened: Any) -> None:  # noqa: ANN401
    lines = [*(statement.figures.amounts if statement.figures else {})]
    line, amount = rng.choice(lines or [1]), f"{rng.randrange(-500, 500)}.5"
    open_ones = [number for number, it in statement.disputes.items() if it.outcome is None]
    match rng.choice(WORDS):
        case "dispute":
            statement.dispute(line, because="too little", occurred_at=happened)
        case "answer":
            outcome = rng.choice(OUTCOMES)
            statement.answer_dispute(
                rng.choice(open_ones or lines or [1]),
                outcome=outcome,
                amount=rng.choice((*[amount] * 4, "0")) if outcome == "accepted" else None,
                because="looked at",
                occurred_at=happened,
            )
        case "correct":
            statement.correct(amount, because=f"typo {amount}", occurred_at=happened)
        case _:
            raise InputError("retract something")


def payday(player: Payer, rng: Random) -> list[StatementFigures]:
    """Play a history in which months end, are paid, and are found to be otherwise."""
    play(player, history_of(rng, 10), careers(rng))
    figures: list[StatementFigures] = []
    for _ in range(3):
        player.clock.turn(rng.randrange(5, 40) * DELTAS[6])
        figures += [it for rep in OWNERS[:2] for it in issue(player, rng, rep)]
        for _ in range(5):
            if figures and rng.random() < 0.5:
                player.clock.turn(DELTAS[rng.choice((2, 3, 4, 6))])
                tell(player, rng, figures)
            else:
                player.play(act_of(rng, rng.choice(THEMES)))
    return figures


def moment_in(pick: Pick, raw: list[Raw]) -> tuple[int, int]:
    """Turn a pick into a moment, half of them after the first statement was issued."""
    about = [e for e in raw if e["kind"].startswith("statement.")]
    issued = min((event["recorded"] for event in about), default=0)
    times = [*instants(raw), *(time for e in about for time in (e["occurred"], effect_of(e)))]
    known = knowledge(raw)
    if pick[0] % 2:
        times = [time for time in times if time >= issued] or times
        known = [time for time in known if time >= issued] or known
    return times[pick[0] * 7919 % len(times)], known[-1 - pick[1] * 104729 % len(known)]


@examples(8, shrink=False)
@given(rng=SEEDS, moments=picks(least=2, most=2))
def test_what_was_paid_and_is_still_to_be_paid_is_what_a_ledger_says(
    database_url: str, rng: Random, moments: list[Pick]
) -> None:
    with Payer(database_url) as player:
        figures = payday(player, rng)
        raw = raw_log(player.flow)
        now = instant(player.clock.now)
        for rep in OWNERS[:2]:
            check(player.flow, raw, rep, now, now)
        for pick in moments:
            check(player.flow, raw, OWNERS[pick[1] % 2], *moment_in(pick, raw))
        for each in figures:
            as_of, known_at = instant(each.as_of), instant(each.known_at)
            again = ask(player.flow, each.rep, each.first_day, as_of, known_at)
            assert again is not None
            assert again.figures() == each


def keeps_what_was_agreed_on_and_retracted(patch: pytest.MonkeyPatch) -> None:
    right = issued_statements._agreed_difference
    patch.setattr(
        issued_statements,
        "_agreed_difference",
        lambda of, event, agreed, paid: right(of, event, agreed, paid) if agreed else (),
    )


def forgets_the_first_agreement(patch: pytest.MonkeyPatch) -> None:
    """Put a mistake into the ledger: it is noticed as one of the engine is."""
    became = ledger._became
    patch.setattr(ledger, "_became", lambda happened: (became(happened)[0][1:], []))


def owes_what_is_known_whatever_was_said(patch: pytest.MonkeyPatch) -> None:
    """Put another one into it."""
    patch.setattr(ledger, "_lines", lambda _: [])


MISTAKES: list[Mistake] = [
    keeps_what_was_agreed_on_and_retracted,
    forgets_the_first_agreement,
    owes_what_is_known_whatever_was_said,
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_what_is_owed_would_be_noticed(
    sqlite_url: str, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)

    @examples(60, shrink=False)
    @given(rng=SEEDS)
    def agrees(rng: Random) -> None:
        with Payer(sqlite_url) as player:
            payday(player, rng)
            raw, now = raw_log(player.flow), instant(player.clock.now)
            for rep in OWNERS[:2]:
                check(player.flow, raw, rep, now, now)

    with pytest.raises(AssertionError):
        agrees()
