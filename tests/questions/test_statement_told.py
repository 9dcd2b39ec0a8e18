"""What a commission statement tells whoever reads it: sums that add up, rates, reasons."""

from datetime import date
from decimal import Decimal

import pytest

from given import opened
from questions.paying import (
    Payroll,
    Step,
    _tell,
    answered,
    corrected,
    disputed,
    issued,
    late,
    payroll,
    plan,
    rates,
    retracted,
    split,
    won,
)
from questions.shop import deal_id, told
from salesflow import CommissionEstimate, Money
from salesflow.domain.deal.people import CollaboratorJoined
from salesflow.domain.rep import Rep
from salesflow.domain.statement import Statement, statement_id
from salesflow.errors import InputError, RuleError
from salesflow.presentation.format import short_id
from salesflow.projections.core.question import View


def rows_of(view: View, title: str) -> list[tuple[str, ...]]:
    return [row for table in view.tables() if table.title == title for row in table.rows]


def notes_of(view: View) -> str:
    return "\n".join(note for table in view.tables() for note in table.notes)


def test_what_was_issued_and_what_differs_add_up_to_what_is_known_now() -> None:
    with payroll(
        plan("03-01", draw="700"),
        won(1, "03-10", "10000"),
        issued("04-01", "2026-03"),
        late("04-05", won(2, "03-20", "20000")),
        late("04-06", split(1, "03-10", "bob", "0.5")),
        disputed("04-07", "2026-03", 1),
        answered("04-08", "2026-03", 1, "accepted", "120"),
        corrected("04-09", "2026-03", "-20"),
    ) as found:
        view = found.asks("ann", "2026-03")
        sums = view.reconciliation
        assert sums is not None
        assert told(sums.as_issued, sums.late, sums.changed) == (700, 1000, -250)
        assert told(sums.dispute, sums.corrected, sums.draw) == (120, -20, -200)
        assert told(sums.as_known_now, view.totals.payable) == (1350, 1350)
        rows = rows_of(view, "From the statement to now")
        assert rows[0] == ("Payable as issued", "700 CNY")
        assert rows[-1] == ("Payable as known now", "1,350 CNY")


def test_a_line_disputed_again_keeps_its_first_dispute() -> None:
    with payroll(
        plan(),
        won(1, "03-10", "10000"),
        issued("04-01", "2026-03"),
        disputed("04-02", "2026-03", 1),
        answered("04-03", "2026-03", 1, "accepted", "120"),
        disputed("04-04", "2026-03", 1),
    ) as found:
        first, second = found.asks("ann", "2026-03").disputes
        assert (first.time, first.outcome, first.agreed) == (1, "accepted", Decimal(120))
        assert (second.time, second.outcome, second.agreed) == (2, None, None)


def test_a_missing_sale_that_is_agreed_on_is_paid_under_its_deal() -> None:
    with payroll(plan(), won(1, "03-10", "10000"), issued("04-01", "2026-03")) as found:
        with found.flow.session() as session:
            statement = session.get(Statement, statement_id("ae", "ann", date(2026, 3, 1)))
            statement.dispute_missing_sale(deal_id(9), because="mine")
            statement.answer_dispute(2, outcome="accepted", amount="40", because="it is")
        [dispute] = found.asks("ann", "2026-03").disputes
        assert (dispute.line, dispute.missing_deal) == (2, deal_id(9))
        [row] = rows_of(found.asks("ann", "2026-03"), "Disputes")
        assert row[-1] == short_id(deal_id(9))
        [paid] = found.asks("ann", "2026-05").differences
        assert told(paid.deal, paid.reason, paid.commission) == (deal_id(9), "dispute", 40)


def test_a_statement_says_why_no_plan_pays_anything() -> None:
    with payroll(
        plan("02-01"), plan("02-01", key="west", reps=("bob",)), won(1, "03-10", "10000")
    ) as found:
        early = found.asks("ann", "2025-02", "ae")
        assert notes_of(early) == (
            "no plan was in force for ann then: ae pays for sales from 2026-02-01 on"
        )
        other = found.asks("ann", "2026-03", "west")
        assert notes_of(other) == (
            "plan west was not for ann then, and pays them nothing for it"
        )


