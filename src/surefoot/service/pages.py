"""Pages of lists: where one ends, and how the next is asked for.

A cursor names the last row of a page, so that rows which come meanwhile are neither skipped nor told twice.
What it looks like is nobody's business.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response

from ..errors import BadRequest
from .routes import answer


def cursor_of(place: str) -> str:
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str) -> str:
    """Raises BadRequest."""
    try:
        content = urlsafe_b64decode((cursor + "=" * (-len(cursor) % 4)).encode("ascii"))
        place = content.decode("ascii")
    except (Error, ValueError):
        place = ""
    if not place or cursor_of(place) != cursor:
        raise no_cursor()
    return place


def no_cursor() -> BadRequest:
    return BadRequest(
        "the cursor is none of ours",
        why="it was changed, or what it points at is gone",
        remedy="Take `next` of an answer as it is, or begin anew without a cursor.",
    )


def page(request: Request, data: list[Any], place: str | None) -> Response:
    """`place` is that of the last row, where there are more."""
    if place is None:
        return answer({"data": data, "next": None})
    cursor = cursor_of(place)
    query = [one for one in parse_qsl(request.url.query) if one[0] != "cursor"]
    link = f"{request.url.path}?{urlencode([*query, ('cursor', cursor)])}"
    return answer({"data": data, "next": cursor}, headers={"Link": f'<{link}>; rel="next"'})
