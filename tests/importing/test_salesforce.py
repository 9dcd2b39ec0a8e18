"""An export of Salesforce: opportunities with their history, told as it was."""

from decimal import Decimal

import pytest

from importing.crm_folder import CrmFolder
from importing.desk import Desk
from importing.exports import SALESFORCE
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.importers import object_id
from salesflow.adapters.importers.crm.salesforce.system import Salesforce
from salesflow.domain.customer import Customer
from salesflow.domain.deal.stages import DealOpened
from salesflow.errors import InputError

DEALS, HISTORY = SALESFORCE["Opportunity.csv"], SALESFORCE["OpportunityHistory.csv"]
ACCOUNTS = SALESFORCE["Account.csv"]


class Org(CrmFolder):
    """An export of Salesforce, table by table."""

    def write_tables(self, **tables: str) -> None:
        for name, text in tables.items():
            self.write(f"{name}.csv", text)

    def kinds(self, deal: str) -> list[tuple[str, ...]]:
        """Say what stands of a deal: the day and the kind of each fact, in order of time."""
        return [tuple(each.split()[:2]) for each in self.told(deal)]


@pytest.fixture
def org(desk: Desk) -> Org:
    org = Org(desk, Salesforce)
    org.write_all(SALESFORCE)
    return org


def test_a_history_is_told_change_by_change_whatever_its_order(org: Org) -> None:
    report = org.bring()
    assert org.kinds("D1") == [
        ("01-05", "opened"),
        ("02-01", "forecast_given"),
        ("02-01", "stage_moved"),
        ("02-15", "owner_assigned"),
        ("03-01", "forecast_given"),
        ("03-01", "won"),
    ]
    deal = org.deal("D1")
    assert (deal.outcome, deal.owner, str(deal.amount)) == ("won", "U2", "120 EUR")
    assert deal.customer_id == object_id("salesforce", "A1", "customer")
    opening = org.events("D1")[0].fact
    assert isinstance(opening, DealOpened)
    assert (opening.owner, str(opening.amount)) == ("U1", "100 EUR")
    assert (report.rows_refused, report.rows_left_out, report.objects) == (0, 2, 3)
    left_out = {(each.file, each.first_line): each.reason for each in report.left_out}
    assert left_out == {
        ("Opportunity.csv", 5): "deleted in Salesforce",
        ("OpportunityFieldHistory.csv", 3): "OpportunityHistory tells the same",
    }


def test_a_won_deal_that_is_lost_later_is_lost_from_then_on(org: Org) -> None:
    org.bring()
    assert org.kinds("D2") == [("01-06", "opened"), ("02-01", "won"), ("02-20", "lost")]
    assert org.deal("D2").outcome == "lost"
    assert org.deal("D2").first_outcome == "won"


def test_a_deal_without_history_is_as_the_export_has_it_now(org: Org) -> None:
    report = org.bring()
    assert org.kinds("D3") == [
        ("02-01", "opened"),
        ("02-11", "forecast_given"),
        ("02-11", "stage_moved"),
    ]
    inferred = {each.object for each in report.inferred}
    assert inferred == {"D3"}
    assert org.deal("D3").stage == "Qualification"


def test_the_same_export_again_records_nothing(org: Org) -> None:
    first = org.bring()
    again = org.bring()
    assert first.facts_recorded == again.facts_known
    assert (again.facts_recorded, again.facts_changed, again.facts_not_told) == (0, 0, 0)
    assert again.process_published is None


