"""Mistakes in a mapping are found before a row is read, and named with key and line."""

import json
from unicodedata import normalize

import pytest

from importing.desk import EVENTS, WIDE, Desk
from salesflow.adapters.event_store.log import NewEvent
from salesflow.adapters.importers import TableMapping, import_table
from salesflow.adapters.importers.table.mapping_file import MappingFile
from salesflow.domain.settings import Settings
from salesflow.errors import InputError

TABLE = "id,rep,amount,status,created,closed\n1,u1,10,Won,2026-01-01,2026-02-01\n"


def complaint(desk: Desk, mapping: str, table: str = TABLE) -> str:
    with pytest.raises(InputError) as refused:
        desk.bring(mapping, table)
    assert desk.log.head().position == 0
    return str(refused.value).replace(str(desk.folder), "").lstrip("/")


def test_an_unknown_key_is_named_with_its_line_and_what_there_is(desk: Desk) -> None:
    said = complaint(desk, WIDE.replace('object = "id"', 'objekt = "id"'))
    assert said.startswith("mapping.toml, line 3: objekt: there is no key 'objekt'")
    assert "did you mean 'object'?" in said


def test_an_unknown_key_of_a_rule_is_named(desk: Desk) -> None:
    said = complaint(desk, WIDE.replace('at = "closed"', 'on = "closed"', 1))
    assert said.startswith("mapping.toml, line 18: facts[2].on: there is no key 'on'")
    assert "at" in said.split("There are:")[1]


def test_a_missing_key_is_named(desk: Desk) -> None:
    assert "rows is missing" in complaint(desk, WIDE.replace('rows = "deals"', ""))


def test_a_misspelt_fact_is_named_with_the_likeliest(desk: Desk) -> None:
    said = complaint(desk, WIDE.replace("deal.won", "deal.wun"))
    assert said.startswith("mapping.toml, line 16: facts[2].kind: there is no fact 'deal.wun'")
    assert "did you mean 'deal.won'?" in said
    assert "deal.quote_issued" in said


def test_a_misspelt_field_is_named_with_those_there_are(desk: Desk) -> None:
    said = complaint(desk, WIDE.replace('owner = "rep"', 'ovner = "rep"'))
    assert said.startswith("mapping.toml, line 12: facts[1].fields.ovner:")
    assert "field of deal.opened 'ovner', did you mean 'owner'?" in said


def test_a_missing_column_is_named_with_those_of_the_file(desk: Desk) -> None:
    said = complaint(desk, WIDE.replace('owner = "rep"', 'owner = "repp"'))
    assert "there is no column 'repp', did you mean 'rep'?" in said
    assert "id, rep, amount, status, created, closed" in said


def test_a_constant_taken_for_a_column_is_explained(desk: Desk) -> None:
    mapping = WIDE.replace(
        'amount = "amount"', 'amount = { column = "amount", currency = "USD" }'
    )
    assert '{ value = "USD" }' in complaint(desk, mapping)


def test_a_column_that_stands_twice_is_refused_when_it_is_used(desk: Desk) -> None:
    twice = TABLE.replace("status", "amount")
    assert "two columns named 'amount'" in complaint(desk, WIDE, twice)


def test_a_fact_without_what_it_needs_is_refused(desk: Desk) -> None:
    said = complaint(
        desk, WIDE.replace("deal.won", "deal.stage_moved").replace('amount = "amount"\n', "", 2)
    )
    assert "deal.stage_moved needs target" in said


def test_a_constant_that_can_never_be_right_is_refused(desk: Desk) -> None:
    said = complaint(desk, WIDE.replace('owner = "rep"', 'stage = { value = "nowhere" }'))
    assert "is no stage of process 'standard' version 1" in said
    said = complaint(desk, WIDE.replace('owner = "rep"', 'expected_close = { value = "soon" }'))
    assert "is not a time" in said


@pytest.mark.parametrize(
    ("field", "match"),
    [
        ("owner = { column = 'rep', value = 'x' }", "exactly one of column, columns, template"),
        ("owner = { column = 'rep', scale = '0.01' }", "scale is for numbers"),
        ("owner = { column = 'rep', unmapped = 'refuse' }", "unmapped goes with a map"),
        ("owner = { column = 'rep', map = 'reps' }", "there is no map 'reps'"),
        ("owner = { template = 'no braces' }", "names columns in braces"),
        ("owner = { template = '{nobody}' }", "there is no column 'nobody'"),
        ("owner = []", "write the name of a column"),
        ("amount = { amount = 'amount', curency = 'x' }", "did you mean 'currency'"),
        ("amount = { value = 'much' }", "is not a number"),
    ],
)
def test_a_value_that_means_nothing_is_refused(desk: Desk, field: str, match: str) -> None:
    mapping = WIDE.replace('owner = "rep"\namount = "amount"', field)
    assert match in complaint(desk, mapping)


