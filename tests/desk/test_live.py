"""The desk with the embedded model, as `surefoot demo` runs it.

The floors are below what was measured (see the desk's README): another processor may round differently.
What has no floor is a wrong act: there is none.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support_desk import desk, policy, second_reader, tickets
from support_desk.schemas import Reading, Ticket, Triage
from surefoot import Run, Runtime, Workflow, step

pytestmark = [pytest.mark.anyio, pytest.mark.live_embedded, pytest.mark.slow]


async def test_the_twelve_tickets_with_the_embedded_model(shop_file: Path) -> None:
    async with Runtime(desk, "memory:") as runtime:
        runs = {name[:2]: await runtime.start(ticket) for name, ticket in tickets()[:12]}
        results = {name: await runtime.result(run.id) for name, run in runs.items()}
    assert {result.status for result in results.values()} <= {"succeeded", "waiting"}
    done = [name for name, result in results.items() if result.status == "succeeded"]
    assert len(done) >= 5
    assert [(item.kind, item.tool) for item in results["01"].waiting_for] == [("approval", "refund")]
    assert not {"09", "10", "12"} & set(done)
    with closing(sqlite3.connect(shop_file)) as db:
        moved = set(db.execute("SELECT number, cents FROM refunds"))
    # All that any of the twelve may lead to without a person: two refunds and what a cancellation returns.
    assert moved <= {("SD-1171", 2000), ("SD-1149", 3450), ("SD-1196", 11900)}


@step
async def triage(ticket: Ticket, run: Run) -> Triage:
    mail = {"subject": ticket.subject, "mail": second_reader.own_words(ticket.text)}
    return await run.ask(Triage, PROMPT, mail, max_tokens=120)


PROMPT = (Path(policy.__file__).parent / "prompts" / "triage.md").read_text(encoding="utf-8")
reader = Workflow("reader", input=Ticket, steps=[triage], models=desk.models)


@pytest.mark.parametrize("file", ["held_out.json", "probe.json"])
async def test_both_readers_never_agree_on_a_wrong_reading(file: str) -> None:
    right, all_of_them = 0, json.loads((Path(__file__).parent / file).read_text(encoding="utf-8"))
    async with Runtime(reader, "memory:") as runtime:
        for place, (intent, number, subject, text) in enumerate(all_of_them):
            ticket = Ticket.model_validate(
                {
                    "id": f"T-{place}",
                    "sender": "a@b.example",
                    "received": "2026-11-20T10:00:00Z",
                    "subject": subject,
                    "text": text,
                }
            )
            read = (await runtime.result((await runtime.start(ticket)).id)).output
            assert isinstance(read, Triage)
            match policy.agreed(read, second_reader.read(ticket)):
                case Reading() as reading:
                    assert (reading.intent, reading.order_number) == (intent, number), text
                    right += 1
                case _:
                    pass
    assert right >= len(all_of_them) // 4
