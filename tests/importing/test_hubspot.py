"""An export of HubSpot: the history of every property, whoever exported it."""

from pathlib import Path
from typing import Any

import pytest

from importing.crm_folder import CrmFolder
from importing.desk import Desk
from importing.hubspot_export import HUBSPOT, LOST, NEW, SOLD, deal, entry
from salesflow.adapters.importers import object_id
from salesflow.adapters.importers.crm.hubspot.pipelines import HubSpotPipelines
from salesflow.adapters.importers.crm.hubspot.system import HubSpot
from salesflow.domain.customer import Customer
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.stages import DealMigrated, DealOpened

SHAPE = Path(__file__).parents[2].parent / "shared" / "data" / "hubspot_shape"


@pytest.fixture
def portal(desk: Desk) -> CrmFolder:
    return CrmFolder(desk, HubSpot).write_all(HUBSPOT)


def test_every_property_has_a_history_and_one_save_is_one_step(either_desk: Desk) -> None:
    portal = CrmFolder(either_desk, HubSpot).write_all(HUBSPOT)
    report = portal.bring(timezone="Europe/Berlin")
    assert portal.told("1") == [
        "01-05 opened appointment",
        "02-01 forecast_given",
        "02-01 stage_moved qualified",
        "02-15 owner_assigned",
        "03-01 forecast_given",
        "03-01 won",
    ]
    [opening] = portal.facts("1", "opened")
    assert isinstance(opening, DealOpened)
    assert (opening.owner, str(opening.amount), opening.inferred) == ("500", "100.50 EUR", None)
    sold = portal.deal("1")
    assert (sold.outcome, sold.owner, str(sold.amount)) == ("won", "501", "120 EUR")
    assert str(sold.expected_close) == "2026-04-01", "a day of Berlin"
    assert [each.actor for each in portal.events("1")][-2:] == ["6", "6"]
    id = object_id("hubspot", "900", "customer")
    assert sold.customer_id == id
    assert Customer.replay(id, portal.desk.log.stream(id)).name == "云帆科技"
    assert report.process_published == "hubspot/default v1"
    assert (report.rows_refused, report.rows_left_out, report.facts_inferred) == (0, 0, 0)
    again = portal.bring(timezone="Europe/Berlin")
    assert (again.facts_recorded, again.facts_known) == (0, report.facts_recorded)
    assert (again.facts_changed, again.facts_not_told) == (0, 0)


def test_a_lost_deal_has_the_reason_of_each_of_its_losses(portal: CrmFolder) -> None:
    portal.bring()
    assert portal.told("2") == [
        "01-05 opened appointment",
        "03-01 lost",
        "03-10 reopened qualified",
        "04-02 lost",
    ]
    losses = [fact for fact in portal.facts("2", "lost") if isinstance(fact, DealLost)]
    assert [fact.because for fact in losses] == ["Price", "Too late"]


def test_the_export_of_next_week_adds_what_changed(portal: CrmFolder) -> None:
    portal.bring()
    stages = [entry("qualified", "04-01T10:00"), entry("appointment", "01-05T09:00")]
    moved = deal("3", {"dealstage": stages})
    portal.write("deals.json", {"results": [SOLD, LOST, moved]})
    report = portal.bring()
    assert (report.facts_recorded, report.facts_changed, report.facts_retracted) == (1, 0, 0)
    assert portal.told("3")[-1] == "04-01 stage_moved qualified"
    assert report.process_published is None


def test_a_deal_that_goes_on_in_another_pipeline_is_migrated(portal: CrmFolder) -> None:
    history = {
        "pipeline": [entry("77", "02-01T10:00"), entry("default", "01-05T09:00")],
        "dealstage": [
            entry("9002", "03-01T10:00"),
            entry("9001", "02-01T10:00"),
            entry("appointment", "01-05T09:00"),
        ],
    }
    portal.write("deals.json", [deal("4", history)])
    report = portal.bring()
    assert report.irregular == []
    assert portal.told("4") == ["01-05 opened appointment", "02-01 migrated", "03-01 won"]
    [migrated] = portal.facts("4", "migrated")
    assert isinstance(migrated, DealMigrated)
    assert (migrated.process, migrated.mapping[0].new) == ("hubspot/77", "9001")
    assert (portal.deal("4").outcome, portal.deal("4").stage) == ("won", "9002")


