"""Process versions by the command line: when they were published, and at which moments."""

import json
from pathlib import Path

import pytest

from salesflow import STANDARD
from simulated import Ran, ran


def version(number: int) -> str:
    made = STANDARD.model_copy(update={"key": "robots", "version": number})
    if number > 1:
        made = made.model_copy(update={"name_en": f"Robots {number}"})
    return made.model_dump_json()


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A process of which two versions were published long before they were recorded."""
    file = str(tmp_path / "sales.db")
    for command, number, day in (
        (("publish",), 1, "2025-01-02"),
        (("publish-version", "robots"), 2, "2025-07-01"),
    ):
        done = ran("process", *command, version(number), "--occurred-at", day, "--db", file)
        assert done.code == 0, done.err
    return file


def opened(database: str, process: str, day: str) -> Ran:
    done = ran(
        "deal", "open", process, "--title", day, "--owner", "ann", "--occurred-at", day,
        "--db", database,
    )  # fmt: skip
    assert done.code == 0, done.err
    return done


@pytest.mark.parametrize(
    ("process", "day", "note"),
    [
        ("robots", "2025-02-01", "before version 2 of the process robots was published"),
        ("robots", "2025-02-01", "(2025-07-01); name another with robots:1"),
        ("robots", "2024-05-01", "(2025-07-01), and before any other"),
        ("robots:1", "2024-05-01", "(2025-01-02), and before any other"),
        ("robots:1", "2025-02-01", ""),
        ("robots", "2025-07-01", ""),
        ("robots", "2025-08-01", ""),
    ],
)
def test_a_deal_of_before_its_version_was_published_is_noted(
    database: str, process: str, day: str, note: str
) -> None:
    said = opened(database, process, day).err
    assert note in said
    assert bool(note) == ("was published" in said)


def test_a_deal_that_is_migrated_to_a_version_of_later_is_noted(database: str) -> None:
    opened(database, "robots:1", "2025-02-01")
    done = ran(
        "deal", "migrate", "2025-02-01", "robots", "--because", "new", "--occurred-at",
        "2025-03-01", "--db", database,
    )  # fmt: skip
    assert (done.code, "before version 2 of the process" in done.err) == (0, True), done.err


def test_nothing_is_noted_where_a_process_has_one_version(tmp_path: Path) -> None:
    file = str(tmp_path / "one.db")
    assert ran("process", "publish", version(1), "--db", file).code == 0
    assert "was published" not in opened(file, "robots", "2025-02-01").err
    assert "was published" not in opened(file, "standard", "2025-02-01").err


def test_processes_are_listed_and_shown_as_of_any_moment(database: str) -> None:
    def listed(*moment: str) -> list[list[int]]:
        done = ran("process", "list", "--db", database, "--json", *moment)
        return [
            [it["version"] for it in each["versions"]]
            for each in json.loads(done.out)
            if each["key"] == "robots"
        ]

    assert listed() == [[1, 2]]
    assert listed("--as-of", "2025-03-01") == [[1]]
    assert listed("--as-of", "2024-03-01") == []
    shown = ran("process", "show", "robots", "--as-of", "2025-03-01", "--db", database)
    assert "v1" in shown.out
    assert "Published: 2025-01-02" in shown.out
    assert "Recorded" in shown.out
    never = ran("process", "show", "robots", "--as-of", "2024-03-01", "--db", database)
    assert (never.code, "the first was on 2025-01-02" in never.err) == (2, True), never.err
    told = ran("process", "history", "robots", "--db", database, "--json")
    assert [each["kind"] for each in json.loads(told.out)["events"]] == [
        "process.published"
    ] * 2


def test_a_version_is_shown_as_a_deal_is_opened_under_it(database: str) -> None:
    for wanted in (("robots:1",), ("robots", "--version", "1"), ("robots:1", "--version", "1")):
        shown = ran("process", "show", *wanted, "--db", database, "--json")
        assert json.loads(shown.out)["version"] == 1, shown.err
    other = ran("process", "show", "robots:1", "--version", "2", "--db", database)
    assert (other.code, "say one of them" in other.err) == (2, True)
    wrong = ran("process", "show", "robots:9", "--db", database)
    assert "has no version 9; there are 1, 2" in wrong.err


def test_a_process_that_is_there_is_named_by_its_key_and_not_by_its_file(
    database: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.json"
    file.write_text(version(1))
    for given in (f"@{file}", version(1)):
        done = ran("process", "publish", given, "--db", database)
        assert done.code == 2
        assert "sales process 'robots' is there already" in done.err
        assert "`salesflow process publish-version`" in done.err


def test_an_improvement_that_is_there_is_changed_by_correct(database: str) -> None:
    proposed = (
        "improvement", "propose", "pilot", "--hypothesis", "h", "--metric",
        "win_rate", "--expected-effect", "0.1", "--change",
        "strategy", "--db", database,
    )  # fmt: skip
    assert ran(*proposed).code == 0, ran(*proposed).err
    again = ran(*proposed)
    assert (again.code, "`salesflow improvement correct`" in again.err) == (2, True), again.err
