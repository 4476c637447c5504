"""Run ids: sortable by time, short enough to type, hard to guess."""

from __future__ import annotations

import secrets

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def new_run_id(at: int) -> str:
    """'r', nine digits of milliseconds, eight of chance (40 bits), in base 32."""
    return "r" + _base32(at // 1000, 9) + _base32(secrets.randbits(40), 8)


def _base32(value: int, digits: int) -> str:
    found = []
    for _ in range(digits):
        found.append(_DIGITS[value & 31])
        value >>= 5
    return "".join(reversed(found))
