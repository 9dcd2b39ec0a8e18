"""`salesflow rates`, `import rates`, `import ecb`: exchange rates of a day, and who says so."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salesflow.cli.context import CommandContext, KnownAt, day_text, with_context
from salesflow.cli.imports.commands import Strict, TimeZone, Trial
from salesflow.domain.exchange_rates import RATES_ID, Quoted, RateTable
from salesflow.domain.time import read_day
from salesflow.domain.values import number
from salesflow.errors import InputError, NotFoundError, SalesflowError
from salesflow.presentation.format import NO_VALUE
from salesflow.presentation.messages import in_language, say, say_count
from salesflow.presentation.table import TableOfView

__all__ = ["import_ecb", "import_file", "list_rates", "publish"]


if TYPE_CHECKING:  # loaded when a database is opened
    from salesflow.adapters.importers.rates import RateImport
    from salesflow.engine import SalesFlow, Session


def _day(text: str) -> object:
    return typer.Option(metavar="DAY", help=text, show_default=False, parser=day_text)


RatesFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A CSV file with the columns day, base, currency, rate.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
Source = Annotated[
    str | None, typer.Option(help="Who published them. Default: the name of the file.")
]
Since = Annotated[str, _day("The first day to import.")]
Currencies = Annotated[
    list[str] | None,
    typer.Option("--currency", help="Only this one; may be given again. Default: all."),
]
Day = Annotated[str, _day("The day the rates are of.")]
Base = Annotated[
    str, typer.Option(help="One unit of it is worth the rates given.", show_default=False)
]
Given = Annotated[
    list[str],
    typer.Argument(metavar="CURRENCY=RATE...", help="As in CNY=7.21.", show_default=False),
]
PublishedBy = Annotated[str, typer.Option(help="Who published them.", show_default=False)]
Actor = Annotated[str | None, typer.Option("--actor", help="Who records them.")]
OnDay = Annotated[str | None, _day("Last rates on or before this day. Default: the newest.")]


@with_context
def import_file(
    context: CommandContext,
    file: RatesFile,
    source: Source = None,
    timezone: TimeZone = None,
    strict: Strict = False,
    trial: Trial = False,
) -> None:
    """Import exchange rates from a CSV file; the same file again records nothing twice."""
    from salesflow.adapters.importers.rates import import_rates

    def imported(flow: "SalesFlow", *, trial: bool) -> "RateImport":
        zone, named = flow.settings().timezone, source or file.name
        return import_rates(
            file, flow.log, source=named, timezone=zone, strict=strict, trial=trial
        )

    if not trial and not file.is_fifo() and context.founds_beside():  # a pipe is read once
        with context.rehearse(timezone) as flow:
            tried = imported(flow, trial=True)
        if _is_fruitless(tried):
            _print_report(context, tried, file)
    opened = context.rehearse if trial else context.record
    with opened(timezone) as flow:
        done = imported(flow, trial=trial)
        _print_report(context, done, file)
        if done.rates_told and not trial:
            _note_disagreeing(context, flow)
        _print_refused(context, done)


def _is_fruitless(done: "RateImport") -> bool:
    return bool(done.lines_refused and not done.rates_told)


def _print_report(context: CommandContext, done: "RateImport", file: Path) -> None:
    _show(context, done)
    if _is_fruitless(done):
        raise SalesflowError(
            f"every line of {file} was refused ({done.lines_refused:,}); no rate was recorded"
        )


TRIAL = (
    "{count:,} line would be refused; --strict refuses the whole file",
    "{count:,} lines would be refused; --strict refuses the whole file",
)
RECORDED = (
    "{count:,} line was refused and is not recorded; --strict refuses the whole file",
    "{count:,} lines were refused and are not recorded; --strict refuses the whole file",
)


def _print_refused(context: CommandContext, done: "RateImport") -> None:
    """Print in a last line how many lines were refused; the table above may be long."""
    if not done.lines_refused:
        return
    one, many = TRIAL if done.trial else RECORDED
    text = say_count(one, many, done.lines_refused, context.language)
    context.screen.line(text, "red" if done.lines_refused > done.rates_told else "yellow")


@with_context
def import_ecb(
    context: CommandContext,
    since: Since,
    currency: Currencies = None,
    timezone: TimeZone = None,
) -> None:
    """Import the euro reference rates of the European Central Bank (needs the extra fx)."""
    from salesflow.adapters.importers.rates import ECB, RateImport, euro_rates, record_rates

    published = list(euro_rates(read_day(since), currency or ()))
    with context.record(timezone) as flow:
        zone = flow.settings().timezone
        recorded = record_rates(published, flow.log, source=ECB, timezone=zone)
        done = RateImport(
            source=ECB,
            rates_told=len(published),
            rates_recorded=recorded.rates,
            days_recorded=recorded.days,
            rates_known=len(published) - recorded.rates,
        )
        _show(context, done)


@with_context
def publish(
    context: CommandContext,
    given: Given,
    day: Day,
    base: Base,
    source: PublishedBy,
    actor: Actor = None,
) -> None:
    """Record exchange rates of a day; they replace those recorded of that day before."""
    named, of = dict(map(_pair, given)), read_day(day)

    def record(session: "Session") -> None:
        try:
            table = session.get(RateTable, RATES_ID)
        except NotFoundError:
            session.add(RateTable.begin(day=of, base=base, rates=named, source=source))
        else:
            table.publish(day=of, base=base, rates=named, source=source)

    with context.open() as flow:
        receipt = flow.run(record, actor=actor)
        assert receipt is not None
        context.screen.json({"position": receipt.last})
        context.screen.line(f"{context.screen.word('recorded as event no.')} {receipt.last:,}")
        _note_disagreeing(context, flow)


@with_context
def list_rates(context: CommandContext, on: OnDay = None, known_at: KnownAt = None) -> None:
    """List the last rate of every currency on or before a day, as known at some time."""
    with context.open() as flow:
        table, day = _table(flow, known_at), date.max if on is None else read_day(on)
        rates = table.quoted(day)
        context.screen.json([_plain(each) for each in rates])
        rows = tuple(
            (each.base, each.currency, f"{each.rate:f}", str(each.day), each.source or NO_VALUE)
            for each in rates
        )
        columns = ("Base", "Currency", "Rate", "Day", "Source")
        notes = _disagreeing(context, table, day)
        context.screen.table(TableOfView("Exchange rates", columns, rows, notes=notes))


def _disagreeing(context: CommandContext, table: RateTable, day: date) -> tuple[str, ...]:
    """Return which rates were told in both directions and are not each other's inverse."""
    text = in_language(
        "told in both directions and disagreeing, the first counts", context.language
    )
    return tuple(
        f"{text}: {one.base} {one.currency} {one.rate:f} ({one.source or '–'}), {other.base}"
        f" {other.currency} {other.rate:f} ({other.source or '–'}), {one.day}"
        for one, other in table.disagreeing(day)
    )


