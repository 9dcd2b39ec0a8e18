"""What an export of Salesforce says beside opportunities and their history: products, people
with a say, users, currencies and fiscal years.
"""

from datetime import date
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from importing.crm_folder import CrmFolder
from importing.desk import Desk
from importing.exports import SALESFORCE, SALESFORCE_ORG
from salesflow.adapters.event_store.external_events import ExternalEvent, new_events_of
from salesflow.adapters.importers import object_id
from salesflow.adapters.importers.crm.importer import import_crm
from salesflow.adapters.importers.crm.salesforce.system import Salesforce
from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.event import Event, Fact, believed_history, without_retracted
from salesflow.domain.exchange_rates import RATES_ID, RatesPublished
from salesflow.domain.rep import Rep, RepJoined, rep_id
from salesflow.domain.settings import SETTINGS_ID, Settings, SettingsChanged
from salesflow.domain.team import Team, team_id
from salesflow.engine import SalesFlow
from salesflow.projections.pipeline.deals import Deals

ZERO = ":00.000+0000"
PRODUCTS = "Id,Name,ProductCode\nX1,ERP,E-1\nX2,Training,T-1\n"
ENTRIES = "Id,Product2Id,UnitPrice\nY1,X1,40\nY2,X2,20\n"
LINE_HEAD = (
    "Id,OpportunityId,PricebookEntryId,Quantity,UnitPrice,Discount,TotalPrice,CreatedDate,"
    "LastModifiedDate,SystemModstamp,IsDeleted\n"
)
MADE = f"2026-02-01T10:00{ZERO}"
LATER = f"2026-02-20T10:00{ZERO}"


def line(id: str, *cells: object, deal: str = "D1") -> str:
    return ",".join(map(str, (id, deal, *cells))) + "\n"


TWO_LINES = (
    LINE_HEAD
    + line("L1", "Y1", 2, 40, "", 80, MADE, MADE, MADE, "false")
    + line("L2", "Y2", 2, 25, 20, 40, MADE, MADE, MADE, "false")
)


def record(desk: Desk, stream: UUID, fact: Fact) -> None:
    desk.log.append(new_events_of([ExternalEvent(stream, fact)], {}, None))


@pytest.fixture
def org(desk: Desk) -> CrmFolder:
    folder = CrmFolder(desk, Salesforce)
    for name, text in SALESFORCE.items():
        folder.write(name, text)
    folder.write("Product2.csv", PRODUCTS)
    folder.write("PricebookEntry.csv", ENTRIES)
    return folder


def lines(org: CrmFolder, deal: str = "D1") -> list[tuple[str, ...]]:
    return [
        tuple(
            f"{each.quantity.normalize():f} {each.product} {each.amount.normalize():f}"
            for each in fact.lines  # type: ignore[attr-defined]
        )
        for fact in org.facts(deal, "line_items_agreed")
    ]


def days(org: CrmFolder, deal: str, kind: str) -> list[str]:
    return [told for told in org.told(deal) if told.split()[1] == kind]


# Products.


def test_lines_are_agreed_when_they_were_made_with_the_names_of_their_products(
    org: CrmFolder,
) -> None:
    org.write("OpportunityLineItem.csv", TWO_LINES)
    report = org.bring()
    assert lines(org) == [("2 ERP 80", "2 Training 40")]
    assert days(org, "D1", "line_items_agreed") == ["02-01 line_items_agreed"]
    assert str(org.deal("D1").amount) == "120 EUR"
    assert report.rows_refused == 0
    assert org.bring().facts_recorded == 0


def test_a_line_that_was_changed_is_told_since_then_and_not_before(org: CrmFolder) -> None:
    changed = TWO_LINES.replace(f"80,{MADE},{MADE}", f"80,{MADE},{LATER}")
    org.write("OpportunityLineItem.csv", changed)
    report = org.bring()
    assert lines(org) == [("2 Training 40",), ("2 ERP 80", "2 Training 40")]
    assert days(org, "D1", "line_items_agreed") == [
        "02-01 line_items_agreed",
        "02-20 line_items_agreed",
    ]
    assert any("changed after they were made" in each for each in report.assumed)


