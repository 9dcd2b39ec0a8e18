"""Tables with one row per deal, and how fields are read from them."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from importing.desk import WIDE, Desk
from salesflow.adapters.importers import object_id
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.billing import LineItemsAgreed
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.quotes import QuoteIssued, QuoteLine
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.values import Money
from salesflow.errors import InputError

HEAD = "id,rep,amount,status,created,closed\n"

TOP = """
source = "crm"
rows = "deals"
object = "id"
at = "day"
timezone = "Europe/Berlin"
currency = "EUR"
"""


def opening(fields: str, extra: str = "") -> str:
    return f'{TOP}{extra}\n[[facts]]\nkind = "deal.opened"\n\n[facts.fields]\n{fields}\n'


def opened(desk: Desk, fields: str, header: str, row: str, extra: str = "") -> DealOpened:
    desk.bring(opening(fields, extra), f"id,day,{header}\n1,2026-01-05,{row}\n", strict=True)
    fact = desk.events("1")[0].fact
    assert isinstance(fact, DealOpened)
    return fact


def refusal(desk: Desk, fields: str, header: str, row: str, extra: str = "") -> str:
    report = desk.bring(opening(fields, extra), f"id,day,{header}\n1,2026-01-05,{row}\n")
    (remark,) = report.refused
    assert desk.kinds("1") == []
    return f"{remark.column}={remark.value}: {remark.reason}"


def test_a_row_yields_a_fact_for_each_rule_that_takes_it(desk: Desk) -> None:
    report = desk.bring(
        WIDE, HEAD + "7,u1,10.50,Won,2026-01-05,2026-02-03\n8,u2,,Open,2026-01-06,\n"
    )
    assert desk.kinds("7") == ["opened", "won"]
    assert desk.times("7") == [
        "2026-01-04T23:00:00+00:00 (day)",
        "2026-02-02T23:00:00+00:00 (day)",
    ]
    assert desk.deal("7").amount == Money("10.50", "EUR")
    assert desk.deal("8").amount is None
    assert (report.rows_read, report.rows_recorded, report.facts_recorded) == (2, 2, 3)


def test_a_deal_is_opened_under_the_standard_process_unless_said_otherwise(desk: Desk) -> None:
    fact = opened(desk, 'owner = "rep"', "rep", "u1")
    assert (fact.process, fact.process_version, fact.stage) == ("standard", 1, "prospecting")
    assert fact.title == "1"


def test_the_envelope_says_where_a_fact_came_from(desk: Desk) -> None:
    report = desk.bring(
        f'actor = "rep"\n{WIDE.lstrip()}', HEAD + "7#a,u1,1,Won,2026-01-05,2026-02-03\n"
    )
    events = desk.events("7#a")
    assert [(e.source, e.source_id) for e in events] == [
        ("crm", "7%23a#opened"),
        ("crm", "7%23a#won@closed"),
    ]
    assert {e.correlation_id for e in events} == {report.import_id}
    assert {e.actor for e in events} == {"u1"}


def test_the_first_column_that_is_filled_counts(desk: Desk) -> None:
    assert opened(desk, 'owner = ["a", "b"]', "a,b", ",u2").owner == "u2"


def test_a_template_weaves_columns_into_text(desk: Desk) -> None:
    spec = 'title = { template = "{a} for {b.c}" }'
    assert opened(desk, spec, "a,b.c", "Pump,Acme").title == "Pump for Acme"


def test_a_part_of_a_text_can_be_taken_out(desk: Desk) -> None:
    spec = "owner = { column = 'note', extract = 'by (\\w+)' }"
    assert opened(desk, spec, "note", "Entered by bob on Monday").owner == "bob"
    assert opened(desk, spec.replace("owner", "lead_source"), "note", "x").lead_source is None


def test_a_map_mends_values_and_keeps_the_others(desk: Desk) -> None:
    maps = '[maps.reps]\nbob = "u7"\n'
    assert (
        opened(desk, 'owner = { column = "rep", map = "reps" }', "rep", "bob", maps).owner
        == "u7"
    )


def test_a_value_the_map_does_not_know_may_be_refused_or_left_out(desk: Desk) -> None:
    spec = 'owner = {{ column = "rep", map = {{ bob = "u7" }}, unmapped = "{0}" }}'
    assert (
        refusal(desk, spec.format("refuse"), "rep", "eve")
        == "rep=eve: is not in the map of this field"
    )
    assert opened(desk, spec.format("empty"), "rep", "eve").owner is None


def test_a_default_stands_where_the_column_is_empty(desk: Desk) -> None:
    assert (
        opened(desk, 'owner = { column = "rep", default = "house" }', "rep", "").owner
        == "house"
    )


def test_spaces_around_a_value_are_taken_off(desk: Desk) -> None:
    assert opened(desk, 'owner = "rep"', "rep", "  u1 ").owner == "u1"


def test_an_amount_is_exact_in_the_currency_of_its_row(desk: Desk) -> None:
    spec = 'amount = { column = "sum", currency = "cur" }'
    assert opened(desk, spec, "sum,cur", "0.10,USD").amount == Money("0.10", "USD")


def test_the_currency_of_the_mapping_goes_for_a_row_that_names_none(desk: Desk) -> None:
    spec = 'amount = { column = "sum", currency = "cur" }'
    assert opened(desk, spec, "sum,cur", "5,").amount == Money("5", "EUR")


def test_an_amount_without_any_currency_is_refused_with_what_to_write(desk: Desk) -> None:
    mapping = opening('amount = { column = "sum", currency = "cur" }')
    mapping = mapping.replace('currency = "EUR"\n', "", 1)
    numbers = '\n[numbers]\nthousands = ","\n'
    table = 'id,day,sum,cur\n1,2026-01-05,"1,005.50",\n'
    (remark,) = desk.bring(mapping + numbers, table).refused
    assert (remark.column, remark.value) == ("sum", "1,005.50")
    assert "is an amount without a currency" in remark.reason
    assert 'default = "EUR"' in remark.reason


def test_a_mistyped_currency_is_named_as_the_file_has_it(desk: Desk) -> None:
    spec = 'amount = { column = "sum", currency = "cur" }'
    assert refusal(desk, spec, "sum,cur", "5,Euro") == (
        "cur=Euro: deal.opened: amount.currency: is no currency: three capital letters, such as"
        " EUR"
    )


def test_a_value_is_reported_as_the_file_has_it(desk: Desk) -> None:
    scaled = 'amount = { column = "sum", scale = "0.0000000001" }'
    assert refusal(desk, scaled, "sum", "00123").startswith("sum=00123: ")
    mapped = 'owner = { column = "rep", extract = "(.)$", map = "reps", unmapped = "refuse" }'
    reps = '[maps.reps]\na = "ann"\n'
    assert refusal(desk, mapped, "rep", "Rep b", reps).startswith("rep=Rep b: ")


def test_an_empty_field_that_a_fact_needs_is_told_in_plain_words(desk: Desk) -> None:
    rule = (
        '\n[[facts]]\nkind = "deal.owner_assigned"\nat = "day"\n[facts.fields]\nowner = "o"\n'
    )
    (remark,) = desk.bring(opening("") + rule, "id,day,o\n1,2026-01-05,\n").refused
    assert remark.reason == "deal.owner_assigned: owner: is empty, and the fact needs it"
    assert remark.column == "o"


def test_a_day_before_1900_is_reported_as_it_was_typed(desk: Desk) -> None:
    rule = '\n[[facts]]\nkind = "deal.quote_issued"\nat = "day"\n[facts.fields]\n'
    fields = 'quote = { value = "1" }\nvalid_until = "until"\n'
    table = "id,day,until\n1,2026-01-05,1850-03-01\n2,1850-03-01,\n"
    refused = desk.bring(opening("") + rule + fields, table).refused
    assert [(r.column, r.value) for r in refused] == [
        ("until", "1850-03-01"),
        ("day", "1850-03-01"),
    ]
    assert all(r.reason.endswith("lies before 1900 or out of range") for r in refused)


def test_cents_and_percents_are_scaled_exactly(desk: Desk) -> None:
    spec = 'amount = { column = "cents", scale = "0.01" }'
    assert opened(desk, spec, "cents", "1999").amount == Money("19.99", "EUR")


def test_a_mistyped_amount_refuses_the_row_and_names_it(desk: Desk) -> None:
    said = refusal(desk, 'amount = "sum"', "sum", "12x")
    assert said.startswith("sum=12x: is not a number")


def test_a_bad_value_may_be_left_out_and_is_reported(desk: Desk) -> None:
    mapping = opening('amount = { column = "sum", on_error = "omit" }')
    report = desk.bring(mapping, "id,day,sum\n1,2026-01-05,12x\n")
    assert desk.deal("1").amount is None
    (remark,) = report.adjusted
    assert (remark.line, remark.column, remark.value) == (2, "sum", "12x")
    assert report.rows_adjusted == report.rows_recorded == 1


def test_a_day_field_is_read_in_the_formats_of_the_table(desk: Desk) -> None:
    formats = '[times]\nformats = ["iso", "%d.%m.%Y"]\n'
    fact = opened(desk, 'expected_close = "due"', "due", "31.03.2026", formats)
    assert fact.expected_close == date(2026, 3, 31)


def test_text_that_no_fact_may_hold_is_refused(desk: Desk) -> None:
    said = refusal(desk, 'title = "t"', "t", "x" * 501)
    assert "deal.opened: title: longer than 500 characters" in said


@pytest.mark.parametrize("name", ["negotiation", "Negotiation and closing", "谈判与成交"])
def test_a_stage_is_named_by_its_key_or_in_either_language(desk: Desk, name: str) -> None:
    assert opened(desk, 'stage = "s"', "s", name).stage == "negotiation"


def test_a_stage_the_process_does_not_have_is_refused(desk: Desk) -> None:
    said = refusal(desk, 'stage = "s"', "s", "Closing soon")
    assert said.startswith(
        "s=Closing soon: is no stage of process 'standard' version 1; there are"
    )


def test_a_loss_reason_is_one_of_the_process(desk: Desk) -> None:
    mapping = WIDE.replace(
        'is = "Lost" }\nat = "closed"',
        'is = "Lost" }\nat = "closed"\n\n[facts.fields]\nbecause = "rep"',
    )
    report = desk.bring(
        mapping,
        HEAD + "1,价格,,Lost,2026-01-05,2026-02-03\n2,whim,,Lost,2026-01-05,2026-02-03\n",
    )
    assert desk.events("1")[1].fact == DealLost(because="price")
    assert [(r.line, r.value) for r in report.refused] == [(3, "whim")]


def test_parts_and_lists_are_built_from_columns(desk: Desk) -> None:
    lines = """
