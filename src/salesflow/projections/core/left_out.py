"""What an answer leaves out: streams that cannot be read, and what was recorded since.

Figures that are not whole say so wherever they are shown; nothing is left out in silence.
"""

from unicodedata import normalize
from uuid import UUID

from salesflow.domain.values import SafeText, Value
from salesflow.domain.wording import shortened
from salesflow.presentation.format import one_line
from salesflow.presentation.messages import Language, say

__all__ = ["Behind", "LeftOut", "in_brief"]


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
            " {stored} there cannot be read ({reason}). Retract event {event}",
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
        return say(
            "nothing can be written, the answer is {events:,} events behind: {because}",
            language,
            events=self.events,
            because=self.because,
        )
