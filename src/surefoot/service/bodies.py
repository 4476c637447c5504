"""Bodies of requests: JSON, and read as strictly as everything else that comes from outside.

Not FastAPI's own way: that one takes NaN and repeated keys, and answers 500 for what is nested too deeply.
A route says `body: Annotated[NewRun, body_of(NewRun)]`, and its document is made from that
(surefoot.service.document).
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import Depends
from pydantic import ValidationError
from starlette.requests import Request

from ..core.jsons import dumps, parse_strictly
from ..core.schema import lines_of
from ..errors import BadRequest
from .problems import quoted

DEEPEST = 100
"""Of lists and objects in each other: less than any part of us minds."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)


class BodyOf:
    """A dependency: the body as this model. `optional`: nothing at all is an empty object."""

    def __init__(self, model: Any, *, optional: bool = False) -> None:
        self.model = model
        self.optional = optional

    async def __call__(self, request: Request) -> Any:
        """Raises BadRequest, TooLarge."""
        content = await request.body()
        value: Any = {}
        if not content and not self.optional:
            raise BadRequest("the request has no body", why="this needs one", errors=["it is missing"])
        if content:
            _must_be_json(request.headers.get("content-type", ""))
            value = parsed(content)
        try:
            return self.model.model_validate(value)
        except ValidationError as error:
            lines = lines_of(error)
            raise BadRequest("the body does not fit", why="; ".join(lines), errors=lines) from None


def body_of(model: Any, *, optional: bool = False) -> Any:
    return Depends(BodyOf(model, optional=optional))


def _must_be_json(kind: str) -> None:
    media = kind.partition(";")[0].strip().lower()
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        raise BadRequest(
            "the body is not sent as JSON",
            why=f"its Content-Type is {quoted(media) or 'missing'}",
            remedy="Send it with `Content-Type: application/json`.",
            status=415,
        )


def parsed(content: bytes) -> Any:
    """Raises BadRequest."""
    if content.count(b"[") + content.count(b"{") > DEEPEST and _depth(content) > DEEPEST:
        raise _unreadable(f"it is nested more than {DEEPEST} deep")
    try:
        value = parse_strictly(content.decode("utf-8"))
        if b"\\u" in content:
            dumps(value).encode()  # half of a surrogate pair is no text
    except UnicodeDecodeError:
        raise _unreadable("it is no UTF-8") from None
    except UnicodeEncodeError:
        raise _unreadable("a text in it holds half of a surrogate pair") from None
    except (ValueError, RecursionError) as error:
        raise _unreadable(str(error)) from None
    return value


def _depth(content: bytes) -> int:
    deepest = depth = 0
    for letter in _STRING.sub(b"", content):
        if letter in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in b"]}":
            depth -= 1
    return deepest


def _unreadable(why: str) -> BadRequest:
    return BadRequest("the body is no JSON that can be used", why=why, status=400)
