"""Redaction of a stream: text that comes in chunks, and may be cut anywhere, also in the middle of a secret.

What is safe is passed on at once. Held back is what may be the beginning of something: of a known value, in
any of its forms; of a word that a detector may recognise when it is whole; of a key that has several lines.
What was passed on stays in mind as long as it can matter, so that the rest of something is known for what
it is.
"""

from __future__ import annotations

import codecs
import re
from typing import overload

from .known import Span
from .redactor import Redactor

CONTEXT = 2_000
"""Characters that were passed on and are looked at again together with what follows them."""

MOST = 65_536
"""Characters that are held back at most: what is more than any key or line is withheld instead."""

LONGEST_WORD = 512

_CUT_TOKEN = re.compile(
    r"(?:\\+(?:u[0-9a-fA-F]{0,3}|x[0-9a-fA-F]?)?|%[0-9a-fA-F]?|&#?[0-9a-zA-Z]{0,8}|=\r?)\Z"
)
_WORD = re.compile(r"\S+\Z")
_NUMBER = re.compile(r"(?:[A-Z]{2})?[+(]?\d[\d ().\-/]{0,60}\Z")
_KEY_BEGINS = "-----BEGIN"
_ENOUGH = 3
"""Characters of a known value after which its beginning is held back even where a line ends there."""


class StreamRedactor:
    """One for each stream. `feed` gives what can be passed on; `pause` what only looks could still make
    something of, because whoever writes has finished a sentence; `flush` the rest, at the end."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._passed = ""
        self._held = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    @overload
    def feed(self, chunk: str) -> str: ...
    @overload
    def feed(self, chunk: bytes) -> bytes: ...
    def feed(self, chunk: str | bytes) -> str | bytes:
        """Text for text, bytes (of UTF-8) for bytes."""
        if isinstance(chunk, bytes):
            return _bytes(self._pass_on(self._decoder.decode(chunk), _until_sure))
        return self._pass_on(chunk, _until_sure)

    def pause(self) -> str:
        """Keeps back known values only, from three characters on."""
        return self._pass_on("", _known_only)

    def flush(self) -> str:
        """All that is left: nothing comes after it."""
        return self._pass_on(self._decoder.decode(b"", final=True), None)

    def flush_bytes(self) -> bytes:
        return _bytes(self.flush())

    def _pass_on(self, chunk: str, hold: _Hold | None) -> str:
        text, begin = self._passed + self._held + chunk, len(self._passed)
        if len(text) == begin:
            return ""
        spans = self._redactor.spans(text)
        end = len(text) if hold is None else max(begin, hold(self._redactor, text))
        for span in reversed(spans):
            if span.start < end < span.end:
                end = max(begin, span.start)
        if end == begin and len(text) - end <= MOST:
            self._held = text[end:]
            return ""
        if len(text) - end > MOST:
            self._passed, self._held = "", ""
            return _shown(text, spans, begin, end) + "[withheld]"
        self._passed, self._held = text[max(0, end - CONTEXT) : end], text[end:]
        return _shown(text, spans, begin, end)


class _Hold:
    """From where on a text must not be passed on yet."""

    def __init__(self, *, looks: bool) -> None:
        self._looks = looks

    def __call__(self, redactor: Redactor, text: str) -> int:
        token = _CUT_TOKEN.search(text)
        ends = [len(text)] if token is None else [len(text), token.start()]
        is_line = text[-1:] in "\r\n" or not self._looks
        places = [ends[-1]] if self._looks else [len(text)]
        for known in redactor.finders():
            for end in ends:
                # Each character may be written as up to six, and be held apart by indentation.
                begin = max(0, end - 8 * known.longest - 200)
                place = known.begins(text[begin:end], _ENOUGH if is_line else 1)
                if place is not None:
                    places.append(begin + place)
        if self._looks:
            if not is_line and (word := _WORD.search(text, max(0, len(text) - LONGEST_WORD))):
                places.append(word.start())
            if number := _NUMBER.search(text, max(0, len(text) - 64)):
                places.append(number.start())
            key = text.find(_KEY_BEGINS, max(0, text.rfind("-----END")))
            if key >= 0:
                places.append(key)
        return min(places)


_until_sure = _Hold(looks=True)
_known_only = _Hold(looks=False)


def _shown(text: str, spans: list[Span], begin: int, end: int) -> str:
    """`text[begin:end]` with what was found in it replaced; of what began before it the rest is left out."""
    parts, last = [], begin
    for span in spans:
        if span.end <= begin or span.start >= end:
            continue
        if span.start >= begin:
            parts.append(text[last : span.start])
        parts.append(span.label)
        last = span.end
    parts.append(text[last:end])
    return "".join(parts)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
