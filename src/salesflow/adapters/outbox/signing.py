"""Signatures of webhooks as Standard Webhooks has them: HMAC-SHA256 over id, time and body.

A secret is written `whsec_` and base64 of 24 to 64 random bytes. While one secret takes the
place of another, both sign: the header holds a signature of each, with a space between. It is a
module of its own, so that whoever audits it has all of it on one page.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hmac import digest
from typing import Final

from salesflow.errors import InputError

__all__ = ["WebhookSecret", "signed_headers"]


PREFIX: Final = "whsec_"
BYTES_MIN, BYTES_MAX = 24, 64


class WebhookSecret:
    """A secret that both sides know; it is never shown."""

    def __init__(self, written: str, *, known_as: str) -> None:
        """Read a secret as it is written.

        Raises:
            InputError: when it is none, naming what holds it and never what it holds.
        """
        encoded = written.strip().removeprefix(PREFIX)
        try:
            self._key: Final = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputError(_refusal(known_as)) from error
        if not BYTES_MIN <= len(self._key) <= BYTES_MAX:
            raise InputError(_refusal(known_as))

    def signature(self, content: bytes) -> str:
        """Return the signature of what is sent."""
        return f"v1,{b64encode(digest(self._key, content, 'sha256')).decode()}"


def _refusal(known_as: str) -> str:
    return (
        f"{known_as} holds no secret of a webhook: write whsec_ and base64 of {BYTES_MIN} to"
        f" {BYTES_MAX} random bytes, as echo whsec_$(openssl rand -base64 32) makes one"
    )


def signed_headers(
    secrets: Sequence[WebhookSecret], id: str, seconds: int, body: bytes
) -> dict[str, str]:
    """Return the three headers of an attempt at some second since 1970."""
    content = f"{id}.{seconds}.".encode() + body
    return {
        "webhook-id": id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(secret.signature(content) for secret in secrets),
    }