[[facts]]
kind = "deal.line_items_agreed"

[facts.fields]
lines = [
    { product = "p1", quantity = "q1", unit_price = "u1" },
    { product = "p2", unit_price = { amount = "u2", currency = { value = "USD" } } },
    { product = "p3", unit_price = "u3" },
]
"""
    desk.bring(
        opening("") + lines, "id,day,p1,q1,u1,p2,u2,p3,u3\n1,2026-01-05,pump,2,9.5,hose,1,,\n"
    )
    assert desk.events("1")[1].fact == LineItemsAgreed(
        lines=(
            QuoteLine(product="pump", quantity=Decimal(2), unit_price=Money("9.5", "EUR")),
            QuoteLine(product="hose", unit_price=Money("1", "USD")),
        )
    )


def test_a_column_may_hold_several_values(desk: Desk) -> None:
    talk = """
[[facts]]
kind = "deal.contact_logged"

[facts.fields]
participants = { column = "who", split = ";" }
"""
    desk.bring(opening("") + talk, "id,day,who\n1,2026-01-05,Ann; Bob;\n")
    assert desk.events("1")[1].fact.model_dump()["participants"] == ("Ann", "Bob")


def fact_of(desk: Desk, kind: str, fields: str, header: str, row: str) -> dict[str, object]:
    """Import one row with one rule beside the opening and give the fields of its fact."""
    rule = f'\n[[facts]]\nkind = "{kind}"\n\n[facts.fields]\n{fields}\n'
    desk.bring(opening("") + rule, f"id,day,{header}\n1,2026-01-05,{row}\n", strict=True)
    return desk.events("1")[1].fact.model_dump(exclude_none=True, exclude_defaults=True)


@pytest.mark.parametrize(
    ("said", "meant"), [("Yes", True), ("TRUE", True), ("是", True), ("0", None)]
)
def test_yes_and_no_are_read(desk: Desk, said: str, meant: bool | None) -> None:
    fields = fact_of(desk, "deal.need_identified", 'pain_point = "p"', "p", said)
    assert fields.get("pain_point") == meant


def test_what_is_neither_yes_nor_no_is_refused(desk: Desk) -> None:
    rule = '\n[[facts]]\nkind = "deal.need_identified"\n\n[facts.fields]\npain_point = "p"\n'
    report = desk.bring(opening("") + rule, "id,day,p\n1,2026-01-05,maybe\n")
    assert [(r.column, r.value, r.reason) for r in report.refused] == [
        ("p", "maybe", "is not yes or no")
    ]


def test_a_probability_in_percent_becomes_a_share(desk: Desk) -> None:
    spec = 'probability = { column = "p", scale = "0.01" }'
    assert fact_of(desk, "deal.forecast_given", spec, "p", "25") == {
        "probability": Decimal("0.25")
    }


def test_a_whole_number_may_be_written_with_zeros(desk: Desk) -> None:
    spec = 'payment_days = "p"'
    assert fact_of(desk, "deal.terms_agreed", spec, "p", "30.0") == {"payment_days": 30}


def test_a_time_inside_a_fact_is_read_like_any_other(desk: Desk) -> None:
    spec = 'owner = "o"\neffective_from = "f"'
    fields = fact_of(desk, "deal.owner_assigned", spec, "o,f", "u2,2026-07-01 09:00")
    assert fields["effective_from"] == datetime(2026, 7, 1, 7, tzinfo=UTC)


def test_an_id_names_the_same_thing_everywhere(desk: Desk) -> None:
    fields = fact_of(desk, "deal.customer_changed", 'customer_id = "c"', "c", "Acme")
    assert fields["customer_id"] == object_id("crm", "Acme", "customer")


def test_a_choice_must_be_one_of_those_there_are(desk: Desk) -> None:
    assert fact_of(desk, "deal.contact_logged", 'direction = "d"', "d", "in") == {
        "direction": "in"
    }
    rule = '\n[[facts]]\nkind = "deal.contact_logged"\n\n[facts.fields]\ndirection = {}\n'
    table = "id,day,d\n2,2026-01-05,inbound\n"
    report = desk.bring(opening("") + rule.format('"d"'), table)
    assert "is not one of 'in' or 'out'" in report.refused[0].reason
    lenient = rule.format('{ column = "d", on_error = "omit" }')
    report = desk.bring(opening("") + lenient, table)
    assert report.adjusted[0].reason.endswith("left out")
    assert report.rows_recorded == 1


def test_an_item_of_a_list_may_be_one_column(desk: Desk) -> None:
    fields = fact_of(
        desk, "deal.message_posted", 'text = "t"\nto = ["a", "b"]', "t,a,b", "hi,u1,"
    )
    assert fields == {"text": "hi", "to": ("u1",)}


OFFER = """
[[facts]]
kind = "deal.quote_issued"