def test_a_line_names_the_rate_of_exchange_and_says_where_it_is_old() -> None:
    with payroll(
        plan(),
        rates("01-02", CNY="7.1"),
        won(1, "01-20", "1000", currency="USD"),
        issued("02-01", "2026-01"),
        won(2, "03-10", "2000", currency="USD"),
    ) as found:
        [line] = found.asks("ann", "2026-01").lines
        [rate] = line.exchanges
        assert (rate.currency, rate.rate, rate.rate_day) == (
            *("USD", Decimal("7.1"), date(2026, 1, 2)),
        )
        assert told(rate.amount, line.credited) == (1000, 7100)
        issued_then = found.asks("ann", "2026-01").issued
        assert issued_then is not None
        assert issued_then.lines == (line,)
        march = found.asks("ann", "2026-03")
        [row] = rows_of(march, "Commission lines")
        assert row[6:8] == ("2,000 USD", "7.1 (2026-01-02)")
        assert "the rate of 2026-01-02 from USD to CNY is 67 days older" in notes_of(march)


def test_what_lacks_a_rate_of_exchange_is_not_estimated_at_nothing() -> None:
    in_dollars = opened(amount=Money("1000", "USD"))
    with payroll(plan(), _tell(9, "03-20", ("09:00", in_dollars))) as found:
        view = found.flow.ask(CommissionEstimate(deal=deal_id(9)), as_of="2026-03-25")
        [each] = view.estimates
        assert (each.commission, each.credited, each.not_estimated) == (None, None, "no_rate")
        assert "no exchange rate from USD to CNY is known" in notes_of(view)


def test_a_correction_typed_twice_is_refused_and_not_paid_twice() -> None:
    steps = (plan(), won(1, "03-10", "10000"), issued("04-01", "2026-03"))
    with payroll(*steps, corrected("04-02", "2026-03", "500")) as found:
        with pytest.raises(RuleError, match="by 500 for this reason already"):
            found.play(corrected("04-03", "2026-03", "500"))
        found.play(corrected("04-04", "2026-03", "400"))
        agreed = [str(each.commission) for each in found.asks("ann", "2026-04").differences]
        assert agreed == ["500", "400"]


def test_what_no_coins_make_up_is_not_agreed_on() -> None:
    with payroll(plan(currency="JPY"), won(1, "03-10", "10000", currency="JPY")) as found:
        found.issue("ann", "2026-03")
        with found.flow.session() as session:
            statement = session.get(Statement, statement_id("ae", "ann", date(2026, 3, 1)))
            with pytest.raises(InputError, match=r"0\.5 JPY cannot be paid; .* steps of 1 JPY"):
                statement.correct("0.5", because="rounded")
            statement.dispute(1, because="too little")
            with pytest.raises(InputError, match="cannot be paid"):
                statement.answer_dispute(1, outcome="accepted", amount="1.5", because="yes")
            statement.answer_dispute(1, outcome="accepted", amount="1", because="yes")


def test_a_statement_waits_where_shares_are_more_than_the_whole() -> None:
    with payroll(
        plan(),
        won(1, "03-10", "10000", splits={"bob": "0.7"}),
        late("03-11", split(1, "03-10", "cat", "0.6")),
    ) as found:
        with pytest.raises(RuleError, match=r"leaves ann -0\.3; put the shares right"):
            found.issue("ann", "2026-03")
        found.play(retracted(1, "2027-06-01", CollaboratorJoined))
        found.issue("ann", "2026-03")


def test_a_share_changed_after_the_win_is_said_to_change_nothing() -> None:
    said = "owner or shares of {} changed after the sale"
    with payroll(
        plan(), won(1, "03-10", "10000"), won(2, "03-11", "10000", splits={"bob": "0.3"})
    ) as found:
        assert "changed after" not in notes_of(found.asks("ann", "2026-03"))
        found.play(late("2027-06-02", split(1, "04-05", "bob", "0.4")))
        march = found.asks("ann", "2026-03")
        assert march.people_changed == (deal_id(1),)
        assert said.format(short_id(deal_id(1))) in notes_of(march)
        assert told(*(line.commission for line in march.lines)) == (500, 350)


def test_headings_call_a_deal_by_its_title_and_a_rep_by_name() -> None:
    joined_by_name = Step("01-05", lambda found, day: join_as(found, "ann", "陈安", day))
    with payroll(
        plan(),
        joined_by_name,
        won(1, "03-10", "10000"),
        _tell(9, "03-20", ("09:00", opened(title="ERP rollout"))),
    ) as found:
        [statement, *_] = found.asks("ann", "2026-03").named_tables()
        assert statement.about.startswith("AE · ann 陈安 · ")
        asked = CommissionEstimate(deal=deal_id(9))
        [estimate] = found.flow.ask(asked, as_of="2026-03-25").named_tables()
        assert estimate.about == f"ERP rollout ({short_id(deal_id(9))})"


def join_as(found: Payroll, rep: str, name: str, day: str) -> None:
    with found.flow.session() as session:
        starts = date.fromisoformat(day)
        session.add(Rep.join(rep, team="east", name=name, occurred_at=starts))
