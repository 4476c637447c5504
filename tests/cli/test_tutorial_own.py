"""The tutorial that turns the desk into another workflow, word for word: its commands in order, its files, and
what it says they show. A `cd` holds for the lines after it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SOURCE
from .test_tutorial import BLOCK, flat

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-own-workflow.md"

RENEWED_BEFORE = """
import asyncio, sqlite3
from library_desk.books import place
from library_desk.library import open_library

async def twice():
    async with open_library() as library:
        first = await library.renew("L-101", 3, idempotency_key="k")
        with sqlite3.connect(place()) as db:
            db.execute("UPDATE loans SET awaited = 1 WHERE number = 'L-101'")
        assert await library.renew("L-101", 3, idempotency_key="k") == first

asyncio.run(twice())
"""
"""A key that is known is answered as before, also where a new request would be refused by now."""


@pytest.mark.slow
def test_every_command_of_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, words in (("surefoot", f'"{sys.executable}" -m surefoot'), ("python", f'"{sys.executable}"')):
        (binaries / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        (binaries / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",  # two edits within a second look the same to a cache
    }
    start = folder = tmp_path / "empty"
    start.mkdir()
    said, given = "", 0
    for language, title, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if title:
            (start / title).write_text(body, encoding="utf-8")
        elif language == "sh":
            if "OPENAI_API_KEY" in body:
                break  # a reader's own key from here on
            said = ""
            for line in body.splitlines():
                if line.startswith("cd "):
                    folder = (folder / line.removeprefix("cd ")).resolve()
                    continue
                done = subprocess.run(
                    ["sh", "-c", line],
                    cwd=folder,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=600,
                    check=False,
                )
                said += done.stdout + done.stderr
                assert done.returncode == 0, f"{line}\n{said}"
                given += 1
        elif language == "text":
            for line in body.splitlines():
                assert any(flat(line) in flat(shown) for shown in said.splitlines()), (
                    f"{line}\nnot in\n{said}"
                )
    assert given >= 12
    assert not re.search(r"\bshop\.py\b", " ".join(str(file) for file in start.rglob("*.py")))
    known = subprocess.run(
        [sys.executable, "-c", RENEWED_BEFORE],
        cwd=folder,
        env={**environment, "LIBRARY_DESK_SHOP": str(tmp_path / "library.db")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert known.returncode == 0, known.stderr