[facts.fields]
quote = "q"
valid_until = "until"
"""


def test_a_quote_runs_out_at_the_end_of_its_last_day(desk: Desk) -> None:
    desk.bring(opening("") + OFFER, "id,day,q,until\n1,2026-01-05,Q7,2026-03-29\n")
    fact = desk.events("1")[1].fact
    assert isinstance(fact, QuoteIssued)
    assert fact.expires_at is not None
    assert fact.expires_at.isoformat() == "2026-03-29T22:00:00+00:00"


def test_an_offer_that_runs_out_after_the_last_day_there_is_refuses_its_row(desk: Desk) -> None:
    report = desk.bring(
        opening("") + OFFER,
        "id,day,q,until\n1,2026-01-05,Q7,9999-12-31\n2,2026-01-05,Q8,2026-03-29\n",
    )
    (refused,) = report.refused
    assert (refused.line, refused.column, refused.value) == (2, "until", "9999-12-31")
    assert report.rows_recorded == 1


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ('{ column = "a", is = "x" }', "1"),
        ('{ column = "a", is = "X", ignore_case = true }', "1"),
        ('{ column = "a", is_not = "x" }', "23"),
        ('{ column = "a", in = ["x", "y"] }', "12"),
        ('{ column = "a", not_in = ["x", "y"] }', "3"),
        ('{ column = "a", empty = true }', "3"),
        ('{ column = "a", filled = true }', "12"),
        ('{ column = ["a", "b"], filled = true }', "123"),
        ('{ column = "b", matches = "^[0-9]+$" }', "13"),
        ('{ column = "b", is = 5 }', "1"),
        ('{ any = [{ column = "a", is = "x" }, { column = "b", is = "7" }] }', "13"),
        ('{ not = { column = "a", is = "x" } }', "23"),
        ('[{ column = "a", filled = true }, { column = "b", is_not = "5" }]', "2"),
        ('{ all = [{ column = "a", is = "x" }, { not = { column = "b", is = "7" } }] }', "1"),
        ('{ column = "a", is = "x", not = { column = "b", is = "5" } }', ""),
    ],
)
def test_a_condition_chooses_rows(desk: Desk, condition: str, taken: str) -> None:
    mapping = opening("").replace(
        'kind = "deal.opened"', f'kind = "deal.opened"\nwhen = {condition}'
    )
    report = desk.bring(
        mapping, "id,day,a,b\n1,2026-01-05,x,5\n2,2026-01-05,y,z\n3,2026-01-05,,7\n"
    )
    assert "".join(n for n in "123" if desk.kinds(n)) == taken
    assert report.rows_refused == 3 - len(taken)


def test_a_row_no_rule_takes_is_refused_and_one_left_out_on_purpose_is_counted(
    desk: Desk,
) -> None:
    mapping = WIDE.replace(
        'at = "created"', 'at = "created"\nwhen = { column = "rep", filled = true }'
    )
    mapping += """
