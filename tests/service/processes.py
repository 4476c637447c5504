"""Real processes of the service, and clients that load them: what the tests of its life and death share."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surefoot.orchestrator.clock import SystemClock
from surefoot.state.opening import make_store
from surefoot.state.rows import RunFilter, RunRow

PROGRAMS = Path(__file__).parent / "programs"
SOURCE = Path(__file__).parents[2] / "src"
PATIENCE = 30.0
"""Seconds after which a process that does not do what it should has hung."""


class Process:
    """A command that goes on until it is told to stop. `said` is its document, once it works."""

    def __init__(self, folder: Path, *words: str, **env: str) -> None:
        self._err = (folder / f"err-{time.monotonic_ns()}.txt").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "surefoot", *words, "--json"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(SOURCE), **env},
            stdout=subprocess.PIPE,
            stderr=self._err,
            text=True,
        )
        assert self._process.stdout is not None
        self._line = ""
        reading = threading.Thread(target=self._read, daemon=True)
        reading.start()
        reading.join(PATIENCE)
        assert self._line, self.log
        self.said: dict[str, Any] = json.loads(self._line)

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._line = self._process.stdout.readline()

    @property
    def log(self) -> str:
        self._err.seek(0)
        return self._err.read()

    @property
    def port(self) -> int:
        return int(self.said["url"].rpartition(":")[2])

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self.ends()

    def ends(self, within: float = PATIENCE) -> int:
        """Its exit code."""
        code = self._process.wait(within)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def stop(self) -> int:
        """By SIGTERM."""
        self.send(signal.SIGTERM)
        return self.ends()

    def close(self) -> None:
        if self.alive:
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._err.close()


class Place:
    """A folder with a program in it, in which processes are started."""

    def __init__(self, folder: Path, program: str) -> None:
        shutil.copy(PROGRAMS / program, folder)
        self.folder = folder
        self._processes: list[Process] = []

    def start(self, *words: str, **env: str) -> Process:
        process = Process(self.folder, *words, **env)
        self._processes.append(process)
        return process

    def command(self, *words: str) -> str:
        """What a command that ends by itself answers."""
        words = (sys.executable, "-m", "surefoot", *words)
        env = {**os.environ, "PYTHONPATH": str(SOURCE)}
        done = subprocess.run(words, cwd=self.folder, env=env, capture_output=True, text=True, check=True)
        return done.stdout

    def close(self) -> None:
        for process in self._processes:
            process.close()

    def lines(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []

    def rows(self) -> list[RunRow]:
        """Every run of its store."""

        async def read() -> list[RunRow]:
            path = self.folder / ".surefoot" / "state.db"
            store, _ = make_store(f"sqlite:///{path}", now=SystemClock().now, worker="looking")
            await store.open()
            try:
                return await store.runs(RunFilter(limit=10_000))
            finally:
                await store.close()

        return asyncio.run(read())

    def statuses(self) -> Counter[str]:
        return Counter(row.status for row in self.rows())

    def until(self, holds: Callable[[], bool], within: float = PATIENCE) -> None:
        end = time.monotonic() + within
        while not holds():
            assert time.monotonic() < end, (self.statuses(), *(process.log for process in self._processes))
            time.sleep(0.05)


@contextmanager
def place(folder: Path, program: str) -> Iterator[Place]:
    made = Place(folder, program)
    try:
        yield made
    finally:
        made.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Client:
    """One connection, kept alive as long as the server does."""

    port: int
    connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Raises OSError and HTTPException as the network gives them; the next one opens a new connection."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        sent = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self.connection.request(method, path, sent, {"Content-Type": "application/json", **named})
            response = self.connection.getresponse()
            text = response.read()
        except BaseException:
            self.close()
            raise
        found = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close:
            self.close()
        is_json = "json" in found.get("content-type", "")
        return Answer(response.status, found, json.loads(text) if is_json else text.decode())

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """By itself, on a connection of its own."""
    client = Client(port)
    try:
        return client.ask(method, path, body, **headers)
    finally:
        client.close()


@dataclass
class Load:
    """Client threads that start runs, each under a key of its own, until every one is accepted.

    A client tries again after a failed connection and after 503, as one that means it does. `goes_on` may
    tell it to stop instead.
    """

    port: int
    count: int
    clients: int = 4
    input: Callable[[int], Any] = lambda number: {"number": number}
    goes_on: Callable[[], bool] = lambda: True
    accepted: dict[str, set[str]] = field(default_factory=dict)
    """Ids of runs by key: one each, if all is well."""
    statuses: Counter[int] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    """Connections that failed, by how."""
    others: list[Answer] = field(default_factory=list)
    """Answers that are neither 202 nor 503."""
    refusals: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = iter(range(self.count))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._go, daemon=True) for _ in range(self.clients)]

    def start(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def join(self, within: float = PATIENCE) -> Load:
        until = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.01))
        assert not any(thread.is_alive() for thread in self._threads), (self.statuses, self.broken)
        return self

    def until_accepted(self, count: int, within: float = PATIENCE) -> None:
        until = time.monotonic() + within
        while len(self.accepted) < count:
            assert time.monotonic() < until, (self.statuses, self.broken, self.others[:1])
            time.sleep(0.005)

    def until_refused(self, within: float = PATIENCE) -> None:
        until = time.monotonic() + within
        while not self.refusals:
            assert time.monotonic() < until, (self.statuses, self.broken)
            time.sleep(0.005)

    def _go(self) -> None:
        client = Client(self.port)
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                break
            while not self._accepted(client, number):
                if not self.goes_on():
                    client.close()
                    return
        client.close()

    def _accepted(self, client: Client, number: int) -> bool:
        key = f"key-{number}"
        body = {"input": self.input(number)}
        try:
            answer = client.ask("POST", "/v1/runs", body, Idempotency_Key=key)
        except (OSError, http.client.HTTPException) as error:
            with self._lock:
                self.broken[type(error).__name__] += 1
            time.sleep(0.02)
            return False
        with self._lock:
            self.statuses[answer.status] += 1
            if answer.status in (200, 202):
                self.accepted.setdefault(key, set()).add(answer.body["id"])
                return True
            (self.refusals if answer.status == 503 else self.others).append(answer)
        time.sleep(0.02)
        return False
