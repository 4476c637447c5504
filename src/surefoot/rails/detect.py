"""Detection: secrets and private data that nobody told us of, found by their looks.

The second and third layer of redaction; the first, in `redaction.py`, knows the exact values. One
Aho-Corasick pass goes over the text for a thousand words: the letters that tokens begin with, the names
that secrets are given, an @, the shapes of numbers (every digit counts as 0 there). Ordinary text has few of
them, so this pass is what it costs. Where one stands, the function or expression behind it reads the
surroundings and says yes or no:

    detect_acts      which function is asked where which word stands
    detect_rules     shapes of providers' tokens, from the data file secret_rules.txt
    detect_assign    values that only a name gives away: password=..., "api_key": "..."
    detect_blocks    private keys, web tokens, authorization headers, text inside base64
    detect_private   e-mail, card, IBAN, SSN, IP address, telephone
    detect_encoded   what the same text says once its escapes are undone

Each of them is bounded in what it reads around a place, so that no text can make the whole slow. Nothing here
learns, guesses a language or asks a model: the same text always has the same findings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from ahocorasick_rs import BytesAhoCorasick, Implementation

from . import detect_blocks as blocks
from . import detect_private as private
from .detect_acts import DECODERS, NUMBER, Act, Hits, acts_for, percent, try_rule
from .detect_encoded import without_escapes, without_percent
from .detect_rules import LETTERS, Rule, read_rules


@dataclass(frozen=True, slots=True)
class Hit:
    """One finding: `text[start:end]` is the secret itself, without its name or quotes; `kind` is what stands
    in its place, small letters, digits and dashes."""

    kind: str
    start: int
    end: int


_AS_SEARCHED = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789", b"abcdefghijklmnopqrstuvwxyz000000000")
_RUN_SIGNS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/"
_AS_RUNS = bytes(97 if sign in _RUN_SIGNS else 32 for sign in range(256))
_SHORTEST_RUN = 21
_RUN = b"a" * _SHORTEST_RUN
_SHORTEST_BLOB = 32
_SHORTEST_LINE = 40
_LINE_BREAK = re.compile(r"(?:\r?\n|\\r\\n|\\n)[ \t]{0,8}")
_ROUNDS = 16
_REACH = 400
_DEEPEST = 2
"""Levels of encoding that are undone: URLs inside JSON inside base64 is one too many to be an accident."""


class Detector:
    """Made once per process with `standard()`; holds nothing of what it reads."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        acts = acts_for(self.rules)
        runs = [rule for rule in self.rules if rule.run]
        self._runs = {
            letter: tuple((rule, rule.before_run) for rule in runs if letter in rule.run_begins)
            for letter in LETTERS["w"]
        }
        """By the letter that a long row begins with."""
        self._acts = tuple(tuple(found) for found in acts.values())
        self._search = BytesAhoCorasick(
            [word.encode("latin-1") for word in acts], implementation=Implementation.DFA
        )

    def find(self, text: str) -> list[Hit]:
        """Findings in order, none over another; an empty list for nearly every text."""
        hits = self._hits(text)
        return _apart(hits) if hits else []

    def redact(self, text: str) -> str:
        """`[kind]` in place of each finding; the very same object when nothing was found."""
        for _ in range(_ROUNDS):
            found = self.find(text)
            if not found:
                return text
            parts: list[str] = []
            last = 0
            for hit in found:
                parts += (text[last : hit.start], "[", hit.kind, "]")
                last = hit.end
            text = "".join(parts) + text[last:]
        return text

    def _hits(self, text: str, depth: int = 0) -> Hits:
        # One byte for each letter, so that places in the bytes are places in the text.
        raw = text.encode("latin-1", "replace")
        hits: Hits = []
        escapes: dict[Act, list[int]] = {}
        acts = self._acts
        for word, start, end in self._search.find_matches_as_indexes(
            raw.translate(_AS_SEARCHED), overlapping=True
        ):
            for act in acts[word]:
                if act in DECODERS:
                    escapes.setdefault(act, []).append(start)
                else:
                    act(text, start, end, hits)
        runs = raw.translate(_AS_RUNS)
        for colons in private.COLONS.finditer(text):
            if (address := private.ipv6(text, colons.start(), colons.end())) is not None:
                hits.append((address[0], address[1], NUMBER, address[2]))
        at, wrapped = runs.find(_RUN), 0
        while at >= 0:
            stop = runs.find(b" ", at)
            stop = len(runs) if stop < 0 else stop
            self._look_into(text, at, stop, hits, depth)
            if stop - at >= _SHORTEST_LINE and stop >= wrapped and depth < _DEEPEST:
                wrapped = self._look_into_lines(text, runs, at, stop, hits, depth)
            at = runs.find(_RUN, stop)
        if escapes and depth < _DEEPEST:
            for act, places in escapes.items():
                for start, end in _around(places, len(text)):
                    self._look_behind(text, start, end, act, hits, depth)
        return hits

    def _look_into(self, text: str, start: int, end: int, hits: Hits, depth: int) -> None:
        """A long row of letters and digits: a token that begins with nothing telling, or base64 of a text."""
        if text[start - 1 : start] == "\\" and text[start] in "nrt":
            start += 1
        for rule, before in self._runs.get(text[start], ()):
            if before <= start:
                try_rule(rule, text, start - before, hits)
        if end - start < _SHORTEST_BLOB or depth >= _DEEPEST:
            return
        inside = blocks.text_inside(text[start:end])
        if inside is not None:
            within = self._hits(inside, depth + 1) if len(inside) < end - start else []
            if within:
                best = min(within, key=_by_rank)
                while end < len(text) and text[end] == "=":
                    end += 1
                hits.append((start, end, best[2], best[3]))

    def _look_into_lines(self, text: str, runs: bytes, start: int, end: int, hits: Hits, depth: int) -> int:
        """Base64 that was broken into lines, from the first of them. Gives back where it ends."""
        if text[start - 1 : start] == "\\" and text[start] in "nr":
            start += 1
        width = end - start
        lines = [text[start:end]]
        while (gap := _LINE_BREAK.match(text, end)) is not None:
            stop = runs.find(b" ", gap.end())
            stop = len(runs) if stop < 0 else stop
            if not 0 < stop - gap.end() <= width:
                break
            lines.append(text[gap.end() : stop])
            end = stop
            if len(lines[-1]) < width:
                break
        if len(lines) == 1:
            return 0
        inside = blocks.text_inside("".join(lines))
        within = [] if inside is None else self._hits(inside, depth + 1)
        if within:
            while end < len(text) and text[end] == "=":
                end += 1
            best = min(within, key=_by_rank)
            hits.append((start, end, best[2], best[3]))
        return end

    def _look_behind(self, text: str, start: int, end: int, act: Act, hits: Hits, depth: int) -> None:
        """What a stretch of the text says once its escapes are undone."""
        decoded = (without_percent if act is percent else without_escapes)(text[start:end])
        if decoded is None:
            return
        for begin, stop, rank, kind in self._hits(decoded.text, depth + 1):
            hits.append((start + decoded.place(begin), start + decoded.place(stop), rank, kind))


