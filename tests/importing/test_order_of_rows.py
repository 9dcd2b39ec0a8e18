"""Which of the rows of one deal was first: in either direction of time, by a column, and what
can be asked of the row before."""

from itertools import combinations, count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importing.desk import EVENTS, EVENTS_HEAD, WIDE, Desk, log, moves
from properties.effort import examples
from salesflow.adapters.event_store.log import EventLog
from salesflow.domain.deal.quotes import QuoteIssued
from salesflow.domain.event import order_key

TIE = "2026-01-01T10:00Z"


NEWEST = log(
    "1,won,2026-01-03T10:00Z,,,9",
    f"1,to design,{TIE},,,10",
    f"1,to analysis,{TIE},,,2",
    f"1,opened,{TIE},,,1",
)


def test_ties_of_a_file_that_stands_newest_first_are_taken_from_the_bottom_up_and_listed(
    desk: Desk,
) -> None:
    report = desk.bring(EVENTS, NEWEST)
    assert moves(desk) == ["opened", "needs_analysis", "solution_design", "won"]
    assert [(r.line, r.column, r.value) for r in report.adjusted] == [
        (3, "time", "lines 3, 4"),
        (4, "time", "lines 3, 4"),
    ]
    assert report.rows_tied == 2
    assert desk.bring(EVENTS, NEWEST).facts_known == 4


@pytest.mark.parametrize(
    ("order", "after"),
    [
        ('order = "newest_first"', ["needs_analysis", "solution_design"]),
        ('order = "oldest_first"', ["solution_design", "needs_analysis"]),
        ('order = { column = "id" }', ["needs_analysis", "solution_design"]),
        (
            'order = { column = "id", descending = true }',
            ["solution_design", "needs_analysis"],
        ),
    ],
)
def test_a_mapping_says_how_rows_of_one_time_follow_one_another(
    desk: Desk, order: str, after: list[str]
) -> None:
    report = desk.bring(f"{order}\n{EVENTS}", NEWEST, strict=True)
    assert moves(desk) == ["opened", *after, "won"]
    assert (report.rows_tied, report.adjusted) == (2, [])


def test_a_deal_of_one_instant_is_taken_in_the_direction_of_its_file(desk: Desk) -> None:
    desk.bring(EVENTS, NEWEST + f"2,to design,{TIE},,,\n2,to analysis,{TIE},,,\n")
    assert moves(desk, "2") == ["opened", "needs_analysis", "solution_design"]


def test_a_deal_that_stands_otherwise_than_its_file_keeps_its_own_direction(
    desk: Desk,
) -> None:
    own = f"2,to design,{TIE},,,\n2,to analysis,{TIE},,,\n2,won,2026-01-02T10:00Z,,,\n"
    desk.bring(EVENTS, NEWEST + own)
    assert moves(desk, "2") == ["opened", "solution_design", "needs_analysis", "won"]


def test_a_file_in_no_order_keeps_its_ties_as_they_stand_and_counts_them(desk: Desk) -> None:
    mixed = log(
        "1,opened,2025-12-30T10:00Z,,,",
        "1,won,2026-01-03T10:00Z,,,",
        f"1,to design,{TIE},,,",
        f"1,to analysis,{TIE},,,",
    )
    report = desk.bring(EVENTS, mixed)
    assert moves(desk) == ["opened", "solution_design", "needs_analysis", "won"]
    assert (report.rows_tied, report.adjusted) == (2, [])


def test_days_alone_tie_too(desk: Desk) -> None:
    report = desk.bring(
        EVENTS,
        log("1,opened,2026-01-01,,,", "1,offer,2026-01-02,,A,", "1,to design,2026-01-02,,,"),
    )
    assert report.rows_tied == 2


