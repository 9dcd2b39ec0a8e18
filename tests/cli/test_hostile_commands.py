"""Whatever is typed, a command ends with an answer or with one line that says what is wrong.

Thousands of command lines are made of real commands and options, right values and hostile ones,
and run in process, with terminals of every width and encoding. A few in every run; with
`SALESFLOW_TORTURE=10` five thousand.
"""

import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

from properties.effort import TALLY, TORTURE
from salesflow import SalesFlow
from salesflow.cli import main
from salesflow.cli.app import app
from salesflow.cli.context import CommandContext
from words_of_python import python_in

LINES = int(os.environ.get("SALESFLOW_LINES") or (60 if TORTURE == 1 else 500 * TORTURE))
LINES_A_CATCH_UP = 50
CODES = (0, 1, 2)
PROGRESS = "\x1b[?25h"
ERP = "e4900000"
HOSTILE = (
    "", " ", "\t", "\n", "a\nb", "\x00", "\x1b[31mred\x1b]0;owned\x07", "\u202eabc", "\ud800",
    "x:\udcff", "é" * 300, "x" * 10_000, "\N{PILE OF POO}", "[bold]x[/bold]", "[/]", "%s%n{0}",
    "';DROP TABLE salesflow_events;--", "../..", "/dev/null", ".", "~", "-", "--", "-1", "0",
    "1e999999", "NaN", "-inf", "9" * 30, "9" * 5_000, "0x10", "1_000", "１２", "true", "null",
    "2026-02-30", "0001-01-01", "9999-12-31", "9999-12-30", "0001-01-01T00:00:00+14:00",
    "2026-01-01T00:00:00-23:59", "2026-W01", "20260101", "2026-01-01@", "@",
    "@@", "@2026-01-01",
    "2026-03-31@2026-03-31", "2026-Q0", "2026-13", "sqlite://", "sqlite:///", "sqlite://x.db",
    "postgresql://", "mysql://x/y", "file:x", "http://[::1", "sqlite:///x.db?mode=ro",
    "house.db/x",
    ":", "::", "crm:17", "crm:", "e", "e4", "ffffffff", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "--as-of", "--help", "-h", "--json", "*", "?", "\\", '"', "'",
)  # fmt: skip
RIGHT: dict[str, tuple[str, ...]] = {
    "as_of": ("2026-03-31", "2026-03-05T12:00:00+08:00"),
    "known_at": ("2026-03-31", "2026-03-12"),
    "compare_to": ("2026-03-10", "2026-03-20@2026-03-21"),
    "by": ("owner", "team", "process", "month"),
    "currencies": ("CNY", "USD"),
    "deal": (ERP, "3e500000", "e4900000-0000-4000-8000-000000000001"),
    "file": ("deals.csv", "broken.csv", "house.db", "none.csv"),
    "from_": ("2026-01-01", "2026-03-01"),
    "key": ("standard",),
    "known_then": ("2026-03-10",),
    "lang": ("zh", "en"),
    "limit": ("1", "5"),
    "mapping": ("deals.toml", "deals.csv"),
    "owner": ("ann", "nobody"),
    "process": ("standard",),
    "report": ("report.json", "house.db", "deals.csv", "/dev/full"),
    "table": ("funnel", "deal_state", "stage-visit"),
    "tables": ("deal_state",),
    "tenant": ("main", "main", "south"),
    "to": ("2026-03-31", "2026-04-01"),
}
UNTRIED = {"follow": "never ends"}
COMMANDS_UNTRIED = {("demo",): "takes a minute", ("import", "ecb"): "reads a large archive"}
"""What cannot be tried by the thousand; `demo` has tests of its own."""
MAPPING = """
source = "crm"
rows = "deals"
object = "No"
timezone = "Asia/Shanghai"
currency = "EUR"

[[facts]]
kind = "deal.opened"
at = "Opened"

[facts.fields]
title = "Title"
"""


class Command(NamedTuple):
    """A command and what it takes."""

    path: tuple[str, ...]
    parameters: tuple[Any, ...]


class Outcome(NamedTuple):
    """What a command line did."""

    line: tuple[str, ...]
    wrong: str


def commands() -> Iterator[Command]:
    """Give every command of the command line that can be tried."""
    yield from _commands(get_command(app), ())


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[Command]:  # noqa: ANN401
    for name in group.commands:
        _, command, _ = group.resolve_command(None, [name])
        here = (*path, name)
        if hasattr(command, "commands"):
            yield from _commands(command, here)
        elif here not in COMMANDS_UNTRIED:
            taken = tuple(p for p in command.params if p.name not in UNTRIED)
            yield Command(here, taken)


