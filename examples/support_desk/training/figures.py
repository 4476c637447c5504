"""Prints how well the readers read: `python -m training.figures` (about 1.5 s a ticket on one core).

Each ticket of the probe sets goes through the desk's own step `triage`, with the same runtime, prompt and
model as in the shop, and through the second reader. What is counted:

    intent, number    the model alone, right
    sure (wrong)      the second reader is sure of an intent (of a wrong one)
    both (wrong)      both readers agree, so the desk goes on by itself (on a wrong intent or number)
    wrong acts        of those: an intent other than 'other', so that the policy might act
    to a person       the rest: they wait in the inbox, with the reason; so do those that both read as 'other'

`--without-model` prints the second reader only, in a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support_desk import policy, second_reader, workflow
from support_desk.schemas import Intent, Reading, SecondReading, Ticket, Triage
from surefoot import Runtime, Workflow

PROBES = Path(__file__).parent / "probes"
SETS = ("ordinary", "unusual", "fresh", "late")


@dataclass(frozen=True)
class Probe:
    """A ticket and how a person reads it. `number` is None where the mail names none."""

    intent: Intent
    number: str | None
    ticket: Ticket


@dataclass(frozen=True)
class Read:
    probe: Probe
    second: SecondReading
    triage: Triage | None
    """None where the model was not asked, or gave no valid answer."""

    @property
    def agreed(self) -> Reading | None:
        if self.triage is None:
            return None
        found = policy.agreed(self.triage, self.second)
        return found if isinstance(found, Reading) else None

    @property
    def is_wrong(self) -> bool:
        """Both agree, and not with a person."""
        agreed = self.agreed
        return agreed is not None and (agreed.intent, agreed.order_number) != (
            self.probe.intent,
            self.probe.number,
        )

    @property
    def is_wrong_act(self) -> bool:
        return self.is_wrong and self.agreed is not None and self.agreed.intent != "other"


def probes(name: str) -> list[Probe]:
    """The tickets of `probes/NAME.json`: [intent, number or null, subject, text]."""
    rows = json.loads((PROBES / f"{name}.json").read_text(encoding="utf-8"))
    return [
        Probe(
            intent,
            number,
            Ticket.model_validate(
                {
                    "id": f"{name}-{place}",
                    "sender": "somebody@post.example",
                    "received": "2026-11-20T10:00:00Z",
                    "subject": subject,
                    "text": text,
                }
            ),
        )
        for place, (intent, number, subject, text) in enumerate(rows)
    ]


async def read(found: Sequence[Probe], models: Sequence[str]) -> list[Read]:
    """Every ticket read twice. `models`: none for the second reader alone."""
    second = [second_reader.read(one.ticket) for one in found]
    if not models:
        return [Read(one, other, None) for one, other in zip(found, second, strict=True)]
    reader = Workflow("reader", input=Ticket, steps=[workflow.triage], models=list(models))
    answers: list[Triage | None] = []
    async with Runtime(reader, "memory:") as runtime:
        for one in found:
            run = await runtime.start(one.ticket)
            output = (await runtime.result(run.id)).output
            answers.append(output if isinstance(output, Triage) else None)
    return [Read(*three) for three in zip(found, second, answers, strict=True)]


def row(name: str, reads: Sequence[Read], seconds: float) -> str:
    """One line of the table."""
    answered = [(one.triage, one.probe) for one in reads if one.triage is not None]
    right = sum(said.intent == probe.intent for said, probe in answered)
    numbers = sum(said.number == probe.number for said, probe in answered)
    sure = [one for one in reads if one.second.intent is not None]
    mistaken = sum(one.second.intent != one.probe.intent for one in sure)
    both = [one for one in reads if one.agreed is not None]
    cells = [
        *(name, len(reads), right, numbers, f"{len(sure)} ({mistaken})"),
        *(f"{len(both)} ({sum(one.is_wrong for one in both)})", sum(one.is_wrong_act for one in both)),
        *(
            sum(one.agreed is None or one.agreed.intent == "other" for one in reads),
            f"{seconds / len(reads):.1f}",
        ),
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


HEAD = """\
| tickets | of them | intent | number | sure (wrong) | both (wrong) | wrong acts | to a person | s each |
|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", help="another model than the desk's own")
    parser.add_argument("--without-model", action="store_true", help="the second reader only")
    parser.add_argument("--sets", default=",".join(SETS), help="files of probes/, with commas between")
    parser.add_argument("--show", action="store_true", help="every ticket that was not read right by both")
    given = parser.parse_args()
    models = [] if given.without_model else given.model or list(workflow.desk.models)
    print(f"{', '.join(map(str, models)) or 'the second reader alone'}\n\n{HEAD}", flush=True)
    for name in given.sets.split(","):
        start = time.monotonic()
        reads = asyncio.run(read(probes(name), models))
        print(row(name, reads, time.monotonic() - start), flush=True)
        if given.show:
            for one in reads:
                tell(one)


def tell(one: Read) -> None:
    if one.agreed is not None and not one.is_wrong:
        return
    model = f"{one.triage.intent} {one.triage.number}" if one.triage else "-"
    second = one.second.intent or f"? ({one.second.doubt})"
    mark = "WRONG" if one.is_wrong else "     "
    text = " ".join(one.probe.ticket.text.split())[:120]
    read_as = f"model {model}; second {second} {', '.join(one.second.numbers)}"
    print(f"{mark} {one.probe.intent} {one.probe.number}: {read_as}; {text}")


if __name__ == "__main__":
    main()
