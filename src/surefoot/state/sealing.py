"""Keys: the ring of master keys, and the data key of each run.

Exact values that a view must not show are sealed (AES-256-GCM) under a key of their run, which is kept in the
run's row, wrapped under the master key: deleting that one value forgets the whole run. Subkeys for signing
and wrapping are derived from the master key, each for one use.

A ring holds several master keys, so that it can be rotated: the current one wraps and signs, the others still
open what they have wrapped (decision 0033). Digests that are compared over time (of inputs, of idempotency
keys) have a key of their own in the ring, which outlives every master key.

The ring of a running process follows its file: a key that it does not know makes it read the file once more,
and so does the store, when it tells inside a transaction that the ring has moved on (`heed`).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import KeyUnavailable, StoreUnavailable
from .keysfile import DIGEST_PART, REMEDY, KeyEntry, RingContent, read_ring, ring_lock, write_ring

KEY_BYTES = 32
_NONCE = 12
_ID = 4


def _derive(key: bytes, use: str) -> bytes:
    """A key for one use only (HKDF-Expand of one block: the input is already a uniform key)."""
    return hmac.digest(key, b"surefoot/" + use.encode() + b"\x01", "sha256")


class RunKey:
    """The data key of one run. Its subkeys are derived when first used: many runs seal nothing."""

    __slots__ = ("_box", "_digest_key", "_key", "wrapped")

    def __init__(self, key: bytes, wrapped: bytes) -> None:
        self._key = key
        self.wrapped = wrapped
        self._box: AESGCM | None = None
        self._digest_key: bytes | None = None

    def _sealing(self) -> AESGCM:
        if self._box is None:
            self._box = AESGCM(_derive(self._key, "seal"))
        return self._box

    def seal(self, plain: bytes, aad: bytes) -> bytes:
        """Nonce (12 bytes), ciphertext, tag (16). `aad` binds it to its place; `open` wants the same."""
        nonce = os.urandom(_NONCE)
        return nonce + self._sealing().encrypt(nonce, plain, aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Raises KeyUnavailable where the value is damaged, or was sealed for another place or run."""
        try:
            return self._sealing().decrypt(sealed[:_NONCE], sealed[_NONCE:], aad)
        except (InvalidTag, ValueError) as error:
            raise KeyUnavailable(
                "a sealed value cannot be opened",
                why="it was changed, or belongs to another run or place",
                remedy="Check the journal with `surefoot audit verify`.",
            ) from error

    def digest(self, data: bytes) -> str:
        """32 hex digits, keyed: equal values of this run are equal, and nobody else can test a guess."""
        if self._digest_key is None:
            self._digest_key = _derive(self._key, "digest")
        return hmac.digest(self._digest_key, data, "sha256").hex()[:32]


class _Master:
    """One master key and what is derived from it."""

    def __init__(self, key: bytes, created: str = "") -> None:
        if len(key) != KEY_BYTES:
            raise KeyUnavailable(
                f"a master key has {len(key)} bytes",
                why=f"it must have {KEY_BYTES}",
                remedy="Make one with `openssl rand -base64 32`.",
            )
        self.key = key
        self.created = created
        self.id = _derive(key, "id")[:_ID]
        self.box = AESGCM(_derive(key, "wrap"))
        self.sign_key = _derive(key, "sign")


