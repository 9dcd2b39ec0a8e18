"""Two answers side by side: what is subtracted, what is matched, and what is only said."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel

from given import opened
from questions.shop import shop
from salesflow import STANDARD, Deal, Feedback, Money, SalesFlow
from salesflow.domain.deal.after_sales import FeedbackReceived
from salesflow.domain.metric import METRICS
from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import FieldRole, bare, field_roles, is_record, item_of
from salesflow.presentation.format import Estimate, Interval, Total
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.comparison import Comparison
from salesflow.projections.core.figure_units import unit_of
from salesflow.projections.core.question import View
from salesflow.projections.homes import QUESTION_HOMES
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.pipeline.deal_timeline import DealTimeline
from salesflow.projections.pipeline.deals import Deals
from salesflow.projections.pipeline.funnel import Funnel

ERP = UUID("e4900000-0000-4000-8000-000000000001")
MES = UUID("3e500000-0000-4000-8000-000000000002")
MARCH = datetime(2026, 3, 2, 9, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 9, tzinfo=UTC)
MAY = datetime(2026, 5, 1, 9, tzinfo=UTC)
MOMENT = Moment(as_of=MAY, known_at=MAY, position=7, revision=1)


class Inner(Value):
    month: Reference
    won: int


class Row(Value):
    """A row of every kind of field that a comparison treats in its own way."""

    rep: Reference
    name_en: SafeText
    name_zh: SafeText
    deals: int
    rate: Decimal | None = None
    sums: tuple[Total, ...] = ()
    signed: Money | None = None
    took: timedelta | None = None
    loud: bool = False
    nps: Estimate | None = None
    months: tuple[Inner, ...] = ()


class Worth(Value):
    """A row with an amount in a currency of its own."""

    deal: Annotated[UUID, FieldRole.KEY]
    amount: Decimal | None
    currency: Currency | None
    chance: Decimal


class SalesView(View):
    population: ClassVar[str] = "won deals"
    formula: ClassVar[str] = "counted"
    period: Period = Period(start=MARCH, end=APRIL)
    by: Reference = "rep"
    reps: tuple[Row, ...] = ()
    reps_total: int = 0
    worths: tuple[Worth, ...] = ()

    def tables(self, language: str = "en") -> list[TableOfView]:
        del language
        return []


def row(rep: str = "ann", **fields: Any) -> Row:  # noqa: ANN401 - any field of the row
    named = {"name_en": f"Rep {rep}", "name_zh": f"代表 {rep}", "deals": 0}
    return Row(**{"rep": rep, **named, **fields})


def total(amount: str, currency: str = "CNY") -> Total:
    return Total(currency=currency, amount=Decimal(amount))


def sales(*rows: Row, **fields: Any) -> SalesView:  # noqa: ANN401 - any field of the view
    return SalesView(moment=MOMENT, reps=rows, **fields)


def compared(then: SalesView, now: SalesView) -> dict[str, Any]:
    found: dict[str, Any] = Comparison(then=then, now=now).to_dict()["difference"]
    return found


def reps(then: Row, now: Row) -> dict[str, Any]:
    [found] = compared(sales(then), sales(now))["reps"]
    assert isinstance(found, dict)
    return found


def lines(then: SalesView, now: SalesView, language: Any = "en") -> list[tuple[str, ...]]:  # noqa: ANN401 - a language
    tables = Comparison(then=then, now=now).tables(language)
    return [line for table in tables for line in table.rows]


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    """In March a deal of 90,000.50 CNY; in April it is won at 7,000 USD, and another begins."""
    now = [MARCH]
    with SalesFlow(database_url, clock=lambda: now[0]) as opened:
        with opened.session(actor="ann") as s:
            amount = Money("90000.50", "CNY")
            s.add(Deal.open(STANDARD, title="ERP", owner="ann", amount=amount, id=ERP))
        now[0] = APRIL
        with opened.session(actor="ann") as s:
            s.get(Deal, ERP).log_contact(channel="call", direction="out")
            s.get(Deal, ERP).win(amount=Money("7000", "USD"))
            s.add(Deal.open(STANDARD, title="MES", owner="bob", id=MES))
        now[0] = MAY
        yield opened


def test_fields_are_keys_names_figures_or_traits_by_their_types() -> None:
    assert {name: role.value for name, role in field_roles(Row).items()} == {
        "rep": "key",
        "name_en": "name",
        "name_zh": "name",
        "deals": "figure",
        "rate": "figure",
        "sums": "figure",
        "signed": "figure",
        "took": "figure",
        "loud": "trait",
        "nps": "part",
        "months": "list",
    }


def test_where_a_key_is_marked_others_of_its_kind_are_traits() -> None:
    assert field_roles(Worth)["currency"] is FieldRole.TRAIT


def test_counts_and_rates_are_subtracted_exactly() -> None:
    found = reps(row(deals=3, rate=Decimal("0.1")), row(deals=5, rate=Decimal("0.3")))
    assert (found["change"], found["deals"], found["rate"]) == ("changed", 2, "0.2")


def test_large_sums_lose_no_digit() -> None:
    large, small = "99999999999999999999999999999999.999999", "0.000001"
    found = reps(row(sums=(total(small),)), row(sums=(total(large),)))
    wanted = "99999999999999999999999999999999.999998"
    assert found["sums"] == [{"currency": "CNY", "amount": wanted}]


def test_unlike_currencies_are_never_subtracted_from_one_another() -> None:
    found = reps(row(sums=(total("100"),)), row(sums=(total("100", "USD"),)))
    assert found["sums"] == [
        {"currency": "CNY", "amount": "-100"},
        {"currency": "USD", "amount": "100"},
    ]
    found = reps(row(signed=Money("7", "EUR")), row(signed=Money("9", "EUR")))
    assert found["signed"] == [{"currency": "EUR", "amount": "2"}]


def test_an_undefined_ratio_has_no_difference() -> None:
    assert reps(row(rate=None), row(rate=Decimal(1)))["rate"] is None
    assert reps(row(rate=Decimal(1)), row(rate=None))["rate"] is None


def test_rows_only_one_answer_has_are_added_or_vanished_and_nothing_is_subtracted() -> None:
    found = compared(sales(row("ann", deals=3)), sales(row("bob", deals=2)))["reps"]
    assert [(each["rep"], each["change"], each["deals"]) for each in found] == [
        ("bob", "added", None),
        ("ann", "vanished", None),
    ]


def test_a_row_that_one_answer_does_not_list_is_not_said_to_have_vanished() -> None:
    then = sales(row("ann"), reps_total=1)
    now = sales(row("bob"), reps_total=2)
    changes = [each["change"] for each in compared(then, now)["reps"]]
    assert changes == ["added", "unlisted"]


def test_another_name_makes_no_difference() -> None:
    assert reps(row(name_en="Ann"), row(name_en="Anna"))["change"] == "same"


def test_a_trait_that_changed_is_shown_on_both_sides() -> None:
    found = reps(row(loud=False), row(loud=True))
    assert found["loud"] == {"then": False, "now": True}
    assert "loud" not in reps(row(loud=True), row(loud=True))


def test_lists_and_parts_inside_a_row_are_compared_as_well() -> None:
    march, april = Inner(month="2026-03", won=1), Inner(month="2026-03", won=4)
    interval = Interval(low=Decimal(10), high=Decimal(30))
    then = Estimate(value=Decimal(20), interval=interval, count=8)
    now = Estimate(value=Decimal(25), interval=None, count=9)
    found = reps(row(months=(march,), nps=then), row(months=(april,), nps=now))
    assert found["months"] == [{"month": "2026-03", "change": "changed", "won": 3}]
    assert (found["nps"]["value"], found["nps"]["count"]) == ("5", 1)
    assert found["nps"]["interval"]["change"] == "vanished"


def test_an_amount_beside_its_currency_is_subtracted_only_within_it() -> None:
    def worth(amount: str, currency: str) -> SalesView:
        one = Worth(deal=ERP, amount=Decimal(amount), currency=currency, chance=Decimal(1))
        return sales(worths=(one,))

    [found] = compared(worth("5", "CNY"), worth("8", "CNY"))["worths"]
    assert found["amount"] == [{"currency": "CNY", "amount": "3"}]
    [found] = compared(worth("5", "CNY"), worth("8", "USD"))["worths"]
    assert found["amount"] == [
        {"currency": "CNY", "amount": "-5"},
        {"currency": "USD", "amount": "8"},
    ]


def test_tables_show_then_now_and_the_difference_beside_one_another() -> None:
    then = sales(row(deals=1200, sums=(total("98000.5"),)), row("bob", deals=1))
    now = sales(row(deals=1100, sums=(total("100000"), total("7", "USD"))), row("bob", deals=1))
    assert lines(then, now) == [
        ("Rep ann", "Deals", "1,200", "1,100", "-100"),
        ("", "Sums", "98,000.50 CNY", "100,000 CNY + 7 USD", "+1,999.50 CNY\n+7 USD"),
    ]
    [table] = Comparison(then=then, now=now).tables()
    assert table.columns == ("Rep", "Figure", "Compared with", "As asked", "Difference")
    assert table.notes == ("1 unchanged",), "rows with traits are shown where they changed"
    assert table.about == "2026-03-02 … 2026-04-01"


def test_tables_say_what_was_added_vanished_or_is_not_listed() -> None:
    found = lines(sales(row("ann", deals=3)), sales(row("bob", deals=2)))
    assert found == [
        ("Rep bob", "Deals", "–", "2", "added"),
        ("Rep ann", "Deals", "3", "–", "vanished"),
    ]


def test_an_estimate_is_one_line_with_its_interval() -> None:
    interval = Interval(low=Decimal(10), high=Decimal(30))
    then = Estimate(value=Decimal(20), interval=interval, count=8)
    now = then.model_copy(update={"value": Decimal(25)})
    assert lines(sales(row(nps=then)), sales(row(nps=now))) == [
        ("Rep ann", "NPS", "20 (10 … 30)", "25 (10 … 30)", "+5"),
    ]


class Measured(Value):
    """Figures of one metric, as rows of many questions have them."""

    metric: Reference
    value: Decimal | None
    value_before: Decimal | None = None
    currency: Annotated[Currency | None, FieldRole.TRAIT] = None


class MeasuredView(SalesView):
    measured: tuple[Measured, ...] = ()


@pytest.mark.parametrize(
    ("metric", "currency", "written"),
    [
        ("win_rate", None, ("51.2%", "48.2%", "-3.0 points")),
        ("cycle_days", None, ("0.5 d", "0.5 d", "-0.0 d")),
        ("sales", "CNY", ("0.51 CNY", "0.48 CNY", "-0.03 CNY")),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_figure_is_written_as_the_unit_of_its_metric_asks_for(
    metric: str, currency: str | None, written: tuple[str, ...], language: Language
) -> None:
    then, now = (
        MeasuredView(
            moment=MOMENT,
            measured=(
                Measured(
                    metric=metric,
                    value=Decimal(value),
                    value_before=Decimal(1),
                    currency=currency,
                ),
            ),
        )
        for value in ("0.51234", "0.4821")
    )
    words = {"points": "个百分点", "d": "天"} if language == "zh" else {}
    wanted = tuple(" ".join(words.get(w, w) for w in text.split(" ")) for text in written)
    table = Comparison(then=then, now=now).tables(language)[-1]
    [line, *_] = table.rows
    assert line[-3:] == wanted
    assert line[0] == METRICS[metric].name(language)


def test_what_a_comparison_writes_stands_in_the_tables_of_the_question(flow: SalesFlow) -> None:
    found = flow.compare(Kpis(), to_as_of="2026-03-31")
    own = {
        cell.removesuffix(" d") for t in found.now.tables() for row in t.rows for cell in row
    }
    [_, lines, *_] = found.tables()
    said = {row[-4]: row[-2].removesuffix(" d") for row in lines.rows}
    figures = {"Win rate", "Sales cycle · Median days"}
    assert figures <= {*said}
    assert {said[name] for name in figures} <= own


def test_every_figure_that_is_no_count_has_a_unit() -> None:
    """So that no comparison shows one with all its digits, or a share as a number."""
    lacking = {
        f"{record.__name__}.{name}"
        for record in records_of_answers()
        for name in field_roles(record)
        if bare(record.model_fields[name].annotation) in (Decimal, Estimate)
        if record not in (Estimate, Interval, Total) and unit_of(record, name) is None
    }
    assert lacking == set()


def records_of_answers() -> set[type[BaseModel]]:
    """Return every answer of a question, and the records in it."""
    found: set[type[BaseModel]] = set()
    for home in QUESTION_HOMES.values():
        import_module(home.partition(":")[0])
    waiting: list[Any] = [v for v in views_below(View) if v.__module__.startswith("salesflow.")]
    while waiting:
        record = waiting.pop()
        if record in found:
            continue
        found.add(record)
        kinds = [bare(field.annotation) for field in record.model_fields.values()]
        waiting += [kind for kind in map(item_of, kinds) if is_record(kind)]
        waiting += [kind for kind in kinds if is_record(kind)]
    return found


def views_below(view: Any) -> Iterator[Any]:  # noqa: ANN401 - a view is abstract
    for below in view.__subclasses__():
        yield below
        yield from views_below(below)


def test_lines_of_traits_and_of_rows_inside_say_whose_they_are() -> None:
    then = row(took=timedelta(hours=1), months=(Inner(month="2026-03", won=1),))
    now = row(took=timedelta(hours=3), loud=True, months=(Inner(month="2026-03", won=4),))
    assert lines(sales(then), sales(now)) == [
        ("Rep ann", "Took", "1:00:00", "3:00:00", "2:00:00"),
        ("", "Loud", "no", "yes", ""),
        ("", "Months · 2026-03 · Won", "1", "4", "+3"),
    ]


def test_what_stands_beside_the_lists_comes_first() -> None:
    then, now = sales(reps_total=1), sales(reps_total=3, by="team")
    assert lines(then, now) == [
        ("Reps total", "1", "3", "+2"),
        ("By", "rep", "team", ""),
    ]


def test_two_answers_stand_at_one_position_of_the_log(flow: SalesFlow) -> None:
    found = flow.compare(Funnel(), to_as_of="2026-03-31")
    assert found.then.moment.position == found.now.moment.position == flow.log.head().position
    assert found.then.moment.as_of == datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert found.then.moment.known_at == found.now.moment.known_at == APRIL


def test_the_funnel_of_may_beside_that_of_march(flow: SalesFlow) -> None:
    found = flow.compare(Funnel(), to_as_of="2026-03-31").to_dict()["difference"]
    assert found["open_deals"] == 0, "one was won, another one began"
    first, *others = found["stages"]
    assert first == {
        "group": None,
        "process": "standard",
        "stage": "prospecting",
        "name_en": "Prospecting",
        "name_zh": "潜在客户识别",
        "change": "changed",
        "deals": 0,
        "deals_without_amount": 1,
        "amounts": [{"currency": "CNY", "amount": "-90000.5"}],
        "weighted": [{"currency": "CNY", "amount": "-9000.05"}],
    }
    assert {each["change"] for each in others} == {"same"}
    won = found["closed"][0]
    assert (won["outcome"], won["deals"]) == ("won", 1)
    assert won["amounts"] == [{"currency": "USD", "amount": "7000"}]


def test_what_was_learned_is_compared_when_both_moments_say_what_was_known(
    flow: SalesFlow,
) -> None:
    late = Money("80000.50", "CNY")
    with flow.session() as s:
        s.get(Deal, ERP).forecast(amount=late, occurred_at=MARCH + timedelta(days=1))
    day = "2026-03-31"
    found = flow.compare(Funnel(), as_of=day, to_as_of=day, to_known_at=day)
    amounts = found.to_dict()["difference"]["stages"][0]["amounts"]
    assert amounts == [{"currency": "CNY", "amount": "-10000"}]
    same = flow.compare(Funnel(), as_of=day, known_at=day, to_as_of=day)
    assert same.difference.change == "same"


def test_the_list_of_deals_says_what_moved_and_what_was_added(flow: SalesFlow) -> None:
    found = flow.compare(Deals(), to_as_of="2026-03-31").to_dict()["difference"]
    assert found["deals_total"] == 1
    changes = {each["title"]: each for each in found["deals"]}
    assert changes["MES"]["change"] == "added"
    assert changes["ERP"]["outcome"] == {"then": "open", "now": "won"}
    assert changes["ERP"]["amount"] == [
        {"currency": "CNY", "amount": "-90000.5"},
        {"currency": "USD", "amount": "7000"},
    ]


def test_a_timeline_says_which_facts_came_since(flow: SalesFlow) -> None:
    found = flow.compare(DealTimeline(deal=ERP), to_as_of="2026-03-31").to_dict()["difference"]
    assert [(each["kind"], each["change"]) for each in found["facts"]] == [
        ("deal.opened", "same"),
        ("deal.contact_logged", "added"),
        ("deal.won", "added"),
    ]


def test_what_did_not_exist_then_cannot_be_compared(flow: SalesFlow) -> None:
    with pytest.raises(NotFoundError, match=r"to compare with, as of 2026-03-31: no deal"):
        flow.compare(DealTimeline(deal=MES), to_as_of="2026-03-31")


def test_two_answers_of_one_moment_are_the_same_whatever_is_asked(flow: SalesFlow) -> None:
    found = flow.compare(Deals(), as_of=MAY, to_as_of=MAY)
    assert found.difference.change == "same"
    assert found.then == found.now


class OverviewView(SalesView):
    """An answer with as many tables as lists, of which the first is none of the lists."""

    def tables(self, language: str = "en") -> list[TableOfView]:
        del language
        return [TableOfView("Overview", ("Deals",), (("1",),)), TableOfView("By rep", (), ())]


def test_each_list_stands_under_its_own_name_whatever_tables_the_answer_has() -> None:
    views = [
        OverviewView(
            moment=MOMENT,
            reps=(row("ann", deals=deals), row("bob")),
            worths=tuple(
                Worth(deal=deal, amount=Decimal(deals), currency="CNY", chance=Decimal(1))
                for deal in (ERP, MES)
            ),
        )
        for deals in (1, 2)
    ]
    tables = Comparison(then=views[0], now=views[1]).tables()
    assert [table.title for table in tables] == ["Reps", "Worths"]
    assert [table.columns[0] for table in tables] == ["Rep", "Deal"]


def test_a_row_of_an_event_is_named_by_its_deal_and_day_and_not_by_its_number() -> None:
    with shop() as books:
        books.turn("2026-05-20").tell(1, ("2026-04-01", opened(title="ERP")))
        for day in ("2026-05-03", "2026-05-04"):
            books.tell(1, (day, FeedbackReceived(scale="nps", score=2, text="slow")))
        asked = Feedback(from_=date(2026, 5, 1), to=date(2026, 6, 1))
        found = books.flow.compare(asked, as_of="2026-05-20", to_as_of="2026-05-01")
        for language, owed in (("en", "Due for follow-up"), ("zh", "应跟进")):
            tables = found.tables(language)  # type: ignore[arg-type]
            rows = [table for table in tables if table.columns[0] == "Deal"]
            assert len(rows) == 2, "what was said, and the detractors"
            for table in rows:
                days = {
                    cell[:10] for row in table.rows for cell in row if cell[:7] == "2026-05"
                }
                assert days == {"2026-05-03", "2026-05-04"}
            named = [row[0] for row in tables[0].rows]
            assert any(owed in each for each in named)
            assert "到期日" not in "".join(named)


def test_words_of_closed_lists_are_never_compared_by_their_keys() -> None:
    class Covered(View):
        population: ClassVar[str] = "all"
        formula: ClassVar[str] = "as it is"
        missing: tuple[Literal["economic_buyer", "champion"], ...]

        def tables(self, language: Language = "en") -> list[TableOfView]:
            """Lay nothing out."""
            del language
            return []

    then, now = (
        Covered(moment=MOMENT, missing=found) for found in (("champion",), ("economic_buyer",))
    )
    text = Comparison(then=then, now=now).table("zh")
    assert "预算决策人" in text
    assert "economic_buyer" not in text
