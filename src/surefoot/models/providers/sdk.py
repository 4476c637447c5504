"""One request through an official SDK: what the providers for `openai` and `anthropic` share.

The SDK is imported at the first request, in a thread (0.6 to 1.3 s that would hold up every run of
the process, and that a workflow which never asks never pays). Its retries are off and it follows no
redirect: one `request` is one HTTP attempt, to the address that was configured.
"""

from __future__ import annotations

import asyncio
import importlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ...core.jsons import dumps
from ...core.model import Bound, ModelAnswer, ModelRequest, ModelSettings, Tokens
from ...errors import DefinitionError, ModelError, ModelRefused
from ..prices import LOOPBACK, Prices, prices_of
from . import failures

CONNECT_SECONDS = 10.0


def clean(text: str) -> str:
    """`text` as UTF-8 can carry it: JSON may hold half a surrogate pair, and HTTP may not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def is_loopback(url: str | None) -> bool:
    return url is not None and (urlsplit(url).hostname or "") in LOOPBACK


def take_options(
    provider: str, given: dict[str, Any], known: dict[str, tuple[Any, ...] | type]
) -> dict[str, Any]:
    """`given`, checked: each name is known, each value one of its choices or of its type."""
    for name, value in given.items():
        allowed = known.get(name)
        if allowed is None:
            raise DefinitionError(
                f"{provider}: there is no option {name!r}",
                why="a misspelt option would silently do nothing",
                remedy=f"Its options are: {', '.join(sorted(known))}.",
            )
        fits = value in allowed if isinstance(allowed, tuple) else isinstance(value, allowed)
        if allowed is float:
            fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not fits:
            choices = (
                " or ".join(map(repr, allowed)) if isinstance(allowed, tuple) else f"a {allowed.__name__}"
            )
            raise DefinitionError(
                f"{provider}: option {name!r} is {value!r}",
                why="that is none of the values it may have",
                remedy=f"It takes {choices}.",
            )
    return given


class SdkModel(ABC):
    """A model behind an SDK. A subclass says how a request is written and an answer read.

    `name` is the spec of the workflow, `model` what the provider calls it.
    """

    package: ClassVar[str]
    default_url: ClassVar[str]
    key_variable: ClassVar[str]

    def __init__(self, name: str, model: str, settings: ModelSettings) -> None:
        self.name = name
        self.model = model
        self.settings = settings
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._prices: Prices | None = None

    @property
    def base_url(self) -> str:
        return self.settings.base_url or self.default_url

    @abstractmethod
    def body(self, request: ModelRequest) -> dict[str, Any]:
        """The JSON of the HTTP request."""

    @abstractmethod
    def read(self, data: dict[str, Any], request: ModelRequest) -> ModelAnswer:
        """The answer in the JSON of the HTTP response.

        Raises ModelUnavailable; a KeyError, TypeError or ValueError is read as an answer of the wrong shape.
        """

    @abstractmethod
    def connect(self, sdk: Any, key: str, http: Any) -> Any:
        """A client of the SDK, over `http`, a client of HTTP."""

    @abstractmethod
    async def post(self, client: Any, body: dict[str, Any], timeout: Any) -> Any:
        """Send; the raw response, whose body has been read whole."""

    # ── Model ────────────────────────────────────────────────────────────────────────────────────

    def bound(self, request: ModelRequest) -> Bound:
        tokens_in = self.most_tokens_in(request)
        return Bound(tokens_in, request.max_tokens, self.prices.worst(tokens_in, request.max_tokens))

    def most_tokens_in(self, request: ModelRequest) -> int:
        """No tokenizer makes more tokens than there are bytes, so the bytes of what is sent bound the input.

        What a provider adds unseen (markers of its chat template, its own words on tools and schemas) is
        covered by the JSON around each message, and by a lump where something is added.
        """
        body = self.body(request)
        extra = 64 + (1024 if request.tools or request.output_schema is not None else 0)
        return len(dumps(body).encode()) + 16 * len(body["messages"]) + extra

    def price(self, usage: Tokens) -> int:
        return self.prices.of(usage)

    @property
    def prices(self) -> Prices:
        if self._prices is None:
            url = self.settings.base_url
            self._prices = prices_of(self.package, self.model, base_url=url, override=self.settings.price)
        return self._prices

    async def request(self, request: ModelRequest) -> ModelAnswer:
        client = await self._connected()
        body = self.body(request)
        try:
            async with asyncio.timeout(request.timeout):
                response = await self.post(client, body, self._timeout(request.timeout))
        except TimeoutError:
            raise failures.timed_out(self.name) from None
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001  every way in which an SDK fails becomes one of our two errors
            # `from None`: the SDK's errors print whole response bodies.
            raise failures.from_exception(error, self.name, self.settings.api_key) from None
        try:
            data = response.json()
            if not isinstance(data, dict):
                raise failures.unreadable(self.name, "its JSON is not an object")
            return self.read(data, request)
        except ModelError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            raise failures.unreadable(self.name, "its answer is not what its API promises") from None

    async def close(self) -> None:
        await self._drop_client()

    # ── the client ───────────────────────────────────────────────────────────────────────────────

    async def _connected(self) -> Any:
        """The client of this event loop: connections cannot move to another one."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            key = self._key()
            sdk = await asyncio.to_thread(importlib.import_module, self.package)
            if self._client is None or self._loop is not loop:  # else another task was faster
                await self._drop_client()
                self._client, self._loop = self.connect(sdk, key, self._http(sdk)), loop
        return self._client

    def _http(self, sdk: Any) -> Any:
        if not is_loopback(self.base_url):
            return sdk.DefaultAsyncHttpxClient(follow_redirects=False)
        # A proxy from the environment would be asked for its own loopback interface.
        httpx = importlib.import_module("httpx2")
        limits = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
        return httpx.AsyncClient(follow_redirects=False, trust_env=False, limits=limits)

    async def _drop_client(self) -> None:
        client, loop = self._client, self._loop
        self._client = self._loop = None
        if client is None or loop is None or loop.is_closed():
            return
        if loop is asyncio.get_running_loop():
            await client.close()
        else:  # its connections are the other loop's to close
            asyncio.run_coroutine_threadsafe(client.close(), loop)

    def _key(self) -> str:
        key = self.settings.api_key or ("none" if is_loopback(self.base_url) else "")
        if not key:
            raise ModelRefused(
                f"{self.name}: there is no key for {self.package}",
                why=f"{self.key_variable} is not set in the environment",
                remedy=f"Set {self.key_variable}, or list a model that needs none (embedded).",
            )
        if not key.isascii() or not key.isprintable():
            raise ModelRefused(
                f"{self.name}: the key for {self.package} cannot be sent",
                why="it has characters that no key has (a line break, a typographic quote)",
                remedy=f"Look at {self.key_variable}.",
            )
        return key

    def _timeout(self, seconds: float) -> Any:
        httpx = importlib.import_module("httpx2")
        return httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


def count(value: Any) -> int:
    """A token count as a provider wrote it. Raises ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not a token count")
    return value
