"""The rows of the table, by name: what each measures, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import growth, killed, redaction, service, starting, steps, waiting
from .measuring import Line, Size


@dataclass(frozen=True)
class Row:
    name: str
    says: str
    measure: Callable[[Size], list[Line]]


ROWS = {
    row.name: row
    for row in (
        Row("steps", "durable steps per second, 1,000 runs side by side", steps.throughput),
        Row("sequential", "one durable step after another, beside raw commits", steps.sequential),
        Row("store", "the store alone, without the engine above it", steps.store_alone),
        Row("concurrent", "1,000 runs of five 200 ms steps at once, beside the ideal", steps.concurrent),
        Row("approvals", "10,000 runs waiting for a person: memory, and waking all", waiting.approvals),
        Row("timers", "10,000 timers due at one moment", waiting.timers),
        Row("kill", "kill -9 in the middle of 200 runs, and the same command again", killed.kill_and_restart),
        Row("service", "1,000 runs submitted over HTTP by 50 clients, beside the library", service.load),
        Row("bytes", "bytes per step in the store's file", steps.size_on_disk),
        Row("history", "a step with 10 and with 1,000 steps behind it", growth.history),
        Row("finished", "a step in a store with none and with 50,000 finished runs", growth.finished),
        Row("import", "import surefoot, beside a bare Python", starting.imports),
        Row("cold", "a cold `surefoot run` until its first step begins", starting.cold_run),
        Row("redaction", "redaction of text with nothing to find", redaction.scrubbing),
    )
}
