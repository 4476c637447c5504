"""Our own files for the browser: one style sheet, htmx, a few lines that keep pages live, the icon."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..errors import NoSuchPage
from .pages import assets

router = APIRouter()
YEAR = 31_536_000


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
async def static(name: str, request: Request) -> Response:
    """Raises NoSuchPage."""
    asset = assets().get(name)
    if asset is None:
        raise NoSuchPage(f"there is no file {name!r} here", why="the console has no such file")
    is_named = request.query_params.get("v") == asset.version
    keep = f"public, max-age={YEAR}, immutable" if is_named else "no-cache"
    headers = {"Cache-Control": keep, "X-Content-Type-Options": "nosniff", "ETag": f'"{asset.version}"'}
    return Response(asset.content, 200, headers, asset.media)
