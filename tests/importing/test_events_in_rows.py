"""Event logs: their order, days among times, openings that are missing, DST changes."""

from importing.desk import EVENTS, WIDE, Desk, log, moves
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Fact


def opening(desk: Desk, object: str = "1") -> DealOpened:
    (fact,) = [e.fact for e in desk.events(object, "log") if isinstance(e.fact, DealOpened)]
    return fact


def test_rows_of_a_deal_may_stand_anywhere_in_the_file(desk: Desk) -> None:
    table = log(
        "1,won,2026-01-09T10:00,u1,,",
        "2,opened,2026-01-02T10:00,u2,,",
        "1,to design,2026-01-05T10:00,u1,,",
        "1,opened,2026-01-01T10:00,u1,,",
    )
    desk.bring(EVENTS, table, strict=True)
    assert moves(desk) == ["opened", "solution_design", "won"]
    assert moves(desk, "2") == ["opened"]


def test_deals_are_recorded_in_the_order_in_which_they_appear(desk: Desk) -> None:
    desk.bring(EVENTS, log("b,opened,2026-01-02T10:00,,,", "a,opened,2026-01-01T10:00,,,"))
    positions = [desk.events(name, "log")[0].position for name in ("b", "a")]
    assert positions == sorted(positions)


def test_events_of_the_same_instant_keep_the_order_of_the_file(desk: Desk) -> None:
    at = "2026-01-02T10:00:00.123+01:00"
    table = log(
        f"1,to design,{at},u,,",
        f"1,to analysis,{at},u,,",
        f"1,to design,{at},u,,",
        f"1,opened,{at},u,,",
    )
    report = desk.bring(EVENTS, table, strict=True)
    assert moves(desk) == ["opened", "solution_design", "needs_analysis", "solution_design"]
    assert report.irregular == []
    assert desk.bring(EVENTS, table).facts_recorded == 0


def test_every_microsecond_is_kept(desk: Desk) -> None:
    desk.bring(EVENTS, log("1,opened,2026-01-02T10:00:00.123456Z,,,"))
    assert desk.times("1", "log") == ["2026-01-02T10:00:00.123456+00:00"]


def test_an_empty_resource_is_nobody(desk: Desk) -> None:
    desk.bring(EVENTS, log("1,opened,2026-01-02T10:00,,,", "1,won,2026-01-03T10:00,u9,,"))
    assert [event.actor for event in desk.events("1", "log")] == [None, "u9"]


def test_a_day_comes_after_what_is_timed_on_it(desk: Desk) -> None:
    table = log(
        "1,won,2026-01-02,,,",
        "1,opened,2026-01-02T14:00,,,",
        "1,to design,2026-01-02T17:30,,,",
        "1,offer,2026-01-03,,Q1,",
    )
    desk.bring(EVENTS, table, strict=True)
    assert moves(desk) == ["opened", "solution_design", "won", "quote_issued"]
    assert desk.times("1", "log") == [
        "2026-01-02T13:00:00+00:00",
        "2026-01-02T16:30:00+00:00",
        "2026-01-02T16:30:00+00:00 (day)",
        "2026-01-02T23:00:00+00:00 (day)",
    ]


def test_a_deal_opened_on_a_day_is_opened_when_the_day_begins(desk: Desk) -> None:
    report = desk.bring(EVENTS, log("1,opened,2026-01-02,,,", "1,won,2026-01-02T09:00,,,"))
    assert desk.times("1", "log")[0] == "2026-01-01T23:00:00+00:00 (day)"
    assert report.irregular == []


def test_a_day_comes_after_what_was_timed_on_it_in_an_earlier_import(desk: Desk) -> None:
    desk.bring(EVENTS, log("1,opened,2026-01-02T14:00,,,"))
    desk.bring(EVENTS, log("1,won,2026-01-02,,,"))
    assert desk.times("1", "log")[1] == "2026-01-02T13:00:00+00:00 (day)"
    report = desk.bring(EVENTS, log("1,to design,2026-01-02T15:00,,,", "1,won,2026-01-02,,,"))
    assert (report.facts_recorded, report.facts_known, report.facts_changed) == (1, 1, 0)


def test_a_row_without_a_time_cannot_be_put_in_order_and_is_refused(desk: Desk) -> None:
    report = desk.bring(EVENTS, log("1,opened,2026-01-02,,,", "1,won,,,,"))
    (remark,) = report.refused
    assert (remark.line, remark.reason) == (
        3,
        "has no time, so deal.won cannot be put in order",
    )


