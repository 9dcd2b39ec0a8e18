"""The catalogue of messages, read as translators have it.

    python tests/catalogues.py

compiles it for the package to load; `make catalogues` calls that.
"""

import io

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from salesflow.presentation.messages import LOCALES

__all__ = ["FOLDER", "compiled", "messages", "written"]

FOLDER = LOCALES / "zh" / "LC_MESSAGES"


def written() -> Catalog:
    """Read the catalogue that people write."""
    with (FOLDER / "salesflow.po").open("rb") as file:
        return read_po(file, locale="zh", domain="salesflow", abort_invalid=True)


def compiled() -> bytes:
    """Give what the package loads of it."""
    out = io.BytesIO()
    write_mo(out, written())
    return out.getvalue()


def messages() -> dict[str, Message]:
    """Give every message that is put into Chinese, by its English text."""
    return {text_of(message): message for message in written() if message.id}


def text_of(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


if __name__ == "__main__":
    (FOLDER / "salesflow.mo").write_bytes(compiled())
