"""Text whose letters are written as escapes: `%40` for an @ in URLs, `\\u0040` and `\\/` in JSON.

Such a text is decoded once, beside a list of where each letter came from, and looked through again; what
is found there is put back on the place in the text that was given.
"""

from __future__ import annotations

import re

_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"\\+u00([0-7][0-9A-Fa-f])|\\+(/)")


def without_percent(text: str) -> tuple[str, list[int]] | None:
    """The text with %XX of ASCII decoded, and for each of its places the one in `text`."""
    return _decode(text, _PERCENT)


def without_escapes(text: str) -> tuple[str, list[int]] | None:
    """The same for `\\u00XX` of ASCII and `\\/`, however many backslashes stand before them."""
    return _decode(text, _ESCAPE)


def _decode(text: str, escape: re.Pattern[str]) -> tuple[str, list[int]] | None:
    parts: list[str] = []
    places: list[int] = []
    last = 0
    for found in escape.finditer(text):
        code = found[1]
        sign = "/" if code is None else chr(int(code, 16))
        if not " " <= sign <= "~":
            continue
        parts.append(text[last : found.start()])
        places.extend(range(last, found.start()))
        parts.append(sign)
        places.append(found.start())
        last = found.end()
    if not parts:
        return None
    parts.append(text[last:])
    places.extend(range(last, len(text) + 1))
    return "".join(parts), places
