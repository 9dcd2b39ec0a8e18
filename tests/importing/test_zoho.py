"""An export of Zoho CRM: deals with their visits to stages and their timeline."""

import json
from datetime import UTC, datetime, timedelta
from random import Random
from zipfile import ZipFile

import pytest

from importing.crm_folder import CrmFolder
from importing.desk import Desk
from importing.exports import FIRST, SECOND, THIRD, ZOHO
from salesflow.adapters.importers import object_id
from salesflow.adapters.importers.crm.zoho.system import Zoho
from salesflow.domain.customer import Customer
from salesflow.domain.deal.stages import DealMigrated, DealOpened
from salesflow.domain.state import ReplayContext

HISTORY = ZOHO["DealHistory.csv"]


@pytest.fixture
def account(desk: Desk) -> CrmFolder:
    return CrmFolder(desk, Zoho).write_all(ZOHO)


def test_a_deal_is_told_visit_by_visit_and_save_by_save(account: CrmFolder) -> None:
    report = account.bring(timezone="Asia/Shanghai")
    assert account.told(FIRST) == [
        "02-01 opened Qualification",
        "02-15 stage_moved Needs Analysis",
        "02-20 owner_assigned",
        "02-20 forecast_given",
        "03-01 quote_drafted",
        "03-19 quote_accepted inferred",
        "03-20 forecast_given",
        "03-20 won",
    ]
    opening = account.facts(FIRST, "opened")[0]
    assert isinstance(opening, DealOpened)
    assert (opening.process, str(opening.amount)) == ("zoho/Standard", "80,000 CNY")
    assert (opening.owner, str(opening.expected_close)) == ("200000000000000001", "2026-04-30")
    deal = account.deal(FIRST)
    assert (deal.outcome, str(deal.amount), deal.owner) == (
        "won",
        "98,000.5 CNY",
        "200000000000000002",
    )
    assert [str(line.total) for line in deal.offers["500000000000000001"].lines] == [
        "98,000 CNY"
    ]
    assert (report.rows_refused, report.rows_left_out, report.objects) == (0, 2, 3)
    assert report.rows_of_settings == 2


def test_the_pipelines_of_an_account_are_processes_with_their_stages(
    account: CrmFolder,
) -> None:
    report = account.bring(timezone="UTC")
    assert report.process_published == "zoho/Standard v1, zoho/Renewals v1"
    process = account.deal(FIRST).version_in_force
    assert process is not None
    assert [(each.key, each.name_en, each.category) for each in process.stages] == [
        ("Qualification", "Qualification", "open"),
        ("Needs Analysis", "Needs", "open"),
        ("Closed Won", "Closed Won", "won"),
        ("Closed Lost", "Closed Lost", "lost"),
    ]


def test_a_deal_that_changed_its_pipeline_is_migrated(account: CrmFolder) -> None:
    account.bring(timezone="UTC")
    assert account.told(SECOND) == ["02-10 opened Qualification", "03-01 migrated inferred"]
    migrated = account.facts(SECOND, "migrated")[0]
    assert isinstance(migrated, DealMigrated)
    assert (migrated.process, migrated.mapping[0].new) == ("zoho/Renewals", "Due")
    assert account.deal(SECOND).stage == "Due"


def test_a_deal_without_history_keeps_its_loss_and_the_reason(account: CrmFolder) -> None:
    account.bring(timezone="UTC")
    assert account.told(THIRD) == ["02-11 opened Qualification inferred", "03-04 lost"]
    assert account.deal(THIRD).lost_because == "Price"


def test_accounts_and_their_contacts_become_customers(account: CrmFolder) -> None:
    account.bring(timezone="UTC")
    id = object_id("zoho", "300000000000000001", "customer")
    customer = Customer.replay(id, account.desk.log.stream(id), context=ReplayContext({}))
    assert customer.name == "Acme"
    assert account.deal(FIRST).customer_id == id
    assert [person.name for person in customer.people.values()] == ["Mei Chen"]


def test_a_number_is_no_name_of_an_account(account: CrmFolder) -> None:
    deals = json.loads(ZOHO["Deals.json"])
    deals["data"][0]["Account_Name"] = {"id": "300000000000000009"}
    account.write_all({"Deals.json": deals}).bring(timezone="UTC")
    id = object_id("zoho", "300000000000000009", "customer")
    customer = Customer.replay(id, account.desk.log.stream(id), context=ReplayContext({}))
    assert (customer.name, account.deal(FIRST).customer_id) == (None, id)


def test_the_same_export_again_records_nothing(account: CrmFolder) -> None:
    first = account.bring(timezone="UTC")
    again = account.bring()
    assert first.facts_recorded == again.facts_known
    assert (again.facts_recorded, again.facts_changed, again.facts_not_told) == (0, 0, 0)
    assert again.process_published is None