def test_a_part_of_a_list_is_checked_like_a_field(desk: Desk) -> None:
    lines = """
[[facts]]
kind = "deal.line_items_agreed"
at = "created"

[facts.fields]
lines = {}
"""
    said = complaint(desk, WIDE + lines.format('{ produkt = "rep" }'))
    assert "field of QuoteLine 'produkt', did you mean 'product'" in said
    assert "QuoteLine needs unit_price" in complaint(
        desk, WIDE + lines.format('{ product = "rep" }')
    )
    assert "write a table with some of product" in complaint(desk, WIDE + lines.format('"rep"'))


def test_an_amount_without_any_currency_is_refused(desk: Desk) -> None:
    assert "needs a currency" in complaint(desk, WIDE.replace('currency = "EUR"', ""))


def test_a_rule_without_a_time_is_refused(desk: Desk) -> None:
    assert "say when it happened" in complaint(desk, WIDE.replace('at = "created"', ""))


@pytest.mark.parametrize(
    ("condition", "match"),
    [
        ('{ column = "status" }', "say what the column must be"),
        ('{ is = "Won" }', "name the `column`"),
        ('{ column = "status", equals = "Won" }', "there is no key 'equals'"),
        ('{ column = "status", matches = "(" }', "no regular expression"),
        ("{ }", "says nothing"),
        ("{ first = true }", "need the mapping's at"),
    ],
)
def test_a_condition_that_means_nothing_is_refused(
    desk: Desk, condition: str, match: str
) -> None:
    mapping = WIDE.replace('{ column = "status", is = "Won" }', condition)
    assert match in complaint(desk, mapping)


@pytest.mark.parametrize(
    ("added", "match"),
    [
        ('[times]\nformats = ["dd/mm/yyyy"]', "is no time format"),
        ('[times]\nformats = ["%H:%M"]', "does not say the year"),
        ('[times]\nformats = ["%Y-%m-%d %H:%M %Z"]', "write %z"),
        ('[times]\ntimezone = "Berlin"', "is not a time zone"),
        ('[file]\nencoding = "gbk-9"', "is not an encoding"),
        ('[numbers]\nthousands = "."', "cannot be the same"),
        ("[columns.nowhere]\nfilled = true", "no column 'nowhere'"),
        ('[lookups.reps]\nfile = "reps.csv"\non = "rep"', "there is no file"),
        ('[process]\nkey = "own"', "is not published"),
        (
            '[process]\nkey = "own"\nname_en = "Own"\nname_zh = "自有"\nstages = []',
            "open stage",
        ),
        ('[[leave_out]]\nwhen = { column = "status", is = "x" }', "because is missing"),
    ],
)
def test_a_setting_that_cannot_be_right_is_refused(desk: Desk, added: str, match: str) -> None:
    assert match in complaint(desk, f"{WIDE}\n{added}\n")


@pytest.mark.parametrize(
    "name", ["客户系统", "вэб-1", "CRM_2.x", "カ\u3099", "हिन्दी", "ระบบที่1", "s" * 64]
)
def test_a_source_has_a_name_in_any_script(desk: Desk, name: str) -> None:
    desk.bring(WIDE.replace('source = "crm"', f'source = "{name}"'), TABLE)
    before = desk.log.head()
    desk.bring(WIDE.replace('source = "crm"', f'source = "{normalize("NFC", name)}"'), TABLE)
    assert desk.log.head() == before


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:b", "-a", "_a", "a/b", "s" * 65, "a\u0000"]
)
def test_what_cannot_name_a_source_is_refused_in_a_sentence(desk: Desk, name: str) -> None:
    said = complaint(desk, WIDE.replace('"crm"', json.dumps(name), 1))
    assert "cannot name a source; write up to 64 letters or digits of any script" in said


def test_a_part_that_is_no_section_says_how_it_is_written(desk: Desk) -> None:
    said = complaint(desk, 'process = "robots"\n' + WIDE)
    assert 'process: is a section of its own: [process] and, below it, key = "robots"' in said
    said = complaint(desk, 'numbers = ","\n' + WIDE)
    assert "numbers: is a section of its own: write [numbers]" in said


