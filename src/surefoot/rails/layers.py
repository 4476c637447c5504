"""Known values that become more: a run learns them one after the other.

One search over all of them would have to be built anew for each, which costs the square of their number. So
they lie in layers, each of them several times as large as the next: a new value makes a small layer, which
is merged into the one before it when it has grown to a third of that. A thousand values are built into some
seven layers each, and a text is searched for a handful of layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from .known import Known, Span, in_json, merged, replaced

FEW = 16
"""Values that lie in one layer, however they came: searching two would cost more than building one."""


class Layers:
    """`build` makes the search for some values (value -> label). The same questions as of a Known."""

    def __init__(self, build: Callable[[Mapping[str, str]], Known]) -> None:
        self._build = build
        self._layers: list[tuple[dict[str, str], Known | None]] = []
        self._ready: list[Known] | None = []
        """All of them, once they are built."""

    def add(self, values: Mapping[str, str]) -> None:
        """Cheap: a layer is built when something is looked for."""
        newest = dict(values)
        while self._layers:
            before = self._layers[-1][0]
            if len(before) > 3 * len(newest) and len(before) + len(newest) > FEW:
                break
            self._layers.pop()
            newest = {**before, **newest}
        self._layers.append((newest, None))
        self._ready = None

    @property
    def _all(self) -> list[Known]:
        if self._ready is None:
            ready = [(values, known or self._build(values)) for values, known in self._layers]
            self._layers = [*ready]
            self._ready = [known for _, known in ready]
        return self._ready

    @property
    def longest(self) -> int:
        return max((known.longest for known in self._all), default=0)

    def begins(self, text: str, least: int = 1) -> int | None:
        places = [place for known in self._all if (place := known.begins(text, least)) is not None]
        return min(places, default=None)

    def holds(self, text: str) -> bool:
        return any(known.holds(text) for known in self._all)

    def spans(self, text: str) -> list[Span]:
        found: Iterable[Span] = [span for known in self._all for span in known.spans(text)]
        return merged(found)

    def replace(self, text: str) -> str:
        """The very same object where nothing was found."""
        return replaced(text, self.spans(text)) if self.holds(text) else text

    def replace_json(self, text: str, data: Sequence[str] | None = None) -> str:
        """As of a Known."""
        return in_json(text, self.replace, data) if self.holds(text) else text
