"""The benchmarks run, whatever they measure: a row that has rotted would claim nothing any more."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
KILLED = "kill"


def measured(folder: Path, *rows: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks", *rows, "--quick", "--json", "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    return found


def test_a_row_is_measured_by_its_name_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (row,) = measured(tmp_path, "bytes")
    assert row["row"] == "bytes"
    assert [line["unit"] for line in row["lines"]] == ["bytes"]
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_row_is_refused_with_those_that_exist() -> None:
    command = [sys.executable, "-m", "benchmarks", "speed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "redaction" in done.stderr


@pytest.mark.slow
def test_every_row_runs_and_a_kill_loses_repeats_and_doubles_nothing(tmp_path: Path) -> None:
    rows = {row["row"]: row for row in measured(tmp_path)}
    assert len(rows) >= 13
    lost, repeated, doubled = (line["value"] for line in rows[KILLED]["lines"][1:])
    assert (lost, repeated, doubled) == (0, 0, 0)