def _around(places: list[int], size: int) -> Iterator[tuple[int, int]]:
    """Stretches of the text with an escape never far away."""
    begin, stop = max(0, places[0] - _REACH), places[0] + _REACH
    for place in places[1:]:
        if place - _REACH > stop:
            yield begin, min(stop, size)
            begin = place - _REACH
        stop = place + _REACH
    yield begin, min(stop, size)


def _by_rank(hit: tuple[int, int, int, str]) -> tuple[int, int]:
    return hit[2], hit[0] - hit[1]


def _apart(hits: Hits) -> list[Hit]:
    """Findings that share letters become one, of the surest kind among them: what one of them left out of the
    secret must not stay behind."""
    hits.sort()
    found: list[Hit] = []
    start, end, rank, kind = hits[0]
    longest = end - start
    for next_start, next_end, next_rank, next_kind in hits[1:]:
        if next_start < end:
            size = next_end - next_start
            if (next_rank, -size) < (rank, -longest):
                rank, kind, longest = next_rank, next_kind, size
            end = max(end, next_end)
        else:
            found.append(Hit(kind, start, end))
            start, end, rank, kind = next_start, next_end, next_rank, next_kind
            longest = end - start
    found.append(Hit(kind, start, end))
    return found


@cache
def standard() -> Detector:
    """The detector with the packaged rules, made when it is first asked for."""
    return Detector(read_rules())
