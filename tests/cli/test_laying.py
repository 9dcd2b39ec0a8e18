"""Tables in little room: amounts and words stay whole, and nothing is ever cut off."""

import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from salesflow.projections.laying import laid_out
from salesflow.projections.questions import TableOfView

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
        ("Win rate of all deals that were created in the period", "39 % (31 … 48)",
         "40 % (32 … 49)", "+0.47 points"),
    ),
)  # fmt: skip
AMOUNT = re.compile(r"[\d,.]*\d [A-Z]{3}\b")
INTERVAL = re.compile(r"\(-?[\d.,]+ … -?[\d.,]+\)")


def shown(table: TableOfView, width: int) -> list[str]:
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        for part in laid_out(table, str, width):
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