WAS = """
source = "log"
rows = "events"
object = "case"
at = "time"
timezone = "UTC"

[[facts]]
kind = "deal.opened"
when = { column = "stage", was = "" }

[[facts]]
kind = "deal.reopened"
when = { column = "stage", is = "open", was = ["won", "lost"] }

[[facts]]
kind = "deal.won"
when = { column = "stage", is = "won", was_not = ["won", ""] }

[[leave_out]]
when = { column = "stage", is_column = "old" }
because = "nothing moved"
"""


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_condition_may_ask_what_a_column_was_in_the_row_before(
    desk: Desk, newest_first: bool
) -> None:
    rows = [
        "1,2026-01-01T10:00Z,open,",
        "1,2026-01-02T10:00Z,won,open",
        "1,2026-01-03T10:00Z,won,won",
        "1,2026-01-04T10:00Z,open,won",
    ]
    table = "case,time,stage,old\n" + "\n".join(rows[::-1] if newest_first else rows)
    report = desk.bring(WAS, table, strict=True)
    assert sorted(desk.kinds("1", "log")) == ["opened", "reopened", "won"]
    assert desk.deal("1", "log").outcome == "open"
    assert report.rows_left_out == 1


COMPARED = """
source = "crm"
rows = "deals"
object = "id"
timezone = "UTC"
currency = "EUR"

[[facts]]
kind = "deal.opened"
at = { earlier = ["created", "closed"] }

[[facts]]
kind = "deal.won"
when = { column = "paid", CONDITION }
at = { later = ["created", "closed"] }
"""


@pytest.mark.parametrize(
    ("condition", "won"),
    [
        ('is_column = "value"', "b"),
        ('is_not_column = "value"', "ac"),
        ('less_than = "value"', "a"),
        ('more_than = "value"', "c"),
        ("more_than = 5", "bc"),
        ("less_than = 5.5", "a"),
    ],
)
def test_a_condition_may_compare_two_columns(desk: Desk, condition: str, won: str) -> None:
    table = (
        "id,created,closed,value,paid\na,2026-01-05,2026-01-02,10,5\n"
        "b,2026-01-01,2026-01-02,10,10\nc,2026-01-01,,9,10\n"
    )
    desk.bring(COMPARED.replace("CONDITION", condition), table, strict=True)
    taken = [object for object in "abc" if "won" in desk.kinds(object)]
    assert "".join(taken) == won
    assert desk.times("a")[0] == "2026-01-02T00:00:00+00:00 (day)"


@pytest.mark.parametrize(("condition", "taken"), [("before", "a"), ("after", "b")])
def test_a_condition_may_compare_two_times(desk: Desk, condition: str, taken: str) -> None:
    mapping = COMPARED.replace(
        '"paid", CONDITION', f'"closed", {condition} = "created"'
    ).replace('{ later = ["created", "closed"] }', '"closed"')
    table = (
        "id,created,closed,value,paid\na,2026-01-05,2026-01-02,,\n"
        "b,2026-01-01,2026-01-02,,\nc,2026-01-01,,,\n"
    )
    desk.bring(mapping, table, strict=True)
    assert "".join(object for object in "abc" if "won" in desk.kinds(object)) == taken


def test_what_cannot_be_compared_refuses_its_row(desk: Desk) -> None:
    table = "id,created,closed,value,paid\na,2026-01-05,,ten,5\nb,2026-01-05,,1,2\n"
    report = desk.bring(COMPARED.replace("CONDITION", 'more_than = "value"'), table)
    assert [(r.line, r.column, r.value) for r in report.refused] == [(2, "value", "ten")]
    assert report.refused[0].reason.startswith("is not a number")
    assert "won" in desk.kinds("b")


def test_the_later_of_two_times_is_taken(desk: Desk) -> None:
    mapping = COMPARED.replace("CONDITION", "filled = true")
    table = "id,created,closed,value,paid\na,2026-01-05,2026-01-02,1,1\n"
    desk.bring(mapping, table, strict=True)
    assert desk.times("a") == [
        "2026-01-02T00:00:00+00:00 (day)",
        "2026-01-05T00:00:00+00:00 (day)",
    ]


