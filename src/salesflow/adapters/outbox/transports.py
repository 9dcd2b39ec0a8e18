"""How messages get out: a transport sends one message to one endpoint, or says why it did not.

A transport for a broker is a class with `send` and `close`; `TRANSPORTS` names by the scheme of
an endpoint's URL what makes it. What is sent twice, retried or given up is for `delivery` to
say: a transport tries once.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import Final, NamedTuple, Protocol

from salesflow.adapters.outbox.messages import OutgoingMessage

__all__ = ["TRANSPORTS", "DeliveryError", "Transport", "TransportKind", "transport_of"]


class DeliveryError(Exception):
    """A message was not delivered, or nobody knows whether it was."""

    def __init__(
        self,
        reason: str,
        *,
        retryable: bool = True,
        retry_after: float | None = None,
        reached: bool = True,
        busy: bool = False,
        gone: bool = False,
    ) -> None:
        """Say what went wrong.

        Without `retryable` the message is dead at once. `retry_after` is after how many seconds
        the endpoint wants to be asked again. `reached` says whether it answered at all,
        `busy` whether it would refuse any other message now as well, and `gone` that it wants
        none any more.
        """
        super().__init__(reason)
        self.reason: Final = reason
        self.retryable: Final = retryable
        self.retry_after: Final = retry_after
        self.reached: Final = reached
        self.busy: Final = busy
        self.gone: Final = gone


class Transport(ABC):
    """Sends messages to one endpoint; several threads use it at once."""

    @abstractmethod
    def send(self, message: OutgoingMessage, body: bytes) -> None:
        """Send a message once, and return when it was taken; `body` is its stored CloudEvent.

        Raises:
            DeliveryError: when it was not taken, or nobody knows whether it was.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back the connections that it holds."""


class TransportKind(NamedTuple):
    """What sends to the addresses of a scheme."""

    home: str
    """Module and name of what is called with an `Endpoint`, loaded when it is."""
    options: tuple[str, ...] = ()
    """Keys of an endpoint in its file that this kind alone knows: `Endpoint.options`."""


REDIS: Final = "salesflow.adapters.outbox.redis_streams:RedisStreamTransport"
TRANSPORTS: Final[Mapping[str, TransportKind]] = {
    "https": TransportKind("salesflow.adapters.outbox.webhooks:WebhookTransport"),
    "http": TransportKind("salesflow.adapters.outbox.webhooks:WebhookTransport"),
    "redis": TransportKind(REDIS, ("stream", "partitions", "fsync", "password_env")),
    "rediss": TransportKind(REDIS, ("stream", "partitions", "fsync", "password_env")),
}
"""By the scheme of a URL."""


class Addressed(Protocol):
    """What has an address: an `Endpoint`."""

    @property
    def scheme(self) -> str:
        """What its URL begins with."""


def transport_of(endpoint: Addressed) -> Transport:
    """Return what sends to an endpoint.

    Raises:
        InputError: when a package is missing, or the endpoint's secret is.
    """
    module, name = TRANSPORTS[endpoint.scheme].home.split(":")
    made: Transport = getattr(import_module(module), name)(endpoint)
    return made