def test_a_rule_may_take_the_time_of_import_and_says_so(desk: Desk) -> None:
    mapping = EVENTS.replace('is = "won" }', 'is = "won" }\nundated = "import"')
    report = desk.bring(mapping, log("1,opened,2026-01-02,,,", "1,won,,,,"))
    won = desk.events("1", "log")[1]
    assert won.occurred == won.recorded
    assert won.fact.inferred == "no date in the row; recorded at the time of import"
    assert [(i.line, i.kind) for i in report.inferred] == [(3, "deal.won")]
    assert desk.bring(mapping, log("1,opened,2026-01-02,,,", "1,won,,,,")).facts_known == 2


def test_a_deal_without_any_date_is_opened_at_the_time_of_import(desk: Desk) -> None:
    table = "id,rep,amount,status,created,closed\n1,u1,5,Open,,\n"
    report = desk.bring(WIDE, table, strict=True)
    (event,) = desk.events("1")
    assert event.occurred == event.recorded
    assert event.fact.inferred == "no date in the row; recorded at the time of import"
    (entry,) = report.inferred
    assert (entry.line, entry.object, entry.kind) == (2, "1", "deal.opened")
    assert report.facts_inferred == 1


def test_a_deal_without_an_opening_date_is_opened_with_its_first_fact(desk: Desk) -> None:
    table = "id,rep,amount,status,created,closed\n1,u1,5,Won,,2026-02-01\n"
    report = desk.bring(WIDE, table)
    assert desk.kinds("1") == ["opened", "won"]
    assert desk.times("1") == ["2026-01-31T23:00:00+00:00 (day)"] * 2
    assert [i.reason for i in report.inferred] == [
        "no opening date in the row; opened with its first fact"
    ]
    assert desk.bring(WIDE, table).facts_known == 2


def test_a_deal_that_no_row_opens_is_opened_with_its_first_fact(desk: Desk) -> None:
    table = log("1,to design,2026-01-03T10:00,,,", "1,won,2026-01-04T10:00,,,")
    report = desk.bring(EVENTS, table)
    assert moves(desk) == ["opened", "solution_design", "won"]
    assert opening(desk).stage == "solution_design"
    assert opening(desk).inferred == "no row opens it; opened with its first fact"
    assert desk.times("1", "log")[0] == "2026-01-03T09:00:00+00:00"
    assert (report.facts_told, report.facts_inferred) == (3, 1)
    again = desk.bring(EVENTS, table)
    assert (again.facts_known, again.facts_recorded, again.rows_known) == (2, 0, 2)


def test_a_mapping_may_refuse_deals_that_no_row_opens(desk: Desk) -> None:
    mapping = EVENTS.replace("[[facts]]", 'opening = "refuse"\n\n[[facts]]', 1)
    report = desk.bring(mapping, log("1,won,2026-01-04T10:00,,,", "2,opened,2026-01-01,,,"))
    assert [(r.line, r.reason) for r in report.refused] == [(2, "its deal is opened nowhere")]
    assert moves(desk, "2") == ["opened"]


def test_a_deal_may_be_opened_by_its_first_row_whatever_that_is(desk: Desk) -> None:
    mapping = EVENTS.replace(
        'when = { column = "what", is = "opened" }', "when = { first = true }"
    )
    table = log("1,to design,2026-01-05T10:00,,,", "1,to analysis,2026-01-03T10:00,,,")
    desk.bring(mapping, table, strict=True)
    assert moves(desk) == ["opened", "needs_analysis", "solution_design"]
    assert opening(desk).inferred is None


def test_the_last_row_can_be_asked_for(desk: Desk) -> None:
    mapping = EVENTS.replace(
        'when = { column = "what", is = "lost" }', "when = { last = true }"
    )
    desk.bring(mapping, log("1,opened,2026-01-05T10:00,,,", "1,to design,2026-01-06T10:00,,,"))
    assert moves(desk) == ["opened", "solution_design", "lost"]


