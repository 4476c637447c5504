"""What the rows share: a line of the table, medians, the raw commit that ours stand beside, and how noisy the
machine was meanwhile."""

from __future__ import annotations

import gc
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Line:
    """One line of the table. `goal` is None where the line is only there to compare with."""

    what: str
    value: float
    unit: str
    goal: float | None = None
    better: Literal["more", "less"] = "less"
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.better == "more" else self.value <= self.goal

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


@dataclass(frozen=True)
class Size:
    """How much to do: a full run takes a few minutes in all, a quick one half a minute."""

    quick: bool
    folder: Path

    def pick(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """A folder for one store, gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="surefoot-bench-", dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class RawCommits:
    """One fsynced SQLite commit after another, with nothing around them: one row of 200 bytes each."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "raw.db", isolation_level=None, timeout=10)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS rows (number INTEGER, text TEXT)")
        self._count = 0
        self._text = "x" * 200
        self.series(3)

    def one(self) -> float:
        """Seconds."""
        execute = self._connection.execute
        self._count += 1
        started = time.perf_counter()
        execute("BEGIN IMMEDIATE")
        execute("INSERT INTO rows VALUES (?, ?)", (self._count, self._text))
        execute("COMMIT")
        return time.perf_counter() - started

    def series(self, count: int) -> list[float]:
        return [self.one() for _ in range(count)]

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Spread:
    """Median, and what nine of ten are above and below. Seconds, or whatever went in."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        ordered = sorted(values)
        last = len(ordered) - 1
        return cls(ordered[last // 10], statistics.median(ordered), ordered[last - last // 10])

    def show(self, scale: float = 1e3, unit: str = "ms") -> str:
        return f"{self.median * scale:.3g} {unit} ({self.low * scale:.3g} to {self.high * scale:.3g})"


@dataclass(frozen=True)
class Noise:
    """How the machine was while a row ran. `share` is what a busy process got of one core, 1.0 at best."""

    share: float
    commit: Spread

    @property
    def complaints(self) -> list[str]:
        found = []
        if self.share < 0.9:
            found.append(f"a busy process got only {self.share:.0%} of a core")
        if self.commit.high > 2 * self.commit.low:
            found.append(f"raw commits took {self.commit.show()}")
        if self.commit.median < 20e-6:
            found.append("raw commits are too quick for a disk: is the folder in memory?")
        return found

    def to_json(self) -> dict[str, Any]:
        commit = {"p10": self.commit.low, "median": self.commit.median, "p90": self.commit.high}
        return {"share": self.share, "commit_seconds": commit, "complaints": self.complaints}


class Gauge:
    """Measures the noise before and after a row."""

    def __init__(self, folder: Path) -> None:
        self._raw = RawCommits(folder)
        self._commits: list[float] = []
        self._shares: list[float] = []

    def read(self) -> None:
        self._commits += self._raw.series(40)
        started, busy = time.perf_counter(), time.process_time()
        while time.perf_counter() - started < 0.15:
            pass
        self._shares.append((time.process_time() - busy) / (time.perf_counter() - started))

    def noise(self) -> Noise:
        self._raw.close()
        return Noise(min(1.0, statistics.mean(self._shares)), Spread.of(self._commits))


@dataclass
class Stretch:
    """What one timed stretch took: wall seconds, and CPU seconds of all threads of this process."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def timed() -> Iterator[Stretch]:
    gc.collect()
    stretch = Stretch()
    wall, cpu = time.perf_counter(), time.process_time()
    yield stretch
    stretch.wall, stretch.cpu = time.perf_counter() - wall, time.process_time() - cpu


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'state.db'}"
