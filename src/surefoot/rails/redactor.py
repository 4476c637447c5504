"""The redactor: everything that a process knows must not get out, and what looks as if it must not.

Three layers, asked in this order, each for what the ones before have left:

1. secrets by value, from every source that was added (runtimes, the environment);
2. private values of runs by value: of the run whose code is at work, or of all that are open;
3. detectors, by looks.

It is handed what it knows, and knows nothing of processes itself: `surefoot.orchestrator.redacting` holds the
one of this process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Protocol

from .known import Known, Span, merged, replaced
from .layers import Layers
from .redaction import Private, Secrets

_PLACEHOLDER = re.compile(r"\[(?:secret:[^\]\s]{1,100}|[a-z][a-z0-9-]{0,60})\]")
_ROUNDS = 8


class Finding(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class Finder(Protocol):
    """What surefoot.rails.detect makes."""

    def find(self, text: str) -> Iterable[Finding]: ...


class Redactor:
    """`privates` gives the private values to look for at this moment."""

    def __init__(
        self, detector: Callable[[], Finder | None], privates: Callable[[], Iterable[Private]] = tuple
    ) -> None:
        self._detector = detector
        self._privates = privates
        self._sources: dict[int, Secrets] = {}
        self._next = 0

    def add(self, secrets: Secrets) -> Callable[[], None]:
        """From now on these are known; what is given back makes them forgotten."""
        self._next += 1
        number = self._next
        self._sources = {**self._sources, number: secrets}

        def forget() -> None:
            self._sources = {key: value for key, value in self._sources.items() if key != number}

        return forget

    @property
    def values(self) -> list[Known]:
        """What finds the secrets."""
        return [secrets.known for secrets in self._sources.values()]

    def redact(self, text: str) -> str:
        """Without secrets, private values, and what looks like either. The very same object where nothing was
        found."""
        for _ in range(_ROUNDS):  # what was replaced may bring the next thing to light
            found = self.spans(text)
            if not found:
                break
            text = replaced(text, found)
        return text

    def scrub(self, text: str) -> str:
        """Without known secrets, and nothing else changed: for whoever may see private values."""
        for known in self.values:
            text = known.replace(text)
        return text

    def withhold(self, text: str) -> str:
        """`redact`, or where that fails, a line that says so: nothing passes because of a mistake here."""
        try:
            return self.redact(text)
        except Exception as error:  # noqa: BLE001  fail closed, whatever it is
            return f"[text withheld: its redaction failed with {type(error).__name__}]"

    def finders(self) -> list[Known | Layers]:
        """What finds known values, secret and private, in any form."""
        return [*self.values, *(private.every_form() for private in self._privates())]

    def spans(self, text: str) -> list[Span]:
        """What is to be replaced, in order and apart from each other."""
        known: list[Span] = []
        for values in self.values:
            if values.holds(text):
                known += values.spans(text)
        for private in self._privates():
            finder = private.known(text)
            if finder.holds(text):
                known += finder.spans(text)
        known = merged(known) if len(known) > 1 else known
        detector = self._detector()
        hits = [] if detector is None else list(detector.find(text))
        if not hits:
            return known
        shown = [match.span() for match in _PLACEHOLDER.finditer(text)] + [(s.start, s.end) for s in known]
        new = [
            Span(hit.start, hit.end, f"[{hit.kind}]")
            for hit in hits
            if not any(start <= hit.start and hit.end <= end for start, end in shown)
        ]
        return merged([*known, *new])
