"""Ids in an answer stand beside the names people know them by, as known at its moment."""

from pathlib import Path
from typing import ClassVar

import pytest

from given import PLAIN
from salesflow import STANDARD, Customer, Deal, Money, Rep, SalesFlow, SalesProcess
from salesflow.adapters.event_store.reading import EventReading
from salesflow.adapters.projector import naming
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.process import Label, ProcessVersion, process_id
from salesflow.domain.rep import rep_id
from salesflow.domain.time import Moment
from salesflow.domain.values import Value
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.cases.case_study import CaseStudy
from salesflow.projections.cases.win_loss import WinLoss
from salesflow.projections.core.names import Names, ids_in
from salesflow.projections.core.question import Question, View
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.pipeline.funnel import GROUPED, By, Funnel
from salesflow.projections.pipeline.funnel_trend import FunnelTrend
from salesflow.projections.review.retrospective import Retrospective


@pytest.fixture
def flow(database_url: str) -> SalesFlow:
    """A house with one rep who has a name and one who has none, and a deal of each."""
    return SalesFlow(database_url, timezone="UTC")


def sell(flow: SalesFlow) -> list[Deal]:
    """Open two deals and lose one."""
    with flow.session(actor="ann") as s:
        acme, beta = (s.add(Customer.register(name=name)) for name in ("Acme", "Beta"))
        s.add(Rep.join("r-1", team="south", name="Ann Lee"))
        one, two = (
            s.add(
                Deal.open(STANDARD, customer=customer, title=title, owner=owner, amount=money)
            )
            for customer, title, owner, money in (
                (acme, "ERP", "r-1", Money("100", "EUR")),
                (beta, "MES", "r-2", Money("200", "EUR")),
            )
        )
        two.lose(because="price")
    return [one, two]


def reason(key: str) -> Label:
    return next(reason for reason in STANDARD.loss_reasons if reason.key == key)


def table(tables: list[TableOfView], title: str) -> TableOfView:
    return next(each for each in tables if each.title == title)


def test_a_deal_stands_beside_its_title_its_customer_and_its_reps_name(flow: SalesFlow) -> None:
    with flow:
        one, two = sell(flow)
        view = flow.ask(Deals())
        shown = table(view.named_tables(), "List of deals")
        assert shown.columns[:3] == ("Deal", "Title", "Customer")
        [mine] = [row for row in shown.rows if str(one.id).startswith(row[0])]
        [other] = [row for row in shown.rows if str(two.id).startswith(row[0])]
        assert mine[1:3] == ("ERP", "Acme")
        assert "r-1 Ann Lee" in mine
        assert "r-2" in other, "who has no name stands by the id"
        told = {each["deal"]: each for each in view.to_dict()["deals"]}
        assert told[str(one.id)]["owner"] == "r-1"
        assert told[str(one.id)]["owner_name"] == "Ann Lee"
        assert told[str(one.id)]["customer_name"] == "Acme"
        assert "names" not in view.to_dict()


def test_deals_opened_in_the_same_minute_are_told_apart_by_more_digits(
    flow: SalesFlow,
) -> None:
    with flow:
        sell(flow)
        shown = [row[0] for row in flow.ask(Deals()).named_tables()[0].rows]
        assert len(set(shown)) == 2
        assert min(map(len, shown)) > 8


def test_names_are_those_known_at_the_questions_moment(flow: SalesFlow) -> None:
    with flow:
        one, _ = sell(flow)
        before = flow.ask(Deals(), at=flow.ask(Deals()).moment)
        with flow.session() as s:
            opening = s.get(Deal, one.id).history[0]
            assert isinstance(opening.fact, DealOpened)
            s.retract(opening.event_id, because="misspelt")
            s.reopen_history(
                one.id,
                opening.fact.model_copy(update={"title": "ERP rollout"}),
                occurred_at=opening.occurred_at,
            )
        now = flow.ask(Deals())
        assert {each.title for each in now.names.deals} == {"ERP rollout", "MES"}
        again = flow.ask(Deals(), at=before.moment)
        assert {each.title for each in again.names.deals} == {"ERP", "MES"}
        assert again == before


