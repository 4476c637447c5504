"""Times, durations, money and calls, as people read them and as JSON has them."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import click

from ..core.clock import MICROS, micros
from ..core.jsons import dumps, parse_strictly
from ..errors import UsageError
from ..settings import DEFAULT_STORE, Settings
from .output import Style, clean, one_line

STATUS_STYLES: dict[str, Style] = {
    "succeeded": "good",
    "ok": "good",
    "returned": "good",
    "answered": "good",
    "finished": "good",
    "failed": "bad",
    "unknown": "bad",
    "refused": "warn",
    "waiting": "warn",
    "open": "warn",
    "cancelled": "dim",
}

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def clock_time(at: int | None) -> str:
    """Local, to the second."""
    return (
        "" if at is None else datetime.fromtimestamp(at / MICROS).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    )


def ago(at: int, now: int) -> str:
    return f"{duration(max(now - at, 0) / 1000)} ago"


def until(at: int, now: int) -> str:
    return f"in {duration((at - now) / 1000)}" if at > now else f"{duration((now - at) / 1000)} ago"


def duration(ms: float) -> str:
    """Two digits are enough to feel it: 7 ms, 1.4 s, 2 min, 3 h, 5 d."""
    for limit, unit, per in ((1000, "ms", 1), (60_000, "s", 1000), (3_600_000, "min", 60_000)):
        if ms < limit:
            value = ms / per
            return f"{value:.1f} {unit}" if unit != "ms" and value < 10 else f"{value:.0f} {unit}"
    return f"{ms / 3_600_000:.0f} h" if ms < 172_800_000 else f"{ms / 86_400_000:.0f} d"


def count(number: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def money(usd: float) -> str:
    return f"${usd:.6f}".rstrip("0").rstrip(".") if usd else "$0"


def call_text(tool: str | None, args: Any, most: int = 90) -> str:
    """`refund(number="1001", amount="80")`, as short as the line needs; `refund(…)` where args is None."""
    inner = "…"
    if isinstance(args, Mapping):
        inner = ", ".join(f"{key}={dumps(value)}" for key, value in args.items())
    return one_line(f"{tool or '?'}({inner})", most)


def ours(*parts: str) -> str:
    """A command of ours that a shell takes as it stands, called as this process was called."""
    return f"{program()} {shlex.join(parts)}"


@cache
def program() -> str:
    """`surefoot`, where that finds this very program; else the path by which it was started."""
    started = Path(sys.argv[0])
    found = shutil.which("surefoot")
    if started.name == "__main__.py" or not started.exists():
        return "surefoot" if found else f"{shlex.quote(sys.executable)} -m surefoot"
    if found and Path(found).resolve() == started.resolve():
        return "surefoot"
    is_below = started.absolute().is_relative_to(Path.cwd())
    return shlex.quote(str(started.absolute().relative_to(Path.cwd()) if is_below else started))


def store_words(settings: Settings) -> list[str]:
    """--store, where a command given later in this folder would not find the store by itself."""
    is_found = settings.store == DEFAULT_STORE or settings.sources["store"] == "pyproject.toml"
    return [] if is_found else ["--store", settings.store]


DEMO_STORE = "sqlite:///.surefoot/demo/state.db"


def work_words(target: str | None, settings: Settings) -> str:
    """The command that goes on with what is due."""
    if settings.store == DEMO_STORE:
        return ours("demo", "--keep")  # its runs belong to its own shop, which `work` would not find
    named = [target] if target else [] if settings.workflow else ["TARGET"]
    return ours("work", *named, *store_words(settings))


class Duration(click.ParamType[int]):
    """`90s`, `15m`, `12h`, `30d`, `2w`: microseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no duration: write 90s, 15m, 12h, 30d or 2w", param, ctx)
        return micros(float(match[1]) * _UNITS[match[2]])


def parse_json(text: str, where: str) -> Any:
    """Raises UsageError."""
    try:
        return parse_strictly(text)
    except ValueError as error:
        raise UsageError(
            f"{where} is no JSON", why=clean(str(error)), remedy="Mind the quotes of your shell."
        ) from None
