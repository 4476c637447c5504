"""What a test does with real processes: starts them on a store and an other side of their own, waits for
them, kills them.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Self

from .forks import Server
from .world import VARIABLE, World

PATIENCE = 60.0
"""Seconds after which a process that does not end has hung."""


class Dead:
    """How a process ended. `code` is -9 where it was killed; `answer` what it had to say, if anything."""

    def __init__(self, code: int, answer: dict[str, Any] | None, log: str) -> None:
        self.code = code
        self.answer = answer
        self.log = log

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def said(self) -> dict[str, Any]:
        assert self.answer is not None, f"it has nothing to say: {self}"
        return self.answer

    def __repr__(self) -> str:
        return f"exit {self.code}, answer {self.answer}\n{self.log}"


class Living:
    """A child process under way."""

    def __init__(self, server: Server, pid: int, answer: Path) -> None:
        self._server = server
        self._answer = answer
        self._code: int | None = None
        self.pid = pid

    @property
    def alive(self) -> bool:
        if self._code is None:
            self._code = self._server.code(self.pid)
        return self._code is None

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def end(self, patience: float = PATIENCE) -> Dead:
        """Waits for its end. One that does not come is killed, and an error."""
        deadline = time.monotonic() + patience
        hung = False
        while self.alive:
            if time.monotonic() > deadline and not hung:
                hung = True
                self.send(signal.SIGKILL)
            time.sleep(0.001)
        assert self._code is not None
        answer = json.loads(self._answer.read_text()) if self._answer.exists() else None
        log = Path(f"{self._answer}.log")
        dead = Dead(self._code, answer, log.read_text(errors="replace") if log.exists() else "")
        if hung:
            raise AssertionError(f"the process had not ended after {patience:g} s: {dead}")
        return dead


class Place:
    """A folder with a store and an other side, and the processes that work there."""

    def __init__(self, folder: Path, server: Server) -> None:
        (folder / "answers").mkdir(parents=True, exist_ok=True)
        self._server = server
        self.folder = folder
        self.store = f"sqlite:///{folder}/state.db"
        self.world_path = folder / "world.db"
        self.world = World(self.world_path)
        self._count = count(1)
        self._living: list[Living] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(
        self,
        command: str,
        *,
        crash_at: str | None = None,
        begin: float | None = None,
        environ: dict[str, str] | None = None,
        **arguments: Any,
    ) -> Living:
        environ = {VARIABLE: str(self.world_path), **(environ or {})}
        if crash_at is not None:
            environ |= {"SUREFOOT_TESTING": "1", "SUREFOOT_CRASH_AT": crash_at}
        answer = self.folder / "answers" / f"{next(self._count)}.json"
        arguments = {"store": self.store, **arguments}
        pid = self._server.start(
            command=command, answer=str(answer), environ=environ, arguments=arguments, begin=begin
        )
        living = Living(self._server, pid, answer)
        self._living.append(living)
        return living

    def do(self, command: str, *, crash_at: str | None = None, **arguments: Any) -> Dead:
        """The whole life of a process."""
        return self.start(command, crash_at=crash_at, **arguments).end()

    def close(self) -> None:
        """Nothing that a test has started outlives it."""
        for living in self._living:
            if living.alive:
                living.send(signal.SIGKILL)
                living.end()
        self.world.close()


def until(true: Callable[[], Any], what: str, patience: float = 60.0) -> Any:
    """Polls a condition in another process; fails when it does not come true."""
    deadline = time.monotonic() + patience
    while not (found := true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not happen within {patience:g} s: {what}")
        time.sleep(0.002)
    return found
