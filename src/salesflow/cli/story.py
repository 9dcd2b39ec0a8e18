"""The story of a simulated team: its funnel now and then, one deal, one late correction.

It is a module of its own, so that `salesflow demo --help` loads no engine.
"""

import shlex
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from salesflow.adapters.event_store.search import log_stats
from salesflow.cli.ask import show_view
from salesflow.cli.context import CommandContext
from salesflow.cli.deal.commands import replay_table
from salesflow.cli.things.ids import Called
from salesflow.demo.office import Correction, Office
from salesflow.demo.world import END, ZONE
from salesflow.domain.deal import Deal
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.event import Event, FactRetracted
from salesflow.domain.time import to_instant
from salesflow.engine import SalesFlow
from salesflow.presentation.deal_view import replay
from salesflow.presentation.fact_text import describe_fact
from salesflow.presentation.fields import Json
from salesflow.presentation.format import Total, amount_text, local_time
from salesflow.presentation.messages import fact_name
from salesflow.presentation.table import TableOfView
from salesflow.presentation.value_text import exact_money_text
from salesflow.projections.pipeline.funnel import Funnel, FunnelView

__all__ = ["Story"]

PAST: Final = ("2024-06-30", "2025-03-31", "2025-12-31")
TODAY: Final = "2026-06-30"
FACTS_WANTED: Final = 30
"""A deal worth replaying has about so many facts."""
CURRENCY: Final = "CNY"
MILLIONS: Final = "Deals · Amount, million"
DAY = timedelta(days=1)


class StoryMoment(NamedTuple):
    """A correction, and the end of a month between the mistake and its discovery."""

    correction: Correction
    day: date
    wrong: Event
    size: Decimal


