"""Two versions of a process side by side, and the deals that stand on each."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from given import opened
from questions.shop import Shop, deal_id, shop
from salesflow import Deal, ProcessDiff, SalesProcess
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.process import CRITERIA, Label, ProcessVersion, Stage, process_id
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


BUDGET, CONTACT = (" / ".join(CRITERIA[key]) for key in ("budget_confirmed", "contact_logged"))


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
        ("criterion_added", "b", "budget_confirmed", None, BUDGET),
        ("criterion_removed", "b", "contact_logged", CONTACT, None),
        ("stage_added", "e", None, None, "4"),
        ("stage_removed", "d", None, "4", None),
        ("reason_renamed", None, "price", "Price / 价格", "Too dear / 价格过高"),
        ("skipping_changed", None, None, "yes", "no"),
    ]


def test_people_read_names_and_words_in_the_place_of_keys() -> None:
    kpi = {"metric": "lead_conversion", "target": "0.2"}
    old = _version(1, _stage("a", kpis=[kpi]), _stage("b"), qualifying_stage="a")
    new = _version(
        2,
        _stage("a", kpis=[kpi | {"target": "0.3"}], forecast_category="best_case"),
        _stage("b", exit_criteria=("decision_process_mapped",)),
        qualifying_stage="b",
        skipping_allowed=False,
    )
    with shop(old) as books:
        books.publish(new)
        books.turn("2026-06-01")
        for language, words in (
            ("en", ("best case", "target changed: lead conversion", "the decision process is")),
            ("zh", ("乐观", "潜在客户转化率", "已了解购买决策过程")),
        ):
            table = ask(books).tables(language)[0]  # type: ignore[arg-type]
            text = "\n".join(" ".join(row) for row in table.rows)
            for word in words:
                assert word in text, text
            for key in ("best_case", "decision_process_mapped", "lead_conversion"):
                assert key not in text
            assert ("A / 阶段a", "B / 阶段b") in {row[2:] for row in table.rows}


def test_the_first_version_beside_itself_says_so(sales: Shop) -> None:
    for view in (ask(sales, from_version=1, to_version=1), ask(sales, to_version=1)):
        [note] = view.tables()[0].notes
        assert "version 1 is compared with itself: it is the first one" in note
        assert "name a later one" in note


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


def told(view: ProcessDiffView) -> list[tuple[int, str, bool]]:
    days = ((it.version, it.published_at.date().isoformat()) for it in view.versions)
    return [(*each, it.published) for each, it in zip(days, view.versions, strict=True)]


def test_a_version_is_there_from_when_it_was_published_and_not_before(sales: Shop) -> None:
    with sales.flow.session() as s:
        third, day = _version(3, *SECOND.stages), datetime(2026, 5, 20, tzinfo=UTC)
        s.get(SalesProcess, process_id("ours")).publish_version(third, occurred_at=day)
    view = ask(sales)
    assert (view.from_version, view.to_version) == (2, 3)
    assert told(view)[-1] == (3, "2026-05-20", True)
    before = sales.flow.ask(ProcessDiff(process="ours"), as_of="2026-05-19")
    assert (before.from_version, before.to_version) == (1, 2)
    assert [it.version for it in before.versions] == [1, 2]
    named = sales.flow.ask(ProcessDiff(process="ours", to_version=3), as_of="2026-05-19")
    assert told(named)[-1] == (3, "2026-05-20", False)
    assert "not yet" in named.table()
    beside = sales.flow.compare(
        ProcessDiff(process="ours"), as_of="2026-05-19", to_as_of="2026-06-01"
    )
    assert beside.then.to_version != beside.now.to_version


def test_a_version_is_out_of_use_from_when_it_was_retired(sales: Shop) -> None:
    with sales.flow.session() as s:
        process = s.get(SalesProcess, process_id("ours"))
        process.retire(1, because="old", occurred_at=datetime(2026, 4, 1, tzinfo=UTC))
    before = sales.flow.ask(ProcessDiff(process="ours"), as_of="2026-03-31")
    assert [it.retired for it in before.versions] == [False, False]
    assert [it.retired for it in ask(sales).versions] == [True, False]


def test_a_version_whose_retirement_was_retracted_is_in_use(sales: Shop) -> None:
    stream = process_id("ours")
    with sales.flow.session() as s:
        s.get(SalesProcess, stream).retire(1, because="old")
    sales.turn("2026-06-10")
    with sales.flow.session() as s:
        retirement = sales.flow.history(stream)[-1].event_id
        s.get(SalesProcess, stream).retract(retirement, because="it was the other process")
    assert [it.retired for it in ask(sales).versions] == [False, False]
    assert [it.retired for it in ask(sales, "2026-06-09").versions] == [True, False]
    with sales.flow.session() as s:
        s.retract(sales.flow.history(stream)[-1].event_id, because="no, it was this one")
    assert [it.retired for it in ask(sales).versions] == [True, False]


def test_a_version_that_deals_stand_on_is_listed_though_it_came_later(sales: Shop) -> None:
    sales.tell(3, ("2026-02-02", opened(SECOND)))
    view = sales.flow.ask(ProcessDiff(process="ours"), as_of="2026-02-28")
    assert [(it.version, it.published, it.open_deals) for it in view.versions] == [
        (1, True, 2),
        (2, False, 1),
    ]
    assert (view.from_version, view.to_version) == (1, 1)
    assert "it is the first one of the process ours" in view.table()


def test_one_version_is_said_to_be_the_only_one(sales: Shop) -> None:
    view = ask(sales, "2026-02-28")
    text = view.table()
    assert "the process ours has only one version by then" in text
    assert "→" not in text
    assert "Deals, old version" not in text
    first = ask(sales, to_version=1).table()
    assert "it is the first one of the process ours" in first
    itself = ask(sales, from_version=2, to_version=2).table()
    assert "version 2 is compared with itself" in itself


def test_a_version_is_known_from_its_publication_on(sales: Shop) -> None:
    view = ask(sales, "2026-02-28")
    assert [it.version for it in view.versions] == [1]
    assert view.changes == ()
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
