"""What a cold start costs: `import surefoot`, and `surefoot run` until the first step's body begins.

Beside both stands a bare Python doing nothing, in the same rounds. The best of several is compared: a start
can be slowed by neighbours, and never quickened.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from .measuring import Line, Size

PROGRAM = """\
import os
import time

from pydantic import BaseModel

from surefoot import Workflow, step


class Question(BaseModel):
    text: str


@step
async def answered(question: Question) -> str:
    with open(os.environ["SUREFOOT_BENCH_MARK"], "w") as mark:
        mark.write(repr(time.time()))
    return question.text


answers = Workflow("answers", input=Question, steps=[answered])
"""


def _command(
    *words: str, cwd: Path | None = None, mark: Path | None = None, input: str | None = None
) -> float:
    """Wall seconds of a Python with these arguments."""
    env = {**os.environ, "NO_COLOR": "1"}
    if mark is not None:
        env["SUREFOOT_BENCH_MARK"] = str(mark)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=env, input=input, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - started
    assert done.returncode == 0, (
        f"python {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}"
    )
    return took


def imports(size: Size) -> list[Line]:
    rounds = size.pick(9, 3)
    bare, ours, pydantic = [], [], []
    for _ in range(rounds):
        bare.append(_command("-c", "pass"))
        ours.append(_command("-c", "import surefoot"))
        pydantic.append(_command("-c", "import pydantic, asyncio, sqlite3"))
    return [
        Line(
            "import surefoot, beyond a bare Python",
            min(ours) - min(bare),
            "s",
            0.15,
            note=f"best of {rounds}",
        ),
        Line("import pydantic, asyncio, sqlite3, beyond a bare Python", min(pydantic) - min(bare), "s"),
        Line("a bare Python", min(bare), "s"),
    ]


def cold_run(size: Size) -> list[Line]:
    rounds = size.pick(5, 3)
    first, whole = [], []
    for _ in range(rounds):
        with size.fresh() as folder:
            (folder / "answers.py").write_text(PROGRAM)
            mark = folder / "mark"
            words = ("-m", "surefoot", "run", "answers:answers", "--input", "-", "--json")
            started = time.time()
            whole.append(_command(*words, cwd=folder, mark=mark, input='{"text": "hello"}'))
            first.append(float(mark.read_text()) - started)
    return [
        Line(
            "cold `surefoot run` to the first step, new store", min(first), "s", 0.6, note=f"best of {rounds}"
        ),
        Line("the same to its end", min(whole), "s"),
    ]
