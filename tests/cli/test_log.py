"""`salesflow log` lists facts across deals by who, what and when, with ids to match."""

import json
import re
import shlex

import pytest

from salesflow import Customer, SalesFlow
from salesflow.adapters.event_store import search as log_search
from salesflow.adapters.event_store.search import LogSearch, search
from salesflow.domain.time import DAY
from salesflow.errors import InputError
from simulated import ran

LATE = 15
"""Days after which the small database learned of a call."""


def listed(*options: str) -> list[dict[str, object]]:
    told = ran("log", "--json", *options)
    assert told.code == 0, told.err
    return [json.loads(line) for line in told.out.splitlines()]


@pytest.mark.usefixtures("db")
def test_the_newest_fact_comes_first_and_that_there_are_more_is_said() -> None:
    positions = [each["position"] for each in listed("--limit", "4")]
    assert positions == sorted(positions, key=str, reverse=True)
    assert len(positions) == 4
    assert "--all" in ran("log", "--limit", "4").out
    assert [each["position"] for each in listed("--oldest", "--limit", "2")] == [1, 2]


@pytest.mark.usefixtures("db")
def test_all_of_the_log_is_listed_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "PAGE", 7)
    positions = [each["position"] for each in listed("--all", "--oldest")]
    assert positions == [*range(1, len(positions) + 1)]
    assert len(positions) > 40


@pytest.mark.usefixtures("db")
def test_facts_are_found_by_who_recorded_them_and_by_kind() -> None:
    assert {each["actor"] for each in listed("--actor", "controller")} == {"controller"}
    assert {each["kind"] for each in listed("--kind", "deal.won")} == {"deal.won"}
    nouns = {str(each["kind"]).partition(".")[0] for each in listed("--kind", "customer.*")}
    assert nouns == {"customer"}
    assert listed("--actor", "nobody") == []


@pytest.mark.usefixtures("db")
def test_facts_are_found_by_time_on_either_axis() -> None:
    everything = listed("--all")
    by_day = [each for each in everything if str(each["occurred_at"]) < "2026-03-02T16:00"]
    assert listed("--all", "--to", "2026-03-02") == by_day != []
    late = listed("--known-from", "2026-03-20", "--to", "2026-03-10")
    assert {each["kind"] for each in late} == {"deal.won", "deal.contact_logged"}


@pytest.mark.usefixtures("db")
def test_what_came_late_is_found_by_how_late_it_came() -> None:
    found = listed("--late-by", str(LATE))
    assert {each["kind"] for each in found} == {"deal.won", "deal.contact_logged"}
    assert listed("--late-by", "1000") == []


@pytest.mark.usefixtures("db")
def test_a_retraction_names_the_position_of_what_it_retracts() -> None:
    [retraction] = listed("--retractions")
    [retracted] = [
        each for each in listed("--all") if each["position"] == retraction["retracts_position"]
    ]
    fact = retraction["fact"]
    assert isinstance(fact, dict)
    assert fact["event_id"] == retracted["event_id"]
    assert retraction["retracts_kind"] == retracted["kind"] == "deal.won"
    shown = ran("log", "--retractions").out
    assert f"retracts event no. {retracted['position']}" in shown
    assert str(retraction["event_id"]) in shown


@pytest.mark.usefixtures("db")
def test_a_history_names_the_events_it_lists_and_what_a_retraction_retracts() -> None:
    shown = ran("deal", "history", "e490").out
    [retraction] = listed("--retractions")
    assert str(retraction["event_id"]) in shown
    assert re.search(rf"retracts event no\. {retraction['retracts_position']}\b", shown)


@pytest.mark.usefixtures("db")
def test_a_list_in_chinese_names_facts_and_columns_in_chinese() -> None:
    shown = ran("log", "--lang", "zh", "--retractions").out
    assert {"事件序号", "记录时间", "操作人"} <= set(shown.split())
    assert "撤销事件序号" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kind", "deal.wom"), "did you mean deal.won"),
        (("--late-by", "-1"), "write days"),
        (("--late-by", "9" * 30), "write days"),
        (("--from", "soon"), "is not a"),
        (("--all", "--limit", "3"), "in one way only"),
        (("--stream", "zzz"), "is not a deal"),
        (("--limit", "0"), "must be at least 1"),
    ],
)
@pytest.mark.usefixtures("db")
def test_what_cannot_be_looked_for_is_refused(options: tuple[str, ...], said: str) -> None:
    told = ran("log", *options)
    assert told.code == 2
    assert said in told.err


