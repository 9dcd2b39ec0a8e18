"""The catalogue of messages, read as translators have it.

    python tests/catalogues.py

compiles it for the package to load; `make catalogues` calls that.
"""

import ast
import io
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from salesflow.presentation.messages import LOCALES

__all__ = ["FOLDER", "compiled", "messages", "messages_in", "modules_of", "tree_of", "written"]

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


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Give the modules of a package, whatever they hold."""
    for found in walk_packages(package.__path__, f"{package.__name__}."):
        yield import_module(found.name)


def messages_in(module: ModuleType, places: Mapping[str, int]) -> Iterator[str]:
    """Give the messages that a module makes, read off its code.

    `places` says which calls beside `Message` take one, and at which place.
    """
    places = {"Message": 0, **places}
    for call in ast.walk(tree_of(module)):
        name = getattr(getattr(call, "func", None), "id", None)
        if isinstance(call, ast.Call) and name in places and len(call.args) > places[name]:
            message = call.args[places[name]]
            assert not isinstance(message, ast.JoinedStr), ast.unparse(message)
            if isinstance(message, ast.Constant):
                yield str(message.value)
            elif isinstance(message, ast.Name) and message.id.isupper():
                yield str(vars(module)[message.id])


def tree_of(module: ModuleType) -> ast.Module:
    return ast.parse(Path(module.__file__ or "").read_text("utf-8"))


if __name__ == "__main__":
    (FOLDER / "salesflow.mo").write_bytes(compiled())
