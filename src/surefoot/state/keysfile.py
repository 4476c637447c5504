"""The file of the key ring: `keys.json`, beside the database, readable by its user alone.

Version 2 holds a digest key and the master keys with the time they were made; version 1 held a list of keys
and is still read. It is replaced as a whole: whoever reads it, at whatever moment a process dies, finds the
old ring or the new one. Whoever changes it holds the lock beside it.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import KeyUnavailable
from .locks import locked_file

REMEDY = "Restore keys.json (or SUREFOOT_MASTER_KEY) as it was when the run was made."
DIGEST_PART = "digest:"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """`created` is an ISO time, or empty where nobody has noted it."""

    key: bytes
    created: str = ""


@dataclass(frozen=True, slots=True)
class RingContent:
    """`digest` None: a ring of the first version, whose digests hang on its oldest key."""

    digest: bytes | None
    keys: tuple[KeyEntry, ...]

    def as_variable(self) -> str:
        """The same ring as the value of SUREFOOT_MASTER_KEY."""
        parts = [] if self.digest is None else [DIGEST_PART + _text(self.digest)]
        return ",".join(parts + [_text(entry.key) for entry in self.keys])


def read_ring(path: Path) -> RingContent:
    """Raises KeyUnavailable where the file is missing or no ring."""
    try:
        content = json.loads(path.read_text("utf-8"))
        version = content.get("version", 1)
        if version not in (1, 2):
            raise KeyUnavailable(
                f"the key ring {path} has version {version}",
                why="a newer Surefoot wrote it",
                remedy="Upgrade this installation.",
            )
        if version == 1:
            return RingContent(None, tuple(KeyEntry(_bytes(key)) for key in content["keys"]))
        entries = tuple(KeyEntry(_bytes(one["key"]), str(one.get("created", ""))) for one in content["keys"])
        return RingContent(_bytes(content["digest"]), entries)
    except OSError as error:
        why = str(error.strerror or error)
        raise KeyUnavailable(f"the key ring {path} cannot be read", why=why, remedy=REMEDY) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise KeyUnavailable(f"the key ring {path} is damaged", why=str(error), remedy=REMEDY) from error


def write_ring(path: Path, content: RingContent) -> None:
    """Complete or not at all, readable by this user only, and on disk before anything hangs on it. The caller
    holds `ring_lock`: the draft that a killed process has left behind, with keys in it, is overwritten."""
    assert content.digest is not None
    shown: dict[str, Any] = {"version": 2, "digest": _text(content.digest)}
    shown["keys"] = [{"key": _text(one.key), "created": one.created} for one in content.keys]
    draft = path.with_name(path.name + ".tmp")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(shown, file, indent=1)
        file.flush()
        os.fsync(handle)
    os.replace(draft, path)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def ring_lock(path: Path) -> Iterator[None]:
    """One process at a time changes the ring. A draft that somebody left is removed: it may hold a key that
    has been retired since."""
    with locked_file(path.with_name(path.name + ".lock")):
        path.with_name(path.name + ".tmp").unlink(missing_ok=True)
        yield


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text).strip(), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a key in it is not base64: {error}") from error
