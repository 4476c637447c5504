"""A project of many small scenarios, and the command in it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = """
import asyncio
import os
from contextlib import asynccontextmanager
from pydantic import BaseModel
from surefoot import Run, Workflow, step
from surefoot.evals.world import World
from surefoot.testing import Say, ScriptedModel

class Note(BaseModel):
    text: str = ""

@asynccontextmanager
async def world(state):
    async def snapshot():
        return {}
    yield World([], snapshot)

@step
async def read(note: Note, run: Run) -> str:
    await asyncio.sleep(float(os.environ.get("SLOW", "0")))
    return await run.ask(str, "Read it", {"note": note})

flow = Workflow("notes", input=Note, steps=[read],
    models=[ScriptedModel({"read": [Say("it is read")]}, name="scripted:x")])
"""
MANY = 20


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "surefoot", "eval", *words]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "GITHUB_ACTIONS")}
    return {**kept, **more}


def report(folder: Path, *words: str, **more: str) -> dict[str, Any]:
    done = subprocess.run(
        command("--json", *words),
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    plain: dict[str, Any] = without_times(found)
    return plain


def without_times(found: Any) -> Any:
    """A report less what is of this very eval: how long it took, and its token."""
    match found:
        case dict():
            return {
                name: without_times(value)
                for name, value in found.items()
                if name not in ("took", "seconds", "resume")
            }
        case list():
            return [without_times(one) for one in found]
        case _:
            return found


def notes(folder: Path) -> Path:
    """The project with its scenarios, recorded and accepted."""
    (folder / "notes.py").write_text(PROJECT)
    (folder / "pyproject.toml").write_text(
        '[tool.surefoot]\nworkflow = "notes:flow"\nworld = "notes:world"\n'
    )
    (folder / "scenarios").mkdir()
    for number in range(MANY):
        one = {
            "id": f"note-{number:02}",
            "input": {"text": str(number)},
            "turns": {"read": [{"say": "it is read"}]},
            "expect": {"output": {"equals": "it is read"}},
        }
        (folder / "scenarios" / f"note-{number:02}.yaml").write_text(json.dumps(one))
    for words in (["--record"], ["--accept", "--no-controls", "--no-keep"]):
        subprocess.run(
            command(*words), cwd=folder, env=environment(), check=True, capture_output=True, timeout=120
        )
    return folder
