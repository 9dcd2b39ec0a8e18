"""`salesflow outbox`: tells other systems of what is recorded, and shows what waits for them.

`deliver` sends what is due and ends, as a job does: with 0 when all of it was taken, with 1
when something waits to be tried again or is dead. With `--follow` it is a worker, which Ctrl-C
and SIGTERM end with 0 once what is on its way has come to its end.
"""

import sys
from threading import Event as Flag
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Final
from zoneinfo import ZoneInfo

import typer

from salesflow.cli.admin.project import stopping
from salesflow.cli.context import CommandContext, with_context
from salesflow.cli.outbox.options import ComparedFile, EndpointsFile
from salesflow.cli.outbox.reports import making_reports
from salesflow.domain.time import FOREVER, Instant, from_instant
from salesflow.presentation.fields import Json
from salesflow.presentation.format import NO_VALUE, local_time
from salesflow.presentation.messages import say, say_count
from salesflow.presentation.table import TableOfView

if TYPE_CHECKING:
    from salesflow.adapters.outbox.endpoints import Endpoint
    from salesflow.adapters.outbox.store import Waiting
    from salesflow.engine import SalesFlow
    from salesflow.engine.outbox import Delivered, EndpointStanding

__all__ = ["dead", "deliver", "list_waiting", "resend", "skip", "status"]


LINE_SECONDS: Final = 1.0
"""A worker that has much to deliver tells of it so often."""

OneEndpoint = Annotated[
    str | None, typer.Option("--endpoint", help="Of this endpoint alone.", show_default=False)
]
NamedEndpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of an endpoint.")]
Limit = Annotated[int, typer.Option("--limit", help="So many at most.", min=1)]


@with_context
def deliver(
    context: CommandContext,
    endpoints: EndpointsFile,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="Stay, and deliver until Ctrl-C or SIGTERM.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be sent next, and send nothing."),
    ] = False,
    limit: Limit = 50,
) -> None:
    """Tell other systems of what was recorded, in order per deal; make reports that are due."""
    from salesflow.adapters.outbox.transports import transport_of
    from salesflow.engine.outbox import read_endpoints

    wanted = read_endpoints(endpoints)
    if dry_run:
        for each in wanted:  # a secret or package that is missing would be missed then
            transport_of(each).close()
        with context.open() as flow:
            _show_preview(context, flow, wanted, limit)
        return
    with (
        stopping() as stop,
        context.open() as flow,
        making_reports(context, flow, endpoints, stop if follow else None),
    ):
        if follow:
            printer = DeliveryPrinter(context)
            flow.outbox.deliver(wanted, follow=True, stop=stop, on_delivered=printer.tell)
            printer.end()
            return
        _deliver_once(context, flow, wanted, stop)


def _deliver_once(
    context: CommandContext, flow: "SalesFlow", endpoints: "tuple[Endpoint, ...]", stop: Flag
) -> None:
    """Deliver what is due; leave with 1 where something is left."""
    with context.screen.progress(context.screen.word("Delivered")) as bar:

        def show(found: "Delivered") -> None:
            done = sum(found.delivered.values())
            bar(done, max(done, goal))

        goal = sum(each.waiting + each.lag for each in flow.outbox.standings())
        found = flow.outbox.deliver(endpoints, stop=stop, on_delivered=show)
    names = {each.name for each in endpoints}
    stands = [each for each in flow.outbox.standings() if each.endpoint in names]
    context.screen.json({**_as_json(found), "endpoints": [_standing(s) for s in stands]})
    context.screen.table(_delivered_table(context, found, stands, flow.settings().timezone))
    if found.problems or any(each.waiting + each.dead for each in stands):
        raise typer.Exit(1)


@with_context
def status(context: CommandContext, endpoints: ComparedFile = None) -> None:
    """Say how every endpoint stands: what waits, what is dead, what went wrong last."""
    from salesflow.engine.outbox import read_endpoints

    named = None if endpoints is None else {each.name for each in read_endpoints(endpoints)}
    with context.open() as flow:
        stands, zone = flow.outbox.standings(), flow.settings().timezone
    gone = set[str]() if named is None else {each.endpoint for each in stands} - named
    told = [_standing(each) for each in stands]
    if named is not None:
        told = [{**each, "in_file": each["endpoint"] not in gone} for each in told]
    context.screen.json(told)
    if not stands:
        context.screen.line(say("nothing was ever delivered from here", context.language))
        return
    rows = tuple(
        (
            each.endpoint,
            f"{each.row.delivered:,}",
            f"{each.waiting:,}",
            f"{each.dead:,}",
            f"{each.held:,}",
            f"{each.lag:,}",
            _time(each.row.last_delivered, zone),
            _not_in_file(context, each.endpoint)
            if each.endpoint in gone
            else _state(context, each, zone),
        )
        for each in stands
    )
    columns = (
        *("Endpoint", "Delivered", "Waiting", "Dead", "Held back", "Lag"),
        *("Last delivered", "State"),
    )
    notes = () if not any(each.dead for each in stands) else (_way_out(context),)
    context.screen.table(TableOfView("Outbox", columns, rows, notes=notes))


