"""`surefoot audit`: whether journals are what was written."""

from __future__ import annotations

from dataclasses import asdict

import click

from ..state.audit import Finding, check
from ..state.store import RunFilter, RunRow
from .failures import DONE, FAILED
from .formats import count
from .opening import Opened, go, open_store
from .options import Given, command
from .output import clean

PAGE = 200


@click.group("audit")
def audit() -> None:
    """Prove that journals are what was written.

    \b
    Examples:
      surefoot audit verify
      surefoot audit verify RUN
    """


@command("verify", group=audit)
@click.argument("run", required=False, metavar="[RUN]")
def verify(given: Given, run: str | None) -> int:
    """Check the hash chain and the signed end of one journal, or of all.

    Shows a changed, added, removed or cut-off event. It cannot show a whole store that was put back to an
    earlier state: compare with a backup for that. Exit code 1 where something is not as it was written.
    """
    findings: list[Finding] = []
    seen = {"runs": 0, "events": 0}

    async def look(opened: Opened, row: RunRow) -> None:
        events = await opened.store.events(row.id)
        seen["runs"] += 1
        seen["events"] += len(events)
        findings.extend(check(row, events, opened.keyring))

    async def look_at_all() -> None:
        async with open_store(given.settings) as opened:
            if run is not None:
                return await look(opened, await opened.run(run))
            before = None
            while page := await opened.store.runs(RunFilter(before=before, limit=PAGE)):
                for row in page:
                    await look(opened, row)
                before = page[-1].id

    go(look_at_all())
    output = given.output
    if output.json:
        output.document({**seen, "ok": not findings, "findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            output.answer(f"{one.run}: {clean(one.what)}  [{one.problem}]", "bad")
        said = "not as it was written" if findings else "as it was written"
        seen_all = f"{count(seen['runs'], 'run')}, {count(seen['events'], 'event')}"
        output.answer(f"{seen_all}: {said}", "bad" if findings else "good")
    return FAILED if findings else DONE
