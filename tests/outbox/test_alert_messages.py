"""What is told of an alert: that it was raised or cleared, by which figure, at which moment."""

import json
from collections.abc import Iterator

import pytest

from salesflow import STANDARD, Alert, Deal, SalesFlow
from salesflow.domain.alert import AlertCleared, AlertRaised, alert_id
from salesflow.domain.event import Event
from salesflow.engine.alert_messages import alert_message
from salesflow.engine.alerts import evaluate_alerts, watched_figure
from simulated import ran

LINK = "https://sales.example.com/ask/{question}?{parameters}&as_of={as_of}&known_at={known_at}"


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    with SalesFlow(database_url, timezone="Asia/Shanghai") as flow:
        watched = watched_figure(flow, "funnel", "open_deals", owner="ann")
        with flow.session(actor="boss") as s:
            s.add(
                Alert.define(
                    "many",
                    watched=watched,
                    condition="above",
                    threshold="1",
                    notify=("boss",),
                )
            )
        yield flow


def opened(flow: SalesFlow, *titles: str) -> list[Deal]:
    with flow.session(actor="ann") as s:
        return [s.add(Deal.open(STANDARD, title=title, owner="ann")) for title in titles]


def raised_and_cleared(flow: SalesFlow) -> list[Event]:
    """Open two deals, then lose one, and evaluate after each; give what that recorded."""
    first, _ = opened(flow, "ERP", "MES")
    evaluate_alerts(flow)
    with flow.session(actor="ann") as s:
        s.get(Deal, first.id).lose(because="price")
    evaluate_alerts(flow)
    history = flow.history(alert_id("many"))
    return [event for event in history if isinstance(event.fact, AlertRaised | AlertCleared)]


def test_a_crossed_threshold_is_told_with_figure_threshold_and_moment(flow: SalesFlow) -> None:
    raised, cleared = raised_and_cleared(flow)
    told = alert_message(flow.log, raised)
    assert told is not None
    fact = raised.fact
    assert isinstance(fact, AlertRaised)
    assert {name: told[name] for name in ("alert", "happening", "found", "threshold")} == {
        "alert": "many",
        "happening": "raised",
        "found": "2",
        "threshold": "1",
    }
    assert told["as_of"] == fact.evidence.as_of.isoformat()
    assert told["position"] == fact.evidence.position
    assert (told["parameters"], told["notify"]) == ({"owner": "ann"}, ["boss"])
    again = alert_message(flow.log, cleared)
    assert again is not None
    assert (again["happening"], again["found"]) == ("cleared", "1")


def test_the_link_of_an_alert_gives_the_answer_in_which_its_figure_was(
    flow: SalesFlow, database_url: str
) -> None:
    raised, _ = raised_and_cleared(flow)
    told = alert_message(flow.log, raised, link=LINK)
    assert told is not None
    [link] = told["links"]
    opened(flow, "later")
    found = ran(*link["command"].split()[1:], "--json", "--db", database_url)
    answer = json.loads(found.out)
    assert answer["open_deals"] == 2
    moment = answer["moment"]
    assert (moment["as_of"], moment["position"]) == (told["as_of"], told["position"])
    assert link["url"].startswith("https://sales.example.com/ask/funnel?owner=ann&as_of=20")


def test_control_without_the_moment_the_answer_is_another_one(
    flow: SalesFlow, database_url: str
) -> None:
    raised_and_cleared(flow)
    answer = json.loads(
        ran("ask", "funnel", "--owner", "ann", "--json", "--db", database_url).out
    )
    assert answer["open_deals"] == 1


def test_what_is_told_stays_the_same_when_the_alert_is_revised(flow: SalesFlow) -> None:
    raised, _ = raised_and_cleared(flow)
    then = alert_message(flow.log, raised)
    with flow.session(actor="boss") as s:
        s.get(Alert, alert_id("many")).revise(because="more staff", threshold="50")
    assert alert_message(flow.log, raised) == then


def test_an_alert_is_told_in_both_languages(flow: SalesFlow) -> None:
    raised, cleared = raised_and_cleared(flow)
    told, again = alert_message(flow.log, raised), alert_message(flow.log, cleared)
    assert told is not None
    assert again is not None
    assert told["text_en"].startswith(
        "Alert many was raised: funnel open_deals is 2 (above 1), as of 20"
    )
    assert "预警 many 已触发" in told["text_zh"]
    assert "预警 many 已解除" in again["text_zh"]


def test_of_other_facts_nothing_is_told_of_an_alert(flow: SalesFlow) -> None:
    [defined, *_] = flow.history(alert_id("many"))
    assert alert_message(flow.log, defined) is None


def test_a_change_over_days_is_linked_with_what_it_is_compared_with(flow: SalesFlow) -> None:
    watched = watched_figure(flow, "funnel", "open_deals")
    with flow.session(actor="boss") as s:
        s.add(
            Alert.define("rising", watched=watched, condition="rose_by", threshold="1", days=7)
        )
    opened(flow, "ERP", "MES")
    evaluate_alerts(flow, only="rising")
    event = flow.history(alert_id("rising"))[-1]
    told = alert_message(flow.log, event)
    assert told is not None
    assert (told["found"], told["compared"], told["days"]) == ("2", "0", 7)
    assert " --compare-to " in told["links"][0]["command"]
