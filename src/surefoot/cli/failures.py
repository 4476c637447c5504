"""The one place where an error becomes words and an exit code.

    0 done · 1 failed, red · 2 used wrongly, or inconclusive · 3 waiting for a person · 130 interrupted

Nobody sees a stack trace who did not ask for one with --debug, and then known secrets are taken out of it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, TextIO

import click

from ..errors import (
    CallRefused,
    DefinitionError,
    InboxError,
    InputError,
    ItemClosed,
    NotAllowedToDecide,
    RunNotFinished,
    RunNotFound,
    SurefootError,
)
from .output import clean, is_rich

DONE, FAILED, WRONG, WAITING, INTERRUPTED = 0, 1, 2, 3, 130

ANSWERED = "an answer was written before this"
"""A note on an error that came after the command's document: stdout must not get a second one."""

SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
"""An environment variable with one of these in its name is taken out of what --debug prints."""


def exit_code(error: BaseException) -> int:
    """Of an error that a command ends with. What was asked for wrongly is 2; what went wrong is 1."""
    match error:
        case ItemClosed() | NotAllowedToDecide():
            return FAILED
        case (
            InputError() | DefinitionError() | CallRefused() | InboxError() | RunNotFound() | RunNotFinished()
        ):
            return WRONG
        case click.ClickException():
            return error.exit_code
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED
        case _:
            return FAILED


def view(error: BaseException) -> dict[str, str]:
    """code, what, why, remedy."""
    match error:
        case SurefootError():
            return {"code": error.code, "what": error.what, "why": error.why, "remedy": error.remedy}
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "surefoot"
            remedy = f"See `{path} --help`."
            return {"code": "usage", "what": error.format_message(), "why": "", "remedy": remedy}
        case click.ClickException():
            return {"code": "usage", "what": error.format_message(), "why": "", "remedy": ""}
        case OSError():
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
            return {
                "code": "system",
                "what": what,
                "why": "",
                "remedy": "Check the path and its permissions.",
            }
        case KeyboardInterrupt() | click.Abort():  # click makes the second of the first
            return {"code": "interrupted", "what": "interrupted", "why": "", "remedy": ""}
        case _:
            return {
                "code": "unexpected",
                "what": "surefoot met an error that it did not expect",
                "why": f"{type(error).__name__}: {error}"[:500],
                "remedy": "Run the same command with --debug to see where it came from.",
            }


def report(error: BaseException, stderr: TextIO, *, debug: bool, stdout: TextIO | None = None) -> int:
    """Tells of an error on `stderr`, and as JSON on `stdout` where that is given; gives its exit code."""
    shown = {name: scrub(text) for name, text in view(error).items()}
    if stdout is not None:
        print(json.dumps({"error": shown}), file=stdout, flush=True)
    if debug:
        stderr.write(scrub("".join(traceback.format_exception(error))))
    bold, end = ("\x1b[31m", "\x1b[0m") if is_rich(stderr) else ("", "")
    lines = [f"{bold}error:{end} {clean(shown['what'])}  [{shown['code']}]"]
    lines += [f"  why: {clean(shown['why'])}"] if shown["why"] else []
    lines += [f"  do:  {clean(shown['remedy'])}"] if shown["remedy"] else []
    print("\n".join(lines), file=stderr, flush=True)
    return exit_code(error)


def scrub(text: str) -> str:
    """Without the values of the environment's secrets."""
    values = {name: value for name, value in os.environ.items() if any(part in name for part in SECRET_NAMES)}
    if not values:
        return text
    from ..rails.redaction import Secrets

    return Secrets(values).scrub(text)


class ShortFormatter(logging.Formatter):
    """A line of a log, without the traceback that came with it unless --debug."""

    def __init__(self, *, debug: bool) -> None:
        super().__init__("%(levelname)s: %(message)s")
        self._debug = debug

    def format(self, record: logging.LogRecord) -> str:
        if not self._debug:
            record = logging.makeLogRecord(
                {**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None}
            )
        return scrub(super().format(record))


def quiet_the_rest(*, debug: bool) -> None:
    """Logs, threads and finalisers that fail say so in a line too: they pass no command on their way out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ShortFormatter(debug=debug))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    if debug:
        return

    def thread_failed(failure: Any) -> None:
        name = failure.thread.name if failure.thread else "?"
        logging.getLogger("surefoot").error(
            "thread %s: %s: %s", name, failure.exc_type.__name__, failure.exc_value
        )

    def unraisable(failure: Any) -> None:
        logging.getLogger("surefoot").warning("%s: %s", failure.exc_type.__name__, failure.exc_value)

    import threading

    threading.excepthook = thread_failed
    sys.unraisablehook = unraisable


def wants(words: Sequence[str], flag: str) -> bool:
    """Whether a flag was given; asked of the raw words, because an error may come before they are parsed."""
    given = list(words)
    return flag in (given[: given.index("--")] if "--" in given else given)
