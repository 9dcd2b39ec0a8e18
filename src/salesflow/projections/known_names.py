"""Whether what a question names is known: a process, a stage or a team; or was ever met.

A misspelt key would give an empty answer, which looks like a true one. So it is refused, with
those there are. Processes and stages are known once they are published, whatever the moment;
a team once somebody has been in it by the moment. Leaves out what callers name by ids of
their own, as reps, surveys and channels: of an unknown one there simply is nothing. Whoever
shows an answer can ask whether one was ever met.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import count, takewhile
from types import MappingProxyType
from typing import Any, ClassVar, Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.alike_names import nearest
from salesflow.domain.rep import RepJoined, rep_id
from salesflow.domain.time import FOREVER, Moment, from_instant
from salesflow.domain.values import Reference
from salesflow.errors import NotFoundError
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.left_out import Unmet
from salesflow.projections.core.question import Question, Reader, View
from salesflow.projections.folds.collaboration import COLLABORATION
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.customer import CUSTOMER
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.folds.figure import FIGURE_REPORT
from salesflow.projections.folds.help_request import HELP_REQUEST
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.product_booking import PRODUCT_BOOKING
from salesflow.projections.folds.rep_level import REP_LEVEL
from salesflow.projections.folds.rep_skill import REP_SKILL
from salesflow.projections.folds.training import TRAINING
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import LedgerTable, Processes, ReadPoint

__all__ = [
    "MET",
    "ChannelMet",
    "ContactChannelMet",
    "DepartmentMet",
    "FigureMet",
    "LevelMet",
    "MessageChannelMet",
    "Met",
    "MetView",
    "PersonMet",
    "ProductMet",
    "RegionMet",
    "SegmentMet",
    "SkillMet",
    "TeamMet",
    "ensure_known",
    "unmet_by",
]


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
OTHERS_MAX: Final = 10_000
"""Among so many the nearest ones are looked for."""


class MetView(View):
    """Whether something a question is narrowed to was ever met."""

    population: ClassVar[str] = "everything known by the moment, whenever it held"
    formula: ClassVar[str] = "met = at least one deal, customer or survey has the value"
    met: bool
    near: tuple[Reference, ...] = ()
    """Those that may be meant, the nearest first, where it was never met."""
    others: tuple[Reference, ...] = ()
    """All that were met, where it was not."""

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
    standard: ClassVar[tuple[str, ...]] = ()
    """Those that everybody knows."""
    value: Reference

    def answer(self, reader: Reader, moment: Moment) -> MetView:
        """Look for one row, and for what is near where there is none."""
        if self.value in self.standard or any(self._rows(reader)):
            return MetView(moment=moment, met=True)
        others = self._others(reader)
        near = nearest(self.value, others)
        return MetView(moment=moment, met=False, near=near, others=tuple(others))

    def unmet_in(self, reader: Reader) -> Unmet | None:
        """Return what is said of it beside an answer; nothing where it was met."""
        if any(self._rows(reader)):
            return None
        later = self._later(reader)
        near = () if later else nearest(self.value, self._others(reader))
        return Unmet(value=self.value, said=self.unmet, near=near, later=later)

    def _later(self, reader: Reader) -> date | None:
        """Return the first day after the moment on which it is met, as known at the moment."""
        whenever = reader.read_point._replace(as_of=FOREVER)
        found: list[int] = []
        for table, column in self.places:
            begins = table.c.occurred if isinstance(table, LedgerTable) else table.c.valid_from
            first = sa.select(sa.func.min(begins).label("at")).where(
                table.c[column] == self._stored(), _known_by(table, whenever)
            )
            found += [row.at for row in reader.rows(first) if row.at is not None]
        return from_instant(min(found)).astimezone(reader.timezone).date() if found else None

    def _others(self, reader: Reader) -> dict[str, str]:
        """Return all that were met, each under whatever it is called."""
        found: dict[str, str] = dict.fromkeys(self.standard, "")
        for table, column in self.places:
            wanted = sa.select(table.c[column]).distinct()
            known = wanted.where(_known_by(table, reader.read_point))
            for (value,) in reader.rows(known.limit(OTHERS_MAX)):
                found.update(dict.fromkeys(self._texts(value), ""))
        return {name: name for name in found if name}

    @staticmethod
    def _texts(value: object) -> list[str]:
        """Return the words in a cell, of which some tables hold several."""
        return [] if value is None else [str(value)]

    def _rows(self, reader: Reader) -> list[Any]:
        found: list[Any] = []
        for table, column in self.places:
            known_names = table.c[column]
            rows = sa.select(known_names).where(
                known_names == self._stored(), _known_by(table, reader.read_point)
            )
            found += reader.rows(rows.limit(1))
        return found

    def _stored(self) -> str | UUID:
        return self.value


class _PersonMet(Met):
    """Was anybody of this id ever met?"""

    def _others(self, reader: Reader) -> dict[str, str]:
        """Return their ids, each also under the name that joining gave."""
        found = super()._others(reader)
        ids = {rep_id(rep): rep for rep in found}
        for events in reader.streams(ids, RepJoined).values():
            for event in events:
                if isinstance(event.fact, RepJoined) and event.fact.name is not None:
                    found.setdefault(event.fact.name, event.fact.rep)
        return found


class _OwnerMet(_PersonMet):
    """Was any deal ever owned by this rep?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    places: ClassVar[Places] = ((DEAL_STATE, "owner"),)
    unmet: ClassVar[str] = "no deal was ever owned by"


