"""The demo tells its story: the funnel now and then, one deal, one late correction."""

import json
import shlex

from simulated import demo, ran


def test_the_story_has_its_five_parts() -> None:
    story = demo().story
    headings = [line for line in story.splitlines() if line[:1].isdigit() and "  " in line]
    assert [line[0] for line in headings] == ["1", "2", "3", "4", "5"]


def test_the_story_names_stages_in_both_languages() -> None:
    assert "Negotiation and closing 谈判与成交" in demo().story


def test_the_story_shows_one_correction_on_both_axes_and_what_explains_it() -> None:
    correction = demo().story.partition("5  A late correction")[2]
    assert "known now" in correction
    assert "known at the end of" in correction
    assert "Fact retracted" in correction
    assert correction.count("as of end of") == 2


def test_what_the_story_says_is_what_a_question_answers() -> None:
    asked = ("ask", "funnel", "--db", demo().url, "--as-of", "2026-06-30")
    table = demo().story.partition("2  The funnel")[2].partition("Closed")[0]
    assert table.partition("\n")[2] in ran(*asked).out
    assert json.loads(ran(*asked, "--json").out)["open_deals"] > 100


def test_a_command_of_the_story_can_be_typed_as_it_is_printed() -> None:
    [command] = [
        line for line in demo().story.splitlines() if line.startswith("salesflow deal replay")
    ]
    told = ran(*shlex.split(command)[1:])
    assert told.code == 0
    shown = demo().story.partition("Step-by-step replay ")[2].partition("salesflow deal")[0]
    assert shown.strip() in told.out


def test_the_demo_ends_with_its_tables_filled() -> None:
    status = json.loads(ran("status", "--db", demo().url, "--json").out)
    assert {table["lag"] for table in status["tables"]} == {0}
    assert status["events"] > 20_000
    assert status["report_currency"] == "CNY"
