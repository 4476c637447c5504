"""Text whose letters are written as escapes: `%40` for an @ in URLs, `\\u0040` and `\\/` in JSON.

Such a text is decoded once, beside a list of where each letter came from, and looked through again; what
is found there is put back on the place in the text that was given.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"\\+u00([0-7][0-9A-Fa-f])|\\+(/)")


class Decoded(NamedTuple):
    text: str
    ends: list[int]
    """Where in it each stretch of letters that were left as they are begins, ..."""
    shifts: list[int]
    """... and how much further on that is in the text that was given."""

    def place(self, at: int) -> int:
        """The place in the text that was given."""
        stretch = bisect_right(self.ends, at) - 1
        return at + self.shifts[stretch]


def without_percent(text: str) -> Decoded | None:
    """The text with %XX of ASCII decoded; None where there are none."""
    return _decode(text, _PERCENT)


def without_escapes(text: str) -> Decoded | None:
    """The same for `\\u00XX` of ASCII and `\\/`, however many backslashes stand before them."""
    return _decode(text, _ESCAPE)


def _decode(text: str, escape: re.Pattern[str]) -> Decoded | None:
    parts: list[str] = []
    ends, shifts = [0], [0]
    last = size = 0
    for found in escape.finditer(text):
        code = found[1]
        sign = "/" if code is None else chr(int(code, 16))
        if not " " <= sign <= "~":
            continue
        begin = found.start()
        parts += (text[last:begin], sign)
        size += begin - last + 1
        last = found.end()
        ends.append(size)
        shifts.append(last - size)
    if not parts:
        return None
    parts.append(text[last:])
    return Decoded("".join(parts), ends, shifts)
