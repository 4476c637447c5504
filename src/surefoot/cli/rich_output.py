"""What a terminal gets beside plain text. The only importer of rich, which costs 0.05 s and is not always
needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from .output import Cell, Column, Style

STYLES: dict[Style, str] = {
    "": "",
    "good": "green",
    "bad": "red",
    "warn": "yellow",
    "dim": "dim",
    "strong": "bold",
}


NARROWEST = 16
"""Of a column that is cut where room is short."""


def table(stream: TextIO, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    # Text objects, never markup: what a model wrote must not be read as a style.
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    widths = _fit(columns, rows, console.width)
    shown = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        side: Literal["left", "right"] = "right" if column.right else "left"
        shown.add_column(column.name, justify=side, overflow="ellipsis", no_wrap=True, width=width)
    for row in rows:
        shown.add_row(*(Text(cell.text, STYLES[cell.style]) for cell in row))
    # Where even that does not fit, the terminal breaks the lines: an id that is cut cannot be copied.
    console.width = max(console.width, sum(widths) + 2 * len(widths))
    console.print(shown)


def _fit(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], room: int) -> list[int]:
    """Each column as wide as its widest cell; then the wide ones give up what is too much, widest first."""
    texts = [[column.name for column in columns], *([cell.text for cell in row] for row in rows)]
    widths = [max(cell_len(line[n]) for line in texts) for n in range(len(columns))]
    excess = sum(widths) + 2 * (len(widths) - 1) - room
    while excess > 0:
        cuttable = [n for n, column in enumerate(columns) if column.wide and widths[n] > NARROWEST]
        if not cuttable:
            break
        widths[max(cuttable, key=lambda n: widths[n])] -= 1
        excess -= 1
    return widths


class LiveLine:
    """Lines that stay, and below them one that tells what is under way."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._status = Status("", console=self._console, spinner="dots")

    @contextmanager
    def shown(self) -> Iterator[LiveLine]:
        with self._status:
            yield self

    def say(self, parts: Sequence[tuple[str, Style]]) -> None:
        self._console.print(Text.assemble(*((text, STYLES[style]) for text, style in parts)))

    def now(self, text: str) -> None:
        self._status.update(Text(text, "dim"))
