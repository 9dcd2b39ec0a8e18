"""Ids in an answer stand beside the names people know them by, as known at its moment."""

from pathlib import Path

import pytest

from salesflow import STANDARD, Customer, Deal, Money, Rep, SalesFlow
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.processes import Label
from salesflow.projections.case_study import CaseStudy
from salesflow.projections.deals import Deals
from salesflow.projections.kpis import Kpis
from salesflow.projections.retrospective import Retrospective
from salesflow.projections.shown import TableOfView
from salesflow.projections.win_loss import WinLoss
from salesflow.projections.words import Language


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
        assert ("Because", reason("price").name_en) in study.rows


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_reason_of_losses_is_called_as_its_process_calls_it(
    language: Language, flow: SalesFlow
) -> None:
    with flow:
        sell(flow)
        name = reason("price").name(language)
        for question in (WinLoss(), Retrospective()):
            view = flow.ask(question)
            shown = table(view.named_tables(language), "Reasons of losses")
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
        view = flow.ask(Deals())
        assert view.names.reps == ()
        assert len(view.names.deals) == 2
