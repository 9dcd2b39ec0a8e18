"""Statements on the command line: what is issued, and what is still to be paid."""

from questions.paying import corrected, issued, payroll, plan, won
from simulated import ran


def cells(text: str, name: str) -> list[str]:
    """Give what stands in the last column, of lines that begin with a name."""
    return [line.split("  ")[-1].strip() for line in text.splitlines() if name in line]


def test_a_list_of_statements_and_each_of_them_say_what_is_not_paid_yet(
    sqlite_url: str,
) -> None:
    march = (plan(), won(1, "03-10", "10000"), issued("04-01", "2026-03"))
    with payroll(*march, corrected("04-02", "2026-03", "-200"), url=sqlite_url) as found:
        listed = ran("statement", "list", "--db", sqlite_url)
        assert "Not paid yet" in listed.out
        assert cells(listed.out, "2026-03") == ["-200 CNY"]
        shown = ran("statement", "show", "ae", "ann", "2026-03-01", "--db", sqlite_url)
        assert cells(shown.out, "Not paid yet") == ["-200 CNY"]
        found.play(issued("2027-06-02", "2026-07"))  # with the next one that is issued
        listed = ran("statement", "list", "--db", sqlite_url)
        assert cells(listed.out, "2026-03") == ["–"]
        then = ran("statement", "list", "--as-of", "2026-05-01", "--db", sqlite_url)
        assert cells(then.out, "2026-03") == ["-200 CNY"]
