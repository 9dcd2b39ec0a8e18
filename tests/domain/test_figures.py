"""What is reported from outside: by period, with a source, in one unit for ever."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from given import SHANGHAI, events_of
from salesflow.domain.figures import FIGURES_ID, FigureReported, Figures, FiguresState
from salesflow.domain.state import ReplayContext
from salesflow.errors import InputError, RuleError

Q1 = {"first_day": date(2026, 1, 1), "last_day": date(2026, 3, 31)}
SHARE: dict[str, Any] = {"value": "0.12", "unit": "share", "source": "IDC", **Q1}


def test_a_later_report_of_a_period_replaces_the_one_before() -> None:
    figures = Figures.begin("market-share", **SHARE)
    figures.report("market-share", **{**SHARE, "value": "0.13", "source": "IDC, revised"})
    [(key, reported)] = figures.reports.items()
    assert key == ("market-share", *Q1.values())
    assert (reported.value, reported.source) == (Decimal("0.13"), "IDC, revised")
    assert figures.id == FIGURES_ID


def test_a_figure_stays_in_the_unit_it_was_first_reported_in() -> None:
    figures = Figures.begin("market-share", **SHARE)
    with pytest.raises(RuleError, match="'market-share' is reported in share, not in percent"):
        figures.report("market-share", **{**SHARE, "unit": "percent"})


def test_a_report_of_an_earlier_time_may_be_told_later_and_replaces_nothing() -> None:
    figures = in_shanghai()
    figures.report("market-share", **SHARE, occurred_at=date(2026, 4, 20))
    early = {**SHARE, "value": "0.1", "source": "IDC, preliminary"}
    figures.report("market-share", **early, occurred_at=date(2026, 4, 2))
    assert [each.source for each in figures.reports.values()] == ["IDC"]
    then = figures.at(date(2026, 4, 3))
    assert [each.source for each in then.reports.values()] == ["IDC, preliminary"]
    assert not figures.irregular


def test_a_report_of_an_earlier_time_is_in_the_unit_of_the_later_ones() -> None:
    figures = in_shanghai()
    figures.report("market-share", **SHARE, occurred_at=date(2026, 4, 20))
    with pytest.raises(RuleError, match="'market-share' is reported in share, not in points"):
        figures.report(
            "market-share", **{**SHARE, "unit": "points"}, occurred_at=date(2026, 4, 2)
        )


def in_shanghai() -> Figures:
    """Begin an empty book whose days are those of Shanghai."""
    return Figures.new(FIGURES_ID, ReplayContext(zone=SHANGHAI))


def test_a_figure_may_be_named_as_the_metric_is() -> None:
    figures = Figures.begin("figure:market-share", **SHARE)
    assert [*figures.units] == ["market-share"]


def test_a_period_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(InputError, match="cannot end"):
        Figures.begin("market-share", **{**SHARE, "last_day": date(2025, 1, 1)})


def test_a_period_that_another_system_turned_round_counts_for_nothing() -> None:
    fact = FigureReported(
        figure="market-share", value=Decimal(1), unit="share", source="IDC",
        first_day=date(2026, 4, 1), last_day=date(2026, 3, 1),
    )  # fmt: skip
    book = FiguresState()
    assert book.evolve(events_of([fact])[0]) == "its period ends before it begins"
    assert not book.reports


def test_a_report_names_its_source() -> None:
    with pytest.raises(InputError, match="source"):
        Figures.begin("market-share", **{**SHARE, "source": " "})


def test_a_share_is_a_part_of_the_whole() -> None:
    meant = r"figure:market-share is a share: 0\.35 is 35%; 14 is none; write 0\.14 for 14%"
    with pytest.raises(InputError, match=meant):
        Figures.begin("market-share", **{**SHARE, "value": "14"})
    with pytest.raises(InputError, match="is none"):
        Figures.begin("market-share", **{**SHARE, "value": "-0.1"})
    points = Figures.begin("nps", **{**SHARE, "value": "-45", "unit": "points"})
    assert [each.value for each in points.reports.values()] == [-45]
