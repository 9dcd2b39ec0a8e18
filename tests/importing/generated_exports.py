"""Generates exports as hostile as real ones, and honest: what happened is known beforehand."""

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

__all__ = [
    "CHANGE_MAPPING",
    "FUNNEL_MAPPING",
    "STAGES",
    "XES_TIES",
    "Change",
    "Funnel",
    "Walk",
    "change_log",
    "changes_of",
    "csv_text",
    "field_history",
    "funnels",
    "paths",
    "snapshots",
    "tied_xes",
]

STAGES: Final = ("Prospecting", "Qualification", "Proposal", "Negotiation")
ENDS: Final = ("Closed Won", "Closed Lost")
ONE_INSTANT: Final = "2026-02-01T09:00:00.000+0000"


def csv_text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


# Salesforce: rows of one instant, newest first.


class Walk(NamedTuple):
    """The stages a deal went through, and its amount in each."""

    deal: str
    stages: tuple[str, ...]
    amounts: tuple[int, ...]


def paths(random: Random, deals: int) -> list[Walk]:
    """Make deals that go up and down, and may end; no stage follows on itself."""
    found = []
    for number in range(deals):
        stages = [STAGES[0]]
        for _ in range(random.randrange(1, 9)):
            stages.append(random.choice([each for each in STAGES if each != stages[-1]]))
        if stages[-1] == stages[0] or random.random() < 0.6:
            stages.append(random.choice(ENDS))  # what it is now tells last from first
        amounts = [random.randrange(1, 90) * 100 for _ in stages]
        found.append(Walk(f"006{number:012}", tuple(stages), tuple(amounts)))
    return found


def snapshots(walked: Sequence[Walk], *, ids: bool, before: bool) -> dict[str, str]:
    """Write deals and their history, all rows of one instant and the newest on top."""
    head = ["OpportunityId", "CreatedDate", "StageName", "Amount"]
    head += ["Id"] * ids + ["FromOpportunityStageName", "PrevAmount"] * before
    rows: list[list[object]] = []
    for path in walked:
        for step, (stage, amount) in enumerate(zip(path.stages, path.amounts, strict=True)):
            row: list[object] = [path.deal, ONE_INSTANT, stage, amount]
            row += [f"008{len(rows):012}"] * ids
            if before:
                row += [path.stages[step - 1], path.amounts[step - 1]] if step else ["", ""]
            rows.append(row)
    deals = [
        [path.deal, f"Deal {path.deal}", path.stages[-1], path.amounts[-1], ONE_INSTANT]
        for path in walked
    ]
    return {
        "Opportunity.csv": csv_text(
            ["Id", "Name", "StageName", "Amount", "CreatedDate"], deals
        ),
        "OpportunityHistory.csv": csv_text(head, rows[::-1]),
    }


# Funnels: days alone, and wins before the first contact.


class Funnel(NamedTuple):
    """A deal by its days; what never was is None."""

    deal: str
    contacted: date
    offered: date | None
    ended: date | None
    outcome: str


FUNNEL_MAPPING: Final = """
source = "funnel"
rows = "deals"
object = "Deal"
timezone = "America/New_York"
currency = "USD"

[times]
formats = ["%d.%m.%Y"]

[[facts]]
kind = "deal.opened"
at = "Contacted"

[[facts]]
kind = "deal.quote_issued"
at = "Offered"
when = { column = "Offered", empty = false }

[facts.fields]
quote = "Deal"

[[facts]]
kind = "deal.won"
at = "Ended"
when = { column = "Outcome", is = "won" }

[[facts]]
kind = "deal.lost"
at = "Ended"
when = { column = "Outcome", is = "lost" }
"""


def funnels(random: Random, deals: int) -> tuple[list[Funnel], str]:
    """Make deals of which a third is won or lost before anybody was contacted."""
    found = []
    for number in range(deals):
        contacted = date(2026, 1, 5) + timedelta(days=random.randrange(80))
        outcome = random.choice(("won", "lost", "open"))
        gap = random.choice((-9, -1, 0, 0, 4, 30))
        ended = None if outcome == "open" else contacted + timedelta(days=gap)
        offered = contacted + timedelta(days=2) if random.random() < 0.5 else None
        found.append(Funnel(f"F{number}", contacted, offered, ended, outcome))
    rows = [
        [
            each.deal,
            *(f"{day:%d.%m.%Y}" if day else "" for day in each[1:4]),
            "" if each.outcome == "open" else each.outcome,
        ]
        for each in found
    ]
    random.shuffle(rows)
    return found, csv_text(["Deal", "Contacted", "Offered", "Ended", "Outcome"], rows)


# A log of changed fields: one row for each, several of one instant.


class Change(NamedTuple):
    """A field that was changed."""

    deal: str
    at: datetime
    field: str
    old: str
    new: str
    by: str


