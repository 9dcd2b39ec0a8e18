"""Speaks HTTP with the interface of a system: again after a cut, later when asked to wait.

No secret ever stands in an address, an error or a log: they go in bodies and headers, and
errors hold what the system answered, without those.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from salesflow.domain.wording import shortened
from salesflow.errors import InputError, SalesflowError

__all__ = ["Answer", "ApiClient", "ensure_safe"]


MISSING: Final = "a pull speaks HTTP by httpx2; run: pip install 'salesflow[pull]'"
ATTEMPTS: Final = 8
FIRST_WAIT: Final = 1.0
BUSY_WAIT: Final = 20.0
WAIT_MAX: Final = 60.0
ASKED_MAX: Final = 600.0
"""Who is asked to wait longer comes back another time."""
ANSWER_MAX: Final = 64_000_000
CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 120.0
AGAIN: Final = "run the same command again, and it goes on where it stopped"
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
TOO_MANY: Final = 429
SERVER: Final = range(500, 600)
Waiting = Callable[[float], None]


class Answer(NamedTuple):
    """What an interface answered: the status, and the body as it came."""

    status: int
    content: bytes
    json: Any
    """The body read as JSON; None where it is none."""


def ensure_safe(url: str) -> str:
    """Return an address that secrets may be sent to: by https, or on this machine.

    Raises:
        InputError: for any other.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url.rstrip("/")
    if parts.scheme == "http" and parts.hostname in LOOPBACK:
        return url.rstrip("/")
    raise InputError(f"{shortened(url)} is no https address; secrets go nowhere else")


class ApiClient:
    """A connection to the interface of a system."""

    def __init__(self, wait: Waiting = time.sleep) -> None:
        """`wait` lets some seconds pass.

        Raises:
            InputError: when httpx2 is not installed.
        """
        try:
            import httpx2
        except ImportError as error:
            raise InputError(MISSING) from error
        self._failures = httpx2.TransportError
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            headers={"accept": "application/json"},
        )
        self._wait = wait

    def __enter__(self) -> "ApiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: object = None,
    ) -> Answer:
        """Send a request, as often as it takes.

        Raises:
            SalesflowError: when there is no answer, or only to come back later.
        """
        host, why, pause = urlsplit(url).hostname, "", FIRST_WAIT
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(pause)
            asked: float | None = None
            try:
                answer, asked = self._once(
                    method, url, headers=headers, params=params, data=form, json=json
                )
            except self._failures as error:
                why = f"{type(error).__name__}"
            else:
                if answer.status != TOO_MANY and answer.status not in SERVER:
                    return answer
                why = f"status {answer.status}"
            if asked is not None and asked > ASKED_MAX:
                raise SalesflowError(f"{host} asks to wait {asked:,.0f} seconds; then {AGAIN}")
            pause = min(FIRST_WAIT * 2**attempt, WAIT_MAX) if asked is None else asked
        raise SalesflowError(
            f"{host} gave no answer in {ATTEMPTS} attempts, at last {why}; {AGAIN}"
        )

    def pause(self) -> None:
        """Let a while pass, for an interface that says in its own words that it is busy."""
        self._wait(BUSY_WAIT)

    def _once(self, method: str, url: str, **how: Any) -> tuple[Answer, float | None]:  # noqa: ANN401 - as that client takes it
        import json

        with self._client.stream(method, url, **how) as response:
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > ANSWER_MAX:
                    raise SalesflowError(
                        f"{urlsplit(url).hostname} answers with more than {ANSWER_MAX:,} bytes"
                    )
            asked = _seconds(response.headers.get("retry-after"))
            try:
                value = json.loads(bytes(content)) if content else None
            except (ValueError, RecursionError):
                value = None
            return Answer(response.status_code, bytes(content), value), asked


def _seconds(text: str | None) -> float | None:
    """Return how long an answer asks to wait: seconds, or until a date."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, until.timestamp() - time.time())
