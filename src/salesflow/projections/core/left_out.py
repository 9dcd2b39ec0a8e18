"""What an answer leaves out: streams that cannot be read, and what was recorded since.

Figures that are not whole say so wherever they are shown; nothing is left out in silence.
"""

from collections.abc import Iterable
from typing import Final, Literal
from unicodedata import normalize
from uuid import UUID

from salesflow.domain.values import Day, SafeText, Value
from salesflow.domain.wording import Message, shortened
from salesflow.presentation.format import one_line
from salesflow.presentation.messages import COLON, Language, say, say_count, translated

__all__ = [
    "Behind",
    "Checked",
    "LeftOut",
    "Problem",
    "ProblemKind",
    "Unmet",
    "in_brief",
    "perhaps_of",
]


class Unmet(Value):
    """Something that an answer is narrowed to, and that was never met by its moment."""

    value: SafeText
    said: SafeText
    """What is said of it, in front of it."""
    near: tuple[SafeText, ...] = ()
    """What may have been meant, the nearest first."""
    later: Day | None = None
    """The first day after the moment on which it is met, as known at the moment."""
    there: tuple[SafeText, ...] = ()
    """What there is, where nothing is near."""

    def sentence(self, language: Language = "en") -> str:
        """Say so, and what may have been meant, or when it is met after the moment."""
        said = f"{translated(self.said, language)} {self.value!r}"
        if self.later is not None:
            return say(
                "{said} up to the moment asked; first on {day}",
                language,
                said=said,
                day=self.later,
            )
        near = perhaps_of(self.near)
        if self.there and not near:
            near = Message("; there are {names}", names=", ".join(self.there))
        return f"{said}{say(near, language)}" if near else said


def perhaps_of(near: Iterable[str]) -> str:
    """Return what may have been meant, to stand behind a word; nothing of nothing."""
    names = ", ".join(near)
    return Message("; perhaps {names}", names=names) if names else ""


# What a check of the log and its read tables has found, and how far it looked.
#
# One sentence a problem, in English and Chinese; `salesflow check` prints them.

ProblemKind = Literal[
    "damaged",
    "schema",
    "merge",
    "head",
    "gap",
    "time",
    "version",
    "command",
    "unreadable",
    "readable",
    "missing",
    "beyond",
    "rows",
    "left_out",
    "balance",
    "columns",
]

PROBLEMS: Final[dict[ProblemKind, str]] = {
    "damaged": "the file is damaged; put it back from a backup",
    "schema": "a part of the schema that holds the log, keeps it append-only or shows it is"
    " missing, disabled or changed; put the database back from a backup, or make that part as a"
    " new database has it",
    "merge": "a merge cannot be, so that what was merged counts nowhere; retract it",
    "head": "the head of the log does not agree with its events",
    "gap": "positions are missing from the log",
    "time": "times of recording do not grow",
    "version": "versions of a stream do not agree",
    "command": "a command and what it recorded do not agree",
    "unreadable": "an event cannot be read",
    "readable": "an event can be read now that a read table leaves out; rebuild it",
    "missing": "a read table is missing; the next question makes it again",
    "beyond": "a read table does not stand where the log does; rebuild it when the log is"
    " right",
    "rows": "rows of a read table are not what the log says; rebuild it where the log is right",
    "left_out": "an event of a read table cannot be read any more, or again; rebuild it",
    "balance": "balances are not the sums of their movements; rebuild the read table",
    "columns": "a file of columns holds other rows than the read table, and questions may be"
    " answered by it; delete the folder, or rebuild the table",
}
"""What each kind of problem means, and the way out where there is one by itself."""


class Problem(Value):
    """Something that is wrong: what kind of thing, where, and in what way."""

    kind: ProblemKind
    subject: SafeText
    """`log`, or the label of a read table."""
    where: SafeText
    """The place as people find it: positions, a stream, a command, an entity."""

    def sentence(self, language: Language = "en") -> str:
        """Return it as a sentence."""
        said = translated(PROBLEMS[self.kind], language)
        colon = COLON[language]
        return f"{self.subject}{colon}{said}{colon}{self.where}"


class Checked(Value):
    """What was looked at, and what is wrong with it."""

    position: int
    """Where the log stood."""
    streams: int
    """How many streams there are."""
    streams_compared: int
    """How many of them were folded afresh and compared with the read tables."""
    bins_compared: int
    """How many bins of balances were summed afresh."""
    problems: tuple[Problem, ...]
    more: int = 0
    """How many problems were found besides those named."""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


SHOWN_MAX = 400


def in_brief(text: object) -> str:
    """Write any text as a `SafeText`: on one line, harmless, cut where it is long."""
    return shortened(one_line(normalize("NFC", str(text))), SHOWN_MAX)


class LeftOut(Value):
    """A stream that counts for nothing from an event on, which cannot be read."""

    stream_id: UUID
    position: int
    version: int
    event_id: UUID
    stored: SafeText
    """The kind and version the event was stored as."""
    reason: SafeText
    more: int = 0
    """How many streams more are left out that are not named."""

    def sentence(self, language: Language = "en") -> str:
        """Return it as a sentence: which stream, from where on, why, and the way out."""
        sentence = say(
            "stream {stream} is left out from version {version:,}, position {position:,} on:"
            " {stored} there cannot be read ({reason}). Where it never"
            " will be, retract event {event}",
            language,
            stream=self.stream_id,
            version=self.version,
            position=self.position,
            stored=self.stored,
            reason=self.reason,
            event=self.event_id,
        )
        if not self.more:
            return sentence
        return sentence + say("; {more:,} streams more are left out", language, more=self.more)


class Behind(Value):
    """How far an answer is behind the log, since nothing could be written."""

    events: int
    """How many events were recorded that the answer does not know."""
    because: SafeText

    def sentence(self, language: Language = "en") -> str:
        """Return it as a sentence."""
        return say_count(
            "nothing can be written, the answer is {count:,} event behind: {because}",
            "nothing can be written, the answer is {count:,} events behind: {because}",
            self.events,
            language,
            because=self.because,
        )