def command_line(random: Random, command: Command) -> tuple[str, ...]:
    """Make a command line of some of what a command takes, mostly right."""
    line = list(command.path)
    hostile = random.choice((0.0, 0.1, 0.4))
    for parameter in command.parameters:
        needed = parameter.required
        if not needed and random.random() < 0.7:
            continue
        if parameter.param_type_name == "option":
            line.append(parameter.opts[0])
        if not getattr(parameter, "is_flag", False):
            line.append(_value(random, parameter.name, hostile))
    if random.random() < 0.1:
        line.insert(random.randrange(len(line) + 1), random.choice(HOSTILE))
    if not any(word == "--db" for word in line) or random.random() < 0.9:
        line += ["--db", "house.db"]
    return tuple(line)


def _value(random: Random, name: str, hostile: float) -> str:
    right = RIGHT.get(name)
    if right is None or random.random() < hostile:
        return random.choice(HOSTILE)
    return random.choice(right)


def run(random: Random, line: tuple[str, ...], patch: pytest.MonkeyPatch) -> Outcome:
    """Run a command line at some terminal; say what is wrong with what it did, if anything."""
    encoding = random.choice(("utf-8", "utf-8", "ascii", "cp1252", "gbk"))
    out, err = io.BytesIO(), io.BytesIO()
    with patch.context() as here:
        here.setattr(sys, "stdout", stdout := io.TextIOWrapper(out, encoding))
        here.setattr(sys, "stderr", stderr := io.TextIOWrapper(err, encoding))
        here.setenv(
            "COLUMNS", random.choice(("1", "20", "80", "120", "0", "-5", "abc", "9999999"))
        )
        if random.random() < 0.3:
            here.setenv("FORCE_COLOR", "1")
        try:
            code = main(line)
        except BaseException as error:  # noqa: BLE001 - any is what is looked for
            return Outcome(line, f"raised {error!r}")
        stdout.flush()
        stderr.flush()
    said, told = out.getvalue(), err.getvalue().decode(encoding)
    return Outcome(line, _wrong(line, code, said, told))


def _wrong(line: tuple[str, ...], code: int, said: bytes, told: str) -> str:
    if code not in CODES or "Traceback" in told:
        return f"exit code {code}: {told}"
    if PROGRESS in told:  # a bar, on a terminal
        told = told[told.rindex(PROGRESS) :].partition("salesflow: ")[2]
    if told.count("\n") > 1 or (code and not told) or len(told) > 2_100:
        return f"{told.count(chr(10))} lines, {len(told)} characters on stderr: {told[:500]}"
    if code and python_in(told):
        return f"words of Python, {python_in(told)!r}: {told[:500]}"
    if b"\x1b]" in said or "\x1b]" in told or b"\xe2\x80\xae" in said:
        return "what a terminal obeys"
    if "--json" in line and code == 0 and said.startswith((b"{", b"[")):
        json.loads(said.decode("utf-8"))
    return ""


def tried(lines: int, patch: pytest.MonkeyPatch, *, seed: int = 1) -> list[Outcome]:
    """Run so many command lines; give what went wrong."""
    random, known = Random(seed), [*commands()]
    found = []
    for number in range(1, lines + 1):
        line = command_line(random, random.choice(known))
        found.append(run(random, line, patch))
        if number % LINES_A_CATCH_UP == 0:
            look_through()
    TALLY["command lines"] += lines
    return [each for each in found if each.wrong]


def look_through() -> None:
    """Read all there is, and fold it: nothing may have come in that cannot be read back."""
    with SalesFlow("sqlite:///house.db", create=False) as flow:
        assert len(flow.log.page(0, 100_000)) == flow.log.head().position > 0
        flow.catch_up()


@pytest.fixture
def folder(db: str, tmp_path: Path) -> Path:
    """The small database, and tables to import beside it."""
    assert Path(db).parent == tmp_path
    rows = "No,Title,Opened\n1,One,2026-01-05\n2,\x1b[31mTwo,2026-01-06\n"
    (tmp_path / "deals.toml").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "deals.csv").write_text(rows, encoding="utf-8")
    (tmp_path / "broken.csv").write_bytes(b'No,Title,Opened\n"\xff\x00\n')
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_no_command_line_ends_in_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tried(LINES, monkeypatch, seed=int(os.environ.get("SALESFLOW_SEED", "1")))
    assert not wrong, "\n".join(f"{each.line}\n  {each.wrong}" for each in wrong)


@pytest.mark.usefixtures("folder")
def test_the_harness_finds_a_command_that_fails_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = CommandContext.holds_a_log

    def fails(desk: CommandContext) -> bool:
        if desk.language == "zh":
            raise ValueError("never caught")
        return right(desk)

    monkeypatch.setattr(CommandContext, "holds_a_log", fails)
    imports = ("import", "table", "deals.csv", "--mapping", "deals.toml", "--db", "house.db")
    assert run(Random(1), imports, monkeypatch).wrong == ""
    assert "ValueError" in run(Random(1), (*imports, "--lang", "zh"), monkeypatch).wrong