def test_a_mistake_in_the_process_is_named_with_its_line(desk: Desk) -> None:
    process = """
[process]
key = "own"
name_en = "Own"
name_zh = "自有"

[[process.stages]]
key = "a"
name_en = "A"
name_zh = "甲"
probability = "0.5"
sorce = ["x"]
"""
    said = complaint(desk, WIDE + process)
    assert said.startswith("mapping.toml, line 38: process.stages[1].sorce: there is no key")
    assert "did you mean 'source'?" in said


def test_two_stages_cannot_stand_for_the_same_value(desk: Desk) -> None:
    stage = """
[[process.stages]]
key = "{0}"
name_en = "{0}"
name_zh = "{0}"
probability = "0"
source = "x"
"""
    process = '[process]\nkey = "own"\nname_en = "Own"\nname_zh = "自有"\n'
    said = complaint(desk, WIDE + process + stage.format("a") + stage.format("b"))
    assert "'x' is the source of both 'a' and 'b'" in said


def test_two_rules_that_tell_the_same_of_every_row_are_refused(desk: Desk) -> None:
    again = '\n[[facts]]\nkind = "deal.opened"\nat = "created"\n'
    assert "rule 1 yield the same fact" in complaint(desk, WIDE + again)


def test_what_is_no_toml_is_refused_with_the_place(desk: Desk) -> None:
    assert "is not TOML" in complaint(desk, "source = crm")


def test_a_mapping_that_is_not_there_is_one_clear_error(desk: Desk) -> None:
    table = desk.file("table.csv", TABLE)
    with pytest.raises(InputError, match="there is no mapping file"):
        import_table(table, desk.folder / "gone.toml", log=desk.log)
    with pytest.raises(InputError, match="is a folder"):
        import_table(table, desk.folder, log=desk.log)


def test_a_mapping_may_be_written_in_python(desk: Desk) -> None:
    mapping = TableMapping.model_validate(
        {
            "source": "crm",
            "rows": "deals",
            "object": "id",
            "timezone": "Europe/Berlin",
            "facts": [{"kind": "deal.opened", "at": "created"}],
        }
    )
    for form in (mapping, MappingFile(mapping, "ours")):
        import_table(desk.file("table.csv", TABLE), form, log=desk.log)
    assert desk.kinds("1") == ["opened"]


def test_days_need_a_zone_and_nothing_is_recorded_without_one(desk: Desk) -> None:
    homeless = EVENTS.replace('timezone = "Europe/Berlin"\n', "")
    table = (
        "case,what,time,who,offer,id\n1,opened,2026-01-01T10:00Z,u,,\n1,won,2026-01-02,u,,\n"
    )
    assert "--timezone" in complaint(desk, homeless, table)
    assert desk.bring(homeless, table, timezone="Asia/Shanghai").facts_recorded == 2


def keep_days_in(desk: Desk, timezone: str) -> None:
    settings = Settings.begin(timezone=timezone)
    (recorded,) = settings.pending
    desk.log.append(
        [
            NewEvent(
                stream_id=settings.id,
                version=1,
                topic="settings.changed:1",
                payload=recorded.fact.to_json(),
                event_id=settings.id,
                occurred=None,
            )
        ]
    )


def test_one_database_has_one_zone_for_its_days(desk: Desk) -> None:
    keep_days_in(desk, "Asia/Shanghai")
    with pytest.raises(InputError, match="keeps its days in Asia/Shanghai, not Europe/Berlin"):
        desk.bring(WIDE, TABLE)
    settled = (
        WIDE.replace("Europe/Berlin", "Asia/Shanghai") + '[times]\ntimezone = "Europe/Berlin"\n'
    )
    assert desk.bring(settled, TABLE).facts_recorded == 2


def test_a_zone_said_twice_must_be_the_same(desk: Desk) -> None:
    with pytest.raises(InputError, match="Europe/Berlin, not Asia/Shanghai"):
        desk.bring(WIDE, TABLE, timezone="Asia/Shanghai")


@pytest.mark.parametrize("other", ["Asia/Calcutta", "Asia/Kolkata"])
def test_a_zone_of_two_names_is_one_zone(desk: Desk, other: str) -> None:
    keep_days_in(desk, "Asia/Kolkata")
    report = desk.bring(WIDE.replace("Europe/Berlin", other), TABLE, timezone="Asia/Calcutta")
    assert report.facts_recorded == 2
