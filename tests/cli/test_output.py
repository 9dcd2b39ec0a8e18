"""What people see: aligned, nothing cut off, no colour in a pipe, currencies side by side."""

import re
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len

from salesflow.cli.context import Screen, size_of
from salesflow.domain.time import Moment
from salesflow.presentation.format import local_time, moment_line
from salesflow.presentation.table import TableOfView

ESCAPE = re.compile(r"\x1b\[[\d;]*m")
SHANGHAI = ZoneInfo("Asia/Shanghai")
WIDE = TableOfView(
    "客户",
    ("名称", "Amount"),
    (
        ("江南精密机械有限公司", "1,200.00 CNY + 30.00 USD"),
        ("Brightwater " * 30, "7.00 EUR"),
    ),
    ("a note",),
)


def printed(table: TableOfView, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(sys, "stdout", out := StringIO())
    Screen().table(table)
    return out.getvalue().splitlines()


def test_a_pipe_gets_every_character_and_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(printed(WIDE, monkeypatch))
    assert ("Brightwater " * 30).strip() in text
    assert "\x1b" not in text
    assert "…" not in text


def test_chinese_cells_are_as_wide_as_they_look(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        line for line in printed(WIDE, monkeypatch) if "Brightwater" in line or "江南" in line
    ]
    assert len({cell_len(line) for line in lines}) == 1


def test_unlike_currencies_stand_on_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = [line.rstrip() for line in printed(WIDE, monkeypatch)]
    amounts = [line for line in ends if line.endswith(("CNY", "USD", "EUR"))]
    assert [line.split()[-2:] for line in amounts] == [
        ["1,200.00", "CNY"],
        ["30.00", "USD"],
        ["7.00", "EUR"],
    ]
    assert len({cell_len(line) for line in amounts}) == 1


def test_a_terminal_gets_colour_and_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    text = "\n".join(printed(WIDE, monkeypatch))
    assert "\x1b[" in text
    assert text.count("Brightwater") == 30
    plain = ESCAPE.sub("", text)
    assert max(cell_len(line) for line in plain.splitlines()) <= 60


def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", quiet := StringIO())
    with Screen().progress("work") as report:
        report(1, 2)
    assert quiet.getvalue() == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", loud := StringIO())
    with Screen().progress("work") as report:
        report(1, 2)
    assert "work" in loud.getvalue()


def test_a_moment_names_the_end_of_a_day_as_such() -> None:
    moment = Moment(
        as_of=datetime(2026, 3, 31, 15, 59, 59, 999_999, tzinfo=UTC),
        known_at=datetime(2026, 4, 1, 1, 2, 3, 4, tzinfo=UTC),
        position=12_345,
        revision=1,
    )
    assert moment_line(moment, SHANGHAI, "en") == (
        "as of end of 2026-03-31 · data recorded up to 2026-04-01 09:02:03.000004"
        " · event no. 12,345 · Asia/Shanghai"
    )


def test_a_time_is_local_and_as_fine_as_wanted() -> None:
    at = datetime(2026, 3, 31, 1, 2, 3, 40, tzinfo=UTC)
    assert local_time(at, SHANGHAI) == "2026-03-31 09:02:03.000040"
    assert local_time(at, SHANGHAI, exact=False) == "2026-03-31 09:02:03"


def test_in_an_hour_that_clocks_show_twice_the_offset_says_which_is_meant() -> None:
    vienna, hour = ZoneInfo("Europe/Vienna"), timedelta(hours=1)
    first = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert [local_time(first + n * hour, vienna) for n in (-1, 0, 1, 2)] == [
        "2025-10-26 01:30:00",
        "2025-10-26 02:30:00+02:00",
        "2025-10-26 02:30:00+01:00",
        "2025-10-26 03:30:00",
    ]


def test_a_piped_line_ends_with_its_last_character(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(WIDE, monkeypatch)
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize(
    ("count", "shown"),
    [(900, "900 B"), (2_048, "2.0 KiB"), (5_000_000, "4.8 MiB"), (7 * 2**30, "7.0 GiB")],
)
def test_sizes_are_written_for_people(count: int, shown: str) -> None:
    assert size_of(count) == shown


def test_a_width_that_is_said_is_kept_in_a_pipe_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(map(len, printed(WIDE, monkeypatch))) > 60
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(cell_len, printed(WIDE, monkeypatch))) <= 60
    monkeypatch.setenv("COLUMNS", "many")
    assert max(map(len, printed(WIDE, monkeypatch))) > 60
