"""Running rows, each in a Python of its own: what one leaves behind (a heap, settings of the collector, warm
caches) does not reach the next, and one that breaks does not take the others with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .measuring import Gauge, Line, Noise, Size
from .report import Outcome
from .rows import ROWS

PATIENCE = 300.0
"""Seconds after which a row is given up."""


def run_here(name: str, size: Size) -> dict[str, Any]:
    """In the child: the row between two looks at the machine."""
    with size.fresh() as folder:
        gauge = Gauge(folder)
        gauge.read()
        lines = ROWS[name].measure(size)
        gauge.read()
        noise: Noise = gauge.noise()
    return {"lines": [line.to_json() for line in lines], "noise": noise.to_json()}


def run_apart(name: str, size: Size) -> Outcome:
    command = [sys.executable, "-m", "benchmarks", "--here", name, "--folder", str(size.folder)]
    if size.quick:
        command.append("--quick")
    started = time.perf_counter()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(_importable())}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return Outcome(name, error=f"it took longer than {PATIENCE:.0f} s", seconds=PATIENCE)
    took = time.perf_counter() - started
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        return Outcome(name, error=last[0][:300], seconds=took)
    found = json.loads(done.stdout)
    lines = []
    for line in found["lines"]:
        line.pop("met")
        lines.append(Line(**line))
    noise = found["noise"]
    return Outcome(name, tuple(lines), "", tuple(noise["complaints"]), noise["share"], took)


def run_again(first: Outcome, size: Size) -> Outcome:
    """The row once more; of the two the one whose machine was less busy, whatever it measured."""
    second = run_apart(first.row, size)
    if second.error or (second.complaints and second.share <= first.share):
        return first
    return second


def _importable() -> list[str]:
    """Rows start programs in folders of their own, and these must find us too."""
    here = str(Path(__file__).parents[1])
    given = [str(Path(part).resolve()) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    return [here, *given]
