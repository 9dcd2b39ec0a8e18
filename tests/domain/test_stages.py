"""A deal moves through its process: opening, advancing, skipping, returning, migrating."""

import pytest

from given import (
    CLOSED_STAGES,
    HOUR,
    OTHER,
    PLAIN,
    START,
    cny,
    day,
    deal_of,
    decides,
    on,
    opened,
    refuses,
)
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.deal.activities import (
    BudgetConfirmed,
    ContactLogged,
    DecisionProcessMapped,
    IntentStated,
    NeedIdentified,
    TaskCompleted,
)
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import (
    Check,
    DealMigrated,
    DealOpened,
    StageMapping,
    StageMoved,
)
from salesflow.domain.event import Fact
from salesflow.domain.process import Label, ProcessVersion
from salesflow.domain.standard_process import STANDARD
from salesflow.errors import (
    DealClosedError,
    GateError,
    InputError,
    NotFoundError,
    RuleError,
    StageError,
)

CALL = ContactLogged(channel="call", direction="out")


def with_plain(**changes: object) -> ProcessVersion:
    return ProcessVersion.model_validate(PLAIN.model_dump() | {"version": 2} | changes)


def test_a_deal_begins_in_the_first_open_stage() -> None:
    acme = Customer.register(name="Acme")
    deal = Deal.open(
        STANDARD,
        customer=acme,
        title="ERP rollout",
        owner="ann",
        amount=cny("98000"),
        expected_close=day("2026-09-30"),
        lead_source="fair",
        occurred_at=START,
    )
    assert deal.pending[0].fact == DealOpened(
        process="standard",
        process_version=1,
        stage="prospecting",
        title="ERP rollout",
        owner="ann",
        customer_id=acme.id,
        amount=cny("98000"),
        expected_close=day("2026-09-30"),
        lead_source="fair",
    )
    assert (deal.process, deal.process_version, deal.stage) == ("standard", 1, "prospecting")
    assert (deal.title, deal.owner, deal.customer_id) == ("ERP rollout", "ann", acme.id)
    assert (deal.amount, deal.expected_close) == (cny("98000"), day("2026-09-30"))
    assert (deal.outcome, deal.is_open, deal.lead_source) == ("open", True, "fair")
    assert (deal.opened_at, deal.closed_at) == (START, None)


def test_a_deal_may_begin_in_a_later_open_stage_under_a_given_id() -> None:
    deal = Deal.open(PLAIN, title="ERP", owner="ann", stage="b", customer=OTHER, id=OTHER)
    assert (deal.stage, deal.customer_id, deal.id) == ("b", OTHER, OTHER)
    assert deal.opened_at is None, "it is the time of recording, which nobody knows yet"


def test_a_deal_begins_in_an_open_stage_of_its_process_and_with_a_title() -> None:
    with pytest.raises(StageError, match="'served' is none"):
        Deal.open(PLAIN, title="ERP", owner="ann", stage="served")
    with pytest.raises(InputError, match="has no stage 'z'"):
        Deal.open(PLAIN, title="ERP", owner="ann", stage="z")
    with pytest.raises(InputError, match="title"):
        Deal.open(PLAIN, title=" ", owner="ann")


def test_a_deal_advances_to_the_next_open_stage() -> None:
    deal = decides(
        given=[opened()],
        when=lambda deal: deal.advance(because="they called back"),
        then=[StageMoved(target="b", because="they called back")],
    )
    assert (deal.stage, str(deal.probability)) == ("b", "0.2")


def test_behind_the_last_open_stage_there_is_only_winning_or_losing() -> None:
    refuses(
        given=[opened(stage="c")],
        when=lambda deal: deal.advance(because="on we go"),
        error=StageError,
        match="last open stage; win it or lose it",
    )


def test_a_move_needs_a_reason() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.advance(because="  "),
        error=InputError,
        match="a move needs a reason",
    )


def test_a_deal_in_a_stage_its_process_does_not_know_goes_on_from_the_first() -> None:
    decides(
        given=[opened(), StageMoved(target="gone")],
        when=lambda deal: deal.advance(because="found again"),
        then=[StageMoved(target="a", because="found again")],
    )


def test_exit_criteria_are_checked_on_the_way_forward_and_kept_in_the_fact() -> None:
    decides(
        given=[opened(STANDARD), CALL],
        when=lambda deal: deal.advance(because="they answered"),
        then=[
            StageMoved(
                target="initial_contact",
                because="they answered",
                checks=(Check(criterion="contact_logged", result="passed"),),
            )
        ],
    )


def test_a_gate_names_what_is_missing() -> None:
    refuses(
        given=[opened(STANDARD, stage="needs_analysis"), NeedIdentified(need="one system")],
        when=lambda deal: deal.advance(because="hurry"),
        error=GateError,
        match="cannot leave 'needs_analysis': not met: the budget is confirmed"
        r" \(budget_confirmed\), the decision process is mapped \(decision_process_mapped\)",
    )