def _note_disagreeing(context: CommandContext, flow: "SalesFlow") -> None:
    """Print the same after rates were recorded."""
    for note in _disagreeing(context, _table(flow, None), date.max):
        context.screen.line(note)


def _table(flow: "SalesFlow", known_at: str | None) -> RateTable:
    try:
        return flow.get(RateTable, RATES_ID, known_at=known_at)
    except NotFoundError as error:
        raise NotFoundError(
            "no exchange rates are known; record some with `salesflow import rates`,"
            " `salesflow import ecb` or `salesflow rates publish`"
        ) from error


def _plain(quoted: Quoted) -> dict[str, str | None]:
    return {**quoted._asdict(), "day": str(quoted.day), "rate": f"{quoted.rate:f}"}


def _pair(given: str) -> tuple[str, Decimal]:
    currency, equals, rate = given.partition("=")
    if not equals:
        raise InputError(f"{given!r} is not a rate; write one like CNY=7.21")
    return currency, number(rate)


def _show(context: CommandContext, done: "RateImport") -> None:
    screen = context.screen
    screen.json(done.model_dump(mode="json"))
    counts = {
        "Source": done.source,
        "Rates read": f"{done.rates_told:,}",
        "Rates that would be recorded" if done.trial else "Rates recorded": (
            f"{done.rates_recorded:,}"
        ),
        "Days": f"{done.days_recorded:,}",
        "Known before": f"{done.rates_known:,}",
        "Lines refused": f"{done.lines_refused:,}",
    }
    columns, rows = ("Attribute", "Value"), tuple(counts.items())
    screen.table(TableOfView("Exchange rates", columns, rows, words=("Attribute",)))
    if done.trial:
        screen.line(f"  {screen.word('a trial: nothing was recorded')}", "yellow")
    if done.refused:
        refused = tuple(
            (f"{each.line:,}", say(each.reason, context.language)) for each in done.refused
        )
        screen.table(TableOfView("Lines refused", ("Line", "Reason"), refused))
