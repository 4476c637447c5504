"""The child process that serves a GGUF file: started when first needed, shared, replaced when dead.

Why a process: llama.cpp is native code, and what crashes there would take every run of this process
with it. All models of one process that want the same weights in the same way share one child. It
is started in a thread, never on the event loop.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ...errors import ModelError, ModelRefused, ModelUnavailable
from .adapters import Adapter
from .weights import Weights

PROGRAM = Path(__file__).with_name("embedded_server.py")
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Want:
    """What makes two models share a child. `context`: tokens that prompt and answer may have together."""

    weights: Weights
    threads: int
    context: int
    adapter: Adapter | None = None


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    key: str
    llguidance: bool
    pid: int


class Child:
    """One served model. `address()` starts it, or starts it again."""

    def __init__(self, want: Want) -> None:
        self.want = want
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[bytes] | None = None
        self._address: Address | None = None

    def address(self) -> Address:
        """Blocks up to START_SECONDS. Raises ModelUnavailable, ModelRefused."""
        with self._lock:
            if self._address is not None and self._process is not None and self._process.poll() is None:
                return self._address
            self._stop()
            try:
                self._address = self._start()
            except BaseException:
                self._stop()
                raise
            return self._address

    def ready(self) -> Address | None:
        """The address of a child that is up; never blocks."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            up = self._process is not None and self._process.poll() is None
            return self._address if up else None
        finally:
            self._lock.release()

    def stop(self) -> None:
        with self._lock:
            self._stop()

    def replace(self, address: Address) -> None:
        """End the child behind `address`, which does not answer any more; the next request starts another."""
        with self._lock:
            if self._address == address:
                self._stop()

    def _start(self) -> Address:
        key = secrets.token_urlsafe(24)
        weights = self.want.weights
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the child
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter, our own file
            # -P: the folder of the program holds an openai.py, which must not stand in for the real one
            [sys.executable, "-P", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(),
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        settings = {
            "path": str(weights.path),
            "alias": weights.version,
            "key": key,
            "threads": self.want.threads,
            "context": self.want.context,
            "adapter": str(self.want.adapter.path) if self.want.adapter else None,
        }
        with contextlib.suppress(BrokenPipeError):  # it has ended already: what it said is read below
            self._process.stdin.write(json.dumps(settings) + "\n")
            self._process.stdin.flush()
        ready = self._first_line()
        if "url" not in ready:
            raise self._failed(str(ready.get("error", "")))
        return Address(ready["url"], key, bool(ready.get("llguidance")), self._process.pid)

    def _first_line(self) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        # A watchdog instead of select: pipes cannot be waited for with a timeout on every system.
        watchdog = threading.Timer(START_SECONDS, process.kill)
        watchdog.start()
        try:
            line = process.stdout.readline()
        finally:
            watchdog.cancel()
        try:
            found = json.loads(line)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _failed(self, said: str = "") -> ModelError:
        """Why the child did not come up."""
        assert self._process is not None
        try:
            code: int | None = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            code = None
        name = self.want.weights.path.name
        if code == -getattr(signal, "SIGILL", 4):
            return ModelRefused(
                "the embedded model cannot run on this processor",
                why="xllamacpp is built for AVX2",
                remedy="Use another model: a server's base URL, or a provider's key.",
            )
        why = " ".join((said or self._last_words() or f"exit status {code}").split())[:300]
        if said or "No module" in why:
            return ModelRefused(
                f"the embedded model could not load {name}",
                why=why,
                remedy="Check the file, and `surefoot doctor`.",
            )
        return ModelUnavailable(
            f"the embedded model did not start with {name}",
            why=why,
            charged=False,
            remedy="See `surefoot doctor`.",
        )

    def _last_words(self) -> str:
        if self._log is None:
            return ""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 300))
        return self._log.read().decode(errors="replace")

    def _stop(self) -> None:
        process, self._process, self._address = self._process, None, None
        if process is not None:
            # It keeps nothing, so there is nothing to end in good order.
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    _close(pipe)
            process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None


def _environment() -> dict[str, str]:
    """What native code needs of ours to be found and to run: no key, no token."""
    kept = ("PATH", "HOME", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "VIRTUAL_ENV")
    prefixes = ("PYTHON", "LD_", "DYLD_", "LC_", "OMP_")
    return {name: value for name, value in os.environ.items() if name in kept or name.startswith(prefixes)}


def _close(pipe: IO[str]) -> None:
    # What was still to be written was for a process that is gone.
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


class _Children:
    """Who uses which child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: dict[Want, tuple[Child, set[int]]] = {}

    def take(self, want: Want, user: int) -> Child:
        with self._lock:
            child, users = self._children.setdefault(want, (Child(want), set()))
            users.add(user)
            return child

    def release(self, want: Want, user: int) -> None:
        with self._lock:
            child, users = self._children.get(want, (None, set[int]()))
            users.discard(user)
            if child is None or users:
                return
            del self._children[want]
        child.stop()

    def stop_all(self) -> None:
        with self._lock:
            children = [child for child, _ in self._children.values()]
            self._children.clear()
        for child in children:
            child.stop()

    def forget(self) -> None:
        """After a fork: the children are the parent's."""
        self.__init__()  # type: ignore[misc]


CHILDREN = _Children()
atexit.register(CHILDREN.stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CHILDREN.forget)
