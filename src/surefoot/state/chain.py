"""The hash chain: what exactly is hashed and signed, so that no change of a journal goes unseen.

Every event carries a SHA-256 over the event before it and its own stored bytes; for a sealed value its
SHA-256 stands, so that a journal can be checked without it, wherever an export has gone (decision 0035). The
bytes are framed by their lengths, up front, so that no two different events have the same framing. The run's
row carries a signature over its last hash: whoever rewrites, cuts off or swaps a journal would have to sign
it anew.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct

GENESIS = bytes(32)
"""What stands before the first event of a run."""

_FRAME = Struct(">qqiHIIi")
"""seq, at, version, then the lengths of kind, run, view, sealed (-1: none, -2: its digest follows)"""


def event_hash(
    before: bytes, run: bytes, seq: int, at: int, kind: bytes, version: int, view: bytes, sealed: bytes | None
) -> bytes:
    """SHA-256 of one event; all texts in UTF-8."""
    if sealed is None:
        frame = _FRAME.pack(seq, at, version, len(kind), len(run), len(view), -1)
        return sha256(b"".join((before, frame, kind, run, view))).digest()
    return hash_over_digest(before, run, seq, at, kind, version, view, sha256(sealed).digest())


def hash_over_digest(
    before: bytes, run: bytes, seq: int, at: int, kind: bytes, version: int, view: bytes, digest: bytes
) -> bytes:
    """The same where no more than the SHA-256 of the sealed value is at hand."""
    frame = _FRAME.pack(seq, at, version, len(kind), len(run), len(view), -2)
    return sha256(b"".join((before, frame, kind, run, view, digest))).digest()


def first_hash(
    before: bytes, run: bytes, seq: int, at: int, kind: bytes, version: int, view: bytes, sealed: bytes
) -> bytes:
    """How stores of the first schema hashed an event with a sealed value: over the value itself. The frame
    tells the two apart, so a journal may hold both."""
    frame = _FRAME.pack(seq, at, version, len(kind), len(run), len(view), len(sealed))
    return sha256(b"".join((before, frame, kind, run, view, sealed))).digest()


def head_message(run: str, seq: int, head: bytes, *, pruned: bool = False, forgotten: bool = False) -> bytes:
    """What is signed for a run whose chain ends at `seq` with `head`.

    A pruned journal is signed as such: otherwise deleting one and calling it pruned would not show. The
    journal of a forgotten run says itself that it was; a pruned one cannot, so that is signed as well.
    """
    tag = (b"pruned,forgotten" if forgotten else b"pruned") if pruned else b"head"
    return b"%s|%d|%s|%s" % (tag, seq, head, run.encode())
