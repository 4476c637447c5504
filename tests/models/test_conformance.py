"""What every model keeps to, whoever provides it: scripted, behind a wire format, or embedded and real."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from surefoot.core.model import Message as Said
from surefoot.core.model import ModelAnswer
from wire import WireServer

from .subjects import FIND, TRIAGE, Subject, ask, subjects

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("subject", subjects())]


async def test_an_answer_fits_its_schema(subject: Subject, wire: WireServer) -> None:
    async with subject.open(wire, "ok") as model:
        answer = await model.request(ask())
    assert answer.finish == "stop"
    assert answer.calls == ()
    Draft202012Validator(TRIAGE).validate(json.loads(answer.text))


async def test_usage_is_counted_and_within_the_bound(subject: Subject, wire: WireServer) -> None:
    async with subject.open(wire, "ok") as model:
        bound = model.bound(ask())
        answer = await model.request(ask())
        assert answer.usage is not None
        assert 0 <= answer.usage.cached <= answer.usage.input <= bound.tokens_in
        assert 0 <= answer.usage.output <= bound.tokens_out
        assert 0 <= model.price(answer.usage) <= bound.nanousd


async def test_an_answer_names_its_model(subject: Subject, wire: WireServer) -> None:
    async with subject.open(wire, "ok") as model:
        assert model.name
        assert (await model.request(ask())).version


async def test_free_text_is_answered_with_text(subject: Subject, wire: WireServer) -> None:
    async with subject.open(wire, "text") as model:
        answer = await model.request(ask(output_schema=None))
    assert answer.text.strip()
    assert answer.finish in ("stop", "length")


async def test_an_answer_that_is_no_object_fits_its_schema(subject: Subject, wire: WireServer) -> None:
    if subject.name in ("scripted", "recorded"):
        pytest.skip("a script says what it says")
    schema = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9}, "maxItems": 3}
    async with subject.open(wire, "ok") as model:
        answer = await model.request(ask(output_schema=schema))
    Draft202012Validator(schema).validate(json.loads(answer.text))


async def test_a_tool_is_proposed_by_its_name_and_its_result_goes_back(
    subject: Subject, wire: WireServer
) -> None:
    async with subject.open(wire, "tools") as model:
        request = ask(tools=(FIND,))
        first = await model.request(request)
        if subject.name == "embedded" and not first.calls:
            # A small model may answer at once: then it has to be an answer that fits.
            Draft202012Validator(TRIAGE).validate(json.loads(first.text))
            first = ModelAnswer("", (call_of("B-2041"),), "tool_calls")
        assert first.finish == "tool_calls"
        (call,) = first.calls
        assert call.name == "find_order"
        assert call.id
        Draft202012Validator(FIND.input_schema).validate(json.loads(call.arguments))

        answered = Said("tool", '{"status":"sent"}', call_id=call.id)
        followed = replace(
            request,
            messages=(*request.messages, Said("assistant", first.text, first.calls), answered),
            tools=(),
        )
        last = await model.request(followed)
    assert last.finish == "stop"
    Draft202012Validator(TRIAGE).validate(json.loads(last.text))


async def test_text_that_http_cannot_carry_is_asked_all_the_same(subject: Subject, wire: WireServer) -> None:
    async with subject.open(wire, "ok") as model:
        halves = ask(
            messages=(Said("user", "half a character: \ud83d, a whole one: \U0001f600, zero: \x00"),)
        )
        bound = model.bound(halves)
        answer = await model.request(halves)
    assert answer.usage is None or answer.usage.input <= bound.tokens_in


async def test_two_requests_at_once_are_both_answered(subject: Subject, wire: WireServer) -> None:
    async with subject.open(wire, "ok") as model:
        answers = await asyncio.gather(model.request(ask()), model.request(ask()))
    assert answers[0].text == answers[1].text


async def test_closing_twice_is_closing_once(subject: Subject, wire: WireServer) -> None:
    async with subject.open(wire, "ok") as model:
        await model.request(ask())
        await model.close()
        await model.close()


def call_of(number: str):  # type: ignore[no-untyped-def]
    from surefoot.core.model import ProposedCall

    return ProposedCall("call_1", "find_order", json.dumps({"number": number}))
