"""The command line through its real door: `Shell` is a folder with a program in it, in which commands are
given. `here` gives them inside this process, which is quick; `process` starts one, as a user would."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from surefoot.cli import root

PROGRAMS = Path(__file__).parent / "programs"
SOURCE = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as the one document that it must be."""
        assert self.out.endswith("\n"), self
        assert self.out.count("\n") == 1, self
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(folder)

    def write(self, name: str, content: Any) -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def setenv(self, name: str, value: str) -> None:
        self._monkeypatch.setenv(name, value)

    def here(self, *words: str, stdin: str | None = None) -> Said:
        done = CliRunner().invoke(root, words, input=stdin)
        return Said(done.exit_code, done.stdout, done.stderr)

    def process(self, *words: str, stdin: str | None = None, patience: float = 60.0, **env: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "surefoot", *words],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment(**env),
            timeout=patience,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "surefoot", *words],
            cwd=self.folder,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,
        )

    def printed(self, line: str) -> Said:
        """A command as it was printed for people to copy, in a shell."""
        words = shlex.split(line, comments=True)
        begin = words.index("surefoot") + 1
        return self.process(*words[begin:])

    def environment(self, **env: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(SOURCE), **env}

    def paid(self) -> list[str]:
        ledger = self.folder / "paid.txt"
        return [line.split(" ", 1)[1] for line in ledger.read_text().splitlines()] if ledger.exists() else []


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A folder with till.py, and inputs for it."""
    shutil.copy(PROGRAMS / "till.py", tmp_path)
    made = Shell(tmp_path, monkeypatch)
    made.write("small.json", {"item": "a lamp", "amount": "20"})
    made.write("large.json", {"item": "a lamp", "amount": "80"})
    for program in PROGRAMS.glob("*.py"):  # of the same name, from another test of this process
        monkeypatch.delitem(sys.modules, program.stem, raising=False)
    known, path = set(sys.modules), list(sys.path)
    yield made
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(tmp_path)):
            del sys.modules[name]
    sys.path[:] = path