def test_a_customer_in_a_figure_or_a_case_study_stands_by_name(flow: SalesFlow) -> None:
    with flow:
        _, two = sell(flow)
        kpis = flow.ask(Kpis(by="customer")).named_tables()[0]
        assert {"Acme", "Beta"} & {cell for row in kpis.rows for cell in row}
        study = flow.ask(CaseStudy(deal=two.id)).named_tables()[0]
        assert ("Customer", "Beta") in study.rows
        assert ("Loss reason", reason("price").name_en) in study.rows


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_reason_of_losses_is_called_as_its_process_calls_it(
    language: Language, flow: SalesFlow
) -> None:
    with flow:
        sell(flow)
        name = reason("price").name(language)
        for question in (WinLoss(), Retrospective()):
            view = flow.ask(question)
            shown = table(view.named_tables(language), "Loss reasons")
            assert [row[0] for row in shown.rows] == [name]
            assert "'because': 'price'" in str(view.to_dict()), "keys stay keys"


def test_an_event_that_cannot_be_read_takes_names_away_and_no_answer(tmp_path: Path) -> None:
    with SalesFlow(f"sqlite:///{tmp_path / 'sales.db'}") as flow:
        sell(flow)
        flow.ask(Deals())
        with flow.log.database.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER salesflow_events_update")
            connection.exec_driver_sql(
                "UPDATE salesflow_events SET payload = X'00' WHERE topic LIKE 'rep.%'"
            )
    with SalesFlow(f"sqlite:///{tmp_path / 'sales.db'}") as flow:
        view = flow.ask(Deals())
        assert view.names.reps == ()
        assert len(view.names.deals) == 2


def publish_other(flow: SalesFlow) -> ProcessVersion:
    """Publish a process that calls the key "price", and its stages, by names of its own."""
    reasons = tuple(
        each.model_copy(update={"name_en": "Price of parts", "name_zh": "配件价格"})
        for each in STANDARD.loss_reasons
        if each.key == "price"
    )
    stages = tuple(
        each.model_copy(update={"name_en": f"Parts: {each.name_en}"})
        for each in STANDARD.stages
    )
    told = {"key": "aftermarket", "loss_reasons": reasons, "stages": stages}
    with flow.session() as s:
        return s.add(SalesProcess.publish(STANDARD.model_copy(update=told))).latest


def lose(flow: SalesFlow, process: ProcessVersion) -> Deal:
    with flow.session() as s:
        deal = s.add(Deal.open(process, title="Parts", owner="r-1", amount=Money("7", "EUR")))
        deal.lose(because="price")
    return deal


def reasons_of(flow: SalesFlow, question: WinLoss | Retrospective) -> list[str]:
    tables = flow.ask(question).named_tables()
    return [row[0] for row in table(tables, "Loss reasons").rows]


def test_an_answer_of_before_is_equal_after_another_process_is_published_and_used(
    flow: SalesFlow,
) -> None:
    with flow:
        _, lost = sell(flow)
        questions = (WinLoss(), Retrospective(), CaseStudy(deal=lost.id))
        before = [flow.ask(question) for question in questions]
        other = publish_other(flow)
        lose(flow, other)
        assert [
            flow.ask(q, at=v.moment) for q, v in zip(questions, before, strict=True)
        ] == before
        assert flow.ask(questions[0]) != before[0], "the control: now it is another answer"


def test_a_reason_is_called_as_the_processes_of_the_deals_in_the_answer_call_it(
    flow: SalesFlow,
) -> None:
    with flow:
        _, lost = sell(flow)
        parts = lose(flow, publish_other(flow))
        ours = reason("price").name_en
        for question in (WinLoss, Retrospective):
            assert reasons_of(flow, question(process="standard")) == [ours]
            assert reasons_of(flow, question(process="aftermarket")) == ["Price of parts"]
            assert reasons_of(flow, question()) == [f"Price of parts / {ours}"]
        for deal, name in ((lost, ours), (parts, "Price of parts")):
            study = flow.ask(CaseStudy(deal=deal.id)).named_tables()[0]
            assert ("Loss reason", name) in study.rows