def test_a_deal_that_changed_its_pipeline_since_last_week_is_migrated(
    portal: CrmFolder,
) -> None:
    bare = deal("5", {}, properties={"dealstage": "qualified"})
    portal.write("deals.json", [bare])
    portal.bring()
    moved = deal(
        "5",
        {},
        properties={
            "pipeline": "77",
            "dealstage": "9003",
            "hs_lastmodifieddate": "2026-05-08T09:00:00Z",
        },
    )
    portal.write("deals.json", [moved])
    report = portal.bring()
    assert (report.facts_changed, report.irregular) == (0, [])
    assert portal.told("5")[-2:] == ["05-08 lost inferred", "05-08 migrated inferred"]
    assert (portal.deal("5").outcome, portal.deal("5").stage) == ("lost", "9003")
    assert portal.bring().facts_recorded == 0


def test_deals_that_were_merged_count_once_also_when_only_one_is_left(
    portal: CrmFolder,
) -> None:
    portal.bring()
    merged = deal(
        "1",
        {**SOLD["propertiesWithHistory"], "hs_merged_object_ids": [entry("3", "05-02T10:00")]},
        associations=SOLD["associations"],
    )
    portal.write("deals.json", [merged, LOST])
    report = portal.bring()
    assert (report.facts_recorded, report.facts_changed, report.rows_refused) == (2, 0, 0)
    assert portal.deal("3").merged_into == object_id("hubspot", "1")
    assert portal.told("3")[-1] == "05-02 merged"
    assert portal.bring().facts_recorded == 0


def test_an_absorbed_deal_keeps_its_history_though_it_was_deleted(portal: CrmFolder) -> None:
    gone = {**NEW, "archived": True}
    survivor = deal("6", {"dealstage": [entry("appointment", "01-05T09:00")]})
    survivor["properties"]["hs_merged_object_ids"] = "3;4711"
    other = {**deal("7", {}), "archived": True}
    portal.write("deals.json", [gone, survivor, other])
    report = portal.bring()
    assert portal.told("3") == ["01-05 opened appointment", "05-01 merged inferred"]
    assert [(each.line, each.value) for each in report.adjusted] == [(2, "4711")]
    assert [each.reason for each in report.left_out] == ["deleted in HubSpot"]


def test_the_cap_of_twenty_values_is_reported(portal: CrmFolder) -> None:
    amounts = [entry(str(number), f"02-{30 - number:02}T10:00") for number in range(3, 23)]
    stages = [entry("appointment", "01-05T09:00")]
    portal.write("deals.json", [deal("8", {"dealstage": stages, "amount": amounts})])
    [note] = portal.bring().adjusted
    assert "has 20 values" in note.reason
    assert note.column == "amount"


def test_versions_of_the_old_interface_tell_the_same(portal: CrmFolder) -> None:
    def versions(*told: tuple[str, int]) -> dict[str, Any]:
        value, at = told[0]
        each = [{"name": "x", "value": v, "timestamp": t, "source": "CRM_UI"} for v, t in told]
        return {"value": value, "timestamp": at, "source": "CRM_UI", "versions": each}

    old = {
        "dealId": 55,
        "portalId": 62515,
        "isDeleted": False,
        "associations": {"associatedCompanyIds": [900], "associatedVids": []},
        "properties": {
            "dealname": versions(("Old", 1767603600000)),
            "createdate": versions(("1767603600000", 1767603600000)),
            "closedate": versions(("1774915200000", 1767603600000)),
            "pipeline": versions(("default", 1767603600000)),
            "dealstage": versions(("closedwon", 1772359200000), ("appointment", 1767603600000)),
            "amount": versions(("75.25", 1767603600000)),
        },
    }
    portal.write("deals.json", {"deals": [old], "hasMore": False, "offset": 55})
    portal.bring(currency="USD")
    assert portal.told("55") == ["01-05 opened appointment", "03-01 won"]
    sold = portal.deal("55")
    assert (str(sold.amount), str(sold.expected_close)) == ("75.25 USD", "2026-03-31")