def test_a_line_in_the_recycle_bin_was_there_until_it_was_deleted(org: CrmFolder) -> None:
    gone = line("L2", "Y2", 2, 25, 20, 40, MADE, LATER, LATER, "true")
    whole = LINE_HEAD + line("L1", "Y1", 3, 40, "", 120, MADE, MADE, MADE, "false")
    org.write("OpportunityLineItem.csv", whole + gone)
    report = org.bring()
    assert lines(org) == [("3 ERP 120", "2 Training 40"), ("3 ERP 120",)]
    assert days(org, "D1", "line_items_agreed")[-1].startswith("02-20")
    assert report.rows_refused == 0


def test_the_lines_of_last_week_stand_when_one_is_changed_and_one_is_gone(
    org: CrmFolder,
) -> None:
    org.write("OpportunityLineItem.csv", TWO_LINES)
    org.bring()
    dearer = line("L1", "Y1", 3, 40, "", 120, MADE, LATER, LATER, "false")
    org.write("OpportunityLineItem.csv", LINE_HEAD + dearer)
    report = org.bring()
    assert lines(org) == [("2 ERP 80", "2 Training 40"), ("3 ERP 120",)]
    assert ([*report.changed], report.facts_retracted) == ([], 0)
    assert org.bring().facts_recorded == 0


def test_a_line_that_is_gone_without_a_trace_is_gone_since_the_deal_was_saved_last(
    org: CrmFolder,
) -> None:
    org.write("OpportunityLineItem.csv", TWO_LINES)
    org.bring()
    left = LINE_HEAD + line("L1", "Y1", 2, 40, "", 80, MADE, MADE, MADE, "false")
    org.write("OpportunityLineItem.csv", left)
    report = org.bring()
    assert lines(org) == [("2 ERP 80", "2 Training 40"), ("2 ERP 80",)]
    assert days(org, "D1", "line_items_agreed")[-1] == "03-02 line_items_agreed inferred"
    assert (report.facts_changed, str(org.deal("D1").amount)) == (0, "120 EUR")


def test_a_deal_that_has_no_lines_any_more_has_none_since_it_was_saved_last(
    org: CrmFolder,
) -> None:
    org.write("OpportunityLineItem.csv", TWO_LINES)
    org.bring()
    deals = SALESFORCE["Opportunity.csv"].replace(
        "IsDeleted\n", "IsDeleted,HasOpportunityLineItem\n"
    )
    org.write("Opportunity.csv", deals.replace("EUR,false\n", "EUR,false,false\n"))
    (org.folder / "OpportunityLineItem.csv").unlink()
    org.bring()
    assert lines(org) == [("2 ERP 80", "2 Training 40"), ()]
    assert (org.deal("D1").line_items, str(org.deal("D1").amount)) == ((), "120 EUR")
    assert org.bring().facts_recorded == 0


def test_saving_a_line_as_it_was_changes_nothing(org: CrmFolder) -> None:
    org.write("OpportunityLineItem.csv", TWO_LINES)
    org.bring()
    touched = TWO_LINES.replace(f"80,{MADE},{MADE}", f"80,{MADE},{LATER}")
    org.write("OpportunityLineItem.csv", touched)
    org.bring()
    assert lines(org)[-1] == ("2 ERP 80", "2 Training 40")
    assert len(lines(org)) == 1


def test_where_a_line_cannot_be_read_no_lines_are_told(org: CrmFolder) -> None:
    org.write("OpportunityLineItem.csv", TWO_LINES.replace("2,25,20", "two,25,20"))
    report = org.bring()
    [refused] = report.refused
    assert (refused.file, refused.line, refused.column, refused.value) == (
        *("OpportunityLineItem.csv", 3),
        *("quantity", "two"),
    )
    assert lines(org) == []
    assert any("cannot be read" in each.reason for each in report.left_out)


def test_lines_made_with_the_deal_follow_on_its_opening(org: CrmFolder) -> None:
    opened = f"2026-01-05T09:00{ZERO}"
    row = line("L1", "Y1", 1, 100, "", 100, opened, opened, opened, "false")
    org.write("OpportunityLineItem.csv", LINE_HEAD + row)
    org.bring()
    assert [told.split()[1] for told in org.told("D1")][:2] == ["opened", "line_items_agreed"]


