"""Where a command writes: its answer to stdout, everything else to stderr.

While a command runs, stdout is its own: what a workflow's code or a child process prints goes to stderr, so
that `--json` is JSON and nothing else. Colour and rich's tables are for terminals without NO_COLOR; everybody
else gets plain text with the same words. What a model, a tool or a customer wrote cannot steer a terminal:
control characters are shown, not sent.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TextIO, cast

from ..orchestrator.logs import install
from ..orchestrator.redacting import redactor
from .redacted import Redacted, Scrubbed

Style = Literal["", "good", "bad", "warn", "dim", "strong"]

_ANSI = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "strong": "1"}
_INVISIBLE = {
    **{code: f"\\x{code:02x}" for code in [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)]},
    # marks that change the order in which text is read
    **{code: f"\\u{code:04x}" for code in [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]},
}


def clean(text: str) -> str:
    """Text of unknown origin, made safe for a terminal; line feeds and tabs stay."""
    return text.translate(_INVISIBLE)


def one_line(text: str, most: int = 0) -> str:
    text = clean(" ".join(text.split()))
    if not most or len(text) <= most:
        return text
    # Before it is cut: half a card's number looks like none, and would pass.
    text = redactor().withhold(text)
    return text if len(text) <= most else text[: most - 1] + "…"


@dataclass(frozen=True)
class Cell:
    text: str
    style: Style = ""


@dataclass(frozen=True)
class Column:
    name: str
    right: bool = False
    wide: bool = False
    """Takes the room that is left, and is cut where there is none."""


class Output:
    """`json` tells that stdout takes documents only."""

    def __init__(self, stdout: TextIO, stderr: TextIO, *, json: bool = False) -> None:
        self.json = json
        self._stdout = stdout
        self._stderr = stderr
        self.answered = False
        """Whether a document was written: an error that comes later must not write a second one."""

    # ── answers ──

    def document(self, value: Any) -> None:
        self.answered = True
        self._write_answer(json.dumps(value, ensure_ascii=not _writes_unicode(self._stdout)))

    def line(self, text: str) -> None:
        """One line of JSON that is already text."""
        self.answered = True
        self._write_answer(text if _writes_unicode(self._stdout) else json.dumps(json.loads(text)))

    def keys(self, text: str) -> None:
        """An answer that holds master keys, which stdout otherwise never shows."""
        self.answered = True
        if isinstance(self._stdout, Scrubbed):
            self._stdout.write_key(text + "\n")
            self._stdout.flush()
        else:
            self._write_answer(text)

    def answer(self, text: str, style: Style = "") -> None:
        self._write_answer(self._styled(text, style, self._stdout))

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]]) -> None:
        cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
        if is_rich(self._stdout):
            from . import rich_output

            rich_output.table(self._stdout, columns, cells)
        else:
            self._write_answer("\n".join(plain_table(columns, cells)))

    def _write_answer(self, text: str) -> None:
        self._stdout.write(text + "\n")
        self._stdout.flush()

    # ── everything else ──

    def say(self, text: str = "", style: Style = "") -> None:
        self._stderr.write(self._styled(text, style, self._stderr) + "\n")
        self._stderr.flush()

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}", "warn")

    @property
    def stderr(self) -> TextIO:
        return self._stderr

    @property
    def is_live(self) -> bool:
        """Whether progress may redraw its last line."""
        return is_rich(self._stderr)

    def _styled(self, text: str, style: Style, stream: TextIO) -> str:
        return f"\x1b[{_ANSI[style]}m{text}\x1b[0m" if style and is_rich(stream) else text


def is_rich(stream: TextIO) -> bool:
    """A terminal that nobody asked to keep plain."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and stream.isatty()


def plain_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[str]:
    texts = [[column.name.upper() for column in columns], *([cell.text for cell in row] for row in rows)]
    widths = [max(len(line[n]) for line in texts) for n in range(len(columns))]
    lines = []
    for line in texts:
        parts = [
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(line, widths, columns, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return lines


def _writes_unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")


@contextmanager
def taking_over(*, json: bool) -> Iterator[Output]:
    """An Output that has stdout for itself until the block ends. Both streams pass the process's redactor."""
    stdout, stderr = sys.stdout, sys.stderr
    for stream in (stdout, stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    stdout.flush()
    install()
    redacted = Redacted(stderr)
    sys.stdout = sys.stderr = cast(TextIO, redacted)
    try:
        with _own_copy(stdout) as own:
            yield Output(cast(TextIO, Scrubbed(own)), sys.stderr, json=json)
    finally:
        sys.stdout, sys.stderr = stdout, stderr
        redacted.finish()


@contextmanager
def _own_copy(stdout: TextIO) -> Iterator[TextIO]:
    """Where stdout is the process's own: a copy, while descriptor 1 leads to stderr, also of children."""
    if not _is_process_wide(stdout):
        yield stdout
        return
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(saved), "w", encoding=stdout.encoding, errors="backslashreplace") as own:
            yield own
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def _is_process_wide(stdout: TextIO) -> bool:
    try:
        return stdout.fileno() == 1 and sys.stderr.fileno() == 2
    except (OSError, ValueError):
        return False  # captured by a test