def test_both_databases_find_the_same(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        with flow.session(actor="ann") as s:
            customer = s.add(Customer.register(name="Acme"))
        with flow.session(actor="bob") as s:
            named = s.get(Customer, customer.id).history[0].event_id
            s.retract(named, because="mistake")
        found = [*search(flow.log, LogSearch(stream=customer.id, oldest_first=True))]
        assert [entry.kind for entry in found] == ["customer.registered", "fact.retracted"]
        assert found[1].retracts == found[0].stored.position
        [only] = search(flow.log, LogSearch(actor="bob", retractions=True))
        assert only.event == found[1].event
        assert [*search(flow.log, LogSearch(late_by=DAY))] == []
        with pytest.raises(InputError, match="no kind of facts"):
            [*search(flow.log, LogSearch(kind="deal*"))]


def test_an_event_that_cannot_be_read_is_listed_and_stops_nothing(db: str) -> None:
    with (
        SalesFlow(f"sqlite:///{db}", create=False) as flow,
        flow.log.database.begin() as connection,
    ):
        connection.exec_driver_sql("DROP TRIGGER salesflow_events_update")
        connection.exec_driver_sql(
            "UPDATE salesflow_events SET payload = X'00' WHERE topic LIKE 'deal.won:%'"
        )
    found = listed("--kind", "deal.won")
    assert [each["fact"] for each in found] == [None, None]
    assert all(each["unreadable"] for each in found)
    assert "cannot be read" in ran("log", "--kind", "deal.won").out


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_list_on_a_screen_breaks_no_id_and_tells_a_fact_in_a_line(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", ran("log", "--kind", "process.published").out)
    [published] = listed("--kind", "process.published")
    assert (str(published["event_id"]) in shown) == (width == 200)
    assert str(published["event_id"])[:10] not in shown or width == 200
    assert " · 6" in " ".join(shown.split())
    assert len(shown.splitlines()) < 12


def test_a_line_says_of_a_long_fact_that_there_is_more(db: str) -> None:
    with SalesFlow(f"sqlite:///{db}") as flow, flow.session(actor="bob") as s:
        customer = s.add(Customer.register(name="A" * 300))
        customer.qualify(because="b" * 9_000)
    for line in ran("log", "--actor", "bob").out.splitlines():
        assert len(line) < 300
    assert "AAAA…" in ran("log", "--actor", "bob").out


def test_an_event_is_retracted_by_its_position(db: str) -> None:
    with SalesFlow(f"sqlite:///{db}") as flow, flow.session() as s:
        s.add(Customer.register(name="Acme")).qualify(because="asked for it")
    [judged] = listed("--kind", "customer.qualified", "--limit", "1")
    told = ran("retract", f"{judged['position']:,}", "--because", "mistyped", "--json")
    assert json.loads(told.out)["retracted"] == judged["event_id"]
    missing = ran("retract", "9,999,999", "--because", "x")
    assert (missing.code, "no event at position 9,999,999" in missing.err) == (2, True)
    assert "neither a position nor the id" in ran("retract", "-", "--because", "x").err


@pytest.mark.usefixtures("db")
def test_what_was_taken_back_is_shown_and_what_counts_no_longer_without_it() -> None:
    for command in (
        "goal set q1 --metric sales --target '900000 CNY' --quarter 2027-Q1 --strategy grow"
        " --why-achievable new",
        "goal check-in q1 --confidence 70%",
        "goal lock q1",
    ):
        told = ran(*shlex.split(command))
        assert told.code == 0, told.err
    first = listed("--kind", "goal.set", "--limit", "1")[0]["position"]
    assert isinstance(first, int)
    told = ran("retract", str(first), "--because", "mistyped")
    assert "Goal set" in told.out
    assert "target 900,000" in told.out
    assert told.err == (
        f"note: 2 other events count for nothing without it: no. {first + 1:,}, {first + 2:,}\n"
    )
    again = ran("retract", str(first + 1), "--because", "mistyped", "--json")
    assert json.loads(again.out)["count_no_longer"] == []


def test_taking_back_what_nothing_builds_on_says_no_more(db: str) -> None:
    with SalesFlow(f"sqlite:///{db}") as flow, flow.session() as s:
        s.add(Customer.register(name="Acme")).qualify(because="asked for it")
    [judged] = listed("--kind", "customer.qualified", "--limit", "1")
    told = ran("retract", str(judged["position"]), "--because", "mistyped")
    assert ("Acme" in told.out, "asked for it" in told.out, told.err) == (True, True, "")
