"""A worker that delivers until it is killed, to be run beside a receiver that is killed too.

    python -m outbox.delivery_worker URL ENDPOINT MODE

In two modes it is wrong, so that a check which notices nothing is noticed: it `forgets` what
could not be delivered, or it `shuffles` what it sends of a deal.
"""

import json
import sys
from contextlib import suppress

from salesflow import SalesFlow
from salesflow.adapters.outbox.delivery import Lane
from salesflow.adapters.outbox.endpoints import endpoint_of
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.adapters.outbox.patience import Outcome
from salesflow.adapters.outbox.store import Claimed
from salesflow.adapters.outbox.transports import TRANSPORTS, DeliveryError, TransportKind
from salesflow.adapters.outbox.webhooks import WebhookTransport


class ForgetfulTransport(WebhookTransport):
    """Takes whatever it could not deliver for delivered."""

    def send(self, message: OutgoingMessage, body: bytes) -> None:
        with suppress(DeliveryError):
            super().send(message, body)


def shuffle() -> None:
    """Let what is sent of a deal begin with the last."""
    send = Lane._send

    def shuffled(self: Lane, claimed: Claimed) -> Outcome:
        return send(self, claimed._replace(messages=claimed.messages[::-1]))

    setattr(Lane, "_send", shuffled)  # noqa: B010 - which no type allows


def main(url: str, endpoint: str, mode: str) -> None:
    if mode == "forgets":
        TRANSPORTS["http"] = TransportKind(f"{__name__}:ForgetfulTransport")  # type: ignore[index]
    if mode == "shuffles":
        shuffle()
    told = {
        "name": "crm",
        "after": 0,
        "facts": ["deal.*"],
        "secret_env": "RECEIVER_SECRET",
        "retry_seconds": 0.05,
        "retry_seconds_max": 0.5,
        "timeout": 2,
        **json.loads(endpoint),
    }
    with SalesFlow(url) as flow:
        flow.outbox.deliver([endpoint_of(told)], follow=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
