"""`python -m benchmarks [ROW ...] [--quick] [--json]`.

A full run of all rows writes benchmarks/results.md; a partial or quick one only prints.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from .measuring import Size
from .report import COMMAND, as_markdown, as_text, machine, today, verdict
from .rows import ROWS
from .running import run_again, run_apart, run_here

RESULTS = Path(__file__).parent / "results.md"


def main() -> int:
    asked = arguments()
    size = Size(quick=asked.quick, folder=asked.folder)
    if asked.here:
        print(json.dumps(run_here(asked.here, size)))
        return 0
    unknown = [name for name in asked.rows if name not in ROWS]
    if unknown:
        print(f"there is no row {unknown[0]!r}; there are: {', '.join(ROWS)}", file=sys.stderr)
        return 2
    outcomes = []
    say(f"{today()}, {machine()}")
    if asked.quick:
        say("quick: less of everything, so that numbers scatter more and some are too high")
    for name in asked.rows or ROWS:
        if sys.stderr.isatty():
            print(f"{name} ...", end="\r", file=sys.stderr, flush=True)
        outcomes.append(run_apart(name, size))
        say("\n" + as_text(outcomes[-1]))
    for index, outcome in enumerate(outcomes):
        if outcome.is_doubtful and not asked.quick:
            outcomes[index] = run_again(outcome, size)
            say("\nonce more, because the machine was busy; kept is what it disturbed less:")
            say(as_text(outcomes[index]))
    say("\n" + verdict(outcomes))
    if asked.json:
        rows = [outcome.to_json() for outcome in outcomes]
        print(
            json.dumps({"date": today(), "machine": machine(), "quick": asked.quick, "rows": rows}, indent=2)
        )
    if not asked.quick and not asked.rows:
        RESULTS.write_text(as_markdown(outcomes, COMMAND), encoding="utf-8")
        say("written: benchmarks/results.md")
    return 1 if any(outcome.error for outcome in outcomes) else 0


def say(text: str) -> None:
    """For people: on stdout, or beside the JSON on stderr."""
    print(text, file=sys.stderr if "--json" in sys.argv else sys.stdout, flush=True)


def arguments() -> argparse.Namespace:
    rows = "\n".join(f"  {row.name:12}{row.says}" for row in ROWS.values())
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Measures what we claim about speed.",
        epilog=f"rows:\n{rows}\n\nA missed goal is no error: the exit code says whether all rows ran.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only these rows (default: all)")
    parser.add_argument("--quick", action="store_true", help="under half a minute, with less of everything")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where stores are written: on a disk, not in memory (default: the system's temporary folder)",
    )
    parser.add_argument("--here", choices=ROWS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
