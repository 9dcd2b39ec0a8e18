"""A mapping compiled against one file: what to read of a row, and which facts it yields.

Compiling finds every mistake of a mapping before a single row is read: kinds and fields that
do not exist, columns the file lacks, constants that can never be right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Final, NamedTuple

from salesflow.adapters.importers.errors import (
    Adjustment,
    KeyPath,
    MappingError,
    RowError,
    allowed,
)
from salesflow.adapters.importers.ids import object_id
from salesflow.adapters.importers.keys import OPENED
from salesflow.adapters.importers.source import ImportSource, SourceRule
from salesflow.adapters.importers.table.columns import Cells, Context, Layout
from salesflow.adapters.importers.table.conditions import (
    FIRST,
    LAST,
    Test,
    asks_order,
    compile_condition,
    first_filled,
)
from salesflow.adapters.importers.table.fields import FactBuilder, Getter
from salesflow.adapters.importers.table.mapping import (
    CustomerRule,
    FactRule,
    OrderRule,
    TimeRule,
    ValueSpec,
)
from salesflow.adapters.importers.table.values import Notes, take, text_of
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal import Deal
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact
from salesflow.domain.time import Instant

__all__ = [
    "FILLED",
    "OBJECT",
    "CustomerPlan",
    "ImportPlan",
    "RulePlan",
    "compile_plan",
    "facts_offered",
]


OBJECT: Final = "object"
FILLED: Final = ("process", "process_version", "stage", "title", "customer_id")
"""Fields of an opening that are filled when the mapping says nothing of them."""
Text = Callable[[Cells], str]
Rank = tuple[int, Decimal, str]


class ReadAt:
    """Reads when a row's fact happened."""

    def __init__(self, at: TimeRule, context: Context, path: KeyPath) -> None:
        self.names = at.named
        self._picks = min if at.earlier else max
        self._choices = (
            [first_filled(context.layout.slots(name, path)) for name in at.named]
            if at.earlier or at.later
            else [text_of(ValueSpec(columns=at.column, template=at.template), context, path)]
        )
        self._reader = context.times(at.formats, at.timezone, days=at.days)
        self._names = " or ".join(at.named)

    def __call__(
        self, cells: Cells, notes: Notes, before: Instant | None = None
    ) -> ReadTime | None:
        """Return None for a row without a time; `before` is when the row above happened."""
        texts = [text for choice in self._choices if (text := choice(cells))]
        if not texts:
            return None
        try:
            readings = [(self._reader.read(text), text) for text in texts]
        except RowError as problem:
            raise self.problem(problem.reason, cells) from problem
        at, text = (
            readings[0]
            if len(readings) == 1
            else self._picks(readings, key=lambda one: one[0].instant)
        )
        chosen = at.after(before)
        if chosen.note is not None:
            notes.append(Adjustment(chosen.note, self._names, text))
        return chosen

    def problem(self, reason: str, cells: Cells, *, for_now: bool = False) -> RowError:
        """Return the refusal of a row for its time, with the column and the text there."""
        return RowError(reason, self._names, self.text(cells), for_now=for_now)

    def text(self, cells: Cells) -> str:
        """Return what the row says of the time."""
        return " / ".join(text for choice in self._choices if (text := choice(cells)))


class RulePlan(NamedTuple):
    """One rule, compiled."""

    label: str
    """Its part of the key of its facts."""
    cls: type[Fact]
    builder: FactBuilder
    test: Test | None
    at: ReadAt | None
    undated_import: bool
    key: Text | None
    actor: Text | None
    actors: tuple[str, ...]
    extra: dict[str, object]
    ids: tuple[str, ...] | None
    """The columns of the history row's id."""
    title: str
    """How the report names the rule."""
    running: int | None
    """The slot of the row's number among those the rule takes of its deal, where asked for."""

    @property
    def merged(self) -> str | None:
        """The columns that name the other deal of a merge."""
        getters = self.builder.getters
        named = [getters[name].columns for name in ("into", "absorbed") if name in getters]
        return " or ".join(chain.from_iterable(named)) or None


class CustomerPlan(NamedTuple):
    """How customers are registered, compiled."""

    id: Text
    at: ReadAt | None
    builder: FactBuilder


