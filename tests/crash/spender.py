"""A process that reserves and settles on one day's ledger until the day refuses it, or until it is killed.

Started as: spender.py URL WORKER CAP RESERVED SETTLED. It says `ready`, waits for a line, and goes; at its
end it says how many reservations it was given. A SETTLED of -1 leaves what was reserved held.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from surefoot.errors import BudgetExceeded
from surefoot.state.opening import make_store
from surefoot.state.store import Append, DayCharge, DayWarning, Lease, NewRun, Record, Store

DAY = "2026-07-01"


def now() -> int:
    return time.time_ns() // 1000


def charge(amount: int, cap: int, settled: int = 0) -> DayCharge:
    warning = DayWarning("nanousd", cap * 8 // 10, Record("budget.warned", 1, now(), '{"unit":"nanousd"}'))
    warnings = (warning,) if amount > 0 else ()
    return DayCharge("desk", DAY, amount, 0, cap, settled_nanousd=settled, warnings=warnings)


async def spend(store: Store, lease: Lease, cap: int, reserved: int, settled: int) -> int:
    given = 0
    while True:
        record = Record("ask.reserved", 1, now(), json.dumps({"amount": reserved}))
        try:
            await store.append(Append(lease, (record,), charges=(charge(reserved, cap),)))
        except BudgetExceeded:
            return given
        given += 1
        if settled >= 0:
            back = settled - reserved
            record = Record("ask.answered", 1, now(), json.dumps({"amount": back}))
            await store.append(Append(lease, (record,), charges=(charge(back, cap, settled),)))


async def main(url: str, worker: str, *numbers: str) -> None:
    store, _ = make_store(url, now=now, worker=worker)
    await store.open()
    first = Record("run.submitted", 1, now(), "{}")
    submitted = await store.submit(
        NewRun(f"run-{worker}", "desk", "1", "f", None, "d", b"", (first,), "{}", now(), lease=True)
    )
    assert submitted.lease is not None
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(await spend(store, submitted.lease, *map(int, numbers)), flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
