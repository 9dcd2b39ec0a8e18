"""Which figures moved most is decided by one rule, the same for everybody."""

from decimal import Decimal

from salesflow.projections.review.retrospective_brief import moved_most
from salesflow.projections.review.retrospective_figures import FigureMoved, Unit


def moved(
    figure: str, now: int | None, before: int | None, unit: Unit, currency: str | None = None
) -> FigureMoved:
    sides = [None if side is None else Decimal(side) for side in (now, before)]
    known = sides[0] is not None and sides[1] is not None
    return FigureMoved(
        figure=figure,
        currency=currency,
        unit=unit,
        value=sides[0],
        value_before=sides[1],
        difference=Decimal((now or 0) - (before or 0)) if known else None,
    )


def chosen(*figures: FigureMoved) -> list[tuple[str, str | None]]:
    return [(each.figure, each.currency) for each in moved_most(figures)]


def test_what_changed_by_the_larger_share_comes_first_and_there_are_three() -> None:
    found = chosen(
        moved("won", 20, 10, "count"),
        moved("lost", 40, 10, "count"),
        moved("created", 100, 90, "count"),
        moved("contacts", 100, 99, "count"),
    )
    assert found == [("lost", None), ("won", None), ("created", None)]


def test_ties_go_in_the_order_of_the_figures() -> None:
    assert chosen(moved("won", 20, 10, "count"), moved("lost", 10, 20, "count")) == [
        ("won", None),
        ("lost", None),
    ]


def test_small_counts_say_nothing_and_neither_does_what_stayed_or_is_not_known() -> None:
    assert (
        chosen(
            moved("won", 9, 1, "count"),
            moved("lost", 10, 10, "count"),
            moved("win_rate", None, 1, "share"),
        )
        == []
    )


def test_money_counts_in_the_currency_of_the_largest_sums_alone() -> None:
    assert chosen(
        moved("sales", 10, 1, "money", "USD"),
        moved("sales", 1_000, 900, "money", "EUR"),
        moved("open_weighted", 1_000, 1, "money", "EUR"),
    ) == [("sales", "EUR")]