def test_the_export_of_next_week_adds_what_changed(account: CrmFolder) -> None:
    account.bring(timezone="UTC")
    moved = HISTORY.replace(
        f"95,{SECOND},Due,2026-03-01T10:00:00+08:00,,",
        f"97,{SECOND},Closed Won,2026-03-10T10:00:00+08:00,,1200,2026-03-10\n"
        f"95,{SECOND},Due,2026-03-01T10:00:00+08:00,Closed Won,",
    )
    deals = json.loads(ZOHO["Deals.json"])
    deals["data"][1] |= {
        "Stage": "Closed Won",
        "Probability": 100,
        "Closing_Date": "2026-03-10",
        "Modified_Time": "2026-03-10T10:00:00+08:00",
        "Stage_Modified_Time": "2026-03-10T10:00:00+08:00",
    }
    account.write_all(ZOHO | {"DealHistory.csv": moved, "Deals.json": deals})
    report = account.bring()
    assert (report.facts_changed, report.facts_retracted) == (0, 0)
    assert account.told(SECOND)[2:] == ["03-10 forecast_given", "03-10 won"]
    assert account.deal(SECOND).outcome == "won"


def test_a_history_that_says_when_stages_were_left_is_read_so(account: CrmFolder) -> None:
    left = """
        Id,Potential_Name,Stage,Modified_Time,Moved_To__s
        91,400000000000000001,Qualification,2026-02-15T10:00:00+08:00,Needs Analysis
        92,400000000000000001,Needs Analysis,2026-03-20T17:00:00+08:00,Closed Won
        93,400000000000000001,Closed Won,,
    """
    deals = json.loads(ZOHO["Deals.json"])
    deals["data"][0]["Stage_Modified_Time"] = "2026-03-20T17:00:00+08:00"
    account.write_all({"DealHistory.csv": left, "Deals.json": deals})
    report = account.bring(timezone="UTC")
    assert account.told(FIRST)[:2] == [
        "02-01 opened Qualification",
        "02-15 stage_moved Needs Analysis",
    ]
    assert "03-20 won" in account.told(FIRST)
    assert any("was left" in text and "1 of 1 deals" in text for text in report.assumed)
    assert report.left_out[0].reason == "is the stage it is in, not left yet"


def test_a_history_that_shows_nothing_is_read_as_documented_and_said_so(
    account: CrmFolder,
) -> None:
    account.write_all({"DealHistory.csv": HISTORY})
    report = account.bring(timezone="UTC", currency="CNY")
    assert any("nothing in this export shows" in text for text in report.assumed)
    assert account.told(FIRST)[:2] == [
        "02-01 opened Qualification",
        "02-15 forecast_given",
    ] or account.told(FIRST)[1].endswith("Needs Analysis")


def test_visits_of_one_second_follow_one_another_as_they_say(account: CrmFolder) -> None:
    at = "2026-02-01T09:00:00+08:00"
    account.write_all(
        {
            "DealHistory.csv": f"""
        Id,Potential_Name,Stage,Modified_Time,Moved_To__s
        3,{FIRST},Closed Won,{at},
        1,{FIRST},Qualification,{at},Needs Analysis
        2,{FIRST},Needs Analysis,{at},Closed Won
        """
        }
    )
    report = account.bring(timezone="UTC")
    assert account.told(FIRST) == [
        "02-01 opened Qualification",
        "02-01 stage_moved Needs Analysis",
        "02-01 won",
    ]
    assert report.rows_tied == 3


def test_a_stage_history_of_one_deal_is_known_by_its_file(account: CrmFolder) -> None:
    rows = [
        {"Stage": "Needs", "Modified_Time": "2026-02-05T09:00:00+08:00", "Moved_To__s": None},
        {"Stage": "Qualification", "Modified_Time": "2026-02-01T09:00:00+08:00",
         "Moved_To__s": "Needs"},
    ]  # fmt: skip
    account.write_all(
        {
            f"Deals_{FIRST}_Stage_History.json": {"data": rows},
            "pipelines.json": ZOHO["pipelines.json"],
        }
    )
    account.bring(timezone="UTC")
    assert account.told(FIRST) == [
        "02-01 opened Qualification",
        "02-05 stage_moved Needs Analysis",
    ]


@pytest.mark.parametrize(
    "header",
    [
        "Record Id,Deal Name,Deal Owner.id,Deal Owner,Amount,Stage,Closing Date,Created Time,"
        "Modified Time,Account Name",
        "记录ID,商机名称,商机所有者.id,商机所有者,金额,阶段,结束日期,创建时间,修改时间,客户名称",
    ],
)
def test_an_export_of_the_page_has_labels_in_either_language(
    account: CrmFolder, header: str
) -> None:
    account.write_all(
        {
            "Deals.csv": f"""
        {header}
        zcrm_7001,Pump,zcrm_9,Lin,"¥1,200.50",评估,2026/3/31,2026/1/5 下午2:05,2026/1/6 9:00,A
        """
        }
    )
    report = account.bring(timezone="Asia/Shanghai", currency="CNY")
    deal = account.deal("7001")
    assert (deal.title, deal.owner, str(deal.amount)) == ("Pump", "9", "1,200.50 CNY")
    assert str(deal.expected_close) == "2026-03-31"
    assert str(deal.opened_at) == "2026-01-05 06:05:00+00:00"
    assert (report.rows_refused, report.files[0].unknown_columns) == (0, [])


