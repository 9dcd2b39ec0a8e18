"""What the reasons and stages of an answer are called, by the processes its deals closed under.

A key means what its process says: two processes may call one key by two names, and one that
was published later may call it by a third. So each question says under which process versions
the deals it counts closed, and nobody else's names are taken. Where the processes of one
answer disagree about a key, both of their names stand beside it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from salesflow.domain.process import Label
from salesflow.projections.core.names import Labelled, Names
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.factor import FACTOR
from salesflow.projections.table import Processes

__all__ = ["Meant", "named", "names_of", "of_one_deal"]


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


def names_of(reader: Reader, wanted: Sequence[sa.ColumnElement[bool]]) -> Names:
    """Name the reasons and the stages of closed deals, as their processes call them."""
    c, f = CLOSING.c, FACTOR.c
    under: list[sa.ColumnElement[Any]] = [c.process, c.process_version]
    reasons = sa.select(*under, c.because).where(*wanted, c.outcome == "lost")
    details = (
        sa.select(*under, f.detail)
        .join_from(CLOSING.table, FACTOR.table, of_one_deal())
        .where(FACTOR.visible_at(reader.read_point), *wanted)
    )
    rows = [row for each in (reasons, details) for row in reader.rows(each.distinct())]
    return named(map(Meant._make, rows), reader.processes)


def of_one_deal() -> sa.ColumnElement[bool]:
    """Join the closing of a deal and what happened on its way."""
    c, f = CLOSING.c, FACTOR.c
    return sa.and_(f.tenant == c.tenant, f.entity_id == c.entity_id)


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