def test_an_offer_without_a_number_takes_a_running_one_in_order_of_time(desk: Desk) -> None:
    mapping = EVENTS.replace('quote = ["offer", "id"]', 'quote = { running = "{case}-Q{}" }')
    later = "1,offer,2026-01-05T10:00Z,,,\n"
    table = log("1,offer,2026-01-03T10:00Z,,,", "1,offer,2026-01-02T10:00Z,,,")
    opened = "1,opened,2026-01-01T10:00Z,,,\n"
    desk.bring(mapping, table + opened)
    report = desk.bring(mapping, EVENTS_HEAD + later + table.removeprefix(EVENTS_HEAD) + opened)
    assert (report.facts_recorded, report.facts_known, report.changed) == (1, 3, [])
    quotes = [e for e in desk.events("1", "log") if isinstance(e.fact, QuoteIssued)]
    assert [e.fact.quote for e in sorted(quotes, key=lambda e: e.occurred)] == [  # type: ignore[attr-defined]
        "1-Q1",
        "1-Q2",
        "1-Q3",
    ]


def test_a_row_that_tells_the_same_at_the_same_time_is_a_twin(either_desk: Desk) -> None:
    desk = either_desk
    call = "1,offer,2026-01-02T10:00:00.123Z,kim,Q,\n"
    table = (
        log("1,opened,2026-01-01T10:00Z,,,") + call + "2,opened,2026-01-01T10:00Z,,,\n" + call
    )
    report = desk.bring(EVENTS, table)
    assert [(r.line, r.object, r.value) for r in report.refused] == [(5, "1", "line 3")]
    assert desk.kinds("1", "log") == ["opened", "quote_issued"]
    both = desk.bring('twins = "keep"\n' + EVENTS, table)
    assert (both.facts_recorded, both.facts_known) == (1, 3)


def test_another_actor_another_content_or_an_own_id_makes_no_twin(desk: Desk) -> None:
    mapping = EVENTS.replace('quote = ["offer", "id"]', 'quote = "offer"\ntotal = "id"')
    at = "2026-01-02T10:00Z"
    rows = (f"1,offer,{at},kim,Q,5", f"1,offer,{at},lee,Q,5", f"1,offer,{at},kim,Q,6")
    assert desk.bring(mapping, log("1,opened,2026-01-01T10:00Z,,,", *rows)).rows_refused == 0
    own = 'event_id = "offer"\n' + EVENTS.replace('"offer", "id"', '"id"')
    twins = (f"2,offer,{at},kim,a,Q", f"2,offer,{at},kim,b,Q")
    assert desk.bring(own, log(*twins)).rows_refused == 0


def test_a_stage_may_be_entered_again_at_the_same_time(desk: Desk) -> None:
    table = log(f"1,to design,{TIE},,,", f"1,to analysis,{TIE},,,", f"1,to design,{TIE},,,")
    assert desk.bring(EVENTS, table + f"1,to design,{TIE},,,\n").rows_refused == 1
    assert moves(desk)[1:] == ["solution_design", "needs_analysis", "solution_design"]


LATE = "id,rep,amount,status,created,closed\n1,u,50,Won,2026-02-19 20:22,2026-02-07\n"


def test_a_deal_closed_before_it_was_opened_is_opened_at_its_closing(desk: Desk) -> None:
    report = desk.bring(WIDE, LATE)
    assert desk.times("1") == ["2026-02-06T23:00:00+00:00 (day)"] * 2
    assert (desk.deal("1").outcome, str(desk.deal("1").amount)) == ("won", "50 EUR")
    assert [(r.line, r.column, r.value) for r in report.adjusted] == [
        (2, "created", "2026-02-19T20:22:00+01:00")
    ]
    assert report.irregular == []
    assert desk.bring(WIDE, LATE).facts_known == 2


