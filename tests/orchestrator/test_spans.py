"""Spans tell what the journal tells: one trace for a run over all its waits, each step, ask and call in it, and
never an exact value. Without a tracer provider there are none, and nothing is imported for them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import BaseModel

from surefoot import (
    Approve,
    Call,
    Effect,
    Private,
    Retry,
    Run,
    Runtime,
    Transient,
    Workflow,
    approve,
    step,
    tool,
)
from surefoot.orchestrator import spans
from surefoot.testing import Fail, Say, ScriptedModel, UseTools

pytestmark = pytest.mark.anyio

KEY = "shop-9f8e7d6c5b-hunter2"
MAIL = "kim.berg@post.example"


class Memory(InMemorySpanExporter):
    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.get_finished_spans() if span.name == name]

    def text(self) -> str:
        return "".join(span.to_json() for span in self.get_finished_spans())


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    exporter, provider = Memory(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setenv("SHOP_KEY", KEY)
    yield exporter
    provider.shutdown()


class Ticket(BaseModel):
    sender: Annotated[str, Private("email")]
    fail: bool = False


@tool(effect=Effect.READ, permission="x")
async def find(call: Call, sender: str) -> str:
    """Looks somebody up."""
    return f"{sender} has order 17, {KEY}"


@tool(effect=Effect.KEYED, permission="x")
async def send(call: Call, to: str) -> str:
    """Sends."""
    with trace.get_tracer_provider().get_tracer("theirs").start_as_current_span("POST /mail"):
        return f"sent to {to}"


@step(retry=Retry(2, base=0))
async def asked(ticket: Ticket, run: Run) -> str:
    if run.attempt == 1:
        raise Transient(f"401 for {KEY} of {ticket.sender}")
    return await run.ask(str, "Who is it?", {"ticket": ticket}, tools=[find])


@step
async def sent(asked: str, ticket: Ticket, run: Run) -> str:
    told = await run.call(send, to=ticket.sender)
    if ticket.fail:
        raise ValueError(f"no {ticket.sender}, {KEY}")
    return told


def made(**more: Any) -> Workflow:
    return Workflow(
        "desk",
        version="7",
        input=Ticket,
        steps=[asked, sent],
        tools=[find, send],
        grants=["x"],
        secrets=["SHOP_KEY"],
        models=[
            ScriptedModel({}, name="first:a"),
            ScriptedModel(
                {"asked": [UseTools([("find", {"sender": MAIL})]), Say(f"it is {MAIL}, {KEY}")]},
                name="other:b",
            ),
        ],
        **more,
    )


async def run_it(workflow: Workflow, folder: Path, ticket: Ticket, **options: Any) -> str:
    url = f"sqlite:///{folder}/x.db"
    async with Runtime(workflow, url, **options) as runtime:
        run = (await runtime.start(ticket)).id
        found = await runtime.result(run)
    while found.waiting_for:
        async with Runtime(workflow, url, **options) as runtime:
            await runtime.decide(found.waiting_for[0].item, Approve(by=f"{MAIL}"))
            found = await runtime.result(run)
    return run


async def test_a_run_is_one_trace_with_its_steps_asks_and_calls(memory: Memory, tmp_path: Path) -> None:
    run = await run_it(made(rules=[approve(send)]), tmp_path, Ticket(sender=MAIL))
    trace_id, common = spans.trace_of_run(run)
    found = memory.get_finished_spans()
    assert {span.context.trace_id for span in found} == {trace_id}
    stretches = memory.named("invoke_workflow desk")
    assert [span.attributes["surefoot.status"] for span in stretches] == ["waiting", "succeeded"]
    assert {span.parent.span_id for span in stretches} == {common}
    assert stretches[0].attributes["gen_ai.conversation.id"] == run
    one, two = memory.named("step asked")
    assert one.status.status_code is StatusCode.ERROR
    assert one.attributes["error.type"] == "transient"
    assert one.parent.span_id == two.parent.span_id == stretches[0].context.span_id
    assert two.attributes["surefoot.attempt"] == 2
    failed = memory.named("chat a")
    assert len(failed) == 2  # before each turn it is asked first
    assert failed[0].attributes["error.type"] == "model_refused"
    turns = memory.named("chat b")
    assert [span.attributes["gen_ai.response.finish_reasons"] for span in turns] == [
        ("tool_calls",),
        ("stop",),
    ]
    for turn in turns:
        assert turn.parent.span_id == two.context.span_id
        assert turn.attributes["gen_ai.operation.name"] == "chat"
        assert turn.attributes["gen_ai.provider.name"] == "other"
        assert turn.attributes["gen_ai.response.model"] == "scripted-1"
        assert turn.attributes["gen_ai.usage.input_tokens"] > 0
        assert turn.attributes["gen_ai.usage.output_tokens"] > 0
    (looked,) = memory.named("execute_tool find")
    assert looked.attributes["gen_ai.tool.name"] == "find"
    assert looked.parent.span_id == two.context.span_id
    left, done = memory.named("step sent")
    assert left.attributes["surefoot.status"] == "left"
    (acted,) = memory.named("execute_tool send")
    assert acted.parent.span_id == done.context.span_id
    (theirs,) = memory.named("POST /mail")
    assert theirs.parent.span_id == done.context.span_id
    assert [event.name for event in stretches[0].events] == ["approval.requested"]
    assert all(span.start_time <= span.end_time for span in found)


@pytest.mark.parametrize("content", [False, True])
async def test_no_span_holds_a_secret_or_a_private_value(
    memory: Memory, tmp_path: Path, content: bool
) -> None:
    ticket = Ticket(sender=MAIL, fail=True)
    await run_it(made(rules=[approve(send)]), tmp_path, ticket, trace_content=content)
    text = memory.text()
    assert "hunter2" not in text
    assert "kim.berg" not in text
    assert "no [email-1], [secret:SHOP_KEY]" in text  # the error's words, redacted
    assert ("[email-1] has order 17" in text) is content
    assert (
        '{"to":"[email-1]"}' in (memory.named("execute_tool send")[0].attributes or {}).values()
    ) is content


async def test_a_model_that_fails_says_so(memory: Memory, tmp_path: Path) -> None:
    workflow = made()
    models = [ScriptedModel({"asked": [Fail("timeout")]})]
    await run_it(workflow, tmp_path, Ticket(sender=MAIL), models=models)
    (turn,) = memory.named("chat scripted")
    assert turn.status.status_code is StatusCode.ERROR
    assert turn.attributes["error.type"] == "model_unavailable"
    (stretch,) = memory.named("invoke_workflow desk")
    assert stretch.status.status_code is StatusCode.ERROR
    assert stretch.attributes["surefoot.status"] == "failed"


def test_without_a_provider_there_are_no_spans_and_nothing_is_imported() -> None:
    """In a process of its own: this one has imported OpenTelemetry."""
    program = (
        "import sys, surefoot; from surefoot.orchestrator import runtime, spans\n"
        "assert spans.tracer() is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "import opentelemetry.trace\n"
        "assert spans.tracer() is None\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_a_customer_of_another_run_may_be_called_like_a_step(memory: Memory, tmp_path: Path) -> None:
    """Its private values are looked for in logs, where nobody knows whose they are; a span knows."""
    await run_it(made(), tmp_path, Ticket(sender="step asked"))
    run = await run_it(made(), tmp_path, Ticket(sender=MAIL))
    trace_id, _ = spans.trace_of_run(run)
    assert "step asked" in {
        span.name for span in memory.get_finished_spans() if span.context.trace_id == trace_id
    }