@with_context
def list_waiting(
    context: CommandContext, endpoint: OneEndpoint = None, limit: Limit = 50
) -> None:
    """List the messages that are not delivered yet, the first ones."""
    with context.open() as flow:
        found, zone = flow.outbox.waiting(endpoint, limit), flow.settings().timezone
    context.screen.json([_message(each) for each in found])
    rows = tuple(
        (
            each.endpoint,
            each.type,
            each.ordering_key,
            say(_message_state(each), context.language),
            f"{each.tries}",
            NO_VALUE if each.due >= FOREVER else _time(each.due, zone),
            say(each.failure or "", context.language),
            each.id,
        )
        for each in found
    )
    columns = (
        *("Endpoint", "Type", "About", "State", "Attempts", "Next attempt"),
        *("Failure", "Message ID"),
    )
    context.screen.table(TableOfView("Waiting messages", columns, rows))


@with_context
def dead(context: CommandContext, endpoint: OneEndpoint = None, limit: Limit = 50) -> None:
    """List the messages that were given up, and how many each holds back."""
    with context.open() as flow:
        found, zone = flow.outbox.dead(endpoint, limit), flow.settings().timezone
    context.screen.json([{**_message(each), "held": each.held} for each in found])
    rows = tuple(
        (
            each.endpoint,
            each.type,
            each.ordering_key,
            _time(each.dead_since, zone),
            f"{each.tries}",
            f"{each.held:,}",
            say(each.failure or "", context.language),
            each.id,
        )
        for each in found
    )
    columns = (
        *("Endpoint", "Type", "About", "Dead since", "Attempts", "Held back"),
        *("Failure", "Message ID"),
    )
    notes = (_way_out(context),) if found else ()
    context.screen.table(TableOfView("Dead messages", columns, rows, notes=notes))


@with_context
def resend(
    context: CommandContext,
    endpoint: NamedEndpoint,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MESSAGE]...", help="Ids of messages; all without one."),
    ] = None,
) -> None:
    """Let dead messages be sent again, and an endpoint that is switched off be asked again."""
    with context.open() as flow:
        was_off = {each.endpoint for each in flow.outbox.standings() if each.row.off_since}
        found = flow.outbox.resend(endpoint, ids or ())
    context.screen.json({"endpoint": endpoint, "resent": [each.id for each in found]})
    one = "{count:,} message is sent again by the next `salesflow outbox deliver`"
    many = "{count:,} messages are sent again by the next `salesflow outbox deliver`"
    context.screen.line(say_count(one, many, len(found), context.language))
    if endpoint in was_off:
        on = "{name} was switched off, and is asked again"
        context.screen.line(say(on, context.language, name=endpoint))


@with_context
def skip(
    context: CommandContext,
    endpoint: NamedEndpoint,
    ids: Annotated[list[str], typer.Argument(metavar="MESSAGE...", help="Ids of messages.")],
) -> None:
    """Delete dead messages unsent, so that those behind them of the same deal go on."""
    with context.open() as flow:
        found = flow.outbox.skip(endpoint, ids)
    context.screen.json({"endpoint": endpoint, "skipped": [each.id for each in found]})
    one = "{count:,} message was skipped, and is never sent"
    many = "{count:,} messages were skipped, and are never sent"
    context.screen.line(say_count(one, many, len(found), context.language))


class DeliveryPrinter:
    """Tells how far a worker has come, a line a second at most, at once also into a pipe."""

    def __init__(self, context: CommandContext) -> None:
        self._context = context
        self._told = 0.0
        self._problems: dict[str, str] = {}
        self._delivered: dict[str, int] = {}
        self._dead: dict[str, int] = {}
        self._untold: Delivered | None = None

    def tell(self, found: "Delivered") -> None:
        """Tell how far it has come, and what went wrong only once."""
        self._untold = found
        same = found.problems == self._problems and found.dead == self._dead
        if same and monotonic() < self._told + LINE_SECONDS:
            return
        self.end()

    def end(self) -> None:
        """Tell what was not told yet."""
        found, screen = self._untold, self._context.screen
        if found is None:
            return
        screen.json_line(_as_json(found))
        for name, text in found.problems.items():
            if self._problems.get(name) != text:
                screen.line(f"{name}: {say(text, self._context.language)}", "yellow")
        self._tell_of_dead(found.dead)
        if found.delivered != self._delivered:
            parts = [f"{name} {count:,}" for name, count in found.delivered.items()]
            screen.line(f"{screen.word('Delivered')} {', '.join(parts)}")
        self._problems, self._told, self._untold = found.problems, monotonic(), None
        self._delivered, self._dead = found.delivered, found.dead
        sys.stdout.flush()

    def _tell_of_dead(self, dead: dict[str, int]) -> None:
        """Tell that somebody has to see to messages that were given up."""
        for name, count in dead.items():
            more = count - self._dead.get(name, 0)
            if more:
                one = "{name}: {count:,} message was given up; `salesflow outbox dead` shows it"
                many = (
                    "{name}: {count:,} messages were given up; `salesflow outbox dead` shows"
                    " them"
                )
                said = say_count(one, many, more, self._context.language, name=name)
                self._context.screen.line(said, "red")


