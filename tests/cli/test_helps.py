"""What `--help` says: words of whoever types, never those of Python or of another command."""

import re
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

import pytest

from salesflow import Deal
from salesflow.cli.app import COMMANDS, CommandGroup, _loaded
from salesflow.cli.recording.helps import help_text
from salesflow.presentation.fields import bare
from salesflow.projections.homes import QUESTION_HOMES
from salesflow.projections.registry import QUESTIONS
from simulated import ran

OF_PYTHON = re.compile(
    r"Raises:|\b(None|True|False|UUID|tuple|dict|session|envelope|closed list)\b|Error\b"
    r"|\w\(\)|``|\bself\.|`[a-z_]+`"
)


def helps(group: CommandGroup, *words: str) -> Iterator[tuple[str, str]]:
    for name, home in group.commands.items():
        if isinstance(home, CommandGroup):
            yield from helps(home, *words, name)
            continue
        command, called = _loaded(name, home), " ".join((*words, name))
        yield called, command.help or ""
        for each in command.params:
            yield f"{called} {each.opts[-1]}", getattr(each, "help", None) or ""


def test_no_help_holds_words_of_python() -> None:
    found = dict(helps(COMMANDS))
    assert len(found) > 1_000
    assert [f"{where}: {text}" for where, text in found.items() if OF_PYTHON.search(text)] == []


def test_words_of_python_would_be_noticed() -> None:
    assert Deal.advance.__doc__ is not None
    assert OF_PYTHON.search(Deal.advance.__doc__)
    assert help_text(Deal.advance.__doc__) == "Move the deal to the next stage."
    assert all(map(OF_PYTHON.search, ("of the same session", "None where", "the `check` is")))


@pytest.mark.parametrize(
    ("command", "option", "said"),
    [
        ("deal open", "--amount", "What it may be worth"),
        ("deal give-refund", "amount", "How much was paid back"),
        ("deal win", "--amount", "What was signed"),
        ("deal lose", "--because", "`salesflow process show` has them"),
        ("deal observe-stance", "--because", "Why."),
        ("goal lock", "--by", "Who agreed to it."),
    ],
)
def test_an_option_means_what_it_means_in_its_own_command(
    command: str, option: str, said: str
) -> None:
    found = dict(helps(COMMANDS))
    assert said in found[f"{command} {option}"]


@pytest.fixture
def sold(tmp_path_factory: pytest.TempPathFactory) -> str:
    db = f"sqlite:///{tmp_path_factory.mktemp('stages') / 'sales.db'}"
    for command in (
        ("open", "standard", "--title", "ERP", "--owner", "ann"),
        ("log-contact", "ERP", "--channel", "call", "--direction", "out"),
        ("state-intent", "ERP", "high"),
    ):
        told = ran("deal", *command, "--db", db)
        assert told.code == 0, told.err
    return db


def test_a_gate_names_the_stage_that_asks_and_the_way_past_it(sold: str) -> None:
    told = ran("deal", "advance-to", "ERP", "solution_design", "--because", "x", "--db", sold)
    assert "deal 'ERP' cannot leave 'needs_analysis': not met: a need" in told.err
    assert "say by --override why each may be unmet, and by --overridden-by who" in told.err


def test_a_stage_is_taken_by_its_name_too(sold: str) -> None:
    for name in ("Initial Contact", "needs analysis"):
        told = ran("deal", "advance-to", "ERP", name, "--because", "x", "--db", sold)
        assert told.code == 0, told.err
    told = ran("deal", "advance-to", "ERP", "Nowhere", "--because", "x", "--db", sold)
    assert "has no stage 'Nowhere'; it has prospecting, initial_contact" in told.err


def test_a_closed_list_is_named_word_by_word_where_it_is_asked_with() -> None:
    helped = dict(helps(CommandGroup("", QUESTION_HOMES)))
    named = 0
    for name, question in QUESTIONS.items():
        for parameter, field in question.model_fields.items():
            words, option = bare(field.annotation), parameter.rstrip("_").replace("_", "-")
            text = helped.get(f"{name} --{option}", "")
            if get_origin(words) is Literal and text:
                missing = [it for it in get_args(words) if not re.search(rf"\b{it}\b", text)]
                assert missing == [], (name, option, text)
                named += 1
    assert named > 20
