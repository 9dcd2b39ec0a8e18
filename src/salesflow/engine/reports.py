"""Reports: questions asked at one moment and at another one before, as a message that stays.

    definition = read_reports(tables, {"crm": False}, kept_in="outbox.toml")["weekly"]
    made = make_report(flow, definition, ReportedAt.of(flow, due))
    made.data                    # what was answered, what it was before, what is different
    made.text                    # the same for people, as Markdown

A report stands at a moment that is fixed by when it is due: what had happened by then, as it
was known then, at the position where the log stood. So whoever makes it, and however often,
makes the same one, byte for byte. It says by which command lines its answers come again.

Leaves out when a report is made and who gets it; see `salesflow.adapters.reports`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.exporters.log_file import position_known_at
from salesflow.adapters.reports.definitions import (
    AskedQuestion,
    ReportDefinition,
    ReportPeriod,
)
from salesflow.adapters.reports.made import NOTHING_LEFT_OUT, LeftOutTimes, ReportRow
from salesflow.adapters.reports.personal_texts import without_people
from salesflow.adapters.reports.schedule import TimeBefore
from salesflow.domain.calendar import Days
from salesflow.domain.settings import SettingsState
from salesflow.domain.time import ONE_DAY, Instant, Moment, from_instant
from salesflow.engine.permanent_links import permanent_link, question_parameters_shown
from salesflow.errors import InputError, UnwritableError
from salesflow.presentation.fields import plain
from salesflow.presentation.format import local_time
from salesflow.presentation.markdown import markdown_of, markdown_text
from salesflow.presentation.messages import COLON, Language, in_language, say, say_count
from salesflow.projections.core.comparison import Comparison
from salesflow.projections.core.question import Question, View

if TYPE_CHECKING:
    from salesflow.engine.flow import SalesFlow

__all__ = ["MadeReport", "ReportedAt", "make_report"]


class ReportedAt(NamedTuple):
    """Where on both time axes a report stands, and at which position of the log."""

    as_of: Instant
    known_at: Instant
    position: int

    @classmethod
    def of(cls, log: EventLog, as_of: Instant, known_at: Instant | None = None) -> "ReportedAt":
        """Return where a report of an instant stands: it knows what was recorded by then.

        Or by another instant. The known axis is cut at the last event that was recorded by
        then, so that it is the same one whenever it is looked for.
        """
        known = as_of if known_at is None else known_at
        with log.database.whole(), log.database.read() as connection:
            position = position_known_at(log, known, connection)
            recorded = log.recorded_at(position, connection)
        return cls(as_of, known if recorded is None else recorded, position)

    def moment(self, as_of: Instant, known_at: Instant) -> Moment:
        """Return a moment at which one of its questions is asked."""
        return Moment.asked(as_of, known_at, self.position)

    @property
    def own(self) -> Moment:
        """The moment of the report itself."""
        return self.moment(self.as_of, self.known_at)


class AnsweredQuestion(NamedTuple):
    """A question of a report, answered, and where it was asked before."""

    question: Question[View]
    view: View
    before: "tuple[Question[View], View] | None"


class MadeReport(NamedTuple):
    """A report as it was made."""

    definition: ReportDefinition
    at: ReportedAt
    data: dict[str, Any]
    """What the message carries: plain JSON values."""

    @property
    def text(self) -> str:
        """The report for people, as Markdown."""
        text: str = self.data["text"]
        return text

    def row(self, made_at: Instant, left_out: LeftOutTimes = NOTHING_LEFT_OUT) -> ReportRow:
        """Return what is noted of it."""
        return ReportRow(self.definition.name, *self.at, made_at, left_out)


def make_report(
    flow: "SalesFlow",
    definition: ReportDefinition,
    at: ReportedAt,
    *,
    link: str | None = None,
    left_out: LeftOutTimes = NOTHING_LEFT_OUT,
) -> MadeReport:
    """Ask the questions of a report at its moment, and write down what was answered.

    `left_out` are the times it was due before and was not made.

    Raises:
        UnwritableError: where read tables stand behind the log and cannot be brought level.
    """
    settings = flow.settings(at.known_at)
    before = _before(definition, at, settings)
    answers = [_answered(flow, each, at, before, settings) for each in definition.questions]
    if not definition.personal:
        answers = [*map(_without_people, answers)]
    writer = _ReportWriter(definition, settings, flow.log.tenant, link)
    data = {
        "report": definition.name,
        "title": definition.title,
        "language": definition.language,
        **_moment(at.own),
        "compared_with": None if before is None else _moment(before),
        "left_out": [from_instant(each).isoformat() for each in left_out.last],
        "left_out_total": left_out.total,
        "answers": [*map(writer.answer, answers)],
        "text": writer.text(at, before, answers, left_out),
    }
    return MadeReport(definition, at, data)


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "as_of": moment.as_of.isoformat(),
        "known_at": moment.known_at.isoformat(),
        "position": moment.position,
    }


def _before(
    definition: ReportDefinition, at: ReportedAt, settings: SettingsState
) -> Moment | None:
    """Return the moment that a report is compared with, if it is with any."""
    compared, schedule = definition.compared_with, definition.schedule
    if compared is None:
        return None
    if isinstance(compared, TimeBefore):
        then = compared.of(at.as_of, settings.timezone)
    else:
        assert schedule is not None, "what is compared with the time before has a schedule"
        found = schedule.latest(at.as_of - 1, settings)
        if found is None:
            raise InputError(f"report {definition.name} was not due before")
        then = found
    known = min(then, at.known_at) if definition.as_known_then else at.known_at
    return at.moment(then, known)


def _answered(
    flow: "SalesFlow",
    asked: AskedQuestion,
    at: ReportedAt,
    before: Moment | None,
    settings: SettingsState,
) -> AnsweredQuestion:
    question, moment = _of_its_period(asked, at.own, settings), at.own
    view = _ask(flow, question, moment)
    if before is None:
        return AnsweredQuestion(question, view, None)
    earlier = _of_its_period(asked, before, settings)
    return AnsweredQuestion(question, view, (earlier, _ask(flow, earlier, before)))


def _without_people(answered: AnsweredQuestion) -> AnsweredQuestion:
    question, view, before = answered
    if before is not None:
        before = before[0], without_people(before[1])
    return AnsweredQuestion(question, without_people(view), before)


def _ask(flow: "SalesFlow", question: Question[View], moment: Moment) -> View:
    view = flow.ask(question, at=moment)
    if view.behind is not None:
        raise UnwritableError(
            f"the report would not be what it will be: {view.behind.sentence('en')}"
        )
    return view


# The period of a question, seen from the day of the report.


def _of_its_period(
    asked: AskedQuestion, moment: Moment, settings: SettingsState
) -> Question[View]:
    if asked.period is None:
        return asked.question
    days = _days(asked.period, moment, settings)
    given = {"from_": days.first, "to": days.last + ONE_DAY}
    return type(asked.question)(**{**dict(asked.question), **given})


def _days(period: ReportPeriod, moment: Moment, settings: SettingsState) -> Days:
    """Return the days of a period: weeks from Monday, months of the calendar, fiscal others."""
    today = moment.as_of.astimezone(settings.timezone).date()
    match period.span:
        case "day":
            return Days(today - period.days * ONE_DAY, today - ONE_DAY)
        case "week":
            monday = today - today.weekday() * ONE_DAY
            monday -= 7 * ONE_DAY if period.last else 0 * ONE_DAY
            return Days(monday, monday + 6 * ONE_DAY)
        case "month":
            first = today.replace(day=1)
            first = (first - ONE_DAY).replace(day=1) if period.last else first
            after = (first + 31 * ONE_DAY).replace(day=1)
            return Days(first, after - ONE_DAY)
        case _:
            calendar = settings.fiscal_calendar
            find = calendar.before if period.last else calendar.span
            return find("quarter" if period.span == "quarter" else "year", today)


# How a report is written: for programs, and for people.


class _ReportWriter:
    """Writes the answers of a report in its language."""

    def __init__(
        self,
        definition: ReportDefinition,
        settings: SettingsState,
        tenant: str,
        link: str | None,
    ) -> None:
        self._definition = definition
        self._language: Language = definition.language
        self._zone = settings.timezone
        self._tenant = tenant
        self._link = link

    def answer(self, answered: AnsweredQuestion) -> dict[str, Any]:
        """Return an answer as plain JSON values, with how it is asked for again."""
        question, view, before = answered
        found: dict[str, Any] = {
            "question": question.name,
            "parameters": question_parameters_shown(question),
            "answer": view.to_dict(),
            "links": [*self._links(answered)],
        }
        if before is not None:
            compared = Comparison(then=before[1], now=view)
            found["compared"] = before[1].to_dict()
            found["difference"] = plain(compared.difference.differences())
        return found

    def _links(self, answered: AnsweredQuestion) -> Iterator[dict[str, str]]:
        """Yield what leads to an answer: to both together where they are one question's.

        They are not where its period moves.
        """
        question, view, before = answered
        if before is None:
            yield self._to("answer", question, view.moment)
        elif before[0] == question:
            yield self._to("answer", question, view.moment, before[1].moment)
        else:
            yield self._to("answer", question, view.moment)
            yield self._to("compared", before[0], before[1].moment)

    def _to(
        self, what: str, question: Question[View], at: Moment, compared: Moment | None = None
    ) -> dict[str, str]:
        found = permanent_link(question, at, compared, tenant=self._tenant, template=self._link)
        return {"of": what, **found}

    def text(
        self,
        at: ReportedAt,
        before: Moment | None,
        answers: list[AnsweredQuestion],
        left_out: LeftOutTimes,
    ) -> str:
        """Return the report as Markdown."""
        parts = [f"# {markdown_text(self._definition.title)}", self._when(at.as_of, before)]
        if left_out.total:
            parts.append(self._not_made(left_out))
        for answered in answers:
            parts += self._answer_text(answered)
        return "\n\n".join(parts) + "\n"

    def _when(self, as_of: Instant, before: Moment | None) -> str:
        now = local_time(from_instant(as_of), self._zone)
        if before is None:
            return say("As of {time} ({zone}).", self._language, time=now, zone=self._zone.key)
        then = local_time(before.as_of, self._zone)
        return say(
            "As of {time}, compared with {then} ({zone}).",
            self._language,
            time=now,
            then=then,
            zone=self._zone.key,
        )

    def _not_made(self, left_out: LeftOutTimes) -> str:
        times = ", ".join(local_time(from_instant(each), self._zone) for each in left_out.last)
        return say_count(
            "It was due {count:,} time before and was not made: {times}.",
            "It was due {count:,} times before and was not made, the last ones: {times}.",
            left_out.total,
            self._language,
            times=times,
        )

    def _answer_text(self, answered: AnsweredQuestion) -> Iterator[str]:
        _, view, before = answered
        language = self._language
        if before is None:
            tables = view.named_tables(language)
        else:
            tables = Comparison(then=before[1], now=view).tables(language)
        yield from map(markdown_text, view.unmet_lines(language))
        yield markdown_of(tables, language)
        lines = [*view.meaning_lines(language), *self._moment_lines(answered)]
        yield from map(markdown_text, lines)
        for link in self._links(answered):
            yield self._link_text(link)

    def _moment_lines(self, answered: AnsweredQuestion) -> Iterator[str]:
        sides = [("Compared with", answered.before[1])] if answered.before is not None else []
        for label, side in (*sides, ("As asked", answered.view)):
            named = (
                f"{in_language(label, self._language)}{COLON[self._language]}" if sides else ""
            )
            for line in side.moment_lines(self._language):
                yield f"{named}{line}"

    def _link_text(self, link: dict[str, str]) -> str:
        fence = "``" if "`" in link["command"] else "`"
        command = f"{fence}{link['command']}{fence}"
        language, compared = self._language, link["of"] == "compared"
        label = "Compared with, the same for ever" if compared else "The same for ever"
        url = f"<{link['url']}> · " if "url" in link else ""
        return f"{in_language(label, language)}{COLON[language]}{url}{command}"