@dataclass(frozen=True)
class ImportPlan:
    """Everything to be known to turn the rows of a deal into facts."""

    context: Context
    object: Text
    rules: tuple[RulePlan, ...]
    leave_out: tuple[tuple[Test, str], ...]
    customer: CustomerPlan | None
    source: ImportSource
    """What the steps behind this one have to know of it."""
    order: ReadAt | None
    """Reads the time rows are ordered by, where rules ask for the first or last one."""
    clock: ReadAt | None
    """Reads the time of the rows of an event log, where the mapping names one for all."""
    rank: Callable[[Cells], Rank] | None
    """By what rows of one time are sorted, where the mapping names a column."""
    flags: dict[str, int]
    changes: dict[int, int]
    """Slot of a column to the slot of whether it has changed."""
    befores: dict[int, int]
    """Slot of a column to the slot of what it held in the row before."""
    object_slot: int
    ids: dict[tuple[str, ...], Text]
    """Reads the history row's id, for each choice of columns that hold it."""

    def why_left_out(self, cells: Cells) -> str | None:
        """Return why the mapping leaves a row out; None where it does not."""
        return next((because for test, because in self.leave_out if test(cells)), None)


def facts_offered() -> dict[str, type[Fact]]:
    """Return every fact a mapping can yield, by its kind."""
    return {cls.kind: cls for cls in Deal.facts}


def compile_plan(context: Context) -> ImportPlan:
    """Compile a mapping.

    Raises:
        MappingError: for the first mistake found.
    """
    mapping, layout = context.mapping, context.layout
    object_slot = layout.flag(OBJECT)
    rules = tuple(_rule(context, i, object_slot) for i in range(len(mapping.facts)))
    _ensure_distinct(rules)
    leave_out = tuple(
        (compile_condition(rule.when, context, ("leave_out", i, "when")), rule.because)
        for i, rule in enumerate(mapping.leave_out)
    )
    flagged = _asks_order(context)
    source = _source(context, rules, object_slot)
    return ImportPlan(
        context=context,
        object=_object(context),
        rules=rules,
        leave_out=leave_out,
        customer=_customer(mapping.customer, context),
        source=source,
        order=ReadAt(mapping.at, context, ("at",)) if flagged and mapping.at else None,
        clock=ReadAt(mapping.at, context, ("at",)) if mapping.at else None,
        rank=_rank(mapping.order, layout) if isinstance(mapping.order, OrderRule) else None,
        flags={name: layout.flag(name) for name in (FIRST, LAST)} if flagged else {},
        changes=layout.changes,
        befores=layout.befores,
        object_slot=object_slot,
        ids={rule.ids: rule.key for rule in rules if rule.ids and rule.key},
    )


def _source(context: Context, rules: Sequence[RulePlan], object_slot: int) -> ImportSource:
    """Return what the steps behind have to know of the mapping."""
    mapping, layout = context.mapping, context.layout
    builder = FactBuilder(DealOpened, {}, context, ())
    _fill_opening(builder, context, object_slot)

    def open_deal(object: str, because: str) -> DealOpened:
        cells = [""] * len(layout.names)
        cells[object_slot] = object
        opening = builder.build(cells, [], {"inferred": because})
        assert isinstance(opening, DealOpened)
        return opening

    opened = next((rule.at for rule in rules if rule.cls is DealOpened), None)
    return ImportSource(
        name=mapping.source,
        process=context.process.version,
        published=context.published,
        day_zone=context.day_zone,
        rules=tuple(
            SourceRule(rule.title, rule.label, rule.ids or (), rule.merged) for rule in rules
        ),
        row_id=mapping.event_id or (),
        one_row=mapping.rows == "deals",
        object_columns=" or ".join(mapping.object.named),
        opened_columns=" or ".join(opened.names) if opened else None,
        opening=mapping.opening,
        closed_before_opened=mapping.closed_before_opened,
        open_deal=open_deal,
    )


def _asks_order(context: Context) -> bool:
    """Return whether a rule asks about the order of the rows of a deal."""
    mapping = context.mapping
    whens = [*(rule.when for rule in mapping.facts), *(out.when for out in mapping.leave_out)]
    flagged = any(map(asks_order, whens))
    if flagged and mapping.at is None:
        raise MappingError(
            "first, last, changed and was need the mapping's at: the column rows are ordered by"
        )
    return flagged


