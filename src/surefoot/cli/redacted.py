"""The streams of a command, with the process's redactor in between.

stderr, which also takes what a workflow's code prints, passes without secrets, private values and what
looks like either, however it is cut into writes. stdout carries answers, which may hold private values (those
of the one who asks), but never a known secret.
"""

from __future__ import annotations

from typing import Any, TextIO

from ..orchestrator.redacting import redactor
from ..rails.streaming import StreamRedactor


class _Wrapped:
    """Whatever is not about writing is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def write(self, text: str) -> int:
        raise NotImplementedError


class Redacted(_Wrapped):
    """`finish` when nothing more is to be written: it lets go of what was held back."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._redactor = StreamRedactor(redactor())

    def write(self, text: str) -> int:
        self._stream.write(self._safe(lambda: self._redactor.feed(text)))
        return len(text)

    def flush(self) -> None:
        self._stream.write(self._safe(self._redactor.pause))
        self._stream.flush()

    def finish(self) -> None:
        """Raises nothing: that stderr takes no more must not hide how the command itself ended."""
        try:
            self._stream.write(self._safe(self._redactor.flush))
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: somebody closed it
            return

    @property
    def buffer(self) -> Bytes:
        return Bytes(self)

    def _safe(self, act: Any) -> str:
        try:
            return str(act())
        except Exception as error:  # noqa: BLE001  fail closed, whatever it is
            self._redactor = StreamRedactor(redactor())
            return f"[text withheld: its redaction failed with {type(error).__name__}]\n"


class Bytes:
    """What stands for a stream's `buffer`."""

    def __init__(self, stream: Redacted) -> None:
        self._stream = stream

    def write(self, chunk: bytes) -> int:
        self._stream.write(bytes(chunk).decode(errors="backslashreplace"))
        return len(chunk)

    def flush(self) -> None:
        self._stream.flush()


class Scrubbed(_Wrapped):
    def write(self, text: str) -> int:
        self._stream.write(redactor().scrub(text))
        return len(text)

    def write_key(self, text: str) -> None:
        """The one exception: master keys that somebody has asked for, to put them where they belong."""
        self._stream.write(text)