class _RepMet(_PersonMet):
    """Was anybody of this id ever in a team, or owner of a deal?"""

    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name, MEMBERSHIP.name)
    places: ClassVar[Places] = ((MEMBERSHIP, "rep"), (DEAL_STATE, "owner"))
    unmet: ClassVar[str] = "there was never a rep"


class PersonMet(_PersonMet):
    """Was anybody of this id ever in a team, owner of a deal, or at work on one?"""

    folds: ClassVar[tuple[str, ...]] = (
        DEAL_STATE.name,
        MEMBERSHIP.name,
        COLLABORATION.name,
    )
    places: ClassVar[Places] = (
        (MEMBERSHIP, "rep"),
        (DEAL_STATE, "owner"),
        (COLLABORATION, "actor"),
        (COLLABORATION, "person"),
    )
    unmet: ClassVar[str] = "there was never anybody called"


class DepartmentMet(Met):
    """Was this department ever named?"""

    folds: ClassVar[tuple[str, ...]] = (COLLABORATION.name, HELP_REQUEST.name)
    places: ClassVar[Places] = (
        (COLLABORATION, "department"),
        (COLLABORATION, "actor_department"),
        (HELP_REQUEST, "department"),
    )
    unmet: ClassVar[str] = "there was never a department"


class ContactChannelMet(Met):
    """Was a customer ever talked to in this way?"""

    folds: ClassVar[tuple[str, ...]] = (CONTACT.name,)
    places: ClassVar[Places] = ((CONTACT, "channel"),)
    unmet: ClassVar[str] = "no activity was ever by channel"
    standard: ClassVar[tuple[str, ...]] = ("call", "visit", "meeting", "email", "message")


class MessageChannelMet(Met):
    """Did colleagues ever write in this way?"""

    folds: ClassVar[tuple[str, ...]] = (COLLABORATION.name,)
    places: ClassVar[Places] = ((COLLABORATION, "channel"),)
    unmet: ClassVar[str] = "nobody ever wrote by channel"
    standard: ClassVar[tuple[str, ...]] = ("chat", "email", "call")


class SkillMet(Met):
    """Was this skill ever assessed, or taught?"""

    folds: ClassVar[tuple[str, ...]] = (REP_SKILL.name, TRAINING.name)
    places: ClassVar[Places] = ((REP_SKILL, "skill"), (TRAINING, "skills"))
    unmet: ClassVar[str] = "there was never a skill"
    standard: ClassVar[tuple[str, ...]] = ("communication", "negotiation", "product_knowledge")

    @staticmethod
    def _texts(value: object) -> list[str]:
        return [] if value is None else str(value).splitlines()

    def _rows(self, reader: Reader) -> list[Any]:
        """Look also among several skills of one training."""
        return super()._rows(reader) or [it for it in self._others(reader) if it == self.value]


class LevelMet(Met):
    """Was anybody ever of this level, or to reach it?"""

    folds: ClassVar[tuple[str, ...]] = (REP_LEVEL.name,)
    places: ClassVar[Places] = ((REP_LEVEL, "level"), (REP_LEVEL, "next_level"))
    unmet: ClassVar[str] = "there was never a level"