def test_the_export_of_next_week_adds_what_changed(org: Org) -> None:
    org.bring()
    org.write_tables(
        Opportunity=DEALS.replace(
            "D3,,Old one,Qualification,,20,2026-06-30,false,false,Pipeline,"
            "2026-02-01T09:00:00.000+0000,2026-02-11",
            "D3,,Old one,Proposal,70,60,2026-06-30,false,false,Pipeline,"
            "2026-02-01T09:00:00.000+0000,2026-02-18",
        ),
    )
    report = org.bring()
    assert report.process_published == "salesforce v2"
    assert (report.facts_changed, report.facts_retracted) == (0, 0)
    assert org.kinds("D3")[-2:] == [("02-18", "forecast_given"), ("02-18", "stage_moved")]
    deal = org.deal("D3")
    assert (deal.stage, str(deal.amount), deal.process_version) == ("Proposal", "70 EUR", 2)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_rows_at_one_instant_are_put_in_order_by_what_they_say(
    org: Org, order: tuple[int, ...]
) -> None:
    at = "2026-02-01T09:00:00.000+0000"
    rows = [
        f"D3,{at},Prospecting,10,2026-06-30,10,Pipeline,,,",
        f"D3,{at},Qualification,10,2026-06-30,20,Pipeline,10,2026-06-30,Prospecting",
        f"D3,{at},Qualification,,2026-06-30,20,Pipeline,10,2026-06-30,Qualification",
        f"D3,{at},Closed Lost,,2026-06-30,0,Omitted,,2026-06-30,Qualification",
    ]
    head = (
        "OpportunityId,CreatedDate,StageName,Amount,CloseDate,Probability,ForecastCategory,"
        "PrevAmount,PrevCloseDate,FromOpportunityStageName"
    )
    lost = DEALS.replace(
        "Old one,Qualification,,20,2026-06-30,false,false,Pipeline",
        "Old one,Closed Lost,,0,2026-06-30,true,false,Omitted",
    )
    org.write_tables(
        Opportunity=lost, OpportunityHistory="\n".join([head, *(rows[n] for n in order), ""])
    )
    report = org.bring()
    kinds = [kind for _, kind in org.kinds("D3")]
    assert kinds == ["opened", "stage_moved", "forecast_given", "lost"]
    assert report.rows_tied == 4


def test_a_history_without_ids_in_reverse_order_ends_in_the_stage_of_the_deal(org: Org) -> None:
    at = "2026-02-01T09:00:00.000+0000"
    stages = ["Qualification", "Proposal", "Prospecting"]
    rows = "".join(f"D3,{at},{stage}\n" for stage in stages)
    org.write_tables(OpportunityHistory=f"OpportunityId,CreatedDate,StageName\n{rows}")
    org.bring()
    assert org.deal("D3").stage == "Qualification"


def test_bad_rows_are_refused_with_file_line_and_value_and_the_others_taken(org: Org) -> None:
    org.write_tables(
        OpportunityHistory=HISTORY.replace("2026-02-01T10:00:00.000+0000", "yesterday"),
        Account=f"{ACCOUNTS},Nobody,,false\n",
    )
    report = org.bring()
    refused = {(each.file, each.line, each.column, each.value) for each in report.refused}
    assert refused == {
        ("OpportunityHistory.csv", 4, "createddate", "yesterday"),
        ("Account.csv", 3, "id", None),
    }
    assert org.kinds("D2")[-1] == ("02-20", "lost")


def test_two_rows_of_one_id_are_told_once(org: Org) -> None:
    again = HISTORY.splitlines()[3].replace("2026-02-01", "2026-02-03")
    org.write_tables(
        OpportunityHistory=f"{HISTORY}{again.replace('Qualification', 'Proposal')}\n"
    )
    report = org.bring()
    [refused] = report.refused
    assert (refused.line, refused.reason) == (8, "is the same event as an earlier row")
    assert ("02-01", "stage_moved") in org.kinds("D1")


def test_strict_refuses_all_of_an_export_for_one_bad_row(org: Org) -> None:
    org.write_tables(Account=f"{ACCOUNTS},Nobody,,false\n")
    report = org.bring(strict=True)
    assert (report.recorded, org.desk.log.head().position) == (False, 0)


def test_customers_and_their_people_come_from_tables_of_their_own(org: Org) -> None:
    org.write_tables(
        Contact="Id,AccountId,FirstName,LastName,Title,Email\nP1,A1,芳,王,CFO,w@a.cn\n"
    )
    org.bring()
    id = object_id("salesforce", "A1", "customer")
    customer = Customer.replay(id, org.desk.log.stream(id))
    assert (customer.name, customer.segment) == ("云帆科技", "Software")
    [person] = customer.people.values()
    assert (person.name, person.position) == ("芳 王", "CFO")
    assert org.bring().facts_recorded == 0


