"""Redaction: what is written or shown goes through here first.

Two kinds of known values, found in one Aho-Corasick pass each:

* Secrets are replaced for good, in plain, base64, URL-encoded and JSON-escaped form. Nobody gets them
  back, not even the step that received them from a tool: then the first pass and a replay see the same.
* Private values of one run (fields declared `Private`) become placeholders in the view. The exact text
  lies sealed beside it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from ahocorasick_rs import AhoCorasick, MatchKind

from ..core.jsons import dumps, loads

SHORTEST_SECRET = 6
"""Shorter values are no secrets to look for: they would hit ordinary words."""

SHORTEST_PRIVATE = 3
USUAL_KINDS = frozenset({"email", "card", "iban", "ssn", "phone", "ip"})
"""Nobody writes `[email-3]` by chance, also where this run has no address yet."""


class Secrets:
    """Known secret values, by the name that stands in their place."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._labels: list[str] = []
        patterns: list[str] = []
        for name, value in values.items():
            if len(value) < SHORTEST_SECRET:
                continue
            for form in _forms(value):
                if form not in patterns:
                    patterns.append(form)
                    self._labels.append(f"[secret:{name}]")
        self._find = AhoCorasick(patterns, matchkind=MatchKind.LeftmostLongest) if patterns else None

    def scrub(self, text: str) -> str:
        """The very same object where nothing was found."""
        return text if self._find is None else _replace(text, self._find, self._labels)

    def scrub_json(self, text: str) -> str:
        """The same for text that is JSON, and stays JSON."""
        return text if self._find is None else _replace_in_json(text, self._find, self._labels)


def _forms(value: str) -> list[str]:
    """How a value may be written: plain, JSON-escaped, URL-encoded, base64 at its three alignments. The walk
    through JSON sees its texts unescaped, the first look at the whole does not: so both forms are here."""
    raw = value.encode()
    forms = _escaped(value)
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value)):
        forms += [quoted, _PERCENT.sub(lambda found: found[0].lower(), quoted)]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # Only characters whose six bits are all the value's own are the same in every surrounding.
            text = encode(b"\0" * shift + raw).decode()
            stable = text[-(-8 * shift // 6) : 8 * (shift + len(raw)) // 6]
            forms.append(stable)
    return list(dict.fromkeys(form for form in forms if len(form) >= SHORTEST_SECRET))


def _escaped(value: str) -> list[str]:
    """Plain, and as JSON writes it: with or without escapes for what is not ASCII, with or without one for a
    slash, and again where that JSON is itself a text inside JSON, three levels deep."""
    level = [
        value,
        json.dumps(value)[1:-1],
        value.replace("/", "\\/"),
        json.dumps(value)[1:-1].replace("/", "\\/"),
    ]
    forms = list(level)
    for _ in range(3):
        level = [dumps(form)[1:-1] for form in level]
        forms += level
    return list(dict.fromkeys(forms))


_PERCENT = re.compile("%[0-9A-F]{2}")


class Private:
    """The private values that one run knows so far, with their placeholders."""

    def __init__(self) -> None:
        self.placeholders: dict[str, str] = {}
        """Value -> placeholder."""
        self._values: dict[str, str] = {}
        """Placeholder -> value."""
        self._counts: dict[str, int] = {}
        self._find: AhoCorasick | None = None
        self._labels: list[str] = []

    def learn(self, values: Mapping[str, str]) -> dict[str, str]:
        """Value -> kind of what was found in a dump; gives back those that are new, placeholder -> value."""
        new = {}
        for value, kind in values.items():
            if len(value) < SHORTEST_PRIVATE or value in self.placeholders:
                continue
            self._counts[kind] = number = self._counts.get(kind, 0) + 1
            placeholder = f"[{kind}-{number}]"
            self.placeholders[value] = placeholder
            self._values[placeholder] = value
            new[placeholder] = value
        if new:
            self._build()
        return new

    def restore(self, known: Mapping[str, str]) -> None:
        """Placeholder -> value, as an earlier worker sealed them."""
        for placeholder, value in known.items():
            kind, _, number = placeholder.strip("[]").rpartition("-")
            self.placeholders.setdefault(value, placeholder)
            self._values[placeholder] = value
            self._counts[kind] = max(self._counts.get(kind, 0), int(number))
        if known:
            self._build()

    def exact(self, placeholder: str) -> str | None:
        return self._values.get(placeholder)

    def uses(self, kind: str) -> bool:
        """Whether `[kind-n]` means a value of this run, or could in any."""
        return kind in self._counts or kind in USUAL_KINDS

    def _build(self) -> None:
        patterns, self._labels = [], []
        for value, placeholder in self.placeholders.items():
            for form in _escaped(value):
                patterns.append(form)
                self._labels.append(placeholder)
        self._find = AhoCorasick(patterns, matchkind=MatchKind.LeftmostLongest)

    def view(self, text: str) -> str:
        """The very same object where nothing was found."""
        return text if self._find is None else _replace(text, self._find, self._labels)

    def view_json(self, text: str) -> str:
        """The same for text that is JSON, and stays JSON."""
        return text if self._find is None else _replace_in_json(text, self._find, self._labels)


def _replace(text: str, find: AhoCorasick, labels: list[str]) -> str:
    found = find.find_matches_as_indexes(text)
    if not found:
        return text
    parts, last = [], 0
    for pattern, start, end in found:
        parts.append(text[last:start])
        parts.append(labels[pattern])
        last = end
    parts.append(text[last:])
    return "".join(parts)


def _replace_in_json(text: str, find: AhoCorasick, labels: list[str]) -> str:
    if not find.find_matches_as_indexes(text):
        return text

    def walk(value: Any) -> Any:
        match value:
            case str():
                return _replace(value, find, labels)
            case dict():
                return {_replace(key, find, labels): walk(item) for key, item in value.items()}
            case list():
                return [walk(item) for item in value]
            case bool() | None:
                return value
            case _:
                # A number that is a known value becomes its label: digits alone cannot hold one.
                shown = _replace(dumps(value), find, labels)
                return value if shown == dumps(value) else shown

    return dumps(walk(loads(text)))
