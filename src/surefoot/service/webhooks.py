"""News by HTTP: signed and posted as Standard Webhooks wants it (https://www.standardwebhooks.com).

A request has the message's id, the moment and a signature for each secret in its headers, so that a receiver
knows who sent it, that it is no old one, and whether it has had it before. Secrets stand in
SUREFOOT_WEBHOOK_SECRET with spaces between: while one is replaced by another, both sign.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

import httpx2
from standardwebhooks import Webhook

from ..core.clock import MICROS, Clock
from ..errors import UsageError
from ..models.providers.failures import retry_after
from .egress import Answer
from .news import News, Outcome, words

VARIABLE = "SUREFOOT_WEBHOOK_SECRET"
PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret."""

Post = Callable[[str, Mapping[str, str], bytes], Awaitable[Answer]]
"""URL, headers, body: `Road.post`, which says what it raises."""


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Newest first, as they were written. Raises UsageError for what is no secret."""
    found = environment.get(VARIABLE, "").split()
    for number, secret in enumerate(found, 1):
        text = secret.removeprefix(PREFIX).rstrip("=")  # some write it without its padding
        try:
            size = len(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
        except (ValueError, binascii.Error):
            size = 0
        if not secret.startswith(PREFIX) or not SHORTEST <= size <= LONGEST:
            raise UsageError(
                f"secret {number} of {VARIABLE} cannot sign",
                why=f"it is not {PREFIX} and {SHORTEST} to {LONGEST} bytes in base64",
                remedy=f'Make one: echo "{PREFIX}$(openssl rand -base64 32)".',
            )
    return found


class Signer:
    def __init__(self, secrets: Sequence[str]) -> None:
        """Raises UsageError where there is none."""
        if not secrets:
            raise UsageError(
                "webhooks cannot be signed",
                why=f"{VARIABLE} is not set, and no receiver could tell ours from anybody else's",
                remedy=f'Make a secret, and tell the receiver: echo "{PREFIX}$(openssl rand -base64 32)".',
            )
        self._keys = [Webhook(secret) for secret in secrets]

    def headers(self, news: News, body: str, now: int) -> dict[str, str]:
        at = datetime.fromtimestamp(now // MICROS, UTC)
        return {
            "webhook-id": news.id,
            "webhook-timestamp": str(now // MICROS),
            "webhook-signature": " ".join(key.sign(news.id, at, body) for key in self._keys),
            "content-type": "application/json",
            "user-agent": "surefoot",
        }


class WebhookSender:
    def __init__(self, url: str, signer: Signer, post: Post, clock: Clock) -> None:
        self._url = url
        self._signer = signer
        self._post = post
        self._clock = clock

    async def send(self, news: News) -> Outcome:
        body = news.body
        headers = self._signer.headers(news, body, self._clock.now())
        try:
            answer = await self._post(self._url, headers, body.encode())
        except UsageError as error:
            return Outcome("again", words(f"not sent: {error.what}: {error.why}"))
        except TimeoutError:
            return Outcome("again", "no answer in time")
        except (httpx2.HTTPError, OSError) as error:
            return Outcome("again", words(f"no answer: {type(error).__name__}: {error}"))
        return _outcome(answer, self._clock.now())


def _outcome(answer: Answer, now: int) -> Outcome:
    """As the specification reads: 2xx is success, 410 means never again, and everything else is tried again,
    after as long as the receiver asks for. A redirect is not followed: the setting is to be mended."""
    said = words(f"{answer.status} {answer.said}")
    if 200 <= answer.status < 300:
        return Outcome("sent", said)
    if answer.status == 410:
        return Outcome("gone", said)
    return Outcome("again", said, retry_after(answer.headers, now / MICROS))
