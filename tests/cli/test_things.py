"""What is listed and shown of things with a key: readable, complete, and the same in both."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from salesflow.cli.app import COMMANDS, CommandGroup, ThingCommand
from salesflow.cli.recording.thing_lists import LISTS
from salesflow.domain.catalogue import AGGREGATES
from salesflow.domain.goal import GoalCheckIn
from salesflow.domain.rep_development import CareerStep
from salesflow.domain.smart import GoalScope
from salesflow.domain.time import to_instant
from salesflow.presentation.value_text import Unit, ValueText
from simulated import demo, ran

KEYS: dict[str, Callable[[dict[str, Any]], tuple[str, ...]]] = {
    "customer": lambda thing: (thing["id"],),
    "rep": lambda thing: (thing["reference"],),
    "plan": lambda thing: (next(iter(thing["versions"].values()))["key"],),
    "contest": lambda thing: (thing["opened"]["contest"],),
    "statement": lambda thing: tuple(
        thing["figures"][name] for name in ("plan", "rep", "first_day")
    ),
}
"""By what a thing is called on the command line, where that is not its key alone."""
LISTED = sorted(
    word
    for word, group in COMMANDS.commands.items()
    if isinstance(group, CommandGroup) and isinstance(group.commands.get("list"), ThingCommand)
)
INSTANT = re.compile(r"\d{16}|\d\d:\d\d:\d\d\.\d+")
RAW = re.compile(rf"{INSTANT.pattern}|\{{.*\}}|\bNone\b|[0-9a-f]{{32}}|\d\.\d{{7,}}|\w+_\w+=")
"""What nobody should read: microseconds, Python, hashes, figures of unending places."""


def things(word: str) -> list[dict[str, Any]]:
    told = ran(word, "list", "--json", "--db", demo().url)
    assert told.code == 0, told.err
    found: list[dict[str, Any]] = json.loads(told.out)["things"]
    return found


def called(word: str, thing: dict[str, Any]) -> tuple[str, ...]:
    key = KEYS.get(word)
    return (thing["key"],) if key is None else key(thing)


def without_moment(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("as of "))


def test_every_kind_of_thing_that_is_listed_says_which_columns_it_has() -> None:
    homes = {
        command.home
        for word in LISTED
        for command in COMMANDS.commands[word].commands.values()  # type: ignore[union-attr]
        if isinstance(command, ThingCommand) and command.method == "list"
    }
    nouns = {k.noun for k in AGGREGATES if f"{k.__module__}:{k.__name__}" in homes}
    assert nouns == LISTS.keys()


@pytest.mark.parametrize("word", LISTED)
def test_a_list_has_every_thing_and_show_says_more_of_it(word: str) -> None:
    found = things(word)
    assert found, f"the demo has no {word}"
    listed = ran(word, "list", "--db", demo().url)
    assert listed.code == 0
    assert RAW.search(without_moment(listed.out)) is None
    for thing in (found[0], found[-1]):
        name = called(word, thing)
        assert name[0][:8] in listed.out
        shown = ran(word, "show", *name, "--db", demo().url)
        assert shown.code == 0, shown.err
        assert name[0][:8] in shown.out
        assert RAW.search(without_moment(shown.out)) is None


def test_raw_values_would_be_noticed() -> None:
    raw = "1778374800000000", "10:00:00.000004", "{'a': 1}", "None", "0.1234567", "a_b=1"
    assert all(RAW.search(each) for each in raw)


def moments() -> Iterator[str]:
    yield from ("2025-02-01", "2025-08-15", "2026-06-30")


@pytest.mark.parametrize("word", LISTED)
def test_a_list_of_a_past_moment_has_what_is_shown_at_that_moment(word: str) -> None:
    now = {called(word, thing) for thing in things(word)}
    for moment in moments():
        told = ran(word, "list", "--as-of", moment, "--json", "--db", demo().url)
        then = {called(word, thing) for thing in json.loads(told.out)["things"]}
        assert then <= now
        missing = sorted(now - then)[:1]
        for name in [*sorted(then)[:1], *missing]:
            shown = ran(word, "show", *name, "--as-of", moment, "--db", demo().url)
            assert (shown.code == 0) == (name in then), shown.err


def test_awards_and_outside_figures_are_listed() -> None:
    awards = ran("award", "list", "--db", demo().url)
    assert "spring-2026" in awards.out
    figures = ran("figure", "list", "--db", demo().url)
    assert re.search(r"market_share +6 +2026-Q1 +13.2% +share", figures.out)
    one = ran("figure", "show", "market_share", "--db", demo().url)
    assert re.search(r"2024-Q4 +11.2% +share +simulated", one.out)
    none = ran("figure", "show", "market-shar", "--db", demo().url)
    assert none.code != 0
    assert "perhaps market_share" in none.err
    assert "`salesflow figure list` shows" in none.err


def test_a_value_inside_a_record_is_written_as_people_read_it() -> None:
    text = ValueText("en", ZoneInfo("Asia/Shanghai"), rep=lambda id: f"{id} Ann")
    at = to_instant(datetime(2026, 5, 10, 1, 30, tzinfo=UTC))
    check_in = GoalCheckIn(at, Decimal("0.4"), None, "u-1")
    assert text.line(check_in) == "when 2026-05-10 09:30:00, confidence 40%, by u-1 Ann"
    assert text.text(GoalScope()) == "the whole company"
    assert text.text(GoalScope(team="east", stage="quoting")) == "team east · stage quoting"
    steps = (CareerStep(level="senior"), CareerStep(level="team_lead"))
    assert text.text(steps) == "senior; team lead"
    assert Unit("win_rate").written(Decimal("0.6"), "en") == "60%"
    assert Unit("sales", "CNY").written(Decimal("9923243.626355"), "en") == "9,923,243.63 CNY"