def test_a_customer_and_a_rep_renamed_later_are_called_as_before_at_the_moment_before(
    flow: SalesFlow,
) -> None:
    with flow:
        one, _ = sell(flow)
        before = flow.ask(Deals())
        assert one.customer_id is not None
        for cls, id in ((Customer, one.customer_id), (Rep, rep_id("r-1"))):
            with flow.session() as s:
                opening = s.get(cls, id).history[0]
                s.retract(opening.event_id, because="renamed")
                told = opening.fact.model_copy(update={"name": "New name"})
                s.reopen_history(id, told, occurred_at=opening.occurred_at)
        now = flow.ask(Deals()).names
        assert {each.name for each in now.reps} == {"New name"}
        assert {each.name for each in now.customers} == {"New name", "Beta"}
        again = flow.ask(Deals(), at=before.moment)
        assert again == before
        assert {each.name for each in again.names.customers} == {"Acme", "Beta"}
        assert {each.name for each in again.names.reps} == {"Ann Lee"}


@pytest.mark.parametrize("tidy", [True, False])
def test_titles_customers_and_reps_stand_by_name_in_arrow_tables(
    flow: SalesFlow, tidy: bool
) -> None:
    with flow:
        sell(flow)
        rows = flow.ask(Deals()).to_arrow(tidy=tidy)["deals"]
        kpis = flow.ask(Kpis(by="customer")).to_arrow(tidy=tidy)["lines"]
        nothing = flow.ask(Deals(owner="nobody")).to_arrow(tidy=tidy)["deals"]
    told = {(row["title"], row["customer_name"]) for row in rows.to_pylist()}
    assert told == {("ERP", "Acme"), ("MES", "Beta")}
    assert {row["owner_name"] for row in rows.to_pylist()} - {None}
    at = rows.column_names.index("owner")
    assert rows.column_names[at + 1] == "owner_name"
    assert {"Acme", "Beta"} & {*kpis.column("group_name").to_pylist()}
    assert nothing.schema == rows.schema.with_metadata(nothing.schema.metadata)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_process_is_called_by_its_name_in_the_language_asked_for(
    flow: SalesFlow, language: Language
) -> None:
    other = ProcessVersion(
        key="small", name_en="Small sales", name_zh="小单", stages=STANDARD.stages
    )
    name = "Small sales" if language == "en" else "小单"
    standard = STANDARD.name(language)
    with flow:
        sell(flow)
        with flow.session() as s:
            s.add(SalesProcess.publish(other))
            deal = s.add(Deal.open(other, title="CRM", owner="r-1", amount=Money("1", "EUR")))
        flow.run(lambda s: s.get(Deal, deal.id).win())

        def rows(question: Question[View], title: str) -> list[tuple[str, ...]]:
            view = flow.ask(question)
            return list(table(view.named_tables(language), title).rows)

        by_process = rows(Kpis(by="process"), "Sales and open pipeline")
        assert {row[0] for row in by_process} == {name, standard}
        stages = rows(Funnel(), "Funnel")
        assert {row[0].partition(": ")[0] for row in stages} == {name, standard}
        assert rows(CaseStudy(deal=deal.id), "Case study")[1][1] == name
        trend = flow.ask(FunnelTrend()).named_tables(language)
        assert {each.about for each in trend if each.title == "Open deals by stage"} == {
            standard,
            name,
        }
        said = flow.ask(Kpis(by="process")).to_dict()
        assert {row.get("group_en") for row in said["lines"]} == {
            "Small sales",
            STANDARD.name_en,
        }


def test_a_process_is_called_as_it_was_at_the_moment(flow: SalesFlow) -> None:
    with flow:
        sell(flow)
        before = flow.ask(Funnel(by="process"))
        renamed = STANDARD.model_copy(update={"version": 2, "name_en": "Renamed"})
        flow.run(lambda s: s.get(SalesProcess, process_id("standard")).publish_version(renamed))
        assert flow.ask(Funnel(by="process"), at=before.moment) == before
        [label] = flow.ask(Funnel(by="process")).names.processes
        assert label.name_en == "Renamed"


