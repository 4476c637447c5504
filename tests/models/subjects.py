"""The models that the conformance suite is run on, each reached as its user reaches it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytest

from surefoot.core.model import FREE, Model, ModelAnswer, ModelRequest, ModelSettings, Price, ToolSpec
from surefoot.core.model import Message as Said
from surefoot.models.providers import open_model
from wire import WireServer
from wire.server import KEY

PRICE = Price(2000.0, 10000.0, 200.0)

TRIAGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "intent": {"enum": ["cancel", "refund", "tracking", "other"], "type": "string"},
        "number": {"anyOf": [{"type": "string", "maxLength": 12}, {"type": "null"}], "default": None},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}, "minItems": 1, "maxItems": 2},
    },
    "required": ["intent", "lines"],
    "$defs": {
        "Line": {
            "type": "object",
            "properties": {
                "article": {"type": "string", "maxLength": 20},
                "count": {"type": "integer", "minimum": 1, "maximum": 9},
            },
            "required": ["article", "count"],
        }
    },
}

FIND = ToolSpec(
    "find_order",
    "Look up one order by its number.",
    {
        "type": "object",
        "properties": {"number": {"type": "string", "maxLength": 12}},
        "required": ["number"],
        "additionalProperties": False,
    },
)

TICKET = Said("user", '{"ticket":{"text":"Where is my order B-2041? I ordered two lamps."}}')


def ask(**changes: Any) -> ModelRequest:
    given: dict[str, Any] = {
        "instructions": "Read the customer's ticket.",
        "messages": (TICKET,),
        "output_name": "Triage",
        "output_schema": TRIAGE,
        "max_tokens": 200,
        "step": "triage",
    }
    return ModelRequest(**{**given, **changes})


@dataclass(frozen=True)
class Subject:
    """`cut`: a request whose answer does not fit its tokens, on a model opened for it."""

    name: str
    open: Callable[[WireServer, str], AbstractAsyncContextManager[Model]]
    marks: tuple[Any, ...] = ()


@asynccontextmanager
async def _closing(model: Model) -> AsyncIterator[Model]:
    try:
        yield model
    finally:
        await model.close()


def wired(wire: WireServer, provider: str, scenario: str, **options: Any) -> Model:
    """A model whose name is the scenario that the wire server plays."""
    url = wire.openai if provider == "openai" else wire.anthropic
    settings = ModelSettings(api_key=KEY, base_url=url, price=PRICE, options=options)
    return open_model(f"{provider}:{scenario}", {provider: settings})


def _wired(provider: str, **options: Any) -> Subject:
    def open_it(wire: WireServer, scenario: str) -> AbstractAsyncContextManager[Model]:
        return _closing(wired(wire, provider, scenario, **options))

    return Subject("-".join([provider, *map(str, options.values())]), open_it)


def _embedded() -> Subject:
    def open_it(wire: WireServer, scenario: str) -> AbstractAsyncContextManager[Model]:
        return _closing(open_model("embedded"))

    return Subject("embedded", open_it, (pytest.mark.live_embedded,))


def _scripted() -> Subject:
    def open_it(wire: WireServer, scenario: str) -> AbstractAsyncContextManager[Model]:
        from surefoot.testing import Say, ScriptedModel, UseTools

        answer = {"intent": "tracking", "number": "B-2041", "lines": [{"article": "lamp", "count": 2}]}
        turns: list[Any] = [Say("It is on its way.") if scenario == "text" else Say(answer)]
        if scenario == "tools":
            turns.insert(0, UseTools([("find_order", {"number": "B-2041"})]))
        return _closing(ScriptedModel({"triage": turns}))

    return Subject("scripted", open_it)


def _recorded() -> Subject:
    """Each request is answered once by the scripted model, written down as a recording's file holds it, read
    back, and answered from there."""
    scripted = _scripted()

    @asynccontextmanager
    async def open_it(wire: WireServer, scenario: str) -> AsyncIterator[Model]:
        from surefoot.models.recordings import Cassette, RecordedModel, RecordingModel, Stand, Turn

        class Twice(Stand):
            async def request(self, request: ModelRequest) -> ModelAnswer:
                heard: list[Turn] = []
                await RecordingModel(self._model, heard.append).request(request)
                kept = [Turn.from_json(json.loads(json.dumps(turn.to_json()))) for turn in heard]
                return await RecordedModel(self._model, Cassette(kept)).request(request)

        async with scripted.open(wire, scenario) as model:
            yield Twice(model)

    return Subject("recorded", open_it)


def subjects() -> list[Any]:
    found = [
        _wired("openai"),
        _wired("openai", output="json_object"),
        _wired("openai", output="none"),
        _wired("anthropic"),
        _wired("anthropic", output="none"),
        _embedded(),
    ]
    if find_spec("surefoot.testing") is not None:
        found += [_scripted(), _recorded()]
    return [pytest.param(subject, id=subject.name, marks=subject.marks) for subject in found]


IN_CI = bool(os.environ.get("CI"))
__all__ = ["FIND", "FREE", "IN_CI", "PRICE", "TICKET", "TRIAGE", "Subject", "ask", "subjects", "wired"]
