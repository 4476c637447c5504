"""`surefoot restore`: a store is put back from a backup."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ..core.clock import iso
from ..orchestrator.clock import SystemClock
from ..orchestrator.restoring import restore as put_back
from .backup import file_of
from .formats import clock_time, count, ours, store_words
from .opening import go
from .options import Given, command


@command("restore")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--by", default="", metavar="WHO", help="Who says so; kept with the paused intake.")
def restore(given: Given, folder: Path, by: str) -> None:
    """Put a store back from a backup, where there is none.

    What was done after the backup is not in its journals, and would be done again. So nothing goes on by
    itself: each run that was begun and has not ended becomes a review for a person, who finds out what it did
    since, and new runs wait until the intake is resumed.

    Refused where there is a store, or where somebody works on one, and where the backup is damaged.

    \b
    Examples:
      surefoot restore backups/2026-12-01 --by kim
      surefoot audit verify && surefoot inbox list
      surefoot intake resume --by kim
    """
    settings = given.settings
    done = go(put_back(folder, file_of(settings), SystemClock(), by=by))
    output, held, more = given.output, done.held, store_words(settings)
    if output.json:
        said = {"at": iso(done.manifest.at), "runs": done.manifest.runs, **asdict(held)}
        output.document({**said, "workflows": list(held.workflows), "tokens": done.tokens})
        return
    at = clock_time(done.manifest.at)
    output.answer(
        f"{settings.shown('store')} is as it was at {at}: {count(done.manifest.runs, 'run')}", "good"
    )
    output.say(f"  {count(held.begun, 'run')} that were begun wait for a person, as reviews in the inbox")
    output.say("    (a worker puts them there as soon as one works on this store)")
    output.say(f"  {count(held.new, 'new run')} and all that come now wait: the intake is paused")
    if done.tokens:
        output.say(
            f"  {count(done.tokens, 'token')} hold as they did then: revoke again what was revoked since"
        )
    output.say("What was forgotten since is back: forget it again. Then, step by step:")
    for words in (("audit", "verify"), ("inbox", "list"), ("intake", "resume")):
        output.say(f"  {ours(*words, *more)}")
