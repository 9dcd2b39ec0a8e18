"""A pull fetches every record once, whatever the interface does; its folder is an export."""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from importing.api_servers import SECRET, FxiaokeApi, PlayedApi, Reply, ZohoApi, played
from importing.desk import Desk
from importing.exports import FXIAOKE, ZOHO
from salesflow.adapters.importers.crm.fxiaoke.system import Fxiaoke
from salesflow.adapters.importers.crm.importer import import_crm
from salesflow.adapters.importers.crm.pull.folder import read_credentials
from salesflow.adapters.importers.crm.zoho.system import Zoho
from salesflow.errors import InputError, SalesflowError
from simulated import ran

pytest.importorskip("httpx2", reason="a pull speaks HTTP by httpx2")

from salesflow.adapters.importers.crm.pull.client import ApiClient, ensure_safe
from salesflow.adapters.importers.crm.pull.fxiaoke_api import pull_fxiaoke
from salesflow.adapters.importers.crm.pull.zoho_api import pull_zoho

BUSY = Reply(429, {"code": "TOO_MANY_REQUESTS"}, {"retry-after": "7"})
EXPIRED = Reply(401, {"code": "INVALID_TOKEN", "message": "invalid oauth token"})
CUT = Reply(200, {"data": [{"id": "half"}]}, cut=True)


def zoho_deals(count: int) -> list[dict[str, Any]]:
    base = json.loads(ZOHO["Deals.json"])["data"][1]
    return [base | {"id": f"{700_000_000_000_000_000 + number}"} for number in range(count)]