# People with a say.

ROLE_HEAD = "Id,OpportunityId,ContactId,Role,IsPrimary,CreatedDate,IsDeleted\n"


def test_contact_roles_become_the_committee(org: CrmFolder) -> None:
    org.write("Contact.csv", "Id,AccountId,FirstName,LastName\nP1,A1,芳,王\n")
    rows = (
        f"R2,D1,P1,Evaluator,false,{LATER},false\n"
        f"R1,D1,P1,Economic Buyer,true,{MADE},false\n"
        f"R3,D1,P2,,false,{MADE},true\n"
    )
    org.write("OpportunityContactRole.csv", ROLE_HEAD + rows)
    report = org.bring()
    [first, second] = org.facts("D1", "committee_member_identified")
    assert (first.roles, first.note) == (("economic_buyer",), None)  # type: ignore[attr-defined]
    assert second.roles == ("economic_buyer", "other")  # type: ignore[attr-defined]
    assert second.note == "Evaluator"  # type: ignore[attr-defined]
    person = object_id("salesforce", "P1", "person")
    assert org.deal("D1").committee[person].roles == ("economic_buyer", "other")
    assert (report.rows_refused, org.bring().facts_recorded) == (0, 0)


# Users and their teams.

USERS = (
    "Id,FirstName,LastName,UserRoleId,CreatedDate,LastModifiedDate\n"
    f"U1,Ana,Lim,T1,2025-01-01T08:00{ZERO},{MADE}\n"
    f"U2,,Bo,,2025-01-02T08:00{ZERO},{MADE}\n"
    f"U7,,Robot,T2,2025-01-02T08:00{ZERO},{MADE}\n"
)
ROLES = "Id,Name\nT1,Sales East\nT2,Machines\n"


def rep(org: CrmFolder, id: str) -> Rep:
    return Rep.replay(rep_id(id), org.desk.log.stream(rep_id(id)))


def test_users_who_own_deals_are_reps_by_their_names_and_roles_are_teams(
    org: CrmFolder,
) -> None:
    org.write("User.csv", USERS)
    org.write("UserRole.csv", ROLES)
    report = org.bring()
    ana, bo = rep(org, "U1"), rep(org, "U2")
    assert (ana.name, ana.team, bo.name, bo.team) == ("Ana Lim", "T1", "Bo", "salesforce")
    team = Team.replay(team_id("T1"), org.desk.log.stream(team_id("T1")))
    assert team.name() == "Sales East"
    assert not org.desk.log.stream(rep_id("U7"))
    reasons = {(each.file, each.reason): each.rows for each in report.left_out}
    assert reasons["User.csv", "a user who owns no deal of the export"] == 1
    assert reasons["UserRole.csv", "a team of nobody who owns a deal of the export"] == 1
    assert report.facts_inferred >= 2
    again = org.bring()
    assert (again.facts_recorded, again.facts_changed, again.rows_refused) == (0, 0, 0)


def test_answers_call_an_owner_by_the_name_of_the_user(org: CrmFolder, tmp_path: Path) -> None:
    org.write("User.csv", USERS)
    with SalesFlow(f"sqlite:///{tmp_path / 'own.db'}", timezone="UTC") as flow:
        import_crm(Salesforce, org.folder, log=flow.log)
        view = flow.ask(Deals())
    assert {each.rep: each.name for each in view.names.reps} == {"U1": "Ana Lim", "U2": "Bo"}


def test_a_new_name_is_a_change_and_a_new_role_a_move(org: CrmFolder) -> None:
    org.write("User.csv", USERS)
    org.write("UserRole.csv", ROLES)
    org.bring()
    week = USERS.replace("Ana,Lim,T1", "Ana,Chen,T3").replace(f"Z,{MADE}", f"Z,{LATER}")
    org.write("User.csv", week)
    org.write("UserRole.csv", ROLES + "T3,Sales West\n")
    report = org.bring()
    [change] = report.changed
    assert "Ana Chen" in (change.now or "")
    assert not change.applied
    assert (rep(org, "U1").name, rep(org, "U1").team) == ("Ana Lim", "T3")
    org.bring(apply_changes=True)
    assert (rep(org, "U1").name, rep(org, "U1").team) == ("Ana Chen", "T3")
    assert org.bring().facts_recorded == 0