def test_a_csv_of_the_page_names_pipelines_stages_and_companies_by_label(
    portal: CrmFolder,
) -> None:
    (portal.folder / "deals.json").unlink()
    (portal.folder / "companies.json").unlink()
    portal.write(
        "hubspot-crm-exports-all-deals-2026-05-02.csv",
        """
        Record ID,Deal Name,Deal Stage,Pipeline,Deal owner,Amount,Currency,Close Date,Create Date,Last Modified Date,Associated Company,Date entered Qualified to buy (Sales Pipeline)
        11,Rollout,Qualified to buy,Sales Pipeline,Ann Lee,1500.00,EUR,2026-03-31 10:00,2026-01-05 09:00,2026-02-03 10:00,Acme GmbH,2026-02-01 08:30
        12,Other,Appointment,Sales Pipeline,Ann Lee,,EUR,,2026-01-06 09:00,2026-01-07 10:00,,
        """,  # noqa: E501 - rows as they stand in the file
    )
    report = portal.bring(timezone="Europe/Berlin")
    assert report.rows_refused == 0
    assert portal.told("11") == [
        "01-05 opened appointment inferred",
        "02-01 stage_moved qualified",
        "02-03 forecast_given inferred",
    ]
    assert portal.deal("11").owner == "Ann Lee"
    assert portal.deal("11").customer_id == object_id("hubspot", "Acme GmbH", "customer")
    assert any("when each stage was entered" in each for each in report.assumed)
    assert report.files[-1].unknown_columns == []


def test_a_number_behind_the_id_of_a_stage_is_none_of_its_id() -> None:
    pipelines = HubSpotPipelines()
    for stage_id in ("12", "closed_won"):
        pipelines.see("p", stage_id)
    entered = {
        column: pipelines.entered(column, "hubspot/p")
        for column in ("hsv2dateentered12", "hsv2dateenteredclosedwon999", "hsv2dateentered7")
    }
    assert list(entered.values()) == ["12", "closed_won", None]


def test_an_export_of_the_history_of_one_property_is_read_in_pairs(portal: CrmFolder) -> None:
    (portal.folder / "deals.json").unlink()
    portal.write(
        "dealstage-history.csv",
        '"id","name",,,,\n'
        '"1","Rollout","qualified","2026-02-01 10:00","appointment","2026-01-05 09:00"\n'
        '"2","Other","appointment","2026-01-06 09:00"\n',
    )
    report = portal.bring(timezone="UTC")
    assert report.rows_refused == 0
    assert portal.told("1")[-1] == "02-01 stage_moved qualified"
    assert portal.told("2") == ["01-06 opened appointment"]


def test_tables_of_a_warehouse_tell_the_same(portal: CrmFolder) -> None:
    for path in portal.folder.iterdir():
        path.unlink()
    portal.write(
        "deal.csv",
        """
        deal_id,deal_pipeline_id,deal_pipeline_stage_id,owner_id,is_deleted,property_dealname,property_createdate,property_amount,property_hs_lastmodifieddate
        1,default,won,500,false,Rollout,2026-01-05 9:00:00,120,2026-03-02 10:00:00
        2,default,new,500,false,Twin,2026-01-07 9:00:00,,2026-03-02 10:00:00
        """,
    )
    portal.write(
        "deal_pipeline_stage.csv",
        """
        pipeline_id,stage_id,label,display_order,probability,closed_won,is_closed
        default,won,Won,1,1.0,TRUE,TRUE
        default,new,New,0,0.1,FALSE,FALSE
        """,
    )
    portal.write(
        "deal_property_history.csv",
        """
        deal_id,name,value,timestamp,source,source_id
        1,dealstage,new,2026-01-05 09:00:00.000,CRM_UI,userId:5
        1,dealstage,won,2026-03-01 10:00:00.000,CRM_UI,userId:5
        1,amount,120,2026-03-01 10:00:00.000,CRM_UI,userId:5
        1,hs_analytics_source,x,2026-03-01 10:00:00.000,CRM_UI,userId:5
        """,
    )
    head = "deal_id,merged_deal_id,_fivetran_synced"
    portal.write("merged_deal.csv", f"{head}\n1,2,2026-03-05 11:37:07.21\n")
    report = portal.bring(currency="EUR")
    assert (report.rows_refused, report.rows_left_out) == (0, 1)
    assert portal.told("1") == [
        "01-05 opened new",
        "03-01 forecast_given",
        "03-01 won",
        "03-05 absorbed inferred",
    ]
    assert portal.deal("2").merged_into == object_id("hubspot", "1")
    synced_anew = f"{head}\n1,2,2026-03-12 11:37:07.21\n"
    portal.write("merged_deal.csv", synced_anew)
    again = portal.bring(currency="EUR")
    assert (again.facts_recorded, again.facts_changed) == (0, 0)


