"""Times, money, calls and JSON as people read them on a page.

Every text that a template prints passes `visible` (see `pages`): a control character, or a mark that turns
text around, is shown and does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..core.clock import MICROS
from ..core.model import NANO
from ..evals.reports.words import line, visible
from ..state.rows import RunRow

__all__ = ["line", "visible"]


ONCE = "form-"
"""What the keys begin with that a form brings, so that being sent twice it starts one run."""


def name_of(row: RunRow) -> str:
    """A run by its key, where somebody gave it one; else by its id."""
    return row.id if row.key is None or row.key.startswith(ONCE) else row.key


def moment(at: int | None) -> str:
    """UTC, to the second; of microseconds since the epoch."""
    return "" if at is None else datetime.fromtimestamp(at / MICROS, UTC).strftime("%Y-%m-%d %H:%M:%S")


def length(micros: float) -> str:
    """Two digits are enough to feel it: 7 ms, 1.4 s, 2 min, 3 h, 5 d."""
    ms = max(micros, 0) / 1000
    for limit, unit, per in ((1000, "ms", 1), (60_000, "s", 1000), (3_600_000, "min", 60_000)):
        if ms < limit:
            value = ms / per
            digits = f"{value:.1f}".removesuffix(".0") if unit != "ms" and value < 10 else f"{value:.0f}"
            return f"{digits} {unit}"
    return f"{ms / 3_600_000:.0f} h" if ms < 172_800_000 else f"{ms / 86_400_000:.0f} d"


def ago(at: int, now: int) -> str:
    return f"{length(now - at)} ago"


def money(usd: float) -> str:
    """Cents at least; below a dollar to the hundredth of a cent, and below a cent as it is."""
    if not usd:
        return "$0"
    if usd >= 1 or round(usd, 2) == usd:
        return f"${usd:,.2f}"
    return f"${usd:.4f}" if usd >= 0.01 else f"${usd:.6f}".rstrip("0")


def nano_money(nanousd: int) -> str:
    return money(nanousd / NANO)


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def call_text(tool: str | None, args: Any, most: int = 90) -> str:
    """`refund(number="1001", amount="80")`, as short as the line needs."""
    inner = "…"
    if isinstance(args, Mapping):
        inner = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in args.items())
    return line(f"{tool or '?'}({inner})", most)


def pretty(value: Any) -> str:
    """JSON to read, in lines."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def shape(value: Any) -> str:
    """JSON in one short line, for a table's cell."""
    return line(json.dumps(value, ensure_ascii=False), 160)
