"""How the draw and the guarantee of a statement were shared out over the days of its period.

It is a module of its own: what is due needs no sale, and is shown beside them.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated

from salesflow.domain.calendar import Days
from salesflow.domain.incentive_plan import PlanVersion
from salesflow.domain.values import Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import money_text
from salesflow.presentation.messages import Language, in_language, say
from salesflow.projections.incentives.settlement import days_of_versions

__all__ = ["DueShown", "due_notes", "due_shown"]


class DueShown(Value):
    """What a version of a plan pays at least for a period, and for how many days of it."""

    plan_version: Annotated[int, FieldRole.KEY]
    draw: Decimal | None
    """For a whole period; None where it has none."""
    guarantee: Decimal | None
    days: int
    """On which it was in force and for the rep."""
    period_days: int


def due_shown(
    period: Days, version_on: Callable[[date], PlanVersion | None]
) -> Iterator[DueShown]:
    """Yield what each version of a period pays at least, where it does."""
    versions, period_days = days_of_versions(period, version_on)
    for version, days in versions:
        draw, guarantee = version.terms.draw, version.terms.guarantee
        if draw or guarantee:
            yield DueShown(
                plan_version=version.version,
                draw=draw,
                guarantee=guarantee,
                days=days,
                period_days=period_days,
            )


def due_notes(due: Sequence[DueShown], currency: str, language: Language) -> Iterator[str]:
    """Say of how many days a draw or a guarantee is, where it is not of all."""
    for each in due:
        for name, whole in (("draw", each.draw), ("guarantee", each.guarantee)):
            if whole and each.days < each.period_days:
                yield say(
                    "{name} for {days} of {all} days: {part} of {whole}",
                    language,
                    name=in_language(name, language),
                    days=each.days,
                    all=each.period_days,
                    part=money_text(whole * each.days / each.period_days, currency),
                    whole=money_text(whole, currency),
                )
