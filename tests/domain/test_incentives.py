"""What plans, statements, contests and awards refuse, and how they are read."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from salesflow import (
    Accelerator,
    Contest,
    Decelerator,
    IncentivePlan,
    Money,
    PlanTerms,
    Prize,
    SalesFlow,
    Spiff,
    Statement,
    Tier,
)
from salesflow.domain.incentive_plan import PlanVersion, plan_id
from salesflow.domain.statement import StatementFigures, statement_id
from salesflow.errors import InputError, RuleError

START = date(2026, 1, 1)


def terms(**changes: Any) -> PlanTerms:  # noqa: ANN401 - of terms
    return PlanTerms.model_validate({"rate": "0.05"} | changes)


def published(**changes: Any) -> IncentivePlan:  # noqa: ANN401 - of a plan
    shape: dict[str, Any] = {
        "name_en": "Account executives",
        "name_zh": "客户经理",
        "currency": "CNY",
        "starts": START,
        "terms": terms(),
        "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return IncentivePlan.publish("ae", **(shape | changes))


@pytest.fixture
def flow() -> Iterator[SalesFlow]:
    """An engine that stands in the middle of March."""
    with SalesFlow("sqlite://", clock=lambda: datetime(2026, 3, 15, 12, tzinfo=UTC)) as opened:
        yield opened


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"tiers": ({"starts_at": "2", "rate": "0.1"}, {"starts_at": "1", "rate": "0.2"})},
        "tiers stand in ascending order",
    ),
    (
        {"tiers": ({"starts_at": "1", "rate": "0.01"},), "tiers_pay": "retroactive"},
        "a retroactive tier pays no less than the one before it",
    ),
    ({"accelerators": ({"starts_at": "1", "factor": "2"},)}, "need a quota"),
    (
        {
            "quota": "10",
            "accelerators": (
                {"starts_at": "2", "factor": "2"},
                {"starts_at": "1", "factor": "2"},
            ),
        },
        "accelerators stand in ascending order",
    ),
    (
        {
            "quota": "10",
            "decelerators": (
                {"ends_at": "2", "factor": "0.5"},
                {"ends_at": "1", "factor": "1"},
            ),
        },
        "decelerators stand in ascending order",
    ),
    (
        {
            "quota": "10",
            "accelerators": ({"starts_at": "1", "factor": "2"},),
            "decelerators": ({"ends_at": "1.5", "factor": "0.5"},),
        },
        "an accelerator starts where a decelerator still holds",
    ),
    (
        {
            "quota": "10",
            "tiers_pay": "retroactive",
            "accelerators": (
                {"starts_at": "1", "factor": "2"},
                {"starts_at": "2", "factor": "1.5"},
            ),
        },
        "a factor of a retroactive plan is no less",
    ),
    ({"spiffs": ({"key": "a", "rate": "0.1"},) * 2}, "two SPIFFs share a key"),
    ({"spiffs": ({"key": "a"},)}, "a SPIFF pays a rate or a bonus"),
    ({"rate": "1.1"}, "at most 1"),
    ({"threshold": "0"}, "at least"),
    ({"clawback_days": -1}, "at least 0"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_terms_that_can_never_be_right_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        terms(**changes)


def test_the_parts_of_terms_are_refused_by_themselves() -> None:
    with pytest.raises(InputError, match="factor is at least 1"):
        Accelerator.model_validate({"starts_at": "1", "factor": "0.5"})
    with pytest.raises(InputError, match="at most 1"):
        Decelerator.model_validate({"ends_at": "1", "factor": "1.5"})
    with pytest.raises(InputError, match="ends before it begins"):
        Spiff(key="a", rate=Decimal(0), first_day=date(2026, 2, 2), last_day=date(2026, 2, 1))
    with pytest.raises(InputError, match="a string of digits, never a float"):
        Tier(starts_at=1.5, rate=Decimal(0))  # type: ignore[arg-type]


def test_the_bands_of_a_plan_are_cut_by_all_that_changes_its_rate() -> None:
    found = terms(
        tiers=({"starts_at": "100", "rate": "0.08"},),
        threshold="20",
        quota="80",
        decelerators=({"ends_at": "0.5", "factor": "0.5"},),
        accelerators=({"starts_at": "1.5", "factor": "2"},),
    ).bands
    assert [(str(b.starts_at), b.tier, str(b.rate), str(b.factor)) for b in found] == [
        ("0", -1, "0", "1"),
        ("20", 0, "0.05", "0.5"),
        ("40.0", 0, "0.05", "1"),
        ("100", 1, "0.08", "1"),
        ("120.0", 1, "0.08", "2"),
    ]


def test_a_plan_in_use_is_superseded_and_never_edited(flow: SalesFlow) -> None:
    with flow.session() as session:
        session.add(published())
    with flow.session() as session:
        plan = session.get(IncentivePlan, plan_id("ae"))
        with pytest.raises(RuleError, match="before 2026-03-15, the day on which it is agreed"):
            plan.supersede(starts=date(2026, 3, 14), terms=terms(), because="cheaper")
        with pytest.raises(RuleError, match="one that accrues year_to_date cannot continue it"):
            plan.supersede(
                starts=date(2026, 4, 1),
                terms=terms(accrual="year_to_date"),
                because="a longer view",
                continues=True,
            )
        with pytest.raises(InputError, match="needs a reason"):
            plan.supersede(starts=date(2026, 4, 1), terms=terms(), because=" ")
        plan.supersede(starts=date(2026, 4, 1), terms=terms(rate="0.06"), because="more")
        with pytest.raises(RuleError, match="starts on 2026-04-01; the next one cannot start"):
            plan.supersede(starts=date(2026, 3, 20), terms=terms(), because="less")
    plan = flow.get(IncentivePlan, plan_id("ae"))
    rates = {day: plan.in_force(day) for day in (date(2026, 3, 31), date(2026, 4, 1))}
    assert [v and v.terms.rate for v in rates.values()] == [Decimal("0.05"), Decimal("0.06")]
    assert plan.in_force(date(2025, 12, 31)) is None
    with flow.session() as session, pytest.raises(RuleError, match="supersede it instead"):
        session.retract(flow.history(plan_id("ae"))[0].event_id, because="wrong")


def test_a_change_that_was_agreed_earlier_is_told_with_its_time(flow: SalesFlow) -> None:
    with flow.session() as session:
        session.add(published())
        plan = session.get(IncentivePlan, plan_id("ae"))
        plan.supersede(
            starts=date(2026, 2, 1),
            terms=terms(rate="0.06"),
            because="agreed in January",
            occurred_at=date(2026, 1, 28),
        )
        assert plan.latest.version == 2


def test_a_retired_plan_is_neither_superseded_nor_retired_again(flow: SalesFlow) -> None:
    with flow.session() as session:
        plan = session.add(published())
        with pytest.raises(RuleError, match="is in use and cannot be changed"):
            plan.retire(last_day=date(2026, 3, 1), because="no money")
        plan.retire(last_day=date(2026, 3, 31), because="no money")
        with pytest.raises(RuleError, match="is retired already, by 2026-03-31"):
            plan.retire(last_day=date(2026, 4, 30), because="later")
        with pytest.raises(RuleError, match="is retired from 2026-04-01 on; publish another"):
            plan.supersede(starts=date(2026, 4, 1), terms=terms(), because="more")
        assert plan.in_force(date(2026, 4, 1)) is None


def test_a_rep_acknowledges_what_there_is_and_is_for_them(flow: SalesFlow) -> None:
    with flow.session() as session:
        plan = session.add(published(reps=("ann",)))
        plan.acknowledge("ann")
        assert [each.rep for each in plan.acknowledged] == ["ann"]
        with pytest.raises(RuleError, match="has acknowledged version 1 of 'ae' already"):
            plan.acknowledge("ann")
        with pytest.raises(RuleError, match="is not for 'bob'"):
            plan.acknowledge("bob")
        with pytest.raises(RuleError, match="version 2 of plan 'ae' is not published"):
            plan.acknowledge("ann", version=2)


def test_a_version_is_for_named_reps_for_teams_or_for_all() -> None:
    version = published().latest
    assert version.is_for("zoe", None)
    east = version.model_copy(update={"teams": ("east",), "reps": ("bob",)})
    assert isinstance(east, PlanVersion)
    assert [east.is_for(*it) for it in (("ann", "east"), ("ann", "west"), ("bob", None))] == [
        *(True, False, True),
    ]


def figures(**changes: Any) -> StatementFigures:  # noqa: ANN401 - of a statement
    shape = {
        "plan": "ae",
        "rep": "ann",
        "first_day": date(2026, 2, 1),
        "last_day": date(2026, 2, 28),
        "currency": "CNY",
        "as_of": datetime(2026, 3, 1, tzinfo=UTC),
        "known_at": datetime(2026, 3, 2, tzinfo=UTC),
        "differences": (
            {
                "line": 1,
                "first_day": date(2026, 1, 1),
                "event_id": plan_id("x"),
                "reason": "late",
                "amount": "10",
            },
        ),
        "earned": "10",
        "payable": "10",
    }
    return StatementFigures.model_validate(shape | changes)


def test_a_line_is_disputed_once_at_a_time_and_answered_once(flow: SalesFlow) -> None:
    with flow.session() as session:
        statement = session.add(Statement.issue(figures()))
        with pytest.raises(RuleError, match="has no line 2; there are 1 to 1"):
            statement.dispute(2, because="what?")
        with pytest.raises(RuleError, match="is not in dispute"):
            statement.answer_dispute(1, outcome="rejected", because="no")
        statement.dispute(1, because="too little")
        with pytest.raises(RuleError, match="is in dispute already"):
            statement.dispute(1, because="too little")
        with pytest.raises(InputError, match="that is rejected pays nothing"):
            statement.answer_dispute(1, outcome="rejected", because="no", amount="5")
        statement.answer_dispute(1, outcome="accepted", because="right", amount="5")
        with pytest.raises(RuleError, match="line 1 was accepted already"):
            statement.answer_dispute(1, outcome="accepted", because="right", amount="5")
        with pytest.raises(InputError, match="a correction of nothing"):
            statement.correct("0", because="typo")
        statement.correct("-3", because="typo")
        assert [each.amount for each in statement.agreed] == [Decimal(5), Decimal(-3)]
    found = flow.get(Statement, statement_id("ae", "ann", date(2026, 2, 1)))
    assert found.figures == figures()
    assert found.disputes[1].outcome == "accepted"


def test_a_statement_is_never_taken_back_and_never_issued_twice(flow: SalesFlow) -> None:
    with flow.session() as session:
        session.add(Statement.issue(figures()))
    event = flow.history(statement_id("ae", "ann", date(2026, 2, 1)))[0]
    with flow.session() as session, pytest.raises(RuleError, match="never taken back"):
        session.retract(event.event_id, because="wrong")
    with pytest.raises(InputError, match="was recorded at"), flow.session() as session:
        session.add(Statement.issue(figures()))


def test_a_period_that_is_not_over_has_no_statement() -> None:
    with pytest.raises(InputError, match="the period is not over at the moment"):
        figures(as_of=datetime(2026, 2, 27, tzinfo=UTC))


def test_a_contest_says_what_is_wrong_with_it(flow: SalesFlow) -> None:
    shape: dict[str, Any] = {
        "name_en": "Spring",
        "name_zh": "春季",
        "metric": "orders",
        "first_day": date(2026, 2, 1),
        "last_day": date(2026, 2, 28),
    }
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"metric": "sales"}, "sales is money; name the currency"),
        ({"currency": "CNY"}, "orders is no money; leave the currency out"),
        ({"metric": "stage_days"}, "is measured at a stage"),
        ({"metric": "figure:share"}, "is reported from outside"),
        ({"last_day": date(2026, 1, 1)}, "ends before it begins"),
        ({"participants": ("ann", "ann")}, "is named twice"),
        ({"prizes": (Prize(rank=1, prize="a"), Prize(rank=1, prize="b"))}, "two prizes"),
    ]
    for changes, said in wrong:
        with pytest.raises(InputError, match=said):
            Contest.open("spring", **(shape | changes))
    with flow.session() as session:
        contest = session.add(Contest.open("spring", **shape))
        assert contest.results is None


MISSED = UUID(int=7)


@pytest.fixture
def issued(flow: SalesFlow) -> UUID:
    """A statement without lines."""
    with flow.session() as session:
        return session.add(Statement.issue(figures(differences=(), earned="0", payable="0"))).id


def test_a_sale_that_is_missing_is_disputed_by_its_deal(flow: SalesFlow, issued: UUID) -> None:
    with flow.session() as session:
        statement = session.get(Statement, issued)
        with pytest.raises(RuleError, match=r"no line 1; there are none\. A sale that is miss"):
            statement.dispute(1, because="mine")
        statement.dispute_missing_sale(MISSED, because="mine")
        statement.dispute_missing_sale(UUID(int=8), because="mine too")
        with pytest.raises(RuleError, match="in dispute already, as line 1"):
            statement.dispute_missing_sale(MISSED, because="mine")
        statement.answer_dispute(1, outcome="accepted", amount="500", because="it is")
        statement.answer_dispute(2, outcome="rejected", because="bob's")
    first, second = flow.get(Statement, issued).all_disputes
    assert (first.deal, first.amount, second.outcome) == (MISSED, Decimal(500), "rejected")


def test_a_sale_that_has_a_line_is_no_missing_one(flow: SalesFlow) -> None:
    line = {
        "line": 2,
        "event_id": plan_id("y"),
        "occurred_at": datetime(2026, 2, 5, tzinfo=UTC),
        "deal": MISSED,
        "kind": "won",
        "plan_version": 1,
        "share": "1",
        "base": "0",
        "amount": "0",
    }
    with flow.session() as session:
        statement = session.add(Statement.issue(figures(lines=(line,))))
        with pytest.raises(RuleError, match="the deal has line 2"):
            statement.dispute_missing_sale(MISSED, because="mine")


def test_a_sale_that_makes_a_difference_is_no_missing_one(flow: SalesFlow) -> None:
    difference = {
        "line": 3,
        "first_day": date(2026, 1, 1),
        "event_id": plan_id("y"),
        "deal": MISSED,
        "reason": "late",
        "amount": "5",
    }
    paid = figures(differences=(difference,), earned="5", payable="5")
    with flow.session() as session:
        statement = session.add(Statement.issue(paid))
        with pytest.raises(RuleError, match="the deal has line 3 in the statement"):
            statement.dispute_missing_sale(MISSED, because="mine")


def test_missing_sales_have_numbers_of_their_own_whenever_they_are_said_to_be_missing(
    flow: SalesFlow,
) -> None:
    other = UUID(int=8)
    with flow.session() as session:
        day = date(2026, 3, 2)
        paid = figures(differences=(), earned="0", payable="0")
        issued = session.add(Statement.issue(paid, occurred_at=day)).id
    with flow.session() as session:
        session.get(Statement, issued).dispute_missing_sale(
            MISSED, because="mine", occurred_at=date(2026, 3, 10)
        )
    earlier = date(2026, 3, 5)
    with flow.session() as session:
        statement = session.get(Statement, issued)
        with pytest.raises(RuleError, match="in dispute already, as line 1"):
            statement.dispute_missing_sale(MISSED, because="mine", occurred_at=earlier)
        statement.dispute_missing_sale(other, because="mine too", occurred_at=earlier)
        statement.answer_dispute(2, outcome="accepted", amount="50", because="it is")
    disputes = flow.get(Statement, issued).all_disputes
    assert {each.deal: each.amount for each in disputes} == {MISSED: None, other: Decimal(50)}


def test_a_missing_sale_keeps_its_number_while_its_dispute_is_retracted(
    flow: SalesFlow, issued: UUID
) -> None:
    other = UUID(int=8)
    with flow.session() as session:
        session.get(Statement, issued).dispute_missing_sale(MISSED, because="mine")
    with flow.session() as session:
        first = flow.history(issued)[-1].event_id
        session.get(Statement, issued).retract(first, because="it was bob's")
    with flow.session() as session:
        session.get(Statement, issued).dispute_missing_sale(other, because="mine too")
    with flow.session() as session:
        retraction = flow.history(issued)[2].event_id
        session.get(Statement, issued).retract(retraction, because="it was mine after all")
    disputes = flow.get(Statement, issued).all_disputes
    assert {each.line: each.deal for each in disputes} == {1: MISSED, 2: other}
    with flow.session() as session:
        statement = session.get(Statement, issued)
        statement.retract(first, because="no, bob's")
        statement.dispute_missing_sale(MISSED, because="it is mine")
        assert statement.disputes[1].because == "it is mine", "it has the number that it had"


def test_a_dispute_that_is_accepted_says_how_much_is_paid(
    flow: SalesFlow, issued: UUID
) -> None:
    with flow.session() as session:
        statement = session.get(Statement, issued)
        statement.dispute_missing_sale(MISSED, because="mine")
        with pytest.raises(InputError, match="an amount of 0"):
            statement.answer_dispute(1, outcome="accepted", because="so be it")
        statement.answer_dispute(1, outcome="accepted", amount="0", because="put right")
        with pytest.raises(RuleError, match="was accepted already"):
            statement.answer_dispute(1, outcome="accepted", amount="5", because="more")
        assert not statement.agreed


def test_an_amount_of_a_statement_is_one_of_its_currency(flow: SalesFlow, issued: UUID) -> None:
    with flow.session() as session:
        statement = session.get(Statement, issued)
        with pytest.raises(InputError, match="is in CNY, not in USD"):
            statement.correct(Money("500", "USD"), because="laptop")
        statement.correct(Money("-500", "CNY"), because="laptop")
        statement.dispute_missing_sale(MISSED, because="mine")
        with pytest.raises(InputError, match="is in CNY, not in USD"):
            statement.answer_dispute(
                1, outcome="accepted", amount=Money("5", "USD"), because="so be it"
            )
    assert [each.amount for each in flow.get(Statement, issued).corrections] == [Decimal(-500)]


@pytest.mark.parametrize(
    ("quota_terms", "says"),
    [
        ({"accelerators": ({"starts_at": "120", "factor": "1.5"},)}, "120 % is written 1.2"),
        ({"accelerators": ({"starts_at": "1", "factor": "150"},)}, "150 % is written 1.5"),
        ({"decelerators": ({"ends_at": "50", "factor": "0.5"},)}, "50 % is written 0.5"),
    ],
)
def test_an_attainment_that_was_meant_in_per_cent_is_refused(
    quota_terms: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        published(terms=terms(quota="1000", **quota_terms))


def test_a_rate_that_was_meant_in_per_cent_is_refused_with_the_part_it_is() -> None:
    with pytest.raises(ValueError, match=r"rate: must be at most 1, .*; 5% is 0.05"):
        terms(rate="5")
