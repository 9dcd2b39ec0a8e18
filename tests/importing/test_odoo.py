"""An export of Odoo: opportunities, and the changes that it tracks of them."""

import pytest

from importing.crm_folder import CrmFolder
from importing.desk import Desk
from importing.odoo_export import NEW, ODOO, QUALIFIED, WON, lead, message, tracking
from salesflow.adapters.importers import object_id
from salesflow.adapters.importers.crm.odoo.system import Odoo
from salesflow.domain.customer import Customer
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.stages import DealOpened

ANSWERS = {
    name: {"jsonrpc": "2.0", "id": 1, "result": records} for name, records in ODOO.items()
}


@pytest.fixture
def company(desk: Desk) -> CrmFolder:
    return CrmFolder(desk, Odoo).write_all(ANSWERS)


def test_what_is_tracked_is_told_and_one_message_is_one_step(either_desk: Desk) -> None:
    company = CrmFolder(either_desk, Odoo).write_all(ANSWERS)
    report = company.bring(timezone="Europe/Brussels")
    assert company.told("1") == [
        "01-05 opened 1",
        "02-01 owner_assigned",
        "02-01 stage_moved 2",
        "03-01 forecast_given",
        "03-01 forecast_given inferred",
        "03-01 won",
    ]
    [opening] = company.facts("1", "opened")
    assert isinstance(opening, DealOpened)
    assert (opening.owner, str(opening.amount), opening.inferred) == ("1", "100.0 EUR", None)
    won = company.deal("1")
    assert (won.outcome, won.stage, won.owner, str(won.amount)) == (
        "won",
        "4",
        "2",
        "120.5 EUR",
    )
    assert str(won.expected_close) == "2026-03-31"
    stages = [(stage.key, stage.name_en) for stage in won.process_in_force.stages]
    assert stages == [
        ("1", "New"),
        ("2", "Qualified"),
        ("3", "Proposition"),
        ("4", "Won"),
        ("lost", "Lost"),
    ]
    again = company.bring(timezone="Europe/Brussels")
    assert (again.facts_recorded, again.facts_known) == (0, report.facts_recorded)
    assert (again.facts_changed, again.facts_not_told) == (0, 0)


def test_an_archived_opportunity_is_lost_and_back_where_it_was_when_restored(
    company: CrmFolder,
) -> None:
    report = company.bring()
    assert [each for each in company.told("2") if "forecast" not in each] == [
        "01-05 opened 1",
        "02-01 stage_moved 2",
        "03-01 lost",
        "03-10 reopened 2",
        "04-02 lost",
    ]
    losses = [fact for fact in company.facts("2", "lost") if isinstance(fact, DealLost)]
    assert [fact.because for fact in losses] == [None, "Too expensive"]
    assert report.irregular == []


def test_what_is_of_others_is_kept_apart_and_listed(company: CrmFolder) -> None:
    report = company.bring()
    reasons = {each.reason: each.rows for each in report.left_out}
    merged = "of an opportunity that was merged into this one, and kept apart: "
    assert reasons == {
        f"{merged}From Old deal : Stage changed": 2,
        "a lead that is no opportunity yet": 1,
        "about sale.order, which is no opportunity": 1,
        "a message with which no change of a field is tracked": 1,
        "changes of priority are not read": 1,
        "its message is not in the export, which says of what and when it was": 1,
    }
    assert company.told("4") == []


def test_customers_are_companies_and_persons_without_one(company: CrmFolder) -> None:
    company.bring()
    id = object_id("odoo", "7", "customer")
    customer = Customer.replay(id, company.desk.log.stream(id))
    [person] = customer.people.values()
    assert (customer.name, person.name, person.position) == ("云帆科技", "王芳", "CFO")
    assert company.deal("1").customer_id == id
    id = object_id("odoo", "9", "customer")
    assert Customer.replay(id, company.desk.log.stream(id)).name == "Ann Lee"


def test_the_export_of_next_week_adds_what_changed(company: CrmFolder) -> None:
    company.bring()
    moved = lead(
        3,
        stage_id=list(WON),
        partner_id=[9, "Ann Lee"],
        expected_revenue=0.0,
        write_date="2026-05-03 10:00:00",
    )
    company.write("crm.lead.json", [*ODOO["crm.lead.json"][:2], moved])
    company.write(
        "mail.message.json", [*ODOO["mail.message.json"], message(80, 3, "05-03 10:00")]
    )
    change = tracking(800, 80, "stage_id", NEW, WON)
    company.write("mail.tracking.value.json", [*ODOO["mail.tracking.value.json"], change])
    report = company.bring()
    assert (report.facts_recorded, report.facts_changed, report.facts_retracted) == (1, 0, 0)
    assert company.told("3")[-1] == "05-03 won"


