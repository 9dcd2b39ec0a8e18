"""An export of Pipedrive: deals with their changes, or with their own times alone."""

from pathlib import Path

import pytest

from importing.crm_folder import CrmFolder
from importing.desk import Desk
from importing.pipedrive_export import (
    LOST,
    NEW,
    ORGANIZATIONS,
    PIPEDRIVE,
    SOLD,
    STAGES,
    answer,
    change,
    deal,
)
from salesflow.adapters.importers import object_id
from salesflow.adapters.importers.crm.pipedrive.system import Pipedrive
from salesflow.domain.customer import Customer
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.stages import DealMigrated, DealOpened

SHAPE = Path(__file__).parents[2].parent / "shared" / "data" / "pipedrive_shape"


@pytest.fixture
def company(desk: Desk) -> CrmFolder:
    return CrmFolder(desk, Pipedrive).write_all(PIPEDRIVE)


def test_changes_are_told_in_their_order_and_a_status_is_an_outcome(either_desk: Desk) -> None:
    company = CrmFolder(either_desk, Pipedrive).write_all(PIPEDRIVE)
    report = company.bring(timezone="Europe/Berlin")
    assert company.told("1") == [
        "01-05 opened 10",
        "02-01 stage_moved 11",
        "02-01 stage_moved 12",
        "02-15 owner_assigned",
        "02-20 forecast_given",
        "03-01 won",
    ]
    [opening] = company.facts("1", "opened")
    assert isinstance(opening, DealOpened)
    assert (opening.owner, str(opening.amount), opening.inferred) == ("500", "100 EUR", None)
    sold = company.deal("1")
    assert (sold.outcome, sold.stage, sold.owner, str(sold.amount)) == (
        "won",
        "won",
        "501",
        "120 EUR",
    )
    assert str(sold.expected_close) == "2026-03-31"
    assert report.process_published == "pipedrive/1 v1"
    stages = [stage.key for stage in sold.process_in_force.stages]
    assert stages == ["10", "11", "12", "won", "lost"]
    reasons = {each.reason: each.rows for each in report.left_out}
    assert reasons == {
        "deleted in Pipedrive": 1,
        "items of this kind are not read: activity": 1,
        "creation, which the record of the deal tells": 1,
    }
    again = company.bring(timezone="Europe/Berlin")
    assert (again.facts_recorded, again.facts_known) == (0, report.facts_recorded)
    assert (again.facts_changed, again.facts_not_told) == (0, 0)


def test_a_deal_taken_up_again_is_in_the_stage_it_was_in(company: CrmFolder) -> None:
    company.bring()
    assert company.told("2") == [
        "01-05 opened 10",
        "02-01 stage_moved 11",
        "03-01 lost",
        "03-10 reopened 11",
        "04-02 forecast_given inferred",
        "04-02 lost",
    ]
    losses = [fact for fact in company.facts("2", "lost") if isinstance(fact, DealLost)]
    assert [fact.because for fact in losses] == ["Price", "Late"]


def test_a_deal_without_changes_is_told_by_its_own_times(company: CrmFolder) -> None:
    won = deal(
        5,
        status="won",
        stage_id=12,
        stage_change_time="2026-02-03 08:00:00",
        first_won_time="2026-02-10 08:00:00",
        won_time="2026-03-10 08:00:00",
    )
    lost = deal(6, status="lost", stage_id=11, lost_time="2026-02-10 08:00:00")
    company.write("deals.json", answer(NEW, won, lost))
    report = company.bring()
    assert company.told("3")[:2] == ["01-05 opened 10 inferred", "02-03 stage_moved 11"]
    assert company.told("5") == [
        "01-05 opened 10 inferred",
        "02-03 stage_moved 12",
        "02-10 won",
        "03-10 reopened 12 inferred",
        "03-10 forecast_given inferred",
        "03-10 won",
    ]
    assert company.told("6")[1:] == [
        "02-10 stage_moved 11 inferred",
        "02-10 forecast_given inferred",
        "02-10 lost",
    ]
    assert any("a value of 0" in each for each in report.assumed)
    assert report.irregular == []


