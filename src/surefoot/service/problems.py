"""Errors as answers: every one is `application/problem+json` (RFC 9457) with a code and a remedy.

The status comes from the catalogue, so that an error has one everywhere. Nobody gets a stack trace: what no
error of ours explains is `unexpected`, and its particulars are in the log, under the request's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from ..catalogue import shown
from ..core.jsons import dumps
from ..errors import SurefootError
from ..orchestrator.redacting import redactor

MEDIA = "application/problem+json"
BUSY = (429, 503)
AGAIN = 5
"""Seconds that whoever meets a busy service is asked to wait, where the error does not say."""


def status_of(error: SurefootError) -> int:
    if error.status is not None:
        return error.status
    found = error.entry()
    return 500 if found is None else found.status


def quoted(text: str, most: int = 100) -> str:
    """What somebody sent, for a message: redacted before it is cut, for half a secret looks like none."""
    return redactor().withhold(text)[:most]


def problem(
    error: SurefootError,
    request_id: str = "",
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """What is said in words passes the process's redactor: it may quote what somebody sent. The code is ours,
    and stays, though somebody may be called like a part of it."""
    status = status or status_of(error)
    entry = error.entry()
    said = shown(error.code, error.what, error.why, error.remedy)
    said |= {name: redactor().withhold(said[name]) for name in ("what", "why", "remedy")}
    body: dict[str, Any] = {
        "type": said["docs"],
        "title": entry.title if entry is not None else "An error",
        "status": status,
        "detail": f"{said['what']}: {said['why']}" if said["why"] else said["what"],
        **said,
    }
    if isinstance(errors := error.data.get("errors"), list):
        body["errors"] = [redactor().withhold(str(line)) for line in errors]
    if request_id:
        body["request_id"] = request_id
    more = dict(headers or {})
    if error.retry_after is not None or status in BUSY:
        more["Retry-After"] = str(max(1, round(error.retry_after or AGAIN)))
    if status == 401:
        more["WWW-Authenticate"] = "Bearer"
    return Response(encoded(body), status, more, MEDIA)


def encoded(body: Any) -> bytes:
    """A message may quote what is no text: an answer must not fail over that."""
    return dumps(body).encode("utf-8", "backslashreplace")
