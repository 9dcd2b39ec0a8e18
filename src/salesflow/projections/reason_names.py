"""What the reasons and stages of an answer are called, by the processes its deals closed under.

A key means what its process says: two processes may call one key by two names, and one that
was published later may call it by a third. So each question says under which process versions
the deals it counts closed, and nobody else's names are taken. Where the processes of one
answer disagree about a key, both of their names stand beside it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from salesflow.domain.processes import Label
from salesflow.projections.names import Labelled, Names
from salesflow.projections.tables import Processes

__all__ = ["Meant", "named"]

BOTH = " / "


class Meant(NamedTuple):
    """A key of an answer, and a process version under which a deal closed that has it."""

    process: str
    version: int
    key: str | None


def named(meant: Iterable[Meant], processes: Processes) -> Names:
    """Give the names of the keys: of a process, as the newest of its versions calls them."""
    versions: dict[str, set[int]] = defaultdict(set)
    keys: dict[str, set[str]] = defaultdict(set)
    for process, version, key in meant:
        if key:
            versions[process].add(version)
            keys[key].add(process)
    labels = []
    for key in sorted(keys):
        found = [
            label
            for process in sorted(keys[key])
            if (label := _label(key, process, versions[process], processes)) is not None
        ]
        if found:
            labels.append(
                Labelled(
                    key=key,
                    name_en=_all(label.name_en for label in found),
                    name_zh=_all(label.name_zh for label in found),
                )
            )
    return Names(labels=tuple(labels))


def _label(key: str, process: str, versions: set[int], processes: Processes) -> Label | None:
    for version in sorted(versions, reverse=True):
        label = next(
            (each for each in _labels(process, version, processes) if each.key == key), None
        )
        if label is not None:
            return label
    return None


def _labels(process: str, version: int, processes: Processes) -> Iterator[Label]:
    found = processes.get((process, version))
    if found is not None:
        yield from found.loss_reasons
        yield from found.stages


def _all(names: Iterable[str]) -> str:
    return BOTH.join(dict.fromkeys(names))
