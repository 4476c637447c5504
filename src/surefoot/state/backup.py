"""Copies of a store and its key ring, and their way back.

A backup is a folder: the database as one transaction saw it, rebuilt without free pages while workers go on,
the key ring, and a manifest with the hashes of both. It opens everything that the store holds, so it is kept
like the store itself.

A journal that is put back does not know what was done after it was copied. So nothing in it may simply go
on: `hold` leaves a message in the mailbox of every run that was begun and has not ended, which sets it aside
for a person (decision 0063).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import KeyUnavailable, SurefootError, UsageError
from .faults import explain
from .keysfile import RingContent, read_ring, write_ring
from .locks import FileLocks
from .queries import load
from .schema import connect, newest
from .transaction import Duty, Transaction

_SQL = load("backup")

FORMAT = 1
MANIFEST, DATABASE, KEYS = "manifest.json", "state.db", "keys.json"
DRAFT = ".restoring"


@dataclass(frozen=True)
class Manifest:
    """`at` is when the copy was begun, microseconds; `keys` is where its key ring is: in the folder ("file"),
    or with whoever sets SUREFOOT_MASTER_KEY ("environment"). `files` are SHA-256 by name."""

    at: int
    surefoot: str
    schema: int
    runs: int
    unended: int
    keys: str
    files: dict[str, str]
    format: int = FORMAT


@dataclass(frozen=True)
class Held:
    """Runs that wait for a person, runs that nobody had taken up, and the workflows that there are."""

    begun: int
    new: int
    workflows: tuple[str, ...]


# ── making one ──


def make(place: Path, folder: Path, *, at: int, version: str, ring: Path | None) -> Manifest:
    """`ring` None: the key ring is not in a file. Raises UsageError where the folder holds something,
    StoreUnavailable, KeyUnavailable."""
    _make_folder(folder)
    # Once before and once after: a key that was made or retired while the copy was made is in one of them.
    before = None if ring is None else read_ring(ring)
    database = folder / DATABASE
    os.close(os.open(database, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    counts = _copy(place, database)
    _sync(database)
    files = {DATABASE: _digest(database)}
    if ring is not None and before is not None:
        write_ring(folder / KEYS, _both(before, read_ring(ring)))
        files[KEYS] = _digest(folder / KEYS)
    keys = "environment" if ring is None else "file"
    manifest = Manifest(at, version, newest(), *counts, keys, files)
    _write(folder / MANIFEST, json.dumps(asdict(manifest), indent=1) + "\n")
    _sync(folder)
    return manifest


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        why = str(error.strerror or error)
        raise UsageError(f"{folder} cannot be made", why=why, remedy="Give another folder.") from error
    if not is_empty:
        raise UsageError(
            f"{folder} is not empty",
            why="a backup overwrites nothing",
            remedy="Give a folder of its own for each, such as one named by the date.",
        )


def _copy(place: Path, database: Path) -> tuple[int, int]:
    """How many runs it holds, and how many of them have not ended."""
    try:
        with closing(connect(str(place))) as connection:
            connection.execute("PRAGMA busy_timeout = 10000")
            connection.execute("VACUUM INTO ?", (str(database),))
        with closing(connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as copy:
            (sound,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
            if sound != "ok":
                raise _damaged(database, sound)
            runs, unended = copy.execute(_SQL["counts"]).fetchone()
            return int(runs), int(unended)
    except sqlite3.Error as error:
        raise explain(error, f"sqlite:///{place}") from error


def _both(before: RingContent, after: RingContent) -> RingContent:
    known = {entry.key for entry in after.keys}
    return RingContent(after.digest, (*(one for one in before.keys if one.key not in known), *after.keys))


# ── reading one ──


def read(folder: Path) -> Manifest:
    """Raises UsageError where it is no backup, is damaged, or is of a newer Surefoot."""
    try:
        said: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        manifest = Manifest(**said)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"{folder} is no backup",
            why=f"its {MANIFEST} cannot be read: {error}",
            remedy="Give a folder that `surefoot backup` has made.",
        ) from error
    if manifest.format != FORMAT or manifest.schema > newest():
        raise UsageError(
            f"the backup in {folder} cannot be used",
            why=f"Surefoot {manifest.surefoot} made it, which is newer",
            remedy="Restore it with that one.",
        )
    for name, digest in manifest.files.items():
        if Path(name).name != name or not (folder / name).is_file():
            raise _damaged(folder / name, "it is not there")
        if _digest(folder / name) != digest:
            raise _damaged(folder / name, "its hash is not the one in the manifest")
    return manifest


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} is damaged", why=why, remedy="Take another backup.")


# ── putting one back ──


def must_be_free(place: Path) -> None:
    """Nobody works on a store there, and there is none. Raises UsageError."""
    living = [name for name in _workers(place) if FileLocks(_locks_of(place)).probe(name) == "alive"]
    if living:
        raise UsageError(
            f"somebody works on the store at {place}",
            why=f"living: {', '.join(living)}",
            remedy="Stop every process that works on it, then try again.",
        )
    there = [one for one in (place, *_beside(place)) if one.exists()]
    if there:
        raise UsageError(
            f"there is a store at {place}",
            why=f"{there[0]} exists, and a restore overwrites nothing",
            remedy="Move it away with what lies beside it, or give another --store.",
        )


def _locks_of(place: Path) -> Path:
    return place.with_name(place.name + "-workers")


def _workers(place: Path) -> list[str]:
    return [file.name.removesuffix(".lock") for file in sorted(_locks_of(place).glob("*.lock"))]


def _beside(place: Path) -> list[Path]:
    return [place.with_name(place.name + end) for end in ("-wal", "-shm")]


def draft(folder: Path, manifest: Manifest, place: Path) -> Path:
    """The database beside its place, under another name: a store is there when all that a restore does to it
    is done. Its key ring is put where it belongs. Raises UsageError, KeyUnavailable."""
    must_be_free(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    path = place.with_name(place.name + DRAFT)
    discard(path)  # of a restore that was cut off
    if KEYS in manifest.files:
        _put_ring(folder / KEYS, place.with_name(KEYS))
    with (folder / DATABASE).open("rb") as source:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    if _digest(path) != manifest.files[DATABASE]:
        raise _damaged(path, "it was not copied as it is")
    return path


def _put_ring(source: Path, target: Path) -> None:
    wanted = read_ring(source)
    if not target.exists():
        write_ring(target, wanted)
        return
    missing = {one.key for one in wanted.keys} - {one.key for one in read_ring(target).keys}
    if missing or read_ring(target).digest != wanted.digest:
        raise KeyUnavailable(
            f"another key ring lies at {target}",
            why="it does not open what the backup holds",
            remedy="Move it away: the backup brings its own.",
        )


def discard(path: Path) -> None:
    for left in (path, *_beside(path)):
        left.unlink(missing_ok=True)


def settle(path: Path, place: Path) -> None:
    """The draft becomes the store. Raises UsageError where there is one by now."""
    if any(one.exists() for one in _beside(path)):
        raise SurefootError(f"{path} is still open", why="its log was not taken in", remedy="Try again.")
    _sync(path)
    must_be_free(place)
    try:
        os.link(path, place)  # and not a rename, which would replace what somebody has just put there
    except FileExistsError:
        must_be_free(place)
        raise
    except OSError:  # a file system without links
        os.rename(path, place)
    else:
        path.unlink()
    _sync(place.parent)


def hold(body: str) -> Duty:
    """Nobody holds a run any more, and what was begun and has not ended waits for a person: the mail that
    says so is read before anything else is done for it."""

    def put(transaction: Transaction) -> Held:
        connection = transaction.connection
        asked = {"body": body, "now": transaction.now}
        for name in ("no_workers", "no_doubts", "no_sessions"):
            connection.execute(_SQL[name])
        connection.execute(_SQL["no_owners"], asked)
        begun = connection.execute(_SQL["hold"], asked).rowcount
        connection.execute(_SQL["held_are_due"], asked)
        (new,) = connection.execute(_SQL["new"]).fetchone()
        workflows = tuple(name for (name,) in connection.execute(_SQL["workflows"]))
        return Held(begun, new, workflows)

    return Duty(put, long=True)


# ── files ──


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)


def _sync(path: Path) -> None:
    """A file, or the names in a folder (not every system lets a folder be opened)."""
    with suppress(PermissionError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