def test_a_mapping_may_keep_or_refuse_what_was_closed_before_it_was_opened(desk: Desk) -> None:
    refused = desk.bring('closed_before_opened = "refuse"\n' + WIDE, LATE)
    assert (refused.rows_refused, refused.facts_recorded) == (1, 0)
    kept = desk.bring('closed_before_opened = "keep"\n' + WIDE, LATE)
    assert [i.reason for i in kept.irregular] == ["before the deal was opened"]


def test_a_deal_opened_later_on_the_day_of_its_closing_stays_as_it_is(desk: Desk) -> None:
    report = desk.bring(WIDE, LATE.replace("2026-02-07", "2026-02-19"))
    assert (report.adjusted, report.irregular) == ([], [])
    assert desk.times("1")[0] == "2026-02-19T19:22:00+00:00"


def test_an_event_log_that_opens_a_deal_behind_its_closing_opens_it_there(desk: Desk) -> None:
    table = log("1,lost,2026-01-03T10:00Z,,,", "1,opened,2026-01-05T10:00Z,,,")
    report = desk.bring(EVENTS, table)
    assert (desk.deal("1", "log").outcome, report.irregular) == ("lost", [])
    assert [r.line for r in report.adjusted] == [3]


def test_an_opening_told_behind_a_closing_of_an_earlier_import_opens_it_there(
    desk: Desk,
) -> None:
    desk.bring(EVENTS, log("1,lost,2026-01-03T10:00Z,,,"))
    report = desk.bring(EVENTS, log("1,opened,2026-01-05T10:00Z,,,"))
    assert (desk.deal("1", "log").outcome, report.irregular) == ("lost", [])


HISTORY = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.integers(0, 3), st.sampled_from(["analysis", "design"])
    ),
    min_size=1,
    max_size=9,
)
TENANTS = count()


def told_in_order(desk: Desk, mapping: str, rows: list[str]) -> list[list[object]]:
    """Import rows into a log of their own; give what each deal was told, in order of effect."""
    desk.log = EventLog(desk.log.database, tenant=f"t{next(TENANTS)}", clock=desk.clock)
    desk.bring(mapping, log(*rows))
    return [
        [
            e.source_id
            for e in sorted(desk.events(name, "log"), key=order_key)
            if not e.fact.is_opening
        ]
        for name in "ab"
    ]


@given(history=HISTORY)
@examples(30)
def test_a_history_is_the_same_in_either_direction_of_its_file(
    desk: Desk, history: list[tuple[str, int, str]]
) -> None:
    history.sort(key=lambda row: row[1])
    rows = [
        f"{name},to {stage},2026-01-0{day + 1}T10:00Z,,,{number}"
        for number, (name, day, stage) in enumerate(history)
    ]
    expected = [
        [
            f"{name}#{number}/stage_moved"
            for number, (whose, _, _) in enumerate(history)
            if whose == name
        ]
        for name in "ab"
    ]
    mapping = 'event_id = "id"\n' + EVENTS
    newest = 'order = "newest_first"\n' + mapping
    column = 'order = { column = "id" }\n' + mapping
    assert told_in_order(desk, mapping, rows) == expected
    assert told_in_order(desk, newest, rows[::-1]) == expected
    assert told_in_order(desk, column, sorted(rows, key=lambda row: row[-1] + row)) == expected
    if any(a[0] == b[0] and a[1] < b[1] for a, b in combinations(history, 2)):
        assert told_in_order(desk, mapping, rows[::-1]) == expected


def test_a_file_taken_in_the_wrong_direction_would_be_noticed(desk: Desk) -> None:
    """The control: the comparison above can fail."""
    rows = [f"a,to {stage},{TIE},,,{stage}" for stage in ("analysis", "design")]
    mapping = 'event_id = "id"\n' + EVENTS
    wrong = 'order = "newest_first"\n' + mapping
    assert told_in_order(desk, wrong, rows) != told_in_order(desk, mapping, rows)
