"""Starting processes quickly: a server that has imported everything once forks a child for each (0.02 s, not
0.8 s). It has one thread and does nothing else, so its children begin as clean as a fresh interpreter.

`python -m crash.forks` is the server: one JSON request per line on standard input, one answer per line on
standard output. When its input ends, it kills what it has started.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from . import driver, program, slow  # noqa: F401  (imported once here, not in every child)

FOLDER = Path(__file__).parents[1]


class Server:
    """The client's end. One serves a whole test run."""

    def __init__(self) -> None:
        path = os.pathsep.join(
            [str(FOLDER), str(FOLDER.parent / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._lock = threading.Lock()

    def start(self, **call: Any) -> int:
        """The pid of a child that does `driver.main(**call)`."""
        return int(self._ask({"start": call})["pid"])

    def code(self, pid: int) -> int | None:
        """How it ended (-9: killed), None while it lives. To be asked until then, and no more."""
        found = self._ask({"poll": pid})["code"]
        return None if found is None else int(found)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        assert answer, "the server of processes has died"
        found: dict[str, Any] = json.loads(answer)
        return found


def _serve() -> None:
    living: set[int] = set()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "start" in request:
            pid = os.fork()
            if pid == 0:
                _child(request["start"])
            living.add(pid)
            print(json.dumps({"pid": pid}), flush=True)
        else:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            living.discard(pid)
            print(json.dumps({"code": os.waitstatus_to_exitcode(status) if pid else None}), flush=True)
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def _child(call: dict[str, Any]) -> None:
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    try:
        driver.main(**call)
    except SystemExit as end:
        threading._shutdown()  # type: ignore[attr-defined]  # what the end of an interpreter waits for
        os._exit(int(end.code or 0))
    os._exit(70)


if __name__ == "__main__":
    _serve()
