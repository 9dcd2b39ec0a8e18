"""Sales processes: versions that are valid once, published for ever, and retired at most."""

from decimal import Decimal

import pytest

from given import CLOSED_STAGES, PLAIN, START, event, on, read
from salesflow.domain.deal import state
from salesflow.domain.event import Fact
from salesflow.domain.process import (
    CRITERIA,
    Label,
    ProcessPublished,
    ProcessRetired,
    ProcessVersion,
    SalesProcess,
    Stage,
    process_id,
)
from salesflow.domain.standard_process import STANDARD
from salesflow.errors import InputError, RuleError


def changed(**changes: object) -> ProcessVersion:
    return ProcessVersion.model_validate(PLAIN.model_dump() | changes)


def build(**changes: object) -> ProcessVersion:
    shape: dict[str, object] = {
        "key": "p",
        "name_en": "P",
        "name_zh": "流程",
        "stages": PLAIN.stages,
        **changes,
    }
    return ProcessVersion(**shape)  # type: ignore[arg-type]


def stage(**changes: object) -> Stage:
    return Stage.model_validate(PLAIN.stages[0].model_dump() | changes)


def test_a_changed_copy_of_a_process_finds_its_own_stages() -> None:
    assert [*PLAIN.by_key] == [stage.key for stage in PLAIN.stages]
    shorter = PLAIN.model_copy(update={"stages": PLAIN.stages[1:]})
    assert [*shorter.by_key] == [stage.key for stage in PLAIN.stages[1:]]
    assert shorter.open_stages == PLAIN.open_stages[1:]


TEA = Label(key="tea", name_en="Have tea", name_zh="喝茶")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"stages": ()}, "at least one open stage"),
        ({"stages": PLAIN.stages[3:]}, "at least one open stage"),
        ({"stages": (PLAIN.stages[0],) * 2}, "two stages of the process share the key 'a'"),
        (
            {"stages": (stage(tasks=(TEA, TEA)),)},
            "two tasks of the process share the key 'tea'",
        ),
        ({"loss_reasons": (TEA, TEA)}, "two loss reasons of the process share the key 'tea'"),
        ({"qualifying_stage": "z"}, "the qualifying stage 'z' is not one of its open stages"),
        ({"qualifying_stage": "served"}, "'served' is not one of its open stages"),
        (
            {"stages": (stage(exit_criteria=("task_completed:tea",)),)},
            "a asks for 'tea', which is no task of it",
        ),
        ({"version": 0}, "version: must be at least 1"),
    ],
)
def test_a_process_that_makes_no_sense_cannot_be_written(
    changes: dict[str, object], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        build(**changes)


@pytest.mark.parametrize("criterion", ["good_mood", "task_completed:", ""])
def test_exit_criteria_are_a_closed_set(criterion: str) -> None:
    with pytest.raises(ValueError, match=r"is not an exit criterion|blank"):
        stage(exit_criteria=(criterion,))


def test_every_criterion_is_said_in_two_languages() -> None:
    for criterion, (english, chinese) in CRITERIA.items():
        assert STANDARD.criterion_name(criterion) == english
        assert STANDARD.criterion_name(criterion, "zh") == chinese
        assert english.isascii()
        assert not chinese.isascii()
    process = build(stages=(stage(tasks=(TEA,)),))
    assert process.criterion_name("task_completed:tea") == "task done: Have tea"
    assert process.criterion_name("task_completed:tea", "zh") == "任务已完成：喝茶"
    assert process.criterion_name("task_completed:gone") == "task done: gone"


def test_the_built_in_process_has_six_stages_in_two_languages() -> None:
    assert [(stage.key, stage.name_zh) for stage in STANDARD.stages] == [
        ("prospecting", "潜在客户识别"),
        ("initial_contact", "初步接触"),
        ("needs_analysis", "需求分析"),
        ("solution_design", "方案设计"),
        ("negotiation", "谈判与成交"),
        ("after_sales", "售后服务"),
    ]
    assert [stage.category for stage in STANDARD.stages] == ["open"] * 5 + ["after_sales"]
    chances = [stage.probability for stage in STANDARD.stages]
    assert chances == sorted(chances)
    assert chances[-1] == Decimal(1)
    assert all(stage.tasks and stage.kpis for stage in STANDARD.stages)
    assert all(stage.exit_criteria and stage.max_days for stage in STANDARD.open_stages)
    assert STANDARD.qualifying_stage == "needs_analysis"
    assert len(STANDARD.loss_reasons) == 8


def test_a_process_finds_its_way_around_its_stages() -> None:
    assert PLAIN.stage("b").name() == PLAIN.stage("b").name("zh") == "b"
    assert (PLAIN.order("a"), PLAIN.order("z")) == (0, -1)
    assert (PLAIN.categories["served"], PLAIN.categories["z"]) == ("after_sales", "open")
    following = PLAIN.next_open("b")
    assert following is not None
    assert following.key == "c"
    assert PLAIN.next_open("c") is None
    assert PLAIN.first_of("lost") is None
    first = CLOSED_STAGES.first_of("after_sales", "won")
    assert first is not None
    assert first.key == "closed_won"
    with pytest.raises(
        InputError, match="process 'plain' version 1 has no stage 'z'; it has a,"
    ):
        PLAIN.stage("z")


def test_the_same_key_is_the_same_process_everywhere() -> None:
    assert SalesProcess.publish(PLAIN).id == process_id("plain")
    assert process_id("plain") != process_id("other")


def process(*facts: Fact) -> SalesProcess:
    return read(SalesProcess, facts, id=process_id("plain"))


def test_versions_are_published_one_after_the_other() -> None:
    sales = process(ProcessPublished(process=PLAIN))
    sales.publish_version(changed(version=2), occurred_at=START)
    assert sales.latest.version == 2
    assert set(sales.versions) == {1, 2}
    with pytest.raises(RuleError, match="has published version 2; 2 cannot follow it"):
        sales.publish_version(changed(version=2))
    with pytest.raises(InputError, match="'standard' is not a version of 'plain'"):
        sales.publish_version(STANDARD)


def test_what_was_published_first_under_a_number_stays() -> None:
    other = changed(name_en="Other")
    sales = process(ProcessPublished(process=PLAIN), ProcessPublished(process=other))
    assert sales.latest == PLAIN


def test_a_published_version_is_retired_but_never_retracted() -> None:
    sales = process(ProcessPublished(process=PLAIN))
    with pytest.raises(RuleError, match=r"cannot be retracted, .* retire it instead"):
        sales.retract(event(1), because="typo")
    sales.retire(1, because="too slow")
    assert sales.pending[0].fact == ProcessRetired(process_version=1, because="too slow")
    assert sales.retired == {1}
    with pytest.raises(RuleError, match="is retired already"):
        sales.retire(1, because="again")
    with pytest.raises(RuleError, match="version 7 of 'plain' was never published"):
        sales.retire(7, because="typo")


def test_a_retirement_may_be_retracted() -> None:
    retired = ProcessRetired(process_version=1)
    sales = process(ProcessPublished(process=PLAIN), retired)
    sales.retract(event(2), because="still needed")
    assert sales.retired == set()
    sales = read(SalesProcess, [on(ProcessPublished(process=PLAIN), START), retired])
    assert sales.retired == {1}


def test_it_is_known_of_every_exit_criterion_when_it_is_met() -> None:
    assert state._MET.keys() == CRITERIA.keys()