def _rule(context: Context, number: int, object_slot: int) -> RulePlan:
    mapping, layout = context.mapping, context.layout
    rule = mapping.facts[number]
    path: KeyPath = ("facts", number)
    offered = facts_offered()
    cls = offered.get(rule.kind)
    if cls is None:
        raise MappingError(allowed(rule.kind, offered, "fact"), (*path, "kind"))
    running = f"running {number}"
    context = replace(context, running=running)
    builder = FactBuilder(cls, rule.fields, context, (*path, "fields"))
    if cls is DealOpened:
        _fill_opening(builder, context, object_slot)
    builder.ensure_complete((*path, "fields") if rule.fields else path)
    at = _time_of(rule, mapping.at, path)
    key = rule.key or mapping.event_id
    key_path = (*path, "key") if rule.key else ("event_id",)
    actor = rule.actor or mapping.actor
    actor_path = (*path, "actor") if rule.actor else ("actor",)
    when = rule.when
    return RulePlan(
        label=_label(rule, at, mapping.rows),
        cls=cls,
        builder=builder,
        test=None if when is None else compile_condition(when, context, (*path, "when")),
        at=ReadAt(at, context, (*path, "at") if rule.at else ("at",)) if at else None,
        undated_import=rule.undated == "import",
        key=first_filled(layout.slots(key, key_path)) if key else None,
        actor=first_filled(layout.slots(actor, actor_path)) if actor else None,
        actors=actor or (),
        extra={"inferred": rule.inferred} if rule.inferred else {},
        ids=key,
        title=f"{number + 1} {rule.name or rule.kind}",
        running=layout.flag(running) if layout.has_flag(running) else None,
    )


def _time_of(rule: FactRule, otherwise: TimeRule | None, path: KeyPath) -> TimeRule | None:
    at = rule.at or otherwise
    if at is None and rule.undated != "import":
        raise MappingError(
            'say when it happened: at = "column of the time" here or at the top of the'
            ' mapping, or undated = "import" to take the time of import',
            path,
        )
    return at


def _rank(order: OrderRule, layout: Layout) -> Callable[[Cells], Rank]:
    """Sort by a column: numbers as numbers, before any text; what is empty comes first."""
    read = first_filled(layout.slots(order.column, ("order", "column")))

    def rank(cells: Cells) -> Rank:
        text = read(cells)
        try:
            number = Decimal(text)
        except InvalidOperation:
            return (2 if text else 0, Decimal(0), text)
        return (1, number, "") if number.is_finite() else (2, Decimal(0), text)

    return rank


def _label(rule: FactRule, at: TimeRule | None, rows: str) -> str:
    if rule.kind == DealOpened.kind:
        return OPENED
    label = rule.name or rule.kind.partition(".")[2]
    if rows == "deals" and not rule.name and at is not None:
        label += "@" + "|".join(at.named)
    return label


def _object(context: Context) -> Text:
    taken = take(context.mapping.object, context, ("object",))
    return lambda cells: str(taken.read(cells) or "")


def _customer(rule: CustomerRule | None, context: Context) -> CustomerPlan | None:
    if rule is None:
        return None
    path: KeyPath = ("customer",)
    slots = context.layout.slots(rule.id, (*path, "id"))
    raw = {"name": {"columns": list(rule.id)}, **rule.fields}
    return CustomerPlan(
        first_filled(slots),
        ReadAt(rule.at, context, (*path, "at")) if rule.at else None,
        FactBuilder(CustomerRegistered, raw, context, (*path, "fields")),
    )


def _fill_opening(builder: FactBuilder, context: Context, object_slot: int) -> None:
    """Fill what the mapping leaves out of an opening."""
    version = context.process.version
    for name, value in (
        ("process", version.key),
        ("process_version", version.version),
        ("stage", version.open_stages[0].key),
    ):
        builder.default(name, _always(value))
    builder.default("title", Getter(lambda cells, _: cells[object_slot], False))
    customer = context.mapping.customer
    if customer is not None:
        ids = first_filled(context.layout.slots(customer.id, ("customer", "id")))
        source = context.mapping.source

        def customer_id(cells: Cells, _: Notes) -> object:
            id = ids(cells)
            return object_id(source, id, "customer") if id else None

        builder.default("customer_id", Getter(customer_id, False, customer.id))


def _always(value: object) -> Getter:
    return Getter(lambda _cells, _notes: value, True)


def _ensure_distinct(rules: Sequence[RulePlan]) -> None:
    """Rules of one label may share a row only when a test keeps them apart."""
    bare: dict[str, int] = {}
    for i, rule in enumerate(rules):
        if rule.test is None and rule.label in bare:
            raise MappingError(
                f"this rule and rule {bare[rule.label] + 1} yield the same fact of every row;"
                " give one of them a when, or a name of its own",
                ("facts", i),
            )
        if rule.test is None:
            bare[rule.label] = i
