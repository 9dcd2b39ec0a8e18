"""What a commission statement promises: every line with its ground, nothing changed, for ever.

What users of other systems complain of is in the names of the tests here.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from given import opened
from questions.paying import (
    Payroll,
    Step,
    amended,
    answered,
    corrected,
    disputed,
    invoiced,
    issued,
    joined,
    late,
    left,
    paid,
    payroll,
    plan,
    rates,
    refunded,
    reopened,
    repeated,
    retired,
    retracted,
    revised,
    skilled,
    split,
    terms,
    unsaid,
    won,
)
from questions.shop import deal_id, told
from salesflow import CommissionStatement, ExternalEvent, IncentivePlan, Money
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.people import CollaboratorJoined, CollaboratorLeft
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.exchange_rates import RATES_ID
from salesflow.domain.incentive_plan import plan_id
from salesflow.domain.statement import (
    Statement,
    StatementCorrected,
    StatementIssued,
    statement_id,
)
from salesflow.domain.time import Moment, to_instant
from salesflow.errors import InputError, NotFoundError, RuleError, SalesflowError
from salesflow.projections.incentives.statement_view import CommissionStatementView

TIERS = ({"starts_at": "100000", "rate": "0.08"},)


def lines(view: CommissionStatementView) -> list[str]:
    return [str(line.commission) for line in view.lines]


def last_of(found: Payroll, deal: int) -> Event:
    return found.sales.events(deal)[-1]


def test_every_line_names_the_booking_it_rests_on_its_rate_and_its_tier() -> None:
    with payroll(plan(tiers=TIERS), won(1, "03-10", "150000", splits={"bob": "0.2"})) as found:
        [line] = found.asks("ann", "2026-03").lines
        assert line.event_id == last_of(found, 1).event_id
        assert (line.event, line.share, line.credited) == (
            *("won", Decimal("0.8"), Decimal(120000)),
        )
        parts = [(part.part, part.tier, part.base, part.rate) for part in line.parts]
        assert parts == [
            ("rate", None, Decimal(100000), Decimal("0.05")),
            ("tier", 1, Decimal(20000), Decimal("0.08")),
        ]
        assert sum(part.amount for part in line.parts) == line.commission == Decimal(6600)


def test_a_statement_at_its_moment_is_the_same_to_the_byte_after_ten_thousand_events() -> None:
    with payroll(
        plan(tiers=TIERS, clawback_days=90),
        joined("01-05"),
        won(1, "03-10", "80000", splits={"bob": "0.25"}),
        won(2, "03-11", "70000"),
        refunded(1, "03-20", "10000"),
        issued("04-01", "2026-03"),
    ) as found:
        [event] = found.flow.history(statement_id("ae", "ann", date(2026, 3, 1)))
        assert isinstance(event.fact, StatementIssued)
        figures = event.fact.figures
        moment = Moment(as_of=figures.as_of, known_at=figures.known_at, position=0, revision=1)
        before = found.asks("ann", "2026-03", at=moment)
        told = before.model_dump_json()
        tell_ten_thousand(found)
        after = found.asks("ann", "2026-03", at=before.moment)
        assert after.model_dump_json() == told
        assert after.figures() == figures
        assert after.figures().model_dump_json() == figures.model_dump_json()
        now = found.asks("ann", "2026-03")
        assert lines(now) != lines(before), "of what came later something counts in March"
        assert now.issued is not None
        assert now.issued.lines == before.lines


def tell_ten_thousand(found: Payroll) -> None:
    """Tell of sales late and in time, of ann's and of others', ten thousand events."""
    first = datetime(2026, 3, 1, tzinfo=UTC)
    facts = []
    for number in range(5_000):
        at = to_instant(first + timedelta(hours=number % 2_000))
        owner = ("ann", "bob", "cat", "dan")[number % 4]
        deal = deal_id(100 + number)
        facts.append(ExternalEvent(deal, opened(amount=Money("100", "CNY"), owner=owner), at))
        facts.append(ExternalEvent(deal, DealWon(), at + 1))
    for start in range(0, len(facts), 2_000):
        found.flow.record(facts[start : start + 2_000])


def test_an_issued_statement_is_shown_beside_what_is_known_now_with_the_cause() -> None:
    with payroll(
        plan(),
        won(1, "03-10", "10000"),
        issued("04-01", "2026-03"),
        late("04-05", won(2, "03-20", "20000")),
        late("04-06", split(1, "03-10", "bob", "0.5")),
    ) as found:
        view = found.asks("ann", "2026-03")
        assert view.issued is not None
        assert [str(line.commission) for line in view.issued.lines] == ["500"]
        assert lines(view) == ["250", "1000"]
        assert told(view.issued.totals.payable, view.totals.payable) == (500, 1250)
        changed, new = view.since_issued
        assert told(changed.reason, changed.commission) == ("changed", -250)
        assert changed.causes == (last_of(found, 1).event_id,)
        assert told(new.reason, new.commission) == ("late", 1000)
        assert new.causes == (new.event_id,) == (last_of(found, 2).event_id,)
        assert {each.settled_in for each in view.since_issued} == {None}


def test_what_a_later_statement_has_paid_is_told_with_it() -> None:
    with payroll(
        plan(),
        won(1, "03-10", "10000"),
        issued("04-01", "2026-03"),
        late("04-05", won(2, "03-20", "20000")),
        issued("05-01", "2026-04"),
    ) as found:
        [difference] = found.asks("ann", "2026-03").since_issued
        assert told(difference.commission, difference.settled_in) == (1000, date(2026, 4, 1))
        april = found.asks("ann", "2026-04")
        assert april.issued is not None
        assert april.issued.totals.from_differences == april.issued.totals.payable == 1000


def test_a_retracted_sale_is_taken_back_with_the_retraction_as_cause() -> None:
    with payroll(
        plan(),
        won(1, "03-10", "10000"),
        issued("04-01", "2026-03"),
        retracted(1, "04-05", DealWon),
    ) as found:
        [difference] = found.asks("ann", "2026-04").differences
        retraction = found.flow.history(deal_id(1))[-1]
        assert (difference.reason, difference.causes) == ("retracted", (retraction.event_id,))


def test_a_sale_that_was_paid_late_and_retracted_then_is_taken_back_with_its_cause() -> None:
    with payroll(
        plan(),
        won(1, "03-10", "10000"),
        issued("04-01", "2026-03"),
        late("04-05", won(2, "03-20", "2000")),
        issued("05-01", "2026-04"),
        retracted(2, "05-05", DealWon),
    ) as found:
        [difference] = found.asks("ann", "2026-05").differences
        retraction = found.flow.history(deal_id(2))[-1]
        assert told(difference.reason, difference.commission) == ("retracted", -100)
        assert (difference.deal, difference.causes) == (deal_id(2), (retraction.event_id,))


def test_a_sale_told_late_pays_no_more_than_the_guarantee_would_have_left_of_it() -> None:
    with payroll(
        plan(guarantee="1000"),
        won(1, "03-10", "10000"),  # 500, and 500 of the guarantee
        issued("04-01", "2026-03"),
        won(3, "04-10", "40000"),
        late("04-15", won(2, "03-12", "8000")),  # 400 more, of which the guarantee paid as much
    ) as found:
        view = found.asks("ann", "2026-04")
        sale, guarantee = view.differences
        assert told(sale.commission, guarantee.commission) == (400, -400)
        assert view.issued is None
        assert told(view.totals.payable) == (2000,)
        statement = found.flow.history(statement_id("ae", "ann", date(2026, 3, 1)))[0]
        assert (guarantee.event_id, guarantee.reason) == (statement.event_id, "changed")
        assert guarantee.causes == sale.causes
        found.issue("ann", "2026-04")
        assert found.asks("ann", "2026-05").differences == ()


def test_a_guarantee_is_taken_back_for_the_days_after_a_rep_had_left() -> None:
    with payroll(
        plan(guarantee="3100"),
        joined("01-05"),
        issued("04-01", "2026-03"),
        late("04-05", left("03-11")),
    ) as found:
        [difference] = found.asks("ann", "2026-04").differences
        assert told(difference.commission) == (-2100,)  # 21 of 31 days x 3,100
        assert len(difference.causes) == 1


def test_an_earlier_sale_is_the_cause_of_what_it_moves_in_the_tiers() -> None:
    with payroll(
        plan(tiers=TIERS),
        won(1, "03-20", "80000"),
        issued("04-01", "2026-03"),
        late("04-05", won(2, "03-10", "40000")),
    ) as found:
        new, moved = found.asks("ann", "2026-04").differences
        assert (new.reason, moved.reason) == ("late", "changed")
        assert moved.deal == deal_id(1)
        assert moved.causes == new.causes == (last_of(found, 2).event_id,)


@pytest.mark.parametrize(
    ("sold", "told_late", "cause"),
    [
        ([], won(2, "02-10", "40000"), DealWon),
        ([won(2, "02-10", "40000")], retracted(2, "04-05", DealWon), FactRetracted),
        (
            [won(2, "02-10", "40000"), won(3, "02-11", "40000", by="bob")],
            split(3, "02-11", "ann", "0.5"),
            CollaboratorJoined,
        ),
    ],
)
def test_a_sale_of_an_earlier_period_is_the_cause_of_what_it_moves_in_the_tiers_of_a_year(
    sold: list[Step], told_late: Step, cause: type[Fact]
) -> None:
    with payroll(
        plan(accrual="year_to_date", tiers=TIERS),
        *sold,
        won(1, "03-20", "80000"),
        issued("04-01", "2026-03"),
        late("04-05", told_late),
    ) as found:
        [moved] = found.asks("ann", "2026-04").differences
        assert (moved.reason, moved.deal) == ("changed", deal_id(1))
        events = {e.event_id: e.fact for n in (2, 3) for e in found.flow.log.stream(deal_id(n))}
        assert [type(events[each]) for each in moved.causes] == [cause]


def test_what_becomes_known_of_other_sales_is_the_cause_of_a_first_sale_that_is_none() -> None:
    new = {"key": "new logo", "bonus": "300", "customers": "new"}
    with payroll(
        plan(spiffs=(new,)),
        won(1, "03-10", "10000", customer=7),
        issued("04-01", "2026-03"),
        late("04-05", won(2, "02-10", "10000", customer=7, by="bob")),
    ) as found:
        [moved] = found.asks("ann", "2026-04").differences
        assert told(moved.reason, moved.commission) == ("changed", -300)
        assert last_of(found, 2).event_id in moved.causes


def test_what_happened_to_a_deal_since_is_no_cause_of_what_another_sale_moved() -> None:
    with payroll(
        plan(tiers=TIERS),
        won(1, "03-20", "80000"),
        issued("04-01", "2026-03"),
        amended(1, "04-02", "80001"),
        late("04-05", won(2, "03-10", "40000")),
    ) as found:
        new, moved = found.asks("ann", "2026-04").differences
        assert told(moved.reason, moved.deal) == ("changed", deal_id(1))
        assert moved.causes == new.causes == (last_of(found, 2).event_id,)


def test_what_was_paid_late_is_moved_by_what_became_known_after_that() -> None:
    with payroll(
        plan(tiers=TIERS),
        joined("01-05"),
        issued("04-01", "2026-03"),
        late("04-05", won(1, "03-20", "80000")),
        issued("05-01", "2026-04"),
        late("05-05", won(2, "03-10", "40000")),
    ) as found:
        new, moved = found.asks("ann", "2026-05").differences
        assert told(moved.reason, moved.commission) == ("changed", 600)  # 20,000 at 8 % for 5 %
        assert moved.causes == new.causes == (last_of(found, 2).event_id,)


def test_a_correction_that_was_paid_and_is_retracted_names_the_retraction() -> None:
    with payroll(
        plan(),
        won(1, "03-10", "10000"),
        issued("04-01", "2026-03"),
        corrected("04-02", "2026-03", "-75"),
        issued("05-01", "2026-04"),
        unsaid("05-02", "2026-03", StatementCorrected),
    ) as found:
        [given_back] = found.asks("ann", "2026-05").differences
        retraction = found.flow.history(statement_id("ae", "ann", date(2026, 3, 1)))[-1]
        assert told(given_back.reason, given_back.commission) == ("corrected", 75)
        assert given_back.causes == (retraction.event_id,)
        march = found.asks("ann", "2026-03")
        assert march.reconciliation is not None
        assert told(march.totals.payable, march.reconciliation.as_known_now) == (500, 500)


def test_rates_that_are_published_late_are_the_cause_of_what_they_change() -> None:
    with payroll(
        plan(),
        rates("03-01", CNY="7"),
        won(1, "03-10", "1000", currency="USD"),
        issued("04-01", "2026-03"),
        late("04-05", rates("03-09", CNY="8")),
    ) as found:
        [difference] = found.asks("ann", "2026-04").differences
        assert told(difference.reason, difference.commission) == ("changed", 50)
        assert len(difference.causes) == 1


def test_what_moved_no_line_is_no_cause_of_it() -> None:
    """A later plan, a skill and a rate of another day became known since too."""
    with payroll(
        plan(),
        joined("01-01"),
        rates("01-02", CNY="7"),
        won(1, "02-10", "1000", currency="USD"),
        issued("03-01", "2026-02"),
        late("03-02", skilled("02-01")),
        late("03-03", rates("02-05", CNY="8")),
        late("03-04", rates("02-03", CNY="9")),
        late("05-20", revised("06-01", rate="0.06")),
    ) as found:
        [moved] = found.asks("ann", "2026-02").since_issued
        assert told(moved.commission) == (50,)  # 1,000 x (8 - 7) x 5 %
        _, rate, _ = found.flow.log.stream(RATES_ID)
        assert moved.causes == (rate.event_id,)


def test_a_rate_of_an_earlier_month_is_the_cause_of_what_it_moves_in_a_later_one() -> None:
    tiers = ({"starts_at": "100000", "rate": "0.1"},)
    with payroll(
        plan(accrual="year_to_date", rate="0.08", tiers=tiers),
        rates("01-02", CNY="7"),
        won(1, "03-10", "12000", currency="USD"),  # 84,000 CNY, 96,000 at 8
        issued("04-01", "2026-03"),
        won(2, "05-10", "20000"),
        issued("06-01", "2026-05"),
        late("06-02", rates("03-05", CNY="8")),
        late("06-10", revised("07-01", rate="0.08", tiers=tiers)),
    ) as found:
        [moved] = found.asks("ann", "2026-05").since_issued
        assert told(moved.deal, moved.commission) == (deal_id(2), 240)  # 12,000 x (10 % - 8 %)
        assert moved.causes == (found.flow.log.stream(RATES_ID)[-1].event_id,)


def test_sales_each_of_which_fills_a_cap_are_the_cause_of_what_is_cut_only_together() -> None:
    with payroll(
        plan(cap="500"),
        won(1, "03-20", "10000"),
        issued("04-01", "2026-03"),
        late("04-02", won(2, "03-11", "10000")),
        late("04-03", won(3, "03-12", "10000")),
        late("04-04", won(4, "03-30", "10000")),
    ) as found:
        moved = next(x for x in found.asks("ann", "2026-03").since_issued if x.commission < 0)
        assert told(moved.deal, moved.commission) == (deal_id(1), -500)
        assert moved.causes == tuple(last_of(found, deal).event_id for deal in (2, 3))


def test_what_was_told_and_taken_back_since_is_no_cause() -> None:
    with payroll(
        plan(),
        won(1, "03-10", "10000"),
        issued("04-01", "2026-03"),
        late("04-02", split(1, "03-10", "bob", "0.3")),
        retracted(1, "04-03", CollaboratorJoined),
        late("04-04", split(1, "03-10", "cat", "0.2")),
    ) as found:
        [moved] = found.asks("ann", "2026-03").since_issued
        assert told(moved.commission) == (-100,)
        assert moved.causes == (last_of(found, 1).event_id,)


# What users of other systems complain of


def test_old_commissions_are_not_figured_anew_when_a_plan_is_revised() -> None:
    with payroll(plan(), won(1, "03-10", "10000")) as found:
        before = lines(found.asks("ann", "2026-03"))
        with found.flow.session() as session:
            ae = session.get(IncentivePlan, plan_id("ae"))
            with pytest.raises(RuleError, match="is in use and cannot be changed from 2026-02"):
                ae.supersede(
                    starts=date(2026, 2, 1), terms=terms(rate="0.01"), because="cheaper"
                )
        found.play(revised("2027-06-01", rate="0.01"))
        assert lines(found.asks("ann", "2026-03")) == before == ["500"]


def test_nobody_is_wiped_from_a_sale_silently() -> None:
    """Who leaves a deal after it was won keeps what they were credited with."""
    with payroll(plan(), won(1, "03-10", "10000", splits={"bob": "0.3"})) as found:
        found.sales.turn("2027-06-01 12:00")
        found.sales.tell(1, ("2026-03-12", CollaboratorLeft(person="bob")))
        assert lines(found.asks("bob", "2026-03")) == ["150"]


def test_a_refund_is_negative() -> None:
    with payroll(plan(), won(1, "03-10", "10000"), refunded(1, "03-11", "2000")) as found:
        refund = found.asks("ann", "2026-03").lines[1]
        assert told(refund.event, refund.credited, refund.commission) == (
            "refunded",
            -2000,
            -100,
        )


def test_a_changed_order_changes_the_commission() -> None:
    with payroll(plan(), won(1, "03-10", "10000"), amended(1, "03-12", "8000")) as found:
        assert lines(found.asks("ann", "2026-03")) == ["500", "-100"]


def test_the_current_period_is_no_empty_table() -> None:
    with payroll(plan(), won(1, "03-10", "10000")) as found:
        found.sales.turn("2027-06-01 12:00")
        view = found.flow.ask(CommissionStatement(rep="ann"), as_of="2026-03-15")
        assert (view.to_date, lines(view)) == (True, ["500"])


def test_commission_may_be_paid_before_the_invoice() -> None:
    with payroll(plan(), won(1, "03-10", "10000"), invoiced(1, "05-10", "10000")) as found:
        assert lines(found.asks("ann", "2026-03")) == ["500"]


def test_every_adjustment_leaves_a_trail() -> None:
    with payroll(
        plan(),
        won(1, "03-10", "10000"),
        issued("04-01", "2026-03"),
        disputed("04-02", "2026-03", 1),
        answered("04-03", "2026-03", 1, "accepted", "120"),
    ) as found:
        march = found.asks("ann", "2026-03")
        [dispute] = march.disputes
        assert (dispute.line, dispute.objection, dispute.outcome) == (
            1,
            "too little",
            "accepted",
        )
        assert told(dispute.agreed, dispute.answer) == (120, "looked at")
        [paid_with_april] = found.asks("ann", "2026-04").differences
        answer = found.flow.history(statement_id("ae", "ann", date(2026, 3, 1)))[-1]
        assert (paid_with_april.reason, paid_with_april.event_id) == (
            *("dispute", answer.event_id),
        )
        assert paid_with_april.deal == deal_id(1)


# Refusals, each with the way out


def refused(found: Payroll, **asked: object) -> str:
    with pytest.raises(SalesflowError) as caught:
        found.flow.ask(CommissionStatement.model_validate(asked))
    return str(caught.value)


def test_what_cannot_be_answered_is_refused_with_what_can() -> None:
    with payroll(plan(reps=("ann",)), plan(key="bonus", reps=("ann", "bob"))) as found:
        assert refused(found, rep="ann") == ("several plans are for 'ann'; name one: ae, bonus")
        no_plan = "no plan is for '{}' by then; there are ae, bonus"
        never = "there was never a rep '{}'; "
        assert refused(found, rep="cat") == (never + no_plan).format("cat", "cat")
        found.play(late("2027-06-02", joined("01-05", "dora")))
        assert refused(found, rep="dora") == no_plan.format("dora")
        assert "perhaps dora; no plan" in refused(found, rep="dor")
        assert refused(found, rep="ann", plan="a") == (
            "no plan 'a' is believed to exist by then; there are ae, bonus"
        )
        quarter = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}
        assert refused(found, rep="bob", **quarter) == (
            "plan bonus is settled by the month; ask for one, such as that from 2026-01-01 to"
            " 2026-01-31, both days included"
        )


def test_a_statement_is_issued_once_and_when_its_period_is_over() -> None:
    with payroll(plan(), won(1, "03-10", "10000"), issued("04-01", "2026-03")) as found:
        with pytest.raises(RuleError, match="it never changes, and the next one pays"):
            found.asks("ann", "2026-03").figures()
        early = found.flow.ask(
            CommissionStatement(rep="ann", from_=date(2026, 4, 1)),
            as_of="2026-04-10",
        )
        with pytest.raises(InputError, match="ends with 2026-04-30 and is not over; ask as of"):
            early.figures()


def test_figures_that_somebody_typed_have_to_add_up() -> None:
    with payroll(plan(), won(1, "03-10", "10000")) as found:
        figures = found.asks("ann", "2026-03").figures()
        with pytest.raises(InputError, match="the lines come to 500, not to 600 earned"):
            Statement.issue(figures.model_copy(update={"earned": 600, "payable": 600}))
        with pytest.raises(InputError, match="come to 500, not to 600 payable"):
            Statement.issue(figures.model_copy(update={"payable": 600}))


def test_what_counts_for_nothing_is_named_with_the_reason() -> None:
    with payroll(
        plan(clawback_days=5, crediting="payment"),
        won(1, "03-01", "10000"),
        paid(1, "03-02", "10000"),
        paid(1, "03-03", "500", "USD"),
        refunded(1, "03-20", "1000"),
        won(2, "03-21", None),
        won(3, "03-22", "100", currency="EUR"),
        paid(3, "03-23", "100", "EUR"),
    ) as found:
        view = found.asks("ann", "2026-03")
        assert [(each.event, each.reason) for each in view.not_credited] == [
            ("paid", "in_another_currency"),
            ("refunded", "outside_clawback_window"),
            ("won", "no_amount"),
            ("paid", "no_rate"),
        ]


def test_a_sale_after_the_plan_was_retired_is_not_credited_and_says_why() -> None:
    with payroll(
        plan(),
        won(1, "03-10", "10000"),
        retired("03-31"),
        won(2, "03-31", "100"),
        won(3, "04-10", "20000"),
        won(4, "04-11", "20000", by="bob"),
    ) as found:
        [none] = found.asks("ann", "2026-04").not_credited
        assert told(none.reason, none.amount) == ("plan_retired", 20_000)
        assert found.asks("ann", "2026-03").not_credited == ()


def outside(found: Payroll, month: str, rep: str = "ann") -> list[tuple[str, Decimal | None]]:
    """Give what stands under Not credited, as outside the clawback window."""
    view = found.asks(rep, month)
    return [
        (each.event, each.amount)
        for each in view.not_credited
        if each.reason == "outside_clawback_window"
    ]


def test_of_a_refund_partly_inside_the_window_the_part_outside_is_not_credited() -> None:
    with payroll(
        plan(rate="0.1", crediting="payment", clawback_days=30),
        won(1, "01-05", "10000", splits={"bob": "0.4"}),
        paid(1, "01-10", "4000"),
        paid(1, "03-01", "6000"),
        refunded(1, "03-10", "8000"),  # 6,000 of nine days ago, 2,000 of two months ago
    ) as found:
        assert lines(found.asks("ann", "2026-03")) == ["360", "-360"]
        assert outside(found, "2026-03") == [("refunded", Decimal(-1200))]  # 60 % of 2,000
        assert outside(found, "2026-03", "bob") == [("refunded", Decimal(-800))]


def test_of_a_cut_partly_inside_the_window_the_part_outside_is_not_credited() -> None:
    with payroll(
        plan(clawback_days=30),
        won(1, "01-05", "500000"),
        amended(1, "05-01", "600000"),
        amended(1, "05-20", "1000"),  # 100,000 are taken back, 499,000 are not
        amended(1, "05-21", "900"),
        refunded(1, "05-22", "50"),
    ) as found:
        assert lines(found.asks("ann", "2026-05")) == ["5000", "-5000"]
        assert outside(found, "2026-05") == [
            *(("amended", Decimal(-499_000)), ("amended", Decimal(-100))),
            ("refunded", Decimal(-50)),
        ]


def test_of_a_payment_without_a_rate_the_share_of_the_rep_is_not_credited() -> None:
    with payroll(
        plan(crediting="payment"),
        won(1, "03-01", "1000", currency="EUR", splits={"bob": "0.25"}),
        paid(1, "03-02", "1500", "EUR"),
    ) as found:
        [none] = found.asks("ann", "2026-03").not_credited
        assert told(none.reason, none.amount) == ("no_rate", 750)  # 1,000 of 1,500 are sold


def test_a_draw_of_a_part_of_a_month_says_of_how_many_days_it_is() -> None:
    with payroll(
        plan(draw="3000", guarantee="600"), joined("04-14"), won(1, "04-20", "1000")
    ) as found:
        april, may = (found.asks("ann", month) for month in ("2026-04", "2026-05"))
        assert [(each.days, each.period_days) for each in april.due] == [(17, 30)]
        notes = april.tables()[0].notes
        assert "draw for 17 of 30 days: 1,700 CNY of 3,000 CNY" in notes
        assert "guarantee for 17 of 30 days: 340 CNY of 600 CNY" in notes
        assert april.totals.payable == Decimal(1700)
        assert not [note for note in may.tables()[0].notes if "days" in note]
        assert "按 30 天中的 17 天计" in april.tables("zh")[0].notes[0]


def test_a_second_win_is_named_with_what_was_kept_of_the_first() -> None:
    with payroll(
        plan(clawback_days=10),
        won(1, "03-10", "10000"),
        reopened(1, "04-05"),
        won(1, "05-10", "12000", again=True),
        won(2, "05-11", "100"),
    ) as found:
        may = found.asks("ann", "2026-05")
        assert [(e.event, e.amount, e.reason) for e in may.not_credited] == [
            ("won", Decimal(10_000), "kept_of_earlier_win"),
        ]
        [told] = [table for table in may.tables() if table.title == "Not credited"]
        assert told.rows[0][3:] == (
            "10,000 CNY",
            "paid with an earlier win of the deal, and kept; not paid again",
        )


def test_a_rep_is_told_which_version_nobody_has_acknowledged() -> None:
    with payroll(plan(), revised("03-16")) as found:
        with found.flow.session() as session:
            session.get(IncentivePlan, plan_id("ae")).acknowledge("ann", version=1)
        versions = found.asks("ann", "2026-03").versions
        assert [(each.plan_version, each.acknowledged) for each in versions] == [
            *((1, True), (2, False)),
        ]


def test_before_the_plan_was_known_there_is_none() -> None:
    with payroll(plan("02-01"), won(1, "03-10", "10000")) as found:
        with pytest.raises(NotFoundError, match="none is published"):
            found.flow.ask(CommissionStatement(rep="ann"), as_of="2026-01-31")
        asked = CommissionStatement(rep="ann", from_=date(2026, 3, 1))
        assert lines(found.flow.ask(asked, as_of="2026-03-09")) == []
        assert lines(found.flow.ask(asked, as_of="2026-03-10", known_at="2026-03-09")) == []


def test_a_repeat_order_is_credited_like_a_sale_of_its_own() -> None:
    with payroll(
        plan(clawback_days=10),
        won(1, "03-10", "10000"),
        repeated(1, "04-10", "2000"),
        refunded(1, "04-15", "1000"),
    ) as found:
        april = found.asks("ann", "2026-04")
        assert lines(april) == ["100"], "the refund is of the win, which nobody takes back"
        assert [each.event for each in april.not_credited] == ["refunded"]