[[leave_out]]
when = { column = "status", is = "Test" }
because = "made to try the form"
"""
    report = desk.bring(
        mapping, HEAD + "1,,,Open,2026-01-05,\n2,u1,,Test,2026-01-05,\n3,u2,,Test,2026-01-05,\n"
    )
    assert [(r.line, r.reason) for r in report.refused] == [
        (2, "no rule of the mapping takes this row")
    ]
    assert [(o.reason, o.rows, o.first_line) for o in report.left_out] == [
        ("made to try the form", 2, 3)
    ]
    assert report.facts_told == 0


@pytest.mark.parametrize(
    ("rule", "value", "reason"),
    [
        ("filled = true", "", "is empty, and the mapping wants it filled"),
        ('allowed = ["a", "b"]', "c", "is not one of a, b"),
        ("matches = '^u[0-9]+$'", "eve", "does not match ^u[0-9]+$"),
        (
            'type = "number"',
            "12x",
            "is not a number; see [numbers] for commas, spaces and signs around a number",
        ),
        ('type = "integer"', "1.5", "is not a whole number"),
        ('type = "time"', "soon", "is not a time written as iso"),
        (
            'type = "day"\nformats = ["%d.%m.%Y"]',
            "2026-01-01",
            "is not a time written as %d.%m.%Y",
        ),
    ],
)
def test_a_column_keeps_its_rules(desk: Desk, rule: str, value: str, reason: str) -> None:
    said = refusal(desk, "", "c", value, f"[columns.c]\n{rule}\n")
    assert said == f"c={value}: {reason}"


@pytest.mark.parametrize(
    ("value", "formats"),
    [
        ("2026/01/08", '["%Y/%m/%d"]'),
        ("2026/1/8 09:30", '["%Y/%m/%d %H:%M"]'),
        ("2026年1月8日", '["%Y年%m月%d日"]'),
        ("8.1.2026", '["%d.%m.%Y"] or ["%m.%d.%Y"]'),
        ("31/01/2026", '["%d/%m/%Y"]'),
        ("01/31/2026", '["%m/%d/%Y"]'),
    ],
)
def test_a_time_that_is_not_read_names_the_format_that_would_read_it(
    desk: Desk, value: str, formats: str
) -> None:
    said = refusal(desk, "", "c", value, '[columns.c]\ntype = "time"\n')
    assert f"formats = {formats} below [times] would read it" in said
    [format] = re.findall(r'"([^"]+)"', formats)[:1]
    assert datetime.strptime(value, format).year == 2026  # noqa: DTZ007 - only the year


@pytest.mark.parametrize("value", ["2026/02/30", "1/2/26", "12/34", "2026-13-01", "1/2/3/2026"])
def test_no_format_is_named_that_would_not_read_it(desk: Desk, value: str) -> None:
    said = refusal(desk, "", "c", value, '[columns.c]\ntype = "time"\n')
    assert "would read it" not in said


def test_a_value_against_the_rules_may_be_taken_as_empty(desk: Desk) -> None:
    rule = '[columns.rep]\nallowed = ["u1"]\non_error = "empty"\n'
    report = desk.bring(opening('owner = "rep"', rule), "id,day,rep\n1,2026-01-05,u9\n")
    assert desk.events("1")[0].fact.model_dump()["owner"] is None
    assert [r.reason for r in report.adjusted] == ["is not one of u1; taken as empty"]


def test_what_stands_for_nothing_is_counted_by_column_and_value(desk: Desk) -> None:
    mapping = opening(
        'owner = "rep"\namount = "sum"', 'empty = ["-"]\n[columns.sum]\nempty = ["0"]\n'
    )
    table = "id,day,rep,sum\n1,2026-01-05,-,0\n2,2026-01-05,,5\n3,2026-01-05,n/a,0\n"
    report = desk.bring(mapping, table)
    assert [(f.column, f.finding, f.value, f.rows, f.first_line) for f in report.findings] == [
        ("rep", "stands for empty", "-", 1, 2),
        ("sum", "stands for empty", "0", 2, 2),
        ("rep", "empty", "", 1, 3),
        ("rep", "looks like empty", "n/a", 1, 4),
    ]
    assert desk.deal("1").amount is None


def test_a_column_the_file_may_lack_counts_as_empty(desk: Desk) -> None:
    extra = "[columns.rep]\noptional = true\n"
    assert opened(desk, 'owner = "rep"', "other", "x", extra).owner is None


def test_columns_nobody_asked_for_are_reported(desk: Desk) -> None:
    report = desk.bring(opening('owner = "rep"'), "id,day,rep,mood\n1,2026-01-05,u1,good\n")
    assert report.unknown_columns == ["mood"]


def test_another_table_is_joined_by_a_column(desk: Desk) -> None:
    desk.file("reps.csv", "name,rep id\nAnn,u1\nBob,u2\n")
    lookup = (
        '[lookups.reps]\nfile = "reps.csv"\non = "rep"\nkey = "name"\nmap = { Annie = "Ann" }\n'
    )
    table = "id,day,rep\n1,2026-01-05,Annie\n2,2026-01-05,Eve\n3,2026-01-05,\n"
    report = desk.bring(opening('owner = "reps.rep id"', lookup), table)
    assert [desk.events(n)[0].fact.model_dump()["owner"] for n in "123"] == ["u1", None, None]
    missing = next(f for f in report.findings if f.finding == "not in lookup")
    assert (missing.column, missing.value, missing.first_line) == ("reps (rep)", "Eve", 3)


def test_a_value_the_other_table_does_not_know_may_be_refused(desk: Desk) -> None:
    desk.file("reps.csv", "rep,owner\nAnn,u1\n")
    lookup = '[lookups.reps]\nfile = "reps.csv"\non = "rep"\nmissing = "refuse"\n'
    assert (
        refusal(desk, 'owner = "reps.owner"', "rep", "Eve", lookup)
        == "rep=Eve: is not in reps.csv"
    )


def test_another_table_may_say_one_thing_of_a_key_only(desk: Desk) -> None:
    desk.file("reps.csv", "rep,owner\nAnn,u1\nAnn,u2\n")
    lookup = '[lookups.reps]\nfile = "reps.csv"\non = "rep"\n'
    with pytest.raises(InputError, match="line 3: 'Ann' stands there twice"):
        desk.bring(opening("", lookup), "id,day,rep\n1,2026-01-05,Ann\n")


def test_customers_are_registered_once_and_their_deals_name_them(desk: Desk) -> None:
    customer = '[customer]\nid = "firm"\n\n[customer.fields]\nsegment = "line"\n'
    table = (
        "id,day,firm,line\n1,2026-01-05,Acme,tools\n2,2026-01-05,Acme,tools\n3,2026-01-05,,\n"
    )
    report = desk.bring(opening("", customer), table)
    acme = object_id("crm", "Acme", "customer")
    (registered,) = desk.log.stream(acme)
    assert registered.fact == CustomerRegistered(name="Acme", segment="tools")
    assert registered.occurred == registered.recorded
    assert [desk.deal(n).customer_id for n in "123"] == [acme, acme, None]
    assert (report.customers_registered, report.facts_recorded) == (1, 4)
    assert desk.bring(opening("", customer), table).facts_recorded == 0


def test_a_process_of_the_mapping_is_published_once(desk: Desk) -> None:
    process = """
