"""What other packages hand in: facts, read tables and questions, by entry points.

    [project.entry-points."salesflow.facts"]
    demos = "acme.sales:DemoGiven"          # a class, or a list of them
    [project.entry-points."salesflow.folds"]
    demos = "acme.sales:DEMOS"              # a fold, or a list of them
    [project.entry-points."salesflow.questions"]
    acme-demos = "acme.sales:Demos"         # by the question's name

What is installed so is known wherever a log is opened, also by the command line. An application
that wants it for itself alone hands it in where it opens: `SalesFlow(url, facts=[…])`.
"""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint

from salesflow.domain.event import Fact
from salesflow.errors import InputError
from salesflow.projections.homes import installed_points
from salesflow.projections.table import Fold, IntervalFold, Ledger

__all__ = ["installed_facts", "installed_folds"]


@cache
def installed_facts() -> tuple[type[Fact], ...]:
    """Return the classes of facts that installed packages hand in.

    Raises:
        InputError: naming the entry point that cannot be loaded, or names something else.
    """
    found: list[type[Fact]] = []
    for point in installed_points("salesflow.facts"):
        for each in _loaded(point):
            if not (isinstance(each, type) and issubclass(each, Fact)):
                raise InputError(f"{_named(point)} is no class of facts, nor a list of them")
            found.append(each)
    return tuple(found)


@cache
def installed_folds() -> tuple[Fold, ...]:
    """Return the read tables that installed packages hand in.

    Raises:
        InputError: naming the entry point that cannot be loaded, or names something else.
    """
    found: list[Fold] = []
    for point in installed_points("salesflow.folds"):
        for each in _loaded(point):
            if not isinstance(each, IntervalFold | Ledger):
                raise InputError(f"{_named(point)} is no fold, nor a list of them")
            found.append(each)
    return tuple(found)


def _loaded(point: EntryPoint) -> tuple[object, ...]:
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"{_named(point)} cannot be loaded: {error}") from error
    return tuple(found) if isinstance(found, Iterable) else (found,)


def _named(point: EntryPoint) -> str:
    return f"the entry point {point.name} = {point.value} of {point.group}"
