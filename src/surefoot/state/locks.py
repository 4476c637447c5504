"""Proof of death on one machine: every worker holds an OS lock on a file of its own.

The operating system drops the lock when the process ends, however it ends. So a free lock proves that its
worker is gone, and what it held may be taken over at once; a lock that is still held proves nothing more
than that the process exists (it may be stopped), and then only the lapse of its lease counts.
"""

from __future__ import annotations

import os
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol

from ..errors import StoreUnavailable

Sign = Literal["alive", "dead", "unknown"]

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(handle: int) -> bool:
        # flock and not POSIX record locks: those vanish when any other handle on the file is closed.
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Locks(Protocol):
    """The locks of the workers of one store, seen from one of them."""

    def hold(self, worker: str) -> None:
        """Takes this worker's own lock. Raises StoreUnavailable where a living process has it."""
        ...

    def release(self, *, remove: bool) -> None: ...

    def probe(self, worker: str) -> Sign: ...

    def forget(self, worker: str) -> None:
        """Removes what is left of a worker that is proved dead."""
        ...


def _locked_soon(handle: int) -> bool:
    """Tries for a moment: another worker may just be asking whether this lock is free."""
    for _ in range(10):
        if _lock(handle):
            return True
        time.sleep(0.002)
    return _lock(handle)


def _remove(path: Path) -> None:
    with suppress(OSError):  # a lock file that stays behind says nothing wrong
        path.unlink(missing_ok=True)


def _in_use(worker: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the worker id {worker!r} is in use",
        why="a living process works on this store under the same id",
        remedy="Give every worker an id of its own.",
    )


_held: weakref.WeakSet[FileLocks] = weakref.WeakSet()


class FileLocks:
    """Lock files in `folder`, one per worker id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None
        self._path: Path | None = None

    def _file(self, worker: str) -> Path:
        safe = "".join(c if c.isalnum() or c in "-_." else f"%{ord(c):x}" for c in worker)
        return self._folder / f"{safe}.lock"

    def hold(self, worker: str) -> None:
        if self._handle is not None:
            return
        path = self._file(worker)
        while True:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise StoreUnavailable(
                    f"the lock file {path} cannot be made",
                    why=str(error.strerror or error),
                    remedy="Check that this user may write in the folder of the database.",
                ) from error
            if not _locked_soon(handle):
                os.close(handle)
                raise _in_use(worker)
            try:
                same = os.path.samestat(os.fstat(handle), os.stat(path))
            except FileNotFoundError:
                same = False
            if same:
                break
            os.close(handle)  # somebody removed the file of a dead worker between our open and our lock
        self._handle, self._path = handle, path
        _held.add(self)

    def release(self, *, remove: bool) -> None:
        if self._handle is None:
            return
        assert self._path is not None
        # Removed while still locked: whoever opened the file meanwhile sees that it is not the one any more.
        # Windows removes closed files only.
        if remove and sys.platform != "win32":
            _remove(self._path)
        os.close(self._handle)
        self._handle = None
        if remove and sys.platform == "win32":
            _remove(self._path)

    def probe(self, worker: str) -> Sign:
        try:
            handle = os.open(self._file(worker), os.O_RDWR)
        except OSError:  # removed by hand, or another user's: it proves nothing
            return "unknown"
        try:
            return "dead" if _lock(handle) else "alive"
        finally:
            os.close(handle)

    def forget(self, worker: str) -> None:
        _remove(self._file(worker))

    def drop_in_child(self) -> None:
        """A forked child shares the lock; kept open there it would outlive the worker that it speaks for."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class _Living(set[str]):
    """The workers of one store in memory. A plain set cannot be referred to weakly."""


_living: weakref.WeakValueDictionary[str, _Living] = weakref.WeakValueDictionary()


class LocalLocks:
    """The same within one process, for stores in memory: a worker lives as long as its store is open."""

    def __init__(self, name: str) -> None:
        self._living = _living.setdefault(name, _Living())
        self._worker: str | None = None

    def hold(self, worker: str) -> None:
        if self._worker is not None:
            return
        if worker in self._living:
            raise _in_use(worker)
        self._living.add(worker)
        self._worker = worker

    def release(self, *, remove: bool) -> None:
        if self._worker is not None:
            self._living.discard(self._worker)
            self._worker = None

    def probe(self, worker: str) -> Sign:
        return "alive" if worker in self._living else "dead"

    def forget(self, worker: str) -> None:
        return None


@contextmanager
def locked_file(path: Path, patience: float = 10.0) -> Iterator[None]:
    """Has the file at `path` to itself for a short while; waits up to `patience` seconds. The file stays."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + patience
        while not _lock(handle):
            if time.monotonic() > until:
                raise TimeoutError(f"{path} is locked by another process")
            time.sleep(0.005)
        yield
    finally:
        os.close(handle)


def _drop_all_in_child() -> None:
    for locks in list(_held):
        locks.drop_in_child()


_at_fork: Callable[..., None] | None = getattr(os, "register_at_fork", None)
if _at_fork is not None:
    _at_fork(after_in_child=_drop_all_in_child)