def test_times_without_a_zone_need_one(org: Org) -> None:
    org.write_tables(OpportunityHistory=HISTORY.replace("T", " ").replace(":00.000+0000", ""))
    with pytest.raises(InputError, match="zone"):
        org.bring()
    assert org.desk.log.head().position == 0


def test_days_are_read_in_the_order_that_the_whole_export_shows(org: Org) -> None:
    rows = [
        "D3,01/02/26 09:00 AM,Prospecting",
        "D3,01/25/26 09:00 AM,Qualification",
    ]
    org.write_tables(
        OpportunityHistory="\n".join(["OpportunityId,CreatedDate,StageName", *rows, ""])
    )
    report = org.bring(timezone="UTC")
    assert ("01-25", "stage_moved") in org.kinds("D3")
    assert not [each for each in report.assumed if "month first" in each]


def test_what_is_no_export_of_salesforce_is_refused_at_once(org: Org) -> None:
    folder = org.desk.folder / "other"
    folder.mkdir()
    (folder / "people.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"has no table of opportunities.*people\.csv"):
        org.bring(folder)
    with pytest.raises(InputError, match="there is no file or folder"):
        org.bring(org.desk.folder / "nowhere")


WEEK_ONE = {
    "Opportunity.csv": (
        "Id,Name,StageName,Amount,Probability,CloseDate,IsClosed,IsWon,ForecastCategory,"
        "CreatedDate,LastModifiedDate,OwnerId,CurrencyIsoCode\n"
        "N1,Rollout,Prospecting,5,10,2024-12-31,0,0,Pipeline,"
        "2024-01-01T09:00:00Z,2024-01-01T09:00:00Z,U1,EUR\n"
    ),
    "OpportunityHistory.csv": (
        "Id,OpportunityId,CreatedById,CreatedDate,StageName,Amount,CloseDate,Probability,"
        "ForecastCategory\n"
        "H1,N1,U1,2024-01-01T09:00:00Z,Prospecting,5,2024-12-31,10,Pipeline\n"
    ),
}
WEEK_TWO = {
    "Opportunity.csv": WEEK_ONE["Opportunity.csv"]
    .replace(
        "Prospecting,5,10,2024-12-31,0,0,Pipeline", "Closed Won,5,100,2024-12-31,1,1,Closed"
    )
    .replace("Z,2024-01-01T09:00:00Z,U1", "Z,2024-02-01T09:00:00Z,U1"),
    "OpportunityHistory.csv": WEEK_ONE["OpportunityHistory.csv"]
    + "H2,N1,U1,2024-01-15T09:00:00Z,Proposal,5,2024-12-31,50,Pipeline\n"
    "H3,N1,U1,2024-02-01T09:00:00Z,Closed Won,5,2024-12-31,100,Closed\n",
}


@pytest.mark.parametrize("tables", [["Opportunity.csv"], [*WEEK_ONE]])
def test_a_deal_goes_on_under_the_version_that_knows_a_stage_first_seen_later(
    desk: Desk, tables: list[str]
) -> None:
    """Nobody had come there when the first week was imported."""
    weekly = Org(desk, Salesforce)
    for week in (WEEK_ONE, WEEK_TWO):
        weekly.write_all({name: week[name] for name in tables})
        weekly.bring()
    assert weekly.bring().facts_recorded == 0
    deal = weekly.deal("N1")
    assert (deal.stage, deal.outcome) == ("Closed Won", "won")
    kinds = [kind for _, kind in weekly.kinds("N1")]
    assert kinds.count("won") == kinds.count("migrated") == 1
    if len(tables) > 1:
        assert weekly.told("N1")[1:3] == [
            "01-15 migrated inferred",
            "01-15 stage_moved Proposal",
        ]
        later = PublishedProcesses(desk.log)["salesforce", 2]
        assert later.stage("Proposal").probability == Decimal("0.5")