def test_a_deal_taken_to_another_pipeline_is_migrated(company: CrmFolder) -> None:
    company.write("deals.json", answer(deal(8, pipeline_id=2, stage_id=20)))
    company.write(
        "flow_8.json",
        answer(
            change(8, 802, "02-01 10:00", "stage_id", "11", "20"),
            change(8, 801, "02-01 10:00", "pipeline_id", "1", "2"),
            change(8, 800, "01-20 10:00", "stage_id", "10", "11"),
        ),
    )
    company.bring()
    assert company.told("8")[:3] == [
        "01-05 opened 10",
        "01-20 stage_moved 11",
        "02-01 migrated",
    ]
    [migrated] = company.facts("8", "migrated")
    assert isinstance(migrated, DealMigrated)
    assert (migrated.process, migrated.mapping[0].new) == ("pipedrive/2", "20")


def test_the_export_of_next_week_adds_what_changed(company: CrmFolder) -> None:
    company.bring()
    won = {**NEW, "status": "won", "won_time": "2026-05-03 08:00:00"}
    company.write("deals.json", answer(SOLD, LOST, won))
    report = company.bring()
    assert (report.facts_recorded, report.facts_changed, report.facts_retracted) == (1, 0, 0)
    assert company.told("3")[-1] == "05-03 won"


def test_a_deal_without_changes_that_moved_since_last_week_keeps_its_opening(
    company: CrmFolder,
) -> None:
    new = deal(31, stage_change_time="2026-01-05 09:00:00")
    company.write("deals.json", answer(new))
    company.bring()
    assert company.told("31")[0] == "01-05 opened 10"
    moved = {"stage_id": 12, "stage_change_time": "2026-05-03 08:00:00"}
    company.write("deals.json", answer({**new, **moved, "update_time": "2026-05-03 08:00:00"}))
    report = company.bring()
    assert (report.facts_recorded, report.facts_changed) == (1, 0)
    assert company.told("31")[0] == "01-05 opened 10"
    assert company.told("31")[-1] == "05-03 stage_moved 12"


def test_customers_are_organizations_and_persons_without_one(company: CrmFolder) -> None:
    company.write("deals.json", answer(SOLD, deal(9, org_id=None, person_id={"value": 71})))
    company.bring()
    id = object_id("pipedrive", "7", "customer")
    customer = Customer.replay(id, company.desk.log.stream(id))
    [person] = customer.people.values()
    assert (customer.name, person.name, person.email) == ("云帆科技", "王芳", "w@a.cn")
    id = object_id("pipedrive", "person/71", "customer")
    assert Customer.replay(id, company.desk.log.stream(id)).name == "Ann Lee"
    assert company.deal("9").customer_id == id