def test_rows_that_repeat_the_whole_deal_tell_what_has_changed(desk: Desk) -> None:
    mapping = """
source = "log"
rows = "events"
object = "id"
at = "saved"
timezone = "UTC"
currency = "USD"

[[facts]]
kind = "deal.opened"
when = { first = true }

[facts.fields]
stage = "stage"
amount = "sum"

[[facts]]
kind = "deal.stage_moved"
when = { changed = "stage", first = false }

[facts.fields]
target = "stage"

[[facts]]
kind = "deal.forecast_given"
when = { changed = "sum", first = false }

[facts.fields]
amount = "sum"

[[leave_out]]
when = { not = { any = [{ first = true }, { changed = "stage" }, { changed = "sum" }] } }
because = "nothing we follow has changed"
"""
    table = """
id,saved,stage,sum
1,2026-01-03,negotiation,20
1,2026-01-01,prospecting,10
1,2026-01-02,prospecting,20
1,2026-01-04,negotiation,20
1,2026-01-05,needs_analysis,30
"""
    report = desk.bring(mapping, table, strict=True)
    assert moves(desk) == [
        "opened",
        "forecast_given",
        "negotiation",
        "needs_analysis",
        "forecast_given",
    ]
    assert (report.rows_left_out, report.irregular) == (1, [])


def test_day_and_time_may_stand_in_columns_of_their_own(desk: Desk) -> None:
    mapping = EVENTS.replace('at = "time"', 'at = { template = "{time} {id}" }')
    desk.bring(mapping, log("1,opened,2026-01-01,,,08:30", "1,won,2026-01-02,,,"), strict=True)
    assert desk.times("1", "log") == [
        "2026-01-01T07:30:00+00:00",
        "2026-01-01T23:00:00+00:00 (day)",
    ]


def test_facts_after_closing_are_recorded_and_named_as_irregular(desk: Desk) -> None:
    table = log(
        "1,opened,2026-01-01T10:00,,,",
        "1,offer,2026-01-02T10:00,,Q1,",
        "1,lost,2026-01-03T10:00,,,",
        "1,accepted,2026-01-03T10:00:00.010,,Q1,",
        "1,to design,2026-01-04T10:00,,,",
        "1,accepted,2026-01-05T10:00,,Q9,",
    )
    report = desk.bring(EVENTS, table, strict=True)
    assert report.facts_recorded == 6
    assert desk.deal("1", "log").outcome == "lost"
    assert [(r.line, f"{r.kind}: {r.reason}") for r in report.irregular] == [
        (6, "deal.stage_moved: moved while lost"),
        (7, "deal.quote_accepted: there is no quote 'Q9'"),
    ]


def test_facts_before_the_opening_are_recorded_and_named_as_irregular(desk: Desk) -> None:
    table = log("1,offer,2026-01-01T10:00,,Q1,", "1,opened,2026-01-02T10:00,,,")
    report = desk.bring(EVENTS, table)
    assert [f"{r.kind}: {r.reason}" for r in report.irregular] == [
        "deal.quote_issued: before the deal was opened"
    ]


def test_an_offer_takes_its_id_from_the_first_column_that_has_one(desk: Desk) -> None:
    table = log(
        "1,opened,2026-01-01T10:00,,,",
        "1,offer,2026-01-02T10:00,,,e-5",
        "1,accepted,2026-01-03T10:00,,e-5,e-6",
    )
    desk.bring(EVENTS, table, strict=True)
    assert {key: quote.state for key, quote in desk.deal("1", "log").quotes.items()} == {
        "e-5": "accepted"
    }


def test_times_across_a_dst_change_keep_their_order_and_length(desk: Desk) -> None:
    table = log(
        "1,opened,2016-10-30T02:30+02:00,,,",
        "1,to analysis,2016-10-30T02:30+01:00,,,",
        "1,won,2016-10-30T03:00,,,",
    )
    desk.bring(EVENTS, table, strict=True)
    assert desk.times("1", "log") == [
        "2016-10-30T00:30:00+00:00",
        "2016-10-30T01:30:00+00:00",
        "2016-10-30T02:00:00+00:00",
    ]


def test_a_local_time_that_happened_twice_or_never_is_reported(desk: Desk) -> None:
    table = log(
        "1,opened,2016-03-27T02:30,,,",
        "1,to analysis,2016-10-30T02:50,,,",
        "1,to design,2016-10-30T02:10,,,",
    )
    report = desk.bring(EVENTS, table)
    assert [(r.line, r.reason) for r in report.adjusted] == [
        (2, "never was, clocks were put forward; took as much later"),
        (3, "happened twice, when clocks were put back; took the earlier"),
        (4, "happened twice, when clocks were put back; took the earlier"),
    ]
    assert moves(desk) == ["opened", "solution_design", "needs_analysis"]
    assert desk.bring(EVENTS, table, strict=True).recorded is False


