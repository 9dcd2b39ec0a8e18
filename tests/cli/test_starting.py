"""A command loads what it needs and no more; a list of commands loads nothing of the engine."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules

import pytest

from salesflow.cli.app import COMMANDS, CommandGroup, CommandHome
from salesflow.projections.registry import QUESTIONS
from simulated import ran

HEAVY = (
    "salesflow.engine",
    "salesflow.adapters.database.database",
    "sqlalchemy",
    "numpy",
    "salesflow.domain.deal",
)
"""What takes its time to load."""
LIGHT = ("--version", "--help", "ask --help", "deal --help", "import --help", "status --help",
         "import table --help", "demo --help", "version", "funel")  # fmt: skip
RUN_COMMAND = "from salesflow.cli import main; main(sys.argv[1:])"
PRINT_LOADED = """
import sys
{begin}
print(*sys.modules, sep="\\n", file=sys.stderr)
"""


def loaded(command: str, begin: str = RUN_COMMAND) -> set[str]:
    done = subprocess.run(
        (sys.executable, "-c", PRINT_LOADED.format(begin=begin), *command.split()),
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stderr.splitlines())


@pytest.mark.parametrize("command", LIGHT)
def test_help_and_version_load_neither_the_engine_nor_a_database(command: str) -> None:
    found = loaded(command)
    assert "salesflow.cli" in found
    assert found.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    ("command", "also"), [("--help", ()), ("--version", ("rich.console", "rich.table"))]
)
def test_what_needs_no_option_read_loads_no_models(command: str, also: tuple[str, ...]) -> None:
    assert loaded(command).isdisjoint({*HEAVY, "pydantic", "pydantic_core", *also})


def test_the_package_loads_what_it_offers_when_it_is_used() -> None:
    found = loaded("", begin="import salesflow")
    assert {name for name in found if name.startswith("salesflow")} == {"salesflow"}
    assert found.isdisjoint({*HEAVY, "pydantic", "typer", "rich"})


def test_the_help_of_a_question_loads_that_question_and_no_engine() -> None:
    found = loaded("ask funnel --help")
    assert "salesflow.projections.pipeline.funnel" in found
    assert found.isdisjoint(
        {
            "salesflow.engine",
            "salesflow.adapters.database.database",
            "salesflow.projections.performance.kpis",
        }
    )


def test_asking_loads_the_question_asked_and_no_other(db: str) -> None:
    found = loaded(f"ask funnel --db {db}")
    assert "salesflow.engine" in found
    questions = {question.__module__ for question in QUESTIONS.values()}
    assert found & questions == {"salesflow.projections.pipeline.funnel"}


def test_asking_a_file_loads_nothing_for_postgresql(db: str) -> None:
    found = loaded(f"ask funnel --db {db}")
    assert "sqlalchemy.dialects.sqlite" in found
    assert found.isdisjoint({"psycopg", "sqlalchemy.dialects.postgresql"})


def called(group: CommandGroup) -> Iterator[tuple[str, ...]]:
    commands: Mapping[str, CommandHome] = group.commands
    for name, home in commands.items():
        if isinstance(home, CommandGroup):
            yield from ((name, *rest) for rest in called(home))
        else:
            yield (name,)


@pytest.mark.parametrize("command", [*called(COMMANDS)], ids=" ".join)
def test_every_command_says_what_it_does(command: tuple[str, ...]) -> None:
    told = ran(*command, "--help")
    assert told.code == 0
    assert f"salesflow {' '.join(command)}" in told.out
    listed = ran(*command[:-1], "--help").out
    assert command[-1] in listed


def test_every_question_can_be_asked_from_the_command_line() -> None:
    listed = ran("ask", "--help").out
    assert [name for name in QUESTIONS if name not in listed] == []


def test_the_entry_stays_a_function_whatever_was_imported() -> None:
    """A module of its name would take its place in the package once it is imported."""
    package = import_module("salesflow.cli")
    for module in iter_modules(package.__path__):
        import_module(f"salesflow.cli.{module.name}")
    assert callable(package.main)
