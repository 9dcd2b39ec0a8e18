"""Refusals in the words of the command line: options for parameters, keys for ids.

What refuses a command or a question lies below the command line, and names a parameter as
Python does: `parent=…`, `currency='CNY'`, `score_most`, `GoalSet: goal: …`. Whoever typed a
command is told the option or argument of that parameter instead. It is done here once for all
commands, from what each of them takes, and not in each message. What a message repeats in
quotes is what was typed, and stays as it is. A module of its own, since it is loaded where
something is refused alone.
"""

import re
from collections.abc import Mapping
from inspect import Parameter
from typing import Final, get_args

from pydantic import ValidationError
from typer.models import ArgumentInfo, OptionInfo

__all__ = ["in_options", "options_of", "refusal_text"]


Options = Mapping[str, str]
"""How each parameter of a command is typed, by its name."""

NAMED: Final = re.compile(
    r"(?P<assigned>(?<![\w\[,.-])[a-z]+(?:_[a-z]+)*_?)=(?P<value>…|'[^']*'|\"[^\"]*\")"
    r"|(?P<typed>'(?:[^'\\]|\\.)*'|\"[^\"]*\")"
    r"|`(?P<marked>[a-z]+(?:_[a-z]+)*_?)`"
    r"|(?<![\w.\[=/-])(?P<plain>[a-z]+(?:_[a-z]+)+_?)(?![\w=.\]-])"
)
"""A parameter with its value, what was typed, a parameter in backticks, or one of two words."""
FIELD: Final = re.compile(r"(?P<before>^|; )(?P<field>[a-z_]+)(?P<within>(?:\.\w+)*): ")
METHOD: Final = re.compile(r"^[A-Z]\w+\.[a-z_]+: ")
"""The command as Python calls it, which whoever typed it knows."""
ASIDE: Final = re.compile(r" \((?:[A-Z]\w*\([^()]*\)|[a-z]+(?:_[a-z]+)+)\)")
"""What is said in parentheses to whoever writes Python: a call, or an argument of one."""
CLASS: Final = re.compile(r"(?<=: )[A-Z][a-z]+(?:[A-Z][a-z]+)*: (?=[a-z_]+: )")
"""The class of a value within another one, before the field of it that is wrong."""
WHOLE: Final = ("value", "the question")
"""What stands for a value as a whole, where none of its fields is at fault alone."""


def options_of(parameters: Mapping[str, Parameter]) -> Options:
    """Return how the parameters of a command are typed, by what its signature says."""
    found = {}
    for name, parameter in parameters.items():
        for info in get_args(parameter.annotation)[1:]:
            if isinstance(info, ArgumentInfo):
                found[name] = str(info.metavar or name).upper()
            elif isinstance(info, OptionInfo):
                flags = [each for each in info.param_decls or () if each.startswith("--")]
                found[name] = flags[0] if flags else f"--{name.replace('_', '-')}"
    return found


def refusal_text(error: Exception, said: str, options: Options) -> str:
    """Return what refuses a command as whoever typed it is told."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        return _of_fields(said, cause.title, options)
    for words in (METHOD, ASIDE, CLASS):
        said = words.sub("", said)
    return in_options(said, options)


def in_options(said: str, options: Options) -> str:
    """Return a sentence with the options of a command in the place of its parameters."""

    def option(found: re.Match[str]) -> str:
        name = found["assigned"] or found["marked"] or found["plain"] or ""
        typed = options.get(name) or options.get(f"{name}_")
        if typed is None:
            return found[0]
        value = (found["value"] or "…").strip("'\"")
        return typed if value == "…" or not typed.startswith("-") else f"{typed} {value}"

    first, colon, rest = said.partition(": ")
    begun = options.get(first, first)  # as in "score: it has to be …"
    return (
        f"{begun}{colon}{NAMED.sub(option, rest)}"
        if colon and begun != first
        else NAMED.sub(option, said)
    )


def _of_fields(said: str, title: str, options: Options) -> str:
    """Return which fields of a value are wrong, by their options where they have some."""
    place, is_of_fields, wrong = said.partition(f"{title}: ")
    if not is_of_fields or (place and not place.endswith(": ")):
        return in_options(said, options)
    key = next((name for name, typed in options.items() if not typed.startswith("-")), "")

    def option(found: re.Match[str]) -> str:
        field = found["field"]
        if field in WHOLE:
            return found["before"]
        near = (field, f"{field}_", f"name_{field}", field.replace("title_", "name_"))
        typed = next((options[name] for name in near if name in options), None)
        if typed is None and f"{title} ".lower().startswith(field):
            typed = options.get(key)
        return f"{found['before']}{typed or field}{found['within']}: "

    return f"{place}{FIELD.sub(option, wrong.replace(f'; {title}: ', '; '))}"