[process]
key = "own"
name_en = "Own"
name_zh = "自有"

[[process.stages]]
key = "talk"
name_en = "Talk"
name_zh = "洽谈"
probability = "0.5"
source = ["T1", "T2"]

[[process.stages]]
key = "signed"
name_en = "Signed"
name_zh = "签约"
category = "won"
probability = 1
"""
    mapping = opening('stage = "s"', process)
    table = "id,day,s\n1,2026-01-05,T2\n2,2026-01-05,Signed\n"
    assert desk.bring(mapping, table).process_published == "own v1"
    assert desk.bring(mapping, table).process_published is None
    assert desk.deal("1").stage == "talk"
    assert desk.deal("2").outcome == "won"
    with pytest.raises(InputError, match=r"published already with other stages.*version = 2"):
        desk.bring(mapping.replace('"0.5"', '"0.6"'), table)


def test_a_version_cannot_be_published_behind_a_later_one(desk: Desk) -> None:
    stages = '[{ key = "a", name_en = "A", name_zh = "甲", probability = 1 }]'
    own = '[process]\nkey = "own"\nversion = {}\nname_en = "O"\nname_zh = "自"\nstages = {}\n'
    table = "id,day\n1,2026-01-05\n"
    desk.bring(opening("", own.format(2, stages)), table)
    with pytest.raises(InputError, match="up to version 2; version 1 cannot follow it"):
        desk.bring(opening("", own.format(1, stages)), table)


def test_a_process_that_is_published_is_named_by_key_and_version(desk: Desk) -> None:
    first = opening(
        "",
        '[process]\nkey = "own"\nname_en = "O"\nname_zh = "自"\n'
        'stages = [{ key = "a", name_en = "A", name_zh = "甲", probability = 1 }]\n',
    )
    desk.bring(first, "id,day\n1,2026-01-05\n")
    named = opening('stage = "s"', '[process]\nkey = "own"\nversion = 1\n')
    desk.bring(named, "id,day,s\n2,2026-01-05,甲\n", strict=True)
    assert desk.deal("2").stage == "a"


def test_rows_without_a_deal_id_are_refused(desk: Desk) -> None:
    report = desk.bring(opening(""), "id,day\n,2026-01-05\n2,2026-01-05\n")
    assert [(r.line, r.column, r.reason) for r in report.refused] == [
        (2, "id", "has no deal id")
    ]
    assert report.rows_recorded == 1


def test_a_deal_id_may_be_woven_from_columns(desk: Desk) -> None:
    mapping = opening("").replace('object = "id"', 'object = { template = "{land}-{id}" }')
    desk.bring(mapping, "id,land,day\n7,DE,2026-01-05\n")
    assert desk.kinds("DE-7") == ["opened"]


def test_two_rows_of_one_deal_tell_it_once(desk: Desk) -> None:
    report = desk.bring(opening(""), "id,day\n1,2026-01-05\n1,2026-01-06\n")
    (remark,) = report.refused
    assert (remark.line, remark.reason, remark.value) == (
        3,
        "opens the deal as an earlier row",
        "line 2",
    )


def test_a_refused_row_does_not_stand_in_the_way_of_the_next(desk: Desk) -> None:
    report = desk.bring(
        WIDE, HEAD + "1,u,x,Won,2026-01-05,2026-02-01\n1,u,5,Won,2026-01-05,2026-02-01\n"
    )
    assert [r.line for r in report.refused] == [2]
    assert desk.kinds("1") == ["opened", "won"]


def test_a_deal_cannot_be_merged_with_itself(desk: Desk) -> None:
    merge = '\n[[facts]]\nkind = "deal.merged"\n\n[facts.fields]\ninto = "into"\n'
    report = desk.bring(opening("") + merge, "id,day,into\n1,2026-01-05,1\n")
    assert [r.reason for r in report.refused] == ["merges a deal with itself"]


def test_a_deal_goes_on_only_under_a_process_that_is_published(desk: Desk) -> None:
    migrated = """
