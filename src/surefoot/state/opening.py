"""From a store's URL to a store and its keys."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import unquote
from uuid import uuid4
from weakref import WeakValueDictionary

from ..errors import KeyUnavailable, UsageError
from .schema import holds_runs
from .sealing import Keyring, iso_time
from .sqlite import SqliteStore
from .store import Store, StoreOptions

DEFAULT_STORE = "sqlite:///.surefoot/state.db"

_rings: WeakValueDictionary[str, Keyring] = WeakValueDictionary()
"""Key rings of the named stores in memory of this process, which end with their stores."""


def make_store(
    url: str,
    *,
    now: Callable[[], int],
    worker: str,
    crash: Callable[[Literal["before", "after"]], None] | None = None,
    keyring: Keyring | None = None,
) -> tuple[Store, Keyring]:
    """The store behind `url`, not opened yet (`await store.open()`), and the ring that its keys hang on.

    `sqlite:///rel.db` and `sqlite:////abs.db` name a file; `memory:` is a store of its own, `memory:NAME` one
    that the stores of that name in this process share while one of them is open. Without `keyring` it is read
    from SUREFOOT_MASTER_KEY, else from `keys.json` beside the database, which is made where it is missing.
    Raises UsageError, StoreUnavailable, KeyUnavailable.
    """
    place = place_of(url)
    ring = keyring or Keyring.from_env(os.environ)
    if ring is None:
        if isinstance(place, Path):
            ring = _ring_beside(place, now)
        else:
            ring = _rings.get(place) or _rings.setdefault(place, Keyring.generate())
    options = StoreOptions(now=now, keys=ring, worker=worker, crash=crash)
    return SqliteStore(place, options), ring


def ring_of(url: str, now: Callable[[], int]) -> Keyring:
    """The ring that a store's keys hang on. Raises UsageError, KeyUnavailable, StoreUnavailable."""
    place = place_of(url)
    ring = Keyring.from_env(os.environ)
    if ring is None:
        ring = _ring_beside(place, now) if isinstance(place, Path) else _rings[place]
    return ring


def _ring_beside(place: Path, now: Callable[[], int]) -> Keyring:
    """A new ring for a new store only: beside runs that it cannot open, it would hide that theirs is lost."""
    path = place.with_name("keys.json")
    # Looked for twice: another process may be making both at this moment, the ring first.
    if not path.exists() and holds_runs(place) and not path.exists():
        raise KeyUnavailable(
            f"the key ring {path} is gone",
            why="the store holds runs whose sealed values nothing else opens",
            remedy="Restore it, or set SUREFOOT_MASTER_KEY as it was when the runs were made.",
        )
    return Keyring.load_or_create(path, created=iso_time(now()))


def place_of(url: str) -> Path | str:
    """The file of a store, or the name of one in memory. Raises UsageError."""
    scheme, _, rest = url.partition(":")
    if scheme == "memory":
        return rest or uuid4().hex
    if scheme == "sqlite" and rest.startswith("///") and len(rest) > 3 and "?" not in rest:
        try:
            path = Path(unquote(rest[3:])).expanduser()
        except RuntimeError as error:  # the home of somebody who is not there
            raise UsageError(f"the store {url!r} is not understood", why=str(error)) from error
        if path.name and "\0" not in str(path):
            return path
    if scheme in ("postgresql", "postgres"):
        raise UsageError(
            "a store on PostgreSQL is not there yet",
            why="this version of Surefoot keeps its journal in SQLite",
            remedy=f"Use a file, such as --store {DEFAULT_STORE}.",
        )
    raise UsageError(
        f"the store {url!r} is not understood",
        why="it is none of sqlite:///relative.db, sqlite:////absolute.db and memory:",
        remedy=f"Give a URL, such as --store {DEFAULT_STORE}.",
    )
