"""What refuses a thing that is there already, and how to change the one there is.

A module of its own: words, and nothing that is recorded.
"""

from salesflow.cli.known_things import CHANGED_BY, changed_by, word_of
from salesflow.domain.wording import Message, quoted
from salesflow.errors import InputError

__all__ = ["already_there"]


def already_there(noun: str, called: str, *, twice: bool) -> InputError:
    """Return what refuses a thing of a kind; of one that is named twice, that it is."""
    named, word = {"noun": noun, "called": quoted(called)}, word_of(noun)
    if twice:
        said = Message("{noun} {called} is named twice", **named)
    elif noun not in CHANGED_BY:
        said = Message(
            "{noun} {called} is there already, and how it was opened is never changed; where"
            " that was wrong, `salesflow retract` the event that {told} lists first and record"
            " it anew, or take another key",
            **named,
            told=f"`salesflow {word} history {called}`",
        )
    else:
        said = Message(
            "{noun} {called} is there already; change it with {way_out}, or take another key",
            **named,
            way_out=changed_by(noun),
        )
    return InputError(said)
