"""What a terminal gets beside plain text. The only importer of rich, which costs 0.05 s and is not always
needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

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


def table(stream: TextIO, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    shown = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        shown.add_column(
            column.name,
            justify="right" if column.right else "left",
            overflow="ellipsis" if column.wide else "fold",
            no_wrap=True,
            ratio=1 if column.wide else None,
        )
    for row in rows:
        shown.add_row(*(Text(cell.text, STYLES[cell.style]) for cell in row))
    # Text objects, never markup: what a model wrote must not be read as a style.
    Console(file=stream, highlight=False, markup=False, emoji=False).print(shown)


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
