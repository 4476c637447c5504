"""Putting a store back from a backup, so that nothing in it goes on before a person has said so.

Whatever was done after the backup was made is not in the journals that come back: they would do it again. So
each run that was begun is set aside, and the intake of every workflow is paused, since runs that nobody had
taken up by then may have been done since (decision 0063).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ..core.clock import Clock, iso
from ..core.jsons import dumps
from ..errors import KeyUnavailable
from ..state import backup
from ..state.backup import Held, Manifest
from ..state.sealing import Keyring
from ..state.sqlite import SqliteStore
from ..state.store import StoreOptions
from .intake import Intake


@dataclass(frozen=True)
class Restored:
    """`tokens` are those that hold again, whether or not they were revoked since."""

    manifest: Manifest
    held: Held
    tokens: int


async def restore(folder: Path, place: Path, clock: Clock, *, by: str) -> Restored:
    """Raises UsageError, KeyUnavailable, StoreUnavailable; then there is no store at `place`."""
    manifest = backup.read(folder)
    path = backup.draft(folder, manifest, place)
    try:
        restored = await _prepared(path, manifest, _ring(manifest, place), clock, by)
        backup.settle(path, place)
    except BaseException:
        backup.discard(path)
        raise
    return restored


async def _prepared(path: Path, manifest: Manifest, ring: Keyring, clock: Clock, by: str) -> Restored:
    """All that is done to a store before it has its name."""
    at = iso(manifest.at)
    store = SqliteStore(path, StoreOptions(now=clock.now, keys=ring, worker=f"restore-{uuid4().hex[:12]}"))
    await store.open()
    try:
        await _must_open(store, ring)
        held = await store.hold(dumps({"at": at, "by": by}))
        for workflow in held.workflows:
            intake = Intake(store, workflow, clock)
            if (await intake.view()).row.mode == "open":
                await intake.pause(by=by, reason=f"put back from the backup of {at}")
        now = clock.now()
        tokens = sum(token.holds(now) for token in await store.tokens())
    finally:
        await store.close()
    return Restored(manifest, held, tokens)


def _ring(manifest: Manifest, place: Path) -> Keyring:
    ring = Keyring.from_env(os.environ)
    if ring is None and manifest.keys == "environment":
        raise KeyUnavailable(
            "the backup holds no key ring",
            why="its store had it from SUREFOOT_MASTER_KEY",
            remedy="Set that as it was when the backup was made.",
        )
    return ring or Keyring.load(place.with_name(backup.KEYS))


async def _must_open(store: SqliteStore, ring: Keyring) -> None:
    missing = [use.key for use in await store.key_uses() if use.runs and use.key not in ring.ids]
    if missing:
        raise KeyUnavailable(
            f"the key ring does not have the key {missing[0]}",
            why="runs of the backup hang on it",
            remedy="Set SUREFOOT_MASTER_KEY as it was when the backup was made, or unset it where the backup "
            "brings its key ring.",
        )
