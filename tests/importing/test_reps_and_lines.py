"""Names of reps and lines of deals in exports of other systems, by what is common to all."""

import json
from typing import Any

import pytest

from importing.crm_folder import CrmFolder
from importing.desk import Desk
from importing.exports import EXPORTS
from importing.hubspot_export import HUBSPOT, SOLD
from salesflow.adapters.event_store.external_events import ExternalEvent, new_events_of
from salesflow.adapters.importers.crm.hubspot.system import HubSpot
from salesflow.domain.rep import Rep, RepJoined, rep_id

OWNERS = {
    "results": [
        {
            "id": "500",
            "email": "ana@x.example",
            "firstName": "Ana",
            "lastName": "Lim",
            "userId": 5,
            "createdAt": "2025-01-01T09:00:00Z",
            "updatedAt": "2025-01-01T09:00:00Z",
            "archived": False,
        },
        {"id": "501", "email": "bo@x.example", "firstName": "", "lastName": "", "userId": 6},
        {"id": "599", "email": "no@x.example", "firstName": "No", "lastName": "Deal"},
    ]
}
USERS = {"success": True, "data": [{"id": 502, "name": "Bea", "email": "b@x.example"}]}
MORE: dict[str, dict[str, Any]] = {
    "hubspot": {"owners.json": OWNERS},
    "pipedrive": {"users.json": USERS},
}
CALLED = {
    "zoho": {"200000000000000002": "Ana", "200000000000000001": "Lin Wei"},
    "fxiaoke": {"1000": "张三"},
    "hubspot": {"500": "Ana Lim", "501": "bo@x.example"},
    "pipedrive": {"501": "Ann"},
    "odoo": {"2": "Mitchell Admin"},
}


def folder_of(system: str, desk: Desk) -> CrmFolder:
    cls, files = EXPORTS[system]
    folder = CrmFolder(desk, cls)
    for name, text in files.items():
        folder.write(name, text.encode())
    for name, more in MORE.get(system, {}).items():
        folder.write(name, more)
    return folder


def reps_named(desk: Desk, id: str) -> str | None:
    return Rep.replay(rep_id(id), desk.log.stream(rep_id(id))).name


def reps(folder: CrmFolder, ids: dict[str, str]) -> dict[str, str | None]:
    streams = {id: folder.desk.log.stream(rep_id(id)) for id in ids}
    return {id: Rep.replay(rep_id(id), events).name for id, events in streams.items() if events}


@pytest.mark.parametrize("system", CALLED)
def test_reps_are_called_as_the_export_calls_owners(system: str, desk: Desk) -> None:
    folder = folder_of(system, desk)
    report = folder.bring(timezone="Asia/Shanghai")
    wanted = CALLED[system]
    assert (
        reps(folder, wanted).items()
        >= {id: name for id, name in wanted.items() if desk.log.stream(rep_id(id))}.items()
    )
    assert reps(folder, wanted), "nobody is called by a name"
    assert report.facts_inferred >= len(reps(folder, wanted))
    again = folder.bring(timezone="Asia/Shanghai")
    assert (again.facts_recorded, again.facts_changed) == (0, 0)


def test_whoever_owns_no_deal_is_no_rep(desk: Desk) -> None:
    folder_of("hubspot", desk).bring()
    assert not desk.log.stream(rep_id("599"))


def test_a_new_name_is_a_change_at_the_source(desk: Desk) -> None:
    folder = folder_of("hubspot", desk)
    folder.bring()
    folder.write("owners.json", json.loads(json.dumps(OWNERS).replace("Lim", "Chen")))
    [change] = folder.bring().changed
    assert "Ana Chen" in (change.now or "")
    assert reps(folder, {"500": ""}) == {"500": "Ana Lim"}
    folder.bring(apply_changes=True)
    assert reps(folder, {"500": ""}) == {"500": "Ana Chen"}
    assert folder.bring().facts_recorded == 0


def test_a_rep_of_no_named_team_is_in_one_of_all_users_and_that_is_inferred(desk: Desk) -> None:
    folder_of("hubspot", desk).bring()
    fact = desk.log.stream(rep_id("500"))[0].fact
    assert isinstance(fact, RepJoined)
    assert (fact.team, fact.inferred) == (
        "hubspot",
        "the export names no team; all its users are taken to be in one",
    )