class Story:
    """What there is to tell of a simulated database."""

    def __init__(self, context: CommandContext, flow: SalesFlow, office: Office) -> None:
        self.desk, self.flow, self.office = context, flow, office
        self.screen = context.screen
        self._data: dict[str, Json] = {}

    def tell(self) -> None:
        """Tell it all, to people or as JSON."""
        self._numbers()
        self._funnel_today()
        self._funnel_then()
        self._one_deal()
        self._one_correction()
        self.screen.json(self._data)

    def _numbers(self) -> None:
        counted = log_stats(self.flow.log)
        self._data |= {
            "database": self.desk.shown_url,
            "seed": self.office.seed,
            "events": counted.events,
            "deals": len(self.office.lives),
            "customers": len(self.office.customers),
        }
        self._heading(1, "A sales team", ", 2024-01-01 … 2026-06-30")
        word = self.screen.word
        self.screen.line(
            f"{len(self.office.lives):,} {word('deals with')} {len(self.office.customers):,}"
            f" {word('customers,')} {counted.events:,} {word('events in')}"
            f" {self.desk.shown_url} ({word('seed')} {self.office.seed})"
        )

    def _heading(self, number: int, text: str, more: str = "") -> None:
        self.screen.heading(f"{number}  {self.screen.word(text)}{more}")

    def _funnel_today(self) -> None:
        self._heading(2, "The funnel at the end of", f" {TODAY}")
        view = self.flow.ask(Funnel(), as_of=TODAY)
        self._data["funnel_today"] = view.to_dict()
        if not self.screen.as_json:
            show_view(self.desk, view)

    def _funnel_then(self) -> None:
        """Show open deals per stage at three past dates beside today's."""
        self._heading(3, "The same question as of three past dates")
        views = {day: self.flow.ask(Funnel(), as_of=day) for day in (*PAST, TODAY)}
        self._data["funnels"] = {day: view.to_dict() for day, view in views.items()}
        zh = self.desk.language == "zh"
        stages = {
            stage.stage: stage.name_zh if zh else f"{stage.name_en} {stage.name_zh}"
            for stage in views[TODAY].stages
        }
        rows = [
            (name, *(_open_in(view, key) for view in views.values()))
            for key, name in stages.items()
        ]
        for closed in views[TODAY].closed:
            counts = (_closed_as(view, closed.outcome) for view in views.values())
            rows.append((self.screen.word(closed.outcome), *counts))
        columns = ("Stage", *views)
        self.screen.table(TableOfView(MILLIONS, columns, tuple(rows), about=CURRENCY))

    def _one_deal(self) -> None:
        """Replay a won deal of middling length, one that was negotiated."""
        self._heading(4, "One deal, replayed step by step")
        deal = self._deal_worth_replaying()
        steps = replay(deal, Called(self.flow), self.desk.language, to_instant(END))
        self._data["replayed"] = {
            "deal": str(deal.id),
            "title": deal.title,
            "steps": len(steps),
        }
        self.screen.table(replay_table(self.desk, self.flow, deal, steps))
        self.screen.line(f"salesflow deal replay {self._shown(deal)} --as-of {TODAY}", "dim")

    def _shown(self, deal: Deal) -> str:
        """Name a deal and where to find it, as one would type it."""
        tenant = self.flow.log.tenant
        words = [str(deal.id)[:8], "--db", self.desk.shown_url]
        words += [] if tenant == "main" else ["--tenant", tenant]
        words += [] if self.desk.language == "en" else ["--lang", self.desk.language]
        return shlex.join(words)

    def _deal_worth_replaying(self) -> Deal:
        """Choose a won deal of about so many facts that was not won easily."""
        deals = [self.flow.get(Deal, id) for id in self.office.won]
        return min(
            (deal for deal in deals if deal.outcome == "won"),
            key=lambda deal: (
                not (deal.objections and any(q.revisions for q in deal.quotes.values())),
                abs(len(deal.history) - FACTS_WANTED),
            ),
        )

    def _one_correction(self) -> None:
        """Show a mistyped win as it was believed at a month's end, and as it is known now."""
        self._heading(5, "A late correction, on both axes of time")
        told = max(filter(None, map(self._told, self.office.corrections)), key=lambda t: t.size)
        day, id = told.day.isoformat(), told.correction.deal
        then = self.flow.get(Deal, id, as_of=day, known_at=day)
        now = self.flow.get(Deal, id, as_of=day)
        believed = self.flow.ask(Funnel(), as_of=day, known_at=day)
        known = self.flow.ask(Funnel(), as_of=day)
        word = self.screen.word
        asked = word("what did we sell by the end of")
        self.screen.line(f"{word('Deal')} {str(id)[:8]} {then.title}: {asked} {day}?")
        rows = (
            (
                f"{word('known at the end of')} {day}",
                exact_money_text(then.amount),
                _won(believed),
            ),
            (word("known now"), exact_money_text(now.amount), _won(known)),
        )
        columns = ("On record", "This deal", "All won deals")
        self.screen.table(TableOfView("", columns, rows))
        self._explain(told)
        self._data["correction"] = {
            "deal": str(id),
            "as_of": day,
            "believed_then": believed.to_dict(),
            "known_now": known.to_dict(),
            "amount_then": _text(then.amount),
            "amount_now": _text(now.amount),
        }
        zone = self.flow.settings().timezone
        for view in (believed, known):
            self.screen.moment(view.moment, zone)

    def _explain(self, told: StoryMoment) -> None:
        """List the events of this deal that make the difference."""
        explaining = [
            event
            for event in self.flow.history(told.correction.deal)
            if event.event_id == told.wrong.event_id or _corrects(event, told.wrong)
        ]
        rows = tuple(
            (
                f"{event.position:,}",
                local_time(event.occurred_at, ZONE),
                local_time(event.recorded_at, ZONE),
                fact_name(type(event.fact), self.desk.language),
                describe_fact(event.fact, self.desk.language, ZONE),
                event.actor or "",
            )
            for event in explaining
        )
        columns = ("Event no.", "Occurred", "Recorded", "Event", "Details", "Actor")
        self.screen.table(TableOfView("Events behind the changes", columns, rows))

    def _told(self, correction: Correction) -> StoryMoment | None:
        """Find a month's end at which the mistake was recorded but not yet discovered."""
        events = self.flow.history(correction.deal)
        wrong = next(
            e
            for e in events
            if isinstance(e.fact, DealWon) and e.fact.amount == correction.wrong
        )
        recorded = wrong.recorded_at.astimezone(ZONE).date()
        day = _month_end(recorded)
        if day >= correction.mended.astimezone(ZONE).date():
            return None
        if correction.right.currency != CURRENCY:
            return None
        size = abs(correction.wrong.amount - correction.right.amount)
        return StoryMoment(correction, day, wrong, size)


def _corrects(event: Event, wrong: Event) -> bool:
    if isinstance(event.fact, FactRetracted):
        return event.fact.event_id == wrong.event_id
    return (
        isinstance(event.fact, DealWon)
        and event.position > wrong.position
        and event.occurred == wrong.occurred
    )


def _month_end(day: date) -> date:
    return (day.replace(day=1) + 32 * DAY).replace(day=1) - DAY


def _open_in(view: FunnelView, stage: str) -> str:
    found = next((each for each in view.stages if each.stage == stage), None)
    return "   –" if found is None else _counted(found.deals, found.amounts)


def _closed_as(view: FunnelView, outcome: str) -> str:
    found = next(each for each in view.closed if each.outcome == outcome)
    return _counted(found.deals, found.amounts)


def _counted(deals: int, amounts: tuple[Total, ...]) -> str:
    """Return deals and their amount in the house's main currency."""
    amount = next((total.amount for total in amounts if total.currency == CURRENCY), Decimal(0))
    return f"{deals:>4,} · {amount / 1_000_000:>6,.1f}"


def _won(view: FunnelView) -> str:
    won = next(each for each in view.closed if each.outcome == "won")
    amount = next((t.amount for t in won.amounts if t.currency == CURRENCY), Decimal(0))
    return amount_text(amount, CURRENCY)


def _text(value: object) -> str:
    return "" if value is None else str(value)
