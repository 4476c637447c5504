"""The one place where an error becomes words and an exit code.

    0 done · 1 failed, red · 2 used wrongly, or inconclusive · 3 waiting for a person · 130 interrupted

Whatever ends a command is told as one of our errors: what failed, why, what to do, and where to read on. Exit
codes are the catalogue's. Nobody sees a stack trace who did not ask for one with --debug. Whatever is said
here has passed the redactor of the process.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import click

from ..catalogue import entry, shown
from ..errors import Interrupted, SurefootError, SystemFailed, Unexpected, UsageError
from .output import clean, is_rich

DONE, FAILED, WRONG, WAITING, INTERRUPTED = 0, 1, 2, 3, 130

ANSWERED = "an answer was written before this"
"""A note on an error that came after the command's document: stdout must not get a second one."""


def told(error: BaseException) -> SurefootError:
    """Any exception that ends a command, as one of our errors."""
    match error:
        case SurefootError():
            return error
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "surefoot"
            why = f"that is not how `{path}` is used"
            return UsageError(error.format_message(), why=why, remedy=f"See `{path} --help`.")
        case click.Abort() | KeyboardInterrupt():  # click makes the first of the second
            return Interrupted("interrupted", why="Ctrl-C or SIGTERM ended the command")
        case click.ClickException():
            return UsageError(error.format_message(), why="the words of the command do not fit")
        case OSError():
            what = f"{error.filename} cannot be used" if error.filename else "the system refused something"
            return SystemFailed(what, why=_place(error) + (error.strerror or _text(error)))
        case MemoryError():
            return SystemFailed("there is not enough memory", why=_place(error) + "MemoryError")
        case _:
            why = f"{_place(error)}{type(error).__name__}: {_text(error)}"[:500]
            return Unexpected("surefoot met an error that it did not expect", why=why)


def _text(error: BaseException) -> str:
    from ..core.error_view import text_of

    return text_of(error)


def _way_to(error: BaseException) -> str:
    from ..core.error_view import trace_of

    return trace_of(error)


def _place(error: BaseException) -> str:
    """Where in the user's own code it came up, if it did."""
    from .target import place_in_code

    return place_in_code(error)


def exit_code(error: BaseException) -> int:
    """Of an error that a command ends with. What was asked for wrongly is 2; what went wrong is 1."""
    found = told(error).entry()
    return found.exit if found else FAILED


def view(error: BaseException) -> dict[str, Any]:
    """code, what, why, remedy, docs."""
    one = told(error)
    return shown(one.code, one.what, one.why, one.remedy, docs=one.docs)


def lines_of_error(view: dict[str, Any]) -> list[str]:
    """An error's view for people, beginning with what failed; safe for a terminal."""
    lines = [f"{clean(view['what'])}  [{view['code']}]"]
    lines += [f"  why:  {clean(view['why'])}"] if view["why"] else []
    lines += [f"  do:   {clean(view['remedy'])}"] if view["remedy"] else []
    lines += [f"  more: surefoot explain {view['code']}"] if entry(view["code"]) else []
    return lines


def report(error: BaseException, stderr: TextIO, *, debug: bool, stdout: TextIO | None = None) -> int:
    """Tells of an error on `stderr`, and as JSON on `stdout` where that is given; gives its exit code. A
    stream that takes no more (a full disk, a pipe that nobody reads) changes nothing of that."""
    seen = {name: scrub(text) for name, text in view(error).items()}
    if stdout is not None:
        _write(stdout, json.dumps({"error": seen}) + "\n")
    if debug:
        _write(stderr, scrub(_way_to(error)))
    bold, end = ("\x1b[31m", "\x1b[0m") if is_rich(stderr) else ("", "")
    _write(stderr, f"{bold}error:{end} " + "\n".join(lines_of_error(seen)) + "\n")
    return exit_code(error)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):  # ValueError: somebody closed it
        silence(stream)


def silence(stream: TextIO) -> None:
    """Sends to nowhere what a stream that takes no more still holds: Python would complain at its exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        return  # it is no file of the process's, or closed: nothing of it is left to complain


def scrub(text: str) -> str:
    """Without what this process knows to be secret or private, and without what looks like it. Where that
    fails, a line that says so."""
    from ..orchestrator.redacting import know_environment, redactor

    know_environment()
    return redactor().withhold(text)


class ShortFormatter(logging.Formatter):
    """A line of a log; with --debug followed by the way to the exception that it tells of."""

    def __init__(self, *, debug: bool) -> None:
        super().__init__("%(levelname)s: %(message)s")
        self._debug = debug

    def format(self, record: logging.LogRecord) -> str:
        nothing = {} if self._debug else {"exc_info": None, "exc_text": None, "stack_info": None}
        return scrub(super().format(logging.makeLogRecord({**record.__dict__, **nothing})))

    def formatException(self, ei: Any) -> str:  # noqa: N802  the library's name
        return _way_to(ei[1]).rstrip() if ei[1] is not None else ""


def quiet_the_rest(*, debug: bool) -> None:
    """Logs, threads and finalisers that fail say so in a line too: they pass no command on their way out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ShortFormatter(debug=debug))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log = logging.getLogger("surefoot")

    def thread_failed(failure: Any) -> None:
        if failure.exc_type is SystemExit:
            return  # a thread may leave that way
        name = failure.thread.name if failure.thread else "?"
        _log(log.error, f"thread {name}", failure.exc_value)

    def unraisable(failure: Any) -> None:
        _log(log.warning, "at the end of something", failure.exc_value)

    def last_words(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        """Of what no command could catch: too early, too late, or no Exception at all."""
        report(error, sys.stderr, debug=debug)

    import threading

    threading.excepthook = thread_failed
    sys.unraisablehook = unraisable
    sys.excepthook = last_words


def _log(say: Callable[..., None], where: str, error: BaseException | None) -> None:
    name = "an error that is gone" if error is None else f"{type(error).__name__}: {_text(error)}"
    say("%s: %s", where, name, exc_info=error)


def no_text(words: Sequence[str]) -> UsageError | None:
    """What is wrong where a word of the command is bytes that are no text: nothing of it can be looked up."""
    for word in words:
        if not word.isascii() and any("\ud800" <= sign <= "\udfff" for sign in word):
            said = word.encode(errors="backslashreplace").decode()
            return UsageError(f"{said!r} is no text in UTF-8", why="it holds bytes that mean no character")
    return None


def wants(words: Sequence[str], flag: str) -> bool:
    """Whether a flag was given; asked of the raw words, because an error may come before they are parsed."""
    given = list(words)
    return flag in (given[: given.index("--")] if "--" in given else given)
