"""Finding known values in text: one Aho-Corasick pass over all their forms, and, where a text has line
breaks or escapes, a second one over its plain reading (see forms.py).

Nearly all text holds nothing, so that this is what must be quick; where something is found, its place is
looked at closely.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from ..core.jsons import dumps, loads
from . import forms


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """What is to be replaced in a text: [start, end), by `label`."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Value:
    """A known value: what stands in its place, and the forms to look for as they are. `bounded`: broken over
    lines it counts only where no letter or digit adjoins it, so that words are not made of others' ends."""

    text: str
    label: str
    forms: Sequence[str]
    bounded: bool = False
    parts: Sequence[tuple[str, bool]] = ()
    """(its beginning or end, whether it is the beginning): what is left of it where a text was cut."""


class Known:
    """Finds some values. Building one costs about 10 us a form, a search 1 us for 300 characters.
    With `read=False` it looks for forms as they are only; `lasting` is for values that a process knows as
    long as it lives: building costs six times as much then, and a search half."""

    def __init__(self, values: Iterable[Value], *, read: bool = True, lasting: bool = False) -> None:
        patterns: dict[str, str] = {}
        parts: dict[str, tuple[str, bool]] = {}
        self._flat: dict[str, tuple[Value, str]] = {}
        values = list(values)
        for value in values:
            for form in value.forms:
                patterns.setdefault(form, value.label)
                if not read:
                    continue
                shown = forms.flat(form)
                if len(shown) >= forms.SHORTEST and shown not in self._flat:
                    self._flat[shown] = (value, form)
        for value in values:
            for part, begins in value.parts:
                if patterns.setdefault(part, value.label) is value.label:
                    parts.setdefault(part, (value.text, begins))
        self._patterns = list(patterns)
        self._parts = {n: parts[part] for n, part in enumerate(patterns) if part in parts}
        self._labels = list(patterns.values())
        self._find = _Search(self._patterns, lasting)
        self._flats = list(self._flat)
        self._find_flat = _Search(self._flats, lasting)
        self.longest = max(map(len, (*self._patterns, *self._flats)), default=0)
        """Characters of the longest form."""

    def begins(self, text: str, least: int = 1) -> int | None:
        """Where at the end of `text` a form may have begun that goes on in text to come; `least` is how many
        of its characters must be there already."""
        found = self._begun(self._ends, text, least)
        if not forms.may_differ(text):
            return found
        place = self._begun(self._flat_ends, forms.flat(text), least)
        if place is None:
            return found
        start = forms.places(text)[1].starts[place]
        return start if found is None else min(found, start)

    @cached_property
    def _ends(self) -> dict[str, list[str]]:
        return _by_head(self._patterns)

    @cached_property
    def _flat_ends(self) -> dict[str, list[str]]:
        return _by_head(self._flats)

    def _begun(self, by_head: dict[str, list[str]], text: str, least: int) -> int | None:
        for place in range(max(0, len(text) - self.longest), len(text) - least + 1):
            begun = text[place:]
            for form in by_head.get(begun[:HEAD], ()):
                if len(form) > len(begun) and form.startswith(begun):
                    return place
        return None

    def holds(self, text: str) -> bool:
        """Whether something may be found; false only where nothing is."""
        automaton = self._find.automaton
        if automaton is not None and text.isascii():  # what nearly every text of a busy process comes to
            found = bool(automaton.find_matches_as_indexes(text))
        else:
            found = self._find.hits(text)
        return found or (forms.may_differ(text) and bool(self._candidates(text)))

    def spans(self, text: str) -> list[Span]:
        """What is found, in order and apart from each other."""
        # Values may overlap, and no end of one may be left over beside another.
        found = [self._span(text, *match) for match in self._find.every(text)]
        if forms.may_differ(text) and (kinds := self._candidates(text)):
            for mail in kinds:
                found += self._in_reading(text, mail=mail)
        return merged(found) if len(found) > 1 else found

    def _span(self, text: str, n: int, start: int, end: int) -> Span:
        """Of a value that was cut short as much as is there."""
        if part := self._parts.get(n):
            value, begins = part
            if begins:
                while end - start < len(value) and text[end : end + 1] == value[end - start]:
                    end += 1
            else:
                while start and end - start < len(value) and text[start - 1] == value[start - end - 1]:
                    start -= 1
        return Span(start, end, self._labels[n])

    def _candidates(self, text: str) -> list[bool]:
        """Of the two plain readings those that hold a value."""
        if not self._flats:
            return []
        kinds = [False, True] if forms.is_mail(text) else [False]
        return [mail for mail in kinds if self._find_flat.hits(forms.flat(text, mail=mail))]

    def _in_reading(self, text: str, *, mail: bool) -> list[Span]:
        shown, places = forms.places(text, mail=mail)
        found = []
        # All matches, since one that is none after a closer look must not hide another.
        for n, start, end in self._find_flat.overlapping(shown):
            value, form = self._flat[self._flats[n]]
            if self._is_one(text, places, start, end, value, form):
                found.append(Span(places.starts[start], places.ends[end - 1], value.label))
        return found

    def _is_one(self, text: str, places: forms.Places, start: int, end: int, value: Value, form: str) -> bool:
        """Characters that follow each other, or where they do not, a line break stands between them or the
        value itself has white space."""
        gaps = places.gaps[start + 1 : end]
        if forms.SPACE in gaps:
            own = forms.gaps_of(form)
            if any(gap == forms.SPACE and n not in own for n, gap in enumerate(gaps, 1)):
                return False
        if value.bounded and forms.BREAK in gaps:
            before, after = text[: places.starts[start]][-1:], text[places.ends[end - 1] :][:1]
            return not (before.isalnum() or after.isalnum())
        return True

    def replace(self, text: str) -> str:
        """The very same object where nothing was found."""
        return replaced(text, self.spans(text)) if self.holds(text) else text

    def replace_json(self, text: str, data: Sequence[str] | None = None) -> str:
        """The same for text that is JSON, and stays JSON. `data` are the fields of an object whose own keys
        are somebody's data; all other keys are then ours, and stay what they are."""
        return in_json(text, self.replace, data) if self.holds(text) else text