class Keyring:
    """Master keys, oldest first; the last one is current. `origin` is where it came from: only the ring of a
    file can be read again."""

    def __init__(
        self,
        keys: Sequence[bytes | KeyEntry],
        *,
        digest: bytes | None = None,
        path: Path | None = None,
        origin: Literal["file", "environment", "memory"] = "memory",
    ) -> None:
        self.path = path
        self.origin = origin
        self.generation = 0
        """Of the store's ring, as this process has last heard of it."""
        self._former: dict[bytes, _Master] = {}
        """Keys that have left the ring: they still unwrap what this process itself wrapped a moment ago."""
        self._unknown: set[bytes] = set()
        self._refused = ""
        self._stamp: tuple[int, int] | None = None
        self._by_id: dict[bytes, _Master] = {}
        self._take(RingContent(digest, tuple(_entry(key) for key in keys)))

    def _take(self, content: RingContent) -> None:
        if not content.keys:
            raise KeyUnavailable(
                "the key ring is empty", why="nothing can be sealed or opened without a key", remedy=REMEDY
            )
        masters = [_Master(entry.key, entry.created) for entry in content.keys]
        digest = content.digest
        if digest is not None and len(digest) != KEY_BYTES:
            raise KeyUnavailable(
                "the digest key of the ring has not 32 bytes", why="it was cut off or changed", remedy=REMEDY
            )
        by_id = {master.id: master for master in masters}
        self._former |= {key: master for key, master in self._by_id.items() if key not in by_id}
        # A ring of the first version has no digest key of its own: it was derived from its oldest key.
        self._digest_key = digest or _derive(masters[0].key, "digest")
        self._by_id = by_id
        self._current = masters[-1]

    @classmethod
    def generate(cls) -> Keyring:
        return cls([os.urandom(KEY_BYTES)], digest=os.urandom(KEY_BYTES))

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Keyring | None:
        """`SUREFOOT_MASTER_KEY`: base64 of 32 bytes, or several with commas between, oldest first; a part
        `digest:BASE64` is the digest key, which stays when the oldest key goes."""
        text = environ.get("SUREFOOT_MASTER_KEY", "")
        if not text:
            return None
        keys, digest = [], None
        for part in text.split(","):
            if part.strip().startswith(DIGEST_PART):
                digest = _decode(part.strip().removeprefix(DIGEST_PART))
            else:
                keys.append(_decode(part))
        return cls(keys, digest=digest, origin="environment")

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Raises KeyUnavailable where the file is missing or no ring."""
        stamp = _stamp_of(path)  # before it is read: a change in between is seen the next time
        content = read_ring(path)
        ring = cls(content.keys, digest=content.digest, path=path, origin="file")
        ring._stamp = stamp
        return ring

    @classmethod
    def load_or_create(cls, path: Path, created: str = "") -> Keyring:
        """Two processes that start at once get the same ring: one makes it under a lock, the other reads."""
        if path.exists():
            return cls.load(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with ring_lock(path):
                if not path.exists():
                    new = KeyEntry(os.urandom(KEY_BYTES), created)
                    write_ring(path, RingContent(os.urandom(KEY_BYTES), (new,)))
        except OSError as error:
            raise StoreUnavailable(
                f"the key ring {path} cannot be made",
                why=str(error.strerror or error),
                remedy="Check that this user may write in the folder, or set SUREFOOT_MASTER_KEY.",
            ) from error
        return cls.load(path)

    # ── what is in it ──

    @property
    def ids(self) -> list[str]:
        """In hex, oldest first."""
        return [key.hex() for key in self._by_id]

    @property
    def current(self) -> str:
        return self._current.id.hex()

    def created(self, key: str) -> str:
        """ISO time, or an empty text where nobody has noted it."""
        master = self._by_id.get(bytes.fromhex(key))
        return "" if master is None else master.created

    def content(self) -> RingContent:
        """As it would be written: always with a digest key of its own."""
        entries = tuple(KeyEntry(master.key, master.created) for master in self._by_id.values())
        return RingContent(self._digest_key, entries)

    # ── moving on ──

    def heed(self, generation: int, retired: Iterable[str]) -> None:
        """The store says that the ring has moved on. A process whose current key was retired, and that can
        read no other, must not sign any more: nobody could check it."""
        self.reload()
        self.generation = generation
        self._refused = self.current if self.current in set(retired) else ""

    def reload(self) -> None:
        """Reads the file again, if there is one. Raises KeyUnavailable."""
        if self.path is None:
            return
        stamp = _stamp_of(self.path)
        self._take(read_ring(self.path))
        self._stamp = stamp
        self._unknown.clear()

    def add(self, key: bytes, created: str) -> None:
        """A new current key; on disk, where the ring has a file. Raises KeyUnavailable, OSError."""
        self._replace(lambda entries: (*entries, KeyEntry(key, created)))

    def remove(self, key: str) -> None:
        """Out of the ring, and out of its file."""
        gone = bytes.fromhex(key)
        self._replace(lambda entries: tuple(one for one in entries if key_id(one.key) != gone))

    def _replace(self, change: Callable[[tuple[KeyEntry, ...]], tuple[KeyEntry, ...]]) -> None:
        if self.path is None:
            content = self.content()
            self._take(RingContent(content.digest, change(content.keys)))
            return
        with ring_lock(self.path):
            self.reload()  # somebody else may have changed it meanwhile
            content = self.content()
            changed = RingContent(content.digest, change(content.keys))
            write_ring(self.path, changed)
            self.reload()

    def _master(self, key: bytes) -> _Master | None:
        found = self._by_id.get(key)
        if found is not None or self.path is None:
            return found
        # Once for each unknown key, and again when the file has changed since.
        if key not in self._unknown or _stamp_of(self.path) != self._stamp:
            self.reload()
            self._unknown.add(key)
        return self._by_id.get(key)

    # ── uses ──

    def sign(self, data: bytes) -> bytes:
        """The key's id (4 bytes), then HMAC-SHA256. Raises KeyUnavailable where the key was retired."""
        if self._refused:
            raise KeyUnavailable(
                f"this process signs with the master key {self._refused}, which was retired",
                why="whoever reads the store has it no more",
                remedy="Start it again with the SUREFOOT_MASTER_KEY that the others have.",
            )
        master = self._current
        return master.id + hmac.digest(master.sign_key, data, "sha256")

    def verify(self, data: bytes, signature: bytes) -> bool:
        master = self._master(signature[:_ID])
        if master is None:
            return False
        return hmac.compare_digest(hmac.digest(master.sign_key, data, "sha256"), signature[_ID:])

    def digest(self, data: bytes) -> str:
        """32 hex digits, keyed; the same for the life of the ring."""
        return hmac.digest(self._digest_key, data, "sha256").hex()[:32]

    def key_digest(self, workflow: str, key: str) -> str:
        """What the store keeps of a run's idempotency key: people put mail addresses into those."""
        place = f"key|{len(workflow)}|{workflow}|{key}".encode(errors="surrogatepass")
        return self.digest(place)

    def new_run_key(self) -> RunKey:
        key = os.urandom(KEY_BYTES)
        return RunKey(key, self._wrap(key))

    def _wrap(self, key: bytes) -> bytes:
        master, nonce = self._current, os.urandom(_NONCE)
        return master.id + nonce + master.box.encrypt(nonce, key, master.id)

    def unwrap(self, wrapped: bytes) -> RunKey:
        """Raises KeyUnavailable: forgotten (empty), wrapped under a key that the ring lacks, or damaged."""
        if not wrapped:
            raise KeyUnavailable(
                "the data key is gone",
                why="the run was forgotten on purpose, and its exact values with it",
                remedy="Its views are still there: `surefoot runs show`.",
            )
        master = self._master(wrapped[:_ID])
        if master is None:
            raise KeyUnavailable(
                "a data key cannot be unwrapped", why="its master key is not in the ring", remedy=REMEDY
            )
        return RunKey(_unwrapped(master, wrapped), wrapped)

    def rewrap(self, wrapped: bytes) -> bytes | None:
        """The same data key under the current master key; the very same bytes where they are so already,
        and None where they cannot be opened."""
        if wrapped[:_ID] == self._current.id:
            return wrapped
        master = self._master(wrapped[:_ID]) or self._former.get(wrapped[:_ID])
        if master is None:
            return None
        try:
            return self._wrap(_unwrapped(master, wrapped))
        except KeyUnavailable:
            return None


def iso_time(at: int) -> str:
    """Microseconds since the epoch as the ring file has them, to the second."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def key_id(key: bytes) -> bytes:
    """How a master key is called in wrapped keys and signatures; says nothing of the key itself."""
    return _derive(key, "id")[:_ID]


def _unwrapped(master: _Master, wrapped: bytes) -> bytes:
    nonce, sealed = wrapped[_ID : _ID + _NONCE], wrapped[_ID + _NONCE :]
    try:
        return master.box.decrypt(nonce, sealed, master.id)
    except (InvalidTag, ValueError) as error:
        raise KeyUnavailable(
            "a data key cannot be unwrapped",
            why="it was changed",
            remedy="Restore a backup of the store.",
        ) from error


def _entry(key: bytes | KeyEntry) -> KeyEntry:
    return key if isinstance(key, KeyEntry) else KeyEntry(key)


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise KeyUnavailable(
            "a master key in SUREFOOT_MASTER_KEY is not base64", why=str(error), remedy=REMEDY
        ) from error
