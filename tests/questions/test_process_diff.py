"""Two versions of a process side by side, and the deals that stand on each."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from given import opened
from questions.shop import Shop, deal_id, shop
from salesflow import Deal, ProcessDiff, SalesProcess
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.process import Label, ProcessVersion, Stage, process_id
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.improvement.process_diff import ProcessDiffView


def _stage(key: str, probability: str = "0.5", **more: object) -> Stage:
    given = {"key": key, "name_en": key.upper(), "name_zh": f"阶段{key}"}
    return Stage.model_validate({**given, "probability": Decimal(probability), **more})


def _version(number: int, *stages: Stage, **more: object) -> ProcessVersion:
    given = {"key": "ours", "name_en": "Ours", "name_zh": "我们的流程", "version": number}
    return ProcessVersion.model_validate({**given, "stages": stages, **more})


FIRST = _version(
    1,
    _stage("a", "0.1", max_days=10),
    _stage("b", exit_criteria=("contact_logged",)),
    _stage("c"),
    _stage("d"),
    loss_reasons=(Label(key="price", name_en="Price", name_zh="价格"),),
)
SECOND = _version(
    2,
    _stage("a", "0.2", max_days=14),
    _stage("c"),
    _stage("b", exit_criteria=("budget_confirmed",)),
    _stage("e", tasks=(Label(key="demo", name_en="Demo", name_zh="演示"),)),
    loss_reasons=(Label(key="price", name_en="Too dear", name_zh="价格过高"),),
    skipping_allowed=False,
)


@pytest.fixture
def sales() -> Iterator[Shop]:
    """Two deals of the first version; one of them goes on under the second."""
    with shop(FIRST) as books:
        books.turn("2026-03-01")
        books.tell(1, ("2026-02-01", opened(FIRST)))
        books.tell(2, ("2026-02-01", opened(FIRST, stage="d")))
        books.publish(SECOND)
        books.turn("2026-03-05")
        with books.flow.session() as s:
            s.get(Deal, deal_id(1)).migrate(SECOND, mapping={}, because="better")
        books.turn("2026-06-01")
        yield books


def ask(sales: Shop, at: str | None = None, **asked: object) -> ProcessDiffView:
    question = ProcessDiff.model_validate({"process": "ours", **asked})
    return sales.flow.ask(question, as_of=at, known_at=at)


def test_every_difference_is_named_with_what_was_and_what_is(sales: Shop) -> None:
    told = [(it.kind, it.stage, it.item, it.before, it.after) for it in ask(sales).changes]
    assert told == [
        ("probability_changed", "a", None, "10%", "20%"),
        ("limit_changed", "a", None, "10", "14"),
        ("stage_moved", "b", None, "2", "3"),
        ("criterion_added", "b", "budget_confirmed", None, "budget_confirmed"),
        ("criterion_removed", "b", "contact_logged", "contact_logged", None),
        ("stage_added", "e", None, None, "4"),
        ("stage_removed", "d", None, "4", None),
        ("reason_renamed", None, "price", "Price / 价格", "Too dear / 价格过高"),
        ("skipping_changed", None, None, "yes", "no"),
    ]


def test_the_other_way_round_what_was_added_was_removed(sales: Shop) -> None:
    kinds = {it.kind for it in ask(sales, from_version=2, to_version=1).changes}
    assert {"stage_added", "stage_removed"} <= kinds
    assert [it.stage for it in ask(sales, from_version=2, to_version=1).changes][-1] is None


def test_deals_stand_on_the_version_they_were_migrated_to(sales: Shop) -> None:
    view = ask(sales)
    counts = {
        it.version: (it.open_deals, it.migrated_in, it.migrated_out) for it in view.versions
    }
    assert counts == {1: (1, 0, 1), 2: (1, 1, 0)}
    assert (view.migrated, view.migrated_back) == (1, 0)
    stages = {it.stage: (it.deals_from, it.deals_to) for it in view.stages}
    assert stages["d"] == (1, 0), "a deal stands in a stage that is no more"
    assert stages["a"] == (0, 1)
    before = ask(sales, "2026-03-04")
    assert (before.migrated, [it.open_deals for it in before.versions]) == (0, [2, 0])


def test_a_version_is_known_from_its_publication_on(sales: Shop) -> None:
    view = ask(sales, "2026-02-28")
    assert [it.version for it in view.versions] == [1]
    assert view.changes == ()
    assert "the versions do not differ" in view.table()
    with pytest.raises(NotFoundError, match="'ours' has no version 2 by then; there are 1"):
        ask(sales, "2026-02-28", to_version=2)
    with pytest.raises(InputError, match="from_version"):
        ask(sales, from_version=0)


def test_a_version_out_of_use_says_so(sales: Shop) -> None:
    with sales.flow.session() as s:
        s.get(SalesProcess, process_id("ours")).retire(1, because="the second is better")
    assert [it.retired for it in ask(sales).versions] == [True, False]


def test_where_no_process_is_named_it_is_the_one_most_open_deals_stand_under(
    sales: Shop,
) -> None:
    assert sales.flow.ask(ProcessDiff()).process == "ours"
    sales.tell(3, ("2026-03-01", opened()), ("2026-03-02", DealLost(because="price")))
    assert sales.flow.ask(ProcessDiff()).process == "ours", "a closed one does not count"