def test_a_rep_who_joined_here_stays_as_they_are(org: CrmFolder, desk: Desk) -> None:
    record(desk, rep_id("U1"), RepJoined(rep="U1", team="north", name="Ana here"))
    org.write("User.csv", USERS)
    report = org.bring()
    assert (rep(org, "U1").name, rep(org, "U1").team) == ("Ana here", "north")
    assert any("known already from elsewhere" in each.reason for each in report.left_out)


# Currencies.

CURRENCIES = (
    "IsoCode,ConversionRate,IsCorporate,LastModifiedDate\nEUR,1,true,{0}\nUSD,1.1,false,{0}\n"
)
DATED = (
    "IsoCode,StartDate,NextStartDate,ConversionRate\n"
    "USD,0001-01-01,2026-01-01,1.05\nUSD,2026-01-01,9999-12-31,1.1\n"
    "CNY,2026-01-01,9999-12-31,7.8\nEUR,0001-01-01,9999-12-31,1\n"
)


def rates(org: CrmFolder) -> list[tuple[date, str, dict[str, Decimal]]]:
    facts = [event.fact for event in org.desk.log.stream(RATES_ID)]
    return [
        (fact.day, fact.base, {each.currency: each.rate for each in fact.rates})
        for fact in facts
        if isinstance(fact, RatesPublished)
    ]


def test_dated_rates_are_published_against_the_currency_of_the_org(org: CrmFolder) -> None:
    org.write("DatedConversionRate.csv", DATED)
    org.write("CurrencyType.csv", CURRENCIES.format(MADE))
    report = org.bring(timezone="UTC")
    assert sorted(rates(org), key=lambda each: each[0]) == [
        (date(1900, 1, 2), "EUR", {"USD": Decimal("1.05")}),
        (date(2026, 1, 1), "EUR", {"USD": Decimal("1.1"), "CNY": Decimal("7.8")}),
    ]
    assert any("before 1900" in each for each in report.assumed)
    assert report.rows_of_settings == 6
    assert report.rows_refused == 0
    again = org.bring(timezone="UTC")
    assert (again.facts_recorded, again.facts_changed) == (0, 0)


def test_rates_without_days_hold_since_they_were_saved(org: CrmFolder) -> None:
    org.write("CurrencyType.csv", CURRENCIES.format(MADE))
    org.bring(timezone="UTC")
    assert rates(org) == [(date(2026, 2, 1), "EUR", {"USD": Decimal("1.1")})]


def test_rates_against_a_currency_that_nothing_names_are_refused(org: CrmFolder) -> None:
    org.write("DatedConversionRate.csv", DATED.replace("EUR,0001-01-01,9999-12-31,1\n", ""))
    report = org.bring(timezone="UTC")
    assert {each.reason for each in report.refused} == {
        "no row says which currency the rates are given against"
    }
    assert rates(org) == []


def test_a_currency_of_the_org_that_cannot_be_is_refused_with_its_rates(
    org: CrmFolder,
) -> None:
    org.write("DatedConversionRate.csv", DATED.replace("EUR,", "Euro,"))
    report = org.bring(timezone="UTC")
    assert (report.rows_refused, report.objects_new, rates(org)) == (4, 3, [])


# Fiscal years.

PERIODS = "Id,Type,StartDate,EndDate,Number\n" + "".join(
    f"Q{n},{kind},{first},{last},{n}\n"
    for n, (kind, first, last) in enumerate(
        (
            ("Year", "2025-04-01", "2026-03-31"),
            ("Quarter", "2025-04-01", "2025-06-30"),
            ("Month", "2025-05-01", "2025-05-31"),
            ("Week", "2025-05-05", "2025-05-11"),
        )
    )
)


