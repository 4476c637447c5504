"""Keys: the ring of master keys, and the data key of each run.

Exact values that a view must not show are sealed (AES-256-GCM) under a key of their run, which is kept in the
run's row, wrapped under the master key: deleting that one value forgets the whole run. Subkeys for signing,
wrapping and digests are derived from the master key, each for one use.

A ring holds several master keys, so that it can be rotated: the current one wraps and signs, the others still
open what they have wrapped. Digests of inputs are compared over time and use the oldest one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import KeyUnavailable, StoreUnavailable
from .locks import locked_file

KEY_BYTES = 32
_NONCE = 12
_ID = 4
_MAC = 32
_REMEDY = "Restore keys.json (or SUREFOOT_MASTER_KEY) as it was when the run was made."


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

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise KeyUnavailable(
                f"a master key has {len(key)} bytes",
                why=f"it must have {KEY_BYTES}",
                remedy="Make one with `openssl rand -base64 32`.",
            )
        self.key = key
        self.id = _derive(key, "id")[:_ID]
        self.box = AESGCM(_derive(key, "wrap"))
        self.sign_key = _derive(key, "sign")
        self.digest_key = _derive(key, "digest")


class Keyring:
    """Master keys, oldest first; the last one is current."""

    def __init__(self, keys: list[bytes]) -> None:
        if not keys:
            raise KeyUnavailable("the key ring is empty", remedy=_REMEDY)
        masters = [_Master(key) for key in keys]
        self._current = masters[-1]
        self._oldest = masters[0]
        self._by_id = {master.id: master for master in masters}

    @classmethod
    def generate(cls) -> Keyring:
        return cls([os.urandom(KEY_BYTES)])

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Keyring | None:
        """`SUREFOOT_MASTER_KEY`: base64 of 32 bytes, or several with commas between, oldest first."""
        text = environ.get("SUREFOOT_MASTER_KEY", "")
        return cls([_decode(part, "SUREFOOT_MASTER_KEY") for part in text.split(",")]) if text else None

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Raises KeyUnavailable where the file is missing or no ring."""
        try:
            content = json.loads(path.read_text("utf-8"))
            return cls([_decode(key, str(path)) for key in content["keys"]])
        except OSError as error:
            why = str(error.strerror or error)
            raise KeyUnavailable(f"the key ring {path} cannot be read", why=why, remedy=_REMEDY) from error
        except (ValueError, TypeError, KeyError) as error:
            raise KeyUnavailable(f"the key ring {path} is damaged", why=str(error), remedy=_REMEDY) from error

    @classmethod
    def load_or_create(cls, path: Path) -> Keyring:
        """Two processes that start at once get the same ring: one makes it under a lock, the other reads."""
        if path.exists():
            return cls.load(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked_file(path.with_name(path.name + ".lock")):
                if not path.exists():
                    _write(path, [os.urandom(KEY_BYTES)])
        except OSError as error:
            raise StoreUnavailable(
                f"the key ring {path} cannot be made",
                why=str(error.strerror or error),
                remedy="Check that this user may write in the folder, or set SUREFOOT_MASTER_KEY.",
            ) from error
        return cls.load(path)

    # ── uses ──

    def sign(self, data: bytes) -> bytes:
        """The key's id (4 bytes), then HMAC-SHA256."""
        master = self._current
        return master.id + hmac.digest(master.sign_key, data, "sha256")

    def verify(self, data: bytes, signature: bytes) -> bool:
        master = self._by_id.get(signature[:_ID])
        if master is None:
            return False
        return hmac.compare_digest(hmac.digest(master.sign_key, data, "sha256"), signature[_ID:])

    def digest(self, data: bytes) -> str:
        """32 hex digits, keyed; the same for the life of the ring."""
        return hmac.digest(self._oldest.digest_key, data, "sha256").hex()[:32]

    def new_run_key(self) -> RunKey:
        master = self._current
        random = os.urandom(KEY_BYTES + _NONCE)
        key, nonce = random[:KEY_BYTES], random[KEY_BYTES:]
        return RunKey(key, master.id + nonce + master.box.encrypt(nonce, key, master.id))

    def unwrap(self, wrapped: bytes) -> RunKey:
        """Raises KeyUnavailable: forgotten (empty), wrapped under a key that the ring lacks, or damaged."""
        if not wrapped:
            raise KeyUnavailable("the data key is gone", why="the run was forgotten on purpose")
        master = self._by_id.get(wrapped[:_ID])
        if master is None:
            raise KeyUnavailable(
                "a data key cannot be unwrapped", why="its master key is not in the ring", remedy=_REMEDY
            )
        nonce, sealed = wrapped[_ID : _ID + _NONCE], wrapped[_ID + _NONCE :]
        try:
            return RunKey(master.box.decrypt(nonce, sealed, master.id), wrapped)
        except (InvalidTag, ValueError) as error:
            raise KeyUnavailable(
                "a data key cannot be unwrapped",
                why="it was changed",
                remedy="Restore a backup of the store.",
            ) from error


def _decode(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise KeyUnavailable(f"a master key in {where} is not base64", why=str(error)) from error


def _write(path: Path, keys: list[bytes]) -> None:
    """Complete or not at all, readable by this user only, on disk before anything is sealed under it."""
    content = {"version": 1, "keys": [base64.b64encode(key).decode() for key in keys]}
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(handle)
    os.replace(draft, path)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
