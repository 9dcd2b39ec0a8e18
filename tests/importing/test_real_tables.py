"""Tables nobody here wrote, read from beside the project; skipped where they are not."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from importing.desk import Desk
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.importers import ImportReport, import_table, object_id
from salesflow.domain.deal import Deal
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.event import Event
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import end_of_day, zone

ROOT = Path(__file__).parent.parent.parent
MAPPINGS = ROOT / "examples" / "mappings"
DATA = ROOT.parent / "shared" / "data"
MAVEN = DATA / "maven_crm" / "sales_pipeline.csv"
LOANS = DATA / "bpi2017_mini" / "bpic2017_5cases.csv"

pytestmark = pytest.mark.skipif(
    not (MAVEN.is_file() and LOANS.is_file()), reason=f"there is no real data in {DATA.name}/"
)


def bring(desk: Desk, table: Path, mapping: str) -> ImportReport:
    report = import_table(table, MAPPINGS / mapping, log=desk.log, strict=True)
    assert report.check()
    return report


def deals_at(desk: Desk, day: date) -> Counter[tuple[str, str]]:
    """Count deals by outcome and stage at the end of a day."""
    streams: dict[UUID, list[Event]] = {}
    for event in desk.log.page(0, 100_000):
        if event.occurred <= end_of_day(day, zone("UTC")):
            streams.setdefault(event.stream_id, []).append(event)
    context = ReplayContext(PublishedProcesses(desk.log))
    deals = [
        Deal.replay(id, events, context=context)
        for id, events in streams.items()
        if events[0].fact.kind == "deal.opened"
    ]
    return Counter((deal.outcome, deal.stage) for deal in deals)


def test_the_b2b_pipeline_is_imported_whole(desk: Desk) -> None:
    report = import_table(MAVEN, MAPPINGS / "maven_crm.toml", log=desk.log)
    assert report.check()
    assert (report.rows_read, report.rows_recorded, report.objects_new) == (8800, 8800, 8800)
    assert len(report.inferred) == report.facts_inferred == 500
    assert {entry.kind for entry in report.inferred} == {"deal.opened"}
    assert report.customers_registered == 85
    assert report.irregular == []
    assert deals_at(desk, date(2017, 6, 30)) == {
        ("won", "won"): 1785,
        ("lost", "lost"): 894,
        ("open", "engaging"): 1686,
    }
    facts = [event.fact for event in desk.log.page(0, 100_000)]
    won = [fact.amount for fact in facts if isinstance(fact, DealWon)]
    assert (len(won), sum(isinstance(fact, DealLost) for fact in facts)) == (4238, 2473)
    assert sum(money.amount for money in won if money) == Decimal(10_005_534)
    assert {money.currency for money in won if money} == {"USD"}
    assert bring(desk, MAVEN, "maven_crm.toml").facts_recorded == 0


def test_the_loan_log_is_imported_with_its_offers(desk: Desk) -> None:
    report = bring(desk, LOANS, "bpi2017.toml")
    assert (report.rows_read, report.rows_left_out, report.rows_refused) == (94, 6, 0)
    assert report.irregular == []
    deals = {
        case: desk.deal(f"Application_{case}", "bpi2017")
        for case in ("1291275220", "2098856182", "323048075", "682602203", "919038062")
    }
    assert Counter(deal.outcome for deal in deals.values()) == {"won": 1, "lost": 3, "open": 1}
    quotes = {key: quote for deal in deals.values() for key, quote in deal.quotes.items()}
    assert Counter(quote.state for quote in quotes.values()) == {
        "issued": 1,
        "accepted": 1,
        "rejected": 1,
        "withdrawn": 3,
    }
    assert {str(quote.total) for quote in deals["2098856182"].quotes.values()} == {
        "18,500.0 EUR"
    }
    assert len(deals["2098856182"].quotes) == 2
    assert sum(not deal.ever_issued for deal in deals.values()) == 2


def test_the_loan_log_keeps_its_spans_to_the_millisecond(desk: Desk) -> None:
    bring(desk, LOANS, "bpi2017.toml")
    spans = set()
    for case in ("1291275220", "2098856182", "323048075", "682602203", "919038062"):
        times = [
            e.occurred_at for e in desk.log.stream(object_id("bpi2017", f"Application_{case}"))
        ]
        spans.add(max(times) - min(times))
    assert spans == {
        timedelta(hours=4, minutes=7, seconds=10, milliseconds=714),
        timedelta(minutes=17, seconds=43, milliseconds=588),
        timedelta(hours=20, minutes=57, seconds=30, milliseconds=516),
        timedelta(minutes=16, seconds=8, milliseconds=592),
        timedelta(days=6, hours=16, minutes=48, seconds=49, milliseconds=489),
    }