@pytest.mark.parametrize(
    "head",
    [
        "Deal - ID,Deal - Title,Deal - Value,Deal - Currency,Deal - Pipeline,Deal - Stage,"
        "Deal - Status,Deal - Owner,Deal - Organization,Deal - Deal created,Deal - Won time,"
        "Deal - Lost time,Deal - Lost reason,Deal - Expected close date,Deal - Update time",
        "Deal - Pipedrive System ID,Deal - Title*,Deal - Value,Deal - Currency of value,"
        "Deal - Pipeline,Deal - Stage (pipeline),Deal - Status,Deal - Owner,"
        "Deal - Organization,Deal - Add time,Deal - Won time,Deal - Lost time,"
        "Deal - Lost reason,Deal - Expected close date,Deal - Update time",
        "ID,Title,Value,Currency,Pipeline,Stage,Status,Owner,Organization,Deal created,"
        "Won time,Lost time,Lost reason,Expected close date,Update time",
    ],
)
def test_a_csv_is_read_whatever_its_labels(desk: Desk, head: str) -> None:
    company = CrmFolder(desk, Pipedrive)
    company.write(
        "deals-7.csv",
        f"{head}\n"
        "41,Rollout,1500.50,EUR,Sales,Proposal,Won,Ann Lee,Acme,2026-01-05 09:00,"
        "2026-03-01 10:00,,,2026-03-31,2026-03-02 10:00\n"
        "42,Other,70,EUR,Sales,Qualified,Lost,Ann Lee,Acme,2026-01-06 09:00,,"
        "2026-02-01 10:00,Price,,2026-02-02 10:00\n"
        "43,Third,0,EUR,Sales,Qualified,Open,Bo Ek,,2026-01-07 09:00,,,,,2026-02-02 10:00\n",
    )
    report = company.bring(timezone="Europe/Berlin")
    assert (report.rows_refused, report.files[0].unknown_columns) == (0, [])
    outcomes = {name: company.deal(name).outcome for name in ("41", "42", "43")}
    assert outcomes == {"41": "won", "42": "lost", "43": "open"}
    assert company.told("41")[-1] == "03-01 won"
    [lost] = company.facts("42", "lost")
    assert isinstance(lost, DealLost)
    assert (lost.because, company.deal("41").owner) == ("Price", "Ann Lee")
    assert company.bring(timezone="Europe/Berlin").facts_recorded == 0


def test_items_of_several_kinds_in_one_list_are_told_apart(company: CrmFolder) -> None:
    for path in company.folder.iterdir():
        path.unlink()
    recents = [
        {"item": "deal", "id": 1, "data": SOLD},
        {"item": "deal", "id": 2, "data": None},
        {"item": "stage", "id": 10, "data": STAGES["data"][1]},
        {"item": "organization", "id": 7, "data": ORGANIZATIONS["data"][0]},
        {"item": "note", "id": 5, "data": {"id": 5, "content": "x"}},
    ]
    company.write("recents.json", answer(*recents))
    report = company.bring()
    assert company.deal("1").outcome == "won"
    assert report.customers_registered == 1
    assert {each.reason for each in report.left_out} == {
        "deleted in Pipedrive",
        "items of this kind are not read: note",
    }


def test_bad_records_are_refused_with_file_number_field_and_value(company: CrmFolder) -> None:
    company.write("deals.json", answer(SOLD, deal(30, value="ten"), {**NEW, "id": None}))
    company.write("flow_9.json", answer(change(1, 900, "13-01 10:00", "status", "open", "won")))
    report = company.bring()
    assert {(each.file, each.line, each.column, each.value) for each in report.refused} == {
        ("deals.json", 2, "value", "ten"),
        ("deals.json", 3, "id", None),
        ("flow_9.json", 1, "logtime", "2026-13-01 10:00:00"),
    }
    assert company.deal("1").outcome == "won"


@pytest.mark.skipif(not SHAPE.is_dir(), reason=f"there is no real data in {SHAPE.name}/")
def test_recent_persons_are_customers_or_people_of_one(desk: Desk) -> None:
    company = CrmFolder(desk, Pipedrive)
    report = company.bring(SHAPE)
    assert (report.rows_read, report.rows_recorded, report.rows_left_out) == (3, 2, 1)
    assert (report.customers_registered, report.process_published) == (2, None)
    assert company.bring(SHAPE).facts_recorded == 0


def test_stages_of_which_nothing_says_how_likely_a_sale_is_are_named(desk: Desk) -> None:
    """Once, with the version that they are first in."""
    company = CrmFolder(desk, Pipedrive).write_all(
        {
            "deals.csv": """
                title,ID,value,currency,status,stage,owner,add time,won time
                Loose,7,100,EUR,open,Qualified,Ann,2024-01-05 09:00:00,
                """
        }
    )
    [told] = [each for each in company.bring(timezone="UTC").assumed if "50 %" in each]
    assert told.endswith(", Qualified")
    assert not [e for e in company.bring(timezone="UTC").assumed if "50 %" in e]