def _show_preview(
    context: CommandContext, flow: "SalesFlow", endpoints: "tuple[Endpoint, ...]", limit: int
) -> None:
    found, zone = flow.outbox.preview(endpoints, limit), flow.settings().timezone
    context.screen.json(
        [{"endpoint": each.endpoint, "event": each.message.to_cloud_event()} for each in found]
    )
    rows = tuple(
        (
            each.endpoint,
            each.message.type,
            each.message.subject,
            local_time(each.message.time, zone),
            local_time(each.message.recorded_at, zone),
            each.message.id,
        )
        for each in found
    )
    columns = ("Endpoint", "Type", "About", "Occurred", "Recorded", "Message ID")
    notes = (say("nothing was sent", context.language),)
    context.screen.table(TableOfView("What would be sent next", columns, rows, notes=notes))


def _delivered_table(
    context: CommandContext,
    found: "Delivered",
    stands: "list[EndpointStanding]",
    zone: ZoneInfo,
) -> TableOfView:
    def failure(stand: "EndpointStanding") -> str:
        """Say what went wrong, or why nothing was tried."""
        said = found.problems.get(stand.endpoint, "")
        resting = stand.row.off_since is not None or stand.row.pauses
        return _state(context, stand, zone) if resting else say(said, context.language)

    rows = tuple(
        (
            each.endpoint,
            f"{found.delivered[each.endpoint]:,}",
            f"{found.failed[each.endpoint]:,}",
            f"{each.waiting:,}",
            f"{each.dead:,}",
            f"{each.held:,}",
            failure(each),
        )
        for each in stands
    )
    columns = (
        *("Endpoint", "Delivered", "Failed attempts", "Waiting", "Dead", "Held back"),
        "Failure",
    )
    notes = () if not any(each.dead for each in stands) else (_way_out(context),)
    return TableOfView("Outbox", columns, rows, notes=notes)


def _way_out(context: CommandContext) -> str:
    return say(
        "a dead message holds back what comes after it of the same deal; `salesflow outbox"
        " dead` lists them, `resend` sends them again, `skip` leaves them out",
        context.language,
    )


def _not_in_file(context: CommandContext, name: str) -> str:
    return say(
        "no longer in the file; `salesflow outbox forget {name}` deletes what waits for it",
        context.language,
        name=name,
    )


def _state(context: CommandContext, stand: "EndpointStanding", zone: ZoneInfo) -> str:
    row, language = stand.row, context.language
    failure = say(row.failure or "", language)
    if row.off_since is not None:
        return say(
            "switched off at {when}, since it wants no more messages; `salesflow outbox resend"
            " {name}` asks it again",
            language,
            when=_time(row.off_since, zone),
            name=stand.endpoint,
        )
    if row.pauses:
        when = _time(row.paused_until, zone)
        return say("rests until {when}: {failure}", language, when=when, failure=failure)
    if row.failures and (stand.waiting or stand.dead):
        return failure
    return context.screen.word("works" if row.delivered else "nothing delivered yet")


def _message_state(waiting: "Waiting") -> str:
    if waiting.dead_since is not None:
        return "dead"
    if waiting.held_back:
        return "held back"
    return "after an earlier one" if waiting.behind else "waiting"


def _time(at: Instant | None, zone: ZoneInfo) -> str:
    return NO_VALUE if at is None else local_time(from_instant(at), zone, exact=False)


def _iso(at: Instant | None) -> str | None:
    return None if at is None or at >= FOREVER else from_instant(at).isoformat()


def _as_json(found: "Delivered") -> dict[str, Json]:
    return {
        "delivered": dict(found.delivered),
        "failed": dict(found.failed),
        "given_up": dict(found.dead),
        "problems": {name: str(text) for name, text in found.problems.items()},
    }


def _standing(stand: "EndpointStanding") -> dict[str, Json]:
    row = stand.row
    return {
        "endpoint": stand.endpoint,
        "position": stand.position,
        "lag": stand.lag,
        "waiting": stand.waiting,
        "dead": stand.dead,
        "held": stand.held,
        "delivered": row.delivered,
        "skipped": row.skipped,
        "last_delivered": _iso(row.last_delivered),
        "failures": row.failures,
        "rests_until": _iso(row.paused_until) if row.pauses else None,
        "off_since": _iso(row.off_since),
        "failure": None if row.failure is None else str(row.failure),
    }


def _message(waiting: "Waiting") -> dict[str, Json]:
    return {
        "endpoint": waiting.endpoint,
        "id": waiting.id,
        "type": waiting.type,
        "state": _message_state(waiting),
        "ordering_key": waiting.ordering_key,
        "attempts": waiting.tries,
        "next_attempt": _iso(waiting.due),
        "dead_since": _iso(waiting.dead_since),
        "failure": None if waiting.failure is None else str(waiting.failure),
    }
