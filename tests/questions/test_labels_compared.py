"""What a comparison calls a field is what the field means in that record."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, Literal, get_args, get_origin

from questions.test_comparing import records_of_answers
from salesflow import Contest, ContestStandings, SalesFlow
from salesflow.presentation.fields import CALLED, CALLED_IN
from salesflow.presentation.messages import Language, key_text
from salesflow.projections.core.comparison_layout import AS_IN_TABLES
from salesflow.projections.core.left_out import Behind
from salesflow.projections.core.question import ENVELOPE

MEANT = {
    "adjusted": "Effect HelpfulTraining",
    "before_after": "AtConclusion ImprovementEffectView",
    "effect": "AtConclusion ImprovementEffectView TrainingEffectView",
    "few": "CoverageShare Driver Interviews NarrowStage",
    "towards": "AtConclusion ImprovementEffectView ImprovementStanding",
    "unmatched": "AtConclusion ImprovementEffectView ImprovementStanding",
    "actual": "BacktestedRange ForecastJudged GoalLine GoalSplit PastForecast PeriodGoal",
    "amounts": "CardFigure ClosedDeals DealHealthView FunnelEnd FunnelStage HealthReasonCount"
    " LostTo NarrowStage StageKpiLine",
    "because": "AtConclusion CaseAtMoment CaseLearned CaseSummary LibraryCase LossReason"
    " RevisionLine",
    "contacts": "CaseAtMoment Chapter ContactsBy FollowUps",
    "days_median": "Spread StageFigures StageStay TimeToEvent",
    "days_over": "Bottleneck StageFigures",
    "deals_over": "Bottleneck StageFigures",
    "entries_later": "StageConversion StageValue",
    "error": "HeldByWeek RangesHeld",
    "facts": "Chapter DealTimelineView",
    "figures_before": "MovementBeside NarrowStage StagePassed Theme",
    "held_share": "HeldByRep HeldByTeam HeldByWeek RangesHeld",
    "in_period": "StageConversion StageValue",
    "left": "StageConversion StageValue",
    "n_before": "BeforeAfter CardFigure",
    "target": "GoalCheckView GoalLine GoalSplit PeriodGoal RevisionLine StageKpiLine",
    "to_date": "StageConversion StageValue",
    "total_before": "CollaborationView FeedbackView",
    "values": "StageConversion StageReach",
    "weighted": "CategoryLine FlowFigures FlowMovement ForecastLine FunnelEnd FunnelStage",
}
"""Records in which a field of a label of its own means what the label says."""


def test_no_label_is_taken_from_a_field_of_the_same_name_that_means_something_else() -> None:
    """Where a second record has such a field, look at what it means: here, or `CALLED_IN`."""
    found: dict[str, set[str]] = {}
    for record in records_of_answers():
        for name in {*CALLED, *AS_IN_TABLES} & {*record.model_fields} - ENVELOPE:
            if (record.__name__, name) not in CALLED_IN and record is not Behind:
                found.setdefault(name, set()).add(record.__name__)
    several = {name: records for name, records in found.items() if len(records) > 1}
    assert several == {name: {*records.split()} for name, records in MEANT.items()}


def test_every_name_of_a_field_in_one_record_is_used() -> None:
    there = {(it.__name__, name) for it in records_of_answers() for name in it.model_fields}
    assert {*CALLED_IN} <= there


def words_in(kind: object) -> Iterator[str]:
    """Give the words of the closed lists in a type."""
    if get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    else:
        for each in get_args(kind):
            yield from words_in(each)


def test_every_word_of_a_closed_list_in_an_answer_has_chinese() -> None:
    without = {
        (record.__name__, name, word)
        for record in records_of_answers()
        for name, field in record.model_fields.items()
        for word in words_in(field.annotation)
        if key_text(word, "zh").isascii()
    }
    assert without == set()


def test_whether_a_contest_is_over_is_called_so() -> None:
    with SalesFlow("sqlite://", clock=lambda: datetime(2026, 5, 1, tzinfo=UTC)) as flow:
        with flow.session() as s:
            days: dict[str, Any] = {
                "first_day": date(2026, 3, 2),
                "last_day": date(2026, 3, 31),
            }
            begins = datetime(2026, 3, 1, tzinfo=UTC)
            named: dict[str, Any] = {"name_en": "C", "name_zh": "C", "metric": "orders"}
            s.add(Contest.open("c", **named, **days, occurred_at=begins))
        asked = ContestStandings(contest="c")
        found = flow.compare(asked, as_of="2026-04-05", to_as_of="2026-03-20")
    called = {"en": "Contest not over yet", "zh": "竞赛尚未结束"}
    for language in get_args(Language):
        rows = {row[0]: row[1:3] for row in found.tables(language)[0].rows}
        assert rows[called[language]] == (("yes", "no") if language == "en" else ("是", "否"))
