"""The tutorial is given word for word: its files, its commands in order, and what it says they show.

Its Python is run by tests/test_docs.py. A line of a `text` block must be found, but for blanks, in what the
commands before it have printed. ITEM and RUN stand for the ids that a reader would copy.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SOURCE

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WAITS = "--input chair.json"


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    command = tmp_path / "bin" / "surefoot"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m surefoot "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def give(folder: Path, line: str) -> tuple[int, str]:
    path = f"{folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_every_command_of_the_tutorial_does_what_it_says(folder: Path) -> None:
    said, ids = "", {"ITEM": "", "RUN": ""}
    given = 0
    for language, title, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if title:
            (folder / title).write_text(body, encoding="utf-8")
        elif language == "sh":
            if "OPENAI_API_KEY" in body:
                break  # a reader's own key from here on
            said = ""
            for line in body.splitlines():
                for name, value in ids.items():
                    line = re.sub(rf"\b{name}\b", value, line)
                code, out = give(folder, line)
                assert code == (137 if "CRASH_AT" in line else 3 if WAITS in line else 0), f"{line}\n{out}"
                assert "Traceback" not in out
                said += out
                given += 1
                if found := re.search(r"\b(r[0-9a-z]{17})(-1)?\b", out):
                    ids = {"ITEM": f"{found[1]}-1", "RUN": found[1]}
        elif language == "text":
            for line in body.splitlines():
                expected = flat(line.replace("ITEM:", f"{ids['ITEM']}:"))
                assert any(expected in flat(shown) for shown in said.splitlines()), (
                    f"{expected}\nnot in\n{said}"
                )
    assert given >= 10
    assert len((folder / "ledger.txt").read_text().splitlines()) == 1, "the payment was made once"
