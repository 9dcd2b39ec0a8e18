"""Webhooks: a message is posted to an address, signed, and taken when the answer is 2xx.

Every other answer is a failure that is tried again, as Standard Webhooks has it, but for 410:
its sender wants no message any more. A redirect is not followed: what is signed for one address
goes to no other one. Proxies of the environment are used as everywhere; nothing of an answer is
read but its status and when to come back.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from salesflow.adapters.outbox.endpoints import Endpoint
from salesflow.adapters.outbox.exchanges import Exchanges, ExchangeTimeout
from salesflow.adapters.outbox.messages import CONTENT_TYPE, OutgoingMessage
from salesflow.adapters.outbox.signing import WebhookSecret, signed_headers
from salesflow.adapters.outbox.transports import DeliveryError, Transport
from salesflow.domain.time import Instant
from salesflow.domain.wording import Message
from salesflow.errors import InputError

__all__ = ["WebhookTransport"]


MISSING: Final = "webhooks are sent by httpx2; run: pip install 'salesflow[outbox]'"
GONE: Final = 410
BUSY: Final = frozenset({429, 502, 503, 504})
"""What says that the endpoint has no time at all, whatever the message."""
TAKEN, REDIRECT = range(200, 300), range(300, 400)
SECOND: Final = 1_000_000
RETRY_AFTER_MAX: Final = 86_400.0
"""An endpoint that asks for more patience is asked again after a day."""
AGENT: Final = "salesflow"


class WebhookTransport(Transport):
    """Posts messages to one address; several threads use it at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Read the secrets.

        Raises:
            InputError: when a secret is missing or is none, or httpx2 is not installed.
        """
        try:
            import httpx2

            self._exchanges = Exchanges(endpoint.timeout)
        except ImportError as error:
            raise InputError(MISSING) from error
        self._url = endpoint.url
        self._seconds = f"{endpoint.timeout:g}"
        self._now = endpoint.clock
        self._secrets = [_secret(endpoint, name) for name in endpoint.secret_env]
        if not self._secrets:
            raise InputError(
                f"endpoint {endpoint.name!r} has no secret; name the environment variable that"
                ' holds it: secret_env = "…"'
            )
        self._late = ExchangeTimeout, httpx2.ReadTimeout, httpx2.WriteTimeout
        self._failures = httpx2.TransportError, httpx2.StreamError
        self._unreached = httpx2.ConnectError, httpx2.ConnectTimeout

    def send(self, message: OutgoingMessage, body: bytes) -> None:
        """Post a message once, and return when it was taken.

        Raises:
            DeliveryError: when it was not taken, or nobody knows whether it was.
        """
        now = self._now()
        status, asked, where = self._posted(message, body, now)
        if status in TAKEN:
            return
        reason = Message("the answer was {status}", status=status)
        if status in REDIRECT and where:
            reason = Message(
                "the answer was {status}; redirects are not followed, so write the address it"
                " leads to as its url",
                status=status,
            )
        raise DeliveryError(
            reason,
            retry_after=_seconds(asked, now),
            busy=status in BUSY,
            gone=status == GONE,
        )

    def close(self) -> None:
        """Close the connections."""
        self._exchanges.close()

    def _posted(
        self, message: OutgoingMessage, body: bytes, now: Instant
    ) -> tuple[int, str | None, str | None]:
        """Post a message; return the status, when to come back, and where it is sent on to."""
        headers = {
            "content-type": CONTENT_TYPE,
            "user-agent": AGENT,
            **signed_headers(self._secrets, message.id, now // SECOND, body),
        }
        try:
            with self._exchanges.post(self._url, body, headers) as answer:
                told = answer.headers
                return answer.status_code, told.get("retry-after"), told.get("location")
        except self._late as error:
            reason = Message(
                "the answer was not there after {seconds} seconds", seconds=self._seconds
            )
            raise DeliveryError(reason) from error
        except self._unreached as error:
            kind = type(error).__name__
            reason = Message("nobody answers at its address ({kind})", kind=kind)
            raise DeliveryError(reason, reached=False) from error
        except self._failures as error:
            kind = type(error).__name__
            reason = Message("no answer came ({kind})", kind=kind)
            raise DeliveryError(reason) from error


def _secret(endpoint: Endpoint, name: str) -> WebhookSecret:
    written = endpoint.environment(name)
    if not written:
        raise InputError(
            f"the environment variable {name} is not set; it holds the secret of endpoint"
            f" {endpoint.name!r}"
        )
    return WebhookSecret(written, known_as=name)


def _seconds(asked: str | None, now: int) -> float | None:
    """Return after how many seconds to come back: they are told, or a date is."""
    if asked is None:
        return None
    if asked.strip().isdecimal():
        return min(float(asked), RETRY_AFTER_MAX)
    try:
        at = parsedate_to_datetime(asked)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    left = (at - datetime.fromtimestamp(now / SECOND, UTC)).total_seconds()
    return min(max(left, 0.0), RETRY_AFTER_MAX)
