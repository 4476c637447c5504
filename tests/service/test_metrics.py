"""Numbers for Prometheus: what happened, how things stand, and no label that grows without end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from surefoot import Budget, Call, Denied, Effect, Review, Run, Runtime, Workflow, approve, step, tool
from surefoot.core import events as e
from surefoot.core.fold import RunState
from surefoot.service.metrics import MOST_GROUPS, OTHER, Metrics, bounded, standing
from surefoot.state.rows import OpenItems
from surefoot.testing import ManualClock, Say, ScriptedModel, UseTools

from .processes import Place, ask, place

pytestmark = pytest.mark.anyio

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@tool(effect=Effect.KEYED, permission="money:pay")
async def pay(call: Call, amount: int) -> int:
    """Pay."""
    return amount


@step
async def read(amount: int, run: Run) -> int:
    return await run.ask(int, "How much?", {"amount": amount})


@step(fallback=Review("desk"))
async def paid(read: int, amount: int, run: Run) -> int:
    if amount == 13:
        raise ValueError("unlucky")
    try:
        return await run.call(pay, amount=amount)
    except Denied:
        return 0


def workflow() -> Workflow[int, int]:
    return Workflow(
        "till",
        input=int,
        steps=[read, paid],
        tools=[pay],
        grants=["money:pay"],
        rules=[approve(pay, when=lambda amount: amount > 50, by="leads")],
        budget=Budget(usd="1"),
        models=[ScriptedModel({"read": [Say("7")]})],
    )


def samples(text: bytes) -> Samples:
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"surefoot_{name}", frozenset(labels.items())]


async def test_runs_steps_calls_and_models_are_counted_by_how_they_came_out() -> None:
    made = workflow()
    metrics, clock = Metrics(made), ManualClock()
    async with Runtime(made, store="memory:", clock=clock, hears=metrics.heard) as runtime:
        for amount in (5, 5, 80, 13):
            await runtime.result((await runtime.start(amount)).id)
        await clock.advance(90)
        found = samples(await metrics.text(runtime.store, clock))
    till = {"workflow": "till"}
    assert value(found, "runs_ended_total", status="succeeded", degraded="false", **till) == 2
    assert value(found, "step_seconds_count", step="read", outcome="ok", **till) == 4
    assert value(found, "step_seconds_count", step="paid", outcome="failed", **till) == 1
    assert value(found, "call_seconds_count", tool="pay", outcome="returned", **till) == 2
    assert value(found, "model_seconds_count", model="scripted:scripted", outcome="answered", **till) == 4
    assert value(found, "runs", status="waiting") == 2
    assert value(found, "items_open", kind="approval", group="leads") == 1
    assert value(found, "items_open", kind="review", group="desk") == 1
    assert value(found, "items_oldest_seconds", kind="approval", group="leads") >= 90
    assert value(found, "workers_alive") == 1
    assert value(found, "intake", state="open", **till) == 1
    assert value(found, "intake", state="paused", **till) == 0


async def test_a_queue_is_told_with_the_age_of_its_oldest_run() -> None:
    made, clock = workflow(), ManualClock()
    async with Runtime(made, store="memory:", clock=clock, drive=False) as runtime:
        await runtime.start(5)
        await clock.advance(30)
        await runtime.start(5)
        families = await standing(runtime.store, "till", clock.now())
    told = {one.name: one.samples[0].value for one in families if one.samples}
    assert (told["surefoot_queue_runs"], told["surefoot_queue_oldest_seconds"]) == (2, 30)


async def test_no_label_says_more_than_the_definition_lists() -> None:
    """A model may ask for tools that nobody has, under a name of its own each time."""
    made = Workflow(
        "guesser",
        input=int,
        steps=[step(name="guess")(_guess)],
        tools=[pay],
        models=[ScriptedModel({"guess": [UseTools([(f"tool_{n}", {})]) for n in range(5)] + [Say("1")]})],
    )
    metrics, clock = Metrics(made), ManualClock()
    async with Runtime(made, store="memory:", clock=clock, hears=metrics.heard) as runtime:
        run = (await runtime.start(1)).id
        await runtime.result(run)
        text = await metrics.text(runtime.store, clock)
    assert b"tool_3" not in text
    assert run.encode() not in text
    found = samples(text)
    refused = {key[1]: n for key, n in found.items() if key[0] == "surefoot_calls_refused_total"}
    assert {dict(labels)["tool"] for labels in refused} == {OTHER}


async def _guess(number: int, run: Run) -> int:
    return await run.ask(int, "Guess.", {"number": number}, tools=[pay], max_turns=8)


def test_groups_that_are_too_many_are_one() -> None:
    many = [OpenItems("approval", f"group-{n}", 2, 100 - n) for n in range(MOST_GROUPS + 10)]
    told = bounded(many)
    assert len(told) == MOST_GROUPS + 1
    assert told[-1] == ("approval", OTHER, 20, 100 - MOST_GROUPS - 9)


def test_what_cannot_be_told_apart_is_not_counted_and_breaks_nothing() -> None:
    made = workflow()
    metrics = Metrics(made)
    state = RunState(made.plan)
    metrics.heard(e.AskAnswered("a9", "text"), state)
    metrics.heard(e.CallReturned("c9", e.Raw("1")), state)
    metrics.answered("BREW", "", 405, 0.001)
    found = samples_of(metrics)
    labels = frozenset({"method": OTHER, "route": OTHER, "status": "405"}.items())
    assert ("surefoot_http_requests_total", labels) in found


def samples_of(metrics: Metrics) -> Samples:
    return samples(generate_latest(metrics.registry))


# ── through the doors ──


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path, "counter.py") as made:
        yield made


def test_the_service_and_a_worker_beside_it_answer_and_only_the_service_asks_for_a_token(here: Place) -> None:
    made = here.command("tokens", "create", "--person", "prometheus", "--scope", "runs:read").strip()
    served = here.start("serve", "counter:counter", "--port", "0", "--no-worker")
    worker = here.start("worker", "counter:counter", "--metrics-port", "0")
    assert ask(served.port, "GET", "/metrics").status == 401
    told = ask(served.port, "GET", "/metrics", Authorization=f"Bearer {made}")
    assert "surefoot_workers_alive 1.0" in told.body
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    port = int(worker.said["metrics"].rpartition(":")[2])
    assert "surefoot_queue_runs" in ask(port, "GET", "/metrics").body
    assert ask(port, "GET", "/healthz").status == 200
    assert worker.stop() == 0
    assert served.stop() == 0
