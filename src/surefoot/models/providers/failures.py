"""What went wrong at a provider, in our two words: unavailable, or refused.

Both SDKs raise the same family of errors (they are made by one generator, over one HTTP client), so
one reading serves both, by duck typing: nothing here imports an SDK. The question that matters is
`charged`: False only where the provider surely did not bill, because then the reservation is
released; in doubt it is held as spent.

An error's text is made of our own words, the status, and at most one short line of the provider's;
never of a response body, a header, a URL or an exception's text, which may hold a key.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from ...errors import ModelError, ModelRefused, ModelUnavailable

LONGEST_LINE = 200
"""Characters of a provider's own message that we pass on."""

NOT_SENT = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ProxyError",
        "UnsupportedProtocol",
        "LocalProtocolError",
    }
)
"""Errors of the HTTP client that can only happen before the request is sent."""

BAD_ADDRESS = frozenset({"UnsupportedProtocol", "LocalProtocolError", "InvalidURL"})

NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_error"})
TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "request_too_large"})


def from_exception(error: Exception, model: str, key: str | None) -> ModelError:
    """The error to raise for whatever an SDK raised. `key` is taken out of the provider's words."""
    status: int | None = getattr(error, "status_code", None)
    response: Any = getattr(error, "response", None)
    if status is not None and response is not None:
        return from_status(status, response.headers, getattr(error, "body", None), model, key)
    kinds = _kinds(error)
    if "APITimeoutError" in kinds:
        if "PoolTimeout" in kinds or "ConnectTimeout" in kinds:
            return unreachable(model)
        return timed_out(model)
    if kinds & BAD_ADDRESS:
        return ModelRefused(
            f"{model}: the request could not be made",
            why="the base URL or the key is not one that HTTP can carry",
            remedy="Check the provider's base URL (it starts with http:// or https://) and its key.",
        )
    if "APIConnectionError" in kinds:
        return unreachable(model) if kinds & NOT_SENT else cut_off(model)
    if isinstance(error, (ValueError, TypeError, KeyError)) or "APIResponseValidationError" in kinds:
        return unreadable(model, "its answer is not what its API promises")
    return ModelUnavailable(
        f"{model}: the provider's client failed",
        why=type(error).__name__,
        remedy="It may have been billed. Look at the provider's status page, then try again.",
    )


def from_status(
    status: int, headers: Mapping[str, str], body: Any, model: str, key: str | None
) -> ModelError:
    """The error for an HTTP status of 300 or more."""
    line, codes = said(body, key)
    why = f"HTTP {status}" + (f": {line}" if line else "")
    wait = retry_after(headers)
    if status == 429 and not codes & NO_MONEY:
        return ModelUnavailable(
            f"{model}: too many requests",
            why=why,
            charged=False,
            retry_after=wait,
            status=status,
            remedy="It is tried again by itself. If it goes on: fewer runs at once, or a higher limit.",
        )
    if status >= 500 or status in (408, 409, 425):
        # 503 and 529 say "overloaded": turned away at the door. Of the others nobody knows how far they came.
        return ModelUnavailable(
            f"{model}: the provider failed",
            why=why,
            charged=status not in (503, 529, 409, 425),
            retry_after=wait,
            status=status,
            remedy="It is tried again by itself, then the next model in order.",
        )
    if codes & TOO_LONG or status == 413:
        return ModelRefused(
            f"{model}: the request is longer than the model can read",
            why=why,
            status=status,
            remedy="Give the ask less data, or list a model with a longer context.",
        )
    return ModelRefused(
        f"{model}: the provider refused the request", why=why, status=status, remedy=_remedy(status, codes)
    )


def _remedy(status: int, codes: frozenset[str]) -> str:
    match status:
        case 401 | 403:
            return "Check the provider's key and what it may do (see `surefoot config show --sources`)."
        case 402 | 429:
            return "The account has no credit left: see the provider's billing page."
        case 404 | 405:
            return "Check the model's name, and the base URL with its path (often it ends in /v1)."
        case 400 | 422:
            return (
                "If it names response_format, output_config or a schema, this model or server cannot enforce "
                "one: set the provider's option output to 'none'. Otherwise the message names what to change."
            )
        case _ if 300 <= status < 400:
            return "The server sends elsewhere, where no key follows: set the base URL to the final address."
        case _:
            return "The message names what to change."


def unreachable(model: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{model}: the provider could not be reached",
        why="no connection was made, so nothing was sent",
        charged=False,
        remedy="Check the network, the base URL and the provider's status page.",
    )


def timed_out(model: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{model}: no answer within the ask's time",
        why="the request was sent, so it may be billed",
        remedy="Give the ask more time, ask for fewer tokens, or list a faster model.",
    )


def cut_off(model: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{model}: the connection broke before the answer was complete",
        why="the request was sent, so it may be billed",
        remedy="It is tried again by itself.",
    )


def unreadable(model: str, why: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{model}: the answer cannot be read",
        why=why,
        remedy="If it goes on, the base URL leads to something else than this provider's API.",
    )


def said(body: Any, key: str | None) -> tuple[str, frozenset[str]]:
    """A provider's own message as one short line without the key, and the codes that it gave."""
    if isinstance(body, list) and body:
        body = body[0]
    error = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(error, str):
        return _line(error, key), frozenset()
    if not isinstance(error, dict):
        return "", frozenset()
    codes = frozenset(str(error[name]) for name in ("code", "type") if error.get(name))
    message = error.get("message")
    return (_line(message, key) if isinstance(message, str) else ""), codes


_KEY_LIKE = re.compile(r"\b(?:sk|pk|key|rk)-[\w*.\-]{6,}|\bBearer\s+\S+", re.IGNORECASE)


def _line(text: str, key: str | None) -> str:
    if key:
        text = text.replace(key, "[key]")
    text = " ".join(_KEY_LIKE.sub("[key]", text).split())
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds, or a date in HTTP's form)."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    until = _time(headers.get("retry-after"))
    if until is None:
        return None
    # The server's own clock, where it tells it: ours may be wrong.
    now = _time(headers.get("date")) or now or time.time()
    return max(until - now, 0.0)


def _time(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None


def _kinds(error: BaseException) -> set[str]:
    """Names of the classes of an error and of what caused it."""
    found: set[str] = set()
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            break
        found.update(cls.__name__ for cls in type(cause).__mro__)
        cause = cause.__cause__
    return found
