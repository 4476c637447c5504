"""The time axis of a waterfall: from moments to per cent of the width, with long waits drawn short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..core.clock import MICROS
from .words import length

Stretch = tuple[int, int]

SHORTENED = 0.2
"""The most, as a share of the time in which something happened, that one stretch of waiting takes up."""
APART = 9.0
"""Per cent of the width that two labels of the axis need."""


@dataclass(frozen=True)
class Tick:
    x: float
    text: str


@dataclass(frozen=True)
class Break:
    """A stretch that is drawn shorter than it was."""

    x: float
    width: float
    text: str


class Scale:
    """From times to per cent of the width; `idle` stretches are shortened where they would hide the rest."""

    def __init__(self, begin: int, end: int, idle: Sequence[Stretch]) -> None:
        self._begin, self._end = begin, end
        busy = (end - begin) - total(idle)
        most = max(round(busy * SHORTENED), 1)
        self._short = [(start, stop) for start, stop in idle if stop - start > max(most, MICROS) and busy]
        self._most = most
        self._width = (end - begin) - sum(stop - start - most for start, stop in self._short)

    def x(self, at: int) -> float:
        at = min(max(at, self._begin), self._end)
        drawn = float(at - self._begin)
        for start, stop in self._short:
            if at >= stop:
                drawn -= stop - start - self._most
            elif at > start:
                drawn -= (at - start) * (1 - self._most / (stop - start))
        return round(drawn * 100 / self._width, 3)

    def breaks(self) -> Iterator[Break]:
        for start, stop in self._short:
            x = self.x(start)
            yield Break(x, round(self.x(stop) - x, 3), length(stop - start))

    def ticks(self) -> Iterator[Tick]:
        """At both ends and beside what was shortened; else at quarters."""
        ends = [at for start, stop in self._short for at in (start, stop)]
        quarters = [self._begin + (self._end - self._begin) * n // 4 for n in (1, 2, 3)]
        yield Tick(0.0, "0")
        last = 0.0
        for at in sorted(ends or quarters):
            x = self.x(at)
            if x - last >= APART and 100 - x >= APART:
                yield Tick(x, f"+{length(at - self._begin)}")
                last = x
        yield Tick(100.0, f"+{length(self._end - self._begin)}")


# ── stretches of time, in order and without overlaps ──


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    found: list[Stretch] = []
    for begin, end in sorted(stretches):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def without(some: Sequence[Stretch], others: Sequence[Stretch]) -> Iterator[Stretch]:
    """Both without overlaps, and in order."""
    for begin, end in some:
        for start, stop in others:
            if stop <= begin or start >= end:
                continue
            if start > begin:
                yield begin, start
            begin = max(begin, stop)
        if begin < end:
            yield begin, end


def total(stretches: Sequence[Stretch]) -> int:
    return sum(end - begin for begin, end in stretches)
