"""`surefoot audit`: whether journals are what was written, here and in a file that has left the house."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..core.clock import iso
from ..errors import UsageError
from ..orchestrator.clock import SystemClock
from ..settings import Settings
from ..state.against import compare
from ..state.audit import Finding
from ..state.examine import Examined, Examiner
from ..state.export import Checked, Writer, check_file
from ..state.opening import place_of
from ..state.rows import RunFilter, RunRow
from ..state.sealing import Keyring
from .failures import DONE, FAILED
from .formats import Duration, count
from .opening import Opened, go, open_store
from .options import Given, command
from .output import Output, clean

PAGE = 200


@click.group("audit")
def audit() -> None:
    """Prove that journals are what was written.

    \b
    Examples:
      surefoot audit verify
      surefoot audit verify RUN
      surefoot audit export --since 30d --output audit.jsonl
      surefoot audit verify --against audit.jsonl
      surefoot audit verify --file audit.jsonl --keys keys.json
    """


@command("verify", group=audit)
@click.argument("run", required=False, metavar="[RUN]")
@click.option(
    "--file",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Check this export instead of the store.",
)
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The key ring of --file or --against. [default: SUREFOOT_MASTER_KEY, or keys.json beside the store]",
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also check that all is still there that this earlier export holds.",
)
def verify(
    given: Given, run: str | None, source: Path | None, keys: Path | None, against: Path | None
) -> int:
    """Check one journal, or all of them and what stands beside them.

    Shows a changed, added, removed or cut-off event, a swapped run or sealed value, a run that is gone
    though something still names it, and rows (status, inbox, mail, keys, ledger) that do not say what the
    journals say. A store that was put back to an earlier state is whole in itself: --against an export that
    lies elsewhere shows what has gone since. Without the key ring a --file is checked for its chain alone.
    Exit code 1 where something is not as it was written.
    """
    if source is not None and against is not None:
        raise UsageError(
            "--file and --against exclude each other",
            why="a file is checked by itself, or the store against it",
            remedy="Leave one out.",
        )
    if source is not None:
        return _verify_file(given, source, keys, run)
    if keys is not None and against is None:
        raise UsageError(
            "--keys is for --file and --against",
            why="a store has its own key ring",
            remedy="Leave one of them out.",
        )

    async def look() -> Examined:
        async with open_store(given.settings) as opened:
            examiner = Examiner(opened.store, opened.keyring, SystemClock().now)
            if run is not None:
                await opened.run(run)
            found = await (examiner.everything() if run is None else examiner.one(run))
            if against is not None:
                found.findings += await _missing(opened, against, keys, run)
            return found

    found = go(look())
    return _tell(given, {"runs": found.runs, "events": found.events}, found.findings)


async def _missing(opened: Opened, export: Path, keys: Path | None, run: str | None) -> list[Finding]:
    """What an earlier export holds and the store does not. An export that somebody changed proves nothing."""
    with export.open("rb") as lines:
        earlier = check_file(lines, opened.keyring if keys is None else Keyring.load(keys))
    if earlier.findings:
        return earlier.findings
    return await compare(opened.store, [end for end in earlier.ends if run in (None, end.run)])


def _verify_file(given: Given, source: Path, keys: Path | None, run: str | None) -> int:
    if run is not None:
        raise UsageError(
            "RUN and --file exclude each other", why="a file is checked as a whole", remedy="Leave one out."
        )
    ring = _ring_for_file(given.settings, keys)
    with source.open("rb") as lines:
        found: Checked = check_file(lines, ring)
    if ring is None:
        given.output.warn("no key ring: the signatures were not checked, only that the chain holds together")
    if found.unchecked:
        given.output.warn(
            f"{count(found.unchecked, 'event')} of an older store cannot be checked without what is sealed"
        )
    seen = {"runs": found.runs, "events": found.events, "unchecked": found.unchecked}
    return _tell(given, {**seen, "signed": found.is_signed}, found.findings)


def _ring_for_file(settings: Settings, keys: Path | None) -> Keyring | None:
    if keys is not None:
        return Keyring.load(keys)
    if (ring := Keyring.from_env(os.environ)) is not None:
        return ring
    place = place_of(settings.store)
    beside = place.with_name("keys.json") if isinstance(place, Path) else None
    return Keyring.load(beside) if beside is not None and beside.exists() else None


def _tell(given: Given, seen: dict[str, Any], findings: list[Finding]) -> int:
    output = given.output
    if output.json:
        output.document({**seen, "ok": not findings, "findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            output.answer(f"{one.run or 'the store'}: {clean(one.what)}  [{one.problem}]", "bad")
        said = "not as it was written" if findings else "as it was written"
        seen_all = f"{count(seen['runs'], 'run')}, {count(seen['events'], 'event')}"
        output.answer(f"{seen_all}: {said}", "bad" if findings else "good")
    return FAILED if findings else DONE


@command("export", group=audit)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--since", type=Duration(), metavar="TIME", help="Only runs made in this time: 90s, 12h, 30d.")
@click.option(
    "--output", "target", required=True, metavar="FILE|-", help="Where to; - is stdout. It is replaced."
)
def export(given: Given, runs: tuple[str, ...], since: int | None, target: str) -> None:
    """Write journals to a file that can be checked anywhere: views, hashes and signatures, JSON Lines.

    It holds no exact value, not even encrypted: of what lies sealed in the store it has the digest that the
    chain was made over. `surefoot audit verify --file` checks it.
    """
    if runs and since is not None:
        raise UsageError(
            "RUN and --since exclude each other",
            why="a named run is wanted in any case",
            remedy="Leave one of them out.",
        )
    now = SystemClock().now()

    async def write(put: Callable[[str], object]) -> Writer:
        async with open_store(given.settings) as opened:
            writer = Writer(opened.keyring)
            put(writer.head(iso(now) or ""))
            chosen = _chosen(opened, runs) if runs else _made_since(opened, now, since)
            async for row in chosen:
                for line in writer.run(row, await opened.store.events(row.id, 0, row.seq)):
                    put(line)
            put(writer.end())
            return writer

    with _opened(target, given.output) as put:
        writer = go(write(put))
    given.output.say(f"{count(writer.runs, 'run')}, {count(writer.events, 'event')} written to {target}")


@contextmanager
def _opened(target: str, output: Output) -> Iterator[Callable[[str], object]]:
    """Complete or not at all: a former export is not replaced by half of a new one."""
    if target == "-":
        yield output.line
        return
    path = Path(target)
    if not path.name or path.is_dir():
        raise UsageError(
            f"nothing can be written to {target!r}", why="it names a folder", remedy="Name a file in it."
        )
    draft = path.with_name(path.name + ".tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as out:
            yield lambda line: out.write(line + "\n")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


async def _chosen(opened: Opened, runs: tuple[str, ...]) -> AsyncIterator[RunRow]:
    for run in dict.fromkeys(runs):
        yield await _quiet(opened, await opened.run(run))


async def _made_since(opened: Opened, now: int, since: int | None) -> AsyncIterator[RunRow]:
    before = None
    start = None if since is None else now - since
    while page := await opened.store.runs(RunFilter(since=start, before=before, limit=PAGE)):
        for row in page:
            yield await _quiet(opened, row)
        before = page[-1].id


async def _quiet(opened: Opened, row: RunRow) -> RunRow:
    """The row as it is at this moment: a run that is being driven has grown since the page was read."""
    return await opened.run(row.id)
