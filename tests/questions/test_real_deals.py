"""Figures of a table nobody here wrote, known from elsewhere; skipped where it is not there."""

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

from importing.test_real_tables import MAPPINGS, MAVEN
from salesflow import SalesFlow
from salesflow.adapters.importers import import_table
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.pipeline.funnel_trend import FunnelTrend
from salesflow.projections.stages.stage_times import StageTimes

pytestmark = pytest.mark.skipif(not MAVEN.is_file(), reason=f"there is no {MAVEN.name}")


@pytest.fixture(scope="module")
def maven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SalesFlow]:
    """8,800 opportunities of a hardware seller, imported."""
    with SalesFlow(f"sqlite:///{tmp_path_factory.mktemp('maven') / 'maven.db'}") as flow:
        import_table(MAVEN, MAPPINGS / "maven_crm.toml", log=flow.log)
        yield flow


def rounded(share: Decimal | None) -> str:
    return "" if share is None else f"{share:.6f}"


def test_the_time_to_win_or_lose_a_real_deal_is_as_known_from_elsewhere(
    maven: SalesFlow,
) -> None:
    question = StageTimes(process="maven_b2b", start="engaging")
    [ending] = maven.ask(question, as_of="2017-12-31").ending
    assert (ending.count, ending.won, ending.lost, ending.censored) == (8300, 4238, 2473, 1589)
    assert ending.days_median == Decimal(69)
    assert [
        (c.days, rounded(c.lasting), rounded(c.won), rounded(c.lost)) for c in ending.chances
    ] == [
        (30, "0.618799", "0.218995", "0.162206"),
        (60, "0.549766", "0.264733", "0.185501"),
        (90, "0.350861", "0.397015", "0.252125"),
    ]


def test_engaging_is_left_when_a_real_deal_is_closed(maven: SalesFlow) -> None:
    view = maven.ask(StageTimes(process="maven_b2b"), as_of="2017-12-31")
    [engaging] = [each for each in view.leaving if each.stage == "engaging"]
    assert (engaging.count, engaging.won, engaging.lost) == (8300, 4238, 2473)
    assert engaging.days_median == Decimal(69)


def test_won_and_lost_by_quarter_and_the_cycle_are_as_known_from_elsewhere(
    maven: SalesFlow,
) -> None:
    question = Kpis(from_=date(2017, 1, 1), to=date(2018, 1, 1), each="quarter")
    lines = maven.ask(question, as_of="2017-12-31").lines
    assert [(line.won, line.lost) for line in lines] == [
        (531, 116), (1254, 778), (1257, 790), (1196, 789)
    ]  # fmt: skip
    [year] = maven.ask(question.model_copy(update={"each": None}), as_of="2017-12-31").lines
    assert rounded(year.cycle.days_mean) == "51.781973"
    assert year.win_rate is not None
    assert rounded(year.win_rate.value) == "0.631501"
    assert [(total.amount, total.currency) for total in year.sales] == [
        (Decimal(10_005_534), "USD")
    ]
    before = maven.ask(Kpis(from_=date(2017, 1, 1), to=date(2017, 3, 1)), as_of="2017-12-31")
    assert before.lines[0].win_rate is None, "of nothing closed there is no rate"


def test_month_ends_are_those_that_counting_lines_of_the_file_gives(maven: SalesFlow) -> None:
    with MAVEN.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    question = FunnelTrend(from_=date(2016, 10, 1), to=date(2018, 1, 1))
    ends = maven.ask(question, as_of="2017-12-31").ends
    assert len(ends) == 15
    for end in ends:
        day = str(end.last)
        ended = Counter(row["deal_stage"] for row in rows if "" < row["close_date"] <= day)
        engaged = sum("" < row["engage_date"] <= day for row in rows)
        found = {each.outcome: each.deals for each in end.closed}
        stages = {stage.stage: stage.deals for stage in end.stages}
        assert (found["won"], found["lost"]) == (ended["Won"], ended["Lost"]), day
        assert stages.get("engaging", 0) == engaged - ended.total(), day
    june = next(end for end in ends if end.last == date(2017, 6, 30))
    assert [each.deals for each in june.closed[:2]] == [1785, 894]