HEAD = 3
"""Characters by which forms are looked up that may have begun."""


def _by_head(patterns: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for form in patterns:
        for size in range(1, HEAD + 1):
            found.setdefault(form[:size], []).append(form)
    return found


_HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which the search cannot read. What takes its place is as long."""


def _readable(patterns: Iterable[str]) -> list[str]:
    return [_HALF.sub("\ufffd", pattern) for pattern in patterns]


class _Search:
    """For any of some patterns. An automaton costs more to make than many searches for a few patterns, and
    most runs end before they have made many: so it is made when it begins to pay."""

    PAYS = 150
    """Searches of a short text: each costs some 50 ns a pattern, the automaton some 8 us a pattern."""

    def __init__(self, patterns: Sequence[str], lasting: bool = False) -> None:
        self._patterns = patterns
        self._implementation = Implementation.DFA if lasting else None
        self._searched = 0
        self.automaton: AhoCorasick | None = None
        """Of the longest matches; None until it pays."""
        self._all: AhoCorasick | None = None

    def hits(self, text: str) -> bool:
        if self.automaton is None and self._searched < self.PAYS:
            self._searched += 1 + len(text) // 2_000
            return any(pattern in text for pattern in self._patterns)
        return bool(self.all(text))

    def all(self, text: str) -> list[tuple[int, int, int]]:
        """(pattern, start, end), apart from each other: where several begin, the longest."""
        if self.automaton is None:
            if self._searched < self.PAYS:
                self._searched += 1 + len(text) // 2_000
                return self._one_by_one(text)
            self.automaton = self._built(MatchKind.LeftmostLongest)
        try:
            return self.automaton.find_matches_as_indexes(text)
        except UnicodeEncodeError:
            return self.automaton.find_matches_as_indexes(_HALF.sub("\ufffd", text))

    def every(self, text: str) -> list[tuple[int, int, int]]:
        """The same of all matches, also where they overlap."""
        if self.automaton is None and self._searched < self.PAYS:
            self._searched += 1 + len(text) // 2_000
            return [(n, start, start - size) for start, size, n in self._found(text)]
        return self.overlapping(text) if self.all(text) else []

    def _found(self, text: str) -> list[tuple[int, int, int]]:
        found: list[tuple[int, int, int]] = []
        for n, pattern in enumerate(self._patterns):
            start = text.find(pattern)
            while start >= 0:
                found.append((start, -len(pattern), n))
                start = text.find(pattern, start + 1)
        return found

    def _one_by_one(self, text: str) -> list[tuple[int, int, int]]:
        found = self._found(text)
        matches, last = [], 0
        for start, size, n in sorted(found):
            if start >= last:
                last = start - size
                matches.append((n, start, last))
        return matches

    def overlapping(self, text: str) -> list[tuple[int, int, int]]:
        if self._all is None:
            self._all = self._built(MatchKind.Standard)
        return self._all.find_matches_as_indexes(_HALF.sub("\ufffd", text), overlapping=True)

    def _built(self, kind: MatchKind) -> AhoCorasick:
        return AhoCorasick(_readable(self._patterns), matchkind=kind, implementation=self._implementation)


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, and apart from each other: of those that overlap the longest gives its label to all."""
    found: list[Span] = []
    longest = 0
    for span in sorted(spans):
        if found and span.start < found[-1].end:
            last = found[-1]
            size = span.end - span.start
            label = span.label if size > longest else last.label
            longest = max(longest, size)
            found[-1] = Span(last.start, max(last.end, span.end), label)
        else:
            found.append(span)
            longest = span.end - span.start
    return found


def replaced(text: str, spans: Sequence[Span]) -> str:
    """`spans` in order and apart from each other; without any the very same object."""
    if not spans:
        return text
    parts: list[str] = []
    last = 0
    for span in spans:
        parts += (text[last : span.start], span.label)
        last = span.end
    parts.append(text[last:])
    return "".join(parts)


def in_json(text: str, replace: Callable[[str], str], data: Sequence[str] | None = None) -> str:
    """JSON with every text in it replaced; the very same object where nothing was."""
    value = loads(text)
    if data is None or not isinstance(value, dict):
        shown = _walk(value, replace, keys=True)
    else:
        shown = {name: _walk(item, replace, keys=name in data) for name, item in value.items()}
    return text if shown == value else dumps(shown)


def _walk(value: Any, replace: Callable[[str], str], *, keys: bool) -> Any:
    match value:
        case str():
            return replace(value)
        case dict():
            return {
                (replace(key) if keys else key): _walk(item, replace, keys=keys)
                for key, item in value.items()
            }
        case list():
            return [_walk(item, replace, keys=keys) for item in value]
        case bool() | None:
            return value
        case _:
            # A number that is a known value becomes its label: digits alone cannot hold one.
            shown = replace(dumps(value))
            return value if shown == dumps(value) else shown