CHANGE_MAPPING: Final = """
source = "changes"
rows = "events"
object = "Deal"
at = "At"
actor = "By"
timezone = "UTC"
currency = "EUR"

[times]
formats = ["iso"]

[process]
key = "changes"
version = 1
name_en = "Changes"
name_zh = "变更"

[[process.stages]]
key = "prospecting"
probability = "0.1"
name_en = "Prospecting"
name_zh = "寻找"
source = ["Prospecting"]

[[process.stages]]
key = "qualification"
probability = "0.2"
name_en = "Qualification"
name_zh = "确认"
source = ["Qualification"]

[[process.stages]]
key = "proposal"
probability = "0.5"
name_en = "Proposal"
name_zh = "方案"
source = ["Proposal"]

[[process.stages]]
key = "negotiation"
probability = "0.8"
name_en = "Negotiation"
name_zh = "谈判"
source = ["Negotiation"]

[[process.stages]]
key = "won"
probability = "1"
name_en = "Won"
name_zh = "赢单"
category = "won"
source = ["Closed Won"]

[[process.stages]]
key = "lost"
probability = "0"
name_en = "Lost"
name_zh = "输单"
category = "lost"
source = ["Closed Lost"]

[[facts]]
kind = "deal.opened"
when = { column = "Field", is = "created" }

[[facts]]
kind = "deal.stage_moved"
when = [
    { column = "Field", is = "StageName" },
    { not = { column = "Old", matches = "^Closed" } },
    { not = { column = "New", matches = "^Closed" } },
]

[facts.fields]
target = "New"

[[facts]]
kind = "deal.won"
when = [{ column = "Field", is = "StageName" }, { column = "New", is = "Closed Won" }]

[[facts]]
kind = "deal.lost"
when = [{ column = "Field", is = "StageName" }, { column = "New", is = "Closed Lost" }]

[[facts]]
kind = "deal.reopened"
when = [
    { column = "Field", is = "StageName" },
    { column = "Old", matches = "^Closed" },
    { not = { column = "New", matches = "^Closed" } },
]

[facts.fields]
stage = "New"

[[facts]]
kind = "deal.forecast_given"
when = { column = "Field", is = "Amount" }

[facts.fields]
amount = "New"

[[facts]]
kind = "deal.owner_assigned"
when = { column = "Field", is = "Owner" }

[facts.fields]
owner = "New"
"""


def changes_of(random: Random, deals: int) -> list[Change]:
    """Make deals whose fields change, some of them together, in one instant."""
    found: list[Change] = []
    for number in range(deals):
        deal, at = f"006{number:012}", datetime(2026, 1, 5, 9, tzinfo=UTC)
        now = {"StageName": STAGES[0], "Amount": "100", "Owner": "005000000000001"}
        found.append(Change(deal, at, "created", "", "", "005000000000001"))
        for _ in range(random.randrange(1, 8)):
            at += timedelta(hours=random.choice((1, 30)), seconds=random.randrange(60))
            for field in random.sample([*now], random.randrange(1, 4)):
                stages = [each for each in (*STAGES, *ENDS) if each != now["StageName"]]
                if now["StageName"] in ENDS:
                    stages = [*STAGES[1:]]
                new = {
                    "StageName": random.choice(stages),
                    "Amount": str(random.randrange(2, 900) * 50),
                    "Owner": f"00500000000000{random.randrange(2, 9)}",
                }[field]
                if new != now[field]:
                    found.append(Change(deal, at, field, now[field], new, "005000000000009"))
                    now[field] = new
    return found


def change_log(random: Random, changes: Sequence[Change]) -> str:
    """Write changes as a table in any order, those of one instant in theirs."""
    groups: dict[tuple[str, datetime], list[Change]] = {}
    for change in changes:
        groups.setdefault((change.deal, change.at), []).append(change)
    shuffled = [*groups.values()]
    random.shuffle(shuffled)
    rows = [
        [each.deal, each.at.isoformat(), each.field, each.old, each.new, each.by]
        for group in shuffled
        for each in group
    ]
    return csv_text(["Deal", "At", "Field", "Old", "New", "By"], rows)


def field_history(random: Random, changes: Sequence[Change]) -> str:
    """Write changes as Salesforce does, in whatever order."""
    rows = [
        [
            f"017{number:012}",
            each.deal,
            each.by,
            each.at.strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
            each.field,
            each.old,
            each.new,
        ]
        for number, each in enumerate(changes)
    ]
    random.shuffle(rows)
    head = [
        "Id",
        "OpportunityId",
        "CreatedById",
        "CreatedDate",
        "Field",
        "OldValue",
        "NewValue",
    ]
    return csv_text(head, rows)


# A large XES with ties, over the night in which clocks are put back.

XES_TIES: Final = """
source = "ties"
rows = "events"
object = "case:concept:name"
at = "time:timestamp"
actor = "org:resource"
timezone = "Europe/Berlin"

[[facts]]
kind = "deal.opened"
when = { column = "concept:name", is = "open" }

[[facts]]
kind = "deal.contact_logged"
when = { column = "concept:name", matches = "^call" }

[facts.fields]
channel = "concept:name"
"""
BERLIN: Final = ZoneInfo("Europe/Berlin")


def tied_xes(path: Path, traces: int, events: int) -> Iterator[tuple[str, list[datetime]]]:
    """Write a log, packed where its name says so; yield each case and when its events were.

    Its events lie ten minutes apart, two at one time, over the hour that is there twice.
    """
    start = datetime(2025, 10, 25, 23, 30, tzinfo=UTC)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<log xes.version="1849.2016">\n')
        for case in range(traces):
            times = [start + timedelta(minutes=10 * (n // 2), seconds=case % 60)
                     for n in range(events)]  # fmt: skip
            file.write(f'<trace><string key="concept:name" value="c{case}"/>\n')
            for number, at in enumerate(times):
                name = "open" if number == 0 else f"call {number}"
                file.write(
                    f'<event><string key="concept:name" value="{name}"/><date key='
                    f'"time:timestamp" value="{at.astimezone(BERLIN).isoformat()}"/>'
                    f'<string key="org:resource" value="u{case % 7}"/></event>\n'
                )
            file.write("</trace>\n")
            yield f"c{case}", times
        file.write("</log>\n")
