"""Progress: every trial on disk as soon as it is made, so that an eval that was cut off goes on.

One file for each eval, named by its token; its first line says what it is of. A trial's line is written
before the trial counts. The last line may be half there after a kill: it never counted. Files of evals
that nobody went on with are swept away after some days. Two evals at once have a file each.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from ..errors import UsageError
from ..models.recordings import Miss
from .results import Failure, Trial

KEPT = 14 * 86_400.0
"""Seconds after its last trial that an eval which was cut off can be gone on with."""


class Progress:
    """`trials` by scenario, in the order in which they were made."""

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.token = path.stem
        self.trials: dict[str, list[Trial]] = {}
        self._path = path
        self._about = dict(about)

    @classmethod
    def begin(cls, folder: Path, about: Mapping[str, Any]) -> Self:
        """`about` is what must be the same when it goes on: workflow, lane, digests."""
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, time.time() - KEPT)
        progress = cls(folder / f"{secrets.token_hex(4)}.jsonl", about)
        progress._append({"about": progress._about})
        return progress

    @classmethod
    def resume(cls, folder: Path, token: str, about: Mapping[str, Any]) -> Self:
        """Raises UsageError where there is no such eval, or it was of something else."""
        path = folder / f"{Path(token).name}.jsonl"
        try:
            lines = path.read_text("utf-8").splitlines(keepends=True)
        except OSError as error:
            raise UsageError(
                f"there is no eval {token!r} to go on with",
                why=f"{path}: {error.strerror}",
                remedy="Begin a new one: `surefoot eval` without --resume.",
            ) from error
        progress = cls(path, about)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        if not whole or whole[0].get("about") != progress._about:
            raise UsageError(
                f"the eval {token} was of something else",
                why="the workflow, its scenarios or the lane have changed since",
                remedy="Begin a new one: `surefoot eval` without --resume.",
            )
        for found in whole[1:]:
            trial = trial_of(found)
            progress.trials.setdefault(trial.scenario, []).append(trial)
        if lines and not lines[-1].endswith("\n"):
            path.write_text("".join(lines[:-1]), "utf-8")
        return progress

    def add(self, trial: Trial) -> None:
        self._append(asdict(trial))
        self.trials.setdefault(trial.scenario, []).append(trial)

    def end(self) -> None:
        """The eval came to its end: there is nothing to go on with."""
        self._path.unlink(missing_ok=True)

    def _append(self, value: Any) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            # Closed is enough: what a killed process wrote is there, and a sync each would cost more than
            # the trials themselves.
            file.write(json.dumps(value, ensure_ascii=False) + "\n")


def sweep(folder: Path, before: float) -> list[str]:
    """Removes what was last written to before that moment (seconds since the epoch); gives back tokens."""
    swept = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            if path.stat().st_mtime < before:
                path.unlink()
                swept.append(path.stem)
        except FileNotFoundError:  # another eval swept it at the same time
            continue
    return swept


def trial_of(found: Mapping[str, Any]) -> Trial:
    given = dict(found)
    given["failures"] = [Failure(**one) for one in given["failures"]]
    given["misses"] = tuple(Miss(**one) for one in given["misses"])
    return Trial(**given)