def test_an_unmet_criterion_may_be_overridden_by_somebody_who_says_why() -> None:
    decides(
        given=[opened(STANDARD, stage="initial_contact"), CALL],
        when=lambda deal: deal.advance(
            because="boss knows them",
            override={"intent_stated": "an old customer", "contact_logged": "not needed"},
            overridden_by="boss",
        ),
        then=[
            StageMoved(
                target="needs_analysis",
                because="boss knows them",
                checks=(
                    Check(criterion="contact_logged", result="passed"),
                    Check(
                        criterion="intent_stated",
                        result="overridden",
                        by="boss",
                        because="an old customer",
                    ),
                ),
            )
        ],
    )


@pytest.mark.parametrize(
    ("override", "by", "match"),
    [
        ({"intent_stated": "old customer"}, None, "say who overrides"),
        ({"intent_stated": " "}, "boss", "overriding intent_stated needs a reason"),
        ({"quote_issued": "no need"}, "boss", "'quote_issued' is not asked for here"),
    ],
)
def test_an_override_names_what_is_asked_who_and_why(
    override: dict[str, str], by: str | None, match: str
) -> None:
    refuses(
        given=[opened(STANDARD, stage="initial_contact"), CALL],
        when=lambda deal: deal.advance(because="go", override=override, overridden_by=by),
        error=InputError,
        match=match,
    )


def test_skipping_stages_asks_for_what_they_would_have_asked() -> None:
    given = [opened(STANDARD), CALL, IntentStated(level="high")]
    refuses(
        given=given,
        when=lambda deal: deal.advance_to("solution_design", because="they know us"),
        error=GateError,
        match=r"need_identified\), .*budget_confirmed\), .*decision_process_mapped",
    )
    facts = [NeedIdentified(), BudgetConfirmed(), DecisionProcessMapped()]
    deal = decides(
        given=[*given, *facts],
        when=lambda deal: deal.advance_to("solution_design", because="they know us"),
        then=[
            StageMoved(
                target="solution_design",
                because="they know us",
                checks=tuple(
                    Check(criterion=criterion, result="passed")
                    for criterion in (
                        "contact_logged",
                        "intent_stated",
                        "need_identified",
                        "budget_confirmed",
                        "decision_process_mapped",
                    )
                ),
            )
        ],
    )
    assert deal.stage == "solution_design"


def test_a_process_may_forbid_skipping_and_returning() -> None:
    process = with_plain(skipping_allowed=False, returning_allowed=False)
    deal = deal_of(opened(process), published=[process])
    with pytest.raises(StageError, match="does not allow skipping b"):
        deal.advance_to("c", because="fast")
    deal.advance(because="slowly")
    with pytest.raises(StageError, match="does not allow going back"):
        deal.return_to("a", because="sorry")


def test_a_deal_goes_back_with_a_reason_and_without_a_gate() -> None:
    decides(
        given=[opened(STANDARD), StageMoved(target="negotiation")],
        when=lambda deal: deal.return_to("needs_analysis", because="new boss there"),
        then=[StageMoved(target="needs_analysis", because="new boss there")],
    )


def test_forward_and_back_are_different_commands() -> None:
    refuses(
        given=[opened(stage="b")],
        when=lambda deal: deal.advance_to("a", because="x"),
        error=StageError,
        match="use return_to",
    )
    refuses(
        given=[opened(stage="b")],
        when=lambda deal: deal.return_to("c", because="x"),
        error=StageError,
        match="use advance_to",
    )


@pytest.mark.parametrize(
    ("stage", "match"),
    [
        ("a", "is in 'a' already"),
        ("z", "has no stage 'z'; it has a, b, c, served, renewed"),
        ("served", "is open; 'served' is a stage of category after_sales"),
    ],
)
def test_a_deal_moves_only_to_another_open_stage_of_its_process(stage: str, match: str) -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.advance_to(stage, because="x"),
        error=StageError,
        match=match,
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.return_to(stage, because="x"),
        error=StageError,
        match=match,
    )


def test_a_stage_that_means_won_is_entered_by_winning() -> None:
    refuses(
        given=[opened(CLOSED_STAGES, stage="talks")],
        when=lambda deal: deal.advance_to("closed_won", because="signed"),
        error=StageError,
        match="a stage of category won",
    )


def test_a_lost_deal_does_not_move() -> None:
    refuses(
        given=[opened(), DealLost(because="price")],
        when=lambda deal: deal.advance(because="hope"),
        error=DealClosedError,
        match="already lost; to advance it, reopen it first",
    )
    refuses(
        given=[opened(), DealLost(because="price")],
        when=lambda deal: deal.advance_to("b", because="hope"),
        error=DealClosedError,
        match="already lost",
    )


