"""What was talked about with the customer, on the way to each exit criterion."""

import pytest

from given import OTHER, START, cny, day, deal_of, decides, opened, refuses
from salesflow.domain.deal.activities import (
    BudgetConfirmed,
    CompetitorNamed,
    ContactLogged,
    DecisionMaker,
    DecisionProcessMapped,
    IntentStated,
    NeedIdentified,
    Objection,
    ObjectionRaised,
    ObjectionResolved,
    SolutionProposed,
    TaskCompleted,
)
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.standard_process import STANDARD
from salesflow.errors import InputError, RuleError


@pytest.mark.parametrize("given", [[opened()], [opened(), DealLost()]])
def test_a_contact_is_logged_also_after_the_end(given: list[object]) -> None:
    deal = decides(
        given=given,  # type: ignore[arg-type]
        when=lambda deal: deal.log_contact(
            channel="visit",
            direction="out",
            summary="saw the plant",
            participants=("Ms Li",),
            next_step="send the list",
            by="ann",
        ),
        then=[
            ContactLogged(
                channel="visit",
                direction="out",
                summary="saw the plant",
                participants=("Ms Li",),
                next_step="send the list",
                by="ann",
            )
        ],
    )
    assert deal.contact_count == len(deal.contacts) == 1


def test_intent_need_budget_decision_and_solution_are_noted() -> None:
    boss = DecisionMaker(person_id=OTHER, name="Ms Li", role="CFO")
    deal = deal_of(opened())
    deal.state_intent("high", note="asked for a date")
    deal.identify_need("one system", pain_point=True)
    deal.confirm_budget(cny("100000"))
    deal.map_decision_process(
        people=(boss,), how="the board", decision_expected=day("2026-07-01")
    )
    deal.propose_solution("the whole suite")
    assert [recorded.fact for recorded in deal.pending] == [
        IntentStated(level="high", note="asked for a date"),
        NeedIdentified(need="one system", pain_point=True),
        BudgetConfirmed(budget=cny("100000")),
        DecisionProcessMapped(
            people=(boss,), how="the board", decision_expected=day("2026-07-01")
        ),
        SolutionProposed(solution="the whole suite"),
    ]
    assert deal.intent is not None
    assert deal.budget is not None
    assert deal.decision is not None
    assert (len(deal.needs), len(deal.solutions)) == (1, 1)


def test_what_is_noted_says_something() -> None:
    for when, match in (
        (lambda d: d.identify_need(" "), "a need cannot be blank"),
        (lambda d: d.confirm_budget(note=" "), "name the budget"),
        (lambda d: d.map_decision_process(), "name who decides"),
        (lambda d: d.propose_solution(""), "a solution cannot be blank"),
        (lambda d: d.raise_objection(""), "an objection cannot be blank"),
        (lambda d: d.name_competitor(""), "a competitor cannot be blank"),
    ):
        refuses(given=[opened()], when=when, error=InputError, match=match)


def test_a_budget_may_be_confirmed_in_words() -> None:
    decides(
        given=[opened()],
        when=lambda deal: deal.confirm_budget(note="enough, says the CFO"),
        then=[BudgetConfirmed(note="enough, says the CFO")],
    )


def test_a_task_of_the_process_is_ticked_off() -> None:
    deal = decides(
        given=[opened(STANDARD)],
        when=lambda deal: deal.complete_task("research_prospect", by="ann", note="quick"),
        then=[TaskCompleted(task="research_prospect", by="ann", note="quick")],
    )
    assert deal.tasks_done == {"research_prospect"}


def test_a_task_the_process_does_not_have_is_refused() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.complete_task("tea"),
        error=RuleError,
        match="process 'plain' version 1 has no task 'tea'; it has none",
    )


def test_an_objection_is_open_until_it_is_answered() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.raise_objection("too slow", topic="speed"),
        then=[ObjectionRaised(objection="O1", doubt="too slow", topic="speed")],
    )
    assert deal.objections == {"O1": Objection("O1", "too slow", "speed", resolved=False)}
    deal = decides(
        given=[opened(), ObjectionRaised(objection="O1", doubt="too slow")],
        when=lambda deal: deal.resolve_objection("O1", answer="see the benchmark"),
        then=[ObjectionResolved(objection="O1", answer="see the benchmark")],
    )
    assert deal.objections["O1"].resolved


def test_objections_are_resolved_once_and_raised_under_their_own_key() -> None:
    given = [opened(), ObjectionRaised(objection="O1"), ObjectionResolved(objection="O1")]
    for when, match in (
        (lambda d: d.resolve_objection("O1", answer="x"), "'O1' of deal .* resolved already"),
        (lambda d: d.resolve_objection("O2", answer="x"), "has no objection 'O2'"),
        (lambda d: d.raise_objection("dear", objection="O1"), "has an objection 'O1' already"),
    ):
        refuses(given=given, when=when, error=RuleError, match=match)


def test_an_answer_to_an_objection_that_was_retracted_changes_nothing() -> None:
    assert deal_of(opened(), ObjectionResolved(objection="O1")).objections == {}


def test_a_competitor_is_named_once_however_often_they_turn_up() -> None:
    deal = decides(
        given=[opened(), CompetitorNamed(competitor="Globex")],
        when=lambda deal: deal.name_competitor("Globex", note="cheaper"),
        then=[CompetitorNamed(competitor="Globex", note="cheaper")],
    )
    assert deal.competitors == ("Globex",)


def test_nothing_is_logged_of_a_deal_before_it_was_opened() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.log_contact(
            channel="call", direction="out", occurred_at=START.replace(hour=8)
        ),
        error=InputError,
        match="was opened at 2026-03-02 17:00.*nothing can be recorded of it before",
    )
