"""Endpoints: where messages go, what goes there, and how patiently; read from a TOML file.

    [[endpoint]]
    name = "crm"
    url = "https://crm.example.com/hooks/salesflow"
    facts = ["deal.won", "deal.lost"]         # or "deal.*"; all when left out; [] for none
    secret_env = "CRM_WEBHOOK_SECRET"         # or several, while one takes another's place

Whoever writes the file says where messages go, also within a private network; what is recorded
never does.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from salesflow.adapters.event_store.append import host_clock
from salesflow.adapters.outbox.transports import TRANSPORTS
from salesflow.domain.alike_names import perhaps
from salesflow.domain.time import Instant
from salesflow.domain.wording import shortened
from salesflow.errors import InputError

__all__ = ["Endpoint", "endpoint_of", "file_content", "read_endpoints"]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One place that messages go to."""

    name: str
    url: str = field(repr=False)
    facts: tuple[str, ...] | None = None
    """Kinds of facts, or beginnings of kinds as in `deal.*`; None for all."""
    secret_env: tuple[str, ...] = ()
    """Names of environment variables that hold secrets; all of them sign."""
    personal: bool = False
    """Whether texts about people, and free texts, go out too."""
    timeout: float = 15.0
    """Seconds that an exchange may take, from the first byte to the head of the answer."""
    concurrency: int = 8
    """So many messages, each of another key, are on their way at once."""
    attempts: int = 15
    """So many failures make a message dead; those where nobody answered do not count."""
    give_up_hours: float = 72.0
    """A message that was tried first so long ago is dead when it fails again."""
    retry_seconds: float = 5.0
    """How long a message waits after its first failure; three times as long after each more."""
    retry_seconds_max: float = 43_200.0
    """How long it waits at most, and 300 seconds at most where nobody answers."""
    after: int | None = None
    """Behind which position of the log it begins; None for the head when it is first seen."""
    allow_http: bool = False
    """Whether messages may go over a network unencrypted."""
    link: str | None = None
    """The template of links to answers, where there is a page that shows them."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What only its transport knows, by name."""
    environment: Callable[[str], str | None] = field(default=os.environ.get, repr=False)
    """Gives what an environment variable holds."""
    clock: Callable[[], Instant] = field(default=host_clock, repr=False)
    """Tells what time it is."""

    @property
    def scheme(self) -> str:
        """What its URL begins with, such as `https`."""
        return urlsplit(self.url).scheme


class _Key(NamedTuple):
    """What may stand behind a key of an endpoint."""

    fits: Callable[[Any], bool]
    wanted: str


def _number(least: float, most: float) -> _Key:
    def fits(value: object) -> bool:
        return type(value) in (int, float) and least <= value <= most  # type: ignore[operator]

    return _Key(fits, f"a number, {least:g} to {most:,g}")


def _whole(least: int, most: int) -> _Key:
    def fits(value: object) -> bool:
        return type(value) is int and least <= value <= most

    return _Key(fits, f"a whole number, {least} to {most:,}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


FILE_MAX: Final = 256_000
TABLES: Final = ("endpoint", "report", "link")
"""What a file says: endpoints, and reports with the links in them, which are read elsewhere."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
TRUE_OR_FALSE: Final = _Key(lambda value: isinstance(value, bool), "true or false")
KEYS: Final[Mapping[str, _Key]] = {
    "name": _Key(
        lambda value: isinstance(value, str) and NAME.fullmatch(value) is not None,
        "a name of up to 64 letters, digits, '.', '_' and '-'",
    ),
    "url": _Key(_is_text, 'an address, such as "https://crm.example.com/hook"'),
    "facts": _Key(_are_texts, 'a list of kinds, such as ["deal.won", "customer.*"]'),
    "secret_env": _Key(
        lambda value: _is_text(value) or (_are_texts(value) and bool(value)),
        "the name of an environment variable, or a list of several",
    ),
    "personal": TRUE_OR_FALSE,
    "timeout": _number(0.1, 300),
    "concurrency": _whole(1, 64),
    "attempts": _whole(1, 1_000),
    "give_up_hours": _number(0.001, 8_760),
    "retry_seconds": _number(0.001, 3_600),
    "retry_seconds_max": _number(0.001, 604_800),
    "after": _whole(0, 2**63 - 1),
    "allow_http": TRUE_OR_FALSE,
}


def read_endpoints(file: str | PathLike[str]) -> tuple[Endpoint, ...]:
    """Read the endpoints of a TOML file.

    Raises:
        InputError: naming the file, the endpoint, what is wrong and what to write instead.
    """
    try:
        read = file_content(Path(file))
        link = _link(read)
        found = tuple(replace(endpoint_of(each), link=link) for each in _tables(read))
        names = [each.name for each in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"two endpoints are called {twice!r}; give one another name")
    except InputError as error:
        raise InputError(f"{shortened(file)}: {error}") from error
    return found


def file_content(file: Path) -> dict[str, Any]:
    """Return what a file of endpoints and reports says.

    Raises:
        InputError: when it cannot be read, or is no TOML.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_MAX + 1)
    except (OSError, ValueError) as error:
        because = getattr(error, "strerror", None) or error
        raise InputError(f"it cannot be read: {because}") from error
    if len(content) > FILE_MAX:
        raise InputError(f"it has more than {FILE_MAX:,} bytes, and so is no file of endpoints")
    try:
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is not TOML: {shortened(error)}") from error