def test_a_won_deal_moves_among_the_stages_of_service_only() -> None:
    won = [opened(), DealWon()]
    deal = decides(
        given=won,
        when=lambda deal: deal.advance_to("renewed", because="year two"),
        then=[StageMoved(target="renewed", because="year two")],
    )
    assert (deal.stage, deal.outcome) == ("renewed", "won")
    decides(
        given=[*won, StageMoved(target="renewed")],
        when=lambda deal: deal.return_to("served", because="trouble"),
        then=[StageMoved(target="served", because="trouble")],
    )
    refuses(
        given=won,
        when=lambda deal: deal.return_to("b", because="?"),
        error=StageError,
        match="is won; 'b' is a stage of category open",
    )


@pytest.mark.parametrize(
    ("criterion", "fact"),
    [
        ("contact_logged", CALL),
        ("customer_answered", ContactLogged(channel="call", direction="in")),
        ("task_completed:tea", TaskCompleted(task="tea")),
    ],
)
def test_a_criterion_is_met_by_the_fact_it_asks_for(criterion: str, fact: Fact) -> None:
    stages = list(PLAIN.model_dump()["stages"])
    tea = Label(key="tea", name_en="Have tea", name_zh="喝茶").model_dump()
    stages[0] |= {"exit_criteria": (criterion,), "tasks": (tea,)}
    process = ProcessVersion.model_validate(
        PLAIN.model_dump() | {"version": 3, "stages": tuple(stages)}
    )
    deal = deal_of(opened(process), published=[process])
    with pytest.raises(GateError, match=criterion):
        deal.advance(because="done")
    deal = deal_of(opened(process), fact, published=[process])
    deal.advance(because="done")
    assert deal.stage == "b"


def test_a_deal_stays_on_its_process_version_until_it_is_migrated() -> None:
    renamed = ProcessVersion.model_validate(
        PLAIN.model_dump()
        | {
            "version": 2,
            "stages": [s | {"key": s["key"] + "2"} for s in PLAIN.model_dump()["stages"]],
        }
    )
    deal = deal_of(opened(), StageMoved(target="b"), published=[renamed])
    with pytest.raises(StageError, match="stage 'b' needs a stage of the same category"):
        deal.migrate(renamed, because="new process")
    with pytest.raises(StageError, match="stage 'b' needs"):
        deal.migrate(renamed, mapping={"b": "served2"}, because="new process")
    deal.migrate(renamed, mapping={"b": "b2"}, because="new process")
    assert deal.pending[0].fact == DealMigrated(
        process="plain",
        process_version=2,
        mapping=(StageMapping(old="b", new="b2"),),
        because="new process",
    )
    assert (deal.process_version, deal.stage, deal.outcome) == (2, "b2", "open")
    deal.advance(because="on")
    assert deal.stage == "c2"


def test_a_stage_that_kept_its_key_needs_no_mapping() -> None:
    process = with_plain()
    deal = deal_of(opened(), DealWon(), published=[process])
    deal.migrate(process, because="new version")
    assert (deal.process_version, deal.stage, deal.outcome) == (2, "served", "won")
    assert deal.last_open_stage == "a"


def test_a_migration_goes_to_another_published_version() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.migrate(with_plain(), because="x"),
        error=InputError,
        match="process 'plain' version 2 has not been published",
    )
    refuses(
        given=[opened()],
        when=lambda deal: deal.migrate(PLAIN, because="x"),
        error=RuleError,
        match="stands on 'plain' version 1 already",
    )


def test_a_deal_of_an_unknown_process_can_be_read_but_not_moved() -> None:
    deal = deal_of(opened(PLAIN, process="gone", process_version=7))
    assert (deal.stage, deal.forecast_category) == ("a", "pipeline")
    assert deal.probability == 0
    with pytest.raises(NotFoundError, match="'gone' version 7, which was never published"):
        deal.advance(because="x")


def test_going_there_and_back_inside_a_minute_leaves_every_step_in_the_history() -> None:
    minute = HOUR / 60
    deal = deal_of(
        opened(),
        on(StageMoved(target="b"), START + minute),
        on(StageMoved(target="a"), START + 1.2 * minute),
        on(StageMoved(target="b"), START + 1.4 * minute),
    )
    assert [type(e.fact) for e in deal.history] == [DealOpened, *[StageMoved] * 3]
    assert deal.stage == "b"
    assert deal.at(START + 1.3 * minute).stage == "a"
    assert deal.irregular == ()


def test_several_moves_in_one_session_each_stand() -> None:
    deal = deal_of(opened())
    deal.advance(because="one")
    deal.advance(because="two")
    assert [recorded.fact for recorded in deal.pending] == [
        StageMoved(target="b", because="one"),
        StageMoved(target="c", because="two"),
    ]
    assert deal.stage == "c"
