"""`--compare-to`: the same question at another moment, and what is different."""

import json
import re
from uuid import UUID

import pytest

from questions.needed import needed_by, tell_what_is_needed
from salesflow import SalesFlow
from salesflow.projections.registry import QUESTIONS
from simulated import demo, ran

pytestmark = pytest.mark.usefixtures("db")
ERP = UUID("e4900000-0000-4000-8000-000000000001")
OF_A_DEAL = {
    name: tuple(map(str, needed_by(question, ERP).values()))
    for name, question in QUESTIONS.items()
    if needed_by(question, ERP)
}
"""What is asked about one thing, and which one."""
THEN = {"case-study": "2026-03-20"}
"""When there was something to compare with, where that was not so on 5 March."""


def test_a_mistake_found_later_is_the_difference_between_what_was_known() -> None:
    told = ran(
        "ask", "funnel", "--as-of", "2026-03-31", "--compare-to", "2026-03-31@2026-03-20"
    )
    assert told.code == 0
    [won] = [line.split() for line in told.out.splitlines() if "882,000" in line]
    assert won == ["Amount", "980,000", "CNY", "98,000", "CNY", "-882,000", "CNY"]


def test_both_moments_are_printed() -> None:
    told = ran(
        "ask", "funnel", "--as-of", "2026-03-31", "--compare-to", "2026-03-05@2026-03-06"
    )
    [then] = [line for line in told.out.splitlines() if line.startswith("Compared with: ")]
    [now] = [line for line in told.out.splitlines() if line.startswith("As asked: ")]
    assert then.startswith(
        "Compared with: as of end of 2026-03-05 · data recorded up to end of 2026-03-06 · event"
    )
    assert now.startswith("As asked: as of end of 2026-03-31 · data recorded up to 2026-03-2")
    assert "Scope: " in told.out


def test_a_moment_before_the_log_began_says_so() -> None:
    told = ran("ask", "funnel", "--compare-to", "2025-01-01@2025-01-01")
    assert "Compared with: nothing was known yet, the log begins at 2026-03-02" in told.out


def test_json_holds_both_answers_and_the_difference() -> None:
    alone = json.loads(ran("ask", "funnel", "--as-of", "2026-03-05", "--json").out)
    moments = ("--as-of", "2026-03-31", "--compare-to", "2026-03-05")
    told = json.loads(ran("ask", "funnel", *moments, "--json").out)
    assert list(told) == ["then", "now", "difference"]
    assert told["then"] == alone
    assert told["now"]["moment"]["as_of"] == "2026-03-31T15:59:59.999999+00:00"
    assert told["then"]["moment"]["known_at"] == told["now"]["moment"]["known_at"]
    assert told["difference"]["open_deals"] == -1


def test_a_comparison_is_in_chinese_when_asked_for() -> None:
    told = ran("ask", "funnel", "--compare-to", "2026-03-05", "--lang", "zh").out
    assert all(
        word in told for word in ("指标", "对比时点", "所选时点", "差异", "商机数", "赢单")
    )
    assert "对比时点：截至 2026-03-05 当日结束" in told
    assert not any(
        word in told for word in ("Figure", "Compared", "Asked", "Difference", "Amounts")
    )


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_question_can_be_compared(name: str, language: str, db: str) -> None:
    with SalesFlow(f"sqlite:///{db}") as flow:
        tell_what_is_needed(flow)
    then = THEN.get(name, "2026-03-05")
    asked = ("ask", name, *OF_A_DEAL.get(name, ()), "--compare-to", then)
    told = ran(*asked, "--lang", language)
    assert told.code == 0, told.err
    assert json.loads(ran(*asked, "--json").out)["difference"] is not None


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name not in OF_A_DEAL])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_row_is_called_by_a_key(name: str, language: str) -> None:
    moments = ("--as-of", "2025-12-31", "--compare-to", "2025-06-30")
    told = ran("ask", name, "--db", demo().url, *moments, "--lang", language)
    rows = [line for line in told.out.splitlines() if line.startswith(" ")]
    assert told.code == 0
    assert rows
    assert [line for line in rows if re.search("[a-z]_[a-z]", line)] == []


def test_a_large_log_is_compared_as_it_was_known_then() -> None:
    moments = ("--as-of", "2024-12-31", "--compare-to", "2024-09-30@2024-09-30")
    told = ran("ask", "funnel", "--db", demo().url, *moments)
    assert told.code == 0, told.err
    assert (
        "Compared with: as of end of 2024-09-30 · data recorded up to end of 2024-09-30"
        in told.out
    )


@pytest.mark.parametrize("by", [(), ("--by", "team")])
def test_figures_of_two_quarters_are_compared(by: tuple[str, ...]) -> None:
    moments = ("--as-of", "2025-06-30", "--compare-to", "2025-03-31")
    told = json.loads(ran("ask", "kpis", "--db", demo().url, *by, *moments, "--json").out)
    rows = told["difference"]["lines"]
    assert len(rows) == len(told["now"]["lines"])
    for row, then, now in zip(rows, told["then"]["lines"], told["now"]["lines"], strict=True):
        assert then["first"] < "2025-04-01" <= now["first"]
        assert row["won"] == now["won"] - then["won"]
        assert row["first"] == {"then": then["first"], "now": now["first"]}


@pytest.mark.parametrize("then", ["2025-05-31", "2025-06-30@2025-05-15", "2025-03-31"])
@pytest.mark.parametrize("by", [(), ("--by", "channel")])
def test_months_are_compared_with_themselves_alone(then: str, by: tuple[str, ...]) -> None:
    moments = ("--as-of", "2025-06-30", "--compare-to", then)
    asked = ("ask", "kpis", "--db", demo().url, "--each", "month", *by, *moments, "--json")
    told = json.loads(ran(*asked).out)
    before, after = (
        {(line["first"], line["group"]): line["won"] for line in told[side]["lines"]}
        for side in ("then", "now")
    )
    for row in told["difference"]["lines"]:
        month = row["first"], row["group"]
        known = month in before and month in after
        assert row["won"] == (after[month] - before[month] if known else None)


@pytest.mark.parametrize("said", ["2026-03-31@", "@2026-03-31", "", "@", "2026@2026@2026"])
def test_half_a_moment_is_refused_with_a_whole_one_as_example(said: str) -> None:
    told = ran("ask", "funnel", "--compare-to", said)
    assert told.code == 2
    assert told.err == (
        f"salesflow: --compare-to: {said!r} is not a moment to compare with; write 2026-03-31,"
        " or 2026-03-31@2026-03-31 for what was known on that day\n"
    )


def test_what_is_no_time_is_refused() -> None:
    told = ran("ask", "funnel", "--compare-to", "2026-03-31@yesterday")
    assert (told.code, "'yesterday' is not a time" in told.err) == (2, True)


def test_a_deal_that_was_not_there_then_cannot_be_compared() -> None:
    told = ran("ask", "deal-timeline", "e490", "--compare-to", "2026-01-01")
    assert told.code == 2
    assert told.err.startswith("salesflow: to compare with, as of 2026-01-01: no deal")


def test_a_deal_that_was_open_then_is_no_case_to_compare_with() -> None:
    told = ran("ask", "case-study", "e490", "--compare-to", "2026-03-05")
    assert told.code == 1
    assert told.err.startswith("salesflow: to compare with, as of 2026-03-05: deal ")
    assert "is open at that moment; a case study is of a deal that stands" in told.err