class ProductMet(Met):
    """Was this product ever sold?"""

    folds: ClassVar[tuple[str, ...]] = (PRODUCT_BOOKING.name,)
    places: ClassVar[Places] = ((PRODUCT_BOOKING, "product"),)
    unmet: ClassVar[str] = "nothing was ever sold of product"


class SegmentMet(Met):
    """Was any customer ever of this segment?"""

    folds: ClassVar[tuple[str, ...]] = (CUSTOMER.name,)
    places: ClassVar[Places] = ((CUSTOMER, "segment"),)
    unmet: ClassVar[str] = "no customer was ever of segment"


class RegionMet(Met):
    """Was any customer ever of this region?"""

    folds: ClassVar[tuple[str, ...]] = (CUSTOMER.name,)
    places: ClassVar[Places] = ((CUSTOMER, "region"),)
    unmet: ClassVar[str] = "no customer was ever of region"


class FigureMet(Met):
    """Was this figure ever reported from outside?"""

    folds: ClassVar[tuple[str, ...]] = (FIGURE_REPORT.name,)
    places: ClassVar[Places] = ((FIGURE_REPORT, "figure"),)
    unmet: ClassVar[str] = "nobody ever reported a figure"


class TeamMet(Met):
    """Was anybody ever in this team?"""

    folds: ClassVar[tuple[str, ...]] = (MEMBERSHIP.name,)
    places: ClassVar[Places] = ((MEMBERSHIP, "team"),)
    unmet: ClassVar[str] = "there was never a team"


class ChannelMet(Met):
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

    def _others(self, reader: Reader) -> dict[str, str]:
        """Return nothing: ids are not mistyped, and are near nothing."""
        del reader
        return {}


class _SurveyMet(Met):
    """Was this survey ever sent or answered?"""

    folds: ClassVar[tuple[str, ...]] = (FEEDBACK.name,)
    places: ClassVar[Places] = ((FEEDBACK, "survey"),)
    unmet: ClassVar[str] = "there was never a survey"


def _known_by(table: Any, point: ReadPoint) -> sa.ColumnElement[bool]:  # noqa: ANN401 - a table of either kind
    """Return which rows of a table had begun by the moment, or been posted."""
    ledger = isinstance(table, LedgerTable)
    found: sa.ColumnElement[bool] = (
        table.posted_by(point) if ledger else table.started_by(point)
    )
    return found


def unmet_by(question: Question[View], reader: Reader) -> tuple[Unmet, ...]:
    """Return what a question is narrowed to and was never met by the moment.

    A question from outside this package means by its parameters what it likes.
    """
    if type(question).__module__.partition(".")[0] != OURS or isinstance(question, Met):
        return ()
    found = []
    for parameter, met in MET.items():
        value = getattr(question, parameter, None)
        if value is not None and {*met.folds} <= {*question.folds}:
            found.append(met(value=str(value)).unmet_in(reader))
    told = tuple(each for each in found if each is not None)
    return told or tuple(_apart(question, reader))


def _apart(question: Question[View], reader: Reader) -> Iterator[Unmet]:
    """Yield that a rep was never in the team asked about: of both together there is nothing."""
    rep, team = _named(question, "owner") or _named(question, "rep"), _named(question, "team")
    if rep is None or team is None:
        return
    c = MEMBERSHIP.c
    mine: sa.Select[Any] = (
        sa.select(c.team)
        .distinct()
        .where(MEMBERSHIP.started_by(reader.read_point), c.rep == rep, c.team.is_not(None))
        .order_by(c.team)
    )
    teams = tuple(row.team for row in reader.rows(mine))
    if team not in teams:
        said = "nothing is of both a team and a rep who was never in it:"
        yield Unmet(value=rep, said=said, near=teams)


MET: Final[Mapping[str, type[Met]]] = MappingProxyType(
    {
        "owner": _OwnerMet,
        "rep": _RepMet,
        "channel": ChannelMet,
        "currency": _CurrencyMet,
        "customer": _CustomerMet,
        "product": ProductMet,
        "survey": _SurveyMet,
    }
)
"""By the name of a question's parameter, what finds out whether its value was ever met."""
