"""`surefoot backup`: a copy of the store and its key ring, made while workers go on."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import click

from ..core.clock import iso
from ..errors import StoreUnavailable, UsageError
from ..orchestrator.clock import SystemClock
from ..settings import Settings
from ..state import backup as copies
from ..state.opening import place_of, ring_of
from ..state.schema import newest, schema_version
from .formats import count, ours
from .options import Given, command


@command("backup")
@click.argument("folder", type=click.Path(path_type=Path))
def backup(given: Given, folder: Path) -> None:
    """Copy the store and its key ring into a new folder, while workers go on.

    The copy is the store as it was at one moment. Whoever has the folder can read everything in it: keep it
    as you keep the store, and its keys.json better apart from the rest. `surefoot restore` puts it back.

    \b
    Examples:
      surefoot backup backups/2026-12-01
      surefoot backup /mnt/safe/desk-$(date +%F) --store sqlite:////var/lib/desk/state.db
    """
    settings = given.settings
    place = file_of(settings)
    if not place.exists():
        raise StoreUnavailable(
            f"there is no store {settings.shown('store')}",
            why=f"{place} does not exist",
            remedy="Is this the right folder, or is --store missing?",
        )
    if schema_version(place) != newest():
        raise StoreUnavailable(
            f"the store {settings.shown('store')} has an older schema",
            why="a backup is made of the newest",
            remedy="`surefoot db upgrade` first.",
        )
    now = SystemClock().now
    ring = ring_of(settings.store, now).path
    made = copies.make(place, folder, at=now(), version=version("surefoot"), ring=ring)
    output = given.output
    if output.json:
        output.document({**asdict(made), "at": iso(made.at), "folder": str(folder)})
        return
    output.answer(f"{folder}: {count(made.runs, 'run')}, {made.unended} not ended", "good")
    if made.keys == "environment":
        output.say(
            "The key ring is not in it: keep SUREFOOT_MASTER_KEY as it is now, or nothing can be read."
        )
    output.say(f"Put it back with  {ours('restore', str(folder))}", "dim")


def file_of(settings: Settings) -> Path:
    """Raises UsageError."""
    place = place_of(settings.store)
    if not isinstance(place, Path):
        raise UsageError(
            "a store in memory has no backup",
            why="it ends with its process",
            remedy="Use a file, with --store sqlite:///path.",
        )
    return place