def settings(org: CrmFolder) -> Settings:
    return Settings.replay(SETTINGS_ID, org.desk.log.stream(SETTINGS_ID))


def fiscal(org: CrmFolder) -> list[Event]:
    events = believed_history(without_retracted(org.desk.log.stream(SETTINGS_ID)))
    return [
        event
        for event in events
        if isinstance(event.fact, SettingsChanged) and event.fact.fiscal_calendar
    ]


def test_periods_say_how_fiscal_years_are_cut(org: CrmFolder) -> None:
    org.write("Period.csv", PERIODS)
    report = org.bring()
    assert settings(org).fiscal_calendar == FiscalCalendar(start_month=4)
    assert (report.rows_refused, len(fiscal(org))) == (0, 1)
    assert org.bring().facts_recorded == 0


def test_periods_of_weeks_are_found_by_their_months(org: CrmFolder) -> None:
    rows = (
        ("Year", "2026-02-01", "2027-01-30"),
        ("Month", "2026-02-01", "2026-02-28"),
        ("Month", "2026-03-01", "2026-04-04"),
        ("Month", "2026-04-05", "2026-05-02"),
    )
    text = "".join(f"{kind},{first},{last}\n" for kind, first, last in rows)
    org.write("Period.csv", "Type,StartDate,EndDate\n" + text)
    org.bring()
    calendar = settings(org).fiscal_calendar
    assert (calendar.pattern, calendar.anchor) == ("4-5-4", date(2026, 2, 1))


def test_periods_that_differ_from_how_the_database_keeps_its_years_are_refused(
    org: CrmFolder, desk: Desk
) -> None:
    record(desk, SETTINGS_ID, SettingsChanged(fiscal_calendar=FiscalCalendar(start_month=7)))
    org.write("Period.csv", PERIODS)
    report = org.bring()
    assert (report.rows_refused, len(fiscal(org))) == (3, 1)
    assert "fiscal years from 07-01, the export from 04-01" in report.refused[0].reason


def test_a_year_behind_all_calendars_is_refused_and_the_deals_are_taken(
    org: CrmFolder,
) -> None:
    org.write("Period.csv", "Type,StartDate,EndDate\nYear,9999-04-01,9999-12-31\n")
    report = org.bring()
    assert (report.rows_refused, report.objects_new) == (1, 3)


def test_periods_that_cut_years_as_nothing_here_does_are_refused(org: CrmFolder) -> None:
    org.write("Period.csv", "Type,StartDate,EndDate\nYear,2026-01-01,2026-09-30\n")
    report = org.bring()
    assert [each.reason for each in report.refused] == [
        "cuts years in a way that no fiscal calendar here does"
    ]


# Everything else of an export is listed.


def test_rows_that_tell_nothing_more_say_why(org: CrmFolder) -> None:
    fields = SALESFORCE["OpportunityFieldHistory.csv"] + (
        f"F3,D1,U9,{MADE},Description,a,b,false\n"
    )
    org.write("OpportunityFieldHistory.csv", fields)
    report = org.bring()
    reasons = {each.reason for each in report.left_out}
    assert {"OpportunityHistory tells the same", "the history of a field that is not read"} < (
        reasons
    )
    assert report.rows_known == 0


def test_all_of_an_export_is_imported_alike_on_either_database(either_desk: Desk) -> None:
    org = CrmFolder(either_desk, Salesforce)
    for name, text in SALESFORCE_ORG.items():
        org.write(name, text.encode())
    report = org.bring(timezone="UTC")
    assert (report.rows_refused, report.files[-1].unknown_columns) == (0, [])
    assert lines(org) == [("2 ERP 80",), ("2 ERP 80", "1 ERP 40")]
    assert lines(org, "D2") == [("1 ERP 50",), ()]
    assert (rep(org, "U1").team, settings(org).fiscal_calendar.start_month) == ("T1", 4)
    assert len(rates(org)) == 2
    again = org.bring(timezone="UTC")
    assert (again.facts_recorded, again.facts_changed, again.facts_not_told) == (0, 0, 0)
    assert again.facts_known == report.facts_recorded