[[facts]]
kind = "deal.migrated"

[facts.fields]
process = "p"
process_version = { value = 3 }
"""
    report = desk.bring(opening("") + migrated, "id,day,p\n1,2026-01-05,other\n")
    assert "process 'other' version 3 is not published" in report.refused[0].reason


def test_a_customer_may_have_a_date_of_its_own(desk: Desk) -> None:
    customer = '[customer]\nid = "firm"\nat = "since"\n'
    table = "id,day,firm,since\n1,2026-01-05,Acme,2019-05-01\n2,2026-01-05,Beta,2027-01-01\n"
    report = desk.bring(opening("", customer), table)
    (registered,) = desk.log.stream(object_id("crm", "Acme", "customer"))
    assert registered.occurred_at.isoformat() == "2019-04-30T22:00:00+00:00"
    assert ["future" in r.reason for r in report.refused] == [True]


def test_a_joined_table_may_be_found_in_any_case(desk: Desk) -> None:
    desk.file("reps.csv", "rep,owner\nANN,u1\n")
    lookup = (
        '[lookups.reps]\nfile = "reps.csv"\non = "rep"\nignore_case = true\nmap = "names"\n'
    )
    maps = '[maps.names]\nAnnie = "Ann"\n'
    assert opened(desk, 'owner = "reps.owner"', "rep", "Annie", lookup + maps).owner == "u1"


@pytest.mark.parametrize(
    ("lookup", "match"),
    [
        (
            'file = "reps.csv"\non = "rep"\nkey = "name"',
            "there is no column of reps.csv 'name'",
        ),
        ('file = "reps.csv"\non = "reep"', "there is no column of reps.csv 'reep'"),
        ('file = "reps.csv"\non = "rep"\nmap = "names"', "there is no map 'names'"),
        ('file = "bad.csv"\non = "rep"', "bad.csv, line 2: has 1 fields"),
    ],
)
def test_a_joined_table_that_does_not_fit_is_refused(
    desk: Desk, lookup: str, match: str
) -> None:
    desk.file("reps.csv", "rep,owner\nAnn,u1\n")
    desk.file("bad.csv", "rep,owner\nAnn\n")
    with pytest.raises(InputError, match=match):
        desk.bring(opening("", f"[lookups.reps]\n{lookup}\n"), "id,day,rep\n1,2026-01-05,Ann\n")


def test_a_column_of_a_joined_table_has_to_be_there(desk: Desk) -> None:
    desk.file("reps.csv", "rep,owner\nAnn,u1\n")
    lookup = '[lookups.reps]\nfile = "reps.csv"\non = "rep"\n'
    with pytest.raises(InputError, match=r"no column of reps.csv 'ownr', did you mean 'owner'"):
        desk.bring(opening('owner = "reps.ownr"', lookup), "id,day,rep\n1,2026-01-05,Ann\n")


def test_both_halves_of_a_merge_are_recorded(desk: Desk) -> None:
    merge = """
