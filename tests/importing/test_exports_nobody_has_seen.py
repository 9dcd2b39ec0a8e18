"""Exports that nobody has seen before come out as what happened: final stages, counts, order
and both times are compared with what their generators know.
"""

from datetime import UTC, datetime
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from importing.crm_folder import CrmFolder
from importing.desk import TODAY, Desk
from importing.generated_exports import (
    CHANGE_MAPPING,
    FUNNEL_MAPPING,
    XES_TIES,
    Change,
    change_log,
    changes_of,
    field_history,
    funnels,
    paths,
    snapshots,
    tied_xes,
)
from properties.effort import TORTURE
from salesflow.adapters.importers import import_xes
from salesflow.adapters.importers.crm.salesforce.system import Salesforce
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event, without_retracted

SEEDS = range(2 if TORTURE == 1 else 40)
DEALS = 40


def stages_entered(events: list[Event]) -> list[str]:
    """Say which stages a deal was in, one after the other."""
    ends = {"deal.won": "Closed Won", "deal.lost": "Closed Lost"}
    found = []
    for event in events:
        fact = event.fact
        if isinstance(fact, DealOpened):
            found.append(str(fact.stage))
        elif fact.kind in ends:
            found.append(ends[fact.kind])
        elif fact.kind in ("deal.stage_moved", "deal.reopened"):
            found.append(str(getattr(fact, "target", None) or getattr(fact, "stage", None)))
    return found


def amounts_told(events: list[Event]) -> list[str]:
    amounts = (getattr(event.fact, "amount", None) for event in events)
    return [f"{amount.amount:f}" for amount in amounts if amount is not None]


def in_the_order_of_the_log(events: list[Event]) -> bool:
    recorded = [event.recorded for event in sorted(events, key=lambda each: each.position)]
    return recorded == sorted(recorded) and recorded[0] >= TODAY.timestamp() * 1e6


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("ids", "before"), [(True, False), (False, True), (False, False)])
def test_a_history_of_one_instant_in_reverse_order_is_told_as_it_was(
    seed: int, ids: bool, before: bool, desk: Desk
) -> None:
    walked = paths(Random(seed), DEALS)
    org = CrmFolder(desk, Salesforce)
    for name, text in snapshots(walked, ids=ids, before=before).items():
        org.write(name, text.encode())
    report = org.bring(currency="EUR")
    assert (report.rows_refused, report.objects_new) == (0, DEALS)
    assert report.rows_tied == sum(len(path.stages) for path in walked)
    for path in walked:
        events = org.events(path.deal)
        assert stages_entered(events) == [*path.stages], path
        assert org.deal(path.deal).stage == path.stages[-1]
        amount = org.deal(path.deal).amount
        assert amount is not None
        assert (f"{amount.amount:f}", amount.currency) == (str(path.amounts[-1]), "EUR")
        assert {event.occurred_at for event in events} == {datetime(2026, 2, 1, 9, tzinfo=UTC)}
        assert in_the_order_of_the_log(events)
    assert org.bring(currency="EUR").facts_recorded == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_wins_before_the_first_contact_on_days_alone_count_as_wins(
    seed: int, desk: Desk
) -> None:
    told, table = funnels(Random(seed), 200)
    report = desk.bring(FUNNEL_MAPPING, table)
    early = [each for each in told if each.ended is not None and each.ended < each.contacted]
    assert (report.rows_refused, report.objects_new) == (0, len(told))
    assert report.rows_adjusted == len(early)
    zone = ZoneInfo("America/New_York")
    for each in told:
        deal = desk.deal(each.deal, "funnel")
        assert deal.status == each.outcome, each
        days = {
            event.fact.kind: event.occurred_at.astimezone(zone).date()
            for event in desk.events(each.deal, "funnel")
        }
        opened = each.contacted if each.ended is None else min(each.contacted, each.ended)
        wanted = {"deal.opened": opened}
        if each.ended is not None:
            wanted[f"deal.{each.outcome}"] = each.ended
        if each.offered is not None:
            wanted["deal.quote_issued"] = each.offered
        assert days == wanted
        assert {event.precision for event in desk.events(each.deal, "funnel")} == {"day"}
        assert in_the_order_of_the_log(desk.events(each.deal, "funnel"))
    assert desk.bring(FUNNEL_MAPPING, table).facts_recorded == 0


def by_deal(changes: list[Change]) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.deal, []).append(change)
    return found


KEYS = {"Closed Won": "won", "Closed Lost": "lost"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_log_of_changed_fields_is_a_history_as_a_table(seed: int, desk: Desk) -> None:
    random = Random(seed)
    changes = changes_of(random, DEALS)
    report = desk.bring(CHANGE_MAPPING, change_log(random, changes))
    assert (report.rows_refused, report.rows_recorded) == (0, len(changes))
    for deal, told in by_deal(changes).items():
        events = [*without_retracted(desk.events(deal, "changes"))]
        events.sort(key=lambda each: (each.occurred, each.position))
        assert [event.occurred_at for event in events] == [change.at for change in told]
        moved = [change.new for change in told if change.field == "StageName"]
        wanted = ["prospecting", *(KEYS.get(each, each.casefold()) for each in moved)]
        assert [KEYS.get(each, each) for each in stages_entered(events)] == wanted
        assert desk.deal(deal, "changes").stage == wanted[-1]
        amounts = [change.new for change in told if change.field == "Amount"]
        assert amounts_told(events) == amounts
        assert {event.actor for event in events} <= {change.by for change in told}
        assert in_the_order_of_the_log(events)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_field_history_of_salesforce_alone_is_a_history_in_whatever_order(
    seed: int, desk: Desk
) -> None:
    random = Random(seed)
    changes = changes_of(random, DEALS)
    org = CrmFolder(desk, Salesforce)
    org.write("OpportunityFieldHistory.csv", field_history(random, changes).encode())
    report = org.bring(currency="EUR")
    assert (report.rows_refused, report.objects_new) == (0, len(by_deal(changes)))
    for deal, told in by_deal(changes).items():
        events = org.events(deal)
        stages = [change for change in told if change.field == "StageName"]
        if stages:
            assert stages_entered(events) == [stages[0].old, *(each.new for each in stages)]
            assert org.deal(deal).stage == stages[-1].new
        amounts = [change.new for change in told if change.field == "Amount"]
        assert amounts_told(events)[-len(amounts) or None :] == amounts
        owners = [change.new for change in told if change.field == "Owner"]
        assert not owners or org.deal(deal).owner == owners[-1]
        assert {event.occurred_at for event in events} == {change.at for change in told}
        assert in_the_order_of_the_log(events)
    assert org.bring(currency="EUR").facts_recorded == 0


@pytest.mark.parametrize("name", ["log.xes", "log.xes.gz"])
def test_ties_keep_their_order_and_times_their_offsets_over_a_night_of_25_hours(
    name: str, desk: Desk, tmp_path: Path
) -> None:
    known = dict(tied_xes(tmp_path / name, 40, 25))
    mapping = desk.file("ties.toml", XES_TIES)
    report = import_xes(tmp_path / name, mapping, log=desk.log)
    assert report.check()
    assert (report.rows_refused, report.facts_recorded, report.rows_adjusted) == (0, 1_000, 0)
    for case, times in known.items():
        events = sorted(
            desk.events(case, "ties"), key=lambda each: (each.occurred, each.position)
        )
        assert [event.occurred_at for event in events] == times
        names = [getattr(event.fact, "channel", "open") for event in events]
        assert names == ["open", *(f"call {number}" for number in range(1, 25))]
        assert in_the_order_of_the_log(events)