def test_stages_of_another_pipeline_say_that_a_deal_was_in_it(portal: CrmFolder) -> None:
    stages = [entry("9001", "02-01T10:00"), entry("appointment", "01-05T09:00")]
    moved = deal("21", {"dealstage": stages}, {"pipeline": "77"})
    portal.write("deals.json", [moved])
    report = portal.bring()
    assert portal.told("21") == ["01-05 opened appointment", "02-01 migrated"]
    assert report.process_published == "hubspot/77 v1, hubspot/default v1"
    keys = [stage.key for stage in portal.deal("21").process_in_force.stages]
    assert keys == ["9001", "9002", "9003"]


def test_a_deal_is_opened_with_its_first_change_where_its_record_says_later(
    portal: CrmFolder,
) -> None:
    stages = [entry("qualified", "02-01T10:00"), entry("appointment", "01-02T09:00")]
    portal.write("deals.json", [deal("22", {"dealstage": stages})])
    report = portal.bring()
    assert portal.told("22") == ["01-02 opened appointment", "02-01 stage_moved qualified"]
    [note] = report.adjusted
    assert (note.column, note.value) == ("createdate", "2026-01-05T09:00:00+00:00")


def test_contacts_are_people_of_companies_and_other_objects_are_left_out(
    portal: CrmFolder,
) -> None:
    around = {"createdAt": "2025-02-05T09:00:00Z", "archived": False}
    fang = {
        "id": "31",
        "properties": {"firstname": "芳", "lastname": "王", "email": "w@a.cn"},
        "associations": {"companies": {"results": [{"id": "900"}]}},
        **around,
    }
    alone = {"id": "32", "properties": {"email": "x@y.z"}, **around}
    item = {"id": "33", "properties": {"hs_sku": "A", "quantity": "2"}, **around}
    portal.write("contacts.json", [fang, alone])
    product = {"id": "34", "properties": {"hs_sku": "A", "name": "ERP"}, **around}
    portal.write("line_items.json", [item])
    portal.write("products.json", [product])
    report = portal.bring()
    id = object_id("hubspot", "900", "customer")
    [person] = Customer.replay(id, portal.desk.log.stream(id)).people.values()
    assert (person.name, person.email) == ("芳 王", "w@a.cn")
    assert {each.reason: each.rows for each in report.left_out} == {
        "a contact of no company": 1,
        "a line item of no deal of the export": 1,
        "an object that is no deal, company or contact": 1,
    }


def test_properties_that_are_not_read_are_named(portal: CrmFolder) -> None:
    told = {"dealstage": "qualified", "hs_priority": "high"}
    history = {name: [entry(value, "02-01T10:00")] for name, value in told.items()}
    portal.write("deals.json", [deal("23", history, {"my_own_field": "x"})])
    report = portal.bring()
    assert "properties that are not read: hspriority, myownfield" in report.assumed


def test_bad_records_are_refused_with_file_number_field_and_value(portal: CrmFolder) -> None:
    wrong = deal("9", {"amount": [entry("ten", "02-01T10:00")]})
    late = deal("10", {"dealstage": [{"value": "qualified", "timestamp": "soon"}]})
    nobody = {"id": "", "properties": {"dealname": "x"}, "archived": False}
    days = [entry("2026-05-01", "02-02T10:00"), entry("x", "02-01T10:00")]
    never = deal("24", {"closedate": days})
    portal.write("deals.json", [SOLD, wrong, late, nobody, never])
    report = portal.bring()
    assert {(each.file, each.line, each.column, each.value) for each in report.refused} == {
        ("deals.json", 2, "amount", "ten"),
        ("deals.json", 3, "timestamp", "soon"),
        ("deals.json", 4, "id", None),
        ("deals.json", 5, "expected_close", "x"),
    }
    assert portal.deal("1").outcome == "won"


@pytest.mark.skipif(not SHAPE.is_dir(), reason=f"there is no real data in {SHAPE.name}/")
def test_rows_of_a_connector_whose_keys_do_not_join_are_all_accounted_for(desk: Desk) -> None:
    portal = CrmFolder(desk, HubSpot)
    report = portal.bring(SHAPE)
    kinds = {each.name: (each.table, each.rows) for each in report.files if each.table}
    assert kinds == {
        "merged_deal_data.csv": ("merged", 14),
        "deal_pipeline_data.csv": ("pipeline_row", 6),
        "deal_pipeline_stage_data.csv": ("stage", 71),
        "deal_data.csv": ("row", 44),
        "deal_property_history_data.csv": ("history", 100),
        "deal_stage_data.csv": ("stage_history", 14),
    }
    assert (report.rows_recorded, report.rows_left_out) == (58, 114)
    assert (report.rows_refused, report.objects_new) == (0, 58)
    assert portal.bring(SHAPE).facts_recorded == 0