def test_the_order_of_the_rows_may_settle_a_time_that_happened_twice(desk: Desk) -> None:
    mapping = f'{EVENTS}\n[times]\nambiguous = "order"\n'
    table = log(
        "1,opened,2016-10-30T01:00,,,",
        "1,to analysis,2016-10-30T02:50,,,",
        "1,to design,2016-10-30T02:10,,,",
    )
    report = desk.bring(mapping, table)
    assert moves(desk) == ["opened", "needs_analysis", "solution_design"]
    assert desk.times("1", "log")[2] == "2016-10-30T01:10:00+00:00"
    assert report.adjusted[-1].reason.endswith("took the later, in the order of the rows")


def test_a_row_from_the_future_is_refused(desk: Desk) -> None:
    report = desk.bring(EVENTS, log("1,opened,2026-01-01,,,", "1,won,2027-01-01T10:00Z,,,"))
    assert [(r.line, r.column, r.value, r.reason) for r in report.refused] == [
        (3, "time", "2027-01-01T10:00Z", "lies in the future")
    ]


def test_an_event_with_an_id_is_told_once(desk: Desk) -> None:
    mapping = EVENTS.replace('at = "time"', 'at = "time"\nevent_id = "id"')
    table = log("1,opened,2026-01-01T10:00,,,e1", "1,won,2026-01-02T10:00,,,e2")
    report = desk.bring(mapping, table + "1,won,2026-01-02T10:00,,,e2\n")
    assert [(r.line, r.reason, r.value) for r in report.refused] == [
        (4, "is the same event as an earlier row", "line 3")
    ]
    assert [e.source_id for e in desk.events("1", "log")] == ["1#opened", "1#e2/won"]


def test_events_without_ids_are_known_by_time_and_what_happened(desk: Desk) -> None:
    table = log("1,opened,2026-01-01T10:00Z,,,", *["1,offer,2026-01-02T10:00Z,,Q1,"] * 2)
    desk.bring('twins = "keep"\n' + EVENTS, table)
    assert [e.source_id for e in desk.events("1", "log")] == [
        "1#opened",
        "1#2026-01-02T10:00:00+00:00/quote_issued/Q1",
        "1#2026-01-02T10:00:00+00:00/quote_issued/Q1/2",
    ]


def test_two_facts_of_one_row_need_names_of_their_own(desk: Desk) -> None:
    again = '\n[[facts]]\nkind = "deal.won"\nwhen = { column = "who", is = "boss" }\n'
    mapping = EVENTS.replace('at = "time"', 'at = "time"\nevent_id = "id"') + again
    table = log("1,opened,2026-01-01T10:00,,,e1", "1,won,2026-01-02T10:00,boss,,e2")
    report = desk.bring(mapping, table)
    assert "give one of them a name of its own" in report.refused[0].reason
    named = mapping.replace(
        'kind = "deal.won"\nwhen = { column = "who"',
        'kind = "deal.won"\nname = "by_boss"\nwhen = { column = "who"',
    )
    assert desk.bring(named, table).rows_refused == 0


def test_a_deduced_fact_is_marked_with_its_reason(desk: Desk) -> None:
    mapping = EVENTS.replace('is = "lost" }', 'is = "lost" }\ninferred = "no answer in a year"')
    report = desk.bring(mapping, log("1,opened,2025-01-01,,,", "1,lost,2026-01-01,,,"))
    lost: Fact = desk.events("1", "log")[1].fact
    assert lost.inferred == "no answer in a year"
    assert [(i.line, i.reason) for i in report.inferred] == [(3, "no answer in a year")]


def test_times_of_the_source_may_be_in_another_zone_than_the_business(desk: Desk) -> None:
    mapping = f'{EVENTS}\n[times]\ntimezone = "UTC"\n'
    desk.bring(mapping, log("1,opened,2026-01-01 10:00,,,", "1,won,2026-01-02,,,"))
    assert desk.times("1", "log") == [
        "2026-01-01T10:00:00+00:00",
        "2026-01-01T23:00:00+00:00 (day)",
    ]


def test_an_actor_too_long_for_the_log_is_refused(desk: Desk) -> None:
    report = desk.bring(EVENTS, log(f"1,opened,2026-01-01,{'u' * 501},,"))
    assert [r.reason for r in report.refused] == ["is too long for an actor (500 characters)"]


def test_an_id_too_long_for_the_log_is_refused(desk: Desk) -> None:
    report = desk.bring(EVENTS, log(f"{'1' * 500},opened,2026-01-01,,,"))
    assert [r.reason for r in report.refused] == ["is too long for an id (500 characters)"]
