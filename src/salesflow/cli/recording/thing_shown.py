"""What `show` says of a thing: a table of its values, and one of each list of records it has.

The values are those of its state, by their names, so that a new fact shows itself. What stands
in a state for rules alone, or twice, is left out; what people look for and no value says (when
a review was opened, who is to take a training) is added by its kind. It is a module of its own
beside `things`, which finds what is meant.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from salesflow.cli.recording.thing_lists import LISTS, rep_state, training_state
from salesflow.cli.recording.things_read import ThingsRead
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.alert import Alert
from salesflow.domain.case import Case
from salesflow.domain.event import Event
from salesflow.domain.incentive_plan import IncentivePlan
from salesflow.domain.rep import Rep
from salesflow.domain.rep_development import SKILLS, TrainingTaken
from salesflow.domain.review import Review
from salesflow.domain.smart import PastRange
from salesflow.domain.state import values_of
from salesflow.domain.statement import Statement
from salesflow.domain.team import Team
from salesflow.domain.time import from_instant
from salesflow.domain.training import Training
from salesflow.presentation.fields import called
from salesflow.presentation.format import NO_VALUE, local_day
from salesflow.presentation.table import TableOfView
from salesflow.presentation.value_text import (
    NO_UNIT,
    WRITERS,
    Unit,
    contexts_of,
    is_record,
    record_fields,
)
from salesflow.projections.core.earlier_reader import seen_by

__all__ = ["shown_of", "shown_values", "values_shown"]


NOT_SHOWN: Final = frozenset({"irregular"})
OF_RULES: Final = frozenset(
    {
        ("training", "key"),
        *(("rep", "trainings"), ("rep", "levels_reached"), ("rep", "left_at")),
        *(("alert", "retired"), ("alert", "condition"), ("alert", "threshold")),
        *(("alert", "days"), ("alert", "watched"), ("improvement", "key")),
        *(("goal", "currency"), ("goal", "unit"), ("goal", "locked"), ("goal", "abandoned")),
        ("training", "is_retired"),
    }
)
"""Values that people are told in another way."""
NO_COLUMNS: Final = frozenset({"causes", "event_id"})
"""Fields of records that only machines need; JSON has them."""
PERIODS: Final = (("first_day", "last_day", 0), ("from_", "to", 1))
"""Fields that are a period together, and how many days its last one lies before the second."""


class ThingShown(NamedTuple):
    """What is shown of a thing."""

    rows: list[tuple[str, str]]
    tables: list[TableOfView]


def shown_values(kind: type[Aggregate]) -> list[str]:
    """Name the values of its state that are told of a thing."""
    names = {
        name: None
        for cls in reversed(kind.state_class.__mro__)
        for name in vars(cls).get("__annotations__", {})
        if name[0] != "_" and name in values_of(cls) and name not in NOT_SHOWN
    }
    return [*names]


def values_shown(thing: Aggregate) -> dict[str, object]:
    """Return what the state of a thing says, by the names of its values."""
    return {name: getattr(thing, name) for name in shown_values(type(thing))}


def shown_of(thing: Aggregate, read: ThingsRead) -> ThingShown:
    """Return what people read of a thing as it stood."""
    shown = ThingShown([], [])
    own = {
        name: value
        for name, value in values_shown(thing).items()
        if (thing.noun, name) not in OF_RULES
    }
    of_kind = MORE.get(thing.noun)
    unit = NO_UNIT.within(thing)
    for name in CONTEXT:
        unit = unit.within(getattr(thing, name, None))
    _Shower(read, shown).take(thing, own, unit)
    if of_kind is not None:
        of_kind(thing, read, shown)
    return shown


CONTEXT: Final = ("opened", "figures")
"""Values that say in which unit the numbers beside them are."""


class _Shower:
    """Puts values into rows and tables."""

    def __init__(self, read: ThingsRead, shown: ThingShown) -> None:
        self.read = read
        self.shown = shown

    def take(self, record: object, values: Mapping[str, object], unit: Unit) -> None:
        """Take the values of a thing, or of a record in it."""
        values = dict(values)
        for first, last, less in PERIODS:
            ends = values.get(first), values.get(last)
            if isinstance(ends[0], date) and isinstance(ends[1], date):
                text = self.read.span(ends[0], ends[1] - timedelta(days=less))
                values = {
                    ("period" if name == first else name): text if name == first else value
                    for name, value in values.items()
                    if name != last
                }
        for name, value in values.items():
            self._take_one(record, name, value, unit)

    def _take_one(self, record: object, name: str, value: object, unit: Unit) -> None:
        each = [*value.values()] if isinstance(value, Mapping) else value
        if isinstance(each, Sequence) and each and all(map(is_record, each)):
            unit = unit.within(record)
            self.shown.tables.append(records_table(called(name), each, self.read, unit))
        elif isinstance(value, PastRange):
            self._past(value)
        elif is_record(value) and type(value) not in WRITERS:
            fields = {n: v for n, v, _ in record_fields(value) if n not in NO_COLUMNS}
            self.take(value, fields, unit.within(value))
        else:
            kinds = (
                {n: kind for n, _, kind in record_fields(record)} if is_record(record) else {}
            )
            kind = kinds.get(name) or _annotation(record, name)
            text = self.read.text.field(record, name, value, kind, unit)
            if text:
                label = called(name, type(record))
                label = self.read.word(label, *contexts_of(type(record)))
                self.shown.rows.append((label, text))

    def _past(self, past: PastRange) -> None:
        """Show which past periods a goal was held against, and what was known of them then."""
        known = local_day(past.known_at, self.read.zone)
        table = records_table("Past periods", past.values, self.read, NO_UNIT.within(past))
        self.shown.tables.append(table._replace(about=f"{self.read.word('known at')} {known}"))


def _annotation(record: object, name: str) -> object:
    for cls in type(record).__mro__:
        if name in vars(cls).get("__annotations__", {}):
            return vars(cls)["__annotations__"][name]
    return None


def records_table(
    title: str, records: Sequence[object], read: ThingsRead, unit: Unit
) -> TableOfView:
    """Lay records out: a column of each field of which any of them says something."""
    told = [dict(_cells(record, read, unit.within(record))) for record in records]
    names = [*dict.fromkeys(name for cells in told for name in cells)]
    rows = tuple(tuple(cells.get(name, NO_VALUE) for name in names) for cells in told)
    return TableOfView(title, tuple(map(called, names)), rows)


def _cells(record: object, read: ThingsRead, unit: Unit) -> Iterator[tuple[str, str]]:
    fields = [(n, v, kind) for n, v, kind in record_fields(record) if n not in NO_COLUMNS]
    ends = {name: value for name, value, _ in fields}
    for name, value, kind in fields:
        if name == "last_day" and "first_day" in ends:
            continue
        if name == "first_day" and isinstance(last := ends.get("last_day"), date):
            assert isinstance(value, date)
            yield "period", read.span(value, last)
        else:
            text = read.text.field(record, name, value, kind, unit)
            if text:
                yield WHEN.get(name, name), text


WHEN: Final = {"at": "when", "event": "when"}


# What kinds of things say besides.


def _listed(thing: Aggregate, read: ThingsRead) -> dict[str, str]:
    """Return what a list says of a thing, by the columns."""
    listed = LISTS[thing.noun]
    return dict(zip(listed.columns, listed.cells(thing, read), strict=True))


def _add(shown: ThingShown, thing: Aggregate, read: ThingsRead, *columns: str) -> None:
    """Add what a list says of a thing in some columns."""
    said = _listed(thing, read)
    shown.rows.extend(
        (read.word(name, *contexts_of(type(thing))), said[name])
        for name in columns
        if said[name] != NO_VALUE
    )


def _state(thing: Aggregate, read: ThingsRead, shown: ThingShown) -> None:
    _add(shown, thing, read, "State")


def _training(training: Training, read: ThingsRead, shown: ThingShown) -> None:
    shown.rows.insert(0, (read.word("Training"), training.key))
    _add(shown, training, read, "State")
    found = [
        (rep, taken)
        for rep in read.reps()
        for taken in rep.trainings_taken
        if taken.training == training.key
    ]
    found.sort(key=lambda it: ORDER.index(training_state(it[1], read.today)))
    rows = tuple(
        (
            read.names.rep(rep.reference),
            rep.team or rep_state(rep, read),
            *_taken(taken, read),
        )
        for rep, taken in found
    )
    columns = ("Rep", "Team", *TAKEN)
    shown.tables.append(TableOfView("People of the training", columns, rows))


ORDER: Final = ("overdue", "open", "completed")
TAKEN: Final = ("State", "Assigned", "Due", "Completed", "Score")


def _taken(taken: TrainingTaken, read: ThingsRead) -> tuple[str, ...]:
    most = "" if taken.score_most is None else f" / {read.text.text(taken.score_most)}"
    return (
        read.word(training_state(taken, read.today)),
        NO_VALUE if taken.assigned_at is None else local_day(taken.assigned_at, read.zone),
        str(taken.due or NO_VALUE),
        NO_VALUE if taken.completed_at is None else local_day(taken.completed_at, read.zone),
        NO_VALUE if taken.score is None else f"{read.text.text(taken.score)}{most}",
    )


def _rep(rep: Rep, read: ThingsRead, shown: ThingShown) -> None:
    names = [
        read.word(called(name), *contexts_of(Rep)) for name in ("reference", "name", "team")
    ]
    said = dict(shown.rows)
    rows = [(name, said.pop(name)) for name in names if name in said]
    state = (read.word("State"), rep_state(rep, read))
    shown.rows[:] = [*rows, state, *said.items()]
    titles = {table.title: table for table in shown.tables}
    for title, table in (
        (called("career_plan"), _career(rep, read)),
        (called("ratings"), _ratings(rep, read)),
        (called("trainings_taken"), _trainings(rep, read)),
    ):
        if title in titles:
            shown.tables[shown.tables.index(titles[title])] = table


def _career(rep: Rep, read: ThingsRead) -> TableOfView:
    rows = tuple(
        (
            read.key(step.level),
            str(step.due or NO_VALUE),
            NO_VALUE if reached is None else local_day(reached, read.zone),
        )
        for step in rep.career_plan
        for reached in [rep.levels_reached.get(step.level)]
    )
    return TableOfView("Career plan", ("Level", "Due", "Reached"), rows)


def _ratings(rep: Rep, read: ThingsRead) -> TableOfView:
    rows = tuple(
        (
            read.key(each.skill),
            local_day(each.at, read.zone),
            *(read.text.text(it) for it in (each.score, each.scale_least, each.scale_most)),
            read.names.rep(each.assessed_by) or NO_VALUE,
            each.evidence or NO_VALUE,
        )
        for each in rep.ratings
    )
    columns = ("Skill", "Assessed", "Score", "Lowest", "Highest", "Assessed by", "Evidence")
    return TableOfView("Skills over time", columns, rows)


def _trainings(rep: Rep, read: ThingsRead) -> TableOfView:
    rows = tuple((taken.training, *_taken(taken, read)) for taken in rep.trainings_taken)
    return TableOfView("Trainings", ("Training", *TAKEN), rows)


def _team(team: Team, read: ThingsRead, shown: ThingShown) -> None:
    members = [rep for rep in read.reps() if rep.team == team.key]
    members.sort(key=lambda rep: rep.reference or "")
    rows = tuple(
        (
            read.names.rep(rep.reference),
            NO_VALUE if rep.level is None else read.key(rep.level),
            *_open_and_overdue(rep, read),
        )
        for rep in members
    )
    columns = ("Rep", "Level", "Trainings open", "Overdue trainings")
    shown.tables.append(TableOfView("Members of the team", columns, rows))
    rated = [rep for rep in members if rep.ratings]
    if rated:
        shown.tables.append(_skills(rated, read))


def _open_and_overdue(rep: Rep, read: ThingsRead) -> tuple[str, str]:
    states = {
        key: training_state(taken, read.today) for key, taken in sorted(rep.trainings.items())
    }
    overdue = [
        f"{key} ({read.word('due')} {rep.trainings[key].due})"
        for key, state in states.items()
        if state == "overdue"
    ]
    open_ones = [key for key, state in states.items() if state == "open"]
    return ", ".join(open_ones) or NO_VALUE, ", ".join(overdue) or NO_VALUE


def _skills(members: Sequence[Rep], read: ThingsRead) -> TableOfView:
    """Lay out who can do what: the last assessment of each skill."""
    last = [{each.skill: each for each in rep.ratings} for rep in members]
    there = {skill for ratings in last for skill in ratings}
    skills = [*(s for s in SKILLS if s in there), *sorted(there - {*SKILLS})]
    rows = tuple(
        (
            read.names.rep(rep.reference),
            *(
                f"{read.text.text(ratings[s].score)} / {read.text.text(ratings[s].scale_most)}"
                if s in ratings
                else NO_VALUE
                for s in skills
            ),
        )
        for rep, ratings in zip(members, last, strict=True)
    )
    return TableOfView("Skills, as last assessed", ("Rep", *map(read.key, skills)), rows)


def _plan(plan: IncentivePlan, read: ThingsRead, shown: ThingShown) -> None:
    shown.rows[:] = []
    _add(shown, plan, read, *LISTS[plan.noun].columns)
    if plan.last_day is not None:
        shown.rows.append((read.word("Last day"), str(plan.last_day)))
    shown.tables[:] = [t for t in shown.tables if t.title != called("versions")]
    tables = [_version(plan, number, read) for number in sorted(plan.versions, reverse=True)]
    shown.tables[:0] = tables


def _version(plan: IncentivePlan, number: int, read: ThingsRead) -> TableOfView:
    version = plan.versions[number]
    inside = ThingShown([], [])
    shower = _Shower(read, inside)
    unit = NO_UNIT.within(version)
    shower.take(version, {n: v for n, v, _ in record_fields(version) if n not in VERSION}, unit)
    rows = [*inside.rows]
    for name in ("tiers", "accelerators", "decelerators", "spiffs"):
        each = getattr(version.terms, name)
        if each:
            text = "\n".join(read.text.line(one, unit) for one in each)
            rows.append((read.word(called(name), *contexts_of(type(version.terms))), text))
    about = f"{number}: {read.word('from')} {version.starts}"
    return TableOfView("Plan version", ("Attribute", "Value"), tuple(rows), about=about)


VERSION: Final = frozenset({"key", "version"})


def _review(review: Review, read: ThingsRead, shown: ThingShown) -> None:
    _opened(review.opening, "Opened", read, shown)
    _add(shown, review, read, "State")


def _case(case: Case, read: ThingsRead, shown: ThingShown) -> None:
    _opened(case.opening, "Published", read, shown)
    _add(shown, case, read, "State")


def _opened(opening: Event | None, label: str, read: ThingsRead, shown: ThingShown) -> None:
    """Say when it was opened or published, and at which moment its figures stand."""
    assert opening is not None, "a thing that is there was opened"
    as_of, known_at = opening.fact.figures_seen
    then = min(seen_by(opening, read.zone), opening.recorded)
    rows = (
        (label, opening),
        ("Figures as of", as_of or from_instant(then)),
        ("Figures as known at", known_at or opening.recorded_at),
    )
    shown.rows.extend((read.word(name), read.text.text(at)) for name, at in rows)


def _statement(statement: Statement, read: ThingsRead, shown: ThingShown) -> None:
    _add(shown, statement, read, "Not paid yet")


def _alert(alert: Alert, read: ThingsRead, shown: ThingShown) -> None:
    _add(shown, alert, read, "Question", "Figure", "Condition", "State")


More = Callable[[Any, ThingsRead, ThingShown], None]
MORE: Final[Mapping[str, More]] = {
    "alert": _alert,
    "case": _case,
    "contest": _state,
    "goal": _state,
    "improvement": _state,
    "incentive plan": _plan,
    "rep": _rep,
    "review": _review,
    "statement": _statement,
    "team": _team,
    "training": _training,
}
"""What is added to the values of a thing, by its noun."""
