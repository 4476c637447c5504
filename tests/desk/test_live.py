"""The desk with the embedded model and its adapter, as `surefoot demo` runs it: about two minutes of one core.

The floors are below what was measured (`python -m training.figures`): another processor may round differently.
What has no floor is a wrong act: there is none.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support_desk import Ticket, desk, seed, tickets
from surefoot import Runtime
from training import figures

pytestmark = [pytest.mark.anyio, pytest.mark.live_embedded, pytest.mark.slow]


def refunds(shop_file: Path) -> set[tuple[str, int]]:
    with closing(sqlite3.connect(shop_file)) as db:
        return set(db.execute("SELECT number, cents FROM refunds"))


async def test_the_first_twelve_tickets_with_the_embedded_model(shop_file: Path) -> None:
    seed.create(shop_file)
    before = refunds(shop_file)
    async with Runtime(desk, "memory:") as runtime:
        results = {}
        for name, ticket in tickets()[:12]:  # one after the other: the model answers one at a time anyway
            results[name[:2]] = await runtime.result((await runtime.start(ticket)).id)
    assert {result.status for result in results.values()} <= {"succeeded", "waiting"}
    done = [name for name, result in results.items() if result.status == "succeeded"]
    assert len(done) >= 6
    assert [(item.kind, item.tool) for item in results["01"].waiting_for] == [("approval", "refund")]
    assert not {"09", "10", "12"} & set(done)
    # All that any of the twelve may lead to without a person: two refunds and what a cancellation returns.
    assert refunds(shop_file) - before <= {("SD-1171", 2000), ("SD-1149", 3450), ("SD-1196", 11900)}


async def test_the_examples_that_a_form_shows_end_as_they_are_said_to(shop_file: Path) -> None:
    seed.create(shop_file)
    refund, question, doubt = Ticket.model_json_schema()["examples"]
    async with Runtime(desk, "memory:") as runtime:
        asked = await runtime.result((await runtime.start(refund)).id)
        told = await runtime.result((await runtime.start(question)).id)
        left = await runtime.result((await runtime.start(doubt)).id)
    assert [(item.tool, item.by) for item in asked.waiting_for] == [("refund", "leads")]
    assert told.output.outcome.kind == "informed"
    assert [(item.kind, item.by) for item in left.waiting_for] == [("review", "desk")]


@pytest.mark.parametrize(
    ("name", "every", "intents", "numbers", "handled"),
    [("ordinary", 3, 0.85, 0.9, 0.7), ("unusual", 4, 0.4, 0.8, 0.1)],
)
async def test_probes_are_read_well_enough_and_never_acted_upon_wrongly(
    name: str, every: int, intents: float, numbers: float, handled: float
) -> None:
    some = figures.probes(name)[::every]
    reads = await figures.read(some, desk.models)
    answers = [one.triage for one in reads if one.triage is not None]
    assert len(answers) == len(some), "every answer fits the schema"
    assert not [one for one in reads if one.is_wrong_act]
    right = sum(said.intent == one.intent for said, one in zip(answers, some, strict=True))
    found = sum(said.number == one.number for said, one in zip(answers, some, strict=True))
    assert right >= intents * len(some)
    assert found >= numbers * len(some)
    assert sum(one.agreed is not None for one in reads) >= handled * len(some)


async def test_the_same_tickets_are_read_the_same_twice() -> None:
    some = figures.probes("ordinary")[1::15]
    first = await figures.read(some, desk.models)
    again = await figures.read(some[::-1], desk.models)
    assert [one.triage for one in first] == [one.triage for one in again[::-1]]