[[facts]]
kind = "deal.merged"
when = { column = "into", filled = true }

[facts.fields]
into = "into"
"""
    report = desk.bring(opening("") + merge, "id,day,into\n1,2026-01-05,2\n2,2026-01-05,\n")
    assert desk.kinds("1") == ["opened", "merged"]
    assert desk.kinds("2") == ["absorbed", "opened"] or desk.kinds("2") == [
        "opened",
        "absorbed",
    ]
    assert desk.deal("1").merged_into == object_id("crm", "2")
    assert report.facts_recorded == 4


def test_amounts_of_other_currencies_are_refused(desk: Desk) -> None:
    extra = '[numbers]\nstrip = ["$", "€"]\n'
    report = desk.bring(
        opening('amount = "value"', extra),
        "id,day,value\n1,2026-01-05,$5\n2,2026-01-05,€5\n3,2026-01-05,5\n",
    )
    assert [(r.line, r.value) for r in report.refused] == [(2, "$5")]
    assert "is written with $, and its currency is EUR" in report.refused[0].reason
    assert str(desk.deal("2").amount) == "5 EUR"


def test_a_sign_is_not_left_behind_by_an_extract(desk: Desk) -> None:
    amount = 'amount = { column = "value", extract = "[0-9]+" }'
    report = desk.bring(
        opening(amount),
        "id,day,value\n1,2026-01-05,(5)\n2,2026-01-05,-5\n3,2026-01-05,about 5\n",
    )
    assert [r.line for r in report.refused] == [2, 3]
    assert "extract the sign too" in report.refused[0].reason
    assert str(desk.deal("3").amount) == "5 EUR"


def test_an_amount_beyond_what_can_be_kept_is_refused_with_the_bound(desk: Desk) -> None:
    report = desk.bring(
        opening('amount = "value"').replace("EUR", "VND"),
        "id,day,value\n1,2026-01-05,9223372036854.775807\n2,2026-01-05,9300000000000\n",
    )
    assert [r.line for r in report.refused] == [3]
    assert "at most 9,223,372,036,854.775807" in report.refused[0].reason
    assert str(desk.deal("1").amount) == "9,223,372,036,854.775807 VND"


def test_a_title_of_several_lines_is_taken_as_one_and_reported(desk: Desk) -> None:
    report = desk.bring(
        opening('title = "name"'), 'id,day,name\n1,2026-01-05,"Big\r\n deal\tof\nMay"\n'
    )
    assert desk.deal("1").title == "Big deal of May"
    assert "taken for spaces" in report.adjusted[0].reason


def test_spaces_of_any_kind_make_no_other_value(desk: Desk) -> None:
    report = desk.bring(
        opening('title = "Deal name"'),
        "\u00a0id\ufeff,day,Deal\u00a0 name\n\ufeff1\u00a0,2026-01-05,\u3000A\u00a0B\u200b\n",
    )
    assert report.rows_recorded == 1
    assert desk.deal("1").title == "A B"
