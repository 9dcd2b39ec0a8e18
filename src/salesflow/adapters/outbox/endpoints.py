"""Endpoints: where messages go, what goes there, and how patiently; read from a TOML file.

[[endpoint]]
name = "crm"
url = "https://crm.example.com/hooks/salesflow"
facts = ["deal.won", "deal.lost"]         # or "deal.*"; all when left out; [] for none
secret_env = "CRM_WEBHOOK_SECRET"         # or several, while one takes another's place
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Endpoint", "read_endpoints"]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One place that messages go to."""

    name: str
    url: str
    facts: tuple[str, ...] | None = None
    """Kinds of facts, or beginnings of kinds as in `deal.*`; None for all."""
    secret_env: tuple[str, ...] = ()
    """Names of environment variables that hold secrets; all of them sign."""
    personal: bool = False
    """Whether texts about people, and free texts, go out too."""
    timeout: float = 15.0
    """Seconds for one attempt."""
    concurrency: int = 8
    """So many messages, each of another key, are on their way at once."""
    attempts: int = 15
    """So many answers that refuse a message make it dead."""
    give_up_hours: float = 72.0
    """A message that was tried first so long ago is dead when it fails again."""
    after: int | None = None
    """Behind which position of the log it begins; None for the head when it is first seen."""
    allow_http: bool = False
    """Whether messages may go over a network unencrypted."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What only its transport knows, by name."""
    environment: Callable[[str], str | None] = field(default=lambda _: None, repr=False)
    """Gives what an environment variable holds."""

    @property
    def scheme(self) -> str:
        """What its URL begins with, such as `https`."""
        return urlsplit(self.url).scheme


def read_endpoints(file: str | PathLike[str]) -> tuple[Endpoint, ...]:
    """Read the endpoints of a TOML file.

    Raises:
        InputError: naming the file, the endpoint, what is wrong and what to write instead.
    """
    raise NotImplementedError(Path(file))
