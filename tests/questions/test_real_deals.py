"""Figures of a table nobody here wrote, known from elsewhere; skipped where it is not there."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from importing.test_real_tables import MAPPINGS, MAVEN
from salesflow import SalesFlow
from salesflow.adapters.importing import import_table
from salesflow.projections.stage_times import StageTimes

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