def test_an_opportunity_made_of_a_lead_is_opened_when_it_became_one(company: CrmFolder) -> None:
    company.write("crm.lead.json", [lead(5, date_conversion="2026-02-10 08:00:00")])
    company.bring()
    assert company.told("5")[0].startswith("02-10 opened")


def test_numbers_of_floats_are_taken_as_finely_as_they_are_kept(company: CrmFolder) -> None:
    fine = lead(7, expected_revenue=0.1 + 0.2, probability=100 / 3, automated_probability=20.0)
    company.write("crm.lead.json", [fine])
    report = company.bring()
    found = company.deal("7")
    assert (report.rows_refused, str(found.amount)) == (0, "0.300000 EUR")
    assert str(found.probability_given) == "0.333333"


def test_references_of_newer_interfaces_are_objects(company: CrmFolder) -> None:
    stage, user = {"id": 2, "display_name": "Qualified"}, {"id": 2, "display_name": "Mitchell"}
    found = lead(6, stage_id=stage, user_id=user)
    company.write("crm.lead.json", {"result": {"length": 1, "records": [found]}})
    company.bring()
    assert (company.deal("6").stage, company.deal("6").owner) == ("2", "2")


def test_a_csv_of_the_page_names_stages_and_people_by_label(company: CrmFolder) -> None:
    for name in ("crm.lead.json", "mail.message.json", "mail.tracking.value.json"):
        (company.folder / name).unlink()
    company.write(
        "crm.lead.csv",
        "External ID,Opportunity,Type,Stage,Expected Revenue,Probability,Salesperson,Customer,"
        "Currency,Created on,Expected Closing,Closed Date,Last Stage Update,Active,Lost Reason,"
        "Last Updated on\n"
        "__export__.crm_lead_41_9f3a,Rollout,Opportunity,Won,1500.50,100.00,Mitchell Admin,"
        "云帆科技,EUR,2026-01-05 09:00:00,2026-03-31,2026-03-01 10:00:00,2026-03-01 10:00:00,"
        "TRUE,,2026-03-02 10:00:00\n"
        "__export__.crm_lead_42_77aa,Other,Opportunity,Qualified,70.00,0.00,Mitchell Admin,"
        "Acme,EUR,2026-01-06 09:00:00,,2026-02-01 10:00:00,2026-01-20 10:00:00,FALSE,"
        "Too expensive,2026-02-02 10:00:00\n",
    )
    report = company.bring(timezone="Europe/Brussels")
    assert (report.rows_refused, report.files[-1].unknown_columns) == (0, [])
    assert company.told("41")[-1] == "03-01 won"
    assert company.deal("41").customer_id == object_id("odoo", "7", "customer")
    assert [each for each in company.told("42") if "forecast" not in each] == [
        "01-06 opened 1 inferred",
        "01-20 stage_moved 2",
        "02-01 lost",
    ]
    [lost] = company.facts("42", "lost")
    assert isinstance(lost, DealLost)
    assert lost.because == "Too expensive"


def test_rows_of_the_database_tell_the_same(company: CrmFolder) -> None:
    for path in company.folder.iterdir():
        path.unlink()
    company.write("crm_stage.csv", "id,sequence,name,is_won\n1,0,New,f\n4,70,Won,t\n")
    company.write(
        "crm_lead.csv",
        "id,name,type,active,stage_id,expected_revenue,user_id,partner_id,create_date,write_date\n"
        "1,Rollout,opportunity,t,4,120.50,2,7,2026-01-05 09:00:00.123456,2026-05-01 09:00:00\n",
    )
    company.write(
        "mail_message.csv",
        "id,model,res_id,date,author_id,subject\n9,crm.lead,1,2026-03-01 10:00:00,3,\n",
    )
    company.write(
        "mail_tracking_value.csv",
        "id,mail_message_id,field,field_desc,old_value_integer,new_value_integer,old_value_char,"
        "new_value_char\n90,9,stage_id,Stage,1,4,New,Won\n",
    )
    report = company.bring(currency="EUR")
    assert report.rows_refused == 0
    assert company.told("1")[0] == "01-05 opened 1"
    assert company.told("1")[-1] == "03-01 won"


def test_bad_records_are_refused_with_file_number_field_and_value(company: CrmFolder) -> None:
    ten = lead(30, expected_revenue="ten")
    company.write("crm.lead.json", [ODOO["crm.lead.json"][0], ten, lead(0) | {"id": False}])
    late = message(90, 1, "13-01 10:00")
    company.write("mail.message.json", [late])
    company.write("mail.tracking.value.json", [tracking(900, 90, "stage_id", NEW, QUALIFIED)])
    report = company.bring()
    assert {(each.file, each.line, each.column, each.value) for each in report.refused} == {
        ("crm.lead.json", 2, "revenue", "ten"),
        ("crm.lead.json", 3, "id", None),
        ("mail.tracking.value.json", 1, "date", "2026-13-01 10:00:00"),
    }
