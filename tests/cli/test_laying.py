"""Tables in little room: amounts and words stay whole, and nothing is ever cut off."""

import re
from io import BytesIO, TextIOWrapper

import pytest
from rich.cells import cell_len
from rich.console import Console

from salesflow.presentation.table import TableOfView, constant_in_title, html_of
from salesflow.presentation.text import laid_out

FUNNEL = TableOfView(
    "Funnel",
    ("Stage", "Deals", "Amount", "Weighted", "Without amount"),
    (
        ("Negotiation and closing 谈判与成交", "47", "12,593,388 CNY + 62,352.05 EUR",
         "9,140,402.40 CNY + 49,881.60 EUR", ""),
        ("Prospecting", "1,046", "20,591,000.00 CNY", "928,800 CNY", "11"),
    ),
)  # fmt: skip
QUOTES = TableOfView(
    "Deal",
    ("Attribute", "Value"),
    (
        (
            "Quote Q1",
            "accepted after long talks with everybody there is, 536,895.50 CNY, until May",
        ),
    ),
)
HISTORY = TableOfView(
    "History",
    ("Position", "Occurred", "Recorded", "Actor", "Command", "Source", "What happened"),
    (
        ("57", "2024-01-02 15:24:58.913543", "2024-01-02 18:51:54.022383", "east-01",
         "to negotiation", "sales_sheet 4711#2", "summary 管理层演示 / demo " * 4),
    ),
)  # fmt: skip
KPIS = TableOfView(
    "KPIs",
    ("Figure", "Then", "Now", "Difference"),
    (
        ("Sales", "14,657,931.60 CNY", "14,769,927.60 CNY", "+111,996 CNY"),
        ("Win rate of all deals that were created in the period", "39% (31 … 48)",
         "40% (32 … 49)", "+0.47 points"),
    ),
)  # fmt: skip
AMOUNT = re.compile(r"[\d,.]*\d [A-Z]{3}\b")
INTERVAL = re.compile(r"\(-?[\d.,]+ … -?[\d.,]+\)")


def shown(table: TableOfView, width: int) -> list[str]:
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        for part in laid_out([table], "en", width):
            console.print(part)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("table", [FUNNEL, QUOTES, KPIS], ids=["funnel", "deal", "kpis"])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_an_amount_and_its_currency_stay_on_one_line(table: TableOfView, width: int) -> None:
    amounts = [each for row in table.rows for cell in row for each in AMOUNT.findall(cell)]
    found = AMOUNT.findall("\n".join(shown(table, width)))
    assert sorted(found) == sorted(amounts)


@pytest.mark.parametrize("width", [40, 44, 50, 60, 80])
def test_an_interval_stays_on_one_line(width: int) -> None:
    assert len(INTERVAL.findall("\n".join(shown(KPIS, width)))) == 2


@pytest.mark.parametrize("table", [FUNNEL, QUOTES, HISTORY], ids=["funnel", "deal", "history"])
@pytest.mark.parametrize("width", [40, 60, 80, 120, 10_000])
def test_a_table_fits_its_width_and_loses_no_word(table: TableOfView, width: int) -> None:
    lines = shown(table, width)
    assert max(map(cell_len, lines)) <= width
    words = {word for row in table.rows for cell in row for word in cell.split()} - {"+"}
    assert words <= set(" ".join(lines).split())


@pytest.mark.parametrize("table", [FUNNEL, QUOTES, HISTORY, KPIS], ids=["f", "d", "h", "k"])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_table_is_laid_out_in_however_few_columns(table: TableOfView, width: int) -> None:
    empty = TableOfView("", ("", "", ""), (("", "", ""), *(("合同", "1", ""),) * 9))
    assert shown(table, width)
    assert shown(empty, width)


def test_texts_give_way_before_columns_move_together() -> None:
    assert any(line.startswith(" Negotiation and ") for line in shown(FUNNEL, 80))


def test_columns_move_together_before_they_stand_one_below_the_other() -> None:
    [row] = [line for line in shown(FUNNEL, 62) if "12,593,388" in line]
    assert row == "Negotiation      47    12,593,388 CNY 9,140,402.40 CNY"


def test_what_fits_no_other_way_stands_one_below_the_other() -> None:
    lines = shown(FUNNEL, 40)
    assert "Deals          47" in lines
    assert not any("Without amount" in line for line in lines[:8]), "what is empty is left out"


def test_rows_that_would_be_long_and_thin_stand_one_below_the_other() -> None:
    assert "Recorded      2024-01-02 18:51:54.022383" in shown(HISTORY, 80)


def test_a_column_with_most_to_say_gets_most_of_the_room() -> None:
    [line] = [line for line in shown(HISTORY, 120) if "57" in line and "east-01" in line]
    assert "2024-01-02 15:24:58" not in line, "the times have given way to the text"


SALES = TableOfView(
    "Sales",
    ("Period", "Sales", "Orders", "Win rate", "Contacts", "Disqualified", "Reopened", "Moved"),
    (
        ("2026-04-01 … 2026-06-30", "21,748,225.40 CNY + 70 EUR", "72", "41% (33 … 49)", "3",
         "1", "0", "2"),
        ("2026-01-01 … 2026-03-31", "10,995,360.70 CNY", "70", "<1% (0 … 2)", "12", "2", "3",
         "14"),
    ),
)  # fmt: skip


