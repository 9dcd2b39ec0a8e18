"""A day that is typed for a moment means its end, in the business time zone, everywhere."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from salesflow import Case, Deal, Review, SalesFlow
from salesflow.cli.recording.values import TIME_ALONE, parameters_of
from salesflow.cli.things.ids import find_deal
from salesflow.demo.world import TurnedClock
from salesflow.domain.case import case_id
from salesflow.domain.catalogue import AGGREGATES
from salesflow.domain.review import review_id
from salesflow.errors import InputError
from simulated import typed

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUSE = """
team form north --name-en North --name-zh 华北 --timezone Asia/Shanghai --occurred-at 2026-01-05
rep join wang --team north --name 王芳 --occurred-at 2026-01-05
deal open standard --title ERP --owner wang --amount "100 CNY" --occurred-at 2026-02-02
deal lose ERP --because price --occurred-at "2026-03-31 16:00"
"""
BEGINS = {"occurred_at", "effective_from"}
"""What happens on a day, or holds from a day on, counts from its beginning."""
MOMENTS = {
    ("review open", "as_of"): "review open {key} --from 2026-01-01 --to 2026-03-31",
    ("review open", "known_at"): "review open {key} --from 2026-01-01 --to 2026-03-31",
    ("case publish", "as_of"): "case publish {key} --deal ERP",
    ("case publish", "known_at"): "",
}
"""Commands that take a moment and what they call it; nothing was known of the deal in time."""
END = datetime(2026, 4, 1, tzinfo=SHANGHAI) - timedelta(microseconds=1)
TYPED = {
    "2026-03-31": END,
    "2026-03-31 17:00": datetime(2026, 3, 31, 17, tzinfo=SHANGHAI),
    "2026-03-31T17:00:00+00:00": datetime(2026, 3, 31, 17, tzinfo=UTC),
}


def commands_with_times() -> Iterator[tuple[str, str]]:
    for kind in AGGREGATES:
        for method in (name for name in dir(kind) if name[0] != "_"):
            if not callable(getattr(kind, method)) or method in ("at", "retract_pair"):
                continue
            for each in parameters_of(getattr(kind, method), kind):
                if each.kind in (datetime, TIME_ALONE):
                    yield f"{kind.noun} {method}", each.name


def test_it_is_known_of_every_time_that_a_command_takes_what_a_day_means() -> None:
    found = {each for each in commands_with_times() if each[1] not in BEGINS}
    assert found == {*MOMENTS}


@pytest.mark.parametrize("command", [each for each in MOMENTS if MOMENTS[each]])
def test_a_day_is_its_end_typed_or_in_a_file(
    house: str, tmp_path: Path, command: tuple[str, str]
) -> None:
    name, file = command[1], tmp_path / "it.json"
    for number, text in enumerate(TYPED):
        file.write_text(json.dumps({name: text}))
        given = f'--{name.replace("_", "-")} "{text}"'
        for way in (given, f"--input {file}") if number == 0 else (given,):
            words = MOMENTS[command].format(key=f"{len(way)}{number}")
            told = typed(f"{words} {way} --json", house)
            assert told.code == 0, told.err
            fact = json.loads(told.out)["recorded"][0]["fact"]
            assert datetime.fromisoformat(fact[name]) == TYPED[text]


def test_a_day_is_its_end_in_python_too() -> None:
    now = datetime(2026, 6, 10, 4, tzinfo=UTC)
    days: dict[str, Any] = {"as_of": date(2026, 6, 9), "known_at": date(2026, 6, 9)}
    end = datetime(2026, 6, 10, tzinfo=SHANGHAI) - timedelta(microseconds=1)
    period: dict[str, Any] = {"from_": date(2026, 5, 1), "to": date(2026, 6, 1)}
    with SalesFlow("sqlite://", timezone="Asia/Shanghai", clock=TurnedClock(now)) as flow:
        with flow.session() as s:
            review = s.add(Review.open("r", **period, **days))
            case = s.add(Case.publish("c", deal=review.id, **days))
            assert (review.as_of, review.known_at) == (case.as_of, case.known_at) == (end, end)
            today: dict[str, Any] = {name: date(2026, 6, 10) for name in days}
            s.add(Review.open("today", **period, **today))
        seen: list[Any] = [flow.get(Review, review_id("r")), flow.get(Case, case_id("c"))]
        assert [(it.as_of, it.known_at) for it in seen] == [(end, end)] * 2
        assert flow.get(Review, review_id("today")).as_of is None, "it is not over yet"
        tomorrow: dict[str, Any] = {name: date(2026, 6, 11) for name in days}
        with pytest.raises(InputError, match="figures of this review"), flow.session() as s:
            s.add(Review.open("tomorrow", **period, **tomorrow))
        with pytest.raises(InputError, match="before the period begins"):
            Review.open("early", **period, as_of=date(2026, 4, 30))


def test_what_is_opened_on_a_day_sees_all_of_that_day(house: str) -> None:
    day = "--occurred-at 2026-03-31"
    for line in (f"review open q1 --from 2026-01-01 --to 2026-03-31 {day}",
                 f"case publish lost --deal ERP {day}"):  # fmt: skip
        told = typed(line, house)
        assert told.code == 0, told.err
    asked = json.loads(typed("ask retrospective --review q1 --json", house).out)
    assert datetime.fromisoformat(asked["moment"]["as_of"]) >= END
    assert datetime.fromisoformat(asked["review"]["fixed_as_of"]) == END
    found = json.loads(typed("ask case-library --case lost --json", house).out)
    assert [each["outcome_published"] for each in found["cases"]] == ["lost"]
    shown = typed("review show q1", house).out
    assert "2026-03-31 23:59:59" in shown


def test_a_case_is_not_of_a_moment_at_which_its_deal_was_open_or_not_there(house: str) -> None:
    for moment, said in {
        "--as-of 2026-03-30": "the deal is open as of 2026-03-30",
        "--as-of 2026-02-01": "the deal was not there as of 2026-02-01",
        "--known-at 2026-04-30": "the deal was not there known at 2026-04-30",
    }.items():
        told = typed(f"case publish early --deal ERP {moment}", house)
        assert told.code != 0
        assert said in told.err


def test_a_second_case_of_a_deal_is_noted(house: str) -> None:
    assert typed("case publish one --deal ERP", house).err == ""
    told = typed("case publish two --deal ERP --json", house)
    assert "'one'" in json.loads(told.out)["notes"][0]


@pytest.mark.parametrize("option", ["--as-of", "--known-at", "--compare-to"])
def test_a_question_takes_a_time_by_the_clocks_of_the_house(house: str, option: str) -> None:
    told = typed(f'ask funnel {option} "2026-03-31 17:00"', house)
    assert told.code == 0, told.err
    assert "2026-03-31 17:00:00" in told.out


def test_a_time_that_the_clocks_never_showed_or_showed_twice_is_refused(tmp_path: Path) -> None:
    db = str(tmp_path / "vienna.db")
    typed("team form a --name-en A --name-zh A --timezone Europe/Vienna", db)
    for text, said in {
        "2026-03-29 02:30": "was skipped by the clocks",
        "2026-10-25 02:30": "was shown twice by the clocks",
    }.items():
        for line in ("ask funnel --as-of", "deal list --known-at", "log --known-to"):
            told = typed(f'{line} "{text}"', db)
            assert told.code != 0
            assert said in told.err


def test_a_day_for_a_deal_is_its_end(house: str) -> None:
    with SalesFlow(f"sqlite:///{house}") as flow:
        id = find_deal(flow, "ERP")
        assert flow.get(Deal, id, as_of=date(2026, 3, 31)).status == "lost"
        assert flow.get(Deal, id, as_of="2026-03-31 15:59").status == "open"


def test_what_may_be_a_slip_of_a_day_is_said_once_it_is_recorded(house: str) -> None:
    at = "--occurred-at 2026-04-01 --json"
    call = "call --text Call --owner wang"
    for line, said in {
        "review open ahead --from 2027-03-01 --to 2027-03-31": "begins on 2027-03-01 only",
        f"review agree-action ahead {call} --due 2026-03-31": "'call' is due",
        "review carry-over-action ahead call --due 2026-03-30": "on 2026-03-30, which was over",
        "review open early --from 2026-01-01 --to 2026-06-30 --known-at 2024-01-01": "nothing"
        " was known at the moment of its figures",
        "review open past --from 2026-01-01 --to 2026-06-30": "",
        f"review agree-action past {call} --due 2026-04-01": "",
    }.items():
        told = json.loads(typed(f"{line} {at}", house).out)
        assert said in " ".join(told.get("notes", ())), line
        assert bool(said) == ("notes" in told), line


def test_the_period_of_a_review_is_echoed_as_it_was_typed(house: str) -> None:
    told = typed("review open q1 --from 2026-01-01 --to 2026-03-31", house)
    assert "from 2026-01-01 · to 2026-03-31" in told.out
