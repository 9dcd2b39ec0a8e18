"""Every answer, whatever was asked: two of them compared, and each as Arrow tables.

Nothing here knows a question: a new one is compared and put into tables as soon as it is in the
registry. A row that cannot be told from its neighbours fails here; mark what does tell them
apart with `FieldRole.KEY`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from properties.asked import CASES
from properties.effort import TALLY, examples
from properties.moments import Pick, moment_of, picks
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log
from properties.world import at
from salesflow.domain.ids import UuidSequence
from salesflow.domain.unchecked import unchecked_all
from salesflow.engine import SalesFlow
from salesflow.errors import DealClosedError, InputError, NotFoundError
from salesflow.presentation.fields import FieldRole, bare, field_roles, item_of
from salesflow.presentation.format import Total
from salesflow.projections.core.comparison import Comparison
from salesflow.projections.core.question import ENVELOPE, Question, View
from salesflow.projections.core.record_changes import FigureChange, RecordChange


@examples(6, shrink=False)
@given(
    history=acts(3, least=8, customers=2),
    moments=st.tuples(picks(least=2, most=2), picks(least=2, most=2)),
    questions=st.tuples(*(case.questions for case in CASES.values())),
)
def test_every_answer_is_compared_row_by_row_and_becomes_tables(
    database_url: str,
    history: list[Act],
    moments: Sequence[list[Pick]],
    questions: Sequence[Question[View]],
) -> None:
    with Player(database_url) as player:
        player.play_all(history)
        for comparison in comparisons(player.flow, questions, moments):
            TALLY["answers compared"] += 1
            check_comparison(comparison)
            for view in (comparison.then, comparison.now):
                check_tables(view)
                check_values(view)


def check_values(value: object) -> None:
    """Every value in an answer is what its class would make, its fields in their order."""
    if isinstance(value, BaseModel):
        known = type(value).model_fields
        fields = {name: each for name, each in vars(value).items() if name in known}
        assert [*fields] == [*known]
        assert repr(type(value).model_validate(fields)) == repr(value)
        for each in fields.values():
            check_values(each)
    elif isinstance(value, tuple):
        for each in value:
            check_values(each)


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": Decimal(1), "currency": "CNY"},
        {"currency": "CNY"},
        {"currency": "CNY", "amount": "1"},
        {"currency": "yuan", "amount": Decimal(1)},
    ],
)
def test_a_value_that_its_class_would_not_make_is_found_out(fields: dict[str, object]) -> None:
    [total] = unchecked_all(Total)([fields])
    with pytest.raises((AssertionError, InputError)):
        check_values(total)


def comparisons(
    flow: SalesFlow, questions: Sequence[Question[View]], moments: Sequence[list[Pick]]
) -> Iterator[Comparison[View]]:
    raw = raw_log(flow)
    for first, second in moments:
        as_of, known_at = map(at, moment_of(first, raw))
        to_as_of, to_known_at = map(at, moment_of(second, raw))
        for question in questions:
            try:
                found = flow.compare(
                    question,
                    as_of=as_of,
                    known_at=known_at,
                    to_as_of=to_as_of,
                    to_known_at=to_known_at,
                )
            except (NotFoundError, DealClosedError):
                continue
            assert found.now == flow.ask(question, at=found.now.moment)
            assert found.then == flow.ask(question, at=found.then.moment)
            assert found.now.moment.position == found.then.moment.position
            yield found


def check_comparison(comparison: Comparison[View]) -> None:
    check_record(comparison.difference)
    said = comparison.to_dict()
    assert json.loads(json.dumps(said)) == said
    back = Comparison(then=comparison.now, now=comparison.then).difference
    for name, figure in comparison.difference.figures.items():
        check_opposite(figure, back.figures[name])
    same = Comparison(then=comparison.now, now=comparison.now).difference
    assert same.change == "same"
    for table in (*comparison.tables("en"), *comparison.tables("zh")):
        assert {len(row) for row in table.rows} <= {len(table.columns)}


def check_record(change: RecordChange) -> None:
    for figure in change.figures.values():
        check_figure(figure)
    for part in change.parts.values():
        check_record(part)
    for name, rows in change.lists.items():
        check_rows(change, name, rows)


def check_rows(change: RecordChange, name: str, rows: tuple[RecordChange, ...]) -> None:
    """Every row of both answers stands in one row of the difference, under a key of its own."""
    assert change.then is not None
    assert change.now is not None
    then, now = getattr(change.then, name) or (), getattr(change.now, name) or ()
    assert [row.now for row in rows if row.now is not None] == list(now)
    assert Counter(map(repr, then)) == Counter(
        repr(row.then) for row in rows if row.then is not None
    )
    for side in (then, now):
        keys = Counter(map(key_of, side))
        assert all(count == 1 for count in keys.values()), (type(change.now), name, keys)
    assert not {"change"} & {field for row in now for field in type(row).model_fields}
    for row in rows:
        assert (row.change in ("same", "changed")) == (
            row.then is not None and row.now is not None
        )
        if row.then is not None and row.now is not None:
            moved = getattr(change.then, "period", None) != getattr(change.now, "period", None)
            days = {"first", "last"} if moved else set[str]()  # of two periods, each its own
            assert key_of(row.then, days) == key_of(row.now, days)
            assert (row.change == "same") == (unnamed(row.then) == unnamed(row.now))
            check_record(row)


def key_of(row: BaseModel, left_out: Set[str] = frozenset()) -> tuple[object, ...]:
    known = field_roles(type(row))
    keys = (name for name in known if known[name] is FieldRole.KEY)
    return tuple(getattr(row, name) for name in keys if name not in left_out)


def unnamed(value: object) -> object:
    """Take names away, which make no difference."""
    if isinstance(value, BaseModel):
        known = field_roles(type(value))
        return {n: unnamed(v) for n, v in value if known[n] is not FieldRole.NAME}
    return [unnamed(each) for each in value] if isinstance(value, tuple) else value


def check_figure(figure: FigureChange) -> None:
    then, now, difference = figure
    if isinstance(difference, tuple):
        assert isinstance(then, tuple)
        assert isinstance(now, tuple)
        sums = Counter({total.currency: total.amount for total in then})
        sums.update({total.currency: total.amount for total in difference})
        found = {currency: amount for currency, amount in sums.items() if amount}
        assert found == {total.currency: total.amount for total in now if total.amount}
    elif difference is not None:
        with localcontext(prec=60):
            assert then + difference == now  # type: ignore[operator]


def check_opposite(one: FigureChange, other: FigureChange) -> None:
    assert (one.then, one.now) == (other.now, other.then)
    if isinstance(one.difference, int | Decimal | timedelta):
        assert isinstance(other.difference, int | Decimal | timedelta)
        assert one.difference + other.difference in (0, timedelta())  # type: ignore[operator]


def check_tables(view: View) -> None:
    """Every field of the view stands in a table, every amount as it was."""
    found: dict[str, Any] = {}
    for name, table in view.to_arrow().items():
        TALLY["Arrow tables"] += 1
        assert table.schema.metadata[b"position"] == str(view.moment.position).encode()
        assert not any(map(pa.types.is_floating, leaves(table.schema)))
        rows = [without_names(row, view, name) for row in table.to_pylist()]
        found |= rows[0] if name == "answer" else {name: rows}
    wanted = {n: naive(v) for n, v in view if n not in ENVELOPE}
    assert found == wanted


def without_names(row: dict[str, Any], view: View, table: str) -> dict[str, Any]:
    """Leave out the names that stand beside ids, which are no field of the answer."""
    record: Any = type(view)
    if table != "answer":
        record = item_of(bare(record.model_fields[table].annotation))
    beside = [each for each in row if each not in record.model_fields]
    assert all(each == "title" or each.endswith("_name") for each in beside)
    return {key: cell for key, cell in row.items() if key in record.model_fields}


def leaves(fields: Iterable[Any]) -> Iterator[Any]:
    """Give the types of all fields, however deep."""
    for field in fields:
        inside = field.type
        while pa.types.is_list(inside):
            inside = inside.value_type
        if pa.types.is_struct(inside):
            yield from leaves(inside)
        else:
            yield inside


def naive(value: object) -> object:
    if isinstance(value, BaseModel):
        return {name: naive(each) for name, each in value}
    if isinstance(value, tuple | UuidSequence):
        return [naive(each) for each in value]
    if isinstance(value, Decimal):
        with localcontext(prec=60, rounding=ROUND_HALF_EVEN):
            return round(value, 12)
    if isinstance(value, UUID):
        return str(value)
    assert value is None or isinstance(value, bool | int | str | datetime | date | timedelta)
    return value
