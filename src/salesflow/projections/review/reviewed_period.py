"""What people made of a review: its figures then and now, what was found and what is done.

The figures of a review are those of the retrospective of its period at the moment at which they
were fixed. Beside them stand the same as known today: of the same time in the world, with what
was corrected or told late since. Findings and actions are those of the review itself at the
question's moment, and the actions of the review before with what has become of them.

It is a module of its own, since a retrospective of a period without a review needs none of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import Annotated, Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.review import ActionState, AgreedAction, Review, ReviewState, review_id
from salesflow.domain.time import Instant, from_instant, to_instant
from salesflow.domain.values import (
    EXACT_DIGITS,
    Currency,
    Personal,
    Reference,
    SafeText,
    Value,
)
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, local_day, local_time, money_text, short_id
from salesflow.presentation.messages import Language, in_language, key_text, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.columns import NO_NUMBER, Column, HeldRows
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.core.replaying import state_of
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.review import REVIEW
from salesflow.projections.review.retrospective_figures import FigureMoved, Unit
from salesflow.projections.review.retrospective_layout import RetrospectiveLayout
from salesflow.projections.review.review_scope import ReviewScope
from salesflow.projections.scope import Teams

__all__ = [
    "ActionOfReview",
    "DealRestated",
    "FigureRestated",
    "FindingOfReview",
    "ReviewedPeriod",
    "agreed_tables",
    "closings_restated",
    "earlier",
    "figures_restated",
    "read_review",
    "reviewed_period",
    "reviewed_tables",
]


class FigureRestated(Value):
    """One figure of the period as it was fixed, and as it is known now."""

    figure: Annotated[Reference, FieldRole.KEY]
    currency: Annotated[Currency | None, FieldRole.KEY]
    unit: Annotated[Unit, FieldRole.TRAIT]
    fixed: Decimal | None
    now: Decimal | None
    change: Decimal | None
    """None where either is undefined."""


class DealRestated(Value):
    """A deal that closed otherwise in the period than was known when the figures were fixed."""

    deal: Annotated[UUID, FieldRole.KEY]
    outcome_fixed: Reference | None
    """None where it had not closed in the period, as far as was known; so below."""
    outcome_now: Reference | None
    closed_fixed: datetime | None
    closed_now: datetime | None
    amount_fixed: Decimal | None
    amount_now: Decimal | None
    currency_fixed: Currency | None
    currency_now: Currency | None


class FindingOfReview(Value):
    """What was found out in a review."""

    position: Annotated[int, FieldRole.KEY]
    found_at: datetime
    figure: Reference | None
    deal: UUID | None
    text: Personal


class ActionOfReview(Value):
    """What somebody is to do, and what has become of it by the moment."""

    review: Annotated[Reference, FieldRole.KEY]
    action: Annotated[Reference, FieldRole.KEY]
    text: Personal
    owner: Reference
    due: date
    state: ActionState
    """Of an action carried over to the review asked about, its state there."""
    overdue: bool
    """Whether it is open past its day, or was done past it."""
    agreed_in: Reference
    """The review in which it was agreed first."""
    agreed_at: datetime
    ended_at: datetime | None
    outcome: Personal | None
    """What came of it, or why it was dropped or carried over."""


class ReviewedPeriod(Value):
    """A review beside the figures of its period."""

    review: Reference
    state: Literal["open", "closed"]
    opened_at: datetime
    closed_at: datetime | None
    summary: Personal | None
    follows: Reference | None
    followed_by: tuple[SafeText, ...]
    """The reviews that took over what this one carried over, by their keys."""
    fixed_as_of: datetime
    """What had happened by then is in the figures."""
    fixed_known_at: datetime
    """What was known by then is in the figures."""
    figures: tuple[FigureRestated, ...]
    figures_changed: int
    deals: tuple[DealRestated, ...]
    """Those that closed otherwise, the newest closings first."""
    deals_total: int
    findings: tuple[FindingOfReview, ...]
    actions: tuple[ActionOfReview, ...]
    actions_open: int
    actions_before: tuple[ActionOfReview, ...]
    """Those of the review it follows."""


def read_review(key: str, reader: Reader) -> ReviewState:
    """Return a review as believed at the moment.

    Raises:
        NotFoundError: naming those there are.
    """
    found = _review(key, reader)
    if found is None:
        names = sorted(filter(None, reader.columns(REVIEW).cells("review")))
        raise NotFoundError(f"there is no review {key!r} by then; there are {_listed(names)}")
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _review(key: str, reader: Reader) -> ReviewState | None:
    state = state_of(Review, ReviewState, reader.events(review_id(key)), reader)
    return state if state.key else None


def earlier(review: ReviewState, reader: Reader) -> EarlierReader:
    """Return the snapshot as it is read for the figures of a review."""
    opening = review.opening
    assert opening is not None
    return EarlierReader.fixed_by(reader, opening, as_of=review.as_of, known_at=review.known_at)


def figures_restated(
    fixed: Iterable[FigureMoved], now: Iterable[FigureMoved]
) -> Iterator[FigureRestated]:
    """Set figures as they were fixed beside the same as known now."""
    then, today = ({(it.figure, it.currency): it for it in side} for side in (fixed, now))
    for key, one in {**then, **today}.items():
        before, after = (side[key].value if key in side else None for side in (then, today))
        change = None
        if before is not None and after is not None:
            with localcontext(prec=EXACT_DIGITS):
                change = after - before
        yield FigureRestated(
            figure=one.figure,
            currency=one.currency,
            unit=one.unit,
            fixed=before,
            now=after,
            change=change,
        )


CLOSED: Final = ("outcome", "closed", "amount", "currency")
"""What makes a closing another one."""


def closings_restated(
    span: Span, only: Mapping[str, Any], readers: tuple[Reader, Reader], limit: int
) -> tuple[list[DealRestated], int]:
    """Find the deals that closed otherwise in a period than was known before.

    Return so many at most, the newest closings first, and how many there are in all.
    """
    then, now = (_closed(span, only, reader) for reader in readers)
    differ = np.union1d(_not_alike(then, now), _not_alike(now, then))
    here, there = (
        {row[0]: row[1:] for row in rows.where(np.isin(rows["entity_id"], differ)).records(
            "entity_id", *CLOSED
        )}
        for rows in (then, now)
    )  # fmt: skip
    found = [_restated(deal, here.get(deal), there.get(deal)) for deal in {**here, **there}]
    found.sort(key=_newest_first)
    return found[:limit], len(found)


def _closed(span: Span, only: Mapping[str, Any], reader: Reader) -> HeldRows:
    part = ReviewScope(Teams.read(reader), **only)
    rows = reader.columns(CLOSING).among("outcome", "won", "lost", "disqualified")
    rows = rows.between("closed", span.start, span.end)
    rows = rows.where(part.of_process(rows))
    return rows.where(part.owned(rows, rows["closed"]))


def _not_alike(rows: HeldRows, others: HeldRows) -> Column:
    """Return the deals of rows that no other row is like."""
    mine, theirs = rows["entity_id"], others["entity_id"]
    order = np.argsort(theirs, kind="stable")
    place = np.searchsorted(theirs, mine, sorter=order)
    there = place < len(theirs)
    place = order[np.where(there, place, 0)] if len(theirs) else np.zeros_like(place)
    alike = there.copy()
    for name in ("entity_id", *CLOSED):
        if len(theirs):
            alike &= rows[name] == others[name][place]
    found: Column = mine[~alike]
    return found


Closed = tuple[str, Instant, int | None, str | None]


def _restated(deal: UUID, fixed: Closed | None, now: Closed | None) -> DealRestated:
    sides = {"fixed": fixed, "now": now}
    told: dict[str, Any] = {"deal": deal}
    for side, closed in sides.items():
        outcome, at, amount, currency = closed or (None, None, None, None)
        told[f"outcome_{side}"] = outcome
        told[f"closed_{side}"] = None if at is None else from_instant(at)
        told[f"amount_{side}"] = None if amount in (None, NO_NUMBER) else unscaled(amount)
        told[f"currency_{side}"] = currency
    return DealRestated(**told)


def _newest_first(row: DealRestated) -> tuple[float, UUID]:
    closed = [at for at in (row.closed_fixed, row.closed_now) if at is not None]
    return -to_instant(max(closed)), row.deal


def findings_of(review: ReviewState) -> list[FindingOfReview]:
    """Return what was found out."""
    return [
        FindingOfReview(
            position=each.event.position,
            found_at=from_instant(each.event.effective),
            figure=each.figure,
            deal=each.deal,
            text=each.text,
        )
        for each in review.findings
    ]


def actions_of(review: ReviewState, reader: Reader) -> list[ActionOfReview]:
    """Return the actions of a review, in the order in which they are due."""
    found = [_action(review.key, each, reader) for each in review.actions.values()]
    return sorted(found, key=lambda each: (each.due, each.action))


def actions_before(review: ReviewState, reader: Reader) -> list[ActionOfReview]:
    """Return the actions of the review before; those taken over, as they are here by now."""
    before = None if review.follows is None else _review(review.follows, reader)
    if before is None:
        return []
    here = {each.action: each for each in actions_of(review, reader)}
    return [
        here[each.action].model_copy(update={"review": before.key})
        if each.state == "carried_over" and each.action in here
        else each
        for each in actions_of(before, reader)
    ]


def _action(review: str, action: AgreedAction, reader: Reader) -> ActionOfReview:
    ended = None if action.ended is None else from_instant(action.ended.effective)
    until = from_instant(reader.read_point.as_of)
    if action.state == "done" and ended is not None:
        until = ended
    late = action.state in ("open", "done")
    return ActionOfReview(
        review=review,
        action=action.action,
        text=action.text,
        owner=action.owner,
        due=action.due,
        state=action.state,
        overdue=late and until.astimezone(reader.timezone).date() > action.due,
        agreed_in=action.agreed_in,
        agreed_at=from_instant(action.event.effective),
        ended_at=ended,
        outcome=action.outcome,
    )


def reviewed_period(
    review: ReviewState,
    figures: Iterable[FigureRestated],
    deals: tuple[Sequence[DealRestated], int],
    readers: tuple[EarlierReader, Reader],
) -> ReviewedPeriod:
    """Put together what stands beside the figures of a review."""
    fixed, reader = readers
    opening, told = review.opening, tuple(figures)
    assert opening is not None
    follow = reader.columns(REVIEW).among("follows", review.key)
    return ReviewedPeriod(
        review=review.key,
        state="open" if review.closed is None else "closed",
        opened_at=from_instant(opening.effective),
        closed_at=None if review.closed is None else from_instant(review.closed.effective),
        summary=review.summary,
        follows=review.follows,
        followed_by=tuple(sorted(follow.cells("review"))),
        fixed_as_of=from_instant(fixed.read_point.as_of),
        fixed_known_at=from_instant(fixed.read_point.known_at),
        figures=told,
        figures_changed=sum(each.fixed != each.now for each in told),
        deals=tuple(deals[0]),
        deals_total=deals[1],
        findings=tuple(findings_of(review)),
        actions=tuple(actions_of(review, reader)),
        actions_open=len(review.open_actions),
        actions_before=tuple(actions_before(review, reader)),
    )


# A review laid out for people: its figures then and now, findings, actions.


def agreed_tables(
    review: ReviewedPeriod, timezone: ZoneInfo, language: Language
) -> list[TableOfView]:
    """Lay out what was found and agreed on in a review; first what is still to be done."""
    found = [
        _head(review, timezone, language),
        _actions("Actions", review.actions, timezone),
        _actions("Actions of the review before", review.actions_before, timezone),
        _findings(review, timezone, language),
    ]
    return [table for table in found if table.rows]


def reviewed_tables(
    review: ReviewedPeriod, timezone: ZoneInfo, language: Language
) -> list[TableOfView]:
    """Lay out what stands beside the figures of a review; first what is still to be done."""
    found = [
        *agreed_tables(review, timezone, language),
        _figures(review, RetrospectiveLayout(timezone, language)),
        _deals(review, timezone, language),
    ]
    return [table for table in found if table.rows]


def _head(review: ReviewedPeriod, timezone: ZoneInfo, language: Language) -> TableOfView:
    fixed, known = (
        local_time(at, timezone, exact=False)
        for at in (review.fixed_as_of, review.fixed_known_at)
    )
    closed = review.closed_at
    said = {
        "State": in_language("open" if closed is None else "ended", language),
        "Opened at": local_time(review.opened_at, timezone, exact=False),
        "Closed at": closed and local_time(closed, timezone, exact=False),
        "Follows": review.follows,
        "Followed by": ", ".join(review.followed_by),
        "Figures as of": fixed,
        "Figures as known at": known,
        "Open actions": f"{review.actions_open:,}",
        "Summary": review.summary,
    }
    rows = tuple((in_language(name, language), text) for name, text in said.items() if text)
    return TableOfView("Review", ("Figure", "Value"), rows, about=review.review)


def _actions(title: str, actions: Sequence[ActionOfReview], timezone: ZoneInfo) -> TableOfView:
    rows = tuple(
        (
            each.action,
            each.text,
            each.owner,
            str(each.due) + (" !" if each.overdue else ""),
            each.state,
            NO_VALUE if each.ended_at is None else local_day(each.ended_at, timezone),
            each.outcome or NO_VALUE,
            each.agreed_in,
        )
        for each in actions
    )
    columns = (
        "Action", "To be done", "Responsible", "Due", "State", "Ended", "Result or reason",
        "Agreed in",
    )  # fmt: skip
    return TableOfView(title, columns, rows, words=("State",))


def _findings(review: ReviewedPeriod, timezone: ZoneInfo, language: Language) -> TableOfView:
    rows = tuple(
        (
            local_day(each.found_at, timezone),
            each.text,
            NO_VALUE if each.figure is None else key_text(each.figure, language),
            NO_VALUE if each.deal is None else short_id(each.deal),
        )
        for each in review.findings
    )
    return TableOfView("Findings", ("Time", "Finding", "Figure", "Deal"), rows)


def _figures(review: ReviewedPeriod, lay: RetrospectiveLayout) -> TableOfView:
    rows = []
    for each in review.figures:
        moved = FigureMoved(
            figure=each.figure,
            currency=each.currency,
            unit=each.unit,
            value=each.now,
            value_before=each.fixed,
            difference=each.change,
        )
        if each.unit == "money" and not (each.now or each.fixed):
            continue
        name, now, fixed, change = lay.figure_row(moved)
        rows.append((name, fixed, now, "" if each.fixed == each.now else change))
    columns = ("Figure", "As fixed", "As known now", "Change")
    changed = say(
        "{changed:,} of {count:,} figures changed by what was told late or corrected",
        lay.language,
        changed=review.figures_changed,
        count=len(review.figures),
    )
    return TableOfView("Figures then and now", columns, tuple(rows), notes=(changed,))


def _deals(review: ReviewedPeriod, timezone: ZoneInfo, language: Language) -> TableOfView:
    rows = tuple(
        (
            short_id(each.deal),
            *(
                " · ".join(
                    (
                        in_language(outcome, language),
                        local_day(at, timezone),
                        money_text(amount, currency),
                    )
                )
                if outcome and at
                else in_language("not closed in the period", language)
                for outcome, at, amount, currency in (
                    (
                        each.outcome_fixed,
                        each.closed_fixed,
                        each.amount_fixed,
                        each.currency_fixed,
                    ),
                    (each.outcome_now, each.closed_now, each.amount_now, each.currency_now),
                )
            ),
        )
        for each in review.deals
    )
    listed = (
        f"{in_language('listed', language)} {len(rows):,}"
        f" · {in_language('in all', language)} {review.deals_total:,}"
    )
    columns = ("Deal", "As fixed", "As known now")
    return TableOfView("Closings that changed since", columns, rows, notes=(listed,))