def opportunities(count: int, at_once: int = 3) -> list[dict[str, Any]]:
    base = json.loads(FXIAOKE["NewOpportunityObj.json"])["data"]["dataList"][0]
    return [
        base | {"_id": f"o{number}", "create_time": base["create_time"] + number // at_once}
        for number in range(count)
    ]


class Pulls:
    """Pulls from played interfaces, and what they waited for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waited: list[float] = []
        self._exit = ExitStack()

    def close(self) -> None:
        self._exit.close()

    def play(self, api: PlayedApi) -> None:
        self._exit.enter_context(played(api))

    def zoho(self, api: ZohoApi, *, timeline: bool = False, secret: str = SECRET) -> list[str]:
        secrets = {"client_id": "1000.X", "client_secret": "y", "refresh_token": secret}
        with ApiClient(self.waited.append) as client:
            return pull_zoho(
                secrets, self.folder, client=client, accounts=api.url, timeline=timeline
            )

    def fxiaoke(
        self, api: FxiaokeApi, user: str = "user_id", secret: str = SECRET
    ) -> list[str]:
        secrets = {"app_id": "A", "app_secret": secret, "permanent_code": "p", user: "1000"}
        with ApiClient(self.waited.append) as client:
            return pull_fxiaoke(secrets, self.folder, client=client, host=api.url)

    def ids(self, name: str, key: str = "id") -> list[str]:
        """Return the ids of all records of some pages, in their order."""
        found = []
        for path in sorted(self.folder.glob(f"{name}_*.json")):
            told = json.loads(path.read_bytes())
            within = told.get("data")
            records = within["dataList"] if isinstance(within, dict) else within
            found += [each[key] for each in records or told["dataList"]]
        return found


@pytest.fixture
def pulls(tmp_path: Path) -> Iterator[Pulls]:
    found = Pulls(tmp_path / "pulled")
    yield found
    found.close()


@pytest.fixture
def account(pulls: Pulls) -> ZohoApi:
    """An account with more deals than pages have numbers."""
    modules = {
        "Deals": zoho_deals(2_450),
        "DealHistory": [],
        "Accounts": [{"id": "300000000000000002", "Account_Name": "Beta"}],
        "Contacts": [],
    }
    api = ZohoApi(modules, json.loads(ZOHO["pipelines.json"]))
    pulls.play(api)
    return api


def test_every_record_is_fetched_once_also_beyond_the_tenth_page(
    pulls: Pulls, account: ZohoApi
) -> None:
    left = pulls.zoho(account)
    assert pulls.ids("Deals") == [each["id"] for each in account.modules["Deals"]]
    assert left == ["Quotes: INVALID_MODULE, no such module"]
    assert (account.tokens, pulls.waited) == (1, [])


@pytest.mark.parametrize("number", range(3, 15, 3))
def test_a_token_that_runs_out_a_cut_and_a_limit_lose_nothing(
    pulls: Pulls, number: int
) -> None:
    api = ZohoApi({"Deals": zoho_deals(900)})
    pulls.play(api)
    for each, mood in enumerate((EXPIRED, CUT, BUSY, Reply(503))):
        api.moods[number + 2 * each] = mood
    pulls.zoho(api)
    assert pulls.ids("Deals") == [each["id"] for each in api.modules["Deals"]]
    assert api.tokens <= 2


def test_who_is_asked_to_wait_waits_so_long(pulls: Pulls, account: ZohoApi) -> None:
    account.moods = {5: BUSY, 9: BUSY._replace(headers={})}
    pulls.zoho(account)
    assert pulls.waited == [7.0, 1.0]


def test_a_limit_of_hours_ends_the_pull_and_the_next_goes_on(
    pulls: Pulls, account: ZohoApi
) -> None:
    account.moods = {8: BUSY._replace(headers={"retry-after": "7200"})}
    with pytest.raises(SalesflowError, match=r"7,200 seconds; then run the same command again"):
        pulls.zoho(account)
    fetched = len(account.asked)
    kept = len(pulls.ids("Deals"))
    assert kept > 0
    pulls.zoho(account)
    since = [each for each in account.asked[fetched:] if each.path.endswith("/Deals")]
    assert all(each.params.get("page") != "1" for each in since)
    assert pulls.ids("Deals") == [each["id"] for each in account.modules["Deals"]]


def test_a_pull_goes_on_after_an_interrupt_between_any_two_requests(tmp_path: Path) -> None:
    for number in range(1, 11, 3):
        pulls = Pulls(tmp_path / str(number))
        api = ZohoApi(
            {"Deals": zoho_deals(700), "Accounts": [{"id": "1", "Account_Name": "B"}]}
        )
        pulls.play(api)
        api.moods = dict.fromkeys(range(number, number + 8), Reply(503))
        with pytest.raises(SalesflowError, match="goes on where it stopped"):
            pulls.zoho(api)
        api.moods = {}
        pulls.zoho(api)
        assert pulls.ids("Deals") == [each["id"] for each in api.modules["Deals"]]
        assert pulls.ids("Accounts") == ["1"]
        pulls.close()


def test_a_page_token_that_expired_begins_its_module_anew(
    pulls: Pulls, account: ZohoApi
) -> None:
    account.moods = {8: Reply(400, {"code": "EXPIRED_VALUE", "message": "page_token"})}
    pulls.zoho(account)
    assert pulls.ids("Deals") == [each["id"] for each in account.modules["Deals"]]


def test_secrets_that_are_refused_are_said_to_be_and_stand_nowhere(
    pulls: Pulls, account: ZohoApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InputError, match="invalid_code") as refused:
        pulls.zoho(account, secret="wr0ng-s3cret")
    pulls.zoho(account)
    written = b"".join(path.read_bytes() for path in pulls.folder.rglob("*") if path.is_file())
    told = f"{refused.value}{caplog.text}"
    for secret in ("wr0ng-s3cret", SECRET, "token-1"):
        assert secret not in told
        assert secret.encode() not in written
    assert all("s3cret" not in f"{each.path}{each.params}" for each in account.asked)


def test_a_pulled_folder_is_an_export_like_any_other(pulls: Pulls, desk: Desk) -> None:
    deals = json.loads(ZOHO["Deals.json"])["data"]
    timeline = json.loads(ZOHO["timeline.json"])["__timeline"]
    deal = {"id": deals[0]["id"], "name": "x"}
    visits = (
        ("Qualification", deals[0]["Created_Time"], "Closed Won"),
        ("Closed Won", deals[0]["Modified_Time"], None),
    )
    history: list[dict[str, Any]] = [
        {
            "id": f"{number}",
            "Potential_Name": deal,
            "Stage": stage,
            "Modified_Time": at,
            "Moved_To__s": moved_to,
        }
        for number, (stage, at, moved_to) in enumerate(visits)
    ]
    api = ZohoApi({"Deals": deals, "DealHistory": history}, json.loads(ZOHO["pipelines.json"]))
    api.timelines[deals[0]["id"]] = timeline
    pulls.play(api)
    pulls.zoho(api, timeline=True)
    report = import_crm(Zoho, pulls.folder, log=desk.log, timezone="Asia/Shanghai")
    assert report.check()
    assert (report.objects, report.rows_refused) == (3, 0)
    imported = desk.deal(deals[0]["id"], "zoho")
    assert (imported.outcome, imported.process, str(imported.amount)) == (
        "won",
        "zoho/Standard",
        "98,000.5 CNY",
    )
    kinds = desk.standing_kinds(deals[0]["id"], "zoho")
    assert kinds.count("owner_assigned") == 1


@pytest.mark.parametrize("user", ["user_id", "open_user_id"])
def test_opportunities_are_fetched_once_however_many_were_created_at_once(
    pulls: Pulls, user: str
) -> None:
    objects = {"NewOpportunityObj": opportunities(4_321, at_once=130), "AccountObj": []}
    api = FxiaokeApi(objects)
    pulls.play(api)
    left = pulls.fxiaoke(api, user)
    wanted = [each["_id"] for each in objects["NewOpportunityObj"]]
    assert sorted(pulls.ids("NewOpportunityObj", "_id")) == sorted(wanted)
    assert len(left) == 5
    assert left[0] == "ContactObj: 320001400, 对象不存在"
    assert api.tokens == 1


@pytest.mark.parametrize("number", range(1, 9, 3))
def test_fxiaoke_says_with_status_200_that_something_is_wrong(
    pulls: Pulls, number: int
) -> None:
    api = FxiaokeApi({"NewOpportunityObj": opportunities(450)})
    pulls.play(api)
    moods = (
        Reply(200, {"errorCode": 20016, "errorMessage": "expired"}),
        Reply(200, {"errorCode": -1, "errorMessage": "系统繁忙"}),
        Reply(200, {"errorCode": 47, "errorMessage": "调用过于频繁"}),
        Reply(200, {"errorCode": 0, "dataList": []}, cut=True),
    )
    for each, mood in enumerate(moods):
        api.moods[number + 2 * each] = mood
    pulls.fxiaoke(api)
    wanted = [each["_id"] for each in api.objects["NewOpportunityObj"]]
    assert sorted(pulls.ids("NewOpportunityObj", "_id")) == sorted(wanted)


def test_pulled_opportunities_are_imported(pulls: Pulls, desk: Desk) -> None:
    tables = {
        "NewOpportunityObj": json.loads(FXIAOKE["NewOpportunityObj.json"])["data"]["dataList"],
        "AccountObj": json.loads(FXIAOKE["AccountObj.json"])["dataList"],
        "QuoteObj": json.loads(FXIAOKE["QuoteObj.json"])["data"]["dataList"],
    }
    api = FxiaokeApi(tables)
    pulls.play(api)
    pulls.fxiaoke(api)
    report = import_crm(Fxiaoke, pulls.folder, log=desk.log, timezone="Asia/Shanghai")
    assert report.check()
    assert (report.objects, report.rows_refused) == (5, 0)
    assert desk.deal("opp2", "fxiaoke").outcome == "won"


def test_secrets_of_fxiaoke_that_are_refused_stand_nowhere(pulls: Pulls) -> None:
    api = FxiaokeApi({"NewOpportunityObj": []})
    pulls.play(api)
    with pytest.raises(InputError, match="10006") as refused:
        pulls.fxiaoke(api, secret="wr0ng-s3cret")
    assert "s3cret" not in str(refused.value)


def test_a_folder_with_anything_else_or_a_complete_pull_is_refused(
    pulls: Pulls, account: ZohoApi, tmp_path: Path
) -> None:
    pulls.zoho(account)
    with pytest.raises(InputError, match="is complete; import it, or name a new folder"):
        pulls.zoho(account)
    pulls.folder = tmp_path / "other"
    pulls.folder.mkdir()
    (pulls.folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        pulls.zoho(account)


def test_a_pull_and_its_import_are_two_commands(
    pulls: Pulls, account: ZohoApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"):
        monkeypatch.setenv(f"ZOHO_{name}", SECRET)
    pull = ("pull", "zoho", str(pulls.folder), "--accounts", account.url, "--json")
    bring = ("import", "zoho", str(pulls.folder), "--db", str(tmp_path / "x.db"), "--json")
    account.moods = {9: BUSY._replace(headers={"retry-after": "7200"})}
    stopped = ran(*pull)
    assert stopped.code == 1
    assert "goes on where it stopped" in stopped.err
    early = ran(*bring)
    assert early.code == 2
    assert "was interrupted; finish it first: salesflow pull zoho" in early.err
    done = ran(*pull)
    assert done.code == 0
    told = json.loads(done.out)
    assert (told["pages"], told["left"]) == (15, ["Quotes: INVALID_MODULE, no such module"])
    imported = ran(*bring, "--timezone", "UTC")
    assert imported.code == 0
    assert json.loads(imported.out)["objects"] == 2_450


def test_secrets_go_to_https_or_this_machine_only() -> None:
    assert ensure_safe("https://accounts.zoho.eu/") == "https://accounts.zoho.eu"
    for url in (
        "http://accounts.zoho.com",
        "ftp://x",
        "accounts.zoho.com",
        "http://localhost.x",
    ):
        with pytest.raises(InputError, match="no https address"):
            ensure_safe(url)


def test_secrets_come_from_a_file_of_ones_own_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "zoho.env"
    file.write_text("# mine\nZOHO_CLIENT_ID=1\nZOHO_CLIENT_SECRET = 'two'\n")
    file.chmod(0o644)
    names = ("client_id", "client_secret")
    with pytest.raises(InputError, match="can be read by others; chmod 600"):
        read_credentials(file, names, "ZOHO_")
    file.chmod(0o600)
    assert read_credentials(file, names, "ZOHO_") == {"client_id": "1", "client_secret": "two"}
    with pytest.raises(InputError, match="has no ZOHO_REFRESH_TOKEN"):
        read_credentials(file, (*names, "refresh_token"), "ZOHO_")
    monkeypatch.setenv("ZOHO_CLIENT_ID", "3")
    assert read_credentials(None, ("client_id",), "ZOHO_") == {"client_id": "3"}


def test_an_interface_that_loses_records_would_be_noticed(
    pulls: Pulls, account: ZohoApi
) -> None:
    account.moods = {9: Reply(200, {"data": [{"id": "x"}], "info": {"more_records": False}})}
    pulls.zoho(account)
    assert pulls.ids("Deals") != [each["id"] for each in account.modules["Deals"]]