def test_a_name_that_no_log_holds_is_left_out_and_the_deal_is_taken(desk: Desk) -> None:
    folder = folder_of("hubspot", desk)
    folder.write("owners.json", json.loads(json.dumps(OWNERS).replace("Lim", "\\u202eLim")))
    report = folder.bring()
    assert not desk.log.stream(rep_id("500"))
    assert folder.deal("1").owner == "501"
    notes = {(each.column, each.reason) for each in report.adjusted}
    assert ("owner", "the name of the owner cannot be taken; left out") in notes


def test_owners_who_are_known_from_elsewhere_keep_their_names(desk: Desk) -> None:
    joined = RepJoined(rep="500", team="north", name="Anna")
    desk.log.append(new_events_of([ExternalEvent(rep_id("500"), joined)], {}, None))
    report = folder_of("hubspot", desk).bring()
    assert reps_named(desk, "500") == "Anna"
    assert any("keep the names they have: 500" in each for each in report.assumed)


# Line items of HubSpot.

AT, LATER = "2026-02-01T09:00:00Z", "2026-02-20T09:00:00Z"


def item(id: str, changed: str = AT, deal: str | None = "1", **properties: str) -> Any:  # noqa: ANN401
    told = {"name": f"Product {id}", "quantity": "2", "price": "40", **properties}
    found: dict[str, Any] = {
        "id": id,
        "properties": {**told, "createdate": AT, "hs_lastmodifieddate": changed},
        "createdAt": AT,
        "updatedAt": changed,
        "archived": False,
    }
    if deal is not None:
        found["associations"] = {"deals": {"results": [{"id": deal}]}}
    return found


@pytest.fixture
def portal(desk: Desk) -> CrmFolder:
    folder = CrmFolder(desk, HubSpot)
    for name, content in HUBSPOT.items():
        folder.write(name, content)
    return folder


def lines(portal: CrmFolder) -> list[list[str]]:
    return [
        [f"{each.product} {each.amount.normalize():f}" for each in fact.lines]  # type: ignore[attr-defined]
        for fact in portal.facts("1", "line_items_agreed")
    ]


def test_line_items_are_told_since_they_are_as_the_export_has_them(portal: CrmFolder) -> None:
    dear = item("L2", LATER, hs_discount_percentage="25")
    cheap = item("L3", discount="10")
    portal.write("line_items.json", {"results": [item("L1"), dear, cheap]})
    report = portal.bring()
    assert lines(portal) == [
        ["Product L1 80", "Product L3 60"],
        ["Product L1 80", "Product L2 60", "Product L3 60"],
    ]
    assert any("changed after they were made" in each for each in report.assumed)
    assert str(portal.deal("1").amount) == "120 EUR"
    again = portal.bring()
    assert (again.facts_recorded, [*again.changed]) == (0, [])


def test_a_deal_may_name_its_line_items_where_they_do_not_name_it(portal: CrmFolder) -> None:
    named = {"line items": {"results": [{"id": "L1"}]}}
    sold = {**SOLD, "associations": {**SOLD["associations"], **named}}
    portal.write("deals.json", {"results": [sold]})
    portal.write("a_line_items.json", {"results": [item("L1", deal=None)]})
    (portal.folder / "a_line_items.json").rename(portal.folder / "line_items.json")
    portal.bring()
    assert lines(portal) == [["Product L1 80"]]


def test_next_weeks_line_items_are_added_and_those_of_last_week_stand(
    portal: CrmFolder,
) -> None:
    portal.write("line_items.json", {"results": [item("L1"), item("L2")]})
    portal.bring()
    portal.write("line_items.json", {"results": [item("L1", LATER, quantity="3")]})
    report = portal.bring()
    assert lines(portal) == [["Product L1 80", "Product L2 80"], ["Product L1 120"]]
    assert [*report.changed] == []


def test_a_line_item_that_cannot_be_read_is_refused_with_its_value(portal: CrmFolder) -> None:
    portal.write("line_items.json", {"results": [item("L1", price="dear"), item("L2")]})
    report = portal.bring()
    [refused] = report.refused
    assert (refused.column, refused.value) == ("price", "dear")
    assert lines(portal) == []
