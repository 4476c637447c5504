"""Rotating the master key: a new one, everything moved over to it, and the old one gone.

Each step can be cut off anywhere and is gone on with by asking again (decision 0033):

1. the new key is in the ring's file, on disk, before anything hangs on it;
2. the store announces it: from that commit on no process writes under another key;
3. every run's data key is wrapped, and its head signed, under it, in batches;
4. `retire` makes sure that nothing hangs on the old key and that nobody can write under it any more, and only
   then takes it out of the file.

A ring from SUREFOOT_MASTER_KEY cannot be written by a command: it is told what to put there, and goes on from
step 2 once it is there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..errors import KeyUnavailable, UsageError
from .keysfile import KeyEntry, RingContent
from .sealing import KEY_BYTES, Keyring, iso_time, key_id
from .store import Store


@dataclass(frozen=True)
class KeyState:
    """`runs` hang on it, `workers` live and sign with it; `is_held` False: the ring has it not."""

    key: str
    created: str
    is_current: bool
    is_retired: bool
    is_held: bool
    runs: int
    workers: tuple[str, ...]


@dataclass(frozen=True)
class Rotated:
    """`key` is the current one now; `is_new` where it was made now, and not by a rotation that was cut off.
    `variable` is set where the ring comes from the environment and must be changed there first: then nothing
    was changed. `refused` are runs left on their old key, because they are not as they were signed."""

    key: str
    is_new: bool
    runs: int
    refused: tuple[str, ...] = ()
    variable: str | None = None


async def states(store: Store, ring: Keyring) -> list[KeyState]:
    """Oldest first; then what runs hang on without its being in the ring."""
    row, uses = await store.ring(), {use.key: use for use in await store.key_uses()}
    found = []
    for key in [*ring.ids, *sorted(uses.keys() - set(ring.ids))]:
        use, is_held = uses.get(key), key in ring.ids
        found.append(
            KeyState(
                key,
                ring.created(key),
                key == ring.current,
                key in row.retired,
                is_held,
                0 if use is None else use.runs,
                () if use is None else use.workers,
            )
        )
    return found


async def rotate(store: Store, ring: Keyring, now: int) -> Rotated:
    """Goes on with a rotation that was cut off, or makes a new one. Raises KeyUnavailable, StoreError."""
    ring.reload()
    is_new = not await _is_begun(store, ring)
    if is_new:
        key = _new_key(ring)
        if ring.origin == "environment":
            content = ring.content()
            wanted = RingContent(content.digest, (*content.keys, KeyEntry(key)))
            return Rotated(key_id(key).hex(), is_new=True, runs=0, variable=wanted.as_variable())
        ring.add(key, iso_time(now))
    if ring.origin == "environment":
        await _must_all_have(store, ring)
    await store.announce_key()
    runs, refused = 0, list[str]()
    after: int | None = 0
    while after is not None:
        part = await store.rekey(after)
        runs, after = runs + part.changed, part.last
        refused += part.refused
    return Rotated(ring.current, is_new, runs, tuple(refused))


async def retire(store: Store, ring: Keyring, key: str) -> str | None:
    """Returns what SUREFOOT_MASTER_KEY must be from now on, where the ring comes from there. Raises
    UsageError for a key that there is not, KeyUnavailable while anything hangs on it."""
    ring.reload()
    row = await store.ring()
    if key not in ring.ids:
        if key in row.retired:
            return None
        raise UsageError(
            f"there is no master key {key!r} in the ring",
            why=f"it has {', '.join(ring.ids)}",
            remedy="See `surefoot keys list`.",
        )
    await store.retire_key(key)
    if ring.origin == "environment":
        content = ring.content()
        left = tuple(entry for entry in content.keys if key_id(entry.key).hex() != key)
        return RingContent(content.digest, left).as_variable()
    ring.remove(key)
    return None


async def _is_begun(store: Store, ring: Keyring) -> bool:
    """Whether a rotation to the ring's last key was cut off, or its key was put there by hand."""
    if len(ring.ids) == 1:
        return False
    row = await store.ring()
    others = [use for use in await store.key_uses() if use.key != ring.current and use.key in ring.ids]
    return ring.current != row.current or any(use.runs for use in others)


def _new_key(ring: Keyring) -> bytes:
    while True:
        key = os.urandom(KEY_BYTES)
        if key_id(key).hex() not in ring.ids:
            return key


async def _must_all_have(store: Store, ring: Keyring) -> None:
    """A worker with the former value could not open what is wrapped under a key that it has not."""
    behind = [worker for use in await store.key_uses() if use.key != ring.current for worker in use.workers]
    if behind:
        raise KeyUnavailable(
            "the new master key cannot be used yet",
            why=f"living workers have it not: {', '.join(behind)}",
            remedy="Start them again with the new SUREFOOT_MASTER_KEY, and run the same command again.",
        )