def _tables(read: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    for key in read:
        if key not in TABLES:
            near = perhaps(key, TABLES)
            raise InputError(
                f"{shortened(key)} is nothing that it says{near}; write [[endpoint]] tables"
            )
    tables = read.get("endpoint")
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise InputError("it names no endpoint; write one or more [[endpoint]] tables")
    return tables


def _link(read: Mapping[str, Any]) -> str | None:
    link = read.get("link")
    if link is not None and not _is_text(link):
        raise InputError(f"link is {shortened(repr(link))}; write a URL in quotes")
    return link


def endpoint_of(given: Mapping[str, Any]) -> Endpoint:
    """Return an endpoint as a table of the file says it.

    Raises:
        InputError: naming the endpoint, what is wrong and what to write instead.
    """
    name = given.get("name")
    called = f"endpoint {shortened(str(name))!r}" if "name" in given else "an endpoint"
    for needed in ("name", "url"):
        if needed not in given:
            raise InputError(f"{called} has no {needed}; write {KEYS[needed].wanted}")
    for key, value in given.items():
        if key in KEYS and not KEYS[key].fits(value):
            raise InputError(
                f"{called}: {key} is {shortened(repr(value))}; write {KEYS[key].wanted}"
            )
    kind = TRANSPORTS.get(_ensure_address(called, given))
    assert kind is not None, "an address of a scheme that is known"
    own = {key: value for key, value in given.items() if key not in KEYS}
    for key in own:
        if key not in kind.options:
            known = [*KEYS, *kind.options]
            raise InputError(
                f"{called}: there is no {shortened(key)}{perhaps(key, known)}; there are"
                f" {', '.join(known)}"
            )
    shared = {key: _frozen(key, value) for key, value in given.items() if key in KEYS}
    return Endpoint(**shared, options=own)


def _frozen(key: str, value: Any) -> Any:  # noqa: ANN401 - as TOML has it
    if key == "secret_env" and isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _ensure_address(called: str, given: Mapping[str, Any]) -> str:
    """Return the scheme of an address that messages may go to."""
    url = str(given["url"])
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise InputError(f"{called}: its url is no address: {error}") from error
    if parts.scheme not in TRANSPORTS:
        raise InputError(
            f"{called}: its url begins with {shortened(parts.scheme)!r}; there are"
            f" {', '.join(f'{each}://' for each in TRANSPORTS)}"
        )
    if not host or any(each.isspace() for each in url):
        raise InputError(f"{called}: its url names no host; write {KEYS['url'].wanted}")
    if parts.scheme in ("http", "https"):
        _ensure_web_address(called, given)
    elif "secret_env" in given:
        raise InputError(
            f"{called}: secret_env signs webhooks alone, and {parts.scheme}:// goes unsigned;"
            " leave it out"
        )
    return parts.scheme


def _ensure_web_address(called: str, given: Mapping[str, Any]) -> None:
    parts = urlsplit(given["url"])
    if parts.username is not None or parts.password is not None:
        raise InputError(
            f"{called}: its url holds a user or a password, which would be shown; the"
            " signature says who sends, by the secret that secret_env names"
        )
    if parts.fragment:
        raise InputError(f"{called}: its url ends in #…, which is never sent; leave that out")
    if (
        parts.scheme == "http"
        and parts.hostname not in LOOPBACK
        and not given.get("allow_http", False)
    ):
        raise InputError(
            f"{called}: over http anybody on the way reads what is sent; write https, or"
            " allow_http = true within a network of your own"
        )
