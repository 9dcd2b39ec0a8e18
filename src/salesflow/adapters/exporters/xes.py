"""Histories of deals as XES (IEEE 1849-2016), which process-mining tools read.

A trace is a deal, an event a fact of it, in the order that is believed at the moment.
`concept:name` of an event is the kind of its fact, `time:timestamp` when it took effect, with
the offset of the business time zone; `org:resource` who recorded it, `lifecycle:transition`
always `complete`. All else that a fact says stands beside it under the names of its fields,
where the deal stood after it as `stage` and `outcome`. A fact that counts for nothing says why
under `irregular`.

Personal texts are left out unless they are asked for. Amounts are written with all their
digits.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.adapters.exporters.fact_attributes import Attribute, Scalar, attributes_of
from salesflow.adapters.exporters.histories import BelievedStream, Histories
from salesflow.adapters.exporters.xml_text import xml_quoted
from salesflow.adapters.logs import Progress
from salesflow.domain.deal.state import DealState
from salesflow.domain.event import Event
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import from_instant
from salesflow.presentation.messages import say

__all__ = ["WrittenTraces", "write_xes"]


EXTENSIONS: Final = (
    ("Concept", "concept", "concept"),
    ("Time", "time", "time"),
    ("Lifecycle", "lifecycle", "lifecycle"),
    ("Organizational", "org", "org"),
    ("Identity", "identity", "identity"),
)
CLASSIFIERS: Final = (
    ("Activity", "concept:name lifecycle:transition"),
    ("Activity-and-stage", "concept:name stage"),
    ("Resource", "org:resource"),
)
OPENING: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<log xes.version="1849.2016" xes.features=""'
    ' xmlns="http://www.xes-standard.org/">\n'
)
EPOCH: Final = "1970-01-01T00:00:00.000+00:00"
GLOBALS: Final = (
    '<global scope="trace"><string key="concept:name" value=""/></global>\n'
    '<global scope="event"><string key="concept:name" value=""/>'
    f'<date key="time:timestamp" value="{EPOCH}"/>'
    '<string key="lifecycle:transition" value="complete"/></global>\n'
)


class WrittenTraces(NamedTuple):
    """What was written: how many traces and events, and how many were cut off."""

    traces: int
    events: int
    left_out: int


def write_xes(
    histories: Histories,
    write: Callable[[bytes], object],
    *,
    timezone: ZoneInfo,
    about: dict[str, str],
    personal: bool,
    progress: Progress | None = None,
) -> WrittenTraces:
    """Write the deals of a moment; `about` says of which moment and log they are."""
    write(_opening(about).encode())
    traces = events = 0
    for deal in histories.of({"deal"}, progress):
        trace = "".join(_trace(deal, histories, timezone, personal=personal))
        write(trace.encode())
        traces += 1
        events += len(deal.history)
    write(b"</log>\n")
    return WrittenTraces(traces, events, histories.left_out)


def _opening(about: dict[str, str]) -> str:
    extensions = "".join(
        f'<extension name="{name}" prefix="{prefix}"'
        f' uri="http://www.xes-standard.org/{file}.xesext"/>\n'
        for name, prefix, file in EXTENSIONS
    )
    classifiers = "".join(
        f'<classifier name="{name}" keys="{keys}"/>\n' for name, keys in CLASSIFIERS
    )
    said = "".join(_line(Attribute(*each)) + "\n" for each in about.items())
    return f"{OPENING}{extensions}{GLOBALS}{classifiers}{said}"


def _trace(
    deal: BelievedStream, histories: Histories, timezone: ZoneInfo, *, personal: bool
) -> Iterator[str]:
    state = DealState(ReplayContext(histories.processes))
    lines = []
    for event in deal.history:
        irregular = state.evolve(event)
        lines.append(_event(event, state, irregular, timezone, personal=personal))
    yield "<trace>\n"
    for attribute in _of_deal(deal, state):
        yield f"{_line(attribute)}\n"
    yield from lines
    yield "</trace>\n"


def _of_deal(deal: BelievedStream, state: DealState) -> Iterator[Attribute]:
    """Yield what is so of a deal at the moment."""
    yield Attribute("concept:name", str(deal.id))
    amount = state.amount
    said: dict[str, Scalar | None] = {
        "title": state.title,
        "process": state.process,
        "process_version": state.process_version,
        "stage": state.stage,
        "outcome": state.status,
        "owner": state.owner,
        "customer": None if state.customer_id is None else str(state.customer_id),
        "amount": None if amount is None else amount.amount,
        "amount_currency": None if amount is None else amount.currency,
    }
    for name, value in said.items():
        if value is not None and value != "":
            yield Attribute(name, value)


def _event(
    event: Event, state: DealState, irregular: str | None, timezone: ZoneInfo, *, personal: bool
) -> str:
    when = from_instant(event.effective).astimezone(timezone)
    said: dict[str, Scalar | None] = {
        "concept:name": event.fact.kind,
        "time:timestamp": when,
        "lifecycle:transition": "complete",
        "org:resource": event.actor,
        "position": event.position,
        "recorded_at": from_instant(event.recorded).astimezone(timezone),
        "occurred_at": None
        if event.effective == event.occurred
        else from_instant(event.occurred).astimezone(timezone),
        "day_only": True if event.precision == "day" else None,
        "source": event.source,
        "source_id": event.source_id,
        "irregular": None if irregular is None else say(irregular, "en"),
    }
    known = [Attribute(name, value) for name, value in said.items() if value is not None]
    taken = {*said, "stage", "outcome"}
    known += [
        Attribute(f"fact_{each.name}" if each.name in taken else each.name, each.value)
        for each in attributes_of(event.fact, personal=personal)
    ]
    known += [Attribute("stage", state.stage), Attribute("outcome", state.outcome)]
    id = f'<id key="identity:id" value="{event.event_id}"/>'
    return f"<event>{id}{''.join(map(_line, known))}</event>\n"


def _line(attribute: Attribute) -> str:
    """Write an attribute under the tag of its type."""
    name, value = attribute
    tag, text = "string", str(value)
    if isinstance(value, bool):
        tag, text = "boolean", "true" if value else "false"
    elif isinstance(value, int):
        tag = "int"
    elif isinstance(value, Decimal):
        tag, text = "float", f"{value:f}"
    elif isinstance(value, datetime):
        tag, text = "date", value.isoformat(timespec="microseconds")
    return f"<{tag} key={xml_quoted(name)} value={xml_quoted(text)}/>"