def test_a_few_rows_that_are_too_wide_stand_side_by_side_with_a_figure_a_line() -> None:
    lines = shown(SALES, 67)
    at = lines.index(next(line for line in lines if "21,748,225.40 CNY" in line))
    assert lines[at].split() == ["Sales", "21,748,225.40", "CNY", "10,995,360.70", "CNY"]
    assert lines[at + 1].split() == ["70", "EUR"]
    assert lines[at + 2].split() == ["Orders", "72", "70"]
    assert " ".join(lines[at + 3].split()) == "Win rate 41% (33 … 49) <1% (0 … 2)"


def test_rows_of_figures_alone_stand_side_by_side_without_a_header() -> None:
    table = SALES._replace(columns=SALES.columns[1:], rows=tuple(r[1:] for r in SALES.rows))
    lines = shown(table, 60)
    assert not any("─" in line for line in lines)
    assert any(line.split() == ["Orders", "72", "70"] for line in lines)


def test_a_span_of_days_is_broken_behind_its_dots_alone() -> None:
    rows = tuple(("2026-04-01 … 2026-06-30", f"deal {n}", "text " * 9) for n in range(9))
    lines = shown(TableOfView("Deals", ("Period", "Deal", "Text"), rows), 50)
    assert not any(line.strip() in ("…", "… 2026-06-30") for line in lines)


def test_a_table_without_rows_says_so() -> None:
    assert shown(SALES._replace(rows=()), 80)[:2] == ["Sales", "  none"]


BY_VALUE = TableOfView(
    "By value",
    ("Stage", "Entered", "Moved on", "Conversion", "Change", "Note"),
    (
        ("Trial", "9 CNY + 8 EUR + 7 USD", "9 CNY + 7 USD", "100% (CNY) + 100% (USD)",
         "-1 USD", "3 EUR, soon"),
        ("Onboarding", "6 EUR", "–", "0% (EUR)", "6 EUR", ""),
    ),
)  # fmt: skip


def test_what_a_row_has_of_one_currency_stands_on_one_line() -> None:
    lines = [line for line in shown(BY_VALUE, 120) if re.search(r"[A-Z]{3}\b", line)]
    assert [
        re.findall(r"[-\d]\S* \(?([A-Z]{3})", line.split("3 EUR,")[0]) for line in lines
    ] == [
        ["CNY", "CNY", "CNY"],
        ["EUR"],
        ["USD", "USD", "USD", "USD"],
        ["EUR", "EUR", "EUR"],
    ]
    assert lines[2].split() == ["7", "USD", "7", "USD", "100%", "(USD)", "-1", "USD"]
    html = html_of([BY_VALUE], [])
    assert "9 CNY<br><br>7 USD" in html
    assert "<br><br>-1 USD" in html


def test_where_no_row_stands_beside_another_no_line_is_left_blank() -> None:
    for width in (30, 40):
        lines = shown(BY_VALUE._replace(rows=BY_VALUE.rows[:1]), width)
        told = [line for line in lines if re.search(r"[A-Z]{3}\b", line)]
        begun = lines.index(told[0])
        assert lines[begun : begun + len(told)] == told, width


def test_what_is_the_same_in_all_rows_is_told_once_in_the_title() -> None:
    told = constant_in_title(SALES._replace(rows=SALES.rows[:1]), "Period")
    assert (told.about, told.columns) == ("2026-04-01 … 2026-06-30", SALES.columns[1:])
    assert constant_in_title(SALES, "Period") == SALES


def test_lines_are_drawn_in_ascii_where_the_encoding_has_no_other() -> None:
    file = TextIOWrapper(BytesIO(), encoding="ascii")
    console = Console(file=file, width=80, color_system=None, legacy_windows=False)
    table = TableOfView("", ("Stage", "Amount"), (("Won", "98 CNY + 1,200 EUR"), ("Lost", "")))
    with console.capture() as captured:
        console.print(*laid_out([table], "en", 80))
    assert captured.get().splitlines() == [
        "+-----------------+",
        "|Stage |    Amount|",
        "|------+----------|",
        "|Won   |    98 CNY|",
        "|      | 1,200 EUR|",
        "|Lost  |          |",
        "+-----------------+",
    ]


GOALS = TableOfView(
    "Goals",
    ("Goal", "For", "Target", "State", "Responsible", "Parent goal"),
    tuple(
        (f"2026-q{n}-east-new-business", "team east", f"{n},000,000 CNY", "abandoned",
         "lead-east 周岚", "2026-sales-of-the-company")
        for n in range(1, 8)
    ),
    by_weight=True,
)  # fmt: skip


def test_of_a_list_the_last_columns_give_way_and_are_named() -> None:
    lines = shown(GOALS, 60)
    assert len(lines) < 2 * len(GOALS.rows) + 8, "a line or two a row"
    assert max(map(cell_len, lines)) <= 60
    told = "left out for want of room: Responsible, Parent goal;"
    assert told in " ".join(" ".join(lines).split())
    assert "left out" not in "\n".join(shown(GOALS, 200))
    assert "left out" not in "\n".join(shown(GOALS._replace(rows=GOALS.rows[:2]), 60))


def test_a_key_and_an_id_are_never_broken() -> None:
    id = "01960df9-d900-75a9-991d-f11c87150a8a"
    rows = ((id, "2026-q1-east-new-business", "text " * 20),)
    table = TableOfView("Events", ("Event ID", "Goal", "Details"), rows)
    for width in (50, 60, 80, 100):
        lines = "\n".join(shown(table, width))
        assert id in lines
        assert "2026-q1-east-new-business" in lines


def test_no_gap_stands_before_a_comma_behind_an_interval() -> None:
    table = TableOfView("", ("A", "B"), (("won 75% (41 … 93), of all that there was", "x"),))
    assert "93) ," not in "\n".join(shown(table, 24))
