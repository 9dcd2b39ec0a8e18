"""Whether what a question names is known: a process, a stage or a team; or was ever met.

A misspelt key would give an empty answer, which looks like a true one. So it is refused, with
those there are. Processes and stages are known once they are published, whatever the moment;
a team once somebody has been in it by the moment. Leaves out what callers name by ids of
their own, as reps, surveys and channels: of an unknown one there simply is nothing. Whoever
shows an answer can ask whether one was ever met.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import count, takewhile
from types import MappingProxyType
from typing import Any, ClassVar, Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.time import Moment
from salesflow.domain.values import Reference
from salesflow.errors import NotFoundError
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.question import Question, Reader, View
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import Processes

__all__ = ["MET", "Met", "MetView", "ensure_known"]


OURS = __name__.partition(".")[0]
STAGES = ("stage", "entered_stage")
"""What the tables of deals call the stage."""


def ensure_known(question: Question[View], reader: Reader) -> None:
    """Refuse a question that names a process, a stage or a team nobody knows of.

    A question from outside this package means by its parameters what it likes.

    Raises:
        NotFoundError: naming those there are.
    """
    if type(question).__module__.partition(".")[0] != OURS:
        return
    process, stage, team = (
        _named(question, parameter) for parameter in ("process", "stage", "team")
    )
    if process is not None and (process, 1) not in reader.processes:
        known_names = ", ".join(reader.published())
        raise NotFoundError(f"there is no process {process!r}; there are {known_names}")
    if stage is not None and (process is not None or not _met(stage, question, reader)):
        keys = reader.published() if process is None else [process]
        stages = dict.fromkeys(_stages(keys, reader.processes))
        if stage not in stages:
            raise NotFoundError(f"there is no stage {stage!r}; there are {', '.join(stages)}")
    if team is not None:
        _ensure_known_team(team, reader)


def _named(question: Question[View], parameter: str) -> str | None:
    found: str | None = getattr(question, parameter, None)
    return found


def _met(stage: str, question: Question[View], reader: Reader) -> bool:
    """Return whether a deal has been in a stage, which spares looking at every process."""
    for fold in FOLDS.values():
        c = fold.table.c
        column = next((c[name] for name in STAGES if name in c), None)
        if fold.table.name in question.folds and column is not None:
            mine = sa.select(column).where(
                c.tenant == reader.read_point.tenant, column == stage
            )
            if reader.rows(mine.limit(1)):
                return True
    return False


def _stages(keys: Iterable[str], processes: Processes) -> Iterator[str]:
    """Yield the stages of every version of some processes, in order."""
    for key in keys:
        versions = ((key, number) for number in count(1))
        for version in takewhile(processes.__contains__, versions):
            yield from (stage.key for stage in processes[version].stages)


def _ensure_known_team(team: str, reader: Reader) -> None:
    c = MEMBERSHIP.c
    named: sa.Select[Any] = (
        sa.select(c.team)
        .distinct()
        .where(MEMBERSHIP.started_by(reader.read_point), c.team.is_not(None))
        .order_by(c.team)
    )
    known = [row.team for row in reader.rows(named)]
    if team not in known:
        known_names = ", ".join(known) or "none"
        raise NotFoundError(f"nobody has been in a team {team!r} by then; teams: {known_names}")


# Whether what a question is narrowed to was ever met, as known at a moment.
#
# Reps, channels and surveys are named by texts of the caller's own, so that one nobody has
# heard of is no mistake the engine can see; an empty answer then looks like a true one. Whoever
# shows it can ask this.

Places = tuple[tuple[Any, str], ...]


class MetView(View):
    """Whether something a question is narrowed to was ever met."""

    population: ClassVar[str] = "everything known by the moment, whenever it held"
    formula: ClassVar[str] = "met = at least one deal, customer or survey has the value"
    met: bool

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out."""
        del language
        return [TableOfView("", ("Met",), ((str(self.met),),))]


class Met(Question[MetView]):
    """Was this value ever met?"""

    name: ClassVar[str] = "met"
    places: ClassVar[Places] = ()
    """The tables and columns it may stand in."""
    unmet: ClassVar[str] = ""
    """What is said where it was never met, in front of it."""
    value: Reference

    def answer(self, reader: Reader, moment: Moment) -> MetView:
        """Look for one row."""
        return MetView(moment=moment, met=any(self._rows(reader)))

    def _rows(self, reader: Reader) -> list[Any]:
        found: list[Any] = []
        for table, column in self.places:
            known_names = table.c[column]
            rows = sa.select(known_names).where(
                known_names == self._stored(), table.started_by(reader.read_point)
            )
            found += reader.rows(rows.limit(1))
        return found

    def _stored(self) -> str | UUID:
        return self.value


class _OwnerMet(Met):
    """Was any deal ever owned by this rep?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    places: ClassVar[Places] = ((DEAL_STATE, "owner"),)
    unmet: ClassVar[str] = "no deal was ever owned by"


class _RepMet(Met):
    """Was anybody of this id ever in a team, or owner of a deal?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name, MEMBERSHIP.name)
    places: ClassVar[Places] = ((MEMBERSHIP, "rep"), (DEAL_STATE, "owner"))
    unmet: ClassVar[str] = "there was never a rep"


class _ChannelMet(Met):
    """Did any deal ever come from this lead source?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    places: ClassVar[Places] = ((DEAL_STATE, "lead_source"),)
    unmet: ClassVar[str] = "no deal ever came from channel"


class _CurrencyMet(Met):
    """Was any deal ever in this currency?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    places: ClassVar[Places] = ((DEAL_STATE, "currency"),)
    unmet: ClassVar[str] = "no deal was ever in currency"


class _CustomerMet(Met):
    """Was this customer ever registered, or named by a deal?"""

    folds: ClassVar[tuple[str, ...]] = (CUSTOMER.name, DEAL_STATE.name)
    places: ClassVar[Places] = ((CUSTOMER, "entity_id"), (DEAL_STATE, "customer_id"))
    unmet: ClassVar[str] = "there was never a customer"

    def _stored(self) -> str | UUID:
        return UUID(self.value)


class _SurveyMet(Met):
    """Was this survey ever sent or answered?"""

    folds: ClassVar[tuple[str, ...]] = (FEEDBACK.name,)
    places: ClassVar[Places] = ((FEEDBACK, "survey"),)
    unmet: ClassVar[str] = "there was never a survey"


MET: Final[Mapping[str, type[Met]]] = MappingProxyType(
    {
        "owner": _OwnerMet,
        "rep": _RepMet,
        "channel": _ChannelMet,
        "currency": _CurrencyMet,
        "customer": _CustomerMet,
        "survey": _SurveyMet,
    }
)
"""By the name of a question's parameter, what finds out whether its value was ever met."""
