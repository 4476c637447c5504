"""Crash points: a process that kills itself at a chosen commit, so that tests can die everywhere.

`SUREFOOT_CRASH_AT=n` kills with SIGKILL right after the n-th durable commit of this process, `n.before` right
before it. Commits that only carry a heartbeat are not counted: their number depends on the clock. It is
refused unless `SUREFOOT_TESTING=1`, for nobody shall be able to kill a service with one stray variable.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from typing import Literal

from ..errors import UsageError

Moment = Literal["before", "after"]


def _kill() -> None:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


class CrashPoint:
    """Counts the commits of a process; handed to its store as `StoreOptions.crash`."""

    def __init__(self, commit: int, moment: Moment) -> None:
        self.commit = commit
        self.moment = moment
        self.seen = 0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> CrashPoint | None:
        """None where none is asked for. Raises UsageError where it is not allowed, or is no number."""
        text = environ.get("SUREFOOT_CRASH_AT", "")
        if not text:
            return None
        if environ.get("SUREFOOT_TESTING") != "1":
            raise UsageError(
                "SUREFOOT_CRASH_AT is set",
                why="it kills this process, and is for tests only",
                remedy="Unset it, or set SUREFOOT_TESTING=1 as well.",
            )
        match = re.fullmatch(r"([1-9]\d*)(\.before)?", text)
        if match is None:
            raise UsageError(
                f"SUREFOOT_CRASH_AT={text} is not understood",
                why="it is neither a number of a commit nor one with .before",
                remedy="Give the number of a commit, such as 3 (right after it) or 3.before.",
            )
        return cls(int(match[1]), "before" if match[2] else "after")

    def __call__(self, moment: Moment) -> None:
        if moment == "before":
            self.seen += 1
        if self.seen == self.commit and moment == self.moment:
            _kill()
