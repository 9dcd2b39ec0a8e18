"""How messages get out: a transport sends one message to one endpoint, or says why it did not.

A transport for a broker is a class with `send` and `close`; `TRANSPORTS` names by the scheme of
an endpoint's URL what makes it. What is sent twice, retried or given up is for `delivery` to
say: a transport tries once.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from salesflow.adapters.outbox.messages import OutgoingMessage

if TYPE_CHECKING:
    from salesflow.adapters.outbox.endpoints import Endpoint

__all__ = ["TRANSPORTS", "DeliveryError", "Transport", "transport_of"]


class DeliveryError(Exception):
    """A message was not delivered, or nobody knows whether it was."""

    def __init__(
        self,
        reason: str,
        *,
        retryable: bool = True,
        retry_after: float | None = None,
        reached: bool = True,
        gone: bool = False,
    ) -> None:
        """Say what went wrong.

        Without `retryable` the message is dead at once. `retry_after` is after how many seconds
        the endpoint wants to be asked again. `reached` says whether it answered at all; `gone`
        that it wants no message any more.
        """
        super().__init__(reason)
        self.reason: Final = reason
        self.retryable: Final = retryable
        self.retry_after: Final = retry_after
        self.reached: Final = reached
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


TRANSPORTS: Final[Mapping[str, str]] = {
    "https": "salesflow.adapters.outbox.webhooks:WebhookTransport",
    "http": "salesflow.adapters.outbox.webhooks:WebhookTransport",
    "redis": "salesflow.adapters.outbox.redis_streams:RedisStreamTransport",
    "rediss": "salesflow.adapters.outbox.redis_streams:RedisStreamTransport",
}
"""By the scheme of a URL: module and name of what is called with an `Endpoint`."""


def transport_of(endpoint: "Endpoint") -> Transport:
    """Return what sends to an endpoint.

    Raises:
        InputError: when a package is missing, or the endpoint's secret is.
    """
    module, name = TRANSPORTS[endpoint.scheme].split(":")
    made: Transport = getattr(import_module(module), name)(endpoint)
    return made
