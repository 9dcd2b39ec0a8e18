"""How an effect is laid out for people: its estimates beside the placebo, and the groups."""

from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import NO_VALUE
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.effects import Effect

__all__ = ["estimates_table", "groups_table"]


def estimates_table(
    title: str, effect: Effect, text: FigureText, *, about: str, notes: tuple[str, ...] = ()
) -> TableOfView:
    """Lay out both estimates, each beside the same one window earlier, and their range."""
    rows = (
        (
            "Difference of mean changes",
            *text.estimate(effect.changes),
            *text.estimate(effect.placebo_changes),
        ),
        (
            "Baseline-adjusted difference",
            *text.estimate(effect.adjusted),
            *text.estimate(effect.placebo_adjusted),
        ),
        ("Range of both", NO_VALUE, text.interval(effect.range), NO_VALUE, NO_VALUE),
    )
    columns = ("Estimate", "Effect", "95% interval", "Placebo", "95% interval of placebo")
    return TableOfView(title, columns, rows, notes=notes, about=about, words=("Estimate",))


def groups_table(
    title: str, effect: Effect, text: FigureText, *, groups: tuple[str, str], counted: str
) -> TableOfView:
    """Lay out those who started and those who had not yet, by the names of the two groups."""
    rows = tuple(
        (
            name,
            f"{group.people:,}",
            text.figure(group.before),
            text.figure(group.after),
            text.difference(group.change),
        )
        for name, group in zip(groups, (effect.treated, effect.compared), strict=True)
    )
    columns = ("Group", counted, "Before", "After", "Change")
    return TableOfView(title, columns, rows, words=("Group",))