def test_a_deal_has_its_title_where_a_customer_nobody_registered_has_its_id(
    flow: SalesFlow,
) -> None:
    with flow:
        one, _ = sell(flow)
        with flow.session() as s:
            s.add(Deal.open(STANDARD, customer=one.id, title="CRM", owner="r-1"))
        assert flow.ask(Kpis(by="customer")).names.customers
        assert {each.title for each in flow.ask(Deals()).names.deals} == {"ERP", "MES", "CRM"}


def renamed_by_another_engine(flow: SalesFlow) -> None:
    """Let another engine rename a customer whose name this one knows."""
    url = flow.log.database.url.render_as_string(hide_password=False)
    with flow, SalesFlow(url) as other:
        one, _ = sell(flow)
        before = flow.ask(Deals())
        assert one.customer_id is not None
        for name in ("Acme & Co", "Acme Inc"):
            with other.session() as s:
                opening = s.get(Customer, one.customer_id).history[0]
                s.retract(opening.event_id, because="renamed")
                told = opening.fact.model_copy(update={"name": name})
                s.reopen_history(one.customer_id, told, occurred_at=opening.occurred_at)
            assert {each.name for each in flow.ask(Deals()).names.customers} == {name, "Beta"}
            with SalesFlow(url) as begun:
                assert flow.ask(Deals()).names == begun.ask(Deals()).names
        assert flow.ask(Deals(), at=before.moment) == before


def test_names_kept_for_the_next_answer_are_those_that_others_have_given(
    flow: SalesFlow,
) -> None:
    renamed_by_another_engine(flow)


def test_whoever_overlooks_that_others_have_given_names_is_found_out(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventReading, "streams_told_of", lambda *_: [])
    with pytest.raises(AssertionError):
        renamed_by_another_engine(flow)


@pytest.mark.parametrize("most", ["STREAMS_MAX", "EVENTS_MAX"])
def test_names_that_are_too_many_to_be_kept_are_read_each_time(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch, most: str
) -> None:
    monkeypatch.setattr(naming, most, 0)
    renamed_by_another_engine(flow)


class Listed(Value):
    """A row of an answer of one's own, whose key is a list."""

    key: list[str]


class ListedView(View):
    """Rows with keys of any kind."""

    population: ClassVar[str] = "rows"
    formula: ClassVar[str] = "as they are"
    rows: tuple[Listed, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay out nothing."""
        del language
        return []


@pytest.mark.parametrize("by", [None, *GROUPED])
def test_a_funnel_looks_for_ids_where_all_of_its_ids_are(flow: SalesFlow, by: By) -> None:
    """In each of several groups, and in each of several processes."""
    with flow:
        with flow.session(actor="ann") as s:
            s.add(SalesProcess.publish(PLAIN))
            for n, process in enumerate((PLAIN, STANDARD, STANDARD)):
                s.add(Rep.join(f"r-{n}", team=f"team {n}", name=f"Ann {n}"))
                s.add(
                    Deal.open(
                        process,
                        customer=s.add(Customer.register(name=f"Acme {n}")),
                        title="ERP",
                        owner=f"r-{n}",
                        amount=Money("100", ("EUR", "CNY", "USD")[n]),
                        lead_source=f"fair {n}",
                    )
                )
        view = flow.ask(Funnel(by=by))
    groups = {None: 1, "process": 2}.get(by, 3)
    assert len({row.group for row in view.closed}) == groups
    assert len({stage.process for stage in view.stages}) == 2
    without_names = view.model_copy(update={"names": Names()})
    assert ids_in(view.parts_with_ids(), by) == ids_in([without_names], by)


def test_a_key_that_is_no_text_names_nothing() -> None:
    moment = Moment.at(1, 1, position=1, revision=1)
    rows = (Listed(key=["r-1"]), Listed(key=["r-2"]))
    assert not any(ids_in([ListedView(moment=moment, rows=rows)]))
