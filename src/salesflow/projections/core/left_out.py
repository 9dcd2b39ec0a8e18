"""What an answer leaves out: streams that cannot be read, and what was recorded since.

Figures that are not whole say so wherever they are shown; nothing is left out in silence.
"""

from unicodedata import normalize
from uuid import UUID

from salesflow.domain.values import SafeText, Value
from salesflow.domain.wording import shortened
from salesflow.presentation.format import one_line
from salesflow.presentation.words import Language

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

    def said(self, language: Language = "en") -> str:
        """Return it as a sentence: which stream, from where on, why, and the way out."""
        place = f"{self.stream_id}", f"{self.version:,}", f"{self.position:,}"
        if language == "zh":
            told = (
                f"数据流 {place[0]} 自版本 {place[1]}（位置 {place[2]}）起未计入：该处的"
                f" {self.stored} 无法读取（{self.reason}）。请按事件编号 {self.event_id} 撤销"
            )
            return told + (f"；另有 {self.more:,} 个数据流未计入" if self.more else "")
        told = (
            f"stream {place[0]} is left out from version {place[1]}, position {place[2]} on:"
            f" {self.stored} there cannot be read ({self.reason}). Retract event"
            f" {self.event_id}"
        )
        return told + (f"; {self.more:,} streams more are left out" if self.more else "")


class Behind(Value):
    """How far an answer is behind the log, since nothing could be written."""

    events: int
    """How many events were recorded that the answer does not know."""
    because: SafeText

    def said(self, language: Language = "en") -> str:
        """Return it as a sentence."""
        if language == "zh":
            return f"无法写入，答案落后 {self.events:,} 条事件：{self.because}"
        return (
            f"nothing can be written, the answer is {self.events:,} events behind:"
            f" {self.because}"
        )
