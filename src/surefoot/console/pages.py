"""A page: a template filled with views, and the headers that let a browser run nothing but our own files.

Templates escape everything (autoescape), know no undefined name, and pass every text through `visible`.
Whatever a model, a tool, a ticket or a person wrote is therefore text on the page, and never more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..core.clock import iso
from ..errors import BadRequest
from ..rails import policy
from ..service.access import Principal
from ..service.asking import service_of
from ..service.service import Service
from . import words
from .choices import past_of

HERE = Path(__file__).parent
THEME_COOKIE = "surefoot_theme"
THEMES = ("auto", "light", "dark")
MOST_FIELDS = 400

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer a browser would send `Origin: null` along with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Asset:
    content: bytes
    media: str
    version: str


@cache
def assets() -> dict[str, Asset]:
    """By file name; the version is a digest of the content, so a browser may keep what it has for ever."""
    kinds = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    found = {}
    for path in sorted((HERE / "static").iterdir()):
        if path.suffix in kinds:
            content = path.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:12]
            found[path.name] = Asset(content, f"{kinds[path.suffix]}; charset=utf-8", version)
    return found


def static_url(name: str) -> str:
    return f"/static/{name}?v={assets()[name].version}"


@cache
def templates() -> Environment:
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    env.globals |= {
        "static": static_url,
        "query": query,
        "count": words.count,
        "call_text": words.call_text,
        "name_of": words.name_of,
        "past_of": past_of,
    }
    env.filters |= {
        "moment": words.moment,
        "iso": iso,
        "length_of": words.length,
        "ago": words.ago,
        "money": words.money,
        "nano_money": words.nano_money,
        "pretty": words.pretty,
        "shape": words.shape,
        "line": words.line,
    }
    return env


def _shown(value: Any) -> Any:
    """What a template prints; Markup is the templates' own."""
    return words.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def query(**fields: Any) -> str:
    """`?a=1&b=2` of what is given; a list stands for several of a name."""
    given = {name: value for name, value in fields.items() if value not in (None, "", [], ())}
    return f"?{urlencode(given, doseq=True)}" if given else "?"


@dataclass(frozen=True)
class Live:
    """What a page watches: `url` is its stream, `parts` are the ids of what is fetched anew."""

    url: str
    parts: tuple[str, ...]


async def show(
    request: Request,
    template: str,
    principal: Principal | None,
    *,
    status: int = 200,
    live: Live | None = None,
    **values: Any,
) -> Response:
    """`principal` None: nobody is logged in, and nothing of the store is told."""
    service = service_of(request)
    waiting = 0
    if principal is not None:
        mine = [
            one.count for one in await service.store.open_items() if is_for(service, principal, one.queue)
        ]
        waiting = sum(mine)
    common = {
        "me": principal,
        "workflow": service.workflow.name,
        "path": request.url.path,
        "here": here(request),
        "theme": theme_of(request),
        "waiting_for_me": waiting,
        "now": service.clock.now(),
        "live": live,
        "draining": service.draining,
    }
    text = templates().get_template(template).render({**common, **values})
    return Response(text.encode("utf-8", "replace"), status, HEADERS, "text/html; charset=utf-8")


def is_for(service: Service, principal: Principal, queue: str) -> bool:
    return policy.may_decide(queue, principal.person, service.people)


def theme_of(request: Request) -> str:
    found = request.cookies.get(THEME_COOKIE, "auto")
    return found if found in THEMES else "auto"


def here(request: Request) -> str:
    """This page's path with its query: where a form that changes nothing on it comes back to."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def go_to(path: str) -> Response:
    """After a form: the page is fetched anew, so that loading it again sends nothing twice."""
    return RedirectResponse(path, 303, HEADERS)


def own_path(path: str | None) -> str:
    """`path` if it is one of our own pages, else the first."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")):
        return "/"
    return path if path.isprintable() and "\\" not in path and not path.startswith("/log") else "/"


async def fields_of(request: Request) -> dict[str, str]:
    """A form's fields; the last of a name counts. Line ends are line feeds. Raises BadRequest."""
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/x-www-form-urlencoded":
        raise BadRequest("the form cannot be read", why="it is not urlencoded, as our own forms are")
    return parsed(body)


def parsed(body: bytes) -> dict[str, str]:
    """Raises BadRequest."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:
        raise BadRequest("the form cannot be read", why=type(error).__name__) from None
    return {name: text.replace("\r\n", "\n") for name, text in pairs}