STAGES = ("Qualification", "Needs Analysis", "Proposal", "Closed Won", "Closed Lost")


def paths(random: Random) -> dict[str, list[tuple[str, datetime]]]:
    """Make up deals that go to and fro, are lost, reopened and won, some within one second."""
    found = {}
    for number in range(60):
        at = datetime(2026, 1, 1, 9, tzinfo=UTC) + timedelta(minutes=random.randrange(90_000))
        path = [("Qualification", at)]
        for _ in range(random.randrange(6)):
            at += timedelta(minutes=random.choice((0, 1, 60, 5_000, 50_000)))
            stage = random.choice([each for each in STAGES if each != path[-1][0]])
            path.append((stage, at))
        found[f"{800_000_000_000_000_000 + number}"] = path
    return found


def rows_of(paths: dict[str, list[tuple[str, datetime]]], *, left: bool) -> list[str]:
    """Write the visits as an account does whose times say when they began, or ended."""
    rows = []
    for deal, path in paths.items():
        for number, (stage, at) in enumerate(path):
            following = path[number + 1] if number + 1 < len(path) else ("", None)
            time = following[1] if left else at
            written = "" if time is None else time.isoformat()
            rows.append(f"{deal[-3:]}{number},{deal},{stage},{written},{following[0]}")
    return rows


@pytest.mark.parametrize("left", [False, True])
def test_every_deal_ends_in_the_stage_it_stands_in_whichever_way_its_history_is_written(
    account: CrmFolder, left: bool
) -> None:
    random = Random(14)
    made = paths(random)
    rows = rows_of(made, left=left)
    random.shuffle(rows)
    deals = [
        {
            "id": deal,
            "Deal_Name": deal,
            "Stage": path[-1][0],
            "Created_Time": path[0][1].isoformat(),
            "Modified_Time": path[-1][1].isoformat(),
            "Stage_Modified_Time": path[-1][1].isoformat(),
        }
        for deal, path in made.items()
    ]
    header = "Id,Potential_Name,Stage,Modified_Time,Moved_To__s"
    account.write_all(
        {"DealHistory.csv": "\n".join((header, *rows)), "Deals.json": {"data": deals}}
    )
    report = account.bring(timezone="UTC")
    assert (report.rows_refused, report.facts_inferred, report.irregular) == (0, 0, [])
    for deal, path in made.items():
        told = [each.split(" ", 1)[1] for each in account.told(deal)]
        assert told == [entering(stage, *before) for stage, *before in _with_before(path)]
        assert account.deal(deal).stage == path[-1][0]
        times = [each.occurred_at for each in account.events(deal)]
        assert times == [at for _, at in path]


def _with_before(path: list[tuple[str, datetime]]) -> list[tuple[str, str | None]]:
    stages = [stage for stage, _ in path]
    return list(zip(stages, [None, *stages], strict=False))


def entering(stage: str, before: str | None) -> str:
    """Say the fact of a deal that comes into a stage."""
    if before is None:
        return f"opened {stage}"
    if stage.startswith("Closed"):
        return stage.removeprefix("Closed ").lower()
    return f"{'reopened' if before.startswith('Closed') else 'stage_moved'} {stage}"


def test_what_cannot_be_read_is_refused_with_file_line_column_and_value(
    account: CrmFolder,
) -> None:
    bad = HISTORY + f"98,{THIRD},Due,at noon,,1,2026-06-30\n99,{THIRD},,2026-02-01,,1,\n"
    account.write_all(ZOHO | {"DealHistory.csv": bad})
    report = account.bring(timezone="UTC")
    assert [(each.file, each.line, each.column, each.value) for each in report.refused] == [
        ("DealHistory.csv", 8, "modifiedtime", "at noon"),
        ("DealHistory.csv", 9, "stage", None),
    ]


def test_an_archive_is_read_as_a_folder_is(account: CrmFolder) -> None:
    archive = account.desk.folder / "export.zip"
    with ZipFile(archive, "w") as file:
        for path in account.folder.iterdir():
            file.write(path, f"export/{path.name}")
    report = account.bring(archive, timezone="UTC")
    assert (report.objects, report.rows_refused) == (3, 0)


def test_an_export_is_imported_alike_on_either_database(either_desk: Desk) -> None:
    account = CrmFolder(either_desk, Zoho).write_all(ZOHO)
    assert account.bring(timezone="UTC").objects_new == 3
    assert account.bring().facts_recorded == 0
    assert account.deal(FIRST).outcome == "won"
