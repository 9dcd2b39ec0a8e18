"""One deal's timeline: the spans of its state, and every fact that led from one to the next.

Answers "how did this deal get where it stands, as we knew it then?" for any past moment. A
fact that later knowledge left without what it builds on counts for nothing: it is irregular.
Leaves out what is not believed (retracted facts are in the deal's history).
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.domain.deal.state import DealState
from salesflow.domain.event import Event, Precision, believed_history
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import FOREVER, Moment, from_instant
from salesflow.domain.values import Currency, Heard, Reference, SafeText, Value
from salesflow.domain.wording import Message
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, amount_text, given_percent, local_time
from salesflow.presentation.messages import Language, in_language, kind_name, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Question, Reader, View
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.table import Processes

__all__ = ["DealTimeline", "DealTimelineView", "StateSpan", "TimelineFact", "timeline_facts"]


SPAN_COLUMNS = (
    "From", "To", "Stage", "Outcome", "Owner", "Amount", "Expected close", "Probability",
)  # fmt: skip


class StateSpan(Value):
    """A span `[start, end)` in which the deal's state did not change; no end while it holds."""

    start: Annotated[datetime, FieldRole.KEY]
    end: datetime | None
    process: Reference
    process_version: Annotated[int, FieldRole.TRAIT]
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    outcome: Reference
    owner: Reference | None
    customer_id: UUID | None
    amount: Decimal | None
    currency: Currency | None
    expected_close: SafeText | None
    forecast_category: Reference
    probability: Decimal


class TimelineFact(Value):
    """A believed fact; `irregular` says why it does not count, None when it does."""

    position: Annotated[int, FieldRole.KEY]
    kind: Annotated[Reference, FieldRole.NAME]
    occurred_at: Annotated[datetime, FieldRole.NAME]
    effective_at: datetime
    recorded_at: datetime
    precision: Precision
    """`day` where no more than the day is known; `occurred_at` then is an instant of it."""
    actor: Heard | None
    irregular: Message | None


class DealTimelineView(View):
    """The spans of a deal's state and the facts between them."""

    population: ClassVar[str] = "one deal: its events on record that happened by the as-of time"
    formula: ClassVar[str] = "each row starts when a change took effect"
    deal: UUID
    spans: tuple[StateSpan, ...]
    facts: tuple[TimelineFact, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the timeline out in the business time zone: a row per span, a row per fact."""
        times = f"{in_language('times are those of', language)} {self.timezone}"
        return [
            TableOfView(
                "Timeline of",
                SPAN_COLUMNS,
                tuple(self._span(span, language) for span in self.spans),
                about=str(self.deal),
                words=("Outcome",),
            ),
            TableOfView(
                "Event history",
                ("Occurred", "Recorded", "Event", "Actor", "Data anomaly"),
                tuple(self._fact(fact, language) for fact in self.facts),
                notes=(times,),
            ),
        ]

    def _span(self, span: StateSpan, language: Language) -> tuple[str, ...]:
        zone = ZoneInfo(self.timezone)
        return (
            local_time(span.start, zone),
            "…" if span.end is None else local_time(span.end, zone),
            span.stage_zh if language == "zh" else span.stage_en,
            span.outcome,
            span.owner or NO_VALUE,
            amount_text(span.amount, span.currency),
            span.expected_close or NO_VALUE,
            given_percent(span.probability),
        )

    def _fact(self, fact: TimelineFact, language: Language) -> tuple[str, ...]:
        zone = ZoneInfo(self.timezone)
        occurred = local_time(fact.occurred_at, zone)
        if fact.precision == "day":
            occurred = occurred[: len("2026-03-31")]
        if fact.effective_at != fact.occurred_at:
            starts = in_language("takes effect", language)
            occurred += f"\n{starts} {local_time(fact.effective_at, zone)}"
        return (
            occurred,
            local_time(fact.recorded_at, zone),
            kind_name(fact.kind, language),
            fact.actor or NO_VALUE,
            "" if fact.irregular is None else say(fact.irregular, language),
        )


class DealTimeline(Question[DealTimelineView]):
    """How did one deal get where it stands?"""

    name: ClassVar[str] = "deal-timeline"
    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    deal: UUID
    """The deal's id."""

    def answer(self, reader: Reader, moment: Moment) -> DealTimelineView:
        """Read the deal's rows and facts at the moment.

        Raises:
            NotFoundError: when no such deal is believed to exist at the moment.
        """
        spans = tuple(_span(row, reader) for row in reader.rows(self._select(reader)))
        if not spans:
            raise NotFoundError(f"no deal {self.deal} is believed to exist at that moment")
        history = believed_history(reader.events(self.deal), reader.read_point.known_at)
        happened = [event for event in history if event.occurred <= reader.read_point.as_of]
        return DealTimelineView(
            moment=moment,
            deal=self.deal,
            spans=spans,
            facts=tuple(timeline_facts(happened, reader.processes)),
        )

    def _select(self, reader: Reader) -> sa.Select[Any]:
        c = DEAL_STATE.c
        return (
            sa.select(c.valid_from, DEAL_STATE.valid_to(reader.read_point).label("end"))
            .add_columns(*DEAL_STATE.table.c[tuple(a.name for a in DEAL_STATE.attributes)])
            .where(DEAL_STATE.started_by(reader.read_point), c.entity_id == self.deal)
            .order_by(c.valid_from)
        )


def _span(row: sa.Row[Any], reader: Reader) -> StateSpan:
    """Write a row as a span; what ends only after the moment has not ended yet."""
    ended = row.end != FOREVER and row.end <= reader.read_point.as_of
    process = reader.processes.get((row.process, row.process_version))
    stage = None if process is None else process.by_key.get(row.stage)
    return StateSpan(
        start=from_instant(row.valid_from),
        end=from_instant(row.end) if ended else None,
        process=row.process,
        process_version=row.process_version,
        stage=row.stage,
        stage_en=row.stage if stage is None else stage.name_en,
        stage_zh=row.stage if stage is None else stage.name_zh,
        outcome=row.outcome,
        owner=row.owner,
        customer_id=row.customer_id,
        amount=None if row.amount is None else unscaled(row.amount),
        currency=row.currency,
        expected_close=row.expected_close,
        forecast_category=row.forecast_category,
        probability=unscaled(row.probability),
    )


def timeline_facts(history: list[Event], processes: Processes) -> list[TimelineFact]:
    """List the facts of a believed history, and say of each why it is irregular, if it is."""
    deal = DealState(ReplayContext(processes))
    return [
        TimelineFact(
            position=event.position,
            kind=event.fact.kind,
            occurred_at=event.occurred_at,
            effective_at=from_instant(event.effective),
            recorded_at=event.recorded_at,
            precision=event.precision,
            actor=event.actor,
            irregular=None if why is None else Message(why),
        )
        for event in history
        for why in [deal.evolve(event)]
    ]
